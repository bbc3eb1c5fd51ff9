"""Validation rows of your own, through a Pipeline that transforms them too.

Here the table is a series in time: the last rows of the training years decide when to
stop, and not rows drawn from among their neighbours. ``transform_input=["X_val"]`` tells
the Pipeline (scikit-learn 1.6 and later) to send X_val through its earlier steps.
"""

import numpy as np
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import SplineTransformer

from skbackprop import BackpropRegressor

rng = np.random.default_rng(0)
hour = np.arange(24 * 365)
X = np.column_stack([hour % 24, (hour // 24) % 7]).astype(float)  # hour of day, day of week
daily, weekend = np.sin(2 * np.pi * X[:, 0] / 24), X[:, 1] >= 5
y = 500 + 100 * daily * np.where(weekend, 0.3, 1) + rng.normal(0, 20, len(hour))

train, val, test = slice(0, 6000), slice(6000, 7500), slice(7500, None)

with sklearn.config_context(enable_metadata_routing=True):
    net = BackpropRegressor(
        hidden_layer_sizes=32, early_stopping=True, learning_rate_init=0.005, random_state=0
    ).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("splines", SplineTransformer()), ("net", net)], transform_input=["X_val"])
    pipeline.fit(X[train], y[train], X_val=X[val], y_val=y[val])
    score = pipeline.score(X[test], y[test])

net = pipeline["net"]
best = int(np.argmin(net.validation_loss_curve_))
print(f"columns of X, columns the network sees:     {X.shape[1]}, {net.n_features_in_}")
print(f"epochs run, best epoch on our rows:         {net.n_iter_}, {best + 1}")
print(f"R² on our validation rows, best of all:     {net.best_validation_score_:.3f}")
print(f"R² on the weeks after them:                 {score:.3f}")
by_hand = np.mean((pipeline.predict(X[val]) - y[val]) ** 2)
recorded = min(net.validation_loss_curve_)
print(f"validation loss, as recorded and by hand:   {recorded:.4f}, {by_hand:.4f}")

assert np.isclose(recorded, by_hand)  # the best weights are back
assert net.t_ == net.n_iter_ * 6000  # no training row was kept aside
assert score > 0.85
