"""Contestants in turn, round after round, and the smallest time of each.

A machine that is busy with something else slows all of them in the same rounds, and the
smallest time is the one that was disturbed least. The ratios hold on other machines far
better than the times do.
"""

import argparse

from threadpoolctl import threadpool_limits  # scikit-learn brings it along


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
        print(f"   {name:28s} {seconds * factor:9.1f} {unit}   {ratio:6.2f} times")
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
