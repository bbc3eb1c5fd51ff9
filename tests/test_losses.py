"""Losses: formulas against scikit-learn's, derivatives, weights, units, best constants."""

import pickle
import warnings

import numpy as np
import pytest
from allocation import CONSTANT, GROWN, peak_memory
from gradcheck import central_differences, elementwise_differences, relative_error
from own import CubeError
from scipy.optimize import minimize_scalar
from sklearn import _loss as sklearn_loss

from skbackprop.activations import ACTIVATIONS
from skbackprop.blocks import BLOCK, run
from skbackprop.losses import LOSSES, CustomLoss, Huber, Loss, Poisson, Quantile, SquaredError

every_loss = pytest.mark.parametrize("name", LOSSES)
weighted = pytest.mark.parametrize("with_weight", [False, True], ids=["plain", "weighted"])

POSITIVE = {"poisson", "gamma"}  # y > 0 and a > 0


def data(name, shape=(7, 3), dtype=np.float64, seed=0):
    """A, Y and weights; |a - y| is at least 0.05 from every kink: 0 and Huber's delta."""
    rng = np.random.default_rng(seed)
    R = rng.uniform(0.05, 1.2, shape) * rng.choice([-1, 1], shape)
    R = np.where(rng.random(shape) < 0.3, 2 * R + np.sign(R) * 1.35, R)
    A = rng.normal(size=shape)
    if name in POSITIVE:
        A, R = 4 + rng.random(shape), np.clip(R, -3.9, None)
    return A.astype(dtype), (A + R).astype(dtype), rng.uniform(0.1, 2, (shape[0], 1)).astype(dtype)


# ----- ℓ -------------------------------------------------------------------------------

# scikit-learn's loss of (y, raw prediction), how a becomes its raw prediction, and the
# constant by which the two differ, a function of y. Private, so only an oracle.
ORACLES = {
    "squared_error": (sklearn_loss.HalfSquaredError(), lambda a: a, 2, lambda y: 0 * y),
    "absolute_error": (sklearn_loss.AbsoluteError(), lambda a: a, 1, lambda y: 0 * y),
    "quantile": (sklearn_loss.PinballLoss(quantile=0.5), lambda a: a, 1, lambda y: 0 * y),
    # scikit-learn leaves y log y - y out of the deviance, and log y + 1 of gamma's.
    "poisson": (sklearn_loss.HalfPoissonLoss(), np.log, 1, lambda y: y * np.log(y) - y),
    "gamma": (sklearn_loss.HalfGammaLoss(), np.log, 1, lambda y: -np.log(y) - 1),
}


def oracle(spec, a, y):
    loss, raw, factor, constant = spec
    values = loss.loss(np.ascontiguousarray(y), np.ascontiguousarray(raw(a)))
    return factor * values + constant(y)


@pytest.mark.parametrize("name", ORACLES)
def test_elementwise_is_that_of_scikit_learn(name):
    A, Y, _ = data(name, (500, 1))
    expected = oracle(ORACLES[name], A[:, 0], Y[:, 0])
    # Absolute, for gamma and poisson: the terms of size 10 cancel in scikit-learn's form.
    np.testing.assert_allclose(
        LOSSES[name]().elementwise(A, Y)[:, 0], expected, rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize("q", [0.05, 0.5, 0.8])
def test_quantile_is_the_pinball_loss(q):
    A, Y, _ = data("quantile", (500, 1))
    expected = sklearn_loss.PinballLoss(quantile=q).loss(Y[:, 0].copy(), A[:, 0].copy())
    np.testing.assert_allclose(Quantile(q).elementwise(A, Y)[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("delta", [0.3, 1.35, 10.0])
def test_huber_is_that_of_scikit_learn(delta):
    A, Y, _ = data("huber", (500, 1))
    oracle = sklearn_loss.HuberLoss(delta=delta)
    oracle.closs.delta = delta  # scikit-learn's delta is a quantile of |y - a|, set by boosting
    expected = oracle.loss(Y[:, 0].copy(), A[:, 0].copy())
    np.testing.assert_allclose(Huber(delta).elementwise(A, Y)[:, 0], expected, rtol=1e-13)


def test_log_cosh_is_its_name():
    r = np.linspace(-20, 20, 401)[:, None]
    # log(cosh r) cancels where cosh r is near 1: absolute there, relative elsewhere.
    np.testing.assert_allclose(
        LOSSES["log_cosh"]().elementwise(r, 0 * r), np.log(np.cosh(r)), rtol=1e-14, atol=1e-16
    )


@pytest.mark.parametrize("r", [1e-3, 1e-8, 1e-100, 800.0, 1e300])
def test_log_cosh_near_zero_and_far_away(r):
    """r²/2 - r⁴/12 near 0, |r| - log 2 far away."""
    f = LOSSES["log_cosh"]()
    expected = r * r / 2 - r**4 / 12 if r < 1 else r - np.log(2)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value = f.elementwise(np.array([[r]]), np.zeros((1, 1)))[0, 0]
    # r⁶/45 is left out at 1e-3: 4e-14 of r²/2. The sum r + log1p(…) cancels to r²/2 with a
    # rounding error of 1e-16 r, so that for the smallest r only its smallness is promised.
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=2e-16 * r if r < 1 else 0)


@every_loss
def test_no_loss_is_negative_and_a_perfect_prediction_costs_nothing(name):
    A, Y, _ = data(name)
    loss = LOSSES[name]()
    assert (loss.elementwise(A, Y) > 0).all()
    assert (loss.elementwise(Y, Y) == 0).all()
    assert (loss.derivative(Y, Y) == 0).all()


def test_poisson_of_a_zero_target_is_the_prediction():
    np.testing.assert_array_equal(
        Poisson().elementwise(np.array([[3.0]]), np.array([[0.0]])), [[3.0]]
    )


# ----- f and df/dA ---------------------------------------------------------------------


def naive(loss, A, Y, weight):
    """f as a double sum, of one row and one output at a time."""
    total = 0.0
    for i in range(len(A)):
        w = 1 / len(A) if weight is None else float(weight[i, 0])
        for k in range(A.shape[1]):
            total += w * loss.value(A[i : i + 1, k : k + 1], Y[i : i + 1, k : k + 1])
    return total


def test_squared_error_is_the_articles():
    A, Y, _ = data("squared_error")
    f, dA = SquaredError().value_and_derivative(A, Y)
    assert f == pytest.approx(np.linalg.norm(A - Y, "fro") ** 2 / len(A), rel=1e-14)
    np.testing.assert_allclose(dA, 2 / len(A) * (A - Y), rtol=1e-14)


@every_loss
@weighted
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (7, 3)])
def test_value_is_a_mean_over_rows_and_a_sum_over_outputs(name, with_weight, shape):
    A, Y, weight = data(name, shape)
    weight = weight if with_weight else None
    loss = LOSSES[name]()
    assert loss.value(A, Y, weight) == pytest.approx(naive(loss, A, Y, weight), rel=1e-13)


@every_loss
@weighted
def test_derivative_is_that_of_differences(name, with_weight):
    A, Y, weight = data(name)
    weight = weight if with_weight else None
    loss = LOSSES[name]()
    differences = central_differences(lambda M: loss.value(M, Y, weight), A)
    # Truncation and rounding of the differences are both about 1e-12.
    assert relative_error(loss.derivative(A, Y, weight), differences) < 1e-10


@every_loss
def test_elementwise_derivative_is_that_of_differences(name):
    A, Y, _ = data(name, (2000, 1))
    loss = LOSSES[name]()
    if name == "squared_error":  # written for whole matrices, in the article's letters
        derivative = loss.derivative(A, Y) * len(A)
    else:
        derivative = loss.elementwise_derivative(A, Y)
    differences = elementwise_differences(lambda a: loss.elementwise(a, Y), A)
    assert relative_error(derivative, differences) < 1e-10


@every_loss
@weighted
@pytest.mark.parametrize("shape", [(7, 3), (BLOCK + 5, 1), (BLOCK // 2, 5)])
def test_both_at_once_are_the_two_and_out_is_filled(name, with_weight, shape):
    A, Y, weight = data(name, shape)
    weight = weight if with_weight else None
    before = A.copy(), Y.copy(), None if weight is None else weight.copy()
    loss, out, second = LOSSES[name](), np.full(shape, np.nan), np.full(shape, np.nan)
    f, dA = loss.value_and_derivative(A, Y, weight, out=out)
    assert dA is out
    assert isinstance(f, float)
    assert f == pytest.approx(loss.value(A, Y, weight), rel=1e-13)  # summed in another order
    assert loss.derivative(A, Y, weight, out=second) is second
    np.testing.assert_array_equal(out, second)
    np.testing.assert_array_equal(out, loss.derivative(A, Y, weight))
    np.testing.assert_array_equal(A, before[0])
    np.testing.assert_array_equal(Y, before[1])
    assert weight is None or (weight == before[2]).all()


@every_loss
def test_long_arrays_give_the_same_as_short_ones(name):
    A, Y, weight = data(name, (BLOCK + 1000, 2))
    loss = LOSSES[name]()
    pieces = np.array_split(np.arange(len(A)), 20)
    value = sum(loss.value(A[p], Y[p], weight[p]) for p in pieces)
    assert loss.value(A, Y, weight) == pytest.approx(value, rel=1e-12)  # another order of 18,000
    derivative = np.concatenate([loss.derivative(A[p], Y[p], weight[p]) for p in pieces])
    np.testing.assert_allclose(loss.derivative(A, Y, weight), derivative, rtol=1e-13, atol=1e-15)


@every_loss
def test_a_whole_weight_is_that_many_rows(name):
    A, Y, _ = data(name)
    times = np.array([1, 3, 0, 2, 1, 1, 2])
    A_rep, Y_rep = np.repeat(A, times, axis=0), np.repeat(Y, times, axis=0)
    weight = times[:, None] / times.sum()
    loss = LOSSES[name]()
    assert loss.value(A, Y, weight) == pytest.approx(loss.value(A_rep, Y_rep), rel=1e-13)
    dA, dA_rep = loss.derivative(A, Y, weight), loss.derivative(A_rep, Y_rep)
    # The derivative of a row that stands for three is the sum of theirs.
    np.testing.assert_allclose(np.repeat(dA / np.maximum(times, 1)[:, None], times, axis=0), dA_rep)
    np.testing.assert_array_equal(dA[2], 0)


@every_loss
@weighted
@pytest.mark.parametrize("n", [7, BLOCK + 5])
def test_float32_stays_float32(name, with_weight, n):
    A, Y, weight = data(name, (n, 1), np.float32)
    weight = weight if with_weight else None
    loss = LOSSES[name]()
    dA = loss.derivative(A, Y, weight)
    assert dA.dtype == np.float32
    assert loss.value_and_derivative(A, Y, weight)[1].dtype == np.float32
    wide = [None if M is None else M.astype(np.float64) for M in (A, Y, weight)]
    # The rounding of a - y, 6e-8 of numbers up to 5, against a difference of 0.05 and more.
    assert relative_error(dA, loss.derivative(*wide)) < 1e-5
    assert loss.value(A, Y, weight) == pytest.approx(loss.value(*wide), rel=1e-5)


# ----- prepared calls ------------------------------------------------------------------


def prepared_cases():
    """(name, from_Z): df/dA of every loss, and df/dZ[L] of those that have it."""
    return [(name, False) for name in LOSSES] + [(n, True) for n in LOSSES if LOSSES[n].canonical]


every_prepared = pytest.mark.parametrize(("name", "from_Z"), prepared_cases())


@every_prepared
@weighted
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(7, 3), (BLOCK + 5, 1), (BLOCK // 2, 5)])
def test_prepared_calls_give_the_derivative_of_what_the_arrays_then_hold(
    name, from_Z, with_weight, dtype, shape
):
    loss = LOSSES[name]()
    A, Y, weight = (np.empty_like(M) for M in data(name, shape, dtype))
    out = np.full(shape, np.nan, dtype)
    calls = loss.prepare(A, Y, weight if with_weight else None, out, from_Z)
    assert np.isnan(out).all()  # nothing is computed before the calls
    for seed in (1, 2):
        A[...], Y[...], weight[...] = data(name, shape, dtype, seed)
        before = A.copy(), Y.copy(), weight.copy()
        for _ in range(2):  # from A and Y alone, not from what `out` holds
            run(calls)
            derivative = loss.derivative_Z if from_Z else loss.derivative
            # The same operations on the same blocks.
            np.testing.assert_array_equal(out, derivative(A, Y, weight if with_weight else None))
        for M, M_before in zip((A, Y, weight), before, strict=True):
            np.testing.assert_array_equal(M, M_before)


@every_prepared
@weighted
@pytest.mark.parametrize("shape", [(7, 1), (7, 3), (BLOCK // 2, 3)])
def test_a_stack_has_the_derivatives_of_its_networks(name, from_Z, with_weight, shape):
    """1/m is that of the rows of one network, and weights are those of its own rows."""
    loss = LOSSES[name]()
    As, Ys, weights = map(
        np.stack, zip(*(data(name, shape, seed=k) for k in range(3)), strict=True)
    )
    out = np.full(As.shape, np.nan)
    run(loss.prepare(As, Ys, weights if with_weight else None, out, from_Z))
    for k in range(3):
        derivative = loss.derivative_Z if from_Z else loss.derivative
        expected = derivative(As[k], Ys[k], weights[k] if with_weight else None)
        # Blocks begin elsewhere, and the ends of vector loops round differently (tanh).
        np.testing.assert_allclose(out[k], expected, rtol=1e-14)


@weighted
def test_prepared_calls_of_a_users_loss(with_weight):
    A, Y, weight = data("squared_error")
    weight, out = weight if with_weight else None, np.full(A.shape, np.nan)
    for user in (CubeError(), CubeInPlace()):
        loss = CustomLoss(user)
        calls = loss.prepare(A, Y, weight, out)
        A += 1
        run(calls)
        np.testing.assert_array_equal(out, user.derivative(A, Y, weight))


# ----- past the output activation ------------------------------------------------------


def test_some_losses_have_a_canonical_activation():
    assert {n for n, loss in LOSSES.items() if loss.canonical} == {"poisson", "gamma"}


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if loss.canonical])
@weighted
@pytest.mark.parametrize("shape", [(7, 3), (BLOCK + 5, 1)])
def test_derivative_Z_is_derivative_times_that_of_the_activation(name, with_weight, shape):
    A, Y, weight = data(name, shape)
    weight = weight if with_weight else None
    loss = LOSSES[name]()
    g = ACTIVATIONS[loss.canonical]()
    Z, out = np.log(A), np.full(shape, np.nan)
    expected = loss.derivative(A, Y, weight) * g.derivative(Z, A)
    # 1 - y/a, taken at a - y of 0.05 and a of 5, loses two digits of sixteen.
    np.testing.assert_allclose(loss.derivative_Z(A, Y, weight), expected, rtol=1e-12)
    assert loss.derivative_Z(A, Y, weight, out=out) is out
    np.testing.assert_array_equal(out, loss.derivative_Z(A, Y, weight))


def test_poisson_past_exp_does_not_overflow_where_the_chain_does():
    """At z = -800 a is 0: dℓ/da is infinite and g' is 0, but dℓ/dz = a - y is -y."""
    A, Y = np.exp(np.array([[-800.0]])), np.array([[3.0]])
    np.testing.assert_array_equal(Poisson().derivative_Z(A, Y), [[-3.0]])


@every_loss
def test_output_activation_is_one_of_the_table(name):
    assert LOSSES[name].output_activation in ACTIVATIONS
    assert LOSSES[name].canonical in {None, *ACTIVATIONS}


# ----- units ---------------------------------------------------------------------------

WITH_A_WIDTH = {"huber", "log_cosh"}  # their delta is in scaled units


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in WITH_A_WIDTH])
@pytest.mark.parametrize("s", [1e-3, 7.0, 1e5])
def test_degree_says_how_the_loss_changes_with_units(name, s):
    A, Y, weight = data(name)
    loss = LOSSES[name]()
    expected = s**loss.degree * loss.value(A, Y, weight)
    assert loss.value(s * A, s * Y, weight) == pytest.approx(expected, rel=1e-12)


def test_degree_of_huber_holds_if_delta_is_scaled():
    A, Y, weight = data("huber")
    scaled = Huber(delta=7 * 1.35).value(7 * A, 7 * Y, weight)
    assert scaled == pytest.approx(7**Huber.degree * Huber().value(A, Y, weight), rel=1e-13)


# ----- best constant -------------------------------------------------------------------


def columns(n=41):
    rng = np.random.default_rng(3)
    return np.column_stack([rng.gamma(2, 2, n) + 0.1, rng.exponential(1, n) + 0.5])


@every_loss
@weighted
def test_best_constant_minimises_the_loss(name, with_weight):
    Y = columns()
    weight = np.random.default_rng(0).uniform(0, 3, (len(Y), 1)) if with_weight else None
    loss = LOSSES[name]()
    best = loss.best_constant(Y, weight)
    assert best.shape == (2,)
    for k in range(2):
        y = Y[:, [k]]

        def f(c, y=y):
            return loss.value(np.full_like(y, c), y, weight)

        found = minimize_scalar(f, bounds=(y.min(), y.max()), method="bounded")
        # The search stops 1e-5 from the minimum: the loss there is not below the best's.
        assert f(best[k]) <= found.fun + 1e-12
        assert f(best[k]) <= min(f(c) for c in y[:, 0]) + 1e-12


@pytest.mark.parametrize("name", ["squared_error", "huber", "log_cosh", "poisson", "gamma"])
def test_slope_is_zero_at_the_best_constant(name):
    Y = columns()
    loss = LOSSES[name]()
    slope = loss.derivative(np.tile(loss.best_constant(Y), (len(Y), 1)), Y).sum(axis=0)
    np.testing.assert_allclose(slope, 0, atol=1e-11)  # brentq stops at 1e-12 of c


def test_best_constants_known_by_name():
    Y = np.array([[1.0], [2.0], [3.0], [4.0], [100.0]])
    assert LOSSES["squared_error"]().best_constant(Y) == [22]
    assert LOSSES["absolute_error"]().best_constant(Y) == [3]
    assert Quantile(0.8).best_constant(Y) == [4]
    assert LOSSES["gamma"]().best_constant(Y) == [22]


@every_loss
def test_best_constant_of_equal_targets_is_their_value(name):
    Y = np.full((30, 1), 0.1)
    # A mean of thirty 0.1 may differ from it in the last place; the others pick a row.
    np.testing.assert_allclose(LOSSES[name]().best_constant(Y), [0.1], rtol=1e-15)


@every_loss
def test_best_constant_takes_whole_weights_as_repeated_rows(name):
    Y, times = columns(), np.random.default_rng(1).integers(0, 4, 41)
    loss = LOSSES[name]()
    weight = times[:, None] / times.max()
    np.testing.assert_allclose(
        loss.best_constant(Y, weight), loss.best_constant(np.repeat(Y, times, axis=0)), rtol=1e-10
    )


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.9])
def test_best_constant_of_quantile_is_the_sample_quantile(q):
    Y = columns(40)  # q·40 is a whole number: every c between two rows is best
    expected = np.quantile(Y, q, axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(Quantile(q).best_constant(Y), expected)


# ----- domain --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("poisson", [[1.0], [-1e-9]]),
        ("gamma", [[1.0], [0.0]]),
        ("gamma", [[1.0], [-1.0]]),
    ],
)
def test_targets_outside_the_domain_are_refused_by_name(name, bad):
    with pytest.raises(ValueError, match=f"loss='{name}' needs targets y"):
        LOSSES[name]().check_targets(np.array(bad))


@pytest.mark.parametrize("bad", [[[0.0], [0.0]], [[1.0, 0.0], [2.0, 0.0]]])
def test_first_counts_that_are_all_zero_are_refused(bad):
    """One output with nothing to count settles no unit; later rows may be zero."""
    LOSSES["poisson"]().check_targets(np.array(bad))
    with pytest.raises(ValueError, match="not all 0"):
        LOSSES["poisson"]().check_first_targets(np.array(bad))


@every_loss
def test_targets_inside_the_domain_are_accepted(name):
    LOSSES[name]().check_targets(data(name)[1])
    if name not in POSITIVE:
        LOSSES[name]().check_targets(np.array([[-1e300], [0.0]]))
    if name == "poisson":
        LOSSES[name]().check_targets(np.array([[0.0], [1e-300]]))


# ----- a user's own --------------------------------------------------------------------


class CubeInPlace(CubeError):  # noqa: N818 - an error to minimise, no exception
    """The same, written into `out`."""

    def derivative(self, A, Y, weight=None, out=None):
        out = np.subtract(A, Y, out=out)
        out *= 3 * np.abs(out)
        out *= 1 / len(A) if weight is None else weight
        return out


@pytest.mark.parametrize("user", [CubeError(), CubeInPlace()])
@weighted
def test_users_loss_is_held_to_the_contract_of_out(user, with_weight):
    A, Y, weight = data("squared_error")
    weight = weight if with_weight else None
    loss, out = CustomLoss(user), np.full(A.shape, np.nan)
    f, dA = loss.value_and_derivative(A, Y, weight, out=out)
    assert dA is out
    assert isinstance(f, float)
    np.testing.assert_array_equal(out, loss.derivative(A, Y, weight))
    differences = central_differences(lambda M: loss.value(M, Y, weight), A)
    # |r|³ has a third derivative that jumps at 0, 0.05 away; its truncation is small.
    assert relative_error(out, differences) < 1e-9


def test_users_loss_claims_no_units():
    loss = CustomLoss(CubeError())
    assert (loss.degree, loss.canonical, loss.output_activation) == (None, None, "identity")


class Quartic(Loss):
    """ℓ = (a - y)⁴, by a user who subclasses Loss and gives two lines."""

    def elementwise(self, A, Y):
        return (A - Y) ** 4

    def elementwise_derivative(self, A, Y):
        return 4 * (A - Y) ** 3


def test_a_subclass_of_two_lines_has_the_rest():
    A, Y, weight = data("squared_error")
    loss = Quartic()
    differences = central_differences(lambda M: loss.value(M, Y, weight), A)
    assert relative_error(loss.derivative(A, Y, weight), differences) < 1e-9
    y = columns()
    slope = loss.derivative(np.tile(loss.best_constant(y), (len(y), 1)), y).sum(axis=0)
    np.testing.assert_allclose(slope, 0, atol=1e-9)  # a cubic's slope near its triple zero


# ----- objects -------------------------------------------------------------------------


@every_loss
def test_pickle_makes_the_same_object_and_repr_names_it(name):
    loss = LOSSES[name]()
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert repr(loss).startswith(type(loss).__name__ + "(")


@every_loss
def test_there_are_no_warnings_at_ordinary_values(name):
    A, Y, weight = data(name)
    loss = LOSSES[name]()
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        loss.value_and_derivative(A, Y, weight)


@every_loss
@weighted
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [1, 256])
def test_memory_does_not_grow_with_the_arrays(name, with_weight, dtype, columns):
    shape = (GROWN // (columns * np.dtype(dtype).itemsize), columns)
    A, Y = np.full(shape, 0.7, dtype), np.full(shape, 0.5, dtype)
    weight = np.full((shape[0], 1), 0.5, dtype) if with_weight else None
    loss, out = LOSSES[name](), np.empty_like(A)
    assert A.nbytes >= GROWN

    def both():
        loss.value_and_derivative(A, Y, weight, out=out)

    assert peak_memory(both, CONSTANT) < CONSTANT
    for from_Z in [False, True] if loss.canonical else [False]:
        calls = loss.prepare(A, Y, weight, out, from_Z)
        assert peak_memory(lambda calls=calls: run(calls), CONSTANT) < CONSTANT


@pytest.mark.parametrize("name", LOSSES)
def test_a_column_and_a_vector_are_not_stretched(name):
    A, Y = np.ones((4, 1)), np.ones(4)
    loss = LOSSES[name]()
    for method in (loss.value, loss.derivative, loss.value_and_derivative):
        with pytest.raises(ValueError, match="both must be"):
            method(A, Y)


def test_log_cosh_is_exact_near_zero_and_far_away():
    A = np.array([[1e-17], [1e-9], [0.5], [1.0], [30.0], [1e308]])
    expected = [0.5e-34, 0.5e-18, np.log(np.cosh(0.5)), np.log(np.cosh(1)), 30 - np.log(2), 1e308]
    with np.errstate(over="raise", invalid="raise"):
        value = LOSSES["log_cosh"]().elementwise(A, np.zeros_like(A))
    np.testing.assert_allclose(value[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_a_first_constant_for_weights_of_any_size(name):
    """A slope that is a step has no root to full precision."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        Y, weight = rng.uniform(0.1, 2, (5, 1)), 10.0 ** rng.uniform(-200, 100, (5, 1))
        [constant] = LOSSES[name]().best_constant(Y, weight)
        rounding = 1e-12  # of a weighted mean
        assert Y.min() - rounding <= constant <= Y.max() + rounding
