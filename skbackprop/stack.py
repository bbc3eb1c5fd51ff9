"""Mini-batch training of one network, or of several as one stack of arrays."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .training import epochs


def train(fittings: Sequence[Any]) -> None:
    """Mini-batch training of fittings that have begun; of several, as one stack of networks.

    A network that stops leaves the stack, and the others go on.
    """
    while fittings:
        together = len(fittings) > 1
        ats = [f.at for f in fittings]
        first, at = fittings[0], ats[0]
        objective = first.objective
        if together:
            network = objective.network.stacked(len(fittings))
            objective = first.objective.stacked([f.objective.penalty for f in fittings])
            states = [a.optimizer for a in ats]
            moments = {
                name: network.pack([s[name] for s in states]) if np.ndim(value) else value
                for name, value in states[0].items()
            }
            theta = network.pack([a.theta for a in ats])
            at = replace(at, theta=theta, optimizer=moments)
        data = [part for f in fittings for part in f.parts]
        rngs = [f.at.rng for f in fittings for _ in f.parts]
        for losses in epochs(objective, data, first.how, at, rngs, first.watch.deadline):
            if together:
                for k, a in enumerate(ats):
                    network.unpack(at.theta, k, out=a.theta)
                    a.samples, a.epochs = at.samples, at.epochs
            else:  # one fitting, of one network or several
                losses = [sum(loss / len(losses) for loss in losses)]  # of 1e308 the sum overflows
            ended = [f.epoch_ended(loss) for f, loss in zip(fittings, losses, strict=True)]
            if any(ended):
                break
        if together:
            for k, a in enumerate(ats):
                for name, value in at.optimizer.items():
                    a.optimizer[name] = network.unpack(value, k) if np.ndim(value) else value
        fittings = [f for f, end in zip(fittings, ended, strict=True) if not end]
