"""One's own profile: names, affiliation and language."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from db.models import (
    User,
)
from db.searching.folding import composed
from resolvers.access.rules import SELF
from resolvers.accounts import sessions
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.spelling import camel
from resolvers.writing.rows import expect, locked, require

_OPTIONAL, _REQUIRED = (
    ("first_name", "last_name", "affiliation", "profile"),
    ("language", "notified", "notified_of_jobs"),
)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}")


async def update_profile(ctx: Context, expected_version: int, changes: Mapping[str, Any]) -> UUID:
    """Change one's own names, affiliation or profile. Only the given attributes change."""
    user = sessions.person(ctx)
    changes = checked_columns(changes)
    async with ctx.database.write() as session:
        row = await locked(session, ctx, User, user)
        expect(row, expected_version)
        await require(session, ctx, row, (SELF,), "change")
        for name in (*_OPTIONAL, *_REQUIRED):
            if name in changes:
                if changes[name] is None and name in _REQUIRED:
                    raise Invalid(f"{camel(name)} can't be null", field=f"input.{camel(name)}")
                setattr(row, name, changes[name])
    return user


def checked_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The names, affiliation and language of a user in NFC; INVALID for those that no message could hold."""
    columns = {name: composed(value) if isinstance(value, str) else value for name, value in columns.items()}
    for name, value in columns.items():
        if not isinstance(value, str):
            continue
        most = getattr(User.__table__.c[name].type, "length", None)
        if (most is not None and len(value) > most) or not value.isprintable():
            raise Invalid(f"at most {most} characters that can be seen are kept", field=f"input.{camel(name)}")
    language = columns.get("language")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise Invalid("a language looks like en or pt-BR", field="input.language")
    return columns
