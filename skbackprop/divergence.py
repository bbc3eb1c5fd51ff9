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
    mean : float
        That of predicting the mean of y.
    start : float
        That of the first weights.
    largest : float
        The largest of `mean` so far: of a stream, one call's rows may all be alike.
    """

    mean: float
    start: float
    largest: float

    @property
    def bound(self) -> float:
        """The largest loss that is not worse than predicting the mean."""
        return self.mean + WORSE * abs(self.mean)

    @property
    def scale(self) -> float:
        """What a training that goes well does not leave far behind."""
        return max(self.largest, abs(self.start))

    def verdict(self, loss: float) -> str | None:
        """Of the weights at the end."""
        if not loss <= USELESS * self.scale:
            return "useless"
        return None if loss <= self.bound else "worse"


def measure(network: Any, loss: Any, data: Data, theta: Array, largest: float = 0.0) -> Measure:
    """The measure for training on these rows from these weights."""
    mean = loss_of_mean(network, loss, data)
    return Measure(mean, mean_loss(network, loss, data, theta, SAMPLE), max(largest, abs(mean)))


def mean_loss(network: Any, loss: Any, data: Data, theta: Array, most: float = np.inf) -> float:
    """Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / Σᵢ sᵢ of these weights, over the first `most` rows."""
    total, n = 0.0, min(len(data), most)
    for rows, Y, weight in _targets(network, data, n):

        def take(part, out, first=rows.start):
            data.X.take(data.of_table(slice(first + part.start, first + part.stop)), out)

        A = network.predict(theta, take, np.empty_like(Y))
        total += loss.value(A, Y, weight) * (len(Y) / n)
    return total


def loss_of_mean(network: Any, loss: Any, data: Data) -> float:
    """The same of the weighted mean of y as every row's prediction.

    Constant targets c have no scale but |c|, or the 1 of standardised ones. Here 2 |c| is what
    a prediction may be off: first weights that predict about 0 are then no worse than that.
    """
    mean, low, high = 0.0, np.inf, -np.inf
    for _, Y, weight in _targets(network, data, len(data)):
        w = np.full((1, len(Y)), 1 / len(Y)) if weight is None else weight.T
        mean = mean + (w @ Y.astype(np.float64))[0] * (len(Y) / len(data))
        low, high = np.minimum(low, Y.min(axis=0)), np.maximum(high, Y.max(axis=0))
    constant = np.all(low == high)
    if constant:
        mean = np.where(mean != 0, 3 * mean, 2)
    total = 0.0
    for _, Y, weight in _targets(network, data, len(data)):
        A = np.broadcast_to(mean, Y.shape).astype(Y.dtype)
        total += loss.value(A, Y, weight) * (len(Y) / len(data))
    return total


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
