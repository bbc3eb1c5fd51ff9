"""The watch over a fit: what is wanted of an epoch, and when it is time to stop."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from .divergence import EXPLODED
from .monitoring import Validation, Watch


def watch(fitting: Any, scorer: Callable | None, callback: Callable | None) -> Watch:
    """What sees every epoch of a fit."""
    p, history, validation = fitting.params, fitting.history, None
    if fitting.validation_data is not None:
        network, data = fitting.model.network(), fitting.validation_data
        validation = Validation(network, fitting.loss, data, scorer, fitting.folds)
    # A full-batch solver knows by itself when the training loss cannot fall further, and a
    # planned schedule would be cut short while its rate is high.
    one_pass, full_batch = fitting.one_pass, fitting.optimizer is None
    planned = fitting.schedule.planned and not full_batch
    unlimited = one_pass or planned or (full_batch and not fitting.early_stopping)
    valleys = () if one_pass or full_batch else getattr(fitting.schedule, "valleys", ())
    in_time = one_pass or p["max_time"] is None
    return Watch(
        history,
        fitting.at,
        unit=fitting.unit,
        tol=p["tol"],
        patience=None if unlimited else p["n_iter_no_change"],
        valleys=[round(v * p["max_iter"]) for v in valleys],
        validation=validation,
        on_score=history.judged_by.startswith("score"),
        early_stopping=fitting.early_stopping,
        keep_best=not one_pass,
        limit=_limit(fitting),
        schedule=fitting.schedule,
        learning_rate=p["learning_rate_init"],
        deadline=np.inf if in_time else perf_counter() + p["max_time"],
        verbose=bool(p["verbose"]),
        callback=callback,
        loss=0.0 if fitting.resumed else np.nan,  # that of a checkpoint was finite
        improved=fitting.resumed and history.best_theta is not None,
    )


def _limit(fitting):
    """The loss of a pass that has exploded, penalty included."""
    # Of the first weights: a fit that goes on from a checkpoint has the same limit.
    theta = fitting.model.theta if fitting.first_theta is None else fitting.first_theta
    penalty = float(fitting.objective.penalty_values(theta).max())
    return EXPLODED * max(fitting.measure.scale, penalty)
