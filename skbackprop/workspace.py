"""The memory of the network: the matrices of one batch, and which of them share it."""

from math import prod
from typing import Any

import numpy as np

from .blocks import BLOCK

Array = np.ndarray
Matrices = list[Any]  # of arrays, with None at 0 where layer 0 has no such matrix


class Workspace:
    """The matrices of one batch, made once and used by every step.

    A, Z, dA, dZ as in the module's legend, and the slopes S[l] = g[l]'(Z[l]), which are there if
    they come from Z[l] (else they are taken from A[l] on the way back, a block at a time, in
    `scratch`).
    With dropout D[l] is the mask of layer l, and H[l] = A[l] ⊙ D[l] what layer l + 1 reads;
    without it H[l] is A[l].

    Those of a layer below L have a column before them: A1[l] is [1 A[l]] and A[l] a view of it
    (A1[L] is A[L], and without biases A1[l] is A[l]).
    What is done entry by entry is done to A1[l], which is one piece of memory; the ones are
    set again if need be. A matrix that is not needed any more gives its memory to the next:
    Z[l] to A[l], dA[l] to dZ[l], dA[l+2] to dA[l].

    Parameters
    ----------
    network : Network
    m : int
        Rows of the batch.
    dtype : dtype
    dropout : bool
        Whether there are masks.
    keep : bool
        Whether every matrix has memory of its own, to look at afterwards.
    memory : dict, optional
        That of a workspace for as many rows or more, to share.
    """

    ones_are_lost = False

    def __init__(self, network, m, dtype, dropout=False, keep=False, memory=None):
        self.options = {"dropout": dropout, "keep": keep}
        self.network, self.m, self.dtype = network, m, np.dtype(dtype)
        self.memory: dict[Any, Array] = {} if memory is None else memory
        self.widths, self.n_rows = network.widths, prod(network.stack) * m
        new, g, L = self._matrix, network.g, network.L
        nothing: Matrices = [None] * (L + 1)
        self.A1 = [new("A", l) for l in range(L + 1)]
        self.Z1, self.H1 = [None, *self.A1[1:]], self.A1[:]
        self.S1, self.D1, self.dA1, self.dZ1 = nothing[:], nothing[:], nothing[:], nothing[:]
        for l in range(1, L + 1):
            if keep or not g[l].in_place:
                self.Z1[l] = new("Z", l)
            if dropout and l < L:
                self.D1[l], self.H1[l] = new("D", l), new("H", l)
            if keep or not g[l].from_A:
                self.S1[l] = new("S", l)
            self.dA1[l] = new("dA", l, in_turn=not keep and l < L)
            self.dZ1[l] = new("dZ", l) if keep else self.dA1[l]
        self.A, self.Z, self.H, self.S, self.D, self.dA, self.dZ = map(
            network.without_column,
            (self.A1, self.Z1, self.H1, self.S1, self.D1, self.dA1, self.dZ1),
        )
        self.scratch = self._flat(("scratch", 0), min(BLOCK, self.n_rows * max(self.widths[1:])))
        # [b[1]; diag(s) W[1]], where the inputs have a scale.
        self.bV = self._flat(("V", 1), prod(network.shapes[1][0])) if network.input_scale else None
        if self.bV is not None:
            self.bV = self.bV.reshape(network.shapes[1][0])
        self.R = new("R", 0) if not keep and self._pays_without_dZ_1() else None

    def rows(self, m: int) -> "Workspace":
        """The same memory for a batch of m rows, no more than it was made for."""
        return Workspace(self.network, m, self.dtype, memory=self.memory, **self.options)

    def whole(self, l: int, *names: str) -> list[Any]:
        """Matrices of layer l for a function that goes entry by entry."""
        # Whole pieces of memory, but to a function of the user's the matrices as they are.
        one = "1" if self.network.g[l].in_place else ""
        return [getattr(self, name + one)[l] for name in names]

    def _pays_without_dZ_1(self):
        """Whether ``Network._without_dZ_1`` saves more on Z[1] than it costs on A[0].

        A pass over A[0], with its short rows, takes up to twice the time of one over as much of
        Z[1]; and below some 8,000 entries the number of the calls counts, which is the same.
        """
        if self.network.L != 2 or self.network.sizes[2] != 1:
            return False
        return 2 * self.widths[0] <= self.widths[1] and self.m * self.widths[1] >= 8192

    def _matrix(self, name, l, in_turn=False):
        """Memory for a matrix of layer l, or for that of every second layer."""
        width = self.widths[l]
        if in_turn:
            flat = self._flat((name, f"in turn {l % 2}"), self.n_rows * max(self.widths[1:]))
        else:
            flat = self._flat((name, l), self.n_rows * width)
        size = self.n_rows * width
        return flat[:size].reshape(*self.network.stack, self.m, width)

    def _flat(self, key, size):
        flat = self.memory.get(key)
        if flat is None:
            # Ones for the columns before A[l]; what stands before dA[l] is multiplied by g' in
            # every step and never read, but must be finite: 0.
            flat = (np.zeros if key[0].startswith("d") else np.ones)(size, self.dtype)
            self.memory[key] = flat
        return flat


class PredictionWorkspace:
    """Two pieces of memory that the layers use in turn, for a forward pass alone.

    The networks of a stack read the same rows: A[0] is one matrix, the others one a network.
    """

    ones_are_lost = True

    def __init__(self, network: Any, m: int, dtype: Any):
        self.network, widths = network, network.widths
        K = prod(network.stack)
        memory = np.empty((2, K * m * max(widths[1:])), dtype)
        self.A1: Matrices = [np.ones((m, widths[0]), dtype)]
        for l, n in enumerate(widths[1:], 1):
            self.A1.append(memory[l % 2, : K * m * n].reshape(*network.stack, m, n))
        self.A = network.without_column(self.A1)
        self.H1, self.Z1 = self.A1, [None, *self.A1[1:]]
        self.D1 = self.S1 = self.S = [None] * len(widths)
        for l in range(1, network.L + 1):
            if not network.g[l].in_place:
                self.Z1[l] = np.empty_like(self.A1[l])
        self.Z = network.without_column(self.Z1)

    whole = Workspace.whole
