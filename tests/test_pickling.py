"""Copies of a model: pickle, joblib and its memory maps, copy, clone, skops, other processes.

A copy has the original's predictions, attributes and future: it trains on bit for bit.
"""

import copy
import functools
import io
import os
import pickle
import subprocess
import sys
from itertools import chain

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from own import SEVERAL, classic
from scipy import sparse
from sklearn.base import clone

from skbackprop import BackpropRegressor, fit_many
from skbackprop.activations import ACTIVATIONS
from skbackprop.losses import LOSSES
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH
from skbackprop.schedules import SCHEDULES
from skbackprop.settings import Settings

SOLVERS = [*OPTIMIZERS, *FULL_BATCH]


class Cube:
    """A user's own activation, which compares by identity."""

    def value(self, Z, out=None):
        return np.power(Z, 3, out=out)

    def derivative(self, Z, A, out=None):
        return np.multiply(3 * Z, Z, out=out)


class Scorer:
    """Of which repr tells no more than where in memory it is."""

    def __call__(self, model, X, y):
        return own_score(model, X, y)


def own_score(model, X, y):
    return -float(np.mean((model.predict(X) - y) ** 2))


BEST = {"early_stopping": True, "warm_start": True}
OPTIONS = {
    "early stopping": {"early_stopping": True},
    "warm start": {"warm_start": True},
    "best epoch, warm start": BEST,
    "scoring": BEST | {"scoring": "neg_max_error"},
    "own score": BEST | {"scoring": own_score},
    "own scorer": BEST | {"scoring": Scorer()},
    "own activation": {"activation": Cube()},
    "dropout": {"dropout": 0.5, "hidden_layer_sizes": (6, 5), "activation": ["elu", "tanh"]},
    "slower": {"learning_rate": "adaptive", "tol": 1e3, "n_iter_no_change": 1},
    "bare": {"hidden_layer_sizes": (), "fit_intercept": False, "standardize": False},
    "NumPy's numbers": {"hidden_layer_sizes": np.array([5]), "alpha": np.float32(0.1),
                        "dtype": np.float32, "n_iter_no_change": np.inf, "max_time": np.int64(99)},
    "RandomState": {"random_state": np.random.RandomState(3)},
    "several outputs": {}, "names": {}, "float32": {}, "sparse": {}, "weights": {},
    "together": {}, "several networks": SEVERAL, "several, going on": BEST | SEVERAL,
}  # fmt: skip
NAMES = {"activation": ACTIVATIONS, "loss": LOSSES, "learning_rate": SCHEDULES}
OBJECTS = {**NAMES, "solver": OPTIMIZERS}
CASES = {f"{p} {name}": {p: name} for p, table in NAMES.items() for name in table}
CASES |= {f"solver {name}": {"solver": name} for name in SOLVERS}
CASES |= {f"{p}, object {k}": {p: table[k]()} for p, table in OBJECTS.items() for k in table}
CASES |= OPTIONS


def data(case, n=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    y = np.exp(X[:, 0] - X[:, 1] / 2)
    if case == "names":
        X = pd.DataFrame(X, columns=["a", "b", "c"])
    elif case == "float32":
        X = X.astype(np.float32)
    elif case == "sparse":
        X = sparse.csr_matrix(X * (X > 0))
    elif case == "several outputs":
        y = np.column_stack([y, X[:, 2]])
    return (X, y, rng.random(n)) if case == "weights" else (X, y)


def fitted(case, n=60, **changed):
    rate = 1e-3 if case in OPTIONS else 1e-5  # at 1e-3 an activation of exp diverges
    options = {"hidden_layer_sizes": (5,), "max_iter": 2, "batch_size": 20, "random_state": 0}
    given = options | {"learning_rate_init": rate} | CASES[case] | changed
    model = classic(**copy.deepcopy(given))
    if case == "together":
        return fit_many([model, clone(model)], *data(case, n))[0]
    return model.fit(*data(case, n))


def bits(value):
    """Type and bits of a value, all the way down; a memory map counts as an array."""
    if isinstance(value, np.ndarray):
        entries = value.tolist() if value.dtype == object else value.tobytes()
        return value.dtype.str, value.shape, entries
    if isinstance(value, dict):
        return {name: bits(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [bits(v) for v in value]
    if isinstance(value, np.random.RandomState):
        return type(value), bits(value.get_state(legacy=False))
    if isinstance(value, (Settings, Cube, Scorer)):
        return type(value), bits(vars(value))
    return type(value).__name__, value.__qualname__ if callable(value) else repr(value)


def now(model, case):
    return bits(vars(model)), bits(model.predict(data(case)[0]))


def future(model, case):
    """What becomes of a model that trains on."""
    streams = 2 if hasattr(model, "partial_fit") else 0
    seen = [now(model.partial_fit(*data(case)), case) for _ in range(streams)]
    return [*seen, now(model.set_params(warm_start=True).fit(*data(case)), case)]


@functools.cache
def original(case):
    """A model that nobody trains on, what it is, and what becomes of one like it."""
    model = fitted(case)
    return model, now(model, case), future(fitted(case), case)


# ----- copies --------------------------------------------------------------------------


def by_skops(model, case):
    """It asks for trust in our class alone, and in those of objects that a user has given."""
    given = [type(v) for v in CASES[case].values() if isinstance(v, (Settings, Cube, Scorer))]
    kinds = [BackpropRegressor, *given, *[own_score] * (case == "own score")]
    trusted = sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    file = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=file) == trusted
    return skops.io.loads(file, trusted=trusted)


def by_buffers(model, case):
    """As between the processes of a cluster: the arrays cannot be written to."""
    buffers = []
    pickled = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(pickled, buffers=[bytes(b.raw()) for b in buffers])


COPIES = {
    **{
        f"pickle {k}": lambda model, case, k=k: pickle.loads(pickle.dumps(model, protocol=k))
        for k in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "buffers": by_buffers,
    "copy": lambda model, case: copy.copy(model),
    "deepcopy": lambda model, case: copy.deepcopy(model),
    "skops": by_skops,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("case", CASES)
def test_a_copy_is_the_original_and_trains_on_as_it_would(case, way):
    model, as_it_is, as_it_becomes = original(case)
    copied = COPIES[way](model, case)
    assert now(copied, case) == as_it_is
    assert future(copied, case) == as_it_becomes
    assert now(model, case) == as_it_is  # the copy shares nothing that training changes


@pytest.mark.parametrize("mode", [None, "r", "r+"])
@pytest.mark.parametrize("case", CASES)
def test_joblib_with_a_memory_map_that_is_never_written_to(case, mode, tmp_path):
    model, as_it_is, as_it_becomes = original(case)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    before = path.read_bytes()
    model = joblib.load(path, mmap_mode=mode)
    assert isinstance(model.theta_, np.memmap) == (mode is not None)
    assert model.theta_.flags.writeable == (mode != "r")
    assert now(model, case) == as_it_is
    assert future(model, case) == as_it_becomes
    assert path.read_bytes() == before
    # It needs the file no more, which may be written over.
    assert np.memmap not in map(type, leaves(state(model)))


@pytest.mark.parametrize("case", CASES)
def test_a_clone_has_the_parameters_and_no_more(case):
    model = copy.deepcopy(original(case)[0]).set_params(warm_start=False)
    cloned = clone(model)
    assert bits(vars(cloned)) == bits(model.get_params(deep=False))
    assert now(cloned.fit(*data(case)), case) == now(model.fit(*data(case)), case)


def test_a_best_epoch_is_still_the_best_of_a_copy():
    case = "best epoch, warm start"
    model, (_, predictions), _ = original(case)
    model = pickle.loads(pickle.dumps(model)).set_params(learning_rate_init=10.0)
    assert now(model.fit(*data(case)), case)[1] == predictions
    assert model.loss_curve_[-1] > model.loss_curve_[0]


def test_another_process_goes_on_as_this_one(tmp_path):
    """Where addresses and hashes are others."""
    path = tmp_path / "models"
    path.write_bytes(pickle.dumps({case: original(case)[0] for case in CASES}))
    code = f"import test_pickling; test_pickling.go_on({str(path)!r})"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=env)
    found = pickle.loads(path.read_bytes())
    for case in CASES:
        assert found[case] == original(case)[1:], case


def go_on(path):
    """What the other process does: what the models are there, and what they become."""
    with open(path, "rb") as file:
        models = pickle.load(file)
    with open(path, "wb") as file:
        pickle.dump({k: (now(model, k), future(model, k)) for k, model in models.items()}, file)


# ----- what is kept --------------------------------------------------------------------


def state(model):
    return {name: vars(model)[name] for name in vars(model).keys() - model.get_params().keys()}


def leaves(value):
    """What a nest of lists and dicts holds."""
    if type(value) not in (list, dict):
        return [value]
    return [v for part in (value.values() if type(value) is dict else value) for v in leaves(part)]


@pytest.mark.parametrize("case", CASES)
def test_the_fitted_state_is_plain(case):
    """Arrays, numbers, strings, None, lists, dicts; and objects where a user gave some."""
    given = [type(v) for v in CASES[case].values() if isinstance(v, (Settings, Cube))]
    trained_on = copy.deepcopy(original(case)[0])
    future(trained_on, case)
    for model in (original(case)[0], trained_on):
        kept = state(model)
        assert {type(name) for name in kept.pop("feature_names_in_", ["a"])} == {str}
        for value in leaves(kept):
            assert type(value) in (np.ndarray, int, float, bool, str, type(None), *given), value
            assert type(value) is not np.ndarray or value.dtype.kind in "fi"


@pytest.mark.parametrize("case", OPTIONS)
def test_no_training_data_are_kept(case):
    X, *others = data(case, 600)
    kept = pickle.dumps(fitted(case, 600))
    assert abs(len(kept) - len(pickle.dumps(original(case)[0]))) < 100
    X = X.toarray() if sparse.issparse(X) else np.ascontiguousarray(X)
    assert not any(row.tobytes() in kept for row in (*X[X.any(axis=1)], *chain(*others)))


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_are_kept_once(solver, warm_start, best):
    """And the optimizer's vectors; where the best weights predict, a warm start's last ones."""
    sizes = (40, 40) if solver == "lm" else (90, 90)
    options = {"hidden_layer_sizes": sizes, "warm_start": warm_start, "early_stopping": best}
    model = fitted(f"solver {solver}", **options)
    vectors = () if solver in FULL_BATCH else OPTIMIZERS[solver]().init(model.theta_).values()
    n = 1 + sum(map(np.size, vectors)) // model.theta_.size + (warm_start and best)
    file = io.BytesIO()
    joblib.dump(model, file)
    # joblib writes an array as often as it meets it: the best weights, where a warm start compares
    # with them, are theta_ too.
    sizes = [len(pickle.dumps(model)), len(file.getvalue())]
    least = [k * model.theta_.nbytes for k in (n, n + (warm_start and best))]
    assert all(0 < size - arrays < 8000 for size, arrays in zip(sizes, least, strict=True))


# ----- versions ----------------------------------------------------------------------------


def test_a_pickle_of_another_minor_version_is_loaded_with_a_warning(monkeypatch):
    model = classic(max_iter=1, random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
    pickled = pickle.dumps(model)
    for version in ("0.2.0", "1.0.0"):
        monkeypatch.setattr("skbackprop.regressor.__version__", version)
        with pytest.warns(UserWarning, match=rf"skbackprop 0\.1\.0 and loaded by {version}"):
            loaded = pickle.loads(pickled)
        assert vars(loaded).keys() == vars(model).keys()
    monkeypatch.setattr("skbackprop.regressor.__version__", "0.1.9")
    pickle.loads(pickled)
