"""check_loss: whether f and df/dA are what :mod:`skbackprop.losses` asks of them."""

from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .blocks import run
from .contracts import copies, differs, held, judged, problem_of_out, verdict
from .differences import compare_matrix
from .losses import CustomLoss, Loss
from .messages import described
from .parameters import check, resolve_loss
from .quiet import quietly
from .reports import Line, Report, line_of

Array = np.ndarray

BETWEEN = 0.5  # the slopes of both sides, at a kink


@quietly
def check_loss(loss: Any, A: Any = None, Y: Any = None) -> Report:
    """Check f and df/dA of a loss: derivative, weights, mean and sum, `out`, domain, pickling.

    Parameters
    ----------
    loss : str or object
        A name, or an object with ``value(A, Y, weight=None)`` and
        ``derivative(A, Y, weight=None, out=None)``.
    A, Y : array-like of shape (m, outputs), default=None
        Predictions and targets to check it at, for a loss that is defined for some only. None for
        normal ones or, if these will not do, positive ones or such between 0 and 1.

    Returns
    -------
    report : Report
        ``report.passed``, and a line for every promise that the object makes.

    Raises
    ------
    TypeError, ValueError
        For what `BackpropRegressor(loss=)` would not take, such as a value that is no number,
        and for A and Y of which the loss is not finite.

    Examples
    --------
    >>> from skbackprop import check_loss
    >>> check_loss("poisson").passed
    True
    """
    check("loss", loss)
    f = resolve_loss({"loss": loss, "quantile": 0.25})
    A, Y = _tried(f) if A is None and Y is None else _given(f, A, Y)
    w = np.random.default_rng(1).uniform(0.2, 2, (len(A), 1)) / len(A)
    lines = [
        _derivative_of_loss(f, A, Y, None, "df/dA without weights"),
        _derivative_of_loss(f, A, Y, w, "df/dA with weights"),
        held("f without weights is the mean over the rows", _mean_over_rows, f, A, Y),
        held("f is linear in the weights", _linear_in_weights, f, A, Y, w),
        held("f is the sum over the outputs", _sum_over_outputs, f, A, Y, w),
        held("out= changes no result", _out_of_loss, f, A, Y, w),
        held("A, Y and the weights are left as they are", _inputs_of_loss, f, A, Y, w),
        held("training computes the same", _loss_in_training, f, A, Y, w),
        held("targets of which f is no number are refused", _domain, f, A),
        held("copies and pickles compute the same", copies, f, lambda o: o.value(A, Y, w)),
    ]
    if f.canonical is not None:
        lines.append(held("df/dZ = df/dA ⊙ g'(Z)", _derivative_Z, f, A, Y, w))
    if f.translation_invariant:
        lines.append(held("f(A + c, Y + c) = f(A, Y)", _translation, f, A, Y, w))
    if not isinstance(f, CustomLoss):
        lines.append(held("no constant is better than the best", _best_constant, f, Y, w))
    return Report("check_loss", f"{described(loss)}, A and Y of shape {A.shape}", lines)


def _tried(f: Loss) -> tuple[Array, Array]:
    """Predictions and targets at which the loss is defined, one of them predicted exactly."""
    A, Y = np.random.default_rng(0).standard_normal((2, 12, 3))
    A[0, 0] = Y[0, 0]
    positive = np.exp(A), np.exp(Y)
    shares = tuple(M / (1 + M) for M in positive)
    for a, y in (positive,) if f.positive else ((A, Y), positive, shares):
        if _is_defined(f, a, y):
            return a, y
    raise ValueError(
        "loss is not finite for normal A and Y, positive ones and such between 0 and 1: give A and "
        "Y for which it is"
    )


def _given(f: Loss, A: Any, Y: Any) -> tuple[Array, Array]:
    try:
        A, Y = (np.array(M, np.float64) for M in (A, Y))
    except (TypeError, ValueError) as error:
        raise type(error)(f"A and Y must be arrays of numbers: {error}") from error
    if A.shape != Y.shape or A.ndim != 2 or not A.size:
        raise ValueError(f"A and Y must both be (m, outputs); got {A.shape} and {Y.shape}")
    if not _is_defined(f, A, Y):
        raise ValueError("A and Y must be such that the loss is finite")
    return A, Y


def _is_defined(f, A, Y) -> bool:
    try:
        f.check_targets(Y)
    except ValueError:
        return False
    return bool(np.isfinite(f.value(A, Y)))


def _derivative_of_loss(f, A, Y, w, rule) -> Line:
    def values(M):
        return np.array([f.value(a, Y, w) for a in M])

    def line():
        dA = np.asarray(f.derivative(A.copy(), Y.copy(), w))
        if dA.shape != A.shape:
            return verdict(rule, f"df/dA has shape {dA.shape} for A of {A.shape}")
        return line_of(compare_matrix(values, A, dA, margin=BETWEEN), rule)

    return judged(rule, line)


def _mean_over_rows(f, A, Y) -> str:
    m = len(A)
    value, mean = f.value(A, Y), f.value(A, Y, np.full((m, 1), 1 / m))
    return f"f is {value:g}, with the weights 1/m {mean:g}" if differs(value, mean) else ""


def _linear_in_weights(f, A, Y, w) -> str:
    v = w[::-1].copy()
    value, parts = f.value(A, Y, w + 3 * v), f.value(A, Y, w) + 3 * f.value(A, Y, v)
    return f"f(w + 3v) is {value:g}, f(w) + 3f(v) {parts:g}" if differs(value, parts) else ""


def _sum_over_outputs(f, A, Y, w) -> str:
    outputs = range(A.shape[1])
    value, parts = f.value(A, Y, w), sum(f.value(A[:, [k]], Y[:, [k]], w) for k in outputs)
    return f"f is {value:g}, the sum {parts:g}" if differs(value, parts) else ""


def _out_of_loss(f, A, Y, w) -> str:
    loss = f.loss if isinstance(f, CustomLoss) else f
    for weight in (None, w):
        out = np.full_like(A, np.nan)
        result, expected = loss.derivative(A, Y, weight, out), loss.derivative(A, Y, weight)
        problem = problem_of_out("derivative", result, out, expected)
        if problem:
            return problem
    return ""


def _inputs_of_loss(f, A, Y, w) -> str:
    given = {"A": A.copy(), "Y": Y.copy(), "weight": w.copy()}
    for name in ("value", "derivative"):
        getattr(f, name)(*given.values())
        for key, before in (("A", A), ("Y", Y), ("weight", w)):
            if not np.array_equal(given[key], before):
                return f"{name}() changes {key}"
    return ""


def _loss_in_training(f, A, Y, w) -> str:
    for weight in (None, w):
        out = np.empty_like(A)
        run(f.prepare(A, Y, weight, out))
        if differs(out, f.derivative(A, Y, weight)):
            return "df/dA as it is prepared is something else than derivative(A, Y, weight)"
    return ""


def _domain(f, A) -> str:
    """Of every target either check_targets says no, or f and df/dA are numbers."""
    for y in (-1.0, 0.0, 0.5, 1.0, 1e6):
        Y = np.full_like(A, y)
        try:
            f.check_targets(Y)
        except ValueError:
            continue
        if not (np.isfinite(f.value(A, Y)) and np.isfinite(f.derivative(A, Y)).all()):
            return f"y = {y:g} is not refused by check_targets(), and f or df/dA is no number"
    return ""


def _derivative_Z(f, A, Y, w) -> str:
    g = ACTIVATIONS[f.canonical]()
    Z = np.log(A) if f.canonical == "exp" else A
    A = g.value(Z)
    for weight in (None, w):
        direct, out = f.derivative_Z(A, Y, weight), np.empty_like(A)
        run(f.prepare(A, Y, weight, out, from_Z=True))
        if differs(direct, f.derivative(A, Y, weight) * g.derivative(Z, A)):
            return f"derivative_Z is not df/dA ⊙ g'(Z) for g = {g!r}"
        if differs(out, direct):
            return "df/dZ as it is prepared is something else than derivative_Z"
    return ""


def _translation(f, A, Y, w) -> str:
    moved, value = f.value(A + 3, Y + 3, w), f.value(A, Y, w)
    return f"f(A + 3, Y + 3) is {moved:g}, f(A, Y) {value:g}" if differs(moved, value) else ""


def _best_constant(f, Y, w) -> str:
    best = np.asarray(f.best_constant(Y, w))
    if best.shape != (Y.shape[1],):
        return f"best_constant() has shape {best.shape} for Y of {Y.shape}"
    least = f.value(np.broadcast_to(best, Y.shape).copy(), Y, w)
    for share in (-0.01, 0.01):
        near = best + share * np.where(best == 0, 1, best)
        other = f.value(np.broadcast_to(near, Y.shape).copy(), Y, w)
        if other < least * (1 - 1e-9):
            return f"{share:+.0%} gives {other:g}, the best constant {least:g}"
    return ""
