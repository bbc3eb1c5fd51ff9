"""The network: worked by hand, against differences, and against a naive one."""

import itertools

import numpy as np
import pytest
from allocation import CONSTANT, GROWN, peak_memory
from gradcheck import central_differences, relative_error

from skbackprop.activations import (
    ACTIVATIONS,
    CustomActivation,
    Identity,
    Logistic,
    ReLU,
    Tanh,
)
from skbackprop.blocks import run
from skbackprop.calculus import (
    Add,
    Elementwise,
    LeftMultiply,
    RightMultiply,
    SquaredFrobeniusNorm,
)
from skbackprop.feed import Data
from skbackprop.losses import LOSSES, SquaredError
from skbackprop.network import INITIALIZATIONS, PREDICTION_ENTRIES, Network
from skbackprop.scaling import Rows
from skbackprop.training import Objective, add_decay
from skbackprop.workspace import PredictionWorkspace

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def take_from(X):
    """``take(rows, out)`` in the plainest way."""

    def take(rows, out):
        out[...] = X[rows]

    return take


def forward(net, theta, ws, *dropout):
    """A[L], by calls prepared for these arrays."""
    run(net.forward(net.views(theta).bW, ws, *dropout))
    return ws.A[net.L]


def backward(net, theta, gradient, ws, from_Z=False):
    run(net.backward(net.matrices(theta), net.views(gradient).bW, ws, from_Z))


def equal(matrix, expected):
    np.testing.assert_array_equal(matrix, expected)


# ----- by hand -------------------------------------------------------------------------


def test_two_two_one_network_by_hand():
    """Two rows, a hidden layer of two ReLU units, one identity output. Every number is exact.

    X = A[0] = ( 1  2 )     W[1] = ( 1 -1 )   b[1] = ( 1 2 )   W[2] = (  2 )   b[2] = ( 1 )
               ( 3 -1 )            ( 1  1 )                           ( -1 )
    Y = ( 4 )
        ( 8 )
    """
    net = Network([2, 2, 1], [ReLU(), Identity()])
    # b[1], W[1] row by row, b[2], W[2]
    theta = np.array([1.0, 2, 1, -1, 1, 1, 1, 2, -1])
    gradient = np.empty_like(theta)
    (W, b, bW), (dW, db, _) = net.views(theta), net.views(gradient)
    equal(W[1], [[1, -1], [1, 1]])
    equal(W[2], [[2], [-1]])
    equal(b[1], [[1, 2]])
    equal(b[2], [[1]])
    equal(bW[1], [[1, 2], [1, -1], [1, 1]])  # b[1] on top of W[1]
    equal(bW[2], [[1], [2], [-1]])
    Y = np.array([[4.0], [8.0]])
    ws = net.workspace(2, np.float64, keep=True)  # every matrix to be looked at afterwards
    ws.A[0][...] = [[1, 2], [3, -1]]

    A_L = forward(net, theta, ws)
    # Z[1] = A[0] W[1] + 1 b[1] = ( 1·1 + 2·1 + 1    1·(-1) + 2·1 + 2 ) = ( 4  3 )
    #                             ( 3·1 - 1·1 + 1    3·(-1) - 1·1 + 2 )   ( 3 -2 )
    equal(ws.Z[1], [[4, 3], [3, -2]])
    # A[1] = max(0, Z[1])
    equal(ws.A[1], [[4, 3], [3, 0]])
    # A1[l] = ( 1 A[l] ), with which [b[l+1]; W[l+1]] is multiplied
    equal(ws.A1[0], [[1, 1, 2], [1, 3, -1]])
    equal(ws.A1[1], [[1, 4, 3], [1, 3, 0]])
    # Z[2] = A[1] W[2] + 1 b[2] = ( 4·2 - 3·1 + 1 ) = ( 6 )      A[2] = Z[2]
    #                             ( 3·2 - 0·1 + 1 )   ( 7 )
    equal(ws.Z[2], [[6], [7]])
    equal(ws.A[2], [[6], [7]])

    f, _ = SquaredError().value_and_derivative(A_L, Y, out=ws.dA[2])
    # f = 1/m ‖A[2] - Y‖² = 1/2 ((6 - 4)² + (7 - 8)²) = 5/2
    assert f == 2.5
    # df/dA[2] = 2/m (A[2] - Y) = 2/2 (2, -1)
    equal(ws.dA[2], [[2], [-1]])

    backward(net, theta, gradient, ws)
    # df/dZ[2] = df/dA[2] ⊙ 1
    equal(ws.dZ[2], [[2], [-1]])
    # df/dW[2] = A[1]ᵀ df/dZ[2] = ( 4 3 ) (  2 ) = ( 4·2 - 3·1 ) = ( 5 )
    #                             ( 3 0 ) ( -1 )   ( 3·2 - 0·1 )   ( 6 )
    equal(dW[2], [[5], [6]])
    # df/db[2] = 1ᵀ df/dZ[2] = 2 - 1
    equal(db[2], [[1]])
    # df/dA[1] = df/dZ[2] W[2]ᵀ = (  2 ) ( 2 -1 ) = (  4 -2 )
    #                             ( -1 )            ( -2  1 )
    equal(ws.dA[1], [[4, -2], [-2, 1]])
    # df/dZ[1] = df/dA[1] ⊙ g'(Z[1]) = (  4 -2 ) ⊙ ( 1 1 ) = (  4 -2 )
    #                                  ( -2  1 )   ( 1 0 )   ( -2  0 )
    equal(ws.dZ[1], [[4, -2], [-2, 0]])
    # df/dW[1] = A[0]ᵀ df/dZ[1] = ( 1  3 ) (  4 -2 ) = ( 4 - 6   -2 + 0 ) = ( -2 -2 )
    #                             ( 2 -1 ) ( -2  0 )   ( 8 + 2   -4 - 0 )   ( 10 -4 )
    equal(dW[1], [[-2, -2], [10, -4]])
    # df/db[1] = 1ᵀ df/dZ[1] = ( 4 - 2   -2 + 0 )
    equal(db[1], [[2, -2]])
    # One product gives both: the rows of [1 A[l-1]]ᵀ df/dZ[l], in the order of theta.
    equal(gradient, [2, -2, -2, -2, 10, -4, 1, 5, 6])

    # W[l] ← W[l] - α df/dW[l], b[l] ← b[l] - α df/db[l], with α = 1/64, so that the
    # numbers stay exact: in sixty-fourths, W[1] = ( 64+2  -64+2 ), W[2] = ( 128-5 ), …
    #                                              ( 64-10  64+4 )         ( -64-6 )
    theta -= gradient / 64
    equal(64 * W[1], [[66, -62], [54, 68]])
    equal(64 * W[2], [[123], [-70]])
    equal(64 * b[1], [[62, 130]])
    equal(64 * b[2], [[63]])
    # Downhill by α ‖df/dtheta‖² to first order: (4+4+100+16 + 25+36 + 4+4 + 1)/64 = 194/64,
    # more than all of f: the curvature takes most of it back.
    assert np.vdot(gradient, gradient) == 194
    assert SquaredError().value(forward(net, theta, ws), Y) < 2.5


def test_the_articles_network_by_hand():
    """No biases, logistic units. Z[1] = 0 makes g = 1/2 and g' = 1/4 exact.

    X = ( 1 2 )   W[1] = (  2 -2 )   W[2] = ( 4 )   Y = ( 1 )
                         ( -1  1 )          ( 2 )
    """
    net = Network([2, 2, 1], [Logistic(), Identity()], fit_intercept=False)
    theta, gradient = np.array([2.0, -2, -1, 1, 4, 2]), np.empty(6)
    (_, b, _), (dW, db, _) = net.views(theta), net.views(gradient)
    ws = net.workspace(1, np.float64, keep=True)
    ws.A[0][...] = [[1, 2]]
    A_L = forward(net, theta, ws)
    equal(ws.Z[1], [[0, 0]])  # 1·2 + 2·(-1) and 1·(-2) + 2·1
    equal(ws.A[1], [[0.5, 0.5]])  # 1 / (1 + exp 0)
    equal(ws.Z[2], [[3]])  # 4/2 + 2/2
    f, _ = SquaredError().value_and_derivative(A_L, np.array([[1.0]]), out=ws.dA[2])
    assert f == 4  # (3 - 1)²
    backward(net, theta, gradient, ws)
    equal(ws.dA[2], [[4]])  # 2/1 (3 - 1)
    equal(ws.dZ[2], [[4]])
    equal(dW[2], [[2], [2]])  # ( 1/2 1/2 )ᵀ 4
    equal(ws.dA[1], [[16, 8]])  # 4 ( 4 2 )
    equal(ws.dZ[1], [[4, 2]])  # times a (1 - a) = 1/4
    equal(dW[1], [[4, 2], [8, 4]])  # ( 1 2 )ᵀ ( 4 2 )
    assert b == db == [None, None, None]


# ----- the gradient against differences ------------------------------------------------

ROWS, FEATURES, HIDDEN = 4, 2, 3
STEP = 1e-5
# The plain difference with STEP: truncation f''' h²/6, about 1e-10, and rounding
# 2⁻⁵³ f / h, about 1e-11, of a gradient of about 1. 1e-6 is what is promised; the worst
# of all the cases below is about 1e-8, next to second derivatives of exp(exp(exp z)).
PROMISE = 1e-6
MARGIN = 100 * STEP


def network_away_from_kinks(g, n_outputs, n_hidden_layers, fit_intercept=True):
    """(network, theta, X, A[L]) of which no pre-activation is near 0, where kinks are.

    A step of 1e-5 in one weight moves a Z by 1e-5 times activations and weights of size
    1 or so. The first random network is taken in which every Z of every layer is 100
    steps away from 0, whatever its activation: nearly every one is.
    """
    sizes = [FEATURES, *[HIDDEN] * n_hidden_layers, n_outputs]
    net = Network(sizes, g, fit_intercept)
    for seed in itertools.count():
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((ROWS, FEATURES))
        theta = rng.uniform(-0.7, 0.7, net.n_parameters)
        ws = net.workspace(ROWS, np.float64, keep=True)
        ws.A[0][...] = X
        A_L = forward(net, theta, ws)
        if min(np.abs(Z).min() for Z in ws.Z[1:]) > MARGIN:
            return net, theta, X, A_L.copy()


def targets_away_from_kinks(loss, A):
    """Targets around the predictions A, inside the loss's domain, and away from its kinks.

    Residuals are in (0.1, 1.2) or, for Huber's outer branch, (1.5, 2.5), of both signs:
    neither 0 nor delta = 1.35 is near. Where targets are positive, y / a is in (0.4, 2).
    """
    rng = np.random.default_rng(0)
    if loss.output_activation == "exp":
        return A * rng.choice([0.4, 0.7, 1.5, 2.0], A.shape)
    size = np.where(rng.random(A.shape) < 0.7, rng.uniform(0.1, 1.2, A.shape), 0)
    size = np.where(size == 0, rng.uniform(1.5, 2.5, A.shape), size)
    return A + size * rng.choice([-1, 1], A.shape)


def f_and_gradient(objective, X, Y, weight, seed=None, dtype=np.float64):
    """f(theta) and df/dtheta of one batch of all rows, as functions.

    Both by calls that are prepared once, as in training, and for which every theta is copied
    to one place. `seed` is that of the dropout masks, the same for every theta.
    """
    net = objective.network
    theta, gradient = np.empty((2, net.n_parameters), dtype)
    batch = objective.batch(len(X), dtype, weight is not None)
    rng = np.random.default_rng(seed)
    data = Data(Rows(X, dtype), Rows(Y, dtype), None if weight is None else weight[:, 0])
    calls = objective.gradient(theta, gradient, batch, [rng])
    calls += add_decay(gradient, theta, objective.decay(dtype))

    def both(at):
        np.copyto(theta, at, casting="same_kind")
        rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        data.take(slice(0, len(X)), batch.ws.A[0], batch.Y, batch.weight)
        if weight is not None:
            batch.weight /= len(X)
        run(calls)
        value = objective.loss.value(batch.ws.A[net.L], batch.Y, batch.weight)
        return value + objective.penalty_values(theta)[0], gradient.copy()

    return lambda at: both(at)[0], lambda at: both(at)[1], batch


WEIGHT = np.array([[0.2], [1.7], [0.6], [1.5]])  # of mean 1, as training has them


def gradient_errors(hidden, output, loss, from_Z=False):
    """{case: error} of the cases that break the promise, over depth, outputs, weights, alpha."""
    broken = {}
    for depth, n_outputs in itertools.product([0, 1, 3], [1, 3]):
        g = [ACTIVATIONS[hidden]()] * depth + [ACTIVATIONS[output]()]
        net, theta, X, A = network_away_from_kinks(g, n_outputs, depth)
        Y = targets_away_from_kinks(loss, A)
        for weight, penalty in itertools.product([None, WEIGHT], [0.0, 0.3]):
            f, gradient, _ = f_and_gradient(Objective(net, loss, penalty, from_Z), X, Y, weight)
            error = relative_error(
                gradient(theta), central_differences(f, theta, STEP, richardson=False)
            )
            if not error <= PROMISE:
                broken[depth, n_outputs, weight is not None, penalty] = error
    return broken


def outputs_of(loss):
    """(output activation, from_Z) to test a loss with."""
    if loss.canonical is None:
        return [(loss.output_activation, False)]
    return [(loss.canonical, True), (loss.canonical, False), ("softplus", False)]


@every_activation
@pytest.mark.parametrize(
    ("name", "output", "from_Z"),
    [(name, *case) for name, loss in LOSSES.items() for case in outputs_of(loss)],
)
def test_gradient_is_that_of_differences(activation, name, output, from_Z):
    assert gradient_errors(activation, output, LOSSES[name](), from_Z) == {}


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_gradient_through_every_output_activation(output):
    assert gradient_errors("tanh", output, SquaredError()) == {}


@every_activation
def test_gradient_of_the_network_without_biases(activation):
    g = [ACTIVATIONS[activation](), Identity()]
    net, theta, X, A = network_away_from_kinks(g, 2, 1, fit_intercept=False)
    f, gradient, _ = f_and_gradient(Objective(net, SquaredError()), X, A + 1, None)
    assert theta.size == FEATURES * HIDDEN + HIDDEN * 2
    assert relative_error(gradient(theta), central_differences(f, theta, STEP)) < PROMISE


def test_gradient_in_float32_is_that_of_float64():
    g = [Tanh(), Tanh(), Identity()]
    net, theta, X, A = network_away_from_kinks(g, 3, 2)
    gradients = []
    for dtype in (np.float64, np.float32):
        objective = Objective(net, SquaredError(), 0.3)
        _, gradient, _ = f_and_gradient(objective, X, A + 1, WEIGHT, dtype=dtype)
        gradients.append(gradient(theta))
    assert gradients[1].dtype == np.float32
    assert relative_error(gradients[1], gradients[0]) < 1e-6  # 2⁻²⁴ and a few operations


@pytest.mark.parametrize("l", [1, 2])
def test_gradient_is_the_matrix_calculus_applied(l):
    """df/dW[l] by composing the article's rules, with everything but W[l] constant."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    net = Network([3, 4, 2], [Tanh(), Logistic()], fit_intercept=False)
    theta = rng.standard_normal(net.n_parameters)
    _, gradient, _ = f_and_gradient(Objective(net, SquaredError()), X, Y, None)
    W, dW = net.views(theta).W, net.views(gradient(theta)).W
    outer = SquaredFrobeniusNorm() @ Add(-Y) @ Elementwise(Logistic())  # of Z[2]
    chain = {
        1: outer @ RightMultiply(W[2]) @ Elementwise(Tanh()) @ LeftMultiply(X),
        2: outer @ LeftMultiply(np.tanh(X @ W[1])),
    }[l]
    # The same operations, but for the factor 1/m and its place among the roundings.
    np.testing.assert_allclose(dW[l], chain.derivative(W[l]) / len(X), rtol=1e-12)


# ----- forward -------------------------------------------------------------------------


def naive_forward(net, theta, X):
    """A[L] by loops over rows, units and inputs."""
    W, b, _ = net.views(theta)
    predictions = []
    for a in X:
        for l in range(1, net.L + 1):
            z = [
                sum(a[j] * W[l][j, k] for j in range(len(a)))
                + (b[l][0, k] if net.fit_intercept else 0)
                for k in range(net.sizes[l])
            ]
            a = net.g[l].value(np.array(z))
        predictions.append(a)
    return np.array(predictions)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 5, 3), (4, 1, 3, 6, 2)])
def test_forward_and_predict_are_the_equations(fit_intercept, hidden):
    rng = np.random.default_rng(0)
    g = [*[Tanh(), ReLU(), Logistic(), Tanh(), Logistic()][: len(hidden)], Identity()]
    net = Network([3, *hidden, 2], g, fit_intercept)
    theta, X = rng.standard_normal(net.n_parameters), rng.standard_normal((6, 3))
    expected = naive_forward(net, theta, X)
    ws = net.workspace(6, np.float64)
    ws.A[0][...] = X
    # BLAS adds in another order and may fuse: a few units of 1e-16 times values of 5.
    np.testing.assert_allclose(forward(net, theta, ws), expected, rtol=1e-12, atol=1e-14)
    equal(ws.A[0], X)
    out = net.predict(theta, take_from(X), np.empty((6, 2)))
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("g", [Tanh(), ReLU()], ids=["tanh", "relu"])
def test_predict_in_blocks_is_predict_at_once(extra, g):
    """One row less than two blocks, two whole blocks, and one row more; layers in turn.

    relu keeps the ones of [1 A[l]] as they are, tanh does not, and the fourth layer writes
    into the memory of the second.
    """
    width = PREDICTION_ENTRIES // 64
    net = Network([2, width, 3, 4, 5, 1], [g] * 4 + [Identity()])
    rng = np.random.default_rng(0)
    theta = net.initialize(rng)
    for b in net.views(theta).b[1:]:
        b[...] = rng.uniform(0.5, 1, b.shape)  # by which the ones are multiplied
    X = rng.standard_normal((128 + extra, 2))
    sizes = []

    def take(rows, out):
        sizes.append(len(out))
        out[...] = X[rows]

    out = net.predict(theta, take, np.full((len(X), 1), np.nan))
    assert sizes == {-1: [64, 63], 0: [64, 64], 1: [64, 64, 1]}[extra]
    W, b, _ = net.views(theta)
    expected = X
    for l in range(1, 6):
        expected = net.g[l].value(expected @ W[l] + b[l])
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-13)  # sums of 2,048 terms


def test_predict_with_layers_wider_than_a_block():
    net = Network([PREDICTION_ENTRIES + 1, 1], [Identity()])
    theta = np.ones(net.n_parameters)
    X = np.ones((3, PREDICTION_ENTRIES + 1))
    out = net.predict(theta, take_from(X), np.empty((3, 1)))
    equal(out, [[PREDICTION_ENTRIES + 2]] * 3)  # whole numbers: exact in any order


def test_predict_of_no_rows():
    net = Network([2, 1], [Identity()])
    assert net.predict(np.ones(3), take_from(np.ones((0, 2))), np.empty((0, 1))).shape == (0, 1)


# ----- theta ---------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("sizes", [[3, 1], [3, 4, 2], [1, 5, 5, 1]])
def test_views_cover_theta_once_layer_by_layer_the_bias_first(sizes, stack, fit_intercept):
    net = Network(sizes, [Identity()] * (len(sizes) - 1), fit_intercept, stack)
    theta = np.arange(float(net.n_parameters))
    views = net.views(theta)
    W, b, bW = views
    assert (views.W, views.b, views.bW) == (W, b, bW)
    assert W[0] is b[0] is bW[0] is None
    shapes = list(itertools.pairwise(sizes))
    assert [w.shape for w in W[1:]] == [(*stack, *shape) for shape in shapes]
    equal(np.concatenate([M.ravel() for M in bW[1:]]), theta)
    for l, (n_in, n_out) in enumerate(shapes, start=1):
        assert bW[l].shape == (*stack, n_in + fit_intercept, n_out)
        assert bW[l].flags.c_contiguous
        equal(bW[l][..., fit_intercept:, :], W[l])
        if fit_intercept:
            assert b[l].shape == (*stack, 1, n_out)
            equal(bW[l][..., :1, :], b[l])
    if not fit_intercept:
        assert b == [None] * len(sizes)
    parts = [M for matrices in views for M in matrices if M is not None]
    assert all(np.shares_memory(part, theta) for part in parts)
    bW[1][...] = -1
    assert (W[1] == -1).all()
    assert theta[0] == -1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_activation
def test_first_weights_have_the_variance_that_suits_the_activation(activation, dtype):
    g = ACTIVATIONS[activation]()
    net = Network([300, 200, 1], [g, Identity()])
    theta = net.initialize(np.random.default_rng(0), dtype)
    assert theta.dtype == dtype
    W, b, _ = net.views(theta)
    expected = {"he": 2 / 300, "glorot": 2 / 500, "lecun": 1 / 300}[g.initialization]
    # 60,000 draws: the variance of a uniform one is known to 0.9 sqrt(1/60000) = 0.4 %.
    assert W[1].var() == pytest.approx(expected, rel=0.02)
    assert abs(W[1].mean()) < 5 * np.sqrt(expected / W[1].size)
    assert np.abs(W[1]).max() <= np.sqrt(3 * expected) * (1 + 1e-6)
    equal(b[1], 0)
    equal(b[2], 0)


def test_first_weights_follow_the_generator():
    net = Network([3, 4, 1], [Tanh(), Identity()])
    equal(net.initialize(np.random.default_rng(7)), net.initialize(np.random.default_rng(7)))
    assert (
        net.initialize(np.random.default_rng(7)) != net.initialize(np.random.default_rng(8))
    ).any()


def test_initializations_are_their_papers():
    assert INITIALIZATIONS["he"](50, 10) == 2 / 50
    assert INITIALIZATIONS["glorot"](50, 10) == 2 / 60
    assert INITIALIZATIONS["lecun"](50, 10) == 1 / 50


# ----- workspace -----------------------------------------------------------------------

LISTS = ("A", "Z", "H", "S", "D", "dA", "dZ")


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("keep", [True, False])
def test_fewer_rows_are_the_same_memory(stack, keep):
    net = Network([3, 4, 2], [Tanh(), Identity()], stack=stack)
    ws = net.workspace(10, np.float32, dropout=True, keep=keep)
    few = ws.rows(6)
    for name in LISTS:
        for one in ("", "1"):
            Ms, few_Ms = getattr(ws, name + one), getattr(few, name + one)
            for M, few_M in zip(Ms, few_Ms, strict=True):
                assert (M is None) == (few_M is None)
                if M is not None:
                    assert few_M.shape == (*stack, 6, M.shape[-1])
                    assert few_M.dtype == np.float32
                    assert few_M.flags.c_contiguous or not one
                    assert np.shares_memory(M, few_M)
    for l in range(2):
        equal(few.A1[l][..., 0], np.ones((*stack, 6)))
    # And as it was made: with masks, and with or without memory of its own for everything.
    assert few.options == ws.options


def test_lists_have_none_where_the_article_has_no_matrix():
    net = Network([3, 4, 2], [Tanh(), Identity()])
    ws = net.workspace(5, np.float64)
    assert [M is None for M in ws.Z] == [True, False, False]
    assert [M is None for M in ws.dA] == [True, False, False]
    assert [M is None for M in ws.dZ] == [True, False, False]
    assert [M.shape for M in ws.A] == [(5, 3), (5, 4), (5, 2)]
    assert [M.shape for M in ws.A1] == [(5, 4), (5, 5), (5, 2)]  # ones, but not at the end
    assert ws.D == [None] * 3
    assert ws.S == [None] * 3  # tanh' is taken from A
    assert all(H is A for H, A in zip(ws.H1, ws.A1, strict=True))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_prediction_needs_two_matrices_for_all_layers(fit_intercept):
    net = Network([3, 40, 50, 60, 2], [Tanh()] * 3 + [Identity()], fit_intercept)
    ws = PredictionWorkspace(net, 7, np.float64)
    for l, k in itertools.combinations(range(5), 2):
        assert np.shares_memory(ws.A1[l], ws.A1[k]) == ((l, k) in {(1, 3), (2, 4)})
    if not fit_intercept:
        assert all(A.shape == A1.shape for A, A1 in zip(ws.A, ws.A1, strict=True))


def test_a_matrix_that_is_not_needed_any_more_gives_its_memory():
    """Z[l] to A[l] where g' is taken from A, dA[l] to dZ[l], dA[l+2] to dA[l]; no others."""
    net = Network([3, 4, 5, 6, 7, 2], [Tanh()] * 4 + [Identity()])
    ws = net.workspace(10, np.float64)
    assert all(Z is A for Z, A in zip(ws.Z1[1:], ws.A1[1:], strict=True))
    assert all(dZ is dA for dZ, dA in zip(ws.dZ1[1:], ws.dA1[1:], strict=True))
    matrices = {("A", l): ws.A1[l] for l in range(6)} | {("dA", l): ws.dA1[l] for l in range(1, 6)}
    shared = {frozenset(["dA", l, l + 2]) for l in (1, 2)}
    for (a, A), (b, B) in itertools.combinations(matrices.items(), 2):
        expected = frozenset([a[0], b[0], a[1], b[1]]) in shared
        assert np.shares_memory(A, B) == expected, (a, b)
    # In numbers: A of every layer, two of the widest hidden layer for dA, dA[L], the scratch.
    entries = 10 * (4 + 5 + 6 + 7 + 8 + 2) + 2 * 10 * 8 + 10 * 2 + 10 * 8
    assert sum(M.size for M in ws.memory.values()) == entries


def test_keep_gives_every_matrix_its_own_memory():
    net = Network([3, 4, 5, 6, 2], [Tanh(), ReLU(), ACTIVATIONS["gelu"](), Identity()])
    ws = net.workspace(10, np.float64, keep=True)
    matrices = [M for name in ("A1", "Z1", "S1", "dA1", "dZ1") for M in getattr(ws, name)]
    for A, B in itertools.combinations([M for M in matrices if M is not None], 2):
        assert not np.shares_memory(A, B)


class Bump:
    """g(z) = exp(-z²), by a user, who knows nothing of ones and writes into a new array."""

    def value(self, Z, out=None):
        return np.exp(-(Z**2))

    def derivative(self, Z, A, out=None):
        return -2 * Z * A


EVERY_KIND = {name: g() for name, g in ACTIVATIONS.items()} | {
    "a user's own": CustomActivation(Bump()),
}
every_kind = pytest.mark.parametrize("g", EVERY_KIND.values(), ids=EVERY_KIND)


class Steps:
    """Gradients of a network in one workspace, by calls prepared once for each number of rows."""

    def __init__(self, net, rows, dtype=np.float64, p=0.0, **options):
        self.net, self.gradient = net, np.empty(net.n_parameters, dtype)
        self.theta = np.empty_like(self.gradient)
        ws = net.workspace(max(rows), dtype, dropout=p > 0, **options)
        self.rngs = [np.random.default_rng() for _ in range(net.stack[0] if net.stack else 1)]
        self.of_rows = {}
        weights, dbW = net.views(self.theta), net.views(self.gradient).bW
        for m in rows:
            w = ws.rows(m)
            Y = np.empty_like(w.A[net.L])
            calls = [
                *net.forward(weights.bW, w, p, self.rngs),
                *SquaredError().prepare(w.A[net.L], Y, None, w.dA[net.L]),
                *net.backward(weights.bW, dbW, w),
            ]
            self.of_rows[m] = w, Y, calls

    def __call__(self, theta, X, Y, seed=0, network=0):
        """(A[L], gradient); `network` is the number of the first, for its generator."""
        ws, Y_, calls = self.of_rows[X.shape[-2]]
        for k, rng in enumerate(self.rngs, start=network):
            rng.bit_generator.state = np.random.default_rng([seed, k]).bit_generator.state
        self.theta[...], ws.A[0][...], Y_[...] = theta, X, Y
        self.gradient.fill(np.nan)
        run(calls)
        return ws.A[self.net.L].copy(), self.gradient.copy()


def deep(g, n_outputs, fit_intercept=True, stack=()):
    """Six layers of all widths: dA[l+2] gives its memory to dA[l], and one layer is one unit."""
    sizes = [3, 5, 4, 1, 6, 4, n_outputs]
    return Network(sizes, [g] * 5 + [Identity()], fit_intercept, stack)


def problem(net, m, rng):
    """theta, X and Y of any stack."""
    size = 0.1 if net.g[1] == ACTIVATIONS["exp"]() else 0.5  # five times exp is soon infinite
    theta = size * rng.standard_normal(net.n_parameters)
    X = rng.standard_normal((*net.stack, m, net.sizes[0]))
    return theta, X, rng.standard_normal((*net.stack, m, net.sizes[-1]))


@every_kind
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sharing_memory_changes_no_bit_of_the_gradient(g, n_outputs, p, stack, fit_intercept):
    net = deep(g, n_outputs, fit_intercept, stack)
    kept, shared = (Steps(net, [7], p=p, keep=keep) for keep in (True, False))
    rng = np.random.default_rng(0)
    for seed in range(3):  # what a step leaves behind must not matter to the next
        values = problem(net, 7, rng)
        for a, b in zip(kept(*values, seed), shared(*values, seed), strict=True):
            equal(a, b)
            assert np.isfinite(a).all()


@every_kind
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_batches_of_m_and_of_one_row_less_take_turns(g, n_outputs, p, stack, dtype):
    """As in a pass over rows that no batch size divides. The ones stay ones."""
    net, m = deep(g, n_outputs, stack=stack), 8
    steps, rng = Steps(net, [m, m - 1], dtype, p), np.random.default_rng(0)
    for seed, rows in enumerate([m, m - 1, m, m, m - 1, m - 1, m]):
        values = problem(net, rows, rng)
        result = steps(*values, seed)
        for a, b in zip(result, Steps(net, [rows], dtype, p)(*values, seed), strict=True):
            equal(a, b)
        ws, _, _ = steps.of_rows[rows]
        for l in range(net.L):
            equal(ws.A1[l][..., 0], 1)
            equal(ws.H1[l][..., 0], 1)


@every_kind
def test_what_stands_before_the_derivatives_stays_finite(g):
    """Where dA1[l] has a column before dA[l], it is multiplied at every step, for nothing."""
    # No layer of one unit, after which all of dA1[l] is written anew. gelu'(1) is 1.08, and
    # 1.08^10000 is above 1e300 for every layer that shares the memory; selu'(1) is 1.05.
    net = Network([3, 5, 4, 6, 4, 3], [g] * 4 + [Identity()])
    steps = Steps(net, [7])
    values = problem(net, 7, np.random.default_rng(0))
    with np.errstate(all="raise", under="ignore"):
        first = steps(*values)
        for _ in range(10_000):
            run(steps.of_rows[7][2])
    equal(steps.gradient, first[1])
    assert all(np.isfinite(M).all() for M in steps.of_rows[7][0].memory.values())


@pytest.mark.parametrize("g", [Tanh(), ACTIVATIONS["gelu"]()], ids=["tanh", "gelu"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_allocates_nothing_that_grows_with_the_batch(g, dtype):
    net = Network([30, 63, 64, 1], [g, g, Identity()])
    m = 1 + GROWN // (63 * np.dtype(dtype).itemsize)
    steps = Steps(net, [m], dtype)
    ws, Y, calls = steps.of_rows[m]
    steps.theta[...], ws.A[0][...], Y[...] = net.initialize(np.random.default_rng(0)), 0.5, 1
    run(calls)
    assert ws.A[1].nbytes >= GROWN
    assert peak_memory(lambda: run(calls), CONSTANT) < CONSTANT


# ----- a stack of networks -------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("K", [1, 4])
def test_a_stack_is_its_networks_one_by_one(g, n_outputs, p, fit_intercept, K):
    one = deep(g, n_outputs, fit_intercept)
    stack = one.stacked(K)
    assert (stack.stack, stack.n_parameters) == ((K,), K * one.n_parameters)
    assert (stack.fit_intercept, stack.sizes, stack.g) == (one.fit_intercept, one.sizes, one.g)
    rng = np.random.default_rng(0)
    thetas, Xs, Ys = zip(*(problem(one, 9, rng) for _ in range(K)), strict=True)
    A, gradient = Steps(stack, [9], p=p)(stack.pack(thetas), np.stack(Xs), np.stack(Ys))
    single = Steps(one, [9], p=p)
    for k in range(K):
        A_k, gradient_k = single(thetas[k], Xs[k], Ys[k], network=k)
        # A product of a stack may be another routine and add in another order: a dozen terms.
        np.testing.assert_allclose(A[k], A_k, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(stack.unpack(gradient, k), gradient_k, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("from_Z", [True, False])
@pytest.mark.parametrize("with_weight", [True, False])
def test_a_stack_has_weights_and_penalties_of_its_own_and_may_skip_a_rule(from_Z, with_weight):
    """Poisson and exp, from df/dZ[L]; every network with its rows, their weights, its alpha."""
    K, m, rng = 3, 6, np.random.default_rng(0)
    one = Network([2, 4, 2], [Tanh(), ACTIVATIONS["exp"]()])
    penalties = [0.1, 0.0, 2.0]
    loss = LOSSES["poisson"]()
    objective = Objective(one, loss, 0.0, from_Z).stacked(penalties)
    thetas = 0.5 * rng.standard_normal((K, one.n_parameters))
    X, Y = rng.standard_normal((K, m, 2)), rng.poisson(3, (K, m, 2)).astype(float)
    weight = rng.uniform(0.1, 2, (K, m, 1)) if with_weight else None
    theta, batch = objective.network.pack(thetas), objective.batch(m, np.float64, with_weight)
    gradient = np.empty_like(theta)
    batch.ws.A[0][...], batch.Y[...] = X, Y
    if with_weight:
        batch.weight[...] = weight / m
    run(objective.gradient(theta, gradient, batch))
    run(add_decay(gradient, theta, objective.decay(np.float64)))
    for k, penalty in enumerate(penalties):
        single = Objective(one, loss, penalty, from_Z)
        w = weight[k] if with_weight else None
        expected = f_and_gradient(single, X[k], Y[k], w)[1](thetas[k])
        # Sums of a dozen terms in another order.
        np.testing.assert_allclose(
            objective.network.unpack(gradient, k), expected, rtol=1e-12, atol=1e-13
        )
        assert objective.penalty_values(theta)[k] == pytest.approx(
            single.penalty_values(thetas[k])[0], rel=1e-14
        )


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pack_and_unpack_undo_each_other(fit_intercept, dtype):
    one = Network([3, 4, 2], [Tanh(), Identity()], fit_intercept)
    stack = one.stacked(3)
    vectors = np.random.default_rng(0).standard_normal((3, one.n_parameters)).astype(dtype)
    packed = stack.pack(vectors)
    assert packed.dtype == dtype
    equal(np.sort(packed), np.sort(vectors, axis=None))
    views = stack.views(packed)
    for k, vector in enumerate(vectors):
        for M, N in zip(views.bW[1:], one.views(vector).bW[1:], strict=True):
            equal(M[k], N)
        out = np.empty_like(vector)
        assert stack.unpack(packed, k, out=out) is out
        equal(out, vector)
        new = stack.unpack(packed, k)
        equal(new, vector)
        assert not np.shares_memory(new, packed)


# ----- dropout -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_mask_is_zero_or_its_inverse_share_and_of_mean_1(p, dtype):
    net = Network([1, 500, 500, 1], [Identity()] * 3)
    ws = net.workspace(200, dtype, dropout=True)
    ws.A[0][...] = 1
    theta = net.initialize(np.random.default_rng(0), dtype)
    forward(net, theta, ws, p, [np.random.default_rng(1)])
    assert ws.D[0] is ws.D[3] is None  # neither inputs nor outputs
    for l in (1, 2):
        np.testing.assert_allclose(np.unique(ws.D[l]), [0, 1 / (1 - p)], rtol=1e-6)
        equal(ws.H[l], ws.A[l] * ws.D[l])
        # 100,000 draws: the share is known to 5 sqrt(p (1 - p) / 1e5) = 0.8 % and less.
        assert np.mean(ws.D[l] == 0) == pytest.approx(p, abs=0.008)
    assert (ws.D[1] != ws.D[2]).any()


@pytest.mark.parametrize("depth", [1, 3])
@every_activation
def test_gradient_with_dropout_is_that_of_differences_under_the_same_mask(activation, depth):
    g = [ACTIVATIONS[activation]()] * depth + [Identity()]
    net, theta, X, A = network_away_from_kinks(g, 2, depth)
    objective = Objective(net, SquaredError(), 0.3, dropout=0.4)
    # The masks of seed 3 leave no Z of these networks at a kink: the differences would tell.
    f, gradient, batch = f_and_gradient(objective, X, A + 1, None, seed=3)
    differences = central_differences(f, theta, STEP, richardson=False)
    assert relative_error(gradient(theta), differences) < PROMISE
    assert (batch.ws.D[1] == 0).any() and (batch.ws.D[1] != 0).any()


def test_a_mask_is_a_new_one_in_every_step_and_each_networks_own():
    net = Network([1, 50, 50, 1], [Identity()] * 3, stack=(2,))
    ws = net.workspace(20, np.float64, dropout=True)
    rngs = [np.random.default_rng(k) for k in range(2)]
    calls = net.forward(net.views(np.ones(net.n_parameters)).bW, ws, 0.5, rngs)
    masks = []
    for _ in range(2):
        run(calls)
        masks += [*ws.D[1].copy(), *ws.D[2].copy()]
    # Of 1,000 entries two masks that are independent share half, not all.
    assert all((a != b).mean() > 0.3 for a, b in itertools.combinations(masks, 2))


def test_prediction_leaves_no_unit_out():
    net = Network([3, 8, 1], [Tanh(), Identity()])
    rng = np.random.default_rng(0)
    theta, X = net.initialize(rng), rng.standard_normal((5, 3))
    W, b, _ = net.views(theta)
    out = net.predict(theta, take_from(X), np.empty((5, 1)))
    np.testing.assert_allclose(out, np.tanh(X @ W[1] + b[1]) @ W[2] + b[2], rtol=1e-12, atol=1e-15)
