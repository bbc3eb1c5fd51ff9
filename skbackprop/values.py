"""Parameters as JSON and back: plain values, and objects of the package's own tables.

What JSON has not got is an object of one key, which names its kind: ``{"tuple": [64, 32]}``,
``{"float": "inf"}``, ``{"object": ["activation", "elu", {"alpha": 0.5}]}``. The kinds are those
below, and the objects those of the tables: a file cannot name anything else.
"""

import math
from typing import Any

import numpy as np

from . import parameters
from .activations import ACTIVATIONS
from .container import RefusedError, demand
from .losses import LOSSES
from .optimizers import OPTIMIZERS
from .schedules import SCHEDULES

TABLES: dict[str, dict[str, Any]] = {
    "activation": ACTIVATIONS,
    "learning_rate": SCHEDULES,
    "loss": LOSSES,
    "solver": OPTIMIZERS,
}
OBJECTS = {cls: (table, name) for table, of in TABLES.items() for name, cls in of.items()}
INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
SCALARS = {name: np.dtype(name).type for name in INTEGERS | {"bool", "float32", "float64"}}
SCALARS["str"] = np.str_
DEPTH = 4  # of lists in lists
LARGEST = 2**128  # a state of PCG64
NONFINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode(value: Any, name: str, depth: int = DEPTH) -> Any:
    """The value as JSON can express it; a TypeError that names it if it is none of these."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind in OBJECTS:
        table, key = OBJECTS[kind]
        settings = {k: encode(v, f"{k} of {name}", 0) for k, v in vars(value).items()}
        return {"object": [table, key, settings]}
    if kind in SCALARS.values():
        return {"scalar": [_name_of(kind), encode(value.item(), name)]}
    if kind is np.ndarray and value.ndim <= 1 and value.dtype.name in INTEGERS:
        return {"array": [value.dtype.name, value.tolist()]}
    if kind in (list, tuple) and depth:
        items = [encode(item, name, depth - 1) for item in value]
        return items if kind is list else {"tuple": items}
    if kind is dict and depth and all(type(key) is str for key in value):
        return {"dict": {key: encode(item, name, depth - 1) for key, item in value.items()}}
    raise TypeError(
        f"{name}={value!r} of type {kind.__name__} cannot be saved: a file holds numbers, strings "
        "and the package's own objects, and no code; pickle holds others"
    )


def _name_of(kind):
    return next(name for name, scalar in SCALARS.items() if scalar is kind)


def decode(tree: Any, name: str, depth: int = DEPTH) -> Any:
    """The value that :func:`encode` was given; RefusedError if it cannot come from there."""
    kind = type(tree)
    if kind is str:
        return _text(tree, name)
    if kind is int:
        demand(abs(tree) < LARGEST, f"the size of {name}")
    if tree is None or kind in (bool, int, float):
        return tree
    if kind is list and depth:
        return [decode(item, name, depth - 1) for item in tree]
    demand(kind is dict and len(tree) == 1, f"the kind of {name}")
    (tag, inside), *_ = tree.items()
    demand(tag in DECODERS and depth >= 0, f"the kind of {name}")
    return DECODERS[tag](inside, name, depth - 1)


def _text(tree, name):
    try:
        tree.encode("utf-8")
    except UnicodeEncodeError:  # half a character, which JSON may join with another half
        raise RefusedError(f"{name} is no text") from None
    return tree


def _float(inside, name, depth):
    demand(type(inside) is str and inside in NONFINITE, f"the value of {name}")
    return NONFINITE[inside]


def _tuple(inside, name, depth):
    demand(type(inside) is list and depth >= 0, f"the items of {name}")
    return tuple(decode(item, name, depth) for item in inside)


def _dict(inside, name, depth):
    demand(type(inside) is dict and depth >= 0, f"the items of {name}")
    return {_text(key, name): decode(item, name, depth) for key, item in inside.items()}


def _pair(inside, name, allowed):
    demand(type(inside) is list and len(inside) == 2, f"the value of {name}")
    demand(type(inside[0]) is str and inside[0] in allowed, f"the type of {name}")
    return inside


def _scalar(inside, name, depth):
    dtype, value = _pair(inside, name, SCALARS)
    value = decode(value, name, 0)
    demand(type(value) is type(SCALARS[dtype]().item()), f"the type of {name}")
    if dtype in INTEGERS:
        _demand_fits(value, dtype, name)
    elif dtype == "float32":
        # Compared with a float32 the value would become one, and overflow.
        exact = not math.isfinite(value) or abs(value) <= float(np.finfo(np.float32).max)
        demand(exact, f"the size of {name}")
    scalar = SCALARS[dtype](value)
    demand(scalar.item() == value or value != value, f"{name} is no {dtype}")
    return scalar


def _array(inside, name, depth):
    dtype, value = _pair(inside, name, INTEGERS)
    for number in value if type(value) is list else [value]:
        _demand_fits(number, dtype, name)
    return np.array(value, dtype)


def _demand_fits(value, dtype, name):
    limits = np.iinfo(dtype)
    demand(type(value) is int and limits.min <= value <= limits.max, f"the size of {name}")


def _object(inside, name, depth):
    demand(type(inside) is list and len(inside) == 3, f"the kind of {name}")
    table, key, settings = inside
    demand(type(table) is str and table in TABLES, f"the kind of {name}")
    demand(type(key) is str and key in TABLES[table], f"{name} is of a kind that is not known")
    cls = TABLES[table][key]
    demand(type(settings) is dict and settings.keys() == set(cls.fields), f"the settings of {name}")
    made = {field: _setting(settings[field], field, name) for field in cls.fields}
    try:
        return cls(**made)
    except (ValueError, TypeError) as error:
        raise RefusedError(f"{name}: {error}") from None


def _setting(tree, field, name):
    """A finite number, and what the constructor's parameter of that name accepts."""
    value = decode(tree, f"{field} of {name}", 0)
    number = isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
    # As a float: abs(np.int8(-128)) overflows, which NumPy may have been told to raise.
    finite = number and abs(float(value)) < np.finfo(np.float64).max
    demand(finite, f"{field} of {name} is no number")
    if field in parameters.RULES:
        try:
            parameters.check(field, value)
        except (ValueError, TypeError) as error:
            raise RefusedError(f"{name}: {error}") from None
    return value


DECODERS = {
    "array": _array,
    "dict": _dict,
    "float": _float,
    "object": _object,
    "scalar": _scalar,
    "tuple": _tuple,
}
