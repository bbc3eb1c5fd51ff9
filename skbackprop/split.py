"""Which rows of a table are learnt from, and which training is judged by."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .feed import Data

Array = np.ndarray


class Split(NamedTuple):
    """Rows for training (None for all) and for validation (None for none), or folds.

    Of several networks each is validated on its fold of the training set, and learns from the rest.
    """

    train: Array | None
    kept: Array | None = None
    folds: list[Array] | None = None


def counted(weight: Array | None, rows: Array | None = None) -> Array | None:
    """The rows that count, as one of weight zero does not; None for all of the table's."""
    if weight is not None and not weight.all():
        rows = np.flatnonzero(weight) if rows is None else rows[weight[rows] > 0]
    return rows


def split(n: int, rows: Array | None, seed: int, n_networks: int, fraction: float) -> Split:
    """A share of the rows that count is kept for validation, or a fold for each network.

    Raises
    ------
    ValueError
        If there are too few.
    """
    order = np.arange(n if rows is None else len(rows))
    np.random.default_rng(seed).shuffle(order)
    if n_networks > 1:
        return Split(rows, folds=_folds(order, n_networks))
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
    return Split(train, kept) if rows is None else Split(rows[train], rows[kept])


def _folds(order: Array, K: int) -> list[Array]:
    """Rows of the training set that each network is validated on, and does not learn from."""
    if len(order) < 2 * K:
        raise ValueError(
            f"n_networks={K} with early_stopping=True keeps a fold of the rows from each "
            f"network, for which {len(order)} rows are too few (at least {2 * K} are needed)"
        )
    return [np.sort(fold) for fold in np.array_split(order, K)]


def without(folds: list[Array], whole: Data) -> list[Data]:
    """What each network learns from: the rows of all folds but its own."""
    parts = []
    for fold in folds:
        others: Any = np.ones(len(whole), bool)
        others[fold] = False
        index = whole.of_table(np.flatnonzero(others))
        mean = 1.0 if whole.weight is None else float(whole.weight[index].mean())
        parts.append(replace(whole, index=index, mean_weight=mean))
    return parts
