"""Settings of files: where their bytes lie, and how many there may be."""

from importlib import util
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator

from gateway.settings.group import Group
from resolvers.limits import FileBounds

DAY = 86_400.0


class FileSettings(Group):
    files_dir: Path | None = Field(
        None, description="The folder for files; all processes share it. By default `files` in the data folder."
    )
    s3_bucket: str = Field("", description="A bucket of S3 for files, in place of a folder; needs torana[s3].")
    s3_endpoint: str = Field("", description="The address of a store that speaks S3; by default Amazon's.")
    s3_region: str = Field("us-east-1", description="The region of the bucket.")
    s3_key: str = Field("", description="The key of the account there.")
    s3_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    s3_prefix: str = Field("", description="What the names of all objects begin with.")
    s3_links: bool = Field(
        True, description="Send downloads to the store by signed addresses; else through the gateway."
    )
    upload_bytes: int = Field(20_000_000_000, gt=0, description="The most bytes of one file.")
    user_bytes: int = Field(0, ge=0, description="The most bytes of all files of a user; 0 for no bound.")
    project_bytes: int = Field(0, ge=0, description="The most bytes of all files of a project; 0 for no bound.")
    free_bytes: int = Field(1_000_000_000, ge=0, description="With less free room in the folder no uploads are taken.")
    upload_hours: float = Field(24.0, gt=0, description="Hours after which an upload expires of which nothing came.")
    archive_days: float = Field(7.0, gt=0, description="Days for which the file of an archive is kept.")
    output_days: float = Field(
        30.0, gt=0, description="Days for which files are kept that the programs of simulations wrote."
    )

    @field_validator("s3_bucket")
    @classmethod
    def _installed(cls, value: str) -> str:
        if value and util.find_spec("obstore") is None:
            raise ValueError("S3 needs a library that is not installed here; pip install 'torana[s3]'")
        return value

    @property
    def bounds(self) -> FileBounds:
        given: dict[str, Any] = {"user": self.user_bytes or None, "project": self.project_bytes or None}
        return FileBounds(
            upload=self.upload_bytes,
            floor=self.free_bytes,
            idle=self.upload_hours * 3_600,
            archive=self.archive_days * DAY,
            outputs=self.output_days * DAY,
            **given,
        )
