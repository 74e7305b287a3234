"""The lines of logs, out of the bytes that programs write."""

import re

import pytest

from jobs.programs.lines import LINE, Lines

BAR = "\r{n:3}%|{bar:10}| {n}/100 [00:0{s}<00:05, 12.{s}it/s]"


class Log:
    """What is seen of some pieces, and what is stored; lines that begin with `done` are for progress alone."""

    def __init__(self, *pieces: bytes, end: bool = True) -> None:
        self.seen: list[tuple[int, str]] = []
        lines = Lines(self._progress)
        self.stored = [text for piece in pieces for text in lines.take(piece)]
        if end:
            self.stored += lines.end()

    def _progress(self, text: str, number: int) -> bool:
        self.seen.append((number, text))
        return re.match("done", text) is not None


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CR and LF"])
@pytest.mark.parametrize("size", [1, 3, 1000], ids="pieces of {}".format)
def test_lines_end_with_lf_or_cr_or_both_wherever_a_piece_ends(end: bytes, size: int) -> None:
    data = b"".join(word + end for word in (b"one", b"two", b"three"))
    log = Log(*(data[at : at + size] for at in range(0, len(data), size)))
    assert log.stored == ["one", "two", "three"]
    assert log.seen == [(1, "one"), (2, "two"), (3, "three")]


def test_blank_lines_are_kept() -> None:
    assert Log(b"one\n\ntwo\r\n\r\nthree\n").stored == ["one", "", "two", "", "three"]


def test_progress_with_cr_and_no_line_end_is_seen_at_once() -> None:
    log = Log(b"\rdone 1", b"\rdone 2", b"\r", end=False)
    assert log.seen == [(1, "done 1"), (2, "done 2")]
    assert log.stored == []


def test_the_last_line_is_seen_without_an_end() -> None:
    assert Log(b"one\ndone 7").seen[-1] == (2, "done 7")
    assert Log(b"one\ntwo").stored == ["one", "two"]


def test_colours_are_cut_from_lines() -> None:
    log = Log(b"\x1b[1;31mwarning:\x1b[0m hot\n\x1b]0;title\x07\x1b[32mdone 1\x1b[m\n")
    assert log.stored == ["warning: hot"]
    assert log.seen[-1] == (2, "done 1"), "progress is looked for in what is left"


def test_of_lines_that_are_written_over_with_other_numbers_the_last_is_stored() -> None:
    assert Log(b"event 1 of 3\revent 2 of 3\revent 3 of 3\nend\n").stored == ["event 3 of 3", "end"]
    assert Log(b"event 1\revent 2\rother words\r").stored == ["event 2", "other words"], "nothing else is lost"
    assert Log(b"\rwait /\rwait -\r      \rend\n").stored == ["end"], "blanks wipe a line out"


def test_bars_are_cut_from_lines() -> None:
    steps = "".join(BAR.format(n=10 * n, bar="█" * n, s=n) for n in range(1, 10))
    assert Log(steps.encode()).stored == [" 90% 90/100 [00:09<00:05, 12.9it/s]"]
    assert Log(b"load [####      ] 40%\n").stored == ["load  40%"]
    assert Log("━━━━━╸\n[=====>    ]\n".encode()).stored == [], "a bar alone is no line"


@pytest.mark.parametrize("line", ["x[1] = [2, 3]", "| a | b |", "=====", "[...]", "● one", "[---]"])
def test_what_only_resembles_a_bar_stays(line: str) -> None:
    assert Log(line.encode() + b"\n").stored == [line]


def test_a_line_that_was_cut_says_so() -> None:
    for size in (LINE + 1, 5 * LINE, 50 * LINE):
        (line,) = Log(b"x" * size + b"\n").stored
        assert len(line) == LINE
        assert line.endswith(f"xx [cut: the line has {size} bytes]")
    assert Log(b"x" * LINE + b"\n").stored == ["x" * LINE]


def test_a_line_without_an_end_takes_no_more_memory_than_is_kept() -> None:
    lines = Lines(lambda text, number: False)
    for _ in range(100):
        assert list(lines.take(b"x" * 10_000)) == []
    assert len(lines._begun) == 4 * LINE
    (line,) = lines.end()
    assert line.endswith(" [cut: the line has 1000000 bytes]")
