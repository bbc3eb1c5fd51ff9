"""Meet BackpropRegressor: fit, score, look at the curve, search, cross-validate.

The data are scikit-learn's diabetes table: 442 patients, 10 measurements each, and how far
the disease had progressed a year later. It is small and nearly linear, so a linear model
is hard to beat here; the last part of the output says how the two compare.

Run it with ``python examples/quickstart.py``; it writes quickstart_loss.png.

Needs matplotlib.
"""

import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, RepeatedKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropRegressor

plt.switch_backend("Agg")  # a file and no window: works without a display

# One small network for the fits below, as MLPRegressor has; the defaults train eight. A few hundred
# rows need a strong penalty, few units, and rows kept aside that say when to stop; small batches
# give enough steps.
SETTINGS = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.01,
    "learning_rate": "constant",
    "batch_size": 32,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "n_iter_no_change": 20,
    "max_iter": 2000,
    "random_state": 0,
}
ONE = {"n_networks": 1, "n_bins": 0, "parametrization": "standard"}
ALPHA = 20


def fit_and_score(X_train, X_test, y_train, y_test):
    """One fit on the raw table; nothing needs to be scaled by hand."""
    model = BackpropRegressor(alpha=ALPHA, **SETTINGS, **ONE).fit(X_train, y_train)
    best = int(np.argmin(model.validation_loss_curve_))
    print("1. One fit")
    print(f"   rows for training, for testing:   {len(X_train)}, {len(X_test)}")
    print(f"   epochs run, best epoch:           {model.n_iter_}, {best + 1}")
    print(f"   R² on the held-out rows:          {model.score(X_test, y_test):.3f}")
    linear = ridge().fit(X_train, y_train)
    print(f"   Ridge's R² on the same rows:      {linear.score(X_test, y_test):.3f}")
    print("   (So few rows make R² a matter of luck: part 3 averages over 10 splits.)")
    return model


def ridge():
    """The linear model to beat, with the penalty that its own cross-validation picks."""
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 3, 20)))


def plot_losses(model, path="quickstart_loss.png"):
    """Training and validation loss of every epoch, in the units of y squared."""
    train, validation = model.loss_curve_, model.validation_loss_curve_
    epoch = np.arange(1, len(train) + 1)
    best = int(np.argmin(validation))
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    ax.plot(epoch, train, label="training rows, penalty included")
    ax.plot(epoch, validation, label="validation rows")
    ax.plot(epoch[best], validation[best], "o", color="black", label=f"best epoch: {best + 1}")
    ax.set(xlabel="epoch", ylabel="mean squared error", title="BackpropRegressor on diabetes")
    ax.legend()
    fig.savefig(path, dpi=120)
    print(f"   wrote {path}: the loss of every epoch")


def search(X_train, X_test, y_train, y_test):
    """A Pipeline in GridSearchCV: parameters of both steps at once."""
    pipeline = Pipeline(
        [("columns", SelectKBest(f_regression)), ("net", BackpropRegressor(**SETTINGS, **ONE))]
    )
    grid = {
        "columns__k": [5, 10],
        "net__alpha": [2, 20],
        "net__hidden_layer_sizes": ["16", "32-16"],  # "32-16" is (32, 16)
    }
    found = GridSearchCV(pipeline, grid, cv=5).fit(X_train, y_train)
    print("2. A Pipeline in GridSearchCV: 8 candidates, 5 folds")
    print(f"   columns kept:                     {found.best_params_['columns__k']} of 10")
    print(f"   alpha:                            {found.best_params_['net__alpha']}")
    print(f"   hidden layers:                    {found.best_params_['net__hidden_layer_sizes']}")
    print(f"   its mean R² in the folds:         {found.best_score_:.3f}")
    print(f"   its R² on the held-out rows:      {found.score(X_test, y_test):.3f}")


def compare(X, y):
    """Everyone on the same splits."""
    splits = RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
    # The same penalty in MLPRegressor's units: its loss has a factor 1/2 and it divides
    # alpha by the rows of a batch, not of the table. (442 rows, 4/5 in a fold, 4/5 of these
    # for training.)
    mlp_alpha = ALPHA * SETTINGS["batch_size"] / (2 * len(X) * 0.8 * 0.8)
    mlp = MLPRegressor(alpha=mlp_alpha, **SETTINGS)
    contestants = {
        "Ridge": ridge(),
        "BackpropRegressor": BackpropRegressor(alpha=ALPHA, **SETTINGS, **ONE),
        "MLPRegressor, same settings": mlp,
        "MLPRegressor, same, StandardScaler": make_pipeline(StandardScaler(), mlp),
        "BackpropRegressor, defaults": BackpropRegressor(random_state=0),
        "MLPRegressor, defaults": MLPRegressor(random_state=0),
        "MLPRegressor, defaults, StandardScaler": make_pipeline(
            StandardScaler(), MLPRegressor(random_state=0)
        ),
    }
    print("3. cross_val_score, 10 folds, the same for all: mean R², its spread, seconds")
    print(
        "   (The network's alpha and width were chosen on this very table, Ridge's penalty inside"
    )
    print("   each fold: read the first two rows as a tie.)")
    for name, model in contestants.items():
        start = perf_counter()
        with warnings.catch_warnings():
            if "defaults" in name:
                # Every network's default is to stop after 200 epochs. That this may be too
                # early is what these rows show; thirty warnings would say no more.
                warnings.simplefilter("ignore", ConvergenceWarning)
            scores = cross_val_score(model, X, y, cv=splits)
        seconds = perf_counter() - start
        print(f"   {name:39s} {scores.mean():6.3f} ± {scores.std():.3f}  {seconds:5.1f} s")


def main():
    X, y = load_diabetes(return_X_y=True)
    parts = train_test_split(X, y, random_state=0)
    plot_losses(fit_and_score(*parts))
    search(*parts)
    compare(X, y)


if __name__ == "__main__":
    main()
