"""Floating-point errors that are looked for in the results, and not warned of."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def quietly(function: F) -> F:
    """The function with all floating-point errors ignored.

    As a decorator NumPy 1's errstate keeps the caller's settings in one place for all calls:
    threads, and a fit inside a fit, would leave each other's behind.
    """

    @wraps(function)
    def quiet(*args, **kwargs):
        # One line, so that nothing can be raised between the call and the end of `with`.
        with np.errstate(all="ignore"): return function(*args, **kwargs)  # noqa: E701  # fmt: skip

    return quiet  # type: ignore[return-value]
