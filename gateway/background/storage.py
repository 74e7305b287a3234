"""The storage of the settings: a folder, or a bucket of S3."""

from importlib import import_module
from pathlib import Path
from typing import Any

from db.storage.folder import FolderStorage
from db.storage.signing import Credentials
from db.storage.storage import Storage
from gateway.settings.files import FileSettings


def make_storage(settings: FileSettings, data_dir: Path) -> Storage:
    """The bucket where one is named; else the folder."""
    if not settings.s3_bucket:
        return FolderStorage(settings.files_dir or data_dir.resolve() / "files")
    s3: Any = import_module("db.storage.s3")  # its library is an extra
    credentials = Credentials(settings.s3_key, settings.s3_secret.get_secret_value(), settings.s3_region)
    bucket = s3.Bucket(
        settings.s3_bucket, credentials, settings.s3_endpoint, settings.s3_prefix.strip("/"), settings.s3_links
    )
    storage: Storage = s3.S3Storage(bucket)
    return storage
