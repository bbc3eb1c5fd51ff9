"""Several networks whose mean predicts, a scale for every input, and their parametrization."""

import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from allocation import peak_memory
from own import classic
from scipy import sparse

from skbackprop import BackpropRegressor, check_gradients
from skbackprop.activations import ACTIVATIONS
from skbackprop.conformal import errors_of_the_mean
from skbackprop.losses import LOSSES
from skbackprop.model import model_of
from skbackprop.network import BIAS_RATE, SCALE_RATE, WIDTH, Network
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.stack import Lane
from skbackprop.training import Objective

SMALL = {"hidden_layer_sizes": (6, 4), "max_iter": 5, "random_state": 0}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal([3, -50, 0], [1, 20, 0.01], (160, 3))
    return X, 100 + 20 * X[:, 0] - X[:, 1] * np.cos(X[:, 0])


def network(L, stack, intercept):
    sizes = [3, 5, 4, 2][: L + 1] if L < 3 else [3, 5, 4, 2]
    g = [ACTIVATIONS["tanh"]()] * (L - 1) + [ACTIVATIONS["identity"]()]
    return Network(sizes, g, intercept, stack, input_scale=True)


# ----- the scale of the inputs -----------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("L", [1, 2, 3])
def test_the_gradient_with_a_scale_is_that_of_differences(L, stack, intercept):
    rng, net = np.random.default_rng(0), network(L, stack, intercept)
    theta = rng.normal(size=net.n_parameters)
    objective, m = Objective(net, LOSSES["squared_error"]()), 7
    batch = objective.batch(m, np.float64, False)
    batch.ws.A[0][...] = rng.normal(size=batch.ws.A[0].shape)
    batch.Y[...] = rng.normal(size=batch.Y.shape)
    gradient = np.empty_like(theta)
    calls = objective.gradient(theta, gradient, batch)

    def f(theta_of_then):
        theta[...] = theta_of_then
        for call in calls:
            call()
        A, Y = (M.reshape(-1, m, M.shape[-1]) for M in (batch.ws.A[-1], batch.Y))
        return sum(float(np.sum((a - y) ** 2)) / m for a, y in zip(A, Y, strict=True))

    at, h = theta.copy(), 1e-6
    slopes = [(f(at + h * e) - f(at - h * e)) / (2 * h) for e in np.eye(len(at))]
    f(at)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7)


@pytest.mark.parametrize("stack", [(), (3,)])
def test_folded_weights_predict_the_same(stack):
    rng, net = np.random.default_rng(0), network(3, stack, True)
    theta, X = rng.normal(size=net.n_parameters), rng.normal(size=(11, 3))
    A = net.predict(theta, lambda rows, out: np.copyto(out, X[rows]), np.empty((11, 2)))
    mean = 0
    for k in range(3 if stack else 1):
        own = net.unpack(theta, k) if stack else theta
        W, b, bW = net.of_one.views(own)
        H = X * bW[0].T
        for l in range(1, 4):
            H = H @ W[l] + b[l]
            H = np.tanh(H) if l < 3 else H
        mean = mean + H / (3 if stack else 1)
        V, c, _ = net.of_one.plain.views(net.of_one.folded(own))
        np.testing.assert_allclose(V[1], bW[0] * W[1])
        np.testing.assert_array_equal(c[1], b[1])
    np.testing.assert_allclose(A, mean)


def test_rates_and_first_weights():
    net = Network([400, 100, 1], [ACTIVATIONS["mish"](), ACTIVATIONS["identity"]()], True, (), True)
    W, b, bW = net.views(net.rates())
    assert (W[1] == (WIDTH / 400) ** 0.5).all() and (W[2] == (WIDTH / 100) ** 0.5).all()
    assert (b[1] == BIAS_RATE).all() and (bW[0] == SCALE_RATE).all()
    W, b, bW = net.views(net.initialize_neural_tangent(np.random.default_rng(0)))
    assert abs(W[1].std() * 20 - 1) < 0.02 and abs(b[1].std() - 1) < 0.2  # 40,000 and 100 numbers
    assert (bW[0] == 1).all() and not W[2].any() and not b[2].any()


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_a_rate_for_every_weight(solver):
    """Of equal rates the step is that of one rate; of a half it is half, and of 0 nothing."""
    rng = np.random.default_rng(0)
    theta, g = rng.normal(size=(2, 50))
    optimizer = OPTIMIZERS[solver]()
    steps = {}
    for name, rates in {"none": None, "one": np.ones(50), "half": np.full(50, 0.5)}.items():
        th = theta.copy()
        optimizer.prepare(th, g.copy(), optimizer.init(th), rates)(0.1)
        steps[name] = th - theta
    np.testing.assert_allclose(steps["one"], steps["none"], rtol=1e-12)
    np.testing.assert_allclose(steps["half"], steps["none"] / 2, rtol=1e-10)
    th, rates = theta.copy(), np.r_[np.zeros(25), np.ones(25)]
    optimizer.prepare(th, g.copy(), optimizer.init(th), rates)(0.1)
    assert np.array_equal(th[:25], theta[:25]) and (th[25:] != theta[25:]).all()


# ----- the mean of several ---------------------------------------------------------------


@pytest.mark.parametrize("parametrization", ["standard", "neural_tangent"])
@pytest.mark.parametrize("standardize", [True, "robust", False])
def test_the_mean_predicts_and_is_one_network(data, parametrization, standardize):
    X, y = data
    model = BackpropRegressor(
        **SMALL, n_networks=3, parametrization=parametrization, standardize=standardize, n_bins=0
    ).fit(X, y)
    members = model_of(vars(model)).members()
    each = np.stack([m.predict(X)[:, 0] for m in members])
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, each.std(axis=0, ddof=1), rtol=1e-8)
    assert len({m.theta.tobytes() for m in members}) == 3
    A = X
    if standardize == "robust":  # coefs_ are for A[0]
        Z = (X - model.X_shift_) / model.X_scale_
        A = Z / np.sqrt(1 + (Z / 3) ** 2)
    g = ACTIVATIONS["mish"]()
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), 1):
        A = A @ W + b
        A = g.value(A) if l < len(model.coefs_) else A
    assert [W.shape for W in model.coefs_] == [(3, 18), (18, 12), (12, 1)]
    np.testing.assert_allclose(A[:, 0], mean, rtol=1e-9)


def test_the_mean_of_bounded_outputs_is_no_network(data):
    X, y = data
    model = BackpropRegressor("poisson", **SMALL, n_networks=2).fit(X, np.abs(y))
    each = [m.predict(X)[:, 0] for m in model_of(vars(model)).members()]
    np.testing.assert_allclose(model.predict(X), np.mean(each, axis=0), rtol=1e-12)
    with pytest.raises(AttributeError, match="n_networks=1"):
        model.coefs_  # noqa: B018  # a property


def test_a_prediction_s_memory_does_not_grow_with_the_networks():
    X = np.random.default_rng(0).normal(size=(100_000, 2))
    model = BackpropRegressor(**SMALL, n_networks=8, n_bins=0, early_stopping=False)
    model.fit(X[:50], X[:50, 0])
    one = len(X) * 8
    assert peak_memory(lambda: model.predict(X, return_std=True), enough=6 * one) < 6 * one


def test_the_spread_of_rows_far_away(data):
    """In float32, whose squares are beyond all numbers there."""
    X, y = data
    options = {**SMALL, "n_networks": 3, "n_bins": 0, "standardize": True, "dtype": "float32"}
    y, std = BackpropRegressor(**options).fit(X, y).predict(X * 1e25, return_std=True)
    assert std.dtype == np.float32 and np.isfinite(std).all()
    assert 0 < std.max() < 10 * np.abs(y).max()


def test_one_network_has_no_spread(data):
    model = classic(**SMALL).fit(*data)
    with pytest.raises(ValueError, match="return_std=True needs n_networks of 2"):
        model.predict(data[0], return_std=True)


@pytest.mark.parametrize("stored", ["float64", "float32", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_network_learns_without_its_fold(data, stored, weighted):
    """A row that is far off is learnt by all networks but the one that is validated on it."""
    X, y = data
    X = {"sparse": sparse.csr_matrix(X)}.get(
        stored, X.astype("float32" if "32" in stored else float)
    )
    y, weight = y.copy(), np.linspace(1, 2, len(y)) if weighted else None
    y[17] += 1e4
    params = SMALL | {"max_iter": 40, "n_networks": 4, "n_bins": 0, "early_stopping": True}
    model = BackpropRegressor(**params).fit(X, y, weight)
    order = np.arange(len(y))
    np.random.default_rng(model._training["split_seed"]).shuffle(order)
    (own,) = [k for k, fold in enumerate(np.array_split(order, 4)) if 17 in fold]
    at_17 = [m.predict(X[17:18])[0, 0] for m in model_of(vars(model)).members()]
    others = np.delete(at_17, own)
    assert at_17[own] < others.min()


def test_the_validation_loss_is_that_of_the_folds(data):
    X, y = data
    model = BackpropRegressor(**SMALL, n_networks=4, n_bins=0, early_stopping=True).fit(X, y)
    order, out = np.arange(len(y)), np.empty(len(y))
    np.random.default_rng(model._training["split_seed"]).shuffle(order)
    for fold, m in zip(np.array_split(order, 4), model_of(vars(model)).members(), strict=True):
        out[fold] = m.predict(X[fold])[:, 0]
    best = min(model.validation_loss_curve_)
    np.testing.assert_allclose(best, np.mean((y - out) ** 2), rtol=1e-9)
    errors = (y - out)[:, None]
    variance = np.mean(model.predict(X, return_std=True)[1] ** 2, keepdims=True)
    narrowed = errors_of_the_mean(errors, variance, 4, None)
    assert 0.9 < narrowed.std() / errors.std() < 1
    ends = [narrowed.min(), narrowed.max()]
    np.testing.assert_allclose(model.error_quantiles_[[0, -1], 0], ends, rtol=1e-9)


def test_too_few_rows_for_the_folds(data):
    X, y = data
    with pytest.raises(ValueError, match="n_networks=5 with early_stopping=True keeps a fold"):
        BackpropRegressor(early_stopping=True, n_networks=5).fit(X[:9], y[:9])


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_full_batch_solvers_train_one(data, solver):
    assert BackpropRegressor(**SMALL, solver=solver, tol=1).fit(*data).n_networks_ == 1
    with pytest.raises(ValueError, match="n_networks=2 needs a mini-batch solver"):
        BackpropRegressor(solver=solver, n_networks=2).fit(*data)


@pytest.fixture
def brief(monkeypatch):
    """The short trainings that choose the bins are of 16 passes, and not of 240."""
    monkeypatch.setattr("skbackprop.automatic.PILOT_SEEN", 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_defaults_with_every_loss(data, brief, loss):
    X, y = data
    y = np.abs(y) + 1
    model = BackpropRegressor(loss, max_iter=30, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.5 and check_gradients(model, X, y).passed


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_defaults_with_every_activation(data, brief, activation):
    model = BackpropRegressor(activation=activation, max_iter=16, random_state=0).fit(*data)
    assert check_gradients(model, *data).passed


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_twenty_epochs_and_twenty_more_are_forty(data, solver):
    """And a copy goes on as the model does."""
    params = {"solver": solver, "hidden_layer_sizes": (6,), "random_state": 0, "n_bins": 4}
    params |= {"learning_rate": "constant", "warm_start": True, "n_iter_no_change": np.inf}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = BackpropRegressor(**params, max_iter=40).fit(*data)
        half = pickle.loads(pickle.dumps(BackpropRegressor(**params, max_iter=20).fit(*data)))
        half.fit(*data)
    assert half.theta_.tobytes() == whole.theta_.tobytes()
    assert half.validation_loss_curve_ == whole.validation_loss_curve_


def test_a_stream_goes_on_with_all_networks(data):
    X, y = data
    model = BackpropRegressor(**SMALL, n_networks=3, n_bins=4).fit(X, y)
    before = [m.theta for m in model_of(vars(model)).members()]
    assert model.n_iter_ == 5 and model.partial_fit(X, y).n_iter_ == 6
    after = [m.theta for m in model_of(vars(model)).members()]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert model.error_quantiles_ is None  # of another model
    new = BackpropRegressor(random_state=0).partial_fit(X, y)
    assert new.n_networks_ == 1 and not len(new.bin_columns_)


def test_losses_whose_sum_is_beyond_all_numbers(data):
    """Found by the fuzzer: each is a number, and so is their mean."""
    X, y = data
    params = {"max_iter": 1, "n_bins": 0, "early_stopping": False, "random_state": 0}
    penalty = BackpropRegressor(**params, alpha=1e300).fit(X, y).loss_curve_[0] / 1e300
    model = BackpropRegressor(**params, alpha=1e308 / penalty).fit(X, y)
    assert np.isfinite(model.loss_) and np.isfinite(model.predict(X)).all()


def test_a_scale_times_a_weight_beyond_all_numbers(data):
    """Found by the fuzzer: the largest number, and predictions that are numbers."""
    X, y = data
    model = BackpropRegressor(**SMALL, n_networks=2, n_bins=0).fit(X, y)
    model.theta_[:20] = 1e200  # s, and the first weights
    assert np.isfinite(model.predict(X)).all() and np.isfinite(model.coefs_[0]).all()


@pytest.mark.parametrize("max_iter", [30, 60])
def test_a_cycle_in_vain_is_the_last(max_iter):
    """Of pure noise the first cycle of coslog4 is the best, and the second the last."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 10)), rng.normal(size=200)
    model = BackpropRegressor(max_iter=max_iter, random_state=0, n_bins=16).fit(X, y)
    assert model.n_iter_ in (round(max_iter * 3 / 15), round(max_iter * 7 / 15))
    best = np.argmin(model.validation_loss_curve_) + 1
    assert best <= model.n_iter_ * 0.6
    still = BackpropRegressor(
        max_iter=max_iter, random_state=0, n_bins=16, early_stopping=False
    ).fit(X, y)
    assert still.n_iter_ == max_iter


def test_a_cycle_is_not_in_vain_where_the_loss_is_below_0(data):
    """A user's own loss, of which what is best does not change with a constant."""

    class Shifted:
        def value(self, A, Y, weight=None):
            return LOSSES["squared_error"]().value(A, Y, weight) - 100

        def derivative(self, A, Y, weight=None, out=None):
            return LOSSES["squared_error"]().derivative(A, Y, weight, out)

    X = (data[0] - data[0].mean(axis=0)) / data[0].std(axis=0)
    y = np.sin(3 * X[:, 0])
    model = BackpropRegressor(max_iter=60, random_state=0, n_bins=0, loss=Shifted(), n_networks=2)
    assert model.fit(X, y).n_iter_ == 60


# ----- on several threads -----------------------------------------------------------------


@pytest.fixture
def on(monkeypatch):
    """Sets the number of threads that there are for the networks."""
    monkeypatch.setattr("skbackprop.stack.SHARED_BYTES", 0)
    return lambda n: monkeypatch.setattr("skbackprop.stack.spare", lambda: n)


TRAININGS = {
    "adam": {},
    "dropout and clip": {"dropout": 0.2, "clip_norm": 0.5},
    "sgd": {"solver": "sgd", "parametrization": "standard"},
    "adaptive": {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.1, "max_iter": 20},
    "float32": {"dtype": "float32"},
    "without validation": {"early_stopping": False},
    "bins": {"n_bins": 4},
}


@pytest.mark.parametrize("feed", ["a table that is kept", "windows"])
@pytest.mark.parametrize("name", TRAININGS)
def test_any_number_of_threads_gives_the_same_bits(data, name, feed, on, monkeypatch):
    if feed == "windows":
        monkeypatch.setattr("skbackprop.feed.TABLE_ENTRIES", 0)
        monkeypatch.setattr("skbackprop.training.WINDOW_ENTRIES", 64)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(data[1]))
    thetas, curves = [], []
    for n in (1, 2, 3, 5):
        on(n)
        model = BackpropRegressor(**{**SMALL, "n_bins": 0, "n_networks": 5, **TRAININGS[name]})
        thetas.append(model.fit(*data, weight).theta_)
        curves.append(model.loss_curve_)
        state = {k: v for k, v in model._training["optimizer"].items() if np.ndim(v)}
        assert all(np.isfinite(M).all() and M.any() for M in state.values())
    assert all(np.array_equal(thetas[0], theta) for theta in thetas)
    assert all(curves[0] == curve for curve in curves)


def test_a_warm_start_goes_on_with_the_moments_of_all_threads(data, on):
    on(2)
    options = {**SMALL, "n_networks": 3, "n_bins": 0, "learning_rate": "constant", "tol": 0}
    long = BackpropRegressor(**{**options, "max_iter": 6}).fit(*data)
    short = BackpropRegressor(**{**options, "max_iter": 3}, warm_start=True).fit(*data).fit(*data)
    assert short.loss_curve_ == long.loss_curve_


@pytest.mark.parametrize("fails", [0, 1])
def test_an_error_in_a_thread_comes_out_and_ends_the_others(data, fails, on, monkeypatch):
    on(2)
    before, began, run = threading.active_count(), {}, Lane.run

    def failing(lane, rngs):
        began[lane.some.start] = lane
        if (lane.some.start > 0) == fails:
            raise MemoryError("of one thread")
        return run(lane, rngs)

    monkeypatch.setattr(Lane, "run", failing)
    model = BackpropRegressor(**SMALL, n_networks=4, n_bins=0)
    with pytest.raises(MemoryError, match="of one thread"):
        model.fit(*data)
    assert not hasattr(model, "theta_")
    assert began.keys() == {0, 2} and began[2].deadline == -np.inf
    assert threading.active_count() == before


def test_where_no_thread_is_to_be_had_all_is_done_in_this_one(data, on, monkeypatch):
    """As at the limit of a container's processes."""
    options, before = {**SMALL, "n_networks": 4, "n_bins": 0}, threading.active_count()
    on(1)
    alone = BackpropRegressor(**options).fit(*data)
    on(3)

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert np.array_equal(BackpropRegressor(**options).fit(*data).theta_, alone.theta_)
    assert threading.active_count() == before


MAIN_THREAD_ENDS = """
import threading
import numpy as np
from skbackprop import BackpropRegressor, stack

stack.SHARED_BYTES, stack.spare = 0, lambda: 2
X = np.arange(100.0)[:, None]
model = BackpropRegressor(max_iter=2, n_networks=2, n_bins=0)

def fit():
    threading.main_thread().join()
    print(model.fit(X, X[:, 0]).n_iter_)

threading.Thread(target=fit).start()
"""


def test_a_fit_that_outlives_the_main_thread():
    """No ThreadPoolExecutor takes work then."""
    child = subprocess.run(
        [sys.executable, "-c", MAIN_THREAD_ENDS], capture_output=True, text=True, timeout=60
    )
    assert child.stdout == "2\n", child.stderr


def test_a_user_s_own_object_is_not_called_by_two_threads_at_once(data, on):
    threads = set()

    class Own(type(ACTIVATIONS["tanh"]())):
        def value(self, Z, out=None):
            threads.add(threading.current_thread())
            return super().value(Z, out)

    on(2)
    BackpropRegressor(**SMALL, n_networks=4, n_bins=0, activation=Own()).fit(*data)
    assert threads == {threading.main_thread()}
