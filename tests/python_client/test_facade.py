"""What the facade of the package database does in place of what the old one did, and for whom."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa
from torana_client import Client, Conflict, Forbidden, Invalid, Quota, ToranaError, Unauthenticated, package_database
from torana_client.package_database import Database, Settings, stand_in
from torana_client.package_database.exceptions import ConfigurationError, NotFoundError, UnsupportedError
from torana_client.package_database.types import CredentialsAuthInfo

from db.models import SpecVersion
from db.types import now
from tests.python_client.callers import Callers, callers
from tests.support.serving import Serve
from tests.support.specs import described

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
SUB = "user-1"
SPEC = {"sub": SUB, "name": "Beam_Line", "version": "1.0", "model_count": 2}
ACCOUNTS = "query($sub:String!){users(first:0,filter:{externalSubject:{equals:$sub}}){totalCount}}"


@pytest.fixture(scope="module")
async def asking(serve_module: Serve) -> Callers:
    return await callers(await serve_module("sqlite"))


@pytest.fixture(params=["superadmin", "service"])
async def database(asking: Callers, request: pytest.FixtureRequest) -> Any:
    with asking.database(request.param) as made:
        await asyncio.to_thread(made.delete_all, sub=SUB)
        yield Calls(made)


class Calls:
    """The functions of a facade, beside the loop in which the gateway runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, function: str) -> Any:
        async def call(**given: Any) -> Any:
            return await asyncio.to_thread(getattr(self._database, function), **given)

        return call


async def test_keys_are_made_by_the_gateway_and_checked_by_it(database: Calls) -> None:
    keys = await database.create_update_credentials(sub=SUB, id_="default")
    assert (keys.public_key[:3], keys.secret_key[:3]) == ("pk_", "sk_")
    assert keys.secret_key not in repr(keys)
    assert await database.list_credentials(sub=SUB) == [{"id": "default", "public_key": keys.public_key}]
    assert await database.get_user(public_key=keys.public_key) == CredentialsAuthInfo(SUB)
    assert await database.check_credentials(public_key=keys.public_key, secret_key=keys.secret_key) == SUB
    other = await database.create_update_credentials(sub=SUB, id_="other")
    for public_key, secret_key in (
        (keys.public_key, other.secret_key),
        (keys.public_key, "sk_no"),
        ("pk_no", keys.secret_key),
        (f"{keys.public_key}:", keys.secret_key),
        ("", ""),
    ):
        assert await database.check_credentials(public_key=public_key, secret_key=secret_key) is None


async def test_keys_that_were_replaced_or_revoked_are_no_longer_good(database: Calls) -> None:
    first = await database.create_update_credentials(sub=SUB, id_="default")
    second = await database.create_update_credentials(sub=SUB, id_="default")
    assert await database.check_credentials(public_key=first.public_key, secret_key=first.secret_key) is None
    assert await database.check_credentials(public_key=second.public_key, secret_key=second.secret_key) == SUB
    await database.delete_credentials(sub=SUB, id_="default")
    assert await database.check_credentials(public_key=second.public_key, secret_key=second.secret_key) is None
    assert await database.get_user(public_key=second.public_key) is None


async def test_no_key_makes_keys(asking: Callers) -> None:
    with asking.database("superadmin's key") as made:
        database = Calls(made)
        await database.create_update_spec(**{**SPEC, "sub": "user-2"})
        with pytest.raises(Forbidden, match="keys are made by a user who signed in"):
            await database.create_update_credentials(sub="user-2", id_="default")
        assert await database.count_customer_models(sub="user-2") == 2
        await database.delete_all(sub="user-2")
        assert await database.list_specs(sub="user-2") == []


async def test_a_sub_is_taken_as_it_is_and_an_id_as_a_label(database: Calls) -> None:
    keys = await database.create_update_credentials(sub="auth0|4f1c", id_=" Schlu\u0308ssel ")
    assert keys.id == "Schl\u00fcssel"
    assert await database.get_credentials(sub="auth0|4f1c", id_="Schlu\u0308ssel") is not None
    for sub in (" ada", "Ren\u00e9", ""):
        with pytest.raises(Invalid):
            await database.create_update_spec(**{**SPEC, "sub": sub})
    await database.delete_all(sub="auth0|4f1c")


@pytest.mark.parametrize("given", [{"public_key": "pk_x"}, {"secret_key_hash": b"x"}, {"salt": b""}])
async def test_a_key_a_hash_or_a_salt_of_somebody_else_is_refused(database: Calls, given: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="the gateway makes the keys"):
        await database.create_update_credentials(sub=SUB, id_="default", **given)
    assert await database.list_credentials(sub=SUB) == []


async def test_a_spec_with_its_source_is_counted_and_described_by_it(database: Calls) -> None:
    await database.create_update_spec(**{**SPEC, "source": described("Magnet", "Monitor", "Beam")})
    info = await database.get_spec(sub=SUB, name="beam.line")
    assert info.pop("updated_at") > 0
    assert info == {
        "id": "beam-line", "name": "Beam_Line", "version": "1.0", "model_count": 3,
        "title": "Beams", "description": "What a beam line has.",
    }  # fmt: skip
    assert await database.count_customer_models(sub=SUB) == 3


async def test_a_stand_in_never_takes_the_place_of_a_source(database: Calls) -> None:
    await database.create_update_spec(**SPEC)
    await database.create_update_spec(**{**SPEC, "source": described("Magnet")})
    with pytest.raises(UnsupportedError, match="give the `source`"):
        await database.create_update_spec(**SPEC)
    with pytest.raises(UnsupportedError, match="give the `source`"):
        await database.create_update_spec(**{**SPEC, "version": "2.0"})
    assert [one["model_count"] for one in await database.list_spec_versions(sub=SUB, name="beam-line")] == [1]


async def test_a_version_whose_package_was_fetched_stays_as_it_is(database: Calls, asking: Callers) -> None:
    spec = {**SPEC, "sub": f"fetched {uuid4()}", "version": "7.0"}
    await database.create_update_spec(**spec)
    async with asking.gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(SpecVersion).where(SpecVersion.name == "7.0").values(fetched_at=now()))
    await database.create_update_spec(**spec)
    with pytest.raises(Conflict, match="was fetched"):
        await database.create_update_spec(**{**spec, "model_count": 3})
    assert await database.count_customer_models(sub=spec["sub"]) == 2


async def test_puts_at_once_are_all_done(database: Calls) -> None:
    versions = [f"1.{number}" for number in range(3)]
    await asyncio.gather(*(database.create_update_spec(**{**SPEC, "version": version}) for version in versions))
    found = await database.list_spec_versions(sub=SUB, name="beam-line")
    assert sorted(one["version"] for one in found) == versions
    assert (await database.get_latest_spec_version(sub=SUB, name="beam-line")) == found[-1]["version"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "abc"},
        {"version": "1.0+local"},
        {"name": "-"},
        {"name": "a b"},
        {"title": "x" * 256},
        {"model_count": 0},
    ],
)
async def test_what_the_gateway_does_not_take_is_told(database: Calls, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await database.create_update_spec(**{**SPEC, **wrong})
    assert await database.list_specs(sub=SUB) == []


async def test_more_models_than_a_user_may_have_are_a_quota(database: Calls) -> None:
    with pytest.raises(Quota) as raised:
        await database.create_update_spec(**{**SPEC, "model_count": 11})
    assert raised.value.extensions == {"limit": 10, "used": 0, "requested": 11}


async def test_of_a_user_who_is_not_known_there_is_nothing_and_reading_makes_no_account(
    database: Calls, asking: Callers
) -> None:
    sub = "nobody"
    assert await database.count_customer_models(sub=sub) == 0
    assert await database.list_specs(sub=sub) == []
    assert await database.list_credentials(sub=sub) == []
    assert await database.get_credentials(sub=sub, id_="default") is None
    for function in ("get_spec", "get_latest_spec_version", "list_spec_versions"):
        with pytest.raises(NotFoundError):
            await getattr(database, function)(sub=sub, name="beam-line")
    await database.delete_spec(sub=sub, name="beam-line")
    await database.delete_credentials(sub=sub, id_="default")
    root = await asking.gateway.log_in("root")
    assert (await asking.gateway.ask(ACCOUNTS, root, sub=sub))["users"]["totalCount"] == 0


async def test_users_of_another_provider_are_others(asking: Callers) -> None:
    with asking.database() as cognito, asking.database("superadmin", "KEYCLOAK") as keycloak:
        here, there = Calls(cognito), Calls(keycloak)
        await there.create_update_spec(**{**SPEC, "sub": "both"})
        keys = await there.create_update_credentials(sub="both", id_="default")
        assert await here.list_specs(sub="both") == []
        assert await here.get_user(public_key=keys.public_key) is None
        assert await here.check_credentials(public_key=keys.public_key, secret_key=keys.secret_key) is None
        assert await there.get_user(public_key=keys.public_key) == CredentialsAuthInfo("both")


@pytest.mark.parametrize("who", ["user", "other service"])
async def test_who_may_not_act_for_users_is_refused(asking: Callers, who: str) -> None:
    with asking.database(who) as database:
        with pytest.raises(Forbidden):
            await asyncio.to_thread(lambda: database.create_update_spec(**SPEC))
        with pytest.raises(Forbidden):
            await asyncio.to_thread(lambda: database.delete_all(sub=SUB))


async def test_a_token_that_is_no_good_is_told(asking: Callers) -> None:
    with Database(Client(asking.gateway.url, token="sk_no")) as database, pytest.raises(Unauthenticated):
        await asyncio.to_thread(lambda: database.list_specs(sub=SUB))


async def test_a_delete_that_fails_is_told() -> None:
    """Fault 12: the old service hid it."""
    away = httpx2.MockTransport(
        lambda _: httpx2.Response(503, json={"errors": [{"message": "away", "extensions": {"code": "UNAVAILABLE"}}]})
    )
    database = Database(Client("http://torana.example", transport=away, retries=0))
    for function in (database.delete_all_specs, database.delete_all_credentials, database.delete_all):
        with pytest.raises(ToranaError):
            function(sub=SUB)


def test_a_stand_in_is_known_among_other_sources() -> None:
    assert stand_in.is_stand_in(stand_in.source("1.0", 1, None, None))
    assert not any(map(stand_in.is_stand_in, ["", "[]", "{}", '{"info": 1}', described("Magnet"), "info: 1"]))


def test_settings_come_from_the_environment() -> None:
    given = {"TORANA_URL": "http://torana.example", "TORANA_TOKEN": "sk_x"}
    assert Settings.from_environment(given) == Settings("http://torana.example", "sk_x", "COGNITO", 30.0)
    more = {**given, "TORANA_AUTH_PROVIDER": "KEYCLOAK", "TORANA_TIMEOUT": "5"}
    assert Settings.from_environment(more) == Settings("http://torana.example", "sk_x", "KEYCLOAK", 5.0)
    assert "sk_x" not in repr(Settings.from_environment(given))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"TORANA_URL": ""}, "set TORANA_URL"),
        ({"TORANA_TOKEN": " "}, "set TORANA_TOKEN"),
        ({"TORANA_URL": "torana.example"}, "TORANA_URL: the address"),
        ({"TORANA_AUTH_PROVIDER": "LOCAL"}, "COGNITO or KEYCLOAK"),
        ({"TORANA_TIMEOUT": "soon"}, "number of seconds"),
        ({"TORANA_TIMEOUT": "nan"}, "number of seconds"),
    ],
)
def test_a_setting_that_is_wrong_is_told(wrong: dict[str, str], told: str) -> None:
    given = {"TORANA_URL": "http://torana.example", "TORANA_TOKEN": "sk_x", **wrong}
    with pytest.raises(ConfigurationError, match=told):
        Settings.from_environment(given).database()


@pytest.fixture
def environment(asking: Callers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORANA_URL", asking.gateway.url)
    monkeypatch.setenv("TORANA_TOKEN", asking.tokens["superadmin"])
    package_database.get.cache_clear()
    yield
    package_database.get.cache_clear()


@pytest.mark.usefixtures("environment")
async def test_the_code_of_the_readme_runs(
    asking: Callers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    endless = [block for block in blocks if "subscribe(" in block]
    assert (len(blocks), len(endless)) == (4, 1)
    for block in blocks:
        if "package_database" in block:
            monkeypatch.setenv("TORANA_TOKEN", asking.tokens["service"])
        code = compile(block, "README.md", "exec")
        if block not in endless:
            await asyncio.to_thread(exec, code, {})
    told = capsys.readouterr().out
    assert "'username': 'root'" in told
    assert "source [{'pointer'" in told
    assert told.splitlines()[-1] == "user-1"


@pytest.mark.usefixtures("environment")
def test_the_facade_is_the_same_one_each_time() -> None:
    assert package_database.get() is package_database.get()
