"""Fingerprints: whether two fits see the same rows, and are judged by the same scorer."""

import pickle
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np
from scipy import sparse

from .blocks import blocks

ROWS = 4096  # at a time


def crc_of(arrays: Iterable[Any]) -> str:
    """CRC-32 of arrays, sparse matrices and None, eight hexadecimal digits.

    It tells other data from the same, not data made to deceive it.
    """
    crc = 0
    for M in arrays:
        parts = (M.data, M.indices, M.indptr) if sparse.issparse(M) else (M,)
        for part in parts:
            if part is not None:
                for rows in blocks(len(part), ROWS):
                    entries: Any = np.ascontiguousarray(part[rows])
                    crc = crc32(entries, crc)
    return f"{crc:08x}"


def described(M: Any) -> str | None:
    """Shape, type and content of an array in a line, for a message; None for None."""
    if M is None:
        return None
    kind = "sparse " if sparse.issparse(M) else ""
    return f"{kind}{' x '.join(map(str, M.shape))} {M.dtype.name} of CRC {crc_of([M])}"


def described_names(names: Any) -> str | None:
    """The same of the columns' names."""
    if names is None:
        return None
    return f"{len(names)} of CRC {crc32(repr(list(names)).encode('ascii', 'backslashreplace')):08x}"


def name_of(scoring: Any) -> str:
    """A scorer in words, the same for its copies and in other processes.

    Where they would be an address in memory, what pickle makes of it stands for it.
    """
    text = str(scoring)
    if " at 0x" not in text:
        return text
    try:
        pickled = pickle.dumps(scoring, protocol=4)
    # Whatever an object of the user's raises when it is pickled, as a lambda or one with a lock
    # does: there are then no copies of it, and the address will do.
    except Exception:
        return text
    return f"{type(scoring).__qualname__} {crc32(pickled):08x}"


def judged_by(params: dict[str, Any], early_stopping: bool, rows: str) -> str:
    """What an epoch is the best of."""
    quantile = float(params["quantile"])
    if not early_stopping:  # which these are a part of, and may have changed
        penalty = f"{float(params['alpha'])}, {float(params['dropout'])}"  # 1 is no other than 1.0
        return f"loss of {penalty}, {quantile}{rows}"
    share = f"of {params['validation_fraction']}"
    if params["scoring"] in (None, "loss"):
        return f"validation loss {share}, {quantile}{rows}"
    return f"score {name_of(params['scoring'])} {share}{rows}"
