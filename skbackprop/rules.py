"""The derivation as a list: every matrix of a training step, and the rule that gives it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .calculus import right_multiplication
from .definition import Definition, scaled
from .derivatives import predict_gradient, units_of
from .equations import Equations
from .losses import CustomLoss
from .model import Model
from .trained import Trained

Array = np.ndarray


class Value(NamedTuple):
    """A matrix of the way forward: training's, and that of the definition."""

    name: str
    layer: int
    text: str
    trained: Array
    defined: Array
    uses: tuple[str, ...]  # names of the matrices that the rule starts from


class Derivative(NamedTuple):
    """A matrix of the way back, dM, which is to be df/dM."""

    name: str
    layer: int
    text: str
    M: Array
    dM: Array
    size: Any  # of the terms of the sums that dM is made of
    f: Callable[[Array], Array]  # of a stack of matrices in the place of M
    uses: tuple[str, ...]


def values(f: Definition, t: Trained) -> Iterator[Value]:
    """Z[l] and A[l], from the input on."""
    rules = _equations(f, t)
    for l in range(1, f.L + 1):
        yield Value(f"Z[{l}]", l, rules.Z(l).text, t.Z[l], f.Z[l], (f"A[{l - 1}]",))
        yield Value(f"A[{l}]", l, rules.A(l).text, t.A[l], f.A[l], (f"Z[{l}]",))


def derivatives(
    f: Definition, t: Trained, loss: Any, from_Z: bool, X: Array, units: tuple
) -> Iterator[Derivative]:
    """dA[l], dZ[l], dW[l] and db[l] from the output on, and df/dX for X in the caller's units.

    `units` are X_shift and X_scale, or None for either.
    """
    for l in range(f.L, 0, -1):
        direct = from_Z and l == f.L  # df/dZ[L] comes from the loss itself
        if not direct:
            yield _dA(f, t, l, t.dA[l]) if l < f.L else _dA_of_loss(f, t, loss)
        yield _dZ(f, t, l, loss if direct else None)
        yield _dW(f, t, l)
        if t.db[l] is not None:
            yield _db(f, t, l)
    dX = right_multiplication(t.dZ[1], f.W[1])  # which training has no use for
    yield _dA(f, t, 0, dX)
    yield _dX(f, dX, X, *units)


def _dA_of_loss(f, t, loss):
    L = f.L
    text = f"dA[{L}] = derivative of {_name(loss)}"
    return Derivative(
        f"dA[{L}]", L, text, f.A[L], t.dA[L], 0.0, lambda A: f.with_A(L, A), (f"A[{L}]",)
    )


def _dA(f, t, l, dA):
    """Right multiplication, l < L."""
    text = _equations(f, t).dA(l).text
    size = abs(t.dZ[l + 1]) @ abs(f.W[l + 1]).T
    return Derivative(
        f"dA[{l}]", l, text, f.A[l], dA, size, lambda A: f.with_A(l, A),
        (f"dZ[{l + 1}]",),
    )  # fmt: skip


def _dZ(f, t, l, loss):
    """Elementwise function, or the loss's own df/dZ[L]."""
    text, uses = _equations(f, t).dZ(l).text, (f"dA[{l}]", f"A[{l}]")
    if loss is not None:
        text, uses = f"dZ[{l}] = derivative_Z of {_name(loss)}", (f"A[{l}]",)
    size = 0.0 if loss is not None else abs(t.dA[l])  # g' = 1 - a² vanishes by cancelling
    return Derivative(f"dZ[{l}]", l, text, f.Z[l], t.dZ[l], size, lambda Z: f.with_Z(l, Z), uses)


def _dW(f, t, l):
    """Left multiplication."""
    text = _equations(f, t).dW(l).text
    size = abs(f.H(l - 1)).T @ abs(t.dZ[l]) + f.penalty * abs(f.W[l])
    return Derivative(
        f"dW[{l}]", l, text, f.W[l], t.dW[l], size, lambda W: f.with_W(l, W),
        (f"dZ[{l}]", f"A[{l - 1}]"),
    )  # fmt: skip


def _db(f, t, l):
    """Addition, and left multiplication by 1."""
    size = abs(t.dZ[l]).sum(axis=0, keepdims=True)
    return Derivative(
        f"db[{l}]", l, _equations(f, t).db(l).text, f.b[l], t.db[l], size, lambda b: f.with_b(l, b),
        (f"dZ[{l}]",),
    )  # fmt: skip


def _dX(f, dA_0, X, shift, scale):
    """df/dX in the caller's units, by steps of X_scale."""
    text, unit, dX = "dX = dA[0]", np.ones(X.shape[1]), dA_0
    if scale is not None:
        text, unit, dX = "dX = dA[0] / X_scale", scale, dA_0 / scale
    f_of_steps = partial(_f_of_steps, f, scaled(X, shift, None), unit, scale)
    none = np.zeros(X.shape)
    return Derivative("dX", 0, text, none, dX * unit, abs(dA_0), f_of_steps, ("dA[0]",))


def _f_of_steps(f, centred, unit, scale, V):
    """f for X + V unit, given X - X_shift: the step added to X might be rounded away."""
    return f.with_A(0, scaled(centred + V * unit, None, scale))


class Combination(NamedTuple):
    """Σᵢₖ cᵢₖ aᵢₖ in the place of a loss: its derivative has all outputs' derivatives in it."""

    c: Array

    def value(self, A: Array, Y: Any, weight: Any) -> float:
        """Σᵢₖ cᵢₖ aᵢₖ."""
        return float(np.vdot(self.c, A))


def of_prediction(model: Model, A_0: Array, X: Array) -> Iterator[Derivative]:
    """dy/dX as predict_gradient has it, of a random combination of the outputs.

    Nothing where a unit of y for one of X, and so dy/dX, is beyond the numbers there are.
    """
    network, units = model.network(), units_of(model, order=1)
    if not (len(X) and np.isfinite(units).all() and units.all()):
        return
    unit = np.ones(X.shape[1]) if model.X_scale is None else model.X_scale
    y_scale = np.ones(network.sizes[-1]) if model.y_scale is None else model.y_scale
    c = np.random.default_rng(0).standard_normal((len(X), network.sizes[-1]))
    dX = np.einsum("ijk,ik->ij", predict_gradient(model, X), c / y_scale) * unit
    f = Definition(network, model.theta, Combination(c), 0.0, A_0, None)
    f_of_steps = partial(_f_of_steps, f, scaled(X, model.X_shift, None), unit, model.X_scale)
    text = f"dy/dX = {'' if model.y_scale is None else 'y_scale '}dA[{f.L}]/dA[0]"
    text += "" if model.X_scale is None else " / X_scale"
    yield Derivative("dy/dX", 0, text, np.zeros(X.shape), dX, 0.0, f_of_steps, ("dA[0]",))


def _equations(f, t):
    dropout = [D is not None for D in f.D]
    return Equations(t.db[1] is not None, dropout, bool(f.penalty))


def _name(loss):
    return type(loss.loss if isinstance(loss, CustomLoss) else loss).__name__
