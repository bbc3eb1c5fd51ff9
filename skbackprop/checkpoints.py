"""Checkpoints: a fit that is killed and run again goes on, and ends as if it had not been.

The file is a saved model (:mod:`skbackprop.persistence`) in which the state of training is
whole, with a description of the data beside it.
"""

import os
from typing import Any

import numpy as np

from . import persistence
from .fingerprint import crc_of_names, described
from .parameters import seed_from

# Parameters that change what is written or printed, and nothing that is learnt.
FREE = ("checkpoint", "verbose", "max_time")


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    params : dict
        The estimator's parameters, checked; ``params["checkpoint"]`` is the path.
    table, validation : tuple (X, Y, weight), or None
        What is learnt from; a file of other data is refused.
    names : ndarray of str or None
        Of the columns.

    Raises
    ------
    ValueError, TypeError, OSError
        If no checkpoint could be written: before training and not in the tenth epoch.
    """

    def __init__(self, params: dict[str, Any], table, validation, names=None):
        self.params, self.path = params, os.fspath(params["checkpoint"])
        persistence.check(params)
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"checkpoint={self.path!r}: there is no folder {folder!r}")
        parts = ("X", "y", "sample_weight")
        data = dict(zip(parts, map(described, table), strict=True))
        if validation is not None:
            kept = dict(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
            data |= {name: described(M) for name, M in kept.items()}
        self.data = data | {"feature names": None if names is None else crc_of_names(names)}

    finished, told = False, ""  # of the fit that was found

    def found(self) -> dict[str, Any] | None:
        """Fitted attributes of the fit in the file; None if there is no file.

        Raises
        ------
        ModelFileError
            If the file is damaged.
        ValueError
            If it is of another fit; the message says what differs.
        """
        if not os.path.exists(self.path):
            return None
        if isinstance(self.params["random_state"], np.random.RandomState):
            seed_from(self.params["random_state"])  # which the fit in the file has taken
        params, fitted, run = persistence.load(self.path)
        if run is None:
            raise ValueError(
                f"checkpoint={self.path!r} is a saved model and no checkpoint: name another file"
            )
        was, now = run["data"], self.data
        differ = [
            f"{name} was {was.get(name)} and is {now.get(name)}"
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        ]
        differ += persistence.differences(params, self.params, FREE)
        if differ:
            raise ValueError(
                f"checkpoint={self.path!r} is of another fit ({'; '.join(differ)}): delete it, or "
                "name another file"
            )
        self.finished, self.told = run["finished"], run["told"]
        return fitted

    def save(self, fitted: dict[str, Any], finished: bool = False, told: str = "") -> None:
        """Write the state of training, and at its end what was said of it."""
        run = {"data": self.data, "finished": finished, "told": told}
        persistence.save(self.path, self.params, fitted, run)
