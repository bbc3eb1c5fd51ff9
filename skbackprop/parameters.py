"""The constructor's parameters: what each accepts, said in words when it is refused."""

import os
from collections.abc import Sequence
from functools import cache
from inspect import signature
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

from .activations import ACTIVATIONS, Activation, CustomActivation
from .losses import LOSSES, CustomLoss, Loss, SquaredError
from .messages import shown
from .optimizers import OPTIMIZERS
from .schedules import SCHEDULES, OfProgress
from .settings import Settings


def is_number(value: Any, kind: Any = Real) -> bool:
    """Whether that is what a user calls a number; to Python True is one, and a time span."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_, np.timedelta64))


def is_integer(value: Any) -> bool:
    """Whether that is a whole number by its type."""
    return is_number(value, Integral)


def _is_finite(value: Any) -> bool:
    """Whether a float can hold it; np.isfinite knows nothing of Fraction(1, 2) or 10**400."""
    try:
        return isfinite(value)
    except OverflowError:
        return False


class Number(Settings):
    """A real number of an interval; the ends belong to it unless they are open."""

    low: float = -np.inf
    high: float = np.inf
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    infinite: bool = False  # inf is accepted too

    def has_type(self, value):
        return is_number(value, Integral if self.integer and not self._is_inf(value) else Real)

    def _is_inf(self, value):
        return self.infinite and is_number(value) and value == np.inf

    def accepts(self, value):
        if self._is_inf(value):
            return True
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return bool(above and below and _is_finite(value))

    def plain(self, value):
        """The number as Python's: NumPy's float32 would make float32 of what it meets."""
        return int(value) if isinstance(value, Integral) else float(value)

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

    plain = bool

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

    def plain(self, value):
        rule = next(r for r in self.rules if r.has_type(value) and r.accepts(value))
        return plain(value, rule)

    def has_type(self, value):
        return any(rule.has_type(value) for rule in self.rules)

    def accepts(self, value):
        return any(rule.has_type(value) and rule.accepts(value) for rule in self.rules)

    def __str__(self):
        return ", or ".join(map(str, self.rules))


class FloatType(Settings):
    """float32 or float64, by name or as a type, or None."""

    def has_type(self, value):
        return value is None or isinstance(value, (str, type, np.dtype))

    def accepts(self, value):
        if value is None:
            return True
        if isinstance(value, str) and len(value) > 20:  # NumPy would read what it says
            return False
        try:
            return np.dtype(value) in (np.dtype(np.float32), np.dtype(np.float64))
        except (TypeError, ValueError, SyntaxError):  # of NumPy's own language of types
            return False

    def __str__(self):
        return "None, 'float32' or 'float64'"


class Seed(Settings):
    """What scikit-learn's random_state may be."""

    def has_type(self, value):
        if value is None or value is np.random or isinstance(value, np.random.RandomState):
            return True
        return is_integer(value)

    def accepts(self, value):
        return not is_integer(value) or 0 <= value < 2**32

    def plain(self, value):
        return int(value) if is_integer(value) else value

    def __str__(self):
        return "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState"


class Scoring(Settings):
    """One scorer; scikit-learn looks up its name."""

    def has_type(self, value):
        if isinstance(value, type):
            return False
        return value is None or isinstance(value, str) or callable(value)

    def accepts(self, value):
        return True

    def __str__(self):
        return "None, 'loss', the name of a scorer or a callable"


class Path(Settings):
    """The name of a file."""

    def has_type(self, value):
        return isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str)

    def accepts(self, value):
        name = os.path.basename(os.fspath(value))
        return 0 < len(name.encode("utf-8", "surrogatepass")) <= 255 and "\0" not in os.fspath(
            value
        )

    def __str__(self):
        return "the name of a file (a str or an os.PathLike of at most 255 bytes)"


def _or_none(rule):
    return Either((OneOf((None,)), rule))


ACTIVATION = NameOrObject(tuple(ACTIVATIONS), ("value", "derivative"))
POSITIVE = Number(0, low_open=True)
ACTIVATION_ATTRIBUTES = {
    "initialization": ("glorot", "he", "lecun"),
    "output": ("fixed", "any", "scale"),
}
SHARE = Number(0, 1, low_open=True, high_open=True)
COUNT = Number(1, integer=True)

# Solvers that go through all rows at every step; others are optimizers, for mini-batches.
FULL_BATCH = ("lbfgs", "lm")

RULES: dict[str, Any] = {
    "loss": NameOrObject(tuple(LOSSES), ("value", "derivative")),
    "solver": NameOrObject((*OPTIMIZERS, *FULL_BATCH), ("init", "step")),
    "alpha": Number(0),
    "batch_size": Either((OneOf(("auto",)), COUNT)),
    "learning_rate": NameOrObject(("auto", *SCHEDULES)),
    "learning_rate_init": POSITIVE,
    "power_t": Number(0),
    "max_iter": Either((OneOf(("auto",)), COUNT)),
    "shuffle": Boolean(),
    "tol": Number(0),
    "verbose": Either((Boolean(), Number(0, integer=True))),
    "warm_start": Boolean(),
    "momentum": Number(0, 1),
    "nesterovs_momentum": Boolean(),
    "early_stopping": Either((Boolean(), OneOf(("auto",)))),
    "validation_fraction": SHARE,
    "beta_1": Number(0, 1, high_open=True),
    "beta_2": Number(0, 1, high_open=True),
    "epsilon": POSITIVE,
    "n_iter_no_change": Number(1, integer=True, infinite=True),
    "max_fun": COUNT,
    "output_activation": _or_none(ACTIVATION),
    "fit_intercept": Boolean(),
    "standardize": Either((Boolean(), OneOf(("auto", "robust")))),
    "n_bins": Either((OneOf(("auto",)), Number(0, integer=True))),
    "n_networks": Either((OneOf(("auto",)), COUNT)),
    "parametrization": OneOf(("auto", "standard", "neural_tangent")),
    "dropout": Number(0, 1, high_open=True),
    "clip_norm": _or_none(POSITIVE),
    "quantile": SHARE,
    "dtype": FloatType(),
    "max_time": _or_none(POSITIVE),
    "random_state": Seed(),
    "scoring": Scoring(),
    "checkpoint": _or_none(Path()),
    "checkpoint_every": COUNT,
}


def check(name: str, value: Any, rule: Any = None) -> None:
    """Raise a TypeError or ValueError that names the parameter and what it accepts."""
    rule = RULES[name] if rule is None else rule
    if not rule.has_type(value):
        kind = type(value).__name__
        raise TypeError(f"{name} must be {rule}; got {shown(value)} of type {kind}")
    if not rule.accepts(value):
        raise ValueError(f"{name} must be {rule}; got {shown(value)}")


def plain(value: Any, rule: Any) -> Any:
    """A value that the rule accepts as Python's own number, bool or string."""
    if isinstance(value, str):
        return str(value)  # a np.str_ is none to pickle.dumps
    return rule.plain(value) if hasattr(rule, "plain") else value


def checked(params: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The parameters, each checked by its rule, and those that must fit together."""
    params = dict(params)
    for name, rule in RULES.items():
        if params[name] is not defaults[name]:  # which need no check
            check(name, params[name])
            params[name] = plain(params[name], rule)
    if is_full_batch(params["solver"]):
        _check_full_batch(params)
    return params


def is_full_batch(solver: Any) -> bool:
    """Whether ``solver``, of which nothing has been checked yet, goes through all rows."""
    return isinstance(solver, str) and solver in FULL_BATCH


def n_bins(params: dict[str, Any]) -> int:
    """Bins of a feature's encoding, at the most."""
    n, robust = params["n_bins"], params["standardize"] == "robust"
    if n and not robust:
        raise ValueError(
            f"n_bins={n} needs standardize='robust', which tells where a feature's values lie; "
            f"got standardize={params['standardize']!r}"
        )
    return n


def has_input_scale(params: dict[str, Any]) -> bool:
    """Whether the network learns a scale for every input."""
    return params["parametrization"] == "neural_tangent" and not is_full_batch(params["solver"])


def _check_full_batch(params):
    solver = params["solver"]
    if params["n_networks"] not in ("auto", 1):
        raise ValueError(
            f"n_networks={params['n_networks']} needs a mini-batch solver; got solver={solver!r}"
        )
    for name, off in (("dropout", 0), ("clip_norm", None)):
        if params[name] != off:
            raise ValueError(
                f"{name}={shown(params[name])} needs a mini-batch solver; solver={solver!r} "
                f"goes through all rows at every step: leave {name}={off!r}"
            )
    if solver == "lm" and type(resolve_loss(params)) is not SquaredError:
        raise ValueError(
            f"loss={shown(params['loss'])} is no sum of squares, which solver='lm' minimises: "
            "use loss='squared_error', or solver='lbfgs'"
        )


def hidden_sizes(spec: Any) -> tuple[int, ...]:
    """(64, 32) from hidden_layer_sizes: an int, a list, tuple or array, or "64-32"."""
    wrong = (
        "hidden_layer_sizes must be the units of every hidden layer, integers >= 1: an int, "
        f"a tuple, list or array of them, or a string such as '64-32'; got {shown(spec)}"
    )
    if isinstance(spec, str):
        parts = [part.strip() for part in spec.split("-")] if spec.strip() else []
        # Python itself refuses to read thousands of digits.
        if not all(part.isascii() and part.isdecimal() and len(part) < 100 for part in parts):
            raise ValueError(wrong)
        sizes: list[Any] = [int(part) for part in parts]
    elif isinstance(spec, np.ndarray) and spec.ndim <= 1:
        sizes = list(spec.reshape(-1))
    elif isinstance(spec, Sequence):
        sizes = list(spec)
    else:
        sizes = [spec]
    if isinstance(spec, (bytes, bytearray)) or not all(map(is_integer, sizes)):
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
        check("activation", spec, ACTIVATION)  # once for all, and if there is no layer for it
        specs = [spec] * n_layers
    for g in specs if isinstance(spec, (list, tuple)) else ():
        check("activation", g, ACTIVATION)
    return [plain(g, ACTIVATION) for g in specs]


@cache
def _activation_of_name(name: str) -> Any:
    return ACTIVATIONS[name]()


def resolve_activation(spec: Any) -> Any:
    """The activation object of a name or of a user's own object."""
    if isinstance(spec, str):
        return _activation_of_name(spec)
    for attribute, values in ACTIVATION_ATTRIBUTES.items():
        value = getattr(spec, attribute, values[0])
        if not (isinstance(value, str) and value in values):
            raise ValueError(
                f"the {attribute} of an activation must be one of "
                f"{', '.join(map(repr, values))}; got {shown(value)}"
            )
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
    """The optimizer of ``solver``; None for a full-batch solver, which is no update rule."""
    spec = params["solver"]
    if is_full_batch(spec):
        return None
    return _make(OPTIMIZERS[spec], params) if isinstance(spec, str) else spec


def first_state(optimizer: Any, theta: np.ndarray) -> dict[str, Any]:
    """The optimizer's state at the start."""
    state = {} if optimizer is None else optimizer.init(theta)
    if not isinstance(state, dict):
        raise TypeError(f"the init() of solver must give a dict; it gave {shown(state)}")
    return state


def resolve_schedule(params: dict[str, Any]) -> Any:
    """The schedule of ``learning_rate``."""
    spec = params["learning_rate"]
    if isinstance(spec, str):
        return _make(SCHEDULES[spec], params)
    if isinstance(spec, tuple(SCHEDULES.values())):
        return spec
    try:
        signature(spec).bind(0.0)  # not called: it may count its calls
    except TypeError as error:
        raise TypeError(f"learning_rate must be a function of progress; {error}") from error
    except ValueError:
        pass  # a function in C, which does not tell what it takes
    return OfProgress(spec)


def resolve_dtype(spec: Any, dtype: np.dtype) -> np.dtype:
    """The type of the weights: that of X unless ``dtype`` names another."""
    return dtype if spec is None else np.dtype(spec)


def seed_from(random_state: Any) -> int | None:
    """A seed for NumPy's newer generator, as scikit-learn's random_state says."""
    if isinstance(random_state, np.random.RandomState):
        return random_state.randint(2**31 - 1)
    return None if random_state is np.random else random_state
