"""Fixtures for tests against a real gateway: `PYTEST.md` describes them.

| fixture | what it is |
| --- | --- |
| `torana` | the gateway of the session, with a superadmin and an SQLite database |
| `torana_settings` | settings of that gateway; override it in a `conftest.py` |
| `torana_clean` | all tables as after the start, for this test |
| `torana_principals` | the same, with somebody of each role |
| `torana_user` | makes further principals with a role |
| `torana_client`, `torana_async_client` | clients of the superadmin |
| `torana_statements` | records the SQL statements of what is asked |

Those whose names begin with an underscore have an effect, and no value. Nothing is started, and nothing is imported,
before a test asks for a fixture.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torana_client import AsyncClient, Client
    from torana_client.pytest_plugin.people import Cast, Principal, Principals
    from torana_client.pytest_plugin.running import Gateway, Statements

_KEYS = "kind = 'API_KEY'"
_CAST = "cast"


@pytest.fixture(scope="session")
def torana_settings() -> Mapping[str, Any]:
    """Settings of the gateway by their names without `TORANA_`, in lower case. Override it to give some."""
    return {}


@pytest.fixture(scope="session")
def torana(torana_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Gateway]":
    """The gateway of the session: `url`, `address`, `database`, `superadmin`, `log`, `client(principal)`.

    The test fails with what is to be installed when the gateway is missing, and with its reason when it does not start.
    """
    from torana_client.pytest_plugin.people import sign_in
    from torana_client.pytest_plugin.running import Gateway, NotRunning
    from torana_client.pytest_plugin.tables import START

    try:
        gateway = Gateway(tmp_path_factory.mktemp("torana"), torana_settings)
    except NotRunning as error:
        pytest.fail(str(error), pytrace=False)
    try:
        gateway.superadmin = sign_in(gateway)
        gateway.tables.keep(START)
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def torana_clean(torana: "Gateway") -> Iterator[None]:
    """All tables as after the start, before the test and after it: there is the superadmin, and nothing else."""
    torana.tables.put_back()
    yield
    torana.tables.put_back()


@pytest.fixture(scope="session")
def _torana_cast(torana: "Gateway") -> "tuple[Cast, list[Principals]]":
    """What makes principals, and those whom the kept tables have."""
    from torana_client.pytest_plugin.people import Cast

    return Cast(torana), []


@pytest.fixture
def torana_principals(
    torana: "Gateway", torana_clean: None, _torana_cast: "tuple[Cast, list[Principals]]"
) -> "Principals":
    """Clean tables with a site, a project, and somebody with each role there.

    They are made by mutations once; later tests get the same rows put back.
    """
    cast, made = _torana_cast
    if made:
        torana.tables.put_back(_CAST)
    else:
        people = cast.all()
        torana.tables.keep(_CAST)
        made.append(people)
    return made[0]


@pytest.fixture
def torana_user(
    torana_principals: "Principals", _torana_cast: "tuple[Cast, list[Principals]]"
) -> "Callable[[str], Principal]":
    """`torana_user(role="project_user")` makes a further principal, in the places of `torana_principals`.

    It raises ValueError for an unknown role.
    """
    cast, _ = _torana_cast

    def make(role: str = "project_user") -> "Principal":
        return cast.one(role)

    return make


@pytest.fixture
def torana_client(torana: "Gateway") -> "Iterator[Client]":
    """A client that asks as the superadmin. `torana.client(principal)` is one of somebody else."""
    with torana.client(torana.superadmin) as client:
        yield client


@pytest.fixture
def torana_async_client(torana: "Gateway") -> "AsyncClient":
    """The same for coroutines: `async with torana_async_client as client`. It belongs to the loop that enters it."""
    return torana.async_client(torana.superadmin)


@pytest.fixture
def torana_statements(torana: "Gateway") -> "Callable[[], AbstractContextManager[Statements]]":
    """`with torana_statements() as recorded` records the SQL statements of what is asked inside."""
    return torana.statements


@pytest.fixture(scope="session")
def _torana_database(torana: "Gateway") -> None:
    """Start the database, with all its tables, and the gateway in front of it; end both after the tests."""


@pytest.fixture(scope="session")
def _torana_specs_table(_torana_database: None) -> None:
    """Have the tables of specs, which the database has from its start."""


@pytest.fixture
def _torana_clean_specs_table(torana: "Gateway", _torana_specs_table: None) -> Iterator[None]:
    """Delete all specs, with their versions, before the test and after it."""
    torana.tables.empty("specs")
    yield
    torana.tables.empty("specs")


@pytest.fixture(scope="session")
def _torana_credentials_table(_torana_database: None) -> None:
    """Have the table of credentials, which the database has from its start."""


@pytest.fixture
def _torana_clean_credentials_table(torana: "Gateway", _torana_credentials_table: None) -> Iterator[None]:
    """Delete all API keys before the test and after it. Who is signed in stays so."""
    torana.tables.empty("credentials", _KEYS)
    yield
    torana.tables.empty("credentials", _KEYS)
