"""The same seed gives the same bits: clones, threads, processes; rounding apart, BLAS threads."""

import functools
import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from beside import in_child, needs_fork
from joblib import Parallel, delayed
from own import classic
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from threadpoolctl import threadpool_limits

from skbackprop import fit_many
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH
from skbackprop.threads import VARIABLES

SOLVERS = [*OPTIMIZERS, *FULL_BATCH]
SMALL = {"hidden_layer_sizes": (9, 5), "max_iter": 4, "batch_size": 30, "random_state": 7}
# What has random numbers of its own.
RANDOM = {"dropout": 0.2, "early_stopping": True}


def data(n=150, columns=4):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, columns))
    return X, X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * rng.standard_normal(n)


def small(solver="adam", **options):
    random = {} if solver in FULL_BATCH else RANDOM
    return classic(solver=solver, **(SMALL | random | options))


def bits(model):
    """All numbers of a fit, as bytes: weights, curves, and what training would go on with."""
    state = model._training
    moments = [np.asarray(v).tobytes() for v in state["optimizer"].values()]
    curves = repr((model.loss_curve_, model.validation_scores_, state["rng"], state["samples"]))
    return model.theta_.tobytes() + b"".join(moments) + curves.encode()


@functools.cache
def here(solver="adam", seed=7):
    """The bits of a fit in this thread of this process."""
    return bits(small(solver, random_state=seed).fit(*data()))


# ----- clones and seeds ----------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_clones_and_refits(solver):
    model = small(solver).fit(*data())
    assert bits(model) == bits(clone(model).fit(*data())) == here(solver)
    assert bits(model.fit(*data())) == here(solver)
    assert bits(pickle.loads(pickle.dumps(model)).fit(*data())) == here(solver)


def test_another_seed_is_another_network():
    assert len({here(seed=seed) for seed in range(5)}) == 5


def test_random_states_of_one_position_are_one_seed():
    first = small(random_state=np.random.RandomState(3)).fit(*data())
    used = np.random.RandomState(3)
    second = small(random_state=used).fit(*data())
    assert bits(first) == bits(second)
    assert bits(second.fit(*data())) != bits(first)  # it has moved on, as scikit-learn's do


def test_numpy_s_own_generator_is_neither_read_nor_moved():
    fits = set()
    for seed in range(3):
        np.random.seed(seed)  # noqa: NPY002 - the one asked about
        before = np.random.get_state()[1].tobytes()  # noqa: NPY002 - the one asked about
        fits.add(bits(small().fit(*data())))
        assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002 - the one asked about
    assert fits == {here()}


# ----- threads and processes -----------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_eight_fits_at_once_in_threads(solver):
    with ThreadPoolExecutor(8) as pool:
        models = [small(solver, random_state=seed) for seed in range(8)] * 2
        fits = list(pool.map(lambda model: bits(clone(model).fit(*data())), models))
    assert fits == [here(solver, seed) for seed in range(8)] * 2


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(backend):
    jobs = (delayed(small(solver).fit)(*data()) for solver in SOLVERS)
    fits = Parallel(n_jobs=2, backend=backend)(jobs)
    assert [bits(model) for model in fits] == [here(solver) for solver in SOLVERS]


def test_a_process_that_is_spawned():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        fitted = pool.submit(small().fit, *data()).result()
        X = data()[0]
        there = pool.submit(fitted.predict, X).result()
    assert bits(fitted) == here()
    assert np.array_equal(there, fitted.predict(X))


@needs_fork
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_process_that_is_forked(solver):
    (X, y), expected = data(), here(solver)
    model = small(solver).fit(X, y)
    predicted = model.predict(X)

    def same():
        fresh = small(solver).fit(X, y)
        return np.array_equal(model.predict(X), predicted) and bits(fresh) == expected

    assert in_child(same) == 0


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_a_fresh_interpreter(hash_seed):
    """The order of a set of names is another there."""
    code = (
        "import hashlib, warnings; warnings.simplefilter('ignore')\n"
        "from test_same_bits import SOLVERS, bits, data, small\n"
        "for s in SOLVERS: print(hashlib.sha256(bits(small(s).fit(*data()))).hexdigest())"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True
    ).stdout
    assert out.split() == [hashlib.sha256(here(s)).hexdigest() for s in SOLVERS]


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_cross_validation_with_any_number_of_jobs(solver):
    X, y = data()
    one, two = (cross_val_score(small(solver), X, y, cv=3, n_jobs=n) for n in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_grid_search_with_any_number_of_jobs():
    X, y = data()
    grid = {"hidden_layer_sizes": [(4,), "5-3"], "alpha": [1e-4, 1.0]}
    one, two = (GridSearchCV(small(), grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2))
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        assert one.cv_results_[name].tobytes() == two.cv_results_[name].tobytes()
    assert bits(one.best_estimator_) == bits(two.best_estimator_)


def test_streams_in_threads():
    def stream(seed):
        model = classic(**SMALL | {"random_state": seed})
        X, y = data()
        for rows in np.array_split(np.arange(150), 10):
            model.partial_fit(X[rows], y[rows])
        return bits(model)

    expected = [stream(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(stream, range(4))) == expected


def test_many_networks_in_threads():
    def many(seed):
        return [bits(m) for m in fit_many([small(random_state=seed + k) for k in (0, 1)], *data())]

    expected = [many(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(many, range(4))) == expected


# ----- BLAS threads and types ----------------------------------------------------------

# The fits below are short. A product shared out among threads is summed in another order, which
# is a rounding of 1e-16, and every step of training may enlarge the difference.
LARGE = {"hidden_layer_sizes": (300, 300), "batch_size": 1000, "random_state": 0, "max_iter": 3}


def predictions(n_threads, solver, **options):
    """Of a network whose products are worth two threads: 1000 · 300 · 300 = 9e7."""
    X, y = data(1000, 50)
    with threadpool_limits(n_threads, user_api="blas"):
        options |= {"hidden_layer_sizes": 10} if solver == "lm" else {}  # 1000 · 521²: as much
        model = classic(solver=solver, **LARGE | options)
        predicted = model.fit(X, y).predict(X)
    assert predicted.dtype == (options.get("dtype") or X.dtype)
    return predicted / y.std()


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_number_of_blas_threads_is_a_matter_of_rounding(solver):
    one, two = (predictions(n, solver) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)  # 2e-15 here


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_is_near_float64(solver):
    single, double = (predictions(2, solver, dtype=dtype) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-3)
    assert not np.array_equal(single, double)


@pytest.mark.parametrize(
    ("solver", "table"),
    # Of "lm" a product has as many columns as there are weights.
    [*product(["adam", "lbfgs"], [(1000, 50), (20_000, 4)]), ("lm", (400, 4)), ("lm", (40, 20))],
)
def test_below_a_thread_s_worth_their_number_changes_no_bit(solver, table, monkeypatch):
    """As in a worker of joblib, which has fewer: the scaling statistics included."""
    for variable in VARIABLES:  # by which somebody chooses a number that a fit leaves alone
        monkeypatch.delenv(variable, raising=False)
    fits = []
    for n in (1, 2):
        with threadpool_limits(n, user_api="blas"):
            fits.append(bits(small(solver, max_iter=1, batch_size=200).fit(*data(*table))))
    assert fits[0] == fits[1]


def test_a_worker_of_joblib_has_fewer_blas_threads():
    X, y = data(1000, 50)
    large = classic(**LARGE)
    there, _ = Parallel(n_jobs=2, backend="loky")([delayed(clone(large).fit)(X, y)] * 2)
    difference = there.predict(X) - large.fit(X, y).predict(X)
    assert abs(difference).max() <= 1e-6 * y.std()  # 2e-15 here
