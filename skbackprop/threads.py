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

An interrupt may come between any two lines. It must leave no lock held and no number lowered:
everything here can be done twice, a fit's end is, and a fit counts as running only while somebody
refers to it. What is left lowered for all that, the next fit puts back. What cannot be mended:
threadpool_limits of another thread that begin during a fit and end after it bring back the number
of the fit; and a fork while another thread is in the middle of a product on several threads, which
OpenBLAS ends before a fork, leaves that product waiting for ever.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakSet

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


class _Fit:
    """A fit that is running; one that was broken off is forgotten with the last reference."""


class _Limit:
    """The fits that are running, and the numbers of threads before the first of them."""

    def __init__(self):
        self.begin()

    def begin(self) -> None:
        # Of a kind that its own thread may take again: the garbage collector can end a fit that
        # was broken off in the middle of another's beginning.
        self.lock = RLock()
        self.fits: WeakSet[_Fit] = WeakSet()
        self.before: dict[Any, int] = {}
        self.ours: dict[Any, set[int]] = {}  # the number before, and those that we have set

    # Of these two the body stands on the line of `with`: a line of its own would be followed by
    # a return to this one, where a debugger's or a test's exception leaves the lock held.

    def enter(self, fit: _Fit, n: int) -> None:
        with self.lock: self._enter(fit, n)  # noqa: E701  # fmt: skip

    def leave(self, fit: _Fit) -> None:
        with self.lock: self._leave(fit)  # noqa: E701  # fmt: skip

    def _enter(self, fit: _Fit, n: int) -> None:
        alone = not self.fits
        self.fits.add(fit)
        if alone:
            self.restore()  # what a fit that was broken off has left
            self._look()
        for library in list(self.before):
            now = library.num_threads
            if n < now and now in self.ours[library]:  # else somebody has set it since
                self.ours[library].add(n)  # first: an interrupt may come before or after the next
                _set(library, n)

    def _look(self) -> None:
        if any(map(os.environ.get, VARIABLES)):
            return
        for library in _libraries():
            now = library.num_threads  # None of an OpenBLAS that does not tell
            if now is not None and now >= min(_cores(), MOST):  # else somebody has limited it
                self.ours[library] = {now}
                self.before[library] = now

    def _leave(self, fit: _Fit) -> None:
        self.fits.discard(fit)  # one from before a fork is not there
        if not self.fits:
            self.restore()

    def restore(self) -> None:
        while self.before:
            library, n = next(iter(self.before.items()))
            if library.num_threads in self.ours[library]:  # else somebody has set it since
                _set(library, n)
            self.before.pop(library, None)

    def after_fork(self) -> None:
        """The fits of other threads do not go on in the child, and one may have held the lock."""
        self.restore()
        self.begin()


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _limit.after_fork())


def spare() -> int:
    """Threads that a fit may have, when its products, of which each has one, need none of them.

    As many as the BLAS had, shared by the fits that run at the same time; one where somebody has
    limited it.
    """
    if not _limit.before or any(library.num_threads != 1 for library in _limit.before):
        return 1
    return max(1, min(_limit.before.values()) // max(1, len(_limit.fits)))


@contextmanager
def for_products_of(multiplications: int) -> Iterator[None]:
    """As many threads as the largest product, of so many multiplications, can use."""
    fit = _Fit()
    try:
        try:
            _limit.enter(fit, max(1, multiplications // PRODUCT))
            yield
        finally:
            _limit.leave(fit)
    finally:
        _limit.leave(fit)  # again, for an interrupt may have ended the first
