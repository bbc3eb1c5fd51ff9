"""Standardisation: (X - shift) / scale, with weighted statistics, read block by block.

Rows of a table reach the network through :class:`Rows`, which gathers the rows of a
batch and scales them in the batch's own memory: neither a sparse matrix made dense nor
a scaled copy of a large table ever exists as a whole.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from math import isfinite
from typing import Any

import numpy as np
from scipy import sparse

from .blocks import blocks

Array = np.ndarray

SAMPLE_ENTRIES, FEWEST_ROWS = 2**19, 4096  # of the rows that quantiles are taken of
ROUNDING = 1e-12
BLOCK_ENTRIES = 2**16  # of a table at a time: 512 kB of float64

SMALLEST = np.finfo(np.float32).smallest_subnormal
SMALLEST_64 = np.finfo(np.float64).smallest_subnormal
HUGE_SHIFT = 2.0**100  # up to here X - shift of the largest float32 X is X, and no overflow


class Rows:
    """(X[rows] - shift) / scale.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, columns)
    dtype : dtype
        Type of the batches.
    shift, scale : ndarray of shape (columns,), or None
        None for 0 and 1.
    encoding : object with ``value(Z, out)``, or None
        What is made of the scaled rows, of which it may make more columns.
    """

    def __init__(
        self,
        X: Any,
        dtype: Any,
        shift: Array | None = None,
        scale: Array | None = None,
        encoding: Any = None,
    ):
        self.encoding = encoding
        self.X = X if sparse.issparse(X) else np.asarray(X)  # np.take is slow on a memmap
        self.shape, self.dtype_out = X.shape, np.dtype(dtype)
        # Scaled in the wider type, before any rounding: 1e6 + noise in float32 is all rounding.
        same = X.dtype == self.dtype_out  # result_type takes 0.7 µs
        self.dtype = self.dtype_out if same else np.result_type(X.dtype, dtype)
        huge = shift is not None and np.maximum.reduce(np.abs(shift), initial=0) > HUGE_SHIFT
        if huge:
            self.dtype = np.dtype(np.float64)
        self.shift = None if shift is None else shift.astype(self.dtype)
        self.scale = None if scale is None else scale.astype(self.dtype)
        if self.scale is not None and self.dtype != np.float64:  # where it may have become 0
            np.maximum(self.scale, SMALLEST, out=self.scale)
        self.part = None
        if huge:
            self._divide_by_4()
        self._memory: dict[str, Array] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def apart(self) -> "Rows":
        """The same rows, with memory of their own: threads may take at the same time."""
        other = copy(self)
        other._memory = {}
        return other

    def take(self, rows: Any, out: Array) -> Array:
        """Rows, a slice or an array of indices, into `out`, which may have gaps."""
        if self.encoding is None:
            return self.scaled(rows, out)
        Z = self.scaled(rows, self._buffer("scaled", len(out), self.dtype_out))
        return self.encoding.value(Z, out)

    def scaled(self, rows: Any, out: Array) -> Array:
        """The rows before their encoding."""
        B = self._gather(rows, len(out))
        wide = out if out.dtype == self.dtype else self._buffer("wide", len(out), self.dtype)
        if self.part is not None:
            B = np.multiply(B, self.part, out=wide)
        if self.shift is not None:
            B = np.subtract(B, self.shift, out=wide)
        if self.scale is not None:
            # Divided, not multiplied by 1/scale: that is infinite for the smallest scales.
            B = np.divide(B, self.scale, out=wide)
        if B is not out:
            np.copyto(out, B, casting="same_kind")
        return out

    def _divide_by_4(self):
        """(X/4 - shift/4) / (scale/4) in the columns whose X - shift might overflow."""
        # Exact, for entries so small that a quarter of them is rounded do not change a huge shift.
        self.part = np.where(np.abs(self.shift) > HUGE_SHIFT, 0.25, 1.0)
        self.shift = self.shift * self.part
        # Never 0, which a quarter of the smallest numbers is: 0/0 is NaN.
        scale = self.part * (1 if self.scale is None else self.scale)
        self.scale = np.maximum(scale, SMALLEST_64)

    def _gather(self, rows, m):
        """X[rows], in memory that is used again."""
        if sparse.issparse(self.X):
            return self.X[rows].toarray()
        if isinstance(rows, slice):
            return self.X[rows]
        if self.X.flags.c_contiguous:
            # 3 µs for 200 rows of 20, X[rows] twice that; mode: "raise" makes a copy.
            return self.X.take(rows, 0, self._buffer("gathered", m, self.X.dtype), "clip")
        if self.X.flags.f_contiguous:  # of which np.take would copy the whole at every call
            columns = self._buffer("gathered", m, self.X.dtype).reshape(self.shape[1], m)
            return self.X.T.take(rows, 1, columns, "clip").T
        return self.X[rows]

    def _buffer(self, name, m, dtype):
        size = m * self.shape[1]
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = np.empty(size, dtype)
        return self._memory[name][:size].reshape(m, self.shape[1])


def standardization(
    X: Any, weight: Array | None = None, center: bool = True, index: Array | None = None
) -> tuple[Array | None, Array]:
    """Shift and scale of every column: weighted mean and standard deviation.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, columns)
    weight : ndarray of shape (n,), optional
        Weights of the rows, not all zero. A row of weight zero counts for nothing.
    center : bool
        False for no shift, and the root mean square as the scale.
    index : ndarray of int, optional
        The rows that count, as often as they are there; all of them if omitted.

    Returns
    -------
    shift : ndarray of shape (columns,), float64, or None without `center`
    scale : ndarray of shape (columns,), float64
        Never 0: a constant column c has the scale abs(c), or 1 if c = 0.

    Notes
    -----
    Each column is first divided by a power of two near its largest entry, which rounds
    nothing (but what is below 1e-300 of the largest), so that no square overflows or
    vanishes from 1e-300 to 1e300. A column is constant if all its entries are equal, not if
    its deviation is small: 1e12 and 1e12 + 1 may be the data.
    """
    read = reader(X, weight, index)
    low, high = _extremes(read)
    magnitude = np.maximum(abs(low), abs(high))
    exponent = np.frexp(magnitude)[1]
    mean = _mean(read, lambda B: np.ldexp(B, -exponent))
    mean = np.clip(mean, np.ldexp(low, -exponent), np.ldexp(high, -exponent))
    origin = mean if center else np.zeros_like(mean)
    variance = _mean(read, lambda B: np.square(np.ldexp(B, -exponent) - origin))
    scale = np.ldexp(np.sqrt(variance), exponent)
    constant = (low == high) | (scale == 0)
    scale = np.where(constant, np.where(magnitude > 0, magnitude, 1), scale)
    return (np.ldexp(mean, exponent) if center else None), scale


def deviations(X: Any, weight: Array | None = None) -> Array:
    """Standard deviation of every column, in any unit, of the cells that are there; 0 for none."""
    low, high = _extremes(reader(X, weight, None))
    found = np.where(low == high, 0.0, standardization(X, weight)[1])
    for j in np.flatnonzero(np.isnan(low)):
        there = ~np.isnan(X[:, j])
        w = None if weight is None else weight[there]
        counts = there.any() and (w is None or w.any())
        found[j] = deviations(X[there][:, [j]], w)[0] if counts else 0.0
    return found


def robust_standardization(
    X: Array, weight: Array | None = None, index: Array | None = None
) -> tuple[Array, Array]:
    """Shift and scale of every column: weighted median and interquartile range.

    Parameters are those of :func:`standardization`, of an X that is not sparse.

    Returns
    -------
    shift, scale : ndarray of shape (columns,), float64
        A column of which a half is one value, and more, has half its range as the scale; a constant
        column that of :func:`standardization`. Quartiles are those of a sample of the rows.
    """
    read = reader(X, weight, index)
    low, high = _extremes(read)
    magnitude = np.maximum(abs(low), abs(high))
    exponent = np.frexp(magnitude)[1] + 1  # so that no difference overflows
    Z, w = sample(X, weight, index)
    Z = np.ldexp(Z, -exponent)
    first, median, third = (quantiles(Z, q, w) for q in (0.25, 0.5, 0.75))
    half = np.ldexp(high, -exponent) / 2 - np.ldexp(low, -exponent) / 2
    scale = np.ldexp(np.where(third > first, third - first, half), exponent)
    scale = np.minimum(scale, np.finfo(np.float64).max)
    constant = (low == high) | (scale == 0)
    scale = np.where(constant, np.where(magnitude > 0, magnitude, 1), scale)
    return np.ldexp(median, exponent), scale


def of_present_cells(
    statistics: Callable[..., tuple[Array | None, Array]],
    X: Any,
    weight: Array | None,
    index: Array | None,
    missing: Array,
) -> tuple[Array | None, Array]:
    """Shift and scale as `statistics` has them, of a column with missing cells by the others' rows.

    Parameters
    ----------
    statistics : callable
        ``statistics(X, weight, index=index)``.
    X, weight, index
        As in :func:`standardization`.
    missing : ndarray of int
        Columns with cells that are NaN. One without any other has the shift 0 and the scale 1.
    """
    shift, scale = statistics(X, weight, index=index)
    every = np.arange(X.shape[0]) if index is None else index
    for j in missing:
        rows = every[~np.isnan(X[every, j])]
        rows = rows if weight is None else rows[weight[rows] > 0]
        center, unit = statistics(X[:, [j]], weight, index=rows) if len(rows) else ([0.0], [1.0])
        scale[j] = unit[0]
        if shift is not None:
            shift[j] = center[0]  # type: ignore[index]  # None of all columns or of none
    return shift, scale


def has_missing(X: Any) -> bool:
    """Whether a cell is NaN."""
    entries = X.data if sparse.issparse(X) else X
    with np.errstate(all="ignore"):  # the sum may overflow, and be inf - inf then
        if isfinite(np.add.reduce(entries, axis=None)):
            return False
    return any(np.isnan(entries[rows]).any() for rows in blocks(len(entries), FEWEST_ROWS))


def check_complete(X: Any, name: str = "X") -> None:
    """Refuse missing cells, for which there are no units."""
    if has_missing(X):
        raise ValueError(
            f"{name} contains NaN, and standardize=False has no mean to put in the place of a "
            "missing cell: fill it, or standardize"
        )


def sample(X: Any, weight: Array | None, index: Array | None) -> tuple[Array, Array | None]:
    """Rows of positive weight, or some that are evenly spaced, in float64, and their weights."""
    n = X.shape[0] if index is None else len(index)
    most = max(FEWEST_ROWS, SAMPLE_ENTRIES // max(1, X.shape[1]))
    rows: Any = np.arange(0, n, -(-n // most))
    if index is not None:
        rows = index[rows]
    if weight is not None:
        rows = rows[weight[rows] > 0] if (weight[rows] > 0).any() else np.flatnonzero(weight)[:1]
    Z = X[rows].astype(np.float64)
    return Z, None if weight is None else weight[rows] / weight.max()


def quantiles(Z: Array, q: Any, weight: Array | None = None) -> Array:
    """The smallest value that a share q of the weight does not exceed, of every column.

    A row of weight 2 counts as two rows. `q` is a number, or for a single column several.
    """
    order = np.argsort(Z, axis=0, kind="stable")
    sorted_Z = np.take_along_axis(Z, order, axis=0)
    w = np.ones(Z.shape) if weight is None else weight[order]
    total = np.cumsum(w, axis=0)
    # A rounding of the sum is not to move a quantile to the next value.
    at = np.multiply.outer(np.asarray(q) * (1 - ROUNDING), total[-1])
    if Z.ndim == 1:
        return sorted_Z[np.minimum(np.searchsorted(total, at), len(Z) - 1)]
    rows = np.minimum((total < at).sum(axis=0), len(Z) - 1)
    return sorted_Z[rows, np.arange(Z.shape[1])]


def target_standardization(
    Y: Array, weight: Array | None, loss: Any, output: str, center: bool, index: Any = None
) -> tuple[Array | None, Array | None]:
    """Shift and scale of the targets: where the network's 0 and 1 lie in the caller's units.

    Parameters
    ----------
    Y, weight, center, index
        As in :func:`standardization`.
    loss : Loss
        One without a ``degree`` leaves the targets as they are, one that is not
        ``translation_invariant`` does not let them be shifted.
    output : {"any", "scale", "fixed"}
        What the output activation bears (see :mod:`skbackprop.activations`): for "any"
        the loss's best constant and the standard deviation, for "scale" no shift and
        the mean of abs(y).
    """
    if loss.degree is None or output == "fixed":
        return None, None
    if output == "scale" or not loss.translation_invariant:
        read = reader(Y, weight, index)
        low, high = _extremes(read, np.abs)
        exponent = np.frexp(high)[1]  # as in `standardization`
        mean = np.ldexp(_mean(read, lambda B: np.ldexp(np.abs(B), -exponent)), exponent)
        mean = np.clip(mean, low, high)
        return None, np.where(mean > 0, mean, 1)
    shift, scale = standardization(Y, weight, center, index)
    if shift is not None and not loss.best_is_mean:
        w = None
        if index is not None:
            Y, weight = Y[index], None if weight is None else weight[index]
        if weight is not None:
            Y, w = Y[weight > 0], (weight[weight > 0] / weight.max())[:, None]
        Z = Rows(Y, np.float64, shift, scale).take(slice(None), np.empty(Y.shape))
        shift = shift + scale * loss.best_constant(Z, w)
    return shift, scale


Block = tuple[Array, Array]  # rows and their weights, of which the largest is 1


def reader(X: Any, weight: Array | None, index: Any) -> Callable[[], Iterable[Block]]:
    """A function that goes through the rows of positive weight, block by block, in float64."""
    largest = 1.0 if weight is None else weight.max()  # weights of 1e300 must not overflow
    n, columns = X.shape[0] if index is None else len(index), X.shape[1]

    def read() -> Iterator[Block]:
        for block in blocks(n, max(1, BLOCK_ENTRIES // max(1, columns))):
            rows = block if index is None else index[block]
            w = np.ones(block.stop - block.start) if weight is None else weight[rows] / largest
            B = X[rows].toarray() if sparse.issparse(X) else np.asarray(X[rows])
            B = B.astype(np.float64, copy=False)
            yield (B, w) if w.all() else (B[w > 0], w[w > 0])

    if n * columns > BLOCK_ENTRIES:
        return read
    once = list(read())
    return lambda: once


def _extremes(read, function=np.asarray):
    """The smallest and the largest of function(X), column by column."""
    low = high = np.array(np.nan)
    for B, w in read():
        if len(w):
            B = function(B)
            low, high = np.fmin(low, B.min(axis=0)), np.fmax(high, B.max(axis=0))
    return low, high


def _mean(read, function):
    """Weighted mean over the rows of function(X), column by column."""
    total = weights = 0.0
    for B, w in read():
        total = total + w @ function(B)
        weights += w.sum()
    return total / weights
