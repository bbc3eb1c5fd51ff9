"""How much memory a call asks for; NumPy reports its arrays to tracemalloc."""

import tracemalloc

from skbackprop.blocks import BLOCK

# What a step of training may take, whatever the size of batch and network: the temporaries
# of a formula over one block of at most BLOCK entries of float64, of which the longest
# formulas (SiLU's derivative, log cosh's value) hold five or six at a time and a mask of an
# eighth, NumPy's own ufunc buffers, each of 8,192 entries or a quarter of a block, where types
# are mixed, and a few kB of views. That is less than eight blocks. An array that shows that a
# call does not grow with it has at least GROWN bytes, so that a copy of it cannot be missed.
CONSTANT = 8 * BLOCK * 8
GROWN = 8 * CONSTANT


def peak_memory(function, enough=0):
    """Bytes at the highest point of a call, above those at its start.

    The least of three calls, or the first of less than `enough`: what other threads of the process
    (a test runner's own, which sends and receives results) take in the meantime is counted too.
    """
    peak = _peak(function)
    for _ in range(2):
        peak = peak if peak < enough else min(peak, _peak(function))
    return peak


def _peak(function):
    # Nothing from before is counted, garbage neither: to collect it first took 0.4 s a call.
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = function()
        peak = tracemalloc.get_traced_memory()[1] - before
        del result
        return peak
    finally:
        tracemalloc.stop()
