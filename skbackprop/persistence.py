"""Saving and loading a regressor: what the parts of a file mean.

The bytes are :mod:`skbackprop.container`'s. The tables below name everything that a fitted
regressor keeps and the kind of value that it is (:mod:`skbackprop.schema`); what is not in
them is neither written nor read. Loading checks the meaning: that sizes fit each other, that
weights are finite, that names are known. It makes numbers, strings, arrays, lists and dicts,
and objects of the package's own tables; no name in a file is looked up anywhere else.
"""

import copy
import os
import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from . import container
from .architecture import architecture
from .conformal import LEVELS
from .container import ModelFileError, RefusedError, demand
from .encoding import NEVER
from .messages import shown
from .parameters import FULL_BATCH
from .schema import (
    Choice,
    Curve,
    Flag,
    Levels,
    ListOf,
    Matrix,
    Names,
    OneOf,
    OptimizerState,
    OrNone,
    Real,
    Record,
    Shelf,
    Text,
    Vector,
    Whole,
    check_optimizer_state,
)
from .values import decode, encode

WEIGHTS = Vector(np.float32, np.float64)
SHIFT, SCALE = OrNone(Vector()), OrNone(Vector(above=0))
CURVE, REAL, INDEX = Curve(), Real(), Vector(np.int64, above=-1)

HISTORY = Record(
    {
        "loss_curve": CURVE,
        "validation_loss_curve": CURVE,
        "validation_scores": CURVE,
        "best": REAL,
        "best_theta": OrNone(WEIGHTS),
        "best_epoch": Whole(),
        "stalled": Whole(),
        "judged_by": Text(),
        "judged_from": Whole(),
    }
)
MEASURE = Record({"bound": REAL, "scale": REAL})
GENERATOR = Record(
    {
        "bit_generator": Text(),
        "state": Record({"state": Whole(0, 2**128 - 1), "inc": Whole(0, 2**128 - 1)}),
        "has_uint32": Whole(0, 1),
        "uinteger": Whole(0, 2**32 - 1),
    }
)
# Of the architecture, what layer_sizes_ and activations_ do not say.
ARCHITECTURE = Record(
    {
        "loss": Choice("loss"),
        "solver": Choice("solver", *FULL_BATCH),
        "standardize": OneOf(True, False, "robust"),
        "n_bins": Whole(),
        "parametrization": OneOf("standard", "neural_tangent"),
        "dtype": OrNone(Text()),
    },
    optional=("n_bins", "parametrization"),
)
TRAINING = Record(
    {
        "architecture": ARCHITECTURE,
        "theta": OrNone(WEIGHTS),
        "first_theta": OrNone(WEIGHTS),
        "optimizer": OptimizerState(),
        "rng": GENERATOR,
        "samples": Whole(),
        "slowdown": Real(5e-324, 1.0),
        "history": HISTORY,
        "measure": MEASURE,
        "split_seed": Whole(0, 2**63 - 1),
        "weight_mean": Real(0.0, sys.float_info.max),
        "weight_rows": Whole(),
    }
)
# Attributes that have come since the first release: what a file without them stands for, and
# which are not written where they have that value.
LATER: dict[str, Any] = {
    "bin_columns_": None,
    "bin_middles_": None,
    "bin_halves_": None,
    "categories_": None,
    "level_columns_": None,
    "level_codes_": None,
    "level_others_": None,
    "missing_columns_": None,
    "error_quantiles_": None,
    "n_validation_": 0,
    "n_networks_": 1,
    "input_scale_": False,
}
LATER_ARCHITECTURE: dict[str, Any] = {"n_bins": 0, "parametrization": "standard"}
FITTED = Record(
    {
        "theta_": WEIGHTS,
        "layer_sizes_": ListOf(Whole(1)),
        "activations_": ListOf(Choice("activation")),
        "fit_intercept_": Flag(),
        "X_shift_": SHIFT,
        "X_scale_": SCALE,
        "y_shift_": SHIFT,
        "y_scale_": SCALE,
        "bin_columns_": INDEX,
        "bin_middles_": Vector(),
        "bin_halves_": Vector(above=0),
        "categories_": Levels(),
        "level_columns_": INDEX,
        "level_codes_": INDEX,
        "level_others_": Vector(np.int64, above=NEVER - 1),
        "missing_columns_": INDEX,
        "error_quantiles_": Matrix(),
        "n_validation_": Whole(),
        "n_networks_": Whole(1),
        "input_scale_": Flag(),
        "n_iter_": Whole(),
        "t_": Whole(),
        "loss_": REAL,
        "best_loss_": OrNone(REAL),
        "loss_curve_": CURVE,
        "validation_loss_curve_": OrNone(CURVE),
        "validation_scores_": OrNone(CURVE),
        "best_validation_score_": OrNone(REAL),
        "_training": TRAINING,
        "feature_names_in_": Names(),
        "_y_ndim": Whole(1, 2),
    },
    optional=("feature_names_in_", *LATER),
)
# What other attributes say already: not in the file.
DERIVED = {
    "n_layers_": lambda fitted: len(fitted["layer_sizes_"]),
    "n_outputs_": lambda fitted: fitted["layer_sizes_"][-1],
    "out_activation_": lambda fitted: fitted["activations_"][-1],
    "n_features_in_": lambda fitted: _n_features(fitted),
}
ATTRIBUTES = (*FITTED.kinds, *DERIVED)
STATE = Record(  # of a RandomState
    {"key": Vector(np.int64), "pos": Whole(0, 624), "has_gauss": Whole(0, 1), "cached": REAL}
)
FLOATS = ("float32", "float64")
# Parameters that have come since the first release: what a file without them stands for.
ADDED: dict[str, Any] = {"n_networks": 1, "n_bins": 0, "parametrization": "standard"}
HEADER_KEYS = {"fitted", "params", "random_state", "run"}


def save(
    path: str | os.PathLike,
    params: dict[str, Any],
    fitted: dict[str, Any],
    run: dict[str, Any] | None = None,
) -> None:
    """Write a file; nothing is touched if there is something that it cannot hold.

    Parameters
    ----------
    path : str or os.PathLike
        Where to.
    params : dict
        The estimator's parameters.
    fitted : dict
        Its attributes; those of :data:`ATTRIBUTES` and no others.
    run : dict, optional
        Plain values that are given back as they are.
    """
    path, shelf = container.path_of(path), Shelf()
    shelf.allowed = sys.maxsize
    try:
        params, state = _written_params(params, shelf)
        header = {"params": params, "random_state": state, "run": encode(run, "run")}
        header["fitted"] = FITTED.write(_without_derived(fitted), "", shelf)
        shelf.close_written()
        # What could not be read, or would be read as something else, is not written.
        _, restored, _ = _meaning(header, shelf.arrays, params.keys())
        _check_derived(fitted, restored)
    except RefusedError as refused:
        raise ValueError(f"this model cannot be saved: {refused}") from refused
    container.write(path, header, shelf.arrays)


def check(params: dict[str, Any]) -> None:
    """Raise a TypeError for a parameter that no file can hold."""
    _written_params(params, Shelf())


def differences(was: dict[str, Any], now: dict[str, Any], free: Iterable[str]) -> list[str]:
    """A sentence for each parameter of another value, those of `free` aside."""
    a, b = _as_written(was), _as_written(now)
    return [
        f"{name} was {shown(was[name])} and is {shown(now[name])}"
        for name in now
        if name not in free and a[name] != b[name]
    ]


def _as_written(params):
    """What a file would hold of each."""
    shelf = Shelf()
    written, state = _written_params(params, shelf)
    arrays = {name: M.tobytes() for name, M in shelf.arrays.items()}
    return written | {"random_state": (written["random_state"], state, arrays)}


def load(
    path: str | os.PathLike, names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    """The parameters, which must have these names, the fitted attributes, and ``run``.

    Raises
    ------
    ModelFileError
        If the file is damaged or is no model.
    """
    header, arrays = container.read(path)
    try:
        return _meaning(header, arrays, names)
    except RefusedError as refused:
        raise ModelFileError(container.path_of(path), str(refused)) from None


def _meaning(header, arrays, names):
    """What a header and its arrays stand for."""
    demand(header.keys() == HEADER_KEYS, "its header has other keys than it should")
    shelf = Shelf(arrays)
    params = _read_params(header["params"], list(names))
    if header["random_state"] is not None:
        demand(params["random_state"] is None, "two values of random_state")
        params["random_state"] = _random_state(header["random_state"], shelf)
    fitted = FITTED.read(header["fitted"], "", shelf)
    run = decode(header["run"], "run")
    demand(run is None or type(run) is dict, "the kind of run")
    shelf.close_read()
    _add_later(fitted, LATER)
    _add_later(fitted["_training"]["architecture"], LATER_ARCHITECTURE)
    _check_network(fitted)
    _complete(fitted)
    _check_training(fitted)
    return params, fitted, run


# ----- parameters --------------------------------------------------------------------


def _written_params(params, shelf):
    """The parameters for the header, and the state of a RandomState among them."""
    # A path says where to write during a fit, and nothing of the model.
    params, state = dict(params) | {"checkpoint": None}, None
    if params["random_state"] is np.random:
        raise TypeError(
            "random_state=numpy.random cannot be saved: it is the state of the whole process; "
            "set random_state to None, an integer or a RandomState"
        )
    if type(params["random_state"]) is np.random.RandomState:
        state = _written_state(params.pop("random_state"), shelf)
        params["random_state"] = None
    params["dtype"] = _dtype_name(params["dtype"])
    return {name: encode(value, name) for name, value in params.items()}, state


def _dtype_name(dtype):
    """'float32' for all that NumPy takes for it; another value as it is, for `fit` to refuse."""
    if dtype is None:
        return None
    try:
        name = np.dtype(dtype).name
    except TypeError:
        return dtype
    return name if name in FLOATS else dtype


def _written_state(random_state, shelf):
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            f"random_state={random_state!r} cannot be saved: only one of MT19937, which "
            "numpy.random.RandomState(seed) makes"
        )
    whole = {"key": state["state"]["key"].astype(np.int64), "pos": int(state["state"]["pos"])}
    gauss = {"has_gauss": int(state["has_gauss"]), "cached": float(state["gauss"])}
    return STATE.write(whole | gauss, "random_state", shelf)


def _read_params(given, names):
    """The parameters of these names; for those that came later, what files without them mean."""
    demand(type(given) is dict, "the kind of its parameters")
    unknown = sorted(given.keys() - set(names))
    missing = sorted(set(names) - given.keys() - ADDED.keys())
    demand(not unknown, f"its parameter {shown(unknown[:1])} is not known to this version")
    demand(not missing, f"it lacks the parameter {missing[:1]}")
    params = {
        name: decode(given[name], name) if name in given else copy.deepcopy(ADDED[name])
        for name in names
    }
    demand(params["checkpoint"] is None, "a path among its parameters")
    # Of all that NumPy takes for a type only these are written; NumPy parses no other text.
    dtype = params["dtype"]
    demand(dtype is None or (type(dtype) is str and dtype in FLOATS), "the value of dtype")
    return params


def _random_state(tree, shelf):
    state = STATE.read(tree, "random_state", shelf)
    key = state["key"]
    fits = key.shape == (624,) and key.min() >= 0 and key.max() < 2**32
    demand(fits, "the key of random_state")
    made = np.random.RandomState(0)
    whole = (key.astype(np.uint32), state["pos"], state["has_gauss"], state["cached"])
    made.set_state(("MT19937", *whole))
    return made


# ----- fitted attributes -------------------------------------------------------------


def _without_derived(fitted):
    """What the file holds: the rest follows from it."""
    kept = {name: value for name, value in fitted.items() if name not in DERIVED}
    training = dict(kept.get("_training", {}))
    whole = training.get("architecture", {})
    known = {k: v for k, v in whole.items() if k in ARCHITECTURE.kinds}
    training["architecture"] = _without_later(known, LATER_ARCHITECTURE)
    return _without_later(kept, LATER) | {"_training": training}


def _without_later(values, later):
    """What is not what a file without it stands for."""
    default = [k for k in later if type(values[k]) is type(later[k]) and values[k] == later[k]]
    return {k: v for k, v in values.items() if k not in default}


def _add_later(values, later):
    """What the file stands for without saying so."""
    demand(
        _without_later(later | values, later).keys() == values.keys(), "a value that is the rule"
    )
    values |= {name: value for name, value in later.items() if name not in values}


def _check_derived(fitted, restored):
    """Whether the rest does follow."""
    for name in DERIVED:
        demand(name in fitted and fitted[name] == restored[name], f"the value of {name}")
    whole, again = (state["_training"]["architecture"] for state in (fitted, restored))
    demand(whole == again, "its architecture")


def _check_network(fitted):
    """Whether layers, weights and units fit each other."""
    sizes, theta = fitted["layer_sizes_"], fitted["theta_"]
    demand(len(sizes) >= 2, "the number of its layers")
    demand(len(fitted["activations_"]) == len(sizes) - 1, "the number of its activations")
    bias = int(fitted["fit_intercept_"])
    n = sum((rows + bias) * columns for rows, columns in pairwise(sizes))
    n = fitted["n_networks_"] * (n + fitted["input_scale_"] * sizes[0])
    demand(theta.size == n, f"{theta.size} weights, where its layers have {n}")
    n_features = _n_features(fitted)
    demand(n_features >= 1, "the number of its features")
    _check_bins(fitted, n_features)
    _check_levels(fitted, n_features)
    _check_errors(fitted)
    for name, size in (("X", n_features), ("y", sizes[-1])):
        for vector in (fitted[f"{name}_shift_"], fitted[f"{name}_scale_"]):
            demand(vector is None or vector.size == size, f"the number of units of {name}")
    names = fitted.get("feature_names_in_")
    demand(names is None or names.size == n_features, "the number of feature names")
    demand(fitted["_y_ndim"] == 2 or sizes[-1] == 1, "the dimensions of y")


def _check_errors(fitted):
    """Whether the quantiles are those of the outputs."""
    table, n = fitted["error_quantiles_"], fitted["n_validation_"]
    shape = (LEVELS + 1, fitted["layer_sizes_"][-1])
    fits = n == 0 if table is None else n > 0 and table.shape == shape
    demand(fits and (table is None or bool((np.diff(table, axis=0) >= 0).all())), "its errors")


def _n_features(fitted):
    """Columns of X: those of A[0], but for bins, levels and missing cells, and the categories."""
    added = ("bin_columns_", "level_columns_", "missing_columns_")
    n = fitted["layer_sizes_"][0] - sum(_size(fitted[name]) for name in added)
    return n + sum(levels is not None for levels in fitted["categories_"] or ())


def _size(M):
    return 0 if M is None else M.size


def _check_bins(fitted, n_features):
    """Whether bins belong to features, in their order."""
    column, *others = (fitted[f"bin_{name}_"] for name in ("columns", "middles", "halves"))
    if column is None:
        demand(others == [None, None], "the bins of its features")
        return
    demand(all(M is not None and M.size == column.size for M in others), "the number of bins")
    demand(_ascends(column, n_features), "the features of its bins")


def _ascends(column, n_features, step=0):
    """Whether these are features in their order."""
    return bool((np.diff(column) >= step).all() and (column < n_features).all())


def _check_levels(fitted, n_features):
    """Whether columns for levels belong to levels, in their order, and others to features."""
    categories, missing = fitted["categories_"], fitted["missing_columns_"]
    column, level, other = (fitted[f"level_{name}_"] for name in ("columns", "codes", "others"))
    if categories is not None:
        demand(len(categories) == n_features, "the number of its categories")
        _check_units(fitted, [j for j, levels in enumerate(categories) if levels is not None])
    if missing is not None:
        known = fitted["X_scale_"] is not None
        demand(known and missing.size > 0, "its missing cells")
        demand(_ascends(missing, n_features, step=1), "the features with missing cells")
    if column is None:
        demand(level is None and other is None, "the levels of its features")
        return
    fits = all(M is not None and M.size == column.size > 0 for M in (level, other))
    demand(fits and categories is not None, "the number of levels")
    demand(_ascends(column, n_features), "the features of its levels")
    counts = np.array([_size(levels) for levels in categories])[column]
    demand(bool((level < counts).all() and (other < counts).all()), "the levels of its features")


def _check_units(fitted, of_levels):
    """Whether the numbers of levels are left as they are."""
    shift, scale = fitted["X_shift_"], fitted["X_scale_"]
    fits = all(M is None or M.size > of_levels[-1] for M in (shift, scale))
    fits = fits and (shift is None or not shift[of_levels].any())
    demand(fits and (scale is None or (scale[of_levels] == 1).all()), "the units of its categories")


def _complete(fitted):
    """Add what other attributes say already."""
    for name, of in DERIVED.items():
        fitted[name] = of(fitted)
    sizes, g = fitted["layer_sizes_"], fitted["activations_"]
    own = fitted["_training"]["architecture"]
    params = own | {
        "hidden_layer_sizes": tuple(sizes[1:-1]),
        "activation": g[:-1],
        "output_activation": g[-1],
        "fit_intercept": fitted["fit_intercept_"],
        "n_networks": fitted["n_networks_"],
        "quantile": 0.5,
    }
    demand(own["dtype"] in (None, fitted["theta_"].dtype.name), "the type of its weights")
    try:
        whole = architecture(params, fitted["n_features_in_"], sizes[-1])
    except (ValueError, TypeError) as error:
        raise RefusedError(str(error)) from None
    demand(whole["input_scale"] == fitted["input_scale_"], "the scale of its inputs")
    encoded = whole["n_bins"] > 0 or whole["standardize"] == "robust"
    demand(encoded or fitted["bin_columns_"] is None, "the encoding of its inputs")
    fitted["_training"]["architecture"] = whole


def _check_training(fitted):
    """Whether training can go on."""
    training, theta = fitted["_training"], fitted["theta_"]
    history = training["history"]
    for M in (training["theta"], training["first_theta"], history["best_theta"]):
        same = M is None or (M.dtype, M.shape) == (theta.dtype, theta.shape)
        demand(same, "weights of training that are not like theta_")
    solver = training["architecture"]["solver"]
    check_optimizer_state(training["optimizer"], solver, theta)
    rng = training["rng"]
    # Of an even increment it may give the same number for ever, and a shuffle never end.
    fits = rng["bit_generator"] == "PCG64" and rng["state"]["inc"] % 2 == 1
    demand(fits, "its random generator")
    demand(training["weight_mean"] > 0, "the mean of its weights")
    n = len(history["loss_curve"])
    validated = len(history["validation_loss_curve"])
    demand(n > 0 and len(fitted["loss_curve_"]) == n, "the length of its loss curve")
    demand(len(history["validation_scores"]) == validated <= n, "the length of its curves")
    demand(max(history["best_epoch"], history["judged_from"]) <= n, "the epoch that was best")
    curves = [fitted[name] for name in ("validation_loss_curve_", "validation_scores_")]
    fits = all(curve is None or len(curve) == validated for curve in curves)
    demand(fits and (curves[0] is None) == (curves[1] is None), "the length of its curves")
