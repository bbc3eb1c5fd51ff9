"""Objects of a user's own: a loss and an activation with the two methods and no more."""

import numpy as np


class CubeError:
    """Σ w |a - y|³, by a user who ignores `out`."""

    def value(self, A, Y, weight=None):
        w = 1 / len(A) if weight is None else weight
        return np.sum(w * np.abs(A - Y) ** 3)

    def derivative(self, A, Y, weight=None, out=None):
        w = 1 / len(A) if weight is None else weight
        return w * 3 * (A - Y) * np.abs(A - Y)


class Sine:
    """sin z."""

    def value(self, Z, out=None):
        return np.sin(Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.cos(Z, out=out)
