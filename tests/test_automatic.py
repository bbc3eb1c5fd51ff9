"""What "auto" stands for."""

import inspect

import numpy as np
import pytest
from own import classic
from scipy import sparse

from skbackprop import BackpropRegressor
from skbackprop.automatic import BINS, FOLDED, MANY_ROWS, PILOT_ROWS, is_auto, resolved
from skbackprop.fitting import Fitting

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


def test_the_short_trainings_take_a_small_part_of_the_time(monkeypatch):
    limits, run = [], Fitting.run

    def noting(fitting, *args):
        limits.append(fitting.params["max_time"])
        return run(fitting, *args)

    monkeypatch.setattr(Fitting, "run", noting)
    X = np.random.default_rng(0).normal(size=(60, 2))
    BackpropRegressor(max_time=1000, max_iter=2, random_state=0).fit(X, X[:, 0])
    assert limits[:2] == [100, 100]
    assert 900 < limits[2] < 1000


@pytest.mark.parametrize("fraction", [0.01, 0.999])
def test_a_share_for_validation_that_is_not_kept_does_not_matter(fraction):
    """Not in the short trainings either, which keep one of their own."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    options = {"early_stopping": False, "n_networks": 1, "max_iter": 2, "random_state": 0}
    plain = BackpropRegressor(**options).fit(X, X[:, 0])
    other = BackpropRegressor(**options, validation_fraction=fraction).fit(X, X[:, 0])
    assert np.array_equal(plain.theta_, other.theta_)


@pytest.mark.parametrize("random_state", [None, 3, np.random.RandomState(3)])
def test_the_short_trainings_differ_in_the_bins_alone(random_state, monkeypatch):
    """Of the same first weights, folds and order of rows; of binary features nothing differs."""
    best, run = [], Fitting.run

    def noting(fitting, *args):
        run(fitting, *args)
        best.append(fitting.history.best)

    monkeypatch.setattr(Fitting, "run", noting)
    rng = np.random.default_rng(0)
    X = 1.0 * (rng.normal(size=(60, 2)) > 0)
    y = X[:, 0] + 0.1 * rng.normal(size=60)
    BackpropRegressor(max_iter=2, random_state=random_state).fit(X, y)
    assert len(best) == 3 and best[0] == best[1]


@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}])
def test_no_short_training_where_there_are_no_bins(options, monkeypatch):
    """Of units that are not robust, as of a sparse X and without biases."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    monkeypatch.setattr("skbackprop.automatic.with_bins", None)
    model = BackpropRegressor(max_iter=2, **options)
    model.fit(X if options else sparse.csr_array(X), X[:, 0])
    assert model.bin_columns_ is None


def test_rows_of_a_short_training_are_drawn():
    """Every second one may be of another kind than the rest."""
    X, seen, init = np.arange(2 * PILOT_ROWS)[:, None] % 2.0, [], Fitting.__init__

    def noting(fitting, params, table, **options):
        seen.append(options["rows"])
        init(fitting, params, table, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fitting, "__init__", noting)
        options = {"max_iter": 1, "n_networks": 1, "hidden_layer_sizes": ()}
        BackpropRegressor(**options, standardize="robust", random_state=0).fit(X, X[:, 0])
    _, rows, same = seen
    assert np.array_equal(rows, same) and len(np.unique(rows)) == PILOT_ROWS
    assert abs(X[rows].mean() - 0.5) < 0.02  # four standard deviations


def test_of_rare_targets_those_of_a_short_training_may_be_0():
    y = np.zeros(2 * PILOT_ROWS)
    y[1] = 1
    options = {"max_iter": 1, "n_networks": 1, "hidden_layer_sizes": (4,)}
    for seed in range(5):  # of one in 32 it is always drawn
        model = BackpropRegressor(loss="poisson", random_state=seed, **options)
        assert np.isfinite(model.fit(np.arange(len(y))[:, None], y).predict([[0.0]])).all()


def test_few_rows_are_all_learnt_from():
    X = np.arange(20.0)[:, None]
    model = BackpropRegressor(random_state=0).fit(X, X[:, 0])
    assert model.validation_scores_ is None and model.n_networks_ == 8
    assert classic().fit(X, X[:, 0]).n_networks_ == 1
