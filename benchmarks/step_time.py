"""Time of a training step: one mini-batch forward, backward and through Adam.

A fit of 1 + E epochs less a fit of 1 epoch, divided by the steps of E epochs: what a fit
does once, such as checking its input, cancels. "products alone" is no more than the step's
matrix products, into arrays made once: the floor of whatever is built on NumPy's BLAS.
PyTorch runs its eager mode with the fused Adam, and takes its batches from tensors in
memory. BackpropRegressor runs without standardisation, as the others do; "standardised" is
its default.
"""

import warnings
from itertools import pairwise
from time import perf_counter

import numpy as np
from race import (
    NETWORKS,
    ONE,
    command_line,
    multiplications,
    report,
    smallest_times,
    table,
    torch_or_none,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

BATCHES = 20  # an epoch
ALIKE = {k: v for k, v in ONE.items() if k not in ("activation", "max_iter")}


def estimator_fit(cls, sizes, rows, dtype, **parameters):
    """fit(epochs): the seconds of a fit of so many epochs."""
    X, y = table(rows * BATCHES, sizes[0], dtype)

    def fit(epochs):
        model = cls(
            hidden_layer_sizes=sizes[1:-1],
            batch_size=rows,
            activation="relu",
            max_iter=epochs,
            n_iter_no_change=10**6,  # every epoch that was asked for
            random_state=0,
            **parameters,
        )
        start = perf_counter()
        model.fit(X, y)
        return perf_counter() - start

    return fit


def torch_fit(torch, sizes, rows):
    """The same for PyTorch, in float32, its usual type."""
    layers = []
    for m, n in pairwise(sizes):
        layers += [torch.nn.Linear(m, n), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss = torch.nn.MSELoss()
    X, Y = torch.randn(rows * BATCHES, sizes[0]), torch.randn(rows * BATCHES, 1)

    def fit(epochs):
        start = perf_counter()
        for _ in range(epochs):
            order = torch.randperm(len(X))
            for first in range(0, len(X), rows):
                batch = order[first : first + rows]
                optimizer.zero_grad(set_to_none=True)
                loss(network(X[batch]), Y[batch]).backward()
                optimizer.step()
        return perf_counter() - start

    return fit


def products(sizes, rows, dtype):
    """The same for the matrix products of a step and nothing else."""
    A = [np.full((rows, n), 0.5, dtype) for n in sizes]
    W = [np.full(shape, 0.5, dtype) for shape in pairwise(sizes)]
    dW = [np.empty_like(M) for M in W]

    def step():
        for l, M in enumerate(W):
            np.matmul(A[l], M, out=A[l + 1])
        for l in reversed(range(len(W))):
            np.matmul(A[l].T, A[l + 1], out=dW[l])
            if l:
                outer = sizes[l + 1] == 1  # which np.matmul is slow at
                (np.multiply if outer else np.matmul)(A[l + 1], W[l].T, out=A[l])
        for M in A:
            M.fill(0.5)

    def fit(epochs):
        start = perf_counter()
        for _ in range(epochs * BATCHES):
            step()
        return perf_counter() - start

    return fit


def main():
    options = command_line(__doc__)
    # Both estimators warn that so few epochs do not converge; here they need not.
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch = torch_or_none(options.threads)
    for sizes, rows in NETWORKS:
        fits = {}
        for dtype in ("float64", "float32"):
            plain = {"standardize": False}
            fits[f"BackpropRegressor, {dtype}"] = estimator_fit(
                BackpropRegressor, sizes, rows, dtype, **plain
            )
            fits[f"standardised, {dtype}"] = estimator_fit(
                BackpropRegressor, sizes, rows, dtype, **ALIKE
            )
            fits[f"MLPRegressor, {dtype}"] = estimator_fit(MLPRegressor, sizes, rows, dtype)
            fits[f"products alone, {dtype}"] = products(sizes, rows, dtype)
        if torch is not None:
            fits["PyTorch, float32"] = torch_fit(torch, sizes, rows)
        E = int(np.clip(1e9 / (multiplications(sizes, rows) * BATCHES), 3, 60))
        runs = {(name, n): lambda f=f, n=n: f(n) for name, f in fits.items() for n in (1, 1 + E)}
        times = smallest_times(runs, options.rounds)
        # The smallest of either length first, then the difference: the difference of two
        # times from one disturbed round could come out below zero.
        steps = {n: (times[n, 1 + E] - times[n, 1]) / (E * BATCHES) for n in fits}
        report(f"a step of {rows} rows, network {'-'.join(map(str, sizes))}", steps)


if __name__ == "__main__":
    main()
