"""What a numerical analyst found: each was a wrong result without a word."""

import pickle
import warnings

import numpy as np
import pytest
from own import classic
from sklearn.exceptions import ConvergenceWarning

from skbackprop import BackpropRegressor
from skbackprop.activations import Exp, Identity, LeakyReLU, ReLU
from skbackprop.losses import LOSSES, Loss


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, np.exp(X @ [0.5, -0.3, 0.2, 0.1])


@pytest.mark.parametrize("extra", [{"early_stopping": True}, {}])
def test_a_warm_start_on_other_data_learns_them(data, extra):
    X, _ = data
    model = classic(warm_start=True, random_state=0, max_iter=300, **extra)
    model.fit(X, X @ [1.0, 2, 3, 0])
    y = 10 * (X @ [-1.0, 1, 0, 0]) + np.random.default_rng(1).normal(0, 3, 300)
    if extra:  # noise: the old data's score cannot be had here
        first = model.best_validation_score_
        assert model.fit(X, y).best_validation_score_ < first
        return
    assert model.fit(X, y).score(X, y) > 0.8
    assert model.n_iter_ > 11


def test_a_time_limit_does_not_bring_back_weights_for_other_data(data):
    X, _ = data
    model = classic(warm_start=True, max_time=100, random_state=0)
    old = model.fit(X, X @ [1.0, 2, 3, 0]).theta_
    y = 10 * (X @ [-1.0, 1, 0, 0])
    assert not np.array_equal(model.set_params(max_time=0.05).fit(X, y).theta_, old)


def test_a_relu_output_is_not_dead_from_birth_for_constant_targets(data):
    X, y = data
    model = classic(output_activation="relu", learning_rate_init=0.01, random_state=0)
    predicted = model.fit(X, np.full(300, 5.0)).predict(X)
    assert predicted.min() > 3 and predicted.max() < 7
    stream = classic(output_activation="relu", random_state=0).partial_fit(X[:1], y[:1])
    assert stream.coefs_[-1].any()


class RelativeError(Loss):
    """ℓ = (a/y - 1)²: of degree 0, and changed by a shift."""

    degree = 0

    def elementwise(self, A, Y):
        return (A / Y - 1) ** 2

    def elementwise_derivative(self, A, Y):
        return 2 * (A / Y - 1) / Y


def test_a_loss_that_a_shift_would_change_sees_no_shift(data):
    X, y = data
    model = classic(RelativeError(), solver="lbfgs", alpha=0, random_state=0).fit(X, y)
    assert model.y_shift_ is None
    true = np.mean((model.predict(X) / y - 1) ** 2)
    assert true < 0.05 and model.loss_ == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("output", ["identity", "relu", "leaky_relu", "tanh", Identity()])
def test_losses_of_positive_predictions_refuse_other_outputs(data, loss, output):
    with pytest.raises(ValueError, match="output_activation must be one of 'exp'"):
        classic(loss, output_activation=output).fit(*data)


@pytest.mark.parametrize("setting", [{"alpha": 1e7}, {"alpha": 1e12}])
def test_decoupled_decay_shrinks_at_most_to_zero(data, setting):
    X, y = data
    model = classic(solver="adamw", max_iter=20, random_state=0, **setting).fit(X, y)
    assert np.abs(model.predict(X)).max() < 10 * np.abs(y).max()


@pytest.mark.parametrize(
    ("loss", "wild"), [("gamma", -1.0), ("poisson", -1.0), ("squared_error", 1e200)]
)
def test_a_validation_row_of_weight_zero_is_absent(data, loss, wild):
    X, y = data
    weight, y_val = np.ones(50), y[:50].copy()
    weight[0], y_val[0] = 0, wild
    kwargs = {"early_stopping": True, "random_state": 0, "max_iter": 30}
    scored = kwargs | {"scoring": "neg_mean_absolute_error"}
    for settings in (kwargs, scored):
        one = classic(loss, **settings).fit(
            X[50:], y[50:], X_val=X[:50], y_val=y_val, sample_weight_val=weight
        )
        two = classic(loss, **settings).fit(
            X[50:], y[50:], X_val=X[1:50], y_val=y[1:50], sample_weight_val=np.ones(49)
        )
        np.testing.assert_allclose(
            one.validation_loss_curve_, two.validation_loss_curve_, rtol=1e-9
        )
        np.testing.assert_allclose(one.validation_scores_, two.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize(
    ("g", "name"),
    [(Identity(), "identity"), (ReLU(), "relu"), (LeakyReLU(), "leaky_relu"), (Exp(), "exp")],
)
def test_weights_are_folded_for_an_activation_object_as_for_its_name(data, g, name):
    X, y = data
    kwargs = {"max_iter": 5, "random_state": 0}
    by_object = classic(output_activation=g, **kwargs).fit(X, 100 + 10 * y)
    by_name = classic(output_activation=name, **kwargs).fit(X, 100 + 10 * y)
    for a, b in zip(
        by_object.coefs_ + by_object.intercepts_, by_name.coefs_ + by_name.intercepts_, strict=True
    ):
        assert np.array_equal(a, b)


def test_a_time_limit_takes_nothing_from_a_stream(data):
    X, y = data
    kwargs = {"random_state": 0, "batch_size": 50}
    limited, free = classic(max_time=1e-9, **kwargs), classic(**kwargs)
    for _ in range(4):
        limited.partial_fit(X, y)
        free.partial_fit(X, y)
    assert np.array_equal(limited.theta_, free.theta_)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("value", [0.1, 1.1, 7e5])
def test_constant_targets_of_the_log_link_are_met(data, loss, value):
    X, _ = data
    model = classic(loss, max_iter=30, learning_rate_init=0.01, random_state=0)
    np.testing.assert_allclose(model.fit(X, np.full(300, value)).predict(X), value, rtol=1e-12)


def test_poisson_of_zero_at_zero():
    loss = LOSSES["poisson"]()
    assert loss.value(np.zeros((1, 1)), np.zeros((1, 1))) == 0


def test_a_later_chunk_and_validation_rows_may_be_all_zero(data):
    X, y = data
    counts = np.round(3 * y)
    classic("poisson", max_iter=2).fit(X, counts, X_val=X[:2], y_val=np.zeros(2))
    classic("poisson").partial_fit(X, counts).partial_fit(X[:1], [0.0])


def test_momentum_may_be_switched_on(data):
    model = classic(solver="sgd", momentum=0, warm_start=True, max_iter=2).fit(*data)
    model.set_params(momentum=0.9).fit(*data)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "coslog4", lambda t: 1 - t])
def test_a_planned_schedule_is_run_to_its_end(data, schedule):
    X, _ = data
    model = classic(learning_rate=schedule, max_iter=120, tol=1e-2, random_state=0)
    assert model.fit(X, X @ [1.0, 2, 3, 0]).n_iter_ == 120


def test_a_stream_is_told_when_a_planned_schedule_has_ended(data):
    model = classic(learning_rate="cosine", max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(*data).partial_fit(*data)
    with pytest.warns(ConvergenceWarning, match="planned over max_iter=2"):
        model.partial_fit(*data)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_point_at_the_caller(data, method):
    model = classic(learning_rate="cosine", max_iter=1).partial_fit(*data)
    if method == "fit":
        model.set_params(learning_rate="constant")
    with pytest.warns(ConvergenceWarning) as caught:
        getattr(model, method)(*data)
    assert caught[0].filename == __file__


def test_a_loss_that_is_not_finite_is_an_error_where_nothing_can_be_restored(data):
    X, y = data
    model = classic(standardize=False, random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X.astype(np.float32), 1e20 * y)


def test_clipping_in_float32_of_a_norm_whose_square_overflows(data):
    X, y = data
    kwargs = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0, "standardize": False}
    kwargs |= {"clip_norm": 1.0, "learning_rate_init": 1.0, "max_iter": 5, "random_state": 0}
    X, y = (1e10 * X).astype(np.float32), 1e10 * y
    moved = classic(**kwargs).fit(X, y).theta_
    still = classic(**kwargs | {"learning_rate_init": 1e-30}).fit(X, y).theta_
    assert np.linalg.norm(moved - still) > 0.5


def test_curves_stay_aligned_when_validation_comes_and_goes(data):
    X, y = data
    model = classic(warm_start=True, max_iter=3, random_state=0).fit(X, y)
    assert model.validation_scores_ is None
    model.set_params(early_stopping=True).fit(X, y)
    assert len(model.validation_scores_) == len(model.loss_curve_) == 6
    assert np.isfinite(model.best_validation_score_)
    assert model.set_params(early_stopping=False).fit(X, y).validation_scores_ is None


# ----- what a scikit-learn developer found ----------------------------------------------


def test_a_subclass_keeps_its_own_fitted_attributes(data):
    class Selecting(BackpropRegressor):
        def fit(self, X, y):
            self.columns_ = X.shape[1]
            return super().fit(X, y)

    model = Selecting(max_iter=2).fit(*data)
    model.extra_ = 1
    assert (model.partial_fit(*data).columns_, model.extra_) == (4, 1)


@pytest.mark.parametrize(
    ("setting", "epochs"), [({"tol": 1e9, "n_iter_no_change": 2}, 4), ({"max_iter": 3}, 3)]
)
@pytest.mark.parametrize("weighted", [True, False])
def test_callbacks_are_told_of_the_epochs_that_ran_and_no_other(data, setting, epochs, weighted):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

    class Count:
        def __init__(self):
            self.begun = self.ended = 0
            self.weights = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.begun += 1

        def on_fit_task_end(self, estimator, context, *, X, metadata, fitted_estimator):
            self.ended += 1
            self.weights.append(metadata.get("sample_weight"))
            fitted_estimator.predict(X)

    X, y = data
    count, weight = Count(), np.linspace(1, 2, 300) if weighted else None
    classic(**setting).set_callbacks(count).fit(X, y, sample_weight=weight)
    assert count.begun == count.ended == epochs + 1  # and the fit itself
    assert all((w is not None) == weighted for w in count.weights)


@pytest.mark.parametrize("value", [-1, "a", 1.5, [1, 2], True, 2**32])
def test_random_state_is_refused_by_name(data, value):
    with pytest.raises((ValueError, TypeError), match="random_state must be"):
        classic(random_state=value).fit(*data)


@pytest.mark.parametrize("value", [["r2"], {"a": "r2"}, 3])
def test_scoring_is_refused_by_name(data, value):
    with pytest.raises(TypeError, match="scoring must be"):
        classic(scoring=value).fit(*data)


class Table:
    """An activation that holds an array too long for its text to show."""

    def __init__(self, entries):
        self.entries = entries

    def value(self, Z, out=None):
        return Z * self.entries[0]

    def derivative(self, Z, A, out=None):
        return np.full_like(Z, self.entries[0])


def test_another_object_of_the_same_class_is_another_architecture(data):
    entries = np.ones(5000)
    model = classic(activation=Table(entries), warm_start=True, max_iter=1).fit(*data)
    model.set_params(activation=Table(entries.copy())).fit(*data)
    other = entries.copy()
    other[2500] = 2
    with pytest.raises(ValueError, match="cannot change activation"):
        model.set_params(activation=Table(other)).fit(*data)


def test_targets_that_are_none_are_refused_as_targets(data):
    with pytest.raises(ValueError, match="y"):
        classic().fit(data[0], np.array([None] * 300))


@pytest.mark.parametrize(
    "bad",
    [{"sample_weight_val": -np.ones(300)}, {"y_val": np.full(300, np.nan)}, {"y_val": ["a"] * 300}],
)
def test_errors_of_validation_data_name_them(data, bad):
    X, y = data
    with pytest.raises((ValueError, TypeError), match=next(iter(bad))):
        classic().fit(X, y, **{"X_val": X, "y_val": y} | bad)


def test_a_curve_that_is_changed_is_not_the_one_that_training_goes_on_with(data):
    model = classic(warm_start=True, max_iter=2).fit(*data)
    model.loss_curve_.clear()
    assert len(model.fit(*data).loss_curve_) == 4


def test_without_shuffling_the_order_is_that_of_the_table(data):
    X, y = data
    kwargs = {"shuffle": False, "solver": "sgd", "momentum": 0, "batch_size": 150, "alpha": 0}
    kwargs |= {"standardize": False, "learning_rate_init": 0.01, "hidden_layer_sizes": ()}
    model = classic(max_iter=1, random_state=0, **kwargs)
    start = classic(max_iter=1, random_state=0, **kwargs | {"learning_rate_init": 1e-300})
    theta = start.fit(X, y).theta_.copy()
    A = np.c_[np.ones(300), X]  # theta is [b; W]
    for rows in (slice(0, 150), slice(150, 300)):
        theta -= 0.01 * 2 / 150 * A[rows].T @ (A[rows] @ theta - y[rows])
    np.testing.assert_allclose(model.fit(X, y).theta_, theta, rtol=1e-9)


def test_adamw_does_not_pass_the_penalty_through_the_moments(data):
    thetas = [
        classic(solver=s, alpha=3000, max_iter=5, random_state=0).fit(*data).theta_
        for s in ("adam", "adamw")
    ]
    assert not np.allclose(*thetas, rtol=1e-3)


def test_a_scorer_is_given_the_weights(data):
    X, y = data
    seen = []

    def scorer(model, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 0.0

    weight = np.linspace(1, 2, 300)
    classic(early_stopping=True, scoring=scorer, max_iter=1).fit(X, y, weight)
    assert len(seen) == 1 and len(seen[0]) == 30 and set(seen[0]) <= set(weight)


def test_ctrl_c_in_the_first_epoch_leaves_the_model(data):
    X, y = data
    model = classic(max_iter=5, random_state=0).fit(X, y)
    before = pickle.dumps(model)

    def interrupted(progress):
        raise KeyboardInterrupt

    model.set_params(learning_rate=interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert pickle.dumps(model.set_params(learning_rate="constant")) == before
