"""Derivatives of a fitted model's predictions by its inputs, in the caller's units.

The rules that lead from df/dA[L] to df/dW[l] lead to df/dA[0] as well. The derivative of one
output aₖ is that of f = Σᵢ aᵢₖ, of which row i has nothing to do with the other rows:

    df/dA[L] = 1 in column k, else 0
    df/dZ[l] = df/dA[l] ⊙ g[l]'(Z[l])            df/dA[l-1] = df/dZ[l] W[l]ᵀ            l = L … 1

Differentiated once more by every input, with D[l] = dZ[l]/dA[0], for each row a matrix with a
row for every input,

    D[1] = W[1]        D[l+1] = (D[l] ⊙ g[l]'(Z[l])) W[l+1]
    d²f/dA[0]² = Σₗ D[l] diag(df/dA[l] ⊙ g[l]''(Z[l])) D[l]ᵀ

as W[l] is constant and g[l]'(Z[l]) has the derivative g[l]''(Z[l]) ⊙ D[l]. The network sees
(X - X_shift) / X_scale and predicts (y - y_shift) / y_scale, so that

    dy/dX = y_scale (dA[L]/dA[0]) / X_scale.

Where the inputs are encoded, A[0] = φ(z) of the scaled features z (:mod:`skbackprop.encoding`),
the derivatives by z are, with J = dφ/dz, (dA[L]/dA[0]) J and
Jᵀ (d²f/dA[0]²) J + diag(df/dc ⊙ c''(z)). By a category, and by a cell that is missing, there is
no derivative: NaN. Of several networks the mean predicts, and the derivatives are the means of
theirs.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .blocks import blocks
from .calculus import right_multiplication
from .messages import shown
from .model import Model
from .second_order import ENTRIES, Pass

Array = np.ndarray

SMOOTH = "'tanh', 'logistic', 'softplus', 'gelu', 'silu' and 'mish' have"


def input_gradient(p: Pass, k: int) -> Array:
    """daₖ/dA[0] of every row: (m, n[0])."""
    _, dZ = p.backward(p.unit(k))
    return right_multiplication(dZ[1], p.W[1])


def input_hessian(p: Pass, k: int) -> Array:
    """d²aₖ/dA[0]² of every row: (m, n[0], n[0])."""
    dA, _ = p.backward(p.unit(k))
    m, n = p.A[0].shape
    D, H = np.broadcast_to(p.W[1], (m, *p.W[1].shape)), np.zeros((m, n, n), p.A[0].dtype)
    for l in range(1, p.L + 1):
        bend = dA[l] * p.g[l].second_derivative(p.Z[l], p.A[l])
        H += (D * bend[:, None, :]) @ D.swapaxes(1, 2)
        if l < p.L:
            D = (D * p.S[l][:, None, :]) @ p.W[l + 1]
    return H


def feature_gradient(p: Pass, k: int, Z: Array, encoding: Any) -> Array:
    """daₖ/dz of every row: (m, features)."""
    dA_0 = input_gradient(p, k)
    return dA_0 if encoding is None else encoding.pull_back(dA_0, Z)


def feature_hessian(p: Pass, k: int, Z: Array, encoding: Any) -> Array:
    """d²aₖ/dz² of every row: (m, features, features)."""
    H = input_hessian(p, k)
    if encoding is None:
        return H
    J = encoding.jacobian(Z)
    H = J.swapaxes(1, 2) @ H @ J
    diagonal = np.arange(Z.shape[1])
    H[:, diagonal, diagonal] += encoding.bend(input_gradient(p, k), Z)
    return H


def predict_gradient(model: Model, X: Any) -> Array:
    """dyₖ/dxⱼ of the rows of X: (n, features, outputs)."""
    units = units_of(model, order=1)
    return _whole(X.shape[0], units, model, gradients(model, X))


def predict_hessian(model: Model, X: Any) -> Array:
    """d²yₖ/dxᵢdxⱼ of the rows of X: (n, features, features, outputs).

    Raises
    ------
    ValueError
        If an activation has no second derivative; the message names it.
    """
    check_smooth(model, "predict_hessian")
    units, sizes = units_of(model, order=2), model.layer_sizes
    parts = _derivatives(model, X, feature_hessian, ENTRIES // (sizes[0] * max(sizes)))
    return _whole(X.shape[0], units, model, parts)


def gradients(model: Model, X: Any) -> Iterator[tuple[slice, Array, Array]]:
    """The rows of one block after the other, their A[L], and dA[L]/dz in float64."""
    return _derivatives(model, X, feature_gradient, ENTRIES // max(model.layer_sizes))


def _derivatives(model, X, function: Callable, at_once):
    members, table = model.members(), model.rows(X)
    for rows in blocks(X.shape[0], max(1, at_once)):
        n = rows.stop - rows.start
        Z = table.scaled(rows, np.empty((n, X.shape[1]), model.theta.dtype))
        A0 = model.encoded(Z)
        A: Any = 0
        M: Any = 0
        for member in members:
            p = Pass(member.network(), member.theta, A0)
            outputs = range(member.layer_sizes[-1])
            A = A + p.A[p.L]
            M = M + np.stack([function(p, k, Z, model.encoding) for k in outputs], axis=-1)
        A, M = A / len(members), (M / len(members)).astype(np.float64, copy=False)
        M[~np.isfinite(A).all(axis=1)] = np.nan  # where ∞ - ∞ may have led to any number
        _forget_undefined(M, np.isnan(Z), model)
        yield rows, A, M


def _forget_undefined(M, missing, model):
    """NaN for the derivatives by categories, and by cells that are missing."""
    if model.encoding is not None:
        missing[:, model.encoding.categories] = True
    if missing.any():
        M[missing] = np.nan
        if M.ndim == 4:  # second derivatives
            M.swapaxes(1, 2)[missing] = np.nan


def _whole(n, units, model, parts):
    """The parts in the caller's units as one array, of the weights' type if that holds these."""
    held = units[units != 0]
    held = held.min(initial=1) > 2.0**-100 and held.max(initial=1) < 2.0**100
    whole = np.empty((n, *units.shape), model.theta.dtype if held else np.float64)
    for rows, _, M in parts:
        whole[rows] = M * units
    return whole


def units_of(model: Model, order: int) -> Array:
    """y_scale / X_scale, or y_scale / (X_scale X_scaleᵀ): (features, outputs) and so on.

    Powers of two apart, so that only a unit which is itself beyond all numbers is one.
    """
    ones = np.ones(model.n_features), np.ones(model.layer_sizes[-1])
    x, x_power = np.frexp(ones[0] if model.X_scale is None else model.X_scale)
    y, y_power = np.frexp(ones[1] if model.y_scale is None else model.y_scale)
    if order == 2:
        x, x_power = np.multiply.outer(x, x), np.add.outer(x_power, x_power)
    return np.ldexp(np.multiply.outer(1 / x, y), np.add.outer(-x_power, y_power))


def check_smooth(model: Model, what: str) -> None:
    """Refuse a network with an activation that has no second derivative."""
    for l, (spec, g) in enumerate(zip(model.activations, model.network().g[1:], strict=True), 1):
        if not g.is_smooth:
            name = "output_activation" if l == len(model.activations) else "activation"
            raise ValueError(
                f"{what} needs the second derivative of every activation, and {name}="
                f"{shown(spec)} of layer {l} has none; {SMOOTH} one, and so has an object of your "
                "own with second_derivative(Z, A)"
            )
