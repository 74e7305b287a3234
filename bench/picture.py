"""The result as one picture: for each operation a bar of each server, as long as its rate is beside the floor's."""

from collections.abc import Iterator, Sequence
from html import escape

from bench.measuring import Measured, Trial
from bench.servers import FLOOR, TORANA

WIDTH, LEFT, RIGHT = 880, 150, 190
BAR, GAP, HEAD = 18, 5, 34
FONT = "font-family='system-ui, sans-serif' font-size='12'"
STYLE = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e } .line { stroke: #d1d9e0 }
  .own { fill: #b4530a } .peer { fill: #8c959f } .floor { fill: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .quiet { fill: #9198a1 } .line { stroke: #3d444d }
    .own { fill: #e3822f } .peer { fill: #656c76 } .floor { fill: #3d444d }
  }
"""


def draw(found: Sequence[tuple[Trial, Measured]], place: str) -> str:
    """SVG. Beside a bar stand the rate, and how many times as fast Torana is."""
    shapes: list[str] = []
    y = 30
    for trial, measured in found:
        for name, bars in _bars(trial, measured):
            shapes.append(_text(16, y + 14, f"{name}, {trial.title}", "text", "font-weight='600'"))
            y += HEAD - 10
            longest = max(rate for _, rate, _ in bars)
            for server, rate, ratio in bars:
                length = max(1.0, (WIDTH - LEFT - RIGHT) * rate / longest)
                kind = "own" if server.startswith(TORANA.name) else "floor" if server == FLOOR.name else "peer"
                shapes.append(_text(LEFT - 8, y + 13, server, "text", "text-anchor='end'"))
                shapes.append(f"<rect class='{kind}' x='{LEFT}' y='{y}' width='{length:.1f}' height='{BAR}' rx='2'/>")
                shapes.append(_text(LEFT + length + 6, y + 13, f"{_rate(rate)}/s", "text"))
                shapes.append(_text(WIDTH - 16, y + 13, ratio, "quiet", "text-anchor='end'"))
                y += BAR + GAP
            y += 14
    shapes.append(f"<line class='line' x1='16' x2='{WIDTH - 16}' y1='{y}' y2='{y}'/>")
    for line in _lines(place, 130):
        y += 18
        shapes.append(_text(16, y, line, "quiet"))
    height = y + 18
    title = _text(16, 22, "Requests per second; on the right, how many times as fast as each server Torana is", "quiet")
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' {FONT}>",
            f"<style>{STYLE}</style>",
            f"<rect class='page' width='{WIDTH}' height='{height}'/>",
            title,
            *shapes,
            "</svg>\n",
        ]
    )


def _bars(trial: Trial, measured: Measured) -> Iterator[tuple[str, list[tuple[str, float, str]]]]:
    """By operation: the servers with their rates and what is written beside them, the fastest first."""
    middle = measured.middle
    for operation in trial.operations:
        torana = middle.get((operation.name, TORANA.name))
        rates = {server.name: middle[operation.name, server.name].per_second for server in trial.servers}
        bars = [
            (name, rate, "" if torana is None or name == TORANA.name else _ratio(torana.per_second / rate))
            for name, rate in rates.items()
        ]
        yield operation.name, sorted(bars, key=lambda bar: -bar[1])


def _ratio(ratio: float) -> str:
    return f"Torana \u00d7{ratio:.2f}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _text(x: float, y: float, text: str, kind: str, more: str = "") -> str:
    return f"<text class='{kind}' x='{x:.1f}' y='{y:.1f}' {more}>{escape(text)}</text>"


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in text.split():
        if len(line) + len(word) >= width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line
