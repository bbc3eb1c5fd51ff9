"""A parameter that is changed after fit: predictions stay, training follows or says it cannot.

For each parameter of the constructor: predictions and their like are the same bit for bit; then
`fit` with warm_start and `partial_fit` either do something else than those of an unchanged twin,
or raise a ValueError that names the parameter, or there is a reason why nothing can show.
"""

import inspect
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from own import classic

from skbackprop import BackpropRegressor
from skbackprop.activations import ELU, LeakyReLU
from skbackprop.losses import Huber
from skbackprop.optimizers import Adam

FOLLOWS, RAISES = "follows", "raises"
ONE_PASS = "partial_fit is one pass over its rows, and keeps none for validation"


@dataclass
class Change:
    """To another value, and what comes of it; of anything else than the two, the reason why."""

    to: object
    fit: str = FOLLOWS
    partial_fit: str = FOLLOWS
    given: dict = field(default_factory=dict)  # other parameters, such that it matters
    message: str = "cannot change {name} from .* to "


CHANGES = {
    "loss": Change("huber", RAISES, RAISES),
    "hidden_layer_sizes": Change((5,), RAISES, RAISES),
    "activation": Change("tanh", RAISES, RAISES),
    "solver": Change("sgd", RAISES, RAISES),
    "alpha": Change(10.0),
    "batch_size": Change(7),
    "learning_rate": Change("invscaling"),
    "learning_rate_init": Change(0.1),
    "power_t": Change(0.1, given={"learning_rate": "invscaling"}),
    "max_iter": Change(6, given={"learning_rate": "cosine"}),
    "shuffle": Change(False, given={"batch_size": 7}),
    "random_state": Change(
        1,
        "the generator goes on from where it stands; the seed is that of a new start",
        "the generator goes on from where it stands; the seed is that of a new start",
    ),
    "tol": Change(1e3, FOLLOWS, ONE_PASS, {"n_iter_no_change": 1, "max_iter": 4}),
    "verbose": Change(True),
    "warm_start": Change(False, FOLLOWS, "partial_fit always goes on"),
    "momentum": Change(0.1, given={"solver": "sgd"}),
    "nesterovs_momentum": Change(False, given={"solver": "sgd"}),
    "early_stopping": Change(True, FOLLOWS, ONE_PASS),
    "validation_fraction": Change(0.5, FOLLOWS, ONE_PASS, {"early_stopping": True}),
    "beta_1": Change(0.1),
    "beta_2": Change(0.1),
    "epsilon": Change(1.0),
    "n_iter_no_change": Change(1, FOLLOWS, ONE_PASS, {"tol": 1e3, "max_iter": 6}),
    "max_fun": Change(
        1, FOLLOWS, "partial_fit has no solver that counts evaluations", {"solver": "lbfgs"}
    ),
    "output_activation": Change("softplus", RAISES, RAISES),
    "fit_intercept": Change(False, RAISES, RAISES),
    "standardize": Change(False, RAISES, RAISES),
    "dropout": Change(0.5),
    "clip_norm": Change(1e-3),
    "quantile": Change(0.1, given={"loss": "quantile"}),
    "dtype": Change("float32", RAISES, RAISES),
    "scoring": Change("neg_max_error", FOLLOWS, ONE_PASS, {"early_stopping": True}),
    "max_time": Change(1e-9, FOLLOWS, ONE_PASS),
    "checkpoint": Change(
        "a.skb", RAISES, "partial_fit keeps no checkpoint", message="{name} needs warm_start=False"
    ),
    "checkpoint_every": Change(1, "there is no checkpoint", "partial_fit keeps no checkpoint"),
    "n_networks": Change(3, RAISES, RAISES),
    "n_bins": Change(4, RAISES, RAISES, {"standardize": "robust"}),
    "parametrization": Change("neural_tangent", RAISES, RAISES),
}


def test_every_parameter_has_an_entry():
    assert list(CHANGES) == list(inspect.signature(BackpropRegressor).parameters)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, X[:, 0] - X[:, 1] * X[:, 2]


def new(name):
    base = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, "warm_start": True}
    return classic(**{**base, **CHANGES[name].given})


def told(model, X, y):
    """What a fitted model says of itself and of the data, as bytes."""
    answers = [model.predict(X), model.predict(X[:1]), model.score(X, y)]
    if model.bin_columns_ is None:  # of encoded inputs there is no such network
        answers.append(model.to_mlp_regressor().predict(X))
    return [np.asarray(M).tobytes() for M in (*answers, *model.coefs_, *model.intercepts_)]


@pytest.mark.parametrize("name", CHANGES)
def test_predictions_stay(data, name):
    model = new(name).fit(*data)
    before = told(model, *data)
    fitted = {key: pickle.dumps(value) for key, value in vars(model).items() if key != name}
    model.set_params(**{name: CHANGES[name].to})
    assert told(model, *data) == before
    assert {k: pickle.dumps(value) for k, value in vars(model).items() if k != name} == fitted
    assert told(pickle.loads(pickle.dumps(model)), *data) == before


def outcome(model, train, capsys):
    """Everything that can show a change, the printed lines included."""
    capsys.readouterr()
    train(model)
    curves = model.loss_curve_, model.validation_loss_curve_, model.validation_scores_
    return model.theta_.tobytes(), model.n_iter_, curves, capsys.readouterr().out


def check(name, expected, train, data, capsys):
    change, model = CHANGES[name], new(name).fit(*data)
    twin = pickle.loads(pickle.dumps(model))
    model.set_params(**{name: change.to})
    if expected == RAISES:
        before = pickle.dumps(vars(model))
        with pytest.raises(ValueError, match=change.message.format(name=name)):
            train(model)
        assert pickle.dumps(vars(model)) == before
        return
    followed = outcome(model, train, capsys) != outcome(twin, train, capsys)
    assert followed == (expected == FOLLOWS), expected


@pytest.mark.parametrize("name", CHANGES)
def test_a_warm_start_follows_or_refuses(data, name, capsys):
    check(name, CHANGES[name].fit, lambda model: model.fit(*data), data, capsys)


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "max_fun"])
def test_partial_fit_follows_or_refuses(data, name, capsys):
    check(name, CHANGES[name].partial_fit, lambda m: m.partial_fit(*data), data, capsys)


def test_partial_fit_of_lbfgs_says_so(data):
    model = new("max_fun").fit(*data)
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        model.partial_fit(*data)
    assert "solver='lbfgs'" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="cannot change solver"):
        model.set_params(solver="adam").partial_fit(*data)
    assert model.set_params(warm_start=False).fit(*data).partial_fit(*data).n_iter_ > 1


# ----- objects that are changed in place ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "change"),
    [
        ("hidden_layer_sizes", [8, 4], lambda sizes: sizes.append(3)),
        ("hidden_layer_sizes", np.array([8, 4]), lambda sizes: sizes.fill(3)),
        ("activation", ["relu", "tanh"], lambda g: g.__setitem__(0, "tanh")),
        ("activation", ELU(1.0), lambda g: setattr(g, "alpha", 3.0)),
        ("activation", [ELU(1.0), "relu"], lambda g: setattr(g[0], "alpha", 3.0)),
        ("output_activation", LeakyReLU(0.5), lambda g: setattr(g, "negative_slope", 0.1)),
        ("loss", Huber(1.0), lambda loss: setattr(loss, "delta", 0.1)),
        ("solver", Adam(0.9), lambda solver: setattr(solver, "beta_1", 0.1)),
    ],
)
def test_what_is_changed_in_place_is_changed_too(data, name, value, change):
    base = {"hidden_layer_sizes": (8, 4), "max_iter": 3, "random_state": 0, "warm_start": True}
    model = classic(**{**base, name: value}).fit(*data)
    before = told_of_any(model, data)
    model.fit(*data)  # of the same objects, unchanged
    model.partial_fit(*data)
    model = classic(**{**base, name: value}).fit(*data)
    assert told_of_any(model, data) == before
    change(value)
    assert told_of_any(model, data) == before
    for train in (model.fit, model.partial_fit):
        with pytest.raises((ValueError), match=name):
            train(*data)
    assert told_of_any(model, data) == before


def told_of_any(model, data):
    answers = [model.predict(data[0]), model.score(*data), *model.coefs_, *model.intercepts_]
    return [np.asarray(M).tobytes() for M in answers]


# ----- what earlier values leave behind -----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "extra"),
    [
        ({"alpha": 50.0}, {}),
        ({"dropout": 0.8}, {}),
        ({"quantile": 0.01}, {"loss": "quantile"}),
        ({"validation_fraction": 0.5}, {"early_stopping": True}),
        ({"quantile": 0.01}, {"loss": "quantile", "early_stopping": True}),
    ],
)
def test_a_best_epoch_is_not_the_best_by_another_measure(data, change, extra):
    """The loss of alpha=50 never falls below that of alpha=0; that is no lack of progress."""
    settings = {"hidden_layer_sizes": (8,), "random_state": 0, "warm_start": True, "alpha": 0}
    model = classic(max_iter=30, learning_rate_init=0.01, **settings, **extra)
    model.fit(*data)
    epochs = len(model.loss_curve_)
    model.set_params(max_iter=3, **change).fit(*data)
    state = model._training["history"]
    assert state["judged_from"] == epochs
    assert state["best_epoch"] > epochs
    if not extra.get("early_stopping"):
        assert model.best_loss_ == min(model.loss_curve_[epochs:])


def test_another_schedule_starts_at_the_full_rate(data):
    settings = {"hidden_layer_sizes": (8,), "random_state": 0, "warm_start": True}
    model = classic(
        learning_rate="adaptive", tol=1e3, n_iter_no_change=1, max_iter=8, **settings
    ).fit(*data)
    assert model._training["slowdown"] < 1
    model.set_params(max_iter=1).fit(*data)
    assert model._training["slowdown"] < 1  # the same schedule goes on
    model.set_params(learning_rate="constant").fit(*data)
    assert model._training["slowdown"] == 1
