"""Text and category columns of data frames, and missing values, from fit to file."""

import copy
import pickle
import subprocess
import sys
import types
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from allocation import peak_memory
from own import SEVERAL, classic
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skbackprop import BackpropRegressor, NetworkDisplay, check_gradients, fit_many
from skbackprop.columns import coded, may_have_levels
from skbackprop.gradient_flow import gradient_norms
from skbackprop.model import model_of
from skbackprop.products import gauss_newton_product

N = 240
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
UNBOUNDED = classic(**SMALL)
BOUNDED = BackpropRegressor(**SEVERAL | SMALL)
MODELS = pytest.mark.parametrize("model", [UNBOUNDED, BOUNDED], ids=["unbounded", "bounded"])

RNG = np.random.default_rng(0)
COLOUR = RNG.choice(["red", "green", "blue"], N).tolist()
SIZE = RNG.choice([10, 2], N).tolist()
AGE, FLAG = RNG.normal(40, 10, N), RNG.random(N) < 0.3
Y = AGE / 10 + np.array([{"red": 3.0, "green": 1.0, "blue": 0.0}[c] for c in COLOUR])
Y = Y + np.array(SIZE) / 4 + FLAG + 0.1 * RNG.normal(size=N)

# A column of levels, with None where one is missing.
COLUMNS = {
    "object": lambda v: pd.Series(v, dtype=object),
    "NaN among objects": lambda v: pd.Series([np.nan if x is None else x for x in v], dtype=object),
    "str": lambda v: pd.Series(v),
    "string": lambda v: pd.Series(v, dtype="string"),
    "category": lambda v: pd.Series(v, dtype="category"),
    "unused category": lambda v: pd.Series(
        pd.Categorical(v, ["zebra", *sorted({x for x in v if x is not None}), "ant"])
    ),
    "polars": lambda v: pl.Series(v, dtype=pl.String),
    "polars category": lambda v: pl.Series(v, dtype=pl.Categorical),
    "polars enum": lambda v: pl.Series(
        v, dtype=pl.Enum(["zebra", *sorted({x for x in v if x is not None})])
    ),
}
KINDS = pytest.mark.parametrize("kind", COLUMNS)


def table(kind="object", colour=COLOUR, size=SIZE, age=AGE, flag=FLAG):
    """The columns colour, size, age and flag; size is text where no category has numbers."""
    make, of_polars = COLUMNS[kind], kind.startswith("polars")
    numbers = "category" in kind and not of_polars
    size = [x if numbers or x is None else f"s{x:02}" for x in size]
    columns = {"colour": make(colour), "size": make(size), "age": age, "flag": flag}
    return pl.DataFrame(columns) if of_polars else pd.DataFrame(columns)


def without(values, step, start=0):
    """Some of the values missing."""
    return [None if k % step == start else v for k, v in enumerate(values)]


def missing_age(step=7):
    return np.where(np.arange(N) % step == 0, np.nan, AGE)


def with_missing(kind="object"):
    return table(kind, without(COLOUR, 5), without(SIZE, 9), missing_age())


def one_hot(kind="object", colour=COLOUR, size=SIZE, age=AGE, flag=FLAG):
    """The same table by hand: numbers, levels, missing cells."""
    age, colour, size = np.asarray(age), np.array(colour), np.array(size)
    levels = [colour == "blue", colour == "green", colour == "red"]
    sizes = 1.0 * (size == 10) - 1.0 * (size == 2)
    gone = [M == None for M in (colour, size)] + [np.isnan(age)]  # noqa: E711
    return np.column_stack([age, flag, *levels, sizes, *(M for M in gone if M.any())]) * 1.0


class StrMember(str, Enum):  # noqa: UP042  # a StrEnum is its value for str() too
    """To make kinds of str of."""


def same(a, b, **tolerance):
    np.testing.assert_allclose(a, b, **({"rtol": 1e-9, "atol": 1e-12} | tolerance))


# ----- what is made of a frame ---------------------------------------------------------------


@KINDS
def test_every_kind_of_column_is_the_same_table(kind):
    """Codes in the order of the levels, whatever the frame has them in."""
    M, (colour, size, *rest) = coded(with_missing(kind), None, learn=True)
    assert colour.tolist() == ["blue", "green", "red"] and rest == [None, None]
    assert size.tolist() == ([2, 10] if "category" in kind and "p" not in kind else ["s02", "s10"])
    codes = {None: np.nan, "blue": 0, "green": 1, "red": 2}
    np.testing.assert_array_equal(M[:, 0], [codes[c] for c in without(COLOUR, 5)])
    np.testing.assert_array_equal(M[:, 2:], np.column_stack([missing_age(), FLAG]))
    again, _ = coded(with_missing(kind), [colour, size, None, None], learn=False)
    np.testing.assert_array_equal(M, again)


@MODELS
@KINDS
def test_every_kind_of_column_gives_the_same_model(model, kind):
    expected = clone(model).fit(table(), Y).predict(table())
    assert (clone(model).fit(table(kind), Y).predict(table(kind)) == expected).all()


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_categories_of_numbers(dtype):
    values = np.array([3, 1, 2] if dtype is not bool else [1, 0, 1], dtype)
    F = pd.DataFrame({"k": pd.Categorical(values[np.arange(30) % 3])})
    model = clone(UNBOUNDED).fit(F, np.arange(30.0))
    (levels,) = model.categories_
    assert levels.tolist() == sorted({*values}) and levels.dtype == np.int64  # 1.0 is 1
    assert model.layer_sizes_[0] == (1 if dtype is bool else 3)


def test_numbers_stay_numbers():
    """Of bools, and of objects without text: no categories, and the arithmetic of an array."""
    F = pd.DataFrame({"age": AGE, "flag": FLAG, "o": pd.Series(AGE[::-1], dtype=object)})
    model = clone(UNBOUNDED).fit(F, Y)
    assert model.categories_ is None and model.layer_sizes_[0] == 3
    X = np.column_stack([AGE, FLAG, AGE[::-1]])
    same(model.predict(F), clone(UNBOUNDED).fit(X, Y).predict(X))


def test_float32_stays_float32():
    F = table(age=AGE.astype(np.float32))
    assert clone(BOUNDED).fit(F, Y).predict(F).dtype == np.float32


def test_nullable_numbers_beside_text():
    age = np.where(np.isnan(missing_age()), np.nan, np.round(missing_age()))
    flag = [None if k % 4 == 0 else bool(v) for k, v in enumerate(FLAG)]
    F = table(age=pd.array(age, "Int64"), flag=pd.array(flag, "boolean"))
    G = table(age=age, flag=np.array([np.nan if v is None else v for v in flag], float))
    P = pl.DataFrame(
        {name: F[name].astype(object).where(F[name].notna(), None).tolist() for name in F}
    )
    expected = clone(BOUNDED).fit(G, Y)
    assert expected.missing_columns_.tolist() == [2, 3]
    for frame in (F, P):
        same(clone(BOUNDED).fit(frame, Y).predict(frame), expected.predict(G))


@pytest.mark.parametrize("beside_text", [False, True])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_missing_cells_among_objects(missing, beside_text):
    """Whatever they are, and also where there is nothing else."""
    some = pd.Series([missing if k % 3 == 0 else a for k, a in enumerate(AGE)], dtype=object)
    F = pd.DataFrame({"some": some, "none": pd.Series([missing] * N, dtype=object)})
    G = pd.DataFrame({"some": np.where(np.arange(N) % 3 == 0, np.nan, AGE), "none": np.nan})
    if beside_text:
        F, G = F.assign(colour=COLOUR), G.assign(colour=COLOUR)
    before = F.copy()
    model = clone(BOUNDED).fit(F, Y)
    same(model.predict(F), clone(BOUNDED).fit(G, Y).predict(G))
    same(model.predict(F), model.predict(G))
    pd.testing.assert_frame_equal(F, before)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["a", 1] * 120, r"'colour' must have text alone for levels.*int, str.*astype\(str\)"),
        (pd.cut(AGE, 3), r"'colour' must have text alone.*Interval.*astype\(str\)"),
        ([[1, 2]] * N, "'colour' holds what is no level: .*list"),
        ([b"a", b"b"] * 120, "colour"),
        (["a", ("b",)] * 120, "'colour' must have text alone.*str, tuple"),
        (["a", ["b"]] * 120, "X"),
        (pd.Categorical([pd.Timestamp("2026"), pd.Timestamp("2027")] * 120), "'colour'.*Timestamp"),
        (pd.Categorical([1, "a"] * 120), "'colour' must have text alone"),
        (pd.Categorical([1.0, np.inf] * 120), "'colour' has a level that is infinite"),
        # Hashes, which as float64 would be one level, and a number that is none of theirs.
        (pd.Categorical([2**64 - 1, 2**64 - 2] * 120), "'colour' has a level that neither.*18446"),
        (pd.Categorical([Fraction(1, 3), 2] * 120), "'colour' has a level that neither.*1/3"),
    ],
)
def test_what_is_no_level(column, said):
    with pytest.raises((TypeError, ValueError), match=said if said != "colour" else "X"):
        clone(UNBOUNDED).fit(table().assign(colour=column), Y)


def test_levels_of_a_kind_of_str():
    """An Enum's member is equal to its value, whatever str() makes of it."""
    colours = StrMember("colours", {c: c for c in COLOUR})
    members = pd.Series([colours(c) for c in COLOUR], dtype=object)
    model = clone(UNBOUNDED).fit(table(colour=members), Y)
    assert model.categories_[0].tolist() == ["blue", "green", "red"]
    same(model.predict(table()), clone(UNBOUNDED).fit(table(), Y).predict(table()))
    same(model.predict(table(colour=members)), model.predict(table()))


def test_text_of_arrow_in_a_frame_of_pandas():
    """Of a kind of its own, as read_parquet(dtype_backend="pyarrow") gives it."""

    class ArrowText:
        kind, name = "U", "string[pyarrow]"

    assert may_have_levels(types.SimpleNamespace(dtypes=[ArrowText()]))
    pytest.importorskip("pyarrow", reason="40 MB that nothing else needs")
    F = table().convert_dtypes(dtype_backend="pyarrow")
    assert F.dtypes["colour"].kind == "U"
    same(clone(BOUNDED).fit(F, Y).predict(table()), clone(BOUNDED).fit(table(), Y).predict(F))


def test_decimals_of_arrow_in_a_frame_of_pandas():
    pa = pytest.importorskip("pyarrow", reason="40 MB that nothing else needs")
    numbers = [None if k % 5 == 0 else Decimal(k) / 4 for k in range(N)]
    decimals = pd.array(numbers, pd.ArrowDtype(pa.decimal128(8, 2)))
    F, G = table(age=decimals), table(age=[None if x is None else float(x) for x in numbers])
    same(clone(BOUNDED).fit(F, Y).predict(F), clone(BOUNDED).fit(G, Y).predict(G))


WITHOUT_FRAMES = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from skbackprop import BackpropRegressor
BackpropRegressor(max_iter=2).fit(np.eye(3), [1, 2, 3])
"""


def test_neither_pandas_nor_polars_is_needed():
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", WITHOUT_FRAMES]).returncode == 0


# ----- what the network sees of it -----------------------------------------------------------


@pytest.mark.parametrize("numbers", [table, with_missing])
def test_names_of_the_columns(numbers):
    model = clone(UNBOUNDED).fit(numbers(), Y)
    names = ["age", "flag", "colour=blue", "colour=green", "colour=red", "size=s10"]
    names += ["colour missing", "size missing", "age missing"] if numbers is with_missing else []
    assert model_of(vars(model)).input_names(model.feature_names_in_) == names
    assert model.layer_sizes_[0] == len(names) and model.n_features_in_ == 4


def test_a_one_hot_table_made_by_hand_is_the_same_training():
    """The same network, sums and all: standardize=False leaves nothing else."""
    model = classic(**SMALL, standardize=False, learning_rate_init=1e-3)
    expected = clone(model).fit(one_hot(), Y).predict(one_hot())
    same(clone(model).fit(table(), Y).predict(table()), expected)


@pytest.mark.parametrize("numbers", [table, with_missing])
def test_a_one_hot_table_made_by_hand_of_units(numbers):
    model = clone(UNBOUNDED).fit(numbers(), Y)
    shift, scale = model.X_shift_, model.X_scale_
    age = AGE if numbers is table else missing_age()
    same([shift[2], scale[2]], [np.nanmean(age), np.nanstd(age)])
    assert [*shift[:2], *scale[:2]] == [0, 0, 1, 1]
    A = one_hot() if numbers is table else one_hot("", without(COLOUR, 5), without(SIZE, 9), age)
    A[:, :2] = np.nan_to_num((A[:, :2] - shift[2:]) / scale[2:])
    raw = classic(**SMALL, standardize=False)
    A_L = raw.fit(A, (Y - model.y_shift_) / model.y_scale_).predict(A)
    same(model.predict(numbers()), model.y_shift_ + model.y_scale_ * A_L)


@pytest.mark.parametrize("numbers", [table, with_missing])
def test_without_hidden_layers_it_is_linear_regression_on_dummies(numbers):
    F = numbers()
    model = BackpropRegressor(hidden_layer_sizes=(), solver="lm", alpha=0, tol=1e-9).fit(F, Y)
    dummies = make_column_transformer(
        (OneHotEncoder(), ["colour", "size"]),
        (SimpleImputer(add_indicator=True), ["age", "flag"]),
        sparse_threshold=0,
    )
    expected = make_pipeline(dummies, LinearRegression()).fit(F, Y).predict(F)
    same(model.predict(F), expected, rtol=1e-7)
    # And its coefficients are in the caller's units.
    (W,), (b,) = model.coefs_, model.intercepts_
    E = model_of(vars(model)).encoding
    Z = coded(F, model.categories_, learn=False)[0]
    Z = np.where(np.isnan(Z) & [False, False, True, True], model.X_shift_, Z)
    A = E.value(Z, np.empty((N, len(W))))
    if numbers is with_missing:
        A[:, -1] = np.isnan(missing_age())
    same(A @ W[:, 0] + b, expected, rtol=1e-7)


def test_one_level_has_no_column_unless_there_is_no_other():
    model = clone(BOUNDED).fit(table(colour=["red"] * N), Y)
    assert 0 not in model.level_columns_
    alone = pd.DataFrame({"k": ["a"] * N, "l": ["b"] * N})
    model = clone(BOUNDED).fit(alone, Y)
    assert model.layer_sizes_[0] == 1 and np.ptp(model.predict(alone)) == 0


def test_a_column_of_missing_cells_alone():
    for column in ([None] * N, pd.Series([None] * N, dtype="category"), np.full(N, np.nan)):
        F = table().assign(colour=column)
        for model in (clone(UNBOUNDED).fit(F, Y), clone(BOUNDED).fit(F, Y)):
            assert np.isfinite(model.predict(F)).all()
            assert np.isfinite(model.predict(F.assign(age=np.nan))).all()


# ----- levels and missing cells that training has not seen -------------------------------------


@MODELS
@KINDS
def test_a_level_that_fit_has_not_seen_is_none_of_its_columns(model, kind):
    colour = ["violet" if k % 4 == 0 else c for k, c in enumerate(COLOUR)]
    model = clone(model).fit(table(kind), Y)
    m = model_of(vars(model))
    A = m.encoded(np.array([[-1.0, 0, 0, 0]]))[0, -4:]
    assert A.tolist() == [0, 0, 0, -1]
    # Of all columns of zeros it is what a missing cell is, of a feature that had none.
    expected = model.predict(table(kind, without(COLOUR, 4)))
    same(model.predict(table(kind, colour)), expected)


@MODELS
def test_missing_cells_where_training_had_none_are_the_mean(model):
    model, F = clone(model).fit(table(), Y), table()
    center = model.X_shift_[2]
    expected = model.predict(F.assign(age=center))
    same(model.predict(F.assign(age=np.nan)), expected)
    same(model.predict(F.assign(age=None)), expected)  # a column of objects
    if model.n_networks_ > 1:
        std = model.predict(F.assign(age=np.nan), return_std=True)[1]
        same(std, model.predict(F.assign(age=center), return_std=True)[1])


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_an_array_with_missing_cells_where_training_had_none(hidden):
    """Without an encoding too, and one row at a time."""
    X = np.column_stack([AGE, FLAG])
    model = classic(hidden_layer_sizes=hidden, max_iter=4).fit(X, Y)
    gone = np.array([[np.nan, 1.0]])
    same(model.predict(gone), model.predict([[model.X_shift_[0], 1.0]]))
    gradient = model.predict_gradient(gone)
    assert np.isnan(gradient[0, 0]) and np.isfinite(gradient[0, 1])
    assert check_gradients(model, np.vstack([X, gone]), [*Y, 0]).passed


def test_missing_without_intercepts_is_0():
    model = classic(**SMALL, fit_intercept=False)
    model = model.fit(table(age=missing_age()), Y)
    assert model.X_shift_ is None
    same(model.X_scale_[2], np.sqrt(np.nanmean(np.square(missing_age()))))
    E, Z = model_of(vars(model)).encoding, np.array([[0.0, 1.0, np.nan, 0.0]])
    assert E.value(Z, np.empty((1, 7))).tolist() == [[0, 0, 1, 0, 0, 1, 1]]


@MODELS
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_a_row_of_weight_zero_is_as_good_as_absent(model, solver):
    """Its levels, its missing cells and its numbers."""
    params = {"early_stopping": False, "n_networks": 1, "solver": solver, "dropout": 0.0}
    params |= {"parametrization": "standard", "learning_rate": "constant"}
    model = clone(model).set_params(**params)
    w = (np.arange(N) >= 40) * 1.0
    colour = ["violet" if k < 20 else c for k, c in enumerate(COLOUR)]
    size = [None if k < 30 else s for k, s in enumerate(SIZE)]
    F = table(colour=colour, size=size, age=np.where(w > 0, AGE, np.nan))
    few = F.iloc[40:]
    one, two = clone(model).fit(F, Y, w), clone(model).fit(few, Y[40:])
    assert one.missing_columns_ is None and one.layer_sizes_ == two.layer_sizes_
    same(one.predict(few), two.predict(few), rtol=1e-8)
    three = fit_many([clone(model)], F, Y, rows=[np.arange(40, N)])[0]
    same(three.predict(few), two.predict(few), rtol=1e-8)


def test_statistics_are_those_of_the_cells_that_are_there():
    w = RNG.integers(0, 3, N) * 1.0
    there = (w > 0) & ~np.isnan(missing_age())
    for model in (clone(UNBOUNDED), clone(BOUNDED).set_params(n_bins=4)):
        one = clone(model).fit(table(age=missing_age()), Y, w)
        two = clone(model).fit(table(age=AGE).iloc[there], Y[there], w[there])
        same(one.X_shift_[2], two.X_shift_[2])
        same(one.X_scale_[2], two.X_scale_[2])
        if one.bin_columns_ is not None:
            assert (one.bin_columns_ == 2).all()
            same(one.bin_middles_, two.bin_middles_)


def test_the_first_of_several_models_goes_on_and_the_second_begins():
    """fit_many converts a table once, but not by the levels of a model that goes on."""
    warm = clone(UNBOUNDED).set_params(warm_start=True).fit(table(), Y)
    F = table(colour=["violet" if c == "red" else c for c in COLOUR])
    _, new = fit_many([warm, clone(UNBOUNDED)], F, Y)
    assert new.categories_[0].tolist() == ["blue", "green", "violet"]
    same(new.predict(F), clone(UNBOUNDED).fit(F, Y).predict(F))


def test_fit_many_is_fit():
    models = [clone(UNBOUNDED).set_params(random_state=k) for k in range(3)]
    alone = [clone(model).fit(with_missing(), Y).predict(with_missing()) for model in models]
    for model, expected in zip(fit_many(models, with_missing(), Y), alone, strict=True):
        same(model.predict(with_missing()), expected)


# ----- columns that change, and other tables ---------------------------------------------------


@MODELS
@pytest.mark.parametrize("as_polars", [False, True])
def test_a_column_is_what_it_was(model, as_polars):
    kind = "polars" if as_polars else "object"
    model, before = clone(model).fit(table(kind), Y), None
    numbers = table(kind).with_columns(colour=AGE) if as_polars else table().assign(colour=AGE)
    text = table(kind, age=COLOUR)
    before = pickle.dumps(model)
    for call in (model.predict, model.predict_gradient, lambda F: model.partial_fit(F, Y)):
        with pytest.raises(TypeError, match=r"X: column 'colour' holds numbers, and in fit.*text"):
            call(numbers)
        with pytest.raises(TypeError, match=r"X: column 'age' holds text.*in fit it held numbers"):
            call(text)
    with pytest.raises(TypeError, match="X_val: column 'colour' holds numbers"):
        model.fit(table(kind), Y, X_val=numbers, y_val=Y)
    assert pickle.dumps(model) == before
    model.fit(numbers, Y)  # a new start is free
    assert model.categories_[0] is None


def test_levels_of_another_kind():
    model = clone(UNBOUNDED).fit(table("category"), Y)
    with pytest.raises(TypeError, match="'size' has text for levels, and in fit it had numbers"):
        model.predict(table("object"))
    with pytest.raises(TypeError, match="'size' has numbers for levels, and in fit it had text"):
        clone(UNBOUNDED).fit(table(), Y).predict(table("category"))


def test_what_is_no_frame_has_no_levels():
    model = clone(UNBOUNDED).fit(table(), Y)
    for X in (table().to_numpy(), np.zeros((3, 4)), sparse.csr_array(np.eye(4)), [[0.0] * 4]):
        with pytest.raises((TypeError, ValueError), match="X"):
            model.predict(X)
    with pytest.raises(TypeError, match=r"^X_val must be a data frame, as in fit: column 'colour'"):
        clone(UNBOUNDED).fit(table(), Y, X_val=np.zeros((N, 4)), y_val=Y)
    with pytest.raises(TypeError, match="X must be a data frame, as in fit: column 'colour' held"):
        model.predict(np.zeros((3, 4)))
    with pytest.raises(ValueError):  # as before
        clone(UNBOUNDED).fit(table().to_numpy(), Y)
    S = sparse.csr_array(np.array([[np.nan, 1.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match="X is sparse and contains NaN"):
        clone(UNBOUNDED).fit(S, [1, 2])


def test_names_and_numbers_of_columns_are_checked_first():
    model = clone(UNBOUNDED).fit(table(), Y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table()[["size", "colour", "age", "flag"]])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table()[["colour", "size"]])


def test_raw_numbers_have_no_mean():
    raw = classic(**SMALL, standardize=False)
    with pytest.raises(ValueError, match="X contains NaN, and standardize=False has no mean"):
        raw.fit(table(age=missing_age()), Y)
    raw.fit(table(), Y)
    with pytest.raises(ValueError, match="standardize=False"):
        raw.set_params(standardize=True).predict(table(age=missing_age()))


# ----- training that goes on ------------------------------------------------------------------


@MODELS
def test_partial_fit_goes_on_with_the_levels_of_its_first_call(model):
    later = table(colour=["violet"] * N, size=without(SIZE, 3), age=missing_age())
    model = clone(model).partial_fit(table(), Y)
    sizes, levels = model.layer_sizes_, model.categories_
    expected = pickle.loads(pickle.dumps(model))
    model.partial_fit(later, Y)
    assert model.layer_sizes_ == sizes and model.categories_[0] is levels[0]
    plain = table(colour=["ultramarine"] * N, size=without(SIZE, 3), age=missing_age())
    expected.partial_fit(plain, Y)
    assert (model.predict(later) == expected.predict(plain)).all()


@MODELS
def test_twice_as_many_epochs_are_one_fit(model):
    params = {"learning_rate": "constant", "max_iter": 8}
    whole = clone(model).set_params(**params).fit(with_missing(), Y)
    half = clone(model).set_params(**params | {"max_iter": 4, "warm_start": True})
    half.fit(with_missing(), Y).fit(with_missing(), Y)
    assert half.loss_curve_ == whole.loss_curve_


def test_a_fit_that_time_has_ended_goes_on_from_its_checkpoint(tmp_path):
    path = str(tmp_path / "fit.skb")
    model = clone(UNBOUNDED).set_params(max_iter=12, checkpoint=path, checkpoint_every=2)
    expected = clone(model).set_params(checkpoint=None).fit(with_missing(), Y)
    first = clone(model).set_params(max_time=1e-9).fit(with_missing(), Y)
    assert first.n_iter_ < 12
    again = clone(model).fit(with_missing(), Y)
    assert (again.predict(with_missing()) == expected.predict(with_missing())).all()
    other = ["violet" if c == "red" else c for c in without(COLOUR, 5)]
    with pytest.raises(ValueError, match="categories was 4 of CRC"):
        clone(model).fit(table("object", other, without(SIZE, 9), missing_age()), Y)


# ----- files, and copies ----------------------------------------------------------------------


@MODELS
@pytest.mark.parametrize("kind", ["object", "category", "polars"])
def test_a_file_has_all_of_it(model, kind, tmp_path):
    F, path = with_missing(kind), tmp_path / "model.skb"
    model = clone(model).fit(F, Y)
    model.save(path)
    again = BackpropRegressor.load(path)
    assert (again.predict(F) == model.predict(F)).all()
    for one, two in zip(model.categories_, again.categories_, strict=True):
        assert (one is two is None) or (one.dtype == two.dtype and (one == two).all())
    assert again.n_features_in_ == 4
    again.save(tmp_path / "again.skb")
    assert path.read_bytes() == (tmp_path / "again.skb").read_bytes()
    (a, b) = (m.partial_fit(F, Y).predict(F) for m in (model, again))
    assert (a == b).all()
    named = hasattr(model, "feature_names_in_")  # of polars not by every scikit-learn
    with pytest.raises(TypeError, match=("'colour'" if named else "column 0") + " held text"):
        again.predict(np.zeros((2, 4)))


def test_levels_of_any_text_come_back(tmp_path):
    names = ["", " ", "a\0", "a", "ä", "é", "\ud800", "日本", "x" * 5000]
    F = pd.DataFrame({"k": pd.Series(names * 10, dtype=object)})
    model = clone(UNBOUNDED).fit(F, np.arange(90.0))
    model.save(tmp_path / "model.skb")
    again = BackpropRegressor.load(tmp_path / "model.skb")
    told_apart = F["k"].unique()  # before pandas 3.1 "a" is "a\0" to it
    assert again.categories_[0].tolist() == sorted(told_apart) and len(told_apart) >= 8
    assert (again.predict(F) == model.predict(F)).all()


def test_wide_tables_are_a_few_arrays_in_a_file(tmp_path):
    levels = {f"k{j}": pd.Categorical(RNG.integers(0, 3, 30)) for j in range(200)}
    F = pd.DataFrame(levels | {f"x{j}": RNG.normal(size=30) for j in range(200)})
    model = clone(UNBOUNDED).fit(F, np.arange(30.0))
    model.save(tmp_path / "model.skb")
    assert (BackpropRegressor.load(tmp_path / "model.skb").predict(F) == model.predict(F)).all()


def changed(name, change):
    """A change of one fitted array."""

    def of(model):
        M = getattr(model, name).copy()
        setattr(model, name, change(M))

    return of


def without_a_level(model):
    model.categories_ = [model.categories_[0][:-1], *model.categories_[1:]]


def unsorted(model):
    model.categories_ = [model.categories_[0][::-1], *model.categories_[1:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: setattr(m, "categories_", None), "features|units|levels"),
        (lambda m: setattr(m, "categories_", m.categories_[:3]), "features|categories"),
        (lambda m: setattr(m, "categories_", [None] * 4), "kinds"),
        (without_a_level, "levels of its features"),
        (unsorted, "order"),
        (lambda m: setattr(m, "level_others_", None), "number of levels"),
        (changed("level_columns_", lambda M: M[::-1]), "features of its levels"),
        (changed("level_columns_", lambda M: M + 3), "features of its levels"),
        (changed("level_columns_", lambda M: M + 2), "levels of its features"),
        (changed("level_codes_", lambda M: M + 2), "levels of its features"),
        (changed("level_codes_", lambda M: M[:-1]), "number of levels"),
        (changed("level_others_", lambda M: M - 2), "level_others_"),
        (changed("missing_columns_", lambda M: M[::-1]), "features with missing cells"),
        (changed("missing_columns_", lambda M: M + 2), "features with missing cells"),
        (changed("missing_columns_", lambda M: M[:0]), "number of its categories"),
        (changed("X_shift_", lambda M: M + 1), "units of its categories"),
        (changed("X_scale_", lambda M: M * 2), "units of its categories"),
    ],
)
def test_what_no_fit_leaves_is_not_saved(change, said, tmp_path):
    model = clone(UNBOUNDED).fit(with_missing(), Y)
    change(model)
    with pytest.raises(ValueError, match=f"cannot be saved: .*({said})"):
        model.save(tmp_path / "model.skb")


@MODELS
def test_pickle_and_copies(model):
    model = clone(model).fit(with_missing(), Y)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (other.predict(with_missing()) == model.predict(with_missing())).all()


# ----- scorers, callbacks, scikit-learn ---------------------------------------------------------


def test_scorers_predict_on_the_numbers_of_levels():
    seen = []

    def scorer(estimator, X, y):
        assert isinstance(X, np.ndarray) and X.shape[1] == 4
        seen.append(estimator.predict(X))
        assert not np.array_equal(seen[-1], np.full(len(y), seen[-1][0]))
        return -float(np.mean((y - estimator.predict(X)) ** 2))

    model = clone(UNBOUNDED).set_params(early_stopping=True, scoring=scorer)
    model.fit(with_missing(), Y, X_val=with_missing(), y_val=Y)
    best = int(np.argmax(model.validation_scores_))
    same(seen[best], model.predict(with_missing()))
    assert not hasattr(model, "_takes_codes")
    by_name = clone(UNBOUNDED).set_params(early_stopping=True, scoring="r2")
    by_name.fit(with_missing(), Y, X_val=with_missing(), y_val=Y)
    same(by_name.best_validation_score_, by_name.score(with_missing(), Y))


def test_callbacks_get_the_frame():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9")
    monitor = callback.ScoringMonitor(scoring="r2")
    model = clone(UNBOUNDED).set_callbacks(monitor).fit(with_missing(), Y)
    assert np.isfinite(model.predict(with_missing())).all()


def test_validation_tables_have_the_levels_of_X():
    colour = ["violet" if k < 9 else c for k, c in enumerate(COLOUR)]
    model = clone(UNBOUNDED).fit(table(), Y, X_val=table(colour=colour), y_val=Y)
    assert model.categories_[0].tolist() == ["blue", "green", "red"]
    residual = Y - model.predict(table(colour=colour))
    same(model.validation_loss_curve_[-1], np.mean(residual**2))


def test_in_a_cross_validation():
    predicted = cross_val_predict(clone(BOUNDED).set_params(max_iter=40), with_missing(), Y, cv=3)
    assert np.corrcoef(predicted, Y)[0, 1] > 0.5


def test_defaults_learn_from_levels_and_missing_cells():
    """A missing age is younger by ten: neither level nor indicator can be done without."""
    F, y = with_missing(), Y - 2.0 * np.isnan(missing_age())
    model = BackpropRegressor(random_state=0, max_iter=60).fit(F, y)
    assert model.score(F, y) > 0.8


def test_the_tags_say_that_cells_may_be_missing():
    def allow_nan(value):
        return BackpropRegressor(standardize=value).__sklearn_tags__().input_tags.allow_nan

    assert [allow_nan(v) for v in ("auto", "robust", True, False, np.False_)] == [True] * 3 + [
        False
    ] * 2


# ----- derivatives ------------------------------------------------------------------------------


@MODELS
def test_derivatives_are_those_of_differences(model):
    """By the numbers that are there; by others there is none."""
    model = clone(model).set_params(activation="tanh").fit(with_missing(), Y)
    F, h = with_missing(), 1e-4
    gradient, hessian = model.predict_gradient(F), model.predict_hessian(F)
    gone = np.isnan(missing_age())
    assert np.isnan(gradient[:, :2]).all() and np.isnan(gradient[gone, 2]).all()
    assert np.isnan(hessian[:, :2]).all() and np.isnan(hessian[:, :, :2]).all()
    assert np.isnan(hessian[gone][:, 2]).all() and np.isnan(hessian[gone][:, :, 2]).all()
    assert np.isfinite(gradient[:, 3]).all() and np.isfinite(hessian[:, 3, 3]).all()
    up, down = (F.assign(age=missing_age() + s * h) for s in (1, -1))
    slope = (model.predict(up) - model.predict(down)) / (2 * h)
    bend = (model.predict_gradient(up) - model.predict_gradient(down))[:, 2] / (2 * h)
    slopes = [model.predict_gradient(table)[:, 2] for table in (up, down)]
    off = ~gone & np.isclose(*slopes, rtol=0, atol=1e-6)  # no knot between
    assert off.sum() > N / 2
    same(gradient[off, 2], slope[off], rtol=1e-5, atol=1e-8)
    same(hessian[off, 2, 2], bend[off], rtol=1e-4, atol=1e-7)


@MODELS
def test_marginal_effects_are_means_over_the_cells_that_are_there(model):
    model, w = clone(model).fit(with_missing(), Y), RNG.random(N)
    F, there = with_missing(), ~np.isnan(missing_age())
    effects, gradient = model.marginal_effects(F, w), model.predict_gradient(F)
    assert effects["feature"].tolist() == ["colour", "size", "age", "flag"]
    assert all(np.isnan(effects[name][:2]).all() for name in ("effect", "std", "elasticity"))
    mean = np.average(gradient[there, 2], weights=w[there])
    same(effects["effect"][2], mean)
    std = np.sqrt(np.average((gradient[there, 2] - mean) ** 2, weights=w[there]))
    same(effects["std"][2], std)
    elasticity = gradient[there, 2] * AGE[there] / model.predict(F)[there]
    same(effects["elasticity"][2], np.average(elasticity, weights=w[there]))
    same(effects["effect"][3], np.average(gradient[:, 3], weights=w))


# ----- the rest of the package --------------------------------------------------------------------


@MODELS
@pytest.mark.parametrize("numbers", [table, with_missing])
def test_check_gradients(model, numbers):
    assert check_gradients(clone(model), numbers(), Y).passed
    assert check_gradients(clone(model).fit(numbers(), Y), numbers(), Y).passed


@MODELS
def test_explanations_name_the_columns(model):
    model = clone(model).fit(with_missing(), Y)
    step = model.explain_backprop(with_missing().head(9), Y[:9])["A[0]"]
    assert "colour=red, size=s10, colour missing" in step.why
    first = "z" if model.bin_columns_ is None else "c(z) e(z)"
    assert step.equation.startswith(f"A[0] = [{first} o(z) i(z)], z = ")


@MODELS
def test_what_mlp_regressor_cannot_express(model):
    with pytest.raises(ValueError, match="MLPRegressor sees raw X"):
        clone(model).fit(table(), Y).to_mlp_regressor()


@MODELS
def test_pictures_and_norms(model):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    fitted = clone(model).fit(with_missing(), Y)
    display = NetworkDisplay.from_estimator(fitted)
    plt.close(display.figure_)
    assert "colour=red" in display.feature_names and "age missing" in display.feature_names
    norms = gradient_norms(clone(model), with_missing(), Y, None, (None, None, None))
    assert norms.shape == (fitted.n_iter_ + 1, 2)
    from skbackprop import MarginalEffectsDisplay

    display = MarginalEffectsDisplay.from_estimator(fitted, with_missing())
    plt.close(display.figure_)
    drawn = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert sorted(drawn) == ["age", "flag"]  # no category
    (marks,) = display.containers_
    assert np.isfinite(marks.lines[0].get_xdata()).all()
    age = np.asarray(with_missing()["age"], float)
    np.testing.assert_allclose(display.feature_std[2], np.nanstd(age))


def test_products_with_the_curvature():
    model = classic(hidden_layer_sizes=(), solver="lm", max_iter=9).fit(with_missing(), Y)
    v = np.eye(model.theta_.size)
    G = gauss_newton_product(model, with_missing(), Y, v)
    m = model_of(vars(model))
    Z = m.rows(coded(with_missing(), model.categories_, learn=False)[0])
    A = Z.take(slice(None), np.empty((N, m.layer_sizes[0])))
    A = np.column_stack([np.ones(N), A])
    same(G[0], 2 / N * A.sum(axis=0))


# ----- memory -----------------------------------------------------------------------------------


@MODELS
def test_no_table_is_one_hot_as_a_whole(model):
    """2,000 levels of 60,000 rows would be 960 MB; a batch of them is a few."""
    n, levels = 60_000, 2000
    k = RNG.integers(0, levels, n)
    F = pd.DataFrame({"k": pd.Categorical(k), "x": RNG.normal(size=n)})
    params = {"hidden_layer_sizes": (1,), "max_iter": 1, "n_networks": 1, "early_stopping": False}
    model = clone(model).set_params(**params, batch_size=500)
    most = 0.1 * 8 * n * levels
    assert peak_memory(lambda: model.partial_fit(F, F["x"]), most) < most
    assert peak_memory(lambda: model.predict(F), most) < most
    assert peak_memory(lambda: model.fit(F, F["x"]), most) < most
