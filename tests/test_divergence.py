"""A training that goes astray is noticed, and ends in a good model, a warning or an error."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from own import classic
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from skbackprop.activations import ACTIVATIONS
from skbackprop.divergence import Measure, loss_of_mean, mean_loss, measure
from skbackprop.feed import Data
from skbackprop.losses import LOSSES
from skbackprop.network import Network
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH
from skbackprop.scaling import Rows

every_optimizer = pytest.mark.parametrize("solver", OPTIMIZERS)
RATES = [1e3, 1e10, 1e300]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    return X, X @ [1.0, 2.0, -1.0, 0.5] + 0.1 * rng.standard_normal(200)


# ----- the measure ---------------------------------------------------------------------


def rows_of(X, Y, weight=None):
    mean = 1.0 if weight is None else weight.mean()
    return Data(Rows(X, np.float64), Rows(Y, np.float64), weight, mean)


@pytest.fixture(scope="module")
def network():
    output = "softplus"  # predictions above 0, which every loss accepts
    return Network([4, 3, 2], [ACTIVATIONS["tanh"](), ACTIVATIONS[output]()])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_those_of_all_rows_at_once(network, loss, weighted):
    """Whatever the blocks: 70,000 targets are three of them."""
    rng, loss, n = np.random.default_rng(0), LOSSES[loss](), 70_000
    X, Y = rng.standard_normal((n, 4)), rng.uniform(1, 3, (n, 2))
    weight = rng.uniform(0, 2, n) if weighted else None
    data, theta = rows_of(X, Y, weight), network.initialize(rng)
    A = network.predict(theta, lambda rows, out: np.copyto(out, X[rows]), np.empty_like(Y))
    w = None if weight is None else (weight / weight.sum())[:, None]
    expected = loss.value(A, Y, w)
    assert mean_loss(network, loss, data, theta) == pytest.approx(expected, rel=1e-12)
    mean = np.broadcast_to(np.average(Y, axis=0, weights=weight), Y.shape)
    expected = loss.value(mean.copy(), Y, w)
    assert loss_of_mean(network, loss, data) == (pytest.approx(expected, rel=1e-12), False)


def test_of_a_constant_the_scale_is_its_size(network):
    X, loss = np.ones((5, 4)), LOSSES["squared_error"]()
    theta = network.initialize(np.random.default_rng(0))
    for constant, size in ((-3.0, 18.0), (0.0, 2.0)):  # of two outputs
        found = loss_of_mean(network, loss, rows_of(X, np.full((5, 2), constant)))
        assert found == (pytest.approx(size), True)
    assert measure(network, loss, rows_of(X, np.zeros((5, 2))), theta).bound == np.inf
    earlier = Measure(bound=3.0, scale=50.0)
    found = measure(network, loss, rows_of(X, np.zeros((5, 2))), theta, True, earlier)
    assert found.bound == pytest.approx(20) and found.scale == 50


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [(0.5, None), (1.0, None), (1.02, "worse"), (19, "worse"), (21, "useless"),
     (np.inf, "useless"), (np.nan, "useless")],
)  # fmt: skip
def test_verdicts(loss, verdict):
    assert Measure(bound=1.01, scale=2.0).verdict(loss) == verdict


# ----- what becomes of a fit -----------------------------------------------------------


@every_optimizer
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_without_hope_is_an_error_at_once(data, solver, rate):
    passes = []

    def counted(progress):
        passes.append(progress)
        return 1.0

    model = classic(solver=solver, learning_rate_init=rate, learning_rate=counted, random_state=0)
    with pytest.raises(ValueError, match=r"(?i)epoch \d\b.*learning_rate_init"):
        model.fit(*data)
    assert not hasattr(model, "theta_") and len(passes) <= 5  # a step each, of 200 epochs


@every_optimizer
@pytest.mark.parametrize("rate", RATES)
def test_with_early_stopping_it_is_the_mean_and_a_warning(data, solver, rate):
    model = classic(solver=solver, learning_rate_init=rate, early_stopping=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d\b.*learning_rate_init"):
        model.fit(*data)
    assert r2_score(data[1], model.predict(data[0])) > -0.01
    assert np.isfinite(model.theta_).all()


@every_optimizer
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_training_that_goes_astray_late_falls_back(data, solver, early_stopping):
    def rate(progress):
        return 1.0 if progress < 0.5 else 1e12

    model = classic(
        solver=solver, learning_rate=rate, learning_rate_init=0.01, max_iter=100, random_state=0,
        early_stopping=early_stopping, n_iter_no_change=np.inf, warm_start=True,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 5.*learning_rate_init"):
        model.fit(*data)
    assert r2_score(data[1], model.predict(data[0])) > 0.9
    # And is gone on with from there, with moments that begin anew.
    moments = [v for v in model._training["optimizer"].values() if np.ndim(v)]
    assert not any(M.any() for M in moments)
    model.set_params(learning_rate="constant", max_iter=5).fit(*data)
    assert r2_score(data[1], model.predict(data[0])) > 0.9


def test_a_refit_that_diverges_leaves_the_old_model(data):
    model = classic(max_iter=5, random_state=0).fit(*data)
    model.set_params(learning_rate_init=1e3)
    before = pickle.dumps(model)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="learning_rate_init"):
            train(*data)
        assert pickle.dumps(model) == before


@every_optimizer
@pytest.mark.parametrize("cause", ["X", "y"])
def test_a_batch_that_ruins_the_moments_is_refused(data, solver, cause):
    X, y = data
    model = classic(solver=solver, random_state=0).partial_fit(X, y)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"non-finite|diverged"):
        model.partial_fit(X * (1e200 if cause == "X" else 1), y * (1e200 if cause == "y" else 1))
    assert pickle.dumps(model) == before
    assert np.isfinite(model.partial_fit(X, y).predict(X)).all()


@pytest.mark.parametrize("solver", [*OPTIMIZERS, *FULL_BATCH])
def test_a_model_that_is_worse_than_the_mean_says_so(data, solver):
    X, y = data
    model = classic(
        solver=solver, max_iter=1, learning_rate_init=1e-9, random_state=0, standardize=False,
        max_fun=1,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="worse than predicting the mean of y"):
        model.fit(X, y + 100)
    assert r2_score(y + 100, model.predict(X)) < 0


@pytest.mark.parametrize(
    ("solver", "loss"), [*product([*OPTIMIZERS, "lbfgs"], LOSSES), ("lm", "squared_error")]
)
def test_an_ordinary_training_is_left_alone(data, loss, solver):
    X, y = data
    y = np.exp(y / 4) if LOSSES[loss].positive else y
    model = classic(loss, solver=solver, random_state=0, learning_rate_init=0.01)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert not [w for w in caught if "diverged" in str(w.message) or "worse" in str(w.message)]


# ----- Ctrl-C --------------------------------------------------------------------------


class Interrupted:
    """A schedule that ends in Ctrl-C after so many steps, which here are epochs."""

    def __init__(self, epochs):
        self.left = epochs

    def __call__(self, progress):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return 1.0


@every_optimizer
def test_ctrl_c_keeps_the_best_epoch(data, solver):
    """Here the last one that ended: the fit of as many epochs, bit for bit."""
    settings = {"solver": solver, "batch_size": 200, "random_state": 0, "n_iter_no_change": np.inf}
    whole = classic(**settings, max_iter=7).fit(*data)
    assert whole.best_loss_ == whole.loss_  # it falls in every epoch
    model = classic(**settings, max_iter=50, learning_rate=Interrupted(7))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data)
    assert model.n_iter_ == 7 and model.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(model.theta_, whole.theta_)


def test_ctrl_c_stops_a_cross_validation(data):
    model = classic(batch_size=200, max_iter=5, learning_rate=Interrupted(3))
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(model, *data, error_score=0.0)


def test_a_stream_that_jumps_is_told():
    """Not a reason to refuse a call; but the model is worse than the mean."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    model = classic(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            model.partial_fit(X, X[:, 0])
        model.partial_fit(X[:1], X[:1, 0]).partial_fit(X[:5], np.zeros(5))
    with pytest.warns(ConvergenceWarning, match="ten times worse .* first call"):
        model.partial_fit(1000 * X, X[:, 0])
