"""Where a fit begins: the units of X and y, the encoding of X, the first weights."""

from typing import Any

import numpy as np

from .blocks import blocks
from .inputs import units_and_encoding
from .model import Model
from .scaling import target_standardization
from .threads import for_products_of

Array = np.ndarray
Table = tuple[Any, Array, Array | None]  # X, Y of two dimensions, weights or None


def model_without_weights(
    architecture: dict[str, Any],
    dtype: Any,
    loss: Any,
    table: Table,
    train: Array | None,
    categories: list[Array | None] | None,
) -> Model:
    """The network in the units of these rows of the table."""
    X, Y, _ = table
    a = architecture
    sizes = [X.shape[1], *a["hidden_layer_sizes"], Y.shape[1]]
    activations = [*a["activation"], a["output_activation"]]
    m = Model(np.empty(0, dtype), sizes, activations, a["fit_intercept"])
    m.n_networks, m.input_scale, m.categories = a["n_networks"], a["input_scale"], categories
    with for_products_of(1):  # else the bits of a sum depend on the number of threads
        _set_units(m, a, loss, table, train)
    return m


def _set_units(m, architecture, loss, table, train):
    """Units of X and y, and the encoding of X."""
    X, Y, weight = table
    center, standardize = m.fit_intercept, architecture["standardize"]
    if standardize:
        output = m.network().g[-1].output
        m.y_shift, m.y_scale = target_standardization(Y, weight, loss, output, center, train)
    m.X_shift, m.X_scale, m.encoding = units_and_encoding(
        X,
        weight,
        train,
        standardize=standardize,
        center=center,
        n_bins=architecture["n_bins"],
        categories=m.categories,
    )
    if m.encoding is not None:
        m.layer_sizes[0] += m.encoding.n_added


def first_weights(m: Model, parametrization: str, rng: Any, Y: Array, train: Array | None) -> Array:
    """theta for these rows of the targets, of the type of the model's, which is empty still."""
    network, dtype = m.network(), m.theta.dtype
    if parametrization == "neural_tangent":
        theta = network.initialize_neural_tangent(rng, dtype)
    else:
        theta = network.initialize(rng, dtype)
    _start_at_constants(m, network, theta, Y, train)
    return theta


def _start_at_constants(m, network, theta, Y, train):
    """W[L] = 0 for constant targets that A[L] = g[L](0) is: predicted exactly, at rest.

    Not where g[L]'(0) = 0, as of relu: such an output would never wake up.
    """
    g, zero = network.g[-1], np.zeros((1, network.sizes[-1]))
    n, first = len(Y) if train is None else len(train), Y[0 if train is None else train[0]]
    constant = np.ones(Y.shape[1], bool)
    for rows in blocks(n):
        if not constant.any():
            return
        constant &= (Y[rows if train is None else train[rows]] == first).all(axis=0)
    if not constant.any():
        return
    A, target = g.value(zero), np.empty_like(zero, theta.dtype)
    m.targets(first[None]).take(slice(0, 1), target)
    met = (target == A) & (g.derivative(zero, A) != 0)
    network.views(theta).W[-1][..., constant & met[0]] = 0
