"""One fit: from parameters and a table to the attributes of a fitted regressor.

Everything happens in objects of its own. The regressor takes the result over when all
went well, so that an error leaves it as it was.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from . import automatic, memory, parameters
from .architecture import architecture, check_same
from .blocks import blocks
from .conformal import error_quantiles
from .divergence import EXPLODED, SAMPLE, Measure, mean_loss, measure
from .feed import Data
from .fingerprint import crc_of, name_of
from .inputs import units_and_encoding
from .losses import LOSSES
from .model import ENCODED, Model, encoding_attributes, model_of
from .monitoring import History, Validation, Watch
from .quiet import quietly
from .scaling import check_complete, target_standardization
from .stack import train
from .threads import for_products_of
from .training import MiniBatch, Objective, Progress

REFUSED = ("nonfinite", "useless")  # judgements on weights that shall not predict
STREAM = 1000  # calls of partial_fit that the curves remember

Array = np.ndarray
Table = tuple[Any, Array, Array | None]  # X, Y of two dimensions, weights or None


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
            train, kept = self._split(len(Y), weight, validation)
            self._start(table, train, rng)
        else:
            check_same(
                self.architecture,
                previous["_training"]["architecture"],
                "partial_fit" if one_pass else "warm_start=True",
            )
            self.split_seed = previous["_training"]["split_seed"]
            train, kept = self._split(len(Y), weight, validation)
            self._resume(previous)
        self.fingerprint = self._fingerprint(table, validation)
        self.history.judge_by(self._judged_by())
        self._prepare(table, train, kept, validation)

    # ----- before training ---------------------------------------------------------

    def _without_auto(self, params, table, validation):
        """The parameters with numbers in place of "auto"."""
        _, Y, weight = table
        rows = self._counted(weight)
        n = len(Y) if rows is None else len(rows)
        known = None if self.previous is None else self.previous["_training"]["architecture"]
        params = automatic.resolved(params, n, self.one_pass, known)
        if not automatic.is_auto(params["n_bins"]):
            return params

        def judge(short, step):
            some = np.arange(0, n, step) if rows is None else rows[::step]
            pilot = Fitting(
                short, table, validation=validation, rows=some, categories=self.categories
            )
            pilot.run()
            return pilot.history.best

        return automatic.with_bins(params, n, judge)

    def _counted(self, weight):
        """The rows that count, as one of weight zero does not; None for all of the table's."""
        rows = self.only_rows
        if weight is not None and not weight.all():
            rows = np.flatnonzero(weight) if rows is None else rows[weight[rows] > 0]
        return rows

    def _check_targets(self, Y, weight, first=False):
        if self.only_rows is not None:
            Y, weight = Y[self.only_rows], None if weight is None else weight[self.only_rows]
        Y = Y if weight is None or weight.all() else Y[weight > 0]
        self.loss.check_targets(Y)
        if first:
            self.loss.check_first_targets(Y)

    def _split(self, n, weight, validation):
        """Rows for training (None for all) and for validation (None for none)."""
        rows = self._counted(weight)
        if rows is not None and not len(rows):
            raise ValueError("sample_weight has only zero weights for these rows")
        self.folds = None
        if not self.early_stopping or validation is not None:
            return rows, None
        order = np.arange(n if rows is None else len(rows))
        np.random.default_rng(self.split_seed).shuffle(order)
        if self.architecture["n_networks"] > 1:
            self.folds = self._folds(order)
            return rows, None
        fraction = self.params["validation_fraction"]
        n_kept = int(np.ceil(fraction * len(order)))
        if n_kept < 2 or n_kept >= len(order):
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                f"your dataset: validation_fraction={fraction!r} of {len(order)} rows is {n_kept} "
                "(at least 2 and one row to train on are needed; n_samples="
                f"{len(order)})"
            )
        kept, train = order[:n_kept].copy(), order[n_kept:]
        kept.sort()
        train.sort()
        return (train, kept) if rows is None else (rows[train], rows[kept])

    def _folds(self, order):
        """Rows of the training set that each network is validated on, and does not learn from."""
        K = self.architecture["n_networks"]
        if len(order) < 2 * K:
            raise ValueError(
                f"n_networks={K} with early_stopping=True keeps a fold of the rows from each "
                f"network, for which {len(order)} rows are too few (at least {2 * K} are needed)"
            )
        return [np.sort(fold) for fold in np.array_split(order, K)]

    def _start(self, table, train, rng):
        """Scaling and first weights."""
        X, Y, _ = table
        a = self.architecture
        dtype = parameters.resolve_dtype(self.params["dtype"], X.dtype)
        sizes = [X.shape[1], *a["hidden_layer_sizes"], Y.shape[1]]
        activations = [*a["activation"], a["output_activation"]]
        self.model = m = Model(np.empty(0, dtype), sizes, activations, a["fit_intercept"])
        m.n_networks, m.input_scale = a["n_networks"], a["input_scale"]
        m.categories = self.categories
        with for_products_of(1):  # else the bits of a sum depend on the number of threads
            self._set_units(m, table, train)
        network = m.network()
        n = len(Y) if train is None else len(train)
        memory.check(self.params, self.optimizer, network, dtype, n)
        m.theta = self._first_theta(network, rng, dtype)
        self._start_at_constants(network, Y, train)
        state = parameters.first_state(self.optimizer, m.theta)
        self.at, self.history = Progress(m.theta, state, rng), History()
        self.weight_mean, self.weight_rows = 0.0, 0

    def _set_units(self, m, table, train):
        """Units of X and y, and the encoding of X."""
        X, Y, weight = table
        center, standardize = m.fit_intercept, self.architecture["standardize"]
        if standardize:
            output = m.network().g[-1].output
            units = target_standardization(Y, weight, self.loss, output, center, train)
            m.y_shift, m.y_scale = units
        m.X_shift, m.X_scale, m.encoding = units_and_encoding(
            X,
            weight,
            train,
            standardize=standardize,
            center=center,
            n_bins=self.architecture["n_bins"],
            categories=self.categories,
        )
        if m.encoding is not None:
            m.layer_sizes[0] += m.encoding.n_added

    def _first_theta(self, network, rng, dtype):
        if self.architecture["parametrization"] == "neural_tangent":
            return network.initialize_neural_tangent(rng, dtype)
        return network.initialize(rng, dtype)

    def _start_at_constants(self, network, Y, train):
        """W[L] = 0 for constant targets that A[L] = g[L](0) is: predicted exactly, at rest.

        Not where g[L]'(0) = 0, as of relu: such an output would never wake up.
        """
        m, g, zero = self.model, network.g[-1], np.zeros((1, network.sizes[-1]))
        n, first = len(Y) if train is None else len(train), Y[0 if train is None else train[0]]
        constant = np.ones(Y.shape[1], bool)
        for rows in blocks(n):
            if not constant.any():
                return
            constant &= (Y[rows if train is None else train[rows]] == first).all(axis=0)
        if not constant.any():
            return
        A, target = g.value(zero), np.empty_like(zero, m.theta.dtype)
        m.targets(first[None]).take(slice(0, 1), target)
        met = (target == A) & (g.derivative(zero, A) != 0)
        network.views(m.theta).W[-1][..., constant & met[0]] = 0

    def _fingerprint(self, table, validation):
        """Of the rows that the best epoch is the best on; a warm start may bring others."""
        if self.one_pass or not self.params["warm_start"]:
            return ""
        return f" of {crc_of([*table, *(validation or ()), self.only_rows])}"

    def _resume(self, previous):
        """Everything as the last fit or partial_fit left it, in copies of its own."""
        state = previous["_training"]
        # Copies of the units too: those of a memory map are gone with its file.
        units = {k: v for k, v in previous.items() if k.endswith(("_shift_", "_scale_", *ENCODED))}
        self.model = model_of(previous | _copied(units))
        # fit goes on from the last epoch, which may be past the best one; partial_fit
        # from the model that predicts.
        latest = self.model.theta if self.one_pass or state["theta"] is None else state["theta"]
        theta = self.model.theta = np.array(latest)  # writable, which a memory map is not
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = state["rng"]
        passes = previous["n_iter_"] if self.one_pass or self.resumed else 0
        optimizer = _copied(state["optimizer"])
        # What "adaptive" has divided the rate by is no part of another schedule.
        slowdown = state["slowdown"] if hasattr(self.schedule, "plateau") else 1.0
        self.at = Progress(theta, optimizer, rng, state["samples"], passes, slowdown)
        self.history = History(**_copied(state["history"]))
        self.weight_mean, self.weight_rows = state["weight_mean"], state["weight_rows"]
        self.measured = state["measure"]
        if self.resumed:
            self.first_theta = state["first_theta"]
        elif self.optimizer is None:
            self.at.optimizer = {}  # evaluations are counted from every fit's beginning

    def _judged_by(self):
        """What an epoch is the best of."""
        p = self.params
        quantile = float(p["quantile"])
        if not self.early_stopping:  # which these are a part of, and may have changed
            penalty = f"{float(p['alpha'])}, {float(p['dropout'])}"  # 1 is no other than 1.0
            return f"loss of {penalty}, {quantile}{self.fingerprint}"
        rows = f"of {p['validation_fraction']}"
        if p["scoring"] in (None, "loss"):
            return f"validation loss {rows}, {quantile}{self.fingerprint}"
        return f"score {name_of(p['scoring'])} {rows}{self.fingerprint}"

    def _prepare(self, table, train, kept, validation):
        """The objective and the rows, with weights divided by their mean."""
        X, Y, weight = table
        n = len(Y) if train is None else len(train)
        mean = self._mean_weight(n, weight if train is None or weight is None else weight[train])
        X, targets = self.model.rows(X), self.model.targets(Y)
        self.data = Data(X, targets, weight, mean, train)
        self.parts = self._parts(n)
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

    def _parts(self, n):
        """What each network learns from: all rows, or those of all folds but its own."""
        if self.folds is None:
            return [self.data] * self.model.n_networks
        whole, parts = self.data, []
        for fold in self.folds:
            others = np.ones(n, bool)
            others[fold] = False
            index = whole.of_table(np.flatnonzero(others))
            mean = 1.0 if whole.weight is None else float(whole.weight[index].mean())
            parts.append(replace(whole, index=index, mean_weight=mean))
        return parts

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
        self._prepare(table, self.data.index, None, None)

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
            self.end()

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
        self.watch, self.keep = self._watch(scorer, callback), keep

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

    def end(self) -> None:
        """Settle on the weights, the last ones or the best, and judge them."""
        best = None if self.one_pass else self.history.best_theta
        overflow = not (self._is_finite() and np.isfinite(self.watch.loss))
        diverged = overflow or self.reason == "diverged"
        if best is not None and (diverged or self._needs_best):
            self.model.theta = best
        verdict = self._verdict(self.model.theta)
        # The last epoch's weights may be the best too, and have been judged then.
        earlier = best is not None and self.history.best_epoch < len(self.history.loss_curve)
        if verdict and earlier and self._verdict(best) is None:
            self.model.theta, verdict, diverged = best, None, True
        if diverged or verdict == "useless":
            verdict = self._fall_back(verdict, overflow)
        self.judgement, self.ended = verdict, True
        self._keep_errors()
        if not (self.params["warm_start"] and self._needs_best):
            self.history.best_theta = None  # nothing will be compared with it

    def _keep_errors(self):
        """Errors on the validation rows, in the caller's units, for predict_interval."""
        if self.watch.validation is None:
            return
        errors, weight = self.watch.validation.errors(self.model.theta)
        scale = self.model.y_scale
        table = error_quantiles(errors if scale is None else errors * scale, weight)
        self.errors = table, len(self.validation_data)

    def _fall_back(self, verdict, overflow):
        """The judgement of a training that has diverged, on the best weights there are."""
        if verdict and not self.early_stopping:
            return "nonfinite" if overflow else "useless"
        if self.one_pass:  # moments have overflowed
            return "nonfinite"
        if verdict:  # as in scikit-learn, early stopping always ends with a model
            self.model.theta, self.history.best_epoch = self._first_weights(), 0
        self._begin_anew_from(self.model.theta)  # what has led astray is not to be gone on with
        return "restored"

    def _first_weights(self):
        """With a last layer of 0 if they then predict the mean, as they do of standardised y."""
        theta = self.first_theta.copy()
        last = self.model.network().matrices(theta)[-1]
        last[...] = 0
        return theta if self._verdict(theta) is None else self.first_theta

    def _verdict(self, theta) -> str | None:
        """What is wrong with weights that are to predict."""
        # Without the penalty; of a call in a stream, over some of its rows.
        most = SAMPLE if self.one_pass else np.inf
        loss = mean_loss(self.objective.network, self.loss, self.data, theta, most)
        if not np.isfinite(loss):
            return "nonfinite"
        return self.measure.verdict(loss)

    def _begin_anew_from(self, theta):
        self.at.theta = self.model.theta = theta
        self.at.optimizer = parameters.first_state(self.optimizer, theta)

    def so_far(self) -> dict[str, Any] | None:
        """Fitted attributes as of the best epoch, of a fit that is cut short; None before one.

        Of an epoch that was under way nothing is kept: a later warm start goes on from the best
        weights, with moments that begin anew.
        """
        h = self.history
        if self.ended:
            return None if self.judgement in REFUSED else self.attributes()
        if self.one_pass or self.watch is None or not self.watch.improved:
            return None
        curves = [h.loss_curve]
        if self.validation_data is not None:
            curves += [h.validation_loss_curve, h.validation_scores]
        n = min(map(len, curves))
        for curve in curves:
            del curve[n:]
        self.at.epochs = n - self.epochs_before
        self._begin_anew_from(h.best_theta)
        self.ended = True
        self._keep_errors()
        if not (self.params["warm_start"] and self._needs_best):
            h.best_theta = None
        return self.attributes() if self._is_finite() else None

    def _is_finite(self):
        """Whether weights and moments are."""
        moments = (v for v in self.at.optimizer.values() if isinstance(v, np.ndarray))
        return all(np.isfinite(M).all() for M in (self.model.theta, self.at.theta, *moments))

    @property
    def _needs_best(self):
        """Whether the best epoch's weights are wanted, and not a way out alone."""
        return self.early_stopping or (self.params["max_time"] is not None and not self.one_pass)

    def _watch(self, scorer, callback):
        p, validation = self.params, None
        if self.validation_data is not None:
            network = self.model.network()
            validation = Validation(network, self.loss, self.validation_data, scorer, self.folds)
        # A full-batch solver knows by itself when the training loss cannot fall further, and a
        # planned schedule would be cut short while its rate is high.
        full_batch = self.optimizer is None
        planned = self.schedule.planned and not full_batch
        unlimited = self.one_pass or planned or (full_batch and not self.early_stopping)
        valleys = () if self.one_pass or full_batch else getattr(self.schedule, "valleys", ())
        in_time = self.one_pass or p["max_time"] is None
        return Watch(
            self.history,
            self.at,
            unit=self.unit,
            tol=p["tol"],
            patience=None if unlimited else p["n_iter_no_change"],
            valleys=[round(v * p["max_iter"]) for v in valleys],
            validation=validation,
            on_score=self.history.judged_by.startswith("score"),
            early_stopping=self.early_stopping,
            keep_best=not self.one_pass,
            limit=self._limit(),
            schedule=self.schedule,
            learning_rate=p["learning_rate_init"],
            deadline=np.inf if in_time else perf_counter() + p["max_time"],
            verbose=bool(p["verbose"]),
            callback=callback,
            loss=0.0 if self.resumed else np.nan,  # that of a checkpoint was finite
            improved=self.resumed and self.history.best_theta is not None,
        )

    def _limit(self):
        """The loss of a pass that has exploded, penalty included."""
        # Of the first weights: a fit that goes on from a checkpoint has the same limit.
        theta = self.model.theta if self.first_theta is None else self.first_theta
        penalty = float(self.objective.penalty_values(theta).max())
        return EXPLODED * max(self.measure.scale, penalty)

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
        m = self.model
        return {
            "theta_": m.theta if theta is None else theta,
            "layer_sizes_": m.layer_sizes,
            "activations_": m.activations,
            "fit_intercept_": m.fit_intercept,
            "X_shift_": m.X_shift,
            "X_scale_": m.X_scale,
            "y_shift_": m.y_shift,
            "y_scale_": m.y_scale,
            **encoding_attributes(m.encoding),
            "n_networks_": m.n_networks,
            "input_scale_": m.input_scale,
        }

    def attributes(self) -> dict[str, Any]:
        """All fitted attributes."""
        m, h = self.model, self.history
        if self.one_pass:
            h.forget(STREAM)
        scored = self.validation_data is not None
        return self.predictive() | {
            "n_layers_": len(m.layer_sizes),
            "n_outputs_": m.layer_sizes[-1],
            "out_activation_": m.activations[-1],
            "n_iter_": self.at.epochs,
            "t_": self.at.samples,
            "loss_": h.loss_curve[-1],
            "best_loss_": None
            if self.early_stopping
            else min(h.loss_curve[h.judged_from :], default=h.loss_curve[-1]),
            "loss_curve_": list(h.loss_curve),
            "validation_loss_curve_": list(h.validation_loss_curve) if scored else None,
            "validation_scores_": list(h.validation_scores) if scored else None,
            "best_validation_score_": _largest(h.validation_scores[h.judged_from :])
            if scored
            else None,
            "error_quantiles_": self.errors[0],
            "n_validation_": self.errors[1],
            "_training": self._state(),
        }

    def _state(self):
        """What a later fit or partial_fit needs to go on; plain data only."""
        running = not self.ended
        # The last epoch's weights where the best ones predict. Where they are theta_ itself they
        # are not kept under a second name: joblib would write them twice.
        goes_on = (self.params["warm_start"] or running) and self.at.theta is not self.model.theta
        return {
            "architecture": self.architecture,
            "theta": self.at.theta if goes_on else None,
            "first_theta": self.first_theta if running else None,
            "optimizer": self.at.optimizer,
            "rng": self.at.rng.bit_generator.state,
            "samples": self.at.samples,
            "slowdown": self.at.slowdown,
            # Named anew: a scorer may have counted its calls.
            "history": vars(self.history) | {"judged_by": self._judged_by()},
            "measure": vars(self.measure),
            "split_seed": self.split_seed,
            "weight_mean": self.weight_mean,
            "weight_rows": self.weight_rows,
        }


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


def _largest(scores):
    """The largest score that is a number; NaN if none is."""
    return max((score for score in scores if score == score), default=float("nan"))


def _copied(state):
    """A dict whose arrays and lists are its own, memory maps made arrays."""
    state = {k: v.view(np.ndarray) if isinstance(v, np.memmap) else v for k, v in state.items()}
    return {k: v.copy() if isinstance(v, (np.ndarray, list)) else v for k, v in state.items()}
