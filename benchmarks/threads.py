"""Time of a training step on one BLAS thread and on all of them, and what a fit chooses.

"chosen" is what BackpropRegressor does by itself: a thread for every eight million
multiplications of its largest matrix product. Between one and sixteen million two threads gain a
little on an idle machine and lose much on a busy one.
"""

import os
import warnings

from race import command_line, multiplications, smallest_times
from sklearn.exceptions import ConvergenceWarning
from step_time import BATCHES, estimator_fit
from threadpoolctl import threadpool_info, threadpool_limits

import skbackprop.threads
from skbackprop import BackpropRegressor

NETWORKS = [
    ((13, 50, 1), 32),
    ((20, 100, 100, 1), 50),
    ((20, 100, 100, 1), 100),
    ((20, 100, 100, 1), 200),
    ((20, 128, 128, 1), 256),
    ((50, 256, 256, 1), 256),
    ((100, 512, 512, 1), 256),
]


def limited(fit, n_epochs, threads):
    """A function that returns the seconds of a fit with so many threads, which it keeps."""

    def run():
        with threadpool_limits(threads):
            variable = os.environ.get("OPENBLAS_NUM_THREADS")
            os.environ["OPENBLAS_NUM_THREADS"] = str(threads)  # leave my choice alone
            try:
                return fit(n_epochs)
            finally:
                del os.environ["OPENBLAS_NUM_THREADS"]
                if variable is not None:
                    os.environ["OPENBLAS_NUM_THREADS"] = variable

    return run


def main():
    for variable in skbackprop.threads.VARIABLES:
        os.environ.pop(variable, None)  # else nothing is chosen
    all_threads = max(pool["num_threads"] for pool in threadpool_info())
    options = command_line(__doc__, n_rounds=4)
    threadpool_limits(all_threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"microseconds a step{'':27s} 1 thread {all_threads:2d} threads    chosen")
    for sizes, rows in NETWORKS:
        for dtype in ("float64", "float32"):
            fit = estimator_fit(BackpropRegressor, sizes, rows, dtype, standardize=False)
            E = max(3, min(60, int(1e9 / (multiplications(sizes, rows) * BATCHES))))
            runs = {
                (name, n): limited(fit, n, name) if name != "chosen" else lambda f=fit, n=n: f(n)
                for name in (1, all_threads, "chosen")
                for n in (1, 1 + E)
            }
            times = smallest_times(runs, options.rounds)
            steps = [
                (times[name, 1 + E] - times[name, 1]) / (E * BATCHES) * 1e6
                for name in (1, all_threads, "chosen")
            ]
            network = "-".join(map(str, sizes))
            print(f"{network:20s} {rows:5d} rows {dtype}  " + "  ".join(f"{t:8.1f}" for t in steps))


if __name__ == "__main__":
    main()
