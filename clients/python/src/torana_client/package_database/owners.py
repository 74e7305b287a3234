"""How the gateway is told of which user something is."""

import unicodedata
from dataclasses import dataclass
from typing import Any

from torana_client.package_database.types import TProvider, TSub


@dataclass(frozen=True, slots=True)
class Owners:
    """Users of one identity provider, by their identities there."""

    provider: TProvider

    def named(self, sub: TSub) -> dict[str, Any]:
        """The user as the owner of what is written."""
        return {"externalSubject": {"provider": self.provider, "subject": sub}}

    def filter(self, sub: TSub) -> dict[str, Any]:
        """The user in a filter."""
        return {"externalSubject": {"equals": sub}, "authProvider": {"in": [self.provider]}}


def plain(text: str) -> str:
    """A text as the gateway stores it: in Unicode's NFC, without spaces at the ends."""
    return unicodedata.normalize("NFC", text.strip())
