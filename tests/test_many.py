"""fit_many: many networks as one stack, each what it would be by itself."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from own import classic
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

import skbackprop
from skbackprop import BackpropRegressor, fit_many, many, stack
from skbackprop.activations import ACTIVATIONS, Tanh
from skbackprop.fitting import Fitting
from skbackprop.losses import LOSSES, Huber, Loss, SquaredError
from skbackprop.optimizers import OPTIMIZERS, SGD, Adam
from skbackprop.parameters import FULL_BATCH
from skbackprop.schedules import SCHEDULES


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 4))
    return X, X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * rng.standard_normal(120)


@pytest.fixture
def stacks(monkeypatch):
    """How many networks were trained together, in every call of `epochs`."""
    sizes, epochs = [], stack.epochs

    def spy(objective, data, *how):
        assert objective.network.stack == (() if len(data) == 1 else (len(data),))
        sizes.append(len(data))
        return epochs(objective, data, *how)

    monkeypatch.setattr(stack, "spare", lambda: 1)
    monkeypatch.setattr(stack, "epochs", spy)
    return sizes


def networks(K, **options):
    """K unfitted regressors, each with a seed of its own."""
    options = {"hidden_layer_sizes": (8,), "max_iter": 20, "batch_size": 32, "tol": 0} | options
    return [classic(random_state=k, **options) for k in range(K)]


def separately(models, X, y, sample_weight=None, rows=None, method="fit"):
    """Copies of the models, fitted one after the other."""
    copies = [pickle.loads(pickle.dumps(model)) for model in models]
    for k, model in enumerate(copies):
        r = slice(None) if rows is None else rows[k]
        w = () if sample_weight is None else (sample_weight[r],)
        getattr(model, method)(X[r], y[r], *w)
    return copies


CURVES = ("loss_curve_", "validation_loss_curve_", "validation_scores_")
UNITS = ("X_shift_", "X_scale_", "y_shift_", "y_scale_")
NUMBERS = ("loss_", "best_loss_", "best_validation_score_")


def assert_same(ours, theirs, tol=1e-6):
    """The promise is 1e-6, in units of the standardised network.

    Usually the bits are the same; but a BLAS may take the sums of a matrix of a stack in
    another order, and rows that are chosen by number are averaged in other blocks.
    """
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)
        assert a.theta_.dtype == b.theta_.dtype
        np.testing.assert_allclose(a.theta_, b.theta_, rtol=0, atol=tol)
        for name in CURVES + UNITS + NUMBERS:
            one, other = getattr(a, name), getattr(b, name)
            assert (one is None) == (other is None), name
            if one is not None:
                assert np.shape(one) == np.shape(other), name
                np.testing.assert_allclose(one, other, rtol=tol, atol=tol, err_msg=name)


def test_it_is_public():
    assert skbackprop.fit_many is fit_many is many.fit_many
    assert "fit_many" in skbackprop.__all__ and "fit_many" in dir(skbackprop)


# ----- every setting -------------------------------------------------------------------

SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "sgd, plain momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, no momentum": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.01},
    "rmsprop": {"solver": "rmsprop"},
    "adamw": {"solver": "adamw", "alpha": 100},
    "optimizer object": {"solver": Adam(beta_1=0.8)},
    "alpha": {"alpha": 50},
    "dropout": {"dropout": 0.3, "hidden_layer_sizes": (8, 5)},
    "clip_norm": {"clip_norm": 0.3},
    "no intercept": {"fit_intercept": False},
    "no intercept, dropout": {"fit_intercept": False, "dropout": 0.3},
    "no standardisation": {"standardize": False},
    "no shuffle": {"shuffle": False},
    "three layers": {"hidden_layer_sizes": (8, 5, 3), "activation": ["tanh", "relu", "gelu"]},
    "linear": {"hidden_layer_sizes": ()},
    "one batch": {"batch_size": 1000},
    "batches of a row": {"batch_size": 1, "max_iter": 3},
    "batches of different sizes": {"batch_size": 37},  # 120 = 4 * 30
    "batches of 17 and 18": {"batch_size": 18},  # 120 = 7 * 17 + 1
    "a function of progress": {"learning_rate": np.sqrt},
    "early stopping": {"early_stopping": True},
    "a scorer": {"early_stopping": True, "scoring": "neg_mean_absolute_error"},
    "logistic output": {"output_activation": "logistic"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stack_is_what_separate_fits_are(data, stacks, name):
    models = networks(4, **SETTINGS[name])
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [4]
    assert len({m.theta_.tobytes() for m in models}) == 4  # each has its own seed


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_every_activation(data, stacks, name, fit_intercept):
    hidden = {"activation": name, "hidden_layer_sizes": (6, 5), "fit_intercept": fit_intercept}
    models = networks(3, max_iter=5, **hidden)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [3]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_loss(data, stacks, loss, weighted, outputs):
    X, y = data
    Y = np.exp(np.outer(y, [0.5, 1.0, -0.3])[:, :outputs])
    w = np.random.default_rng(1).uniform(0.1, 3, 120) if weighted else None
    models = networks(3, loss=loss)
    expected = separately(models, X, Y, w)
    stacks.clear()
    assert_same(fit_many(models, X, Y, w), expected)
    assert stacks == [3]
    assert models[0].predict(X).shape == (120, outputs)


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"adaptive"}))
def test_every_solver_and_schedule(data, stacks, solver, schedule):
    models = networks(3, solver=solver, learning_rate=schedule, alpha=1)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [3]


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_float32(data, stacks, solver):
    X, y = data
    X = X.astype(np.float32)
    models = networks(4, solver=solver)
    expected = separately(models, X, y)
    stacks.clear()
    fit_many(models, X, y)
    assert stacks == [4] and models[0].theta_.dtype == np.float32
    # Roundings of 6e-8, over 80 steps, where the sums are taken in another order.
    assert_same(models, expected, tol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_type_that_is_not_that_of_the_table(data, stacks, dtype):
    X, y = data
    X = X.astype(np.float32 if dtype == "float64" else np.float64)
    models = networks(3, dtype=dtype)
    expected = separately(models, X, y)
    stacks.clear()
    fit_many(models, X, y)
    assert stacks == [3]
    assert_same(models, expected, tol=1e-6 if dtype == "float64" else 1e-4)  # as above


def test_eight_seeds(data, stacks):
    models = networks(8, max_iter=50)
    expected = separately(models, *data)
    stacks.clear()
    fitted = fit_many(models, *data)
    assert stacks == [8]
    assert_same(fitted, expected)
    assert all(a is b for a, b in zip(fitted, models, strict=True))
    for a, b in zip(fitted, expected, strict=True):
        np.testing.assert_allclose(a.predict(data[0]), b.predict(data[0]), atol=1e-6)  # promised


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_each_has_a_penalty_of_its_own(data, stacks, solver):
    models = networks(4, solver=solver)
    for model, alpha in zip(models, (0, 1e-4, 10, 1e4), strict=True):
        model.set_params(alpha=alpha)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [4]


def test_settings_that_no_step_depends_on_may_differ(data, stacks):
    models = networks(4)
    models[0].set_params(tol=1e-2, n_iter_no_change=2)
    models[1].set_params(early_stopping=False, verbose=0, validation_fraction=0.3)
    models[2].set_params(warm_start=True)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks[0] == 4


def test_tables_of_every_kind(data, stacks):
    X, y = data
    expected = separately(networks(3), X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    tables = [X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], frame]
    stacks.clear()
    for table in (*tables, sparse.csr_matrix(X), sparse.csr_array(X)):
        models = fit_many(networks(3), table, y)
        assert_same(models, expected)
        assert models[0].n_features_in_ == 4
        assert hasattr(models[0], "feature_names_in_") == (table is frame)
    assert stacks == [3] * 6


@pytest.mark.parametrize("kind", [tuple, iter])
def test_any_sequence_of_models(data, kind):
    models = networks(2)
    fitted = fit_many(kind(models), *data)
    assert isinstance(fitted, list) and fitted[1] is models[1]
    assert fit_many([], *data) == []


def test_fitted_models_are_independent_of_each_other(data):
    models = fit_many(networks(3, warm_start=True), *data)
    others = [pickle.dumps(m) for m in models[1:]]
    models[0].theta_ *= 2
    models[0].set_params(max_iter=2).fit(*data)
    assert [pickle.dumps(m) for m in models[1:]] == others
    arrays = [[m.theta_, *(v for v in m._training["optimizer"].values())] for m in models]
    for a, b in zip(*arrays[1:], strict=True):
        assert not np.shares_memory(a, b)


def test_one_random_state_for_all(data):
    """The models are prepared in their order, as separate fits would be."""
    ours, theirs = (
        [classic(max_iter=3, random_state=random_state) for _ in range(3)]
        for random_state in map(np.random.RandomState, (7, 7))
    )
    for model in theirs:
        model.fit(*data)
    assert_same(fit_many(ours, *data), theirs)


# ----- rows ----------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_folds(data, stacks, weighted, early_stopping):
    X, y = data
    w = np.random.default_rng(1).uniform(0.1, 3, 120) if weighted else None
    folds = [train for train, _ in KFold(5, shuffle=True, random_state=0).split(X)]
    models = networks(5, early_stopping=early_stopping)
    expected = separately(models, X, y, w, folds)
    stacks.clear()
    assert_same(fit_many(models, X, y, w, rows=folds), expected)
    assert stacks[0] == 5  # of 96 rows each
    for a, b in zip(models, expected, strict=True):
        np.testing.assert_allclose(a.predict(X), b.predict(X), atol=1e-6)  # promised


def test_folds_of_two_sizes_are_two_stacks(data, stacks):
    X, y = data
    X, y = X[:118], y[:118]  # 118 = 3 * 24 + 2 * 23
    folds = [train for train, _ in KFold(5).split(X)]
    models = networks(5)
    expected = separately(models, X, y, rows=folds)
    stacks.clear()
    assert_same(fit_many(models, X, y, rows=folds), expected)
    assert sorted(stacks) == [2, 3]


def test_masks(data, stacks):
    X, y = data
    masks = [np.arange(120) % 4 != k for k in range(4)]
    models = networks(4)
    expected = separately(models, X, y, rows=masks)
    stacks.clear()
    assert_same(fit_many(models, X, y, rows=[masks[0].tolist(), *masks[1:]]), expected)
    assert stacks == [4]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
def test_bootstrap_samples_with_rows_repeated(data, stacks, weighted, early_stopping, in_order):
    X, y = data
    rng = np.random.default_rng(1)
    w = rng.uniform(0.1, 3, 120) if weighted else None
    samples = [rng.integers(0, 120, 120) for _ in range(4)]
    if in_order:
        samples = [np.sort(sample) for sample in samples]
    assert all(len(set(sample)) < 100 for sample in samples)
    models = networks(4, early_stopping=early_stopping)
    expected = separately(models, X, y, w, samples)
    stacks.clear()
    assert_same(fit_many(models, X, y, w, rows=samples), expected)
    assert stacks[0] == 4


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.uint8])
def test_row_numbers_of_every_type(data, dtype):
    X, y = data
    rows = [np.arange(0, 100).astype(dtype), np.arange(20, 120).astype(dtype)]
    models = networks(2)
    expected = separately(models, X, y, rows=rows)
    assert_same(fit_many(models, X, y, rows=rows), expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_of_weight_zero_are_no_rows(data, stacks, early_stopping):
    """The same share of the rows of every model: one stack."""
    X, y = data
    X, y, w = X.copy(), y.copy(), np.random.default_rng(1).uniform(0.1, 3, 120)
    w[::3] = 0
    X[::3], y[::3] = 1e100, -1e100
    rows = [np.arange(90), np.arange(30, 120), np.arange(15, 105)]
    models = networks(3, early_stopping=early_stopping)
    expected = separately(models, X, y, w, rows)
    stacks.clear()
    assert_same(fit_many(models, X, y, w, rows=rows), expected)
    assert stacks[0] == 3
    everything = networks(3, early_stopping=early_stopping)
    assert_same(fit_many(everything, X, y, w), separately(everything, X, y, w))


def test_data_frames_and_sparse_tables_with_rows(data):
    X, y = data
    folds = [train for train, _ in KFold(3).split(X)]
    expected = separately(networks(3), X, y, rows=folds)
    for table in (pd.DataFrame(X), sparse.csr_matrix(X), X.tolist()):
        assert_same(fit_many(networks(3), table, y, rows=folds), expected)
    assert_same(fit_many(networks(3), X, pd.Series(y), rows=folds), expected)


# ----- each has its own end ------------------------------------------------------------


@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error"])
def test_networks_that_stop_at_different_epochs(data, stacks, scoring):
    models = networks(
        8, early_stopping=True, scoring=scoring, max_iter=300, n_iter_no_change=5, tol=1e-3,
        learning_rate_init=0.02,
    )  # fmt: skip
    expected = separately(models, *data)
    stacks.clear()
    # Up to 300 epochs: what another order of a sum changes has time to grow.
    assert_same(fit_many(models, *data), expected, tol=1e-5)
    ends = [m.n_iter_ for m in models]
    assert len(set(ends)) > 3 and max(ends) < 300
    # Those that have stopped leave the stack, and the last one is trained by itself.
    left = [sum(end > e for end in ends) for e in sorted({0, *ends} - {max(ends)})]
    assert stacks == left and left[0] == 8
    for model in models:
        assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_
        assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_networks_without_validation_stop_at_different_epochs(data, stacks, solver):
    models = networks(
        5, solver=solver, max_iter=200, n_iter_no_change=3, tol=2e-2, learning_rate_init=0.01,
        alpha=1, dropout=0.1,
    )  # fmt: skip
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert len({m.n_iter_ for m in models}) > 1 and stacks[0] == 5


def test_a_network_that_diverges_takes_no_other_with_it(data, stacks):
    """With early stopping it falls back to its best weights, and the others go on."""
    X, y = data
    X, y = X.copy(), y.copy()
    X[100:], y[100:] = 30 * X[100:], 3000 * y[100:]  # too much for a step of this length
    settings = {"early_stopping": True, "standardize": False, "activation": "identity"}
    models = networks(3, solver="sgd", learning_rate_init=0.05, momentum=0, **settings)
    rows = [np.arange(100), np.arange(20, 120), np.arange(100)]
    expected = separately(models[::2], X, y, rows=rows[::2])
    stacks.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fit_many(models, X, y, rows=rows)
    assert [w for w in caught if "diverged" in str(w.message)]
    assert models[1].n_iter_ < 10 and stacks[:2] == [3, 2]
    assert np.isfinite(models[1].predict(X)).all()
    assert_same(models[::2], expected)


def explodes(progress):
    return 1.0 if progress < 0.5 else 1e300


def test_a_network_that_diverges_late_is_restored(data, stacks):
    models = networks(3, early_stopping=True, solver="sgd", learning_rate=explodes)
    expected = separately(models, *data)
    stacks.clear()
    with pytest.warns(ConvergenceWarning, match="diverged in epoch"):
        fit_many(models, *data)
    assert stacks == [3]
    for a, b in zip(models, expected, strict=True):
        assert np.isfinite(a.predict(data[0])).all()
        np.testing.assert_allclose(a.theta_, b.theta_, atol=1e-6)  # promised


# ----- going on ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("extra", [{}, {"dropout": 0.2}, {"early_stopping": True}])
def test_warm_starts_go_on(data, stacks, solver, extra):
    """20 epochs and 20 more, of which either may be a separate fit, are 40."""
    settings = {"solver": solver, "warm_start": True, "n_iter_no_change": np.inf, **extra}
    whole = separately(networks(3, **settings | {"max_iter": 40}), *data)
    stacks.clear()
    both = fit_many(fit_many(networks(3, **settings), *data), *data)
    assert stacks == [3, 3]
    first = separately(fit_many(networks(3, **settings), *data), *data)
    second = fit_many(separately(networks(3, **settings), *data), *data)
    for models in (both, first, second):
        for a, b in zip(models, whole, strict=True):
            np.testing.assert_allclose(a.theta_, b.theta_, rtol=0, atol=1e-6)  # promised
            np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)
            assert (a.n_iter_, a.t_) == (20, b.t_)


def test_warm_starts_of_different_age_are_not_one_stack(data, stacks):
    models = networks(4, warm_start=True)
    for model in models[:2]:
        model.fit(*data)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [2, 2]


def test_warm_starts_of_which_one_was_slowed_down(data):
    """By learning_rate='adaptive', which is then made constant: its slower rate stays."""
    slow, usual = networks(2, warm_start=True, learning_rate_init=0.05)
    slow.set_params(learning_rate="adaptive", tol=1e9, n_iter_no_change=5).fit(*data)
    slow.set_params(learning_rate="constant", tol=0, n_iter_no_change=10)
    assert slow._training["slowdown"] < 1
    usual.fit(*data)
    assert slow.t_ == usual.t_
    expected = separately([slow, usual], *data)
    assert_same(fit_many([slow, usual], *data), expected)


@pytest.mark.parametrize("first", [0, 0.9])
def test_warm_starts_of_which_one_began_without_momentum(data, first):
    models = networks(2, warm_start=True, solver="sgd", momentum=first)
    models[1].set_params(momentum=0.9 - first)
    for model in models:
        model.fit(*data).set_params(momentum=0.9)
    expected = separately(models, *data)
    assert_same(fit_many(models, *data), expected)


def test_a_warm_start_on_other_rows_judges_anew(data):
    X, y = data
    y = np.where(np.arange(120) < 60, y, -5 * X[:, 2])
    models = networks(2, warm_start=True, early_stopping=True, learning_rate_init=0.01)
    expected = models
    for rows in (np.arange(60), np.arange(60, 120)):
        expected = separately(expected, X, y, rows=[rows, rows])
        fit_many(models, X, y, rows=[rows, rows])
        assert_same(models, expected)


@pytest.mark.parametrize("settings", ["adam", "sgd", "rmsprop", "adamw", "dropout"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_stream_goes_on_from_it(data, settings, weighted):
    X, y = data
    w = np.random.default_rng(1).uniform(0.1, 3, 120) if weighted else None
    chunk = (X[:50], y[:50]) if w is None else (X[:50], y[:50], w[:50])
    models = networks(3, **SETTINGS[settings])
    expected = separately(models, X, y, w)
    fit_many(models, X, y, w)
    for _ in range(2):
        for model in (*models, *expected):
            model.partial_fit(*chunk)
        assert_same(models, expected)


def test_clones_are_unfitted(data):
    models = fit_many(networks(2), *data)
    assert not hasattr(clone(models[0]), "theta_")


# ----- what is trained by itself -------------------------------------------------------


class Squared:
    """A loss of a user's own, written for matrices of two dimensions."""

    def value(self, A, Y, weight=None):
        assert A.ndim == 2
        return np.sum((A - Y) ** 2 * (1 / len(A) if weight is None else weight))

    def derivative(self, A, Y, weight=None, out=None):
        assert A.ndim == 2
        return np.multiply(2 * (A - Y), 1 / len(A) if weight is None else weight, out=out)


class SquaredLoss(Squared, Loss):
    """The same, derived from the package's base."""


class Sine:
    def value(self, Z, out=None):
        assert Z.ndim == 2
        return np.sin(Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.cos(Z, out=out)


class Plain:
    """An optimizer of a user's own: gradient descent, which keeps the number of its steps."""

    def init(self, theta):
        return {"steps": 0}

    def step(self, theta, gradient, learning_rate, state):
        state["steps"] += 1
        theta -= learning_rate * gradient


class MySGD(SGD):
    """Derived from the package's, with a step of its own."""

    def step(self, theta, gradient, learning_rate, state):
        super().step(theta, gradient, learning_rate / 2, state)


ALONE = {
    "lbfgs": {"solver": "lbfgs"},
    "lm": {"solver": "lm"},
    "adaptive": {"learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2},
    "max_time": {"max_time": 1000},
    "loss": {"loss": Squared()},
    "Loss": {"loss": SquaredLoss()},
    "activation": {"activation": Sine()},
    "one of two activations": {"activation": [Sine(), Tanh()], "hidden_layer_sizes": (4, 4)},
    "output activation": {"output_activation": Sine()},
    "optimizer": {"solver": Plain()},
    "SGD": {"solver": MySGD()},
}


@pytest.mark.parametrize("name", ALONE)
def test_what_is_of_the_user_s_own_is_trained_by_itself(data, stacks, name):
    """Two alike, among two that are a stack."""
    one, other = networks(2, **ALONE[name])
    a, b = networks(2)
    models = [one, a, other, b]
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert sorted(stacks) == ([2] if name in FULL_BATCH else [1, 1, 2])


def test_all_kinds_in_one_call(data, stacks):
    models = [networks(1, **settings)[0] for settings in (*SETTINGS.values(), *ALONE.values())]
    twins = [clone(model).set_params(random_state=9) for model in models]
    expected = separately(models + twins, *data)
    stacks.clear()
    assert_same(fit_many(models + twins, *data), expected)
    assert max(stacks) >= 2


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (9,)},
        {"activation": "tanh"},
        {"output_activation": "softplus"},
        {"solver": "rmsprop"},
        {"loss": "huber"},
        {"fit_intercept": False},
        {"standardize": False},
        {"dtype": "float32"},
        {"batch_size": 31},
        {"learning_rate": "cosine"},
        {"learning_rate_init": 0.01},
        {"max_iter": 21},
        {"shuffle": False},
        {"beta_1": 0.8},
        {"dropout": 0.1},
        {"clip_norm": 1.0},
        {"early_stopping": True},  # trains on fewer rows
    ],
)
def test_networks_that_differ_are_different_stacks(data, stacks, change):
    models = networks(4)
    for model in models[2:]:
        model.set_params(**change)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected, tol=1e-4 if "dtype" in change else 1e-6)
    assert stacks[:2] == [2, 2]


def test_quantiles_of_their_own(data, stacks):
    models = networks(3, loss="quantile")
    for model, q in zip(models, (0.1, 0.1, 0.9), strict=True):
        model.set_params(quantile=q)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert sorted(stacks) == [1, 2]


def test_a_stack_has_a_largest_size(data, stacks, monkeypatch):
    monkeypatch.setattr(many, "STACK", 3)
    models = networks(8)
    expected = separately(models, *data)
    stacks.clear()
    assert_same(fit_many(models, *data), expected)
    assert stacks == [3, 3, 2]


@pytest.mark.parametrize(("product", "sizes"), [(32 * 4 * 8, [3]), (32 * 4 * 8 - 1, [1, 1, 1])])
def test_large_products_gain_nothing_from_company(data, stacks, monkeypatch, product, sizes):
    monkeypatch.setattr(many, "SMALL", product)
    fit_many(networks(3), *data)
    assert stacks == sizes


# ----- errors --------------------------------------------------------------------------


def unchanged(models, error, match, *args, **kwargs):
    """fit_many raises the error, and every model is what it was, to the last byte."""
    before = [pickle.dumps(vars(model)) for model in models]
    with pytest.raises(error, match=match):
        fit_many(models, *args, **kwargs)
    assert [pickle.dumps(vars(model)) for model in models] == before


@pytest.fixture(params=["unfitted", "fitted", "warm"])
def models(request, data):
    models = networks(3, warm_start=request.param == "warm", max_iter=3)
    return models if request.param == "unfitted" else separately(models, *data)


def test_a_bad_parameter_of_the_last_model(data, models):
    models[-1].set_params(alpha=-1)
    unchanged(models, ValueError, "alpha", *data)


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        (np.array([0, 120]), ValueError, "rows must be from 0 to 119; got 0 to 120"),
        (np.array([-1, 5]), ValueError, "rows must be from 0 to 119; got -1 to 5"),
        (np.array([0.0, 1.0]), TypeError, "rows must hold"),
        (["a", "b"], TypeError, "rows must hold"),
        ([], TypeError, "rows must hold"),
        (np.zeros(120, bool), TypeError, "rows must hold"),
        (np.ones(119, bool), TypeError, "rows must hold"),
        (np.zeros((2, 2), int), TypeError, "rows must hold"),
        (3, TypeError, "rows must hold"),
        (None, TypeError, "rows must hold"),
    ],
)
def test_rows_that_are_none(data, models, rows, error, match):
    unchanged(models, error, match, *data, rows=[np.arange(9), np.arange(9), rows])


@pytest.mark.parametrize("K", [0, 2, 4])
def test_rows_for_too_few_or_many_models(data, models, K):
    message = f"rows must have an entry a model, 3; it has {K}"
    unchanged(models, ValueError, message, *data, rows=[np.arange(100)] * K)


def test_rows_whose_weights_are_all_zero(data, models):
    w = np.ones(120)
    w[:50] = 0
    rows = [np.arange(120), np.arange(40, 120), np.arange(50)]
    unchanged(models, ValueError, "sample_weight.*zero", *data, w, rows=rows)


def test_targets_outside_the_domain_in_the_rows_of_the_last_model(data):
    X, y = data
    y = np.abs(y)
    y[100:] = -1
    models = networks(2, loss="poisson")
    rows = [np.arange(90), np.arange(110)]
    unchanged(models, ValueError, "loss='poisson' needs targets", X, y, rows=rows)
    fit_many(models, X, y, rows=[rows[0]] * 2)  # other rows may hold what they like


def test_too_few_rows_to_validate_on(data):
    models = networks(2, early_stopping=True)
    rows = [np.arange(100), np.arange(5)]
    unchanged(models, ValueError, "validation set is too small", *data, rows=rows)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_network_that_diverges_at_once(data, models, solver):
    if hasattr(models[0], "theta_") and models[0].warm_start:
        solver = "adam"  # which a warm start cannot change
    for model in models:
        model.set_params(solver=solver, max_iter=10)
    models[-1].set_params(learning_rate_init=1e300, activation="relu")
    unchanged(models, ValueError, "non-finite.*learning_rate_init", *data)
    for model in models:  # as a stack, too
        model.set_params(learning_rate_init=1e300)
    unchanged(models, ValueError, "non-finite.*learning_rate_init", *data)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_middle_of_training(data, models, error):
    class Fails:  # which pickle knows by name alone
        def __call__(self, progress):
            if progress > 0.5:
                raise error("from the schedule")
            return 1.0

    fails = Fails()
    before = [pickle.dumps(vars(model)) for model in models]
    for model in models:
        model.set_params(learning_rate=fails)
    with pytest.raises(error, match="from the schedule"):
        fit_many(models, *data)
    for model in models:
        model.set_params(learning_rate="constant")
    assert [pickle.dumps(vars(model)) for model in models] == before


def test_a_warning_that_is_an_error(data, models):
    for model in models:
        model.set_params(tol=0, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unchanged(models, ConvergenceWarning, "Maximum iterations", *data)


def test_a_changed_architecture_is_refused(data):
    models = separately(networks(3, warm_start=True), *data)
    models[-1].set_params(hidden_layer_sizes=(5,))
    unchanged(models, ValueError, "cannot change hidden_layer_sizes", *data)


def test_tables_that_do_not_fit(data, models):
    X, y = data
    unchanged(models, ValueError, "inconsistent numbers of samples", X, y[:-1])
    unchanged(models, ValueError, "infinity", np.where(X > 1, np.inf, X), y)
    unchanged(models, ValueError, "sample_weight must have one weight a row", X, y, np.ones(3))
    unchanged(models, ValueError, "negative", X, y, -np.ones(120))


def test_the_same_model_twice(data):
    (model,) = networks(1)
    unchanged([model, *networks(1), model], ValueError, "models must be different objects", *data)


@pytest.mark.parametrize("wrong", [None, 3, "adam", BackpropRegressor, SquaredError()])
def test_what_is_no_regressor(data, wrong):
    with pytest.raises(TypeError, match="models must be BackpropRegressors; got"):
        fit_many([*networks(1), wrong], *data)


def test_a_model_in_place_of_a_list(data):
    with pytest.raises(TypeError, match="list of regressors"):
        fit_many(networks(1)[0], *data)


def test_the_splits_of_scikit_learn_as_rows(data):
    splits = list(KFold(3).split(data[0]))
    unchanged(networks(3), TypeError, "train for train, test", *data, rows=splits)


class Marked(BackpropRegressor):
    """A subclass that does something in fit."""

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        self.mark_ = True
        return super().fit(X, y, sample_weight)


def test_a_subclass_with_a_fit_of_its_own(data):
    unchanged([Marked(), Marked()], TypeError, "Marked", *data)


def test_the_table_is_converted_once(monkeypatch, data):
    """Whole numbers become float64: one copy for all models, not one each."""
    tables, prepare = [], Fitting.__init__

    def spy(self, params, table, **options):
        tables.append(table[0])
        prepare(self, params, table, **options)

    monkeypatch.setattr(Fitting, "__init__", spy)
    X = np.arange(120 * 3).reshape(120, 3)
    fit_many(networks(4, max_iter=1), X, data[1])
    assert len(tables) == 4 and all(X is tables[0] for X in tables)


def test_hyper_parameters_that_are_arrays(data):
    """Of which == is no single truth."""
    models = networks(2, loss=Huber(np.array([1.35])))
    expected = separately(models, *data)
    assert_same(fit_many(models, *data), expected)


def test_a_model_with_callbacks(data):
    callback = pytest.importorskip(
        "sklearn.callback", reason="callbacks came with scikit-learn 1.9"
    )
    models = networks(2)
    models[1].set_callbacks(callback.ScoringMonitor(scoring="r2"))
    with pytest.raises(ValueError, match="callbacks"):
        fit_many(models, *data)
    assert not hasattr(models[0], "theta_")


# ----- warnings and lines --------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 3])
def test_each_warns_and_the_warnings_point_at_the_caller(data, K):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)") as caught:
        fit_many(networks(K, max_iter=2), *data)
    assert [warning.filename for warning in caught] == [__file__] * K


def test_each_prints_its_lines(data, capsys):
    models = networks(3, max_iter=4)
    models[1].set_params(verbose=True)
    fit_many(models, *data)
    lines = capsys.readouterr().out.splitlines()
    curve = models[1].loss_curve_
    assert lines == [f"Epoch {i}, loss = {loss:.8g}" for i, loss in enumerate(curve, start=1)]
