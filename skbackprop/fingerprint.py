"""Fingerprints of data: whether two fits see the same rows."""

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
                    crc = crc32(np.ascontiguousarray(part[rows]), crc)
    return f"{crc:08x}"


def described(M: Any) -> str | None:
    """Shape, type and content of an array in a line, for a message; None for None."""
    if M is None:
        return None
    kind = "sparse " if sparse.issparse(M) else ""
    return f"{kind}{' x '.join(map(str, M.shape))} {M.dtype.name} of CRC {crc_of([M])}"


def crc_of_names(names: Any) -> str:
    """CRC-32 of the columns' names."""
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return f"{len(names)} of CRC {crc32(text):08x}"
