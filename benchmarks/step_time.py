"""Time of a training step: one mini-batch forward, backward and through Adam.

A fit of 1 + E epochs less a fit of 1 epoch, divided by the steps of E epochs: what a fit
does once, such as checking its input, cancels. BackpropRegressor runs with its defaults,
so it also standardises every batch; the others get their data as they are. PyTorch runs
its eager mode with the fused Adam, and takes its batches from tensors in memory.
"""

import warnings
from itertools import pairwise
from time import perf_counter

import numpy as np
from race import command_line, report, smallest_times, torch_or_none
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skbackprop import BackpropRegressor

NETWORKS = [  # units of every layer, rows of a batch
    ((13, 50, 1), 32),
    ((8, 100, 1), 200),
    ((20, 100, 100, 1), 200),
    ((50, 256, 256, 1), 256),
]
BATCHES = 20  # an epoch


def estimator_fit(cls, sizes, rows, dtype):
    """fit(epochs): the seconds of a fit of so many epochs."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows * BATCHES, sizes[0])).astype(dtype)
    y = rng.standard_normal(len(X)).astype(dtype)

    def fit(epochs):
        model = cls(
            hidden_layer_sizes=sizes[1:-1],
            batch_size=rows,
            max_iter=epochs,
            n_iter_no_change=10**6,  # every epoch that was asked for
            random_state=0,
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


def main():
    options = command_line(__doc__)
    # Both estimators warn that so few epochs do not converge; here they need not.
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch = torch_or_none(options.threads)
    for sizes, rows in NETWORKS:
        fits = {
            f"{cls.__name__}, {dtype}": estimator_fit(cls, sizes, rows, dtype)
            for dtype in ("float64", "float32")
            for cls in (BackpropRegressor, MLPRegressor)
        }
        if torch is not None:
            fits["PyTorch, float32"] = torch_fit(torch, sizes, rows)
        work = rows * sum(m * n for m, n in pairwise(sizes))
        E = int(np.clip(5e8 / (work * BATCHES), 5, 50))  # under a second a contestant
        runs = {(name, n): lambda f=f, n=n: f(n) for name, f in fits.items() for n in (1, 1 + E)}
        times = smallest_times(runs, options.rounds)
        # The smallest of either length first, then the difference: the difference of two
        # times from one disturbed round could come out below zero.
        steps = {n: (times[n, 1 + E] - times[n, 1]) / (E * BATCHES) for n in fits}
        title = f"a step of {rows} rows, network {'-'.join(map(str, sizes))}"
        report(title, steps)


if __name__ == "__main__":
    main()
