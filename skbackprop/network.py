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

Biases take part in the products. With b[l] on top of W[l] and a column of ones before A[l-1],

    Z[l] = [1 A[l-1]] [b[l]; W[l]]          [df/db[l]; df/dW[l]] = [1 A[l-1]]ᵀ df/dZ[l]

are the formulas above, and the passes that would add 1 b[l] to Z[l] and sum df/dZ[l] are saved.
A network of one hidden layer and one output has its last product in another order
(`Network._without_dZ_1`), which saves df/dA[1] and df/dZ[1].
bW[l] is [b[l]; W[l]], and the flat vector theta of all weights is bW[1], …, bW[L] one after the
other; the gradient is alike.

A network may learn a scale for every input, A[0] = X diag(s), with s before bW[1] in theta. As
X diag(s) W[1] = X V with V = diag(s) W[1], the formulas above hold with V for W[1], and from
df/dV = Xᵀ df/dZ[1], by the rules of multiplication,

    df/dW[1] = diag(s) df/dV                df/ds[j] = Σₖ W[1]ⱼₖ (df/dV)ⱼₖ

at the cost of passes over V alone. Weights that leave a useless input shrink together with s.

Several networks of one architecture can be trained at once: every matrix then has a leading
axis for the network, and each line below is the formula of all of them. What such a stack
predicts is the mean of its networks' A[L].
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .blocks import Call, block_views, blocks, entries, in_blocks, run
from .calculus import addition, elementwise, left_multiplication, product, right_multiplication
from .workspace import Matrices, PredictionWorkspace, Workspace

Array = np.ndarray

# Variance of the entries of W[l] at the start, from n[l-1] and n[l].
INITIALIZATIONS: dict[str, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2 / fan_in,  # He et al. 2015, eq. 10
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),  # Glorot & Bengio 2010, eq. 12
    "lecun": lambda fan_in, fan_out: 1 / fan_in,  # LeCun et al. 1998, eq. 16
}

# The learning rate is that of a weight behind so many units; its factors for s and b.
WIDTH, SCALE_RATE, BIAS_RATE = 64, 48.0, 0.8
PREDICTION_ENTRIES = 2**16  # of a block's widest layer: 512 kB of float64


class Weights(NamedTuple):
    """Views of one flat vector: theta, or its gradient (then dW, db and [db; dW])."""

    W: Matrices
    b: Matrices
    bW: Matrices


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
    stack : tuple
        ``()`` for one network, ``(K,)`` for K of them: the leading axes of every matrix.
    input_scale : bool
        Whether there is an s.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        g: Sequence[Any],
        fit_intercept: bool = True,
        stack: tuple[int, ...] = (),
        input_scale: bool = False,
    ):
        self.input_scale = input_scale
        self.sizes = list(sizes)
        self.L = len(self.sizes) - 1
        self.g: list[Any] = [None, *g]
        self.fit_intercept = fit_intercept
        self.stack = stack
        if len(self.g) != self.L + 1:
            raise ValueError(f"{self.L} layers need {self.L} activations; got {len(self.g) - 1}")
        inputs = [n + fit_intercept for n in self.sizes[:-1]]  # rows of bW[l+1]
        shapes = [(*stack, *shape) for shape in zip(inputs, self.sizes[1:], strict=True)]
        if input_scale:
            shapes.insert(0, (*stack, self.sizes[0], 1))  # a column, as diag(s) W[1] is s ⊙ W[1]
        self.shapes = [(shape, prod(shape)) for shape in shapes]
        self.n_parameters = sum(size for _, size in self.shapes)
        self.widths = [*inputs, self.sizes[-1]]  # columns of A1[l]

    def stacked(self, K: int) -> "Network":
        """K networks like this one."""
        return Network(self.sizes, self.g[1:], self.fit_intercept, (K,), self.input_scale)

    @property
    def of_one(self) -> "Network":
        """One of the networks of a stack."""
        return Network(self.sizes, self.g[1:], self.fit_intercept, (), self.input_scale)

    @property
    def plain(self) -> "Network":
        """The network without a scale of its inputs."""
        return Network(self.sizes, self.g[1:], self.fit_intercept, self.stack)

    def pack(self, vectors: Sequence[Array]) -> Array:
        """One vector for a stack from those of its networks; of thetas or of moments."""
        stacked = np.empty(self.n_parameters, vectors[0].dtype)
        of_one = self.of_one
        for k, vector in enumerate(vectors):
            for M, N in zip(self.pieces(stacked), of_one.pieces(vector), strict=True):
                M[k] = N
        return stacked

    def unpack(self, stacked: Array, k: int, out: Array | None = None) -> Array:
        """The vector of network k."""
        pieces = [M[k].reshape(-1) for M in self.pieces(stacked)]
        return np.concatenate(pieces, out=out)

    def folded(self, theta: Array) -> Array:
        """The weights of :attr:`plain`, diag(s) W[1] for W[1]."""
        if not self.input_scale:
            return theta
        s, *bW = self.pieces(theta)
        bV = bW[0].copy()
        largest = np.finfo(bV.dtype).max
        self._below_b(bV)[...] = np.clip(self._below_b(bV) * s, -largest, largest)
        return np.concatenate([bV.reshape(-1), *(M.reshape(-1) for M in bW[1:])])

    def without_column(self, matrices: Matrices) -> Matrices:
        """The matrices proper, of those with a column before them below layer L."""
        one = int(self.fit_intercept)
        views = [M if M is None else M[..., one:] for M in matrices[:-1]]
        return [*views, matrices[-1]]

    def matrices(self, theta: Array) -> Matrices:
        """bW, views of theta; at 0 the scale s, if there is one."""
        return self.pieces(theta) if self.input_scale else [None, *self.pieces(theta)]

    def pieces(self, theta: Array) -> list[Array]:
        """All of theta: s, if there is one, and bW[1], …, bW[L]."""
        pieces, start = [], 0
        for shape, size in self.shapes:
            pieces.append(theta[start : start + size].reshape(shape))
            start += size
        return pieces

    def _below_b(self, bW: Array) -> Array:
        """W of [b; W]."""
        return bW[..., int(self.fit_intercept) :, :]

    def views(self, theta: Array) -> Weights:
        """W, b and bW, views of theta (or dW, db and their like, of the gradient)."""
        bW = self.matrices(theta)
        if not self.fit_intercept:
            return Weights([None, *bW[1:]], [None] * (self.L + 1), bW)
        W = [None, *(M[..., 1:, :] for M in bW[1:])]
        b = [None, *(M[..., :1, :] for M in bW[1:])]
        return Weights(W, b, bW)

    def initialize_neural_tangent(self, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
        """First weights: W[l] ~ N(0, 1/n[l-1]), b[l] ~ N(0, 1) for l < L, W[L] = b[L] = 0, s = 1.

        The first prediction is 0, the mean of a standardised y.
        """
        theta = np.zeros(self.n_parameters, dtype)
        W, b, bW = self.views(theta)
        if self.input_scale:
            bW[0].fill(1)
        for l in range(1, self.L):
            W[l][...] = rng.standard_normal(W[l].shape) * self.sizes[l - 1] ** -0.5
            if b[l] is not None:
                b[l][...] = rng.standard_normal(b[l].shape)
        return theta

    def initialize(self, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
        """First weights: W[l] ~ U(-r, r) of the variance that suits g[l], b[l] = 0, s = 1."""
        theta = np.zeros(self.n_parameters, dtype)
        W, _, bW = self.views(theta)
        if self.input_scale:
            bW[0].fill(1)
        for l in range(1, self.L + 1):
            variance = INITIALIZATIONS[self.g[l].initialization]
            r = np.sqrt(3 * variance(*self.sizes[l - 1 : l + 1]))
            W[l][...] = rng.uniform(-r, r, W[l].shape)
        return theta

    def rates(self, dtype: Any = np.float64) -> Array:
        """Factors of the learning rate: √(64/n[l-1]) for W[l], 0.8 for b[l], 48 for s.

        An optimizer whose steps have one size for every weight, such as Adam, then changes all
        layers alike, wide or narrow, as in the neural-tangent parametrisation Z = A W / √n; those
        of b and s are of Holzmüller et al. 2024 (arXiv 2407.04491).
        """
        rates = np.empty(self.n_parameters, dtype)
        W, b, bW = self.views(rates)
        if self.input_scale:
            bW[0].fill(SCALE_RATE)
        for l in range(1, self.L + 1):
            W[l][...] = (WIDTH / self.sizes[l - 1]) ** 0.5
            if b[l] is not None:
                b[l][...] = BIAS_RATE
        return rates

    def workspace(self, m: int, dtype: Any, **options: bool) -> Workspace:
        """Every matrix that forward and backward need for m rows."""
        return Workspace(self, m, dtype, **options)

    def forward(self, bW: Matrices, ws: Any, p: float = 0.0, rngs: Sequence = ()) -> list[Call]:
        """Calls that fill Z and A, and at last A[L], the predictions for A[0].

        p is the share of dropout, if the workspace has masks, and rngs[k] the generator of
        network k.
        """
        A1, Z, H1, D1, g = ws.A1, ws.Z, ws.H1, ws.D1, self.g
        calls: list[Call] = []
        if self.input_scale:
            calls += self._scaled_inputs(bW, ws.bV)
            bW = [None, ws.bV, *bW[2:]]
        for l in range(1, self.L + 1):
            calls.append(product(H1[l - 1], bW[l], out=Z[l]))  # Z[l] = A[l-1] W[l] + 1 b[l]
            ones = partial(A1[l][..., 0].fill, 1) if l < self.L and self.fit_intercept else None
            if ones is not None and ws.ones_are_lost:
                calls.append(ones)
            calls += g[l].forward(*ws.whole(l, "Z", "A", "S"))  # A[l] = g[l](Z[l])
            if ones is not None and (ws.ones_are_lost or not _keeps_1(g[l])):
                calls.append(ones)
            if D1[l] is not None:
                calls.append(partial(_draw_masks, p, rngs, D1[l], self.fit_intercept))
                calls.append(partial(np.multiply, A1[l], D1[l], H1[l]))  # H[l] = A[l] ⊙ D[l]
        return calls

    def backward(
        self, bW: Matrices, dbW: Matrices, ws: Workspace, from_Z: bool = False
    ) -> list[Call]:
        """Calls that fill dW and db, the last layer first.

        Given is dA[L] or, with `from_Z`, dZ[L], and the elementwise rule of layer L is left
        out (Poisson and gamma losses with exp). df/dX, which training never needs, would be
        right_multiplication(dZ[1], W[1]).
        """
        H1, D1, dA1, dZ, g = ws.H1, ws.D1, ws.dA1, ws.dZ, self.g
        calls: list[Call] = []
        of_scale = self._through_scale(bW, dbW, ws) if self.input_scale else []
        for l in range(self.L, 0, -1):
            if l == 1 and ws.R is not None:  # the lines below in another order
                calls += self._without_dZ_1(bW[2], dbW[1], ws)
                break
            if l < self.L:
                # df/dA[l] = df/dZ[l+1] W[l+1]ᵀ; before it, unread, df/d1 = df/dZ[l+1] b[l+1]ᵀ
                calls.append(right_multiplication.prepare(dZ[l + 1], bW[l + 1], out=dA1[l]))
                if D1[l] is not None:  # that was df/dH[l]; df/dA[l] = df/dH[l] ⊙ D[l]
                    calls.append(elementwise.prepare(dA1[l], D1[l], out=dA1[l]))
            if l < self.L or not from_Z:
                # df/dZ[l] = df/dA[l] ⊙ g[l]'(Z[l])
                calls += _through_activation(g[l], ws.scratch, *ws.whole(l, "dA", "A", "S", "dZ"))
            # df/dW[l] = A[l-1]ᵀ df/dZ[l], and above it df/db[l] = 1ᵀ df/dZ[l]
            calls.append(left_multiplication.prepare(dZ[l], H1[l - 1], out=dbW[l]))
        return calls + of_scale

    def _scaled_inputs(self, bW: Matrices, bV: Array) -> list[Call]:
        """V = diag(s) W[1], below b[1] in bV."""
        V, W = self._below_b(bV), self._below_b(bW[1])
        calls: list[Call] = [partial(np.multiply, W, bW[0], V)]
        if self.fit_intercept:
            calls.append(partial(np.copyto, bV[..., 0, :], bW[1][..., 0, :]))
        return calls

    def _through_scale(self, bW: Matrices, dbW: Matrices, ws: Workspace) -> list[Call]:
        """df/ds and df/dW[1], where df/dV stands in the place of df/dW[1]."""
        dV, W, V = self._below_b(dbW[1]), self._below_b(bW[1]), self._below_b(ws.bV)
        return [
            partial(np.multiply, W, dV, V),  # in the memory of V, which the next forward sets again
            partial(np.add.reduce, V, -1, None, dbW[0], True),  # df/ds[j] = Σₖ W[1]ⱼₖ (df/dV)ⱼₖ
            partial(np.multiply, dV, bW[0], dV),  # df/dW[1] = diag(s) df/dV
        ]

    def _without_dZ_1(self, bW_2: Array, dbW_1: Array, ws: Workspace) -> list[Call]:
        """df/dW[1] of a network with one hidden layer and one output, not by way of df/dZ[1].

        With the columns u = df/dZ[2] and w = W[2], and S = g[1]'(Z[1]),

            df/dZ[1] = (u wᵀ) ⊙ S = diag(u) S diag(w)
            df/dW[1] = A[0]ᵀ df/dZ[1] = (diag(u) A[0])ᵀ S diag(w),

        and so for [1 A[0]]: of the passes over m × n[1] entries between the products (the outer
        product, g', ⊙) only g' is left, which saves a sixth of the step of a network 8-100-1
        (200 rows, float64: 58 and 49 µs).
        """
        g, R, one = self.g[1], ws.R, int(self.fit_intercept)
        u, w = ws.dZ[2], bW_2[..., one:, :]
        calls: list[Call] = [partial(np.multiply, ws.H1[0], u, R)]  # diag(u) [1 A[0]]
        if g.from_A:  # S = g'(Z[1]), in the memory of dA[1]
            S1 = ws.dA1[1]
            calls += [g.prepare_derivative(a, s) for a, s in block_views(ws.A1[1], S1)]
        else:
            S1 = ws.S1[1]
        if ws.D1[1] is not None:  # (u wᵀ ⊙ D) ⊙ S = u wᵀ ⊙ (D ⊙ S)
            calls.append(partial(np.multiply, S1, ws.D1[1], S1))
        calls.append(left_multiplication.prepare(S1[..., one:], R, out=dbW_1))
        calls.append(partial(np.multiply, dbW_1, w.swapaxes(-1, -2), dbW_1))  # … diag(w)
        return calls

    def predict(
        self,
        theta: Array,
        take: Callable[[slice, Array], Any],
        out: Array,
        of: Callable[..., Any] = np.mean,
    ) -> Array:
        """out = A[L], of a stack the mean over its networks, or what `of` is, block by block.

        ``take(rows, out)`` puts rows of A[0] into out.
        """
        if self.input_scale:
            return self.plain.predict(self.folded(theta), take, out, of)
        bW, n, K = self.matrices(theta), len(out), prod(self.stack)
        m = max(1, min(n, PREDICTION_ENTRIES // (K * max(self.sizes))))
        ws = PredictionWorkspace(self, m, theta.dtype)
        calls = self.forward(bW, ws)
        for rows in blocks(n, m):
            if rows.stop - rows.start < m:
                ws = PredictionWorkspace(self, rows.stop - rows.start, theta.dtype)
                calls = self.forward(bW, ws)
            take(rows, ws.A[0])
            run(calls)
            A = ws.A[self.L]
            out[rows] = of(A, axis=0) if self.stack else A
        return out


def _keeps_1(g: Any) -> bool:
    """Whether g leaves the column of ones as it is; a user's own is not given that column."""
    return not g.in_place or bool(g.value(np.ones(1))[0] == 1)


def _through_activation(g: Any, scratch: Array, dA: Any, A: Any, S: Any, dZ: Any) -> list[Call]:
    """df/dZ = df/dA ⊙ g'(Z)."""
    if g.is_identity:  # g' = 1
        return [] if dZ is dA else [addition.prepare(dA, out=dZ)]
    if S is not None:  # g'(Z), from the way forward unless it comes from A
        slopes = in_blocks(g._derivative, A, S) if g.from_A else []
        return [*slopes, elementwise.prepare(dA, S, out=dZ)]

    calls = []
    for dA_, A_, dZ_ in block_views(*map(entries, (dA, A, dZ))):
        # g' of a block is used while it is in the cache. Of 1024 rows and 512 units in float64
        # this takes 0.45 ms; g' as a whole and then the product, 0.70 ms.
        S_ = scratch[: A_.size].reshape(A_.shape)
        calls.append(g.prepare_derivative(A_, S_))
        calls.append(elementwise.prepare(dA_, S_, out=dZ_))
    return calls


def _draw_masks(p: float, rngs: Sequence[np.random.Generator], D1: Array, ones: bool) -> None:
    """Inverted dropout: 0 with probability p, else 1/(1-p), so that the mean is 1."""
    for rng, D in zip(rngs, D1[None] if D1.ndim == 2 else D1, strict=True):
        rng.random(out=D, dtype=D.dtype)
    np.greater_equal(D1, p, out=D1)
    np.multiply(D1, 1 / (1 - p), out=D1)
    if ones:
        D1[..., 0] = 1
