"""scikit-learn's own checks, for the defaults and for every solver, loss and option."""

import pytest
from own import classic
from sklearn.utils.estimator_checks import parametrize_with_checks

from skbackprop import BackpropRegressor
from skbackprop.losses import LOSSES
from skbackprop.optimizers import OPTIMIZERS

# Ten epochs are two steps an epoch on the checks' tables: the plain solvers need quick ones.
QUICK = {"learning_rate_init": 0.01, "max_iter": 100}

ESTIMATORS = [
    BackpropRegressor(),
    classic(),
    *(classic(solver=solver, **QUICK) for solver in [*OPTIMIZERS, "lbfgs"]),
    # Of 100 units a step takes as long as a hundred of lbfgs.
    classic(solver="lm", hidden_layer_sizes=(10,), max_iter=100),
    *(classic(loss=loss, **QUICK) for loss in LOSSES),
    *(classic(loss=loss, solver="lbfgs", max_iter=100) for loss in LOSSES),
    classic(dropout=0.1),
    classic(standardize=False),
    classic(standardize=False, solver="lbfgs"),
    classic(dtype="float32"),
    classic(fit_intercept=False),
    classic(hidden_layer_sizes="32-16", activation=["gelu", "tanh"]),
    classic(learning_rate="cosine", clip_norm=1.0, **QUICK),
]

WEIGHT_EQUIVALENCE = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def expected_failed_checks(estimator):
    """Checks that cannot hold for a setting, with the reason why."""
    expected = {}
    if estimator.loss in ("poisson", "gamma"):
        expected["check_regressor_multioutput"] = (
            "its targets are negative whatever the tags say, and the loss refuses them"
        )
    if estimator.dropout:
        expected |= dict.fromkeys(
            WEIGHT_EQUIVALENCE, "two copies of a row have two masks, a row of weight 2 has one"
        )
    if estimator.dtype == "float32":
        reason = "asks for agreement to 1e-7; float32 rounds at 1.2e-7"
        expected |= dict.fromkeys(WEIGHT_EQUIVALENCE, reason)
        expected["check_regressor_multioutput"] = "asks for float64 where float32 was asked for"
    return expected


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_sklearn_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it one check can only be skipped
    check(estimator)


@pytest.mark.parametrize(
    "name", ["check_dataframe_column_names_consistency", "check_inplace_ensure_writeable"]
)
def test_sklearn_checks_that_are_not_in_its_list(name):
    from sklearn.utils import estimator_checks

    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("this scikit-learn does not have it")
    check("BackpropRegressor", classic(max_iter=5))
