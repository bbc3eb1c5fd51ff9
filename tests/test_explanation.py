"""explain_backprop: its numbers are those of training, and it is the same in every form."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from own import CubeError, Sine, classic
from scipy import sparse

from skbackprop import calculus, check_gradients, notation, rendering, trained
from skbackprop.activations import ACTIVATIONS
from skbackprop.losses import LOSSES, Loss
from skbackprop.model import model_of
from skbackprop.notation import MINUS, PRIME
from skbackprop.optimizers import OPTIMIZERS

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 3)) * [1, 10, 0.1] + [0, 3, -1]
Y = np.exp(rng.normal(size=(12, 2)))  # positive, for every loss
WEIGHT = rng.uniform(0.2, 3, 12)


def fitted(loss="squared_error", layers=(4,), activation="tanh", weight=None, **params):
    defaults = {"alpha": 1.0, "random_state": 0, "max_iter": 3, "batch_size": 12}
    return classic(loss, layers, activation, **defaults | params).fit(X, Y, weight)


OPTIONS = {
    **{f"activation {name}": {"activation": name} for name in ACTIVATIONS},
    **{f"loss {name}": {"loss": name} for name in LOSSES},
    **{f"solver {name}": {"solver": name} for name in (*OPTIMIZERS, "lbfgs", "lm")},
    "no hidden layer": {"layers": ()},
    "three hidden layers": {"layers": (4, 2, 3)},
    "no biases": {"fit_intercept": False},
    "raw": {"standardize": False},
    "no penalty": {"alpha": 0.0},
    "dropout": {"dropout": 0.3, "layers": (20, 10)},
    "rows kept for validation": {"early_stopping": True, "validation_fraction": 0.3},
    "poisson not by way of Z": {"loss": "poisson", "output_activation": "softplus"},
    "wide": {"layers": (30, 20), "activation": "gelu"},
    "of a user's own": {"loss": CubeError(), "activation": Sine()},
    "clipped": {"clip_norm": 1e-3},
    "without Nesterov's": {"solver": "sgd", "nesterovs_momentum": False},
    "gradient descent": {"solver": "sgd", "momentum": 0.0},
}


def every(name, weighted=False):
    weight = WEIGHT if weighted else None
    model = fitted(**OPTIONS[name], weight=weight)
    return model, model.explain_backprop(X, Y, weight)


# ----- the numbers ------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_numbers_are_those_that_check_gradients_has_compared(name, weighted, monkeypatch):
    """It has them of the same rows; where it leaves rows out there are no two to compare."""
    model, explanation = every(name, weighted)
    seen = []
    original = trained.trained

    def spy(objective, data, theta, rows, least):
        seen.append((rows, original(objective, data, theta, rows, least)))
        return seen[-1][1]

    monkeypatch.setattr(trained, "trained", spy)
    model.set_params(early_stopping=False)
    report = check_gradients(model, X, Y, WEIGHT if weighted else None)
    assert report.passed, report
    (rows, t) = seen[0]
    assert len(rows) == 12
    compared = 0
    for l in range(1, len(t.A)):
        for letter in ("Z", "A", "dA", "dZ", "dW", "db"):
            try:
                found = explanation[f"{letter}[{l}]"].result.value
            except KeyError:
                continue
            assert np.array_equal(found, getattr(t, letter)[l]), (letter, l)
            compared += 1
    assert compared >= 5 * (len(t.A) - 1) - 1 - (name == "no biases") * (len(t.A) - 1)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "dropout"])
def test_the_gradient_is_the_slope_of_the_objective(name):
    """Of f by the package's prediction and a loss worked out here, along a random direction."""
    model, explanation = every(name, weighted=True)
    m, a = model_of(vars(model)), explanation
    network, loss = m.network(), model.loss
    loss = LOSSES[loss]() if isinstance(loss, str) else loss
    penalty = a["penalty"].result.value if model.alpha else 0.0
    theta = m.theta.copy()

    def f(theta):
        A = network.predict(theta, m.rows(X).take, np.empty_like(Y))
        squares = sum(np.sum(W * W) for W in network.views(theta).W[1:])
        return loss.value(A, a["Y"].result.value, a["w"].result.value) + penalty / 2 * squares

    assert np.isclose(f(theta), a["f"].result.value, rtol=1e-12)
    direction = np.random.default_rng(1).normal(size=theta.shape)
    W, b, _ = network.views(direction)
    slope = sum(np.sum(W[l] * a[f"dW[{l}]"].result.value) for l in range(1, len(W)))
    if model.fit_intercept:
        slope += sum(np.sum(b[l] * a[f"db[{l}]"].result.value) for l in range(1, len(W)))
    step = 1e-6
    quotient = (f(theta + step * direction) - f(theta - step * direction)) / (2 * step)
    tolerance = 0.05 if model.loss in ("absolute_error", "quantile") else 1e-5
    assert np.isclose(slope, quotient, rtol=tolerance), name


@pytest.mark.parametrize("name", OPTIONS)
def test_every_equation_holds_for_the_numbers_beside_it(name):
    model, a = every(name, weighted=True)
    known = {
        step.result.name: step.result.value
        for step in a
        if " ← " not in step.equation and step.result
    }
    for l in range(1, len(model.layer_sizes_)):
        H = known.get(f"H[{l - 1}]", known[f"A[{l - 1}]"])
        Z = H @ known[f"W[{l}]"] + known.get(f"b[{l}]", 0)
        assert np.allclose(known[f"Z[{l}]"], Z, rtol=1e-9)
        dW = H.T @ known[f"dZ[{l}]"] + known.get("penalty", 0) * known[f"W[{l}]"]
        assert np.allclose(known[f"dW[{l}]"], dW, rtol=1e-9, atol=1e-14)
        if model.fit_intercept:
            db = known[f"dZ[{l}]"].sum(axis=0, keepdims=True)
            assert np.allclose(known[f"db[{l}]"], db, rtol=1e-9, atol=1e-14)
        if f"dA[{l}]" in known:
            slopes = known.get(f"g[{l}]'(Z[{l}])", 1)
            assert np.allclose(known[f"dZ[{l}]"], known[f"dA[{l}]"] * slopes, rtol=1e-9)
        if l + 1 < len(model.layer_sizes_):
            dA = known[f"dZ[{l + 1}]"] @ known[f"W[{l + 1}]"].T * known.get(f"D[{l}]", 1)
            assert np.allclose(known[f"dA[{l}]"], dA, rtol=1e-9, atol=1e-14)


def test_equations_are_those_of_the_checks():
    model, explanation = every("dropout", weighted=True)
    equations = {step.equation for step in explanation}
    rules = {line.rule for line in check_gradients(model, X, Y, WEIGHT)}
    others = {"dA[3] = derivative of SquaredError", "dA[0] = dZ[1] W[1]ᵀ", "dX = dA[0] / X_scale"}
    others |= {"dy/dX = y_scale dA[3]/dA[0] / X_scale"}
    assert rules - equations == others


def test_one_step_of_gradient_descent_is_the_one_that_training_makes():
    params = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "learning_rate_init": 0.1}
    model = fitted(**params, warm_start=True, max_iter=1)
    a = model.explain_backprop(X, Y)
    before = {f"W[{l}]": a[f"W[{l}]"].result.value.copy() for l in (1, 2)}
    updates = {s.result.name: s.result.value for s in a if " ← " in s.equation}
    assert list(updates) == ["W[1]", "b[1]", "W[2]", "b[2]"]
    for name, W in before.items():
        assert np.allclose(updates[name], W - 0.1 * a[f"d{name}"].result.value, rtol=1e-12)
    model.partial_fit(X, Y)
    views = model_of(vars(model)).network().views(model.theta_)
    assert np.allclose(views.W[1], updates["W[1]"], rtol=1e-12)
    assert np.allclose(views.b[2], updates["b[2]"], rtol=1e-12)


def test_rows_of_weight_zero_are_left_out():
    weight = np.where(np.arange(12) < 4, 0.0, 1.0)
    a = fitted(weight=weight).explain_backprop(X, Y, weight)
    assert a["A[0]"].result.shape == (8, 3) and "m = 8 rows of 12" in a.about
    assert a.about.endswith("the others weigh 0")
    assert fitted().explain_backprop(X[:1], Y[:1]).about.endswith(", m = 1 row")


def test_float32_stays_float32():
    model = fitted(dtype="float32")
    a = model.explain_backprop(X, Y)
    assert {a[name].result.value.dtype for name in ("A[0]", "dW[1]", "dZ[2]")} == {
        np.dtype("float32")
    }
    json.dumps(a.to_dict(), allow_nan=False)


DATA = {
    "csr": (sparse.csr_matrix(X), Y),
    "one output": (X, Y[:, 0]),
    "one row": (X[:1], Y[:1]),
    "lists": (X.tolist(), Y.tolist()),
}


@pytest.mark.parametrize("name", DATA)
def test_every_kind_of_data(name):
    x, y = DATA[name]
    model = classic(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(x, y)
    a = model.explain_backprop(x, y)
    assert np.allclose(
        a["Z[1]"].result.value,
        a["A[0]"].result.value @ a["W[1]"].result.value + a["b[1]"].result.value,
    )


def test_nothing_is_changed():
    model = fitted(random_state=np.random.RandomState(3), weight=WEIGHT)
    before, data = pickle.dumps(vars(model)), (X.copy(), Y.copy(), WEIGHT.copy())
    a = model.explain_backprop(*data)
    a["W[1]"].result.value[...] = 0  # nor by a hand on what it returns
    assert pickle.dumps(vars(model)) == before
    assert all(np.array_equal(M, N) for M, N in zip(data, (X, Y, WEIGHT), strict=True))


def test_what_is_refused():
    with pytest.raises(Exception, match="not fitted"):
        classic().explain_backprop(X, Y)
    model = fitted()
    with pytest.raises(ValueError, match="features"):
        model.explain_backprop(X[:, :2], Y)
    with pytest.raises(ValueError, match="output"):
        model.explain_backprop(X, Y[:, 0])
    with pytest.raises(KeyError):
        model.explain_backprop(X, Y)["dW[7]"]


# ----- what it says -----------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
def test_every_step_names_its_rule_and_says_why(name):
    _, a = every(name)
    for step in a:
        assert step.why.endswith(".") and step.why.count("`") % 2 == 0
        assert all(isinstance(getattr(calculus, rule), calculus.Rule) for rule in step.rules)
        own = "derivative(" in step.equation or "g[" in step.equation.partition(" = ")[0]
        assert step.rules or not step.part.startswith("Backward") or own
    order = [step.layer for step in a if step.part.startswith("Backward")]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("name", OPTIONS)
def test_no_step_speaks_of_second_derivatives(name):
    """They are in the docstrings from which the formulas come, and in no training step."""
    assert not any("d²" in step.why or "''" in step.why for step in every(name)[1])


SAID = {  # by which step, of which name
    ("loss poisson", "dZ[2]"): "`dℓ/dz = a - y`",
    ("loss gamma", "dZ[2]"): "`dℓ/dz = 1 - y/a`",
    ("loss huber", "dA[2]"): "`dℓ/da = r cut to ±δ`. Here `δ = 1.35`.",
    ("loss quantile", "dA[2]"): "`dℓ/da = -q where y > a, 1 - q where y < a, 0 at y = a`. Here `q",
    ("loss quantile", "f"): "else (1 - q) (a - y)`, with `a` from `A[2]`, `y` from `Y`. Here `q =",
    ("activation elu", "g[1]'(Z[1])"): "`g' = 1 where z > 0, else a + α`. Here `α = 1`.",
    ("activation gelu", "A[1]"): "`g(z) = z Φ(z)`. Here `Φ` is the normal distribution function.",
    ("activation mish", "g[1]'(Z[1])"): "`g' = t + z t'`. Here `t'` is `σ (1 - t²)`",
    ("activation relu", "g[1]'(Z[1])"): "`g'(z) = 1 where z > 0, else 0",
}


@pytest.mark.parametrize(("name", "step"), SAID)
def test_formulas_are_those_of_the_step_and_their_letters_are_explained(name, step):
    assert SAID[name, step] in every(name)[1][step].why


class Quartic(Loss):
    def elementwise(self, A, Y):
        return (A - Y) ** 4

    def elementwise_derivative(self, A, Y):
        return 4 * (A - Y) ** 3


def test_of_a_loss_of_the_users_own_the_name_is_said():
    a = fitted(loss=Quartic()).explain_backprop(X, Y)
    assert "`ℓ` of Quartic with `dℓ/da` of Quartic." in a["dA[2]"].why


UPDATES = {
    "solver sgd": "v ← μ v - α g,  theta ← theta + μ v - α g",
    "without Nesterov's": "v ← μ v - α g,  theta ← theta + v",
    "solver lm": "theta ← theta + δ",
    "solver lbfgs": "theta ← theta - α B g",
}


@pytest.mark.parametrize("name", UPDATES)
def test_the_update_is_that_of_the_solver(name):
    step = every(name)[1][-1]
    assert step.equation == UPDATES[name]
    assert ("L-BFGS" in step.why, "Levenberg" in step.why) == ("lbfgs" in name, "lm" in name)


def test_the_matrices_that_a_loss_is_made_of_stand_beside_its_derivative():
    step = every("loss huber", weighted=True)[1]["dA[2]"]
    assert step.equation == "dA[2] = diag(w) dℓ/da(A[2], Y)"
    assert [(symbol.name, symbol.shape) for symbol in step.uses] == [
        ("w", (12, 1)), ("A[2]", (12, 2)), ("Y", (12, 2)),
    ]  # fmt: skip


def test_from_the_loss_to_Z_directly():
    names = {name: [s.result.name for s in every(name)[1] if s.result] for name in OPTIONS}
    assert "dA[2]" not in names["loss poisson"] and "dZ[2]" in names["loss poisson"]
    assert "dA[2]" in names["poisson not by way of Z"]


# ----- the forms --------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_form(name, weighted):
    _, a = every(name, weighted)
    text, markdown, latex, html = str(a), a.to_markdown(), a.to_latex(), a._repr_html_()
    assert max(map(len, text.splitlines())) <= 100 and "`" not in text
    assert repr(a) == text
    data = json.loads(json.dumps(a.to_dict(), allow_nan=False))
    assert len(data["steps"]) == len(a)
    for step, found in zip(a, data["steps"], strict=True):
        assert found["equation"] == step.equation
        if step.result is not None and rendering.is_small(step.result.value):
            assert np.array_equal(found["result"]["matrix"], step.result.value)
    _balanced(latex)
    for formula in _formulas(markdown):
        _balanced(formula)
        assert formula.isascii(), formula
    assert re.sub(r"\$`[^`]*`\$|```math\n.*?\n```", "", markdown, flags=re.DOTALL).count("$") == 0
    assert not re.search(r"<(script|style|link|img)", html)
    for tag in ("table", "tr", "td", "div", "i", "b", "sup", "sub", "span", "code"):
        assert html.count(f"<{tag}>") + html.count(f"<{tag} ") == html.count(f"</{tag}>")


def _formulas(markdown):
    found = re.findall(r"\$`([^`]*)`\$|```math\n(.*?)\n```", markdown, flags=re.DOTALL)
    return [inline or block for inline, block in found]


def _balanced(latex):
    """Braces, environments, math and \\left … \\right are closed in the order they are opened."""
    waiting = []
    tokens = re.finditer(r"\\begin\{(\w+)\}|\\end\{(\w+)\}|\\\[|\\\]|\\.|[{}$]", latex)
    for token in tokens:
        text, begin, end = token[0], token[1], token[2]
        if begin or text in ("{", r"\["):
            waiting.append(begin or text)
        elif end or text in ("}", r"\]"):
            assert waiting and waiting.pop() == (end or {"}": "{", r"\]": r"\["}[text])
        elif text == "$":
            waiting.pop() if waiting and waiting[-1] == "$" else waiting.append("$")
    assert waiting == []


def test_formulas_are_parsed_by_an_engine():
    """matplotlib's, which knows no environments: each equation without its matrix."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    equations = {step.equation for name in OPTIONS for step in every(name, True)[1]}
    equations |= {step.equation for name in OPTIONS for step in every(name)[1]}
    for a in (every(name)[1] for name in OPTIONS):
        equations |= {part for step in a for part in step.why.split("`")[1::2]}
    assert len(equations) > 60
    for equation in equations:
        parser.parse(f"${notation.latex(equation)}$")


NOTATION = {
    "dW[2] = A[1]ᵀ dZ[2]": (
        r"\frac{df}{dW^{[2]}} = {A^{[1]}}^T \frac{df}{dZ^{[2]}}",
        "<i>dW</i><sup>[2]</sup> = <i>A</i><sup>[1] T</sup> <i>dZ</i><sup>[2]</sup>",
    ),
    "db[1] = 1ᵀ dZ[1]": (
        r"\frac{df}{db^{[1]}} = \mathbf{1}^T \frac{df}{dZ^{[1]}}",
        "<i>db</i><sup>[1]</sup> = <b>1</b><sup>T</sup> <i>dZ</i><sup>[1]</sup>",
    ),
    "g[1]'(Z[1])": (
        r"{g^{[1]}}'(Z^{[1]})",
        f"<i>g</i><sup>[1]</sup>{PRIME}(<i>Z</i><sup>[1]</sup>)",
    ),
    "2/m (A[2] - Y)": (
        r"\frac{2}{m} (A^{[2]} - Y)",
        f"2/<i>m</i> (<i>A</i><sup>[2]</sup> {MINUS} <i>Y</i>)",
    ),
    "1e-05": (r"1 \cdot 10^{-5}", f"1e{MINUS}05"),
    "a < b & c": (r"a < b \& c", "<i>a</i> &lt; <i>b</i> &amp; <i>c</i>"),
    "G⁻¹": ("G^{-1}", f"<i>G</i><sup>{MINUS}1</sup>"),
    "√v": (r"\sqrt{v}", "√<i>v</i>"),
    "r cut to ±δ": (r"r \text{ cut to } \pm \delta", "<i>r</i> cut to ±<i>δ</i>"),
}


@pytest.mark.parametrize("text", NOTATION)
def test_notation(text):
    assert (notation.latex(text), notation.html(text)) == NOTATION[text]


def test_a_large_matrix_is_abbreviated():
    text = "\n".join(rendering.matrix_lines(np.arange(90.0).reshape(9, 10)))
    assert text.splitlines()[0] == "[  0  1  2 …  7  8  9 ]" and len(text.splitlines()) == 7
    assert "…" not in "\n".join(rendering.matrix_lines(np.zeros((8, 8))))
    a = fitted(layers=(9,)).explain_backprop(X, Y)
    steps = {s["result"]["name"]: s["result"] for s in a.to_dict()["steps"] if s["result"]}
    assert steps["dW[1]"]["matrix"] is None and steps["dW[1]"]["shape"] == [3, 9]
    assert steps["dW[1]"]["norm"] == np.linalg.norm(a["dW[1]"].result.value)
    assert steps["db[2]"]["matrix"] == a["db[2]"].result.value.tolist()
    assert "more than 8" in str(a)


def test_eight_columns_of_the_longest_numbers_fit():
    M = np.full((8, 8), -1.2345e-105)
    assert max(map(len, rendering.matrix_lines(M))) <= 100 - 7


def test_names_of_columns_are_no_markup():
    names = ["<b>a</b>", "b_c$|`x", "50 % & {d}"]
    table = pd.DataFrame(X, columns=names)
    model = classic(hidden_layer_sizes=(2,), max_iter=2).fit(table, Y)
    a = model.explain_backprop(table, Y)
    assert "<b>a</b>" in str(a)
    assert "<b>a</b>" not in a._repr_html_() and "&lt;b&gt;a&lt;/b&gt;" in a._repr_html_()
    assert r"b\_c\$|'x, 50 \% \& \{d\}" in a.to_latex()
    assert "&lt;b" in a.to_markdown() and r"b\_c\$\|" in a.to_markdown()


def test_what_is_not_finite_is_shown_and_is_none_in_json():
    model = fitted()
    model.theta_ = model.theta_.copy()
    model.theta_[0] = np.inf
    a = model.explain_backprop(X, Y)
    assert "inf" in str(a) and r"\infty" in a.to_latex()
    json.dumps(a.to_dict(), allow_nan=False)
