"""Time of predict: for a long table, by the row, and for a single row, by the call.

The single row is what a service pays for every request. PyTorch has no checks of its
input to make, so its single row shows what those of an estimator cost.
"""

import warnings
from itertools import pairwise
from time import perf_counter

import numpy as np
from race import ONE, command_line, report, smallest_times, torch_or_none
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

SIZES = (20, 100, 100, 1)
ROWS, CALLS = 200_000, 100


def timed(predict, X, calls):
    """A function that returns the seconds of one call."""

    def run():
        start = perf_counter()
        for _ in range(calls):
            predict(X)
        return (perf_counter() - start) / calls

    run()
    return run


def torch_predict(torch):
    """predict(X) of an untrained PyTorch network of the same sizes, float32."""
    layers = []
    for m, n in pairwise(SIZES):
        layers += [torch.nn.Linear(m, n), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1]).eval()

    def predict(X):
        with torch.inference_mode():
            return network(torch.from_numpy(X)).numpy()

    return predict


def main():
    options = command_line(__doc__)
    # Two epochs are enough for a network to predict with, and both estimators say they
    # are too few to converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch = torch_or_none(options.threads)
    rng = np.random.default_rng(0)
    bulk, single = {}, {}
    for dtype in ("float64", "float32"):
        X = rng.standard_normal((ROWS, SIZES[0])).astype(dtype)
        for cls, parameters in ((BackpropRegressor, ONE), (MLPRegressor, {})):
            given = {"hidden_layer_sizes": SIZES[1:-1], "max_iter": 2, "random_state": 0}
            model = cls(**parameters | given)
            model.fit(X[:2000], X[:2000, 0])
            bulk[f"{cls.__name__}, {dtype}"] = timed(model.predict, X, 1)
            single[f"{cls.__name__}, {dtype}"] = timed(model.predict, X[:1], CALLS)
    if torch is not None:
        predict = torch_predict(torch)
        bulk["PyTorch, float32"] = timed(predict, X, 1)
        single["PyTorch, float32"] = timed(predict, X[:1], CALLS)
    network = "-".join(map(str, SIZES))
    times = {name: t / ROWS for name, t in smallest_times(bulk, options.rounds).items()}
    report(f"a row of {ROWS:,}, network {network}", times, "ns", 1e9)
    report(f"a single row, network {network}", smallest_times(single, options.rounds))


if __name__ == "__main__":
    main()
