"""Check a loss and an activation of your own before training with them.

Both have a mistake that training would not show: it would end at other weights, and nobody would
know. The check says which promise is broken; corrected, they pass, in a network too.
"""

import numpy as np

from skbackprop import BackpropRegressor, check_activation, check_gradients, check_loss
from skbackprop.losses import Loss


class LogSquares(Loss):
    """ℓ = (log a - log y)², for a and y > 0;  dℓ/da = 2 (log a - log y) / a."""

    positive = True
    output_activation = "exp"

    def elementwise(self, A, Y):
        return np.square(np.log(A) - np.log(Y))

    def elementwise_derivative(self, A, Y):
        return 2 * (np.log(A) - np.log(Y))  # / A is missing

    def check_targets(self, Y):
        if (Y <= 0).any():
            raise ValueError(f"LogSquares needs targets y > 0; the smallest is {Y.min():g}")


class Corrected(LogSquares):
    def elementwise_derivative(self, A, Y):
        return super().elementwise_derivative(A, Y) / A


class Softsign:
    """g(z) = z / (1 + |z|);  g'(z) = 1 / (1 + |z|)²."""

    def value(self, Z, out=None):
        return np.divide(Z, 1 + np.abs(Z), out=out)

    def derivative(self, Z, A, out=None):
        return np.divide(1, np.square(1 + np.abs(Z)), out=out)


print(check_loss(LogSquares()), end="\n\n")
assert not check_loss(LogSquares()).passed and check_loss(Corrected()).passed
print(check_activation(Softsign()), end="\n\n")

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = np.exp(X[:, 0] + 0.1 * rng.normal(size=200))

report = check_gradients(BackpropRegressor(LogSquares(), (8,), Softsign(), random_state=0), X, y)
print(report)
assert [line.rule for line in report.faults] == ["dA[2] = derivative of LogSquares"]
report = check_gradients(BackpropRegressor(Corrected(), (8,), Softsign(), random_state=0), X, y)
assert report.passed and check_activation(Softsign()).passed
