"""Threads of the matrix products, for as long as a fit lasts.

A BLAS with several threads shares out products that are too small for it: 100 rows through
20-100-100-1 in float32 take 93 µs a step on one thread and 114 on two. From one million
multiplications a thread on, two threads gain a tenth on an idle machine; on a busy one they wait
for each other and lose ten times that. A thread for every eight million, where they gain a quarter
(benchmarks/threads.py).

The number belongs to the whole process, so it is only ever lowered, it is put back when the
last of the fits that run at the same time has ended, and it is left alone where somebody has
chosen it: by an environment variable, as joblib does for its processes, or by
threadpoolctl's threadpool_limits.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

PRODUCT = 8 * 10**6  # multiplications that keep a thread busy
MOST = 64  # threads of the OpenBLAS that comes with NumPy, whatever the machine has
VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)


@cache
def _libraries():
    """The process's BLAS libraries; looking for them takes half a millisecond."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no such thing
        return os.cpu_count() or 1


def _set(library, n: int) -> None:
    """Set the number of threads, from whatever thread."""
    # threadpoolctl from 3.6 on lets one thread at a time control OpenBLAS, and ignores others:
    # take the control, and give it back at once.
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(n)
    if release is not None:
        release(force=True)


class _Limit:
    """The fits that are running, and the numbers of threads before the first of them."""

    def __init__(self):
        self.begin()

    def begin(self) -> None:
        self.lock, self.fits = Lock(), 0
        self.before: dict[Any, int] = {}
        self.set_to: dict[Any, int] = {}

    def enter(self, n: int) -> None:
        with self.lock:
            if self.fits == 0 and not any(map(os.environ.get, VARIABLES)):
                for library in _libraries():
                    now = library.num_threads
                    if now >= min(_cores(), MOST):  # else somebody has limited it
                        self.before[library] = self.set_to[library] = now
            self.fits += 1
            for library, now in self.set_to.items():
                if n < now:
                    _set(library, n)
                    self.set_to[library] = n

    def leave(self) -> None:
        with self.lock:
            self.fits = max(0, self.fits - 1)  # a fit from before a fork is not counted
            if self.fits == 0:
                self.restore()

    def restore(self) -> None:
        for library, n in self.before.items():
            if library.num_threads == self.set_to[library]:  # else somebody has set it since
                _set(library, n)
        self.before, self.set_to = {}, {}

    def after_fork(self) -> None:
        """The fits of other threads do not go on in the child, and one may have held the lock."""
        self.restore()
        self.begin()


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _limit.after_fork())


@contextmanager
def for_products_of(multiplications: int) -> Iterator[None]:
    """As many threads as the largest product, of so many multiplications, can use."""
    _limit.enter(max(1, multiplications // PRODUCT))
    try:
        yield
    finally:
        _limit.leave()
