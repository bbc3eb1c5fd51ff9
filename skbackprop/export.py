"""A fitted regressor as scikit-learn's MLPRegressor."""

import numpy as np

from .model import model_of
from .quiet import quietly

HIDDEN = ("identity", "logistic", "tanh", "relu")


@quietly
def to_mlp_regressor(estimator):
    """The same network as a fitted MLPRegressor; a ValueError where there is none."""
    # Imported here: whoever does not export need not load scikit-learn's networks.
    from sklearn.neural_network import MLPRegressor

    has_exp = "loss" in MLPRegressor().get_params()  # both came with scikit-learn 1.7
    if model_of(vars(estimator)).encoding is not None:
        raise ValueError(
            "MLPRegressor sees raw X, and this network an encoding of it: fit with "
            "standardize=True, on numbers alone of which none is missing"
        )
    outputs = (*HIDDEN, "exp") if has_exp else HIDDEN
    hidden, output = estimator.activations_[:-1], estimator.activations_[-1]
    W, b, left_over = model_of(vars(estimator)).folded()
    for g in hidden:
        if g not in HIDDEN:
            raise ValueError(f"MLPRegressor has no activation {g!r}; it has {', '.join(HIDDEN)}")
    if len(set(hidden)) > 1:
        raise ValueError(
            f"MLPRegressor has one activation for all hidden layers; here are {hidden}"
        )
    if output not in outputs:
        raise ValueError(f"MLPRegressor of this scikit-learn has no output activation {output!r}")
    if left_over is not None:
        raise ValueError(
            f"the factor y_scale_ of the predictions cannot be folded into a network without "
            f"biases and with the output activation {output!r}; fit with standardize=False"
        )
    if not all(np.isfinite(M).all() for M in (*W, *b)):
        raise ValueError(
            "MLPRegressor sees raw X, and its weights would be beyond the largest number: X_scale_ "
            "or y_scale_ is too small or too large; change the units of X and y"
        )
    model = MLPRegressor(
        hidden_layer_sizes=tuple(estimator.layer_sizes_[1:-1]),
        activation=hidden[0] if hidden else "identity",
        alpha=estimator.alpha,
        random_state=estimator.random_state,
    )
    if output == "exp":
        model.set_params(loss="poisson")
    model.coefs_, model.intercepts_ = W, b
    model.n_layers_, model.n_outputs_ = estimator.n_layers_, estimator.n_outputs_
    model.out_activation_ = output
    model.n_iter_, model.t_, model.loss_ = estimator.n_iter_, estimator.t_, estimator.loss_
    model.loss_curve_ = list(estimator.loss_curve_)
    model.best_loss_ = estimator.best_loss_
    model.n_features_in_ = estimator.n_features_in_
    if hasattr(estimator, "feature_names_in_"):
        model.feature_names_in_ = estimator.feature_names_in_
    return model
