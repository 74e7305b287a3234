"""Password hashes (argon2id). Each takes its memory and a core, so a bounded number is computed at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from resolvers.identity.password_rules import TYPED, Leaked, check_new, normal


class Passwords:
    """The hasher. `memory` is in KiB and `rounds` the passes over it, as in RFC 9106; at most `threads` hashes are
    computed at once. `leaked` are passwords that are refused besides the common ones."""

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
        """Whether the password is the stored one. It takes as long when none is stored."""
        right = len(password) <= TYPED  # one that is longer is nobody's, and could take long to be read
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
        return self._hasher.hash(normal(password))

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._nobody.result(), normal(password))
        except (VerificationError, InvalidHashError):
            return False
