"""Password hashes: argon2id, a bounded number at once, since each takes its memory and a core."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from resolvers.failures import Invalid

SHORTEST, LONGEST = 12, 1024


class Passwords:
    """`memory` is in KiB and `rounds` the passes over it, as in RFC 9106; `threads` hashes run at once."""

    def __init__(self, *, memory: int = 47_104, rounds: int = 2, threads: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._nobody = self._threads.submit(self._hasher.hash, "the password of no one")

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one stored; takes as long when there is none stored."""
        matches = asyncio.get_running_loop().run_in_executor(self._threads, self._matches, stored, password)
        return await matches and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._nobody.result(), password)
        except (VerificationError, InvalidHashError):
            return False


def check_new(password: str, field: str) -> None:
    """Refuse a password that is too short to be safe, or too long to be meant."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"a password has {SHORTEST} to {LONGEST} characters", field=field)
