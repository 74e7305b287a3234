"""Which worker runs which tests: those of a module on one database are run by one, so that what they share is made once.

xdist's own groups go by marks that it writes into ids; with pytest 9.2 they have no effect.
"""

import re
from typing import Any

from xdist.scheduler import LoadScopeScheduling

from tests.support.databases import BACKENDS

_BACKEND = re.compile(rf"(?:^|-)({'|'.join(BACKENDS)})(?:-|$)")


def backend_of(nodeid: str) -> str:
    """The database that a test runs on, by its parameters; empty where that is not its subject."""
    found = _BACKEND.search(nodeid.partition("[")[2].removesuffix("]"))
    return found[1] if found else ""


def group_of(nodeid: str) -> str:
    return f"{nodeid.partition('::')[0]} {backend_of(nodeid)}"


class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> Any:
        return group_of(nodeid)
