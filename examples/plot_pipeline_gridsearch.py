"""A Pipeline in GridSearchCV: alpha and activation together, drawn as a table of R².

Writes pipeline_gridsearch.png.

Needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display

X, y = make_friedman1(n_samples=400, noise=1.0, random_state=0)
X[np.random.default_rng(0).random(X.shape) < 0.02] = np.nan  # something for the pipeline to do

# No scaler: the regressor standardises X and y itself, from the training rows of each fold.
pipeline = Pipeline(
    [
        ("impute", SimpleImputer()),
        # Below a few thousand rows lbfgs is quick and needs no learning rate.
        ("net", BackpropRegressor(hidden_layer_sizes=20, solver="lbfgs", max_iter=2000, tol=1e-3)),
    ]
)
pipeline.set_params(net__random_state=0)
grid = {
    "net__alpha": [0.1, 1, 10, 100],
    "net__activation": ["relu", "tanh", "silu", "gelu"],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
linear = cross_val_score(make_pipeline(SimpleImputer(), RidgeCV()), X, y, cv=3).mean()
print(f"best settings:             {search.best_params_}")
print(f"mean R² of the best:       {search.best_score_:.3f}")
print(f"mean R² of a linear model: {linear:.3f}")

activations, alphas = grid["net__activation"], grid["net__alpha"]
results = search.cv_results_
scores = {
    (p["net__activation"], p["net__alpha"]): r
    for p, r in zip(results["params"], results["mean_test_score"], strict=True)
}
table = np.array([[scores[g, alpha] for alpha in alphas] for g in activations])

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
fig.colorbar(ax.imshow(table, cmap="Blues", aspect="auto"), label="mean R² of 3 folds")
for (i, j), r in np.ndenumerate(table):
    dark = r > (table.min() + table.max()) / 2
    ax.text(j, i, f"{r:.3f}", ha="center", va="center", color="white" if dark else "black")
ax.set_xticks(range(len(alphas)), alphas)
ax.set_yticks(range(len(activations)), activations)
ax.set(xlabel="alpha", ylabel="activation", title="GridSearchCV over a Pipeline")
fig.savefig("pipeline_gridsearch.png", dpi=120)
print("wrote pipeline_gridsearch.png")

assert search.best_score_ > linear + 0.1
