"""Every bad input is refused by name, and the estimator is then what it was.

Tables of values, for each constructor parameter and for X, y and sample_weight. A value that a
table does not call good must raise a ValueError or TypeError that says which argument it is about;
a new parameter needs an entry, or a test fails.
"""

import datetime
import inspect
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own import classic
from scipy import sparse

from skbackprop import BackpropRegressor, fit_many
from skbackprop.parameters import FULL_BATCH

PARAMETERS = list(inspect.signature(BackpropRegressor).parameters)
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
LONGEST = 1500  # characters of a message


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.integers(-8, 8, (20, 3)) / 4  # whole quarters: float16 and text hold them
    return X, X[:, 0] - X[:, 1] * X[:, 2]


def state(model):
    """Everything an estimator holds, as bytes."""
    return pickle.dumps(vars(model))


def refused(model, call, *names):
    """The message with which `call` fails, which names one of the names and leaves no trace."""
    before = state(model)
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert caught.type in (ValueError, TypeError)  # no subclass of somebody else's
    assert any(name in message for name in names), message
    assert len(message) < LONGEST
    assert state(model) == before
    return message


# ----- constructor parameters ------------------------------------------------------------


class BadRepr:
    def __repr__(self):
        raise RuntimeError("a repr that fails")


class BadEqual:
    def __eq__(self, other):
        raise RuntimeError("a comparison that fails")

    __hash__ = None


class HalfProtocol:
    def value(self, *args, **kwargs):
        return 0

    def init(self, theta):
        return {}


class Anything:
    """Has every method, as a mock has, and they give None."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


STRANGE = {
    "True": True, "np.True_": np.True_, "-1": -1, "-0.5": -0.5, "0": 0, "0.5": 0.5, "1": 1,
    "2": 2, "1.5": 1.5, "nan": float("nan"), "inf": float("inf"), "-inf": -float("inf"),
    "1e308": 1e308, "1e-320": 1e-320, "2**31": 2**31, "2**63": 2**63, "10**30": 10**30,
    "10**400": 10**400, "10**6000": 10**6000, "-10**400": -(10**400),
    "''": "", "'nope'": "nope", "'1'": "1", "'1.5'": "1.5", "'64-'": "64-", "'-64'": "-64",
    "'0'": "0", "'10**3'": "10**3", "'²'": "²", "digits": "1" * 5000, "text": "x" * 10**6,
    "b''": b"", "b'adam'": b"adam", "np.str_": np.str_("nope"), "'f2'": "float16", "'>f8'": ">f8",
    "None": None, "[]": [], "[1]": [1], "[1, 2]": [1, 2], "()": (), "(1,)": (1,),
    "((1, 2), 3)": ((1, 2), 3), "[[1]]": [[1]], "[None]": [None], "[['relu']]": [["relu"]],
    "['relu']": ["relu"], "['relu', 'relu']": ["relu", "relu"], "['nope']": ["nope"],
    "[10**400]": [10**400], "(2.5,)": (2.5,), "('a',)": ("a",), "(nan,)": (float("nan"),),
    "(True,)": (True,), "(0,)": (0,), "(-1,)": (-1,), "(10**6, 10**6)": (10**6, 10**6),
    "(10**30,)": (10**30,), "{}": {}, "{'a': 1}": {"a": 1}, "set()": set(), "{1}": {1},
    "range": range(1, 3), "slice": slice(1), "...": ..., "NotImplemented": NotImplemented,
    "iterator": iter([1]), "object": object(), "object type": object, "int type": int,
    "np.int64 type": np.int64, "np.float16 type": np.float16, "np.float32 type": np.float32,
    "half": HalfProtocol(), "anything": Anything(), "bad repr": BadRepr(), "bad eq": BadEqual(),
    "no arguments": lambda: 1, "gives None": lambda *args: None, "gives text": lambda *args: "a",
    "gives nan": lambda *args: float("nan"),
    "array(1)": np.array(1), "array(1.5)": np.array(1.5), "array('adam')": np.array("adam"),
    "array([1])": np.array([1]), "array([1, 2])": np.array([1, 2]), "array([])": np.array([]),
    "array([1.5])": np.array([1.5]), "long array": np.zeros(10**6),
    "object array": np.array([1, None], object), "list of arrays": [np.ones(2), np.ones((2, 2))],
    "masked": np.ma.masked, "masked array": np.ma.array([1, 2], mask=[True, False]),
    "1j": 1j, "np.complex128": np.complex128(1), "Decimal": Decimal("0.5"),
    "Decimal NaN": Decimal("NaN"), "Fraction": Fraction(1, 2), "datetime64": np.datetime64("2026"),
    "timedelta64": np.timedelta64(1, "s"), "date": datetime.date(2026, 1, 1),
    "longdouble inf": np.longdouble("inf"), "float32 nan": np.float32("nan"),
    "generator": np.random.default_rng(0),
}  # fmt: skip

BOOLEAN = {"True", "np.True_"}
SHARE = {"0.5", "1e-320", "Fraction"}  # from 0 to 1, without the ends
POSITIVE = SHARE | {"1", "1.5", "2", "1e308", "2**31", "2**63", "10**30"}
COUNT = {"1", "2", "2**31", "2**63", "10**30"}
SIZES = {"1", "2", "''", "'1'", "[]", "[1]", "[1, 2]", "()", "(1,)", "range"}
ARRAYS_OF_SIZES = {"array(1)", "array([1])", "array([1, 2])", "array([])"}

FILES = "nope", "1", "1.5", "64-", "-64", "0", "10**3", "²", "f2", ">f8"

# What each parameter takes of the strange values. It may still fail by name, as steps of 1e308 do.
ACCEPTED = {
    "loss": set(),
    "hidden_layer_sizes": SIZES | ARRAYS_OF_SIZES,
    "activation": {"['relu']"},
    "solver": set(),
    "alpha": POSITIVE | {"0"},
    "batch_size": COUNT,
    "learning_rate": set(),
    "learning_rate_init": POSITIVE,
    "power_t": POSITIVE | {"0"},
    "max_iter": COUNT,
    "shuffle": BOOLEAN,
    "random_state": {"0", "1", "2", "2**31", "None"},
    "tol": POSITIVE | {"0"},
    "verbose": BOOLEAN | COUNT | {"0"},
    "warm_start": BOOLEAN,
    "momentum": SHARE | {"0", "1"},
    "nesterovs_momentum": BOOLEAN,
    "early_stopping": BOOLEAN,
    "validation_fraction": SHARE,
    "beta_1": SHARE | {"0"},
    "beta_2": SHARE | {"0"},
    "epsilon": POSITIVE,
    "n_iter_no_change": COUNT | {"inf", "longdouble inf"},
    "max_fun": COUNT,
    "output_activation": {"None"},
    "fit_intercept": BOOLEAN,
    "standardize": BOOLEAN,
    "dropout": SHARE | {"0"},
    "clip_norm": POSITIVE | {"None"},
    "quantile": SHARE,
    "dtype": {"None", "np.float32 type"},
    "scoring": {"None", "gives nan"},  # NaN is what scikit-learn's give where there is no score
    "max_time": POSITIVE | {"None"},
    "checkpoint": {"None", "np.str_"} | {f"'{name}'" for name in FILES},
    "checkpoint_every": COUNT,
    "n_networks": COUNT,
    "n_bins": COUNT | {"0"},
    "parametrization": set(),
}  # fmt: skip
# What makes a parameter count that others leave alone.
WITH = {
    "scoring": {"early_stopping": True},
    "validation_fraction": {"early_stopping": True},
    "n_iter_no_change": {"early_stopping": True},
    "power_t": {"learning_rate": "invscaling"},
    "momentum": {"solver": "sgd"},
    "nesterovs_momentum": {"solver": "sgd"},
    "max_fun": {"solver": "lbfgs"},
    "quantile": {"loss": "quantile"},
    "n_bins": {"standardize": "robust"},
}


def test_every_parameter_has_an_entry():
    assert list(ACCEPTED) == PARAMETERS
    assert set(GOOD) == set(PARAMETERS)


def with_value(name, value):
    return classic(**{**SMALL, **WITH.get(name, {}), name: value})


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Names of files are those of a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_strange_value_is_refused_by_the_parameter_s_name(data, name, value, in_a_folder):
    model = with_value(name, STRANGE[value])
    before = dict(vars(model))
    try:
        model.fit(*data)
    except (ValueError, TypeError) as error:
        assert type(error) in (ValueError, TypeError)
        blamed = {name, "learning_rate_init"} if value in ACCEPTED[name] else {name}
        # An activation does not know which layer it is given to.
        blamed |= {"an activation"} if name == "output_activation" else set()
        assert any(one in str(error) for one in blamed), error
        assert len(str(error)) < LONGEST
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is before[key] for key in before)
    else:
        assert value in ACCEPTED[name]
        assert np.isfinite(model.predict(data[0])).all()


# A good value of each parameter in Python's type, and the same one as NumPy's.
INTEGERS = (np.int8, np.uint8, np.int32, np.int64)
REALS = (np.float16, np.float32, np.float64, np.longdouble)
BOOLEANS = (np.bool_,)
TEXT = (np.str_,)
GOOD = {
    "loss": [("huber", TEXT)],
    "hidden_layer_sizes": [(4, INTEGERS), ("4-2", TEXT)],
    "activation": [("tanh", TEXT)],
    "solver": [("rmsprop", TEXT), ("lbfgs", TEXT)],
    "alpha": [(0.5, REALS), (1, INTEGERS)],
    "batch_size": [(7, INTEGERS), ("auto", TEXT)],
    "learning_rate": [("cosine", TEXT)],
    "learning_rate_init": [(0.0625, REALS), (1, INTEGERS)],
    "power_t": [(0.75, REALS), (1, INTEGERS)],
    "max_iter": [(3, INTEGERS)],
    "shuffle": [(False, BOOLEANS)],
    "random_state": [(7, INTEGERS)],
    "tol": [(0.5, REALS), (0, INTEGERS)],
    "verbose": [(False, BOOLEANS), (0, INTEGERS)],
    "warm_start": [(True, BOOLEANS)],
    "momentum": [(0.5, REALS), (1, INTEGERS)],
    "nesterovs_momentum": [(False, BOOLEANS)],
    "early_stopping": [(True, BOOLEANS)],
    "validation_fraction": [(0.25, REALS)],
    "beta_1": [(0.5, REALS), (0, INTEGERS)],
    "beta_2": [(0.5, REALS), (0, INTEGERS)],
    "epsilon": [(0.5, REALS), (1, INTEGERS)],
    "n_iter_no_change": [(1, INTEGERS), (float("inf"), REALS)],
    "max_fun": [(2, INTEGERS)],
    "output_activation": [("softplus", TEXT)],
    "fit_intercept": [(False, BOOLEANS)],
    "standardize": [(False, BOOLEANS)],
    "dropout": [(0.25, REALS), (0, INTEGERS)],
    "clip_norm": [(0.125, REALS), (1, INTEGERS)],
    "quantile": [(0.25, REALS)],
    "dtype": [("float32", (*TEXT, np.dtype)), ("float64", TEXT)],
    "scoring": [("r2", TEXT), ("loss", TEXT)],
    "max_time": [(1000, (*INTEGERS[2:], np.float64))],
    "checkpoint": [],  # which a warm start refuses, and the model does not keep
    "checkpoint_every": [(2, INTEGERS)],
    "n_networks": [(3, INTEGERS), ("auto", TEXT)],
    "n_bins": [(2, INTEGERS), ("auto", TEXT)],
    "parametrization": [("neural_tangent", TEXT)],
}


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [(name, value, kind) for name in GOOD for value, kinds in GOOD[name] for kind in kinds],
)
def test_numpy_s_scalars_give_what_python_s_give(data, name, value, kind):
    results = []
    for given_value in (value, kind(value)):
        model = with_value(name, given_value).fit(*data)
        after = model.theta_.copy(), list(model.loss_curve_)
        # The types must not stand in the way of going on, nor of a stored model.
        model = pickle.loads(pickle.dumps(model)).set_params(**{"warm_start": True, name: value})
        results.append((*after, model.fit(*data).predict(data[0])))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize(
    ("together", "names"),
    [
        ({"solver": "lbfgs", "dropout": 0.5}, ("dropout", "lbfgs")),
        ({"solver": "lbfgs", "clip_norm": 1.0}, ("clip_norm", "lbfgs")),
        ({"solver": "lm", "dropout": 0.5}, ("dropout", "lm")),
        ({"solver": "lm", "clip_norm": 1.0}, ("clip_norm", "lm")),
        ({"loss": "huber", "solver": "lm"}, ("loss", "solver", "lm")),
        ({"loss": "poisson", "output_activation": "identity"}, ("loss", "output_activation")),
        ({"loss": "gamma", "output_activation": "tanh"}, ("loss", "output_activation")),
        ({"activation": ["relu"], "hidden_layer_sizes": (2, 2)}, ("activation", "hidden layers")),
        ({"activation": [], "hidden_layer_sizes": (2,)}, ("activation", "hidden layers")),
        ({"early_stopping": True, "validation_fraction": 0.01}, ("validation_fraction", "too sm")),
        ({"early_stopping": True, "validation_fraction": 0.99}, ("validation_fraction", "too sm")),
        ({"early_stopping": True, "scoring": "roc_auc"}, ("scoring", "")),
    ],
)
def test_parameters_that_cannot_go_together_are_both_named(data, together, names):
    model = classic(**{**SMALL, **together})
    message = refused(model, lambda: model.fit(data[0], abs(data[1]) + 1), names[0])
    assert all(name in message for name in names)


def test_lbfgs_has_no_partial_fit_and_an_array_as_solver_is_no_reason_to_hide_it(data):
    assert not hasattr(classic(solver="lbfgs"), "partial_fit")
    model = classic(solver=np.array(["lbfgs", "adam"]))
    refused(model, lambda: model.partial_fit(*data), "solver")
    classic(loss=np.array(["gamma", "poisson"])).__sklearn_tags__()


def own(**methods):
    return type("Own", (), {name: staticmethod(method) for name, method in methods.items()})()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", own(value=lambda A, Y, weight=None: 1.0)),
        ("loss", own(value=lambda A, Y, weight=None: None, derivative=lambda A, *rest: A)),
        ("loss", own(value=lambda A, Y, weight=None: 1j, derivative=lambda A, *rest: A)),
        ("loss", own(value=lambda A, Y, weight=None: 1.0, derivative=lambda *args: None)),
        ("loss", own(value=lambda A, Y, weight=None: 1.0, derivative=lambda A, *rest: A.T[:1, :2])),
        ("activation", own(value=lambda Z, out=None: Z)),
        ("activation", own(value=lambda Z, out=None: Z[:, :2], derivative=lambda Z, A, out: Z)),
        ("activation", own(value=lambda Z, out=None: "a", derivative=lambda Z, A, out: Z)),
        ("activation", own(value=lambda Z, out=None: Z, derivative=lambda Z, A, out: "a")),
        ("solver", own(init=lambda theta: {})),
        ("solver", own(init=lambda theta: None, step=lambda *args: None)),
        ("solver", own(init=lambda theta: [theta], step=lambda *args: None)),
        ("learning_rate", lambda progress: None),
        ("learning_rate", lambda progress: "fast"),
        ("learning_rate", lambda progress: float("nan")),
        ("learning_rate", lambda progress: 1j),
        ("learning_rate", lambda progress: [1.0]),
        ("learning_rate", lambda: 1.0),
        ("learning_rate", lambda progress, rate: 1.0),
        ("scoring", lambda model, X, y: None),
        ("scoring", lambda model, X, y: "good"),
        ("scoring", lambda model, X, y: np.ones(2)),
    ],
)
def test_half_a_protocol_is_refused_by_name(data, name, value):
    model = with_value(name, value)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=name):
        model.fit(*data)
    assert vars(model) == before


def test_an_activation_s_attributes_are_checked(data):
    g = own(value=lambda Z, out=None: Z, derivative=lambda Z, A, out: np.ones_like(Z))
    for name in ("initialization", "output"):
        type(g).initialization, type(g).output = "he", "any"
        model = classic(activation=g, **SMALL).fit(*data)
        setattr(type(g), name, "nope")
        with pytest.raises(ValueError, match=f"{name} of an activation must be one of"):
            model.fit(*data)


# ----- X ---------------------------------------------------------------------------------


def cells(X, value, dtype=object):
    """X with one cell that is something else."""
    X = X.astype(dtype)
    X[3, 1] = value
    return X


def masked(M, mask=None):
    mask = np.zeros(M.shape, bool) if mask is None else mask
    return np.ma.array(M, mask=mask)


def one_mask(M):
    mask = np.zeros(M.shape, bool)
    mask.flat[1] = True
    return masked(M, mask)


def frame(X, kind=pd.DataFrame):
    return kind({f"c{k}": column for k, column in enumerate(X.T)})


def columns(X, column):
    """A data frame whose last column is something else."""
    return frame(X).assign(c2=column)


def dates(n, kind="M8[D]"):
    return (np.arange(n) + 7).astype(kind)


SPARSE = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")

BAD_X = {
    "None": lambda X: None,
    "number": lambda X: 3.0,
    "text": lambda X: "table",
    "bytes": lambda X: b"table",
    "dict": lambda X: {"a": 1},
    "set": lambda X: {1, 2},
    "generator": lambda X: (row for row in X),
    "object": lambda X: object(),
    "type": lambda X: np.ndarray,
    "function": lambda X: len,
    "0-d": lambda X: np.array(1.0),
    "1-d": lambda X: X[:, 0],
    "long 1-d": lambda X: np.arange(1000.0),
    "3-d": lambda X: X[:, :, None],
    "empty list": lambda X: [],
    "list of empty lists": lambda X: [[], []],
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "ragged": lambda X: [[1, 2, 3], [1, 2]],
    "ragged objects": lambda X: np.array([[1, 2, 3], [1, 2]], object),
    "np.matrix": lambda X: np.asmatrix(X),
    "inf": lambda X: cells(X, np.inf, np.float32),
    "float16 inf": lambda X: cells(X, np.inf, np.float16),
    "longdouble beyond float64": lambda X: cells(X, np.longdouble("1e4000"), np.longdouble),
    "complex": lambda X: X + 1j,
    "complex list": lambda X: (X + 1j).tolist(),
    "long complex": lambda X: np.ones((1000, 3), complex),
    "complex cell": lambda X: cells(X, 1j),
    "datetime64": lambda X: dates(60).reshape(20, 3),
    "timedelta64": lambda X: dates(60, "m8[s]").reshape(20, 3),
    "list of datetime64": lambda X: dates(60).reshape(20, 3).tolist(),
    "list of lists of datetime64": lambda X: [list(row) for row in dates(60).reshape(20, 3)],
    "datetime64 cell": lambda X: cells(X, np.datetime64("2026")),
    "timedelta64 cell": lambda X: cells(X, np.timedelta64(3)),
    "datetime cell": lambda X: cells(X, datetime.datetime(2026, 1, 1)),
    "timedelta cell": lambda X: cells(X, datetime.timedelta(3)),
    "Timestamp cell": lambda X: cells(X, pd.Timestamp("2026")),
    "NaT": lambda X: cells(X, pd.NaT),
    "text cell": lambda X: cells(X, "a"),
    "empty text": lambda X: cells(X, ""),
    "list cell": lambda X: cells(X, [1, 2]),
    "dict cell": lambda X: cells(X, {}),
    "array cell": lambda X: cells(X, np.ones(2)),
    "Decimal sNaN": lambda X: cells(X, Decimal("sNaN")),
    "Decimal beyond": lambda X: cells(X, Decimal("1e400")),
    "integer beyond": lambda X: cells(X, 10**400),
    "Fraction beyond": lambda X: cells(X, Fraction(10**400)),
    "list with an integer beyond": lambda X: cells(X, 10**400).tolist(),
    "words": lambda X: np.array([["a", "b", "c"]] * 20),
    "bytes words": lambda X: np.array([[b"a", b"b", b"c"]] * 20),
    "structured": lambda X: np.zeros((20, 3), [("a", float)]),
    "structured 1-d": lambda X: np.zeros(20, [("a", float), ("b", float), ("c", float)]),
    "void": lambda X: np.zeros((20, 3), "V8"),
    "masked": lambda X: one_mask(X),
    "all masked": lambda X: masked(X, np.ones(X.shape, bool)),
    "masked float32": lambda X: one_mask(X.astype(np.float32)),
    "masked integers": lambda X: one_mask(X.astype(int)),
    "list of masked rows": lambda X: [one_mask(row) for row in X],
    "sparse NaN": lambda X: sparse.csr_array(cells(X, np.nan, float)),
    "sparse inf": lambda X: sparse.coo_array(cells(X, np.inf, float)),
    "sparse complex": lambda X: sparse.csr_array(X + 1j),
    "sparse no rows": lambda X: sparse.csr_array((0, 3)),
    "frame dates": lambda X: frame(dates(60).reshape(20, 3)),
    "frame date column": lambda X: columns(X, pd.date_range("2026", periods=20)),
    "frame dates with zone": lambda X: columns(X, pd.date_range("2026", periods=20, tz="UTC")),
    "frame only dates with zone": lambda X: pd.DataFrame(
        {f"c{k}": pd.date_range("2026", periods=20, tz="UTC") for k in range(3)}
    ),
    "frame spans": lambda X: columns(X, pd.to_timedelta(np.arange(20), unit="s")),
    "frame periods": lambda X: columns(X, pd.period_range("2026", periods=20)),
    "frame complex": lambda X: columns(X, 1j),
    "Series": lambda X: pd.Series(X[:, 0]),
    "polars dates": lambda X: frame(X, pl.DataFrame).with_columns(
        pl.lit(datetime.date(2026, 1, 1)).alias("c2")
    ),
    "polars spans": lambda X: frame(X, pl.DataFrame).with_columns(
        pl.lit(datetime.timedelta(1)).alias("c2")
    ),
    "polars times": lambda X: frame(X, pl.DataFrame).with_columns(
        pl.lit(datetime.time(1)).alias("c2")
    ),
    "polars lists": lambda X: frame(X, pl.DataFrame).with_columns(
        pl.Series("c2", [[1, 2]] * 20)
    ),
    "polars Series": lambda X: pl.Series("c", X[:, 0]),
}  # fmt: skip

# Refused by a model that was fitted on numbers.
OF_LEVELS = {
    "frame words": lambda X: columns(X, "a"),
    "frame categories": lambda X: columns(X, pd.Categorical(["a", "b"] * 10)),
    "polars words": lambda X: frame(X, pl.DataFrame).with_columns(pl.lit("a").alias("c2")),
    "polars categories": lambda X: frame(X, pl.DataFrame).with_columns(
        pl.lit("a").cast(pl.Categorical).alias("c2")
    ),
}

MISSING_X = {
    "NaN": lambda X: cells(X, np.nan, float),
    "None cell": lambda X: cells(X, None),
    "Decimal NaN": lambda X: cells(X, Decimal("NaN")),
    "frame NaN": lambda X: columns(X, np.nan),
    "frame NA": lambda X: columns(X, pd.array([None] + [1] * 19, "Int64")),
    "frame Float64 NA": lambda X: columns(X, pd.array([None] + [1.0] * 19, "Float64")),
    "frame boolean NA": lambda X: columns(X, pd.array([None] + [True] * 19, "boolean")),
    "frame objects": lambda X: columns(X, [None] * 20),
    "polars null": lambda X: frame(X, pl.DataFrame).with_columns(pl.lit(None).alias("c2")),
}


@pytest.fixture(scope="module")
def fitted(data):
    return pickle.dumps(classic(**SMALL).fit(*data))


# scikit-learn's own warnings where a frame's columns have names and an array's have none: the
# case is what the estimator does, and they are right.
NAMES_MISSING = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "X has feature names",
        "X does not have valid feature names",
        "the matrix subclass",
    )
]


def other_names(test):
    """A test that gives frames to what was fitted on arrays."""
    for mark in NAMES_MISSING:
        test = mark(test)
    return test


@other_names
@pytest.mark.parametrize("kind", BAD_X)
def test_a_bad_X_is_refused_by_name(data, fitted, kind):
    X, y = data
    for model in (classic(**SMALL), pickle.loads(fitted)):
        warm = pickle.loads(pickle.dumps(model)).set_params(warm_start=True)
        refused(model, lambda model=model: model.fit(BAD_X[kind](X), y), "X")
        refused(model, lambda model=model: model.partial_fit(BAD_X[kind](X), y), "X")
        refused(warm, lambda warm=warm: warm.fit(BAD_X[kind](X), y), "X")
        refused(model, lambda m=model: fit_many([m], BAD_X[kind](X), y), "X")
        if hasattr(model, "theta_"):
            refused(model, lambda model=model: model.predict(BAD_X[kind](X)), "X")
            refused(model, lambda model=model: model.score(BAD_X[kind](X), y), "X")
        given_X = BAD_X[kind](X)
        if given_X is not None:
            refused(model, lambda m=model, v=given_X: m.fit(X, y, X_val=v, y_val=y), "X_val")


@other_names
@pytest.mark.parametrize("kind", OF_LEVELS)
def test_levels_are_refused_where_there_were_numbers(data, fitted, kind):
    (X, y), model, given_X = data, pickle.loads(fitted), OF_LEVELS[kind](data[0])
    warm = pickle.loads(fitted).set_params(warm_start=True)
    for name, call in {
        "X": lambda: model.predict(given_X),
        "X:": lambda: model.partial_fit(given_X, y),
        "X: column": lambda: fit_many([warm], given_X, y),
        "X_val": lambda: model.fit(X, y, X_val=given_X, y_val=y),
    }.items():
        message = refused(model, call, name)
        assert "'c2' holds text or categories, and in fit it held numbers" in message
    classic(**SMALL).fit(given_X, y, X_val=given_X, y_val=y)


@other_names
@pytest.mark.parametrize("kind", MISSING_X)
def test_missing_cells_are_no_bad_X_but_of_raw_numbers(data, fitted, kind):
    X, y = data
    model, given_X = pickle.loads(fitted), MISSING_X[kind](X)
    assert np.isfinite(model.predict(given_X)).all()
    assert np.isfinite(model.partial_fit(given_X, y).predict(given_X)).all()
    assert np.isfinite(classic(**SMALL).fit(given_X, y).predict(given_X)).all()
    raw = classic(**SMALL, standardize=False)
    for fit in (raw.fit, raw.partial_fit):
        assert "standardize=False" in refused(raw, lambda fit=fit: fit(given_X, y), "X")
    raw.fit(X, y)
    assert "standardize=False" in refused(raw, lambda: raw.predict(given_X), "X")
    refused(raw, lambda: raw.fit(X, y, X_val=given_X, y_val=y), "X_val")


def test_messages_say_what_to_do():
    X, y = np.ones((20, 3)), np.ones(20)
    for message, table in {
        "X has masked cells.*leave those rows out.*numpy.ma.filled": one_mask(X),
        "X must hold numbers; it has dates.*timedelta64": dates(60).reshape(20, 3),
        "dates or spans of time in column 'b': make": pd.DataFrame({"a": y, "b": dates(20)}),
        "of time in column 'c': make": pl.DataFrame({"a": y, "c": dates(20)}),
        "X: could not convert.*'red'.*columns of a data frame": np.array(
            [["red", 1.0]] * 20, object
        ),
        "X: could not convert.*'blue'.*columns of a data frame": [["blue", 1.0]] * 20,
        "Complex data not supported: X": X + 1j,
    }.items():
        with pytest.raises((ValueError, TypeError), match=message):
            classic().fit(table, y)


GOOD_X = {
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X)),
    "list of rows": list,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "big-endian": lambda X: X.astype(">f8"),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "objects": lambda X: X.astype(object),
    "Decimals": lambda X: np.vectorize(Decimal, otypes=[object])(X),
    "Fractions": lambda X: np.vectorize(Fraction, otypes=[object])(X),
    "text of numbers": lambda X: X.astype(str),  # scikit-learn's own custom
    "bytes of numbers": lambda X: X.astype("S"),
    "no masked cell": masked,
    "no mask": np.ma.array,
    "memory map": lambda X: np.asarray(X).view(np.memmap),
    "frame": frame,
    "frame objects": lambda X: frame(X).astype(object),
    "frame nullable": lambda X: frame(X).astype("Float64"),
    "polars": lambda X: frame(X, pl.DataFrame),
    **{
        f"{form} {kind}": lambda X, form=form, kind=kind: getattr(sparse, f"{form}_{kind}")(X)
        for form in SPARSE
        for kind in ("array", "matrix")
    },
}


def with_long_indices(X):
    S = sparse.csr_array(X)
    S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    return S


GOOD_X["int64 indices"] = with_long_indices
GOOD_X["duplicate entries"] = lambda X: sparse.coo_array(
    (np.repeat(X.ravel() / 2, 2), np.repeat(np.indices(X.shape).reshape(2, -1), 2, axis=1)),
    shape=X.shape,
)


@other_names
@pytest.mark.parametrize("kind", GOOD_X)
def test_a_good_X_is_the_table_it_holds(data, fitted, kind):
    X, y = data
    given_X = GOOD_X[kind](X)
    model = classic(**SMALL).fit(given_X, y).partial_fit(given_X, y)
    expected = classic(**SMALL).fit(X, y).partial_fit(X, y)
    np.testing.assert_allclose(model.predict(given_X), expected.predict(X), rtol=1e-9)
    np.testing.assert_allclose(
        pickle.loads(fitted).predict(given_X), pickle.loads(fitted).predict(X), rtol=1e-12
    )


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_])
def test_whole_numbers_are_numbers(data, kind):
    X = (data[0] > 0).astype(kind)
    model = classic(**SMALL).fit(X, data[1])
    expected = classic(**SMALL).fit(X.astype(float), data[1])
    np.testing.assert_array_equal(model.predict(X), expected.predict(X.astype(float)))


def test_one_row_one_column_and_equal_rows(data):
    X, y = data
    for table, targets in ((X[:1], y[:1]), (X[:, :1], y), (np.ones_like(X), y), (X, 0 * y + 7)):
        model = classic(**SMALL).fit(table, targets)
        assert np.isfinite(model.predict(table)).all()


# ----- data frames ----------------------------------------------------------------------

CHANGED_COLUMNS = {
    "missing": lambda F: F[["c0", "c1"]],
    "extra": lambda F: F.assign(c3=1.0),
    "reordered": lambda F: F[["c2", "c0", "c1"]],
    "renamed": lambda F: F.rename(columns={"c1": "other"}),
    "duplicated": lambda F: F[["c0", "c1", "c1"]],
    "all others": lambda F: F.rename(columns=str.upper),
}


@pytest.mark.parametrize("kind", CHANGED_COLUMNS)
@pytest.mark.parametrize("as_polars", [False, True])
def test_columns_are_those_of_fit(data, kind, as_polars):
    X, y = data
    if as_polars and kind == "duplicated":
        pytest.skip("polars has no duplicated names")

    def of_kind(F):
        return pl.DataFrame({name: F[name].to_numpy() for name in F}) if as_polars else F

    model = classic(**SMALL).fit(of_kind(frame(X)), y)
    if not hasattr(model, "feature_names_in_") and kind not in ("missing", "extra"):
        pytest.skip("this scikit-learn does not read the names of such a frame")
    changed = of_kind(CHANGED_COLUMNS[kind](frame(X)))
    refused(model, lambda: model.predict(changed), "X")
    refused(model, lambda: model.score(changed, y), "X")
    refused(model, lambda: model.partial_fit(changed, y), "X")
    refused(model, lambda: model.fit(of_kind(frame(X)), y, X_val=changed, y_val=y), "X_val")
    model.set_params(warm_start=True)
    refused(model, lambda: model.fit(changed, y), "X")
    if kind != "duplicated":  # a new start is free to have other columns
        model.set_params(warm_start=False).fit(changed, y)


def test_other_numbers_of_columns_are_refused(data):
    X, y = data
    model = classic(**SMALL).fit(X, y)
    for other in (X[:, :2], np.hstack([X, X]), sparse.csr_array(X[:, :2])):
        assert "3" in refused(model, lambda other=other: model.predict(other), "X has")
        refused(model, lambda other=other: model.partial_fit(other, y), "X has")


# ----- y --------------------------------------------------------------------------------

BAD_Y = {
    "None": lambda y: None,
    "number": lambda y: 3.0,
    "text": lambda y: "y",
    "dict": lambda y: {"a": 1},
    "set": lambda y: {1.0},
    "generator": lambda y: (v for v in y),
    "0-d": lambda y: np.array(1.0),
    "3-d": lambda y: y[:, None, None],
    "no columns": lambda y: np.empty((len(y), 0)),
    "empty": lambda y: [],
    "too short": lambda y: y[1:],
    "too long": lambda y: np.append(y, 1),
    "a row of them": lambda y: y[None],
    "ragged": lambda y: [[1.0, 2.0]] + [[1.0]] * (len(y) - 1),
    "np.matrix": lambda y: np.asmatrix(y).T,
    "sparse": lambda y: sparse.csr_array(y[:, None]),
    "NaN": lambda y: cells(y[:, None].repeat(2, 1), np.nan, float),
    "inf": lambda y: np.where(np.arange(len(y)) == 2, np.inf, y),
    "float32 inf": lambda y: np.where(np.arange(len(y)) == 2, np.inf, y).astype(np.float32),
    "longdouble beyond float64": lambda y: y + np.longdouble("1e4000"),
    "complex": lambda y: y + 1j,
    "complex list": lambda y: (y + 1j).tolist(),
    "complex cell": lambda y: np.array([1j, *y[1:]], object),
    "words": lambda y: np.array(["a"] * len(y)),
    "text of numbers": lambda y: y.astype(str),
    "objects of text": lambda y: y.astype(str).astype(object),
    "Series of text": lambda y: pd.Series(y).astype(str),
    "bytes of numbers": lambda y: y.astype("S"),
    "word": lambda y: np.array(["a", *y[1:]], object),
    "None cell": lambda y: np.array([None, *y[1:]], object),
    "list cell": lambda y: [[1], *y[1:]],
    "integer beyond": lambda y: [10**400, *y[1:]],
    "Decimal NaN": lambda y: [Decimal("NaN"), *y[1:]],
    "datetime64": lambda y: dates(len(y)),
    "timedelta64": lambda y: dates(len(y), "m8[s]"),
    "list of datetime64": lambda y: list(dates(len(y))),
    "timedelta64 cell": lambda y: np.array([np.timedelta64(1), *y[1:]], object),
    "dates": lambda y: [datetime.date(2026, 1, 1)] * len(y),
    "structured": lambda y: np.zeros(len(y), [("a", float)]),
    "void": lambda y: np.zeros(len(y), "V8"),
    "masked": one_mask,
    "masked columns": lambda y: one_mask(y[:, None]),
    "Series NA": lambda y: pd.Series(pd.array([None, *y[1:]], "Float64")),
    "Series dates": lambda y: pd.Series(pd.date_range("2026", periods=len(y))),
    "Series with zone": lambda y: pd.Series(pd.date_range("2026", periods=len(y), tz="UTC")),
    "Series spans": lambda y: pd.Series(pd.to_timedelta(np.arange(len(y)), unit="s")),
    "Series words": lambda y: pd.Series(["a"] * len(y)),
    "Series categories": lambda y: pd.Series(["a", "b"] * (len(y) // 2), dtype="category"),
    "polars null": lambda y: pl.Series([None, *y[1:]]),
    "polars dates": lambda y: pl.Series([datetime.date(2026, 1, 1)] * len(y)),
    "polars words": lambda y: pl.Series(["a"] * len(y)),
}


@other_names
@pytest.mark.parametrize("kind", BAD_Y)
def test_a_bad_y_is_refused_by_name(data, fitted, kind):
    X, y = data
    for model in (classic(**SMALL), pickle.loads(fitted)):
        warm = pickle.loads(pickle.dumps(model)).set_params(warm_start=True)
        for fit in (model.fit, model.partial_fit):
            message = refused(model, lambda fit=fit: fit(X, BAD_Y[kind](y)), "y")
            assert "y" in message.replace(",", " ").replace(":", " ").split()
        refused(warm, lambda warm=warm: warm.fit(X, BAD_Y[kind](y)), "y")
        refused(model, lambda m=model: fit_many([m], X, BAD_Y[kind](y)), "y")
        given_y = BAD_Y[kind](y)
        if given_y is not None:
            refused(model, lambda m=model, v=given_y: m.fit(X, y, X_val=X, y_val=v), "y_val")


GOOD_Y = {
    "list": lambda y: y.tolist(),
    "tuple": tuple,
    "float32": lambda y: y.astype(np.float32),
    "float16": lambda y: y.astype(np.float16),
    "longdouble": lambda y: y.astype(np.longdouble),
    "big-endian": lambda y: y.astype(">f8"),
    "objects": lambda y: y.astype(object),
    "Decimals": lambda y: [Decimal(v) for v in y],
    "Fractions": lambda y: np.array([Fraction(v) for v in y]),
    "no masked cell": masked,
    "strided": lambda y: y.repeat(2)[::2],
    "Series": pd.Series,
    "Series nullable": lambda y: pd.Series(y, dtype="Float64"),
    "Series other index": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "polars": pl.Series,
}


@pytest.mark.parametrize("kind", GOOD_Y)
def test_a_good_y_is_the_numbers_it_holds(data, kind):
    X, y = data
    model = classic(**SMALL).fit(X, GOOD_Y[kind](y)).partial_fit(X, GOOD_Y[kind](y))
    expected = classic(**SMALL).fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(model.theta_, expected.theta_)
    assert model.predict(X).shape == y.shape


def test_a_column_of_targets_keeps_its_shape(data):
    X, y = data
    for column in (y[:, None], pd.DataFrame({"y": y})):
        assert classic(**SMALL).fit(X, column).predict(X).shape == (len(y), 1)


# ----- sample_weight ----------------------------------------------------------------------

BAD_WEIGHT = {
    "negative": lambda w: np.append(w[1:], -1e-300),
    "-inf": lambda w: np.append(w[1:], -np.inf),
    "NaN": lambda w: np.append(w[1:], np.nan),
    "inf": lambda w: np.append(w[1:], np.inf),
    "all zero": lambda w: 0 * w,
    "all minus zero": lambda w: -0.0 * w,
    "too short": lambda w: w[1:],
    "too long": lambda w: np.append(w, 1),
    "empty": lambda w: [],
    "2-d": lambda w: w[:, None],
    "3-d": lambda w: w[:, None, None],
    "a row of them": lambda w: w[None],
    "0-d": lambda w: np.array(1.0),
    "number": lambda w: 2.0,
    "text": lambda w: "balanced",
    "dict": lambda w: {0: 1.0},
    "words": lambda w: ["a"] * len(w),
    "text of numbers": lambda w: w.astype(str),
    "complex": lambda w: w + 0j,
    "None cell": lambda w: [None, *w[1:]],
    "masked": one_mask,
    "datetime64": lambda w: dates(len(w)),
    "timedelta64": lambda w: dates(len(w), "m8[s]"),
    "timedelta64 cell": lambda w: np.array([np.timedelta64(1), *w[1:]], object),
    "sparse": lambda w: sparse.csr_array(w[:, None]),
    "integer beyond": lambda w: [10**400, *w[1:]],
    "sum beyond": lambda w: np.full(len(w), 1e308),
    "np.matrix": lambda w: np.asmatrix(w),
    "generator": lambda w: (v for v in w),
    "Series NA": lambda w: pd.Series(pd.array([None, *w[1:]], "Float64")),
    "Series spans": lambda w: pd.Series(pd.to_timedelta(np.arange(len(w)), unit="s")),
    "polars spans": lambda w: pl.Series([datetime.timedelta(1)] * len(w)),
}


@other_names
@pytest.mark.parametrize("kind", BAD_WEIGHT)
def test_bad_weights_are_refused_by_name(data, fitted, kind):
    X, y = data
    name, w = "sample_weight", np.ones(len(y))
    for model in (classic(**SMALL), pickle.loads(fitted)):
        warm = pickle.loads(pickle.dumps(model)).set_params(warm_start=True)
        for fit in (model.fit, model.partial_fit):
            refused(model, lambda fit=fit: fit(X, y, BAD_WEIGHT[kind](w)), name)
        refused(warm, lambda warm=warm: warm.fit(X, y, BAD_WEIGHT[kind](w)), name)
        refused(model, lambda m=model: fit_many([m], X, y, BAD_WEIGHT[kind](w)), name)
        validation = {"X_val": X, "y_val": y, "sample_weight_val": BAD_WEIGHT[kind](w)}
        refused(model, lambda m=model, v=validation: m.fit(X, y, **v), f"{name}_val")


GOOD_WEIGHT = {
    "list": lambda w: w.tolist(),
    "integers": lambda w: w.astype(int),
    "float32": lambda w: w.astype(np.float32),
    "longdouble": lambda w: w.astype(np.longdouble),
    "objects": lambda w: w.astype(object),
    "Decimals": lambda w: [Decimal(v) for v in w],
    "Series": pd.Series,
    "polars": pl.Series,
    "no masked cell": masked,
    "huge": lambda w: w * 2.0**1000,
    "tiny": lambda w: w * 2.0**-1000,
}


@pytest.mark.parametrize("kind", GOOD_WEIGHT)
def test_good_weights_are_the_numbers_they_are(data, kind):
    X, y = data
    w = np.arange(len(y)) % 3 + 0.0
    given_w, settings_ = GOOD_WEIGHT[kind](w), {**SMALL, "alpha": 0}
    model = classic(**settings_).fit(X, y, given_w).partial_fit(X, y, given_w)
    expected = classic(**settings_).fit(X, y, w).partial_fit(X, y, w)
    np.testing.assert_array_equal(model.theta_, expected.theta_)


def test_a_mask_of_the_rows_to_fit_is_a_weight(data):
    X, y = data
    mask = np.arange(len(y)) < 10
    model = classic(**SMALL).fit(X, y, mask)
    expected = classic(**SMALL).fit(X[:10], y[:10])
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-6)


# ----- anything at all --------------------------------------------------------------------

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**300, 10**320), st.floats(),
    st.complex_numbers(), st.text(max_size=3), st.binary(max_size=3),
    st.decimals(), st.fractions(), st.dates(), st.datetimes(), st.timedeltas(), st.times(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=1), st.none(), max_size=1),
    st.sampled_from([
        np.float32(1), np.float16(2), np.int8(3), np.bool_(True), np.str_("a"),
        np.datetime64("NaT"), np.timedelta64(1, "s"), np.longdouble(1), np.complex64(1),
        np.array(1.0), np.array([1.0]),
        pd.NA, pd.NaT, Ellipsis, object, sparse.csr_array(np.ones((1, 1))),
    ]),
)  # fmt: skip
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.integers(-9, 9), st.booleans(), ANYTHING)


def table_of(entries, shape):
    M = np.empty(len(entries), object)
    for k, entry in enumerate(entries):
        M[k] = entry
    return M.reshape(shape)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.lists(NUMBERS, min_size=3, max_size=3),
    st.lists(NUMBERS, min_size=3, max_size=3),
    st.sampled_from(["X", "y", "sample_weight"]),
    st.booleans(),
)
def test_objects_are_numbers_or_refused_by_name(entries, targets, weights, name, as_lists):
    good = {"X": np.arange(6.0).reshape(3, 2), "y": np.arange(3.0), "sample_weight": np.ones(3)}
    objects = {
        "X": table_of(entries, (3, 2)),
        "y": table_of(targets, 3),
        "sample_weight": table_of(weights, 3),
    }
    value = objects[name].tolist() if as_lists else objects[name]
    model = classic(hidden_layer_sizes=(2,), max_iter=1, random_state=0)
    before = dict(vars(model))
    try:
        model.fit(**{**good, name: value})
    except (ValueError, TypeError) as error:
        assert name in str(error), error
        assert len(str(error)) < LONGEST
        assert vars(model) == before
    else:
        assert np.isfinite(model.predict(good["X"])).all()


# ----- floating-point alarms ----------------------------------------------------------------

LARGE = np.finfo(np.float32).max / 2


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop", "lbfgs", "lm"])
@pytest.mark.parametrize(
    "extra",
    [{}, {"early_stopping": True}, {"loss": "poisson"}, {"dropout": 0.2}, {"activation": "gelu"}],
)
@pytest.mark.parametrize("kind", ["ordinary", "float32", "sparse", "frame"])
def test_alarms_of_numpy_are_not_set_off(data, solver, extra, kind):
    X, y = data
    X, y = np.tile(X, (2, 1)), abs(np.tile(y, 2))
    refuses = {"lbfgs": {"dropout"}, "lm": {"dropout", "loss"}}
    if extra.keys() & refuses.get(solver, set()):
        pytest.skip("which it refuses")
    given_X = {
        "ordinary": X, "float32": X.astype(np.float32), "sparse": sparse.csr_array(X),
        "frame": frame(X),
    }[kind]  # fmt: skip
    model = classic(solver=solver, **SMALL, **extra)
    with np.errstate(all="raise"):
        model.fit(given_X, y, np.ones(40), X_val=given_X, y_val=y)
        if solver not in FULL_BATCH:
            model.partial_fit(given_X, y)
        assert np.isfinite(model.predict(given_X)).all()


def test_large_float32_sets_off_no_alarm_in_the_checks(data):
    """scikit-learn looks for infinities by a sum, which may overflow or be inf - inf."""
    X = (data[0] * LARGE / 2).astype(np.float32)
    with np.errstate(all="raise"):
        model = classic(**SMALL).fit(X, data[1], X_val=X, y_val=data[1])
        model.partial_fit(X, data[1])
        assert np.isfinite(model.predict(X)).all()
        assert np.isfinite(model.predict(X[:1])).all()
        refused(model, lambda: model.predict(cells(X, np.inf, np.float32)), "X")
