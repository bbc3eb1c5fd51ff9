"""Levenberg-Marquardt: the squared error over all rows, minimised with its exact Jacobian.

With the residuals rᵢₖ = √(sᵢ / Σ s) (aᵢₖ - yᵢₖ) and their Jacobian J = dr/dtheta,

    f = ‖r‖² + penalty/2 ‖W‖²        g = 2 Jᵀ r + penalty W        G = 2 Jᵀ J + penalty

are the objective, its gradient and its Gauss-Newton matrix (:mod:`skbackprop.second_order`); the
penalty is added to G at the weights and not at the biases. A step δ solves

    (G + λ I) δ = -g

with a damping λ > 0 between the step of Gauss and Newton (λ = 0) and a short one downhill. It is
taken if it lowers f, and λ follows the share ρ of the fall foretold by the quadratic model,
m = δᵀ (λ δ - g) / 2, that has come true (Nielsen 1999):

    taken:  λ ← λ max(1/3, 1 - (2 ρ - 1)³),  ν ← 2          not taken:  λ ← λ ν,  ν ← 2 ν

Marquardt (1963) has the diagonal of G in place of I, and Moré (1978) the largest that it has
been, which make a step independent of the units of the weights. Those of a standardised network
are comparable as they are, and the small diagonal of a saturated unit lets its weights run off:
after 60 iterations Marquardt's left an objective 1.48 times as large, Moré's 1.30 times (the
geometric mean over 60 fits of 3 to 16 units to three tables; it was lower in 15 and 38 % of them).
"""

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from .blocks import blocks
from .feed import Data
from .lbfgs import limit_reached
from .second_order import Pass, taken
from .training import Objective, Progress

Array = np.ndarray

FIRST_DAMPING = 0.1  # λ, of the largest entry on the diagonal of G
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
JACOBIAN_ENTRIES = 2**20  # of a block of rows: 8 MB


def rows_at_once(network: Any) -> int:
    """Rows of a block, of which the Jacobian has a bounded size."""
    return max(1, JACOBIAN_ENTRIES // max(network.n_parameters, *network.sizes))


def largest_product(n: int, network: Any) -> int:
    """Multiplications of JᵀJ for a block of rows."""
    return min(n, rows_at_once(network)) * network.n_parameters**2


class System:
    """f, g and G at any theta, in float64, from one block of rows after the other."""

    def __init__(self, objective: Objective, data: Data):
        self.objective, self.data, self.network = objective, data, objective.network
        self.decay = objective.decay(np.float64)

    def _residuals(self, theta):
        """Of each block of rows its Pass, √(s / Σ s), and r."""
        for rows in blocks(len(self.data), rows_at_once(self.network)):
            X, Y, weight = taken(self.data, rows, self.network.sizes)
            p, root = Pass(self.network, theta, X), np.sqrt(weight)
            yield p, root, root * (p.A[p.L] - Y)

    def value(self, theta: Array) -> float:
        """f."""
        theta = theta.astype(np.float64)
        squares = sum(float(np.vdot(r, r)) for _, _, r in self._residuals(theta))
        return squares + float(self.objective.penalty_values(theta)[0])

    def linearize(self, theta: Array) -> tuple[Array, Array]:
        """g and G."""
        theta = theta.astype(np.float64)
        g, G = np.zeros(theta.size), np.zeros((theta.size, theta.size))
        for p, root, r in self._residuals(theta):
            for k in range(r.shape[1]):
                J = p.jacobian(k)
                J *= root
                g += 2 * (r[:, k] @ J)
                G += J.T @ J
        G *= 2
        if self.decay is not None:
            g += self.decay * theta
            _add_to_diagonal(G, self.decay)
        return g, G


def minimize_lm(
    objective: Objective,
    data: Data,
    at: Progress,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    epoch_ended: Any,
    anew_every: int | None = None,
) -> str | None:
    """Levenberg-Marquardt on theta; returns why it stopped short, if it did.

    It has converged when no component of g is beyond `tol`, or when f would not fall by more than
    its rounding. ``epoch_ended(f)`` is called after every iteration, a step that is taken, with
    theta in ``at.theta``, and stops the run by returning True. An evaluation is a step that is
    tried; there is no further iteration after `max_fun` of them. λ is kept in ``at.optimizer``
    (ν is 2 then), so that a run can be cut and joined anywhere: `anew_every` is of no use here.
    """
    system = System(objective, data)
    at.optimizer.setdefault("evaluations", 0)
    f = system.value(at.theta)
    while (reason := limit_reached(at, max_iter, max_fun)) is None:
        g, G = system.linearize(at.theta)
        lower = None if np.abs(g).max() <= tol else descend(system, at, f, g, G)
        if lower is None:
            break
        f = lower
        at.epochs += 1
        at.samples += len(data)
        if epoch_ended(f):
            return None
    if not at.epochs:  # the first weights were the best: there is a loss to report
        at.epochs = 1
        epoch_ended(f)
    return None if reason is None else f"lm: {reason}"


def descend(system: System, at: Progress, f: float, g: Array, G: Array) -> float | None:
    """A step of theta that lowers f, and f there; None if there is none."""
    state, eps = at.optimizer, np.finfo(at.theta.dtype).eps
    largest = G.diagonal().max()
    damping, nu = state.get("damping", FIRST_DAMPING * largest), 2
    damping = max(damping, np.finfo(np.float64).eps * largest)  # less would not change G
    damping = max(damping, SMALLEST)  # where the squares in G underflow
    while damping < np.inf:
        step = damped_step(g, G, damping)
        theta = (at.theta + step).astype(at.theta.dtype)
        foretold = 0.5 * float(step @ (damping * step - g))
        if foretold <= eps * f or np.array_equal(theta, at.theta):
            return None
        lower = system.value(theta) if np.isfinite(foretold) else np.nan
        state["evaluations"] += 1
        if lower < f:
            damping *= max(1 / 3, 1 - (2 * (f - lower) / foretold - 1) ** 3)
            state["damping"] = float(damping)
            np.copyto(at.theta, theta)
            return lower
        damping, nu = damping * nu, 2 * nu
    return None


def damped_step(g: Array, G: Array, damping: float) -> Array:
    """δ with (G + λ I) δ = -g; NaN if rounding has left G + λ I without a Cholesky factor."""
    M = G.copy()
    _add_to_diagonal(M, damping)
    try:
        factor = cho_factor(M, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return np.full_like(g, np.nan)
    return -cho_solve(factor, g, check_finite=False)


def _add_to_diagonal(G, d):
    G.flat[:: len(G) + 1] += d
