"""The equations differentiated once more: products with the Hessian and the Gauss-Newton matrix."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from own import classic
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

import skbackprop
from skbackprop import gauss_newton_product, hessian_product
from skbackprop.activations import ACTIVATIONS
from skbackprop.calculus import elementwise, left_multiplication, right_multiplication
from skbackprop.fitting import Fitting
from skbackprop.lbfgs import full_gradient
from skbackprop.losses import LOSSES, CustomLoss, LogCosh, Loss, Poisson, SquaredError
from skbackprop.network import Network
from skbackprop.second_order import Pass, differentiated
from skbackprop.tables import checked_table

SMOOTH = [name for name, g in ACTIVATIONS.items() if g().is_smooth]
KINKED = [name for name in ACTIVATIONS if name not in SMOOTH]
SMOOTH_LOSSES = [name for name, loss in LOSSES.items() if loss().is_smooth]
PRODUCTS = (hessian_product, gauss_newton_product)

fixed = np.random.default_rng(0)
X = fixed.standard_normal((50, 3)) * [1, 10, 0.1] + [0, 5, 1]
Y = np.exp(0.3 * np.c_[X[:, 0] + X[:, 1] / 10, X[:, 2] * 10])
s = fixed.uniform(0.1, 2, 50)

OPTIONS = {
    "default": {},
    "one hidden layer": {"hidden_layer_sizes": (6,)},
    "linear": {"hidden_layer_sizes": ()},
    "not standardized": {"standardize": False},
    "no intercept": {"fit_intercept": False},
    "an output": {"output_activation": "softplus"},
    "no penalty": {"alpha": 0.0},
    "float32": {"dtype": "float32"},
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def fitted(loss="squared_error", target=Y, **params):
    options = {"hidden_layer_sizes": (4, 3), "activation": "tanh", "max_iter": 5, "alpha": 0.7}
    return classic(loss, **{**options, "random_state": 0, **params}).fit(X, target)


def gradient_of(model, target=Y, weight=s):
    """df/dtheta of the very objective that lbfgs minimises, as a function of theta."""
    table, _ = checked_table(copy.copy(model), X, target, weight, reset=False)
    params = model.get_params() | {"early_stopping": False}
    fitting = Fitting(params, table, previous=vars(model))
    theta = model.theta_.astype(np.float64)
    gradient = np.empty_like(theta)
    f = full_gradient(fitting.objective, fitting.data, theta, gradient)

    def at(x):
        theta[...] = x
        f()
        return gradient.copy()

    return at


def difference(f, x, v, h=1e-3):
    def slope(h):
        return (f(x + h * v) - f(x - h * v)) / (2 * h)

    return (4 * slope(h / 2) - slope(h)) / 3


def assert_near(a, b, tol=1e-6):
    assert np.abs(a - b).max() <= tol * np.abs(b).max()


# ----- against differences of the gradient ---------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("loss", SMOOTH_LOSSES)
def test_hessian_product_is_the_difference_of_gradients(loss, name, rng):
    model = fitted(loss, **OPTIONS[name])
    v = rng.standard_normal(model.theta_.size)
    theta = model.theta_.astype(np.float64)
    H_v = hessian_product(model, X, Y, v, s)
    assert H_v.dtype == np.float64 and H_v.shape == v.shape
    assert_near(H_v, difference(gradient_of(model), theta, v))


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_hessian_product_of_every_smooth_activation(loss, activation, rng):
    sizes = (3,) if activation == "exp" else (4, 3)  # exp of exp is beyond differences
    model = fitted(loss, activation=activation, hidden_layer_sizes=sizes, learning_rate_init=1e-4)
    v = rng.standard_normal(model.theta_.size)
    assert_near(hessian_product(model, X, Y, v, s), difference(gradient_of(model), model.theta_, v))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("loss", SMOOTH_LOSSES)
def test_gauss_newton_is_made_of_the_jacobian_by_differences(loss, name):
    """G = Jᵀ diag(d²f/da²) J, and of Z[L] where loss and output activation cancel."""
    model = fitted(loss, **{"activation": "relu"} | OPTIONS[name])
    G = gauss_newton_product(model, X, Y, np.eye(model.theta_.size), s)
    network = Network(model.layer_sizes_, _g(model), model.fit_intercept_)
    past = model.out_activation_ == "exp"
    inputs = (X - _or(model.X_shift_, 0)) / _or(model.X_scale_, 1)
    targets = (Y - _or(model.y_shift_, 0)) / _or(model.y_scale_, 1)

    def outputs(theta):
        p = Pass(network, theta, inputs)
        return (p.Z if past else p.A)[network.L].reshape(-1)

    theta = model.theta_.astype(np.float64)
    J = np.stack([difference(outputs, theta, e, 1e-5) for e in np.eye(theta.size)], axis=1)
    A, weight, made = (
        Pass(network, theta, inputs).A[network.L],
        s[:, None] / s.sum(),
        LOSSES[loss](),
    )
    second = made.second_derivative_Z if past else made.second_derivative
    expected = J.T @ (second(A, targets, weight).reshape(-1, 1) * J)
    penalty = np.zeros(theta.size)
    for W in network.views(penalty).W[1:]:
        W[...] = model.alpha / s.sum()
    assert_near(G, expected + np.diag(penalty))
    np.testing.assert_allclose(G, G.T, rtol=1e-9, atol=1e-12)
    if not (loss == "gamma" and not past):  # convex in what it is a function of
        assert np.linalg.eigvalsh(G).min() > -1e-12 * np.abs(G).max()


def _g(model):
    return [ACTIVATIONS[name]() for name in model.activations_]


def _or(units, default):
    return default if units is None else units


def test_of_a_linear_model_both_are_the_matrix_of_least_squares():
    model = fitted(hidden_layer_sizes=(), standardize=False, target=Y[:, 0])
    one = np.c_[np.ones(50), X]
    expected = 2 * one.T @ (s[:, None] * one) / s.sum() + np.diag([0, 1, 1, 1]) * 0.7 / s.sum()
    for product in PRODUCTS:
        np.testing.assert_allclose(product(model, X, Y[:, 0], np.eye(4), s), expected, rtol=1e-12)


def test_a_step_of_newton_solves_a_linear_model():
    """theta - H⁻¹ g, from any weights, is Ridge's solution."""
    model = fitted(hidden_layer_sizes=(), standardize=False, alpha=3.0, target=Y[:, 0], max_iter=1)
    H = hessian_product(model, X, Y[:, 0], np.eye(4))
    g = gradient_of(model, Y[:, 0], None)(model.theta_)
    theta, ridge = model.theta_ - np.linalg.solve(H, g), Ridge(alpha=1.5).fit(X, Y[:, 0])
    np.testing.assert_allclose(theta, [ridge.intercept_, *ridge.coef_], rtol=1e-6)


# ----- the rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "dG", "C"),
    [
        (right_multiplication, (4, 3), (2, 3)),
        (left_multiplication, (4, 3), (4, 2)),
        (elementwise, (4, 3), (4, 3)),
    ],
)
def test_a_rule_differentiated(rule, dG, C, rng):
    dG, R_dG, C, R_C = (rng.standard_normal(shape) for shape in (dG, dG, C, C))
    expected = (
        rule(dG + 1e-6 * R_dG, C + 1e-6 * R_C) - rule(dG - 1e-6 * R_dG, C - 1e-6 * R_C)
    ) / 2e-6
    np.testing.assert_allclose(differentiated(rule, (dG, C), (R_dG, R_C)), expected, rtol=1e-8)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_jacobian_and_tangent_are_those_of_differences(activation, fit_intercept, rng):
    g = ACTIVATIONS[activation]()
    network = Network([3, 5, 4, 2], [g, g, ACTIVATIONS["identity"]()], fit_intercept)
    theta, A = network.initialize(rng) / 2, rng.standard_normal((6, 3))
    p, v = Pass(network, theta, A), rng.standard_normal(theta.size)
    R_A = p.tangent(v)[1][network.L]
    expected = difference(lambda x: Pass(network, x, A).A[network.L], theta, v, 1e-5)
    np.testing.assert_allclose(R_A, expected, rtol=1e-6, atol=1e-8)
    for k in range(2):
        np.testing.assert_allclose(p.jacobian(k) @ v, R_A[:, k], rtol=1e-10, atol=1e-12)
        dZ = p.backward(p.unit(k))[1]  # the gradient of the sum over the rows
        np.testing.assert_allclose(p.gradient(dZ), p.jacobian(k).sum(axis=0), atol=1e-12)


def test_a_pass_is_the_network_s_own():
    model = fitted()
    network = Network(model.layer_sizes_, _g(model), True)
    A = (X - model.X_shift_) / model.X_scale_
    out = network.predict(model.theta_, lambda rows, B: np.copyto(B, A[rows]), np.empty((50, 2)))
    np.testing.assert_allclose(Pass(network, model.theta_, A).A[network.L], out, rtol=1e-12)


# ----- losses --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", SMOOTH_LOSSES)
def test_second_derivative_of_a_loss_is_that_of_differences(loss, rng):
    f, h = LOSSES[loss](), 1e-4
    A, T, w = 0.5 + rng.random((9, 2)), 0.5 + rng.random((9, 2)), rng.random((9, 1))
    for weight in (None, w):
        expected = (f.derivative(A + h, T, weight) - f.derivative(A - h, T, weight)) / (2 * h)
        np.testing.assert_allclose(f.second_derivative(A, T, weight), expected, rtol=1e-5)
        if f.canonical:
            slope = [f.derivative_Z(A * np.exp(e), T, weight) for e in (h, -h)]
            expected = (slope[0] - slope[1]) / (2 * h)
            np.testing.assert_allclose(f.second_derivative_Z(A, T, weight), expected, rtol=1e-6)


def test_losses_without_a_second_derivative_are_refused_by_name():
    assert set(LOSSES) - set(SMOOTH_LOSSES) == {"absolute_error", "huber", "quantile"}
    for loss in set(LOSSES) - set(SMOOTH_LOSSES):
        model = fitted(loss)
        for product in PRODUCTS:
            with pytest.raises(ValueError, match=f"{product.__name__}.*loss='{loss}' has none"):
                product(model, X, Y, model.theta_)
    with pytest.raises(NotImplementedError, match="Huber"):
        LOSSES["huber"]().second_derivative(Y, Y)


class Squared:
    def value(self, A, Y, weight=None):
        return SquaredError().value(A, Y, weight)

    def derivative(self, A, Y, weight=None, out=None):
        return SquaredError().derivative(A, Y, weight)


class SquaredTwice(Squared):
    def second_derivative(self, A, Y, weight=None):
        return SquaredError().second_derivative(A, Y, weight)


class Quartic(LogCosh):
    """Another loss than the one that it is derived from."""

    def elementwise(self, A, Y):
        return (A - Y) ** 4

    def elementwise_derivative(self, A, Y):
        return 4 * (A - Y) ** 3


class QuarticTwice(Quartic):
    def elementwise_second_derivative(self, A, Y):
        return 12 * (A - Y) ** 2


class MyPoisson(Poisson):
    """With formulas of its own for the way past the output, but not for the second derivative."""

    def derivative_Z(self, A, Y, weight=None, out=None):
        return super().derivative_Z(A, Y, weight, out)

    def elementwise_second_derivative(self, A, Y):
        return Y / A**2


def test_a_user_s_loss_needs_a_second_derivative_of_its_own(rng):
    for loss in (Squared(), Quartic()):
        model = fitted(loss, max_iter=1)
        for product in PRODUCTS:
            with pytest.raises(ValueError, match=f"{type(loss).__name__}.*has none"):
                product(model, X, Y, model.theta_)
    for loss in (SquaredTwice(), QuarticTwice(), MyPoisson()):
        model = fitted(loss, max_iter=1)
        v = rng.standard_normal(model.theta_.size)
        H_v = hessian_product(model, X, Y, v, s)
        assert_near(H_v, difference(gradient_of(model), model.theta_, v))
        assert gauss_newton_product(model, X, Y, v, s) @ v > 0
    assert not CustomLoss(Squared()).is_smooth and CustomLoss(SquaredTwice()).is_smooth
    assert MyPoisson.second_derivative_Z is Loss.second_derivative_Z


# ----- activations ---------------------------------------------------------------------


@pytest.mark.parametrize("activation", KINKED)
def test_kinked_activations_have_gauss_newton_products_alone(activation):
    model = fitted(activation=["tanh", activation])
    with pytest.raises(ValueError, match=f"hessian_product.*activation='{activation}' of layer 2"):
        hessian_product(model, X, Y, model.theta_)
    assert gauss_newton_product(model, X, Y, model.theta_) @ model.theta_ > 0


# ----- what is given -------------------------------------------------------------------


@pytest.mark.parametrize("product", PRODUCTS)
def test_columns_blocks_and_kinds_of_data(product, monkeypatch, rng):
    model = fitted()
    V = rng.standard_normal((model.theta_.size, 3))
    expected = np.stack([product(model, X, Y, v, s) for v in V.T], axis=1)
    np.testing.assert_allclose(product(model, X, Y, V, s), expected, rtol=1e-12)
    doubled = product(model, np.r_[X, X], np.r_[Y, Y], V, np.r_[s, s] / 2)
    np.testing.assert_allclose(doubled, expected, rtol=1e-9)
    kinds = [
        (sparse.csr_matrix(X), Y),
        (pd.DataFrame(X), pd.DataFrame(Y)),
        (X.tolist(), Y.tolist()),
    ]
    for kind in kinds:
        np.testing.assert_allclose(product(model, *kind, V, s), expected, rtol=1e-12)
    monkeypatch.setattr("skbackprop.second_order.ENTRIES", 40)
    np.testing.assert_allclose(product(model, X, Y, V.tolist(), s), expected, rtol=1e-9)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_model_is_left_alone_and_its_settings_are_those_of_the_fit(product):
    model = fitted(early_stopping=True, warm_start=True)
    before, v = copy.deepcopy(vars(model)), model.theta_ + 1
    expected = product(model, X, Y, v)
    assert str(vars(model)) == str(before)
    later = copy.deepcopy(model).set_params(loss="huber", hidden_layer_sizes=3, dropout=0.5)
    np.testing.assert_array_equal(product(later, X, Y, v), expected)
    without = product(copy.deepcopy(model).set_params(alpha=0), X, Y, v)
    penalty = np.zeros_like(v)
    network = Network(model.layer_sizes_, _g(model), True)
    for W, of_v in zip(network.views(penalty).W[1:], network.views(v).W[1:], strict=True):
        W[...] = 0.7 / 50 * of_v
    np.testing.assert_allclose(expected - without, penalty, atol=1e-12)


@pytest.mark.parametrize("product", PRODUCTS)
def test_what_cannot_be_used_is_refused_by_name(product):
    model, v = fitted(), np.ones(fitted().theta_.size)
    for wrong in (v[1:], np.ones((3, v.size)), np.ones((v.size, 2, 2)), 1.0, v * np.nan, ["a"]):
        with pytest.raises((ValueError, TypeError), match=r"\bv\b"):
            product(model, X, Y, wrong)
    with pytest.raises(ValueError, match="y has 1 outputs, and the model 2"):
        product(model, X, Y[:, 0], v)
    with pytest.raises(ValueError, match="features"):
        product(model, X[:, :2], Y, v)
    with pytest.raises(ValueError, match="sample_weight"):
        product(model, X, Y, v, -s)
    with pytest.raises(NotFittedError):
        product(classic(), X, Y, v)
    with pytest.raises(TypeError, match=r"estimator must be a BackpropRegressor.*pipeline\[-1\]"):
        product(Ridge().fit(X, Y), X, Y, v)


def test_nothing_of_it_is_imported_by_who_does_not_use_it():
    code = (
        "import sys, skbackprop; from skbackprop import BackpropRegressor\n"
        "names = ('second_order', 'products', 'derivatives', 'effects', 'lm')\n"
        "sys.exit(any(f'skbackprop.{name}' in sys.modules for name in names))"
    )
    where = skbackprop.__path__[0] + "/.."
    assert subprocess.run([sys.executable, "-c", code], cwd=where).returncode == 0
