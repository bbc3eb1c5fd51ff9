"""Conformal intervals: quantiles of the errors on rows that were not learnt from."""

from typing import Any

import numpy as np

from .scaling import quantiles

Array = np.ndarray

LEVELS = 200  # shares 0, 1/200, …, 1 of which a model keeps the quantiles, and no row's error


def errors_of_the_mean(errors: Array, variance: Array, K: int, weight: Array | None) -> Array:
    """ē + √(1 - (1 - 1/K) v/s²) (eᵢ - ē): errors eᵢ as narrow as those of the mean of K networks.

    ē and s² are the mean and the variance of the errors eᵢ of single networks, v the variance
    between networks. That of network k is e + dₖ, with an e that all share and independent dₖ of
    variance v. So s² = var(e) + v, and the error of the mean has var(e) + v/K = s² - (1 - 1/K) v.
    v is taken on rows that most of the networks have learnt from, where they differ less than on
    others, so that the root is rather too large.

    Parameters
    ----------
    errors : ndarray of shape (n, outputs)
        eᵢ, each of a network that has not learnt from the row.
    variance : ndarray of shape (outputs,)
        v.
    K : int
        How many networks.
    weight : ndarray of shape (n,) or None
        Of the rows, in ē and s².
    """
    mean = np.average(errors, axis=0, weights=weight)
    whole = np.average((errors - mean) ** 2, axis=0, weights=weight)
    share = np.divide(variance, whole, out=np.zeros_like(whole), where=whole > 0)
    return mean + (errors - mean) * np.sqrt(np.maximum(0, 1 - (1 - 1 / K) * share))


def error_quantiles(errors: Array, weight: Array | None) -> Array:
    """The quantiles of the errors of every output, (LEVELS + 1, outputs), rounded outwards.

    Below the median the largest error that a share does not exceed from below, above it the
    smallest that it does not from above, so that signs changed they are each other's.
    """
    half = np.arange(LEVELS // 2, LEVELS + 1) / LEVELS
    above = np.stack([quantiles(e, half, weight) for e in errors.T], axis=1)
    below = np.stack([-quantiles(-e, half, weight) for e in errors.T], axis=1)
    return np.concatenate([below[:0:-1], above])


def interval(table: Array, n: int, coverage: float) -> tuple[Array, Array]:
    """What to add to a prediction for the lower and the upper end, of every output.

    Of n exchangeable errors the next one is between the ⌊(n+1) a⌋-th and the ⌈(n+1)(1-a)⌉-th, with
    a = (1 - coverage)/2, with a probability of at least `coverage` (Lei et al. 2018, section 2.2).

    Parameters
    ----------
    table : ndarray of shape (LEVELS + 1, outputs)
        Quantiles of the errors.
    n : int
        How many there were.
    coverage : float

    Raises
    ------
    ValueError
        If n is too small for that coverage, or the table too coarse.
    """
    a = (1 - coverage) / 2
    if coverage > 1 - 2 / LEVELS:  # first, for no number of rows would help
        raise ValueError(f"coverage must be at most {1 - 2 / LEVELS}; got {coverage!r}")
    if (n + 1) * a < 1:
        raise ValueError(
            f"coverage={coverage!r} needs the errors on {int(np.ceil(1 / a))} validation rows or "
            f"more, and this fit had {n}"
        )
    share: Any = min(1.0, np.ceil((n + 1) * (1 - a) * (1 - 1e-12)) / n)
    level = int(np.ceil(share * LEVELS * (1 - 1e-12)))
    return table[LEVELS - level], table[level]
