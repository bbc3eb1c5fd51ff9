"""RandomizedSearchCV over the architecture: hidden layers as strings such as "64-32".

Some search tools take only numbers and strings as choices, so hidden_layer_sizes may be a
string: "64-32" is (64, 32), "" is a linear model.
"""

from itertools import product

from scipy.stats import loguniform
from sklearn.datasets import make_friedman1
from sklearn.model_selection import RandomizedSearchCV, train_test_split

from skbackprop import BackpropRegressor

X, y = make_friedman1(n_samples=800, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

units = (16, 32, 64)
architectures = [
    "",  # no hidden layer
    *(str(m) for m in units),
    *(f"{m}-{n}" for m, n in product(units, units) if m >= n),  # never wider further on
]
search = RandomizedSearchCV(
    BackpropRegressor(n_networks=1, n_bins=0, early_stopping=True, random_state=0),
    {
        "hidden_layer_sizes": architectures,
        "activation": ["relu", "silu", "tanh"],
        "alpha": loguniform(1e-2, 1e2),
        "learning_rate_init": loguniform(2e-3, 2e-2),
    },
    n_iter=25,
    cv=3,
    random_state=0,
)
search.fit(X_train, y_train)

results = search.cv_results_
best_first = results["rank_test_score"].argsort()
print("mean R² of 3 folds, hidden layers, activation: the best five and the worst of 25")
for i in [*best_first[:5], best_first[-1]]:
    p = results["params"][i]
    layers = p["hidden_layer_sizes"] or "(none)"
    print(f"   {results['mean_test_score'][i]:.3f}   {layers:8s}{p['activation']}")

linear = BackpropRegressor(hidden_layer_sizes="", solver="lbfgs").fit(X_train, y_train)
print(f"R² of the best on rows kept aside:       {search.score(X_test, y_test):.3f}")
print(f"R² of no hidden layer on the same rows:  {linear.score(X_test, y_test):.3f}")

assert search.score(X_test, y_test) > linear.score(X_test, y_test) + 0.1
assert search.best_estimator_.layer_sizes_[0] == X.shape[1]
