"""The article's derivation worked by hand for a 2-2-1 network, and by training: one step downhill.

Forward, loss, backward and update in a dozen lines of NumPy, each with its equation; then the
same step by ``partial_fit``, the same matrices by ``explain_backprop``; derivation_by_hand.png.

Needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display
X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])  # exclusive or
alpha, m = 0.5, len(X)  # the learning rate; alpha=0 below is the penalty

model = BackpropRegressor(
    hidden_layer_sizes=(2,), activation="tanh", solver="sgd", momentum=0, batch_size=m, alpha=0,
    learning_rate_init=alpha, standardize=False, parametrization="standard", random_state=1,
).partial_fit(X, Y)  # fmt: skip
(W1, W2), (b1, b2) = model.coefs_, model.intercepts_
explanation = model.explain_backprop(X, Y)

A1 = np.tanh(X @ W1 + b1)  # Z[1] = A[0] W[1] + 1 b[1],  A[1] = g[1](Z[1])
A2 = A1 @ W2 + b2  # g[2](z) = z
f = np.sum((A2 - Y) ** 2) / m  # 1/m ‖A[2] - Y‖²_F
dA2 = 2 / m * (A2 - Y)  # squared Frobenius norm, addition
dZ2 = dA2  # elementwise, g[2]' = 1
dW2, db2 = A1.T @ dZ2, dZ2.sum(axis=0)  # left multiplication, by A[1] and by 1
dA1 = dZ2 @ W2.T  # right multiplication
dZ1 = dA1 * (1 - A1**2)  # elementwise, tanh' = 1 - tanh²
dW1, db1 = X.T @ dZ1, dZ1.sum(axis=0)

by_hand = {"dA[2]": dA2, "dW[2]": dW2, "dA[1]": dA1, "dZ[1]": dZ1, "dW[1]": dW1, "db[1]": [db1]}
for name, M in by_hand.items():
    assert np.allclose(explanation[name].result.value, M), name
assert np.isclose(explanation["f"].result.value, f)

model.partial_fit(X, Y)  # one step: W[l] ← W[l] - α dW[l]
assert np.allclose(model.coefs_[0], W1 - alpha * dW1)
assert np.allclose(model.intercepts_[1], b2 - alpha * db2)
after = model.explain_backprop(X, Y)["f"].result.value
print(f"f = {f:.4f}, after one step downhill {after:.4f}")
assert after < f

steps = [step for step in explanation if step.part.startswith(("Given", "Forward", "Backward"))]
fig, axes = plt.subplots(4, 5, figsize=(12, 8), layout="constrained")
largest = max(np.abs(step.result.value).max() for step in steps)
for ax in axes.flat:
    ax.set_axis_off()
for ax, step in zip(axes.flat, steps, strict=False):
    M = step.result.value
    ax.imshow(M, cmap="RdBu", vmin=-1.5 * largest, vmax=1.5 * largest)
    for (i, j), entry in np.ndenumerate(M):
        ax.text(j, i, f"{entry:.2f}", ha="center", va="center", fontsize=9)
    ax.set(title=step.equation, xlim=(-1.5, 2.5), ylim=(3.5, -0.5))  # squares of one size
fig.suptitle("Forward and back through a 2-2-1 network, matrix by matrix")
fig.savefig("derivation_by_hand.png", dpi=120)
