"""check_gradients: the gradient that training uses, held against differences of its objective.

The derivatives are those of a training step (:mod:`skbackprop.trained`), the objective that of
:mod:`skbackprop.definition`. Besides df/dW[l] and df/db[l] every matrix in between is compared
(:mod:`skbackprop.rules`), so that the rule which is wrong can be told from those that only use
its result.
"""

from copy import copy, deepcopy
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .automatic import BINS, is_auto, resolved
from .definition import Definition, scaled
from .differences import DIRECTIONS, ENTRIES, MARGIN, TOLERANCE, compare_matrix, is_kink, slopes
from .estimators import checked_estimator
from .fitting import Fitting
from .losses import CustomLoss
from .messages import described
from .quiet import quietly
from .regressor import BackpropRegressor
from .reports import Line, Report, line_of
from .rules import derivatives, of_prediction, values
from .scaling import has_missing
from .tables import checked_table
from .threads import for_products_of
from .trained import Trained, fitting_at, trained_by

Array = np.ndarray

BY_KINKS = 1e6  # times what the sides differ by, if every row has a kink: all that is not smooth
ROWS = 32  # of the batch: the rules are the same for every row


@quietly
def check_gradients(
    estimator: BackpropRegressor, X: Any, y: Any, sample_weight: Any = None
) -> Report:
    """Compare df/dW[l], df/db[l], df/dX and all between with differences of the objective.

    And dy/dX, which `predict_gradient` computes by itself, with differences of the predictions.

    The objective is the one that training minimises,

        f = Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / (m s̄)  +  alpha / (2 Σᵢ sᵢ) Σₗ ‖W[l]‖²_F,

    of a batch of m rows: at most 32 of those that training would use, evenly spaced and scaled as
    the whole table is, with s̄ and the second Σᵢ sᵢ those of the whole table. With dropout it is
    that of one draw of the masks.

    Parameters
    ----------
    estimator : BackpropRegressor
        A fitted one is checked at its weights, one that is not at the first weights that `fit`
        would give it. It is left as it is. float32 is checked in float64.
    X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    report : Report
        A line for every layer and rule, to be printed or shown in a notebook;
        ``report.passed``, and ``report.faults`` with the rules that are wrong, where the way back
        first goes wrong first. What is wrong as a consequence says so.

    Raises
    ------
    TypeError
        If the estimator is no BackpropRegressor.
    ValueError, TypeError
        For data or parameters that `fit` refuses, for an estimator that was fitted with
        another architecture, and if the objective is not finite.

    Notes
    -----
    A derivative is wrong from a relative error of 1e-6 on, or where differences cannot tell so
    much, of ten times their error bar: relative to its largest entry, or for a matrix of more than
    256 entries to its Frobenius norm. (Where the sums that it is made of cancel, as at a minimum,
    to that of their terms.) Such a large matrix is compared along 16 random directions. An entry
    that is wrong by more than that is overlooked with a probability of 2⁻¹⁶ at the most, and never
    if it is the only one (:mod:`skbackprop.differences`).

    Rows in which a unit is at a kink of its activation, or the residual at one of the loss, are
    left out, and counted in the line of that function. Near a kink what disagrees with the
    difference of both sides by no more than ten times what the sides differ by is neither right
    nor wrong but "kink"; where every row has one, whatever disagrees and is not smooth. A
    derivative that vanishes beside the objective, as behind saturated units, is "unclear" where
    differences are all rounding. The first line of the table names both.

    Examples
    --------
    >>> import numpy as np
    >>> from skbackprop import BackpropRegressor, check_gradients
    >>> X = np.linspace(-1, 1, 40).reshape(20, 2)
    >>> report = check_gradients(BackpropRegressor("huber", (5,), "gelu"), X, X[:, 0] ** 2)
    >>> report.passed
    True
    """
    fitting, table = _set_up(estimator, X, y, sample_weight)
    with for_products_of(1):  # of 32 rows each, on several threads up to 20 times as slow
        rows, t, f, at_kinks = _off_kinks(fitting, table)
        X = _dense(table[0], fitting.data.of_table(rows))
        lines = _lines(f, t, fitting, X, at_kinks)
    return Report("check_gradients", _about(fitting, len(rows)), lines)


def _set_up(estimator, X, y, sample_weight):
    """The fit that would be made, in float64, with the weights of a fitted estimator."""
    fitted = hasattr(checked_estimator(estimator, fitted=False), "theta_")
    params = estimator._checked() | {"dtype": "float64"}
    params["random_state"] = deepcopy(params["random_state"])  # a generator is left where it is
    scratch = copy(estimator)
    table, _ = checked_table(scratch, X, y, sample_weight, reset=not fitted)
    if fitted:
        return fitting_at(vars(estimator), params, table, "check_gradients"), table
    # Of weights that are all at work, W[L] = 0 would hide what is before it; and without the short
    # trainings that tell how many bins are best.
    params |= {"parametrization": "standard", "n_networks": 1}
    params |= {"n_bins": BINS} if is_auto(params["n_bins"]) and _has_robust_units(params) else {}
    return Fitting(params, table, categories=scratch.categories_).alone(), table


def _has_robust_units(params):
    return resolved(params, len(params))["standardize"] == "robust"


def _definition(fitting, table, rows, D=None) -> Definition:
    """The objective of some of the rows that training would use, from the table itself."""
    (X, Y, s), data, model = table, fitting.data, fitting.model
    index, every = data.of_table(rows), data.of_table(np.arange(len(data)))
    X = scaled(_dense(X, index), model.X_shift, model.X_scale)
    X = model.encoded(X)
    Y = scaled(Y[index], model.y_shift, model.y_scale)
    weight = None if s is None else s[index, None] / (len(rows) * s[every].mean())
    penalty = fitting.params["alpha"] / (len(every) if s is None else s[every].sum())
    return Definition(model.network(), model.theta, fitting.loss, penalty, X, Y, weight, D)


def _dense(X, index) -> Array:
    X = X[index]
    return (X.toarray() if sparse.issparse(X) else X).astype(np.float64)


class AtKinks(NamedTuple):
    """Entries of each Z[l], and rows of A[L], at a kink."""

    entries: list[int]
    losses: int
    everywhere: bool = False  # in every row, which could then not be left out


def _off_kinks(fitting, table) -> tuple[Array, Trained, Definition, AtKinks]:
    """Rows without a kink, and both sides for them; and what was at a kink at first."""
    n, counted = len(fitting.data), None
    rows = np.linspace(0, n - 1, min(n, ROWS)).astype(np.intp)
    while True:  # with dropout every choice of the rows has other masks, and kinks
        t = trained_by(fitting, rows)
        f = _definition(fitting, table, rows, t.D)
        if not np.isfinite(f.value()):
            raise ValueError(
                f"the objective must be finite; for these weights and data {f.value()}"
            )
        losses = _loss_at_kink(f)
        units = [_activation_at_kink(f, l) for l in range(1, f.L + 1)]
        at_kink = np.any([losses, *(kinks.any(axis=1) for kinks in units)], axis=0)
        counted = counted or ([0, *(int(kinks.sum()) for kinks in units)], int(losses.sum()))
        if not at_kink.any() or at_kink.all():
            return rows, t, f, AtKinks(*counted, bool(at_kink.all()))
        rows = rows[~at_kink]


def _activation_at_kink(f: Definition, l: int) -> Array:
    """Entries of Z[l] at which g[l] has a kink."""
    step = np.maximum(1, abs(f.Z[l]))
    found = slopes(lambda t: f.activation(l, f.Z[l] + t * step))
    return is_kink(found, TOLERANCE * np.maximum(1, abs(found.both)))


def _loss_at_kink(f: Definition) -> Array:
    """Rows of A[L] at which the loss has a kink."""
    A = f.A[f.L]
    step = np.maximum(1, abs(A).max(axis=1))[:, None, None] * np.eye(len(A))[:, :, None]
    found = slopes(lambda t: f.with_A(f.L, A + t * step))
    return is_kink(found, TOLERANCE * abs(found.both).max())


# ----- the lines of the report ------------------------------------------------------------


def _lines(f: Definition, t: Trained, fitting: Fitting, X: Array, at_kinks: AtKinks) -> list[Line]:
    lines: list[Line] = []
    bad: set[str] = set()  # names of matrices
    for v in values(f, t):
        kinks = at_kinks.entries[v.layer] if v.name[0] == "A" else 0
        lines.append(_line_of_value(v, kinks, _source(v.uses, bad)))
        bad |= {v.name} if lines[-1].is_bad else set()
    model, margin = fitting.model, BY_KINKS if at_kinks.everywhere else MARGIN
    units: tuple[Any, Any] = (model.X_shift, model.X_scale)
    plain = model.encoding is None and not has_missing(X)
    predicted: Any = _of_prediction(f, model, X) if plain else ()
    if not plain:  # every knot of an encoding is a kink, and from a missing cell there is no step
        X, units = f.A[0], (None, None)
    of_training = derivatives(f, t, fitting.loss, fitting.objective.from_Z, X, units)
    for d in chain(of_training, predicted):
        found = compare_matrix(d.f, d.M, d.dM, d.size, margin)
        line = line_of(found, d.text, d.layer, _source(d.uses, bad))
        of_loss = d.uses == (f"A[{f.L}]",)
        lines.append(replace(line, kinks=line.kinks + at_kinks.losses) if of_loss else line)
        bad |= {d.name} if lines[-1].is_bad else set()
    return lines


def _of_prediction(f, model, X):
    """dy/dX for the rows without a kink, of which there may be others where dropout is none.

    At a kink of many units at once the slopes of both sides say little of the formula's.
    """
    plain = Definition(model.network(), model.theta, f.loss, 0.0, f.A[0], f.Y)
    kinks = [_activation_at_kink(plain, l).any(axis=1) for l in range(1, plain.L + 1)]
    rows = ~np.any(kinks, axis=0)
    return of_prediction(model, f.A[0][rows], X[rows])


def _source(uses, bad) -> str:
    """The first matrix that is used and wrong."""
    return next((name for name in uses if name in bad), "")


def _line_of_value(v, kinks, source) -> Line:
    size = max(float(np.max(abs(v.defined))), np.finfo(float).tiny)
    error = float(np.max(abs(v.trained - v.defined))) / size
    status, note = ("ok", "") if error <= TOLERANCE else ("wrong", "")
    if status == "wrong" and source:
        status, note = "follows", f"from {source}"
    return Line(v.text, status, v.layer, error, None, v.defined.size, "entries", kinks, note)


def _about(fitting, m):
    model, n = fitting.model, len(fitting.data)
    g = ", ".join(map(described, (getattr(g, "g", g) for g in model.network().g[1:])))
    loss = fitting.loss.loss if isinstance(fitting.loss, CustomLoss) else fitting.loss
    return (
        f"{'-'.join(map(str, model.layer_sizes))}, g = [{g}], {described(loss)}; {m} of {n} rows; "
        f"more than {ENTRIES} entries along {DIRECTIONS} random directions"
    )
