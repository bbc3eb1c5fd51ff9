"""The learning rate of every epoch of a fitted model, as training has used it.

It is no attribute of a model, nor in its file: what "adaptive" has divided it by follows from the
curves, which the Watch of training is shown once more.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import automatic, parameters
from .fitting import unit_of
from .monitoring import History, Watch
from .training import Progress

Array = np.ndarray

CHECKSUM = re.compile(" of [0-9a-f]{8}$")


def learning_rates(fitted: dict[str, Any], params: dict[str, Any]) -> Array | None:
    """The rate of the first step of every epoch in ``loss_curve_``, NaN where it is not known.

    That is before the last fit of several (warm_start), and of "invscaling" after partial_fit.
    None for a solver that has no rate, and where "adaptive" has followed other curves than these.
    """
    if parameters.is_full_batch(params["solver"]):
        return None
    state = fitted["_training"]
    params = automatic.resolved(params, state["weight_rows"], known=state["architecture"])
    schedule, n = parameters.resolve_schedule(params), len(fitted["loss_curve_"])
    slowdown = _slowdowns(fitted, params, schedule)
    if slowdown is None:
        return None
    factors = np.full(n, np.nan)
    known = min(n, fitted["n_iter_"])
    samples = _samples(fitted)
    for epoch in range(fitted["n_iter_"] - known, fitted["n_iter_"]):
        progress = min(1.0, epoch / params["max_iter"]) if schedule.planned else 0.0
        factors[epoch - fitted["n_iter_"]] = schedule(progress, samples[epoch])
    return params["learning_rate_init"] * slowdown * factors


def _samples(fitted) -> list[float]:
    """Rows that had been seen when each epoch of the last fit began; NaN where it is not known.

    That is after partial_fit, whose calls may each have brought another number of rows.
    """
    state, t, n_iter = fitted["_training"], fitted["t_"], fitted["n_iter_"]
    n = state["weight_rows"]
    if n_iter == len(fitted["loss_curve_"]):
        known = t == n_iter * n  # not of n + p rows, as a fit and a call of partial_fit leave
    else:  # several fits, of which each has left a checksum of its rows, and partial_fit has not
        known = bool(CHECKSUM.search(state["history"]["judged_by"]))
    return [t - (n_iter - epoch) * n if known else float("nan") for epoch in range(n_iter)]


class _Seen:
    """The losses and scores of a validation that has been."""

    def __init__(self, fitted: dict[str, Any], unit: float):
        curves = fitted["validation_loss_curve_"], fitted["validation_scores_"]
        self.pairs: Iterator = ((f / unit, score) for f, score in zip(*curves, strict=True))

    def loss_and_score(self, theta):
        return next(self.pairs)


def _slowdowns(fitted, params, schedule) -> Any:
    """What the rate was multiplied by in every epoch; None if the curves do not tell."""
    ended = fitted["_training"]["slowdown"]
    if ended == 1:
        return 1.0
    unit = unit_of(parameters.resolve_loss(params), fitted["y_scale_"])
    at, seen = Progress(fitted["theta_"]), fitted["validation_loss_curve_"] is not None
    watch = Watch(
        History(),
        at,
        unit=1.0,
        tol=params["tol"],
        patience=params["n_iter_no_change"],
        validation=_Seen(fitted, unit) if seen else None,  # type: ignore[arg-type]
        on_score=fitted["_training"]["history"]["judged_by"].startswith("score"),
        early_stopping=params["early_stopping"],
        schedule=schedule,
        learning_rate=params["learning_rate_init"],
    )
    slowdowns = []
    for loss in fitted["loss_curve_"]:
        slowdowns.append(at.slowdown)
        watch.epoch_ended(loss / unit)
    return np.array(slowdowns) if at.slowdown == ended else None
