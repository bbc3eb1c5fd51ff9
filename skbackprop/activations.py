"""Activation functions: g and g', side by side.

Every class has two methods, elementwise in all their arguments:

``value(Z, out=None)``
    A = g(Z). `out` may be Z itself.
``derivative(Z, A, out=None)``
    g'(Z), from Z or from A = g(Z), whichever is cheaper. `out` is neither of them.

and may have two attributes:

``initialization`` : {"he", "glorot", "lecun"}, default "glorot"
    The variance of the first weights (:data:`skbackprop.network.INITIALIZATIONS`).
``output`` : {"any", "scale", "fixed"}, default "fixed"
    For an output layer: which changes of units the range of g survives. "any" is a
    shift and a scale (y - mean) / std, "scale" a positive factor only, "fixed" neither.

An object of a user's own with these two methods serves wherever a name does. To add an
activation to the package, write its class and its entry in :data:`ACTIVATIONS`; the
tests run over that table.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from .blocks import blockwise

Array = np.ndarray


@dataclass(frozen=True)
class Identity:
    """g(z) = z;  g'(z) = 1."""

    initialization = "glorot"
    output = "any"

    def value(self, Z, out=None):
        if out is None:
            return Z.copy()
        if out is not Z:
            np.copyto(out, Z)
        return out

    def derivative(self, Z, A, out=None):
        if out is None:
            return np.ones_like(Z)
        out.fill(1)
        return out


@dataclass(frozen=True)
class Logistic:
    """g(z) = 1 / (1 + exp(-z));  g' = a (1 - a)."""

    initialization = "glorot"
    output = "fixed"

    def value(self, Z, out=None):
        return expit(Z, out=out)

    def derivative(self, Z, A, out=None):
        out = np.subtract(1, A, out=out)
        return np.multiply(out, A, out=out)


@dataclass(frozen=True)
class Tanh:
    """g(z) = tanh z;  g' = 1 - a²."""

    initialization = "glorot"
    output = "fixed"

    def value(self, Z, out=None):
        return np.tanh(Z, out=out)

    def derivative(self, Z, A, out=None):
        out = np.square(A, out=out)
        return np.subtract(1, out, out=out)


@dataclass(frozen=True)
class ReLU:
    """g(z) = max(0, z);  g'(z) = 1 where z > 0, else 0 (at the kink as well)."""

    initialization = "he"
    output = "scale"

    def value(self, Z, out=None):
        return np.maximum(Z, 0, out=out)

    def derivative(self, Z, A, out=None):
        return np.sign(A, out=out)  # a ≥ 0; quicker than a comparison cast to a float


@dataclass(frozen=True)
class LeakyReLU:
    """g(z) = z where z > 0, else s z;  g' = 1 where z > 0, else s."""

    negative_slope: float = 0.01
    initialization = "he"
    output = "scale"

    def value(self, Z, out=None):
        s = self.negative_slope
        return blockwise(lambda z: np.where(z > 0, z, s * z), Z, out=out)

    def derivative(self, Z, A, out=None):
        s = self.negative_slope
        return blockwise(lambda z: np.where(z > 0, z.dtype.type(1), z.dtype.type(s)), Z, out=out)


@dataclass(frozen=True)
class ELU:
    """g(z) = z where z > 0, else α (exp(z) - 1);  g' = 1 where z > 0, else α exp(z)."""

    alpha: float = 1.0
    initialization = "he"
    output = "fixed"

    def value(self, Z, out=None):
        return blockwise(lambda z: np.where(z > 0, z, self.alpha * _expm1_negative(z)), Z, out=out)

    def derivative(self, Z, A, out=None):
        return blockwise(lambda z: np.where(z > 0, 1, self.alpha * _exp_negative(z)), Z, out=out)


@dataclass(frozen=True)
class SELU:
    """g(z) = λ z where z > 0, else λ α (exp(z) - 1);  g' = λ where z > 0, else λ α exp(z).

    λ and α are the constants for which activations of mean 0 and variance 1 keep them
    (Klambauer et al. 2017).
    """

    scale = 1.0507009873554804934193349852946
    alpha = 1.6732632423543772848170429916717
    initialization = "lecun"
    output = "fixed"

    def value(self, Z, out=None):
        λ, α = self.scale, self.alpha
        return blockwise(lambda z: λ * np.where(z > 0, z, α * _expm1_negative(z)), Z, out=out)

    def derivative(self, Z, A, out=None):
        λ, α = self.scale, self.alpha
        return blockwise(lambda z: λ * np.where(z > 0, 1, α * _exp_negative(z)), Z, out=out)


@dataclass(frozen=True)
class GELU:
    """g(z) = z Φ(z);  g' = Φ(z) + z φ(z), with Φ the normal distribution, φ its density.

    The exact function (Hendrycks & Gimpel 2016), not its tanh approximation.
    """

    initialization = "he"
    output = "fixed"

    def value(self, Z, out=None):
        return blockwise(lambda z: z * ndtr(z), Z, out=out)

    def derivative(self, Z, A, out=None):
        return blockwise(lambda z: ndtr(z) + z * _normal_density(z), Z, out=out)


@dataclass(frozen=True)
class SiLU:
    """g(z) = z σ(z);  g' = σ(z) + a (1 - σ(z)), with σ the logistic function."""

    initialization = "he"
    output = "fixed"

    def value(self, Z, out=None):
        return blockwise(lambda z: z * expit(z), Z, out=out)

    def derivative(self, Z, A, out=None):
        return blockwise(lambda z, a: expit(z) + a * expit(-z), Z, A, out=out)


@dataclass(frozen=True)
class Mish:
    """g(z) = z t with t = tanh(softplus(z));  g' = t + z σ(z) (1 - t²)."""

    initialization = "he"
    output = "fixed"

    def value(self, Z, out=None):
        return blockwise(lambda z: z * np.tanh(_softplus(z)), Z, out=out)

    def derivative(self, Z, A, out=None):
        def derivative(z):
            t = np.tanh(_softplus(z))
            return t + z * expit(z) * (1 - t) * (1 + t)

        return blockwise(derivative, Z, out=out)


@dataclass(frozen=True)
class Softplus:
    """g(z) = log(1 + exp z);  g' = σ(z) = 1 - exp(-a)."""

    initialization = "he"
    output = "scale"

    def value(self, Z, out=None):
        return blockwise(_softplus, Z, out=out)

    def derivative(self, Z, A, out=None):
        return expit(Z, out=out)


@dataclass(frozen=True)
class Exp:
    """g(z) = exp z;  g' = a. For outputs that are positive: the log link of a GLM."""

    initialization = "glorot"
    output = "scale"

    def value(self, Z, out=None):
        return np.exp(Z, out=out)

    def derivative(self, Z, A, out=None):
        if out is None:
            return A.copy()
        np.copyto(out, A)
        return out


class CustomActivation:
    """A user's own object with ``value`` and ``derivative``, held to the contract of `out`."""

    def __init__(self, g):
        self.g = g
        self.initialization = getattr(g, "initialization", "glorot")
        self.output = getattr(g, "output", "fixed")

    def value(self, Z, out=None):
        # Not every object can bear `out` being Z itself, nor does every one use `out`.
        return _into(out, self.g.value(Z, out=None if out is Z else out))

    def derivative(self, Z, A, out=None):
        return _into(out, self.g.derivative(Z, A, out=out))

    def __repr__(self):
        return repr(self.g)


def _into(out, result):
    if out is None or result is out:
        return result
    np.copyto(out, result)
    return out


def _expm1_negative(z):  # exp(z) - 1 of the negative entries; no overflow in the others
    return np.expm1(np.minimum(z, 0))


def _exp_negative(z):
    return np.exp(np.minimum(z, 0))


def _softplus(z):  # log(1 + exp z) without overflow
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _normal_density(z):
    # A density of 0 from |z| = 40 on, where z² would overflow for the largest z.
    z = np.clip(z, -40, 40)
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi).astype(z.dtype)


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
