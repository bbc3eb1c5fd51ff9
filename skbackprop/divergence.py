"""Divergence: whether training has made the network useless, told by its loss.

Losses are compared with that of predicting the mean of y, the best that is known without
looking at X, and with that of the first weights, which a network far from y's units has to
walk down from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import blocks
from .feed import Data

Array = np.ndarray

ENTRIES = 2**16  # of targets and predictions at a time
SAMPLE = 256  # rows that tell whether a network is far from y's units
WORSE = 0.01  # of the loss of the mean, above it: what rounding or a row more would not explain
USELESS = 10  # times the loss of the mean, and of the first weights
EXPLODED = 1e4  # times likewise, for the mean loss of a pass: not waited out


@dataclass
class Measure:
    """What a loss is measured by, without the penalty.

    Parameters
    ----------
    bound : float
        The largest that is not worse than predicting the mean of y; inf for a constant y, to
        which any other prediction is. In a stream ten times that of the mean, the largest so
        far: rows of one call may be alike, or hard.
    scale : float
        What a training that goes well does not leave far behind: the loss of predicting the
        mean, or of the first weights, whichever is more; in a stream the largest so far, as
        one call's rows may all be alike.
    """

    bound: float
    scale: float

    def verdict(self, loss: float) -> str | None:
        """Of the weights at the end."""
        if not loss <= USELESS * self.scale:
            return "useless"
        return None if loss <= self.bound else "worse"


def measure(
    network: Any,
    loss: Any,
    data: Data,
    theta: Array,
    stream: bool = False,
    before: Measure | None = None,
) -> Measure:
    """The measure for training on these rows from these weights; `before`, earlier in a stream."""
    mean, constant = loss_of_mean(network, loss, data)
    start = abs(mean_loss(network, loss, data, theta, SAMPLE))
    scale = max(abs(mean), start)
    if not stream:
        return Measure(np.inf if constant else mean + WORSE * abs(mean), scale)
    if before is None:
        return Measure(USELESS * scale, scale)
    return Measure(max(before.bound, USELESS * abs(mean)), max(before.scale, scale))


def mean_loss(network: Any, loss: Any, data: Data, theta: Array, most: float = np.inf) -> float:
    """Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / Σᵢ sᵢ of these weights, over the first `most` rows."""
    total, n = 0.0, min(len(data), most)
    for rows, Y, weight in _targets(network, data, n):

        def take(part, out, first=rows.start):
            data.X.take(data.of_table(slice(first + part.start, first + part.stop)), out)

        A = network.predict(theta, take, np.empty_like(Y))
        total += loss.value(A, Y, weight) * (len(Y) / n)
    return total


def loss_of_mean(network: Any, loss: Any, data: Data) -> tuple[float, bool]:
    """The same of the weighted mean of y as every row's prediction, and whether y is constant.

    Of a constant c it is that of 2 c, or of 1 for c = 0, standardised: the scale there is.
    """
    mean: Any = 0.0
    low, high = np.inf, -np.inf
    for _, Y, weight in _targets(network, data, len(data)):
        w = np.full((1, len(Y)), 1 / len(Y)) if weight is None else weight.T
        mean = mean + (w @ Y.astype(np.float64))[0] * (len(Y) / len(data))
        low, high = np.minimum(low, Y.min(axis=0)), np.maximum(high, Y.max(axis=0))
    constant = bool(np.all(low == high))
    if constant:
        mean = np.where(mean != 0, 2 * mean, 1)
    total = 0.0
    for _, Y, weight in _targets(network, data, len(data)):
        A = np.broadcast_to(mean, Y.shape).astype(Y.dtype)
        total += loss.value(A, Y, weight) * (len(Y) / len(data))
    return total, constant


def _targets(network, data, n) -> Iterator[tuple[slice, Array, Array | None]]:
    """Targets and weights of the first n rows, of each block the mean's share of its rows."""
    columns, dtype = network.sizes[-1], data.Y.dtype_out
    m = max(1, min(n, ENTRIES // columns))
    for rows in blocks(n, m):
        k = rows.stop - rows.start
        Y = np.empty((k, columns), dtype)
        weight = np.empty((k, 1), dtype) if data.weighted else None
        data.take(rows, None, Y, weight)
        if weight is not None:
            np.divide(weight, k, out=weight)
        yield rows, Y, weight
