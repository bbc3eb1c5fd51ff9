"""Intervals that cover what they say."""

import numpy as np
import pytest
from own import classic

from skbackprop import BackpropRegressor
from skbackprop.conformal import LEVELS, error_quantiles, errors_of_the_mean, interval


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_the_share_that_is_covered(rng, n, coverage):
    """Of skewed errors: at least the coverage, and no more than two levels and two rows above."""
    shares = []
    for _ in range(200):
        low, high = interval(error_quantiles(rng.exponential(size=(n, 1)), None), n, coverage)
        shares.append(np.exp(-low[0]) - np.exp(-high[0]))
    error = np.std(shares) / 200**0.5
    assert coverage - 4 * error < np.mean(shares) < coverage + 2 / LEVELS + 2 / n + 4 * error


def test_signs_changed_the_ends_are_each_other(rng):
    errors = rng.exponential(size=(77, 2))
    table = error_quantiles(errors, None)
    assert np.array_equal(error_quantiles(-errors, None), -table[::-1])
    assert table.shape == (LEVELS + 1, 2) and (np.diff(table, axis=0) >= 0).all()
    assert np.array_equal(table[[0, -1]], [errors.min(axis=0), errors.max(axis=0)])


def test_a_row_of_weight_2_is_two_rows(rng):
    errors, w = rng.normal(size=(60, 1)), rng.integers(1, 4, 60)
    twice = error_quantiles(np.repeat(errors, w, axis=0), None)
    assert np.array_equal(error_quantiles(errors, w / 3), twice)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K", [2, 5, 50])
def test_errors_of_single_networks_become_those_of_the_mean(rng, K, weighted):
    """Of errors e + d with deviations 3 and 1 the mean has one of √(9 + 1/K); e has the mean 2."""
    weight = rng.integers(1, 4, 200_000) if weighted else None
    shared = rng.normal(2, 3, (200_000, 1)) * [1, 10]
    own = rng.normal(0, 1, (200_000, 2)) * [1, 10]
    narrowed = errors_of_the_mean(shared + own, np.array([1.0, 100.0]), K, weight)
    mean = np.average(narrowed, axis=0, weights=weight)
    deviation = np.average((narrowed - mean) ** 2, axis=0, weights=weight) ** 0.5
    np.testing.assert_allclose(mean, [2, 20], rtol=0.01)  # of 200,000 rows the error is 0.004
    np.testing.assert_allclose(deviation, [(9 + 1 / K) ** 0.5, 10 * (9 + 1 / K) ** 0.5], rtol=0.01)


def test_errors_that_are_nothing_but_the_networks_difference(rng):
    errors = rng.normal(size=(50, 1))
    narrowed = errors_of_the_mean(errors, np.array([1e9]), 4, None)
    np.testing.assert_array_equal(narrowed, np.full((50, 1), errors.mean(axis=0)))
    assert not errors_of_the_mean(np.zeros((5, 1)), np.zeros(1), 4, None).any()


def test_too_much_is_refused():
    table = error_quantiles(np.arange(30.0)[:, None], None)
    with pytest.raises(ValueError, match=r"coverage=0.95 needs the errors on 40 validation rows"):
        interval(table, 30, 0.95)
    with pytest.raises(ValueError, match=r"coverage must be at most 0\.99; got 0.999"):
        interval(table, 10**6, 0.999)
    with pytest.raises(ValueError, match=r"coverage must be at most 0\.99; got 0.999"):
        interval(table, 30, 0.999)  # and not that more rows were needed


@pytest.mark.parametrize("outputs", [1, 2])
def test_of_a_regressor(rng, outputs):
    X = rng.normal(size=(1500, 3))
    Y = X[:, :outputs] ** 2 + rng.normal(size=(1500, outputs)) * [0.5, 50][:outputs]
    Y = Y[:, 0] if outputs == 1 else Y
    model = BackpropRegressor(max_iter=16, random_state=0).fit(X[:1000], Y[:1000])
    ends = model.predict_interval(X[1000:], coverage=0.9)
    assert ends.shape == (*Y[1000:].shape, 2)
    inside = (ends[..., 0] <= Y[1000:]) & (Y[1000:] <= ends[..., 1])
    # 500 rows: a standard deviation of 0.013.
    assert (abs(inside.mean(axis=0) - 0.9) < 0.05).all()
    assert model.n_validation_ == 1000
    narrow = model.predict_interval(X[:1], coverage=0.5)
    wide = model.predict_interval(X[:1], coverage=0.99)
    assert (wide[..., 0] < narrow[..., 0]).all() and (narrow[..., 1] < wide[..., 1]).all()


def test_rows_of_ones_own_and_no_rows(rng):
    X = rng.normal(size=(300, 2))
    y = X[:, 0] + rng.normal(size=300)
    model = classic(hidden_layer_sizes=(4,), max_iter=5).fit(X[:200], y[:200])
    with pytest.raises(ValueError, match=r"early_stopping=True or X_val.*'auto'.*50 rows"):
        model.predict_interval(X)
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    errors = y[200:] - model.predict(X[200:])
    np.testing.assert_allclose(model.error_quantiles_[[0, -1], 0], [errors.min(), errors.max()])
    with pytest.raises((ValueError, TypeError), match="coverage must be"):
        model.predict_interval(X, coverage=90)
    with pytest.raises((ValueError, TypeError), match="coverage must be"):
        model.predict_interval(X, coverage="wide")
