"""Encoding: what the network sees of the scaled features z.

    A[0] = [c(z)  e(z)  o(z)  i(z)]

    c(z) = z / √(1 + (z/3)²)                     eₜ(z) = min(1, max(-1, (z - mₜ) / hₜ))
    oₜ(z) = [z = pₜ] - [z = qₜ]                   iₜ(z) = [z is missing]

c bounds every feature smoothly: it is z near 0 and never beyond ±3, so that a cell that is far
from all others has a say like theirs (Holzmüller et al. 2024, section 3 of arXiv 2407.04491).
Without robust units c(z) = z.

The eₜ are further columns: a feature's range is cut into bins at quantiles, and of the bin with
the middle mₜ and half the width hₜ the column eₜ rises from -1 to 1 along it. Of such columns a
single layer makes any function of the feature that is linear in each bin (the piecewise-linear
encoding of Gorishniy et al. 2022, arXiv 2203.05556), which targets that jump with the hour of the
day, or an address, need, and which a network of the feature alone learns slowly.

The z of a category is the number of its level, and has columns oₜ in place of c: of two levels
one, that is 1 for pₜ and -1 for qₜ, of three and more one for each, and qₜ is no number of a
level. A level without columns, as one that no training row has, gives zeros. Where a feature is
missing its z is 0, the mean or median, for c and e, and iₜ says so.

The derivatives by the z that are numbers, and there, are those of elementwise functions:

    df/dz = df/dc ⊙ c'(z) + Σₜ df/deₜ ⊙ eₜ'(z),    c'(z) = (1 + (z/3)²)^(-3/2),  eₜ'(z) = 1/hₜ or 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blocks import BLOCK, blocks
from .scaling import quantiles

Array = np.ndarray

BOUND = 3.0  # of c(z), in units of X_scale: of a normal feature 4 standard deviations
FEW = 3  # values below which there is nothing between to encode
NEVER = -2  # qₜ of a level with a column of its own; -1 is a level that was not seen
NO_COLUMNS = np.empty(0, np.int64)


def bound(Z: Array) -> Array:
    """c(z) = z / √(1 + (z/3)²)."""
    return Z / np.hypot(1, Z / BOUND)  # z² would overflow


def bound_derivative(Z: Array) -> Array:
    """c'(z) = (1 + (z/3)²)^(-3/2)."""
    return np.hypot(1, Z / BOUND) ** -3


def bound_second_derivative(Z: Array) -> Array:
    """c''(z) = -z/3 (1 + (z/3)²)^(-5/2)."""
    return -Z / BOUND * np.hypot(1, Z / BOUND) ** -5


@dataclass
class Encoding:
    """[c(z)  e(z)  o(z)  i(z)] for a row of scaled features z, of which any may be missing: NaN.

    Parameters
    ----------
    column : ndarray of int of shape (bins,)
        The feature that a bin belongs to, ascending.
    middle, half : ndarray of shape (bins,)
        mₜ and hₜ > 0.
    level_column, level, other : ndarray of int of shape (levels,)
        The feature that a column of o(z) belongs to, ascending; pₜ and qₜ.
    missing_column : ndarray of int
        Features with a column of i(z), ascending.
    categories : ndarray of int
        Features that are numbers of levels, ascending.
    bounded : bool
        False for c(z) = z.
    """

    column: Array = field(default_factory=lambda: NO_COLUMNS)
    middle: Array = field(default_factory=lambda: NO_COLUMNS)
    half: Array = field(default_factory=lambda: NO_COLUMNS)
    level_column: Array = field(default_factory=lambda: NO_COLUMNS)
    level: Array = field(default_factory=lambda: NO_COLUMNS)
    other: Array = field(default_factory=lambda: NO_COLUMNS)
    missing_column: Array = field(default_factory=lambda: NO_COLUMNS)
    categories: Array = field(default_factory=lambda: NO_COLUMNS)
    bounded: bool = True

    @property
    def n_bins(self) -> int:
        """Columns of e(z)."""
        return len(self.column)

    @property
    def n_added(self) -> int:
        """Columns of A[0] less those of z."""
        added = self.n_bins + len(self.level_column) + len(self.missing_column)
        return added - len(self.categories)

    def numbers(self, n_features: int) -> Any:
        """Index of the features that are no categories."""
        if not len(self.categories):
            return slice(None)
        return np.delete(np.arange(n_features), self.categories)

    def parts(self, n_features: int) -> tuple[slice, slice, slice, slice]:
        """Columns of A[0] that are c(z), e(z), o(z) and i(z)."""
        c = n_features - len(self.categories)
        e = c + len(self.column)
        o = e + len(self.level_column)
        return slice(c), slice(c, e), slice(e, o), slice(o, None)

    def value(self, Z: Array, out: Array) -> Array:
        """A[0] into `out`, which has its columns."""
        largest, numbers = np.finfo(Z.dtype).max, self.numbers(Z.shape[1])
        c, e, o, i = self.parts(Z.shape[1])
        for rows in blocks(len(Z), max(1, BLOCK // max(1, out.shape[1]))):
            z = np.clip(Z[rows], -largest, largest)  # what overflowed is as far as can be
            if len(self.level_column):
                levels = z.take(self.level_column, axis=1)
                out[rows, o] = levels == self.level
                out[rows, o] -= levels == self.other
            missing = np.isnan(z)
            if missing.any():
                z[missing] = 0
            if len(self.missing_column):
                out[rows, i] = missing[:, self.missing_column]
            out[rows, c] = bound(z[:, numbers]) if self.bounded else z[:, numbers]
            if self.n_bins:
                np.clip(self._within(z), -1, 1, out=out[rows, e])
        return out

    def _within(self, Z: Array) -> Array:
        """(z - mₜ) / hₜ of every bin, from -1 to 1 for a z that is in it."""
        E = Z.take(self.column, axis=1)
        np.subtract(E, self.middle, out=E, casting="same_kind")
        return np.divide(E, self.half, out=E, casting="same_kind")

    def pull_back(self, dA: Array, Z: Array) -> Array:
        """df/dz = df/dc ⊙ c'(z) + Σₜ df/deₜ ⊙ eₜ'(z); 0 for categories."""
        numbers, (c, e, _, _) = self.numbers(Z.shape[1]), self.parts(Z.shape[1])
        dZ = np.zeros(Z.shape, dA.dtype)
        dZ[:, numbers] = dA[:, c] * self._slope(Z[:, numbers])
        if self.n_bins:
            slopes = dA[:, e] * self._slopes(Z)
            first = np.flatnonzero(np.diff(self.column, prepend=-1))  # bin of each feature
            dZ[:, self.column[first]] += np.add.reduceat(slopes, first, axis=1)
        return dZ

    def jacobian(self, Z: Array) -> Array:
        """dA[0]/dz of every row: (m, columns of A[0], features)."""
        m, d = Z.shape
        J, numbers = np.zeros((m, d + self.n_added, d), Z.dtype), np.arange(d)[self.numbers(d)]
        c, e = np.arange(len(numbers)), len(numbers) + np.arange(self.n_bins)
        J[:, c, numbers] = self._slope(Z[:, numbers])
        J[:, e, self.column] = self._slopes(Z)
        return J

    def bend(self, dA: Array, Z: Array) -> Array:
        """df/dc ⊙ c''(z), of every feature; 0 for categories."""
        numbers, c = self.numbers(Z.shape[1]), self.parts(Z.shape[1])[0]
        bend = np.zeros(Z.shape, dA.dtype)
        if self.bounded:
            bend[:, numbers] = dA[:, c] * bound_second_derivative(Z[:, numbers])
        return bend

    def _slope(self, Z: Array) -> Array:
        """c'(z)."""
        return bound_derivative(Z) if self.bounded else np.ones_like(Z)

    def _slopes(self, Z: Array) -> Array:
        """eₜ'(z), 1/hₜ for the bin that z is in, else 0."""
        T = self._within(Z)
        return ((T >= -1) & (T < 1)) / self.half


def bins_of(
    Z: Array, weight: Array | None, n_bins: int, categories: Any = ()
) -> tuple[Array, Array, Array]:
    """Features, mₜ = (high + low)/2 and hₜ = (high - low)/2 of bins between their quantiles.

    Parameters
    ----------
    Z : ndarray of shape (n, features)
        A sample of scaled rows; a missing cell, NaN, is left out.
    weight : ndarray of shape (n,) or None
        Of the rows; a bin has as much of it as another.
    n_bins : int
        At the most, of a feature; twice as many where each of its values begins one.
    categories : ndarray of int
        Features without bins.
    """
    bins: list[tuple[int, Any]] = []
    for j in range(Z.shape[1] if n_bins else 0):
        if j in categories:
            continue
        z, w = Z[:, j], weight
        there = ~np.isnan(z)
        if not there.all():
            z, w = z[there], None if w is None else w[there]
        knots = np.unique(z)
        if len(knots) > 2 * n_bins + 1:
            knots = np.unique(quantiles(z, np.linspace(0, 1, n_bins + 1), w))
        if len(knots) >= FEW:
            bins.append((j, knots))
    column = np.repeat([j for j, _ in bins], [len(k) - 1 for _, k in bins]).astype(np.int64)
    low = np.concatenate([np.empty(0), *(k[:-1] for _, k in bins)])
    high = np.concatenate([np.empty(0), *(k[1:] for _, k in bins)])
    half = high / 2 - low / 2
    return column, low + half, half


def levels_of(codes: Mapping[int, Array]) -> tuple[Array, Array, Array]:
    """Features, pₜ and qₜ of the columns for levels, of every feature those that occur.

    Parameters
    ----------
    codes : dict of int to ndarray of int
        For a feature the numbers of its levels, ascending.
    """
    columns: list[tuple[int, int, int]] = []
    for j, present in codes.items():
        if len(present) == 2:
            columns.append((j, present[1], present[0]))
        elif len(present) > 2:
            columns += [(j, level, NEVER) for level in present]
    column, level, other = np.array(columns, np.int64).reshape(-1, 3).T.copy()
    return column, level, other
