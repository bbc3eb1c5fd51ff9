"""The matrices of a training step, to be looked at: those of ``Objective.gradient`` themselves."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .architecture import check_same
from .automatic import is_auto
from .blocks import run
from .feed import Data
from .fitting import Fitting
from .lbfgs import full_batch_rows
from .model import model_of
from .starting import Table
from .training import Batch, Objective, add_decay

Array = np.ndarray

SEED = 0  # of the masks of dropout
LARGEST = 1024  # rows, repeated, of a batch as large as training's


class Trained(NamedTuple):
    """Lists by layer: A, Z, their derivatives, masks (None without dropout), the gradient.

    And the targets, and the weights of the rows, which are None where all are 1/m.
    """

    A: list[Any]
    Z: list[Any]
    dA: list[Any]
    dZ: list[Any]
    D: list[Any]
    dW: list[Any]
    db: list[Any]
    Y: Array
    weight: Array | None


def fitting_at(fitted: dict[str, Any], params: dict[str, Any], table: Table, asks: str) -> Fitting:
    """The fit that would be made of a table, at the weights and in the units of a fitted model.

    Of several networks the first.

    In the type `params` name; `asks` is who wants it, for the message on another architecture.
    """
    known, dtype = fitted["_training"]["architecture"], params["dtype"]
    params = params | {k: known[k] for k in ("n_networks", "n_bins") if is_auto(params[k])}
    fitting = Fitting(params, table, categories=fitted["categories_"])
    known = known | {"dtype": dtype}
    check_same(fitting.architecture, known, asks, "give what it was fitted with, or fit it anew")
    model = model_of(fitted)
    fitting.adopt(replace(model, theta=model.theta.astype(dtype)), table)
    return fitting.alone()


def trained_by(fitting: Fitting, rows: Array) -> Trained:
    """What a fit's training computes for these rows, in a batch as large as its own."""
    if fitting.optimizer is not None:
        least = fitting.how.batch_size
    else:
        least = min(full_batch_rows(fitting.model.layer_sizes), len(fitting.data))
    theta = fitting.model.theta
    return trained(fitting.objective, fitting.data, theta, rows, min(least, LARGEST))


def trained(objective: Objective, data: Data, theta: Array, rows: Array, least: int) -> Trained:
    """What a training step computes for these rows of the data, but for the update.

    Twice: dA and dZ in a workspace that keeps them, dW and db in the one in which training's
    matrices share their memory. That has at least `least` rows, as a large batch takes the
    products in another order: the same ones, repeated, which changes no mean.
    """
    network, m = objective.network, len(rows)
    ws = network.workspace(m, theta.dtype, dropout=objective.dropout > 0, keep=True)
    weight = np.empty((m, 1), theta.dtype) if data.weighted else None
    kept = Batch(ws, np.empty_like(ws.A[-1]), weight)
    _gradient(objective, data, theta, rows, kept)
    if not objective.dropout:  # with which every row has masks of its own
        rows = np.tile(rows, -(-least // m))
    batch = objective.batch(len(rows), theta.dtype, data.weighted)
    dW, db, _ = network.views(_gradient(objective, data, theta, rows, batch))
    return Trained(ws.A, ws.Z, ws.dA, ws.dZ, ws.D, dW, db, kept.Y, weight)


def _gradient(objective, data, theta, rows, batch) -> Array:
    """df/dtheta for these rows, with the penalty: what a training step hands to the optimizer.

    AdamW is handed that of the loss alone and sees to the penalty itself.
    """
    gradient = np.empty_like(theta)
    data.take(rows, batch.ws.A[0], batch.Y, batch.weight)
    if batch.weight is not None:
        np.multiply(batch.weight, 1 / len(rows), out=batch.weight)
    run(objective.gradient(theta, gradient, batch, [np.random.default_rng(SEED)]))
    run(add_decay(gradient, theta, objective.decay(theta.dtype)))
    return gradient
