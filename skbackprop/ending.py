"""How a fit ends: on which weights, and what they are worth."""

from typing import Any

import numpy as np

from .conformal import error_quantiles, errors_of_the_mean
from .divergence import SAMPLE, mean_loss
from .parameters import first_state

Array = np.ndarray

REFUSED = ("nonfinite", "useless")  # judgements on weights that shall not predict


def end(fitting: Any) -> None:
    """Settle on the weights, the last ones or the best, and judge them."""
    history, model = fitting.history, fitting.model
    best = None if fitting.one_pass else history.best_theta
    overflow = not (_is_finite(fitting) and np.isfinite(fitting.watch.loss))
    diverged = overflow or fitting.reason == "diverged"
    if best is not None and (diverged or _needs_best(fitting)):
        model.theta = best
    verdict = _verdict(fitting, model.theta)
    # The last epoch's weights may be the best too, and have been judged then.
    earlier = best is not None and history.best_epoch < len(history.loss_curve)
    if verdict and earlier and _verdict(fitting, best) is None:
        model.theta, verdict, diverged = best, None, True
    if diverged or verdict == "useless":
        verdict = _fall_back(fitting, verdict, overflow)
    fitting.judgement, fitting.ended = verdict, True
    _leave(fitting)


def so_far(fitting: Any) -> bool:
    """Settle on the best epoch's weights in a fit that is cut short; whether they may predict.

    Of an epoch that was under way nothing is kept: a later warm start goes on from the best
    weights, with moments that begin anew.
    """
    h = fitting.history
    if fitting.ended:
        return fitting.judgement not in REFUSED
    if fitting.one_pass or fitting.watch is None or not fitting.watch.improved:
        return False
    curves = [h.loss_curve]
    if fitting.validation_data is not None:
        curves += [h.validation_loss_curve, h.validation_scores]
    n = min(map(len, curves))
    for curve in curves:
        del curve[n:]
    fitting.at.epochs = n - fitting.epochs_before
    _begin_anew_from(fitting, h.best_theta)
    fitting.ended = True
    _leave(fitting)
    return _is_finite(fitting)


def _leave(fitting):
    _keep_errors(fitting)
    if not (fitting.params["warm_start"] and _needs_best(fitting)):
        fitting.history.best_theta = None  # nothing will be compared with it


def _keep_errors(fitting):
    """Errors on the validation rows, in the caller's units, for predict_interval."""
    if fitting.watch.validation is None:
        return
    validation, theta, folds = fitting.watch.validation, fitting.model.theta, fitting.folds
    errors, weight = validation.errors(theta)
    if folds is not None:
        errors = errors_of_the_mean(errors, validation.variance(theta), len(folds), weight)
    scale = fitting.model.y_scale
    table = error_quantiles(errors if scale is None else errors * scale, weight)
    fitting.errors = table, len(fitting.validation_data)


def _fall_back(fitting, verdict, overflow):
    """The judgement of a training that has diverged, on the best weights there are."""
    if verdict and not fitting.early_stopping:
        return "nonfinite" if overflow else "useless"
    if fitting.one_pass:  # moments have overflowed
        return "nonfinite"
    if verdict:  # as in scikit-learn, early stopping always ends with a model
        fitting.model.theta, fitting.history.best_epoch = _first_weights(fitting), 0
    _begin_anew_from(fitting, fitting.model.theta)  # what led astray is not to be gone on with
    return "restored"


def _first_weights(fitting):
    """With a last layer of 0 if they then predict the mean, as they do of standardised y."""
    theta = fitting.first_theta.copy()
    last = fitting.model.network().matrices(theta)[-1]
    last[...] = 0
    return theta if _verdict(fitting, theta) is None else fitting.first_theta


def _verdict(fitting, theta) -> str | None:
    """What is wrong with weights that are to predict."""
    # Without the penalty; of a call in a stream, over some of its rows.
    most = SAMPLE if fitting.one_pass else np.inf
    loss = mean_loss(fitting.objective.network, fitting.loss, fitting.data, theta, most)
    if not np.isfinite(loss):
        return "nonfinite"
    return fitting.measure.verdict(loss)


def _begin_anew_from(fitting, theta):
    fitting.at.theta = fitting.model.theta = theta
    fitting.at.optimizer = first_state(fitting.optimizer, theta)


def _is_finite(fitting):
    """Whether weights and moments are."""
    moments = (v for v in fitting.at.optimizer.values() if isinstance(v, np.ndarray))
    return all(np.isfinite(M).all() for M in (fitting.model.theta, fitting.at.theta, *moments))


def _needs_best(fitting):
    """Whether the best epoch's weights are wanted, and not a way out alone."""
    in_time = fitting.params["max_time"] is not None and not fitting.one_pass
    return fitting.early_stopping or in_time
