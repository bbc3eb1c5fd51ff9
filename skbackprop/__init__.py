"""Neural-network regression for scikit-learn, written from the equations.

Only the names below are public; they are imported when first used, so that
``import skbackprop.calculus`` needs nothing but NumPy.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["BackpropRegressor", "__version__", "fit_many"]

if TYPE_CHECKING:
    from .many import fit_many
    from .regressor import BackpropRegressor


def __getattr__(name):
    if name == "BackpropRegressor":
        from .regressor import BackpropRegressor

        return BackpropRegressor
    if name == "fit_many":
        from .many import fit_many

        return fit_many
    raise AttributeError(f"module 'skbackprop' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
