"""The specs of users: the first half of the old database."""

import re
from datetime import datetime
from typing import Any

from torana_client.client import Client
from torana_client.errors import Conflict, NotFound
from torana_client.package_database import documents, stand_in, types
from torana_client.package_database.exceptions import NotFoundError, UnsupportedError
from torana_client.package_database.owners import Owners

TRIES = 5
"""How often a spec is looked at that others go on putting to."""


class Specs:
    """Reads and writes the specs of users over a gateway."""

    def __init__(self, client: Client, owners: Owners) -> None:
        self._client = client
        self._owners = owners

    def count_models(self, sub: types.TSub) -> int:
        found = self._client.execute(documents.MODELS, {"owner": self._owners.filter(sub)})["users"]["nodes"]
        return (found[0]["specModelCount"] or 0) if found else 0

    def put(
        self,
        sub: types.TSub,
        name: types.TSpecName,
        version: types.TSpecVersion,
        source: str,
        language: types.TSpecLanguage,
        expected_version: int | None = None,
    ) -> None:
        given = {"name": name, "version": version, "source": source, "language": language}
        expected = {"expectedVersion": expected_version, "owner": self._owners.named(sub)}
        self._client.mutate(documents.PUT, {**given, **expected})

    def put_stand_in(self, sub: types.TSub, name: types.TSpecName, version: types.TSpecVersion, source: str) -> None:
        """Put a stand-in. Raises UnsupportedError where the spec has a real source.

        The spec that is written is the one that was looked at; where others put to it meanwhile, it is looked at again.
        """
        for attempt in range(TRIES):
            found = self._client.execute(documents.SOURCE, {"filter": self._of(sub, name)})["specs"]["nodes"]
            last = found[0]["latestVersion"] if found else None
            if last is not None and not stand_in.is_stand_in(last["source"]):
                raise UnsupportedError(f"{canonical(name)} has a source: give the `source` of this version, too")
            try:
                self.put(sub, name, version, source, "JSON", found[0]["version"] if found else 0)
            except Conflict as conflict:
                if conflict.field not in (None, "expectedVersion") or attempt == TRIES - 1:
                    raise
            else:
                return

    def infos(self, sub: types.TSub) -> types.TSpecInfoList:
        rows = self._rows({"owner": self._owners.filter(sub)})
        return sorted((info_of(row, row["latestVersion"]) for row in rows), key=lambda info: info["id"])

    def latest(self, sub: types.TSub, name: types.TSpecName) -> types.TSpecInfo:
        """The latest version. Raises NotFoundError where there is none."""
        for row in self._rows(self._of(sub, name)):
            return info_of(row, row["latestVersion"])
        raise NotFoundError(f"the user {sub} has no spec {canonical(name)}")

    def versions(self, sub: types.TSub, name: types.TSpecName) -> types.TSpecInfoList:
        """All versions, in the order in which they were put last. Raises NotFoundError where there is none."""
        filtered = {"filter": {"spec": self._of(sub, name)}}
        rows = list(self._client.pages(documents.VERSIONS, filtered, "specVersions"))
        if not rows:
            raise NotFoundError(f"the user {sub} has no spec {canonical(name)}")
        return [info_of(row["spec"], row) for row in sorted(rows, key=lambda row: _moment(row["updatedAt"]))]

    def delete(self, sub: types.TSub, name: types.TSpecName) -> None:
        for row in list(self._client.pages(documents.SPECS, {"filter": self._of(sub, name)}, "specs")):
            try:
                self._client.mutate(documents.DELETE, {"id": row["id"]})
            except NotFound:
                continue  # somebody else has just deleted it

    def delete_all(self, sub: types.TSub) -> None:
        self._client.mutate(documents.DELETE_ALL, {"owner": self._owners.named(sub)})

    def _of(self, sub: types.TSub, name: types.TSpecName) -> dict[str, Any]:
        return {"owner": self._owners.filter(sub), "canonicalName": {"equals": canonical(name)}}

    def _rows(self, which: dict[str, Any]) -> list[Any]:
        """Specs that have a version."""
        rows = self._client.pages(documents.SPECS, {"filter": which}, "specs")
        return [row for row in rows if row["latestVersion"] is not None]


def canonical(name: types.TSpecName) -> types.TSpecId:
    """The name by which a spec is found, as the gateway makes it: `Beam_Line` is `beam-line`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def info_of(spec: dict[str, Any], version: dict[str, Any]) -> types.TSpecInfo:
    """A version of a spec, as the old database told it."""
    info: types.TSpecInfo = {
        "id": spec["canonicalName"],
        "name": spec["name"],
        "updated_at": int(_moment(version["updatedAt"]).timestamp()),
        "version": version["name"],
        "model_count": version["modelCount"],
    }
    if version["title"]:
        info["title"] = version["title"]
    if version["description"]:
        info["description"] = version["description"]
    return info


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
