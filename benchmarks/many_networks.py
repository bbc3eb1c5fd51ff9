"""Time of a step of 8 small networks trained as one stack, against one of them by itself.

fit_many trains networks of one architecture together: each has its own seed and its own
order of the rows. Eight separate fits would take 8 times the time of one.
"""

import warnings
from time import perf_counter

import numpy as np
from race import ONE, command_line, smallest_times, table
from sklearn.exceptions import ConvergenceWarning

from skbackprop import BackpropRegressor, fit_many

SIZES, ROWS, BATCHES, NETWORKS, EPOCHS = (8, 32, 32, 1), 64, 50, 8, 40


def models(n, epochs):
    return [
        BackpropRegressor(
            **ONE
            | {"hidden_layer_sizes": SIZES[1:-1], "batch_size": ROWS, "max_iter": epochs}
            | {"n_iter_no_change": 10**6, "random_state": k}
        )
        for k in range(n)
    ]


def main():
    options = command_line(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for dtype in ("float64", "float32"):
        X, y = table(ROWS * BATCHES, SIZES[0], dtype)

        def run(n, epochs, X=X, y=y):
            start = perf_counter()
            fit_many(models(n, epochs), X, y)
            return perf_counter() - start

        runs = {
            (n, e): lambda n=n, e=e, run=run: run(n, e)
            for n in (1, NETWORKS)
            for e in (1, 1 + EPOCHS)
        }
        times = smallest_times(runs, options.rounds)
        step = {n: (times[n, 1 + EPOCHS] - times[n, 1]) / (EPOCHS * BATCHES) for n in (1, NETWORKS)}
        together = fit_many(models(NETWORKS, 10), X, y)
        apart = [model.fit(X, y) for model in models(NETWORKS, 10)]
        difference = max(
            np.abs(a.predict(X) - b.predict(X)).max() for a, b in zip(together, apart, strict=True)
        )
        print(
            f"{'-'.join(map(str, SIZES))}, {ROWS} rows, {dtype}: one {step[1] * 1e6:.1f} µs, "
            f"{NETWORKS} together {step[NETWORKS] * 1e6:.1f} µs, "
            f"{step[NETWORKS] / step[1]:.2f} times; "
            f"largest difference to separate fits {difference:.1e}"
        )


if __name__ == "__main__":
    main()
