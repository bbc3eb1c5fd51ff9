"""Several outputs at once, in units that have nothing to do with each other.

A sensor's temperature drifts by hundredths, its pressure by ten thousands. One network
learns both, because each output is standardised by itself; a loss in raw units would see
nothing but the pressure.
"""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (2000, 3))
pressure = 1e5 + 1e4 * (X[:, 0] * X[:, 1] + X[:, 2])  # pascal
temperature = 20 + 0.01 * np.sin(3 * X[:, 0]) + 0.01 * X[:, 1] ** 2  # degrees
share = 0.5 + 0.4 * X[:, 1] * X[:, 2]  # of one
Y = np.column_stack([pressure, temperature, share])
names = ["pressure", "temperature", "share"]
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, random_state=0)

settings = {
    "hidden_layer_sizes": (64, 32),
    "learning_rate_init": 0.005,
    "early_stopping": True,
    "max_iter": 500,
    "random_state": 0,
}
ours = BackpropRegressor(**settings).fit(X_train, Y_train)
mlp = make_pipeline(StandardScaler(), MLPRegressor(**settings))
both = TransformedTargetRegressor(mlp, transformer=StandardScaler()).fit(X_train, Y_train)
mlp.fit(X_train, Y_train)

scores = [r2_score(Y_test, m.predict(X_test), multioutput="raw_values") for m in (ours, mlp, both)]
print("R² on held-out rows")
print("              BackpropRegressor   MLPRegressor, X scaled   MLPRegressor, X and Y scaled")
for name, a, b, c in zip(names, *scores, strict=True):
    print(f"{name:12s}  {a:17.3f}   {b:22,.0f}   {c:28.3f}")
print(f"shape of a prediction for 5 rows: {ours.predict(X_test[:5]).shape}")
print(f"what each output is divided by:   {ours.y_scale_.round(4)}")

assert scores[0].min() > 0.98
