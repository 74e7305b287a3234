"""Files that something still writes while the worker uploads them."""

import os
from pathlib import Path
from typing import Any

import pytest

from jobs.worker import files
from jobs.worker.gateway import Gateway


@pytest.mark.parametrize(("change", "why"), [("ab", "it grew"), ("wb", "it shrank"), ("r+b", "it changed")])
def test_a_file_that_is_written_during_its_upload_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, why: str
) -> None:
    file = tmp_path / "a.phsp"
    file.write_bytes(bytes(100))

    class Answer:
        headers = {"Location": "/uploads/1", "Upload-Offset": "0"}

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *_: object) -> None: ...

        def close(self) -> None: ...

    def sent(address: str, headers: Any, method: str = "GET", body: Any = None) -> Answer:
        if method == "PATCH":
            with file.open(change) as stream:
                stream.write(b"x")
            os.utime(file, ns=(1, 1))
            assert len(b"".join(iter(body.read, b""))) == 100
        return Answer()

    monkeypatch.setattr(files, "_sent", sent)
    with pytest.raises(ValueError, match=f"{why} during its upload"):
        files.upload(Gateway("http://127.0.0.1:1", "token"), file, "OUTPUT")
