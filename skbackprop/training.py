"""Training: the objective, mini-batches, epochs.

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
from typing import Any

import numpy as np

from .blocks import BLOCK, Call, block_views, blocks
from .feed import Data, Feed, Kept

Array = np.ndarray

WINDOW_ENTRIES = 2**16  # of inputs and targets that are gathered and scaled at a time


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
        """The penalty as a vector like theta, 0 at the biases and at s; None if it is 0."""
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
    layer_rates: bool = False


@dataclass
class Progress:
    """Where training stands: what a later call needs to go on as if there were none between."""

    theta: Array
    optimizer: dict[str, Any] = field(default_factory=dict)
    rng: Any = None  # numpy.random.Generator
    samples: int = 0  # rows seen
    epochs: int = 0  # passes of the current call
    slowdown: float = 1.0  # what a plateau has divided the learning rate by


def epochs(
    objective: Objective,
    data: Sequence[Data],
    how: MiniBatch,
    at: Progress,
    rngs: Sequence[np.random.Generator],
    late: Callable[[], bool] = lambda: False,
    n_rows: int | None = None,
    tables: Kept | None = None,
) -> Iterator[list[float]]:
    """Mini-batch training: one step of the optimizer a batch; yields the losses of every pass.

    That is the mean over the batches of the loss before each one's step, and the penalty at
    the end of the pass.

    With SGD(momentum=0) a step is the article's W[l] ← W[l] - α df/dW[l], and b[l] likewise.
    `data` and `rngs` have one entry for each network, and so do the losses. `at` is changed
    in place. The batches of a pass differ by one row at most, so that no step rests on a
    handful of leftover rows. A pass ends early when it is `late`. `n_rows` of a pass are the
    fewest that a network has, also where other networks are trained elsewhere; `tables` are those
    of `data`, scaled.
    """
    network, n, theta = objective.network, n_rows or min(map(len, data)), at.theta
    n_batches = -(-n // how.batch_size)
    edges = [i * n // n_batches for i in range(n_batches + 1)]
    m = -(-n // n_batches)
    columns = network.sizes[0] + 1 + network.sizes[-1]
    at_once = max(1, WINDOW_ENTRIES // (m * columns))  # batches of a window
    feed = Feed(data, min(at_once * m, n), network, theta.dtype, tables)
    step = Step(objective, how, at, {n // n_batches, m}, feed, rngs)
    while True:
        feed.begin_pass(rngs, how.shuffle)
        totals, seen, stop_now = np.zeros(len(data)), 0, False
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
                stop_now = late()
                if stop_now:
                    break
            totals += feed.losses(objective.loss, stop)
            seen += stop
            if stop_now:
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
            rates = network.rates(theta.dtype) if how.layer_rates else None
            self.update = optimizer.prepare(theta, gradient, at.optimizer, rates)
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
    views = network.pieces(gradient)
    for k in range(network.stack[0]) if network.stack else [...]:
        # In float64: the squares of float32 overflow from a norm of 1.8e19 on.
        squares = sum(float(np.einsum("ij,ij->", M[k], M[k], dtype=np.float64)) for M in views)
        if squares**0.5 > norm:
            for M in views:
                np.multiply(M[k], norm / squares**0.5, out=M[k])
