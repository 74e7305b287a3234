"""Walking through the pages of a connection."""

from collections.abc import Iterable, Mapping
from typing import Any

from torana_client.errors import NotFound

Path = str | Iterable[str]
"""Where the connection stands in the data: `specs`, `project.simulations`, or the names one by one."""


class Walk:
    """The pages of one connection, one after the other. `variables` are those of the next page, None at the end."""

    def __init__(self, variables: Mapping[str, Any] | None, path: Path) -> None:
        self._path = path.split(".") if isinstance(path, str) else list(path)
        self.variables: dict[str, Any] | None = dict(variables or {})

    def nodes(self, data: dict[str, Any]) -> list[Any]:
        """The nodes of a page. Raises NotFound where the path leads to null, ValueError where to no connection."""
        found: Any = data
        for name in self._path:
            if not isinstance(found, dict) or name not in found:
                raise ValueError(f"the document selects no {'.'.join(self._path)}")
            found = found[name]
            if found is None:
                told = f"{'.'.join(self._path)}: there is no {name}, or it may not be seen"
                raise NotFound(told, code="NOT_FOUND", path=self._path)
        try:
            nodes, info = found["nodes"], found["pageInfo"]
            more, cursor = info["hasNextPage"], info["endCursor"]
        except (KeyError, TypeError):
            told = "the document selects `nodes` and `pageInfo { hasNextPage endCursor }` of a connection"
            raise ValueError(f"{told}; {'.'.join(self._path)} has not both") from None
        assert self.variables is not None
        if more and cursor == self.variables.get("after"):
            raise ValueError(f"the document gives {'.'.join(self._path)} no `after: $after`: each page is the first")
        self.variables = {**self.variables, "after": cursor} if more else None
        return list(nodes)
