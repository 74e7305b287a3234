"""What an ABX evaluation refuses: features of a submission, and items of a reference."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from jobs.programs.evaluators import features
from jobs.programs.evaluators.items import COLUMNS
from tests.evaluators.conftest import Challenge, Challenges

ANN = "submission/features/ann.npy"
HEADER = ",".join(COLUMNS)


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.fixture
def speech(challenge: Challenges) -> Challenge:
    made = challenge("abx")
    for speaker in ("ann", "bob"):
        np.save(made.put(f"submission/features/{speaker}.npy", b""), np.ones((4, 2)))
    rows = [(who, n / 100, n / 100 + 0.01, "aabb"[n], "s", "t", who) for who in ("ann", "bob") for n in range(4)]
    made.table("reference/items.csv", COLUMNS, *rows)
    return made


def with_values(value: float) -> np.ndarray:
    frames = np.ones((4, 2))
    frames[2, 1] = value
    return frames


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (with_values(np.nan), "frame 3 has NaN, infinity or a number beyond 1e+100; finite numbers are allowed"),
        (with_values(-np.inf), "frame 3 has NaN, infinity or a number beyond 1e+100; finite numbers are allowed"),
        (with_values(1e200), "frame 3 has NaN, infinity or a number beyond 1e+100; finite numbers are allowed"),
        (np.ones((4, 2), int), "the array must hold floats of 16, 32 or 64 bits; other numbers and objects"),
        (np.ones((4, 2), complex), "the array must hold floats of 16, 32 or 64 bits; other numbers and objects"),
        (np.array([[Trap()]], object), "the array must hold floats of 16, 32 or 64 bits; other numbers and objects"),
        (np.ones((4, 2), [("x", "f8")]), "the array must hold floats"),
        (np.ones(4), "the array has 1 axes; frames x dimensions are needed"),
        (np.ones((0, 2)), "there are no frames; at least one is needed"),
        (np.ones((4, 0)), "there are 0 dimensions; from 1 to 4096 are allowed"),
        (np.ones((4, 4097)), "there are 4097 dimensions; from 1 to 4096 are allowed"),
        (np.ones((1, 2)), "there are 1 frames of 0.01 s; the item in line 3 of items.csv needs more"),
    ],
)
def test_arrays_that_are_no_features_are_refused(speech: Challenge, saved: np.ndarray, message: str) -> None:
    np.save(speech.folder / ANN, saved, allow_pickle=True)
    assert speech.refused().startswith(f"features/ann.npy: {message}")


@pytest.mark.parametrize(
    "content", [b"", b"id,label\n", b"\x93NUMPY\x09\x00", b"\x93NUMPY\x01\x00\x08\x00{'descr'", pickle.dumps(Trap())]
)
def test_what_is_no_array_is_refused(speech: Challenge, content: bytes) -> None:
    speech.put(ANN, content)
    assert speech.refused() == "features/ann.npy: this is not a .npy file of NumPy, version 1 or 2"


def test_a_file_that_is_cut_or_longer_than_its_header_says_is_refused(speech: Challenge) -> None:
    whole = (speech.folder / ANN).read_bytes()
    for content in (whole[:-1], whole + b"\0"):
        speech.put(ANN, content)
        assert speech.refused() == "features/ann.npy: the file must hold 4 x 2 numbers and nothing else"


def test_a_header_that_promises_too_much_is_refused_unread(speech: Challenge) -> None:
    with (speech.folder / ANN).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (10**15, 2), "fortran_order": False, "descr": "<f8"})
    assert speech.refused() == ("features/ann.npy: there are 2000000000000000 numbers; at most 33554432 are allowed")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ann.csv", "", "features/ann.csv: the file is empty; at least one frame is needed"),
        ("ann.csv", "1,2\n1;2\n", "features/ann.csv, line 2: the line must hold numbers with commas between"),
        ("ann.txt", "1 2\n1,2\n", "features/ann.txt, line 2: the line must hold numbers with blanks between"),
        ("ann.txt", "1_0 2\n", "features/ann.txt, line 1: the line must hold numbers with blanks between"),
        ("ann.csv", "1,2\n1,2,3\n", "features/ann.csv, line 2: there are 3 numbers; the first line has 2"),
        ("ann.csv", "1,2\nnan,2\n", "features/ann.csv: frame 2 has NaN, infinity or a number beyond 1e+100"),
    ],
)
def test_text_that_is_no_features_is_refused(speech: Challenge, name: str, content: str, message: str) -> None:
    (speech.folder / ANN).unlink()
    speech.put(f"submission/features/{name}", content)
    assert speech.refused().startswith(message)


def test_faults_of_several_files_are_named_together(speech: Challenge) -> None:
    (speech.folder / ANN).unlink()
    np.save(speech.folder / "submission/features/bob.npy", np.ones(3))
    assert speech.refused() == (
        "features/ann.npy: the file is missing; .npy, .csv, .txt are allowed; "
        "features/bob.npy: the array has 1 axes; frames x dimensions are needed"
    )


def test_names_with_control_characters_are_escaped(speech: Challenge) -> None:
    speech.put("reference/items.csv", f"{HEADER}\n" + "".join(f"a\x1b[1m,0,0.01,{phone},s,t,ann\n" for phone in "aab"))
    message = speech.refused("--speakers", "within")
    assert message == "'features/a\\x1b[1m.npy': the file is missing; .npy, .csv, .txt are allowed"


def test_a_missing_folder_of_features_is_named_once(speech: Challenge) -> None:
    (speech.folder / "submission/features").rename(speech.folder / "submission/elsewhere")
    assert speech.refused() == "features: the folder is missing in the submission"


def test_two_files_for_one_sound_are_refused(speech: Challenge) -> None:
    speech.put("submission/features/ann.csv", "1,2\n")
    assert speech.refused() == ("features/ann.csv: there is also features/ann.npy; one file is allowed for each sound")


def test_all_files_have_the_same_dimensions(speech: Challenge) -> None:
    np.save(speech.folder / "submission/features/bob.npy", np.ones((4, 3)))
    assert speech.refused() == (
        "features/bob.npy: there are 3 dimensions; features/ann.npy has 2, and all must have the same"
    )


def test_a_link_out_of_the_submission_is_refused(speech: Challenge, tmp_path: Path) -> None:
    (speech.folder / ANN).rename(tmp_path / "ann.npy")
    (speech.folder / ANN).symlink_to(tmp_path / "ann.npy")
    assert speech.refused() == "features/ann.npy: the symbolic link leads out of the submission folder"


def test_distributions_have_no_negative_numbers_nor_zeros_alone(speech: Challenge) -> None:
    np.save(speech.folder / ANN, with_values(-1))
    assert speech.run().status == 0
    assert speech.refused("--distance", "kl") == (
        "features/ann.npy: frame 3 has a negative number; with the distance kl, none are allowed"
    )
    np.save(speech.folder / ANN, np.zeros((4, 2)))
    assert speech.refused("--distance", "kl") == (
        "features/ann.npy: frame 1 has zeros alone; with the distance kl, other numbers are allowed"
    )


def test_the_numbers_of_all_items_are_bounded(speech: Challenge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MOST_KEPT", 15)
    assert speech.refused().startswith("features: the items have over 15 numbers")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../ann,0,0.01,a,s,t,ann", "the file must be a name within the folder features, without its suffix"),
        ("/ann,0,0.01,a,s,t,ann", "the file must be a name within the folder features, without its suffix"),
        (f"{'x' * 251},0,0.01,a,s,t,ann", "the file must be a name within the folder features, without its suffix"),
        ("ann,0.02,0.01,a,s,t,ann", "onset and offset must be seconds from 0 to 1e+06, the onset first"),
        ("ann,nan,0.01,a,s,t,ann", "onset and offset must be seconds from 0 to 1e+06, the onset first"),
        ("ann,0,x,a,s,t,ann", "onset and offset must be seconds from 0 to 1e+06, the onset first"),
        ("ann,0.006,0.014,a,s,t,ann", "the item has 0 frames of 0.01 s; from 1 to 1000 are allowed"),
        ("ann,0,11,a,s,t,ann", "the item has 1100 frames of 0.01 s; from 1 to 1000 are allowed"),
        ("ann,0,0.01,,s,t,ann", "the phone is empty"),
        ("ann,0,0.01,a,s,t,", "the speaker is empty"),
    ],
)
def test_wrong_items_are_the_organisers_fault(speech: Challenge, row: str, message: str) -> None:
    speech.put("reference/items.csv", f"{HEADER}\n{row}\n")
    assert speech.refused(status=2) == f"items.csv, line 2: {message}"


def test_items_without_triples_are_the_organisers_fault(speech: Challenge) -> None:
    speech.table("reference/items.csv", COLUMNS, *(("ann", 0, 0.01, phone, "s", "t", "ann") for phone in "aab"))
    assert speech.refused(status=2) == (
        "items.csv: no items make a triple A, B, X across speakers; the option --speakers can leave it out"
    )
    speech.put("reference/items.csv", f"{HEADER}\n")
    assert speech.refused(status=2) == "items.csv: there are no items; at least three are needed"


@pytest.mark.parametrize("options", [("--step", "0"), ("--step", "nan"), ("--distance", "dtw")])
def test_wrong_options_are_the_organisers_fault(speech: Challenge, options: tuple[str, str]) -> None:
    assert speech.refused(*options, status=2).startswith(f"the options are wrong: argument {options[0]}: ")
