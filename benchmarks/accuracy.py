"""Test errors with default settings, beside those of scikit-learn's regressors.

    python benchmarks/accuracy.py                       # tables that scikit-learn has or makes
    python benchmarks/accuracy.py --data DIR            # CSV files with a header, the target last
    python benchmarks/accuracy.py --ablation            # each default taken away in turn

Splits are random, 90 % to 10 %, split i by numpy.random.RandomState(i), of at most --rows rows.
Text columns are one-hot encoded for every model alike. Prints the mean of the root mean squared
error over the splits, and then ranks, ratios to the best, seconds, and of our intervals for a
coverage of 90 % what they cover.
"""

import argparse
import pathlib
import warnings
from time import perf_counter

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropRegressor

COVERAGE = 0.9
ABLATION = {
    "all defaults": {},
    "one network": {"n_networks": 1},
    "no bins": {"n_bins": 0},
    "bins everywhere": {"n_bins": 16},
    "mean and deviation, not bounded": {"standardize": True},
    "one rate, no scale of the inputs": {"parametrization": "standard"},
    "a constant rate": {"learning_rate": "constant", "max_iter": 128},
    "cosine": {"learning_rate": "cosine"},
    "relu": {"activation": "relu"},
    "beta_2=0.999": {"beta_2": 0.999},
    "one layer of 100": {"hidden_layer_sizes": (100,)},
}


def tables_of_scikit_learn():
    """Of real data one, and four that are made."""
    rng = np.random.default_rng(0)
    yield "diabetes", *load_diabetes(return_X_y=True)
    for make in (make_friedman1, make_friedman2, make_friedman3):
        X, y = make(1500, random_state=0)
        yield make.__name__[5:], X, y + 0.1 * y.std() * rng.standard_normal(len(y))
    X = rng.uniform(0, 24, (2000, 4))  # a level for every hour, and a slope
    y = rng.standard_normal(24)[X[:, 0].astype(int)] + np.sin(X[:, 1] / 4) + 0.1 * X[:, 2]
    yield "hours", X, y + 0.2 * rng.standard_normal(len(y))


def tables_of_folder(folder):
    """DIR/*.csv, *.csv.gz, and DIR/*/data.csv*."""
    import pandas as pd

    for path in sorted([*folder.glob("*.csv*"), *folder.glob("*/data.csv*")]):
        frame = pd.read_csv(path).dropna()
        X, y = frame.iloc[:, :-1], frame.iloc[:, -1].to_numpy(float)
        text = [c for c in X if not pd.api.types.is_numeric_dtype(X[c])]
        X = pd.get_dummies(X, columns=text, dtype=float).to_numpy(float)
        yield path.parent.name if path.name.startswith("data") else path.name.split(".")[0], X, y


def peers():
    scaled = [("", False), (", early stopping", True)]
    networks = {
        f"MLPRegressor{name}": lambda seed, es=es: make_pipeline(
            StandardScaler(), MLPRegressor(early_stopping=es, random_state=seed)
        )
        for name, es in scaled
    }
    return {
        "Ridge": lambda seed: make_pipeline(StandardScaler(), Ridge()),
        **networks,
        "HistGradientBoosting": lambda seed: HistGradientBoostingRegressor(random_state=seed),
        "BackpropRegressor": lambda seed: BackpropRegressor(random_state=seed),
    }


def variants():
    return {
        name: lambda seed, params=params: BackpropRegressor(random_state=seed, **params)
        for name, params in ABLATION.items()
    }


def measured(make, X, y, n_splits):
    """Mean error, seconds, and the share and the width of intervals (NaN where there are none)."""
    found = []
    for seed in range(n_splits):
        test = np.random.RandomState(seed).permutation(len(y))[: max(1, len(y) // 10)]
        train = np.setdiff1d(np.arange(len(y)), test)
        model, start = make(seed), perf_counter()
        model.fit(X[train], y[train])
        seconds = perf_counter() - start
        error = np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2))
        covered = width = np.nan
        if getattr(model, "error_quantiles_", None) is not None:
            low, high = model.predict_interval(X[test], COVERAGE).T
            covered = np.mean((low <= y[test]) & (y[test] <= high))
            width = np.mean(high - low) / y.std()
        found.append((error, seconds, covered, width))
    return np.mean(found, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="a folder of CSV files")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--ablation", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    models = variants() if options.ablation else peers()
    tables = tables_of_folder(options.data) if options.data else tables_of_scikit_learn()
    results = []
    for name, X, y in tables:
        keep = np.random.RandomState(0).permutation(len(y))[: options.rows]
        X, y = X[keep], y[keep]
        rows = [measured(make, X, y, options.splits) for make in models.values()]
        results.append(rows)
        print(f"\n{name}: {X.shape[0]} x {X.shape[1]}, deviation of y {y.std():.4g}")
        for model, (error, seconds, covered, width) in zip(models, rows, strict=True):
            line = f"  {model:34} {error:10.5g}  R2 {1 - error**2 / y.var():7.4f}  {seconds:6.2f} s"
            shown = not np.isnan(covered)
            print(
                line + (f"  covers {covered:.3f}, width {width:.2f}" if shown else ""), flush=True
            )
    errors, seconds, covered, width = np.moveaxis(np.array(results), -1, 0)
    ranks = errors.argsort(axis=1).argsort(axis=1) + 1
    against = errors[:, :1] if options.ablation else errors.min(axis=1, keepdims=True)
    ratio = np.exp(np.log(errors / against).mean(axis=0))
    first = "all defaults" if options.ablation else "the best"
    print(f"\nmean rank, geometric mean of the error over that of {first}, seconds of all fits")
    for j, model in enumerate(models):
        line = f"  {model:34} {ranks[:, j].mean():5.2f} {ratio[j]:8.3f}"
        print(f"{line} {options.splits * seconds[:, j].sum():8.1f} s")
    print(f"intervals of {COVERAGE:.0%}: {np.nanmean(covered[:, -1]):.3f} covered on average")


if __name__ == "__main__":
    main()
