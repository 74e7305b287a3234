"""Compare functions by their code and the values that they hold: two of equal shape build the same SQL.

A key written by hand beside a function could be the same for two that differ.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from types import FunctionType, MethodType
from typing import Any


@lru_cache(maxsize=2_000)
def shape(function: Callable[..., Any]) -> Hashable:
    """A value that is equal for functions with the same code and equal values of the same types. Raises TypeError for a
    function that holds a value without a hash, which may change."""
    if isinstance(function, partial):
        named = tuple((name, _held(value)) for name, value in sorted(function.keywords.items()))
        return partial, shape(function.func), _all(function.args), named
    if isinstance(function, MethodType):
        return MethodType, shape(function.__func__), _held(function.__self__)
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} is no function whose code can be compared")
    held = _all(tuple(cell.cell_contents for cell in function.__closure__ or ()))
    defaults = _all((*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())))
    return function.__module__, function.__code__, held, defaults


def _all(values: tuple[Any, ...]) -> Hashable:
    return tuple(map(_held, values))


def _held(value: Any) -> Hashable:
    """The value with its type, because 1, 1.0 and True are equal."""
    if isinstance(value, FunctionType | MethodType | partial):
        return shape(value)
    if isinstance(value, tuple):
        return type(value), _all(value)
    hash(value)
    return type(value), value
