"""A training that is killed goes on where it was, when the same script is run again.

This script runs itself three times. The first two runs are killed; the third ends with the model,
byte for byte, of one that was left alone.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from sklearn.datasets import make_friedman1

from skbackprop import BackpropRegressor


def train(path):
    """What would be your script: checkpoint= is all it takes."""
    X, y = make_friedman1(n_samples=5000, noise=1.0, random_state=0)
    model = BackpropRegressor(
        max_iter=60, random_state=0, verbose=True, checkpoint=path, checkpoint_every=5
    )
    warnings.simplefilter("ignore")  # 60 epochs are not many
    model.fit(X, y).save(path.with_suffix(".skb"))


def run(path, epochs=None):
    """Run this script to its end, or kill it when it has printed so many epochs."""
    command = [sys.executable, "-u", __file__, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.split(",")[0])
            if len(lines) == epochs:
                process.kill()
                break
        process.stdout.close()
    print(" … ".join(lines[:1] + lines[-1:]) or "had ended", "" if epochs is None else "killed")


if len(sys.argv) > 1:
    train(Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for killed_after in (12, 20, None):
            run(folder / "killed.checkpoint", killed_after)
        run(folder / "alone.checkpoint")
        same = (folder / "killed.skb").read_bytes() == (folder / "alone.skb").read_bytes()
        print("the same model, byte for byte:", same)
        assert same
