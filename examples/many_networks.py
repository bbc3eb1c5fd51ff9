"""Many small networks at once: an ensemble, and the folds of a cross-validation.

fit_many trains networks of one architecture as one stack of arrays. Each has its own seed
(and its own rows), and the results are those of separate fits.
"""

from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, train_test_split

from skbackprop import BackpropRegressor, fit_many

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = BackpropRegressor(
    hidden_layer_sizes=(16,), alpha=20, batch_size=32, learning_rate_init=0.01,
    learning_rate="cosine", max_iter=100, n_networks=1, n_bins=0,
)  # fmt: skip


def with_seeds(n):
    return [clone(model).set_params(random_state=seed) for seed in range(n)]


start = perf_counter()
ensemble = fit_many(with_seeds(8), X_train, y_train)
together = perf_counter() - start
start = perf_counter()
separate = [m.fit(X_train, y_train) for m in with_seeds(8)]
print(f"8 networks together {together:.2f} s, one after the other {perf_counter() - start:.2f} s")

predictions = np.array([m.predict(X_test) for m in ensemble])
difference = max(
    abs(p - m.predict(X_test)).max() for p, m in zip(predictions, separate, strict=True)
)
assert difference < 1e-6 * y.std(), "the same networks either way"
single = np.mean([r2_score(y_test, p) for p in predictions])
mean = r2_score(y_test, predictions.mean(axis=0))
print(f"R² of one network {single:.3f} on average, of their mean {mean:.3f}")
assert mean >= single  # the squared error is convex

# The training rows of every fold, as `rows`: X is neither copied nor split.
folds = list(KFold(8, shuffle=True, random_state=0).split(X_train))
fitted = fit_many(with_seeds(8), X_train, y_train, rows=[train for train, _ in folds])
scores = [m.score(X_train[test], y_train[test]) for m, (_, test) in zip(fitted, folds, strict=True)]
print(f"R² in 8 folds: {np.mean(scores):.3f} ± {np.std(scores):.3f}")
