"""The pages of the package index, in JSON and in HTML: PEP 503, 592, 629, 658, 691, 700, 714, 792."""

from collections.abc import Sequence
from html import escape
from typing import Any

import orjson

from db.types import instant_text
from jobs.specs.distributions import REQUIRES_PYTHON
from resolvers.specs.index import Distribution, Listed

VERSION = "1.4"
"""Of the JSON API; HTML stays at this one."""
JSON = "application/vnd.pypi.simple.v1+json"
JSON_LATEST = "application/vnd.pypi.simple.latest+json"
HTML = "application/vnd.pypi.simple.v1+html"
HTML_LATEST = "application/vnd.pypi.simple.latest+html"
PLAIN = "text/html"
OFFERED = (PLAIN, HTML, JSON, HTML_LATEST, JSON_LATEST)
"""What a client may ask for; the first where it does not say."""
_HEAD = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    f'<meta name="pypi:repository-version" content="{VERSION}">\n'
)


def root(names: Sequence[str], media: str) -> bytes:
    """The list of all names."""
    if media == JSON:
        return orjson.dumps({"meta": {"api-version": VERSION}, "projects": [{"name": name} for name in names]})
    links = "".join(f'<a href="{escape(name)}/">{escape(name)}</a><br>\n' for name in names)
    return f"{_HEAD}<title>Packages</title>\n</head>\n<body>\n{links}</body>\n</html>\n".encode()


def project(spec: Listed, packages: Sequence[Distribution], media: str) -> bytes:
    """The packages of one name. Addresses of files are relative to the page."""
    return _json(spec, packages) if media == JSON else _html(spec, packages)


def _json(spec: Listed, packages: Sequence[Distribution]) -> bytes:
    return orjson.dumps(
        {
            "meta": {"api-version": VERSION},
            "name": spec.name,
            "project-status": {"status": spec.status},
            "versions": list(dict.fromkeys(one.version for one in packages)),
            "files": [_file(one) for one in packages],
        }
    )


def _file(one: Distribution) -> dict[str, Any]:
    return {
        "filename": one.filename,
        "url": one.filename,
        "hashes": {"sha256": one.digest},
        "requires-python": REQUIRES_PYTHON,
        "size": one.size,
        "upload-time": instant_text(one.uploaded_at),
        "core-metadata": {"sha256": one.metadata_digest},
        "yanked": one.yanked,
    }


def _html(spec: Listed, packages: Sequence[Distribution]) -> bytes:
    name = escape(spec.name)
    status = f'<meta name="pypi:project-status" content="{spec.status}">\n'
    links = "".join(map(_link, packages))
    return f"{_HEAD}{status}<title>{name}</title>\n</head>\n<body>\n<h1>{name}</h1>\n{links}</body>\n</html>\n".encode()


def _link(one: Distribution) -> str:
    metadata = f"sha256={one.metadata_digest}"
    said = {
        "href": f"{one.filename}#sha256={one.digest}",
        "data-requires-python": REQUIRES_PYTHON,
        "data-core-metadata": metadata,
        "data-dist-info-metadata": metadata,
    }
    if one.yanked is not False:
        said["data-yanked"] = "" if one.yanked is True else one.yanked
    attributes = " ".join(f'{key}="{escape(value)}"' for key, value in said.items())
    return f"<a {attributes}>{escape(one.filename)}</a><br>\n"
