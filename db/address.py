"""The address of a database: the URL of the settings, and the driver that serves it."""

from pathlib import Path

import sqlalchemy as sa


class AddressError(Exception):
    """A database URL is wrong; the message says why, and what is allowed."""


def file_of(address: sa.URL) -> Path | None:
    """The SQLite file that an address names."""
    return Path(address.database) if address.get_backend_name() == "sqlite" and address.database else None


def parse_address(url: str) -> sa.URL:
    """The parts of a database URL with the driver that serves it; raises AddressError for a wrong one."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise AddressError("a database URL looks like postgresql://user:password@host/name or sqlite:///file") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    backend = parsed.drivername.partition("+")[0]
    if backend not in drivers:
        raise AddressError(f"a database URL names postgresql or sqlite, not {backend}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise AddressError("an SQLite URL names a file: readers and the writer are different connections")
    return parsed.set(drivername=drivers[backend])


def of_driver(url: sa.URL) -> str:
    """The address of a PostgreSQL database as asyncpg takes it."""
    asked = dict(url.query)
    if "ssl" in asked:  # the driver's own spelling of what a URL calls sslmode
        asked["sslmode"] = asked.pop("ssl")
    return url.set(drivername="postgresql", query=asked).render_as_string(hide_password=False)
