"""The faults of scikit-learn's MLPRegressor, one test each, that this class must not have.

The numbers are those of a review of scikit-learn 1.9.1; every one was reproduced there.
"""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from own import classic
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 4))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * rng.standard_normal(120)
    return X, y


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_01_multi_output_gradient_is_that_of_the_reported_loss(n_outputs):
    """A step of gradient descent of length α lowers the loss by α ‖df/dtheta‖², to first order."""
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((50, 3)), rng.standard_normal((50, n_outputs))
    rate = 1e-6
    model = classic(
        hidden_layer_sizes=(4,), activation="tanh", solver="sgd", momentum=0, batch_size=50,
        learning_rate_init=rate, standardize=False, shuffle=False, alpha=0, random_state=0,
        warm_start=True, max_iter=1, tol=0,
    )  # fmt: skip
    theta, loss = [], []
    for _ in range(2):
        model.fit(X, Y)
        theta.append(model.theta_.copy())
        loss.append(model.loss_)  # of the weights before the step
    gradient = (theta[0] - theta[1]) / rate  # at the weights in between
    assert loss[0] - loss[1] == pytest.approx(rate * np.vdot(gradient, gradient), rel=1e-3)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop", "lbfgs", "lm"])
@pytest.mark.parametrize("y_dtype", [np.float64, np.int64])
def test_02_float32_inputs_train_in_float32(data, solver, y_dtype):
    X, y = data
    model = classic(solver=solver, max_iter=3, random_state=0)
    model.fit(X.astype(np.float32), (10 * y).astype(y_dtype))
    arrays = [v for v in model._training["optimizer"].values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in [model.theta_, *model.coefs_, *arrays]} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float32)).dtype == np.float32


def test_03_multi_output_tag_and_column_targets(data):
    X, y = data
    assert classic().__sklearn_tags__().target_tags.multi_output
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classic(max_iter=300, learning_rate_init=0.01, tol=1e-2, random_state=0)
        column = model.fit(X, y[:, None]).predict(X)
    assert column.shape == (len(X), 1)
    assert np.array_equal(column[:, 0], model.fit(X, y).predict(X))


def test_04_alpha_means_the_same_at_every_batch_size(data):
    """Without hidden layers the optimum is known; its ‖W‖² may not depend on the batch."""
    X, y = data
    norms = []
    full_batch = [("lbfgs", "auto"), ("lm", "auto")]
    for solver, batch_size in [*full_batch, ("sgd", 120), ("sgd", 20), ("sgd", 5)]:
        model = classic(
            hidden_layer_sizes=(), solver=solver, alpha=50, batch_size=batch_size, momentum=0,
            learning_rate="cosine", learning_rate_init=0.05, max_iter=400, tol=0, random_state=0,
            n_iter_no_change=np.inf,
        ).fit(X, y)  # fmt: skip
        norms.append(np.sum(model.coefs_[0] ** 2))
    # Mini-batches end near the optimum: the rate goes to zero over 400 epochs.
    assert norms == pytest.approx([norms[0]] * 5, rel=0.01)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_05_divergence_is_noticed_at_once(data, early_stopping):
    X, y = data
    model = classic(
        solver="sgd", activation="identity", learning_rate_init=1e30, standardize=False,
        early_stopping=early_stopping, max_iter=60, random_state=0,
    )  # fmt: skip
    if not early_stopping:
        with pytest.raises(ValueError, match=r"diverged in epoch \d\b.*learning_rate_init"):
            model.fit(X, y)
        assert not hasattr(model, "theta_")
    else:
        with pytest.warns(ConvergenceWarning, match="learning_rate_init"):
            model.fit(X, y)
        assert model.n_iter_ < 10
        assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("batch_size", [1, 4, 20, 200])
def test_06_weights_are_unbiased_at_every_batch_size(batch_size):
    """100 rows y = 0 of weight 100, 100 rows y = 1 of weight 1: the weighted mean is 0.0099.

    MLPRegressor's constant is 0.501, 0.083, 0.011, 0.010 at these batch sizes.
    """
    X, y = np.zeros((200, 1)), np.repeat([0.0, 1.0], 100)
    weight = np.repeat([100.0, 1.0], 100)
    model = classic(
        hidden_layer_sizes=(), solver="sgd", momentum=0, batch_size=batch_size, alpha=0,
        learning_rate="cosine", learning_rate_init=0.05, max_iter=200, tol=0,
        n_iter_no_change=np.inf, standardize=False, random_state=0,
    ).fit(X, y, sample_weight=weight)  # fmt: skip
    assert model.predict([[0.0]])[0] == pytest.approx(100 / 10100, abs=0.02)


def test_06b_zero_and_negative_weights(data):
    X, y = data
    weight = np.ones(len(X))
    weight[::2] = 0
    kwargs = {"batch_size": 1, "max_iter": 3, "random_state": 0, "early_stopping": True}
    some = classic(**kwargs).fit(X, y, sample_weight=weight)
    # A row of weight 0 is no row, whatever it holds.
    X_wild, y_wild = X.copy(), y.copy()
    X_wild[::2], y_wild[::2] = 1e200, -1e200
    wild = classic(**kwargs).fit(X_wild, y_wild, sample_weight=weight)
    assert np.array_equal(some.theta_, wild.theta_)
    weight[0] = -1
    with pytest.raises(ValueError, match="sample_weight must not have negative weights"):
        classic().fit(X, y, sample_weight=weight)


def test_06c_reported_loss_is_the_weighted_objective(data):
    X, y = data
    rng = np.random.default_rng(5)
    weight = rng.integers(1, 100, len(y)).astype(float)
    model = classic(
        solver="sgd", learning_rate_init=1e-300, batch_size=7, max_iter=1, alpha=0, random_state=0
    ).fit(X, y, sample_weight=weight)  # fmt: skip
    # The step is nothing, so the epoch's loss is that of the weights that predict.
    true = np.average((model.predict(X) - y) ** 2, weights=weight)
    assert model.loss_ == pytest.approx(true, rel=1e-12)


def test_07_second_warm_start_has_its_full_patience(data):
    X, y = data
    model = classic(
        solver="sgd", learning_rate_init=0.02, warm_start=True, max_iter=2000, tol=1e-3,
        random_state=0,
    )  # fmt: skip
    model.fit(X, y)
    assert 10 < model.n_iter_ < 2000
    model.fit(X, y)
    assert model.n_iter_ > 10


def test_07b_a_stream_uses_up_no_patience(data):
    X, y = data
    model = classic(tol=1e3, warm_start=True, random_state=0)  # nothing improves by tol
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.fit(X, y).n_iter_ > 10


def test_08_a_failing_warm_start_keeps_the_best_weights(data):
    X, y = data
    model = classic(
        warm_start=True, early_stopping=True, learning_rate_init=0.01, max_iter=200, random_state=0
    ).fit(X, y)
    before, best = model.score(X, y), model.best_validation_score_
    model.set_params(learning_rate_init=5.0, max_iter=3).fit(X, y)
    assert model.best_validation_score_ >= best
    assert model.score(X, y) >= before - 1e-9


def test_08b_warm_starts_validate_on_the_same_rows(data):
    X, y = data
    seen = []

    def scorer(model, X_val, y_val):
        seen.append(tuple(y_val))
        return 0.0

    model = classic(
        warm_start=True, early_stopping=True, scoring=scorer, max_iter=1, random_state=None
    )
    for _ in range(3):
        model.fit(X, y)
    assert len(seen) == 3 and len(set(seen)) == 1


@pytest.fixture
def batches(monkeypatch):
    """The targets of every batch, in the network's units."""
    from skbackprop.feed import Feed

    seen, batch = [], Feed.batch

    def spy(self, start, stop, X1, Y, weight):
        batch(self, start, stop, X1, Y, weight)
        seen.append(tuple(Y[:, 0]))

    monkeypatch.setattr(Feed, "batch", spy)
    return seen


def test_09_every_partial_fit_has_its_own_order(data, batches):
    X, y = data
    model = classic(batch_size=len(X), random_state=0)
    for calls in range(1, 5):
        model.partial_fit(X, y)
        assert model.n_iter_ == calls
    every_row = np.sort((y - model.y_shift_) / model.y_scale_).tolist()
    assert len(set(every_row)) == len(X)
    assert len(batches) == len(set(batches)) == 4
    assert all(sorted(order) == every_row for order in batches)


def test_10_lbfgs_has_no_partial_fit():
    assert not hasattr(classic(solver="lbfgs"), "partial_fit")
    assert not hasattr(classic(solver="lm"), "partial_fit")
    assert hasattr(classic(), "partial_fit")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hidden_layer_sizes": (5,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (8, 8)}, "hidden_layer_sizes"),
        ({"activation": "tanh"}, "activation"),
        ({"solver": "sgd"}, "solver"),
        ({"output_activation": "softplus"}, "output_activation"),
        ({"fit_intercept": False}, "fit_intercept"),
        ({"standardize": False}, "standardize"),
        ({"loss": "huber"}, "loss"),
        ({"dtype": "float32"}, "dtype"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_11_a_changed_architecture_is_refused_by_name(data, change, named, method):
    X, y = data
    model = classic(hidden_layer_sizes=(8,), warm_start=True, max_iter=2, random_state=0)
    before = model.fit(X, y).predict(X)
    model.set_params(**change)
    with pytest.raises(ValueError, match=f"cannot change {named} from"):
        getattr(model, method)(X, y)
    assert np.array_equal(before, model.predict(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_11b_changed_outputs_are_refused(data, method):
    X, y = data
    model = classic(warm_start=True, max_iter=2).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match="number of outputs of y from 2 to 1"):
        getattr(model, method)(X, y)


@pytest.mark.parametrize(
    ("loss", "bad"), [("poisson", [-1.0, 2.0]), ("gamma", [0.0, 2.0]), ("poisson", [0.0, 0.0])]
)
def test_12_targets_outside_the_domain_are_refused(loss, bad):
    with pytest.raises(ValueError, match=f"loss='{loss}' needs targets"):
        classic(loss=loss).fit([[0.0], [1.0]], bad)


def test_13_stopping_does_not_depend_on_the_units_of_y(data):
    X, y = data
    n_iter = {
        classic(random_state=0, max_iter=1000).fit(X, factor * y).n_iter_
        for factor in (2.0**-30, 1.0, 2.0**30)  # powers of two: no rounding
    }
    assert len(n_iter) == 1


def test_14_partial_fit_after_a_fit_with_early_stopping(data):
    X, y = data
    model = classic(early_stopping=True, max_iter=20, random_state=0).fit(X, y)
    before = model.theta_.copy()
    assert not np.array_equal(model.partial_fit(X, y).theta_, before)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_15_verbose_prints_a_line_an_epoch(data, solver, capsys):
    X, y = data
    model = classic(solver=solver, verbose=True, max_iter=5, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ and all("loss" in line for line in lines)


def test_16_a_pickle_is_three_vectors_and_not_four(data):
    """theta and Adam's two moments; MLPRegressor's is 4.0 times the weights."""
    X, y = data
    model = classic(hidden_layer_sizes=(200, 200), max_iter=2, early_stopping=True)
    model.fit(X, y)
    assert len(pickle.dumps(model)) < 3.3 * model.theta_.nbytes + 20_000


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("extra", [{"early_stopping": True}, {"max_time": 100}])
def test_16b_the_best_weights_are_kept_twice_for_a_warm_start_alone(data, warm_start, extra):
    """A warm start compares the next epochs with them, and nothing else reads them again."""
    X, y = data
    model = classic(max_iter=5, warm_start=warm_start, random_state=0, **extra)
    state = model.fit(X, y)._training
    assert (state["history"]["best_theta"] is not None) == warm_start
    assert (state["theta"] is not None) == warm_start
    assert model.partial_fit(X, y).n_iter_ == 6


def test_17_predict_works_in_blocks():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 5))
    model = classic(hidden_layer_sizes=(100,), max_iter=1).fit(X[:100], X[:100, 0])
    peaks = []
    for n in (10_000, 20_000):
        tracemalloc.start()
        model.predict(X[:n])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Twice the rows: the output grows by 80 kB and nothing else does. 10,000 rows of the
    # hidden layer would be 8 MB. (scikit-learn's check for NaN takes a little, too.)
    assert peaks[1] - peaks[0] < 400_000


def test_18_no_step_rests_on_a_few_left_over_rows(data, batches):
    X, y = data
    classic(batch_size=17, max_iter=1).fit(X, y)  # 120 = 7 * 17 + 1
    sizes = list(map(len, batches))
    assert sum(sizes) == 120 and max(sizes) <= 17 and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("extra", [{}, {"dropout": 0.2}, {"early_stopping": True}])
def test_19_warm_start_goes_on_bit_for_bit(data, solver, extra):
    X, y = data
    kwargs = {"solver": solver, "random_state": 3, "batch_size": 16, "tol": 0, **extra}
    whole = classic(max_iter=40, **kwargs).fit(X, y)
    parts = classic(max_iter=20, warm_start=True, **kwargs).fit(X, y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, y)
    assert np.array_equal(whole.theta_, parts.theta_)
    assert whole.loss_curve_ == parts.loss_curve_
    assert parts.n_iter_ == 20


def test_20_the_best_weights_survive_a_time_limit(data, monkeypatch):
    """By a clock that ticks once a look, so that a busy machine has as many epochs as another."""
    X, y = data
    ticks = itertools.count()
    for module in ("watching", "monitoring", "stack"):
        clock = f"skbackprop.{module}.perf_counter"
        monkeypatch.setattr(clock, lambda: next(ticks) / 1000)
    model = classic(max_time=0.5, max_iter=10**6, tol=0, n_iter_no_change=np.inf, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"max_time=0\.5"):
        model.fit(X, y)
    assert 100 < model.n_iter_ < 500
    assert r2_score(y, model.predict(X)) > 0
