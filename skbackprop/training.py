"""Training: the objective, mini-batches, epochs, L-BFGS.

The objective is a mean over all rows plus a penalty on the weights,

    f(theta) = Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / Σᵢ sᵢ  +  alpha / (2 Σᵢ sᵢ) Σₗ ‖W[l]‖²_F,

s the sample_weight, W[l] the weights and not the biases. A mini-batch of m rows estimates
it without bias: its rows' weighted sum is divided by m times the mean weight of the whole
set, never by the batch's own weights, and the penalty is the same for every batch size.

Network, loss, optimizer and schedule arrive as arguments. One network is trained, or
several of one architecture and one number of rows as a stack (``network.stack``): each has
rows, an order of the rows and a penalty of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .blocks import BLOCK, Call, block_views, blocks, run

Array = np.ndarray

FULL_BATCH_ENTRIES = 2**15  # of a block of rows where all rows are needed: L-BFGS
WINDOW_ENTRIES = 2**16  # of inputs that are gathered and scaled at a time
TABLE_ENTRIES = 2**20  # of inputs that are scaled once and kept


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


@dataclass
class Batch:
    """The memory of one mini-batch: the network's matrices, the targets, the weights s / (m s̄)."""

    ws: Any
    Y: Array
    weight: Array | None

    def rows(self, m: int) -> "Batch":
        """The same memory for m rows."""
        if m == self.Y.shape[-2]:
            return self

        def first(M):  # of a stack's matrices every one has its m rows, one after the other
            return M.reshape(-1)[: M[..., :m, :].size].reshape(*M.shape[:-2], m, M.shape[-1])

        weight = None if self.weight is None else first(self.weight)
        return Batch(self.ws.rows(m), first(self.Y), weight)


class Objective:
    """f(theta) = loss(A[L], Y) + penalty/2 ‖W‖², and its gradient.

    Parameters
    ----------
    network, loss
        See :mod:`skbackprop.network` and :mod:`skbackprop.losses`.
    penalty : float, or array with one for each network of a stack
        alpha / Σᵢ sᵢ.
    from_Z : bool
        Whether the loss gives df/dZ[L] directly, past the output activation.
    dropout : float
        Share of the hidden units that a training step leaves out.
    """

    def __init__(self, network, loss, penalty: Any = 0.0, from_Z=False, dropout=0.0):
        self.network, self.loss, self.penalty = network, loss, penalty
        self.from_Z, self.dropout = from_Z, dropout

    def stacked(self, penalties: Sequence[float]) -> "Objective":
        """That of a stack of networks, each with a penalty of its own."""
        network = self.network.stacked(len(penalties))
        return Objective(network, self.loss, np.array(penalties), self.from_Z, self.dropout)

    def batch(self, m: int, dtype: Any, weighted: bool) -> Batch:
        """Memory for batches of up to m rows."""
        ws = self.network.workspace(m, dtype, dropout=self.dropout > 0)
        weight = np.empty((*self.network.stack, m, 1), dtype) if weighted else None
        return Batch(ws, np.empty_like(ws.A[-1]), weight)

    def gradient(
        self, theta: Array, gradient: Array, batch: Batch, rngs: Sequence = ()
    ) -> list[Call]:
        """Calls that fill the gradient of a loaded batch's loss, without the penalty."""
        net, ws = self.network, batch.ws
        bW, dbW = net.matrices(theta), net.matrices(gradient)
        out = ws.dZ[net.L] if self.from_Z else ws.dA[net.L]
        return [
            *net.forward(bW, ws, self.dropout, rngs),
            *self.loss.prepare(ws.A[net.L], batch.Y, batch.weight, out, self.from_Z),
            *net.backward(bW, dbW, ws, from_Z=self.from_Z),
        ]

    def decay(self, dtype: Any) -> Array | None:
        """The penalty as a vector like theta, 0 at the biases; None if it is 0."""
        if not np.any(self.penalty):
            return None
        decay = np.zeros(self.network.n_parameters, dtype)
        for W in self.network.views(decay).W[1:]:
            W[...] = np.reshape(self.penalty, (*self.network.stack, 1, 1))
        return decay

    def penalty_values(self, theta: Array) -> Array:
        """penalty/2 ‖W‖² of every network."""
        if not np.any(self.penalty):
            return np.zeros(1)
        W = self.network.views(theta).W[1:]
        squares = sum(np.einsum("...ij,...ij->...", M, M, dtype=np.float64) for M in W)
        return np.atleast_1d(np.asarray(self.penalty) / 2 * squares)


def add_decay(gradient: Array, theta: Array, decay: Array | None) -> list[Call]:
    """df/dW + penalty W: calls that add the gradient of the penalty."""
    if decay is None:
        return []
    scratch = np.empty(min(theta.size, BLOCK), theta.dtype)
    calls: list[Call] = []
    for g, th, d in block_views(gradient, theta, decay):
        calls.append(partial(np.multiply, th, d, scratch[: th.size]))
        calls.append(partial(np.add, g, scratch[: th.size], g))
    return calls


def full_batch_rows(sizes: Sequence[int]) -> int:
    """Rows of a block, of which a layer's matrix fits the cache."""
    return max(1, FULL_BATCH_ENTRIES // max(sizes))


def full_gradient(
    objective: Objective, data: Data, theta: Array, gradient: Array
) -> Callable[[], float]:
    """f(theta) over every row, a block of rows at a time, to be called; it fills the gradient."""
    n, network = len(data), objective.network
    m = min(n, full_batch_rows(network.sizes))
    batch, part = objective.batch(m, theta.dtype, data.weighted), np.empty_like(theta)
    batches = {k: batch.rows(k) for k in {m, n % m} - {0}}
    calls = {k: objective.gradient(theta, part, b) for k, b in batches.items()}
    penalty = add_decay(gradient, theta, objective.decay(theta.dtype))

    def f() -> float:
        total = 0.0
        gradient.fill(0)
        for rows in blocks(n, m):
            k = rows.stop - rows.start
            block = batches[k]
            data.take(rows, block.ws.A[0], block.Y, block.weight)
            if block.weight is not None:
                np.multiply(block.weight, 1 / k, out=block.weight)
            run(calls[k])
            total += k / n * objective.loss.value(block.ws.A[-1], block.Y, block.weight)
            for g, p in block_views(gradient, part):
                np.multiply(p, k / n, out=p)
                np.add(g, p, out=g)
        run(penalty)
        return total + float(objective.penalty_values(theta)[0])

    return f


@dataclass
class MiniBatch:
    """How :func:`epochs` goes through the rows; hyper-parameters alone."""

    optimizer: Any
    schedule: Any
    learning_rate: float
    batch_size: int
    max_iter: int
    shuffle: bool = True
    clip_norm: float | None = None


@dataclass
class Progress:
    """Where training stands: what a later call needs to go on as if there were none between."""

    theta: Array
    optimizer: dict[str, Any] = field(default_factory=dict)
    rng: Any = None  # numpy.random.Generator
    samples: int = 0  # rows seen
    epochs: int = 0  # passes of the current call
    slowdown: float = 1.0  # what a plateau has divided the learning rate by


class Feed:
    """Rows in the order of a pass, gathered and scaled many batches at a time.

    A small table is scaled once, as [1 X] and Y, and a batch is a `take` of each; of a large
    one the next `window` rows are, so that there is no second copy of X. The networks of a
    stack have their tables or windows one below the other, and one `take` serves them all.

    Parameters
    ----------
    data : sequence of Data
        One for each network.
    window : int
        Rows at a time.
    network : Network
    dtype : dtype
    """

    def __init__(self, data: Sequence[Data], window: int, network: Any, dtype: Any):
        self.data, self.one = data, int(network.fit_intercept)
        K, n, columns = len(data), len(data[0]), (network.sizes[0] + self.one, network.sizes[-1])
        self.small = sum(len(d.X) for d in data) * sum(columns) <= TABLE_ENTRIES
        height = len(data[0].X) if self.small else window
        self.X1 = np.ones((K * height, columns[0]), dtype)
        self.Y = np.empty((K * height, columns[1]), dtype)
        self.first = height * np.arange(K)  # row of every network
        self.order = np.empty((K, n), np.intp)
        self.rows = np.empty((K, window), np.intp)  # of X1 and Y
        self.weight = np.empty((K, window, 1), dtype) if data[0].weighted else None
        self.A = np.empty((K, window, columns[1]), dtype)  # A[L], for the loss's value
        if self.small:
            for d, first in zip(data, self.first, strict=True):
                for rows in blocks(height, window):
                    to = slice(first + rows.start, first + rows.stop)
                    d.X.take(rows, self.X1[to, self.one :])
                    d.Y.take(rows, self.Y[to])

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
            rows = self.order[k, start:stop]
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


def epochs(
    objective: Objective,
    data: Sequence[Data],
    how: MiniBatch,
    at: Progress,
    rngs: Sequence[np.random.Generator],
    deadline: float = np.inf,
) -> Iterator[list[float]]:
    """Mini-batch training: one step of the optimizer a batch; yields the losses of every pass.

    That is the mean over the batches of the loss before each one's step, and the penalty at
    the end of the pass.

    With SGD(momentum=0) a step is the article's W[l] ← W[l] - α df/dW[l], and b[l] likewise.
    `data` and `rngs` have one entry for each network, and so do the losses. `at` is changed
    in place. The batches of a pass differ by one row at most, so that no step rests on a
    handful of leftover rows. A pass ends early at `deadline`, a time of perf_counter().
    """
    network, n, theta = objective.network, len(data[0]), at.theta
    n_batches = -(-n // how.batch_size)
    edges = [i * n // n_batches for i in range(n_batches + 1)]
    m = -(-n // n_batches)
    at_once = max(1, WINDOW_ENTRIES // (m * (network.sizes[0] + 1)))  # batches of a window
    feed = Feed(data, min(at_once * m, n), network, theta.dtype)
    step = Step(objective, how, at, {n // n_batches, m}, feed, rngs)
    while True:
        feed.begin_pass(rngs, how.shuffle)
        totals, seen, late = np.zeros(len(data)), 0, False
        rate, schedule = at.slowdown * how.learning_rate, how.schedule
        factor = 1.0 if schedule.planned else schedule(0.0, at.samples)  # of the whole pass
        for window in blocks(n_batches, at_once):
            start = edges[window.start]
            feed.load(start, edges[window.stop])
            for i in range(window.start, window.stop):
                if schedule.planned:
                    progress = min(1.0, (at.epochs + i / n_batches) / how.max_iter)
                    factor = schedule(progress, at.samples)
                stop = edges[i + 1] - start
                step(edges[i] - start, stop, rate * factor)
                late = perf_counter() > deadline
                if late:
                    break
            totals += feed.losses(objective.loss, stop)
            seen += stop
            if late:
                break
        at.samples += seen
        at.epochs += 1
        yield (totals / seen + objective.penalty_values(theta)).tolist()


class Step:
    """A training step on one batch: forward, backward, the optimizer's update, all prepared."""

    def __init__(self, objective, how: MiniBatch, at: Progress, sizes: set[int], feed: Feed, rngs):
        network, theta, m = objective.network, at.theta, max(sizes)
        gradient, decay = np.empty_like(theta), objective.decay(theta.dtype)
        optimizer, decoupled = how.optimizer, getattr(how.optimizer, "decoupled", False)
        after = [] if decoupled else add_decay(gradient, theta, decay)
        if how.clip_norm is not None:
            after.append(partial(clip, network, gradient, how.clip_norm))
        self.feed = feed
        full = objective.batch(m, theta.dtype, feed.weight is not None)
        self.by_rows: dict[int, Any] = {}  # rows of a batch: its memory, and what is to be called
        for k in sizes:
            batch = full.rows(k)
            X1, A_L = batch.ws.A1[0], batch.ws.A[-1]
            memory = X1.reshape(-1, X1.shape[-1]), batch.Y.reshape(-1, A_L.shape[-1])
            weight = batch.weight if network.stack or batch.weight is None else batch.weight[None]
            calls = objective.gradient(theta, gradient, batch, rngs)
            self.by_rows[k] = (*memory, weight), [*calls, *after], A_L
        if getattr(optimizer, "steps_as_prepared", False):
            self.update = optimizer.prepare(theta, gradient, at.optimizer)
        else:  # a user's own
            self.update = lambda rate: optimizer.step(theta, gradient, rate, at.optimizer)
        self.shrink = partial(shrink, theta, decay) if decoupled and decay is not None else None

    def __call__(self, start: int, stop: int, rate: float) -> None:
        """A step on rows start to stop of what the feed has loaded."""
        memory, calls, A_L = self.by_rows[stop - start]
        self.feed.batch(start, stop, *memory)
        for call in calls:
            call()
        self.feed.A[:, start:stop] = A_L
        if self.shrink is not None:
            self.shrink(rate)
        self.update(rate)


def shrink(theta: Array, decay: Array, rate: float) -> None:
    """W ← max(0, 1 - α λ) W."""
    for th, d in block_views(theta, decay):
        np.multiply(th, np.maximum(0, 1 - rate * d), out=th)


def clip(network: Any, gradient: Array, norm: float) -> None:
    """Shorten each network's gradient to `norm` if it is longer."""
    views = network.matrices(gradient)[1:]
    for k in range(network.stack[0]) if network.stack else [...]:
        # In float64: the squares of float32 overflow from a norm of 1.8e19 on.
        squares = sum(float(np.einsum("ij,ij->", M[k], M[k], dtype=np.float64)) for M in views)
        if squares**0.5 > norm:
            for M in views:
                np.multiply(M[k], norm / squares**0.5, out=M[k])


def minimize_lbfgs(
    objective: Objective,
    data: Data,
    at: Progress,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    epoch_ended: Callable[[float], bool],
) -> str | None:
    """Full-batch L-BFGS (scipy.optimize) on theta; returns why it stopped short, if it did.

    ``epoch_ended(f)`` is called after every iteration, with theta in ``at.theta``, and
    stops the run by returning True.
    """
    theta, gradient = at.theta, np.empty_like(at.theta)
    f = full_gradient(objective, data, theta, gradient)

    def value_and_gradient(x):
        np.copyto(theta, x, casting="same_kind")
        return f(), gradient.astype(np.float64)

    def callback(intermediate_result):
        np.copyto(theta, intermediate_result.x, casting="same_kind")
        at.epochs += 1
        at.samples += len(data)
        if epoch_ended(float(intermediate_result.fun)):
            raise StopIteration

    result = minimize(
        value_and_gradient,
        theta.astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
    )
    np.copyto(theta, result.x, casting="same_kind")
    if not at.epochs:  # the first weights were the best: there is a loss to report
        at.epochs = 1
        epoch_ended(float(result.fun))
    converged_or_stopped = result.status in (0, 99)  # 99: by the callback
    return None if converged_or_stopped else f"lbfgs: {result.message}"
