"""Five pictures of a network: what it is, what it has learnt, and how training went.

Also why sigmoid networks of many layers learn badly: their gradient vanishes on its way back, that
of relu does not. Writes displays.png and gradient_flow.png.

Needs matplotlib and pandas.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from skbackprop import (
    ActivationDisplay,
    BackpropRegressor,
    GradientFlowDisplay,
    LossCurveDisplay,
    MarginalEffectsDisplay,
    NetworkDisplay,
)

plt.switch_backend("Agg")  # a file and no window: works without a display

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
model = BackpropRegressor(
    hidden_layer_sizes=(8, 4),
    activation="tanh",
    alpha=20,
    batch_size=32,
    learning_rate="adaptive",
    learning_rate_init=0.01,
    early_stopping=True,
    random_state=0,
).fit(X, y)

figure, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
network = NetworkDisplay.from_estimator(model, ax=axes[0, 0])
loss = LossCurveDisplay.from_estimator(model, ax=axes[0, 1])
effects = MarginalEffectsDisplay.from_estimator(model, X, ax=axes[1, 0])
ActivationDisplay.from_estimator(model, ax=axes[1, 1])
figure.savefig("displays.png", dpi=120)

first = X.columns[effects.features_[0]]
print(f"best epoch {loss.best_epoch} of {model.n_iter_}; the largest effect is that of {first}")
assert loss.best_epoch == 1 + np.argmin(model.validation_loss_curve_)
assert [len(nodes) for nodes in network.nodes_] == [10, 8, 4, 1]
assert {"bmi", "s5"} & set(X.columns[effects.features_[:3]])

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
for ax, activation in zip(axes, ("logistic", "relu"), strict=True):
    deep = BackpropRegressor(
        hidden_layer_sizes=(20,) * 5, activation=activation, max_iter=30, random_state=0,
        parametrization="standard",
    )  # fmt: skip
    norms = GradientFlowDisplay.from_estimator(deep, X, y, ax=ax).norms
    ax.set_title(activation)
    print(f"{activation}: dW[1] at the first weights is {norms[0, 0] / norms[0, -1]:.1g} of dW[6]")
    assert (norms[0, 0] < 0.01 * norms[0, -1]) == (activation == "logistic")
figure.savefig("gradient_flow.png", dpi=120)
print("wrote displays.png and gradient_flow.png")
