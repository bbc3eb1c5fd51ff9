"""What a fit leaves: attributes to predict with, and the state that a later fit goes on from."""

from typing import Any

import numpy as np

from .model import ENCODED, Model, encoding_attributes, model_of
from .training import Progress

Array = np.ndarray

STREAM = 1000  # calls of partial_fit that the curves remember


def predictive(m: Model, theta: Array | None = None) -> dict[str, Any]:
    """The fitted attributes that a prediction needs, with other weights if given."""
    return {
        "theta_": m.theta if theta is None else theta,
        "layer_sizes_": m.layer_sizes,
        "activations_": m.activations,
        "fit_intercept_": m.fit_intercept,
        "X_shift_": m.X_shift,
        "X_scale_": m.X_scale,
        "y_shift_": m.y_shift,
        "y_scale_": m.y_scale,
        **encoding_attributes(m.encoding),
        "n_networks_": m.n_networks,
        "input_scale_": m.input_scale,
    }


def attributes(fitting: Any) -> dict[str, Any]:
    """All fitted attributes."""
    m, h = fitting.model, fitting.history
    if fitting.one_pass:
        h.forget(STREAM)
    scored = fitting.validation_data is not None
    return predictive(m) | {
        "n_layers_": len(m.layer_sizes),
        "n_outputs_": m.layer_sizes[-1],
        "out_activation_": m.activations[-1],
        "n_iter_": fitting.at.epochs,
        "t_": fitting.at.samples,
        "loss_": h.loss_curve[-1],
        "best_loss_": None
        if fitting.early_stopping
        else min(h.loss_curve[h.judged_from :], default=h.loss_curve[-1]),
        "loss_curve_": list(h.loss_curve),
        "validation_loss_curve_": list(h.validation_loss_curve) if scored else None,
        "validation_scores_": list(h.validation_scores) if scored else None,
        "best_validation_score_": _largest(h.validation_scores[h.judged_from :])
        if scored
        else None,
        "error_quantiles_": fitting.errors[0],
        "n_validation_": fitting.errors[1],
        "_training": _state(fitting),
    }


def _state(fitting):
    """What a later fit or partial_fit needs to go on; plain data only."""
    running, at = not fitting.ended, fitting.at
    # The last epoch's weights where the best ones predict. Where they are theta_ itself they
    # are not kept under a second name: joblib would write them twice.
    goes_on = (fitting.params["warm_start"] or running) and at.theta is not fitting.model.theta
    return {
        "architecture": fitting.architecture,
        "theta": at.theta if goes_on else None,
        "first_theta": fitting.first_theta if running else None,
        "optimizer": at.optimizer,
        "rng": at.rng.bit_generator.state,
        "samples": at.samples,
        "slowdown": at.slowdown,
        # Named anew: a scorer may have counted its calls.
        "history": vars(fitting.history) | {"judged_by": fitting.judged_by()},
        "measure": vars(fitting.measure),
        "split_seed": fitting.split_seed,
        "weight_mean": fitting.weight_mean,
        "weight_rows": fitting.weight_rows,
    }


def _largest(scores):
    """The largest score that is a number; NaN if none is."""
    return max((score for score in scores if score == score), default=float("nan"))


# ----- to go on with ------------------------------------------------------------------


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """A dict whose arrays and lists are its own, memory maps made arrays."""
    state = {k: v.view(np.ndarray) if isinstance(v, np.memmap) else v for k, v in state.items()}
    return {k: v.copy() if isinstance(v, (np.ndarray, list)) else v for k, v in state.items()}


def copied_model(attributes: dict[str, Any], latest: bool) -> Model:
    """The model that predicts, or at the latest epoch's weights, which may be past the best."""
    # Copies of the units too: those of a memory map are gone with its file.
    units = {k: v for k, v in attributes.items() if k.endswith(("_shift_", "_scale_", *ENCODED))}
    model, theta = model_of(attributes | copied(units)), attributes["_training"]["theta"]
    if not latest or theta is None:
        theta = model.theta
    model.theta = np.array(theta)  # writable, which a memory map is not
    return model


def copied_progress(state: dict[str, Any], theta: Array, passes: int) -> Progress:
    """Where training stood, with these weights after so many passes."""
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = state["rng"]
    optimizer = copied(state["optimizer"])
    return Progress(theta, optimizer, rng, state["samples"], passes, state["slowdown"])
