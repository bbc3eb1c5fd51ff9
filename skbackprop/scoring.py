"""What `scoring` may be, and the score of weights during training."""

import copy
from collections.abc import Callable
from typing import Any

from sklearn.metrics import check_scoring, get_scorer_names

from .messages import shown
from .parameters import is_number
from .tables import CODES


def check(model: Any, scoring: Any) -> None:
    """Refuse what is no scorer, nor the name of one."""
    if isinstance(scoring, str) and scoring not in ("loss", *get_scorer_names()):
        raise ValueError(
            "scoring must be None, 'loss', a callable or one of the names that "
            f"sklearn.metrics.get_scorer_names() gives; got {shown(scoring)}"
        )
    if callable(scoring):
        check_scoring(model, scoring=scoring)  # which knows a metric from a scorer


def scorer(
    model: Any, fitting: Any, about: dict[str, Any], table: Any, validation: Any
) -> Callable[[Any], Any] | None:
    """Score of given weights on the validation rows; None where R² will do."""
    if model.scoring in (None, "loss") or fitting.validation_data is None:
        return None
    kept = fitting.validation_data.index
    rows = slice(None) if kept is None else kept
    parts: Any = (None if M is None else M[rows] for M in validation or table)
    X, y, weight = parts
    y = y if about["_y_ndim"] == 2 else y[:, 0]
    judge = check_scoring(model, scoring=model.scoring)
    # X is an array, with the numbers of levels in the place of these.
    known = {k: v for k, v in about.items() if k != "feature_names_in_"} | {CODES: True}
    extra = {} if weight is None else {"sample_weight": weight}

    def score(theta):
        fitted = copy.copy(model)._commit(fitting.predictive(theta) | known)
        try:
            value = judge(fitted, X, y, **extra)
        except (TypeError, ValueError, AttributeError) as error:  # a classifier's scorer
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"scoring={shown(model.scoring)} failed: {error}") from error
        if not is_number(value):
            raise TypeError(f"scoring must give a number; it gave {shown(value)}")
        return value

    return score
