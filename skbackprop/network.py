"""The network: forward and backward, in the letters of docs/derivation.md.

    Z[l] = A[l-1] W[l] + 1 b[l]             A[l] = g[l](Z[l])            l = 1 … L

    df/dA[L] = 2/m (A[L] - Y)               addition, squared norm: losses.SquaredError
    df/dA[l] = df/dZ[l+1] W[l+1]ᵀ           right multiplication         l < L
    df/dZ[l] = df/dA[l] ⊙ g[l]'(Z[l])       elementwise function
    df/dW[l] = A[l-1]ᵀ df/dZ[l]             left multiplication
    df/db[l] = 1ᵀ df/dZ[l]                  addition, left multiplication by 1

    W[l] ← W[l] - α df/dW[l]                optimizers.SGD with momentum=0; likewise b[l]

Letters: m rows of a batch; n[l] units of layer l; A[0] = X (m, n[0]); W[l] (n[l-1], n[l]);
b[l] (1, n[l]); Z[l], A[l] (m, n[l]); dW[l] means df/dW[l] and has W[l]'s shape. H[l] is A[l]
unless there is dropout (see Workspace): read A for H below. "Left multiplication" for dW[l]:
the variable is W[l], the constant on its left A[l-1]. Lists are indexed by the layer l, with
None at 0 where there is no such matrix.

The weights live in one flat vector theta, all W first and then all b, and so does their
gradient; W[l] and b[l] are views of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calculus import elementwise, left_multiplication, right_multiplication

Array = np.ndarray
Matrices = list[Any]  # of arrays, with None at 0 where layer 0 has no such matrix

# Variance of the entries of W[l] at the start, from n[l-1] and n[l].
INITIALIZATIONS: dict[str, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2 / fan_in,  # He et al. 2015, eq. 10
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),  # Glorot & Bengio 2010, eq. 12
    "lecun": lambda fan_in, fan_out: 1 / fan_in,  # LeCun et al. 1998, eq. 16
}

PREDICTION_ENTRIES = 2**17  # of a block's widest layer: 1 MiB of float64


@dataclass
class Workspace:
    """The matrices of one batch, made once and used by every step.

    A, Z, dA, dZ as in the module's legend; `ones` the column 1 of the biases. With
    dropout D[l] is the mask of layer l, and H[l] = A[l] ⊙ D[l] what layer l + 1 reads;
    without it H[l] is A[l].
    """

    A: Matrices
    Z: Matrices
    H: Matrices
    D: Matrices
    dA: Matrices
    dZ: Matrices
    ones: Array

    def rows(self, m: int) -> "Workspace":
        """The same memory for a batch of m rows, fewer than it was made for."""
        lists: list[Matrices] = [self.A, self.Z, self.H, self.D, self.dA, self.dZ]
        A, Z, H, D, dA, dZ = ([None if M is None else M[:m] for M in Ms] for Ms in lists)
        return Workspace(A, Z, H, D, dA, dZ, self.ones[:m])


class Network:
    """Z[l] = A[l-1] W[l] + 1 b[l],  A[l] = g[l](Z[l]),  l = 1 … L.

    Parameters
    ----------
    sizes : sequence of int
        n[0], n[1], …, n[L]: features, hidden units, outputs. L = 1 is a linear model.
    g : sequence of activations
        g[1], …, g[L]; the last is the output activation.
    fit_intercept : bool
        False for the article's network, Z[l] = A[l-1] W[l].
    """

    def __init__(self, sizes: Sequence[int], g: Sequence[Any], fit_intercept: bool = True):
        self.sizes = list(sizes)
        self.L = len(self.sizes) - 1
        self.g: list[Any] = [None, *g]
        self.fit_intercept = fit_intercept
        if len(self.g) != self.L + 1:
            raise ValueError(f"{self.L} layers need {self.L} activations; got {len(self.g) - 1}")
        self.n_weights = sum(m * n for m, n in zip(self.sizes, self.sizes[1:], strict=False))
        self.n_parameters = self.n_weights + (sum(self.sizes[1:]) if fit_intercept else 0)

    def views(self, theta: Array) -> tuple[Matrices, Matrices]:
        """W and b, views of theta (or dW and db, of the gradient)."""
        W: Matrices = [None]
        b: Matrices = [None]
        start = 0
        for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False):
            W.append(theta[start : start + n_in * n_out].reshape(n_in, n_out))
            start += n_in * n_out
        for n in self.sizes[1:]:
            b.append(theta[start : start + n].reshape(1, n) if self.fit_intercept else None)
            start += n
        return W, b

    def initialize(self, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
        """First weights: W[l] ~ U(-r, r) of the variance that suits g[l], b[l] = 0."""
        theta = np.zeros(self.n_parameters, dtype)
        W, _ = self.views(theta)
        for l in range(1, self.L + 1):
            variance = INITIALIZATIONS[self.g[l].initialization]
            r = np.sqrt(3 * variance(*W[l].shape))
            W[l][...] = rng.uniform(-r, r, W[l].shape)
        return theta

    def workspace(self, m: int, dtype: Any, dropout: bool = False) -> Workspace:
        """Every matrix that forward and backward need for m rows."""

        def new(layers):
            return [
                np.empty((m, n), dtype) if l in layers else None for l, n in enumerate(self.sizes)
            ]

        hidden, all_layers = range(1, self.L), range(1, self.L + 1)
        A, H = new(range(self.L + 1)), new(hidden if dropout else ())
        H = [a if h is None else h for a, h in zip(A, H, strict=True)]
        D = new(hidden if dropout else ())
        return Workspace(
            A, new(all_layers), H, D, new(all_layers), new(all_layers), np.ones((m, 1), dtype)
        )

    def prediction_workspace(self, m: int, dtype: Any) -> Workspace:
        """Two buffers that the layers use in turn, for a forward pass alone: Z[l] is A[l]."""
        buffers = np.empty((2, m * max(self.sizes)), dtype)
        A: Matrices = [buffers[l % 2, : m * n].reshape(m, n) for l, n in enumerate(self.sizes)]
        none: Matrices = [None] * (self.L + 1)
        return Workspace(A, A, A, none, none, none, np.empty((m, 0), dtype))

    def forward(self, W, b, ws: Workspace, dropout: float = 0.0, rng=None) -> Array:
        """A[L], the predictions for A[0]; fills Z and A."""
        A, Z, H, D, g = ws.A, ws.Z, ws.H, ws.D, self.g
        for l in range(1, self.L + 1):
            np.matmul(H[l - 1], W[l], out=Z[l])  # Z[l] = A[l-1] W[l]: H is A without dropout
            if self.fit_intercept:
                np.add(Z[l], b[l], out=Z[l])  # Z[l] = A[l-1] W[l] + 1 b[l]
            g[l].value(Z[l], out=A[l])  # A[l] = g[l](Z[l])
            if D[l] is not None:
                _draw_mask(dropout, rng, out=D[l])
                np.multiply(A[l], D[l], out=H[l])  # H[l] = A[l] ⊙ D[l]
        return A[self.L]

    def backward(self, W, dW, db, ws: Workspace, from_Z: bool = False) -> None:
        """Fill dW and db, the last layer first.

        Given is dA[L] or, with `from_Z`, dZ[L], and the elementwise rule of layer L is left
        out (Poisson and gamma losses with exp). df/dX, which training never needs, would be
        right_multiplication(dZ[1], W[1]).
        """
        A, Z, H, D, dA, dZ, g = ws.A, ws.Z, ws.H, ws.D, ws.dA, ws.dZ, self.g
        for l in range(self.L, 0, -1):
            if l < self.L:
                # df/dA[l] = df/dZ[l+1] W[l+1]ᵀ
                right_multiplication(dZ[l + 1], W[l + 1], out=dA[l])
                if D[l] is not None:
                    elementwise(dA[l], D[l], out=dA[l])  # through H[l] = A[l] ⊙ D[l]
            if l < self.L or not from_Z:
                derivative = g[l].derivative(Z[l], A[l], out=dZ[l])  # g[l]'(Z[l])
                elementwise(dA[l], derivative, out=dZ[l])  # df/dZ[l] = df/dA[l] ⊙ g[l]'(Z[l])
            left_multiplication(dZ[l], H[l - 1], out=dW[l])  # df/dW[l] = A[l-1]ᵀ df/dZ[l]
            if self.fit_intercept:
                left_multiplication(dZ[l], ws.ones, out=db[l])  # df/db[l] = 1ᵀ df/dZ[l]

    def predict(self, theta: Array, take: Callable[[slice, Array], Any], out: Array) -> Array:
        """out = A[L], block by block; ``take(rows, out)`` puts rows of A[0] into out."""
        W, b = self.views(theta)
        m = max(1, min(len(out), PREDICTION_ENTRIES // max(self.sizes)))
        ws = self.prediction_workspace(m, theta.dtype)
        for start in range(0, len(out), m):
            rows = slice(start, min(start + m, len(out)))
            if rows.stop - start < m:
                ws = ws.rows(rows.stop - start)
            take(rows, ws.A[0])
            out[rows] = self.forward(W, b, ws)
        return out


def _draw_mask(p: float, rng: np.random.Generator, out: Array) -> None:
    """Inverted dropout: 0 with probability p, else 1/(1-p), so that the mean is 1."""
    rng.random(out=out, dtype=out.dtype)
    np.greater_equal(out, p, out=out)
    np.multiply(out, 1 / (1 - p), out=out)
