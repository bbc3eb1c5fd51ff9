"""Contestants in turn, round after round, and the smallest time of each.

A machine that is busy with something else slows all of them in the same rounds, and the
smallest time is the one that was disturbed least. The ratios hold on other machines far
better than the times do.
"""

import argparse
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits  # scikit-learn brings it along

NETWORKS = [  # units of every layer, rows of a batch
    ((13, 50, 1), 32),
    ((8, 100, 1), 200),
    ((20, 100, 100, 1), 200),
    ((50, 256, 256, 256, 1), 256),
    ((100, 512, 512, 1), 1024),
]

# One network on all rows, at one rate, as MLPRegressor trains: what the speed is compared of.
ONE = {
    "activation": "relu",
    "learning_rate": "constant",
    "max_iter": 200,
    "early_stopping": False,
    "standardize": True,
    "n_networks": 1,
    "parametrization": "standard",
}


def command_line(description, n_rounds=5):
    """The options: how many rounds, and how many threads for everyone."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=n_rounds, help="default: %(default)s")
    # One thread: in one process, NumPy's threads and PyTorch's wait for each other, which
    # can cost PyTorch a hundred times its own time.
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    options = parser.parse_args()
    threadpool_limits(options.threads)
    return options


def smallest_times(contestants, n_rounds):
    """Seconds by name, from functions that each return the seconds of one run."""
    times = dict.fromkeys(contestants, float("inf"))
    for _ in range(n_rounds):
        for name, run in contestants.items():
            times[name] = min(times[name], run())
    return times


def report(title, times, unit="µs", factor=1e6):
    """Every contestant's time, and how many times BackpropRegressor's of the same type it is."""
    print(title)
    for name, seconds in times.items():
        _, comma, dtype = name.partition(", ")
        ratio = seconds / times["BackpropRegressor" + comma + dtype]
        print(f"   {name:34s} {seconds * factor:9.1f} {unit}   {ratio:6.2f} times")
    print(flush=True)


def torch_or_none(threads=1):
    """PyTorch if it is installed."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, so it does not take part.\n")
        return None
    torch.set_num_threads(threads)
    return torch


def multiplications(sizes, rows):
    """Those of a forward pass."""
    return rows * sum(m * n for m, n in pairwise(sizes))


def table(rows, columns, dtype="float64", seed=0):
    """X and a y that depends on it smoothly, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)).astype(dtype)
    y = X[:, 0] * X[:, 1] + X[:, 2] + 0.1 * rng.standard_normal(rows).astype(dtype)
    return X, y
