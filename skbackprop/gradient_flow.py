"""The norms of dW[l] while a network is trained, for those who ask: training itself keeps none."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from .lbfgs import full_gradient
from .quiet import quietly
from .regressor import BackpropRegressor
from .training import Objective

Array = np.ndarray

LARGEST = 2048  # rows that the gradient is taken of


class GradientNorms:
    """‖df/dW[l]‖_F, l = 1 … L, whenever it is called with weights: a callback of a fit.

    The objective is that of training, penalty included and without dropout, on at most 2048 of
    its rows, evenly spaced; the gradient is computed by the functions that train. Of several
    networks it is that of the first, on all rows.
    """

    def __init__(self, fitting: Any):
        self.network = fitting.objective.network  # of all networks, with the scale of the inputs
        fitting = fitting.alone()
        f, data = fitting.objective, fitting.data
        rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), LARGEST)).astype(np.intp))
        self.theta = fitting.model.theta.copy()
        gradient = np.empty_like(self.theta)
        objective = Objective(f.network, f.loss, f.penalty, f.from_Z)
        self.fill = full_gradient(
            objective, replace(data, index=data.of_table(rows)), self.theta, gradient
        )
        self.dW = f.network.views(gradient).W[1:]
        self.norms: list[list[float]] = []

    def __call__(self, theta: Array, last: bool = False) -> bool:
        """Note the norms; never a reason to stop."""
        network = self.network
        of_first = network.unpack(theta, 0) if network.stack else theta
        np.copyto(self.theta, network.of_one.folded(of_first))
        self.fill()
        squares = (np.einsum("ij,ij->", M, M, dtype=np.float64) for M in self.dW)
        self.norms.append([float(np.sqrt(square)) for square in squares])
        return False


@quietly
def gradient_norms(
    estimator: BackpropRegressor, X: Any, y: Any, sample_weight: Any, validation: tuple
) -> Array:
    """(epochs + 1, L): the norms at the first weights and after every epoch of a clone's fit.

    A training that diverges is recorded too, as far as it went.
    """
    model = clone(estimator).set_params(checkpoint=None, warm_start=False)
    fitting, _, _, scorer = model._prepare(X, y, sample_weight, validation)
    record = GradientNorms(fitting)
    record(fitting.model.theta)
    fitting.run(scorer, record)
    return np.array(record.norms)
