"""The objective, mini-batches, epochs and L-BFGS."""

from itertools import islice, pairwise

import numpy as np
import pytest

from skbackprop.activations import ACTIVATIONS
from skbackprop.losses import LOSSES
from skbackprop.network import Network
from skbackprop.optimizers import SGD, Adam
from skbackprop.scaling import Rows
from skbackprop.schedules import Constant
from skbackprop.training import Data, MiniBatch, Objective, Progress, epochs, minimize_lbfgs


@pytest.fixture
def network():
    return Network([3, 5, 2], [ACTIVATIONS["tanh"](), ACTIVATIONS["identity"]()])


def table(n=23, weighted=False, index=None):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n, 3)), rng.standard_normal((n, 2))
    weight = rng.uniform(0.1, 5, (n, 1)) if weighted else None
    if weighted:
        weight /= weight.mean() if index is None else weight[index].mean()
    return Data(Rows(X, np.float64), Y, weight, index)


def start(network, seed=0):
    rng = np.random.default_rng(seed)
    theta = network.initialize(rng)
    theta += 0.1 * rng.standard_normal(theta.size)  # biases that are not 0
    return Progress(theta, rng=rng)


class Recorder:
    """An optimizer that keeps the gradients and moves nothing."""

    def __init__(self):
        self.gradients = []

    def step(self, theta, gradient, learning_rate, state):
        self.gradients.append(gradient.copy())


class Loads(Data):
    """Data that notes which rows every batch has."""

    def load(self, rows, batch):
        seen = np.arange(len(self))[rows]
        self.batches = [*getattr(self, "batches", []), seen]
        return super().load(rows, batch)


def how(optimizer, batch_size, **options):
    return MiniBatch(optimizer, Constant(), 0.01, batch_size, max_iter=10, **options)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 22, 23])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_once_an_epoch_in_batches_of_nearly_one_size(network, batch_size, shuffle):
    data = Loads(table().rows, table().Y)
    at = start(network)
    run = epochs(
        Objective(network, LOSSES["squared_error"]()),
        data,
        how(SGD(momentum=0), batch_size, shuffle=shuffle),
        at,
    )
    orders = []
    for _ in range(3):
        data.batches = []
        next(run)
        sizes = [len(rows) for rows in data.batches]
        assert len(sizes) == -(-23 // batch_size)
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
        orders.append(np.concatenate(data.batches).tolist())
        assert sorted(orders[-1]) == list(range(23))
    assert at.epochs == 3 and at.samples == 69
    assert (orders[0] != orders[1]) == shuffle


@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_cosh"])
@pytest.mark.parametrize("index", [None, np.arange(0, 24, 2)])
def test_mini_batch_gradients_average_to_that_of_all_rows(network, loss, index):
    """24 rows in batches of 4: the mean over an epoch's batches, weights and penalty included."""
    data = table(24, weighted=True, index=index)
    objective = Objective(network, LOSSES[loss](), penalty=0.3)
    at, recorder = start(network), Recorder()
    mean_loss = next(epochs(objective, data, how(recorder, 4), at))
    full = np.empty_like(at.theta)
    f = objective.over_all_rows(at.theta, data, objective.batch(len(data), np.float64, True), full)
    np.testing.assert_allclose(np.mean(recorder.gradients, axis=0), full, rtol=1e-10, atol=1e-13)
    assert mean_loss == pytest.approx(f, rel=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("block", [1, 5, 22])
def test_blocks_of_rows_add_up(network, weighted, block):
    data = table(weighted=weighted)
    objective = Objective(network, LOSSES["squared_error"](), penalty=0.1)
    theta = start(network).theta
    results = []
    for m in (block, 23):
        gradient = np.empty_like(theta)
        batch = objective.batch(m, np.float64, weighted)
        results.append((objective.over_all_rows(theta, data, batch, gradient), gradient))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-13)


def test_the_penalty_is_on_weights_and_not_on_biases(network):
    at, recorder, data = start(network), Recorder(), table()
    gradients = []
    for penalty in (0.0, 2.0):
        next(
            epochs(
                Objective(network, LOSSES["squared_error"](), penalty),
                data,
                how(recorder, 23, shuffle=False),
                at,
            )
        )
        gradients.append(recorder.gradients[-1])
    expected = 2.0 * at.theta
    expected[network.n_weights :] = 0
    np.testing.assert_allclose(gradients[1] - gradients[0], expected, rtol=1e-10, atol=1e-13)


def test_clip_norm_shortens_long_gradients_alone(network):
    data, objective = table(), Objective(network, LOSSES["squared_error"]())
    norms = []
    for clip in (None, 1e9, 0.01):
        recorder = Recorder()
        next(
            epochs(
                objective, data, how(recorder, 23, shuffle=False, clip_norm=clip), start(network)
            )
        )
        norms.append(np.linalg.norm(recorder.gradients[0]))
    assert norms[0] == norms[1] > 0.01
    assert norms[2] == pytest.approx(0.01, rel=1e-12)


def test_same_seed_same_bits(network):
    thetas = []
    for _ in range(2):
        at, adam = start(network), Adam()
        at.optimizer = adam.init(at.theta)
        objective = Objective(network, LOSSES["squared_error"](), dropout=0.3)
        list(islice(epochs(objective, table(), how(adam, 5), at), 4))
        thetas.append(at.theta)
    assert np.array_equal(*thetas)


def test_a_pass_ends_at_the_deadline(network):
    data = Loads(table().rows, table().Y)
    next(
        epochs(
            Objective(network, LOSSES["squared_error"]()),
            data,
            how(SGD(momentum=0), 1),
            start(network),
            deadline=0.0,
        )
    )
    assert len(data.batches) == 1


@pytest.mark.parametrize("stop_at", [3, None])
def test_lbfgs_reports_every_iteration_and_stops_when_told(network, stop_at):
    losses, at = [], start(network)

    def epoch_ended(f):
        losses.append(f)
        return len(losses) == stop_at

    objective = Objective(network, LOSSES["squared_error"](), penalty=0.01)
    reason = minimize_lbfgs(
        objective, table(), at, max_iter=500, max_fun=5000, tol=1e-6, epoch_ended=epoch_ended
    )
    assert reason is None
    assert at.epochs == len(losses) and (stop_at is None or len(losses) == stop_at)
    assert all(b <= a for a, b in pairwise(losses))
    gradient = np.empty_like(at.theta)
    batch = objective.batch(23, np.float64, False)
    assert objective.over_all_rows(at.theta, table(), batch, gradient) == pytest.approx(losses[-1])
    if stop_at is None:
        # 1e-6 is asked for; the other criterion of scipy, a relative fall of f below 2e-9,
        # may stop it a little earlier.
        assert np.abs(gradient).max() < 1e-3
