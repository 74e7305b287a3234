"""Password hashes: argon2id, a bounded number at once, since each takes its memory and a core; and what a password
must be."""

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from db.folding import bounded
from resolvers.failures import Invalid

SHORTEST, LONGEST = 12, 1024
_TYPED = 4 * LONGEST
"""Characters as they were typed: one of a password may be put together of several."""
LEFT = 6
"""Characters that are left, at least, without the names of the owner."""
STRENGTH = 3
"""Of 0 to 4, by zxcvbn: over 10^8 guesses."""
JUDGED = 32
"""Characters that are judged: the time it takes grows with their cube, and this many are enough to be strong."""


class Leaked:
    """A file of passwords that were lost, as https://haveibeenpwned.com gives them: their SHA-1 in hexadecimal digits,
    one a line and sorted, each before a colon and how often it was seen. It is searched where it lies."""

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


class Passwords:
    """`memory` is in KiB and `rounds` the passes over it, as in RFC 9106; `threads` hashes run at once. `leaked` are
    passwords that are known to be lost, besides those that are common."""

    def __init__(
        self, *, memory: int = 47_104, rounds: int = 2, threads: int = 2, leaked: Leaked | None = None
    ) -> None:
        self._leaked = leaked
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._judge = ThreadPoolExecutor(1, thread_name_prefix="zxcvbn")
        self._nobody = self._threads.submit(self._hasher.hash, "the password of no one")

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one stored; takes as long when there is none stored."""
        right = len(password) <= _TYPED  # one that is longer is nobody's, and could take long to be read
        given = password if right else "a password that is too long"
        matches = asyncio.get_running_loop().run_in_executor(self._threads, self._matches, stored, given)
        return await matches and right and stored is not None

    async def check(self, password: str, field: str, *own: str | None) -> None:
        """As `check_new`, beside the event loop."""
        checked = partial(check_new, password, field, *own, leaked=self._leaked)
        await asyncio.get_running_loop().run_in_executor(self._judge, checked)

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        for threads in (self._threads, self._judge):
            threads.shutdown(wait=False, cancel_futures=True)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_normal(password))

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._nobody.result(), _normal(password))
        except (VerificationError, InvalidHashError):
            return False


def check_new(password: str, field: str, *own: str | None, leaked: Leaked | None = None) -> None:
    """Refuse a password that is too short, too long to be meant, `leaked`, or soon guessed: a common one, or one made
    of what its owner is called (`own`). What is judged is what is hashed: a no-break space, say, is a space. One thread
    at a time."""
    plain = _normal(password[: _TYPED + 1])
    if len(password) > _TYPED or not SHORTEST <= len(plain) <= LONGEST:
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


def _normal(password: str) -> str:
    """The same letters from every keyboard (Unicode's NFKC)."""
    return unicodedata.normalize("NFKC", bounded(password))
