"""An explanation as text and as plain data, and what all its forms show of a matrix."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from math import isfinite
from typing import Any

import numpy as np

from .notation import latex

LARGEST = 8  # rows and columns of a matrix that is written out
EDGE = 3  # rows and columns at each side of one that is not
WIDTH = 100  # characters

MORE = "…"


def number(x: Any, digits: int = 4) -> str:
    """A few digits; a zero has no sign."""
    return f"{float(x) + 0.0:.{digits}g}"


def is_small(value: Any) -> bool:
    """Whether a matrix is written out."""
    return all(n <= LARGEST for n in np.shape(value))


def cells(value: Any, digits: int = 4) -> list[list[str]]:
    """The entries, row by row, as text; without the middle of what is large."""
    M = np.atleast_2d(value)
    rows, columns = ([*_shown(n)] for n in M.shape)
    return [[MORE if None in (i, j) else number(M[i, j], digits) for j in columns] for i in rows]


def _shown(n: int) -> Iterator[int | None]:
    """Of n indices those that are shown, None for a gap."""
    if n <= LARGEST:
        yield from range(n)
    else:
        yield from [*range(EDGE), None, *range(n - EDGE, n)]


def size(symbol: Any) -> str:
    """Rows × columns."""
    return " × ".join(map(str, symbol.shape))


def facts(symbol: Any) -> str:
    """Shape, norm and range in words."""
    if not symbol.shape:
        return ""
    low, high = number(symbol.smallest), number(symbol.largest)
    return f"{size(symbol)}, norm {number(symbol.norm)}, entries from {low} to {high}"


def parts(explanation: Any) -> Iterator[tuple[str, list[tuple[int, Any]]]]:
    """(heading, its numbered steps)."""
    numbered = enumerate(explanation.steps, 1)
    for part, steps in groupby(numbered, lambda found: found[1].part):
        yield part, list(steps)


# ----- text ---------------------------------------------------------------------------------


def as_text(explanation: Any) -> str:
    """Lines of at most 100 characters."""
    lines = [*_wrapped(f"{explanation.title}: {explanation.about}", ""), ""]
    lines += _wrapped(explanation.legend, "")
    for part, steps in parts(explanation):
        lines += ["", part.upper()]
        for i, step in steps:
            lines += _text_of_step(i, step)
    return "\n".join(lines)


def _text_of_step(i, step):
    equation = step.equation
    if step.result is not None and not step.result.shape:
        equation += f" = {number(step.result.value)}"
    lines = _wrapped(f"{i:3d}. {equation}", 7 * " ")
    rules = f"{', '.join(step.rules)}: " if step.rules else ""
    lines += _wrapped(rules + step.why, 5 * " ", first=5 * " ")
    uses = [f"{symbol.name} {size(symbol)}" for symbol in step.uses if symbol.shape]
    lines += _wrapped("with " + ", ".join(uses), 10 * " ", first=5 * " ") if uses else []
    if step.result is not None and step.result.shape:
        lines += [f"     {step.result.name}: {facts(step.result)}"]
        lines += [f"       {line}" for line in matrix_lines(step.result.value)]
    return lines


def _wrapped(text, indent, first=""):
    text = text.replace("`", "")
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=indent)


def matrix_lines(value: Any) -> list[str]:
    """A matrix as lines of text, its columns aligned."""
    for digits in (4, 3):  # eight columns of numbers such as -1.234e-105 are too wide
        rows = cells(value, digits)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        if sum(widths) + len(widths) <= WIDTH - 10:
            break
    return [
        "[ " + " ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) + " ]" for row in rows
    ]


# ----- plain data ---------------------------------------------------------------------------


def as_dict(step: Any) -> dict[str, Any]:
    """A step as lists, numbers and strings."""
    return {
        "part": step.part,
        "layer": step.layer,
        "equation": step.equation,
        "latex": latex(step.equation),
        "rules": list(step.rules),
        "why": step.why,
        "result": None if step.result is None else _dict_of_symbol(step.result),
        "uses": [{"name": s.name, "shape": list(s.shape)} for s in step.uses],
    }


def _dict_of_symbol(symbol):
    value = np.asarray(symbol.value, np.float64).tolist() if is_small(symbol.value) else None
    return {
        "name": symbol.name,
        "shape": list(symbol.shape),
        "norm": _finite(symbol.norm),
        "min": _finite(symbol.smallest),
        "max": _finite(symbol.largest),
        "matrix": _finite(value),
    }


def _finite(x):
    """JSON has no number that is not finite."""
    if isinstance(x, list):
        return [_finite(y) for y in x]
    return x if x is None or isfinite(x) else None
