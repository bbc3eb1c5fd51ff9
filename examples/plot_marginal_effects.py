"""Average marginal effects: what a unit more of a feature does to the prediction.

A linear regression has one slope for everybody; the network has one for every patient, exactly, and
their means compare with the coefficients. Writes marginal_effects.png.

Needs matplotlib and pandas.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)  # in years, mmHg and so on
model = BackpropRegressor(
    hidden_layer_sizes=(10,), activation="tanh", solver="lm", alpha=60, tol=1e-3, n_bins=0,
    random_state=0,
)  # fmt: skip
linear = LinearRegression()
for name, estimator in {"linear regression": linear, "network": model}.items():
    r2 = cross_val_score(estimator, X, y, cv=10).mean()
    print(f"R² of the {name}, cross-validated: {r2:.3f}")

model.fit(X, y)
effects = model.marginal_effects(X)
print("\ndisease progression for a unit more of a feature, on average over the patients:\n")
print(effects)

slopes = model.predict_gradient(X)  # (patients, features)
scale = X.std().to_numpy()  # to be drawn side by side: for a standard deviation more
order = np.argsort(np.abs(effects["effect"] * scale))
places = np.arange(len(order))
jitter = np.random.default_rng(0).uniform(-0.3, 0.3, slopes.shape)

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
ax.axvline(0, color="0.8", linewidth=1)
ax.plot((slopes * scale)[:, order], places + jitter, ".", color="C0", markersize=2, alpha=0.4)
means = (effects["effect"] * scale)[order]
ax.plot(means, places, "o", color="C1", markeredgecolor="w", label="their mean, the AME")
ax.plot((linear.fit(X, y).coef_ * scale)[order], places, "kx", label="linear regression")
ax.set_yticks(places, effects["feature"][order])
ax.set(xlabel="progression for a standard deviation more", title="One slope for every patient")
ax.legend(loc="lower right")
fig.savefig("marginal_effects.png", dpi=120)
print("\nwrote marginal_effects.png")

along = X.copy()  # the effect by hand: every patient a little heavier
along["bmi"] += 1e-4
difference = np.mean(model.predict(along) - model.predict(X)) / 1e-4
assert np.isclose(difference, effects["effect"][X.columns.get_loc("bmi")], rtol=1e-4)
