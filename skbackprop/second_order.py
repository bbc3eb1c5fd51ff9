"""Second order: the network's equations differentiated once more.

R{M} is the derivative of a matrix M along a direction v of the weights, d/dt M(theta + t v) at
t = 0 (Pearlmutter 1994), and R{W[l]}, R{b[l]} are the parts of v. Forward,

    R{Z[l]} = R{A[l-1]} W[l] + A[l-1] R{W[l]} + 1 R{b[l]}         R{A[0]} = 0
    R{A[l]} = g[l]'(Z[l]) ⊙ R{Z[l]}

and back, each line of the backward pass by the rule for a product (:func:`differentiated`),

    R{df/dA[L]} = d²f/dA[L]² ⊙ R{A[L]}
    R{df/dA[l]} = R{df/dZ[l+1]} W[l+1]ᵀ + df/dZ[l+1] R{W[l+1]}ᵀ
    R{df/dZ[l]} = R{df/dA[l]} ⊙ g'(Z[l]) + df/dA[l] ⊙ R{g'(Z[l])},   R{g'(Z)} = g''(Z) ⊙ R{Z}
    R{df/dW[l]} = A[l-1]ᵀ R{df/dZ[l]} + R{A[l-1]}ᵀ df/dZ[l]

The last is a part of H v, with H = d²f/dtheta² the Hessian. Of these sums the Gauss-Newton
matrix G = Jᵀ (d²f/dA²) J, with J = dA[L]/dtheta, has the first terms alone (Schraudolph 2002):
G v is the ordinary way back from R{df/dA[L]}, for R{A[L]} = J v. Neither matrix is ever formed,
and a product takes two (G) to six (H) times the time of a gradient.

Matrices and indices are those of :mod:`skbackprop.network`, whose formulas stand here as they are
written: every matrix is kept and none overwritten, as no training step comes by.
"""

from typing import Any

import numpy as np

from .blocks import blocks
from .calculus import elementwise, left_multiplication, right_multiplication

Array = np.ndarray
Matrices = list[Any]  # of arrays, with None at 0 where layer 0 has no such matrix

ENTRIES = 2**14  # of the widest layer in a block of rows: 128 kB of float64, a dozen times over


class Pass:
    """Z[l], A[l] and S[l] = g[l]'(Z[l]) of some rows, and the ways back from there.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    X : ndarray of shape (m, n[0])
        A[0].
    """

    def __init__(self, network: Any, theta: Array, X: Array):
        self.network, (self.W, _, self.bW) = network, network.views(theta)
        self.L, self.g = network.L, network.g
        self.A1: Matrices = []  # [1 A[l]], without the ones if there are no biases
        self.A: Matrices = [X]
        self.Z: Matrices = [None]
        self.S: Matrices = [None]
        for l in range(1, self.L + 1):
            self.A1.append(self.beside(1, self.A[l - 1]))
            self.Z.append(self.A1[l - 1] @ self.bW[l])
            self.A.append(self.g[l].value(self.Z[l]))
            self.S.append(self.g[l].derivative(self.Z[l], self.A[l]))

    def beside(self, one: float, A: Array) -> Array:
        """[1 A], or [0 R{A}]."""
        if not self.network.fit_intercept:
            return A
        return np.concatenate([np.full((len(A), 1), one, A.dtype), A], axis=1)

    def _nothing(self) -> Matrices:
        return [None] * (self.L + 1)

    def backward(self, seed: Array, from_Z: bool = False) -> tuple[Matrices, Matrices]:
        """dA and dZ, given dA[L] or, with `from_Z`, dZ[L]."""
        dA, dZ = self._nothing(), self._nothing()
        for l in range(self.L, 0, -1):
            dA[l] = right_multiplication(dZ[l + 1], self.W[l + 1]) if l < self.L else seed
            dZ[l] = elementwise(dA[l], self.S[l]) if l < self.L or not from_Z else seed
        return dA, dZ

    def gradient(self, dZ: Matrices) -> Array:
        """df/dtheta: df/db[l] and df/dW[l] of every layer, one after the other."""
        layers = range(1, self.L + 1)
        return _vector([left_multiplication(dZ[l], self.A1[l - 1]) for l in layers])

    def tangent(self, v: Array) -> tuple[Matrices, Matrices]:
        """R{Z} and R{A}."""
        R_bW = self.network.matrices(v)
        R_Z: Matrices = [None]
        R_A: Matrices = [np.zeros_like(self.A[0])]
        for l in range(1, self.L + 1):
            R_Z.append(R_A[l - 1] @ self.W[l] + self.A1[l - 1] @ R_bW[l])
            R_A.append(self.S[l] * R_Z[l])
        return R_Z, R_A

    def hessian_product(
        self, v: Array, dA: Matrices, dZ: Matrices, curvature: Array, from_Z: bool = False
    ) -> Array:
        """H v = R{df/dtheta}, given what ``backward`` gave and d²f/dA[L]² or d²f/dZ[L]²."""
        (R_Z, R_A), R_W, W, S, L = self.tangent(v), self.network.views(v).W, self.W, self.S, self.L
        R_A1 = [self.beside(0, M) for M in R_A[:L]]
        R_dA, R_dZ = self._nothing(), self._nothing()
        R_dbW = []
        for l in range(L, 0, -1):
            if l == L:
                R_dA[l] = R_dZ[l] = curvature * (R_Z if from_Z else R_A)[l]
            else:
                with_W, R_with_W = (dZ[l + 1], W[l + 1]), (R_dZ[l + 1], R_W[l + 1])
                R_dA[l] = differentiated(right_multiplication, with_W, R_with_W)
            if l < L or not from_Z:
                R_S = self.g[l].second_derivative(self.Z[l], self.A[l]) * R_Z[l]
                R_dZ[l] = differentiated(elementwise, (dA[l], S[l]), (R_dA[l], R_S))
            with_A, R_with_A = (dZ[l], self.A1[l - 1]), (R_dZ[l], R_A1[l - 1])
            R_dbW.append(differentiated(left_multiplication, with_A, R_with_A))
        return _vector(R_dbW[::-1])

    def gauss_newton_product(self, v: Array, curvature: Array, from_Z: bool = False) -> Array:
        """G v = Jᵀ (curvature ⊙ J v), with J = dA[L]/dtheta, or dZ[L]/dtheta with `from_Z`."""
        R_Z, R_A = self.tangent(v)
        seed = curvature * (R_Z if from_Z else R_A)[self.L]
        return self.gradient(self.backward(seed, from_Z)[1])

    def jacobian(self, k: int) -> Array:
        """dA[L]/dtheta of output k: (m, n_parameters), a row of X a row.

        df/dW[l] of a single row is the outer product of its rows of A[l-1] and df/dZ[l].
        """
        _, dZ = self.backward(self.unit(k))
        layers = range(1, self.L + 1)
        outer = [self.A1[l - 1][:, :, None] * dZ[l][:, None, :] for l in layers]
        return np.concatenate([M.reshape(len(M), -1) for M in outer], axis=1)

    def unit(self, k: int) -> Array:
        """df/dA[L] of the function f = Σᵢ aᵢₖ, whose derivative has that of aᵢₖ in row i."""
        seed = np.zeros_like(self.A[self.L])
        seed[:, k] = 1
        return seed


def differentiated(rule: Any, both: tuple[Array, Array], R_both: tuple[Array, Array]) -> Array:
    """R{rule(dG, C)} = rule(R{dG}, C) + rule(dG, R{C}), for a rule that is linear in both."""
    (dG, C), (R_dG, R_C) = both, R_both
    return rule(R_dG, C) + rule(dG, R_C)


def _vector(matrices: Matrices) -> Array:
    return np.concatenate([M.reshape(-1) for M in matrices])


def products(objective: Any, data: Any, theta: Array, V: Array, gauss_newton: bool) -> Array:
    """H v, or G v, of the objective over all rows of data, block by block, for each row v of V.

    Parameters
    ----------
    objective : Objective
        Without dropout.
    data : Data
    theta : ndarray of shape (n_parameters,), float64
    V : ndarray of shape (k, n_parameters)
        Directions, a row each.
    gauss_newton : bool
        Whether it is G, and not H.
    """
    loss, network, from_Z = objective.loss, objective.network, objective.from_Z
    decay = objective.decay(theta.dtype)
    result = np.zeros_like(V) if decay is None else decay * V  # d²(penalty/2 ‖W‖²)
    for rows in blocks(len(data), max(1, ENTRIES // max(network.sizes))):
        X, Y, weight = taken(data, rows, network.sizes)
        p = Pass(network, theta, X)
        first = loss.derivative_Z if from_Z else loss.derivative
        second = loss.second_derivative_Z if from_Z else loss.second_derivative
        curvature = second(p.A[p.L], Y, weight)
        if not gauss_newton:
            dA, dZ = p.backward(first(p.A[p.L], Y, weight), from_Z)
        for v, product in zip(V, result, strict=True):
            if gauss_newton:
                product += p.gauss_newton_product(v, curvature, from_Z)
            else:
                product += p.hessian_product(v, dA, dZ, curvature, from_Z)
    return result


def taken(data: Any, rows: slice, sizes: list[int]) -> tuple[Array, Array, Array]:
    """A[0], Y and the weights s / Σ s of some rows, in float64."""
    m = rows.stop - rows.start
    X, Y, weight = np.empty((m, sizes[0])), np.empty((m, sizes[-1])), np.empty((m, 1))
    data.take(rows, X, Y, weight)
    return X, Y, weight / len(data)
