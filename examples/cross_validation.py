"""cross_val_score and cross_validate on raw data, with a y in dollars.

Units make no difference: the R² of every fold is that of the table scaled by hand.
"""

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import KFold, cross_val_score, cross_validate

from skbackprop import BackpropRegressor

X_unit, y_unit = make_friedman1(n_samples=1000, n_features=5, noise=1.0, random_state=0)

# What a database holds: columns of very different sizes, prices in the hundred thousands.
X_raw = X_unit * [1e-3, 1.0, 50.0, 3e4, 1e6] + [0.0, 2000.0, -20.0, 0.0, 1e6]
y_dollars = 200_000 + 20_000 * y_unit
# By hand, as a StandardScaler would: mean 0 and standard deviation 1.
X_scaled = (X_unit - X_unit.mean(axis=0)) / X_unit.std(axis=0)
y_scaled = (y_unit - y_unit.mean()) / y_unit.std()

model = BackpropRegressor(
    hidden_layer_sizes=(32, 32), max_iter=56, early_stopping=True, random_state=0
)
folds = KFold(5, shuffle=True, random_state=0)

raw = cross_val_score(model, X_raw, y_dollars, cv=folds)
scaled = cross_val_score(model, X_scaled, y_scaled, cv=folds)
print("R² of the five folds, raw units:      ", raw.round(6))
print("R² of the five folds, scaled by hand: ", scaled.round(6))
print(f"largest difference:                     {np.abs(raw - scaled).max():.1e}")

# cross_validate: several scores at once, and the errors come in dollars.
scores = cross_validate(
    model,
    X_raw,
    y_dollars,
    cv=folds,
    scoring={"R²": "r2", "error": "neg_mean_absolute_error"},
    return_train_score=True,
)
print(f"mean R² on training rows:               {scores['train_R²'].mean():.3f}")
print(f"mean R² on test rows:                   {scores['test_R²'].mean():.3f}")
print(f"mean absolute error on test rows:       {-scores['test_error'].mean():,.0f} dollars")
print(f"standard deviation of y:                {y_dollars.std():,.0f} dollars")
print(f"mean seconds a fit:                     {scores['fit_time'].mean():.2f}")

assert np.abs(raw - scaled).max() < 1e-6
assert raw.min() > 0.85
