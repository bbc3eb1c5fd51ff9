"""Checkpoints: a fit that is killed and run again goes on, and ends as if it had not been.

The file is a saved model (:mod:`skbackprop.persistence`) in which the state of training is
whole, with a description of the data beside it.
"""

import os
from copy import deepcopy
from typing import Any

import numpy as np

from . import persistence
from .atomic import path_of, remove_leftovers, try_to_write
from .container import ModelFileError
from .fingerprint import described, described_names
from .parameters import seed_from

# Parameters that change what is written or printed, and nothing that is learnt.
FREE = ("checkpoint", "max_time", "verbose")
PARTS = ("X", "y", "sample_weight")


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    params : dict
        The estimator's parameters, as they were given; ``params["checkpoint"]`` is the path.
    table, validation : tuple (X, Y, weight), or None
        What is learnt from; a file of other data is refused.
    names : ndarray of str or None
        Of the columns.
    categories : list of (ndarray or None), or None
        Levels of the columns.

    Raises
    ------
    ValueError, TypeError, OSError
        If no checkpoint could be written: before training and not in the tenth epoch.
    """

    def __init__(self, params: dict[str, Any], table, validation, names=None, categories=None):
        self.params, self.path = params, path_of(params["checkpoint"])
        self.finished, self.told = False, ""  # of the fit that was found
        persistence.check(params)
        try_to_write(self.path)
        data = dict(zip(PARTS, map(described, table), strict=True))
        if validation is not None:
            data |= {f"{name}_val": described(M) for name, M in zip(PARTS, validation, strict=True)}
        self.data = data | {"feature names": described_names(names)}
        if categories is not None:
            levels = [None if of is None else of.tolist() for of in categories]
            self.data["categories"] = described_names(levels)

    def found(self) -> dict[str, Any] | None:
        """Fitted attributes of the fit in the file; None if there is no file.

        Raises
        ------
        ModelFileError
            If the file is damaged.
        ValueError
            If it is of another fit; the message says what differs.
        """
        remove_leftovers(self.path)  # of a process that was killed while it wrote
        if not os.path.exists(self.path):
            return None
        params, fitted, run = persistence.load(self.path, self.params)
        if run is None:
            raise ValueError(
                f"checkpoint={self.path!r} is a saved model and no checkpoint: name another file"
            )
        if {name: type(value) for name, value in run.items()} != RUN:
            raise ModelFileError(self.path, "it does not say what it is a checkpoint of")
        differ = self._differences(params, run["data"])
        if differ:
            raise ValueError(
                f"checkpoint={self.path!r} is of another fit ({'; '.join(differ)}): delete it, or "
                "name another file"
            )
        if not run["finished"] and fitted["_training"]["first_theta"] is None:
            raise ModelFileError(self.path, "it lacks the first weights")
        if params["max_iter"] != "auto" and fitted["n_iter_"] > params["max_iter"]:
            raise ModelFileError(self.path, "it has more epochs than max_iter")
        if isinstance(self.params["random_state"], np.random.RandomState):
            seed_from(self.params["random_state"])  # which the fit in the file has taken
        self.finished, self.told = run["finished"], run["told"]
        return fitted

    def _differences(self, params, data):
        """Sentences on what another fit was given."""
        names = [name for name in {**data, **self.data} if data.get(name) != self.data.get(name)]
        said = [f"{name} was {data.get(name)} and is {self.data.get(name)}" for name in names]
        now = dict(self.params)
        if isinstance(now["random_state"], np.random.RandomState):
            now["random_state"] = deepcopy(now["random_state"])  # refused, it stays where it is
            seed_from(now["random_state"])
        return said + persistence.differences(params, now, FREE)

    def save(self, fitted: dict[str, Any], finished: bool = False, told: str = "") -> None:
        """Write the state of training, and at its end what was said of it."""
        run = {"data": self.data, "finished": finished, "told": told}
        persistence.save(self.path, self.params, fitted, run)


RUN = {"data": dict, "finished": bool, "told": str}
