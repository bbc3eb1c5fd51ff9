"""The gradient of scikit-learn's MLPRegressor beside differences of its own loss.

A step of plain gradient descent of length 1 on all rows subtracts the gradient from the weights,
and `loss_` is the loss before that step: both by MLPRegressor's public methods. With several
outputs its loss is the mean over them, and its gradient that of the sum.
"""

import warnings

import numpy as np
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor, check_gradients
from skbackprop.calculus import check_derivative


class MLPObjective:
    """f(theta) of an MLPRegressor, and its gradient, as it trains."""

    def __init__(self, X, Y):
        self.X, self.Y = X, Y
        self.model = MLPRegressor(
            hidden_layer_sizes=(5,), activation="tanh", solver="sgd", alpha=0, momentum=0,
            learning_rate_init=1, shuffle=False, batch_size=len(X), random_state=0,
        ).partial_fit(X, Y)  # fmt: skip

    @property
    def theta(self):
        return np.concatenate([M.ravel() for M in self.matrices()])

    def matrices(self):
        return [*self.model.coefs_, *self.model.intercepts_]

    def value(self, theta):
        start = 0
        for M in self.matrices():
            M[...] = theta[start : start + M.size].reshape(M.shape)
            start += M.size
        self.model.partial_fit(self.X, self.Y)
        return self.model.loss_

    def derivative(self, theta):
        self.value(theta)
        return theta - self.theta


rng = np.random.default_rng(0)
X, Y = rng.normal(size=(30, 3)), rng.normal(size=(30, 5))
for k in (1, 2, 5):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a step of length 1 does not converge is no news
        f = MLPObjective(X, Y[:, :k].squeeze())
        report = check_derivative(f, f.theta)
    ours = check_gradients(BackpropRegressor("squared_error", (5,), "tanh"), X, Y[:, :k])
    factor = 1 if report.passed else report[0].factor
    print(f"outputs: {k}   MLPRegressor's gradient / that of its loss: {factor:.6f}   "
          f"BackpropRegressor: {ours.verdict}")  # fmt: skip
    assert ours.passed
