"""All settings of a gateway, in groups. They are read once, and each part of the gateway gets the group that it
needs."""

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway.settings.files import FileSettings
from gateway.settings.group import Group, SettingsError
from gateway.settings.jobs import JobSettings
from gateway.settings.mail import MailSettings
from gateway.settings.operations import OperationSettings
from gateway.settings.retention import RetentionSettings
from gateway.settings.server import ServerSettings
from gateway.settings.sessions import SessionSettings
from gateway.settings.sign_in import SignInSettings
from gateway.settings.specs import SpecSettings
from gateway.settings.storage import StorageSettings

__all__ = ["FILE", "Settings", "SettingsError", "groups", "load"]

G = TypeVar("G", bound=Group)

FILE = "TORANA_SETTINGS"
"""The variable that names a TOML file with settings: their names are in lower case, without the prefix. Variables win
over it."""


@dataclass(frozen=True)
class Settings:
    """All settings, as `load` reads them; `torana settings` prints what there is."""

    server: ServerSettings
    storage: StorageSettings
    files: FileSettings
    sign_in: SignInSettings
    mail: MailSettings
    operations: OperationSettings
    jobs: JobSettings
    retention: RetentionSettings
    specs: SpecSettings
    sessions: SessionSettings


def groups() -> dict[str, type[Group]]:
    """All groups by name."""
    return {field.name: field.type for field in fields(Settings) if isinstance(field.type, type)}


class _Variables(
    ServerSettings,
    StorageSettings,
    FileSettings,
    SignInSettings,
    MailSettings,
    OperationSettings,
    JobSettings,
    RetentionSettings,
    SpecSettings,
    SessionSettings,
    BaseSettings,
):
    """The sources of settings: one `TORANA_...` variable each, or a line of the file."""

    model_config = SettingsConfigDict(env_prefix="TORANA_", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings]
        if named := os.environ.get(FILE):
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=Path(named)))
        return tuple(sources)


def load(**given: Any) -> Settings:
    """The settings from the environment and the file, with `given` above both."""
    try:
        if named := os.environ.get(FILE):
            tomllib.loads(Path(named).read_text())
        read = _Variables(**given)
    except ValidationError as error:
        wrong = "\n".join(f"TORANA_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(wrong) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{FILE}: {error}") from None

    def part(group: type[G]) -> G:
        return group.model_construct(**{name: getattr(read, name) for name in group.model_fields})

    return Settings(
        part(ServerSettings),
        part(StorageSettings),
        part(FileSettings),
        part(SignInSettings),
        part(MailSettings),
        part(OperationSettings),
        part(JobSettings),
        part(RetentionSettings),
        part(SpecSettings),
        part(SessionSettings),
    )
