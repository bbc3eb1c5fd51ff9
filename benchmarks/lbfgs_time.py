"""Time of an iteration of L-BFGS on 5,000 rows, network 20-100-1."""

import warnings
from time import perf_counter

from race import command_line, report, smallest_times, table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

ROWS, FEATURES, HIDDEN, START, MORE = 5000, 20, 100, 10, 60

RAW = {"activation": "relu", "standardize": False}


def main():
    options = command_line(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    runs, iterations = {}, {}
    for dtype in ("float64", "float32"):
        X, y = table(ROWS, FEATURES, dtype)
        for cls, parameters in ((BackpropRegressor, RAW), (MLPRegressor, {})):
            name = f"{cls.__name__}, {dtype}"

            def run(n, cls=cls, X=X, y=y, name=name, parameters=parameters):
                model = cls(
                    hidden_layer_sizes=(HIDDEN,), solver="lbfgs", max_iter=n, tol=1e-12,
                    random_state=0, **parameters,
                )  # fmt: skip
                start = perf_counter()
                model.fit(X, y)
                iterations[name, n] = model.n_iter_
                return perf_counter() - start

            for n in (START, START + MORE):
                runs[name, n] = lambda n=n, run=run: run(n)
    times = smallest_times(runs, options.rounds)
    each = {
        name: (times[name, START + MORE] - times[name, START])
        / (iterations[name, START + MORE] - iterations[name, START])
        for name, n in runs
        if n == START
    }
    report(f"an iteration on {ROWS:,} rows, network {FEATURES}-{HIDDEN}-1", each)


if __name__ == "__main__":
    main()
