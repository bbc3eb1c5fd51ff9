"""What "auto" stands for: numbers that depend on the table.

Chosen by the mean test error over 13 tables of real data with 500 to 6,000 rows (docs/accuracy.md),
beyond which passes and networks are fewer, so that a fit of a million rows takes minutes.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .parameters import hidden_sizes, is_full_batch, resolve_schedule, seed_from

# Up to so many rows: rows of a batch, passes of a schedule that is planned over them, networks.
BY_ROWS = (
    (2_000, 64, 224, 8),
    (10_000, 128, 128, 5),
    (50_000, 256, 128, 5),
    (200_000, 512, 64, 5),
)
BEYOND = 1024, 16, 1  # passes: at the least
MANY_ROWS = BY_ROWS[-1][0]
UNPLANNED = 200  # passes at the most, without a plan
FOLDED = 50  # rows from which some can be spared for validation
BINS = 16  # of a feature, of those that are tried
# Of a short training: passes at the least, rows seen at the least, rows and networks at the most.
PILOT_PASSES, PILOT_SEEN, PILOT_ROWS, PILOT_NETWORKS = 12, 25_600, 10_000, 3
# Of one network's rows, for validation, whatever the training itself keeps; of max_time.
PILOT_FRACTION, PILOT_TIME = 0.1, 0.1


def resolved(
    params: dict[str, Any],
    n: int,
    one_pass: bool = False,
    known: dict[str, Any] | None = None,
    is_sparse: bool = False,
) -> dict[str, Any]:
    """The parameters with numbers for "auto"; `n_bins` may stay one, if a pilot shall choose it.

    Parameters
    ----------
    params : dict
        The estimator's parameters.
    n : int
        Rows that count.
    one_pass : bool
        Whether they are a stream's, of partial_fit.
    known : dict or None
        What the network is made of that training goes on with; None at the start.
    is_sparse : bool
        Whether X is.
    """
    if is_auto(params["learning_rate"]):  # a stream has no end that could be planned for
        params = params | {"learning_rate": "constant" if one_pass else "coslog4"}
    if is_auto(params["standardize"]):  # without hidden layers the model is linear in X
        hidden = hidden_sizes(params["hidden_layer_sizes"])
        params = params | {"standardize": "robust" if hidden else True}
    full_batch, planned = is_full_batch(params["solver"]), resolve_schedule(params).planned
    batch_size, passes, networks = next((by for rows, *by in BY_ROWS if n <= rows), BEYOND)
    if n > MANY_ROWS:
        passes = max(passes, BY_ROWS[-1][2] * MANY_ROWS // n)
    plain = params["standardize"] is False
    # Around 0, as without a bias, no units are robust.
    binned = params["standardize"] == "robust" and params["fit_intercept"] and not is_sparse
    choices = {
        "batch_size": batch_size,
        "max_iter": passes if planned and not full_batch else UNPLANNED,
        # Of raw numbers the network of textbooks: one, on all rows, at one rate.
        "parametrization": "standard" if plain else "neural_tangent",
        "early_stopping": not (full_batch or one_pass or plain) and n >= FOLDED,
        "n_networks": 1 if full_batch or one_pass or plain else networks,
        "n_bins": "auto" if binned and not one_pass and n >= FOLDED else 0,
    }
    if known is not None:
        choices |= {name: known[name] for name in ("n_networks", "n_bins")}
    return params | {k: v for k, v in choices.items() if is_auto(params[k])}


def is_auto(value: Any) -> bool:
    """Whether that is "auto"."""
    return isinstance(value, str) and value == "auto"


def with_bins(
    params: dict[str, Any], n: int, judge: Callable[[dict[str, Any], np.ndarray], float]
) -> dict[str, Any]:
    """The parameters with the number of bins that a short training does better with, 0 or 16.

    ``judge(params, some)`` trains on some of the n rows and gives the validation loss. A feature's
    bins are worth up to a third of the error where the target jumps, and cost up to an eighth of
    it where it is smooth.
    """
    begin = time.perf_counter()
    seed = seed_from(params["random_state"])
    if seed is None:  # one for all trainings, which are to be compared
        seed = int(np.random.default_rng().integers(2**31))
    params = params | {"random_state": seed}
    short, some = _short(params, n), _some(n, seed)
    losses = {bins: judge(short | {"n_bins": bins}, some) for bins in (0, BINS)}
    params["n_bins"] = min(losses, key=lambda bins: losses[bins])
    if params["max_time"] is not None:
        spent = time.perf_counter() - begin
        params["max_time"] = max(params["max_time"] / 100, params["max_time"] - spent)
    return params


def _short(params, n):
    """The parameters of a short training, but for the bins."""
    passes = max(PILOT_PASSES, PILOT_SEEN // n)  # fewer rows take more passes to tell
    short = params | {"max_iter": passes, "n_networks": min(PILOT_NETWORKS, params["n_networks"])}
    short |= {"verbose": False, "warm_start": False, "scoring": None, "checkpoint": None}
    short |= {"early_stopping": True, "validation_fraction": PILOT_FRACTION}
    if params["max_time"] is not None:
        short["max_time"] = params["max_time"] * PILOT_TIME
    return short


def _some(n, seed):
    """Rows of a short training by chance: every second one may be of another kind than the rest."""
    if n <= PILOT_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, PILOT_ROWS, replace=False))
