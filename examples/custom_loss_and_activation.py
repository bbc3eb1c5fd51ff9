"""A loss and an activation of your own: two small classes, each with its derivative.

The loss is the expectile's: squared error that counts 9 times as much where the model
predicts too little. The activation is a sine, for data that repeat.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skbackprop import BackpropRegressor
from skbackprop.losses import Loss


@dataclass(frozen=True)
class Expectile(Loss):
    """ℓ = |τ - (y < a)| (a - y)²;  dℓ/da = 2 |τ - (y < a)| (a - y)."""

    tau: float = 0.9
    degree: ClassVar[float] = 2  # ℓ(s a, s y) = s² ℓ(a, y), so y may be standardised inside

    def elementwise(self, A, Y):
        return np.abs(self.tau - (Y < A)) * np.square(A - Y)

    def elementwise_derivative(self, A, Y):
        return 2 * np.abs(self.tau - (Y < A)) * (A - Y)


class Sine:
    """g(z) = sin z;  g'(z) = cos z."""

    initialization = "glorot"

    def value(self, Z, out=None):
        return np.sin(Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.cos(Z, out=out)


rng = np.random.default_rng(0)
X = rng.uniform(-6, 6, (3000, 1))
y = 1000 + 100 * np.sin(2 * X[:, 0]) + rng.exponential(50, len(X))

model = BackpropRegressor(
    Expectile(tau=0.9), (50,), Sine(), solver="lbfgs", alpha=0.01, max_iter=3000, random_state=0
).fit(X, y)

# At the expectile τ the rows above weigh τ and those below 1 - τ, and the two balance:
# τ · (mean amount by which y is above) = (1 - τ) · (mean amount by which it is below).
residual = y - model.predict(X)
above, below = np.maximum(residual, 0).mean(), np.maximum(-residual, 0).mean()
print(f"share of rows below the expectile:          {np.mean(residual < 0):.3f}")
print(f"amount below / amount above, should be 9:   {below / above:.3f}")

assert abs(below / above - 9) < 0.1
assert np.mean(residual < 0) > 0.7
