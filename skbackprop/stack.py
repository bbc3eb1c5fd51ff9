"""Mini-batch training of one network, or of several as stacks of arrays, one for every thread.

Networks of a stack share the calls of a step, so that a few cost little more than one. Where there
are threads to spare the networks are shared out among them. No number of a network depends on
another's, so that the results are the same, bit for bit, for any number of threads.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import accumulate, pairwise
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .feed import Kept, kept
from .losses import LOSSES
from .optimizers import OPTIMIZERS
from .quiet import quietly
from .threads import spare
from .training import epochs

Array = np.ndarray

# Of the networks' matrices of a layer: below it the calls of a step are so short that threads
# wait for each other, which hold Python's lock between them. Of 8 networks and batches of 64 rows,
# 64 units and float64, two threads take 0.7 of the time of one; of half as much, 0.8 to 1.2.
SHARED_BYTES = 2**18


def train(fittings: Sequence[Any]) -> None:
    """Mini-batch training of fittings that have begun; of several, as stacks of networks.

    A fitting that stops leaves the stacks, and the others go on.
    """
    while fittings:
        ends = [0, *accumulate(f.model.n_networks for f in fittings)]
        networks = [slice(*pair) for pair in pairwise(ends)]  # of every fitting
        lanes, ended = _lanes(fittings, networks), [False]
        while not any(ended):
            losses = _run_pass(lanes, [rng for f in fittings for rng in _generators(f)])
            pairs = zip(fittings, networks, strict=True)
            ended = [f.epoch_ended(_mean(losses[own])) for f, own in pairs]
        fittings = [f for f, end in zip(fittings, ended, strict=True) if not end]


def _mean(losses):
    return sum(loss / len(losses) for loss in losses)  # of 1e308 the sum overflows


def _generators(fitting):
    """Of the next pass, one for each network; of several, seeded by the fitting's own."""
    rng, K = fitting.at.rng, fitting.model.n_networks
    if K == 1:
        return [rng]
    return [np.random.Generator(np.random.PCG64(s)) for s in rng.integers(2**63, size=K).tolist()]


def is_ours(fitting: Any) -> bool:
    """Whether all objects are of this package: a user's own may bear no stacks, nor threads."""
    parts = (fitting.optimizer, fitting.loss, *fitting.objective.network.g[1:])
    tables = (*OPTIMIZERS.values(), *LOSSES.values(), *ACTIVATIONS.values())
    return all(type(part) in tables for part in parts)


def _lanes(fittings, networks):
    """The networks in as many parts as there are threads."""
    K, data = networks[-1].stop, [part for f in fittings for part in f.parts]
    n = min(K, _threads(fittings[0], K)) if all(map(is_ours, fittings)) else 1
    if n == 1 and len(fittings) == 1:
        return [Lane(fittings[0], slice(K), data)]
    first, n_rows = fittings[0], min(map(len, data))
    tables = kept(data, first.objective.network, first.at.theta.dtype)
    if tables is None and n > 1:
        data = [d.apart() for d in data]
    lanes = []
    for some in (slice(i * K // n, (i + 1) * K // n) for i in range(n)):
        spans = list(_spans(fittings, networks, some))
        shared = None if tables is None else tables.of(some)
        lanes.append(Lane(first, some, data[some], spans, n_rows, shared))
    return lanes


def _threads(first, K):
    entries = K * first.how.batch_size * max(first.objective.network.sizes[1:])
    return spare() if entries * first.at.theta.itemsize >= SHARED_BYTES else 1


def _spans(fittings, networks, some):
    """Fittings that have networks among some, with the places of these there and here."""
    for f, own in zip(fittings, networks, strict=True):
        start, stop = max(own.start, some.start), min(own.stop, some.stop)
        if start < stop:
            there = slice(start - own.start, stop - own.start)
            yield f, there, slice(start - some.start, stop - some.start)


class Lane:
    """Networks that one thread trains.

    Parameters
    ----------
    first : Fitting
        What all of them are like.
    some : slice
        Which of all networks.
    data : sequence of Data
        One for each.
    spans : sequence of (Fitting, slice, slice)
        The places of networks in a fitting and here: the lane has arrays of its own, copied from
        theirs and, after a pass, to them. None for the arrays of `first`, of which it has all.
    n_rows : int or None
        Of a pass.
    tables : Kept or None
        Their tables, scaled.
    """

    def __init__(self, first, some, data, spans=(), n_rows=None, tables: Kept | None = None):
        self.first, self.some, self.spans, self.deadline = first, some, spans, first.watch.deadline
        self.rngs: list[Any] = [None] * len(data)
        objective, self.at = first.objective, first.at
        if spans:
            penalties = [np.atleast_1d(f.objective.penalty)[there] for f, there, _ in spans]
            objective = objective.stacked(np.concatenate(penalties))
            self.network = objective.network
            self._copy_state()
        self.passes = epochs(
            objective, data, first.how, self.at, self.rngs, self._is_late, n_rows, tables
        )

    def _copy_state(self):
        size, at = self.network.n_parameters, self.at
        optimizer = {
            name: np.empty(size, v.dtype) if np.ndim(v) else v for name, v in at.optimizer.items()
        }
        self.at = replace(at, theta=np.empty(size, at.theta.dtype), optimizer=optimizer, rng=None)
        for ours, theirs in self._pieces():
            np.copyto(ours, theirs)

    def give_back(self) -> None:
        """Weights and moments, as of the end of a pass, to the fittings."""
        for ours, theirs in self._pieces():
            np.copyto(theirs, ours)
        for f, *_ in self.spans:
            f.at.samples, f.at.epochs = self.at.samples, self.at.epochs
            numbers = {k: v for k, v in self.at.optimizer.items() if not np.ndim(v)}
            f.at.optimizer.update(numbers)

    def _pieces(self):
        """Of weights and moments the pieces here, and the same in the fittings."""
        for f, there, here in self.spans:
            network, moments = f.objective.network, f.at.optimizer
            names = [name for name, value in moments.items() if np.ndim(value)]
            vectors = [(self.at.theta, f.at.theta)]
            vectors += [(self.at.optimizer[name], moments[name]) for name in names]
            for ours, theirs in vectors:
                for M, N in zip(self.network.pieces(ours), network.pieces(theirs), strict=True):
                    yield M[here], (N if network.stack else N[None])[there]

    def _is_late(self):
        return perf_counter() > self.deadline

    @quietly  # as the caller is, whose settings are not those of another thread
    def run(self, rngs: Sequence[np.random.Generator]) -> list[float]:
        """A pass; the losses of the lane's networks."""
        self.rngs[:] = rngs[self.some]
        self.at.slowdown = self.first.at.slowdown
        return next(self.passes)


def _run_pass(lanes: Sequence[Lane], rngs: Sequence[np.random.Generator]) -> list[float]:
    """A pass of all lanes, the first in this thread and each other in one of its own."""
    here, *others = lanes
    # Threads of this pass alone, so that none is missing in a process that is forked between two
    # passes; a tenth of a millisecond.
    threads = [_Beside(lane, rngs) for lane in others]
    try:
        for thread in threads:
            thread.begin()
        losses = here.run(rngs)
        for thread in threads:
            losses = losses + thread.done.result()
    except BaseException:
        for lane in others:  # for which we wait
            lane.deadline = -np.inf
        raise
    finally:
        for thread in threads:
            if thread.is_alive():
                thread.join()
    for lane in lanes:
        lane.give_back()
    return losses


class _Beside(Thread):
    """A pass of a lane in a thread of its own, with the losses, or the error, as a future."""

    def __init__(self, lane: Lane, rngs: Sequence[np.random.Generator]):
        super().__init__()
        self.lane, self.rngs, self.done = lane, rngs, Future[list[float]]()

    def begin(self) -> None:
        """Start; where no thread is to be had, as at the limit of a container, run here and now."""
        # Of a ThreadPoolExecutor none is once the main thread has ended, whoever else still runs.
        try:
            self.start()
        except RuntimeError:
            self.run()

    def run(self) -> None:
        """Whatever comes of it goes to those who wait."""
        try:
            self.done.set_result(self.lane.run(self.rngs))
        except BaseException as error:
            self.done.set_exception(error)
