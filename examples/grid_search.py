"""GridSearchCV over the few parameters that are worth a search, beside the defaults.

The defaults look after themselves: how long to train, at what rates, how many networks, which
features go into bins. What is left to the table is how large the networks are and at what rate they
learn. The gain is measured on rows that neither the
search nor the fits have seen; docs/accuracy.md has it for tables of real data.
"""

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.model_selection import GridSearchCV, train_test_split

from skbackprop import BackpropRegressor

grid = {"hidden_layer_sizes": ["32-32", "64-64"], "learning_rate_init": [0.005, 0.0125]}
# Fewer networks for the search, and all of them in the end: they rank the settings alike.
few = BackpropRegressor(n_networks=3, random_state=0)
tables = {
    "diabetes": load_diabetes(return_X_y=True),
    "friedman1": make_friedman1(n_samples=1000, noise=1.0, random_state=0),
}
for name, (X, y) in tables.items():
    X, X_test, y, y_test = train_test_split(X, y, train_size=300, random_state=0)
    search = GridSearchCV(few, grid, cv=3, scoring="neg_root_mean_squared_error", refit=False)
    search.fit(X, y)
    default = BackpropRegressor(random_state=0).fit(X, y)
    found = BackpropRegressor(random_state=0, **search.best_params_).fit(X, y)
    errors = [np.sqrt(np.mean((m.predict(X_test) - y_test) ** 2)) for m in (default, found)]
    print(f"{name}: {search.best_params_}")
    print(f"  mean error of 3 folds    {-search.cv_results_['mean_test_score'].max():.4g}")
    print(
        f"  on {len(y_test)} new rows: {errors[1]:.4g}, with the defaults {errors[0]:.4g}", end=""
    )
    print(f" ({errors[1] / errors[0] - 1:+.1%})")
    assert errors[1] < 1.1 * errors[0]
