"""What a fitted network is made of, and what may not change while it trains on."""

from typing import Any

import numpy as np

from . import parameters


def architecture(params: dict[str, Any], n_features: int, n_outputs: int) -> dict[str, Any]:
    """What training cannot change half-way, under the names that a message gives it."""
    hidden = parameters.hidden_sizes(params["hidden_layer_sizes"])
    output = params["output_activation"]
    if output is None:
        output = parameters.resolve_loss(params).output_activation
    return {
        "the number of features of X": n_features,
        "the number of outputs of y": n_outputs,
        "hidden_layer_sizes": hidden,
        "activation": parameters.hidden_activations(params["activation"], len(hidden)),
        "output_activation": output,
        "loss": params["loss"],
        "solver": params["solver"],
        "fit_intercept": bool(params["fit_intercept"]),
        "standardize": bool(params["standardize"]),
        "dtype": None if params["dtype"] is None else np.dtype(params["dtype"]).name,
    }


def check_same(new: dict[str, Any], old: dict[str, Any], method: str) -> None:
    """Refuse to go on with a network that was fitted as another one."""
    for name, value in new.items():
        if _comparable(value) != _comparable(old[name]):
            raise ValueError(
                f"{method} goes on with the fitted network and cannot change {name} from "
                f"{old[name]!r} to {value!r}; fit with warm_start=False to start anew"
            )


def _comparable(value):
    """Equal for equal settings, also for objects that have been through pickle."""
    if isinstance(value, (list, tuple)):
        return [_comparable(v) for v in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return type(value).__module__, type(value).__qualname__, str(vars(value))
