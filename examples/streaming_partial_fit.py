"""Learning from a stream: partial_fit on chunks that are seen once and thrown away.

The first chunk settles the network and its scaling, so it should look like the rest.
"""

import numpy as np
from sklearn.datasets import make_friedman1

from skbackprop import BackpropRegressor

CHUNKS, ROWS = 200, 500


def stream():
    """Chunks of a table that would not have to fit into memory."""
    for seed in range(CHUNKS):
        yield make_friedman1(n_samples=ROWS, noise=1.0, random_state=seed)


X_test, y_test = make_friedman1(n_samples=5000, noise=1.0, random_state=10_000)
# The best that any model could do: all of y but its noise, which has variance 1.
ceiling = 1 - 1 / y_test.var()

settings = {"hidden_layer_sizes": (64, 32), "batch_size": 50, "random_state": 0}
model = BackpropRegressor(**settings)
print("rows seen   R² on 5,000 other rows")
for i, (X, y) in enumerate(stream(), start=1):
    model.partial_fit(X, y)
    if i in (1, 2, 5, 10, 20, 50, 100, 200):
        print(f"{model.t_:9,d}   {model.score(X_test, y_test):.4f}")
streamed = model.score(X_test, y_test)

# The same rows as one table, gone through as often: once. (A planned schedule, here the
# constant factor 1, is complete after max_iter epochs, so one epoch is no failure.)
X, y = (np.concatenate(parts) for parts in zip(*stream(), strict=True))
once = BackpropRegressor(**settings, max_iter=1, learning_rate=lambda progress: 1.0).fit(X, y)
fitted = once.score(X_test, y_test)
print(f"fit on all rows at once, one epoch:  {fitted:.4f}")
print(f"the best possible:                   {ceiling:.4f}")

assert model.t_ == CHUNKS * ROWS
assert streamed > 0.95 * ceiling
assert abs(streamed - fitted) < 0.02
