"""Units do not matter, and predictions of finite inputs are finite: properties of any data."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own import classic
from scipy import sparse

from skbackprop.activations import ACTIVATIONS
from skbackprop.bounded import predict_bounded
from skbackprop.losses import LOSSES
from skbackprop.model import Model
from skbackprop.network import Network
from skbackprop.scaling import Rows, standardization, target_standardization

SOLVERS = ("adam", "sgd", "lbfgs", "lm")
DTYPES = (np.float32, np.float64)
# The same examples in every run, so that a failure is one for everybody.
few = settings(derandomize=True, database=None, deadline=None, max_examples=25)
many = settings(few, max_examples=150)
seeds = st.integers(0, 2**32 - 1)


def data(seed=0, n=60):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    return X, X @ [1, 2, -1] + 0.1 * rng.standard_normal(n)


def short(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    return classic(**(defaults | params))


def r_squared(y, p):
    """In units in which no square overflows or vanishes."""
    unit = np.abs(y).max()
    y, p = y / unit, p / unit
    return 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()


# ----- predictions of finite inputs are finite ----------------------------------------------


def corners(dtype, columns):
    """Every combination of the largest, the smallest and ordinary numbers."""
    largest, smallest = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    numbers = [largest, -largest, 1, 0, smallest]
    return np.array(list(product(numbers, repeat=columns)), dtype)


def with_activations(hidden, output, dtype, **params):
    """A fitted network whose activations are then exchanged, and its weights drawn anew."""
    X, y = data(n=20)
    Y = np.column_stack([y, -y])
    model = short(activation="identity", max_iter=1, **params).fit(X.astype(dtype), Y)
    model.activations_ = [hidden] * (len(model.activations_) - 1) + [output]
    rng = np.random.default_rng(1)
    model.theta_ = rng.standard_normal(model.theta_.shape).astype(dtype)
    return model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [1, 10])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_predictions_of_finite_rows_are_finite(hidden, standardize, depth, dtype):
    rows = corners(dtype, 3)
    for output in ACTIVATIONS:
        model = with_activations(
            hidden, output, dtype, standardize=standardize, hidden_layer_sizes=(5,) * depth
        )
        for X in (rows, rows[:1], sparse.csr_matrix(rows), rows.tolist()):
            with np.errstate(all="raise"):
                y = model.predict(X)
            assert y.shape == (np.shape(X)[0], 2)
            assert np.isfinite(y).all(), output


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_beside_one_that_overflows_keep_their_bits(dtype):
    model = with_activations("relu", "identity", dtype)
    X = data()[0].astype(dtype)
    expected = model.predict(X)
    X_bad = X.copy()
    X_bad[[3, 40]] = np.finfo(dtype).max * np.array([1, -1, 1], dtype)
    kept = np.delete(np.arange(len(X)), [3, 40])
    np.testing.assert_array_equal(model.predict(X_bad)[kept], expected[kept])


@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_bounded_way_is_the_usual_one_where_nothing_overflows(hidden, fit_intercept):
    network = Network([3, 4, 5, 2], [ACTIVATIONS[hidden]()] * 3, fit_intercept)
    X, rng = data()[0], np.random.default_rng(2)
    theta = rng.normal(0, 0.2, network.n_parameters)
    take = Rows(X, np.float64).take
    expected = network.predict(theta, take, np.empty((len(X), 2)))
    np.testing.assert_allclose(predict_bounded(network, theta, X), expected, rtol=1e-12)


@pytest.mark.parametrize("largest_weight", [1.0, 1e10, 1e300, np.finfo(np.float64).max])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_the_bounded_way_bears_any_weights(hidden, fit_intercept, largest_weight):
    network = Network([3, 4, 5, 2], [ACTIVATIONS[hidden]()] * 3, fit_intercept)
    theta = np.random.default_rng(3).uniform(-1, 1, network.n_parameters) * largest_weight
    with np.errstate(all="ignore"):
        assert np.isfinite(predict_bounded(network, theta, corners(np.float64, 3))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_beyond_the_largest_number_a_prediction_is_that_number(dtype):
    """y = 8 x in a linear network; the sign is kept, and nothing falls again."""
    x = np.linspace(-1, 1, 21)[:, None].astype(dtype)
    model = short(hidden_layer_sizes=(), solver="lbfgs", alpha=0, max_iter=200).fit(x, 8 * x[:, 0])
    largest = np.finfo(dtype).max
    X = largest * np.array([-1, -0.5, -0.2, -0.01, 0.01, 0.2, 0.5, 1], dtype)
    y = model.predict(X[:, None])
    np.testing.assert_array_equal(y[[0, 1, 2, 5, 6, 7]] / largest, [-1, -1, -1, 1, 1, 1])
    np.testing.assert_allclose(y[[3, 4]] / largest, [-0.08, 0.08], rtol=1e-3)


def test_an_exponential_output_stops_at_the_largest_number():
    X, y = data()
    model = short(loss="poisson").fit(X, np.exp(y))
    y = model.predict(np.vstack([1e5 * X, X]))
    assert np.isfinite(y).all()
    assert y.max() == np.finfo(np.float64).max
    assert y.min() >= 0


class NoNumber:
    """NaN beyond 50, as exp(z) / (1 + exp(z)) has beyond 710."""

    def value(self, Z, out=None):
        return np.where(Z > 50, np.nan, Z)

    def derivative(self, Z, A, out=None):
        return np.ones_like(Z)

    def __repr__(self):
        return "NoNumber()"


@pytest.mark.parametrize("where", ["activation", "output_activation"])
def test_an_activation_that_gives_nan_is_named(where):
    X, y = data()
    model = short(**{where: NoNumber()}, max_iter=1).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    layer = 1 if where == "activation" else 2
    with pytest.raises(ValueError, match=rf"activation NoNumber\(\) of layer {layer} gives NaN"):
        model.predict(np.vstack([1e3 * X, -1e3 * X]))


def test_training_sees_what_overflows():
    """Held in range are the caller's predictions, not those by which training is judged."""
    network = Network([1, 3, 1], [ACTIVATIONS["relu"](), ACTIVATIONS["identity"]()])
    theta = np.full(network.n_parameters, 1e200)
    with np.errstate(all="ignore"):
        A = network.predict(theta, Rows(np.ones((4, 1)), np.float64).take, np.empty((4, 1)))
    assert not np.isfinite(A).any()


def test_weights_that_are_not_finite_are_not_made_to_look_so():
    model = Model(np.array([np.nan, 1.0]), [1, 1], ["identity"], True)
    assert np.isnan(model.predict(np.ones((2, 1)))).all()


def test_a_factor_that_overflows_where_the_prediction_does_not():
    """1e308 · 3 - 1.7e308."""
    units = {"y_shift": np.array([-1.7e308]), "y_scale": np.array([1e308])}
    model = Model(np.array([0.0, 1.0]), [1, 1], ["identity"], True, **units)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(model.predict(np.array([[3.0]])), 1.3e308, rtol=1e-14)


# ----- rows near the largest number ---------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("center", [0, 0.5, -0.9])
def test_rows_near_the_largest_number_are_standardised_exactly(dtype, center):
    """X - shift overflows; the standardised entries are those of X / 16."""
    largest = np.finfo(dtype).max
    X = data()[0] / 16
    X = ((np.clip(X, -0.1, 0.1) + center) * largest).astype(dtype)
    X[0], X[1] = largest, -largest
    X[:, 2] = np.arange(len(X))  # an ordinary column beside them
    shift, scale = standardization(X)
    factor = np.array([1 / 16, 1 / 16, 1])
    expected = ((X * factor - shift * factor) / (scale * factor)).astype(dtype)
    with np.errstate(all="raise"):
        out = Rows(X, dtype, shift, scale).take(slice(None), np.empty(X.shape, dtype))
    # Of float32 it is computed in float64 and then rounded, here and there.
    np.testing.assert_array_equal(out, expected)


def test_a_shift_that_float32_does_not_hold():
    """Of a network that was fitted on float64 and is asked about float32."""
    out = Rows(np.ones((2, 1), np.float32), np.float32, np.array([1e300]), np.array([1e299])).take(
        slice(None), np.empty((2, 1), np.float32)
    )
    np.testing.assert_allclose(out, -10, rtol=1e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "huber", "poisson"])
def test_targets_near_the_largest_number_have_the_units_of_smaller_ones(loss):
    Y = np.linspace(-0.2, 1, 50)[:, None] * np.finfo(np.float64).max
    Y[:3] = -np.finfo(np.float64).max
    if loss == "poisson":
        Y = np.abs(Y)
    output = "scale" if loss == "poisson" else "any"
    shift, scale = target_standardization(Y, None, LOSSES[loss](), output, True)
    expected = target_standardization(Y / 16, None, LOSSES[loss](), output, True)
    np.testing.assert_array_equal(scale / 16, expected[1])
    if loss != "poisson":
        np.testing.assert_array_equal(shift / 16, expected[0])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_fits_of_the_largest_numbers(solver, dtype):
    X, y = data()
    largest = np.finfo(dtype).max
    X = (X / np.abs(X).max(axis=0) * largest).astype(dtype)
    y = y / np.abs(y).max() * np.finfo(np.float64).max
    with np.errstate(all="raise"):
        model = short(solver=solver, max_iter=200, learning_rate_init=0.02).fit(X, y)
        p = model.predict(X)
    assert r_squared(y, p) > 0.9


@pytest.mark.parametrize("y_unit", [1e-300, 1e-42, 1e39, 1e300])
def test_float32_networks_predict_what_float32_does_not_hold(y_unit):
    X, y = data()
    model = short(solver="lbfgs", max_iter=100).fit(X.astype(np.float32), y * y_unit)
    assert model.theta_.dtype == np.float32
    p = model.predict(X.astype(np.float32))
    assert p.dtype == np.float64
    assert r_squared(y * y_unit, p) > 0.95
    ordinary = short(max_iter=1).fit(X.astype(np.float32), y * 1e9)
    assert ordinary.predict(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("X_unit", [1e-310, 1e-300, 1e300])
@pytest.mark.parametrize("y_unit", [1e-310, 1.0, 1e300])
def test_weights_in_the_callers_units_without_a_warning(X_unit, y_unit):
    X, y = data()
    model = short(alpha=0).fit(X * X_unit, y * y_unit)
    with np.errstate(all="raise"):
        W, b = model.coefs_, model.intercepts_
        assert [M.shape for M in W] == [(3, 8), (8, 1)]
        if all(np.isfinite(M).all() for M in (*W, *b)):
            exported = model.to_mlp_regressor()
        else:
            with pytest.raises(ValueError, match="change the units of X and y"):
                model.to_mlp_regressor()
            return
    p = model.predict(X * X_unit)
    if X_unit * y_unit > 1e-305:  # else the folded weights are denormal
        np.testing.assert_allclose(exported.predict(X * X_unit) / y_unit, p / y_unit, atol=1e-6)


# ----- units: powers of two, bit for bit ----------------------------------------------------

exponents = st.integers(-990, 990)  # of numbers from 1e-4 to 1e4: none becomes denormal


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=seeds, of_X=st.lists(exponents, min_size=3, max_size=3), of_y=exponents)
@few
def test_powers_of_two_change_nothing(solver, early_stopping, seed, of_X, of_y):
    X, y = data(seed)
    model, scaled = (short(solver=solver, early_stopping=early_stopping) for _ in range(2))
    model.fit(X, y)
    X_scaled = np.ldexp(X, of_X)
    scaled.fit(X_scaled, np.ldexp(y, of_y))
    np.testing.assert_array_equal(scaled.theta_, model.theta_)
    np.testing.assert_array_equal(scaled.predict(X_scaled), np.ldexp(model.predict(X), of_y))
    # What training decides by is in the network's units, whatever the loss in the caller's is.
    assert scaled.n_iter_ == model.n_iter_
    assert scaled.validation_scores_ == model.validation_scores_


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=seeds, of_X=exponents, of_y=exponents)
@few
def test_powers_of_two_change_no_loss(loss, seed, of_X, of_y):
    X, y = data(seed)
    y = np.exp(y / 2)  # inside every loss's domain
    model, scaled = short(loss=loss).fit(X, y), short(loss=loss)
    scaled.fit(np.ldexp(X, of_X), np.ldexp(y, of_y))
    expected = np.ldexp(model.predict(X), of_y)
    np.testing.assert_allclose(scaled.predict(np.ldexp(X, of_X)), expected, rtol=1e-6)


@given(seed=seeds, of_X=exponents, of_y=exponents)
@few
def test_powers_of_two_change_no_stream(seed, of_X, of_y):
    model, scaled = short(), short()
    for k in range(3):
        X, y = data(seed + k)
        model.partial_fit(X, y)
        scaled.partial_fit(np.ldexp(X, of_X), np.ldexp(y, of_y))
    np.testing.assert_array_equal(scaled.theta_, model.theta_)


# ----- units: any factor and shift ----------------------------------------------------------

units = st.floats(-300, 300).map(lambda e: 10.0**e)
shifts = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("solver", SOLVERS)
@given(
    seed=seeds,
    X_unit=st.lists(units, min_size=3, max_size=3),
    X_shift=st.lists(shifts, min_size=3, max_size=3),
    y_unit=units,
    y_shift=shifts,
)
@few
def test_units_do_not_matter(solver, seed, X_unit, X_shift, y_unit, y_shift):
    X, y = data(seed)
    params = {"solver": solver, "max_iter": 30, "learning_rate_init": 0.02}
    plain = r_squared(y, short(**params).fit(X, y).predict(X))
    X, y = (X + X_shift) * X_unit, (y + y_shift) * y_unit
    assert r_squared(y, short(**params).fit(X, y).predict(X)) == pytest.approx(plain, abs=0.05)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
@given(seed=seeds, y_unit=units, y_shift=shifts)
@few
def test_units_of_y_do_not_matter_to_a_loss(loss, seed, y_unit, y_shift):
    X, y = data(seed)
    expected = short(loss=loss, max_iter=3).fit(X, y).predict(X)
    moved = short(loss=loss, max_iter=3).fit(X, (y + y_shift) * y_unit).predict(X)
    # 1e6 is known to 1e-10; what a kink of the loss makes of that stays small in three epochs.
    np.testing.assert_allclose(moved / y_unit - y_shift, expected, atol=1e-3)


@given(seed=seeds)
@few
def test_float32_is_float64_to_a_thousandth(seed):
    X, y = data(seed)
    wide = short(max_iter=20).fit(X, y).predict(X)
    narrow = short(max_iter=20).fit(X.astype(np.float32), y).predict(X.astype(np.float32))
    np.testing.assert_allclose(narrow, wide, atol=1e-3 * y.std())


# ----- rows and columns ---------------------------------------------------------------------

FULL_BATCH = ({"solver": "lbfgs"}, *({"solver": s, "batch_size": 200} for s in ("adam", "sgd")))


def whole(**params):
    return short(shuffle=False, activation="tanh", **params)


def assert_same(model, other, X, y):
    # Sums in another order, 1e-16 a step.
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=0, atol=1e-9 * y.std())


@pytest.mark.parametrize("how", FULL_BATCH, ids=lambda how: how["solver"])
@given(seed=seeds)
@few
def test_the_order_of_rows_does_not_matter(how, seed):
    X, y = data(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    assert_same(whole(**how).fit(X, y), whole(**how).fit(X[order], y[order]), X, y)


@pytest.mark.parametrize("how", FULL_BATCH, ids=lambda how: how["solver"])
@given(seed=seeds, times=st.integers(2, 3))
@few
def test_repeated_rows_are_weights(how, seed, times):
    """And neither is anything new where alpha, which counts per Σ weights, grows likewise."""
    X, y = data(seed)
    model = whole(alpha=0.1, **how).fit(X, y)
    repeated = whole(alpha=0.1 * times, **how).fit(np.tile(X, (times, 1)), np.tile(y, times))
    weighted = whole(alpha=0.1 * times, **how).fit(X, y, sample_weight=np.full(len(y), times))
    assert_same(model, repeated, X, y)
    assert_same(model, weighted, X, y)


@pytest.mark.parametrize("how", FULL_BATCH, ids=lambda how: how["solver"])
@given(seed=seeds, unit=units)
@few
def test_only_the_ratios_of_weights_matter(how, seed, unit):
    X, y = data(seed)
    w = np.random.default_rng(seed).uniform(0.1, 3, len(y))
    model = whole(alpha=0.1, **how).fit(X, y, sample_weight=w)
    assert_same(model, whole(alpha=0.1 * unit, **how).fit(X, y, sample_weight=w * unit), X, y)


@pytest.mark.parametrize("how", FULL_BATCH, ids=lambda how: how["solver"])
@given(seed=seeds, huge=st.sampled_from([1e6, 1e300, np.finfo(np.float64).max]))
@few
def test_rows_of_weight_zero_are_no_rows(how, seed, huge):
    X, y = data(seed)
    with_row, with_target = np.insert(X, 20, -huge, axis=0), np.insert(y, 20, huge)
    w = np.insert(np.ones(len(y)), 20, 0.0)
    removed = whole(**how).fit(with_row, with_target, sample_weight=w)
    assert_same(whole(**how).fit(X, y), removed, X, y)


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_of_any_size_side_by_side(solver):
    """The rows of weight 1e-300 count for nothing, beside those of 1e300."""
    X, y = data()
    heavy = np.arange(len(y)) % 2 == 0
    w = np.where(heavy, 1e300, 1e-300)
    wrong = np.where(heavy, y, 10 - y)
    params = {"solver": solver, "max_iter": 100, "learning_rate_init": 0.02}
    p = short(**params).fit(X, wrong, sample_weight=w).predict(X)
    assert r_squared(y[heavy], p[heavy]) > 0.9


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_too_small_for_alpha_are_refused_by_name(solver):
    """alpha / Σ weights overflows; without alpha they are weights like any other."""
    X, y = data()
    w = np.full(len(y), 5e-324)
    with pytest.raises(ValueError, match=r"sample_weight is too small: alpha=0\.5"):
        short(solver=solver, alpha=0.5).fit(X, y, sample_weight=w)
    p = short(solver=solver, alpha=0).fit(X, y, sample_weight=w).predict(X)
    np.testing.assert_allclose(p, short(solver=solver, alpha=0).fit(X, y).predict(X), atol=1e-9)


@given(seed=seeds, order=st.permutations(range(3)))
@few
def test_the_order_of_columns_does_not_matter(seed, order):
    """Of a linear network at its minimum, which does not depend on the first weights."""
    X, y = data(seed)
    linear = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-12, "max_iter": 500}
    model, other = short(**linear).fit(X, y), short(**linear).fit(X[:, order], y)
    # scipy ends when f falls by less than 2e-9 of it; its root is 5e-5.
    np.testing.assert_allclose(other.predict(X[:, order]), model.predict(X), atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=seeds, c=st.one_of(units, units.map(np.negative), st.just(5e-324)))
@few
def test_a_constant_column_tells_nothing(solver, seed, c):
    X, y = data(seed)
    zero = short(solver=solver).fit(np.column_stack([X, 0 * y]), y)
    model = short(solver=solver).fit(np.column_stack([X, np.full(len(y), c)]), y)
    np.testing.assert_array_equal(model.theta_, zero.theta_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_column_given_twice_is_learned(solver):
    X, y = data()
    params = {"solver": solver, "max_iter": 100, "learning_rate_init": 0.02}
    X = X[:, [0, 0, 1, 1, 2]]
    assert r_squared(y, short(**params).fit(X, y).predict(X)) > 0.9


# ----- targets and tables that break formulas -----------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@given(c=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 3.0])))
@many
def test_a_constant_target_is_predicted_exactly(solver, early_stopping, c):
    X, _ = data()
    with np.errstate(all="raise"):
        model = short(solver=solver, early_stopping=early_stopping).fit(X, np.full(len(X), c))
        assert (model.predict(X) == c).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_denormal_numbers_are_learned(solver, dtype):
    X, y = data()
    tiny = 1000 * float(np.finfo(dtype).smallest_subnormal)
    X, y = (X * tiny).astype(dtype), y * 5e-320
    params = {"solver": solver, "max_iter": 100, "learning_rate_init": 0.02}
    with np.errstate(all="raise"):
        p = short(**params).fit(X, y).predict(X)
    assert r_squared(y * 2.0**1000, p * 2.0**1000) > 0.9


@st.composite
def tables(draw):
    """Data moved, scaled, rounded to a type, with cells far outside."""
    X, y = data(draw(seeds), n=30)
    dtype = draw(st.sampled_from(DTYPES))
    largest = np.finfo(dtype).max
    X = X * draw(st.lists(units, min_size=3, max_size=3)) + draw(st.just(0.0) | units)
    y = y * draw(units) + draw(st.just(0.0) | units)
    for _ in range(draw(st.integers(0, 3))):
        X[draw(st.integers(0, 29)), draw(st.integers(0, 2))] = draw(units)
    if draw(st.booleans()):
        y[draw(st.integers(0, 29))] = -draw(units)
    return np.clip(X, -largest, largest).astype(dtype), y


ORACLE = [
    *({"solver": s, "early_stopping": e} for s in SOLVERS for e in (False, True)),
    *({"loss": loss} for loss in LOSSES),
    {"standardize": False},
    {"standardize": False, "solver": "lbfgs"},
    {"fit_intercept": False},
    {"activation": "tanh", "hidden_layer_sizes": (6, 6, 6)},
    {"output_activation": "softplus"},
]


@pytest.mark.parametrize("params", ORACLE, ids=lambda p: "-".join(map(str, p.values())))
@given(table=tables())
@many
def test_any_table_ends_in_finite_predictions_or_a_value_error(params, table):
    X, y = table
    if params.get("loss") in ("poisson", "gamma"):
        y = np.maximum(np.abs(y), np.finfo(np.float64).smallest_subnormal)
    with np.errstate(all="raise"):
        try:
            model = short(**params).fit(X, y)
        except ValueError:
            return
        assert np.isfinite(model.theta_).all()
        assert np.isfinite(model.predict(X)).all()
        assert np.isfinite(model.predict(corners(X.dtype, 3))).all()


@pytest.mark.parametrize("shift", [0.0, 1e6, 1e8, -1.7e9, 1e15])
def test_float32_and_a_y_far_from_0(shift):
    """y has float64's digits, and predictions have them too where float32 would leave none."""
    X = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    y = 2.0 * X[:, 0].astype(np.float64) + shift
    model = classic(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, y)
    assert model.theta_.dtype == np.float32
    assert model.predict(X).dtype == (np.float32 if shift == 0 else np.float64)
    assert model.score(X, y) > (0.999 if abs(shift) < 1e15 else 0.95)
