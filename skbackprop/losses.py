"""Losses: f, df/dA[L] and d²f/dA[L]², side by side.

A loss is a weighted sum over the m rows of a batch and over the outputs k,

    f(A) = Σᵢ wᵢ Σₖ ℓ(aᵢₖ, yᵢₖ),    wᵢ = 1/m without weights (the mean over the rows),

with A = A[L] the predictions and Y the targets, both (m, outputs), and w a column or
None. ℓ is the loss of one entry (in the derivation that letter is a layer, here called
l). In training wᵢ = sᵢ / (m s̄), with s the sample_weight and s̄ its mean over all rows,
so that the wᵢ of a batch have the sum 1 on average. Two methods:

``value(A, Y, weight=None)``
    f, a float.
``derivative(A, Y, weight=None, out=None)``
    df/dA, of A's shape.

and a third one for derivatives of second order, where dℓ/da has a derivative everywhere:

``second_derivative(A, Y, weight=None)``
    d²f/da² of every entry a of A. It has A's shape, as f is a sum over the entries.

An object of a user's own with the first two serves wherever a name does. More convenient is
a subclass of :class:`Loss` that gives ℓ and dℓ/da elementwise: the mean, the weights and
the best constant come with it.

To add a loss to the package, write its class and its entry in :data:`LOSSES`; the tests
run over that table.
"""

from functools import partial
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

from . import calculus
from .blocks import BLOCK, Call, blocks, in_blocks, run
from .settings import Settings

Array = np.ndarray

# Methods by which a subclass is another loss, and those that it does not inherit then.
FORMULAS = {"elementwise", "elementwise_derivative", "value", "derivative", "derivative_Z"}
SECOND = {"elementwise_second_derivative", "second_derivative", "second_derivative_Z"}


class Loss(Settings):
    """f(A) = Σᵢ wᵢ Σₖ ℓ(aᵢₖ, yᵢₖ), from an elementwise ℓ and its derivative.

    Subclasses define ``elementwise(A, Y)`` and ``elementwise_derivative(A, Y)``, and may define
    ``elementwise_second_derivative(A, Y)``.

    Attributes
    ----------
    degree : float or None
        d of ℓ(c a, c y) = c^d ℓ(a, y): how the loss changes with y's units. For Huber and
        log cosh it holds if δ (for log cosh the unit 1) is multiplied by c too, as it is
        when δ is said in standard deviations of y. None if there is no such rule; the
        regressor then leaves y as it is.
    translation_invariant : bool
        Whether ℓ(a + c, y + c) = ℓ(a, y). Only then may the regressor shift y.
    best_is_mean : bool
        Whether the best constant is the weighted mean.
    positive : bool
        Whether ℓ is defined for a > 0 alone.
    output_activation : str
        What the last layer's activation is unless the user names another.
    canonical : str or None
        The output activation for which ``derivative_Z`` gives df/dZ[L] directly.
    """

    degree: ClassVar[float | None] = None
    translation_invariant: ClassVar[bool] = False
    best_is_mean: ClassVar[bool] = False
    positive: ClassVar[bool] = False
    output_activation: ClassVar[str] = "identity"
    canonical: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs):
        """Another ℓ does not inherit the second derivatives of the first."""
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if own.keys() & FORMULAS:
            for name in SECOND - own.keys():
                setattr(cls, name, getattr(Loss, name))

    def elementwise(self, A: Array, Y: Array) -> Array:
        """ℓ(a, y)."""
        raise NotImplementedError

    def elementwise_derivative(self, A: Array, Y: Array) -> Array:
        """dℓ/da."""
        raise NotImplementedError

    def elementwise_second_derivative(self, A: Array, Y: Array) -> Array:
        """d²ℓ/da², of a loss that is smooth."""
        raise NotImplementedError(f"{self!r} has no second derivative")

    @property
    def is_smooth(self) -> bool:
        """Whether there is d²ℓ/da²."""
        cls, names = type(self), ("elementwise_second_derivative", "second_derivative")
        return any(getattr(cls, name) is not getattr(Loss, name) for name in names)

    def value(self, A: Array, Y: Array, weight: Array | None = None) -> float:
        """f = Σᵢ wᵢ Σₖ ℓ(aᵢₖ, yᵢₖ)."""
        _check_shapes(A, Y)
        total = 0.0
        for rows in blocks(len(A), max(1, BLOCK // A.shape[1])):
            loss = self.elementwise(A[rows], Y[rows])
            total += float(np.sum(loss if weight is None else weight[rows] * loss))
        return total if weight is not None else total / len(A)

    def derivative(self, A, Y, weight=None, out=None) -> Array:
        """df/dA: row i is wᵢ dℓ/da."""
        _check_shapes(A, Y)
        out = np.empty_like(A) if out is None else out

        def block(a, y, d):
            d[...] = self.elementwise_derivative(a, y)

        run(in_blocks(block, A, Y, out))
        return _weigh(out, weight)

    def value_and_derivative(self, A, Y, weight=None, out=None) -> tuple[float, Array]:
        """(f, df/dA): both at once, where they share work."""
        return self.value(A, Y, weight), self.derivative(A, Y, weight, out)

    def prepare(self, A, Y, weight, out, from_Z=False) -> list[Call]:
        """Calls that set out = df/dA, or df/dZ[L] with `from_Z`, from what the arrays then hold."""
        return [partial(self.derivative_Z if from_Z else self.derivative, A, Y, weight, out)]

    def derivative_Z(self, A, Y, weight=None, out=None) -> Array:
        """df/dZ[L] where loss and output activation cancel (``canonical``)."""
        raise NotImplementedError

    def second_derivative(self, A, Y, weight=None) -> Array:
        """d²f/da² of every entry: row i is wᵢ d²ℓ/da²."""
        _check_shapes(A, Y)
        return _weigh(self.elementwise_second_derivative(A, Y), weight)

    def second_derivative_Z(self, A, Y, weight=None) -> Array:
        """d²f/dz² past the output activation, where ``derivative_Z`` gives df/dZ[L]."""
        raise NotImplementedError

    def check_targets(self, Y: Array) -> None:
        """Raise a ValueError for targets outside the loss's domain; all are inside."""

    def check_first_targets(self, Y: Array) -> None:
        """Likewise for targets that cannot be the first ones, which settle y's units."""

    def best_constant(self, Y: Array, weight: Array | None = None) -> Array:
        """The constant prediction of the smallest loss, one an output.

        Where Σᵢ wᵢ dℓ/da(c, yᵢ) changes its sign, for a loss convex in a.
        """
        w = np.ones((len(Y), 1)) if weight is None else weight

        def solve(y):
            def slope(c):
                return float(np.sum(w * self.elementwise_derivative(np.full_like(y, c), y)))

            low, high = y.min(), y.max()
            if low == high:
                return low
            # Of weights of very different size the slope is a step: the best that was found.
            return brentq(slope, low, high, xtol=1e-12, disp=False)

        return np.array([solve(Y[:, [k]]) for k in range(Y.shape[1])])


def _check_shapes(A: Array, Y: Array) -> None:
    if A.shape != Y.shape:  # (m, 1) and (m,) would be stretched to (m, m)
        raise ValueError(f"A has shape {A.shape} and Y {Y.shape}; both must be (m, outputs)")


def _weigh(dA: Array, weight: Array | None) -> Array:
    """w dA, in place; 1/m dA without weights."""
    return np.multiply(dA, 1 / dA.shape[-2] if weight is None else weight, out=dA)


def _weighted_mean(Y, weight):
    return np.average(Y, axis=0, weights=None if weight is None else weight[:, 0])


class SquaredError(Loss):
    """f = 1/m ‖A - Y‖²_F;  df/dA = 2/m (A - Y);  d²f/da² = 2/m.

    Summed over the outputs, as in the article: no factor ½ and no mean over outputs.
    """

    degree = 2
    translation_invariant = True
    best_is_mean = True

    def elementwise(self, A, Y):
        return np.square(A - Y)

    def elementwise_derivative(self, A, Y):
        return 2 * (A - Y)

    def elementwise_second_derivative(self, A, Y):
        return np.full_like(A, 2)

    def prepare(self, A, Y, weight, out, from_Z=False):
        if type(self) is not SquaredError:  # a subclass may have formulas of its own
            return super().prepare(A, Y, weight, out, from_Z)
        # d(c ‖G‖²_F)/dG = 2 c G, with c = 1/m; with weights row i has a c of its own, wᵢ
        c = 1 / A.shape[-2] if weight is None else 1.0
        G = out
        calls = [
            partial(np.subtract, A, Y, G),  # G(A) = A - Y
            calculus.squared_frobenius_norm.prepare(G, c, out=out),  # df/dG, over G
        ]  # df/dA is the same, by the rule of addition: C = -Y plays no part
        return calls if weight is None else [*calls, partial(np.multiply, out, weight, out)]

    def best_constant(self, Y, weight=None):
        return _weighted_mean(Y, weight)


class AbsoluteError(Loss):
    """ℓ = |a - y|;  dℓ/da = sign(a - y), with no derivative at a = y."""

    degree = 1
    translation_invariant = True

    def elementwise(self, A, Y):
        return np.abs(A - Y)

    def elementwise_derivative(self, A, Y):
        return np.sign(A - Y)

    def best_constant(self, Y, weight=None):
        return _weighted_quantile(Y, 0.5, weight)


class Quantile(Loss):
    """ℓ = q (y - a) where y > a, else (1 - q) (a - y).

    dℓ/da = -q where y > a, 1 - q where y < a, 0 at y = a.

    The pinball loss (Koenker & Bassett 1978), smallest at the quantile q of y given x.
    dℓ/da has no derivative at a = y.
    """

    quantile: float = 0.5
    letters: ClassVar = {"q": "quantile"}
    degree = 1
    translation_invariant = True

    def elementwise(self, A, Y):
        R = Y - A
        return np.maximum(self.quantile * R, (self.quantile - 1) * R)

    def elementwise_derivative(self, A, Y):
        return np.where(Y > A, -self.quantile, np.where(Y < A, 1 - self.quantile, 0))

    def best_constant(self, Y, weight=None):
        return _weighted_quantile(Y, self.quantile, weight)


class Huber(Loss):
    """ℓ = r²/2 where |r| ≤ δ, else δ (|r| - δ/2), r = a - y;  dℓ/da = r cut to ±δ.

    Huber 1964. δ is in units of the targets as the network sees them: standard deviations
    of y with ``standardize=True``. With δ = 1.35 standard deviations of normal errors the
    estimate has 95 % of the efficiency of the mean. dℓ/da has no derivative at |r| = δ.
    """

    delta: float = 1.35
    letters: ClassVar = {"δ": "delta"}
    degree = 2
    translation_invariant = True

    def elementwise(self, A, Y):
        r = np.abs(A - Y)
        inner = np.minimum(r, self.delta)
        return inner * (r - 0.5 * inner)

    def elementwise_derivative(self, A, Y):
        return np.clip(A - Y, -self.delta, self.delta)


class LogCosh(Loss):
    """ℓ = log cosh(a - y);  dℓ/da = tanh(a - y);  d²ℓ/da² = 1 - tanh²(a - y).

    The unit of a - y is that of :class:`Huber`'s δ.
    """

    degree = 2
    translation_invariant = True

    def elementwise(self, A, Y):
        r = np.abs(A - Y)
        near = np.log1p(2 * np.square(np.sinh(np.minimum(r, 1) / 2)))  # cosh r = 1 + 2 sinh²(r/2)
        far = r + np.log1p(np.expm1(-2 * np.minimum(r, 400)) / 2)  # its terms cancel near 0
        return np.where(r < 1, near, far)

    def elementwise_derivative(self, A, Y):
        return np.tanh(A - Y)

    def elementwise_second_derivative(self, A, Y):
        return 1 - np.square(np.tanh(A - Y))


class Poisson(Loss):
    """ℓ = y log(y/a) - y + a;  dℓ/da = 1 - y/a;  d²ℓ/da² = y/a².

    With a = exp z: dℓ/dz = a - y,  d²ℓ/dz² = a.

    Half the Poisson deviance, 0 at a = y.
    """

    degree = 1
    positive = True
    output_activation = "exp"
    canonical = "exp"

    def elementwise(self, A, Y):
        ratio = np.divide(Y, A, out=np.ones_like(A), where=Y > 0)  # 0/0 where exp z vanishes
        return xlogy(Y, ratio) - Y + A

    def elementwise_derivative(self, A, Y):
        return 1 - Y / A

    def elementwise_second_derivative(self, A, Y):
        return Y / A / A

    def derivative_Z(self, A, Y, weight=None, out=None):
        return _weigh(np.subtract(A, Y, out=out), weight)

    def second_derivative_Z(self, A, Y, weight=None):
        return _weigh(A.copy(), weight)

    def check_targets(self, Y):
        if (Y < 0).any():
            raise ValueError(f"loss='poisson' needs targets y >= 0; the smallest is {Y.min():g}")

    def check_first_targets(self, Y):
        if not Y.any(axis=0).all():
            raise ValueError("loss='poisson' needs targets that are not all 0")

    def best_constant(self, Y, weight=None):
        return _weighted_mean(Y, weight)


class Gamma(Loss):
    """ℓ = y/a - log(y/a) - 1;  dℓ/da = (a - y)/a²;  d²ℓ/da² = (2 y/a - 1)/a².

    With a = exp z: dℓ/dz = 1 - y/a,  d²ℓ/dz² = y/a.

    Half the gamma deviance, 0 at a = y.
    """

    degree = 0
    positive = True
    output_activation = "exp"
    canonical = "exp"

    def elementwise(self, A, Y):
        ratio = Y / A
        return ratio - np.log(ratio) - 1

    def elementwise_derivative(self, A, Y):
        return (1 - Y / A) / A

    def elementwise_second_derivative(self, A, Y):
        return (2 * Y / A - 1) / A / A

    def derivative_Z(self, A, Y, weight=None, out=None):
        out = np.divide(Y, A, out=out)
        return _weigh(np.subtract(1, out, out=out), weight)

    def second_derivative_Z(self, A, Y, weight=None):
        return _weigh(Y / A, weight)

    def check_targets(self, Y):
        if (Y <= 0).any():
            raise ValueError(f"loss='gamma' needs targets y > 0; the smallest is {Y.min():g}")

    def best_constant(self, Y, weight=None):
        return _weighted_mean(Y, weight)


class CustomLoss(Loss):
    """A user's own object with ``value`` and ``derivative``, as a :class:`Loss`.

    It is smooth if it has a ``second_derivative`` too.

    Its targets are neither scaled nor shifted: how it changes with y's units is unknown.
    """

    def __init__(self, loss):
        self.loss = loss

    def value(self, A, Y, weight=None):
        try:
            return float(self.loss.value(A, Y, weight))
        except TypeError as error:
            raise TypeError(f"the value() of loss must be a number: {error}") from error

    def derivative(self, A, Y, weight=None, out=None):
        dA = self.loss.derivative(A, Y, weight, out)
        if out is not None and dA is not out:  # the user's object may ignore `out`
            try:
                np.copyto(out, dA)
            except (TypeError, ValueError) as error:
                raise type(error)(f"the derivative() of loss cannot be used: {error}") from error
            return out
        return dA

    def second_derivative(self, A, Y, weight=None):
        return self.loss.second_derivative(A, Y, weight)

    @property
    def is_smooth(self):
        return callable(getattr(self.loss, "second_derivative", None))


def _weighted_quantile(Y, q, weight):
    """The smallest y at which the weights up to it reach the share q, an output each."""
    w = np.ones(len(Y)) if weight is None else weight[:, 0]

    def solve(y):
        order = np.argsort(y)
        reached = np.cumsum(w[order])
        # A share that is reached but for rounding is reached: whole weights and
        # repeated rows then give the same row.
        at = np.searchsorted(reached, q * reached[-1] * (1 - 1e-12))
        return y[order[min(at, len(y) - 1)]]

    return np.array([solve(Y[:, k]) for k in range(Y.shape[1])])


LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "quantile": Quantile,
    "poisson": Poisson,
    "gamma": Gamma,
}
