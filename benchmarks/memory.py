"""Memory: how much a fit or a prediction adds to the process at its highest point.

2,000,000 rows of 20 columns in float64 are 320 MB. The last line trains on a memory map of
400 MB while the process may not grow by more than 100 MB of addresses (Linux and macOS).
"""

import sys
import tempfile
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from race import table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

ROWS, COLUMNS = 2_000_000, 20


def resident():
    """Bytes of the process in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def growth(function):
    """Bytes at the highest point of a call above those at its start, watched from a thread."""
    peak, running = [resident()], True

    def watch():
        while running:
            peak.append(max(peak[-1], resident()))
            time.sleep(0.001)

    start, watcher = resident(), threading.Thread(target=watch)
    watcher.start()
    try:
        result = function()
    finally:
        running = False
        watcher.join()
    return max(peak) - start, result


def memory_map(budget=100_000_000):
    """Train on a file larger than the memory there is to be had."""
    import resource

    with tempfile.TemporaryDirectory() as folder:
        shape = (2_500_000, COLUMNS)
        X = np.memmap(Path(folder) / "X", "float64", "w+", shape=shape)
        rng = np.random.default_rng(0)
        for start in range(0, len(X), 100_000):
            X[start : start + 100_000] = rng.standard_normal((100_000, COLUMNS))
        y = 2 * X[:, 0] + 1
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (addresses + budget, resource.RLIM_INFINITY))
        model = BackpropRegressor(max_iter=1).fit(X, np.asarray(y))
        score = model.score(X[:1000], y[:1000])
        size, limit = X.nbytes / 1e6, budget / 1e6
        print(f"a memory map of {size:.0f} MB trains within {limit:.0f} MB: R² {score:.4f}")


def main():
    if not Path("/proc/self/statm").exists():
        sys.exit("This script reads /proc, which is Linux's.")
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = table(ROWS, COLUMNS)
    for cls in (BackpropRegressor, MLPRegressor):
        for solver in ("adam", "lbfgs"):
            model = cls(solver=solver, max_iter=1)
            model.fit(X[:1000], y[:1000])  # whatever is loaded or set up once
            if cls is MLPRegressor and solver == "lbfgs":
                continue  # several times the table: more than many machines have
            extra, _ = growth(partial(model.fit, X, y))
            print(f"fit    {cls.__name__:18s} {solver:6s} {extra / 1e6:8.1f} MB")
        model = cls(hidden_layer_sizes=(100, 100), max_iter=1).fit(X[:1000], y[:1000])
        extra, out = growth(partial(model.predict, X))
        beyond = (extra - out.nbytes) / 1e6
        # Negative where memory that earlier calls have freed was used again.
        print(f"predict {cls.__name__:17s}        {beyond:8.1f} MB more than it returns")
    del X, y
    memory_map()


if __name__ == "__main__":
    main()
