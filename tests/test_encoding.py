"""The encoding of features: bounded, in bins, and its derivatives."""

import numpy as np
import pytest
from own import classic

from skbackprop import BackpropRegressor
from skbackprop.encoding import (
    BOUND,
    Encoding,
    bins_of,
    bound,
    bound_derivative,
    bound_second_derivative,
    levels_of,
)
from skbackprop.model import model_of
from skbackprop.scaling import quantiles, robust_standardization


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def encoding_of(Z, weight, n_bins):
    return Encoding(*bins_of(Z, weight, n_bins))


def encoded(E, Z):
    return E.value(Z, np.empty((len(Z), Z.shape[1] + E.n_added)))


def slow(E, z):
    """One row, as the formulas say it."""
    c = [x / (1 + (x / 3) ** 2) ** 0.5 for x in z]
    bins = zip(E.column, E.middle, E.half, strict=True)
    return [*c, *(min(1.0, max(-1.0, (z[j] - m) / h)) for j, m, h in bins)]


def test_values_are_those_of_the_formulas(rng):
    Z = rng.normal(size=(300, 4))
    E = encoding_of(Z, None, 8)
    assert E.n_bins == 32 and (E.half > 0).all() and (np.diff(E.column) >= 0).all()
    np.testing.assert_allclose(encoded(E, Z), [slow(E, z) for z in Z], rtol=1e-14, atol=1e-14)


def test_the_bound():
    z = np.array([0.0, 1e-9, 3.0, -1e200, np.finfo(float).max])
    assert np.abs(bound(z)).max() <= BOUND
    np.testing.assert_allclose(bound(z)[:3], [0, 1e-9, 3 / 2**0.5])
    h, z = 1e-5, np.linspace(-9, 9, 37)
    np.testing.assert_allclose(
        (bound(z + h) - bound(z - h)) / (2 * h), bound_derivative(z), atol=1e-9
    )
    slope = (bound_derivative(z + h) - bound_derivative(z - h)) / (2 * h)
    np.testing.assert_allclose(slope, bound_second_derivative(z), atol=1e-9)


def test_bins_hold_equal_weight_and_reach_from_end_to_end(rng):
    z = rng.exponential(size=(1600, 1))
    E = encoding_of(z, None, 16)
    low, high = E.middle - E.half, E.middle + E.half
    np.testing.assert_allclose(low[1:], high[:-1])
    np.testing.assert_allclose([low[0], high[-1]], [z.min(), z.max()])
    counts, _ = np.histogram(z, [*low, high[-1]])
    assert abs(counts - 100).max() <= 2


@pytest.mark.parametrize(("values", "n_bins"), [(1, 0), (2, 0), (3, 2), (9, 8), (10, 4)])
def test_a_few_values_are_the_knots(values, n_bins):
    """Each of up to twice as many as there are bins, and one; else quantiles."""
    E = encoding_of(np.arange(values * 3)[:, None] % values * 1.0, None, 4)
    assert E.n_bins == n_bins


def test_a_row_of_weight_2_is_two_rows(rng):
    Z, w = rng.normal(size=(50, 2)), rng.integers(1, 4, 50)
    one, two = encoding_of(Z, w / w.max(), 4), encoding_of(np.repeat(Z, w, axis=0), None, 4)
    for name in ("column", "middle", "half"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


def test_pull_back_and_jacobian_are_the_derivative(rng):
    Z = rng.normal(size=(40, 3))
    E = encoding_of(Z, None, 5)
    Z, dA, h = Z + 1e-3, rng.normal(size=(40, 3 + E.n_bins)), 1e-6  # off the knots
    J = np.stack([encoded(E, Z + h * e) - encoded(E, Z - h * e) for e in np.eye(3)], axis=2) / (
        2 * h
    )
    np.testing.assert_allclose(E.jacobian(Z), J, atol=1e-7)
    np.testing.assert_allclose(E.pull_back(dA, Z), np.einsum("mi,mij->mj", dA, J), atol=1e-6)


# ----- categories and missing cells ---------------------------------------------------------


def with_levels(rng, bounded):
    """Features: a number, three levels of five, two levels, a number that may be missing, one."""
    Z = rng.normal(size=(60, 5))
    Z[:, 1], Z[:, 2], Z[:, 4] = rng.choice([0, 2, 4], 60), rng.choice([1, 3], 60), 0
    Z[::7, 3] = Z[::5, 1] = np.nan
    of_levels = np.array([1, 2, 4])
    levels = levels_of({1: [0, 2, 4], 2: [1, 3], 4: [0]})
    bins = bins_of(Z, None, 4 if bounded else 0, of_levels)
    return Z, Encoding(*bins, *levels, np.array([1, 3]), of_levels, bounded)


@pytest.mark.parametrize("bounded", [False, True])
def test_levels_and_missing_cells(rng, bounded):
    Z, E = with_levels(rng, bounded)
    assert set(E.column) == ({0, 3} if bounded else set())
    A, c = encoded(E, Z), bound if bounded else np.asarray
    assert A.shape == (60, 2 + E.n_bins + 4 + 2) and np.isfinite(A).all()
    expected = [c(Z[:, 0]), c(np.nan_to_num(Z[:, 3]))]
    np.testing.assert_array_equal(A[:, :2], np.column_stack(expected))
    rest = [Z[:, 1] == 0, Z[:, 1] == 2, Z[:, 1] == 4, Z[:, 2] - 2, *np.isnan(Z[:, [1, 3]]).T]
    np.testing.assert_array_equal(A[:, 2 + E.n_bins :], np.column_stack(rest))
    unseen = Z.copy()
    unseen[:, 1:3] = -1, 2
    assert not encoded(E, unseen)[:, 2 + E.n_bins : -1].any()


@pytest.mark.parametrize("bounded", [False, True])
def test_pull_back_and_jacobian_of_the_numbers(rng, bounded):
    Z, E = with_levels(rng, bounded)
    off_the_knots = np.array([1e-3, 0, 0, 1e-3, 0])
    Z, numbers, h = np.nan_to_num(Z) + off_the_knots, [0, 3], 1e-6
    steps = [h * e for e in np.eye(5)[numbers]]
    J = np.stack([encoded(E, Z + e) - encoded(E, Z - e) for e in steps], axis=2) / (2 * h)
    found, dA = E.jacobian(Z), rng.normal(size=(60, 5 + E.n_added))
    np.testing.assert_allclose(found[:, :, numbers], J, atol=1e-7)
    assert not found[:, :, [1, 2, 4]].any()
    np.testing.assert_allclose(E.pull_back(dA, Z), np.einsum("mi,mij->mj", dA, found), atol=1e-12)
    up, down = (E.jacobian(Z + s * 1e-5) for s in (1, -1))
    bend = np.einsum("mi,mij->mj", dA[:, :2], (up - down)[:, :2]) / 2e-5
    np.testing.assert_allclose(E.bend(dA, Z)[:, numbers], bend[:, numbers], atol=1e-8)


# ----- quantiles and robust units ------------------------------------------------------


def test_quantiles_are_the_inverse_of_the_distribution_function(rng):
    Z = rng.integers(0, 20, (101, 3)).astype(float)
    for q in (0, 0.1, 0.25, 0.5, 0.75, 1):
        expected = np.quantile(Z, q, axis=0, method="inverted_cdf")
        assert np.array_equal(quantiles(Z, q), expected)
        assert np.array_equal(quantiles(Z[:, 0], [q]), expected[:1])


def test_median_and_interquartile_range(rng):
    X = np.column_stack([rng.normal(size=1001), np.full(1001, 7.0), rng.random(1001) < 0.1])
    shift, scale = robust_standardization(X)
    q = np.quantile(X[:, 0], [0.25, 0.5, 0.75], method="inverted_cdf")
    np.testing.assert_allclose(shift, [q[1], 7, 0])
    np.testing.assert_allclose(scale, [q[2] - q[0], 7, 0.5])  # constant; mostly one value


@pytest.mark.parametrize("power", [-900, -40, 40, 900])
def test_powers_of_two_are_no_difference(rng, power):
    X = rng.normal(size=(60, 2))
    (shift, scale), (shift_2, scale_2) = map(robust_standardization, (X, np.ldexp(X, power)))
    assert np.array_equal(np.ldexp(shift, power), shift_2)
    assert np.array_equal(np.ldexp(scale, power), scale_2)


# ----- of a regressor ------------------------------------------------------------------


def test_a_cell_of_a_million_changes_little(rng):
    X = rng.normal(size=(400, 3))
    y, test = X @ [3.0, 1.0, 0.5], rng.normal(size=(400, 3))
    broken = X.copy()
    broken[7, 0] = 1e6
    scores = [
        classic(standardize="robust", max_iter=300, learning_rate_init=0.01, random_state=0)
        .fit(A, y)
        .score(test, test @ [3.0, 1.0, 0.5])
        for A in (X, broken)
    ]
    assert scores[1] > 0.95 * scores[0] > 0.9


def test_steps_of_a_feature_are_learnt_with_bins(rng):
    """A sawtooth of 24 hours, which a plain network of this size and time is far from."""
    hour = rng.integers(0, 24, (2000, 1)).astype(float)
    level = rng.normal(size=24)
    y = level[hour[:, 0].astype(int)]
    models = [BackpropRegressor(n_bins=bins, max_iter=40, random_state=0) for bins in (0, 16)]
    plain, in_bins = (model.fit(hour, y).score(hour, y) for model in models)
    assert in_bins > 0.999 > plain


def test_what_predicts_is_the_encoding(rng):
    X = rng.normal([5, -3], [10, 0.1], (200, 2))
    model = classic(hidden_layer_sizes=(4,), standardize="robust", n_bins=3, max_iter=3).fit(
        X, X[:, 0]
    )
    m = model_of(vars(model))
    Z = (X - model.X_shift_) / model.X_scale_
    assert m.input_names("ab") == ["a", "b", "a 1", "a 2", "a 3", "b 1", "b 2", "b 3"]
    assert m.layer_sizes == [8, 4, 1] and m.n_features == model.n_features_in_ == 2
    W, b, _ = m.network().views(m.theta)
    A = np.maximum(0, encoded(m.encoding, Z) @ W[1] + b[1]) @ W[2] + b[2]
    y = model.y_shift_ + model.y_scale_ * A
    np.testing.assert_allclose(model.predict(X), y[:, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="MLPRegressor sees raw X"):
        model.to_mlp_regressor()


def test_bins_need_robust_units(rng):
    with pytest.raises(ValueError, match="n_bins=4 needs standardize='robust'"):
        classic(n_bins=4).fit(rng.normal(size=(20, 2)), np.arange(20.0))
