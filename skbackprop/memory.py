"""The memory that a training needs and the memory there is: asked for before it is allocated."""

import os
import sys
from itertools import pairwise
from math import log10, prod
from pathlib import Path
from typing import Any

import numpy as np

from .messages import shown
from .optimizers import Optimizer

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # stands in for a module, and is asked for

LM_WEIGHTS = 4096  # at the most: a step solves as many equations, in 2 to 3 s for these
UNASKED = 2**26  # bytes that are there: 64 MiB
EXPLAINED = 2**30  # bytes at the most of an explanation, which nobody reads beyond some rows: 1 GiB
MEMINFO, STATM = Path("/proc/meminfo"), Path("/proc/self/statm")
CGROUP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available() -> float:
    """Bytes that this process may still allocate, as far as the system tells."""
    there = min(_of_system(), _of_cgroups(), _of_address_space(), float(sys.maxsize))
    return max(0.0, there)


def _of_system() -> float:
    """What is free or can be freed; without /proc what the machine has."""
    fields = dict(line.split(":", 1) for line in _text(MEMINFO).splitlines() if ":" in line)
    if "MemAvailable" in fields:
        names = ("MemAvailable", "SwapFree")
        return 1024.0 * sum(int(fields.get(name, "0 kB").split()[0]) for name in names)
    return _of_machine()


def _of_machine() -> float:
    """All the memory that is installed."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows, or a system that does not say
        return _of_windows()


def _of_windows() -> float:
    if sys.platform != "win32":
        return float("inf")
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    told = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return 1024.0 * kilobytes.value if told else float("inf")


def _of_cgroups() -> float:
    """What the limits of the process's control groups (a container's) leave."""
    limits = [float("inf")]
    for line in _text(CGROUP).splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if path and controllers == "":
            limits += _limits(CGROUPS, path, "memory.max")
        elif path and "memory" in controllers.split(","):
            limits += _limits(CGROUPS / "memory", path, "memory.limit_in_bytes")
    return min(limits) - _own_pages()[1]


def _limits(root: Path, path: str, file: str) -> list[float]:
    """Of a control group and those above it; a container may see its own as the root."""
    group = root / path.strip("/")
    above = [group, *group.parents][: len(group.parts) - len(root.parts) + 1]
    texts = [_text(folder / file).strip() for folder in above]
    return [float(text) for text in texts if text.isdecimal()]  # or "max"


def _of_address_space() -> float:
    """What RLIMIT_AS (ulimit -v) leaves."""
    if resource is None:
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else float(limit - _own_pages()[0])


def _own_pages() -> tuple[int, int]:
    """Bytes of address space and of memory that the process has; 0 if unknown."""
    pages = _text(STATM).split()
    if len(pages) < 2:
        return 0, 0
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[0]) * size, int(pages[1]) * size


def _text(path: Path) -> str:
    """What a file says; "" if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


# ----- what a training needs --------------------------------------------------------------


def check(params: dict[str, Any], optimizer: Any, network: Any, dtype: Any, n: int) -> None:
    """Raise a ValueError if a training needs more memory than there is, or than "lm" is meant for.

    What it needs is estimated from below: the vectors like theta and the matrices of a batch.

    Parameters
    ----------
    params : dict
        The estimator's parameters.
    optimizer : Optimizer or None
        None for "lbfgs" and "lm".
    network : Network
        Or a stack of them. Its sizes are Python's integers, which do not overflow.
    dtype : dtype
        Type of the weights.
    n : int
        Rows to train on.
    """
    sizes, K, one = network.sizes, prod(network.stack), network.fit_intercept
    weights = [K * (rows + one) * columns for rows, columns in pairwise(sizes)]
    if optimizer is None and params["solver"] == "lm":
        if sum(weights) > LM_WEIGHTS:
            raise ValueError(_refusal_of_lm(sizes, weights))
        of_weights = sum(weights) ** 2 * 2 * 8  # the matrix and its factor, in float64
    else:
        of_weights = sum(weights) * _bytes_of_a_weight(params, optimizer, np.dtype(dtype))
    at_most = 200 if optimizer is None else params["batch_size"]
    rows = min(at_most, n)
    # A[l] of every layer, and df/dA[l], of which the layers share memory.
    of_batch = K * rows * (sum(sizes) + max(sizes[1:])) * np.dtype(dtype).itemsize
    if of_weights + of_batch <= UNASKED:  # to ask the system takes longer than a small fit's step
        return
    there = available()
    if of_weights + of_batch > there:
        raise ValueError(_refusal(sizes, weights, of_weights, of_batch, rows, there, K))


def check_explanation(sizes: list[int], n: int, dropout: bool, dtype: Any) -> None:
    """Raise a ValueError if the matrices of n rows, all kept, take more than 1 GiB or there is.

    Estimated from below: A[0], and of every other layer Z, A, g'(Z), dA and dZ, with dropout D and
    H as well.
    """
    of_row = (sizes[0] + (7 if dropout else 5) * sum(sizes[1:])) * np.dtype(dtype).itemsize
    if n * of_row <= UNASKED:
        return
    most = min(EXPLAINED, available())
    if n * of_row > most:
        raise ValueError(
            f"X has {_number(n)} rows, and explain_backprop keeps every matrix of every row: at "
            f"least {_number(n * of_row)} bytes, {_number(of_row)} a row, and at most "
            f"{_number(int(most))} are used; give a few rows of X and y"
        )


def _bytes_of_a_weight(params: dict[str, Any], optimizer: Any, dtype: np.dtype) -> int:
    """Bytes of theta and the vectors like it that live beside it, for each weight."""
    vectors = 2  # theta and its gradient
    vectors += params["alpha"] > 0
    vectors += params["early_stopping"] or params["max_time"] is not None  # the best weights
    if optimizer is None:  # a block's gradient; SciPy's 10 pairs and 5 vectors, theta, gradient
        return (vectors + 1) * dtype.itemsize + (2 * 10 + 5 + 2) * 8
    if isinstance(optimizer, Optimizer):  # a user's own is not called to find out
        vectors += sum(isinstance(M, np.ndarray) for M in optimizer.init(np.zeros(1)).values())
    return vectors * dtype.itemsize


def _refusal_of_lm(sizes, weights) -> str:
    return (
        f"solver='lm' solves a system of as many equations as there are weights, at most "
        f"{_number(LM_WEIGHTS)}; hidden_layer_sizes={shown(tuple(sizes[1:-1]))} between "
        f"{_number(sizes[0])} features of X and {_number(sizes[-1])} outputs has "
        f"{_number(sum(weights))}: take fewer or smaller hidden layers, or solver='lbfgs'"
    )


def _refusal(sizes, weights, of_weights, of_batch, rows, there, K) -> str:
    """What is asked for, what there is, and what it is that asks for so much."""
    if of_batch > of_weights:
        remedy = f"most of it is for the {rows} rows of a batch: take a smaller batch_size"
    elif len(sizes) > 2 and max(weights) == weights[0] and sizes[0] > sizes[1]:
        remedy = (
            f"most of the weights are those of the {_number(sizes[0])} features of X: take "
            "fewer features, or fewer units in the first hidden layer"
        )
    else:
        remedy = "take fewer or smaller hidden layers"
    a_network = "a network of" if K == 1 else f"n_networks={K} networks of together"
    return (
        f"hidden_layer_sizes={shown(tuple(sizes[1:-1]))} between {_number(sizes[0])} features "
        f"of X and {_number(sizes[-1])} outputs is {a_network} {_number(sum(weights))} weights, "
        f"and to train it takes at least {_memory(of_weights + of_batch)}, and there are "
        f"{_memory(there)} of memory; {remedy}"
    )


def _number(n: int) -> str:
    """About 10**k where the digits would say no more."""
    return f"{n:,}" if n < 10**18 else f"about 10**{int(log10(n))}"


def _memory(n: Any) -> str:
    """In GiB, which a float may not hold."""
    return f"{n / 2**30:,.1f} GiB" if n < 2**80 else f"{_number(int(n))} bytes"
