"""Long arrays, a block at a time.

A formula such as z * logistic(z) written in NumPy makes a temporary array for every
operation. Taken over blocks of 8,192 entries its temporaries stay in the processor's
cache and their size is a constant, so that training allocates nothing that grows with
the batch or the network, and a formula may still be written as it is in a book.
"""

from collections.abc import Callable, Iterator

import numpy as np

Array = np.ndarray

BLOCK = 8192  # entries: 64 kB of float64, what NumPy's own ufunc buffer holds


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of at most `size` that cover range(n), in order."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def blockwise(function: Callable[..., Array], *arrays: Array, out: Array | None = None) -> Array:
    """out = function(*arrays), entry by entry, one block after the other.

    Parameters
    ----------
    function : callable
        An elementwise function of as many arrays as are given.
    *arrays : ndarray
        Arrays of one shape. Any of them may be `out` itself.
    out : ndarray, optional
        Where the result goes; a new array if omitted.

    Returns
    -------
    ndarray
        `out`.
    """
    # A result would be truncated to whole numbers.
    arrays = tuple(a if a.dtype.kind == "f" else a.astype(np.float64) for a in arrays)
    if out is None:
        out = np.empty_like(arrays[0])
    if out.size <= BLOCK:
        out[...] = function(*arrays)
    elif all(a.flags.c_contiguous for a in (out, *arrays)):
        flat_out, *flat = (a.reshape(-1) for a in (out, *arrays))
        for block in blocks(out.size):
            flat_out[block] = function(*(a[block] for a in flat))
    else:  # a view with gaps: whole rows, as many as fill a block
        for rows in blocks(len(out), max(1, BLOCK * len(out) // out.size)):
            out[rows] = function(*(a[rows] for a in arrays))
    return out
