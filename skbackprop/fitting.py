"""One fit: from parameters and a table to the attributes of a fitted regressor.

Everything happens in objects of its own. The regressor takes the result over when all
went well, so that an error leaves it as it was.
"""

from collections.abc import Callable
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import issparse

from . import automatic, memory, parameters
from .architecture import architecture, check_same
from .divergence import Measure, measure
from .ending import end, so_far
from .feed import Data
from .fingerprint import crc_of, judged_by
from .fitted import attributes, copied, copied_model, copied_progress, predictive
from .losses import LOSSES
from .model import Model
from .monitoring import History
from .quiet import quietly
from .scaling import check_complete
from .split import Split, counted, split, without
from .stack import train
from .starting import Table, first_weights, model_without_weights
from .threads import for_products_of
from .training import MiniBatch, Objective, Progress
from .watching import watch

Array = np.ndarray


class Fitting:
    """A fit that has been prepared; :meth:`run` does it.

    Parameters
    ----------
    params : dict
        The estimator's parameters, checked.
    table : tuple (X, Y, weight)
        Validated: X an array or CSR matrix, Y (n, outputs), weights >= 0, not all zero.
    validation : tuple (X, Y, weight) or None
        Rows to validate on; None to keep a share of the table's with early stopping.
    previous : dict or None
        Fitted attributes to go on with; None to start anew.
    resumed : bool
        Whether `previous` is a fit that was cut short, to be ended as if it had not been.
    checkpoint : Checkpoint or None
        The file that keeps the fit safe, for whoever runs it.
    one_pass : bool
        A single pass over the rows, none kept for validation (partial_fit).
    rows : ndarray of int or None
        Rows of the table to fit on; None for all of them.
    categories : list of (ndarray or None), or None
        Of every feature the levels that its numbers stand for, None for one of numbers.
    """

    def __init__(
        self,
        params,
        table: Table,
        *,
        validation=None,
        previous=None,
        resumed=False,
        checkpoint=None,
        one_pass=False,
        rows=None,
        categories=None,
    ):
        self.one_pass, self.only_rows, self.categories = one_pass, rows, categories
        self.previous, self.resumed, self.checkpoint = previous, resumed, checkpoint
        params = self.params = self._without_auto(params, table, validation)
        self.reason: str | None = None  # why training ended short of success
        self.judgement: str | None = None  # of the weights, in a word
        self.watch: Any = None  # a Watch, once training begins
        self.ended = False
        self.first_theta: Array | None = None  # the last resort
        self.errors: Any = (None, 0)  # quantiles of those on validation rows, and how many
        self.measured: dict[str, float] | None = None  # what earlier losses were measured by
        self.early_stopping = params["early_stopping"] and not one_pass
        self.loss = parameters.resolve_loss(params)
        self.optimizer = parameters.resolve_optimizer(params)
        self.schedule = parameters.resolve_schedule(params)
        X, Y, weight = table
        self.architecture = architecture(params, X.shape[1], Y.shape[1])
        if not self.architecture["standardize"]:
            check_complete(X)
            if validation is not None:
                check_complete(validation[0], "X_val")
        self._check_targets(Y, weight, first=previous is None)
        if previous is None:
            rng = np.random.Generator(np.random.PCG64(parameters.seed_from(params["random_state"])))
            self.split_seed = int(rng.integers(2**63))
            parts = self._split(len(Y), weight, validation)
            self._start(table, parts.train, rng)
        else:
            check_same(
                self.architecture,
                previous["_training"]["architecture"],
                "partial_fit" if one_pass else "warm_start=True",
            )
            self.split_seed = previous["_training"]["split_seed"]
            parts = self._split(len(Y), weight, validation)
            self._resume(previous)
        self.fingerprint = self._fingerprint(table, validation)
        self.history.judge_by(self.judged_by())
        self._prepare(table, parts, validation)

    # ----- before training ---------------------------------------------------------

    def _without_auto(self, params, table, validation):
        """The parameters with numbers in place of "auto"."""
        X, Y, weight = table
        rows = counted(weight, self.only_rows)
        n = len(Y) if rows is None else len(rows)
        known = None if self.previous is None else self.previous["_training"]["architecture"]
        params = automatic.resolved(params, n, self.one_pass, known, issparse(X))
        if not automatic.is_auto(params["n_bins"]):
            return params

        def judge(short, some):
            some = some if rows is None else rows[some]
            try:
                pilot = Fitting(
                    short, table, validation=validation, rows=some, categories=self.categories
                )
            except ValueError:  # of these rows alone, or to be said of all
                return np.inf
            pilot.run()
            return pilot.history.best

        return automatic.with_bins(params, n, judge)

    def _check_targets(self, Y, weight, first=False):
        if self.only_rows is not None:
            Y, weight = Y[self.only_rows], None if weight is None else weight[self.only_rows]
        Y = Y if weight is None or weight.all() else Y[weight > 0]
        self.loss.check_targets(Y)
        if first:
            self.loss.check_first_targets(Y)

    def _split(self, n, weight, validation):
        rows = counted(weight, self.only_rows)
        if rows is not None and not len(rows):
            raise ValueError("sample_weight has only zero weights for these rows")
        if not self.early_stopping or validation is not None:
            return Split(rows)
        K, fraction = self.architecture["n_networks"], self.params["validation_fraction"]
        return split(n, rows, self.split_seed, K, fraction)

    def _start(self, table, train, rng):
        """Scaling and first weights."""
        X, Y, _ = table
        dtype = parameters.resolve_dtype(self.params["dtype"], X.dtype)
        m = self.model = model_without_weights(
            self.architecture, dtype, self.loss, table, train, self.categories
        )
        n = len(Y) if train is None else len(train)
        memory.check(self.params, self.optimizer, m.network(), dtype, n)
        m.theta = first_weights(m, self.architecture["parametrization"], rng, Y, train)
        state = parameters.first_state(self.optimizer, m.theta)
        self.at, self.history = Progress(m.theta, state, rng), History()
        self.weight_mean, self.weight_rows = 0.0, 0

    def _fingerprint(self, table, validation):
        """Of the rows that the best epoch is the best on; a warm start may bring others."""
        if self.one_pass or not self.params["warm_start"]:
            return ""
        return f" of {crc_of([*table, *(validation or ()), self.only_rows])}"

    def _resume(self, previous):
        """Everything as the last fit or partial_fit left it, in copies of its own."""
        state = previous["_training"]
        # fit goes on from the last epoch, which may be past the best one; partial_fit
        # from the model that predicts.
        self.model = copied_model(previous, latest=not self.one_pass)
        passes = previous["n_iter_"] if self.one_pass or self.resumed else 0
        self.at = copied_progress(state, self.model.theta, passes)
        if not hasattr(self.schedule, "plateau"):
            self.at.slowdown = 1.0  # what "adaptive" has divided the rate by is no part of another
        self.history = History(**copied(state["history"]))
        self.weight_mean, self.weight_rows = state["weight_mean"], state["weight_rows"]
        self.measured = state["measure"]
        if self.resumed:
            self.first_theta = state["first_theta"]
        elif self.optimizer is None:
            self.at.optimizer = {}  # evaluations are counted from every fit's beginning

    def judged_by(self) -> str:
        """What an epoch is the best of."""
        return judged_by(self.params, self.early_stopping, self.fingerprint)

    def _prepare(self, table, split, validation):
        """The objective and the rows, with weights divided by their mean."""
        X, Y, weight = table
        train, kept, self.folds = split
        n = len(Y) if train is None else len(train)
        mean = self._mean_weight(n, weight if train is None or weight is None else weight[train])
        X, targets = self.model.rows(X), self.model.targets(Y)
        self.data = Data(X, targets, weight, mean, train)
        if self.folds is None:
            self.parts = [self.data] * self.model.n_networks
        else:
            self.parts = without(self.folds, self.data)
        penalties = [self._penalty(part.mean_weight, len(part)) for part in self.parts]
        self.objective = Objective(
            self.model.network(),
            self.loss,
            penalty=np.array(penalties) if len(penalties) > 1 else penalties[0],
            from_Z=self.architecture["output_activation"] == self.loss.canonical
            and (type(self.loss) in LOSSES.values() or "derivative_Z" in vars(type(self.loss))),
            dropout=self.params["dropout"],
        )
        self.validation_data = None
        if self.folds is not None:
            self.validation_data = self.data
        elif kept is not None:
            mean = 1.0 if weight is None else weight[kept].mean()
            self.validation_data = Data(X, targets, weight, mean, kept)
        elif validation is not None:
            X, Y, weight = validation
            self._check_validation_targets(Y, weight)
            mean, index = 1.0, None
            if weight is not None:  # a row of weight zero is no row here either
                mean, index = weight[weight > 0].mean(), np.flatnonzero(weight)
            X, Y = self.model.rows(X), self.model.targets(Y)
            self.validation_data = Data(X, Y, weight, mean, index)
        if self.validation_data is not None:  # curves begin at the first epoch of all
            h = self.history
            for curve in (h.validation_loss_curve, h.validation_scores):
                curve += [float("nan")] * (len(h.loss_curve) - len(curve))

    def _check_validation_targets(self, Y, weight):
        self.loss.check_targets(Y if weight is None else Y[weight > 0])

    def _penalty(self, mean, n):
        """alpha / Σᵢ sᵢ."""
        penalty = float(self.params["alpha"]) / (mean * n)
        if np.isinf(penalty):
            raise ValueError(
                f"sample_weight is too small: alpha={self.params['alpha']!r}, divided by the sum "
                "of the weights, overflows; multiply all weights by a constant"
            )
        return penalty

    def _mean_weight(self, n, weight):
        """Mean weight of the rows; in a stream, of all rows so far."""
        if not self.one_pass:
            self.weight_mean, self.weight_rows = 0.0, 0
        self.weight_rows += n
        mean = 1.0 if weight is None else float(weight.mean())
        # Not by way of a sum, which overflows.
        self.weight_mean += (mean - self.weight_mean) * (n / self.weight_rows)
        return self.weight_mean

    def adopt(self, model: Model, table: Table) -> None:
        """Another model of the same network, weights and units: the same rows in its units."""
        self.model = model
        self._prepare(table, Split(self.data.index, folds=self.folds), None)

    # ----- training ----------------------------------------------------------------

    @quietly  # overflow is looked for in the results, once an epoch, and reported by name
    def run(
        self,
        scorer: Callable | None = None,
        callback: Callable | None = None,
        keep: Callable | None = None,
    ) -> None:
        """Train until there is a reason to stop, kept in ``reason`` if it is not success."""
        with for_products_of(self.largest_product):
            self.begin(scorer, callback, keep)
            if self.optimizer is None:
                self._minimize()
            else:
                train([self])
            end(self)

    @property
    def largest_product(self) -> int:
        """Multiplications of the largest matrix product of a step."""
        if self.optimizer is None:
            _, largest_product = full_batch(self.params["solver"])
            return largest_product(len(self.data), self.objective.network)
        return self.how.batch_size * max(m * n for m, n in pairwise(self.model.layer_sizes))

    def begin(
        self,
        scorer: Callable | None = None,
        callback: Callable | None = None,
        keep: Callable | None = None,
    ) -> None:
        """Set up what sees every epoch, and what the loss is measured by."""
        if self.first_theta is None and not self.one_pass:
            self.first_theta = self.model.theta.copy()
        self.epochs_before = len(self.history.loss_curve) - self.at.epochs
        self.measure = self._measure()
        self.watch, self.keep = watch(self, scorer, callback), keep

    def _measure(self):
        if self.resumed:
            return Measure(**self.measured)
        before = Measure(**self.measured) if self.measured else None
        network, theta = self.objective.network, self.model.theta
        return measure(network, self.loss, self.data, theta, self.one_pass, before)

    def epoch_ended(self, loss: float) -> bool:
        """Whether to stop after a pass of that loss, with the reason in ``reason``."""
        p, planned = self.params, self.schedule.planned
        if self.watch.epoch_ended(loss):
            self.reason = self.watch.reason
            return True
        if self.one_pass:
            self.reason = "schedule" if planned and self.at.epochs > p["max_iter"] else None
            return True
        self.reason = None if planned else "max_iter"
        return self.at.epochs >= p["max_iter"] or self._keep_safe()

    def _keep_safe(self):
        """Write the checkpoint if it is time to; no reason to stop."""
        if self.keep is not None and self.at.epochs % self.params["checkpoint_every"] == 0:
            self.keep()
        return False

    def so_far(self) -> dict[str, Any] | None:
        """Fitted attributes as of the best epoch, of a fit that is cut short; None before one."""
        return attributes(self) if so_far(self) else None

    @property
    def how(self) -> MiniBatch:
        """How to go through the rows."""
        p, n = self.params, min(map(len, self.parts))
        return MiniBatch(
            self.optimizer,
            self.schedule,
            learning_rate=p["learning_rate_init"],
            batch_size=min(int(p["batch_size"]), n),
            max_iter=p["max_iter"],
            shuffle=p["shuffle"],
            clip_norm=p["clip_norm"],
            layer_rates=self.architecture["parametrization"] == "neural_tangent",
        )

    def _minimize(self):
        p = self.params
        minimize, _ = full_batch(p["solver"])
        message = minimize(
            self.objective,
            self.data,
            self.at,
            max_iter=p["max_iter"],
            max_fun=p["max_fun"],
            tol=p["tol"],
            epoch_ended=lambda f: self.watch.epoch_ended(f) or self._keep_safe(),
            anew_every=None if p["checkpoint"] is None else p["checkpoint_every"],
        )
        self.reason = self.watch.reason or message

    @property
    @quietly
    def unit(self) -> float:
        """The caller's loss divided by the network's: the mean of y_scale^degree.

        Of several outputs each then counts in proportion to y_scale^-degree.
        """
        return unit_of(self.loss, self.model.y_scale)

    def alone(self, k: int = 0) -> "Fitting":
        """The fit of network k alone, the scale of its inputs folded in: to be looked at."""
        other = copy(self)
        other.model, other.parts, other.folds = self.model.members()[k], [self.data], None
        mean, n = self.data.mean_weight, len(self.data)
        other.objective = copy(self.objective)
        other.objective.network = other.model.network()
        other.objective.penalty = self._penalty(mean, n)
        return other

    # ----- after training ----------------------------------------------------------

    def predictive(self, theta: Array | None = None) -> dict[str, Any]:
        """The fitted attributes that a prediction needs, with other weights if given."""
        return predictive(self.model, theta)

    def attributes(self) -> dict[str, Any]:
        """All fitted attributes."""
        return attributes(self)


def unit_of(loss: Any, y_scale: Array | None) -> float:
    """A loss in the caller's units, divided by that in the network's."""
    if y_scale is None or loss.degree is None:
        return 1.0
    return float(np.mean(y_scale**loss.degree))


def full_batch(solver: str) -> tuple[Callable, Callable]:
    """What minimises over all rows at every step, and the multiplications of its products."""
    # Imported here: other solvers do without.
    if solver == "lm":
        from .lm import largest_product, minimize_lm

        return minimize_lm, largest_product
    from .lbfgs import largest_product, minimize_lbfgs

    return minimize_lbfgs, largest_product
