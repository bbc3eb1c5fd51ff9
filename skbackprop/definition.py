"""The objective by its definition, in plain formulas: what training is held against.

    Z[l] = A[l-1] W[l] + 1 b[l],    A[l] = g[l](Z[l]),
    f = Σᵢ wᵢ Σₖ ℓ(aᵢₖ, yᵢₖ)  +  penalty/2 Σₗ ‖W[l]‖²_F.

Values alone, and nothing that training computes them with: no prepared calls, no shared memory,
no biases inside the products. Every matrix may be replaced, by a stack of others, and what follows
it is computed again.
"""

import numpy as np

Array = np.ndarray


def scaled(M: Array, shift: Array | None, scale: Array | None) -> Array:
    """(M - shift) / scale; None changes nothing."""
    M = M if shift is None else M - shift
    return M if scale is None else M / scale


class Definition:
    """f as a function of any of its matrices.

    Parameters
    ----------
    network : Network
        Its sizes and activations; of their methods, ``value``.
    theta : ndarray
    loss : object with ``value(A, Y, weight)``
    penalty : float
        alpha / Σᵢ sᵢ.
    X, Y : ndarray
        Inputs and targets in the network's units.
    weight : ndarray of shape (m, 1) or None
        wᵢ; None for 1/m.
    D : list of ndarray or None
        Masks of dropout: layer l + 1 reads H[l] = A[l] ⊙ D[l].
    """

    def __init__(self, network, theta, loss, penalty, X, Y, weight=None, D=None):
        self.g, self.L, self.loss, self.penalty = network.g, network.L, loss, penalty
        self.W, b, _ = network.views(theta)
        self.b = [0.0 if row is None else row for row in b]
        self.Y, self.weight = Y, weight
        self.D = [None] * (self.L + 1) if D is None else D
        self.A, self.Z = [X], [None]
        for l in range(1, self.L + 1):
            self.Z.append(self.H(l - 1) @ self.W[l] + self.b[l])
            self.A.append(self.activation(l, self.Z[l]))

    def H(self, l: int, A: Array | None = None) -> Array:
        """A[l] ⊙ D[l], what layer l + 1 reads."""
        A = self.A[l] if A is None else A
        return A if self.D[l] is None else A * self.D[l]

    def activation(self, l: int, Z: Array) -> Array:
        """g[l](Z), where Z may be a stack; a user's own g is given a matrix."""
        return self.g[l].value(Z.reshape(-1, Z.shape[-1])).reshape(Z.shape)

    def with_A(self, l: int, A: Array) -> Array:
        """f with others in the place of A[l], for a stack of them, and without the penalty.

        A constant changes no derivative, but beside a large one differences would be all rounding.
        """
        for k in range(l + 1, self.L + 1):
            A = self.activation(k, self.H(k - 1, A) @ self.W[k] + self.b[k])
        losses = [self.loss.value(matrix, self.Y, self.weight) for matrix in A]
        return np.array(losses)

    def with_Z(self, l: int, Z: Array) -> Array:
        """Likewise for Z[l]."""
        return self.with_A(l, self.activation(l, Z))

    def with_W(self, l: int, W: Array) -> Array:
        """Likewise for W[l], with the change of the penalty."""
        f = self.with_Z(l, self.H(l - 1) @ W + self.b[l])
        if self.penalty:
            change = (W - self.W[l]) * (W + self.W[l])
            f += self.penalty / 2 * change.sum(axis=(-2, -1))
        return f

    def with_b(self, l: int, b: Array) -> Array:
        """Likewise for b[l]."""
        return self.with_Z(l, self.H(l - 1) @ self.W[l] + b)

    def value(self) -> float:
        """f."""
        loss = self.loss.value(self.A[self.L], self.Y, self.weight)
        return float(loss + self.penalty / 2 * sum(np.sum(W * W) for W in self.W[1:]))
