"""Names and versions of specifications, as pip and PyPI spell them."""

import re

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from resolvers.failures import Invalid

LONGEST, LONGEST_VERSION = 80, 30
"""The most characters of a name and of a version: files are called by both, with at most 128 characters."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def canonical(name: str, field: str = "name") -> str:
    """The name by which a specification is found: `Beam_Line` is `beam-line`. INVALID for a name that is none."""
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        told = (
            f"a name has letters, digits and between them dots, hyphens and underscores, at most {LONGEST} characters"
        )
        raise Invalid(told, field=field)
    return str(canonicalize_name(name))


def sought(name: str) -> str:
    """The same for looking up: of a name that is none, nothing is found."""
    return str(canonicalize_name(name)) if len(name) <= LONGEST and _NAME.fullmatch(name) else ""


def version(text: str, field: str = "version") -> str:
    """A public version in its normal form, PEP 440: `1.0.0-rc.1` is `1.0.0rc1`. INVALID for another one."""
    try:
        found = Version(text) if len(text) <= 2 * LONGEST_VERSION else None
    except InvalidVersion:
        found = None
    if found is None or found.local is not None or len(str(found)) > LONGEST_VERSION:
        told = f"a version is public by PEP 440, such as 1.2.0 or 1.2.0rc1, at most {LONGEST_VERSION} characters"
        raise Invalid(told, field=field)
    return str(found)
