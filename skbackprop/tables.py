"""What a caller hands over as X, y and sample_weight: converted to arrays, or refused by name.

scikit-learn's validation does most of it. What it lets through is refused here: masked cells,
dates and spans of time, complex numbers, weights that cannot be weights. Nothing is written to the
estimator that is not a scratch copy.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .columns import FLOATS, coded, is_frame, may_have_levels
from .messages import naming
from .quiet import quietly
from .scaling import has_missing

Array = np.ndarray
NAMES = ("X", "y", "sample_weight")
CODES = "_takes_codes"  # an attribute of a model that we ourselves give X with numbers of levels


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Errors that name what they are about, of several kinds made two; no floating-point alarms."""
    try:
        # scikit-learn looks for infinities by a sum, which may overflow or be inf - inf.
        with np.errstate(all="ignore"):
            yield
    except (TypeError, ValueError, ArithmeticError) as error:  # 10**400, Decimal("sNaN")
        text, kind = naming(name, error), TypeError if isinstance(error, TypeError) else ValueError
        if "could not convert string to float" in text:
            text += ". Text is encoded in the columns of a data frame (pandas, polars)"
        if isinstance(error, kind) and text == str(error):
            raise
        raise kind(text) from error


def checked_table(estimator: Any, X: Any, y: Any, sample_weight: Any, reset: bool, names=NAMES):
    """(X, Y of two dimensions, weights), and the dimensions that y had.

    With `reset` the estimator, a scratch copy, is told X's columns and their names.
    """
    X = checked_inputs(estimator, X, reset, names[0])
    if y is None:
        kind = type(estimator).__name__
        raise ValueError(
            f"This {kind} estimator requires y to be passed, but the target {names[1]} is None"
        )
    Y, ndim = _targets(y, names[1])
    if X.shape[0] != len(Y):
        raise ValueError(
            f"{names[0]} and {names[1]} have inconsistent numbers of samples: "
            f"{X.shape[0]} and {len(Y)} rows"
        )
    return (X, Y, checked_weights(sample_weight, len(Y), names[2])), ndim


def checked_validation_table(
    estimator: Any, X_val: Any, y_val: Any, sample_weight_val: Any, table: Any
):
    """The validation table, or None where there is none."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val was given without X_val and y_val")
        return None
    if X_val is None or y_val is None:
        missing, there = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
        raise ValueError(f"{there} was given without {missing}: give both or neither")
    names = tuple(f"{name}_val" for name in NAMES)
    given, _ = checked_table(estimator, X_val, y_val, sample_weight_val, False, names)
    n_val, n = given[1].shape[1], table[1].shape[1]
    if n_val != n:
        raise ValueError(f"y_val has {n_val} outputs, y has {n}")
    return given


def checked_inputs(estimator: Any, X: Any, reset: bool = False, name: str = "X") -> Any:
    """X as an array or a CSR matrix of float64 or float32, numbers of levels for text.

    NaN is a missing cell, of what is not sparse.
    """
    with _about(name):
        X = _numbers(X, name)
        checks = {"accept_sparse": "csr", "dtype": FLOATS, "ensure_all_finite": "allow-nan"}
        known = None if reset else estimator.categories_
        if is_frame(X) and (known is not None or may_have_levels(X)):
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            X, known = coded(X, known, learn=reset)
            X = check_array(X, input_name="X", estimator=estimator, **checks)
        else:
            _refuse_codes(estimator, known, name)
            X = validate_data(estimator, X, reset=reset, **checks)
        if reset:
            estimator.categories_ = known
        if sparse.issparse(X) and has_missing(X):
            raise ValueError(f"{name} is sparse and contains NaN, which only a dense {name} may")
    return X


def _refuse_codes(estimator, categories, name) -> None:
    """Numbers of levels are this package's own; the caller has levels, in a frame."""
    if categories is None or hasattr(estimator, CODES):
        return
    j = next(j for j, levels in enumerate(categories) if levels is not None)
    names = getattr(estimator, "feature_names_in_", None)
    raise TypeError(
        f"{name} must be a data frame, as in fit: column {j if names is None else names[j]!r} held "
        "text or categories"
    )


def _targets(y: Any, name: str) -> tuple[Array, int]:
    """Targets as a matrix of float64, and the dimensions they had."""
    if sparse.issparse(y):
        raise TypeError(f"{name} is a sparse matrix; dense targets are needed: {name}.toarray()")
    Y = _reals(y, name)
    if Y.ndim == 0:
        raise ValueError(f"{name} must have one target a row; got a single number")
    return (Y[:, None] if Y.ndim == 1 else Y), Y.ndim


def _reals(values: Any, name: str) -> Array:
    """Finite numbers as an array of float64; text that could be read as such is none."""
    with _about(name):
        M = check_array(_numbers(values, name), ensure_2d=False, dtype=None, input_name=name)
        if M.dtype.kind not in "fiubO":
            raise TypeError(f"{name} must hold numbers; its dtype is {M.dtype}")
        if M.dtype.kind == "O" and any(isinstance(value, (str, bytes)) for value in M.flat):
            raise TypeError(f"{name} must hold numbers; it has text: {name}.astype(float)")
        M = M.astype(np.float64, copy=False)
        if not np.isfinite(M).all():  # None is NaN by now, and a longdouble may be infinite
            raise ValueError(f"{name} must be finite; it holds NaN or infinity")
    return M


def checked_weights(weight: Any, n: int, name: str = "sample_weight") -> Array | None:
    """Weights of the rows, >= 0 and not all 0, as float64."""
    if weight is None:
        return None
    w = _reals(weight, name)
    if w.shape != (n,):
        raise ValueError(f"{name} must have one weight a row, shape ({n},); its shape is {w.shape}")
    if (w < 0).any():
        raise ValueError(f"{name} must not have negative weights; the smallest is {w.min():g}")
    if not w.any():
        raise ValueError(f"{name} has only zero weights: there is no row to learn from")
    if not np.isfinite(_sum(w)):
        raise ValueError(f"{name} has a sum beyond all numbers: divide by {w.max():g}")
    return w


def checked_directions(v: Any, n: int) -> Array:
    """Vectors of n numbers: one, or the columns of a matrix."""
    V = _reals(v, "v")
    if V.ndim not in (1, 2) or len(V) != n:
        raise ValueError(
            f"v must have the shape ({n},) of the weights, or ({n}, k); its shape is {V.shape}"
        )
    return V


@quietly
def _sum(w):
    return w.sum()


def table_attributes(scratch: Any, ndim: int) -> dict[str, Any]:
    """Fitted attributes that describe the table and not the network."""
    names = ("n_features_in_", "feature_names_in_", "categories_")
    return {name: getattr(scratch, name) for name in names if hasattr(scratch, name)} | {
        "_y_ndim": ndim
    }


def is_plain(X: Any, fitted: dict[str, Any]) -> bool:
    """Whether X is an array in which validation would find nothing to change or refuse.

    It takes 3 µs, and scikit-learn's validation 60, four times the network's own work on
    a single row (benchmarks/predict_time.py).
    """
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in (np.float64, np.float32):
        return False
    if fitted.get("n_features_in_") != X.shape[1] or "feature_names_in_" in fitted or not len(X):
        return False
    if fitted.get("categories_") is not None and CODES not in fitted:
        return False
    return isfinite(np.add.reduce(X, axis=None))


# ----- what NumPy would make numbers of ---------------------------------------------------


def _numbers(M: Any, name: str) -> Any:
    """M, lists as an array, unless it holds what is no number or a mask that would be lost."""
    if isinstance(M, (list, tuple)):
        _refuse_masks([M, *M], name)
        M = np.asarray(M)
    _refuse_masks([M], name)
    types = _types(M)
    of_time = [j for j, dtype in enumerate(types) if _is_of_time(dtype)]
    if of_time:
        where = f" in column {list(M.columns)[of_time[0]]!r}" if is_frame(M) else ""
        raise TypeError(
            f"{name} must hold numbers; it has dates or spans of time{where}: make numbers of "
            "them, such as (t - t[0]) / numpy.timedelta64(1, 'D')"
        )
    if any(_kind(dtype) == "c" for dtype in types):
        raise ValueError(f"Complex data not supported: {name} must hold real numbers")
    if any(_kind(dtype) == "V" for dtype in types):
        raise TypeError(f"{name} must hold numbers; its dtype is {types[0]}")
    return M


def _refuse_masks(arrays: Iterable[Any], name: str) -> None:
    if any(isinstance(M, np.ma.MaskedArray) and np.ma.getmaskarray(M).any() for M in arrays):
        raise ValueError(
            f"{name} has masked cells, whose values would be used as if they were not masked: "
            "leave those rows out, or fill the cells (numpy.ma.filled)"
        )


def _types(M: Any) -> list[Any]:
    """Types of the columns of a frame, or of an array; of an array of objects, their own."""
    if isinstance(M, np.ndarray) and M.dtype.kind == "O":
        return [v.dtype for v in M.flat if isinstance(v, np.generic)]
    found = getattr(M, "dtypes", getattr(M, "dtype", None))
    return list(found) if isinstance(found, Iterable) else [found]


def _kind(dtype: Any) -> str:
    return getattr(dtype, "kind", "")


def _is_of_time(dtype: Any) -> bool:
    of_polars = getattr(dtype, "is_temporal", None)
    return _kind(dtype) in ("m", "M") or (of_polars is not None and of_polars())
