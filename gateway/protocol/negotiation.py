"""Content negotiation: which media type a client prefers, by its Accept header (RFC 9110, 12.5.1)."""

from functools import lru_cache

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
EVENTS = "text/event-stream"

RANGES = 100
"""The most media ranges of a header that are read."""
Ranges = tuple[tuple[str, float], ...]
"""Media ranges with their weights."""


@lru_cache(maxsize=200)
def accepted(header: str | None) -> Ranges:
    """The first media ranges of a header with their weights; a missing header accepts JSON."""
    if not header or not header.strip():
        return ((JSON, 1.0),)
    found = []
    for part in header.split(",", RANGES)[:RANGES]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weight = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        found.append((media, weight))
    return tuple(found)


def weight(ranges: Ranges, media: str) -> float:
    """How much the client wants `media`: the weight of the most specific range that covers it; 0 for not at all."""
    main = media.partition("/")[0]
    for candidate in (media, f"{main}/*", "*/*"):
        weights = [q for found, q in ranges if found == candidate]
        if weights:
            return max(weights)
    return 0.0


@lru_cache(maxsize=200)
def choose(ranges: Ranges, offered: tuple[str, ...]) -> str | None:
    """The offered type that the client prefers; of equals, the one it names first, then the one offered first."""
    named = [media for media, q in ranges if q > 0]

    def rank(media: str) -> tuple[float, int, int]:
        place = named.index(media) if media in named else len(named)
        return weight(ranges, media), -place, -offered.index(media)

    best = max(offered, key=rank)
    return best if weight(ranges, best) > 0 else None
