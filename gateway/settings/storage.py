"""Settings of storage: the database, the data folder, and how changes reach other processes."""

from pathlib import Path

from pydantic import Field, SecretStr

from gateway.settings.group import Group


class StorageSettings(Group):
    database_url: str = Field(
        "",
        description="postgresql://user:password@host/name, or sqlite:///path; by default an SQLite file in the data folder.",
    )
    data_dir: Path = Field(Path("data"), description="The folder for the SQLite file and the working folders of tasks.")
    database_readers: int = Field(10, gt=0, description="Connections that read at once (PostgreSQL; SQLite has 4).")
    database_writers: int = Field(5, gt=0, description="Connections that write at once (PostgreSQL; SQLite has 1).")
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="A redis that brings changes from one process to the others, as redis://host:6379/0; by default PostgreSQL does.",
    )
    redis_channel: str = Field("torana", description="The channel there; the same for all processes of a database.")

    @property
    def url(self) -> str:
        """The URL of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'torana.db'}"

    @property
    def runs(self) -> Path:
        """The folder of the running tasks."""
        return self.data_dir.resolve() / "runs"
