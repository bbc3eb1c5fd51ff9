"""Derivatives of predictions by the inputs, against differences; average marginal effects."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from allocation import peak_memory
from own import classic
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from skbackprop.activations import ACTIVATIONS, ELU, CustomActivation, Tanh
from skbackprop.effects import MarginalEffects

SMOOTH = [name for name, g in ACTIVATIONS.items() if g().is_smooth]
KINKED = [name for name in ACTIVATIONS if name not in SMOOTH]
UNITS = np.array([1.0, 10.0, 1e-3])  # of the columns of X

fixed = np.random.default_rng(0)
X = fixed.normal([0, 2, -1], 1, (60, 3)) * UNITS
y = 1e3 * (np.sin(X[:, 0]) + X[:, 1] / 10 * X[:, 2] * 1e3)
Y = np.c_[y, X[:, 0] / 1e3]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def fitted(target=Y, **params):
    options = {"hidden_layer_sizes": (6, 5), "activation": "tanh", "max_iter": 20}
    return classic(**{**options, "random_state": 0, **params}).fit(X, target)


def differences(f, X, step=1e-3):
    """df/dx by central differences, Richardson's extrapolation included: features on axis 1."""
    parts = []
    for j, unit in enumerate(UNITS):
        e = np.zeros(3)
        e[j] = step * unit

        def slope(e, h):
            return (f(X + e) - f(X - e)) / (2 * h)

        fine, coarse = slope(e / 2, step * unit / 2), slope(e, step * unit)
        parts.append((4 * fine - coarse) / 3)
    return np.stack(parts, axis=1)


def assert_near(derivative, expected, tol=1e-6):
    """Each feature's (and output's) derivative by its own size."""
    assert derivative.shape == expected.shape
    size = np.abs(expected).max(axis=0)
    assert np.all(np.abs(derivative - expected).max(axis=0) <= tol * size + 1e-300)


OPTIONS = {
    "default": {},
    "one hidden layer": {"hidden_layer_sizes": (7,)},
    "linear": {"hidden_layer_sizes": ()},
    "not standardized": {"standardize": False},
    "no intercept": {"fit_intercept": False},
    "bare": {"fit_intercept": False, "standardize": False},
    "an output": {"output_activation": "softplus"},
    "a bounded output": {"output_activation": "logistic"},
}


# ----- first derivatives ---------------------------------------------------------------


@pytest.mark.parametrize("target", [y, y[:, None], Y], ids=["vector", "column", "two"])
@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_is_that_of_differences(name, target):
    model = fitted(target, **OPTIONS[name])
    gradient = model.predict_gradient(X)
    assert gradient.shape == (60, 3, *target.shape[1:])
    assert_near(gradient, differences(model.predict, X))


@pytest.mark.parametrize("activation", SMOOTH)
def test_gradient_and_hessian_of_every_smooth_activation(activation):
    model = fitted(activation=activation, max_iter=3, learning_rate_init=1e-4)
    assert_near(model.predict_gradient(X), differences(model.predict, X))
    hessian = model.predict_hessian(X)
    np.testing.assert_allclose(hessian, hessian.swapaxes(1, 2), rtol=1e-9, atol=1e-300)
    if activation == "identity":
        assert not hessian.any()
    else:
        assert_near(hessian, differences(model.predict_gradient, X))


@pytest.mark.parametrize("activation", KINKED)
def test_gradient_of_a_kinked_activation_is_that_of_the_row_s_piece(activation):
    model = fitted(activation=activation)
    gradient, expected = model.predict_gradient(X), differences(model.predict, X, 1e-7)
    # A difference whose two points lie on two pieces is of neither.
    near = np.abs(gradient - expected) <= 1e-5 * np.abs(expected).max(axis=0)
    assert near.all(axis=(1, 2)).mean() > 0.95
    if activation in ("relu", "leaky_relu"):  # whose pieces are linear: exact along them
        A, B = X[:1], X[:1] + 1e-9 * UNITS
        np.testing.assert_array_equal(model.predict_gradient(A), model.predict_gradient(B))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("target", [y, Y], ids=["vector", "two"])
def test_hessian_is_that_of_differences(name, target):
    model = fitted(target, **OPTIONS[name])
    hessian = model.predict_hessian(X)
    assert hessian.shape == (60, 3, 3, *target.shape[1:])
    assert_near(hessian, differences(model.predict_gradient, X))


def test_a_linear_model_has_its_coefficients_as_gradient():
    model = fitted(y, hidden_layer_sizes=(), solver="lm", alpha=0, tol=1e-12)
    expected = LinearRegression().fit(X, y).coef_
    np.testing.assert_allclose(model.predict_gradient(X), np.tile(expected, (60, 1)), rtol=1e-9)
    assert not model.predict_hessian(X).any()


@pytest.mark.parametrize("activation", KINKED)
def test_hessian_of_a_kinked_activation_is_refused_by_name(activation):
    with pytest.raises(ValueError, match=f"predict_hessian.*activation='{activation}' of layer 2"):
        fitted(activation=["tanh", activation]).predict_hessian(X)
    model = fitted(np.abs(Y), output_activation=activation)
    with pytest.raises(ValueError, match=f"output_activation='{activation}' of layer 3"):
        model.predict_hessian(X)


class Sine:
    def value(self, Z, out=None):
        return np.sin(Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.cos(Z, out=out)


class SmoothSine(Sine):
    def second_derivative(self, Z, A):
        return -A


class Steeper(Tanh):
    """Another function than the one that it is derived from."""

    def _value(self, z, a):
        np.tanh(2 * z, out=a)

    def _derivative(self, a, d):
        np.multiply(2, 1 - a * a, out=d)


def test_a_user_s_activation_needs_a_second_derivative_of_its_own():
    for g in (Sine(), Steeper()):
        model = fitted(activation=g)
        assert_near(model.predict_gradient(X), differences(model.predict, X))
        with pytest.raises(ValueError, match=f"{type(g).__name__}.*has none"):
            model.predict_hessian(X)
    model = fitted(activation=SmoothSine())
    assert_near(model.predict_hessian(X), differences(model.predict_gradient, X))


# ----- g'' -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivative_is_that_of_differences(name):
    g, z, h = ACTIVATIONS[name](), np.linspace(-20, 20, 801), 1e-3

    def slope(z):
        return g.derivative(z, g.value(z))

    fine, coarse = ((slope(z + d) - slope(z - d)) / (2 * d) for d in (h / 2, h))
    expected = (4 * fine - coarse) / 3
    error = np.abs(g.second_derivative(z, g.value(z)) - expected)
    assert np.max(error / (1 + np.abs(expected))) < 1e-10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivative_is_finite_and_of_its_type(name, dtype):
    largest = 80 if name == "exp" else np.finfo(dtype).max
    z = np.array([-largest, -1e3 if name != "exp" else -80, -1, 0, 1, 50, largest], dtype)
    g = ACTIVATIONS[name]()
    with np.errstate(all="ignore"):
        second = g.second_derivative(z, g.value(z))
    assert second.dtype == dtype and np.isfinite(second).all()


def test_a_kinked_activation_has_no_second_derivative():
    assert {"relu", "leaky_relu", "elu", "selu"} == set(KINKED)
    for g in (*(ACTIVATIONS[name]() for name in KINKED), ELU(alpha=0.5), CustomActivation(Sine())):
        assert not g.is_smooth
    with pytest.raises(NotImplementedError, match="ReLU"):
        ACTIVATIONS["relu"]().second_derivative(np.ones(1), np.ones(1))
    assert CustomActivation(SmoothSine()).is_smooth
    assert not CustomActivation(type("Own", (Tanh,), {"value": Sine.value})()).is_smooth


# ----- data, types, units --------------------------------------------------------------


def test_kinds_of_X_and_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = fitted(y)
    expected = model.predict_gradient(X)
    for kind in (sparse.csr_matrix(X), sparse.csc_array(X), X.tolist(), np.asfortranarray(X)):
        np.testing.assert_array_equal(model.predict_gradient(kind), expected)
    named = classic(**model.get_params()).fit(frame, y)
    np.testing.assert_allclose(named.predict_gradient(frame), expected, rtol=1e-9)
    for method in (named.predict_gradient, named.predict_hessian, named.marginal_effects):
        with pytest.raises(ValueError, match="feature names"):
            method(frame[["b", "a", "c"]])
        with pytest.raises(ValueError, match="feature names"):
            method(frame[["a", "b"]])
        with pytest.raises(ValueError, match="infinity"):
            method(frame * np.inf)


def test_before_fit():
    for method in ("predict_gradient", "predict_hessian", "marginal_effects"):
        with pytest.raises(NotFittedError):
            getattr(classic(), method)(X)


def test_float32():
    model = fitted(y, dtype="float32")
    gradient, hessian = model.predict_gradient(X), model.predict_hessian(X)
    assert gradient.dtype == hessian.dtype == np.float32
    wide = pickle.loads(pickle.dumps(model))
    wide.theta_ = wide.theta_.astype(np.float64)
    assert_near(gradient.astype(np.float64), wide.predict_gradient(X), 1e-4)
    assert_near(hessian.astype(np.float64), wide.predict_hessian(X), 1e-4)
    far = fitted(y * 1e200, dtype="float32").predict_gradient(X)
    assert far.dtype == np.float64
    np.testing.assert_allclose(far / 1e200, gradient.astype(np.float64), rtol=1e-3, atol=1)


@pytest.mark.parametrize("x_unit", [2.0**-900, 2.0**900])
@pytest.mark.parametrize("y_unit", [2.0**-900, 2.0**900])
def test_units_go_with_the_derivatives(x_unit, y_unit):
    model, other = fitted(y), classic()
    other.__dict__ = vars(model) | {
        "X_shift_": model.X_shift_ * x_unit,
        "X_scale_": model.X_scale_ * x_unit,
        "y_scale_": model.y_scale_ * y_unit,
    }
    with np.errstate(all="raise"):
        gradient, hessian = other.predict_gradient(X * x_unit), other.predict_hessian(X * x_unit)
    with np.errstate(all="ignore"):
        expected = model.predict_gradient(X) * (y_unit / x_unit)
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)
        table, scaled = model.marginal_effects(X), other.marginal_effects(X * x_unit)
        if np.isfinite(expected).all() and expected.all():
            for name in ("effect", "std"):
                np.testing.assert_allclose(scaled[name], table[name] * (y_unit / x_unit))
        # y/x² is beyond all numbers or below them if both units are large or both are small.
        if (x_unit > 1) == (y_unit > 1):
            expected = model.predict_hessian(X) * (y_unit / x_unit) / x_unit
            np.testing.assert_allclose(hessian, expected, rtol=1e-12)


def test_rows_that_overflow_are_nan_and_no_number():
    model = fitted(y, activation="relu", standardize=False)
    rows = np.vstack([X[:1], np.full((1, 3), np.finfo(np.float64).max), X[:1]])
    with np.errstate(all="raise"):
        gradient = model.predict_gradient(rows)
    np.testing.assert_array_equal(gradient[0], gradient[2])
    assert np.isfinite(gradient[0]).all() and np.isnan(gradient[1]).all()


def test_rows_are_taken_block_by_block():
    n = 200_000
    model = fitted(y)
    one, many = model.predict_gradient(X[:1]), np.repeat(X[:1], n, axis=0)
    whole = model.predict_gradient(many)
    np.testing.assert_allclose(whole, np.repeat(one, n, axis=0), rtol=1e-12)
    # What is beyond the result; all A[l], dA[l] and so on of a layer are 8 MB an each.
    assert peak_memory(lambda: model.predict_gradient(many)) < whole.nbytes + 2**24
    assert peak_memory(lambda: model.marginal_effects(many)) < 2**24 + 3 * 8 * n


def test_a_refit_in_another_thread_leaves_a_gradient_whole():
    model, tables = fitted(y), [(X, y), (np.c_[X, X], -y)]
    fits = [fitted(y), classic(**model.get_params()).fit(*tables[1])]
    expected = [m.predict_gradient(t[0]).tobytes() for m, t in zip(fits, tables, strict=True)]
    over = threading.Event()

    def refit():
        for k in range(40):
            model.fit(*tables[(k + 1) % 2])
        over.set()

    thread = threading.Thread(target=refit)
    thread.start()
    seen = set()
    while not over.is_set():
        for table in (X, tables[1][0]):
            try:
                seen.add(model.predict_gradient(table).tobytes())
            except ValueError as error:
                assert "features" in str(error)
    thread.join()
    assert seen <= set(expected) and seen


# ----- average marginal effects --------------------------------------------------------


def test_effects_are_means_of_the_gradient(rng):
    model, s = fitted(y), rng.uniform(0, 2, 60)
    s[:5] = 0
    gradient = model.predict_gradient(X)
    table = model.marginal_effects(X, sample_weight=s)
    effect = np.average(gradient, axis=0, weights=s)
    std = np.sqrt(np.average((gradient - effect) ** 2, axis=0, weights=s))
    elasticity = np.average(gradient * X / model.predict(X)[:, None], axis=0, weights=s)
    np.testing.assert_allclose(table["effect"], effect, rtol=1e-12)
    np.testing.assert_allclose(table["std"], std, rtol=1e-9)
    np.testing.assert_allclose(table["elasticity"], elasticity, rtol=1e-12)
    assert table["feature"].tolist() == ["x0", "x1", "x2"]


def test_weights_are_repeated_rows_in_any_blocks(monkeypatch, rng):
    model, s = fitted(Y), rng.integers(0, 4, 60)
    table = model.marginal_effects(X, s)
    monkeypatch.setattr("skbackprop.derivatives.ENTRIES", 50)
    for again in (
        model.marginal_effects(X, s),
        model.marginal_effects(np.repeat(X, s, axis=0)),
        model.marginal_effects(sparse.csr_matrix(X), s * 1e300),
    ):
        for name in ("effect", "std", "elasticity"):
            np.testing.assert_allclose(again[name], table[name], rtol=1e-10)


def test_effects_of_a_linear_model_are_its_coefficients():
    model = fitted(y, hidden_layer_sizes=(), solver="lm", alpha=0, tol=1e-12)
    table = model.marginal_effects(X)
    np.testing.assert_allclose(table["effect"], LinearRegression().fit(X, y).coef_, rtol=1e-9)
    assert (table["std"] <= 1e-12 * np.abs(table["effect"])).all()


def test_a_constant_elasticity_is_found(rng):
    """Of y = 7 x0² / x1, whose elasticities are 2 and -1 everywhere."""
    P = rng.uniform(1, 2, (300, 2))
    model = classic(
        hidden_layer_sizes=(8,), activation="tanh", solver="lm", alpha=1e-6, random_state=0
    ).fit(P, 7 * P[:, 0] ** 2 / P[:, 1])
    np.testing.assert_allclose(model.marginal_effects(P)["elasticity"], [2, -1], atol=0.02)


def test_there_is_no_elasticity_at_a_prediction_of_0():
    model = fitted(y, fit_intercept=False)
    rows = np.vstack([X, np.zeros((1, 3))])
    assert model.predict(rows)[-1] == 0
    table = model.marginal_effects(rows)
    assert np.isnan(table["elasticity"]).all() and np.isfinite(table["effect"]).all()
    left_out = model.marginal_effects(rows, [1] * 60 + [0])
    np.testing.assert_array_equal(left_out["elasticity"], model.marginal_effects(X)["elasticity"])


@pytest.mark.parametrize(
    ("x_unit", "y_unit", "effect"), [(2.0**660, 2.0**-660, 0.0), (2.0**-660, 2.0**660, np.inf)]
)
def test_an_elasticity_has_no_unit(x_unit, y_unit, effect):
    """Even where that of the effect is beyond all numbers, which an effect then is."""
    model = fitted(y)
    expected = model.marginal_effects(X)
    model.X_shift_, model.X_scale_ = model.X_shift_ * x_unit, model.X_scale_ * x_unit
    model.y_shift_, model.y_scale_ = model.y_shift_ * y_unit, model.y_scale_ * y_unit
    table = model.marginal_effects(X * x_unit)
    np.testing.assert_allclose(table["elasticity"], expected["elasticity"], rtol=1e-9)
    np.testing.assert_array_equal(table["effect"], np.sign(expected["effect"]) * effect)
    assert (table["std"] == effect).all()


def test_the_table_is_printed_pickled_and_a_frame():
    frame = pd.DataFrame(X, columns=["age", "a long name", "c"])
    model = classic(max_iter=5, random_state=0).fit(frame, y)
    table = model.marginal_effects(frame)
    lines = repr(table).splitlines()
    assert lines[0].split() == ["feature", "effect", "std", "elasticity"]
    assert [line[:11].strip() for line in lines[1:]] == list(frame.columns)
    assert len({len(line) for line in lines}) == 1
    again = pickle.loads(pickle.dumps(table))
    assert type(again) is MarginalEffects and repr(again) == repr(table)
    assert list(pd.DataFrame(table).columns) == lines[0].split()
    two = classic(max_iter=5, random_state=0).fit(frame, Y).marginal_effects(frame)
    assert two["output"].tolist() == [0, 0, 0, 1, 1, 1]
    assert two["feature"].tolist() == 2 * list(frame.columns)
    gradient = classic(max_iter=5, random_state=0).fit(frame, Y).predict_gradient(frame)
    np.testing.assert_allclose(two["effect"], gradient.mean(axis=0).T.ravel(), rtol=1e-12)


@pytest.mark.parametrize(("weight", "why"), [(np.zeros(60), "zero"), (np.ones(59), "shape")])
def test_bad_weights_are_refused(weight, why):
    with pytest.raises(ValueError, match=f"sample_weight.*{why}"):
        fitted(y).marginal_effects(X, weight)
