"""The matrices of a training step, to be looked at: those of ``Objective.gradient`` themselves."""

from typing import Any, NamedTuple

import numpy as np

from .blocks import run
from .feed import Data
from .training import Batch, Objective, add_decay

Array = np.ndarray

SEED = 0  # of the masks of dropout


class Trained(NamedTuple):
    """A, Z, their derivatives, masks (None without dropout) and the gradient; lists by layer."""

    A: list[Any]
    Z: list[Any]
    dA: list[Any]
    dZ: list[Any]
    D: list[Any]
    dW: list[Any]
    db: list[Any]


def trained(objective: Objective, data: Data, theta: Array, rows: Array, least: int) -> Trained:
    """What a training step computes for these rows of the data, but for the update.

    Twice: dA and dZ in a workspace that keeps them, dW and db in the one in which training's
    matrices share their memory. That has at least `least` rows, as a large batch takes the
    products in another order: the same ones, repeated, which changes no mean.
    """
    network, m = objective.network, len(rows)
    ws = network.workspace(m, theta.dtype, dropout=objective.dropout > 0, keep=True)
    weight = np.empty((m, 1), theta.dtype) if data.weighted else None
    _gradient(objective, data, theta, rows, Batch(ws, np.empty_like(ws.A[-1]), weight))
    if not objective.dropout:  # with which every row has masks of its own
        rows = np.tile(rows, -(-least // m))
    batch = objective.batch(len(rows), theta.dtype, data.weighted)
    dW, db, _ = network.views(_gradient(objective, data, theta, rows, batch))
    return Trained(ws.A, ws.Z, ws.dA, ws.dZ, ws.D, dW, db)


def _gradient(objective, data, theta, rows, batch) -> Array:
    """What a training step on these rows hands to the optimizer."""
    gradient = np.empty_like(theta)
    data.take(rows, batch.ws.A[0], batch.Y, batch.weight)
    if batch.weight is not None:
        np.multiply(batch.weight, 1 / len(rows), out=batch.weight)
    run(objective.gradient(theta, gradient, batch, [np.random.default_rng(SEED)]))
    run(add_decay(gradient, theta, objective.decay(theta.dtype)))
    return gradient
