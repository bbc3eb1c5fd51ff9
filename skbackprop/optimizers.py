"""Optimizers: the next theta from the gradient, on one flat vector.

An optimizer is a dataclass of hyper-parameters that training never changes. Two methods:

``init(theta)``
    The state at the start: a dict of arrays and numbers.
``step(theta, gradient, learning_rate, state)``
    Changes theta and the state in place. The gradient is scratch afterwards.

An object of a user's own with these two serves wherever a name does. In the formulas α is
the learning rate of the step (never the parameter alpha, the L2 penalty) and g the
gradient df/dtheta (not an activation). To add an optimizer to the package, write its
class and its entry in :data:`OPTIMIZERS`; the tests run over that table.

Every step goes through theta in blocks that fit the cache, so that its half a dozen
operations read each number from memory once (see :mod:`skbackprop.blocks`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import BLOCK, blocks

Array = np.ndarray


@dataclass(frozen=True)
class SGD:
    """theta ← theta - α g; with momentum μ: v ← μ v - α g, theta ← theta + v.

    With Nesterov's momentum, theta ← theta + μ v - α g with the new v: theta is here the
    look-ahead point theta + μ v of Sutskever et al. 2013, eq. 3-4 (rewritten so by Bengio
    et al. 2013). The article's gradient descent is μ = 0 and a batch of all rows.
    """

    momentum: float = 0.9
    nesterovs_momentum: bool = True

    def init(self, theta: Array) -> dict[str, Any]:
        return {"v": np.zeros_like(theta)} if self.momentum else {}

    def step(self, theta: Array, gradient: Array, learning_rate: float, state: dict) -> None:
        mu = self.momentum
        if mu and "v" not in state:  # momentum that was 0 when training began
            state["v"] = np.zeros_like(theta)
        for block in blocks(theta.size):
            th, g = theta[block], gradient[block]
            np.multiply(g, -learning_rate, out=g)  # -α g
            if mu:
                v = state["v"][block]
                np.multiply(v, mu, out=v)
                np.add(v, g, out=v)  # v ← μ v - α g
                if self.nesterovs_momentum:
                    np.add(th, g, out=th)
                    np.multiply(v, mu, out=g)  # theta ← theta + μ v - α g
                else:
                    g = v
            np.add(th, g, out=th)


@dataclass(frozen=True)
class Adam:
    """m ← β₁ m + (1-β₁) g,  v ← β₂ v + (1-β₂) g²,  theta ← theta - α m̂ / (√v̂ + ε).

    m̂ = m / (1-β₁ᵗ) and v̂ = v / (1-β₂ᵗ) at step t, with ε outside the root (Kingma &
    Ba 2015, algorithm 1; the defaults are theirs). The state holds m / (1-β₁) and
    v / (1-β₂), and the constants go into two numbers a step: two passes fewer.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decoupled = False  # whether alpha shrinks W outside the gradient

    def init(self, theta: Array) -> dict[str, Any]:
        return {"t": 0, "m": np.zeros_like(theta), "v": np.zeros_like(theta)}

    def step(self, theta: Array, gradient: Array, learning_rate: float, state: dict) -> None:
        state["t"] += 1
        root = np.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** state["t"]))
        rate = learning_rate * (1 - self.beta_1) / (1 - self.beta_1 ** state["t"]) / root
        rate, epsilon = float(rate), float(self.epsilon / root)  # NumPy scalars would upcast
        for block in blocks(theta.size):
            th, g, m, v = theta[block], gradient[block], state["m"][block], state["v"][block]
            np.multiply(m, self.beta_1, out=m)
            np.add(m, g, out=m)  # m ← β₁ m + g
            np.multiply(v, self.beta_2, out=v)
            np.multiply(g, g, out=g)
            np.add(v, g, out=v)  # v ← β₂ v + g²
            np.sqrt(v, out=g)
            np.add(g, epsilon, out=g)
            np.divide(m, g, out=g)
            np.multiply(g, rate, out=g)
            np.subtract(th, g, out=th)  # theta ← theta - α m̂ / (√v̂ + ε)


@dataclass(frozen=True)
class AdamW(Adam):
    """W ← (1 - α λ) W, then Adam's step on the loss alone.

    λ = alpha / Σᵢ sᵢ, s the sample_weight, is the factor of W in the gradient of the
    penalty; here it does not pass through the moments (Loshchilov & Hutter 2019, algorithm
    2, whose decay is η λ with the schedule's multiplier η; as in PyTorch it is α λ here).
    """

    decoupled = True


@dataclass(frozen=True)
class RMSprop:
    """v ← ρ v + (1-ρ) g²,  theta ← theta - α g / (√v + ε).

    Tieleman & Hinton 2012, lecture 6e, with their ρ = 0.9 (ε is not in the lecture).
    """

    rho: float = 0.9
    epsilon: float = 1e-8

    def init(self, theta: Array) -> dict[str, Any]:
        return {"v": np.zeros_like(theta), "root": np.empty(min(theta.size, BLOCK), theta.dtype)}

    def step(self, theta: Array, gradient: Array, learning_rate: float, state: dict) -> None:
        for block in blocks(theta.size):
            th, g, v = theta[block], gradient[block], state["v"][block]
            root = state["root"][: th.size]
            np.multiply(v, self.rho, out=v)
            np.multiply(g, g, out=root)
            np.multiply(root, 1 - self.rho, out=root)
            np.add(v, root, out=v)  # v ← ρ v + (1-ρ) g²
            np.sqrt(v, out=root)
            np.add(root, self.epsilon, out=root)
            np.divide(g, root, out=g)
            np.multiply(g, learning_rate, out=g)
            np.subtract(th, g, out=th)  # theta ← theta - α g / (√v + ε)


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
