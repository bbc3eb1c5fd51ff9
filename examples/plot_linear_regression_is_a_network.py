"""Linear regression is a network without a hidden layer: gradient descent finds the closed form.

Then f = 1/m ‖X W + 1 b - Y‖²_F is convex, and where it is smallest both derivatives vanish:
df/dW = Xᵀ df/dZ = 0 are the normal equations. Writes linear_regression_is_a_network.png.

Needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display
X, y = load_diabetes(return_X_y=True, scaled=False)
X = X[:, [2, 3, 8]]  # body mass index, blood pressure, a serum value: three different units

network = BackpropRegressor(
    hidden_layer_sizes=(),
    solver="sgd",
    momentum=0,  # the article's W ← W - α df/dW
    batch_size=len(X),
    learning_rate="constant",
    learning_rate_init=0.3,
    n_networks=1,
    early_stopping=False,
    parametrization="standard",
    alpha=0,
    tol=1e-15,
    max_iter=1000,
    random_state=0,
).fit(X, y)
closed_form = LinearRegression().fit(X, y)

print("                    ", "  ".join(f"{name:>10}" for name in ("bmi", "bp", "s5", "intercept")))
for name, w, b in (
    ("gradient descent", network.coefs_[0][:, 0], network.intercepts_[0][0]),
    ("LinearRegression", closed_form.coef_, closed_form.intercept_),
):
    print(f"{name:20}", "  ".join(f"{x:10.4f}" for x in (*w, b)))
assert np.allclose(network.coefs_[0][:, 0], closed_form.coef_, rtol=1e-6)
assert np.allclose(network.predict(X), closed_form.predict(X), rtol=1e-6)

explanation = network.explain_backprop(X, y)
assert explanation["dW[1]"].equation == "dW[1] = A[0]ᵀ dZ[1]"
norms = {name: explanation[name].result.norm for name in ("dZ[1]", "dW[1]", "db[1]")}
print("norms at the end:", ", ".join(f"{name} {norm:.1e}" for name, norm in norms.items()))
assert max(norms["dW[1]"], norms["db[1]"]) < 1e-6 < norms["dZ[1]"]  # errors remain, not their slope

least = np.mean((closed_form.predict(X) - y) ** 2)
excess = np.array(network.loss_curve_) - least
assert abs(excess[-1]) < 1e-9 * least  # there is no more to gain
excess = np.maximum(excess, 1e-12 * least)  # below, it is rounding
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.semilogy(np.arange(1, len(excess) + 1), excess)
ax.set(xlabel="step of gradient descent", ylabel="f - its minimum, by the closed form")
fig.savefig("linear_regression_is_a_network.png", dpi=120)
print("wrote linear_regression_is_a_network.png")
