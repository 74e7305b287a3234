"""The pairs of keys of users: the second half of the old database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from torana_client.client import Client
from torana_client.errors import NotFound, Unauthenticated
from torana_client.package_database import documents, types
from torana_client.package_database.owners import Owners, plain

LIVE: dict[str, Any] = {"kind": {"in": ["API_KEY"]}, "revokedAt": {"isNull": True}}


class Credentials:
    """Reads and writes the API keys of users over a gateway."""

    def __init__(self, client: Client, owners: Owners) -> None:
        self._client = client
        self._owners = owners

    def infos(self, sub: types.TSub) -> types.TCredentialsInfoList:
        newest = {row["label"]: info_of(row) for row in self._rows(sub)}
        return [newest[label] for label in sorted(newest)]

    def get(self, sub: types.TSub, id_: types.TCredentialsId) -> types.TCredentialsInfo | None:
        rows = self._rows(sub, id_)
        return info_of(rows[-1]) if rows else None

    def create(self, sub: types.TSub, id_: types.TCredentialsId, scopes: Sequence[str]) -> types.NewCredentials:
        given = {"label": id_, "scopes": list(scopes), "owner": self._owners.named(sub)}
        made = self._client.mutate(documents.CREATE_KEY, given)["createApiKey"]
        return types.NewCredentials(plain(id_), made["publicKey"], made["secret"])

    def user(self, public_key: types.TCredentialsPublicKey) -> types.TSub | None:
        """Whose live key it is, of the users of the provider."""
        which = {**LIVE, "publicKey": {"equals": public_key}}
        rows = self._client.execute(documents.USER, {"filter": which})["credentials"]["nodes"]
        return self._sub_of(rows[0]["user"]) if rows and _lives(rows[0]) else None

    def check(
        self, public_key: types.TCredentialsPublicKey, secret_key: types.TCredentialsSecretKey
    ) -> types.TSub | None:
        """Whose pair of keys it is: the gateway is asked with it, by HTTP Basic."""
        if ":" in public_key:
            return None  # HTTP Basic has no such name
        try:
            viewer = self._client._as((public_key, secret_key)).execute(documents.VIEWER)["viewer"]
        except Unauthenticated:
            return None
        return self._sub_of(viewer)

    def revoke(self, sub: types.TSub, id_: types.TCredentialsId) -> None:
        for row in self._rows(sub, id_):
            try:
                self._client.mutate(documents.REVOKE, {"id": row["id"]})
            except NotFound:
                continue  # somebody else has just revoked it

    def revoke_all(self, sub: types.TSub) -> None:
        self._client.mutate(documents.REVOKE_ALL, {"owner": self._owners.named(sub)})

    def _rows(self, sub: types.TSub, id_: types.TCredentialsId | None = None) -> list[Any]:
        """The live keys of a user, the newest last; of one label there may be two, while a key is rotated."""
        which = {**LIVE, "user": self._owners.filter(sub)} | ({} if id_ is None else {"label": {"equals": plain(id_)}})
        rows = self._client.pages(documents.CREDENTIALS, {"filter": which}, "credentials")
        return [row for row in rows if _lives(row)]

    def _sub_of(self, user: dict[str, Any] | None) -> types.TSub | None:
        if user is None or user["authProvider"] != self._owners.provider:
            return None
        sub: types.TSub | None = user["externalSubject"]
        return sub


def info_of(row: dict[str, Any]) -> types.TCredentialsInfo:
    return {"id": row["label"], "public_key": row["publicKey"]}


def _lives(row: dict[str, Any]) -> bool:
    return row["expiresAt"] is None or datetime.fromisoformat(row["expiresAt"]) > datetime.now(UTC)
