"""check_gradients: right networks pass, wrong rules are named."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from own import CubeError, Sine, classic
from scipy import sparse
from sklearn.pipeline import make_pipeline

from skbackprop import BackpropRegressor, calculus, check_gradients, derivatives, network
from skbackprop.activations import ACTIVATIONS, Activation, Logistic, Tanh
from skbackprop.blocks import run
from skbackprop.calculus import Rule
from skbackprop.differences import Comparison
from skbackprop.feed import Data
from skbackprop.lbfgs import full_gradient
from skbackprop.losses import LOSSES, SquaredError
from skbackprop.network import Network
from skbackprop.reports import Line, Report, line_of
from skbackprop.training import Objective

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 4)) * [1, 10, 0.1, 1] + [0, 3, 0, -1]
Y = np.exp(rng.normal(size=(24, 2)))  # positive, for every loss
WEIGHT = rng.uniform(0.2, 3, 24)


def model(loss="squared_error", layers=(4, 4), activation=("tanh", "logistic"), **params):
    activation = list(activation) if isinstance(activation, tuple) else activation
    defaults = {"alpha": 1.0, "random_state": 0, "max_iter": 5, "batch_size": 10}
    return classic(loss, layers, activation, **defaults | params)


# ----- what is right passes ---------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_with_every_loss(activation, loss):
    report = check_gradients(model(loss, (4, 3), (activation, "tanh")), X, Y, WEIGHT)
    assert report.passed, report
    assert [line.rule for line in report if line.status != "ok"] == []


OPTIONS = {
    "no weights": {},
    "no biases": {"fit_intercept": False},
    "raw": {"standardize": False},
    "no hidden layer": {"layers": (), "activation": "relu"},
    "dropout": {"dropout": 0.3, "layers": (20, 10)},
    "rows kept for validation": {"early_stopping": True, "validation_fraction": 0.3},
    "lbfgs": {"solver": "lbfgs"},
    "another output activation": {"output_activation": "softplus"},
    "poisson not by way of Z": {"loss": "poisson", "output_activation": "softplus"},
    "at random": {"layers": (40, 30), "activation": "gelu"},
    "large penalty": {"alpha": 1e6},
    "no penalty": {"alpha": 0},
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option(name, fitted):
    estimator = model(**OPTIONS[name])
    weight = None if name == "no weights" else WEIGHT
    if fitted:
        estimator.fit(X, Y, weight)
    report = check_gradients(estimator, X, Y, weight)
    assert report.passed, report
    assert sum(line.status == "ok" for line in report) >= len(report) - 2, report


DATA = {
    "float32": (X.astype(np.float32), Y),
    "csr": (sparse.csr_matrix(X), Y),
    "csc": (sparse.csc_matrix(X), Y),
    "one output": (X, Y[:, 0]),
    "one row": (X[:1], Y[:1]),
    "five outputs": (X, np.abs(rng.normal(size=(24, 5)))),
    "lists": (X.tolist(), Y.tolist()),
    "more rows than are looked at": (np.tile(X, (20, 1)), np.tile(Y, (20, 1))),
}


@pytest.mark.parametrize("name", DATA)
def test_every_kind_of_data(name):
    X, y = DATA[name]
    for estimator in (model(), model().fit(X, y)):
        report = check_gradients(estimator, X, y)
        assert report.passed, report


def test_at_a_minimum_the_gradient_is_measured_by_what_cancels_in_it():
    estimator = model(layers=(), activation="relu", solver="lbfgs", max_iter=10**4, tol=1e-12).fit(
        X, Y
    )
    report = check_gradients(estimator, X, Y)
    assert report.passed, report
    assert max(line.error for line in report) < 1e-8


def test_float32_is_checked_in_float64():
    estimator = model(dtype="float32").fit(X, Y)
    report = check_gradients(estimator, X, Y)
    assert report.passed and max(line.error for line in report) < 1e-7
    assert estimator.theta_.dtype == np.float32


def test_a_loss_and_an_activation_of_a_users_own():
    report = check_gradients(model(CubeError(), (5,), Sine()), X, Y, WEIGHT)
    assert report.passed, report
    assert "dA[2] = derivative of CubeError" in [line.rule for line in report]


# ----- the two sides ----------------------------------------------------------------------


def test_nothing_is_changed():
    """Neither the estimator, its generator of random numbers, the data nor NumPy's generator."""
    for estimator in (model(random_state=np.random.RandomState(3)), model().fit(X, Y, WEIGHT)):
        before, data = pickle.dumps(vars(estimator)), (X.copy(), Y.copy(), WEIGHT.copy())
        state = np.random.get_state()[1].copy()  # noqa: NPY002 - the one asked about
        check_gradients(estimator, *data)
        assert pickle.dumps(vars(estimator)) == before
        assert all(np.array_equal(M, N) for M, N in zip(data, (X, Y, WEIGHT), strict=True))
        assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002 - the one asked about


def test_the_objective_is_the_one_that_lbfgs_minimises(monkeypatch):
    """f by its definition is f by the blocks of lbfgs: weights, penalty, scaling."""
    from skbackprop import checking

    seen = []

    def off_kinks(fitting, table, original=checking._off_kinks):
        rows, t, f, at_kinks = original(fitting, table)
        theta, gradient = fitting.model.theta, np.empty_like(fitting.model.theta)
        expected = full_gradient(fitting.objective, fitting.data, theta, gradient)()
        dW, db, _ = fitting.objective.network.views(gradient)
        seen.append((f.value(), expected, t.dW[1:], dW[1:], t.db[1:], db[1:]))
        return rows, t, f, at_kinks

    monkeypatch.setattr(checking, "_off_kinks", off_kinks)
    for weight in (None, WEIGHT):
        for estimator in (model("huber", solver="lbfgs"), model(alpha=30).fit(X, Y, weight)):
            check_gradients(estimator, X, Y, weight)
    for f, expected, *gradients in seen:
        assert f == pytest.approx(expected, rel=1e-13)
        for M, N in zip(gradients[0] + gradients[2], gradients[1] + gradients[3], strict=True):
            np.testing.assert_allclose(M, N, rtol=1e-10, atol=1e-12)
    assert len(seen) == 4


def test_the_lines_are_those_of_the_derivation():
    report = check_gradients(model(layers=(3,), activation="tanh"), X, Y, WEIGHT)
    assert [(line.layer, line.rule) for line in report] == [
        (1, "Z[1] = A[0] W[1] + 1 b[1]"),
        (1, "A[1] = g[1](Z[1])"),
        (2, "Z[2] = A[1] W[2] + 1 b[2]"),
        (2, "A[2] = g[2](Z[2])"),
        (2, "dA[2] = derivative of SquaredError"),
        (2, "dZ[2] = dA[2] ⊙ g[2]'(Z[2])"),
        (2, "dW[2] = A[1]ᵀ dZ[2] + penalty W[2]"),
        (2, "db[2] = 1ᵀ dZ[2]"),
        (1, "dA[1] = dZ[2] W[2]ᵀ"),
        (1, "dZ[1] = dA[1] ⊙ g[1]'(Z[1])"),
        (1, "dW[1] = A[0]ᵀ dZ[1] + penalty W[1]"),
        (1, "db[1] = 1ᵀ dZ[1]"),
        (0, "dA[0] = dZ[1] W[1]ᵀ"),
        (0, "dX = dA[0] / X_scale"),
        (0, "dy/dX = y_scale dA[2]/dA[0] / X_scale"),
    ]


def test_the_number_of_evaluations_does_not_grow_with_the_weights(monkeypatch):
    """13 values of the loss a direction: 16 of them for a matrix of more than 256 entries."""
    calls, value = [], SquaredError.value

    def counted(self, *args):
        calls.append(1)
        return value(self, *args)

    monkeypatch.setattr(SquaredError, "value", counted)
    counts, X = [], np.random.default_rng(0).normal(size=(40, 60))
    for layers in ((300, 270), (600, 540)):  # 100,000 and 360,000 weights
        calls.clear()
        report = check_gradients(model(layers=layers, activation="relu"), X, X[:, 0])
        assert report.passed, report
        counts.append(len(calls))
    # Of dA[3], dZ[3] and db[3] 32, 32 and 1 entries; of 13 others at the most 16 directions;
    # the kinks of the loss, 32 rows, once or twice; f itself.
    assert max(counts) <= 13 * (65 + 13 * 16 + 2 * 32) + 2 and counts[0] == counts[1]


# ----- ten wrong derivatives --------------------------------------------------------------


def factor(monkeypatch):
    """d‖G‖²_F/dG = G."""
    rule = Rule(lambda G, c=1.0, out=None: partial(np.multiply, G, c, out))
    monkeypatch.setattr(calculus, "squared_frobenius_norm", rule)


def sign(monkeypatch):
    """tanh' = a² - 1."""
    monkeypatch.setattr(Tanh, "_derivative", lambda self, a, d: np.subtract(a * a, 1, out=d))


def transposed_product(monkeypatch):
    """dA = dZ W, where W is square."""
    right = network.right_multiplication

    def prepare(dG, bW, out=None):
        def call():
            right(dG, bW, out=out)
            if bW[1:].shape[0] == bW.shape[1]:
                out[:, 1:] = dG @ bW[1:]

        return call

    monkeypatch.setattr(network, "right_multiplication", Rule(prepare))


def missing_elementwise_product(monkeypatch):
    """dZ = dA."""

    def through(g, scratch, dA, A, S, dZ):
        return [partial(np.copyto, dZ, dA)]

    monkeypatch.setattr(network, "_through_activation", through)


def activation_of_another_layer(monkeypatch):
    """dZ[2] = dA[2] ⊙ g[1]'(Z[2])."""
    original = network._through_activation

    def through(g, *args):
        return original(Tanh() if isinstance(g, Logistic) else g, *args)

    monkeypatch.setattr(network, "_through_activation", through)


def bias_over_the_wrong_axis(monkeypatch):
    """db = (dZ 1)ᵀ, cut to length."""
    left = network.left_multiplication

    def prepare(dZ, H1, out=None):
        def call():
            left(dZ, H1, out=out)
            out[0] = dZ.sum(axis=1)[: out.shape[1]]

        return call

    monkeypatch.setattr(network, "left_multiplication", Rule(prepare))


def penalty_on_biases(monkeypatch):
    def decay(self, dtype):
        return np.full(self.network.n_parameters, self.penalty, dtype)

    monkeypatch.setattr(Objective, "decay", decay)


def weights_squared(monkeypatch):
    def take_weight(self, rows, out):
        np.copyto(out, np.square(self.weight[self.of_table(rows), None] / self.mean_weight))

    monkeypatch.setattr(Data, "take_weight", take_weight)


def off_by_one_layer(monkeypatch):
    """dW[2] = A[2]ᵀ dZ[2]."""
    original = Network.backward

    def backward(self, bW, dbW, ws, from_Z=False):
        ws = copy.copy(ws)
        ws.H1 = [ws.H1[0], ws.H1[2], *ws.H1[2:]]
        return original(self, bW, dbW, ws, from_Z)

    monkeypatch.setattr(Network, "backward", backward)


def mean_for_sum_over_outputs(monkeypatch):
    original = SquaredError.prepare

    def prepare(self, A, Y, weight, out, from_Z=False):
        calls = original(self, A, Y, weight, out, from_Z)
        return [*calls, partial(np.divide, out, A.shape[1], out)]

    monkeypatch.setattr(SquaredError, "prepare", prepare)


PLANTS = {
    factor: (3, "dA[3] = derivative of SquaredError", 0.5),
    sign: (1, "dZ[1] = dA[1] ⊙ g[1]'(Z[1])", -1),
    transposed_product: (1, "dA[1] = dZ[2] W[2]ᵀ", None),
    missing_elementwise_product: (2, "dZ[2] = dA[2] ⊙ g[2]'(Z[2])", None),
    activation_of_another_layer: (2, "dZ[2] = dA[2] ⊙ g[2]'(Z[2])", None),
    bias_over_the_wrong_axis: (3, "db[3] = 1ᵀ dZ[3]", None),
    penalty_on_biases: (3, "db[3] = 1ᵀ dZ[3]", None),
    weights_squared: (3, "dA[3] = derivative of SquaredError", None),
    off_by_one_layer: (2, "dW[2] = A[1]ᵀ dZ[2] + penalty W[2]", None),
    mean_for_sum_over_outputs: (3, "dA[3] = derivative of SquaredError", 0.5),
}


@pytest.fixture(scope="module")
def fitted():
    """With biases other than 0, on which a penalty tells."""
    return model(max_iter=30, learning_rate_init=0.05).fit(X, Y, WEIGHT)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_wrong_derivative_is_named_by_layer_and_rule(plant, fitted, monkeypatch):
    assert check_gradients(fitted, X, Y, WEIGHT).passed
    plant(monkeypatch)
    report = check_gradients(fitted, X, Y, WEIGHT)
    layer, rule, factor = PLANTS[plant]
    first = report.faults[0]
    assert not report.passed and not report
    assert (first.layer, first.rule) == (layer, rule), report
    assert first.factor == (None if factor is None else pytest.approx(factor, rel=1e-6))
    # What follows is said to follow: other rules are at fault only where the plant is in them too.
    also = {bias_over_the_wrong_axis: "db", penalty_on_biases: "db"}.get(plant)
    assert all(also is not None and line.rule.startswith(also) for line in report.faults[1:])
    if also is None and plant is not off_by_one_layer:
        assert any(line.status == "follows" for line in report)


def no_first_layer(monkeypatch):
    """df/dZ[1] in the place of df/dA[0]."""
    monkeypatch.setattr(derivatives, "input_gradient", lambda p, k: p.backward(p.unit(k))[1][1])


def no_units(monkeypatch):
    """Those of the network for the caller's."""
    monkeypatch.setattr(derivatives, "units_of", lambda model, order: np.ones((4, 2)))


def first_output_alone(monkeypatch):
    """That of the first output for every one."""
    input_gradient = derivatives.input_gradient
    monkeypatch.setattr(derivatives, "input_gradient", lambda p, k: input_gradient(p, 0))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("plant", [no_first_layer, no_units, first_output_alone])
def test_a_fault_in_predict_gradient_alone(plant, dropout, monkeypatch):
    """Which training's own matrices have no part in."""
    estimator = model(dropout=dropout)
    assert check_gradients(estimator, X, Y, WEIGHT).passed
    plant(monkeypatch)
    report = check_gradients(estimator, X, Y, WEIGHT)
    rules = [line.rule for line in report.faults]
    assert rules == ["dy/dX = y_scale dA[3]/dA[0] / X_scale"], report


def test_units_beyond_all_numbers_are_no_fault_of_predict_gradient():
    report = check_gradients(model(), X * 1e200, Y * 1e-200)
    assert report.passed and "dX = dA[0] / X_scale" in [line.rule for line in report]


@pytest.mark.parametrize("layers, sizes", [((30, 30), "at random"), ((4, 4), "entry by entry")])
@pytest.mark.parametrize("plant", [transposed_product, off_by_one_layer, weights_squared])
def test_along_random_directions_it_is_named_too(plant, layers, sizes, monkeypatch):
    plant(monkeypatch)
    report = check_gradients(model(layers=layers), X, Y, WEIGHT)
    layer, rule, _ = PLANTS[plant]
    assert (report.faults[0].layer, report.faults[0].rule) == (layer, rule), report
    assert any(line.of == "directions" for line in report) == (sizes == "at random")


@pytest.mark.parametrize("entries", [[(3, 5)], [(0, 0), (7, 9)]])
def test_a_single_entry_of_a_large_matrix(entries, monkeypatch):
    """By 1e-4 of the norm, 100 times the bound; or two by opposite amounts, which may cancel."""
    original = Network.backward

    def backward(self, bW, dbW, ws, from_Z=False):
        def change():
            for k, (i, j) in enumerate(entries):
                dbW[2][1 + i, j] += (-1) ** k * 1e-4 * np.linalg.norm(dbW[2])

        return [*original(self, bW, dbW, ws, from_Z), change]

    monkeypatch.setattr(Network, "backward", backward)
    report = check_gradients(model(layers=(30, 30), alpha=0), X, Y, WEIGHT)
    assert [line.rule for line in report.faults] == ["dW[2] = A[1]ᵀ dZ[2]"], report


def test_a_fault_in_the_memory_that_training_shares(monkeypatch):
    """The order of products of one hidden layer and one output is a way of its own to df/dW[1]."""
    original = Network._without_dZ_1

    def without_dZ_1(self, bW_2, dbW_1, ws):
        return original(self, bW_2, dbW_1, ws)[:-1]  # … diag(w) forgotten

    estimator, X = (
        model(layers=(100,), activation="relu", batch_size=200),
        np.tile(rng.normal(size=(30, 4)), (8, 1)),
    )
    assert check_gradients(estimator, X, X[:, 0]).passed
    monkeypatch.setattr(Network, "_without_dZ_1", without_dZ_1)
    faults = check_gradients(estimator, X, X[:, 0]).faults
    assert {line.rule[:5] for line in faults} == {"dW[1]", "db[1]"}


def test_a_fault_on_the_way_forward(monkeypatch):
    monkeypatch.setattr(Logistic, "_value", lambda self, z, a: np.tanh(z, out=a))
    monkeypatch.setattr(Logistic, "value", lambda self, Z, out=None: 1 / (1 + np.exp(-Z)))
    report = check_gradients(model(), X, Y)
    assert report.faults[0].rule == "A[2] = g[2](Z[2])"
    statuses = {line.rule[:4]: line.status for line in report}
    assert statuses["Z[3]"] == "follows" and statuses["Z[2]"] == statuses["A[1]"] == "ok"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, 1e30])
def test_a_derivative_that_is_no_number_or_far_off(wrong, monkeypatch):
    monkeypatch.setattr(Tanh, "_derivative", lambda self, a, d: d.fill(wrong))
    assert check_gradients(model(), X, Y).faults[0].rule == "dZ[1] = dA[1] ⊙ g[1]'(Z[1])"


# ----- kinks ------------------------------------------------------------------------------


def test_rows_at_kinks_are_counted_and_left_out():
    """Inputs 0 and biases 0: every unit at relu's kink."""
    X_0 = X.copy()
    X_0[[2, 7, 11]] = 0
    report = check_gradients(model(layers=(6,), activation="relu", standardize=False), X_0, Y)
    assert report.passed and "21 of 24 rows" in report.about
    assert {line.rule: line.kinks for line in report if line.kinks} == {"A[1] = g[1](Z[1])": 18}


def test_rows_at_a_kink_of_the_loss_are_left_out():
    estimator = model("absolute_error", (), "relu", standardize=False, alpha=0)
    estimator.fit(X, Y)
    y = Y.copy()
    y[:5] = estimator.predict(X[:5])
    report = check_gradients(estimator, X, y)
    assert report.passed and "19 of 24 rows" in report.about
    assert [line.kinks for line in report if line.rule.startswith("dA[1]")] == [5]


@pytest.mark.parametrize("unit", [1e-8, 1e-200])
def test_a_network_of_which_every_unit_is_near_a_kink_is_no_fault(unit, monkeypatch):
    """A raw table in tiny units, and biases of 0: steps of 1e-8 go past all kinks at once."""
    estimator = model(layers=(5, 3), activation="relu", standardize=False, alpha=0)
    for y in (Y, 1e-8 * Y):
        report = check_gradients(estimator, unit * X, y)
        assert report.passed, report
    weights_squared(monkeypatch)  # and a fault where there is no kink is still one
    assert not check_gradients(estimator, unit * X, Y, WEIGHT).passed


def test_where_every_row_has_a_kink_it_is_said_that_nothing_is_known():
    report = check_gradients(model(layers=(6,), activation="relu", standardize=False), 0 * X, Y)
    assert report.passed and not report.faults
    statuses = {line.rule[:5]: line.status for line in report}
    assert statuses["dZ[1]"] == "kink" and statuses["dW[2]"] == "ok"
    assert "only at kinks" in report.verdict and "dZ[1]" in report.verdict


def test_a_kink_hides_no_error_elsewhere(monkeypatch):
    X_0 = X.copy()
    X_0[::2] = 0
    sign = ACTIVATIONS["leaky_relu"]
    original = sign._derivative

    def wrong(self, a, d):
        original(self, a, d)
        np.multiply(d, 1.01, out=d)

    monkeypatch.setattr(sign, "_derivative", wrong)
    estimator = model(layers=(6,), activation="leaky_relu", standardize=False)
    fault = check_gradients(estimator, X_0, Y).faults[0]
    assert fault.rule.startswith("dZ[1]") and fault.factor == pytest.approx(1.01, rel=1e-6)


# ----- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [None, BackpropRegressor, "relu", make_pipeline(model())])
def test_an_estimator_of_another_kind(estimator):
    with pytest.raises(TypeError, match=r"estimator must be a BackpropRegressor.*pipeline\[-1\]"):
        check_gradients(estimator, X, Y)


def test_data_are_refused_as_fit_refuses_them():
    with pytest.raises(ValueError, match=r"\bX\b"):
        check_gradients(model(), X * np.inf, Y)
    with pytest.raises(ValueError, match="inconsistent"):
        check_gradients(model(), X, Y[1:])
    with pytest.raises(ValueError, match="sample_weight"):
        check_gradients(model(), X, Y, -WEIGHT)
    with pytest.raises(ValueError, match="poisson"):
        check_gradients(model("poisson"), X, -Y)
    with pytest.raises(ValueError, match="features"):
        check_gradients(model().fit(X, Y), X[:, :2], Y)
    with pytest.raises(ValueError, match="number of outputs"):
        check_gradients(model().fit(X, Y), X, Y[:, :1])
    with pytest.raises(ValueError, match="alpha"):
        check_gradients(model(alpha=-1), X, Y)


def test_a_fitted_network_of_another_architecture():
    estimator = model().fit(X, Y).set_params(hidden_layer_sizes=(7, 7))
    with pytest.raises(ValueError, match=r"check_gradients.*hidden_layer_sizes") as error:
        check_gradients(estimator, X, Y)
    assert "fit it anew" in str(error.value) and "warm_start" not in str(error.value)


def test_an_objective_that_is_not_finite():
    estimator = model(layers=(3,), activation="exp", standardize=False)
    with pytest.raises(ValueError, match="objective must be finite"):
        check_gradients(estimator, 1e6 * X, Y)


# ----- the report -------------------------------------------------------------------------


def test_the_report_as_text_and_as_html(monkeypatch):
    report = check_gradients(model(), X, Y)
    assert bool(report) and len(report) == len(report.lines) and report[0] is report.lines[0]
    text, html = str(report), report._repr_html_()
    assert text == repr(report) and text.startswith("check_gradients: passed\n4-4-4-2, g = [Tanh()")
    assert all(line.rule in text for line in report)
    assert html.count("<tr") == len(report) + 1 and "&lt;" not in html
    sign(monkeypatch)
    report = check_gradients(model(), X, Y)
    assert "FAILED: dZ[1] = dA[1] ⊙ g[1]'(Z[1])" in str(report).partition("\n")[0]
    assert "WRONG: -1 times what it should be" in str(report)
    assert "follows from dZ[1]" in str(report)
    assert "color" in report._repr_html_() and "g[1]&#x27;(Z[1])" in report._repr_html_()
    assert pickle.loads(pickle.dumps(report)).faults == report.faults
    note = Report("a check", "", [Line("a < b", "wrong", note="<b>")])._repr_html_()
    assert "<b>WRONG" not in note and "WRONG: &lt;b&gt;" in note and "a &lt; b" in note


def test_entries_that_nothing_is_known_of_are_counted():
    none, last = np.zeros(3, bool), np.array([False, False, True])
    zeros = np.zeros(3)
    found = Comparison(zeros, zeros, zeros, zeros, wrong=none, kinks=none, unclear=last)
    assert line_of(found, "a rule").note == "1 unclear"


def test_a_subclass_of_a_table_s_class_is_checked_by_its_own_formulas():
    class Softsign(Activation):
        from_A = True

        def _value(self, z, a):
            np.divide(z, 1 + np.abs(z), out=a)

        def _derivative(self, a, d):
            np.square(1 - np.abs(a), out=d)

    assert check_gradients(model(activation=Softsign()), X, Y).passed
    A = np.empty(3)
    run([Softsign().prepare_value(np.array([1.0, -1.0, 3.0]), A)])
    np.testing.assert_array_equal(A, [0.5, -0.5, 0.75])
