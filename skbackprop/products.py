"""Products with the Hessian and the Gauss-Newton matrix of a fitted regressor's objective."""

from copy import copy
from typing import Any

import numpy as np

from .derivatives import check_smooth
from .estimators import checked_estimator
from .fitting import Fitting
from .losses import Loss
from .messages import shown
from .model import model_of
from .quiet import quietly
from .second_order import products
from .tables import checked_directions, checked_table

Array = np.ndarray

# Parameters that settle which network was fitted and to what: as they were then.
SETTLED = (
    "loss",
    "hidden_layer_sizes",
    "activation",
    "output_activation",
    "solver",
    "fit_intercept",
    "standardize",
    "dtype",
)
# All rows count, without chance.
MEAN = {"early_stopping": False, "dropout": 0.0, "warm_start": False, "checkpoint": None}


@quietly
def hessian_product(estimator: Any, X: Any, y: Any, v: Any, sample_weight: Any = None) -> Array:
    """H v, with H = d²f/dtheta² the Hessian of the objective at the fitted weights.

    f is what training minimises, over these rows: the mean loss of the standardised network,
    weighted by `sample_weight`, and the penalty `alpha` (see
    :class:`~skbackprop.BackpropRegressor`). The product is exact and takes four to six times as
    long as a gradient, in float64; of several directions at once each takes less. H, of
    n_parameters² numbers, is never formed.

    Parameters
    ----------
    estimator : BackpropRegressor
        A fitted one.
    X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        Inputs, taken block by block.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    v : array-like of shape (n_parameters,) or (n_parameters, k)
        A direction, or k of them as columns, in the order of ``estimator.theta_``: layer by
        layer the biases b[l], then W[l] row by row. The identity matrix gives H itself.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    product : ndarray of the shape of v

    Raises
    ------
    ValueError, TypeError
        If an activation has no second derivative (relu, leaky_relu, elu, selu) or the loss has
        none (absolute_error, quantile, huber), nor an object of your own; the message names it.
        For data that `fit` would refuse.

    See Also
    --------
    gauss_newton_product : Without second derivatives of the activations; for most losses
        positive semi-definite.

    References
    ----------
    Pearlmutter 1994, Fast exact multiplication by the Hessian, Neural Computation 6(1).

    Examples
    --------
    The curvatures of the objective where training has ended:

    >>> import numpy as np
    >>> from skbackprop import BackpropRegressor, hessian_product
    >>> X = np.linspace(-3, 3, 50)[:, None]
    >>> y = np.sin(X[:, 0])
    >>> model = BackpropRegressor(
    ...     hidden_layer_sizes=(2,), activation="tanh", solver="lm", tol=1e-9, random_state=0
    ... ).fit(X, y)
    >>> H = hessian_product(model, X, y, np.eye(model.theta_.size))
    >>> bool(np.linalg.eigvalsh(H).min() > 0)  # a minimum
    True
    """
    return _product(estimator, X, y, v, sample_weight, gauss_newton=False)


@quietly
def gauss_newton_product(
    estimator: Any, X: Any, y: Any, v: Any, sample_weight: Any = None
) -> Array:
    """G v, with G = Jᵀ (d²f/dA²) J the Gauss-Newton matrix; J = dA[L]/dtheta, A[L] the predictions.

    G is the Hessian without the curvature of the network: that of the objective with A[L]
    replaced by its linear approximation. It needs no second derivative of an activation, and is
    positive semi-definite for every loss that is convex in A[L]. For a Poisson or gamma loss
    with "exp", whose derivatives cancel, it is that of Z[L], and positive semi-definite too
    (a matching loss: Schraudolph 2002).

    Parameters
    ----------
    estimator, X, y, v, sample_weight
        As in :func:`hessian_product`.

    Returns
    -------
    product : ndarray of the shape of v

    Raises
    ------
    ValueError, TypeError
        If the loss has no second derivative; the message names it. For data that `fit` would
        refuse.

    References
    ----------
    Schraudolph 2002, Fast curvature matrix-vector products for second-order gradient descent,
    Neural Computation 14(7).

    Examples
    --------
    For a linear model it is the Hessian, 2/n times that of least squares:

    >>> import numpy as np
    >>> from skbackprop import BackpropRegressor, gauss_newton_product
    >>> X, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 2.0])
    >>> model = BackpropRegressor(hidden_layer_sizes=(), standardize=False, alpha=0, solver="lm")
    >>> gauss_newton_product(model.fit(X, y), X, y, np.eye(2)).round(3)
    array([[ 2.   ,  4.667],
           [ 4.667, 14.   ]])
    """
    return _product(estimator, X, y, v, sample_weight, gauss_newton=True)


def _fitting(estimator, X, y, sample_weight):
    """A fit of these rows that would go on from the model: it has the objective and the rows."""
    scratch = copy(checked_estimator(estimator))
    fitted = vars(estimator).copy()  # one look at the state, whatever a refit does meanwhile
    settled = fitted["_training"]["architecture"]
    scratch.__dict__ = fitted | {name: settled[name] for name in SETTLED} | MEAN
    table, _ = checked_table(scratch, X, y, sample_weight, reset=False)
    outputs = table[1].shape[1], fitted["layer_sizes_"][-1]
    if outputs[0] != outputs[1]:
        raise ValueError(f"y has {outputs[0]} outputs, and the model {outputs[1]}")
    return Fitting(scratch._checked(), table, previous=fitted)


def _product(estimator, X, y, v, sample_weight, gauss_newton):
    what = "gauss_newton_product" if gauss_newton else "hessian_product"
    fitting = _fitting(estimator, X, y, sample_weight)
    model = model_of(fitting.previous)
    if model.n_networks > 1 or model.input_scale:
        raise ValueError(
            f"{what} is for the weights of one network as it predicts: fit with n_networks=1 and "
            "parametrization='standard'"
        )
    objective, theta = fitting.objective, model.theta.astype(np.float64)
    if not objective.loss.is_smooth:
        raise ValueError(
            f"{what} needs the second derivative of the loss, and loss="
            f"{shown(fitting.params['loss'])} has none; 'squared_error', 'log_cosh', 'poisson' and "
            "'gamma' have one, and so has an object of your own with second_derivative(A, Y, "
            "weight)"
        )
    if not gauss_newton:
        check_smooth(fitting.model, what)
    past_Z = type(objective.loss).second_derivative_Z is not Loss.second_derivative_Z
    objective.from_Z = objective.from_Z and past_Z
    V = checked_directions(v, theta.size)
    product = products(objective, fitting.data, theta, V.T.reshape(-1, theta.size), gauss_newton)
    return product.T.reshape(V.shape)
