"""What a fitted network is made of, and what may not change while it trains on."""

import pickle
from copy import copy
from typing import Any

import numpy as np

from . import parameters
from .activations import ACTIVATIONS, CustomActivation
from .messages import shown
from .settings import Settings

POSITIVE = ("exp", "softplus", "logistic")  # activations of positive values alone


def architecture(params: dict[str, Any], n_features: int, n_outputs: int) -> dict[str, Any]:
    """What training cannot change half-way, under the names that a message gives it."""
    hidden = parameters.hidden_sizes(params["hidden_layer_sizes"])
    activations = parameters.hidden_activations(params["activation"], len(hidden))
    loss, output = parameters.resolve_loss(params), params["output_activation"]
    if output is None:
        output = loss.output_activation
    elif loss.positive:
        g = parameters.resolve_activation(output)
        if not isinstance(g, (CustomActivation, *(ACTIVATIONS[name] for name in POSITIVE))):
            raise ValueError(
                f"loss={shown(params['loss'])} needs predictions above 0: output_activation must "
                f"be one of {', '.join(map(repr, POSITIVE))} or an object of your own; got "
                f"{shown(output)}"
            )
    return {
        "the number of features of X": n_features,
        "the number of outputs of y": n_outputs,
        "hidden_layer_sizes": list(hidden),
        "activation": list(map(_kept, activations)),
        "output_activation": _kept(output),
        "loss": _kept(params["loss"]),
        "solver": _kept(params["solver"]),
        "fit_intercept": bool(params["fit_intercept"]),
        "standardize": params["standardize"],
        "n_bins": parameters.n_bins(params),
        "n_networks": params["n_networks"],
        "parametrization": params["parametrization"],
        "input_scale": parameters.has_input_scale(params),
        "dtype": None if params["dtype"] is None else np.dtype(params["dtype"]).name,
    }


def _kept(spec: Any) -> Any:
    """A copy of one of our objects: what its owner changes later is no part of the fitted model.

    A user's own may be anything, such as a counter of its calls, and is used as it is.
    """
    return copy(spec) if isinstance(spec, Settings) else spec


def check_same(
    new: dict[str, Any],
    old: dict[str, Any],
    method: str,
    otherwise: str = "fit with warm_start=False to start anew",
) -> None:
    """Refuse to go on with a network that was fitted as another one."""
    for name, value in new.items():
        if not same(value, old[name]):
            raise ValueError(
                f"{method} goes on with the fitted network and cannot change {name} from "
                f"{shown(old[name])} to {shown(value)}; {otherwise}"
            )


def same(a, b):
    """Equal settings; an object may have been through pickle in between."""
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if a is b or a is None or isinstance(a, (str, int)):
        return a is b or (type(a) is type(b) and a == b)
    if isinstance(a, Settings) and type(a) is type(b):
        a, b = vars(a), vars(b)
        return a.keys() == b.keys() and all(map(same, a.values(), b.values()))
    return type(a) is type(b) and pickle.dumps(a) == pickle.dumps(b)
