"""Derivatives checked with numbers: central differences and the dot-product test.

A central difference with step h is off by c₂h² + c₄h⁴ + … (truncation) and by about
2⁻⁵³ |f| / h (rounding). One step of Richardson's extrapolation, (4 D(h/2) - D(h)) / 3,
takes c₂h² away, so that a step as long as 1e-3 leaves a truncation of 1e-12 and a
rounding of 1e-13: relative errors of 1e-9 are within reach where the plain difference
stops at 1e-7 or so. f is evaluated four times an entry.
"""

import numpy as np

STEP = 1e-3


def central_differences(f, x, step=STEP, richardson=True):
    """df/dx of a scalar function f of an array x, entry by entry."""
    x = np.array(x, dtype=np.float64)  # a copy, which is varied in place
    derivative = np.empty_like(x)
    for i in np.ndindex(x.shape):
        x_i = x[i]

        def difference(h, i=i, x_i=x_i):
            x[i] = x_i + h
            right = f(x)
            x[i] = x_i - h
            left = f(x)
            x[i] = x_i
            return (right - left) / (2 * h)

        derivative[i] = difference(step)
        if richardson:
            derivative[i] = (4 * difference(step / 2) - derivative[i]) / 3
    return derivative


def elementwise_differences(g, z, step=STEP):
    """g'(z) of an elementwise function, all entries at once."""

    def difference(h):
        return (g(z + h) - g(z - h)) / (2 * h)

    return (4 * difference(step / 2) - difference(step)) / 3


def relative_error(a, b):
    """max |a - b| / max |b|: 0 where both are 0 everywhere."""
    distance, size = np.max(np.abs(a - b), initial=0.0), np.max(np.abs(b), initial=0.0)
    return float(distance / size) if size else float(distance)


def vjp_error(G, pull_back, X, rng, step=STEP):
    """The dot-product test of a rule df/dG -> df/dX, for a matrix-to-matrix G.

    For every direction V and every df/dG,  <df/dG, dG(X)[V]>  =  <df/dX, V>: the left
    side by a difference of G along V, the right side by the rule. Returns the difference
    of the two sides divided by |df/dG| |dG(X)[V]|, the size of what cancels.
    """
    V = rng.standard_normal(X.shape)

    def difference(h):
        return (G(X + h * V) - G(X - h * V)) / (2 * h)

    dG_V = (4 * difference(step / 2) - difference(step)) / 3
    dG = rng.standard_normal(dG_V.shape)
    left, right = np.vdot(dG, dG_V), np.vdot(pull_back(dG, X), V)
    return float(abs(left - right) / (np.linalg.norm(dG) * np.linalg.norm(dG_V)))
