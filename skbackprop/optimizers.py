"""Optimizers: the next theta from the gradient, on one flat vector.

An optimizer holds hyper-parameters, which training never changes. Two methods:

``init(theta)``
    The state at the start: a dict of arrays and numbers.
``step(theta, gradient, learning_rate, state)``
    Changes theta and the state in place. The gradient is scratch afterwards.

The learning rate may differ from weight to weight: ``prepare(theta, gradient, state, rates)``
makes a step of α ``rates``, a vector like theta.

An object of a user's own with the first two serves wherever a name does. In the formulas α is
the learning rate of the step (never the parameter alpha, the L2 penalty) and g the
gradient df/dtheta (not an activation). To add an optimizer to the package, write its
class and its entry in :data:`OPTIMIZERS`; the tests run over that table.

Every step goes through theta in blocks that fit the cache, so that its dozen operations
read each number from memory once: with 316,000 weights Adam takes 1.60 ms as whole arrays,
1.07, 1.02 and 0.99 ms in blocks of 8,192, 16,384 and 32,768.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .settings import Settings

Array = np.ndarray

BLOCK = 32768  # entries
FLUSH = 64  # steps


class Optimizer(Settings):
    """``step`` from ``prepare``, which a subclass defines, as it does ``init``."""

    def init(self, theta: Array) -> dict[str, Any]:
        """The state at the start."""
        raise NotImplementedError

    def prepare(
        self, theta: Array, gradient: Array, state: dict, rates: Array | None = None
    ) -> Callable[[float], None]:
        """A step on these arrays, to be called with the learning rate."""
        raise NotImplementedError

    def step(self, theta: Array, gradient: Array, learning_rate: float, state: dict) -> None:
        """One step. What ``prepare`` returns takes 1 µs of 6 less."""
        self.prepare(theta, gradient, state)(learning_rate)

    @property
    def steps_as_prepared(self) -> bool:
        """False for a user's subclass with a ``step`` of its own."""
        return type(self).step is Optimizer.step


class SGD(Optimizer):
    """theta ← theta - α g; with momentum μ: v ← μ v - α g, theta ← theta + v.

    With Nesterov's momentum, theta ← theta + μ v - α g with the new v: what is called theta
    here is the look-ahead point Θ = θ + μ v of Sutskever et al. 2013, eq. 3-4, of which
    θ ← θ + v with v ← μ v - α g(Θ) makes Θ ← Θ + μ v - α g (Bengio et al. 2013). The article's
    gradient descent is μ = 0 and a batch of all rows.
    """

    momentum: float = 0.9
    nesterovs_momentum: bool = True
    letters: ClassVar = {"v": "the velocity, 0 at first", "μ": "momentum"}

    def init(self, theta: Array) -> dict[str, Any]:
        return {"t": 0, "v": np.zeros_like(theta)} if self.momentum else {}

    def prepare(
        self, theta: Array, gradient: Array, state: dict, rates: Array | None = None
    ) -> Callable[[float], None]:
        mu = self.momentum
        if mu and "v" not in state:  # momentum that was 0 when training began
            state.update(self.init(theta))
        blocks = _blocks(theta, gradient, state["v"] if mu else gradient, rates)

        def step(learning_rate):
            for th, g, v, c in blocks:
                np.multiply(g, -learning_rate, out=g)  # -α g
                if c is not None:
                    np.multiply(g, c, out=g)
                if not mu:
                    np.add(th, g, out=th)  # theta ← theta - α g, the article's
                    continue
                np.multiply(v, mu, out=v)
                np.add(v, g, out=v)  # v ← μ v - α g
                if self.nesterovs_momentum:
                    np.add(th, g, out=th)
                    np.multiply(v, mu, out=g)  # theta ← theta + μ v - α g
                    np.add(th, g, out=th)
                else:
                    np.add(th, v, out=th)  # theta ← theta + v
            if mu:
                _count(state, v=mu)

        return step


class Adam(Optimizer):
    """m ← β₁ m + (1-β₁) g,  v ← β₂ v + (1-β₂) g²,  theta ← theta - α m̂ / (√v̂ + ε).

    m and v are the moments, m̂ = m / (1-β₁ᵗ) and v̂ = v / (1-β₂ᵗ) at step t, with ε outside
    the root (Kingma & Ba 2015, algorithm 1; the defaults are theirs). The state holds
    m / (1-β₁) and v / (1-β₂), and the constants go into two numbers a step: two passes fewer.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decoupled = False  # whether alpha shrinks W outside the gradient
    letters: ClassVar = {
        "m": "a moving mean of `g`, 0 at first",
        "v": "one of `g²`",
        "m̂": "`m / (1-β₁ᵗ)` and `v̂` is `v / (1-β₂ᵗ)` at step `t`",
        "β₁": "beta_1",
        "β₂": "beta_2",
        "ε": "epsilon",
    }

    def init(self, theta: Array) -> dict[str, Any]:
        return {"t": 0, "m": np.zeros_like(theta), "v": np.zeros_like(theta)}

    def prepare(
        self, theta: Array, gradient: Array, state: dict, rates: Array | None = None
    ) -> Callable[[float], None]:
        blocks = _blocks(theta, gradient, state["m"], state["v"], rates)
        # Numbers as arrays without axes, which a call to NumPy takes in 0.1 µs less.
        beta_1, beta_2 = (np.array(c, theta.dtype) for c in (self.beta_1, self.beta_2))
        epsilon, rate = np.empty((), theta.dtype), np.empty((), theta.dtype)
        add, subtract, multiply, divide, sqrt = np.add, np.subtract, np.multiply, np.divide, np.sqrt

        def step(learning_rate):
            t = _count(state, m=self.beta_1, v=self.beta_2)
            root = ((1 - self.beta_2) / (1 - self.beta_2**t)) ** 0.5
            epsilon[()] = self.epsilon / root
            rate[()] = learning_rate * (1 - self.beta_1) / (1 - self.beta_1**t) / root
            for th, g, m, v, c in blocks:
                multiply(m, beta_1, m)
                add(m, g, m)  # m ← β₁ m + g
                multiply(v, beta_2, v)
                multiply(g, g, g)
                add(v, g, v)  # v ← β₂ v + g²
                sqrt(v, g)
                add(g, epsilon, g)
                divide(m, g, g)
                multiply(g, rate, g)
                if c is not None:
                    multiply(g, c, g)
                subtract(th, g, th)  # theta ← theta - α m̂ / (√v̂ + ε)

        return step


class AdamW(Adam):
    """W ← (1 - α λ) W, then Adam's step on the loss alone.

    λ = alpha / Σᵢ sᵢ, s the sample_weight, is the factor of W in the gradient of the
    penalty; here it does not pass through the moments (Loshchilov & Hutter 2019, algorithm
    2, whose decay is η λ with the schedule's multiplier η; as in PyTorch it is α λ here). The
    first is done by :func:`skbackprop.training.shrink`; ``step`` is Adam's alone.
    """

    decoupled = True
    letters: ClassVar = {"λ": "the penalty, alpha over the sum of the weights of the rows"}


class RMSprop(Optimizer):
    """v ← ρ v + (1-ρ) g²,  theta ← theta - α g / (√v + ε).

    Tieleman & Hinton 2012, lecture 6e, with their ρ = 0.9 (ε is not in the lecture).
    """

    rho: float = 0.9
    epsilon: float = 1e-8
    letters: ClassVar = {"v": "a moving mean of `g²`, 0 at first", "ρ": "rho", "ε": "epsilon"}

    def init(self, theta: Array) -> dict[str, Any]:
        return {"t": 0, "v": np.zeros_like(theta)}

    def prepare(
        self, theta: Array, gradient: Array, state: dict, rates: Array | None = None
    ) -> Callable[[float], None]:
        scratch = np.empty(min(theta.size, BLOCK), theta.dtype)
        blocks = [
            (*views, scratch[: len(views[0])])
            for views in _blocks(theta, gradient, state["v"], rates)
        ]

        def step(learning_rate):
            for th, g, v, c, root in blocks:
                np.multiply(v, self.rho, out=v)
                np.multiply(g, g, out=root)
                np.multiply(root, 1 - self.rho, out=root)
                np.add(v, root, out=v)  # v ← ρ v + (1-ρ) g²
                np.sqrt(v, out=root)
                np.add(root, self.epsilon, out=root)
                np.divide(g, root, out=g)
                np.multiply(g, learning_rate, out=g)
                if c is not None:
                    np.multiply(g, c, out=g)
                np.subtract(th, g, out=th)  # theta ← theta - α g / (√v + ε)
            _count(state, v=self.rho)

        return step


def _blocks(first: Array, *others: Array | None) -> list[tuple[Any, ...]]:
    """The vectors, block by block; None for one that is None."""
    starts = range(0, len(first), BLOCK)
    return [
        tuple(None if M is None else M[start : start + BLOCK] for M in (first, *others))
        for start in starts
    ]


def _count(state: dict, **decay: float) -> int:
    """Count a step; every 64 of them set what has all but vanished from the moments to 0.

    The moment of a weight whose gradient stays 0, as that of a dead unit does, shrinks by its
    decay β a step until it is denormal, where rounding keeps it for ever, and the processor
    takes 20 times as long for such numbers (12,000 weights in float32: 52 µs instead of 2.5
    for one of Adam's ten passes). The bound is what would get there in the next 64 steps, and
    far below what √v + ε or theta could feel.
    """
    t = state["t"] = state["t"] + 1
    if t % FLUSH == 0:
        for name, beta in decay.items():
            tiny = np.finfo(state[name].dtype).tiny / max(beta, 0.5) ** FLUSH
            for (M,) in _blocks(state[name]):
                np.copyto(M, 0, where=np.abs(M) < tiny)
    return t


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
