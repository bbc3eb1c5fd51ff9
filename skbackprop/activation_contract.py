"""check_activation: whether g and g' are what :mod:`skbackprop.activations` asks of them."""

from typing import Any

import numpy as np

from .blocks import run
from .contracts import copies, differs, held, judged, problem_of_out, verdict
from .differences import compare, slopes
from .messages import described
from .parameters import ACTIVATION, check, resolve_activation
from .quiet import quietly
from .reports import Line, Report, line_of

Array = np.ndarray

BETWEEN = 0.5  # the slopes of both sides, at a kink
FLOAT32 = 1e-4  # a few operations in float32, relative to 1 or to the value
ROUNDED = 2.0**-21  # 4 roundings of float32


@quietly
def check_activation(activation: Any) -> Report:
    """Check g and g' of an activation: derivative, shapes, `out`, NaN, pickling.

    g'(z) is compared with differences of g at 300 z from -10 to 10, among them 0 and the other
    whole numbers, where kinks often are: there the slope of either side will do, and what lies
    between.

    Parameters
    ----------
    activation : str or object
        A name, or an object with ``value(Z, out=None)`` and ``derivative(Z, A, out=None)``.

    Returns
    -------
    report : Report
        ``report.passed``, and a line for every promise that the object makes.

    Raises
    ------
    TypeError, ValueError
        For what `BackpropRegressor(activation=)` would not take.

    Examples
    --------
    >>> from skbackprop import check_activation
    >>> class Cubic:
    ...     def value(self, Z, out=None):
    ...         return np.power(Z, 3, out=out)
    ...     def derivative(self, Z, A, out=None):
    ...         return np.multiply(3, Z, out=out)  # 3 z² it should be
    >>> check_activation(Cubic()).faults[0].rule
    "g'(Z) = dg/dZ"
    """
    check("activation", activation, ACTIVATION)
    resolved = resolve_activation(activation)
    g = resolved if isinstance(activation, str) else activation
    rng = np.random.default_rng(0)
    Z = np.concatenate([np.linspace(-10, 10, 201), rng.uniform(-10, 10, 99)]).reshape(60, 5)
    lines = [
        held("g(Z) and g'(Z) have the shape of Z", _shapes_of_activation, g, Z),
        _derivative_of_activation(resolved, Z),
        held("g and g' go entry by entry", _entry_by_entry, g, Z),
        held("out= changes no result", _out_of_activation, g, Z),
        held("Z and A are left as they are", _inputs_of_activation, g, Z),
        held("training computes the same", _activation_in_training, resolved, Z),
        held("float32 is float64 but for rounding", _activation_in_float32, g, Z),
        held("no NaN for |z| up to 1000", _extremes, g),
        held("copies and pickles compute the same", copies, activation, lambda o: _g(o).value(Z)),
    ]
    return Report("check_activation", described(activation), lines)


def _g(activation):
    return resolve_activation(activation) if isinstance(activation, str) else activation


def _derivative_of_activation(g, Z) -> Line:
    rule = "g'(Z) = dg/dZ"

    def line():
        d, step = np.asarray(g.derivative(Z.copy(), g.value(Z))), np.maximum(1, abs(Z))
        if d.shape != Z.shape:
            return verdict(rule, f"g'(Z) has shape {d.shape} for Z of {Z.shape}")
        found = slopes(lambda t: g.value(Z + t * step) / step)
        # Relative to 1, as where g' vanishes all is rounding; or to the steepest slope, if less.
        least = min(1.0, float(np.fmax.reduce(abs(found.both), axis=None)))
        return line_of(compare(found, d, np.maximum(least, abs(found.both)), BETWEEN), rule)

    return judged(rule, line)


def _shapes_of_activation(g, Z) -> str:
    for z in (Z, Z[:1], Z[:, :1]):
        A = g.value(z)
        for name, M in (("g(Z)", A), ("g'(Z)", g.derivative(z, A))):
            if np.shape(M) != z.shape:
                return f"{name} has shape {np.shape(M)} for Z of {z.shape}"
    return ""


def _entry_by_entry(g, Z) -> str:
    def both(z):
        A = g.value(z)
        return A, g.derivative(z, A)

    whole, part = both(Z), both(Z[5:7, 1:3].copy())
    for name, M, of_part in zip(("g", "g'"), whole, part, strict=True):
        if differs(of_part, M[5:7, 1:3]):
            return f"{name} of an entry depends on the others"
    return ""


def _out_of_activation(g, Z) -> str:
    A = g.value(Z)
    for name, call in (("value", g.value), ("derivative", lambda Z, **o: g.derivative(Z, A, **o))):
        out = np.full_like(Z, np.nan)
        problem = problem_of_out(name, call(Z, out=out), out, call(Z))
        if problem:
            return problem
    return ""


def _inputs_of_activation(g, Z) -> str:
    z = Z.copy()
    A = g.value(z)
    if not np.array_equal(z, Z):
        return "value() changes Z"
    a = np.array(A)
    g.derivative(z, a)
    changed = "Z" if not np.array_equal(z, Z) else "A" * (not np.array_equal(a, A))
    return f"derivative() changes {changed}" if changed else ""


def _activation_in_training(g, Z) -> str:
    """As :class:`skbackprop.workspace.Workspace` has them: A in the memory of Z, S beside it."""
    z, S = Z.copy(), None if g.from_A else np.empty_like(Z)
    A = z if g.in_place else np.empty_like(z)
    run(g.forward(z, A, S))
    if S is None:
        S = np.empty_like(Z)
        g.prepare_derivative(A, S)()
    if differs(A, g.value(Z)):
        return "g(Z) in place is something else than value(Z)"
    if differs(S, g.derivative(Z, g.value(Z))):
        return "g'(Z) on the way forward is something else than derivative(Z, A)"
    return ""


def _activation_in_float32(g, Z) -> str:
    """Between the values at z and next to it, as z itself is rounded: at a kink, or times 100."""
    z = Z.astype(np.float32)
    a = g.value(z)
    near = [z.astype(np.float64) * (1 + k * ROUNDED) for k in (-1, 0, 1)]
    A = [g.value(x) for x in near]
    if _is_outside(a, A):
        return "g(Z) is something else in float32"
    slopes_near = [g.derivative(x, y) for x, y in zip(near, A, strict=True)]
    outside = _is_outside(g.derivative(z, a), slopes_near)
    return "g'(Z) is something else in float32" if outside else ""


def _is_outside(M, near) -> bool:
    """Whether an entry of M is not between those of the arrays, but for rounding."""
    return differs(M, np.clip(M, np.min(near, axis=0), np.max(near, axis=0)), FLOAT32)


def _extremes(g) -> str:
    Z = np.array([[-1000.0, -100.0, -30.0, 30.0, 100.0, 1000.0]])
    A = g.value(Z)
    for name, M in (("g", A), ("g'", g.derivative(Z, A))):
        nan = np.isnan(M)
        if nan.any():
            return f"{name}({Z[nan][0]:g}) is NaN"
    return ""
