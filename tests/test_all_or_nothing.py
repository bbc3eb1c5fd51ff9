"""After any exception an estimator is the old model, the new one, or the best epoch of a fit.

KeyboardInterrupt and MemoryError are raised at every line of the package that a call executes:
at its first and its last execution and at sixty more points; with the other optimizers at the lines
that gradient descent has not, and at 450 more points.
"""

import pickle

import numpy as np
import pytest
from injection import executed, points, raising
from own import SEVERAL, classic
from threadpoolctl import ThreadpoolController

from skbackprop import stack
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH

SMALL = {"hidden_layer_sizes": (3,), "max_iter": 3, "batch_size": 10, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((24, 2))
    return X, X @ [1.0, -2.0] + 0.1 * rng.standard_normal(24)


def state(model):
    """All that there is of a model, as bytes."""
    return pickle.dumps(vars(model))


def blas_threads(libraries):
    return [info["num_threads"] for info in libraries.info() if info["user_api"] == "blas"]


def is_whole(model, X):
    """Whether it predicts, as an epoch of a fit may."""
    n = model.n_iter_
    assert 1 <= n <= model.max_iter
    assert len(model.loss_curve_) == n or model.warm_start
    if model.validation_scores_ is not None:
        assert len(model.validation_scores_) == len(model.loss_curve_)
        assert len(model.validation_loss_curve_) == len(model.loss_curve_)
    moments = (v for v in model._training["optimizer"].values() if np.ndim(v))
    assert all(np.isfinite(M).all() for M in moments)
    assert np.isfinite(model.predict(X)).all()
    return True


SOLVERS = [*OPTIMIZERS, *FULL_BATCH]
CALLS = {
    **{f"first fit, {s}": ({"solver": s}, None, "fit") for s in SOLVERS},
    "first fit, early stopping": ({"early_stopping": True}, None, "fit"),
    "first fit, a scorer": ({"early_stopping": True, "scoring": "r2"}, None, "fit"),
    "first fit, dropout and clip": ({"dropout": 0.1, "clip_norm": 1.0}, None, "fit"),
    "refit, other width": ({}, {"hidden_layer_sizes": (5, 2)}, "fit"),
    "refit, other loss": ({}, {"loss": "huber", "activation": "tanh"}, "fit"),
    "warm start": ({"warm_start": True}, {}, "fit"),
    "warm start, early stopping": ({"warm_start": True, "early_stopping": True}, {}, "fit"),
    "first partial_fit": ({}, None, "partial_fit"),
    "later partial_fit": ({}, {}, "partial_fit"),
    "first fit, several networks": (SEVERAL, None, "fit"),
    "later partial_fit, several": (SEVERAL | {"learning_rate": "auto"}, {}, "partial_fit"),
}
# Of which the rest is what it is with "sgd".
OTHERS = [f"first fit, {solver}" for solver in OPTIMIZERS if solver != "sgd"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("call", CALLS)
def test_raising_at_every_line(data, call, error, monkeypatch):
    monkeypatch.setattr(stack, "SHARED_BYTES", 0)
    monkeypatch.setattr(stack, "spare", lambda: 2)  # for several networks
    settings, change, method = CALLS[call]
    X, y = data
    old = classic(**SMALL | settings)
    if change is not None:
        getattr(old, method)(X, y)
        old.set_params(**change)
    libraries = ThreadpoolController()  # once: to look for them takes 4 ms
    before, threads, errors = state(old), blas_threads(libraries), np.geterr()
    new = pickle.loads(pickle.dumps(old))
    bound = getattr(new, method)
    lines = executed(lambda: bound(X, y))
    done = state(new)
    some = points(lines)
    if call in OTHERS:
        some = points(lines, 450, but=executed(lambda: classic(**SMALL, solver="sgd").fit(X, y)))
    kept = {"old": 0, "new": 0, "an epoch": 0}
    for point in some:
        model = pickle.loads(pickle.dumps(old))
        bound = getattr(model, method)  # outside: to ask whether there is a partial_fit is no call
        came_out = raising(lambda call=bound: call(X, y), point, error("injected"))
        now = state(model)
        if now == before:
            kept["old"] += 1
        elif now == done:
            kept["new"] += 1
        else:
            assert came_out and error is KeyboardInterrupt and method == "fit"
            assert is_whole(model, X)
            kept["an epoch"] += 1
        assert came_out or now == done
        assert blas_threads(libraries) == threads and np.geterr() == errors
    assert blas_threads(ThreadpoolController()) == threads
    assert kept["old"] > 300 and kept["new"] >= 1
    assert kept["an epoch"] > 0 or error is MemoryError or method != "fit"
