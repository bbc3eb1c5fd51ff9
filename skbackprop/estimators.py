"""The estimator that a display or a check is handed."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from .messages import shown
from .regressor import BackpropRegressor


def checked_estimator(estimator: Any, fitted: bool = True) -> BackpropRegressor:
    """The estimator, if it is a BackpropRegressor, and a fitted one where it has to be."""
    if not isinstance(estimator, BackpropRegressor):
        raise TypeError(
            f"estimator must be a BackpropRegressor (of a Pipeline, its last step: pipeline[-1]); "
            f"got {shown(estimator)}"
        )
    if fitted:
        check_is_fitted(estimator)
    return estimator
