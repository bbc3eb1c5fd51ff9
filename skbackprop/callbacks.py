"""scikit-learn's callbacks (sklearn.callback, 1.9 and later), one task an epoch.

Under an older scikit-learn the class below is empty and the decorator does nothing.
"""

from collections.abc import Callable
from typing import Any

FRAMES = 1  # that the decorator puts between a method and its caller

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9
    FRAMES = 0

    class CallbackSupportMixin:  # type: ignore[no-redef]  # stands in for the missing one
        """No callbacks before scikit-learn 1.9."""

    def with_callbacks(method):
        """No callbacks before scikit-learn 1.9."""
        return method


class EpochTasks:
    """Tells an estimator's callbacks of every epoch; called with the weights at its end.

    Parameters
    ----------
    estimator : BackpropRegressor
        What is being fitted.
    max_iter : int
        The most epochs there can be.
    attributes : callable
        Fitted attributes that predict needs, ``attributes(theta)``.
    **task : dict
        X, y and metadata, for the callbacks.
    """

    def __init__(self, estimator: Any, max_iter: int, attributes: Callable, **task: Any):
        self.estimator, self.attributes, self.task = estimator, attributes, task
        self.left = max_iter
        self.root = estimator._init_callback_context(max_subtasks=max_iter)
        self.root.call_on_fit_task_begin(estimator=estimator, **task)
        self._begin()

    def _begin(self):
        self.epoch = self.root.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.task)
        self.left -= 1

    def __call__(self, theta, last: bool) -> bool:
        """An epoch has ended, the last one or not; whether a callback asks to stop."""
        stop = self.epoch.call_on_fit_task_end(
            estimator=self.estimator,
            **self.task,
            reconstruction_attributes=lambda: self.attributes(theta.copy()),
        )
        self.epoch = None
        if self.left and not last and not stop:
            self._begin()
        return bool(stop)

    def close(self, attributes: dict[str, Any]) -> None:
        """Training is over; an iteration that lbfgs, having converged, did not run ends empty."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(estimator=self.estimator)
        self.root.call_on_fit_task_end(
            estimator=self.estimator, **self.task, reconstruction_attributes=lambda: attributes
        )


def has_callbacks(estimator: Any) -> bool:
    """Whether anybody listens: without, an epoch need not tell."""
    return bool(getattr(estimator, "_skl_callbacks", None))
