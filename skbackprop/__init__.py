"""Neural-network regression for scikit-learn, written from the equations.

Only the names below are public; they are imported when first used, so that
``import skbackprop.calculus`` needs nothing but NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "BackpropRegressor",
    "__version__",
    "check_activation",
    "check_gradients",
    "check_loss",
    "fit_many",
]

if TYPE_CHECKING:
    from .activation_contract import check_activation
    from .checking import check_gradients
    from .loss_contract import check_loss
    from .many import fit_many
    from .regressor import BackpropRegressor

_MODULES = {
    "BackpropRegressor": "regressor",
    "check_activation": "activation_contract",
    "check_gradients": "checking",
    "check_loss": "loss_contract",
    "fit_many": "many",
}


def __getattr__(name):
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module 'skbackprop' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
