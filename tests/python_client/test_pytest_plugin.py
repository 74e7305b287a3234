"""The pytest plugin of the client, used on the product itself, and in a project that knows nothing of it."""

import os
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.support.specs import SPEC, described

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clients" / "python"
MODULE = "torana_client.pytest_plugin"
INSTALLED = any(point.value == MODULE for point in entry_points(group="pytest11"))

pytest_plugins = ["pytester"] if INSTALLED else ["pytester", MODULE]

PUT = """mutation($name: String!, $source: SpecSource!) { done: putSpec(name: $name, source: $source, language: JSON) {
  __typename ... on SpecVersion { name } ... on Problem { code message } } }"""
SPECS = "{ specs(first: 50) { nodes { name latestVersion { name modelCount } } } }"
KEY = """mutation { done: createApiKey(label: "mine", scopes: [READ]) {
  ... on IssuedCredential { publicKey secret } ... on Problem { code } } }"""
PLACES = "{ projects(first: 9) { nodes { id } } sites(first: 9) { nodes { id } } users(first: 50) { totalCount } }"
WHO = """{ viewer { username superadmin platformRole } myParticipant { name } myDevice { name } myService { name }
  projects(first: 9) { nodes { name } } sites(first: 9) { nodes { name } } }"""


def put(client: Any, name: str, source: str = SPEC) -> None:
    done = client.execute(PUT, {"name": name, "source": source})["done"]
    assert done["__typename"] == "SpecVersion", done


def names(client: Any) -> list[str]:
    return [spec["name"] for spec in client.execute(SPECS)["specs"]["nodes"]]


# The gateway, and clean tables ---------------------------------------------------------------------------------------


def test_a_spec_that_was_put_is_listed(torana_clean: None, torana_client: Any) -> None:
    put(torana_client, "Beam_Line", described("Magnet", "Source", version="1.4"))
    (spec,) = torana_client.execute(SPECS)["specs"]["nodes"]
    assert spec == {"name": "Beam_Line", "latestVersion": {"name": "1.4", "modelCount": 2}}


@pytest.mark.parametrize("turn", range(3))
def test_each_test_sees_clean_tables(torana: Any, torana_clean: None, torana_client: Any, turn: int) -> None:
    found = torana_client.execute(PLACES)
    assert found == {"projects": {"nodes": []}, "sites": {"nodes": []}, "users": {"totalCount": 1}}
    assert names(torana_client) == []
    put(torana_client, f"spec-{turn}")
    assert torana_client.execute('mutation { done: createSite(input: {name: "Quay"}) { __typename } }')["done"] == {
        "__typename": "Site"
    }
    assert torana.tables.rows("sites") == torana.tables.rows("specs") == 1


def test_what_the_gateway_remembers_goes_with_the_rows(torana: Any, torana_clean: None, torana_client: Any) -> None:
    key = torana_client.execute(KEY)["done"]
    with torana.client() as nobody:
        assert nobody.execute("{ viewer { username } }")["viewer"] is None
    from torana_client import Client

    with Client(torana.url, token=key["secret"]) as client:
        assert client.execute("{ viewer { username } }")["viewer"]["username"] == torana.superadmin.username
        torana.tables.put_back()
        with pytest.raises(Exception, match=r"UNAUTHENTICATED|not valid"):
            client.execute("{ viewer { username } }")


def test_nothing_is_put_back_where_nobody_wrote(
    torana: Any, torana_clean: None, torana_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[None] = []
    monkeypatch.setattr(torana.tables, "_forget", lambda: told.append(None))
    quiet = []
    for _ in range(3):  # now and then the gateway writes by itself who is connected
        names(torana_client)
        torana.tables.put_back()
        quiet.append(not told)
        put(torana_client, "clinic")
        torana.tables.put_back()
        assert told
        told.clear()
    assert any(quiet)


# Principals ----------------------------------------------------------------------------------------------------------


def test_everybody_is_who_they_should_be(torana: Any, torana_principals: Any) -> None:
    here = ({"name": "Harbour"}, {"name": "Protons"})
    seen = {}
    for principal in torana_principals:
        with torana.client(principal) as client:
            found = client.execute(WHO)
        who = found["viewer"] or {}
        kind = next((name for name in ("myParticipant", "myDevice", "myService") if found[name]), "viewer")
        places = found["sites"]["nodes"] == [here[0]], found["projects"]["nodes"] == [here[1]]
        assert found["sites"]["nodes"] == [here[0]] * places[0]
        assert found["projects"]["nodes"] == [here[1]] * places[1]
        seen[principal.role] = kind, who.get("superadmin", False), who.get("platformRole") == "MANAGER", *places
    assert seen == {
        "superadmin": ("viewer", True, False, True, True),
        "manager": ("viewer", False, True, False, False),
        "site_admin": ("viewer", False, False, True, True),
        "site_user": ("viewer", False, False, True, True),
        "project_admin": ("viewer", False, False, True, True),
        "project_user": ("viewer", False, False, True, True),
        "outsider": ("viewer", False, False, False, False),
        "participant": ("myParticipant", False, False, False, True),
        "device": ("myDevice", False, False, False, True),
        "service": ("myService", False, False, True, True),
    }


def test_administrators_change_what_users_do_not(torana: Any, torana_principals: Any) -> None:
    rename = """mutation($id: ID!, $name: String!) { done: updateProject(id: $id, expectedVersion: 1, input: {name: $name}) {
      __typename ... on Problem { code } } }"""
    done = {}
    for role in ("outsider", "project_user", "site_user", "project_admin"):
        with torana.client(torana_principals.of(role)) as client:
            answer = client.execute(rename, {"id": torana_principals.project, "name": f"of {role}"})["done"]
        done[role] = answer.get("code", answer["__typename"])
    assert done == {
        "outsider": "NOT_FOUND",
        "project_user": "FORBIDDEN",
        "site_user": "FORBIDDEN",
        "project_admin": "Project",
    }


def test_a_spec_is_its_owners(torana: Any, torana_principals: Any) -> None:
    with torana.client(torana_principals.project_user) as client:
        put(client, "mine")
    seen = set()
    for role in ("superadmin", "manager", "site_admin", "project_admin", "project_user", "outsider"):
        with torana.client(torana_principals.of(role)) as client:
            if names(client) == ["mine"]:
                seen.add(role)
    assert seen == {"superadmin", "project_user"}


def test_the_same_principals_are_there_again(torana: Any, torana_principals: Any, torana_client: Any) -> None:
    node = torana_client.execute(
        "query($id: ID!) { node(id: $id) { ... on Project { name } } }", {"id": torana_principals.project}
    )
    assert node["node"]["name"] == "Protons"
    with torana.client(torana_principals.participant) as client:
        assert client.execute("{ myParticipant { name } }")["myParticipant"]["name"] == "participant"


def test_further_principals_are_made(torana: Any, torana_principals: Any, torana_user: Any) -> None:
    from torana_client.pytest_plugin.people import ROLES

    further = [torana_user(role=role) for role in (*ROLES, "project_user")]
    assert len({one.id for one in (*further, *torana_principals)}) == len(ROLES) * 2 + 1
    for principal in further:
        assert principal.token not in repr(principal)
        with torana.client(principal) as client:
            assert client.execute("{ signedIn { __typename } }")["signedIn"] is not None
    with pytest.raises(ValueError, match="no role is called king; there are superadmin,"):
        torana_user(role="king")


def test_people_sign_in_by_password(torana: Any, torana_principals: Any) -> None:
    user = torana_principals.project_user
    log_in = """mutation($name: String!, $password: String!) { done: logIn(username: $name, password: $password) {
      ... on Tokens { duties viewer { id } } } }"""
    with torana.client() as nobody:
        done = nobody.execute(log_in, {"name": user.username, "password": user.password})["done"]
    assert done == {"duties": [], "viewer": {"id": user.id}}


# Statements ----------------------------------------------------------------------------------------------------------


def test_a_list_takes_as_many_statements_however_long_it_is(
    torana_clean: None, torana_client: Any, torana_statements: Any
) -> None:
    counts = []
    for number in range(1, 4):
        put(torana_client, f"spec-{number}")
        with torana_statements() as recorded:
            assert len(names(torana_client)) == number
        counts.append(recorded.count)
    assert counts == [1, 1, 1]
    assert "specs" in recorded.texts[0]
    assert (recorded.requests, recorded.commits, len(recorded)) == (1, 0, 1)


def test_statements_are_those_of_what_is_asked_inside(
    torana_clean: None, torana_client: Any, torana_statements: Any
) -> None:
    names(torana_client)
    with torana_statements() as outer:
        assert outer.count == 0
        with torana_statements() as inner:
            put(torana_client, "clinic")
        names(torana_client)
        assert outer.requests == 2  # while it records
    names(torana_client)
    assert inner.requests == 1
    assert inner.commits >= 1
    assert outer.texts == [*inner.texts, outer.texts[-1]]
    assert any(text.startswith("INSERT INTO spec_versions") for text in inner.texts)


# Coroutines ----------------------------------------------------------------------------------------------------------


async def test_coroutines_ask_too(
    torana: Any, torana_principals: Any, torana_async_client: Any, torana_statements: Any
) -> None:
    async with torana_async_client as client:
        with torana_statements() as recorded:
            assert (await client.execute("{ viewer { superadmin } }"))["viewer"] == {"superadmin": True}
    assert recorded.count == 1
    async with torana.async_client(torana_principals.device) as client:
        assert (await client.execute("{ myDevice { name } }"))["myDevice"] == {"name": "device"}


# The counterparts of the fixtures that a package service had ---------------------------------------------------------


@pytest.mark.usefixtures("_torana_database", "_torana_specs_table", "_torana_credentials_table")
def test_the_tables_are_there(torana: Any) -> None:
    assert torana.tables.rows("specs") >= 0
    assert torana.tables.rows("credentials") >= 1  # the superadmin's password


@pytest.mark.usefixtures("_torana_clean_specs_table")
@pytest.mark.parametrize("turn", range(2))
def test_specs_are_gone_and_nothing_else(torana: Any, torana_client: Any, turn: int) -> None:
    assert names(torana_client) == []
    assert torana.tables.rows("spec_versions") == torana.tables.rows("jobs") == 0
    put(torana_client, "clinic")
    put(torana_client, "clinic", described("Magnet", version="2.0"))
    assert torana.tables.rows("spec_versions") == 2


@pytest.mark.usefixtures("_torana_clean_credentials_table")
@pytest.mark.parametrize("turn", range(2))
def test_keys_are_gone_and_nobody_is_signed_out(torana: Any, torana_client: Any, turn: int) -> None:
    keys = "{ credentials(first: 9, filter: {kind: {in: [API_KEY]}}) { totalCount } viewer { username } }"
    found = torana_client.execute(keys)
    assert found["credentials"]["totalCount"] == 0
    assert found["viewer"]["username"] == torana.superadmin.username
    assert torana_client.execute(KEY)["done"]["publicKey"]


# In a project that knows nothing of it -------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that has the client, as if it were installed: the plugin is found by its entry point."""
    site = pytester.mkdir("site")
    if not INSTALLED:
        declared = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
        points = "\n".join(f"{name} = {value}" for name, value in declared["entry-points"]["pytest11"].items())
        (site / "torana_client-0.dist-info").mkdir()
        (site / "torana_client-0.dist-info" / "METADATA").write_text("Name: torana-client\nVersion: 0\n")
        (site / "torana_client-0.dist-info" / "entry_points.txt").write_text(f"[pytest11]\n{points}\n")
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(PACKAGE / "src"), str(ROOT), *given]))
    monkeypatch.setenv("TORANA_DATABASE_URL", "postgresql://nowhere.example/none")
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:asyncio")
    return pytester


@pytest.mark.slow
def test_a_project_tests_its_program_against_a_gateway(project: pytest.Pytester) -> None:
    """Its modules may have the names of the gateway's. Of what the tests need, nothing is left running."""
    project.makepyfile(
        db="raise AssertionError('the gateway has its own')",
        schema="X = 1",
        program='def name_of(client):\n    return client.execute("{ viewer { username } }")["viewer"]["username"]',
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def torana_settings():
                return {"sign_up": True}

            @pytest.fixture(autouse=True)
            def clean(torana_clean):
                pass
        """,
        test_program="""
            import asyncio
            import os
            import pathlib
            import sys

            import pytest
            import schema
            from program import name_of

            SITES = "{ sites(first: 5) { totalCount } signInOptions { signUp } }"

            def test_superadmin(torana, torana_client):
                assert name_of(torana_client) == "root"
                pathlib.Path("pid").write_text(str(torana._process.pid))

            @pytest.mark.parametrize("turn", range(2))
            def test_clean(torana_client, turn, capfd):
                found = torana_client.execute(SITES)
                assert found == {"sites": {"totalCount": 0}, "signInOptions": {"signUp": True}}
                torana_client.execute('mutation { createSite(input: {name: "Quay"}) { __typename } }')
                assert capfd.readouterr() == ("", "")

            def test_roles(torana, torana_principals, torana_statements):
                with torana.client(torana_principals.manager) as client, torana_statements() as recorded:
                    assert name_of(client) == "manager"
                assert recorded.count == 1

            def test_coroutine(torana_async_client):
                async def ask():
                    async with torana_async_client as client:
                        return await client.execute(SITES)

                assert asyncio.run(ask())["sites"]["totalCount"] == 0
                assert "gateway" not in sys.modules
        """,
    )
    project.runpytest_subprocess().assert_outcomes(passed=5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.path / "pid").read_text()), 0)


def test_who_does_not_use_it_does_not_notice_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_nothing(request):
            assert request.config.pluginmanager.hasplugin("torana")
            assert not [name for name in request.fixturenames if "torana" in name]
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"gateway", "db", "schema", "sqlalchemy", "httpx2", "sqlite3"}
            assert {name for name in sys.modules if name.startswith("torana_client")} == {
                "torana_client", "torana_client.pytest_plugin"}
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            "ModuleNotFoundError(\"No module named 'gateway'\")",
            [
                "the fixtures of Torana need the gateway: pip install 'torana-client?pytest?' (No module named 'gateway')"
            ],
        ),
        ("RuntimeError('it broke')", ["the gateway has ended; its log ends so:", "*RuntimeError: it broke"]),
    ],
    ids=["none", "broken"],
)
def test_it_says_why_there_is_no_gateway(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, wrong: str, told: list[str]
) -> None:
    broken = project.mkdir("broken")
    for name in ("gateway/__init__.py", "gateway/app.py", "resolvers/context.py"):
        (broken / name).parent.mkdir(exist_ok=True)
        (broken / name).write_text(f"raise {wrong}")
    monkeypatch.setenv("PYTHONPATH", f"{broken}{os.pathsep}{os.environ['PYTHONPATH']}")
    project.makepyfile("def test_one(torana): pass\ndef test_two(torana_client): pass")
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"port": 8000, "data_dir": "x"}, "the gateway under test has its own data_dir, port"),
        pytest.param({"sign_up": "perhaps"}, "a setting is wrong: TORANA_SIGN_UP: ", marks=pytest.mark.slow),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    from torana_client.pytest_plugin.running import Gateway, NotRunning

    with pytest.raises(NotRunning, match=told):
        Gateway(tmp_path, given)
