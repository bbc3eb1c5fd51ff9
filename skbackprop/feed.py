"""Rows for the network: a set of rows of a table, and mini-batches of it in a random order."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .blocks import BLOCK, blocks

Array = np.ndarray

TABLE_ENTRIES = 2**20  # of inputs and targets that are scaled once and kept


@dataclass
class Data:
    """The rows to learn from.

    Parameters
    ----------
    X, Y : object with ``take(rows, out)``
        Inputs and targets in the network's units, :class:`skbackprop.scaling.Rows`.
    weight : ndarray of shape (n_rows,) or None
        Row weights of the whole table.
    mean_weight : float
        That of the set, by which they are divided.
    index : ndarray of int, or None
        The rows of the table that belong to the set; None for all of them.
    """

    X: Any
    Y: Any
    weight: Any = None
    mean_weight: float = 1.0
    index: Any = None

    def __len__(self) -> int:
        return len(self.Y) if self.index is None else len(self.index)

    @property
    def weighted(self) -> bool:
        """Whether rows count differently, or not as 1."""
        return self.weight is not None or self.mean_weight != 1

    def apart(self) -> "Data":
        """The same rows for another thread, with memory of their own for what is gathered."""
        return replace(self, X=self.X.apart(), Y=self.Y.apart())

    def of_table(self, rows: Any) -> Any:
        """The set's `rows` as rows of the table."""
        return rows if self.index is None else self.index[rows]

    def take_weight(self, rows: Any, out: Array) -> None:
        """Weights of mean 1 over the set."""
        weight = 1.0 if self.weight is None else self.weight[self.of_table(rows), None]
        np.divide(weight, self.mean_weight, out=out, casting="same_kind")

    def take(self, rows: Any, X: Array | None, Y: Array, weight: Array | None) -> None:
        """Inputs, targets and weights of the set's `rows`; X None for none."""
        if weight is not None:
            self.take_weight(rows, weight)
        rows = self.of_table(rows)
        self.Y.take(rows, Y)
        if X is not None:
            self.X.take(rows, X)


class Kept:
    """[1 X] and Y of the tables that networks learn from, scaled once; of one table, one copy.

    Parameters
    ----------
    data : sequence of Data
        One for each network.
    network : Network
    dtype : dtype
    """

    def __init__(self, data: Sequence[Data], network: Any, dtype: Any):
        one, height = int(network.fit_intercept), len(data[0].X)
        tables = _tables(data)
        self.X1 = np.ones((len(tables) * height, network.sizes[0] + one), dtype)
        self.Y = np.empty((len(tables) * height, network.sizes[-1]), dtype)
        self.first = height * (np.arange(len(data)) % len(tables))  # row of every network
        for d, first in zip(tables, self.first, strict=False):
            for rows in blocks(height, max(1, BLOCK // self.X1.shape[1])):
                to = slice(first + rows.start, first + rows.stop)
                d.X.take(rows, self.X1[to, one:])
                d.Y.take(rows, self.Y[to])

    def of(self, some: slice) -> "Kept":
        """The same for some of the networks."""
        other = copy(self)
        other.first = self.first[some]
        return other


def _tables(data):
    one_table = all(d.X is data[0].X and d.Y is data[0].Y for d in data)
    return data[:1] if one_table else data


def kept(data: Sequence[Data], network: Any, dtype: Any) -> Kept | None:
    """The tables, if they are small enough to be kept."""
    columns = network.sizes[0] + network.fit_intercept + network.sizes[-1]
    size = columns * sum(len(d.X) for d in _tables(data))
    return Kept(data, network, dtype) if size <= TABLE_ENTRIES else None


class Feed:
    """Rows in the order of a pass, gathered and scaled many batches at a time.

    A small table is scaled once, as [1 X] and Y, and a batch is a `take` of each; of a large
    one the next `window` rows are, so that there is no second copy of X. The networks of a
    stack have their tables or windows one below the other, and one `take` serves them all. Of a
    network with a row or two more than others, a pass leaves out as many, others every time.

    Parameters
    ----------
    data : sequence of Data
        One for each network.
    window : int
        Rows at a time.
    network : Network
    dtype : dtype
    tables : Kept or None
        The tables, where they have been scaled already.
    """

    def __init__(
        self,
        data: Sequence[Data],
        window: int,
        network: Any,
        dtype: Any,
        tables: Kept | None = None,
    ):
        self.data, self.one = data, int(network.fit_intercept)
        K, columns = len(data), (network.sizes[0] + self.one, network.sizes[-1])
        tables = tables or kept(data, network, dtype)
        self.small = tables is not None
        if tables is not None:
            self.X1, self.Y, self.first = tables.X1, tables.Y, tables.first
        else:
            self.X1 = np.ones((K * window, columns[0]), dtype)
            self.Y = np.empty((K * window, columns[1]), dtype)
            self.first = window * np.arange(K)
        self.order = [np.empty(len(d), np.intp) for d in data]
        self.rows = np.empty((K, window), np.intp)  # of X1 and Y
        self.weight = np.empty((K, window, 1), dtype) if data[0].weighted else None
        self.A = np.empty((K, window, columns[1]), dtype)  # A[L], for the loss's value

    def begin_pass(self, rngs: Sequence[np.random.Generator], shuffle: bool) -> None:
        """A new order of the rows, or that of the table."""
        for order, rng in zip(self.order, rngs, strict=True):
            for rows in blocks(len(order)):
                order[rows] = np.arange(rows.start, rows.stop)
            if shuffle:
                rng.shuffle(order)

    def load(self, start: int, stop: int) -> None:
        """Rows start to stop of the pass."""
        n = stop - start
        for k, (d, first) in enumerate(zip(self.data, self.first, strict=True)):
            rows = self.order[k][start:stop]
            if self.weight is not None:
                d.take_weight(rows, self.weight[k, :n])
            if self.small:
                np.add(d.of_table(rows), first, out=self.rows[k, :n])
            else:
                self.rows[k, :n] = np.arange(first, first + n)
                d.take(
                    rows, self.X1[first : first + n, self.one :], self.Y[first : first + n], None
                )

    def batch(self, start: int, stop: int, X1: Array, Y: Array, weight: Array | None) -> None:
        """Rows start to stop of those that are loaded, as a batch."""
        rows = self.rows[:, start:stop].reshape(-1)
        self.X1.take(rows, 0, X1, "clip")  # mode: "raise" makes a copy
        self.Y.take(rows, 0, Y, "clip")
        if self.weight is not None:
            np.multiply(self.weight[:, start:stop], 1 / (stop - start), out=weight)

    def losses(self, loss: Any, n: int) -> list[float]:
        """Sums of the losses of the first n rows that are loaded, from what A holds."""
        if self.weight is None:
            weights, factor = [None] * len(self.A), n
        else:
            weights, factor = list(self.weight[:, :n]), 1
        Y = (self.Y.take(rows, 0) for rows in self.rows[:, :n])
        return [
            factor * loss.value(A[:n], y, w) for A, y, w in zip(self.A, Y, weights, strict=True)
        ]
