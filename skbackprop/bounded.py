"""Predictions of rows that overflow on the usual way: A[L] with every number held in range.

∞ - ∞ and 0 · ∞ are no numbers, and an input of 1e308, which is one, may lead to both. Here
no term of a product and no sum is beyond the largest number there is, so that nothing but an
activation can give NaN.
"""

from typing import Any

import numpy as np

Array = np.ndarray


def predict_bounded(network: Any, theta: Array, A: Array) -> Array:
    """A[L] of the rows A[0], in float64: finite.

    Where nothing overflows this is the network's own formula. Where something does, it is
    the largest number with the same sign.

    Parameters
    ----------
    network : Network
    theta : ndarray
        Its weights, finite.
    A : ndarray of shape (m, n[0])
        A[0]. May be infinite, but not NaN.

    Raises
    ------
    ValueError
        If an activation gives NaN; the message names it.
    """
    largest = np.finfo(np.float64).max
    theta = theta.astype(np.float64)
    for l, bW in enumerate(network.matrices(theta)[1:], 1):
        # A[l-1] W[l] stays below the half of the largest number; the biases, which are
        # themselves no larger than that, can then add up to ∞, but not to ∞ - ∞.
        bound = largest / max(1.0, np.abs(bW).max(initial=0)) / (2 * len(bW))
        A = np.clip(A, -bound, bound)
        if network.fit_intercept:
            A = np.column_stack([np.ones(len(A)), A])
        Z = np.clip(A @ bW, -largest, largest)
        A = network.g[l].value(Z)
        if np.isnan(A).any():
            raise ValueError(
                f"activation {network.g[l]!r} of layer {l} gives NaN for finite numbers such as "
                f"{Z[np.isnan(A)][0]:.3g}; its value(Z) must be a number for every finite Z"
            )
    return np.clip(A, -largest, largest)
