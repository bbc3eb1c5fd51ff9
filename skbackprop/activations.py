"""Activation functions: g, g' and g'', side by side.

Every class has two methods, elementwise in all their arguments:

``value(Z, out=None)``
    A = g(Z). `out` may be Z itself.
``derivative(Z, A, out=None)``
    g'(Z), from Z or from A = g(Z), whichever is cheaper. `out` is neither of them.

may have a third one, for derivatives of second order:

``second_derivative(Z, A)``
    g''(Z). An activation of which g' has no derivative at some z has no such method: relu,
    leaky_relu and selu have a kink there, and the slope of elu's g' jumps from α to 0 at z = 0.
    No training step needs it, and it has no `out`.

and may have two attributes:

``initialization`` : {"he", "glorot", "lecun"}, default "glorot"
    The variance of the first weights (:data:`skbackprop.network.INITIALIZATIONS`).
``output`` : {"any", "scale", "fixed"}, default "fixed"
    For an output layer: which changes of units the range of g survives. "any" is a
    shift and a scale (y - mean) / std, "scale" a positive factor only, "fixed" neither.

An object of a user's own with these two methods serves wherever a name does. To add an
activation to the package, write a subclass of :class:`Activation` and its entry in
:data:`ACTIVATIONS`; the tests run over that table. Such a subclass gives its formulas
for a block of entries, as methods that write to their last argument or arguments:
``_value(z, a)`` with either

``_derivative(a, d)``
    g' from A alone. Z need not be kept then: A takes its memory.
``_both(z, a, d)``, and ``from_A = False``
    g and g' from Z, where they share their costly part, such as an exponential. The
    network calls it on the way forward.

`a` may be the memory of `z`, and is therefore written last.
"""

from functools import partial
from math import pi, sqrt
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from .blocks import Call, block_views, entries, in_blocks, run, scratch, zero_like, zeros_like
from .settings import Settings

Array = np.ndarray

OF_BLOCKS = {"_value", "_derivative", "_both", "prepare_value", "prepare_derivative"}
FORMULAS = {"value", "derivative"} | OF_BLOCKS  # methods by which a subclass is another g


class Activation(Settings):
    """g and g' of whole arrays, from a subclass's formulas for a block."""

    initialization = "glorot"
    output = "fixed"
    from_A = True  # g' comes from A alone; False for a class that has _both
    in_place = True  # whether A may take Z's memory
    is_identity = False  # df/dZ is df/dA then

    def __init_subclass__(cls, **kwargs):
        """A subclass's own formulas are the ones that are prepared."""
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        for name in ("value", "derivative"):
            if f"_{name}" in own and f"prepare_{name}" not in own:
                setattr(cls, f"prepare_{name}", getattr(Activation, f"prepare_{name}"))
        if "_value" in own or "_derivative" in own:
            cls.is_identity = own.get("is_identity", False)
        if own.keys() & FORMULAS and "second_derivative" not in own:
            cls.second_derivative = Activation.second_derivative  # not that of another g
        if "_value" in own and not cls.from_A and "_both" not in own:
            raise TypeError(
                f"{cls.__name__} needs _both(z, a, d) beside its _value, or from_A = True"
            )

    def value(self, Z: Array, out: Array | None = None) -> Array:
        """A = g(Z)."""
        Z = _floating(Z)
        out = np.empty_like(Z) if out is None else out
        run(in_blocks(self._value, *np.atleast_1d(Z, out)))
        return out

    def derivative(self, Z: Array, A: Array, out: Array | None = None) -> Array:
        """g'(Z)."""
        A = _floating(A)
        out = np.empty_like(A) if out is None else out
        z, a, d = np.atleast_1d(_floating(Z), A, out)
        if self.from_A:
            run(in_blocks(self._derivative, a, d))
        else:
            run(in_blocks(lambda z, d: self._both(z, np.empty_like(z), d), z, d))
        return out

    def second_derivative(self, Z: Array, A: Array) -> Array:
        """g''(Z), of an activation that is smooth."""
        raise NotImplementedError(f"{self!r} has no second derivative")

    @property
    def is_smooth(self) -> bool:
        """Whether there is g''."""
        return type(self).second_derivative is not Activation.second_derivative

    def forward(self, Z: Array, A: Array, S: Array | None = None) -> list[Call]:
        """Calls that set A = g(Z) and, if there is an S, S = g'(Z) for a class with ``_both``."""
        Z, A = entries(Z), entries(A)
        if self.from_A or S is None:
            return [self.prepare_value(z, a) for z, a in block_views(Z, A)]
        return in_blocks(self._both, Z, A, entries(S))

    def _value(self, z, a):
        self.prepare_value(z, a)()

    def _derivative(self, a, d):
        self.prepare_derivative(a, d)()

    def _both(self, z, a, d):
        raise NotImplementedError

    # To be overridden in place of the two above where the formula is a single call to NumPy:
    # the network then makes it without a detour.

    def prepare_value(self, z, a) -> Call:
        return partial(self._value, z, a)

    def prepare_derivative(self, a, d) -> Call:
        return partial(self._derivative, a, d)


class Identity(Activation):
    """g(z) = z;  g'(z) = 1;  g'' = 0."""

    output = "any"
    is_identity = True

    def forward(self, Z, A, S=None):
        return [] if self.is_identity and A is Z else super().forward(Z, A)

    def _value(self, z, a):
        np.copyto(a, z)

    def _derivative(self, a, d):
        d.fill(1)

    def second_derivative(self, Z, A):
        return np.zeros_like(A)


class Logistic(Activation):
    """g(z) = 1 / (1 + exp(-z));  g' = a (1 - a);  g'' = a (1 - a) (1 - 2 a)."""

    def _value(self, z, a):
        _logistic(z, np.exp(-np.abs(z)), out=a)

    def _derivative(self, a, d):
        np.subtract(1, a, out=d)
        np.multiply(a, d, out=d)

    def second_derivative(self, Z, A):
        return A * (1 - A) * (1 - 2 * A)


class Tanh(Activation):
    """g(z) = tanh z;  g' = 1 - a²;  g'' = -2 a (1 - a²)."""

    def prepare_value(self, z, a):
        return partial(np.tanh, z, a)

    def _derivative(self, a, d):
        np.square(a, out=d)
        np.subtract(1, d, out=d)

    def second_derivative(self, Z, A):
        return -2 * A * (1 - np.square(A))


class ReLU(Activation):
    """g(z) = max(0, z);  g'(z) = 1 where z > 0, else 0 (at the kink as well)."""

    initialization = "he"
    output = "scale"

    def prepare_value(self, z, a):
        return partial(np.maximum, z, zeros_like(z), out=a)

    def prepare_derivative(self, a, d):
        # Cast from bool as it is written; np.sign takes 1.5 (float32: 2.3) times as long.
        return partial(np.greater, a, zero_like(a), out=d)


class LeakyReLU(Activation):
    """g(z) = z where z > 0, else s z;  g' = 1 where z > 0, else s;  0 <= s <= 1."""

    negative_slope: float = 0.01
    letters: ClassVar = {"s": "negative_slope"}
    initialization = "he"
    output = "scale"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not 0 <= self.negative_slope <= 1:
            raise ValueError(f"negative_slope must be from 0 to 1; got {self.negative_slope!r}")

    def _value(self, z, a):
        if self.negative_slope:
            np.maximum(z, self.negative_slope * z, out=a)  # np.where takes three times as long
        else:
            np.maximum(z, zeros_like(z), out=a)  # 0 · ∞ is no number

    def _derivative(self, a, d):
        np.greater(a, zero_like(a), out=d)
        np.maximum(d, self.negative_slope, out=d)


class ELU(Activation):
    """g(z) = z where z > 0, else α (exp(z) - 1);  g' = 1 where z > 0, else a + α."""

    alpha: float = 1.0
    letters: ClassVar = {"α": "alpha"}
    initialization = "he"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not 0 <= self.alpha <= 1e6:  # else a has not z's sign, or 1 - α + α is not 1
            raise ValueError(f"alpha must be from 0 to 1e6; got {self.alpha!r}")

    def _value(self, z, a):
        negative = np.minimum(z, zeros_like(z))
        np.expm1(negative, out=negative)  # of the negative entries: no overflow in the others
        np.multiply(negative, self.alpha, out=negative)
        np.maximum(z, zeros_like(z), out=a)
        np.add(a, negative, out=a)

    def _derivative(self, a, d):
        _slope_of_elu(a, self.alpha, 1, d)


class SELU(Activation):
    """g(z) = λ z where z > 0, else λ α (exp(z) - 1);  g' = λ where z > 0, else a + λ α.

    λ and α are the constants for which activations of mean 0 and variance 1 keep them
    (Klambauer et al. 2017).
    """

    scale = 1.0507009873554804934193349852946
    alpha = 1.6732632423543772848170429916717
    letters: ClassVar = {"λ": "scale", "α": "alpha"}
    initialization = "lecun"

    def _value(self, z, a):
        negative = np.minimum(z, zeros_like(z))
        np.expm1(negative, out=negative)
        np.multiply(negative, self.alpha, out=negative)
        np.maximum(z, zeros_like(z), out=a)
        np.add(a, negative, out=a)
        np.multiply(a, self.scale, out=a)

    def _derivative(self, a, d):
        _slope_of_elu(a, self.scale * self.alpha, self.scale, d)


class GELU(Activation):
    """g(z) = z Φ(z);  g' = Φ + z φ;  g'' = φ (2 - z²); Φ the normal distribution, φ its density.

    The exact function (Hendrycks & Gimpel 2016), not its tanh approximation.
    """

    letters: ClassVar = {"Φ": "the normal distribution function", "φ": "the normal density"}
    initialization = "he"
    from_A = False

    def _value(self, z, a):
        np.multiply(z, ndtr(z), out=a)

    def _both(self, z, a, d):
        # A density of 0 from |z| = 40 on, where z² would overflow for the largest z.
        t = np.abs(z)
        np.square(np.minimum(t, 40, out=t), out=t)
        np.exp(np.multiply(t, -0.5, out=t), out=t)
        np.multiply(t, 1 / sqrt(2 * pi), out=t)  # φ(z)
        np.multiply(t, z, out=t)
        ndtr(z, out=d)  # Φ(z)
        np.multiply(z, d, out=a)
        np.add(d, t, out=d)  # Φ + z φ

    def second_derivative(self, Z, A):
        t = np.square(np.minimum(np.abs(Z), 40))
        return np.exp(-0.5 * t) / sqrt(2 * pi) * (2 - t)


class SiLU(Activation):
    """g(z) = z σ;  g' = σ (1 + z (1 - σ));  g'' = σ' (2 - z tanh(z/2)), σ the logistic function.

    The last by 1 - 2 σ = -tanh(z/2) in σ'' = σ' (1 - 2 σ).
    """

    letters: ClassVar = {"σ": "the logistic function of `z`"}
    initialization = "he"
    from_A = False

    def _value(self, z, a):
        sigma = np.exp(-np.abs(z))
        np.multiply(z, _logistic(z, sigma, out=sigma), out=a)

    def _both(self, z, a, d):
        e = np.exp(-np.abs(z))
        sigma = _logistic(z, e, out=np.empty_like(z))
        _logistic(-z, e, out=d)  # 1 - σ(z)
        np.multiply(z, d, out=d)
        np.add(d, 1, out=d)
        np.multiply(d, sigma, out=d)
        np.multiply(z, sigma, out=a)

    def second_derivative(self, Z, A):
        t = np.minimum(np.abs(Z), 1000)  # an even function, 0 from there on
        return _slope_of_logistic(t) * (2 - t * np.tanh(t / 2))


class Mish(Activation):
    """g(z) = z t with t = tanh(softplus(z));  g' = t + z t';  g'' = t' (2 + z (1 - σ - 2 t σ)).

    t' = σ (1 - t²), σ the logistic function. With e = exp(z), softplus(z) is log(1 + e), and

        t = ((1 + e)² - 1) / ((1 + e)² + 1) = n / (n + 2),    n = (1 + e)² - 1 = e (e + 2),

    σ = e / (1 + e) and 1 - t² = 4 (n + 1) / (n + 2)² = 4 (1 + e)² / (n + 2)², and therefore
    t' = 4 e (1 + e) / (n + 2)²: one exponential for all of it.
    """

    letters: ClassVar = {
        "t'": "`σ (1 - t²)`, with `t = tanh(softplus(z))` and `σ` the logistic function of `z`"
    }
    initialization = "he"
    from_A = False
    most = 40  # of the z in e: beyond it t and g' are 1 to the last digit, and n would overflow

    def _value(self, z, a):
        e, n = scratch(z, 2)
        self._e_and_n(np.minimum(z, self.most, out=e), e, n)
        np.add(n, 2, out=e)  # n + 2, in the memory of e
        np.divide(n, e, out=n)  # t
        np.multiply(z, n, out=a)  # z t

    def _both(self, z, a, d):
        e, n = scratch(z, 2)
        self._e_and_n(np.minimum(z, self.most, out=d), e, n)
        np.multiply(d, e, out=d)
        np.add(e, 1, out=e)
        np.multiply(d, e, out=d)  # z e (1 + e)
        np.add(n, 2, out=e)  # n + 2, in the memory of e
        np.divide(n, e, out=n)  # t
        np.divide(d, e, out=d)  # twice, as (n + 2)² would overflow
        np.divide(d, e, out=d)
        np.multiply(d, 4, out=d)  # z t'
        np.add(d, n, out=d)  # t + z t'
        np.multiply(z, n, out=a)  # z t

    def _e_and_n(self, z, e, n):
        """e = exp(z),  n = e (e + 2)."""
        np.exp(z, out=e)
        np.add(e, 2, out=n)
        np.multiply(e, n, out=n)

    def second_derivative(self, Z, A):
        z = np.clip(Z, -1000, 40)  # of no account beyond
        e = np.exp(z)
        n, sigma = e * (e + 2), e / (1 + e)
        slope = 4 * (e / (n + 2)) * ((1 + e) / (n + 2))
        return slope * (2 + z * (1 - sigma - 2 * sigma * n / (n + 2)))


class Softplus(Activation):
    """g(z) = log(1 + exp z) = max(0, z) + log(1 + exp(-|z|));  g' = σ(z);  g'' = σ'(z).

    σ is the logistic function.
    """

    letters: ClassVar = {"σ": "the logistic function"}
    initialization = "he"
    output = "scale"
    from_A = False

    def _value(self, z, a):
        e = np.exp(-np.abs(z))
        np.maximum(z, zeros_like(z), out=a)
        np.add(a, np.log1p(e, out=e), out=a)

    def _both(self, z, a, d):
        e = np.exp(-np.abs(z))
        _logistic(z, e, out=d)
        np.maximum(z, zeros_like(z), out=a)
        np.add(a, np.log1p(e, out=e), out=a)

    def second_derivative(self, Z, A):
        return _slope_of_logistic(Z)


class Exp(Activation):
    """g(z) = exp z;  g' = a;  g'' = a. For outputs that are positive: the log link of a GLM."""

    output = "scale"

    def _value(self, z, a):
        np.exp(z, out=a)

    def _derivative(self, a, d):
        np.copyto(d, a)

    def second_derivative(self, Z, A):
        return A


class CustomActivation(Activation):
    """A user's own object with ``value`` and ``derivative``, held to the contract of `out`.

    It is smooth if it has a ``second_derivative`` too.
    """

    from_A = in_place = False

    def __init__(self, g):
        self.g = g
        self.initialization = getattr(g, "initialization", "glorot")
        self.output = getattr(g, "output", "fixed")

    def value(self, Z, out=None):
        # Not every object can bear `out` being Z itself, nor does every one use `out`.
        return _into(out, self.g.value(Z, out=None if out is Z else out))

    def derivative(self, Z, A, out=None):
        return _into(out, self.g.derivative(Z, A, out=out))

    def second_derivative(self, Z, A):
        return self.g.second_derivative(Z, A)

    @property
    def is_smooth(self):
        if isinstance(self.g, Activation):  # of the package's, with a value of the user's
            return self.g.is_smooth
        return callable(getattr(self.g, "second_derivative", None))

    def forward(self, Z, A, S=None):
        calls = [partial(self.value, Z, A)]
        return calls if S is None else [*calls, partial(self.derivative, Z, A, S)]

    def __repr__(self):
        return repr(self.g)


def _into(out, result):
    if out is None or result is out:
        return result
    try:
        np.copyto(out, result)
    except (TypeError, ValueError) as error:
        raise type(error)(f"an activation's result cannot be used: {error}") from error
    return out


def _floating(Z):
    """Z, or Z as float64 if it holds whole numbers: a result would be cut to them."""
    return Z if Z.dtype.kind == "f" else Z.astype(np.float64)


def _logistic(z, e, out):
    """σ(z) = exp(min(z, 0)) / (1 + e) with e = exp(-|z|), and so exp(min(z, 0)) 1 or e.

    Nothing overflows or cancels; half the time of scipy.special.expit. `out` may be e.
    """
    positive = np.greater_equal(z, zero_like(z), out=np.empty_like(z))
    denominator = 1 + e
    return np.divide(np.maximum(positive, e, out=positive), denominator, out=out)


def _slope_of_logistic(z):
    """σ'(z) = e / (1 + e)² with e = exp(-|z|)."""
    e = np.exp(-np.abs(z))
    return e / np.square(1 + e)


def _slope_of_elu(a, left, right, d):
    """`right` where a > 0, else a + left: left + (right - left) [a > 0] + min(a, 0).

    Far to the left, where g' vanishes, a + left keeps its absolute accuracy and not the
    relative one, as 1 - a² of tanh does.
    """
    np.greater(a, zero_like(a), out=d)
    np.multiply(d, right - left, out=d)
    np.add(d, left, out=d)
    np.add(d, np.minimum(a, zeros_like(a)), out=d)


ACTIVATIONS = {
    "identity": Identity,
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "exp": Exp,
}
