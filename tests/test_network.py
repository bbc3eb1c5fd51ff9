"""The network: worked by hand, against differences, and against a naive one."""

import itertools

import numpy as np
import pytest
from gradcheck import central_differences, relative_error

from skbackprop.activations import ACTIVATIONS, Identity, Logistic, ReLU, Tanh
from skbackprop.calculus import (
    Add,
    Elementwise,
    LeftMultiply,
    RightMultiply,
    SquaredFrobeniusNorm,
)
from skbackprop.losses import LOSSES, SquaredError
from skbackprop.network import INITIALIZATIONS, PREDICTION_ENTRIES, Network
from skbackprop.training import Data, Objective

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


class Table:
    """Rows of an array, taken in the plainest way."""

    def __init__(self, X):
        self.X = X

    def take(self, rows, out):
        out[...] = self.X[rows]


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
    theta = np.array([1.0, -1, 1, 1, 2, -1, 1, 2, 1])  # W[1] row by row, W[2], b[1], b[2]
    gradient = np.empty_like(theta)
    (W, b), (dW, db) = net.views(theta), net.views(gradient)
    equal(W[1], [[1, -1], [1, 1]])
    equal(W[2], [[2], [-1]])
    equal(b[1], [[1, 2]])
    equal(b[2], [[1]])
    Y = np.array([[4.0], [8.0]])
    ws = net.workspace(2, np.float64)
    ws.A[0][...] = [[1, 2], [3, -1]]

    A_L = net.forward(W, b, ws)
    # Z[1] = A[0] W[1] + 1 b[1] = ( 1·1 + 2·1 + 1    1·(-1) + 2·1 + 2 ) = ( 4  3 )
    #                             ( 3·1 - 1·1 + 1    3·(-1) - 1·1 + 2 )   ( 3 -2 )
    equal(ws.Z[1], [[4, 3], [3, -2]])
    # A[1] = max(0, Z[1])
    equal(ws.A[1], [[4, 3], [3, 0]])
    # Z[2] = A[1] W[2] + 1 b[2] = ( 4·2 - 3·1 + 1 ) = ( 6 )      A[2] = Z[2]
    #                             ( 3·2 - 0·1 + 1 )   ( 7 )
    equal(ws.Z[2], [[6], [7]])
    equal(ws.A[2], [[6], [7]])
    assert A_L is ws.A[2]

    f, _ = SquaredError().value_and_derivative(A_L, Y, out=ws.dA[2])
    # f = 1/m ‖A[2] - Y‖² = 1/2 ((6 - 4)² + (7 - 8)²) = 5/2
    assert f == 2.5
    # df/dA[2] = 2/m (A[2] - Y) = 2/2 (2, -1)
    equal(ws.dA[2], [[2], [-1]])

    net.backward(W, dW, db, ws)
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
    assert SquaredError().value(net.forward(W, b, ws), Y) < 2.5


def test_the_articles_network_by_hand():
    """No biases, logistic units. Z[1] = 0 makes g = 1/2 and g' = 1/4 exact.

    X = ( 1 2 )   W[1] = (  2 -2 )   W[2] = ( 4 )   Y = ( 1 )
                         ( -1  1 )          ( 2 )
    """
    net = Network([2, 2, 1], [Logistic(), Identity()], fit_intercept=False)
    theta, gradient = np.array([2.0, -2, -1, 1, 4, 2]), np.empty(6)
    (W, b), (dW, db) = net.views(theta), net.views(gradient)
    ws = net.workspace(1, np.float64)
    ws.A[0][...] = [[1, 2]]
    A_L = net.forward(W, b, ws)
    equal(ws.Z[1], [[0, 0]])  # 1·2 + 2·(-1) and 1·(-2) + 2·1
    equal(ws.A[1], [[0.5, 0.5]])  # 1 / (1 + exp 0)
    equal(ws.Z[2], [[3]])  # 4/2 + 2/2
    f, _ = SquaredError().value_and_derivative(A_L, np.array([[1.0]]), out=ws.dA[2])
    assert f == 4  # (3 - 1)²
    net.backward(W, dW, db, ws)
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
        ws = net.workspace(ROWS, np.float64)
        ws.A[0][...] = X
        A_L = net.forward(*net.views(theta), ws)
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


def f_and_gradient(objective, X, Y, weight):
    """f(theta) and df/dtheta of one batch of all rows, as functions."""
    net = objective.network
    batch = objective.batch(len(X), np.float64, weight is not None)
    Data(Table(X), Y, weight).load(slice(None), batch)

    def f(theta):
        scratch = np.empty_like(theta)
        value = objective.value_and_gradient(*net.views(theta), *net.views(scratch), batch)
        return value + objective.add_penalty(theta)

    def gradient(theta):
        result = np.empty_like(theta)
        objective.value_and_gradient(*net.views(theta), *net.views(result), batch)
        objective.add_penalty(theta, result)
        return result

    return f, gradient


WEIGHT = np.array([[0.2], [1.7], [0.6], [1.5]])  # of mean 1, as training has them


def gradient_errors(hidden, output, loss, from_Z=False):
    """{case: error} of the cases that break the promise, over depth, outputs, weights, alpha."""
    broken = {}
    for depth, n_outputs in itertools.product([0, 1, 3], [1, 3]):
        g = [ACTIVATIONS[hidden]()] * depth + [ACTIVATIONS[output]()]
        net, theta, X, A = network_away_from_kinks(g, n_outputs, depth)
        Y = targets_away_from_kinks(loss, A)
        for weight, penalty in itertools.product([None, WEIGHT], [0.0, 0.3]):
            f, gradient = f_and_gradient(Objective(net, loss, penalty, from_Z), X, Y, weight)
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
    f, gradient = f_and_gradient(Objective(net, SquaredError()), X, A + 1, None)
    assert theta.size == FEATURES * HIDDEN + HIDDEN * 2
    assert relative_error(gradient(theta), central_differences(f, theta, STEP)) < PROMISE


def test_gradient_in_float32_is_that_of_float64():
    g = [Tanh(), Tanh(), Identity()]
    net, theta, X, A = network_away_from_kinks(g, 3, 2)
    gradients = []
    for dtype in (np.float64, np.float32):
        objective = Objective(net, SquaredError(), 0.3)
        batch = objective.batch(ROWS, dtype, True)
        t, gradient = theta.astype(dtype), np.empty(theta.size, dtype)
        Data(Table(X.astype(dtype)), (A + 1).astype(dtype), WEIGHT).load(slice(None), batch)
        objective.value_and_gradient(*net.views(t), *net.views(gradient), batch)
        objective.add_penalty(t, gradient)
        gradients.append(gradient)
    assert gradients[1].dtype == np.float32
    assert relative_error(gradients[1], gradients[0]) < 1e-6  # 2⁻²⁴ and a few operations


@pytest.mark.parametrize("l", [1, 2])
def test_gradient_is_the_matrix_calculus_applied(l):
    """df/dW[l] by composing the article's rules, with everything but W[l] constant."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    net = Network([3, 4, 2], [Tanh(), Logistic()], fit_intercept=False)
    theta, gradient = rng.standard_normal(net.n_parameters), np.empty(net.n_parameters)
    (W, _), (dW, _) = net.views(theta), net.views(gradient)
    _, gradient_of = f_and_gradient(Objective(net, SquaredError()), X, Y, None)
    gradient[...] = gradient_of(theta)
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
    W, b = net.views(theta)
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
@pytest.mark.parametrize("hidden", [(), (4,), (4, 5, 3)])
def test_forward_and_predict_are_the_equations(fit_intercept, hidden):
    rng = np.random.default_rng(0)
    g = [*[Tanh(), ReLU(), Logistic()][: len(hidden)], Identity()]
    net = Network([3, *hidden, 2], g, fit_intercept)
    theta, X = rng.standard_normal(net.n_parameters), rng.standard_normal((6, 3))
    expected = naive_forward(net, theta, X)
    ws = net.workspace(6, np.float64)
    ws.A[0][...] = X
    # BLAS adds in another order and may fuse: a few units of 1e-16 times values of 5.
    np.testing.assert_allclose(net.forward(*net.views(theta), ws), expected, rtol=1e-12, atol=1e-14)
    equal(ws.A[0], X)
    out = net.predict(theta, Table(X).take, np.empty((6, 2)))
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_predict_in_blocks_is_predict_at_once(extra):
    """One row less than two blocks, two whole blocks, and one row more."""
    width = PREDICTION_ENTRIES // 64
    net = Network([2, width, 1], [Tanh(), Identity()])
    rng = np.random.default_rng(0)
    theta = net.initialize(rng)
    X = rng.standard_normal((128 + extra, 2))
    sizes = []

    def take(rows, out):
        sizes.append(len(out))
        out[...] = X[rows]

    out = net.predict(theta, take, np.full((len(X), 1), np.nan))
    assert sizes == {-1: [64, 63], 0: [64, 64], 1: [64, 64, 1]}[extra]
    W, b = net.views(theta)
    expected = np.tanh(X @ W[1] + b[1]) @ W[2] + b[2]
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-13)  # sums of 2,048 terms


def test_predict_with_layers_wider_than_a_block():
    net = Network([PREDICTION_ENTRIES + 1, 1], [Identity()])
    theta = np.ones(net.n_parameters)
    X = np.ones((3, PREDICTION_ENTRIES + 1))
    out = net.predict(theta, Table(X).take, np.empty((3, 1)))
    equal(out, [[PREDICTION_ENTRIES + 2]] * 3)  # whole numbers: exact in any order


def test_predict_of_no_rows():
    net = Network([2, 1], [Identity()])
    assert net.predict(np.ones(3), Table(np.ones((0, 2))).take, np.empty((0, 1))).shape == (0, 1)


# ----- theta ---------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("sizes", [[3, 1], [3, 4, 2], [1, 5, 5, 1]])
def test_views_cover_theta_once_all_weights_first(sizes, fit_intercept):
    net = Network(sizes, [Identity()] * (len(sizes) - 1), fit_intercept)
    theta = np.arange(float(net.n_parameters))
    W, b = net.views(theta)
    assert W[0] is None
    assert b[0] is None
    assert [w.shape for w in W[1:]] == list(itertools.pairwise(sizes))
    parts = [w.ravel() for w in W[1:]]
    equal(np.concatenate(parts), theta[: net.n_weights])
    if fit_intercept:
        assert [v.shape for v in b[1:]] == [(1, n) for n in sizes[1:]]
        parts += [v.ravel() for v in b[1:]]
    else:
        assert b == [None] * len(sizes)
    equal(np.concatenate(parts), theta)
    W[1][0, 0] = -1
    assert theta[0] == -1
    assert all(np.shares_memory(part, theta) for part in parts)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_activation
def test_first_weights_have_the_variance_that_suits_the_activation(activation, dtype):
    g = ACTIVATIONS[activation]()
    net = Network([300, 200, 1], [g, Identity()])
    theta = net.initialize(np.random.default_rng(0), dtype)
    assert theta.dtype == dtype
    W, b = net.views(theta)
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


def test_fewer_rows_are_the_same_memory():
    net = Network([3, 4, 2], [Tanh(), Identity()])
    ws = net.workspace(10, np.float32, dropout=True)
    few = ws.rows(6)
    for name in ("A", "Z", "H", "D", "dA", "dZ"):
        for M, few_M in zip(getattr(ws, name), getattr(few, name), strict=True):
            assert (M is None) == (few_M is None)
            if M is not None:
                assert few_M.shape == (6, M.shape[1])
                assert few_M.dtype == np.float32
                assert few_M.flags.c_contiguous
                assert np.shares_memory(M, few_M)
    equal(few.ones, np.ones((6, 1)))


def test_lists_have_none_where_the_article_has_no_matrix():
    net = Network([3, 4, 2], [Tanh(), Identity()])
    ws = net.workspace(5, np.float64)
    assert [M is None for M in ws.Z] == [True, False, False]
    assert [M is None for M in ws.dA] == [True, False, False]
    assert [M is None for M in ws.dZ] == [True, False, False]
    assert [M.shape for M in ws.A] == [(5, 3), (5, 4), (5, 2)]
    assert ws.D == [None] * 3
    assert all(H is A for H, A in zip(ws.H, ws.A, strict=True))


def test_prediction_needs_two_matrices():
    net = Network([3, 40, 50, 2], [Tanh(), Tanh(), Identity()])
    ws = net.prediction_workspace(7, np.float64)
    assert np.shares_memory(ws.A[0], ws.A[2])
    assert not any(np.shares_memory(ws.A[l], ws.A[l + 1]) for l in range(3))


# ----- dropout -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_mask_is_zero_or_its_inverse_share_and_of_mean_1(p, dtype):
    net = Network([1, 500, 500, 1], [Identity()] * 3)
    ws = net.workspace(200, dtype, dropout=True)
    ws.A[0][...] = 1
    theta = net.initialize(np.random.default_rng(0), dtype)
    net.forward(*net.views(theta), ws, p, np.random.default_rng(1))
    assert ws.D[0] is ws.D[3] is None  # neither inputs nor outputs
    for l in (1, 2):
        np.testing.assert_allclose(np.unique(ws.D[l]), [0, 1 / (1 - p)], rtol=1e-6)
        equal(ws.H[l], ws.A[l] * ws.D[l])
        # 100,000 draws: the share is known to 5 sqrt(p (1 - p) / 1e5) = 0.8 % and less.
        assert np.mean(ws.D[l] == 0) == pytest.approx(p, abs=0.008)
    assert (ws.D[1] != ws.D[2]).any()


@pytest.mark.parametrize("depth", [1, 3])
def test_gradient_with_dropout_is_that_of_differences_under_the_same_mask(depth):
    g = [Tanh()] * depth + [Identity()]
    net, theta, X, A = network_away_from_kinks(g, 2, depth)
    objective = Objective(net, SquaredError(), 0.3, dropout=0.4)
    batch = objective.batch(ROWS, np.float64, False)
    Data(Table(X), A + 1).load(slice(None), batch)
    gradient = np.empty_like(theta)

    def f(theta):
        value = objective.value_and_gradient(
            *net.views(theta), *net.views(gradient), batch, np.random.default_rng(3)
        )
        return value + objective.add_penalty(theta, gradient)

    differences = central_differences(f, theta)
    f(theta)
    assert (batch.ws.D[1] == 0).any()
    assert relative_error(gradient, differences) < 1e-9


def test_prediction_leaves_no_unit_out():
    net = Network([3, 8, 1], [Tanh(), Identity()])
    rng = np.random.default_rng(0)
    theta, X = net.initialize(rng), rng.standard_normal((5, 3))
    W, b = net.views(theta)
    out = net.predict(theta, Table(X).take, np.empty((5, 1)))
    np.testing.assert_allclose(out, np.tanh(X @ W[1] + b[1]) @ W[2] + b[2], rtol=1e-12, atol=1e-15)
