"""What "auto" stands for."""

import inspect

import numpy as np
import pytest
from own import classic

from skbackprop import BackpropRegressor
from skbackprop.automatic import BINS, FOLDED, MANY_ROWS, is_auto, resolved, with_bins

DEFAULTS = {k: p.default for k, p in inspect.signature(BackpropRegressor).parameters.items()}


def choices(n, one_pass=False, known=None, **params):
    whole = resolved(DEFAULTS | params, n, one_pass, known)
    return {name: whole[name] for name, value in DEFAULTS.items() if is_auto(value)}


def test_by_rows():
    small = choices(500)
    assert small == {
        "batch_size": 64, "max_iter": 224, "early_stopping": True, "n_networks": 8,
        "n_bins": "auto", "learning_rate": "coslog4", "standardize": "robust",
        "parametrization": "neural_tangent",
    }  # fmt: skip
    rows = [500, 5_000, 20_000, 100_000, 10**6, 10**7]
    found = [choices(n) for n in rows]
    for name, up in (("batch_size", 1), ("max_iter", -1), ("n_networks", -1)):
        values = [up * c[name] for c in found]
        assert values == sorted(values) and values[0] < values[-1], name
    assert found[-1]["max_iter"] == 16 and found[-1]["n_networks"] == 1


def test_by_solver_and_schedule():
    assert choices(500, learning_rate="adaptive")["max_iter"] == 200
    for solver in ("lbfgs", "lm"):
        found = choices(500, solver=solver)
        assert not found["early_stopping"] and found["n_networks"] == 1
        assert found["max_iter"] == 200
    stream = choices(500, one_pass=True)
    assert stream["learning_rate"] == "constant"
    assert (stream["early_stopping"], stream["n_networks"], stream["n_bins"]) == (False, 1, 0)
    assert choices(FOLDED - 1)["early_stopping"] is False
    assert choices(MANY_ROWS + 1)["n_networks"] == 1
    assert choices(500, standardize=True)["n_bins"] == 0
    plain = choices(500, standardize=False)
    assert (plain["n_networks"], plain["early_stopping"], plain["n_bins"]) == (1, False, 0)
    assert plain["parametrization"] == "standard"
    assert choices(500, hidden_layer_sizes="")["standardize"] is True  # a linear model
    assert choices(500, known={"n_networks": 3, "n_bins": 7})["n_bins"] == 7
    assert choices(500, n_networks=2, max_iter=7)["max_iter"] == 7


@pytest.mark.parametrize("jagged", [False, True])
def test_bins_where_they_help(jagged):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 8, (600, 3))
    y = np.sin(X.sum(axis=1)) if not jagged else rng.normal(size=9)[X[:, 0].astype(int)]
    model = BackpropRegressor(random_state=0).fit(X, y)
    assert len(model.bin_columns_) == (3 * BINS if jagged else 0)
    assert model.score(X, y) > 0.9


def test_the_short_trainings_leave_no_trace(capsys):
    """Neither lines nor epochs; a generator gives one number, as for any fit."""
    rng = np.random.default_rng(0)
    X, random_state = rng.normal(size=(100, 2)), np.random.RandomState(3)
    model = BackpropRegressor(max_iter=2, verbose=True, random_state=random_state).fit(X, X[:, 0])
    assert len(capsys.readouterr().out.splitlines()) == model.n_iter_ == 2
    other = np.random.RandomState(3)
    seed = other.randint(2**31 - 1)
    assert random_state.randint(1000) == other.randint(1000)
    again = BackpropRegressor(max_iter=2, random_state=seed).fit(X, X[:, 0])
    assert np.array_equal(again.theta_, model.theta_)


def test_a_time_limit_holds_for_all_of_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 20))
    model = BackpropRegressor(max_time=1e-3, random_state=0)
    with pytest.warns(match="max_time"):
        model.fit(X, X[:, 0])
    assert model.n_iter_ == 1


@pytest.mark.parametrize("max_time", [None, 8.0])
def test_the_short_trainings_take_half_of_the_time_at_most(max_time):
    limits = []

    def judge(params, step):
        limits.append(params["max_time"])
        return 1.0

    params = with_bins(
        resolved(DEFAULTS | {"max_time": max_time, "random_state": 0}, 500), 500, judge
    )
    assert limits == ([None] * 2 if max_time is None else [2.0, 2.0])
    assert params["max_time"] == (max_time and pytest.approx(max_time, abs=1))


def test_few_rows_are_all_learnt_from():
    X = np.arange(20.0)[:, None]
    model = BackpropRegressor(random_state=0).fit(X, X[:, 0])
    assert model.validation_scores_ is None and model.n_networks_ == 8
    assert classic().fit(X, X[:, 0]).n_networks_ == 1
