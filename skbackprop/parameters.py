"""The constructor's parameters: what each accepts, said in words when it is refused."""

from functools import cache
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

import numpy as np

from .activations import ACTIVATIONS, Activation, CustomActivation
from .losses import LOSSES, CustomLoss, Loss
from .optimizers import OPTIMIZERS
from .schedules import SCHEDULES, OfProgress
from .settings import Settings


class Number(Settings):
    """A real number of an interval; the ends belong to it unless they are open."""

    low: float = -np.inf
    high: float = np.inf
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    infinite: bool = False  # inf is accepted too

    def has_type(self, value):
        if isinstance(value, (bool, np.bool_)):
            return False
        return isinstance(value, Integral if self.integer and not self._is_inf(value) else Real)

    def _is_inf(self, value):
        return self.infinite and isinstance(value, Real) and value == np.inf

    def accepts(self, value):
        if self._is_inf(value):
            return True
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return bool(above and below and np.isfinite(value))

    def __str__(self):
        kind = "an integer" if self.integer else "a finite number"
        ends = []
        if self.low > -np.inf:
            ends.append(f"{'>' if self.low_open else '>='} {self.low:g}")
        if self.high < np.inf:
            ends.append(f"{'<' if self.high_open else '<='} {self.high:g}")
        return f"{kind} {' and '.join(ends)}".strip() + (" or inf" if self.infinite else "")


class Boolean(Settings):
    """True or False."""

    def has_type(self, value):
        return isinstance(value, (bool, np.bool_))

    def accepts(self, value):
        return True

    def __str__(self):
        return "True or False"


class OneOf(Settings):
    """One of some values, or None if that is among them."""

    values: tuple

    def has_type(self, value):
        return value is None or isinstance(value, str)

    def accepts(self, value):
        return value in self.values

    def __str__(self):
        return "one of " + ", ".join(map(repr, self.values))


class NameOrObject(Settings):
    """A name of a table, or an object with the protocol's methods."""

    names: tuple
    methods: tuple = ()  # () for a callable

    def has_type(self, value):
        if isinstance(value, type):
            return False  # the class and not an object of it
        if not self.methods:
            return isinstance(value, str) or callable(value)
        return isinstance(value, str) or all(
            callable(getattr(value, method, None)) for method in self.methods
        )

    def accepts(self, value):
        return not isinstance(value, str) or value in self.names

    def __str__(self):
        with_methods = " and ".join(f"{m}()" for m in self.methods)
        other = f"an object with {with_methods}" if self.methods else "a function of progress"
        return f"one of {', '.join(map(repr, self.names))}, or {other}"


class Either(Settings):
    """What any of the rules accepts."""

    rules: tuple

    def has_type(self, value):
        return any(rule.has_type(value) for rule in self.rules)

    def accepts(self, value):
        return any(rule.has_type(value) and rule.accepts(value) for rule in self.rules)

    def __str__(self):
        return ", or ".join(map(str, self.rules))


class FloatType(Settings):
    """float32 or float64, by name or as a type, or None."""

    def has_type(self, value):
        return True

    def accepts(self, value):
        if value is None:
            return True
        try:
            return np.dtype(value) in (np.dtype(np.float32), np.dtype(np.float64))
        except TypeError:
            return False

    def __str__(self):
        return "None, 'float32' or 'float64'"


class Seed(Settings):
    """What scikit-learn's random_state may be."""

    def has_type(self, value):
        if value is None or value is np.random or isinstance(value, np.random.RandomState):
            return True
        return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))

    def accepts(self, value):
        return not isinstance(value, Integral) or 0 <= value < 2**32

    def __str__(self):
        return "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState"


class Scoring(Settings):
    """One scorer; scikit-learn looks up its name."""

    def has_type(self, value):
        return value is None or isinstance(value, str) or callable(value)

    def accepts(self, value):
        return True

    def __str__(self):
        return "None, 'loss', the name of a scorer or a callable"


class FilePath(Settings):
    """The name of a file."""

    def has_type(self, value):
        return isinstance(value, (str, PathLike)) and isinstance(fspath(value), str)

    def accepts(self, value):
        return bool(fspath(value)) and "\0" not in fspath(value)

    def __str__(self):
        return "a path, str or os.PathLike"


def _or_none(rule):
    return Either((OneOf((None,)), rule))


ACTIVATION = NameOrObject(tuple(ACTIVATIONS), ("value", "derivative"))
POSITIVE = Number(0, low_open=True)
SHARE = Number(0, 1, low_open=True, high_open=True)
COUNT = Number(1, integer=True)

RULES: dict[str, Any] = {
    "loss": NameOrObject(tuple(LOSSES), ("value", "derivative")),
    "solver": NameOrObject((*OPTIMIZERS, "lbfgs"), ("init", "step")),
    "alpha": Number(0),
    "batch_size": Either((OneOf(("auto",)), COUNT)),
    "learning_rate": NameOrObject(tuple(SCHEDULES)),
    "learning_rate_init": POSITIVE,
    "power_t": Number(0),
    "max_iter": COUNT,
    "shuffle": Boolean(),
    "tol": Number(0),
    "verbose": Either((Boolean(), Number(0, integer=True))),
    "warm_start": Boolean(),
    "momentum": Number(0, 1),
    "nesterovs_momentum": Boolean(),
    "early_stopping": Boolean(),
    "validation_fraction": SHARE,
    "beta_1": Number(0, 1, high_open=True),
    "beta_2": Number(0, 1, high_open=True),
    "epsilon": POSITIVE,
    "n_iter_no_change": Number(1, integer=True, infinite=True),
    "max_fun": COUNT,
    "output_activation": _or_none(ACTIVATION),
    "fit_intercept": Boolean(),
    "standardize": Boolean(),
    "dropout": Number(0, 1, high_open=True),
    "clip_norm": _or_none(POSITIVE),
    "quantile": SHARE,
    "dtype": FloatType(),
    "max_time": _or_none(POSITIVE),
    "random_state": Seed(),
    "scoring": Scoring(),
    "checkpoint": _or_none(FilePath()),
    "checkpoint_every": COUNT,
}


def check(name: str, value: Any, rule: Any = None) -> None:
    """Raise a TypeError or ValueError that names the parameter and what it accepts."""
    rule = RULES[name] if rule is None else rule
    if not rule.has_type(value):
        raise TypeError(f"{name} must be {rule}; got {value!r} of type {type(value).__name__}")
    if not rule.accepts(value):
        raise ValueError(f"{name} must be {rule}; got {value!r}")


def check_all(params: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Check every parameter that has a rule, and those that must fit together."""
    for name in RULES:
        if params[name] is not defaults[name]:  # which need no check
            check(name, params[name])
    if params["solver"] == "lbfgs":
        for name, off in (("dropout", 0), ("clip_norm", None)):
            if params[name] != off:
                raise ValueError(
                    f"{name}={params[name]!r} needs a mini-batch solver; solver='lbfgs' "
                    f"goes through all rows at every step: leave {name}={off!r}"
                )


def hidden_sizes(spec: Any) -> tuple[int, ...]:
    """(64, 32) from hidden_layer_sizes: an int, a list, tuple or array, or "64-32"."""
    wrong = (
        "hidden_layer_sizes must be the units of every hidden layer, integers >= 1: an int, "
        f"a tuple, list or array of them, or a string such as '64-32'; got {spec!r}"
    )
    if isinstance(spec, str):
        parts = [part.strip() for part in spec.split("-")] if spec.strip() else []
        if not all(part.isascii() and part.isdecimal() for part in parts):
            raise ValueError(wrong)
        sizes: list[Any] = [int(part) for part in parts]
    elif isinstance(spec, Integral):
        sizes = [spec]
    elif isinstance(spec, (list, tuple, np.ndarray)) and np.ndim(np.asarray(spec, object)) == 1:
        sizes = list(spec)
    elif isinstance(spec, np.ndarray) and spec.ndim == 0 and spec.dtype.kind in "iu":
        sizes = [spec.item()]
    else:
        raise TypeError(wrong)
    if not all(isinstance(n, Integral) and not isinstance(n, (bool, np.bool_)) for n in sizes):
        raise TypeError(wrong)
    if not all(n >= 1 for n in sizes):
        raise ValueError(wrong)
    return tuple(int(n) for n in sizes)


def hidden_activations(spec: Any, n_layers: int) -> list[Any]:
    """One activation a hidden layer, from one for all or a list."""
    if isinstance(spec, (list, tuple)):
        if len(spec) != n_layers:
            raise ValueError(
                f"activation has {len(spec)} entries for {n_layers} hidden layers; it must "
                f"be {ACTIVATION}, or a list of these with one entry a hidden layer"
            )
        specs = list(spec)
    else:
        specs = [spec] * n_layers
    for g in specs or [spec]:
        if not isinstance(g, (list, tuple)):
            check("activation", g, ACTIVATION)
    return specs


@cache
def _activation_of_name(name: str) -> Any:
    return ACTIVATIONS[name]()


def resolve_activation(spec: Any) -> Any:
    """The activation object of a name or of a user's own object."""
    if isinstance(spec, str):
        return _activation_of_name(spec)
    formulas = isinstance(spec, Activation) and all(
        getattr(type(spec), name) is getattr(Activation, name) for name in ("value", "derivative")
    )
    return spec if formulas else CustomActivation(spec)


def _make(cls: Any, params: dict[str, Any]) -> Any:
    """An object of `cls`, its fields taken from the parameters of the same names."""
    return cls(**{name: params[name] for name in cls.fields if name in params})


def resolve_loss(params: dict[str, Any]) -> Loss:
    """The loss object of ``loss``."""
    spec = params["loss"]
    if isinstance(spec, str):
        return _make(LOSSES[spec], params)
    return spec if isinstance(spec, Loss) else CustomLoss(spec)


def resolve_optimizer(params: dict[str, Any]) -> Any:
    """The optimizer of ``solver``; None for lbfgs, which is no update rule."""
    spec = params["solver"]
    if spec == "lbfgs":
        return None
    return _make(OPTIMIZERS[spec], params) if isinstance(spec, str) else spec


def resolve_schedule(params: dict[str, Any]) -> Any:
    """The schedule of ``learning_rate``."""
    spec = params["learning_rate"]
    if isinstance(spec, str):
        return _make(SCHEDULES[spec], params)
    return spec if isinstance(spec, tuple(SCHEDULES.values())) else OfProgress(spec)


def resolve_dtype(spec: Any, dtype: np.dtype) -> np.dtype:
    """The type of the weights: that of X unless ``dtype`` names another."""
    return dtype if spec is None else np.dtype(spec)
