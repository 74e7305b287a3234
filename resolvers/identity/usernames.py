"""The rules for usernames."""

import re

from resolvers.failures import Invalid

_USERNAME = re.compile(r"[a-z0-9._-]{2,150}")


def check_username(username: str) -> None:
    """Raise INVALID for a text that is no username. The names of external identities are as their providers have
    them."""
    if not _USERNAME.fullmatch(username):
        raise Invalid(
            "a username has 2 to 150 of: letters without accents, digits, `.`, `_` and `-`", field="input.username"
        )
