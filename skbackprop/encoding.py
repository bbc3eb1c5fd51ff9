"""Encoding: what the network sees of the scaled features z.

    A[0] = [c(z)  e(z)],    c(z) = z / √(1 + (z/3)²),    eₜ(z) = min(1, max(-1, (z - mₜ) / hₜ))

c bounds every feature smoothly: it is z near 0 and never beyond ±3, so that a cell that is far
from all others has a say like theirs (Holzmüller et al. 2024, section 3 of arXiv 2407.04491).

The eₜ are further columns: a feature's range is cut into bins at quantiles, and of the bin with
the middle mₜ and half the width hₜ the column eₜ rises from -1 to 1 along it. Of such columns a
single layer makes any function of the feature that is linear in each bin (the piecewise-linear
encoding of Gorishniy et al. 2022, arXiv 2203.05556), which targets that jump with the hour of the
day, or an address, need, and which a network of the feature alone learns slowly.

The derivatives are those of elementwise functions:

    df/dz = df/dc ⊙ c'(z) + Σₜ df/deₜ ⊙ eₜ'(z),    c'(z) = (1 + (z/3)²)^(-3/2),  eₜ'(z) = 1/hₜ or 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import BLOCK, blocks
from .scaling import quantiles

Array = np.ndarray

BOUND = 3.0  # of c(z), in units of X_scale: of a normal feature 4 standard deviations
FEW = 3  # values below which there is nothing between to encode


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
    """[c(z)  e(z)] for a row of scaled features z.

    Parameters
    ----------
    column : ndarray of int of shape (bins,)
        The feature that a bin belongs to, ascending.
    middle, half : ndarray of shape (bins,)
        mₜ and hₜ > 0.
    """

    column: Array
    middle: Array
    half: Array

    @property
    def n_bins(self) -> int:
        """Columns of e(z)."""
        return len(self.column)

    def value(self, Z: Array, out: Array) -> Array:
        """[c(z)  e(z)] into `out` of as many columns as there are features and bins."""
        d, largest = Z.shape[1], np.finfo(Z.dtype).max
        for rows in blocks(len(Z), max(1, BLOCK // max(1, out.shape[1]))):
            z = np.clip(Z[rows], -largest, largest)  # what overflowed is as far as can be
            out[rows, :d] = bound(z)
            if self.n_bins:
                np.clip(self._within(z), -1, 1, out=out[rows, d:])
        return out

    def _within(self, Z: Array) -> Array:
        """(z - mₜ) / hₜ of every bin, from -1 to 1 for a z that is in it."""
        E = Z.take(self.column, axis=1)
        np.subtract(E, self.middle, out=E, casting="same_kind")
        return np.divide(E, self.half, out=E, casting="same_kind")

    def pull_back(self, dA: Array, Z: Array) -> Array:
        """df/dz from df/dA[0]."""
        d = Z.shape[1]
        dZ = dA[:, :d] * bound_derivative(Z)
        if self.n_bins:
            slopes = dA[:, d:] * self._slopes(Z)
            first = np.flatnonzero(np.diff(self.column, prepend=-1))  # bin of each feature
            dZ[:, self.column[first]] += np.add.reduceat(slopes, first, axis=1)
        return dZ

    def jacobian(self, Z: Array) -> Array:
        """dA[0]/dz of every row: (m, features and bins, features)."""
        m, d = Z.shape
        J = np.zeros((m, d + self.n_bins, d), Z.dtype)
        j, t = np.arange(d), np.arange(self.n_bins)
        J[:, j, j] = bound_derivative(Z)
        J[:, d + t, self.column] = self._slopes(Z)
        return J

    def _slopes(self, Z: Array) -> Array:
        """eₜ'(z), 1/hₜ for the bin that z is in, else 0."""
        T = self._within(Z)
        return ((T >= -1) & (T < 1)) / self.half


def encoding(Z: Array, weight: Array | None, n_bins: int) -> Encoding:
    """The encoding for a sample of scaled rows: bins between quantiles of equal weight.

    Parameters
    ----------
    Z : ndarray of shape (n, features)
    weight : ndarray of shape (n,) or None
    n_bins : int
        At the most, of a feature; twice as many where each of its values begins one.
    """
    bins: list[tuple[int, Any]] = []
    for j in range(Z.shape[1] if n_bins else 0):
        knots = np.unique(Z[:, j])
        if len(knots) > 2 * n_bins + 1:
            knots = np.unique(quantiles(Z[:, j], np.linspace(0, 1, n_bins + 1), weight))
        if len(knots) >= FEW:
            bins.append((j, knots))
    column = np.repeat([j for j, _ in bins], [len(k) - 1 for _, k in bins]).astype(np.int64)
    low = np.concatenate([np.empty(0), *(k[:-1] for _, k in bins)])
    high = np.concatenate([np.empty(0), *(k[1:] for _, k in bins)])
    half = high / 2 - low / 2
    return Encoding(column, low + half, half)
