"""Schedules: the learning rate as a share of ``learning_rate_init``.

A schedule is called as ``schedule(progress, samples)``, with progress (t in the formulas)
the share of max_iter passes that is done, 0 at the first step and below 1 at the last,
and samples the number of rows seen so far. One with ``planned = True`` is made to end at
max_iter, so that getting there is no failure to converge; another is asked once a pass, at
its start. A function of progress alone
serves wherever a name does. To add a schedule to the package, write its class and its
entry in :data:`SCHEDULES`.
"""

from collections.abc import Callable
from math import cos, isfinite, log2, pi
from numbers import Real

from .messages import shown
from .settings import Settings


class Constant(Settings):
    """The factor is always 1."""

    planned = False

    def __call__(self, progress: float, samples: int) -> float:
        return 1.0


class InverseScaling(Settings):
    """1 / (samples + 1)^p, with samples counted at the start of a pass."""

    planned = False

    power_t: float = 0.5

    def __call__(self, progress: float, samples: int) -> float:
        return (samples + 1) ** -self.power_t


class Adaptive(Constant):
    """1, divided by 5 whenever training stalls; a stall at a rate of 1e-6 or less ends it.

    The division is training's answer to a stalled loss (see ``plateau``); scikit-learn's
    rule and constants.
    """

    plateau = 0.2
    smallest = 1e-6


class Cosine(Settings):
    """(1 + cos π t) / 2: from 1 down to 0 (Loshchilov & Hutter 2017, one period)."""

    planned = True

    def __call__(self, progress: float, samples: int) -> float:
        return (1 + cos(pi * progress)) / 2


class OneCycle(Settings):
    """Up from 1/25 to 1 in the first 30 % by a half cosine, then down to 1/250,000.

    Smith & Topin 2018, without the cycle of the momentum; the numbers are those of PyTorch's
    OneCycleLR.
    """

    planned = True

    warm_up: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 250_000

    def __call__(self, progress: float, samples: int) -> float:
        if progress < self.warm_up or self.warm_up == 1:
            low, t = self.start, 1 - progress / self.warm_up
        else:
            low, t = self.end, (progress - self.warm_up) / (1 - self.warm_up)
        return low + (1 - low) * (1 + cos(pi * t)) / 2


class CosLog4(Settings):
    """(1 - cos(2π log₂(1 + 15 t))) / 2: four cycles from 0, each twice as long as the last.

    Holzmueller et al. 2024 (RealMLP): its valleys are natural places to stop. The first
    step has a rate of 0 and changes nothing.
    """

    planned = True
    valleys = (1 / 15, 3 / 15, 7 / 15, 1.0)  # progress at which the rate is 0

    def __call__(self, progress: float, samples: int) -> float:
        return (1 - cos(2 * pi * log2(1 + 15 * progress))) / 2


class OfProgress(Settings):
    """A user's function of progress."""

    planned = True

    function: Callable[[float], float]

    def __call__(self, progress: float, samples: int) -> float:
        factor = self.function(progress)
        if not isinstance(factor, Real) or not isfinite(factor):
            raise ValueError(
                f"learning_rate must give a finite number; of progress {progress:g} it gave "
                f"{shown(factor)}"
            )
        return float(factor)


SCHEDULES = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "coslog4": CosLog4,
}
