"""Monitoring: scores, patience, the best weights, plateaus, and why training stops."""

import types

import numpy as np
import pytest
from allocation import peak_memory
from scipy import sparse
from sklearn.metrics import r2_score

from skbackprop.activations import Identity, Tanh
from skbackprop.feed import Data
from skbackprop.losses import LOSSES, SquaredError
from skbackprop.monitoring import History, Validation, Watch, r_squared
from skbackprop.network import Network
from skbackprop.scaling import Rows
from skbackprop.schedules import Adaptive, Constant
from skbackprop.training import Progress

# ----- R² ------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_r_squared_is_that_of_scikit_learn(outputs, weighted, dtype):
    rng = np.random.default_rng(0)
    Y = rng.normal(5, 2, (40, outputs)).astype(dtype)
    A = (Y + rng.normal(size=Y.shape)).astype(dtype)
    w = rng.uniform(0, 3, (40, 1)) if weighted else None
    expected = r2_score(
        Y.astype(float), A.astype(float), sample_weight=None if w is None else w[:, 0]
    )
    assert r_squared(A, Y, w) == pytest.approx(expected, rel=1e-12)


def test_r_squared_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(40, 2))
    A, scale, shift = Y + rng.normal(size=Y.shape), np.array([3.0, 1e5]), np.array([7.0, -1e5])
    assert r_squared(scale * A + shift, scale * Y + shift) == pytest.approx(
        r_squared(A, Y), rel=1e-10
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("indexed", [False, True])
def test_the_variance_between_networks_takes_no_memory_of_the_table_s_size(weighted, indexed):
    rng, K, table = np.random.default_rng(0), 5, 60_000
    index = rng.permutation(table)[:45_000] if indexed else None
    net = Network([2, 3, 4], [Tanh(), Identity()], True, (K,), input_scale=True)
    theta = rng.normal(size=net.n_parameters)
    X, Y = rng.normal(size=(table, 2)), np.zeros((table, 4))
    weight = rng.uniform(0.5, 2, table) if weighted else None
    rows = np.arange(table) if index is None else index
    mean = 1.0 if weight is None else weight[rows].mean()
    data = Data(Rows(X, np.float64), Rows(Y, np.float64), weight, mean, index)
    validation = Validation(net, SquaredError(), data, folds=np.array_split(rows, K))
    table, out = Rows(X[rows], np.float64), np.empty((K, len(rows), 4))
    A = np.stack([net.of_one.predict(net.unpack(theta, k), table.take, out[k]) for k in range(K)])
    expected = np.average(
        A.var(axis=0, ddof=1), axis=0, weights=None if weight is None else weight[rows]
    )
    np.testing.assert_allclose(validation.variance(theta), expected, rtol=1e-12)
    assert peak_memory(lambda: validation.variance(theta), enough=2**22) < 2**22 < A.nbytes


@pytest.mark.parametrize(("distance", "score"), [(0.0, 1.0), (1.0, 0.0)])
def test_r_squared_of_a_constant_target_is_that_of_scikit_learn(distance, score):
    Y = np.full((4, 1), 2.0)
    assert r_squared(Y + distance, Y) == score == r2_score(Y, Y + distance)


def test_r_squared_of_one_row_is_not_a_number():
    assert np.isnan(r_squared(np.ones((1, 1)), np.ones((1, 1))))


# ----- validation ----------------------------------------------------------------------


def validation_case(index, weighted, scorer=None, table=np.asarray, dtype=np.float64):
    """Of raw weights and rows that are scaled, with the predictions as they should be."""
    rng = np.random.default_rng(0)
    net = Network([2, 3, 1], [Tanh(), Identity()])
    theta = net.initialize(rng)
    theta += 0.1 * rng.standard_normal(theta.size)  # biases that are not 0
    X, Y = rng.standard_normal((30, 2)), rng.standard_normal((30, 1))
    shift, scale = np.array([0.3, -0.2]), np.array([1.5, 0.5])
    rows = slice(None) if index is None else index
    w = rng.uniform(0.1, 2, 30) if weighted else None
    mean = w[rows].mean() if weighted else 1.0
    inputs, targets = Rows(table(X), dtype, shift, scale), Rows(Y, dtype, shift[:1], scale[:1])
    data = Data(inputs, targets, w, mean, index)
    validation = Validation(net, SquaredError(), data, scorer)
    W, b, _ = net.views(theta)
    X, Y = (X - shift) / scale, (Y - shift[0]) / scale[0]
    A = (np.tanh(X @ W[1] + b[1]) @ W[2] + b[2])[rows]
    return validation, theta.astype(dtype), A, Y[rows], None if w is None else w[rows, None]


@pytest.mark.parametrize("index", [None, np.array([3, 4, 29, 11])])
@pytest.mark.parametrize("weighted", [False, True])
def test_validation_is_the_mean_loss_and_r_squared_of_its_rows(index, weighted):
    validation, theta, A, Y, w = validation_case(index, weighted)
    loss, score = validation.loss_and_score(theta)
    # Sums of 30 terms in another order.
    assert loss == pytest.approx(np.average((A - Y) ** 2, axis=0, weights=w)[0], rel=1e-12)
    assert score == pytest.approx(
        r2_score(Y, A, sample_weight=None if w is None else w[:, 0]), rel=1e-12
    )


@pytest.mark.parametrize("table", [np.asfortranarray, sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("index", [None, np.array([3, 4, 29, 11])])
def test_validation_takes_every_table(table, dtype, index):
    validation, theta, A, Y, w = validation_case(index, True, table=table, dtype=dtype)
    for _ in range(2):  # and looks at it again at every epoch
        loss, score = validation.loss_and_score(theta)
        # The products of two layers and sums of 30 terms, each rounded to eps.
        rel = 100 * float(np.finfo(dtype).eps)
        assert loss == pytest.approx(np.average((A - Y) ** 2, axis=0, weights=w[:, 0])[0], rel=rel)
        assert score == pytest.approx(r2_score(Y, A, sample_weight=w[:, 0]), rel=rel, abs=rel)


def test_validation_follows_the_weights():
    validation, theta, *_ = validation_case(None, True)
    first = validation.loss_and_score(theta)
    theta *= 2
    assert validation.loss_and_score(theta) != first
    theta /= 2
    assert validation.loss_and_score(theta) == first


def test_a_scorer_is_given_the_weights():
    validation, theta, *_ = validation_case(None, False, scorer=lambda t: t.sum())
    assert validation.loss_and_score(theta)[1] == theta.sum()


# ----- watching ------------------------------------------------------------------------


def watch(losses=(), scores=None, **settings):
    """A Watch that has seen the losses, and the number of the epoch at which it stopped."""
    at = Progress(np.zeros(2))
    settings = {"unit": 1.0, "tol": 0.0, "patience": None, **settings}
    if scores is not None:
        coming = iter(scores)
        settings["validation"] = types.SimpleNamespace(loss_and_score=lambda theta: next(coming))
    w = Watch(settings.pop("history", History()), at, **settings)
    for i, loss in enumerate(losses, start=1):
        at.theta[...] = i
        if w.epoch_ended(loss):
            return w, i
    return w, None


def test_the_curve_is_in_the_callers_units_and_the_best_in_the_networks():
    w, stopped = watch([3.0, 1.0, 2.0], unit=10.0)
    assert w.history.loss_curve == [30, 10, 20]
    assert (w.history.best, w.history.best_epoch, stopped, w.reason) == (1.0, 2, None, None)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_patience_is_the_number_of_stalled_epochs_that_are_borne(patience):
    w, stopped = watch([2.0, 1.0] + [1.0 + 1e-9] * 10, patience=patience)
    assert (w.reason, stopped) == ("patience", 2 + patience + 1)


def test_an_improvement_below_tol_is_a_stalled_epoch_but_still_the_best():
    losses = [1.0 - 0.01 * i for i in range(20)]
    w, stopped = watch(losses, patience=3, tol=0.05)
    # From one epoch to the next 0.01 is less than tol, and the best moves along.
    assert (w.reason, stopped) == ("patience", 5)
    assert w.history.best == losses[4]


def test_an_improvement_of_tol_renews_patience():
    w, stopped = watch([5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0], patience=1, tol=1.0)
    assert (w.reason, stopped) == (None, None)


def test_without_patience_nothing_stalls():
    w, stopped = watch([1.0] * 50, patience=None)
    assert (w.reason, stopped, w.history.stalled) == (None, None, 0)


def test_a_warm_start_has_its_full_patience():
    history = History()
    assert watch([1.0] * 10, patience=2, history=history, tol=1e-4)[1] == 4
    assert watch([1.0] * 10, patience=2, history=history, tol=1e-4)[1] == 3
    assert history.loss_curve == [1.0] * 7


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_at_once_and_is_no_improvement(loss):
    w, stopped = watch([3.0, loss, 1.0], patience=10)
    assert (w.reason, stopped, w.history.best) == ("diverged", 2, 3.0)


def test_the_best_weights_are_a_copy():
    w, _ = watch([3.0, 1.0, 2.0], keep_best=True)
    np.testing.assert_array_equal(w.history.best_theta, [2, 2])
    np.testing.assert_array_equal(w.at.theta, [3, 3])
    assert watch([3.0, 1.0])[0].history.best_theta is None


VALIDATION = [(3.0, 0.1), (1.0, 0.2), (2.0, 0.9), (4.0, 0.3)]  # loss, score


@pytest.mark.parametrize(
    ("settings", "best", "epoch"),
    [
        ({}, 0.1, 4),  # the training loss
        ({"early_stopping": True}, 1.0, 2),  # the validation loss
        ({"early_stopping": True, "on_score": True}, -0.9, 3),  # the score
    ],
)
def test_epochs_are_judged_by_what_was_asked_for(settings, best, epoch):
    w, _ = watch([0.4, 0.3, 0.2, 0.1], scores=VALIDATION, unit=10.0, **settings)
    assert (w.history.best, w.history.best_epoch) == (best, epoch)
    assert w.history.validation_loss_curve == [30, 10, 20, 40]
    assert w.history.validation_scores == [0.1, 0.2, 0.9, 0.3]


def test_a_plateau_divides_the_rate_by_5_until_it_is_small():
    """0.1 → 0.02 → … → 1.28e-6 → 2.56e-7: eight divisions, the last to below 1e-6."""
    w, stopped = watch([1.0] * 100, patience=1, schedule=Adaptive(), learning_rate=0.1, tol=1e-4)
    assert w.reason == "patience"
    assert w.at.slowdown == pytest.approx(0.2**8, rel=1e-12)
    assert stopped == 1 + 9 * 2  # the first epoch improves on inf; then two for each plateau


def test_other_schedules_have_no_plateau():
    w, stopped = watch([1.0] * 100, patience=1, schedule=Constant(), learning_rate=0.1, tol=1e-4)
    assert (w.reason, stopped, w.at.slowdown) == ("patience", 3, 1.0)


def test_a_callback_sees_the_weights_and_may_stop():
    seen = []

    def callback(theta, last):
        seen.append(theta[0])
        return len(seen) == 3

    w, stopped = watch([3.0, 2.0, 1.0, 0.5], callback=callback)
    assert (w.reason, stopped, seen) == ("callback", 3, [1, 2, 3])


def test_the_clock_stops_after_an_epoch():
    assert watch([3.0, 2.0], deadline=0.0)[1] == 1
    assert watch([3.0, 2.0], deadline=0.0)[0].reason == "time"
    assert watch([3.0, 2.0], deadline=np.inf)[1] is None


def test_another_judge_begins_anew_and_the_same_goes_on():
    history = History(best=1.0, best_theta=np.ones(2), best_epoch=7, stalled=3)
    history.judge_by("loss")
    assert (history.best, history.best_epoch, history.stalled) == (1.0, 7, 3)
    history.judge_by("validation loss")
    assert (history.best, history.best_epoch, history.stalled) == (np.inf, 0, 0)
    assert history.best_theta is None
    assert history.judged_by == "validation loss"


def test_verbose_prints_a_line_an_epoch(capsys):
    watch([0.5, 0.25], scores=[(0.75, 0.125), (0.5, 0.25)], unit=2.0, verbose=True)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1, loss = 1, validation loss = 1.5, validation score = 0.125000",
        "Epoch 2, loss = 0.5, validation loss = 1, validation score = 0.250000",
    ]
    watch([0.5], verbose=True)
    assert capsys.readouterr().out == "Epoch 1, loss = 0.5\n"
    watch([0.5])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", LOSSES)
def test_validation_takes_every_loss(name):
    rng = np.random.default_rng(0)
    net = Network([2, 1], [Identity()])
    theta = np.array([3.0, 0.1, 0.2])  # the bias first: predictions near 3, positive
    X, Y = rng.uniform(-1, 1, (20, 2)), rng.uniform(1, 5, (20, 1))
    loss = LOSSES[name]()
    A = X @ theta[1:, None] + 3
    data = Data(Rows(X, np.float64), Rows(Y, np.float64))
    value, _ = Validation(net, loss, data).loss_and_score(theta)
    # Sums of 20 terms in another order.
    assert value == pytest.approx(loss.elementwise(A, Y).mean(), rel=1e-12)


@pytest.mark.parametrize("unit", [1.0, 10.0])
@pytest.mark.parametrize(
    ("judged", "stops"),
    [
        ([8.0, 9, 9, 9, 9, 9, 7], 3),
        ([8.0, 9, 8.2, 9, 9, 9, 9], 7),  # within 3 %
        ([-8.0, -7, -8.5, -8, -8, -8, -9], None),  # each cycle is the best: a loss may be below 0
        ([-8.0, -7, -7.8, -7, -7, -7, -7], 7),
        ([-8.0, -7, -7.7, -7, -7, -7, -9], 3),
    ],
)
@pytest.mark.parametrize("on_score", [False, True])
def test_a_cycle_is_in_vain_that_comes_nowhere_near_the_best(judged, stops, on_score, unit):
    coming = iter([(loss, -loss) for loss in judged])
    w, _ = watch(
        unit=unit,
        valleys=[1, 3, 7],
        validation=types.SimpleNamespace(loss_and_score=lambda theta: next(coming)),
        early_stopping=True,
        on_score=on_score,
    )
    ended = []
    for w.at.epochs in range(1, 8):
        ended.append(w.epoch_ended(1.0))
        if ended[-1]:
            break
    assert ended == [False] * ((stops or 8) - 1) + [True] * (stops is not None)
