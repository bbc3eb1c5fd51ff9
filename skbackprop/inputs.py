"""From a table to A[0]: the units of the features, and their encoding, by the training rows alone.

A row of weight zero is as good as absent: neither its levels nor its missing cells have a column.
"""

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .encoding import NEVER, Encoding, bins_of, levels_of
from .scaling import (
    Rows,
    of_present_cells,
    reader,
    robust_standardization,
    sample,
    standardization,
)

Array = np.ndarray


def units_and_encoding(
    X: Any,
    weight: Array | None,
    rows: Array | None,
    *,
    standardize: Any,
    center: bool,
    n_bins: int,
    categories: list[Array | None] | None,
) -> tuple[Array | None, Array | None, Encoding | None]:
    """X_shift, X_scale and the encoding; None for what changes nothing.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, features)
        NaN where a cell is missing, the number of its level where it is of a category.
    weight : ndarray of shape (n,) or None
    rows : ndarray of int or None
        The rows that count.
    standardize : {True, False, "robust"}
    center : bool
        Without it, as of a sparse X, the units are not robust.
    n_bins : int
    categories : list of (ndarray or None), or None
        Of every feature the levels, None for one of numbers.
    """
    robust = standardize == "robust" and center and not issparse(X)
    of_levels = np.array([j for j, c in enumerate(categories or ()) if c is not None], np.int64)
    codes, missing = ({}, of_levels) if issparse(X) else _occurring(X, weight, rows, of_levels)
    shift = scale = None
    if standardize:
        units: Any = robust_standardization if robust else partial(standardization, center=center)
        shift, scale = of_present_cells(units, X, weight, rows, missing)
        for vector, neutral in ((shift, 0), (scale, 1)):
            if vector is not None:
                vector[of_levels] = neutral
    if not (robust or len(of_levels) or len(missing)):
        return shift, scale, None
    bins = levels_of({})  # none
    if robust:
        Z, w = sample(X, weight, rows)
        Z = Rows(Z, np.float64, shift, scale).take(slice(None), np.empty(Z.shape))
        bins = bins_of(Z, w, n_bins, of_levels)
    return shift, scale, _encoding(X.shape[1], bins, codes, missing, of_levels, robust)


def _encoding(n_features, bins, codes, missing, of_levels, robust):
    level_column, level, other = levels_of(codes)
    E = Encoding(*bins, level_column, level, other, missing, of_levels, robust)
    if n_features + E.n_added == 0:  # a single level each: a network without inputs is none
        j = int(of_levels[0])
        E.level_column, E.level, E.other = np.array([[j], [codes[j][0]], [NEVER]])
    return E


def _occurring(X, weight, rows, of_levels) -> tuple[dict[int, Array], Array]:
    """Of every category the levels that occur, ascending, and the features with missing cells."""
    missing = np.zeros(X.shape[1], bool)
    seen: dict[int, set[float]] = {int(j): set() for j in of_levels}
    for B, _ in reader(X, weight, rows)():
        missing |= np.isnan(B).any(axis=0)
        for j, codes in seen.items():
            codes.update(np.unique(B[:, j]).tolist())
    known = {j: [code for code in codes if code >= 0] for j, codes in seen.items()}
    present = {j: np.array(sorted(codes), np.int64) for j, codes in known.items()}
    return present, np.flatnonzero(missing)
