"""One fit: from parameters and a table to the attributes of a fitted regressor.

Everything happens in objects of its own. The regressor takes the result over when all
went well, so an error or an interrupt leaves it as it was.
"""

from time import perf_counter
from typing import Any

import numpy as np

from . import parameters
from .model import Model, model_of
from .monitoring import History, Validation, Watch
from .scaling import standardization
from .training import Data, MiniBatch, Objective, Progress, epochs, minimize_lbfgs

Array = np.ndarray


def architecture(params: dict[str, Any], n_features: int, n_outputs: int) -> dict[str, Any]:
    """What training cannot change half-way, by parameter name."""
    loss = parameters.resolve_loss(params)
    hidden = parameters.hidden_sizes(params["hidden_layer_sizes"])
    output = params["output_activation"]
    return {
        "the number of features of X": n_features,
        "the number of outputs of y": n_outputs,
        "hidden_layer_sizes": hidden,
        "activation": parameters.hidden_activations(params["activation"], len(hidden)),
        "output_activation": loss.output_activation if output is None else output,
        "loss": params["loss"],
        "quantile": params["quantile"],
        "solver": params["solver"],
        "fit_intercept": bool(params["fit_intercept"]),
        "standardize": bool(params["standardize"]),
        "dtype": None if params["dtype"] is None else np.dtype(params["dtype"]).name,
    }


def check_same(new: dict[str, Any], old: dict[str, Any], method: str) -> None:
    """Refuse to go on with a network that was fitted as another one."""

    def comparable(value):  # a user's object is the same after pickle if its type is
        return (
            value
            if not hasattr(value, "__dict__")
            else (type(value).__qualname__, str(vars(value)))
        )

    for name, value in new.items():
        values = [value, old[name]]
        a, b = (
            [comparable(v) for v in x] if isinstance(x, list) else comparable(x) for x in values
        )
        if a != b:
            raise ValueError(
                f"{method} goes on with the fitted network and cannot change {name} from "
                f"{old[name]!r} to {value!r}; fit with warm_start=False to start anew"
            )


def target_units(Y, weight, loss, output: str, center: bool) -> tuple[Array | None, Array | None]:
    """y_shift and y_scale: where the network's 0 and 1 lie in the caller's units.

    For an output that may be any number, the loss's best constant and the standard
    deviation; for one whose range survives a factor only, the mean of |y|.
    """
    if loss.degree is None or output == "fixed":
        return None, None
    if output == "scale":
        mean, _ = standardization(np.abs(Y), weight)
        return None, np.where(mean > 0, mean, 1)
    shift, scale = standardization(Y, weight, center)
    if shift is not None:
        rows = slice(None) if weight is None else weight > 0
        w = None if weight is None else (weight[rows] / weight.max())[:, None]
        shift = shift + scale * loss.best_constant((Y[rows] - shift) / scale, w)
    return shift, scale


class Fitting:
    """A fit that has been prepared; :meth:`run` does it.

    Parameters
    ----------
    params : dict
        The estimator's parameters, checked.
    X : ndarray or CSR matrix, Y : ndarray of shape (n, outputs), weight : ndarray or None
        The table, validated; weights >= 0 and not all zero.
    validation : tuple (X, Y, weight) or None
        Rows to validate on.
    previous : dict or None
        Fitted attributes to go on with; None to start anew.
    one_pass : bool
        A single pass over the rows, nothing kept for validation (partial_fit).
    """

    def __init__(self, params, X, Y, weight, *, validation=None, previous=None, one_pass=False):
        self.params, self.one_pass = params, one_pass
        self.loss = parameters.resolve_loss(params)
        self.optimizer = parameters.resolve_optimizer(params)
        self.architecture = architecture(params, X.shape[1], Y.shape[1])
        if previous is None:
            rng = _generator(params["random_state"])
            self.split_seed = int(rng.integers(2**63))
            self._check_targets(Y, weight)
            train, kept = self._split(len(Y), weight, validation)
            self._start(X, Y, weight, train, rng)
        else:
            method = "partial_fit" if one_pass else "warm_start=True"
            check_same(self.architecture, previous["_training"]["architecture"], method)
            self.split_seed = previous["_training"]["split_seed"]
            self._check_targets(Y, weight)
            train, kept = self._split(len(Y), weight, validation)
            self._resume(previous)
        self._prepare(X, Y, weight, train, kept, validation)

    def _check_targets(self, Y, weight):
        self.loss.check_targets(Y if weight is None else Y[weight > 0])

    def _split(self, n, weight, validation):
        """Rows for training (None for all) and for validation (None for none)."""
        # A row of weight zero is no row: it is in neither part.
        rows = None if weight is None or weight.all() else np.flatnonzero(weight)
        if self.one_pass or not self.params["early_stopping"] or validation is not None:
            return rows, None
        rows = np.arange(n) if rows is None else rows
        order = np.random.default_rng(self.split_seed).permutation(rows)
        n_kept = int(np.ceil(self.params["validation_fraction"] * len(rows)))
        if n_kept < 2 or n_kept >= len(rows):
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size "
                f"of your dataset: early_stopping=True with validation_fraction="
                f"{self.params['validation_fraction']!r} keeps {n_kept} of {len(rows)} rows"
            )
        return np.sort(order[n_kept:]), np.sort(order[:n_kept])

    def _start(self, X, Y, weight, train, rng):
        a, p = self.architecture, self.params
        dtype = parameters.resolve_dtype(p["dtype"], X.dtype)
        sizes = [X.shape[1], *a["hidden_layer_sizes"], Y.shape[1]]
        activations = [*a["activation"], a["output_activation"]]
        self.model = Model(np.empty(0, dtype), sizes, activations, a["fit_intercept"])
        network = self.model.network()
        if a["standardize"]:
            w = _only(train, weight, len(Y))
            center, output = a["fit_intercept"], network.g[-1].output
            self.model.X_shift, self.model.X_scale = standardization(X, w, center)
            self.model.y_shift, self.model.y_scale = target_units(Y, w, self.loss, output, center)
        theta = self.model.theta = network.initialize(rng, dtype)
        state = {} if self.optimizer is None else self.optimizer.init(theta)
        self.at, self.history = Progress(theta, state, rng), History()
        self.weight_sum, self.weight_rows = 0.0, 0

    def _resume(self, previous):
        # Copies, and writable ones: joblib loads a model's arrays read-only.
        state = previous["_training"]
        self.model = model_of(previous)
        latest = None if self.one_pass else state["theta"]
        theta = self.model.theta = np.array(self.model.theta if latest is None else latest)
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = state["rng"]
        optimizer = {
            k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state["optimizer"].items()
        }
        passes = previous["n_iter_"] if self.one_pass else 0
        self.at = Progress(theta, optimizer, rng, state["samples"], passes, state["slowdown"])
        curves = ("loss_curve", "validation_loss_curve", "validation_scores")
        self.history = History(
            **{k: list(v) if k in curves else v for k, v in state["history"].items()}
        )
        self.weight_sum, self.weight_rows = state["weight_sum"], state["weight_rows"]

    def _prepare(self, X, Y, weight, train, kept, validation):
        """Objective, rows, validation, with the weights divided by their mean."""
        network, dtype = self.model.network(), self.model.theta.dtype
        self.history.judge_by(self._judged_by())
        n = len(Y) if train is None else len(train)
        total = float(n if weight is None else np.sum(weight if train is None else weight[train]))
        keep = self.one_pass  # a stream's mean weight is that of all rows so far
        self.weight_sum = total + (self.weight_sum if keep else 0.0)
        self.weight_rows = n + (self.weight_rows if keep else 0)
        mean = self.weight_sum / self.weight_rows
        column = None
        if weight is not None or mean != 1:
            column = (np.ones(len(Y)) if weight is None else weight) / mean
            column = column.astype(dtype)[:, None]
        rows, Yn = self.model.rows(X), self.model.to_network(Y)
        self.data = Data(rows, Yn, column, train)
        output = self.architecture["output_activation"]
        self.objective = Objective(
            network,
            self.loss,
            penalty=self.params["alpha"] / (mean * n),
            from_Z=self.loss.canonical is not None and output == self.loss.canonical,
            dropout=self.params["dropout"],
        )
        self.validation_data = None
        if kept is not None:
            w = None if weight is None else (weight / weight[kept].mean()).astype(dtype)[:, None]
            self.validation_data = Data(rows, Yn, w, kept)
        elif validation is not None:
            self.validation_data = self._given(*validation)

    def _given(self, X, Y, weight):
        """The caller's validation rows in the network's units."""
        self._check_targets(Y, weight)
        w = (
            None
            if weight is None
            else (weight / weight.mean()).astype(self.model.theta.dtype)[:, None]
        )
        return Data(self.model.rows(X), self.model.to_network(Y), w)

    def _judged_by(self):
        if not self.params["early_stopping"] or self.one_pass:
            return "loss"
        scoring = self.params["scoring"]
        return "validation loss" if scoring in (None, "loss") else f"score {scoring}"

    @property
    def unit(self) -> float:
        """The caller's loss divided by the network's.

        With several outputs each counts in proportion to y_scale^-degree, and the unit
        is the mean of y_scale^degree.
        """
        if self.model.y_scale is None or self.loss.degree is None:
            return 1.0
        with np.errstate(over="ignore", under="ignore"):
            return float(np.mean(self.model.y_scale**self.loss.degree))

    def run(self, scorer=None, callback=None, max_iter=None) -> str | None:
        """Train; returns why it was stopped before max_iter, if it was."""
        p, started = self.params, perf_counter()
        early = p["early_stopping"] and not self.one_pass
        schedule = parameters.resolve_schedule(p)
        validation = None
        if self.validation_data is not None:
            network = self.model.network()
            validation = Validation(network, self.loss, self.validation_data, scorer)
        impatient = early or (self.optimizer is not None and not self.one_pass)
        watch = Watch(
            self.history,
            self.at,
            unit=self.unit,
            tol=p["tol"],
            patience=p["n_iter_no_change"] if impatient else None,
            validation=validation,
            on_score=early and p["scoring"] not in (None, "loss"),
            early_stopping=early,
            keep_best=early or p["max_time"] is not None,
            schedule=schedule,
            learning_rate=p["learning_rate_init"],
            deadline=np.inf if p["max_time"] is None else started + p["max_time"],
            verbose=bool(p["verbose"]),
            callback=callback,
        )
        # Overflow is looked for in the results, once an epoch, and reported by name.
        with np.errstate(all="ignore"):
            message = self._descend(watch, schedule)
        self.reason = watch.reason or message
        return self.reason

    def _descend(self, watch, schedule):
        p = self.params
        if self.optimizer is None:
            settings = {"max_iter": p["max_iter"], "max_fun": p["max_fun"], "tol": p["tol"]}
            stop = watch.epoch_ended
            message = minimize_lbfgs(
                self.objective, self.data, self.at, **settings, epoch_ended=stop
            )
            return None if message is None else f"max_iter: {message}"
        n = len(self.data)
        batch_size = 200 if p["batch_size"] == "auto" else int(p["batch_size"])
        how = MiniBatch(
            self.optimizer,
            schedule,
            p["learning_rate_init"],
            min(batch_size, n),
            p["max_iter"],
            p["shuffle"],
            p["clip_norm"],
        )
        last = self.at.epochs + 1 if self.one_pass else p["max_iter"]
        for loss in epochs(self.objective, self.data, how, self.at, watch.deadline):
            if watch.epoch_ended(loss):
                return None
            if self.at.epochs >= last:
                return None if schedule.planned or self.one_pass else "max_iter"

    def finite(self) -> bool:
        """Whether the weights are finite; restores the best ones where that was asked for."""
        best = self.history.best_theta
        early = self.params["early_stopping"] and not self.one_pass
        latest = self.at.theta
        if best is not None and (early or self.reason in ("time", "diverged")):
            self.model.theta = best
        self.latest = None if self.model.theta is latest else latest
        return bool(np.isfinite(self.model.theta).all())

    def attributes(self, theta: Array | None = None) -> dict[str, Any]:
        """The fitted attributes; those that a prediction needs, given other weights."""
        m = self.model
        predictive = {
            "theta_": m.theta if theta is None else theta,
            "layer_sizes_": m.layer_sizes,
            "activations_": m.activations,
            "fit_intercept_": m.fit_intercept,
            "X_shift_": m.X_shift,
            "X_scale_": m.X_scale,
            "y_shift_": m.y_shift,
            "y_scale_": m.y_scale,
            "n_layers_": len(m.layer_sizes),
            "n_outputs_": m.layer_sizes[-1],
            "out_activation_": m.activations[-1],
        }
        return predictive if theta is not None else predictive | self._trained()

    def _trained(self):
        h, early = self.history, self.params["early_stopping"] and not self.one_pass
        scored = bool(h.validation_scores)
        return {
            "n_iter_": self.at.epochs,
            "t_": self.at.samples,
            "loss_": h.loss_curve[-1],
            "best_loss_": None if early else min(h.loss_curve),
            "loss_curve_": h.loss_curve,
            "validation_loss_curve_": h.validation_loss_curve if scored else None,
            "validation_scores_": h.validation_scores if scored else None,
            "best_validation_score_": max(h.validation_scores) if scored else None,
            "_training": {
                "architecture": self.architecture,
                "theta": self.latest,
                "optimizer": self.at.optimizer,
                "rng": self.at.rng.bit_generator.state,
                "samples": self.at.samples,
                "slowdown": self.at.slowdown,
                "split_seed": self.split_seed,
                "weight_sum": self.weight_sum,
                "weight_rows": self.weight_rows,
                "history": dict(vars(h)),
            },
        }


def _only(train, weight, n):
    """Weights of the training rows, zero elsewhere; None if all rows weigh the same."""
    if train is None:
        return weight
    w = np.zeros(n)
    w[train] = 1 if weight is None else weight[train]
    return w


def _generator(random_state: Any) -> np.random.Generator:
    """NumPy's newer generator, seeded as scikit-learn's random_state says."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.Generator(np.random.PCG64(random_state))
