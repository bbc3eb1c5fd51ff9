"""sample_weight means the same at every batch size.

100 rows with y = 0 and weight 100, 100 rows with y = 1 and weight 1, and a model that can
only learn a constant. The constant of the smallest weighted squared error is the weighted
mean, 100 / 10,100 = 0.0099, however the rows are dealt into batches.

A batch's gradient must be divided by its rows times the mean weight of *all* rows.
MLPRegressor divides by the batch's own weights, and these cancel in a batch of one row.
"""

import inspect

import numpy as np
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

X = np.zeros((200, 1))  # nothing to learn from: only the bias moves
y = np.repeat([0.0, 1.0], 100)
weight = np.repeat([100.0, 1.0], 100)
true_mean = np.average(y, weights=weight)

settings = {
    "hidden_layer_sizes": (),
    "alpha": 0.0,
    "solver": "sgd",
    "momentum": 0.0,
    "learning_rate": "adaptive",  # divided by 5 when training stalls: ends at a standstill
    "learning_rate_init": 0.02,
    "tol": 1e-9,
    "max_iter": 5000,
    "random_state": 0,
}
# sample_weight came to MLPRegressor with scikit-learn 1.7.
with_mlp = "sample_weight" in inspect.signature(MLPRegressor.fit).parameters

print(f"the weighted mean of y:  {true_mean:.4f}")
print("batch size   BackpropRegressor   MLPRegressor")
ours = []
for batch_size in (1, 4, 20, 200):
    model = BackpropRegressor(**settings, batch_size=batch_size).fit(X, y, weight)
    ours.append(model.predict(X[:1])[0])
    theirs = "(no sample_weight)"
    if with_mlp:
        mlp = MLPRegressor(**settings, batch_size=batch_size).fit(X, y, weight)
        theirs = f"{mlp.predict(X[:1])[0]:.4f}"
    print(f"{batch_size:10d}   {ours[-1]:17.4f}   {theirs:>12s}")

assert np.allclose(ours, true_mean, atol=2e-3)
