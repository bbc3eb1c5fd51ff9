"""L-BFGS: the objective over all rows, in blocks of rows, minimised by scipy.optimize."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from .blocks import block_views, blocks, run
from .feed import Data
from .training import Objective, Progress, add_decay

Array = np.ndarray

LIMIT, STOPPED = 1, 99  # scipy.optimize's status: iterations or evaluations; by the callback
FULL_BATCH_ENTRIES = 2**15  # of a block of rows where all rows are needed: L-BFGS


def full_batch_rows(sizes: Sequence[int]) -> int:
    """Rows of a block, of which a layer's matrix fits the cache; but each costs a pass of theta."""
    return max(200, FULL_BATCH_ENTRIES // max(sizes))


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


def minimize_lbfgs(
    objective: Objective,
    data: Data,
    at: Progress,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    epoch_ended: Callable[[float], bool],
    anew_every: int | None = None,
) -> str | None:
    """Full-batch L-BFGS (scipy.optimize) on theta; returns why it stopped short, if it did.

    ``epoch_ended(f)`` is called after every iteration, with theta in ``at.theta``, and
    stops the run by returning True. The curvature, which SciPy keeps to itself, is learnt
    anew every `anew_every` iterations, so that a run can be cut and joined there.
    """
    theta, gradient = at.theta, np.empty_like(at.theta)
    f = full_gradient(objective, data, theta, gradient)
    at.optimizer.setdefault("evaluations", 0)

    def value_and_gradient(x):
        np.copyto(theta, x, casting="same_kind")
        at.optimizer["evaluations"] += 1
        return f(), gradient.astype(np.float64)

    def callback(intermediate_result):
        np.copyto(theta, intermediate_result.x, casting="same_kind")
        at.epochs += 1
        at.samples += len(data)
        if epoch_ended(float(intermediate_result.fun)):
            raise StopIteration

    def run():
        iterations = max_iter - at.epochs
        if anew_every is not None:
            iterations = min(iterations, anew_every - at.epochs % anew_every)
        evaluations = max_fun - at.optimizer["evaluations"]
        result = minimize(
            value_and_gradient,
            theta.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={"maxiter": iterations, "maxfun": evaluations, "gtol": tol},
        )
        np.copyto(theta, result.x, casting="same_kind")
        return result

    # A run that is gone on with may have been at a limit already.
    status, reason = LIMIT, _limit(at, max_iter, max_fun)
    while status == LIMIT and reason is None:
        result = run()
        status, reason = result.status, _limit(at, max_iter, max_fun)
    if not at.epochs:  # the first weights were the best: there is a loss to report
        at.epochs = 1
        epoch_ended(float(result.fun))
    if status in (0, STOPPED):
        return None
    return f"lbfgs: {reason if status == LIMIT else result.message}"


def _limit(at, max_iter, max_fun):
    """The limit that has been reached, if one has."""
    if at.epochs >= max_iter:
        return f"{at.epochs} iterations"
    evaluations = at.optimizer["evaluations"]
    return f"{evaluations} evaluations of the objective" if evaluations >= max_fun else None
