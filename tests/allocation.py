"""How much memory a call asks for; NumPy reports its arrays to tracemalloc."""

import gc
import tracemalloc

# What a step of training may take, whatever the size of batch and network: the temporaries
# of a formula over one block, 8,192 entries of float64 (64 kB) each, of which the longest
# formulas (Huber's value, GELU's derivative) hold five at a time, one or two of NumPy's own
# ufunc buffers, also of 8,192 entries, and a few kB of views. That is seven times 64 kB.
CONSTANT = 512 * 1024


def peak_memory(function):
    """Bytes at the highest point of a call, above those at its start."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = function()
        peak = tracemalloc.get_traced_memory()[1] - before
        del result
        return peak
    finally:
        tracemalloc.stop()
