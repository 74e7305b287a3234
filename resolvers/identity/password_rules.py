"""The rules for a new password: long enough, not leaked, and not soon guessed."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from db.searching.folding import bounded
from resolvers.failures import Invalid

SHORTEST, LONGEST = 12, 1024
TYPED = 4 * LONGEST
"""The most characters as they were typed: one character of a password may be composed of several."""
LEFT = 6
"""The least characters that must be left without the names of the owner."""
STRENGTH = 3
"""The least score, of 0 to 4, by zxcvbn: over 10^8 guesses."""
JUDGED = 32
"""Characters that are judged: the time grows with their cube, and this many are enough to be strong."""


class Leaked:
    """A file of leaked passwords as https://haveibeenpwned.com gives them: their SHA-1 in hexadecimal digits, sorted,
    one a line, each followed by a colon and a count. It is searched on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            first = stream.readline(200)
        if not re.match(rb"[0-9A-Fa-f]{40}(:\d+)?\r?$", first):
            raise ValueError("it does not begin with a SHA-1 in hexadecimal digits")

    def __contains__(self, password: str) -> bool:
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        with self._path.open("rb") as stream:
            low, high = 0, stream.seek(0, os.SEEK_END)
            while low < high:  # a line that begins at `low` or after it, and before `high`
                middle = (low + high) // 2
                stream.seek(middle)
                if middle:
                    stream.seek(middle - 1)
                    stream.readline()
                begins = stream.tell()
                found = stream.readline()[:40].upper()
                if not found or begins >= high or found > wanted:
                    high = middle
                elif found == wanted:
                    return True
                else:
                    low = stream.tell()
        return False


def check_new(password: str, field: str, *own: str | None, leaked: Leaked | None = None) -> None:
    """Refuse a password that is too short, far too long, `leaked`, or soon guessed: a common one, or one made of its
    owner's names (`own`). The normal form, which is hashed, is judged: a no-break space, say, is a space. One thread at
    a time."""
    plain = normal(password[: TYPED + 1])
    if len(password) > TYPED or not SHORTEST <= len(plain) <= LONGEST:
        raise Invalid(f"a password has {SHORTEST} to {LONGEST} characters", field=field)
    if not plain.isprintable():
        raise Invalid("a password is one line without control characters", field=field)
    if leaked is not None and (password in leaked or plain in leaked):
        raise Invalid("this password was leaked: it is in a list of those that were lost elsewhere", field=field)
    parts = {part.casefold() for text in own if text for part in (text, *re.split(r"[\W_]+", text)) if len(part) > 2}
    judged = zxcvbn(plain[:JUDGED], user_inputs=sorted(parts))
    if judged["score"] < STRENGTH or len(_without(plain.casefold(), parts)) < LEFT:
        why = judged["feedback"]["warning"]
        raise Invalid(
            f"a password is neither a common one nor made of your name or address. {why}".strip(), field=field
        )


def _without(text: str, parts: Collection[str]) -> str:
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "")
    return text


def normal(password: str) -> str:
    """The normal form: the same letters from every keyboard (Unicode's NFKC)."""
    return unicodedata.normalize("NFKC", bounded(password))
