"""Training: the objective, mini-batches, epochs, L-BFGS.

The objective is a mean over all rows plus a penalty on the weights,

    f(theta) = Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / Σᵢ sᵢ  +  alpha / (2 Σᵢ sᵢ) Σₗ ‖W[l]‖²_F,

s the sample_weight, W[l] the weights and not the biases. A mini-batch of m rows estimates
it without bias: its rows' weighted sum is divided by m times the mean weight of the whole
set, never by the batch's own weights, and the penalty is the same for every batch size.

Network, loss, optimizer and schedule arrive as arguments.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .blocks import blocks, blockwise

Array = np.ndarray

FULL_BATCH = 1024  # rows at a time where all rows are needed: L-BFGS, validation


@dataclass
class Data:
    """The rows to learn from.

    Parameters
    ----------
    rows : object with ``take(rows, out)``
        The inputs, :class:`skbackprop.scaling.Rows`.
    Y : ndarray of shape (n_rows, outputs)
        Targets in the network's units, of all rows of the table.
    weight : ndarray of shape (n_rows, 1) or None
        Row weights, divided by the mean weight of the training set.
    index : ndarray of int, or None
        The rows of the table that belong to the set; None for all of them.
    """

    rows: Any
    Y: Array
    weight: Any = None
    index: Any = None

    def __len__(self) -> int:
        return len(self.Y) if self.index is None else len(self.index)

    def take(self, rows: Any, out: Array) -> Any:
        """Inputs of the set's `rows` into out; returns those rows' numbers in the table."""
        if self.index is not None:
            rows = self.index[rows]
        self.rows.take(rows, out)
        return rows

    def load(self, rows: Any, batch: "Batch") -> None:
        """Fill the batch: A[0], Y and w / m."""
        rows = self.take(rows, batch.ws.A[0])
        _gather(self.Y, rows, batch.Y)
        if batch.weight is not None:
            _gather(self.weight, rows, batch.weight)
            np.multiply(batch.weight, 1 / len(batch.Y), out=batch.weight)


def _gather(M, rows, out):
    if isinstance(rows, slice):
        np.copyto(out, M[rows])
    else:
        np.take(M, rows, axis=0, out=out, mode="clip")


@dataclass
class Batch:
    """The memory of one mini-batch: the network's matrices, the targets, the weights."""

    ws: Any
    Y: Array
    weight: Array | None

    def rows(self, m: int) -> "Batch":
        """The same memory for m rows."""
        if m == len(self.Y):
            return self
        weight = None if self.weight is None else self.weight[:m]
        return Batch(self.ws.rows(m), self.Y[:m], weight)


class Objective:
    """f(theta) = loss(A[L], Y) + penalty/2 ‖W‖², and its gradient.

    Parameters
    ----------
    network, loss
        See :mod:`skbackprop.network` and :mod:`skbackprop.losses`.
    penalty : float
        alpha / Σᵢ sᵢ.
    from_Z : bool
        Whether the loss gives df/dZ[L] directly, past the output activation.
    dropout : float
        Share of the hidden units that a training step leaves out.
    """

    def __init__(self, network, loss, penalty=0.0, from_Z=False, dropout=0.0):
        self.network, self.loss, self.penalty = network, loss, penalty
        self.from_Z, self.dropout = from_Z, dropout

    def batch(self, m: int, dtype: Any, weighted: bool) -> Batch:
        """Memory for batches of up to m rows."""
        ws = self.network.workspace(m, dtype, dropout=self.dropout > 0)
        weight = np.empty((m, 1), dtype) if weighted else None
        return Batch(ws, np.empty((m, self.network.sizes[-1]), dtype), weight)

    def value_and_gradient(self, W, b, dW, db, batch: Batch, rng=None) -> float:
        """The loss of a loaded batch without the penalty; fills dW and db with its gradient."""
        ws, net = batch.ws, self.network
        A_L = net.forward(W, b, ws, self.dropout, rng)
        if self.from_Z:
            f = self.loss.value(A_L, batch.Y, batch.weight)
            self.loss.derivative_Z(A_L, batch.Y, batch.weight, out=ws.dZ[net.L])
        else:
            f, _ = self.loss.value_and_derivative(A_L, batch.Y, batch.weight, out=ws.dA[net.L])
        net.backward(W, dW, db, ws, from_Z=self.from_Z)
        return f

    def add_penalty(self, theta: Array, gradient: Array | None = None) -> float:
        """penalty/2 ‖W‖²; adds its gradient, penalty W, to the gradient."""
        if not self.penalty:
            return 0.0
        W = theta[: self.network.n_weights]
        if gradient is not None:  # penalty/2 · 2 W, the rule of ‖W‖²_F
            dW = gradient[: self.network.n_weights]
            blockwise(lambda w, g: g + w.dtype.type(self.penalty) * w, W, dW, out=dW)
        return self.penalty / 2 * float(np.vdot(W, W))

    def over_all_rows(self, theta: Array, data: Data, batch: Batch, gradient: Array) -> float:
        """f(theta) over every row, in blocks; fills the gradient."""
        W, b = self.network.views(theta)
        part = np.empty_like(theta)
        dW, db = self.network.views(part)
        gradient.fill(0)
        f, n = 0.0, len(data)
        for rows in blocks(n, len(batch.Y)):
            block = batch.rows(rows.stop - rows.start)
            data.load(rows, block)
            share = len(block.Y) / n
            f += share * self.value_and_gradient(W, b, dW, db, block)
            blockwise(lambda g, p: g + g.dtype.type(share) * p, gradient, part, out=gradient)  # noqa: B023 - called at once
        return f + self.add_penalty(theta, gradient)


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


def epochs(
    objective: Objective, data: Data, how: MiniBatch, at: Progress, deadline: float = np.inf
) -> Iterator[float]:
    """Mini-batch training: one step of the optimizer a batch; yields the loss of every pass.

    With SGD(momentum=0) a step is the article's W[l] ← W[l] - α df/dW[l], and b[l] likewise.
    `at` is changed in place. The batches of a pass differ by one row at most, so that no
    step rests on a handful of leftover rows. A pass ends early at `deadline`, a time of
    perf_counter().
    """
    n, theta, network = len(data), at.theta, objective.network
    gradient = np.empty_like(theta)
    (W, b), (dW, db) = network.views(theta), network.views(gradient)
    n_batches = -(-n // how.batch_size)
    full = objective.batch(-(-n // n_batches), theta.dtype, data.weight is not None)
    by_rows = {m: full.rows(m) for m in {n // n_batches, -(-n // n_batches)}}
    while True:
        order = at.rng.permutation(n) if how.shuffle else None
        total = seen = 0.0
        for i in range(n_batches):
            rows = slice(i * n // n_batches, (i + 1) * n // n_batches)
            batch = by_rows[rows.stop - rows.start]
            data.load(rows if order is None else order[rows], batch)
            f = objective.value_and_gradient(W, b, dW, db, batch, at.rng)
            progress = min(1.0, (at.epochs + i / n_batches) / how.max_iter)
            rate = how.learning_rate * at.slowdown * how.schedule(progress, at.samples)
            _update(objective, how, theta, gradient, rate, at.optimizer)
            total += f * len(batch.Y)
            seen += len(batch.Y)
            if perf_counter() > deadline:
                break
        at.samples += int(seen)
        at.epochs += 1
        yield total / seen + objective.add_penalty(theta)


def _update(objective, how, theta, gradient, rate, state):
    if getattr(how.optimizer, "decoupled", False):
        W = theta[: objective.network.n_weights]
        np.multiply(W, max(0.0, 1 - rate * objective.penalty), out=W)  # W ← (1 - α λ) W
    else:
        objective.add_penalty(theta, gradient)
    if how.clip_norm is not None:
        # In float64: the squares of float32 overflow from a norm of 1.8e19 on.
        norm = float(np.sqrt(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
        if norm > how.clip_norm:
            np.multiply(gradient, how.clip_norm / norm, out=gradient)
    how.optimizer.step(theta, gradient, rate, state)


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
    batch = objective.batch(min(len(data), FULL_BATCH), theta.dtype, data.weight is not None)

    def value_and_gradient(x):
        np.copyto(theta, x, casting="same_kind")
        f = objective.over_all_rows(theta, data, batch, gradient)
        return f, gradient.astype(np.float64)

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
