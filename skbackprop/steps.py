"""The derivation with numbers: the steps of a training step, one after the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .equations import Equation, Equations, of_dA_L, of_loss, of_update
from .fitting import Fitting
from .formulas import formula_of, letters_of
from .messages import described
from .optimizers import SGD
from .trained import Trained

Array = np.ndarray
NAME = re.compile(r"g\[\d+\]'\(Z\[\d+\]\)|d?[AZHWDb]\[\d+\]|\b[wαY]\b|\bpenalty\b")


@dataclass(frozen=True)
class Symbol:
    """A matrix, or a number, by its name; the matrix itself, in the type it is computed in."""

    name: str
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns; () for a number."""
        return np.shape(self.value)

    @property
    def norm(self) -> float:
        """The Frobenius norm."""
        return float(np.linalg.norm(np.asarray(self.value, np.float64)))

    @property
    def smallest(self) -> float:
        """The smallest entry."""
        return float(np.min(self.value))

    @property
    def largest(self) -> float:
        """The largest entry."""
        return float(np.max(self.value))


@dataclass(frozen=True)
class Step:
    """One equation, and what it gives here.

    Attributes
    ----------
    part : str
        The heading that it stands under.
    layer : int or None
    equation : str
    rules : tuple of str
        The functions of :mod:`skbackprop.calculus` that are its rules.
    why : str
        A sentence or two, with equations between backquotes.
    result : Symbol or None
        Its left side.
    uses : tuple of Symbol
        What stands on the right side.
    """

    part: str
    layer: int | None
    equation: str
    rules: tuple[str, ...]
    why: str
    result: Symbol | None
    uses: tuple[Symbol, ...]


Found = tuple[str, int | None, Equation, Any]  # part, layer, equation and its left side's value


def derivation(fitting: Fitting, t: Trained, columns: Any = None) -> Iterator[Step]:
    """Every step for the matrices of a training step, in the order of the computation."""
    net, penalty = fitting.objective.network, float(fitting.objective.penalty)
    dropout = [D is not None for D in t.D]
    equations = Equations(net.fit_intercept, dropout, bool(penalty))
    known: dict[str, Symbol] = {}
    for part, layer, equation, value in chain(
        _given(fitting, t, columns),
        _forward(net, equations, t),
        _loss(fitting, t, penalty),
        _backward(fitting, equations, t),
        _update(fitting, t),
    ):
        names = dict.fromkeys(NAME.findall(equation.right))
        uses = tuple(known[name] for name in names if name in known)
        result = None if value is None else Symbol(equation.left, value)
        if result is not None and equation.relation == "=":
            known[result.name] = result
        yield Step(part, layer, equation.text, equation.rules, equation.why, result, uses)


def _given(fitting, t, columns) -> Iterator[Found]:
    m, part = fitting.model, "Given"
    why = "The table as the network sees it, one row for each example."
    if columns is not None:
        why += f" Columns: {', '.join(m.input_names(columns)).replace('`', chr(39))}."
    text = _scaled("X", m.X_shift, m.X_scale)
    if m.encoding is not None:
        text = f"[{' '.join(_parts(m.encoding))}], z = {text}"
        why += f" {'; '.join(_parts(m.encoding).values())}."
    yield part, 0, Equation("A[0]", text, (), why), t.A[0]
    why = "The targets in the units of `" + f"A[{len(t.A) - 1}]`."
    yield part, None, Equation("Y", _scaled("y", m.y_shift, m.y_scale), (), why), t.Y
    if t.weight is not None:
        why = "A column: of every row its sample_weight `s`, over their sum."
        yield part, None, Equation("w", "s / Σᵢ sᵢ", (), why), t.weight
    penalty = float(fitting.objective.penalty)
    if penalty:
        why = "The parameter alpha over the sum of the weights of the rows, which is their number "
        why += "where they have none."
        yield part, None, Equation("penalty", "alpha / Σᵢ sᵢ", (), why), penalty
    W, b, _ = fitting.objective.network.views(fitting.model.theta)
    for l in range(1, len(W)):
        why = f"Column k holds the weights of unit k of layer {l}."
        yield part, l, Equation(f"W[{l}]", "", (), why), W[l]
        if b[l] is not None:
            yield part, l, Equation(f"b[{l}]", "", (), "A row: the bias of every unit."), b[l]


def _parts(E):
    """What A[0] of an encoding is put together from, with its meaning."""
    parts = {"z": "The features as they are"}
    if E.bounded:
        parts = {
            "c(z)": "Bounded by `c(z) = z / √(1 + (z/3)²)`",
            "e(z)": "beside it e(z), a column for every bin",
        }
    if len(E.level_column):
        parts["o(z)"] = "of categories o(z), a column for every level, or for two of them"
    if len(E.missing_column):
        parts["i(z)"] = "i(z), 1 where a feature is missing"
    return parts


def _scaled(M, shift, scale):
    text = M if shift is None else f"{M} - 1 {M}_shift"
    if scale is None:
        return text
    return f"{text} / {M}_scale" if shift is None else f"({text}) / {M}_scale"


def _forward(net, equations, t) -> Iterator[Found]:
    for l in range(1, net.L + 1):
        part = f"Forward, layer {l}"
        yield part, l, equations.Z(l), t.Z[l]
        why = f"`g[{l}]`, entry by entry, is {_formula(net.g[l], 'g')}"
        yield part, l, equations.A(l)._replace(why=why), t.A[l]
        if t.D[l] is not None:
            why = "The mask, drawn for this step: 0 with probability `p`, the dropout, else "
            why += "`1/(1 - p)`."
            yield part, l, Equation(f"D[{l}]", "", (), why), t.D[l]
            yield part, l, equations.H(l), t.A[l] * t.D[l]


def _formula(g, left):
    """What g or its slope is, with the letters that are in it, and the end of the sentence."""
    text = formula_of(g, ACTIVATIONS, left)
    if not text.startswith("`"):
        return f"{described(getattr(g, 'g', g))}."
    return f"{text}.{letters_of(text, g.letters, g)}"


def _loss(fitting, t, penalty) -> Iterator[Found]:
    loss, objective = fitting.loss, fitting.objective
    equation = of_loss(loss, objective.network.L, t.weight is not None, bool(penalty))
    value = loss.value(t.A[-1], t.Y, t.weight)
    yield "Loss", None, equation, value + float(objective.penalty_values(fitting.model.theta)[0])


def _backward(fitting, equations, t) -> Iterator[Found]:
    net, from_Z = fitting.objective.network, fitting.objective.from_Z
    for l in range(net.L, 0, -1):
        part = f"Backward, layer {l}"
        direct = from_Z and l == net.L  # dZ[L] comes from the loss itself
        if l == net.L:
            first = of_dA_L(fitting.loss, l, t.weight is not None, from_Z)
            yield part, l, first, t.dZ[l] if direct else t.dA[l]
        else:
            yield part, l, equations.dA(l), t.dA[l]
        if not direct:
            yield from ((part, l, *step) for step in _through_activation(net.g[l], equations, t, l))
        yield part, l, equations.dW(l), t.dW[l]
        if t.db[l] is not None:
            yield part, l, equations.db(l), t.db[l]


def _through_activation(g, equations, t, l):
    equation = equations.dZ(l)
    if g.is_identity:
        yield equation._replace(why=f"{equation.why} Here `g[{l}]' = 1`."), t.dZ[l]
        return
    why = f"The slopes of `g[{l}]`, from the entries `z` of `Z[{l}]` and `a` of `A[{l}]`: "
    why += _formula(g, "g'")
    yield Equation(f"g[{l}]'(Z[{l}])", "", (), why), g.derivative(t.Z[l], t.A[l])
    yield equation, t.dZ[l]


# ----- the update ---------------------------------------------------------------------------


def _update(fitting, t) -> Iterator[Found]:
    optimizer, clip_norm, rates = fitting.optimizer, fitting.how.clip_norm, fitting.how.layer_rates
    plain = type(optimizer) is SGD and not optimizer.momentum
    if plain and clip_norm is None and not rates and fitting.schedule(0.0, 0):
        yield from _gradient_descent(fitting, t)
        return
    equation = of_update(optimizer, fitting.params["solver"])
    if optimizer is not None and rates:
        why = " `α` is √(64/n[l-1]) times the learning rate for `W[l]` and 0.8 times for `b[l]`."
        equation = equation._replace(why=equation.why + why)
    if optimizer is not None and clip_norm is not None:
        shorter = f" A gradient longer than {clip_norm:g} is shortened to that before."
        equation = equation._replace(why=equation.why + shorter)
    yield "Update", None, equation, None


def _gradient_descent(fitting, t) -> Iterator[Found]:
    """The article's update, made by the optimizer on a copy."""
    net, theta, rate = fitting.objective.network, fitting.model.theta.copy(), fitting.how
    gradient = np.empty_like(theta)
    for M, N in zip(net.views(gradient)[:2], (t.dW, t.db), strict=True):
        for to, dM in zip(M[1:], N[1:], strict=True):
            if to is not None:
                to[...] = dM
    alpha = float(rate.learning_rate * fitting.schedule(0.0, 0))
    why = "The learning rate, learning_rate_init, as it is at the beginning."
    yield "Update", None, Equation("α", "", (), why), alpha
    fitting.optimizer.step(theta, gradient, alpha, {})
    W, b, _ = net.views(theta)
    why = "A step downhill, against the derivative."
    for l in range(1, net.L + 1):
        for letter, M in (("W", W[l]), ("b", b[l])):
            if M is not None:
                name = f"{letter}[{l}]"
                right = f"{name} - α d{name}"
                yield "Update", l, Equation(name, right, (), why, "←"), M
