"""Pictures: what is drawn is what was computed, and what is written can be read."""

import re
import subprocess
import sys
import warnings
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from own import classic
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge

import skbackprop
from skbackprop import (
    ActivationDisplay,
    GradientFlowDisplay,
    LossCurveDisplay,
    MarginalEffectsDisplay,
    NetworkDisplay,
)
from skbackprop.activations import ACTIVATIONS
from skbackprop.drawing import shortened
from skbackprop.trained import fitting_at, trained_by

OF_FITTED = [LossCurveDisplay, NetworkDisplay, ActivationDisplay]
LONG = "a very long ${j}$ name, in [mmol/l], of feature number {j}"


@pytest.fixture(autouse=True)
def plt():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def data(features=3, outputs=1, rows=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, features))
    Y = np.tanh(X @ rng.normal(size=(features, outputs))) + 0.1 * rng.normal(size=(rows, outputs))
    return X, Y if outputs > 1 else Y[:, 0]


def fitted(X, y, **params):
    params = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0} | params
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classic(**params).fit(X, y)


def assert_no_overlap(texts):
    texts[0].figure.canvas.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts if text.get_text().strip()]
    figure = texts[0].figure.bbox
    assert all(box.x0 >= figure.x0 - 1 and box.x1 <= figure.x1 + 1 for box in boxes)
    for a, b in combinations(boxes, 2):
        inside = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(inside) <= 0.5, (a, b)


# ----- all of them -----------------------------------------------------------------


@pytest.mark.parametrize("display", OF_FITTED)
def test_an_estimator_that_is_not_fitted_or_another_one_is_refused(display, plt):
    with pytest.raises(NotFittedError):
        display.from_estimator(classic())
    with pytest.raises(TypeError, match=r"must be a BackpropRegressor .*pipeline\[-1\]"):
        display.from_estimator(Ridge())
    assert not plt.get_fignums()


def test_marginal_effects_and_gradient_flow_refuse_them_too():
    X, y = data()
    with pytest.raises(NotFittedError):
        MarginalEffectsDisplay.from_estimator(classic(), X)
    with pytest.raises(TypeError, match="must be a BackpropRegressor"):
        GradientFlowDisplay.from_estimator(Ridge(), X, y)


def test_axes_that_are_given_are_drawn_into(plt):
    X, y = data()
    model = fitted(X, y)
    figure, axes = plt.subplots(1, 5, figsize=(20, 4))
    displays = [
        *(d.from_estimator(model, ax=ax) for d, ax in zip(OF_FITTED, axes, strict=False)),
        MarginalEffectsDisplay.from_estimator(model, X, ax=axes[3]),
        GradientFlowDisplay.from_estimator(model, X, y, ax=axes[4]),
    ]
    assert all(d.ax_ is ax and d.figure_ is figure for d, ax in zip(displays, axes, strict=True))
    assert plt.get_fignums() == [figure.number]
    again = displays[0].plot()
    assert again is displays[0] and again.figure_ is not figure


def test_what_is_drawn_is_documented():
    X, y = data()
    model = fitted(X, y)
    displays = [display.from_estimator(model) for display in OF_FITTED]
    displays += [MarginalEffectsDisplay.from_estimator(model, X)]
    displays += [GradientFlowDisplay.from_estimator(model, X, y)]
    for display in displays:
        names = {name for name in vars(display) if name.endswith("_")}
        attributes = type(display).__doc__.partition("Attributes")[2].partition("Examples")[0]
        assert {"ax_", "figure_"} < names
        assert {name for name in names if not re.search(rf"\b{name}\b", attributes)} == set()


def test_matplotlib_is_imported_when_something_is_drawn():
    names = [name for name in skbackprop.__all__ if name.endswith("Display")]
    code = (
        f"import sys, skbackprop; [getattr(skbackprop, name) for name in {names}]; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert len(names) == 5
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_matplotlib_the_error_says_who_needs_it(monkeypatch):
    X, y = data()
    model = fitted(X, y)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in OF_FITTED:
        with pytest.raises(ImportError, match=f"{display.__name__}.from_estimator requires matplo"):
            display.from_estimator(model)
    with pytest.raises(ImportError, match=r"plot requires matplotlib.*pip install"):
        LossCurveDisplay([1.0]).plot()


def test_keywords_go_to_matplotlib_by_short_names_too():
    X, y = data()
    display = LossCurveDisplay.from_estimator(fitted(X, y), line_kw={"lw": 3, "c": "red"})
    assert display.line_.get_linewidth() == 3 and display.line_.get_color() == "red"
    with pytest.raises(TypeError, match="line_kw has one keyword by two names"):
        display.plot(line_kw={"lw": 3, "linewidth": 2})


@pytest.mark.parametrize(
    "keywords, kind, message",
    [
        ({"ax": "axes[0]"}, TypeError, r"ax must be one matplotlib Axes, or None; got 'axes\[0\]'"),
        ({"ax": np.array([None, None])}, TypeError, "ax must be one matplotlib Axes"),
        ({"line_kw": "red"}, TypeError, "line_kw must be a dict of matplotlib's keywords; got 're"),
    ],
)
def test_axes_and_keywords_of_the_wrong_kind_are_refused_by_name(keywords, kind, message, plt):
    X, y = data()
    model = fitted(X, y)
    calls = [partial(LossCurveDisplay.from_estimator, model)]
    calls += [partial(ActivationDisplay.from_activation, "relu")]
    calls += [partial(ActivationDisplay.from_estimator, model)]
    calls += [partial(MarginalEffectsDisplay.from_estimator, model, X)]
    calls += [partial(GradientFlowDisplay.from_estimator, model, X, y)]
    of_network = {"edge_kw" if name == "line_kw" else name: v for name, v in keywords.items()}
    for call in calls:
        with pytest.raises(kind, match=message):
            call(**keywords)
    with pytest.raises(kind, match=message.replace("line_kw", "edge_kw")):
        NetworkDisplay.from_estimator(model, **of_network)
    if "ax" in keywords:
        assert not plt.get_fignums()


@pytest.mark.parametrize("value", ["a", 2.5, True, 0, -1, np.nan])
def test_how_many_are_drawn_is_a_positive_integer(value):
    X, y = data()
    model = fitted(X, y)
    for name, draw in (
        ("max_nodes", partial(NetworkDisplay.from_estimator, model)),
        ("max_features", partial(MarginalEffectsDisplay.from_estimator, model, X)),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be an integer >= 1; got"):
            draw(**{name: value})


@pytest.mark.parametrize("names", [["a", "b"], "abc", 3, [["a", "b", "c"]]])
def test_names_that_are_no_list_of_as_many_are_refused(names):
    model = fitted(*data())
    with pytest.raises(ValueError, match="feature_names must be a list of 3 names; got"):
        NetworkDisplay.from_estimator(model, feature_names=names)
    for good in (("a", "b", "c"), np.array(["a", "b", "c"])):
        assert NetworkDisplay.from_estimator(model, feature_names=good).feature_names[2] == "c"


def test_long_names_keep_their_ends():
    assert shortened("short") == "short" and shortened("two\nlines") == "two lines"
    name = shortened(LONG.format(j=123))
    assert name == "a very long …number 123"[:12] + "…" + LONG.format(j=123)[-11:]


# ----- losses ----------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_curves_are_those_of_the_estimator(early_stopping, outputs):
    model = fitted(*data(outputs=outputs), early_stopping=early_stopping)
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_ydata(), model.loss_curve_)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, model.n_iter_ + 1))
    judged = model.validation_loss_curve_ if early_stopping else model.loss_curve_
    if early_stopping:
        np.testing.assert_array_equal(display.validation_line_.get_ydata(), judged)
    else:
        assert display.validation_line_ is None
    assert display.best_epoch == 1 + np.argmin(judged)
    assert display.best_epoch_line_.get_xdata()[0] == display.best_epoch
    assert display.ax_.get_ylabel() == "loss (squared_error)"
    assert display.learning_rate_line_ is None  # a constant one
    np.testing.assert_array_equal(display.learning_rate, 0.001)
    assert display.plot(learning_rate=True).learning_rate_line_ is not None
    with pytest.raises(ValueError, match="learning_rate must be True or False, or one of 'auto'"):
        display.plot(learning_rate="yes")


@pytest.mark.parametrize(
    "curve, scale", [([2, 1], "linear"), ([20, 1], "log"), ([20, -1], "linear")]
)
def test_a_curve_that_falls_far_is_drawn_on_a_logarithmic_scale(curve, scale):
    assert LossCurveDisplay(curve).plot().ax_.get_yscale() == scale


class Rates:
    """Stands for a schedule and notes what it was asked and gave."""

    def __init__(self, schedule):
        self.schedule, self.seen = schedule, []

    def __call__(self, t):
        self.seen.append((t, self.schedule(t, 0)))
        return self.seen[-1][1]


def test_a_planned_rate_is_that_of_every_epochs_first_step():
    from skbackprop.schedules import OneCycle

    model = fitted(*data(), learning_rate=Rates(OneCycle()), learning_rate_init=0.01, batch_size=30)
    rates = model.learning_rate.seen[::4]  # four batches a pass
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_allclose(display.learning_rate, [0.01 * rate for _, rate in rates[:12]])
    assert display.learning_rate_line_ is not None
    assert display.learning_rate_line_.get_drawstyle() == "steps-post"
    assert display.ax_.get_zorder() > display.learning_rate_ax_.get_zorder()  # the loss before it


def test_inverse_scaling_counts_the_rows():
    X, y = data()
    model = fitted(X, y, solver="sgd", learning_rate="invscaling", max_iter=3)
    display = LossCurveDisplay.from_estimator(model)
    expected = 0.001 * (1 + 120 * np.arange(3)) ** -0.5
    np.testing.assert_allclose(display.learning_rate, expected)
    again = LossCurveDisplay.from_estimator(model.set_params(warm_start=True).fit(X, y))
    expected = 0.001 * (1 + 360 + 120 * np.arange(3)) ** -0.5
    np.testing.assert_allclose(again.learning_rate, [np.nan] * 3 + list(expected))


def test_inverse_scaling_of_a_stream_is_not_known():
    """Whose calls may each have brought another number of rows, and nothing tells how many."""
    X, y = data()
    params = {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 3}
    stream = classic(hidden_layer_sizes=(4,), random_state=0, **params)
    for rows in (30, 90):  # 60 on average
        stream.partial_fit(X[:rows], y[:rows])
    gone_on = fitted(X, y, **params).partial_fit(X[:40], y[:40])
    warm = fitted(X, y, warm_start=True, **params).partial_fit(X, y)
    twice = fitted(X, y, warm_start=True, **params).fit(X, y).partial_fit(X[:80], y[:80])
    for model in (stream, gone_on, warm, twice):
        display = LossCurveDisplay.from_estimator(model)
        assert np.isnan(display.learning_rate).all() and display.learning_rate_line_ is None


def test_inverse_scaling_after_a_warm_start_goes_on_counting():
    X, y = data()
    params = {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 3}
    model = fitted(X, y, warm_start=True, **params).partial_fit(X[:7], y[:7]).fit(X[:50], y[:50])
    rates = LossCurveDisplay.from_estimator(model).learning_rate
    assert np.isnan(rates[:4]).all()
    np.testing.assert_allclose(rates[4:], 0.001 * (1 + 367 + 50 * np.arange(3)) ** -0.5)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": False},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "neg_median_absolute_error"},
    ],
)
def test_the_rate_of_adaptive_is_that_of_training(params, monkeypatch):
    from skbackprop import monitoring

    seen, ended = [], monitoring.Watch.epoch_ended

    def noting(self, loss):
        seen.append(self.learning_rate * self.at.slowdown)
        return ended(self, loss)

    monkeypatch.setattr(monitoring.Watch, "epoch_ended", noting)
    X, y = data()
    y = y + np.random.default_rng(1).normal(size=len(y))  # which validation does not follow
    params |= {"learning_rate": "adaptive", "learning_rate_init": 0.005, "max_iter": 300}
    model = fitted(X, 1e3 * y, n_iter_no_change=2, **params)
    expected = seen.copy()
    rates = LossCurveDisplay.from_estimator(model).learning_rate
    np.testing.assert_allclose(rates, expected)
    assert rates[-1] < rates[0]
    other = model.set_params(
        n_iter_no_change=999
    )  # with which the curves do not lead to the last rate
    assert LossCurveDisplay.from_estimator(other).learning_rate is None


def test_a_warm_start_knows_the_rates_of_its_last_fit_and_lbfgs_has_none():
    X, y = data()
    model = fitted(X, y, warm_start=True, max_iter=4, learning_rate="cosine").fit(X, y)
    rates = LossCurveDisplay.from_estimator(model).learning_rate
    assert np.isnan(rates[:4]).all()
    np.testing.assert_allclose(rates[4:], 0.0005 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    assert LossCurveDisplay.from_estimator(fitted(X, y, solver="lbfgs")).learning_rate is None


def test_a_stream_is_numbered_by_its_calls(monkeypatch):
    monkeypatch.setattr("skbackprop.fitted.STREAM", 5)
    X, y = data()
    model = classic(hidden_layer_sizes=(4,), random_state=0)
    for _ in range(8):
        model.partial_fit(X, y)
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_xdata(), [4, 5, 6, 7, 8])
    assert display.best_epoch == 4 + np.argmin(model.loss_curve_)


def test_epochs_are_counted(plt):
    """No tick between them, where matplotlib by itself would have some."""
    X, y = data()
    model = classic(max_iter=2, random_state=0)
    for display in (
        LossCurveDisplay.from_estimator(fitted(X, y, max_iter=2)),
        GradientFlowDisplay.from_estimator(model, X, y),
    ):
        ticks = display.ax_.get_xticks()
        np.testing.assert_array_equal(ticks, np.round(ticks))


# ----- gradients -------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"dropout": 0.3}, {"alpha": 3.0}])
def test_norms_are_those_of_the_gradient_and_the_estimator_is_left_alone(params):
    X, y = data()
    model = classic(hidden_layer_sizes=(6, 5), max_iter=4, random_state=0, **params)
    display = GradientFlowDisplay.from_estimator(model, X, y)
    assert not hasattr(model, "theta_") and model.get_params()["max_iter"] == 4
    reference = fitted(X, y, **params | {"hidden_layer_sizes": (6, 5), "max_iter": 4})
    assert display.norms.shape == (reference.n_iter_ + 1, 3)
    known = reference._checked() | {"dtype": "float64", "dropout": 0.0, "random_state": 0}
    table = X, y[:, None], None
    t = trained_by(fitting_at(vars(reference), known, table, "a test"), np.arange(len(X)))
    norms = [np.linalg.norm(dW) for dW in t.dW[1:]]
    np.testing.assert_allclose(display.norms[-1], norms, rtol=1e-9)
    for line, curve in zip(display.lines_, display.norms.T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)


def test_a_deep_network_has_a_colour_bar_and_a_divergence_is_drawn():
    X, y = data()
    deep = classic(hidden_layer_sizes=(4,) * 10, max_iter=2, random_state=0)
    display = GradientFlowDisplay.from_estimator(deep, X, y)
    assert len(display.lines_) == 11 and len(display.figure_.axes) == 2
    wild = classic(hidden_layer_sizes=(4,), solver="sgd", learning_rate_init=1e6, max_iter=9)
    assert len(GradientFlowDisplay.from_estimator(wild, X, y).norms) > 1


def test_a_fit_of_its_own_has_nothing_to_do_with_a_checkpoint(tmp_path):
    X, y = data()
    file = tmp_path / "run.skb"
    model = fitted(X, y, max_iter=3, checkpoint=file)  # a run that has ended
    before = file.read_bytes()
    norms = GradientFlowDisplay.from_estimator(model, X, y).norms
    assert len(norms) == 4 and file.read_bytes() == before
    model.set_params(checkpoint=tmp_path / "none.skb", warm_start=True)  # fit would refuse these
    np.testing.assert_array_equal(norms, GradientFlowDisplay.from_estimator(model, X, y).norms)
    assert list(tmp_path.iterdir()) == [file]


def test_a_gradient_of_zero_is_a_gap_and_layers_have_colours():
    d = GradientFlowDisplay(np.array([[1.0, 2.0], [0.0, 3.0]])).plot()
    np.testing.assert_array_equal(d.lines_[0].get_ydata(), [1, np.nan])
    assert d.lines_[0].get_color() != pytest.approx(d.lines_[1].get_color())
    assert [t.get_text() for t in d.ax_.get_legend().get_texts()] == ["dW[1]", "dW[2]"]


# ----- networks --------------------------------------------------------------------


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("features, hidden", [(3, (8, 5)), (30, (100,) * 2), (300, (6,) * 8)])
def test_a_network_can_be_read(features, hidden, long, plt):
    X, y = data(features, 2)
    model = fitted(X, y, hidden_layer_sizes=hidden, max_iter=1)
    names = [LONG.format(j=j) for j in range(features)] if long else None
    for size in (None, (4, 3)):
        ax = None if size is None else plt.figure(figsize=size).add_subplot()
        d = NetworkDisplay.from_estimator(model, feature_names=names, ax=ax)
        assert_no_overlap(d.name_texts_ + d.title_texts_ + d.node_texts_)


@pytest.mark.parametrize("features", [3, 30, 300])
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_a_deep_network_in_a_grid_of_pictures_can_be_read(features, layout, plt):
    X, y = data(features, 3)
    model = fitted(X, y, hidden_layer_sizes=(20,) * 6, max_iter=1)
    axes = plt.subplots(2, 2, layout=layout)[1]
    names = [LONG.format(j=j) for j in range(features)]
    d = NetworkDisplay.from_estimator(model, feature_names=names, ax=axes[0, 0])
    texts = d.name_texts_ + d.title_texts_ + [t for t in d.node_texts_ if t.get_text() != "⋮"]
    assert min(text.get_fontsize() for text in texts) >= 3.5
    assert_no_overlap(texts)
    apart = d.ax_.transData.transform([(1, 0), (2, 0)])
    assert d.node_collection_.get_sizes()[0] ** 0.5 * d.figure_.dpi / 72 < 0.7 * np.ptp(apart)


def test_a_wide_layer_is_drawn_by_its_strongest_nodes():
    X, y = data(30)
    d = NetworkDisplay.from_estimator(fitted(X, y, hidden_layer_sizes=(50,)), max_nodes=6)
    assert [len(nodes) for nodes in d.nodes_] == [6, 6, 1]
    strongest = np.argsort(-np.linalg.norm(d.weights[0], axis=1))[:6]
    assert list(d.nodes_[0]) == sorted(strongest)
    texts = [text.get_text() for text in d.name_texts_]
    assert texts == [f"x{j}" for j in sorted(strongest)] + ["24 more", "ŷ"]
    assert [text.get_text() for text in d.title_texts_][1] == "layer 1\nn = 50\nrelu"
    W = [d.weights[0][np.ix_(d.nodes_[0], d.nodes_[1])], d.weights[1][d.nodes_[1]]]
    drawn = np.sort(np.concatenate([M.ravel() for M in W]))
    np.testing.assert_array_equal(np.sort(d.edges_.get_array()), drawn)
    assert np.all(np.diff(d.edges_.get_linewidths()) >= 0)


def test_a_network_of_no_hidden_layer_and_weights_of_zero():
    X, y = data()
    assert NetworkDisplay.from_estimator(fitted(X, y, hidden_layer_sizes=())).nodes_[0].size == 3
    d = NetworkDisplay([np.zeros((2, 1))], ["a", "b"], ["c"], ["identity"]).plot(colorbar=False)
    assert d.colorbar_ is None


def test_lines_lead_from_node_to_node():
    W = [np.array([[1.0, -2.0], [3.0, 0.5], [0.1, 0.2]]), np.array([[0.3], [-0.4]])]
    d = NetworkDisplay(W, ["a", "b", "c"], ["y"], ["relu", "identity"]).plot(max_nodes=2)
    assert d.edges_.norm.vmin == -3 and d.edges_.norm.vmax == 3  # white is no weight
    assert [list(nodes) for nodes in d.nodes_] == [[0, 1], [0, 1], [0]]
    edges = zip(d.edges_.get_array(), d.edges_.get_segments(), strict=True)
    drawn = {w: segment.tolist() for w, segment in edges}
    assert drawn == {
        1.0: [[0, 1], [1, 0.5]],  # two nodes and the dots, and two nodes, centred at 0
        -2.0: [[0, 1], [1, -0.5]],
        3.0: [[0, 0], [1, 0.5]],
        0.5: [[0, 0], [1, -0.5]],
        0.3: [[1, 0.5], [2, 0]],
        -0.4: [[1, -0.5], [2, 0]],
    }
    assert [t.get_text() for t in d.node_texts_] == ["⋮", "0", "1"]


def test_a_node_is_as_strong_as_what_goes_through_it():
    W = [np.array([[9.0, 1.0, 0.0]]), np.array([[0.0], [1.0], [9.0]])]  # of one side alone: none
    d = NetworkDisplay(W, ["x"], ["y"], ["relu", "identity"]).plot(max_nodes=1)
    assert list(d.nodes_[1]) == [1]


def test_small_axes_have_fewer_nodes_and_names(plt):
    X, y = data(30)
    model = fitted(X, y, hidden_layer_sizes=(50,), max_iter=1)
    ax = plt.figure(figsize=(5, 1.5)).add_subplot()
    assert len(NetworkDisplay.from_estimator(model, ax=ax).nodes_[0]) < 10


# ----- activations -----------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_g_and_its_derivative(name):
    d = ActivationDisplay.from_activation(name)
    z, g, slope = d.z, d.lines_[0].get_ydata(), d.derivative_lines_[0].get_ydata()
    away = (np.abs(z) > 0.02)[1:-1]
    differences = (g[2:] - g[:-2]) / (z[2:] - z[:-2])
    np.testing.assert_allclose(slope[1:-1][away], differences[away], atol=2e-3)


def test_the_activations_of_the_layers_are_drawn_once():
    X, y = data()
    model = fitted(X, y, hidden_layer_sizes=(3,) * 4, activation=["tanh", "tanh", "relu", "tanh"])
    d = ActivationDisplay.from_estimator(model)
    assert d.names == ["tanh (l = 1-2, 4)", "relu (l = 3)", "identity (l = 5)"]
    with pytest.raises(ValueError, match="activation must be"):
        ActivationDisplay.from_activation("rely")


@pytest.mark.parametrize("z", ["a", ["a"], 3.0, np.ones((3, 2))])
def test_z_is_a_list_of_numbers(z):
    with pytest.raises(ValueError, match="z must be a list or 1-dimensional array of numbers"):
        ActivationDisplay.from_activation("relu", z=z)
    assert ActivationDisplay.from_activation("relu", z=range(-2, 3)).z.tolist() == [-2, -1, 0, 1, 2]


# ----- marginal effects ------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_effects_for_a_standard_deviation_are_the_same_in_every_unit(unit, kind):
    X, y = data()
    X = np.c_[X, np.full(len(X), 0.1)] * unit
    weight = np.arange(len(X)) % 3.0
    model = classic(hidden_layer_sizes=(4,), max_iter=5, random_state=0)
    d = MarginalEffectsDisplay.from_estimator(model.fit(kind(X), y, weight), kind(X), weight)
    std = np.sqrt(np.cov((X / unit).T, aweights=weight, ddof=0).diagonal())
    np.testing.assert_allclose(d.feature_std / unit, [*std[:-1], 0], rtol=1e-12)
    drawn = d.effects["effect"] * d.feature_std
    np.testing.assert_allclose(d.containers_[0][0].get_xdata(), drawn[d.features_])
    assert np.isfinite(drawn).all() and drawn[:-1].all()


@pytest.mark.parametrize("features", [3, 30, 300])
@pytest.mark.parametrize("outputs", [1, 3])
def test_effects_are_those_of_the_model_and_can_be_read(features, outputs, plt):
    pd = pytest.importorskip("pandas")
    X, y = data(features, outputs)
    X = pd.DataFrame(X, columns=[LONG.format(j=j) for j in range(features)])
    model = fitted(X, y, max_iter=3)
    d = MarginalEffectsDisplay.from_estimator(model, X)
    effects = model.marginal_effects(X)["effect"].reshape(outputs, features) * X.std(ddof=0).values
    assert len(d.features_) == min(features, 20)
    for container, effect in zip(d.containers_, effects, strict=True):
        np.testing.assert_allclose(container[0].get_xdata(), effect[d.features_])
    sizes = np.abs(effects).max(axis=0)
    assert np.all(np.diff(sizes[d.features_]) <= 0) and sizes[d.features_[0]] == sizes.max()
    assert_no_overlap([*d.ax_.get_yticklabels(), d.ax_.title, d.ax_.xaxis.label])
    d.plot(ax=plt.figure(figsize=(5, 2), layout="constrained").add_subplot())
    assert_no_overlap(d.ax_.get_yticklabels())


def test_bars_names_and_weights_are_those_of_the_features():
    X, y = data(4, 2)
    X *= [1, 2, 3, 4]
    model, weight = fitted(X, y), np.arange(len(X)) % 3.0
    d = MarginalEffectsDisplay.from_estimator(model, X, weight)
    table = model.marginal_effects(X, weight)
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    for k, container in enumerate(d.containers_):
        effect, std = (table[name].reshape(2, 4)[k] * scale for name in ("effect", "std"))
        ends = np.array(container[2][0].get_segments())[:, :, 0]
        expected = np.column_stack([effect - std, effect + std])[d.features_]
        np.testing.assert_allclose(ends, expected)
    names = [f"x{j}" for j in d.features_]
    assert [text.get_text() for text in d.ax_.get_yticklabels()] == names
    assert d.ax_.yaxis_inverted()  # the largest on top
    assert [text.get_text() for text in d.ax_.get_legend().get_texts()] == ["0", "1"]


def test_kinds_of_effects():
    X, y = data()
    model = fitted(X, y)
    d = MarginalEffectsDisplay.from_estimator(model, X, kind="effect", max_features=2)
    table = model.marginal_effects(X)
    drawn = d.containers_[0][0].get_xdata()
    np.testing.assert_array_equal(drawn, table["effect"][d.features_])
    d.plot(kind="elasticity")
    drawn = d.containers_[0][0].get_xdata()
    np.testing.assert_array_equal(drawn, table["elasticity"][d.features_])
    with pytest.raises(ValueError, match="kind must be one of 'standardized'"):
        d.plot(kind="slope")
    with pytest.raises(TypeError, match="kind must be one of 'standardized'"):
        d.plot(kind=["effect", "elasticity"])
