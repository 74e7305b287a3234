"""Check 18: while the gateway is locked, queries work and mutations are LOCKED."""

import asyncio
from typing import Any

import pytest

from db.engine import Database
from resolvers.maintenance import Locking
from tests.support.platforms import Platform
from tests.support.world import PASSWORD

LOCK = "mutation($on:Boolean!){setReadOnly(readOnly:$on){... on Lock{readOnly} ... on Problem{code}}}"
PROFILE = 'mutation{updateProfile(expectedVersion:1,input:{firstName:"T"}){__typename ... on Problem{code}}}'
SIGN_IN = 'mutation($p:String!){logIn(username:"tom",password:$p){__typename}}'


async def _lock(platform: Platform, on: bool, as_: str = "root") -> Any:
    return (await platform.ask(LOCK, as_, on=on))["setReadOnly"]


async def test_check_18_while_locked_queries_work_and_mutations_are_locked(platform: Platform) -> None:
    assert await _lock(platform, True) == {"readOnly": True}
    assert (await platform.ask("{readOnly projects(first:1){totalCount}}", "tom")) == {"readOnly": True, "projects": {"totalCount": 1}}  # fmt: skip
    for who in ("tom", "root"):
        answer = await platform.answer(PROFILE, who)
        assert answer.body["data"]["updateProfile"] == {"__typename": "Problem", "code": "LOCKED"}
    assert (await platform.ask(SIGN_IN, p=PASSWORD))["logIn"] == {"__typename": "Tokens"}
    assert (await platform.ask("mutation{logOut{__typename}}", "tom"))["logOut"]["__typename"] == "LoggedOut"


async def test_unlocking_lets_things_change_again(platform: Platform) -> None:
    await _lock(platform, True)
    assert await _lock(platform, False) == {"readOnly": False}
    assert (await platform.ask(PROFILE, "tom"))["updateProfile"]["__typename"] == "User"


@pytest.mark.parametrize("who", ["tom", "sita", "mona"])
async def test_only_superadmins_lock(platform: Platform, who: str) -> None:
    assert await _lock(platform, True, who) == {"code": "FORBIDDEN"}
    assert (await platform.ask("{readOnly}", who))["readOnly"] is False


async def test_another_process_hears_of_the_lock(platform: Platform) -> None:
    other = Database(platform.settings.storage.url)
    if other.dialect == "sqlite":
        pytest.skip("one process serves an SQLite file")
    await other.start()
    try:
        locking = Locking(other)
        assert not await locking.read_only()
        heard = _Heard()
        other.listen(heard.told, heard.missed)
        await _lock(platform, True)
        await heard.event.wait()
        assert await locking.read_only()
    finally:
        await other.dispose()


class _Heard:
    def __init__(self) -> None:
        self.event = asyncio.Event()

    def told(self, topics: Any) -> None:
        if "lock" in set(topics):
            self.event.set()

    def missed(self) -> None:
        pass
