"""Objects of a user's own, a loss and an activation with the two methods, and plain settings."""

import inspect

import numpy as np

from skbackprop import BackpropRegressor


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


# The settings of scikit-learn's MLPRegressor: one network, one rate, all rows.
CLASSIC = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "batch_size": 200,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "early_stopping": False,
    "beta_2": 0.999,
    "standardize": True,
    "n_networks": 1,
    "n_bins": 0,
    "parametrization": "standard",
}


# What the defaults add to them, small.
SEVERAL = {
    "activation": "mish",
    "learning_rate": "coslog4",
    "early_stopping": True,
    "standardize": "robust",
    "n_networks": 3,
    "n_bins": 4,
    "parametrization": "neural_tangent",
}


def classic(*args, **params):
    """A regressor with these settings but for those that are given."""
    names = list(inspect.signature(BackpropRegressor).parameters)[: len(args)]
    return BackpropRegressor(**CLASSIC | dict(zip(names, args, strict=True)) | params)
