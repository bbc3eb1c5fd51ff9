"""Text and category columns of a data frame, as numbers: every cell the index of its level.

A frame with such columns becomes a matrix of as many. A level that was not seen in fit is -1, a
missing cell NaN, and everything else in the matrix is a number of the frame. What the network
makes of the indices is :mod:`skbackprop.encoding`'s. pandas and polars are known by what their
frames can do, and imported by nobody.
"""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

Array = np.ndarray
Categories = list[Array | None]  # of every feature the sorted levels; None for one of numbers

UNSEEN = -1
OF_POLARS = ("String", "Categorical", "Enum")
FLOATS = [np.float64, np.float32]


def is_frame(X: Any) -> bool:
    """Whether it is a data frame of pandas or polars, or like one."""
    return (hasattr(X, "iloc") or hasattr(X, "to_series")) and hasattr(X, "columns")


def may_have_levels(X: Any) -> bool:
    """Whether a column of a frame has a type that may stand for text or categories."""
    return any(map(_may_be_text, X.dtypes))


def coded(X: Any, categories: Categories | None, learn: bool) -> tuple[Any, Categories | None]:
    """The frame as a matrix, and the categories of its columns, which are learnt or given.

    The frame itself and None if there are only numbers in it, and were in fit.

    Raises
    ------
    TypeError
        For a column of text and numbers, and one that holds other things than in fit; the message
        names it.
    """
    found = {j: _factorized(X, j) for j, dtype in enumerate(X.dtypes) if _may_be_text(dtype)}
    kept: Categories = [None] * X.shape[1] if categories is None else categories
    for j in [j for j, f in found.items() if kept[j] is None and _are_numbers(X, j, f)]:
        _, codes = found.pop(j)
        X = _with_nan(X, j, codes) if (codes < 0).any() else X
    if learn:
        kept = [_sorted(X, j, found[j][0]) if j in found else None for j in range(X.shape[1])]
    if all(levels is None for levels in kept) and not found:
        return X, None
    return _matrix(X, found, kept), kept


def _matrix(X, found, categories) -> Array:
    """The numbers of the frame, and the codes of its other columns."""
    others = [j for j in range(X.shape[1]) if j not in found]
    numbers = np.empty((len(X), 0))
    if others:
        part = X.iloc[:, others] if hasattr(X, "iloc") else X[:, others]
        numbers = check_array(part, dtype=FLOATS, ensure_all_finite=False, ensure_min_samples=0)
    M = np.empty((len(X), X.shape[1]), numbers.dtype)
    M[:, others] = numbers
    for j in others:
        if categories[j] is not None and not np.isnan(M[:, j]).all():
            raise TypeError(f"{_name(X, j)} holds numbers, and in fit it held text or categories")
    for j, (levels, codes) in found.items():
        known = categories[j]
        if known is None and levels:
            raise TypeError(f"{_name(X, j)} holds text or categories, and in fit it held numbers")
        M[:, j] = np.nan if known is None else _codes(X, j, levels, codes, known)
    return M


def _codes(X, j, levels, codes, known) -> Array:
    """Indices of the known levels, by a table of them for those of this frame."""
    if levels and len(known) and _are_text(levels) != (known.dtype == object):
        was, are = ("text", "numbers") if known.dtype == object else ("numbers", "text")
        raise TypeError(f"{_name(X, j)} has {are} for levels, and in fit it had {was}")
    index = {level: code for code, level in enumerate(known.tolist())}
    table = [float(index.get(level, UNSEEN)) for level in levels]
    return np.array([*table, np.nan])[codes]  # the code of a missing cell is -1, the last entry


def _sorted(X, j, levels) -> Array:
    """The levels as an array: of str, or of numbers, of which bools are two."""
    if _are_text(levels):
        text = np.empty(len(levels), object)
        text[:] = sorted(map(str.__str__, levels))  # str(level) of an Enum's is another text
        return text
    if not all(isinstance(level, (Real, np.bool_)) for level in levels):
        kinds = ", ".join(sorted({type(level).__name__ for level in levels}))
        raise TypeError(
            f"{_name(X, j)} must have text alone for levels, or numbers alone; it has {kinds} "
            "(text it is after astype(str))"
        )
    whole = all(float(level).is_integer() and abs(level) < 2**63 for level in levels)
    values = np.array([int(x) if whole else float(x) for x in levels], np.int64 if whole else float)
    if not np.isfinite(values).all():
        raise ValueError(f"{_name(X, j)} has a level that is infinite")
    rounded = set(levels) - set(values.tolist())  # not to be found again, and of two maybe one
    if rounded:
        raise ValueError(
            f"{_name(X, j)} has a level that neither int64 nor float64 holds, {rounded.pop()}: "
            "make text of them"
        )
    return np.unique(values)


def _factorized(X, j) -> tuple[list[Any], Array]:
    """Levels of a column, in any order, and the index of every cell's, -1 where it is missing."""
    if hasattr(X, "iloc"):
        try:
            codes, levels = X.iloc[:, j].factorize()
        except TypeError as error:  # lists and the like
            raise TypeError(f"{_name(X, j)} holds what is no level: {error}") from error
        return levels.tolist(), codes
    text = X.to_series(j).cast(str)
    levels = text.unique().drop_nulls()
    codes = text.replace_strict(levels, list(range(len(levels))), default=-1)
    return levels.to_list(), codes.fill_null(-1).to_numpy()


def _may_be_text(dtype: Any) -> bool:
    """pandas' text, categories and objects are of the kind "O", Arrow's text of "U"."""
    return getattr(dtype, "kind", "") in ("O", "U") or str(dtype).partition("(")[0] in OF_POLARS


def _are_numbers(X, j, factorized) -> bool:
    """Whether a column of objects has no text in it: it is left to the conversion to numbers.

    So are Arrow's decimal numbers, which are objects to pandas.
    """
    name = getattr(list(X.dtypes)[j], "name", "")
    are_objects = name == "object" or name.startswith("decimal")
    return are_objects and not any(isinstance(level, str) for level in factorized[0])


def _with_nan(X, j, codes) -> Any:
    """The frame with NaN where a cell is missing: pandas' NA among objects is no number."""
    cells = np.array(X.iloc[:, j], object)
    cells[codes < 0] = np.nan
    X = X.copy(deep=False)
    X.isetitem(j, cells)
    return X


def _are_text(levels) -> bool:
    return all(isinstance(level, str) for level in levels)


def _name(X, j) -> str:
    return f"column {list(X.columns)[j]!r}"
