"""The estimator: its parameters, data, fitted attributes and place among scikit-learn's."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import warnings
from itertools import product

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from allocation import peak_memory
from own import classic
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
)
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropRegressor
from skbackprop.activations import ACTIVATIONS, Activation, Identity
from skbackprop.lbfgs import full_batch_rows
from skbackprop.losses import LOSSES, Loss, Poisson, SquaredError
from skbackprop.model import model_of
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH, RULES, resolve_activation
from skbackprop.schedules import SCHEDULES

MINI_BATCH = list(OPTIMIZERS)
SOLVERS = [*MINI_BATCH, *FULL_BATCH]
# "lm" minimises sums of squares alone.
SOLVERS_AND_LOSSES = [*product([*MINI_BATCH, "lbfgs"], LOSSES), ("lm", "squared_error")]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 4))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * rng.standard_normal(150)
    return X, y


def targets(loss, y):
    """Targets inside every loss's domain."""
    return np.exp(y) if loss in ("poisson", "gamma") else y


# ----- the signature and the attributes of MLPRegressor --------------------------------


def test_every_parameter_of_mlpregressor_in_its_order_with_its_default():
    ours = inspect.signature(BackpropRegressor).parameters
    theirs = inspect.signature(MLPRegressor).parameters
    if "loss" in theirs:  # scikit-learn >= 1.7
        assert len(theirs) == 24
        assert list(ours)[:24] == list(theirs)
    others = {name for name in theirs if ours[name].default != theirs[name].default}
    assert others == {
        "hidden_layer_sizes",
        "activation",
        "learning_rate",
        "learning_rate_init",
        "max_iter",
        "early_stopping",
        "beta_2",
    }  # which decide the accuracy
    for name, parameter in theirs.items():
        assert ours[name].kind == parameter.kind, name
    assert all(p.kind is p.KEYWORD_ONLY for p in list(ours.values())[24:])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_every_fitted_attribute_of_mlpregressor(data, solver, early_stopping):
    X, y = data
    kwargs = {"solver": solver, "early_stopping": early_stopping, "max_iter": 20}
    theirs = MLPRegressor(**{**kwargs, "solver": "adam" if solver == "lm" else solver}).fit(X, y)
    ours = classic(**kwargs).fit(X, y)
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert all(hasattr(ours, name) for name in public), public
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert [w.shape for w in ours.coefs_] == [w.shape for w in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    assert len(ours.loss_curve_) == ours.n_iter_
    assert ours.t_ == ours.n_iter_ * (135 if early_stopping else 150)


# ----- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "sizes"),
    [
        (7, [7]),
        (np.int64(7), [7]),
        ((5, 3), [5, 3]),
        ([5, 3], [5, 3]),
        (np.array([5, 3]), [5, 3]),
        ("5-3", [5, 3]),
        ("5", [5]),
        (" 5 - 3 ", [5, 3]),
        ((), []),
        ("", []),
    ],
)
def test_hidden_layer_sizes(data, spec, sizes):
    X, y = data
    model = classic(hidden_layer_sizes=spec, max_iter=1).fit(X, y)
    assert model.layer_sizes_ == [4, *sizes, 1]


WRONG = object()  # accepted by no parameter


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, WRONG) for name in RULES]
    + [(name, "no such thing") for name in ("loss", "activation", "solver", "learning_rate")]
    + [(name, "no such thing") for name in ("output_activation", "batch_size", "scoring", "dtype")]
    + [
        (name, value)
        for name, rule in RULES.items()
        if "number" in str(rule) or "integer" in str(rule)
        for value in (-1, float("nan"), "1", True, [1])
        if not (name == "verbose" and value is True)
    ]
    + [
        (name, value)
        for name, rule in RULES.items()
        if "integer" in str(rule)
        for value in (1.5, -np.inf)
    ]
    + [("hidden_layer_sizes", v) for v in ((2.5,), ("a",), ((3, 4), (5, 6)), (np.nan,), 0, (3, 0))]
    + [("hidden_layer_sizes", v) for v in (-1, None, True, "3-", "3-x", "3.5", 2.0, {"a": 1})]
    + [("activation", ["relu", "tanh"]), ("activation", None), ("activation", ["nope"])]
    + [("dtype", "int32"), ("dtype", 3), ("quantile", 1.0), ("quantile", 0.0), ("dropout", 1.0)]
    + [("alpha", np.inf), ("learning_rate_init", 0), ("clip_norm", 0), ("max_time", 0)]
    + [("loss", LOSSES["huber"]), ("solver", OPTIMIZERS["adam"])],  # the class, not an object
)
def test_a_bad_parameter_is_refused_by_name(data, name, value):
    X, y = data
    model = classic(max_iter=2, random_state=0).fit(X, y)
    before = vars(model).copy()
    model.set_params(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        model.fit(X, y)
    model.set_params(**{name: before[name]})
    assert vars(model) == before  # the very same objects: nothing was lost


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32, np.float64])
def test_numpy_scalars_are_numbers(data, kind):
    X, y = data
    numbers = {"alpha": kind(1), "tol": kind(0), "power_t": kind(1), "epsilon": kind(1)}
    if issubclass(kind, np.integer):
        numbers |= {"max_iter": kind(2), "batch_size": kind(9), "verbose": kind(0)}
    classic(**{"max_iter": 2} | numbers | {"warm_start": np.False_}).fit(X, y)


@pytest.mark.parametrize("option", [{"dropout": 0.1}, {"clip_norm": 1.0}])
def test_what_lbfgs_cannot_do_is_not_ignored(data, option):
    with pytest.raises(ValueError, match=f"{next(iter(option))}=.*needs a mini-batch solver"):
        classic(solver="lbfgs", **option).fit(*data)


# ----- learning ------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "loss"), SOLVERS_AND_LOSSES)
def test_every_solver_learns_with_every_loss(data, solver, loss):
    X, y = data
    y = targets(loss, y)
    model = classic(
        loss, (20,), "tanh", solver=solver, learning_rate_init=0.01, max_iter=300, random_state=0
    ).fit(X, y)
    constant = classic(loss, (), alpha=1e12, solver="lbfgs").fit(X, y)  # no slopes
    assert model.loss_ < 0.6 * constant.loss_


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns(data, activation):
    X, y = data
    model = classic(
        "squared_error", (20,), activation, solver="lbfgs", alpha=0.1, random_state=0
    ).fit(X, y)
    linear = LinearRegression().fit(X, y).score(X, y)
    assert model.score(X, y) > (linear - 1e-4 if activation == "identity" else linear + 0.1)


@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda progress: 1 - progress])
@pytest.mark.parametrize("solver", MINI_BATCH)
def test_every_schedule_learns_with_every_mini_batch_solver(data, solver, schedule):
    X, y = data
    # The plain step of sgd is shorter than those that the moments normalise.
    rate = 0.05 if solver == "sgd" else 0.02
    model = classic(
        hidden_layer_sizes=(20,), solver=solver, learning_rate=schedule, learning_rate_init=rate,
        power_t=0.1, max_iter=150, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert model.score(X, y) > 0.6


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_every_output_activation_learns_within_its_range(data, output):
    X, y = data
    y = ACTIVATIONS[output]().value(X[:, 0] - 0.5 * X[:, 1])
    model = classic(
        hidden_layer_sizes=(20,), activation="tanh", output_activation=output, solver="lbfgs",
        random_state=0, max_iter=300,
    ).fit(X, y)  # fmt: skip
    assert model.score(X, y) > 0.95
    wild = model.predict(100 * X)
    low, high = {"logistic": (0, 1), "tanh": (-1, 1)}.get(output, (-np.inf, np.inf))
    if output in ("relu", "softplus", "exp"):
        low = 0
    assert (wild >= low).all() and (wild <= high).all()


def test_gradient_descent_without_hidden_layers_reaches_least_squares(data):
    """W ← W - α df/dW with all rows: the closed-form solution, to 1e-6."""
    X, y = data
    model = classic(
        hidden_layer_sizes=(), solver="sgd", momentum=0, batch_size=len(X), alpha=0,
        learning_rate_init=0.2, max_iter=2000, tol=0, n_iter_no_change=np.inf, random_state=0,
    ).fit(X, y)  # fmt: skip
    exact = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.coefs_[0][:, 0], exact.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.intercepts_[0], exact.intercept_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 100.0])
def test_with_alpha_it_reaches_ridge(data, alpha):
    """f = 1/m ‖y - X w‖² + alpha/(2 m) ‖w‖² is Ridge's objective / m with alpha / 2."""
    X, y = data
    model = classic(
        hidden_layer_sizes=(), solver="sgd", momentum=0, batch_size=len(X), alpha=alpha,
        learning_rate_init=0.2, max_iter=2000, tol=0, n_iter_no_change=np.inf, random_state=0,
        standardize=False,
    ).fit(X, y)  # fmt: skip
    exact = Ridge(alpha=alpha / 2).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0][:, 0], exact.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.intercepts_[0], exact.intercept_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("standardize", [True, False])
def test_poisson_matches_the_glm(standardize):
    rng = np.random.default_rng(3)
    X = rng.uniform(0, 1, (300, 3))
    y = rng.poisson(np.exp(X @ [1.0, -0.5, 2.0]))
    weight = rng.uniform(0.5, 2, 300)
    model = classic(
        "poisson", (), alpha=0, solver="lbfgs", tol=1e-9, max_iter=1000, standardize=standardize,
        random_state=0,  # of 60 seeds SciPy leaves the worst at 0.98e-4
    ).fit(X, y, sample_weight=weight)  # fmt: skip
    glm = PoissonRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), glm.predict(X), rtol=1e-4)
    np.testing.assert_allclose(model.coefs_[0][:, 0], glm.coef_, rtol=1e-3)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantile_without_hidden_layers_matches_the_linear_program(data, quantile):
    X, y = data
    model = classic(
        "quantile", (), quantile=quantile, alpha=0, learning_rate="cosine", batch_size=32,
        learning_rate_init=0.02, max_iter=600, tol=0, n_iter_no_change=np.inf, random_state=0,
    ).fit(X, y)  # fmt: skip
    exact = QuantileRegressor(quantile=quantile, alpha=0).fit(X, y)
    loss = LOSSES["quantile"](quantile)
    ours, best = (loss.value(m.predict(X)[:, None], y[:, None]) for m in (model, exact))
    assert best <= ours < 1.01 * best


def test_dropout_and_clipping_take_part(data):
    X, y = data
    plain = classic(max_iter=5, random_state=0).fit(X, y).theta_
    for option in ({"dropout": 0.3}, {"clip_norm": 1e-3}):
        assert not np.array_equal(
            classic(max_iter=5, random_state=0, **option).fit(X, y).theta_, plain
        )
    assert classic(dropout=0.1, max_iter=400, random_state=0).fit(X, y).score(X, y) > 0.7


# ----- units ---------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
@pytest.mark.parametrize(
    "units",
    ["X dollars", "X offset", "X 1e12 apart", "y dollars", "y offset", "1e300", "1e-300"],
)
def test_units_do_not_matter(data, solver, units):
    X, y = data
    # Of 100 units a step of lm solves for 601 weights.
    sizes = (20,) if solver == "lm" else (100,)
    model = classic(hidden_layer_sizes=sizes, solver=solver, random_state=0, max_iter=100)
    plain = model.fit(X, y).score(X, y)
    X_new, y_new = {
        "X dollars": (X * 1e5, y),
        "X offset": (X + 1e6, y),
        "X 1e12 apart": (X * [1e6, 1e-6, 1, 1], y),
        "y dollars": (X, y * 1e5),
        "y offset": (X, y + 1e6),
        "1e300": (X * 1e299, y),
        "1e-300": (X * 1e-299, y * 1e-150),
    }[units]
    score = model.fit(X_new, y_new).score(X_new, y_new)
    # An offset of 1e6 costs six digits of the data, and training amplifies the rest.
    assert score == pytest.approx(plain, abs=1e-3)


def test_losses_are_in_the_caller_s_units(data):
    X, y = data
    factor = 2.0**20
    for loss, degree in [("squared_error", 2), ("absolute_error", 1), ("huber", 2)]:
        model = classic(loss, max_iter=5, random_state=0, early_stopping=True)
        curve, validation = model.fit(X, y).loss_curve_, model.validation_loss_curve_
        model.fit(X, factor * y)
        np.testing.assert_allclose(model.loss_curve_, np.multiply(curve, factor**degree), rtol=1e-9)
        np.testing.assert_allclose(
            model.validation_loss_curve_, np.multiply(validation, factor**degree), rtol=1e-9
        )


def test_the_reported_validation_loss_is_the_mean_squared_error(data):
    X, y = data
    model = classic(max_iter=3, random_state=0).fit(X[:100], 1e3 * y[:100])
    model.fit(X[:100], 1e3 * y[:100], X_val=X[100:], y_val=1e3 * y[100:])
    error = np.mean((model.predict(X[100:]) - 1e3 * y[100:]) ** 2)
    assert model.validation_loss_curve_[-1] == pytest.approx(error, rel=1e-9)
    assert model.validation_scores_[-1] == pytest.approx(
        r2_score(1e3 * y[100:], model.predict(X[100:])), rel=1e-9
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [0.0, 3.0, -7e9, 1e-200])
def test_constant_columns_and_targets(data, solver, value):
    X = data[0].copy()
    X[:, 1] = value
    model = classic(solver=solver, max_iter=100, random_state=0, early_stopping=True)
    model.fit(X, np.full(len(X), value))
    np.testing.assert_allclose(model.predict(X), value, rtol=1e-12)
    assert np.isfinite(model.loss_curve_).all()


def test_coefs_are_the_network_on_raw_data(data):
    X, y = 50 + 1e3 * data[0], 1e4 + 100 * data[1]
    model = classic(hidden_layer_sizes=(6, 5), activation="tanh", max_iter=50).fit(X, y)
    A = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    by_hand = A @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(by_hand[:, 0], model.predict(X), rtol=1e-10)


def test_without_intercepts_nothing_is_centred(data):
    X, y = data
    model = classic(fit_intercept=False, max_iter=20).fit(X + 5, y + 5)
    assert model.X_shift_ is None and model.y_shift_ is None
    assert model.predict(np.zeros((1, 4)))[0] == 0  # g(0) = 0 all the way
    assert all((b == 0).all() for b in model.intercepts_)


# ----- weights -------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "loss"), SOLVERS_AND_LOSSES)
def test_integer_weights_are_repeated_rows(data, solver, loss):
    X, y = data
    y = targets(loss, y)
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    kwargs = {"solver": solver, "batch_size": 10**6, "max_iter": 20, "random_state": 0, "tol": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        weighted = classic(loss, (7,), "tanh", **kwargs).fit(X, y, sample_weight=weight)
        rows = np.repeat(np.arange(len(y)), weight)
        repeated = classic(loss, (7,), "tanh", **kwargs).fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_a_common_factor_of_the_weights_changes_nothing_but_alpha(data):
    X, y = data
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    kwargs = {"max_iter": 20, "random_state": 0, "batch_size": 16}
    one = classic(alpha=1.0, **kwargs).fit(X, y, sample_weight=weight)
    two = classic(alpha=4.0, **kwargs).fit(X, y, sample_weight=4 * weight)
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(150), "only zero weights"),
        (np.full(150, np.nan), "NaN"),
        (np.ones(149), r"shape \(150,\)"),
        (np.ones((150, 2)), r"shape \(150,\)"),
    ],
)
def test_bad_weights_are_refused(data, weight, message):
    with pytest.raises(ValueError, match=f"(?s)sample_weight.*{message}"):
        classic().fit(*data, sample_weight=weight)


# ----- validation and early stopping ---------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_restores_the_best_epoch(data, solver):
    X, y = data
    sizes = (20, 20) if solver == "lm" else (100, 100)
    model = classic(
        solver=solver, hidden_layer_sizes=sizes, early_stopping=True, alpha=0, random_state=1,
        learning_rate_init=0.01, max_iter=500, tol=0,
    )  # fmt: skip
    model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    curve = model.validation_loss_curve_
    assert model.n_iter_ == len(curve) == len(model.loss_curve_) < 500
    assert np.argmin(curve) < len(curve) - 1  # it went on, and came back
    error = np.mean((model.predict(X[60:]) - y[60:]) ** 2)
    assert min(curve) == pytest.approx(error, rel=1e-9)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == pytest.approx(model.score(X[60:], y[60:]), rel=1e-9)


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", "r2", "loss", None])
def test_stopping_on_a_score(data, scoring):
    X, y = data
    model = classic(
        early_stopping=True, scoring=scoring, learning_rate_init=0.01, random_state=0, max_iter=300
    ).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    if scoring == "neg_mean_absolute_error":
        error = mean_absolute_error(y[100:], model.predict(X[100:]))
        assert model.best_validation_score_ == pytest.approx(-error, rel=1e-9)
    else:
        score = model.score(X[100:], y[100:])
        assert model.best_validation_score_ == pytest.approx(score, rel=1e-9)


def test_validation_data_without_early_stopping_is_only_watched(data):
    X, y = data
    kwargs = {"max_iter": 5, "random_state": 0}
    watched = classic(**kwargs).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert len(watched.validation_loss_curve_) == 5
    assert np.array_equal(watched.theta_, classic(**kwargs).fit(X, y).theta_)


def test_validation_rows_are_not_in_the_scaling(data):
    X, y = data
    X_wild, y_wild = np.r_[X, 1e9 * X[:5]], np.r_[y, 1e9 * y[:5]]
    model = classic(early_stopping=True, max_iter=1, random_state=0)
    plain = model.fit(X, y, X_val=X[:9], y_val=y[:9]).X_scale_
    same = model.fit(X, y, X_val=X_wild, y_val=y_wild).X_scale_
    assert np.array_equal(plain, same)


def test_validation_through_a_pipeline(data):
    X, y = data
    X = 5 + 3 * X
    with sklearn.config_context(enable_metadata_routing=True):
        model = classic(early_stopping=True, max_iter=20, random_state=0)
        model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        scaled = pipeline[0].transform(X)
        alone = clone(model).fit(scaled[:100], y[:100], X_val=scaled[100:], y_val=y[100:])
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": np.ones((3, 4))}, "X_val was given without y_val"),
        ({"y_val": np.ones(3)}, "y_val was given without X_val"),
        ({"sample_weight_val": np.ones(3)}, "sample_weight_val was given without"),
        ({"X_val": np.ones((3, 4)), "y_val": np.ones((3, 2))}, "y_val has 2 outputs, y has 1"),
        ({"X_val": np.ones((3, 5)), "y_val": np.ones(3)}, "5 features"),
    ],
)
def test_bad_validation_data_is_refused(data, given, message):
    with pytest.raises(ValueError, match=message):
        classic().fit(*data, **given)


# ----- partial_fit, warm_start ---------------------------------------------------------


@pytest.mark.parametrize("solver", MINI_BATCH)
def test_partial_fit_is_fit_epoch_by_epoch(data, solver):
    X, y = data
    kwargs = {"solver": solver, "random_state": 0, "batch_size": 40, "learning_rate": "invscaling"}
    whole = classic(max_iter=6, tol=0, **kwargs).fit(X, y)
    stream = classic(**kwargs)
    for _ in range(6):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, y)))  # resumes exactly
    assert np.array_equal(whole.theta_, stream.theta_)
    assert stream.n_iter_ == 6 and stream.t_ == 900


def test_partial_fit_weights_are_comparable_from_call_to_call():
    """A stream whose second half weighs nine times the first: the weighted mean is 0.9."""
    model = classic(
        hidden_layer_sizes=(), solver="sgd", momentum=0, learning_rate_init=0.003, alpha=0,
        standardize=False, random_state=0, batch_size=10,
    )  # fmt: skip
    X = np.zeros((50, 1))
    for _ in range(300):
        model.partial_fit(X, np.zeros(50), sample_weight=np.ones(50))
        model.partial_fit(X, np.ones(50), sample_weight=np.full(50, 9.0))
    assert model.predict([[0.0]])[0] == pytest.approx(0.9, abs=0.03)


def test_joblib_memory_map_goes_on_training(data, tmp_path):
    X, y = data
    model = classic(max_iter=3, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert np.array_equal(loaded.partial_fit(X, y).theta_, model.partial_fit(X, y).theta_)


def test_a_refused_batch_leaves_the_model_as_it_was(data):
    X, y = data
    model = classic(max_iter=3, random_state=0).fit(X, y)
    before = copy.deepcopy(vars(model)["_training"]), model.theta_.copy(), model.loss_curve_.copy()
    for bad in (1e200, np.nan):
        with pytest.raises(ValueError):
            model.partial_fit(np.full((3, 4), bad), np.full(3, 1e308))
    with pytest.raises(ValueError, match="3 features"):
        model.partial_fit(X[:, :3], y)
    assert np.array_equal(model.theta_, before[1]) and model.loss_curve_ == before[2]
    assert np.array_equal(model._training["optimizer"]["m"], before[0]["optimizer"]["m"])


def test_a_refused_refit_leaves_the_model_as_it_was(data):
    X, y = data
    names = pd.DataFrame(X, columns=list("abcd"))
    model = classic(max_iter=2).fit(names, y)
    with pytest.raises(ValueError):
        model.fit(X[:, :2], np.full(len(y), np.inf))
    assert list(model.feature_names_in_) == list("abcd")
    assert model.predict(names).shape == y.shape


# ----- data ----------------------------------------------------------------------------


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_sparse_is_dense(container, solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 6)) * (rng.random((90, 6)) < 0.3)
    y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(90)
    kwargs = {"solver": solver, "batch_size": 20, "random_state": 0, "max_iter": 10}
    kwargs |= {"early_stopping": True, "hidden_layer_sizes": (20,)}
    dense = classic(**kwargs).fit(X, y)
    model = classic(**kwargs).fit(container(X), y)
    # Equal but for the rounding of sums, which block layouts order differently.
    np.testing.assert_allclose(model.predict(container(X)), dense.predict(X), rtol=1e-9)


def test_frames_and_lists(data):
    X, y = data
    expected = classic(max_iter=3, random_state=0).fit(X, y).predict(X)
    for frame, column in [
        (pd.DataFrame(X, columns=list("abcd")), pd.Series(y)),
        (pl.DataFrame(X, schema=list("abcd")), pl.Series(y)),
        (X.tolist(), y.tolist()),
        (np.asfortranarray(X), y[:, None]),
    ]:
        model = classic(max_iter=3, random_state=0).fit(frame, column)
        np.testing.assert_allclose(np.ravel(model.predict(frame)), expected, rtol=1e-12)
        # Names wherever this scikit-learn knows the kind of frame.
        known = getattr(LinearRegression().fit(frame, column), "feature_names_in_", [])
        assert list(getattr(model, "feature_names_in_", [])) == list(known)
        assert len(known) == 4 or not isinstance(frame, pd.DataFrame)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["a"] * 150), "y"),
        (np.full(150, np.datetime64("2026-01-01")), "y must hold numbers"),
        (np.full(150, np.nan), "y"),
        (np.ones((150, 2, 2)), "y"),
        (np.ones(149), "inconsistent"),
        (sparse.csr_array(np.ones((150, 1))), "y is a sparse matrix"),
        (np.ones(150) + 1j, "[Cc]omplex"),
        (None, "requires y"),
    ],
)
def test_bad_targets_are_refused(data, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        classic().fit(data[0], y)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32])
@pytest.mark.parametrize("X_dtype", [np.float32, np.float64])
def test_dtype_overrides_that_of_X(data, dtype, X_dtype):
    X, y = data
    model = classic(dtype=dtype, max_iter=100, random_state=0).fit(X.astype(X_dtype), y)
    assert model.theta_.dtype == model.predict(X.astype(X_dtype)).dtype == np.dtype(dtype)
    exact = classic(max_iter=100, random_state=0).fit(X, y).predict(X)
    # 150 steps of float32 rounding, 1e-7 each.
    np.testing.assert_allclose(model.predict(X.astype(X_dtype)), exact, atol=1e-3)


def test_predict_before_fit():
    with pytest.raises(NotFittedError):
        classic().predict([[0.0]])
    with pytest.raises(NotFittedError):
        classic().to_mlp_regressor()
    assert not hasattr(classic(), "coefs_")


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 5, 5000])
def test_predict_in_blocks_is_predict_by_row(n, n_outputs):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((5000, 3)), rng.standard_normal((5000, n_outputs))
    model = classic(hidden_layer_sizes=(300,), max_iter=1).fit(X[:50], Y[:50])
    whole = model.predict(X[:n])
    some = np.r_[0, n // 2, n - 1]
    # Products of other sizes round differently.
    np.testing.assert_allclose(model.predict(X[some]), whole[some], rtol=1e-9, atol=1e-12)


# ----- scikit-learn's world ------------------------------------------------------------


def test_pipeline_grid_search_and_cross_validation():
    X, y = load_diabetes(return_X_y=True)
    model = classic(hidden_layer_sizes=(10,), early_stopping=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), model)
    grid = GridSearchCV(
        pipeline,
        {
            "backpropregressor__alpha": [1e-4, 10.0],
            "backpropregressor__hidden_layer_sizes": ["8", (8, 4)],
        },
        cv=3,
        n_jobs=2,
    ).fit(X, y)
    assert grid.best_score_ > 0.35
    assert cross_val_score(grid.best_estimator_, X, y, cv=3).mean() > 0.35


def test_random_search_over_architectures(data):
    search = RandomizedSearchCV(
        classic(max_iter=30, learning_rate_init=0.01, random_state=0),
        {"hidden_layer_sizes": ["4", "16-8", "32"], "activation": list(ACTIVATIONS)[:5]},
        n_iter=4,
        random_state=0,
        cv=2,
    ).fit(*data)
    tried = {params["hidden_layer_sizes"] for params in search.cv_results_["params"]}
    assert len(tried) > 1  # strings that the search could vary …
    units = [int(n) for n in search.best_params_["hidden_layer_sizes"].split("-")]
    assert search.best_estimator_.layer_sizes_ == [4, *units, 1]  # … and the network it says


def test_clones_with_the_same_seed_agree_bit_for_bit(data):
    model = classic(max_iter=5, random_state=7, dropout=0.2, early_stopping=True)
    twins = [clone(model).fit(*data).theta_ for _ in range(2)]
    assert np.array_equal(*twins)


def test_global_state_is_left_alone(data):
    state, errstate = np.random.get_state()[1].copy(), np.geterr()  # noqa: NPY002 - the one asked about
    classic(max_iter=2).fit(*data).predict(data[0])
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002 - likewise
    assert np.geterr() == errstate


@pytest.mark.parametrize("output", ["identity", "logistic", "tanh", "relu", "exp"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_to_mlp_regressor_predicts_the_same(data, activation, output, n_outputs, fit_intercept):
    X = data[0] * [1e3, 1.0, 1e-3, 1.0] + [5.0, 0.0, 0.0, -3.0]
    rng = np.random.default_rng(0)
    Y = ACTIVATIONS[output]().value(rng.standard_normal((150, n_outputs)))
    Y = Y[:, 0] if n_outputs == 1 else Y
    model = classic(
        hidden_layer_sizes=(9, 8), activation=activation, output_activation=output, max_iter=20,
        random_state=0, fit_intercept=fit_intercept,
    ).fit(X, Y)  # fmt: skip
    if output == "exp" and "loss" not in MLPRegressor().get_params():
        with pytest.raises(ValueError, match="no output activation 'exp'"):
            model.to_mlp_regressor()
    elif output == "exp" and not fit_intercept:
        with pytest.raises(ValueError, match="y_scale_"):
            model.to_mlp_regressor()
    else:
        export = pickle.loads(pickle.dumps(model.to_mlp_regressor()))
        assert type(export) is MLPRegressor
        np.testing.assert_allclose(export.predict(X), model.predict(X), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"activation": "gelu"}, "no activation 'gelu'"),
        ({"activation": ["relu", "tanh"]}, "one activation for all"),
        ({"output_activation": "softplus"}, "no output activation 'softplus'"),
    ],
)
def test_to_mlp_regressor_says_what_it_cannot(data, option, message):
    X, y = data
    model = classic(hidden_layer_sizes=(5, 4), max_iter=2, **option).fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.to_mlp_regressor()


def test_to_mlp_regressor_keeps_names_and_linear_models(data):
    X, y = pd.DataFrame(data[0], columns=list("abcd")), data[1]
    model = classic(hidden_layer_sizes=(), solver="lbfgs").fit(X, y)
    export = model.to_mlp_regressor()
    np.testing.assert_allclose(export.predict(X), model.predict(X), rtol=1e-10)
    assert list(export.feature_names_in_) == list("abcd")


# ----- a user's own pieces -------------------------------------------------------------


class Cube:
    """g(z) = z + z³/10, without any use of `out`."""

    def value(self, Z, out=None):
        return Z + Z**3 / 10

    def derivative(self, Z, A, out=None):
        return 1 + 0.3 * Z**2


class Fourth(Loss):
    degree = 4

    def elementwise(self, A, Y):
        return (A - Y) ** 4

    def elementwise_derivative(self, A, Y):
        return 4 * (A - Y) ** 3


class Squares:
    """The squared error as a user would write it."""

    def value(self, A, Y, weight=None):
        return np.sum((A - Y) ** 2 * (1 / len(A) if weight is None else weight))

    def derivative(self, A, Y, weight=None, out=None):
        return 2 * (A - Y) * (1 / len(A) if weight is None else weight)


class SignDescent:
    def init(self, theta):
        return {}

    def step(self, theta, gradient, learning_rate, state):
        theta -= learning_rate * np.sign(gradient)


def test_a_user_s_own_objects(data):
    X, y = data
    model = classic(
        Squares(), (20,), Cube(), solver=SignDescent(), learning_rate=lambda t: 1 - t,
        learning_rate_init=0.01, max_iter=200, random_state=0,
    )  # fmt: skip
    assert clone(model).fit(X, y).score(X, y) > 0.7
    assert cross_val_score(model.set_params(learning_rate="cosine"), X, y, cv=3).mean() > 0.5
    weighted = clone(model).fit(X, y, sample_weight=np.ones(len(y)))
    plain = clone(model).fit(X, y)
    np.testing.assert_allclose(weighted.predict(X), plain.predict(X), rtol=1e-9)


def test_a_user_s_own_squared_error_is_the_package_s(data):
    X, y = data
    kwargs = {"max_iter": 10, "random_state": 0, "standardize": False}
    own = classic(Squares(), **kwargs).fit(X, y)
    assert np.allclose(own.theta_, classic(**kwargs).fit(X, y).theta_, rtol=1e-12)


def test_a_user_s_own_elementwise_loss_is_scaled_by_its_degree(data):
    X, y = data
    kwargs = {"hidden_layer_sizes": (10,), "max_iter": 50, "random_state": 0}
    small, large = (classic(Fourth(), **kwargs).fit(X, f * y) for f in (1.0, 2.0**10))
    np.testing.assert_allclose(large.predict(X), 2.0**10 * small.predict(X), rtol=1e-6)
    assert large.loss_ == pytest.approx(2.0**40 * small.loss_, rel=1e-6)


@pytest.mark.parametrize("name", ["loss", "activation", "solver"])
def test_an_object_without_the_methods_is_refused(data, name):
    with pytest.raises(TypeError, match=rf"{name} must be .*an object with"):
        classic(**{name: 3.5}).fit(*data)


# ----- callbacks -----------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
@pytest.mark.parametrize("weighted", [False, True])
def test_callbacks_see_every_epoch_and_can_stop(data, solver, weighted):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

    class Stop:
        """A callback that notes the score and stops at epoch 4."""

        def __init__(self):
            self.scores = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            if context.task_name == "epoch" and fitted_estimator is not None:
                self.scores.append(r2_score(y, fitted_estimator.predict(X)))
            return len(self.scores) >= 4

        def teardown(self, estimator, context):
            pass

    X, y = data
    weight = np.ones(len(y)) if weighted else None
    callback = Stop()
    model = classic(solver=solver, random_state=0, learning_rate_init=0.01)
    model.set_callbacks(callback)
    model.fit(X, y, sample_weight=weight)
    assert model.n_iter_ == 4 and len(callback.scores) == 4
    assert callback.scores[-1] == pytest.approx(model.score(X, y), rel=1e-12)
    assert callback.scores[-1] > callback.scores[0]
    assert not hasattr(model, "_callback_fit_ctx")


def test_scoring_monitor_in_a_grid_search(data):
    callback = pytest.importorskip(
        "sklearn.callback", reason="callbacks came with scikit-learn 1.9"
    )
    monitor = callback.ScoringMonitor(scoring="r2")
    model = classic(max_iter=3, random_state=0).set_callbacks(monitor)
    GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2).fit(*data)
    assert monitor.get_logs()


# ----- as a package --------------------------------------------------------------------


def test_fit_warns_at_max_iter_and_not_where_a_schedule_was_planned_to_end(data):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)"):
        classic(max_iter=3).fit(*data)
    for solver in FULL_BATCH:
        with pytest.warns(ConvergenceWarning, match=f"{solver}: 3 iter.*max_iter, max_fun"):
            classic(max_iter=3, solver=solver).fit(*data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = {"learning_rate": "cosine", "learning_rate_init": 0.02, "random_state": 0}
        classic(max_iter=30, **settings).fit(*data)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_result_on_one_and_two_blas_threads(threads, tmp_path):
    code = (
        "import numpy as np; from own import classic\n"
        "X = np.random.default_rng(0).standard_normal((400, 30)); y = X[:, 0] * X[:, 1]\n"
        "m = classic(hidden_layer_sizes=(64, 64), max_iter=20, random_state=0).fit(X, y)\n"
        f"np.save({str(tmp_path / 'p.npy')!r}, m.predict(X))"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 30))
    y = X[:, 0] * X[:, 1]
    here = classic(hidden_layer_sizes=(64, 64), max_iter=20, random_state=0).fit(X, y)
    # The promise is 1e-6 standard deviations of y.
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), here.predict(X), atol=1e-6 * y.std())


def test_html_and_text_representation(data):
    model = classic(hidden_layer_sizes="8-4", max_iter=1).fit(*data)
    assert "hidden_layer_sizes='8-4'" in repr(model)
    assert "BackpropRegressor" in model._repr_html_()


class Shifted:
    """g(z) = tanh(z) + 1/4 by a user, who computes into new arrays."""

    def value(self, Z, out=None):
        return np.tanh(Z) + 0.25

    def derivative(self, Z, A, out=None):
        return 1 - np.tanh(Z) ** 2


@pytest.mark.parametrize(
    ("hidden", "output"),
    [
        ("relu", Shifted()),
        (["tanh", Shifted(), "gelu"], None),
        ([Shifted(), "relu", "tanh"], Shifted()),
    ],
)
def test_a_user_s_activation_beside_ours_predicts_what_the_formula_says(hidden, output):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    y = np.tanh(X[:, 0]) + 0.25
    model = classic(
        hidden_layer_sizes=(6, 5, 4), activation=hidden, output_activation=output,
        standardize=False, max_iter=3, random_state=0,
    ).fit(X, y)  # fmt: skip
    A = X
    for W, b, g in zip(model.coefs_, model.intercepts_, model.activations_, strict=True):
        A = resolve_activation(g).value(A @ W + b)
    np.testing.assert_allclose(model.predict(X), A[:, 0], rtol=1e-12)  # rounding of five sums


class Twice(Identity):
    """g(z) = 2 z, a subclass of the identity."""

    def _value(self, z, a):
        np.multiply(z, 2, out=a)

    def _derivative(self, a, d):
        d.fill(2)


class Asymmetric(SquaredError):  # noqa: N818 - a loss and no exception
    """ℓ = (a - y)², ten times that where a > y, by the documented hooks."""

    def elementwise(self, A, Y):
        return np.where(A > Y, 10, 1) * (A - Y) ** 2

    def elementwise_derivative(self, A, Y):
        return np.where(A > Y, 20, 2) * (A - Y)


class AsymmetricPoisson(Poisson):
    """dℓ/da of its own, for which a - y is not df/dZ[L]."""

    def elementwise_derivative(self, A, Y):
        return np.where(A > Y, 10, 1) * (1 - Y / A)


def test_subclasses_train_by_their_own_formulas():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    y = X[:, 0] + rng.standard_normal(400)
    options = {"hidden_layer_sizes": (), "max_iter": 200, "learning_rate_init": 0.01}
    model = classic(output_activation=Twice(), standardize=False, **options).fit(X, y)
    W, b = model.coefs_[0], model.intercepts_[0]
    np.testing.assert_allclose(model.predict(X), 2 * (X @ W + b)[:, 0], rtol=1e-12)
    for loss, at_zero in ((Asymmetric(), y), (AsymmetricPoisson(), np.exp(y / 2))):
        fitted = classic(loss=loss, random_state=0, **options).fit(X, at_zero)
        # Too much costs ten times too little: far fewer than half of the predictions are above.
        assert np.mean(fitted.predict(X) > at_zero) < 0.35


def test_predictions_apply_activations_to_no_leftovers():
    """relu's output of layer 1 lies where the ones of layer 3 go: exp of it would overflow."""
    model = classic(
        hidden_layer_sizes=(3, 1, 2), activation=["relu", "relu", "exp"], max_iter=1,
        standardize=False, random_state=0,
    ).fit(np.ones((9, 1)), np.zeros(9))  # fmt: skip
    views = model_of(vars(model)).network().views(model.theta_)
    for W, b in zip(views.W[1:], views.b[1:], strict=True):
        W[...], b[...] = 0, 0
    views.W[1][...] = 1e4  # A[1] = 10,000, and everything after it 0
    for rows in (1, 1000):
        leftovers = [np.full((2, 3 * rows), -np.inf) for _ in range(20)]
        del leftovers  # what np.empty may find
        with np.errstate(all="raise", under="ignore"):
            assert not model.predict(np.ones((rows, 1))).any()


def test_memory_with_many_outputs_is_that_of_a_few_batches():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20_000, 1)), rng.standard_normal((20_000, 100))
    model = classic(hidden_layer_sizes=(4,), max_iter=1)
    # A window or a scaled table of 2**20 numbers, statistics of 2**16 at a time and their
    # temporaries, batches of 200 rows: 10 MB in all. Y has 16 MB.
    assert peak_memory(lambda: model.fit(X, Y), 0.75 * Y.nbytes) < 0.75 * Y.nbytes


def test_lbfgs_goes_through_wide_tables_in_blocks_of_many_rows():
    assert full_batch_rows([60_000, 50, 1]) >= 200


class Tilted(Activation):
    """g(z) = c z, of which g(1) is 1 or not."""

    c: float = 1.0

    def _value(self, z, a):
        np.multiply(z, self.c, out=a)

    def _derivative(self, a, d):
        d.fill(self.c)


def test_an_activation_object_may_change_between_two_fits():
    """Nothing of it is remembered from the first, such as that it leaves the ones alone."""

    class Steeper(Tilted):  # of another type, and so nothing that is remembered of Tilted
        c: float = 3.0

    g, (X, y) = Tilted(), (np.arange(12.0).reshape(6, 2), np.arange(6.0))
    options = {"hidden_layer_sizes": (3,), "max_iter": 5, "random_state": 0}
    classic(activation=g, **options).fit(X, y)
    g.c = 3.0
    after = classic(activation=g, **options).fit(X, y).predict(X)
    np.testing.assert_array_equal(
        after, classic(activation=Steeper(), **options).fit(X, y).predict(X)
    )
