"""A contract: promises that an object of a user's own makes, a line of a report for each."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from .reports import Line

Array = np.ndarray

EXACT = 1e-12  # the same formula, its operations in another order


def held(rule: str, problem: Callable[..., str], *args: Any) -> Line:
    """The line of a promise; `problem` says what is wrong with it, if anything is."""
    return judged(rule, lambda: verdict(rule, problem(*args)))


def judged(rule: str, line: Callable[[], Line]) -> Line:
    """What line() gives, or the line that says which error came out."""
    try:
        return line()
    except Exception as error:  # whatever an object of the user's raises: the report says it
        return verdict(rule, f"{type(error).__name__}: {error}")


def verdict(rule: str, wrong: str) -> Line:
    """The line of a rule with what is wrong about it; "" if nothing is."""
    return Line(rule, "wrong" if wrong else "ok", note=wrong)


def differs(a: Any, b: Any, tolerance: float = EXACT) -> bool:
    """Whether arrays are of different shape, or apart by more than rounding."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return True
    return bool(np.any(~(abs(a - b) <= tolerance * np.maximum(1, abs(b))) & (a != b)))


def copies(obj: Any, value: Callable[[Any], Any]) -> str:
    """What is wrong with copies of an object, of which value(obj) is to be what the object's is."""
    expected = value(obj)
    for how, copied in (("deepcopy", deepcopy(obj)), ("pickle", pickle.loads(pickle.dumps(obj)))):
        if differs(value(copied), expected):
            return f"a copy by {how} computes something else"
    return ""


def problem_of_out(name: str, result: Any, out: Array, expected: Any) -> str:
    """`out` may be left alone, and the result is then copied; but not filled with another."""
    if differs(result, expected):
        return f"{name}() with out= returns something else than without"
    if not np.isnan(out).all() and differs(out, expected):
        return f"{name}() puts something else into out than it returns"
    return ""
