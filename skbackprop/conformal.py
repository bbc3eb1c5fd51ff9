"""Conformal intervals: quantiles of the errors on rows that were not learnt from."""

from typing import Any

import numpy as np

from .scaling import quantiles

Array = np.ndarray

LEVELS = 200  # shares 0, 1/200, …, 1 of which a model keeps the quantiles, and no row's error


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
    if (n + 1) * a < 1:
        raise ValueError(
            f"coverage={coverage!r} needs the errors on {int(np.ceil(1 / a))} validation rows or "
            f"more, and this fit had {n}"
        )
    if coverage > 1 - 2 / LEVELS:
        raise ValueError(f"coverage must be at most {1 - 2 / LEVELS}; got {coverage!r}")
    share: Any = min(1.0, np.ceil((n + 1) * (1 - a) * (1 - 1e-12)) / n)
    level = int(np.ceil(share * LEVELS * (1 - 1e-12)))
    return table[LEVELS - level], table[level]
