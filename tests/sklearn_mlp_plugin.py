"""A pytest plugin: scikit-learn's tests of MLPRegressor, run on BackpropRegressor.

It puts a stand-in in MLPRegressor's place before scikit-learn's test module is imported.
With these settings it does what MLPRegressor does, which has no `standardize`, one network, and
stops early on R².
"""

import pytest
import sklearn.neural_network

from skbackprop import BackpropRegressor

EXPECTED_FAILURES = {
    "test_mlp_partial_fit_after_fit": "partial_fit works with early_stopping=True",
    "test_mlp_diverging_loss": "training stops before its scores become NaN",
}


class MLPRegressor(BackpropRegressor):
    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        standardize=False,
        scoring="r2",
    ):
        own = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        super().__init__(**own, n_networks=1, n_bins=0, parametrization="standard")


def pytest_configure():
    sklearn.neural_network.MLPRegressor = MLPRegressor


def pytest_collection_modifyitems(items):
    for item in items:
        reason = EXPECTED_FAILURES.get(item.originalname)
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
