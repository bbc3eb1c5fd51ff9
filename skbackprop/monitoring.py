"""Monitoring: what happens between two epochs, for every solver.

The curves, the validation data, patience, the best weights, the clock, the printed
lines and the callbacks. Nothing here changes the weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from .quiet import quietly

Array = np.ndarray

NEAR = 0.03  # of a loss or score: as good as the best


@dataclass
class History:
    """What has been seen since the first epoch; a warm start goes on with it.

    Losses are in the caller's units, `best` in the network's: the smallest loss or, with
    a scorer, the largest score with its sign changed.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best: float = np.inf
    best_theta: Array | None = None
    best_epoch: int = 0  # counted from 1, over all warm starts
    stalled: int = 0  # epochs without an improvement of tol
    judged_by: str = "loss"  # what `best` is the best of
    judged_from: int = 0  # epochs before the first that `best` is the best of

    def judge_by(self, what: str) -> None:
        """Begin anew with the best, unless it is the best of the same thing."""
        if what != self.judged_by:
            self.best, self.best_theta, self.best_epoch, self.stalled = np.inf, None, 0, 0
            self.judged_from = len(self.loss_curve)
        self.judged_by = what

    def forget(self, kept: int) -> None:
        """All but the last entries of the curves; a stream has no end."""
        n = max(0, len(self.loss_curve) - kept)
        for curve in (self.loss_curve, self.validation_loss_curve, self.validation_scores):
            del curve[:n]
        self.judged_from = max(0, self.judged_from - n)
        self.best_epoch = max(0, self.best_epoch - n)


class Validation:
    """Loss and score on rows kept from training.

    Parameters
    ----------
    network, loss
        See :mod:`skbackprop.network` and :mod:`skbackprop.losses`.
    data : Data
        The rows, with weights of mean 1.
    scorer : callable or None
        Score of given weights, ``scorer(theta)``. None for R², from the predictions that
        the loss needs anyway.
    folds : list of ndarray of int, or None
        For each network of a stack its rows of the set; their predictions are then its own and
        not the mean of all networks.
    """

    def __init__(
        self,
        network,
        loss,
        data,
        scorer: Callable[[Array], float] | None = None,
        folds: Any = None,
    ):
        self.folds = folds
        self.network, self.loss, self.data, self.scorer = network, loss, data, scorer
        n, dtype = len(data), data.Y.dtype_out
        self.Y = np.empty((n, network.sizes[-1]), dtype)
        self.weight = np.empty((n, 1), dtype) if data.weighted else None
        data.take(slice(0, n), None, self.Y, self.weight)
        if self.weight is not None:
            self.weight /= n
        self.A = np.empty_like(self.Y)

    def loss_and_score(self, theta: Array) -> tuple[float, float]:
        """f without the penalty, and the score."""
        self._predict(theta)
        loss = self.loss.value(self.A, self.Y, self.weight)
        if not np.isfinite(loss):
            return loss, float("nan")  # scorers refuse to judge such predictions
        if self.scorer is None:
            return loss, r_squared(self.A, self.Y, self.weight)
        return loss, float(self.scorer(theta))

    def errors(self, theta: Array) -> tuple[Array, Array | None]:
        """Y - A[L] of the rows, and their weights."""
        self._predict(theta)
        weight = None if self.weight is None else self.weight[:, 0].astype(np.float64)
        return self.Y.astype(np.float64) - self.A, weight

    def variance(self, theta: Array) -> Array:
        """1/(K-1) Σₖ (aₖ - ā)² of the networks' predictions, of every output the mean over rows."""
        n, between = len(self.A), partial(np.var, ddof=1, dtype=np.float64)
        self.network.predict(theta, self._take, self.A, between)
        w = np.full(n, 1 / n) if self.weight is None else self.weight[:, 0].astype(np.float64)
        return w @ self.A

    def _predict(self, theta):
        """A[L] of the rows."""
        network = self.network
        if self.folds is None:
            network.predict(theta, self._take, self.A)
            return
        for k, fold in enumerate(self.folds):

            def take(rows, out, fold=fold):
                self._take(fold[rows], out)

            A = np.empty((len(fold), self.A.shape[1]), self.A.dtype)
            self.A[fold] = network.of_one.predict(network.unpack(theta, k), take, A)

    def _take(self, rows, out):
        self.data.X.take(self.data.of_table(rows), out)


@quietly
def r_squared(A: Array, Y: Array, weight: Array | None = None) -> float:
    """R² = 1 - Σ wᵢ (aᵢ - yᵢ)² / Σ wᵢ (yᵢ - ȳ)², averaged over the outputs.

    It does not depend on the units of an output, so the network's will do. As in
    scikit-learn: of a constant target, 1 if it is met exactly and else 0; of one row, NaN.
    """
    if len(Y) < 2:
        return float("nan")
    w = np.full((len(Y), 1), 1 / len(Y)) if weight is None else weight / weight.sum()
    A, Y = A.astype(np.float64), Y.astype(np.float64)
    error = (w * (A - Y) ** 2).sum(axis=0)
    spread = (w * (Y - (w * Y).sum(axis=0)) ** 2).sum(axis=0)
    spread[Y.min(axis=0) == Y.max(axis=0)] = 0  # which rounding of the mean may hide
    constant = np.where(error == 0, 1.0, 0.0)
    return float(np.mean(np.where(spread == 0, constant, 1 - error / spread)))


@dataclass
class Watch:
    """Sees every epoch and says when to stop.

    Parameters
    ----------
    history : History
        Extended in place.
    at : Progress
        Where training stands; a plateau may slow it down (``schedule.plateau``).
    unit : float
        The caller's loss divided by the network's.
    patience : int, float or None
        Epochs without an improvement of `tol` that are borne; None for no limit.
    valleys : sequence of int
        Epochs of a call with which a cycle of the learning rate ends. One that came nowhere near
        the best is the last: the next is twice as long, and would end where this one did.
    on_score : bool
        Judge by the validation score and not by the loss.
    keep_best : bool
        Copy the weights of every best epoch.
    limit : float
        A loss above it is not waited out.
    """

    history: History
    at: Any
    unit: float
    tol: float
    patience: float | None
    valleys: Sequence[int] = ()
    validation: Validation | None = None
    on_score: bool = False
    early_stopping: bool = False
    keep_best: bool = False
    schedule: Any = None
    learning_rate: float = np.nan
    deadline: float = np.inf
    limit: float = np.inf
    verbose: bool = False
    callback: Callable[[Array, bool], bool] | None = None
    reason: str | None = None  # why training was stopped
    loss: float = np.nan  # of the last epoch, in the network's units
    improved: bool = False  # whether an epoch has been better than all before

    def epoch_ended(self, loss: float) -> bool:
        """Note the epoch's mean loss; whether to stop, with the reason in ``reason``."""
        self.loss = loss
        self._compare(self._record(loss))
        if self.verbose:
            self._print()
        if not loss <= self.limit or loss == np.inf:  # NaN is above any
            self.reason = "diverged"
        elif self.patience is not None and self.history.stalled > self.patience:
            self.history.stalled = 0  # a warm start has its full patience
            self.reason = None if self._slow_down() else "patience"
        elif self._cycle_was_in_vain():
            self.reason = "patience"
        if self.reason is None and perf_counter() > self.deadline:
            self.reason = "time"
        # Last, for it is told whether another epoch follows.
        if self.callback is not None and self.callback(self.at.theta, self.reason is not None):
            self.reason = self.reason or "callback"
        return self.reason is not None

    def _record(self, loss):
        self.history.loss_curve.append(self.unit * loss)
        if self.validation is None:
            return loss
        validation_loss, score = self.validation.loss_and_score(self.at.theta)
        self.history.validation_loss_curve.append(self.unit * validation_loss)
        self.history.validation_scores.append(score)
        if not self.early_stopping:
            return loss
        return -score if self.on_score else validation_loss

    def _compare(self, judged):
        history = self.history
        # Written so that a NaN, which compares as False, is no improvement.
        improved = judged <= history.best - self.tol
        history.stalled = 0 if improved or self.patience is None else history.stalled + 1
        if judged < history.best and self.loss <= self.limit:
            if self.keep_best:  # before the numbers that speak of them, come what may between
                if history.best_theta is None:
                    history.best_theta = np.empty_like(self.at.theta)
                np.copyto(history.best_theta, self.at.theta)
            history.best, history.best_epoch = judged, len(history.loss_curve)
            self.improved = True

    def _cycle_was_in_vain(self):
        """Whether a cycle has ended that came nowhere near the best epoch before it.

        Its first quarter, while the rate is near 0 still, is the end of the cycle before. What is
        within 3 % of the best is near it: the mean of several networks gains more from longer
        training than each of them does.
        """
        epoch = self.at.epochs
        if not self.early_stopping or epoch not in self.valleys[1:]:
            return False
        length = epoch - self.valleys[self.valleys.index(epoch) - 1]
        rest, history = slice(-max(1, 3 * length // 4), None), self.history
        near = history.best + NEAR * abs(history.best)  # a loss of the user's own may be below 0
        if self.on_score:
            return max(history.validation_scores[rest]) < -near
        return min(history.validation_loss_curve[rest]) > self.unit * near

    def _slow_down(self):
        plateau = getattr(self.schedule, "plateau", None)
        if plateau is None or self.learning_rate * self.at.slowdown <= self.schedule.smallest:
            return False
        self.at.slowdown *= plateau
        return True

    def _print(self):
        history = self.history
        line = f"Epoch {len(history.loss_curve)}, loss = {history.loss_curve[-1]:.8g}"
        if self.validation is not None:
            line += f", validation loss = {history.validation_loss_curve[-1]:.8g}"
            line += f", validation score = {history.validation_scores[-1]:.6f}"
        print(line)
