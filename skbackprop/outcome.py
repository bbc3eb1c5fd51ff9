"""What is said of a fit that has ended: a warning, or why its result is not to be used."""

from collections.abc import Iterator
from typing import Any

from . import parameters


def verdict(model: Any, fitting: Any) -> str:
    """What is to be said of a model's fit that has ended; a ValueError if it has no use."""
    refused = _refused(model, fitting)
    if refused is not None:
        raise ValueError(refused)
    return " ".join(_complaints(model, fitting))


def _refused(model: Any, fitting: Any) -> str | None:
    """Why the result of training is not to be used, if it is not."""
    epoch, advice = fitting.at.epochs, _advice(model)
    if fitting.judgement == "nonfinite":
        return (
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. (Epoch {epoch}: {advice}.)"
        )
    if fitting.judgement == "useless":
        return (
            f"Training diverged in epoch {epoch}, and no epoch before it was better than "
            f"predicting the mean of y; {advice}."
        )
    return None


def _complaints(model: Any, fitting: Any) -> Iterator[str]:
    """Sentences on what did not go well."""
    epoch, best, advice = fitting.at.epochs, fitting.history.best_epoch, _advice(model)
    most = fitting.params["max_iter"]
    stopped = {
        "max_iter": f"Stochastic Optimizer: Maximum iterations ({most}) reached and "
        "the optimization hasn't converged yet.",
        "time": f"Training stopped after {epoch} epochs at max_time={model.max_time!r} seconds.",
        "schedule": f"learning_rate={model.learning_rate!r} is planned over max_iter="
        f"{most} passes and has ended: partial_fit no longer changes much. Use "
        "'constant', or raise max_iter.",
    }
    if fitting.reason in stopped:
        yield stopped[fitting.reason]
    elif fitting.reason is not None and fitting.reason.startswith(parameters.FULL_BATCH):
        yield f"{fitting.reason}, and it has not converged: see max_iter, max_fun and tol."
    if fitting.judgement == "restored":
        which = f"weights of epoch {best}" if best else "first weights, which have learnt nothing,"
        yield f"Training diverged in epoch {epoch} and the {which} were restored; {advice}."
    if fitting.judgement == "worse" and fitting.one_pass:
        yield (
            "The rows of this call are predicted ten times worse than by a mean of y: they are "
            "not like those of the first call, which settled the scaling. Begin with rows "
            "that look like the rest."
        )
    elif fitting.judgement == "worse":
        rate = float(model.learning_rate_init)
        full_batch = parameters.is_full_batch(model.solver)
        remedy = "" if full_batch else f", or change learning_rate_init={rate:g}"
        yield (
            f"After epoch {epoch} the model is worse than predicting the mean of y: train for "
            f"longer (max_iter){remedy}."
        )


def _advice(model):
    if parameters.is_full_batch(model.solver):
        advice = "scale the data, or raise alpha"
    else:
        advice = f"try a learning_rate_init below {float(model.learning_rate_init):g}"
    return advice if model.standardize else advice + ", or standardize=True"
