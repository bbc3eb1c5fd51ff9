"""The matrix calculus: five rules, as functions on arrays and as composable objects.

f is a scalar function of a matrix G, and G a function of a matrix X. A rule gives df/dX
from df/dG and what it needs of G (the constant W or C, or g'(X)); df/dX has the shape of X
and holds the partial derivative with respect to each entry. A letter with a d in front is the
derivative of f with respect to it: dG = df/dG.

==============================  ===================  =============================
rule                            G(X)                 df/dX
==============================  ===================  =============================
:func:`right_multiplication`    X W                  df/dG Wᵀ
:func:`left_multiplication`     W X                  Wᵀ df/dG
:func:`elementwise`             g(X)                 df/dG ⊙ g'(X)
:func:`addition`                X + C                df/dG
:func:`squared_frobenius_norm`  f(G) = ‖G‖²_F        df/dG = 2 G
==============================  ===================  =============================

A rule is named after G and not after what it does to df/dG: right_multiplication
multiplies by Wᵀ. The network's backward pass and its squared error are made of these
functions. Arrays may carry leading axes: a stack of matrices is differentiated matrix by
matrix.

Examples
--------
The derivative of f(X) = ‖X W - Y‖²_F is 2 (X W - Y) Wᵀ, put together by the rules
(and ``1 / m * f`` is the article's loss):

>>> import numpy as np
>>> from skbackprop.calculus import Add, RightMultiply, SquaredFrobeniusNorm
>>> X, W, Y = np.array([[1., 2.]]), np.array([[3.], [4.]]), np.array([[1.]])
>>> f = SquaredFrobeniusNorm() @ Add(-Y) @ RightMultiply(W)
>>> f.value(X)
100.0
>>> f.derivative(X)
array([[60., 80.]])
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from .blocks import Call, run

if TYPE_CHECKING:
    from .reports import Report

Array = np.ndarray


class Rule:
    """A rule as a function on arrays: ``rule(dG, constant, out=None)`` is df/dX.

    ``rule.prepare(dG, constant, out)`` is a function without arguments that computes it, into
    `out` and from what the arrays then hold, whenever it is called: the form in which
    training uses the rules. Both come from the one definition below, which returns the call.
    """

    def __init__(self, prepare: Callable[..., Call]):
        self.prepare = prepare
        update_wrapper(self, prepare)

    def __call__(self, dG: Array, *constant: Any, out: Array | None = None) -> Array:
        result = self.prepare(dG, *constant, out=out)()
        return result if out is None else out


@Rule
def right_multiplication(dG: Array, W: Array, out: Array | None = None) -> Call:
    """df/dX = df/dG Wᵀ,  where G(X) = X W."""
    return product(dG, W.swapaxes(-1, -2), out)


@Rule
def left_multiplication(dG: Array, W: Array, out: Array | None = None) -> Call:
    """df/dX = Wᵀ df/dG,  where G(X) = W X."""
    return product(W.swapaxes(-1, -2), dG, out)


@Rule
def elementwise(dG: Array, derivative: Array, out: Array | None = None) -> Call:
    """df/dX = df/dG ⊙ g'(X),  where G(X) = g(X) and `derivative` is g'(X)."""
    return partial(np.multiply, dG, derivative, out)


@Rule
def addition(dG: Array, C: Any = None, out: Array | None = None) -> Call:
    """df/dX = df/dG,  where G(X) = X + C: a constant added changes no derivative."""
    return (lambda: dG) if out is None or out is dG else partial(np.copyto, out, dG)


@Rule
def squared_frobenius_norm(G: Array, c: float = 1.0, out: Array | None = None) -> Call:
    """df/dG = 2 c G,  where f(G) = c ‖G‖²_F: c is 1/m in the article's loss."""
    return partial(np.multiply, G, 2 * c, out)


SMALL = 16384  # bytes


def product(X: Array, Y: Array, out: Array | None = None) -> Call:
    """X Y of two matrices or two stacks of matrices, to be called; the NumPy call that is fastest.

    np.dot takes 0.4 µs less than np.matmul, but copies what has gaps and fills its result with
    zeros first: 1.0 against 1.4 µs for (32, 13) (13, 50), 7.5 against 5.5 µs for (200, 8)
    (8, 100). An outer product is a case by itself: (200, 1) (1, 100) takes np.matmul 23 µs,
    np.multiply 15 and np.dot 8.
    """
    if X.shape[-1] != Y.shape[-2]:
        raise ValueError(
            f"mismatch in a product: {X.shape[-1]} columns on the left and {Y.shape[-2]} rows on "
            f"the right, of matrices of shapes {X.shape} and {Y.shape}"
        )
    outer, ndim = X.shape[-1] == 1, X.ndim
    if out is not None and X.dtype == Y.dtype == out.dtype and ndim == Y.ndim == out.ndim:
        small = out.nbytes <= SMALL and X.flags.forc and Y.flags.forc
        if ndim == 2 and out.flags.c_contiguous and (outer or small):
            return partial(np.dot, X, Y, out)
        if ndim == 3 and outer and len(X) == len(Y):
            return partial(run, [product(*matrices) for matrices in zip(X, Y, out, strict=True)])
    return partial(np.multiply if outer else np.matmul, X, Y, out)


# ----- the same rules as objects -----------------------------------------------------


class Function:
    """f(G(X)): functions joined by @, the innermost last.

    ``.value(X)`` is the function's value and ``.derivative(X)`` is df/dX; a derivative
    needs a chain whose outermost function is a scalar one.
    """

    def value(self, X: Array) -> Any:
        """G(X)."""
        raise NotImplementedError

    def pull_back(self, dG: Any, X: Array) -> Array:
        """df/dX, given df/dG."""
        raise NotImplementedError

    def derivative(self, X: Array) -> Array:
        """df/dX at X, for a function whose value is a scalar f.

        Raises
        ------
        TypeError
            If the value is a matrix: only df/dX of a scalar f is defined here.
        """
        X = np.asarray(X)
        f = self.value(X)
        if np.ndim(f) != 0:
            raise TypeError(
                f"df/dX needs a scalar function f, and the value of this one has shape "
                f"{np.shape(f)}: put a matrix-to-scalar function such as "
                "SquaredFrobeniusNorm() in front, f @ G"
            )
        dX = self.pull_back(1.0, X)
        if dX.shape != np.shape(X):
            raise ValueError(f"df/dX has shape {dX.shape} and X {np.shape(X)}: X must be a matrix")
        return dX

    __array_ufunc__ = None  # W @ f is no matrix product: NumPy leaves it to this class

    def __matmul__(self, inner: "Function") -> "Composition":
        if not isinstance(inner, Function):
            raise TypeError(
                f"@ joins functions, f @ G; got {type(inner).__name__}. "
                "For the value at X write f.value(X)"
            )
        return Composition(self, inner)

    def __rmul__(self, c: float) -> "Composition":
        return Composition(Scale(c), self)


class Composition(Function):
    """f(G(X)): df/dX from df/dG by the inner function's rule.

    Values are computed anew in every pull_back; the network keeps Z and A instead, which
    is what makes backpropagation cheap.
    """

    def __init__(self, outer: Function, inner: Function):
        self.outer, self.inner = outer, inner

    def value(self, X):
        """outer(inner(X))."""
        return self.outer.value(self.inner.value(X))

    def pull_back(self, dG, X):
        """The outer function's rule at G = inner(X), then the inner one's at X."""
        return self.inner.pull_back(self.outer.pull_back(dG, self.inner.value(X)), X)

    def __repr__(self):
        return f"{self.outer!r} @ {self.inner!r}"


class Scale(Function):
    """G(X) = c X, with c a number and X a matrix or a number; written c * f.

    Right multiplication by c times the identity matrix; 1/m in the article's loss.
    """

    def __init__(self, c: float):
        self.c = float(c)

    def value(self, X):
        """c X."""
        return self.c * X

    def pull_back(self, dG, X):
        """df/dX = c df/dG."""
        return self.c * dG

    def __repr__(self):
        return f"Scale({self.c:g})"


class _WithConstant(Function):
    def __init__(self, constant):
        self.constant = np.asarray(constant)
        if self.constant.ndim == 1:
            raise ValueError(
                f"{type(self).__name__} needs a matrix; for a vector w of shape "
                f"{self.constant.shape} write w[:, None] (a column) or w[None, :] (a row)"
            )

    def __repr__(self):
        shape = "×".join(map(str, self.constant.shape))
        return f"{type(self).__name__}({shape})"


class RightMultiply(_WithConstant):
    """G(X) = X W."""

    def value(self, X):
        """X W."""
        if np.shape(X)[-1] != self.constant.shape[-2]:
            raise ValueError(
                "X W needs as many columns in X as there are rows in W; got X of shape "
                f"{np.shape(X)} and W of {self.constant.shape}"
            )
        return X @ self.constant

    def pull_back(self, dG, X):
        """df/dX = df/dG Wᵀ."""
        return right_multiplication(dG, self.constant)


class LeftMultiply(_WithConstant):
    """G(X) = W X."""

    def value(self, X):
        """W X."""
        if self.constant.shape[-1] != np.shape(X)[-2]:
            raise ValueError(
                "W X needs as many columns in W as there are rows in X; got W of shape "
                f"{self.constant.shape} and X of {np.shape(X)}"
            )
        return self.constant @ X

    def pull_back(self, dG, X):
        """df/dX = Wᵀ df/dG."""
        return left_multiplication(dG, self.constant)


class Add(_WithConstant):
    """G(X) = X + C."""

    def value(self, X):
        """X + C; C has the shape of X, or one that NumPy stretches to it."""
        X, C = np.asarray(X), self.constant
        try:  # where X itself would be stretched df/dX would not be df/dG
            fits = np.broadcast_shapes(X.shape, C.shape) == X.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"X + C needs a C of X's shape; got X of shape {X.shape} and C of {C.shape}. If X "
                "is a row to be added to every row, put LeftMultiply(np.ones((m, 1))) before it: "
                "Add(C) @ LeftMultiply(np.ones((m, 1)))"
            )
        return X + C

    def pull_back(self, dG, X):
        """df/dX = df/dG."""
        return addition(dG, self.constant)


class Elementwise(Function):
    """G(X) = g(X), for an object g with ``value(Z)`` and ``derivative(Z, A)``.

    Such an object is ``Tanh()``, or ``ACTIVATIONS[name]()`` for every name of
    :data:`skbackprop.activations.ACTIVATIONS`.
    """

    def __init__(self, g):
        if isinstance(g, type) or not (hasattr(g, "value") and hasattr(g, "derivative")):
            raise TypeError(
                "Elementwise needs an object with value(Z) and derivative(Z, A), such as "
                f"Tanh(); got {g!r}"
            )
        self.g = g

    def value(self, X):
        """g(X)."""
        return self.g.value(np.asarray(X))

    def pull_back(self, dG, X):
        """df/dX = df/dG ⊙ g'(X)."""
        return elementwise(dG, self.g.derivative(X, self.g.value(X)))

    def __repr__(self):
        return f"Elementwise({self.g!r})"


class SquaredFrobeniusNorm(Function):
    """f(G) = ‖G‖²_F, the sum of the squares of all entries."""

    def value(self, X):
        """‖X‖²_F."""
        X = np.asarray(X, np.float64)  # squares of small integer types overflow
        return float(np.vdot(X, X))

    def pull_back(self, dG, X):
        """df/dX = df/dG · 2 X: dG is a number, 1 when nothing stands outside."""
        return dG * squared_frobenius_norm(np.asarray(X, np.result_type(X, np.float32)))

    def __repr__(self):
        return "SquaredFrobeniusNorm()"


# ----- and checked -------------------------------------------------------------------


def check_derivative(f: Any, X: Any) -> "Report":
    """Compare df/dX of a function with differences, and of a composition every step.

    Parameters
    ----------
    f : Function
        A scalar function, or any object with ``value(X)``, a number, and ``derivative(X)``, of
        X's shape.
    X : array-like
        Where to compare, in float64.

    Returns
    -------
    report : skbackprop.reports.Report
        ``report.passed``, and a line for the derivative with respect to the input of every
        function of a composition, the outermost first: the first that is wrong is that function's
        rule. :mod:`skbackprop.differences` says what counts as wrong.

    Raises
    ------
    TypeError
        If f has no value or derivative, or its value is no number.
    ValueError
        If X is no array of finite numbers.

    Examples
    --------
    >>> f = 0.5 * SquaredFrobeniusNorm() @ RightMultiply([[3.], [4.]])
    >>> check_derivative(f, [[1., 2.]]).passed
    True
    """
    from .differences import compare_matrix
    from .messages import described
    from .reports import Report, line_of

    if isinstance(f, type) or not (hasattr(f, "value") and hasattr(f, "derivative")):
        raise TypeError(f"f must be an object with value(X) and derivative(X); got {f!r}")
    X = _finite(X)
    if np.ndim(f.value(X)) != 0:
        raise TypeError(f"f must be a scalar function; its value has shape {np.shape(f.value(X))}")
    lines, source = [], ""
    for outer, step, G in _steps(f, X):
        dG = np.asarray(outer.derivative(G))
        if dG.shape != G.shape:
            raise ValueError(f"the derivative of f has shape {dG.shape} where X has {G.shape}")
        found = compare_matrix(partial(_values, outer), G, dG)
        lines.append(line_of(found, f"df/dX, X the input of {described(step)}", source=source))
        source = described(step) if lines[-1].is_bad else ""
    return Report("check_derivative", described(f), lines)


def _values(f, stack):
    return np.array([float(f.value(X)) for X in stack])


def _finite(X):
    X = np.asarray(X)
    if X.dtype.kind not in "fiu" or not X.size or not np.isfinite(X).all():
        raise ValueError(f"X must hold finite real numbers; got {X!r}")
    return X.astype(np.float64)


def _steps(f, X):
    """f1, f1 @ f2, …, f: each with its last function and that one's input."""
    functions, inputs = _functions(f), [X]
    for g in functions[:0:-1]:
        inputs.append(g.value(inputs[-1]))
    for outer, g, G in zip(
        accumulate(functions, Composition), functions, inputs[::-1], strict=True
    ):
        if np.ndim(G):  # not of a number, such as what 1/m * is applied to
            yield outer, g, G


def _functions(f):
    """The functions that f is composed of, the outermost first."""
    return [*_functions(f.outer), *_functions(f.inner)] if isinstance(f, Composition) else [f]
