"""Neural-network regression for scikit-learn, written from the equations.

Only the names below are public; they are imported when first used, so that
``import skbackprop.calculus`` needs nothing but NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "ActivationDisplay",
    "BackpropRegressor",
    "GradientFlowDisplay",
    "LossCurveDisplay",
    "MarginalEffectsDisplay",
    "ModelFileError",
    "NetworkDisplay",
    "__version__",
    "check_activation",
    "check_gradients",
    "check_loss",
    "fit_many",
    "gauss_newton_product",
    "hessian_product",
]

if TYPE_CHECKING:
    from .activation_contract import check_activation
    from .activation_display import ActivationDisplay
    from .checking import check_gradients
    from .container import ModelFileError
    from .effects_display import MarginalEffectsDisplay
    from .gradient_flow_display import GradientFlowDisplay
    from .loss_contract import check_loss
    from .loss_display import LossCurveDisplay
    from .many import fit_many
    from .network_display import NetworkDisplay
    from .products import gauss_newton_product, hessian_product
    from .regressor import BackpropRegressor


# Where the names are; a table, so that nothing is imported before it is used.
HOME = {
    "ActivationDisplay": "activation_display",
    "BackpropRegressor": "regressor",
    "GradientFlowDisplay": "gradient_flow_display",
    "LossCurveDisplay": "loss_display",
    "MarginalEffectsDisplay": "effects_display",
    "ModelFileError": "container",
    "NetworkDisplay": "network_display",
    "check_activation": "activation_contract",
    "check_gradients": "checking",
    "check_loss": "loss_contract",
    "fit_many": "many",
    "gauss_newton_product": "products",
    "hessian_product": "products",
}


def __getattr__(name):
    if name not in HOME:
        raise AttributeError(f"module 'skbackprop' has no attribute {name!r}")
    return getattr(import_module(f".{HOME[name]}", __name__), name)


def __dir__():
    return sorted(__all__)
