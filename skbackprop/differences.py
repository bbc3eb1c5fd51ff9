"""Derivatives compared with differences: steps swept, error bars, kinks told apart.

For a function φ of a number t, a derivative that is claimed is compared with

    (φ(h) - φ(-h)) / 2h,        h = 1e-3, 1e-4, …, 1e-8.

Truncation makes long steps wrong (by h² φ''' / 6), rounding the short ones (by about 2⁻⁵³ φ / h).
Where two neighbours agree best, rounding counted in, is the difference that is used, and what they
disagree by is its error bar: neither rests on the derivative that is to be checked, which could
otherwise pick the step at which it is right by chance.

At a kink, such as that of relu at 0, the differences to the right and to the left settle on two
numbers, and a formula may give either or one in between. Such a place is neither right nor wrong.

φ goes along a direction V through a matrix M, φ(t) = f(M + t V) with φ'(0) = <df/dM, V>. For a
small M that is entry after entry. For a large one V has random signs: whatever the other entries
do, a wrong entry then moves <df/dM, V> by its error or by minus its error, of which at most one can
leave it within the tolerance. So an error of more than 1e-6 of the size of df/dM in any entry is
overlooked by one direction with probability 1/2 at the most, and by 16 with 2⁻¹⁶; if no other
entry is wrong, never.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .quiet import quietly

Array = np.ndarray

STEPS = 10.0 ** -np.arange(3, 9)
SHORT = 3  # 1e-6
ROUNDING = 2.0**-50  # of a value of f, relative: a few operations' worth
TOLERANCE = 1e-6  # a right derivative is within 1e-9, a wrong one seldom within 1e-3
MARGIN = 10.0  # see compare
RESOLVED = 1e-3  # an error bar beyond which differences say nothing
ENTRIES = 256  # the most that are compared one by one
DIRECTIONS = 16
AT_ONCE = 2**18  # entries of the directions that are followed at the same time


class Slopes(NamedTuple):
    """φ'(0) by differences: of both sides, of the right and of the left, with error bars."""

    both: Array
    bar: Array
    right: Array
    left: Array
    one_sided_bar: Array
    # Of the step at which right and left are the least apart, rounding counted in:
    close: Array  # the difference of both sides,
    apart: Array  # how far apart they are,
    rounding: Array  # and that of the step or of 1e-6, as kinks nearer than that are not seen.


@quietly
def slopes(phi: Callable[[float], Any]) -> Slopes:
    """φ'(0) of a function φ(t), or of every entry of one whose values are arrays."""
    middle = np.asarray(phi(0.0), np.float64)
    after, before = (np.array([phi(h) for h in sign * STEPS], np.float64) for sign in (1.0, -1.0))
    h = STEPS.reshape(-1, *[1] * middle.ndim)
    largest = np.maximum(np.maximum(abs(after), abs(before)), abs(middle))
    rounding = ROUNDING * largest / h
    D, right, left = (after - before) / (2 * h), (after - middle) / h, (middle - before) / h
    apart = _apart(right - left, rounding)
    both, bar = _settled(D, rounding)
    right, right_bar = _settled(_extrapolated(right), rounding[1:])
    left, left_bar = _settled(_extrapolated(left), rounding[1:])
    closest = _finite(apart + rounding).argmin(axis=0)
    at_closest = (_pick(M, closest) for M in (D, apart, np.maximum(rounding, rounding[SHORT])))
    return Slopes(both, bar, right, left, right_bar + left_bar, *at_closest)


def _apart(s: Array, rounding: Array) -> Array:
    """How far right and left are apart, but for what curvature accounts for.

    By that alone they are h φ'' apart: ten times less for every step. Beside it an error of 1e-5
    along a direction through a large matrix would pass for a kink. Two ratios in a row must be 10,
    as one may be by the accident of many kinks.
    """
    x = _extrapolated(s)  # 0 but for h³
    bent = abs(x) <= RESOLVED * abs(s[1:]) + rounding[1:]
    without = np.concatenate([abs(s[:1]), abs(x)])
    return np.where(bent[0] & bent[1], without, abs(s))


def _extrapolated(D: Array) -> Array:
    """(10 D(h/10) - D(h)) / 9: one-sided differences without their error of the order h."""
    return (10 * D[1:] - D[:-1]) / 9


def _settled(D: Array, rounding: Array) -> tuple[Array, Array]:
    """The difference that agrees best with that of the longer step, and how well."""
    bars = _finite(abs(np.diff(D, axis=0)) + rounding[1:])
    best = bars.argmin(axis=0)
    return _pick(D[1:], best), _pick(bars, best)


def _finite(bars: Array) -> Array:
    return np.where(np.isfinite(bars), bars, np.inf)


def _pick(M: Array, index: Array) -> Array:
    """M[index], entry by entry."""
    return np.take_along_axis(M, index[None], 0)[0]


class Comparison(NamedTuple):
    """A derivative beside differences, along several directions; errors relative to a size."""

    derivative: Array
    differences: Array
    errors: Array
    bars: Array
    wrong: Array  # bool, like the next two
    kinks: Array
    unclear: Array  # the function too noisy, or the derivative too small beside it
    at_random: bool = False  # along random directions, not entry by entry

    @property
    def compared(self) -> Array:
        """Where the derivative is known to be right, or wrong."""
        return ~(self.kinks | self.unclear)

    @property
    def factor(self) -> float | None:
        """c, if the derivative is c times the difference everywhere, and that is its error."""
        d, D = (M[self.compared] for M in (self.derivative, self.differences))
        square = np.vdot(D, D)
        if not square > 0 or not np.isfinite(d).all():
            return None
        c = float(np.vdot(d, D) / square)
        left = np.linalg.norm(d - c * D)  # beside an error of a few entries c is 1
        return (
            c
            if left <= RESOLVED * np.linalg.norm(d) and left <= 0.1 * np.linalg.norm(d - D)
            else None
        )


@quietly
def compare(found: Slopes, derivative: Array, size: Any, margin: float = MARGIN) -> Comparison:
    """The `derivative` that is claimed beside the slopes found; errors in units of `size`.

    It is wrong if it differs from both sides' difference by more than the error bar, and by more
    than `margin` times what the sides differ by at the step where that is least: with 1/2, if it
    is not between them. A larger one is for several kinks in one place or near it, each with a
    slope between its two, the sum of which may be anywhere.
    """
    size = np.maximum(size, np.finfo(float).tiny)
    errors, bars = abs(derivative - found.both) / size, found.bar / size
    errors = np.where(np.isfinite(errors), errors, np.inf)
    agrees = errors <= np.maximum(TOLERANCE, 10 * bars)
    resolved = (bars <= RESOLVED) | (errors == 0)
    slack = TOLERANCE * size + 10 * found.rounding
    near = abs(derivative - found.close) <= margin * found.apart + slack
    middle, half = (found.right + found.left) / 2, abs(found.right - found.left) / 2
    between = abs(derivative - middle) <= half + slack + 10 * found.one_sided_bar
    at_kink = is_kink(found, TOLERANCE * size) & (near | between)
    wrong = ~agrees & ~near & ~at_kink
    kinks = at_kink | (~agrees & near & resolved)
    return Comparison(
        derivative, found.both, errors, bars, wrong, kinks, ~(wrong | kinks | resolved)
    )


def is_kink(found: Slopes, least: Any) -> Array:
    """Where the slopes to the right and to the left differ by more than `least`, beyond doubt."""
    return abs(found.right - found.left) > least + 10 * found.one_sided_bar


@quietly
def compare_matrix(
    f: Callable[[Array], Any], M: Array, dM: Array, size: Any = 0.0, margin: float = MARGIN
) -> Comparison:
    """dM, which is to be df/dM, beside differences of f.

    Parameters
    ----------
    f : callable
        Takes a stack of matrices, (k, *M.shape), and returns the k values.
    M, dM : ndarray of one shape
    size : array like dM, or 0
        That of the terms of which every entry of dM is the sum: where these cancel, at a minimum
        above all, the sum is no measure of their rounding.
    margin : float
        See :func:`compare`.

    Notes
    -----
    An error is relative to the largest entry of dM and `size`, and along random directions to
    their Frobenius norm.
    """
    one_by_one = M.size <= ENTRIES
    slopes_of, derivatives = [], []
    for V, length in _directions(M, one_by_one):
        slopes_of.append(_slopes_along(f, M, V, length))
        derivatives.append(V.reshape(len(V), -1) @ dM.reshape(-1))
    everything = Slopes(*map(np.concatenate, zip(*slopes_of, strict=True)))
    D, size = everything.both, np.maximum(abs(dM), size)
    size = size.max(initial=0.0) if one_by_one else np.linalg.norm(size)
    # That of the differences where a derivative is wrong by being 0, or no number.
    least = abs(D).max(initial=0.0) if one_by_one else np.mean(D * D) ** 0.5
    size = np.nanmax([size, least])
    found = compare(everything, np.concatenate(derivatives), size, margin)
    return found._replace(at_random=not one_by_one)


def _slopes_along(f, M, V, length) -> Slopes:
    """<df/dM, V> for a stack of directions, by steps that are `length` times as long."""
    step = V * length.reshape(-1, *[1] * M.ndim)
    return Slopes(*(found / length for found in slopes(lambda t: f(M + t * step))))


def _directions(M: Array, one_by_one: bool) -> Iterator[tuple[Array, Array]]:
    """Stacks of directions through M, and what a step of 1 along each is to be multiplied by."""
    n = M.size if one_by_one else DIRECTIONS
    rng, at_once = np.random.default_rng(0), max(1, AT_ONCE // max(M.size, 1))
    for start in range(0, n, at_once):
        k = min(at_once, n - start)
        if one_by_one:
            yield (
                np.eye(M.size)[start : start + k].reshape(k, *M.shape),
                np.maximum(1, abs(M.reshape(-1)[start : start + k])),
            )
        else:  # a product M N then changes by as much as for a single entry, and not √rows times
            length = max(1, np.linalg.norm(M) / M.size**0.5) / M.shape[0] ** 0.5
            signs = 2.0 * rng.integers(0, 2, (k, *M.shape), np.int8) - 1
            yield signs, np.full(k, length)
