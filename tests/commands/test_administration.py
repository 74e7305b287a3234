"""The commands of administration, as an operator types them; and who may do what, as it is printed."""

import asyncio
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from db import migrating, models
from db.engine import Database
from gateway import cli
from gateway.commands.access_matrix import Matrix
from gateway.commands.administration.asking import Asking, Refusal
from gateway.commands.tables import aligned, columns
from gateway.commands.terminal import opened
from gateway.settings import load
from resolvers.access.policy import policies
from resolvers.identity.lookup import principal_of
from resolvers.identity.principal import ANONYMOUS, OPERATOR, Kind
from resolvers.identity.tokens import Secret, digest_of
from resolvers.organisation.device_registration import SETTING
from schema import build
from tests.support.databases import Prepared, quick_passwords
from tests.support.platforms import KEY, principal_as
from tests.support.world import World

pytestmark = pytest.mark.slow

ON_SQLITE = True

PASSWORD = "copper lantern 5 oars"
LOG_IN = """mutation($u: String!, $p: String!) { result: logIn(username: $u, password: $p) {
    __typename ... on Tokens { viewer { username superadmin } } ... on Problem { code message field } } }"""


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """The cells of a table, row by row, without its header."""
        return [re.split(r"\s{2,}", line) for line in self.out.splitlines()[1:]]


class Operator:
    """Types commands against one database."""

    def __init__(self, url: str, **settings: str) -> None:
        given = {"TORANA_DATABASE_URL": url, "TORANA_SECRET_KEYS": KEY, **settings}
        known = dict.fromkeys((name for name in os.environ if name.startswith("TORANA_")), None)
        self.url, self._environment = url, {**known, **given}

    def __call__(self, line: str, typed: str = "") -> Done:
        done = CliRunner().invoke(cli.app, shlex.split(line), input=typed, env=self._environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    def rows(self, statement: Any) -> list[Any]:
        return list(asyncio.run(self._rows(statement)))

    async def _rows(self, statement: Any) -> Any:
        database = Database(self.url)
        try:
            return await database.rows(statement)
        finally:
            await database.dispose()

    def ask(self, work: Callable[[Asking], Any]) -> Any:
        """What `work` gets from the schema, in process."""

        async def asked() -> Any:
            settings = load(database_url=self.url, secret_keys=KEY)
            async with opened(settings) as services:
                return await work(Asking.of(settings, services, "test"))

        return asyncio.run(asked())

    def signs_in(self, username: str, password: str) -> Any:
        return self.ask(lambda ask: replace(ask, principal=ANONYMOUS).write(LOG_IN, u=username, p=password))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.app.Passwords", lambda **_: quick_passwords())
    # The log of this process stays the tests' own: a command's stream is closed when it ends.
    monkeypatch.setattr("gateway.commands.exporting.set_up_logs", lambda *_: None)
    monkeypatch.setattr("gateway.commands.administration.commands.set_up_logs", lambda *_: None)


@pytest.fixture
def world(prepared: Prepared) -> tuple[str, World]:
    return asyncio.run(prepared.copy("sqlite"))


@pytest.fixture
def torana(world: tuple[str, World]) -> Operator:
    """An operator of the world."""
    return Operator(world[0])


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows."""
    file = tmp_path_factory.mktemp("tables") / "torana.db"
    asyncio.run(migrating.migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture
def empty(tables: Path, tmp_path: Path) -> Operator:
    """An operator of a gateway that is new."""
    shutil.copy(tables, tmp_path)
    return Operator(f"sqlite:///{tmp_path / tables.name}")


def _signed_in(torana: Operator, user: UUID) -> None:
    torana.ask(lambda ask: principal_as(ask.services, user))


def _live(model: Any) -> Any:
    return sa.select(sa.func.count()).select_from(model).where(model.deleted_at.is_(None))


# The first administrator ----------------------------------------------------------------------------------------------


@pytest.mark.both
def test_the_first_administrator_chooses_a_password_and_may_begin_at_once(empty: Operator) -> None:
    assert empty.rows(_live(models.User)) == [(0,)]
    made = empty("users create Ada --superadmin --email ada@example.org", f"{PASSWORD}\n{PASSWORD}\n")
    assert (made.status, made.out.strip()) == (0, "made ada, a superadmin"), made
    assert PASSWORD not in made.out + made.err
    signed_in = empty.signs_in("ada", PASSWORD)
    assert signed_in["viewer"] == {"username": "ada", "superadmin": True}
    (found,) = empty.rows(
        sa.select(models.User.superadmin, models.User.email_verified, models.User.force_password_change)
    )
    assert tuple(found) == (True, True, False)


@pytest.mark.parametrize("typed", ["", f"{PASSWORD}\nsomething else 9 x\n"])
def test_there_is_no_account_without_a_password(empty: Operator, typed: str) -> None:
    assert empty("users create ada --superadmin", typed).status == 1
    assert empty.rows(_live(models.User)) == [(0,)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--password short", "12 to 1024"),
        ("--password ada-ada-ada-ada", "INVALID, password"),
        ("--group none", "NOT_FOUND"),
    ],
)
def test_a_user_who_can_not_be_made_as_asked_is_not_made(empty: Operator, given: str, says: str) -> None:
    refused = empty(f"users create ada --superadmin {given}", f"{PASSWORD}\n{PASSWORD}\n")
    assert refused.status == 1
    assert says in refused.err
    assert empty.rows(_live(models.User)) == [(0,)]


def test_a_taken_username_is_told_with_its_code(torana: Operator) -> None:
    taken = torana(f"users create TOM --password '{PASSWORD}'")
    assert taken.status == 1
    assert taken.err.startswith("torana: there is already a User with this username")
    assert "(CONFLICT" in taken.err


def test_a_database_that_is_not_migrated_is_told_and_no_file_is_left(tmp_path: Path) -> None:
    done = Operator(f"sqlite:///{tmp_path / 'none.db'}")("users list")
    assert done.status == 2
    assert "run: torana migrate" in done.err
    assert not list(tmp_path.iterdir())


def test_a_missing_key_and_an_unreachable_database_are_told(torana: Operator) -> None:
    done = Operator(torana.url, TORANA_SECRET_KEYS="")("users list")
    assert (done.status, "TORANA_SECRET_KEYS is not set" in done.err) == (2, True)
    away = Operator("postgresql://postgres@127.0.0.1:9/none")("users list")
    assert (away.status, "can't be used" in away.err) == (1, True)


# Lists ----------------------------------------------------------------------------------------------------------------


def test_lists_are_aligned_tables_or_json(torana: Operator) -> None:
    table = torana("users list --text torana.example")
    header, *lines = table.out.splitlines()
    at = header.index("e-mail")
    assert len(lines) == 7
    assert all(line[at - 2 : at] == "  " and line[at] != " " for line in lines)
    known = torana("users list --text torana.example --json").json
    assert [line.split()[0] for line in lines] == [user["username"] for user in known]
    assert known[0]["superadmin"] is True


def test_a_list_goes_on_to_its_end_or_to_a_limit(torana: Operator) -> None:
    async def fill() -> None:
        database = Database(torana.url)
        async with database.write(as_system="test") as session:
            session.add_all(models.UserGroup(name=f"many {n:03}") for n in range(120))
        await database.dispose()

    asyncio.run(fill())
    assert len(torana("groups list --text many --json").json) == 120
    some = torana("groups list --text many --limit 70")
    assert len(some.lines) == 70
    assert "--limit shows more" in some.err
    assert torana("groups list --text many --limit 120").err == ""
    assert torana("groups list --text 'no such'").out == "none\n"


def test_lists_take_names_for_their_filters(torana: Operator) -> None:
    assert {user["username"] for user in torana("users list --project Protons --json").json} == {"maria", "tom"}
    assert [line[0] for line in torana("projects list --site Harbour").lines] == ["Protons"]
    assert torana("users list --group 'Protons (user)'").lines[0][0] == "tom"


def test_what_names_hold_does_not_move_the_cursor() -> None:
    table = aligned(["name", "n"], [["\x1b[2Jred[bold]x\nnext", 1], ["漢字", 2], [None, True]])
    assert "\x1b" not in table
    assert "[2Jred[bold]x next" in table
    assert len(table.splitlines()) == 4
    assert columns([{"a": {"b": None}}], {"x": "a.b.c"}) == "x\n"


# Names ----------------------------------------------------------------------------------------------------------------


def test_a_name_that_several_have_is_refused_with_their_ids(torana: Operator) -> None:
    assert torana("projects create Protons --site Island").status == 0
    refused = torana("projects update Protons --description x")
    assert refused.status == 1
    found = re.findall(r"([0-9a-f-]{36}) \((Harbour|Island)\)", refused.err)
    assert sorted(place for _, place in found) == ["Harbour", "Island"]
    key = next(id for id, place in found if place == "Island")
    assert torana(f"projects update {key} --description 'the one there'").status == 0
    (row,) = torana.rows(sa.select(models.Project.name).where(models.Project.description == "the one there"))
    assert row.name == "Protons"


def test_ids_of_both_spellings_e_mail_addresses_and_other_cases_name_a_user(
    torana: Operator, world: tuple[str, World]
) -> None:
    for name in ("tom", "TOM", "Tom@torana.example", str(world[1].tom), world[1].id("User", "tom")):
        assert torana(f"users show {name} --json").json["username"] == "tom"
    wrong = torana(f"users show {world[1].id('Site', 'site')}")
    assert (wrong.status, "the id of a Site, not of a User" in wrong.err) == (1, True)
    for missing in ("nobody", "01a2015e-38de-7193-af21-f29318b8d9dc"):
        assert "(NOT_FOUND)" in torana(f"users show {missing}").err


# Asking before what can't be undone -----------------------------------------------------------------------------------

DESTRUCTIVE = [
    "users delete eve",
    "users close-sessions tom",
    "groups delete 'Protons (user)'",
    "sites delete Harbour",
    "projects delete Protons",
    "projects update Protons --no-enabled",
    "tokens device-register-key",
]


@pytest.mark.parametrize("line", DESTRUCTIVE)
def test_a_declined_command_changes_nothing(torana: Operator, line: str) -> None:
    before = Path(torana.url.removeprefix("sqlite:///")).read_bytes()
    for answer in ("n\n", ""):
        declined = torana(line, answer)
        assert (declined.status, declined.out.strip()) == (1, answer.strip())  # what was typed, as a terminal shows it
        assert "[y/N]" in declined.err
    file = Path(torana.url.removeprefix("sqlite:///"))
    assert file.read_bytes() == before
    assert not file.with_name(f"{file.name}-wal").exists() or not file.with_name(f"{file.name}-wal").stat().st_size


def test_what_is_deleted_comes_back_by_its_id(torana: Operator) -> None:
    deleted = torana("users delete eve", "y\n")
    assert deleted.status == 0
    assert torana("users show eve").status == 1
    assert torana("users restore eve").status == 1
    again = deleted.out.partition("; torana ")[2].partition(" brings")[0]
    assert torana(again).out.startswith("eve is back")
    assert torana(again).status == 1  # it is not deleted
    for noun, name in (("groups", "crew"), ("sites", "Yard"), ("projects", "Neutrons")):
        torana(f"{noun} create {name}{' --site Harbour' if noun == 'projects' else ''}")
        gone = torana(f"{noun} delete {name} --yes")
        assert gone.status == 0
        assert torana(f"{noun} list --text {name}").out == "none\n"
        assert torana(gone.out.partition("; torana ")[2].partition(" brings")[0]).status == 0
        assert torana(f"{noun} list --text {name}").lines[0][0] == name


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("sites create Yard --as tom", 1, "(FORBIDDEN"),
        ("users delete tom --yes --as maria", 1, "(FORBIDDEN"),
        ("users password root --password 'copper lantern 5 oars' --as sita", 1, "(NOT_FOUND"),
        ("users list --as nobody", 1, "(NOT_FOUND)"),
        ("users create kim --as mona --password 'copper lantern 5 oars'", 1, "made kim, but without a password: only"),
        ("groups delete 'Protons (user)' --yes", 1, "(DEPENDENCY)"),
        ("groups add 'Protons (user)' root", 1, "superadmins need no groups"),
        ("roles grant owner --site Harbour --group 'Protons (user)'", 1, "no role owner"),
        ("roles revoke admin --site Harbour --group 'Protons (user)'", 1, "does not have this role"),
        ("tokens create --user tom --as maria", 1, "(FORBIDDEN)"),
        ("tokens revoke nothing --yes", 1, "named by its id"),
        ("users restore 01a2015e-38de-7193-af21-f29318b8d9dc", 1, "(NOT_FOUND, id)"),
        ("users update tom", 2, "give what changes"),
        ("users role tom", 2, "give a role"),
        ("users role tom OWNER", 2, "OWNER"),
        ("users list --limit 0", 2, "--limit"),
        ("roles access --user tom --site Harbour", 2, "give one of --user, --group, --site, --project"),
        ("roles grant admin --site Harbour", 2, "give one of --group"),
        ("tokens create", 2, "give one of --user"),
        ("audit list --since yesterday", 2, "3d"),
        ("users nothing", 2, "nothing"),
    ],
)
def test_a_refusal_ends_with_1_and_a_wrong_usage_with_2(torana: Operator, line: str, status: int, says: str) -> None:
    done = torana(line)
    assert done.status == status, done
    assert done.out == ""
    assert says in re.sub(r"[\s│]+", " ", done.err), done.err
    assert "Traceback" not in done.err


def test_as_a_user_a_command_does_and_shows_what_that_user_may(torana: Operator) -> None:
    assert [line[0] for line in torana("sites list --as sita").lines] == ["Harbour"]
    assert torana("projects create Ions --site Harbour --as sita").status == 0
    seen = {user["username"]: user for user in torana("users list --as tom --json").json}
    assert seen["tom"]["email"] == "tom@torana.example"
    assert seen["maria"]["email"] is None
    assert None in seen
    (event,) = torana("audit list --as sita --limit 1 --json").json or [None]
    assert event is None or event["actor"] is not None


# People ---------------------------------------------------------------------------------------------------------------


def test_a_user_is_shown_changed_verified_and_kept_out(torana: Operator) -> None:
    assert torana("users update tom --first-name Tom --affiliation 'The Clinic' --email new@example.org").status == 0
    shown = torana("users show tom --json").json
    assert (shown["firstName"], shown["email"], shown["emailVerified"]) == ("Tom", "new@example.org", False)
    assert [group["name"] for group in shown["groups"]] == ["Protons (user)"]
    assert "new@example.org of tom counts as verified" in torana("users verify tom").out
    assert torana("users update tom --email '' --affiliation ''").status == 0
    assert torana("users verify tom").status == 1
    shown = torana("users show tom --json").json
    assert (shown["email"], shown["affiliation"], shown["firstName"]) == (None, None, "Tom")
    assert torana("users deactivate tom").out == "tom may not sign in\n"
    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        torana.signs_in("tom", "correct horse battery")
    assert torana("users activate tom").status == 0
    assert torana("users role tom MANAGER --superadmin").out == "tom is MANAGER and a superadmin\n"
    assert torana("users role tom --no-superadmin --json").json["superadmin"] is False


def test_another_password_ends_every_session_and_must_be_changed(torana: Operator, world: tuple[str, World]) -> None:
    _signed_in(torana, world[1].tom)
    assert len(torana("users sessions tom").lines) == 1
    assert torana("users password tom", f"{PASSWORD}\n{PASSWORD}\n").status == 0
    assert torana("users sessions tom").out == "none\n"
    assert torana("users show tom --json").json["forcePasswordChange"] is True
    assert torana.signs_in("tom", PASSWORD)["viewer"]["username"] == "tom"
    assert torana(f"users password tom --password '{PASSWORD} 2' --no-must-change").status == 0
    assert torana("users show tom --json").json["forcePasswordChange"] is False


def test_sessions_are_listed_and_closed(torana: Operator, world: tuple[str, World]) -> None:
    for _ in range(2):
        _signed_in(torana, world[1].tom)
    listed = torana("users sessions tom --json").json
    assert len(listed) == 2
    assert {"id", "address", "agent", "createdAt", "usedAt"} == set(listed[0])
    assert torana("users close-sessions tom --yes --json").json == {"closed": 2}
    assert torana("users sessions tom --json").json == []
    refused = torana("users sessions root --as sita")
    assert (refused.status, refused.out) == (1, "")


def test_an_invitation_goes_by_mail_to_a_user_without_a_password(torana: Operator) -> None:
    refused = torana("users create ina --email ina@example.org --invite")
    assert (refused.status, "TORANA_SMTP_URL" in refused.err) == (1, True)
    assert torana("users create ina --invite").status == 2
    mailing = Operator(torana.url, TORANA_MAIL_LOG="true", TORANA_PUBLIC_URL="https://torana.example")
    assert (
        mailing("users create ina --email ina@example.org --invite").out == "made ina; a link goes to ina@example.org\n"
    )
    (mail,) = torana.rows(sa.select(models.Notification).where(models.Notification.recipient == "ina@example.org"))
    assert "https://torana.example/reset-password#token=" in mail.text
    assert "an account was made for you" in mail.text
    assert "holds for 7 days" in mail.text
    kinds = torana.rows(sa.select(models.Credential.kind).join(models.User).where(models.User.username == "ina"))
    assert [kind for (kind,) in kinds] == [models.CredentialKind.PASSWORD_RESET]


# Roles ----------------------------------------------------------------------------------------------------------------


def test_a_group_gets_a_role_and_its_members_have_it(torana: Operator) -> None:
    assert torana("groups create crew").status == 0
    assert torana("groups add crew eve tom").out == "crew: added 2, removed 0\n"
    assert torana("groups remove crew tom").out == "crew: added 0, removed 1\n"
    granted = torana("roles grant admin --site Harbour --group crew")
    assert granted.out == "crew has the role admin of Harbour\n"
    shown = torana("groups show crew")
    assert re.search(r"members\s+eve\n", shown.out)
    assert re.search(r"roles\s+admin of Harbour$", shown.out.strip())
    access = {tuple(line) for line in torana("roles access --user eve").lines}
    assert access == {("crew", "admin", "Harbour", "no"), ("crew", "admin", "Harbour", "Protons", "yes")}
    assert any(held["userGroup"]["name"] == "crew" for held in torana("roles access --site Harbour --json").json)
    assert torana("sites update Harbour --two-factor --as eve").status == 0
    roles = torana("roles list --site Harbour")
    assert any(line[0] == "admin" and "crew" in line[-1] for line in roles.lines)
    assert torana("roles revoke admin --site Harbour --group crew").status == 0
    assert torana("roles access --user eve").out == "none\n"


def test_devices_and_groups_of_participants_get_roles(torana: Operator) -> None:
    for who in ("--device 'sensor of Harbour'", "--participant-group 'group of Protons'"):
        assert torana(f"roles grant user --project Protons {who}").status == 0
        assert torana(f"roles revoke user --project Protons {who}").status == 0


# Keys and tokens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "kind", "prefix"),
    [
        ("--user tom --label ci --scope WRITE --days 2", Kind.USER, "sk"),
        ("--participant P-02", Kind.PARTICIPANT, "pt"),
        ("--device 'spare of Harbour'", Kind.DEVICE, "dt"),
        ("--service calls-harbour", Kind.SERVICE, "st"),
    ],
)
def test_a_token_works_until_it_is_revoked(torana: Operator, owner: str, kind: Kind, prefix: str) -> None:
    if "P-02" in owner:  # both places have one
        (key,) = torana.rows(sa.select(models.Participant.id).join(models.Project).where(
            models.Participant.name == "P-02", models.Project.name == "Protons"))[0]  # fmt: skip
        owner = f"--participant {key}"
    if "spare" in owner:
        torana.ask(lambda ask: _enable(ask, "spare of Harbour"))
    made = torana(f"tokens create {owner} --json")
    assert made.status == 0, made.err
    secret = made.json["secret"]
    assert secret.startswith(f"{prefix}_")
    assert "once" in made.err

    def known(ask: Asking) -> Any:
        return principal_of(ask.services.database, Secret(kind, digest_of(secret)))

    assert torana.ask(known).kind is kind
    listed = torana(f"tokens list {' '.join(shlex.quote(part) for part in shlex.split(owner)[:2])} --json")
    assert secret not in listed.out
    id = made.json["credential"]["id"]
    assert id in {one["id"] for one in listed.json}
    assert torana(f"tokens revoke {id}", "n\n").status == 1
    assert torana.ask(known).kind is kind
    assert torana(f"tokens revoke {id} --yes").status == 0
    with pytest.raises(Exception, match="not valid"):
        torana.ask(known)


async def _enable(ask: Asking, device: str) -> None:
    async with ask.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.Device).where(models.Device.name == device).values(enabled=True))


def test_a_register_key_replaces_the_former_one(torana: Operator) -> None:
    first = torana("tokens device-register-key --yes").out.strip()
    second = torana("tokens device-register-key --yes --json").json["secret"]
    assert first.startswith("rk_")
    assert first != second
    (row,) = torana.rows(sa.select(models.ServerSetting.value).where(models.ServerSetting.name == SETTING))
    assert row.value == digest_of(second)


# The record -----------------------------------------------------------------------------------------------------------


def test_what_the_operator_did_is_recorded_as_the_operators(torana: Operator) -> None:
    torana(f"users create noor --superadmin --password '{PASSWORD}'")
    torana("sites create Yard --as tom")
    mine = torana("audit list --actor operator --json").json
    assert [event["action"] for event in mine] == ["SET_PASSWORD", "CREATE"]
    assert mine[1]["detail"] == {"platformRole": "READER", "superadmin": True}
    assert mine[1]["client"]["agent"] == "torana users create"
    assert mine[1]["actor"] is None
    (refused,) = torana("audit list --actor tom --action refused --json").json
    assert refused["detail"]["tried"] == "CREATE"
    assert "user noor" in torana("audit list --action create").out
    assert torana("audit list --action CREATE --until 1h").out == "none\n"
    assert len(torana("audit list --action CREATE --since 1h --json").json) == 1
    assert torana("audit list --limit 1 --since 2026-01-01T00:00").err.startswith("the first 1;")


def test_the_operator_is_no_user() -> None:
    assert (OPERATOR.id, OPERATOR.actor, OPERATOR.name) == (None, "operator", "operator")
    assert (ANONYMOUS.actor, ANONYMOUS.name) == (None, "anonymous")


# Beside a gateway, and on PostgreSQL ----------------------------------------------------------------------------------


@asynccontextmanager
async def _serving(url: str) -> Any:
    database = Database(url)
    await database.start()
    try:
        yield database
    finally:
        await database.dispose()


async def test_commands_work_beside_a_gateway_on_the_same_file(prepared: Prepared) -> None:
    url, _ = await prepared.copy("sqlite")
    async with _serving(url) as database:
        made = await asyncio.to_thread(Operator(url), "sites create Yard")
        assert made.status == 0, made.err
        found = await database.rows(sa.select(models.Site.name).where(models.Site.name == "Yard"))
        assert len(found) == 1


@pytest.mark.slow
async def test_a_gateway_on_postgresql_hears_of_a_change(prepared: Prepared) -> None:
    url, _ = await prepared.copy("postgresql")
    heard: set[str] = set()
    async with _serving(url) as database:
        database.listen(heard.update, lambda: None)
        torana = Operator(url)
        for line in (
            f"users create noor --password '{PASSWORD}' --email noor@example.org",
            "groups create crew",
            "groups add crew noor",
            "roles grant user --project Protons --group crew",
            "users list --text noor",
            "roles access --user noor",
            "audit list --actor operator",
            "users delete noor --yes",
        ):
            done = await asyncio.to_thread(torana, line)
            assert done.status == 0, (line, done)
        for _ in range(100):
            if "rights" in {topic.partition(":")[0] for topic in heard}:
                break
            await asyncio.sleep(0.05)
        assert any(topic.startswith("principal:") for topic in heard)


# What is said of the commands -----------------------------------------------------------------------------------------


def _commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield f"{group.typer_instance.info.name} {command.name}", command.callback


def test_every_command_says_what_it_does() -> None:
    known = dict(_commands(cli.app))
    assert {"users create", "audit list", "tokens device-register-key", "documents add"} <= set(known)
    assert all((callback.__doc__ or "").endswith(".") for callback in known.values())


ELSEWHERE = ("challenges", "evaluators", "leaderboards", "submissions")
"""Commands that need files, and a worker: `test_challenge_commands` runs them."""


@pytest.mark.slow
def test_the_commands_of_the_documentation_run_in_their_order(empty: Operator) -> None:
    text = Path("docs/administering.md").read_text()
    lines = [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("torana ")]
    lines = [line for line in lines if line.split()[1] not in ELSEWHERE]
    assert len(lines) > 25
    mailing = Operator(empty.url, TORANA_MAIL_LOG="true")
    for line in lines:
        typed = "y\n" if "close-sessions" in line or "register-key" in line else f"{PASSWORD}\n{PASSWORD}\n"
        done = mailing(line.removeprefix("torana "), typed)
        assert done.status == 0, (line, done)


# Who may do what ------------------------------------------------------------------------------------------------------


def test_the_matrix_has_every_type_with_rules_and_says_so_in_words(torana: Operator) -> None:
    told = torana("access --json").json
    assert set(told["entities"]) == {p.model.__name__ for p in policies() if p.read or p.parent or p.written}
    assert told["entities"]["Project"]["create"]["roles"] == ["SA", "SV", "XA"]
    assert told["entities"]["LogEntry"]["read"]["roles"] == ["OW", "PA", "OG", "XA"]
    assert "restore" not in told["entities"]["DeviceType"]
    assert told["columns"]["User"]["superadmin"]["words"] == "superadmins"
    assert told["fields"]["User.notes"]["roles"] == ["SA", "XA"]
    assert told["mutations"]["workerReport"]["needs"].startswith("a worker")
    table = torana("access").out
    row = next(line for line in table.splitlines() if line.startswith("Site "))
    assert row.split() == ["Site", "R", "RU", "R", "CRUDS"]


def test_the_page_about_access_is_what_the_declarations_say() -> None:
    assert Path("docs/access.md").read_text() == Matrix(build().core).markdown() + "\n", "run: make docs"


# Exports --------------------------------------------------------------------------------------------------------------


def test_a_list_is_exported_as_csv_or_json(world: tuple[str, World], tmp_path: Path) -> None:
    operator = Operator(world[0])
    file = tmp_path / "sites.csv"
    done = operator(f"export sites --fields name,twoFactorRequired --to {file}")
    assert done.status == 0, done.err
    header, *rows = file.read_text().splitlines()
    assert header == "name,twoFactorRequired"
    assert len(rows) == len(operator.rows(sa.select(models.Site.id).where(models.Site.deleted_at.is_(None))))
    done = operator("""export sites --format ndjson --fields name --filter '{"name": {"startsWith": "harb"}}'""")
    assert [json.loads(line) for line in done.out.splitlines()] == [{"name": "Harbour"}]
    done = operator("export sites --as tom --fields name")
    assert done.out.splitlines() == ["name", "Harbour"]
    for line, told in (
        ("export nothing", "there is no such list"),
        ("export sites --fields nme", "has no field nme"),
        ("export sites --filter '['", "not JSON"),
        ("""export sites --filter '{"nme": 1}'""", "nme"),
    ):
        done = operator(line)
        assert done.status != 0
        assert told in done.err


def test_an_export_that_is_refused_leaves_the_file_that_was_there(world: tuple[str, World], tmp_path: Path) -> None:
    operator, file = Operator(world[0]), tmp_path / "kept.csv"
    file.write_text("keep")
    assert operator(f"export sites --fields nope --to {file}").status != 0
    assert operator(f"""export sites --filter '{{"x": 1}}' --to {file}""").status != 0
    assert file.read_text() == "keep"
    assert [one.name for one in tmp_path.iterdir()] == ["kept.csv"]
    event = models.AuditEvent
    assert operator.rows(sa.select(event.id).where(event.action == "EXPORT")) == []
    assert operator(f"export sites --fields name --to {file}").status == 0
    assert file.read_text().startswith("name")
    assert file.stat().st_mode & 0o077 == 0
