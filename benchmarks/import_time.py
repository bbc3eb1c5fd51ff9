"""Time of the import: a new Python process for every one.

The process itself, with nothing to import, takes part as well, so that its share is seen.
"""

import subprocess
import sys
from time import perf_counter

from race import command_line, report, smallest_times, torch_or_none

STATEMENTS = {
    "nothing": "pass",
    "NumPy": "import numpy",
    "skbackprop.calculus": "import skbackprop.calculus",
    "BackpropRegressor": "from skbackprop import BackpropRegressor",
    "MLPRegressor": "from sklearn.neural_network import MLPRegressor",
}


def process(statement):
    """A function that returns the seconds of a Python process."""

    def run():
        start = perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return perf_counter() - start

    run()  # the first one reads the files from disk
    return run


def main():
    options = command_line(__doc__)
    statements = dict(STATEMENTS)
    if torch_or_none() is not None:
        statements["PyTorch"] = "import torch"
    contestants = {name: process(statement) for name, statement in statements.items()}
    times = smallest_times(contestants, options.rounds)
    report("a process that imports", times, "ms", 1e3)


if __name__ == "__main__":
    main()
