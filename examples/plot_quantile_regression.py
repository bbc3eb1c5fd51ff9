"""Quantile regression: a band that holds 90 % of the rows, wide where the noise is.

Three networks for the quantiles 0.05, 0.5 and 0.95. Writes quantile_regression.png.

Needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display


def draw(n, seed):
    """A sine with noise that grows from left to right."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n)
    return x[:, None], np.sin(x) + rng.normal(0, 0.1 + 0.1 * x)


X, y = draw(3000, seed=0)
X_test, y_test = draw(20_000, seed=1)

models = {
    q: BackpropRegressor(
        loss="quantile",
        quantile=q,
        hidden_layer_sizes=(32, 32),
        activation="tanh",
        # At the loss's kink a constant step jumps to and fro: down to zero, without patience.
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=200,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)
    for q in (0.05, 0.5, 0.95)
}

shares = {q: float(np.mean(y_test <= model.predict(X_test))) for q, model in models.items()}
inside = shares[0.95] - shares[0.05]
print("on 20,000 new rows")
for q, share in shares.items():
    print(f"   quantile {q:4.2f}: share of rows below the curve  {share:.3f}")
print(f"   share of rows inside the band, meant to be 0.9:  {inside:.3f}")

grid = np.linspace(0, 10, 400)[:, None]
low, median, high = (models[q].predict(grid) for q in (0.05, 0.5, 0.95))
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.plot(X[::3], y[::3], ".", color="0.6", markersize=3, label="rows (every third)")
ax.fill_between(grid[:, 0], low, high, alpha=0.25, color="C0", label="0.05 to 0.95")
ax.plot(grid, median, color="C0", linewidth=2, label="0.5, the median")
ax.plot(grid, np.sin(grid), "--", color="black", linewidth=1, label="the true median")
ax.set(xlabel="x", ylabel="y", title=f"Three quantiles; {inside:.0%} of new rows are in the band")
ax.legend(loc="upper left")
fig.savefig("quantile_regression.png", dpi=120)
print("wrote quantile_regression.png")

assert all(abs(share - q) < 0.03 for q, share in shares.items())
