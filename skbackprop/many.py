"""Many small networks trained as one stack of arrays.

A step of a small network is mostly the overhead of its calls. Networks of one architecture
that see batches of one size share the calls: every matrix has a leading axis for the
network, and the lines of :mod:`skbackprop.network` are the formulas of all of them. Each
network keeps its own seed, order of the rows, scaling, penalty and end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .architecture import same
from .callbacks import has_callbacks
from .ending import end
from .fitting import Fitting
from .messages import shown
from .quiet import quietly
from .regressor import BackpropRegressor
from .stack import is_ours, train
from .threads import for_products_of

STACK = 32  # networks at the most
SMALL = 10**6  # multiplications of the largest product of a network that gains by a stack


def fit_many(
    models: Sequence[BackpropRegressor],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    rows: Sequence[Any] | None = None,
) -> list[BackpropRegressor]:
    """Fit several regressors on one table: restarts, an ensemble, the folds of a validation.

    The result is that of ``model.fit(X[rows[k]], y[rows[k]])`` for every model, to the rounding
    of the scaling statistics. Small networks of one architecture and one number of rows are
    trained together, others one after the other.

    Parameters
    ----------
    models : sequence of BackpropRegressor
        Fitted in place. For networks that differ in their first weights and order of rows
        give each a `random_state` of its own.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    rows : sequence of array-like, default=None
        For every model the indices of its rows, such as the training sets of
        :class:`sklearn.model_selection.KFold` or bootstrap samples with rows repeated, or a
        boolean mask. None for all rows.

    Returns
    -------
    models : list of BackpropRegressor
        The same objects. After an error none of them has changed.

    Raises
    ------
    ValueError, TypeError
        As :meth:`BackpropRegressor.fit` does, and for `rows` that are not rows of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from skbackprop import BackpropRegressor, fit_many
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.abs(X[:, 0])
    >>> model = BackpropRegressor(hidden_layer_sizes=(16,), max_iter=300)
    >>> models = [clone(model).set_params(random_state=k) for k in range(3)]
    >>> ensemble = fit_many(models, X, y)
    >>> bool(np.mean([m.predict(X) for m in ensemble], axis=0)[0] > 0.9)
    True
    """
    if isinstance(models, BackpropRegressor):
        raise TypeError("models must be a list of regressors; got one")
    models = list(models)
    for model in models:
        if not isinstance(model, BackpropRegressor):
            raise TypeError(f"models must be BackpropRegressors; got {shown(model)}")
        if type(model).fit is not BackpropRegressor.fit:
            raise TypeError(f"fit_many would not call the fit of {type(model).__name__} itself")
        if has_callbacks(model):
            raise ValueError("fit_many does not tell callbacks; fit such a model by itself")
        if model.checkpoint is not None:
            raise ValueError("fit_many keeps no checkpoint; fit such a model by itself")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("models must be different objects; use sklearn.base.clone")
    sets = [None] * len(models) if rows is None else [_rows(r, _length(X)) for r in rows]
    if len(sets) != len(models):
        raise ValueError(f"rows must have an entry a model, {len(models)}; it has {len(sets)}")
    prepared, validated = [], None  # the table is looked at, and if need be converted, once
    for model, r in zip(models, sets, strict=True):
        fitting, about, table, scorer = model._prepare(
            X, y, sample_weight, rows=r, validated=validated
        )
        if fitting.previous is None:  # whose levels would be those of another table
            validated = validated or (table, about)
        prepared.append((fitting, about, table, scorer))
    for group in _groups([fitting for fitting, *_ in prepared]):
        if len(group) == 1:
            (k,) = group
            prepared[k][0].run(prepared[k][-1])
        else:
            _run([(prepared[k][0], prepared[k][-1]) for k in group])
    fitted = []  # by a loop: a comprehension is a frame of its own, which warnings would point at
    for model, (fitting, about, *_) in zip(models, prepared, strict=True):
        fitted.append(model._finish(fitting, stacklevel=3) | about)
    return [model._commit(attributes) for model, attributes in zip(models, fitted, strict=True)]


@quietly
def _run(fittings_and_scorers: list[tuple[Fitting, Any]]) -> None:
    fittings = [fitting for fitting, _ in fittings_and_scorers]
    with for_products_of(fittings[0].largest_product):
        for fitting, scorer in fittings_and_scorers:
            fitting.begin(scorer)
        train(fittings)
        for fitting in fittings:
            end(fitting)


def _groups(fittings: list[Fitting]) -> list[list[int]]:
    """Numbers of the fittings that can be trained together."""
    groups: list[list[int]] = []
    for k, fitting in enumerate(fittings):
        for group in groups:
            if len(group) < STACK and _alike(fitting, fittings[group[0]]):
                group.append(k)
                break
        else:
            groups.append([k])
    return groups


def _alike(a: Fitting, b: Fitting) -> bool:
    """Whether two networks go through the same calls."""
    return (
        _stackable(a)
        and _stackable(b)
        and same(list(a.architecture.values()), list(b.architecture.values()))
        and a.model.layer_sizes == b.model.layer_sizes  # of other bins others
        and a.how == b.how
        and same(a.loss, b.loss)
        and len(a.data) == len(b.data)
        and a.data.weighted == b.data.weighted
        and a.model.theta.dtype == b.model.theta.dtype
        and a.objective.dropout == b.objective.dropout
        and _position(a) == _position(b)
    )


def _position(fitting: Fitting) -> tuple[Any, ...]:
    """What the learning rate and the optimizer's step depend on."""
    at = fitting.at
    return at.samples, at.slowdown, at.optimizer.get("t")


def _stackable(fitting: Fitting) -> bool:
    """Whether a network gains by company and can bear it."""
    return (
        # A user's own object is written for the matrices of one network.
        fitting.model.n_networks == 1
        and is_ours(fitting)
        and not hasattr(fitting.schedule, "plateau")  # of each network at another time
        and fitting.params["max_time"] is None
        # From 100 units and 100 rows on the products take most of the time.
        and fitting.largest_product <= SMALL
    )


def _length(X: Any) -> int:
    """Rows of a table that has not been looked at yet."""
    shape = getattr(X, "shape", None)
    if shape is None and hasattr(X, "__len__"):
        return len(X)
    if not isinstance(shape, tuple) or not shape:
        raise TypeError(f"X must be a table of rows; got {shown(X)}")
    return shape[0]


def _rows(rows: Any, n: int) -> Any:
    """Row numbers from row numbers or a mask."""
    if isinstance(rows, tuple):  # a split of scikit-learn's, of training and test rows
        raise TypeError("rows must be [train for train, test in cv.split(X)]; got (train, test)")
    rows = np.asarray(rows)
    if rows.ndim == 1 and rows.dtype == bool and len(rows) == n:
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise TypeError(f"rows must hold, for every model, row numbers or a mask of {n} rows")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"rows must be from 0 to {n - 1}; got {rows.min()} to {rows.max()}")
    return rows.astype(np.intp)
