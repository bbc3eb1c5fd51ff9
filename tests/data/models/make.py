"""Write files of the present format, to be kept for ever: python tests/data/models/make.py.

Once for each format, before its release. What is there already is not touched: that old files
are still read is what they are for.
"""

import hashlib
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd

from skbackprop import BackpropRegressor, checkpoints
from skbackprop.activations import ELU, LeakyReLU
from skbackprop.container import FORMAT
from skbackprop.losses import Huber
from skbackprop.optimizers import Adam
from skbackprop.schedules import SCHEDULES

HERE = pathlib.Path(__file__).parent
PINS = HERE / "sha256.txt"
# Of numbers that are the same bits in every version of NumPy, on every machine.
X = np.arange(120).reshape(40, 3) * 37 % 101 / 101
y = 1 + X[:, 0] - X[:, 1] * X[:, 2]
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0}
CASES = {
    "defaults": {},
    "objects": {
        "activation": [ELU(0.5), LeakyReLU(0.1)],
        "hidden_layer_sizes": [3, 2],
        "loss": Huber(2.0),
        "solver": Adam(0.8),
        "learning_rate": SCHEDULES["cosine"](),
    },
    "names": {
        "activation": ["gelu", "mish", "selu"],
        "hidden_layer_sizes": "3-2-2",
        "loss": "gamma",
        "solver": "rmsprop",
        "learning_rate": "one_cycle",
    },
    "best_epoch": {"early_stopping": True, "warm_start": True, "scoring": "r2"},
    "momentum": {"solver": "sgd", "learning_rate": "adaptive", "dropout": 0.2, "clip_norm": 1.0},
    "lbfgs": {"solver": "lbfgs", "loss": "quantile", "quantile": 0.9},
    "lm": {"solver": "lm", "activation": "tanh", "max_fun": 50},
    "float32": {"dtype": "float32", "solver": "adamw", "loss": "log_cosh"},
    "linear": {"hidden_layer_sizes": (), "fit_intercept": False, "standardize": False},
    "random_state": {"random_state": np.random.RandomState(3), "loss": "poisson"},
    "frame": {"activation": "tanh", "output_activation": "softplus"},
    "outputs": {"loss": "absolute_error", "activation": "silu"},
    "logistic": {"activation": "logistic", "solver": "sgd", "learning_rate": "invscaling"},
    "rate": {"learning_rate": "coslog4", "warm_start": True, "dtype": "float32"},
    "several": {"n_networks": 2, "n_bins": 2, "standardize": "robust", "early_stopping": True},
    "columns": {"standardize": "robust", "n_bins": 2, "activation": "tanh"},
    "checkpoint": {"early_stopping": True, "checkpoint_every": 2},
}


def data(name):
    """The table of a case."""
    if name == "frame":
        return pd.DataFrame(X, columns=["age", "größe", "±"]), y
    if name == "columns":
        text = np.array(["grün", "rot", "\0", "rot"] * 10, object)
        number = pd.Categorical([7, -2, 7, None] * 10)
        real = pd.Categorical([0.5, 2.0, None, 0.5] * 10)
        columns = {"age": np.where(X[:, 0] < 0.1, np.nan, X[:, 0]), "text": text}
        return pd.DataFrame(columns | {"number": number, "real": real}), y
    return X, np.c_[y, X[:, 0]] if name == "outputs" else y


class CutError(Exception):
    """In place of kill -9."""


def write(name, path):
    """Fit and save, or leave a checkpoint behind."""
    model = BackpropRegressor(**SMALL | CASES[name])
    if name != "checkpoint":
        model.fit(*data(name)).save(path)
        return
    save = checkpoints.Checkpoint.save

    def cut(*args, **kwargs):
        save(*args, **kwargs)
        raise CutError

    checkpoints.Checkpoint.save = cut
    try:
        model.set_params(checkpoint=path).fit(*data(name))
    except CutError:
        checkpoints.Checkpoint.save = save


def pins():
    """{file: SHA-256} of what is kept."""
    if not PINS.exists():
        return {}
    lines = PINS.read_text("ascii").splitlines()
    return {name: digest for digest, name in map(str.split, lines)}


def pinned(path):
    """A file's line in sha256.txt: its name and its digest."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{path.parent.name}/{path.name}", digest


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    kept = pins()
    changed = [name for name in kept if pinned(HERE / name)[1] != kept[name]]
    if changed:  # else a file that was changed would get a new pin
        sys.exit(f"not what they were: {changed}")
    folder = HERE / f"v{FORMAT}"
    folder.mkdir(exist_ok=True)
    for name in CASES:
        path = folder / f"{name}.skb"
        if path.exists():
            print(f"kept: {path.name}", file=sys.stderr)
            continue
        write(name, path)
        np.save(path.with_suffix(".npy"), BackpropRegressor.load(path).predict(data(name)[0]))
    now = kept | dict(pinned(path) for path in HERE.glob("v*/*"))
    lines = [f"{now[name]}  {name}\n" for name in sorted(now)]
    PINS.write_text("".join(lines), encoding="ascii", newline="\n")
