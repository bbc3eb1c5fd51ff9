"""Levenberg-Marquardt: the objective's minimum, against SciPy's; its place in the regressor."""

import copy
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pytest
from own import classic
from scipy import sparse
from scipy.optimize import least_squares
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from skbackprop import fit_many, fitting, memory, parameters
from skbackprop.activations import ACTIVATIONS
from skbackprop.feed import Data
from skbackprop.lbfgs import full_gradient
from skbackprop.lm import System, damped_step, largest_product, minimize_lm, rows_at_once
from skbackprop.losses import LOSSES, SquaredError
from skbackprop.network import Network
from skbackprop.scaling import Rows
from skbackprop.second_order import products
from skbackprop.training import Objective, Progress

fixed = np.random.default_rng(0)
X = np.linspace(-2, 2, 80)[:, None]
x = X[:, 0]  # what a network 1-3-1, of ten weights, can be, and some noise
y = 1.5 * np.tanh(2 * x - 1) - np.tanh(1.2 * x + 1.5) - 0.8 * np.tanh(3 * x + 2.5)
y += 0.02 * fixed.standard_normal(80)
s = fixed.uniform(0.1, 2, 80)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def fit(data=(X, y), weight=None, **params):
    options = {"hidden_layer_sizes": (3,), "activation": "tanh", "solver": "lm", "tol": 1e-7}
    options |= {"max_iter": 1000, "random_state": 1, "alpha": 1e-3}
    return classic(**{**options, **params}).fit(*data, sample_weight=weight)


def problem(outputs=2, weighted=True, penalty=0.01, n=30, index=None, sizes=(4, 3)):
    """An objective, its rows and first weights."""
    random = np.random.default_rng(2)
    g = [*(ACTIVATIONS["tanh"]() for _ in sizes), ACTIVATIONS["identity"]()]
    network = Network([3, *sizes, outputs], g)
    A, T = random.standard_normal((n, 3)), random.standard_normal((n, outputs))
    weight = random.uniform(0.1, 2, n) if weighted else None
    rows = np.arange(n) if index is None else index
    mean = weight[rows].mean() if weighted else 1.0
    data = Data(Rows(A, np.float64), Rows(T, np.float64), weight, mean, index)
    return Objective(network, SquaredError(), penalty), data, network.initialize(random)


def standing(theta):
    return Progress(theta.copy())


def run(objective, data, at, epoch_ended=lambda f: False, **limits):
    limits = {"max_iter": 500, "max_fun": 10**6, "tol": 1e-7, **limits}
    return minimize_lm(objective, data, at, **limits, epoch_ended=epoch_ended)


# ----- f, g and G ----------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("index", [None, np.array([4, 7, 7, 0, 29])])
def test_the_system_is_that_of_the_objective(outputs, weighted, penalty, index, monkeypatch):
    objective, data, theta = problem(outputs, weighted, penalty, index=index)
    gradient = np.empty_like(theta)
    f = full_gradient(objective, data, theta, gradient)()
    G = products(objective, data, theta, np.eye(theta.size), gauss_newton=True)
    for entries in (2**20, 4 * theta.size):  # one block, and several
        monkeypatch.setattr("skbackprop.lm.JACOBIAN_ENTRIES", entries)
        system = System(objective, data)
        g, matrix = system.linearize(theta)
        assert system.value(theta) == pytest.approx(f, rel=1e-12)
        np.testing.assert_allclose(g, gradient, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(matrix, G, rtol=1e-9, atol=1e-12)


def test_a_damped_step_solves_its_equations():
    objective, data, theta = problem()
    g, G = System(objective, data).linearize(theta)
    for damping in (1e-6, 1.0, 1e6):
        step = damped_step(g, G, damping)
        residual = (G + damping * np.eye(len(g))) @ step + g
        assert np.abs(residual).max() < 1e-9 * np.abs(g).max()
    np.testing.assert_allclose(step, -g / 1e6, rtol=1e-4)  # downhill
    assert np.isnan(damped_step(g, -G, 1e-6)).all()  # no Cholesky factor


# ----- the minimum ---------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, s], ids=["plain", "weighted"])
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
def test_the_minimum_of_ten_parameters_is_that_of_scipy(weight, alpha):
    """SciPy's from where it ends, and among SciPy's from the same six first weights."""
    settings = {"weight": weight, "alpha": alpha, "standardize": False}
    w, network = np.ones(80) if weight is None else weight, Network([1, 3, 1], _g())

    def residuals(theta):
        views = network.views(theta)
        A = np.tanh(X @ views.W[1] + views.b[1]) @ views.W[2] + views.b[2]
        penalty = np.concatenate([M.ravel() for M in views.W[1:]])
        mean = np.sqrt(w / w.sum()) * (A[:, 0] - y)
        return np.concatenate([mean, np.sqrt(alpha / 2 / w.sum()) * penalty])

    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 10**4}
    models = [fit(**settings, tol=1e-9, random_state=k) for k in range(6)]
    for model in models:
        assert model.theta_.size == 10 and model.n_iter_ < 1000
        near = least_squares(residuals, model.theta_, "3-point", **tight)
        assert model.loss_ == pytest.approx(2 * near.cost, rel=1e-8)
    first = [fit(**settings, tol=1e9, random_state=k).theta_ for k in range(6)]
    minima = [2 * least_squares(residuals, theta, "3-point", **tight).cost for theta in first]
    assert min(model.loss_ for model in models) == pytest.approx(min(minima), rel=1e-8)
    for model in models:
        assert min(abs(model.loss_ / np.array(minima) - 1)) < 1e-8


def _g():
    return [ACTIVATIONS["tanh"](), ACTIVATIONS["identity"]()]


def test_a_linear_model_is_ridge_after_a_few_steps(rng):
    A = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4))
    T = A @ rng.standard_normal((4, 2)) + rng.standard_normal((60, 2))
    model = fit((A, T), hidden_layer_sizes=(), alpha=3.0, standardize=False, tol=1e-12)
    ridge = Ridge(alpha=1.5).fit(A, T)
    assert model.n_iter_ <= 15
    np.testing.assert_allclose(model.coefs_[0], ridge.coef_.T, rtol=1e-8)
    np.testing.assert_allclose(model.intercepts_[0], ridge.intercept_, rtol=1e-8, atol=1e-10)


def test_far_fewer_iterations_than_lbfgs(rng):
    """To a gradient as small: about 6 times fewer with ten weights, 22 with 26."""
    P = rng.uniform(-1, 1, (300, 3))
    smooth = np.sin(2 * P[:, 0]) * np.cos(P[:, 1]) + P[:, 2] ** 2
    limits = {"tol": 1e-5, "max_iter": 10**4, "max_fun": 10**5}
    for data, units, times in (((X, y), 3, 3), ((P, smooth), 5, 8)):
        counts = {}
        for solver in ("lm", "lbfgs"):
            models = [
                fit(data, solver=solver, random_state=k, hidden_layer_sizes=units, **limits)
                for k in range(3)
            ]
            counts[solver] = sum(model.n_iter_ for model in models)
        assert times * counts["lm"] < counts["lbfgs"]


def test_the_loss_never_rises_and_the_gradient_ends_at_tol():
    objective, data, theta = problem()
    at, losses = standing(theta), []
    assert run(objective, data, at, lambda f: losses.append(f)) is None
    assert all(b < a for a, b in pairwise(losses)) and at.epochs == len(losses)
    assert at.samples == 30 * at.epochs and at.optimizer["evaluations"] >= at.epochs
    gradient = np.empty_like(theta)
    assert full_gradient(objective, data, at.theta, gradient)() == pytest.approx(losses[-1])
    assert np.abs(gradient).max() <= 1e-7


def test_it_stops_where_rounding_begins():
    """tol=0 is not reached by the gradient, and it does not go on for ever."""
    for dtype in ("float64", "float32"):
        model = fit(alpha=1.0, tol=0, max_iter=5000, dtype=dtype)
        assert model.n_iter_ < 2000
        assert model.loss_ == pytest.approx(fit(alpha=1.0).loss_, rel=1e-6)


# ----- limits --------------------------------------------------------------------------


def test_why_it_stops():
    objective, data, theta = problem()
    at = standing(theta)
    assert run(objective, data, at, max_iter=3) == "lm: 3 iterations"
    assert at.epochs == 3
    at = standing(theta)
    assert run(objective, data, at, max_fun=4).startswith("lm: ") and 1 <= at.epochs <= 4
    assert run(objective, data, standing(theta), lambda f: True) is None
    at, losses = standing(theta), []
    assert run(objective, data, at, lambda f: losses.append(f), tol=1e9) is None
    assert (at.epochs, len(losses)) == (1, 1)
    np.testing.assert_array_equal(at.theta, theta)  # they were good enough


def test_a_run_is_cut_and_joined_anywhere():
    objective, data, theta = problem()
    whole, parts = standing(theta), standing(theta)
    run(objective, data, whole, max_iter=12)
    for n in (1, 2, 5, 12):
        run(objective, data, parts, max_iter=n)
    assert parts.theta.tobytes() == whole.theta.tobytes()
    assert parts.optimizer == whole.optimizer


def test_no_convergence_and_time_are_told():
    with pytest.warns(ConvergenceWarning, match="lm: 2 iterations, and it has not converged"):
        fit(max_iter=2)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        fit(max_iter=10**6, tol=0, max_time=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit()


# ----- what it is for ------------------------------------------------------------------


def test_every_full_batch_solver_has_a_function_of_its_name():
    for solver in parameters.FULL_BATCH:
        assert fitting.full_batch(solver)[0].__name__ == f"minimize_{solver}"


@pytest.mark.parametrize("loss", [*(name for name in LOSSES if name != "squared_error"), "own"])
def test_other_losses_are_refused_by_name(loss):
    class QuarticError(SquaredError):
        def elementwise(self, A, Y):
            return (A - Y) ** 4

    given = QuarticError() if loss == "own" else loss
    with pytest.raises(ValueError, match=r"loss=.*solver='lm'.*squared_error"):
        fit(loss=given, data=(X, np.exp(y)))
    fit(loss=SquaredError(), max_iter=2)


def test_a_network_that_is_too_large_is_refused_before_anything_is_allocated():
    A = np.zeros((10, 3))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"solver='lm'.*at most 4,096.*10,601"):
        fit((A, A[:, 0]), hidden_layer_sizes=(100, 100))
    with pytest.raises(ValueError, match=r"solver='lm'.*about 10\*\*"):
        fit((A, A[:, 0]), hidden_layer_sizes=10**30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert memory.LM_WEIGHTS == 4096


def test_memory_is_asked_for(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2.0**27)
    with pytest.raises(ValueError, match="3,001 weights"):
        fit(hidden_layer_sizes=(1000,))


def test_the_estimate_of_its_memory_is_below_what_it_takes():
    A, weights = np.zeros((50, 3)), 5 * 300 + 1
    tracemalloc.start()
    fit((A, np.arange(50.0)), hidden_layer_sizes=(300,), max_iter=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 2 * 8 * weights**2 < peak < 4 * 8 * weights**2 + 2**24


def test_memory_does_not_grow_with_the_rows():
    A = np.random.default_rng(0).standard_normal((200_000, 2))
    tracemalloc.start()
    objective = problem(outputs=1, weighted=False, sizes=(8,))[0]
    g = [ACTIVATIONS["tanh"](), ACTIVATIONS["identity"]()]
    objective.network = Network([2, 8, 1], g)
    table = Data(Rows(A, np.float64), Rows(A[:, :1], np.float64))
    System(objective, table).linearize(objective.network.initialize(np.random.default_rng(0)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_blocks_of_rows_and_their_product():
    network = problem()[0].network
    assert rows_at_once(network) == 2**20 // network.n_parameters
    assert largest_product(30, network) == 30 * network.n_parameters**2
    assert largest_product(10**9, network) < 2**20 * network.n_parameters


# ----- in the regressor ----------------------------------------------------------------


@pytest.mark.parametrize("output", ["identity", "softplus", "logistic", "tanh"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_output(activation, output):
    T = 0.5 + 0.3 * y
    model = fit((X, T), activation=activation, output_activation=output, max_iter=60, alpha=1e-3)
    curve = model.loss_curve_
    assert all(b <= a for a, b in pairwise(curve)) and np.isfinite(curve).all()
    mean = np.mean((T - T.mean()) ** 2)
    assert curve[-1] < (0.99 if activation in ("identity", "exp") else 0.7) * mean


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"standardize": False},
        {"fit_intercept": False},
        {"dtype": "float32"},
        {"hidden_layer_sizes": (3, 2)},
        {"output_activation": "softplus"},
    ],
    ids=str,
)
def test_it_ends_where_lbfgs_cannot_go_lower(params):
    """From its minimum, as a warm start of the other solver."""
    T = np.c_[y, np.cos(X[:, 0])] + (4 if "output_activation" in params else 0)
    model = fit((X, T), s, alpha=1.0, **params)
    assert model.n_iter_ < 1000
    other = copy.deepcopy(model).set_params(solver="lbfgs", warm_start=True)
    other._training["architecture"] = {**other._training["architecture"], "solver": "lbfgs"}
    other.fit(X, T, s)
    assert other.loss_ == pytest.approx(model.loss_, rel=1e-6)


def test_weights_are_repeated_rows_and_zero_is_no_row(rng):
    whole = rng.integers(0, 3, 80)
    one = fit(weight=whole)
    two = fit((np.repeat(X, whole, axis=0), np.repeat(y, whole)))
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-6, atol=1e-6)


def test_sparse_rows_and_several_networks():
    model, A = fit(max_iter=5), sparse.csr_matrix(X)
    np.testing.assert_allclose(fit((A, y), max_iter=5).predict(A), model.predict(X), rtol=1e-6)
    models = [copy.deepcopy(model).set_params(random_state=k) for k in (1, 2)]
    many = fit_many(models, X, y)
    np.testing.assert_array_equal(many[0].theta_, model.theta_)


def test_warm_start_goes_on():
    parts = fit(max_iter=10, warm_start=True)
    first = parts.loss_
    parts.set_params(max_iter=1000).fit(X, y)
    assert parts.loss_ < first and len(parts.loss_curve_) == 10 + parts.n_iter_
    assert parts._training["optimizer"]["evaluations"] <= 2 * parts.n_iter_ + 10


def test_early_stopping_and_search():
    model = fit(early_stopping=True, hidden_layer_sizes=(20,), alpha=0, tol=1e-4, max_iter=300)
    assert model.n_iter_ == len(model.validation_loss_curve_) < 300
    best = np.argmin(model.validation_loss_curve_)
    assert best < model.n_iter_ - 1
    grid = GridSearchCV(fit(max_iter=1), {"alpha": [1e-3, 1e3], "max_iter": [50]}, cv=3)
    order = np.random.default_rng(0).permutation(80)
    assert grid.fit(X[order], y[order]).best_params_["alpha"] == 1e-3


@pytest.mark.parametrize("unit", [1e-150, 1e-165, 1e-170, 1e-300])
def test_a_jacobian_whose_squares_vanish(unit):
    """A damping of 0 never grew, and its factor grew beyond all numbers."""
    raw = {"hidden_layer_sizes": (), "fit_intercept": False, "standardize": False}
    model = fit((X * unit, x), tol=0, alpha=0, max_iter=20, **raw)
    assert np.isfinite(model.theta_).all() and np.all(np.diff(model.loss_curve_) <= 0)


def test_dead_units_and_constant_columns():
    A = np.c_[X, np.ones(80), np.zeros(80)]
    for activation in ("relu", "tanh"):
        model = fit((A, y), activation=activation, alpha=0, max_iter=50)
        assert np.isfinite(model.theta_).all()
        np.testing.assert_array_equal(fit((A, 0 * y), max_iter=5).predict(A), 0)
