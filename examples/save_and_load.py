"""A model in a file of numbers and names, without code: for a server, a colleague, next year.

Unlike a pickle, such a file can be opened whoever sent it, and by every later version.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from skbackprop import BackpropRegressor, ModelFileError

X, y = load_diabetes(return_X_y=True)
model = BackpropRegressor(
    hidden_layer_sizes=(16,), learning_rate_init=0.01, early_stopping=True, random_state=0
).fit(X, y)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "diabetes.skb"
    model.save(path)
    loaded = BackpropRegressor.load(path)
    print(f"{path.stat().st_size:,} bytes, R² = {loaded.score(X, y):.3f}")

    # It is a zip of .npy arrays, which other tools open too.
    with np.load(path) as arrays:
        print(f"theta_ has {arrays['theta_'].size} weights; there are also {arrays.files[2:5]}, …")

    # A single bit that is wrong is seen, and nothing but this error comes out.
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    try:
        BackpropRegressor.load(path)
    except ModelFileError as error:
        print("refused:", error.reason)
        refused = True

# Predictions are the same bits, and so is training that goes on.
assert np.array_equal(loaded.predict(X), model.predict(X))
assert np.array_equal(loaded.partial_fit(X, y).theta_, model.partial_fit(X, y).theta_)
assert refused
