"""Documents that nobody trusts: what they say, and what is refused before it is made."""

import os
from pathlib import Path

import pytest

from resolvers.documents import BYTES, Unreadable, document, read_json, read_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGED = "a0: &a0 {k: x}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("a: [1, 2", "not YAML: line 2: "),
        ("a: 1\na: 2", "key a stands twice"),
        ("? [1, 2]\n: x", "a key is a text"),
        ("a: 1\n---\nb: 2", "several documents"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: 2017-13-45", "a value of it is none"),
        ("a: *b", "not YAML|stands for nothing"),
        ("a: &a [*a]", "stands for nothing, or for itself"),
        ("a: \x01", "not YAML"),
        ("[" * 40 + "]" * 40, "more than 32 levels"),
        ("[" * 400_000, "maximum nesting depth"),
        (LAUGHS, "more than 100,000 values"),
        (MERGED, "more than 100,000 values"),
        ("a: &a 1\nb: [" + ", ".join(["*a"] * 101) + "]", "more than 100 aliases"),
    ],
)
def test_yaml_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "empty"),
        ("{", "not JSON"),
        ('{"a": 1, "a": 2}', "key a stands twice"),
        ("[" * 40 + "]" * 40, "more than 32 levels"),
        ("[" * 400_000, "more than 32 levels"),
        ("1" * 5_000, "not JSON"),
    ],
)
def test_json_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_json(text)


def test_keys_of_yaml_are_texts_as_they_are_written() -> None:
    assert read_yaml("no: 1\n1: 2\n2017-01-20: 3\nnull: 4\n1.50: 5") == {
        "no": 1, "1": 2, "2017-01-20": 3, "null": 4, "1.50": 5,
    }  # fmt: skip


def test_aliases_stand_for_what_they_name_and_merge() -> None:
    assert read_yaml("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}") == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3},
    }  # fmt: skip


def test_32_levels_are_read() -> None:
    assert read_yaml("[" * 32 + "]" * 32) == read_json("[" * 32 + "]" * 32)


def test_a_mark_of_the_byte_order_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert document(tmp_path, tmp_path / "a.json") == [1]


@pytest.mark.parametrize(
    ("content", "why"), [(b"a: \xff", "not UTF-8: byte 3"), (b" " * (BYTES + 1), "more than 1,000,000 bytes")]
)
def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(Unreadable, match=why):
        document(tmp_path, tmp_path / "a.yaml")


def test_what_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.yaml").write_text("a: 1")
    (tmp_path / "in" / "link.yaml").symlink_to(tmp_path / "out.yaml")
    for path in ("link.yaml", "../out.yaml"):
        with pytest.raises(Unreadable, match="leads out"):
            document(tmp_path / "in", tmp_path / "in" / path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(Unreadable, match="not a file"):
        document(tmp_path, tmp_path / "a.yaml")
