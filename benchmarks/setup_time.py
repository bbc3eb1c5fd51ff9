"""Time of a fit of one epoch on 50 rows: what fitting costs before any training.

BackpropRegressor standardises by default; MLPRegressor needs a StandardScaler in a pipeline
for that.
"""

import warnings
from time import perf_counter

from race import ONE, command_line, report, smallest_times, table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropRegressor


def main():
    options = command_line(__doc__, n_rounds=300)
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = table(50, 10)
    models = {
        "BackpropRegressor": BackpropRegressor(**ONE | {"max_iter": 1}),
        "without standardisation": BackpropRegressor(**ONE | {"max_iter": 1, "standardize": False}),
        "MLPRegressor": MLPRegressor(max_iter=1),
        "StandardScaler and MLPRegressor": make_pipeline(
            StandardScaler(), MLPRegressor(max_iter=1)
        ),
    }

    def timed(model):
        def run():
            start = perf_counter()
            model.fit(X, y)
            return perf_counter() - start

        return run

    times = smallest_times({name: timed(model) for name, model in models.items()}, options.rounds)
    report("a fit of one epoch on 50 rows", times)


if __name__ == "__main__":
    main()
