"""Predictions in threads, beside each other and beside training: of one whole model each."""

import contextlib
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from beside import PATIENCE, in_child, in_threads, needs_fork
from own import classic
from scipy import sparse
from threadpoolctl import threadpool_limits

from skbackprop import BackpropRegressor

SETTINGS = {"max_iter": 2, "batch_size": 30, "random_state": 0}
WIDTHS = (8,), (30, 5)


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def table(n=90, columns=4, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, columns))
    return X, X[:, 0] - X[:, 1]


def fitted(hidden=(8,), columns=4, **options):
    options = {"hidden_layer_sizes": hidden, **SETTINGS, **options}
    return classic(**options).fit(*table(columns=columns))


def repeated_while(training, *others):
    """Run `training` in one thread, and the others again and again for as long as it runs."""
    over, rounds = threading.Event(), [0] * len(others)
    all_began = threading.Barrier(1 + len(others), timeout=PATIENCE)

    def train():
        all_began.wait()
        try:
            training()
        finally:
            over.set()

    def repeat(k):
        all_began.wait()
        while not over.is_set():
            others[k]()
            rounds[k] += 1

    in_threads(train, *(lambda k=k: repeat(k) for k in range(len(others))))
    assert min(rounds) > 0
    return sum(rounds)


# ----- predictions beside each other ---------------------------------------------------

KINDS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "Fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "sparse": sparse.csr_matrix,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["relu", "gelu", "mish"])
def test_predictions_of_eight_threads_are_those_of_one(kind, activation):
    model = fitted((40, 10), activation=activation)
    sizes = [1, 2, 17, 300, 1000, 3000, 5, 64]
    inputs = [KINDS[kind](table(n, seed=n)[0]) for n in sizes] * 4
    serial = [model.predict(X).tobytes() for X in inputs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda X: model.predict(X).tobytes(), inputs)) == serial


# ----- predictions beside training -----------------------------------------------------


@pytest.mark.parametrize("kind", ["float64", "list", "frame", "sparse"])
def test_predictions_during_refits_of_another_width_are_of_a_whole_model(kind):
    X = KINDS[kind](table(50, seed=9)[0])
    whole = {fitted(hidden).predict(X).tobytes() for hidden in WIDTHS}
    model, seen = fitted(WIDTHS[0]), set()

    def refits():
        for k in range(40):
            model.set_params(hidden_layer_sizes=WIDTHS[k % 2]).fit(*table())

    repeated_while(refits, *[lambda: seen.add(model.predict(X).tobytes())] * 3)
    assert seen == whole


def test_predictions_during_refits_on_other_features_are_right_or_refused_by_number():
    model, refused = fitted(columns=4), 0
    inputs = {n: table(50, n, seed=9)[0] for n in (4, 6)}
    whole = {n: fitted(columns=n).predict(X).tobytes() for n, X in inputs.items()}

    def predict(n, given):
        nonlocal refused
        try:
            assert model.predict(given).tobytes() == whole[n]
        except ValueError as error:
            assert f"X has {n} features" in str(error), error
            refused += 1

    def refits():
        for k in range(40):
            model.fit(*table(columns=(6, 4)[k % 2]))

    repeated_while(
        refits, *(lambda n=n, given=given: predict(n, given) for n, given in inputs.items())
    )
    assert refused > 0


@pytest.mark.parametrize("n", [4, 6])
@pytest.mark.parametrize("kind", ["list", "frame", "sparse"])
def test_a_refit_between_the_look_at_the_state_and_the_look_at_X(kind, n, monkeypatch):
    """As a refit in another thread does, at the worst moment: the prediction is the old model's."""
    model, X = fitted(columns=4), KINDS[kind](table(columns=n)[0])
    expected = model.predict(X).tobytes() if n == 4 else None
    module = sys.modules[BackpropRegressor.__module__]
    checked = module.checked_inputs

    def after_a_refit(*args, **kwargs):
        monkeypatch.undo()
        model.fit(*table(columns=6))
        return checked(*args, **kwargs)

    monkeypatch.setattr(module, "checked_inputs", after_a_refit)
    if n == 4:
        assert model.predict(X).tobytes() == expected
    else:
        with pytest.raises(ValueError, match="X has 6 features"):
            model.predict(X)
    assert model.n_features_in_ == 6


def test_predictions_during_a_stream_are_of_one_of_its_calls():
    X, chunks = table(50, seed=9)[0], [table(20, seed=k) for k in range(60)]
    twin, model, seen, states = fitted(), fitted(), set(), []
    for chunk in chunks:
        states.append(twin.predict(X).tobytes())
        twin.partial_fit(*chunk)
    states.append(twin.predict(X).tobytes())

    def stream():
        for chunk in chunks:
            model.partial_fit(*chunk)

    repeated_while(stream, *[lambda: seen.add(model.predict(X).tobytes())] * 3)
    assert seen <= set(states) and len(seen) > 1


def test_copies_and_pickles_during_refits_are_whole():
    X = table(50, seed=9)[0]
    whole = {fitted(hidden).predict(X).tobytes() for hidden in WIDTHS}
    model, copies = fitted(WIDTHS[0]), []

    def refits():
        for k in range(40):
            model.set_params(hidden_layer_sizes=WIDTHS[k % 2]).fit(*table())

    repeated_while(refits, lambda: copies.append(pickle.dumps(model)))
    assert {pickle.loads(copy).predict(X).tobytes() for copy in copies} <= whole


# ----- training beside training --------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_of_two_fits_of_one_estimator_the_result_is_one_of_them(solver):
    tables = [table(columns=4), table(columns=6)]
    alone = [pickle.dumps(vars(fitted(columns=n, solver=solver))) for n in (4, 6)]
    model, ends = fitted(solver=solver), set()
    for _ in range(15):
        in_threads(*(lambda t=t: model.fit(*t) for t in tables))
        ends.add(pickle.dumps(vars(pickle.loads(pickle.dumps(model)))))
    assert {pickle.loads(end)["n_features_in_"] for end in ends} <= {4, 6}
    for end in map(pickle.loads, ends):
        whole = pickle.loads(alone[0 if end["n_features_in_"] == 4 else 1])
        assert end.keys() == whole.keys()
        assert end["theta_"].tobytes() == whole["theta_"].tobytes()
        assert end["loss_curve_"] == whole["loss_curve_"]
        assert end["X_scale_"].tobytes() == whole["X_scale_"].tobytes()
        assert end["_training"]["rng"] == whole["_training"]["rng"]


def test_a_parameter_that_is_changed_during_a_fit_counts_from_the_next_one():
    model, expected = fitted(), fitted().theta_.tobytes()

    def during(progress):
        model.hidden_layer_sizes = (3,)
        return 1.0

    model.set_params(learning_rate=during).fit(*table())
    assert model.theta_.tobytes() == expected and model.layer_sizes_ == [4, 8, 1]


def own_errors(how, X, y):
    """Fits and predictions under floating-point settings of the thread's own."""
    with np.errstate(**how):
        before = np.geterr()
        for seed in range(5):
            classic(**SETTINGS | {"random_state": seed}).fit(X, y).predict(X)
        model = classic(**SETTINGS)
        for _ in range(5):
            model.partial_fit(X, y).score(X, y)
        assert np.geterr() == before, how


def test_every_thread_keeps_its_floating_point_settings():
    X, y = table()
    hows = [{"all": "raise"}, {"all": "warn"}, {"all": "ignore"}, {"divide": "raise"}] * 2
    before = np.geterr()
    in_threads(*(lambda how=how: own_errors(how, X, y) for how in hows))
    assert np.geterr() == before


@pytest.mark.parametrize("inner", ["fit", "partial_fit", "predict"])
def test_a_fit_inside_a_fit_keeps_the_floating_point_settings(inner):
    other = fitted()

    def scorer(model, X, y):
        other.predict(X) if inner == "predict" else getattr(other, inner)(X, y)
        return 0.0

    before = np.geterr()
    with contextlib.ExitStack() as stack:
        stack.callback(np.seterr, **before)  # whatever this test finds
        fitted(early_stopping=True, scoring=scorer)
        assert np.geterr() == before


# ----- fork ----------------------------------------------------------------------------


@needs_fork
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_a_child_that_is_forked_during_a_fit_fits_and_predicts(solver):
    X = table()[0]
    model = fitted(solver=solver)
    expected, codes = model.predict(X), []

    def in_a_child():
        refit = fitted(solver=solver)
        return np.array_equal(model.predict(X), expected) and np.array_equal(
            refit.predict(X), expected
        )

    def fork_twice():
        codes.extend(in_child(in_a_child) for _ in range(2))

    def fits():
        fitted((8, 8) if solver == "lm" else (60, 60), solver=solver, max_iter=30)

    # On one BLAS thread, which a fit of this size has by itself unless a variable says otherwise:
    # before a fork OpenBLAS ends its threads, and a product that is shared among them at that
    # moment never ends in the parent (one run in three with OpenBLAS 0.3.23 on two threads).
    with threadpool_limits(1, "blas"):
        repeated_while(fork_twice, fits, fits)
    assert codes == [0, 0]
