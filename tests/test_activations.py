"""Activations: values, derivatives, extremes, types, the contract of `out`."""

import pickle

import numpy as np
import pytest
from allocation import CONSTANT, GROWN, peak_memory
from gradcheck import elementwise_differences
from scipy import integrate, stats

from skbackprop import activations
from skbackprop.activations import ACTIVATIONS, ELU, SELU, CustomActivation, LeakyReLU, ReLU
from skbackprop.blocks import BLOCK, run
from skbackprop.network import INITIALIZATIONS

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)

# Plain formulas and SciPy's, good where nothing overflows: |z| <= 30.
CLOSED_FORMS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1),
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543773 * (np.exp(z) - 1)),
    "gelu": lambda z: z * stats.norm.cdf(z),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "exp": lambda z: np.e**z,
}

# Plain derivatives, to compare with where differences are not accurate: in the tails.
CLOSED_DERIVATIVES = {
    "identity": lambda z: np.ones_like(z),
    "logistic": lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: np.where(z > 0, 1, 0),
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.where(z > 0, 1, np.exp(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, 1, 1.6732632423543773 * np.exp(z)),
    "gelu": lambda z: stats.norm.cdf(z) + z * stats.norm.pdf(z),
    "silu": lambda z: (1 + z / (1 + np.exp(z))) / (1 + np.exp(-z)),
    "mish": lambda z: (
        np.tanh(np.logaddexp(0, z)) + z / (1 + np.exp(-z)) / np.cosh(np.logaddexp(0, z)) ** 2
    ),
    "softplus": lambda z: 1 / (1 + np.exp(-z)),
    "exp": lambda z: np.e**z,
}


def test_every_activation_has_a_closed_form_here():
    assert set(CLOSED_FORMS) == set(ACTIVATIONS) == set(CLOSED_DERIVATIVES)


@every_activation
def test_value_is_the_closed_form(name):
    z = np.linspace(-30, 30, 1201)
    # Relative to 1 + |g|: exp(z) - 1 and 1 - a² cancel near 0 in the plain formulas.
    expected = CLOSED_FORMS[name](z)
    error = np.abs(ACTIVATIONS[name]().value(z) - expected) / (1 + np.abs(expected))
    assert error.max() < 1e-14


@every_activation
def test_derivative_is_the_closed_form(name):
    g, z = ACTIVATIONS[name](), np.linspace(-30, 30, 1201)
    expected = CLOSED_DERIVATIVES[name](z)
    error = np.abs(g.derivative(z, g.value(z)) - expected) / (1 + np.abs(expected))
    assert error.max() < 1e-14


@every_activation
def test_derivative_is_that_of_differences(name):
    g = ACTIVATIONS[name]()
    z = np.linspace(-4, 4, 400)  # an even number: the kink at 0 is 0.01 away, ten steps
    differences = elementwise_differences(g.value, z)
    error = np.abs(g.derivative(z, g.value(z)) - differences) / (1 + np.abs(differences))
    assert error.max() < 1e-10  # rounding 1e-16 · 4 / 1e-3, with room for the sum of four


@every_activation
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e3, 1e30])
def test_extremes_are_finite_and_without_warnings(name, dtype, size):
    g = ACTIVATIONS[name]()
    # exp overflows from 709 (88) on by definition; downwards it goes to 0.
    z = np.array([-size, 0, -1 if name == "exp" else size], dtype)
    with np.errstate(all="raise", under="ignore"):  # exp(-1000) is 0, and 0 is right
        a = g.value(z)
        derivative = g.derivative(z, a)
    assert np.isfinite(a).all()
    assert np.isfinite(derivative).all()
    # Far to the left and to the right every g is a straight line.
    slopes = {
        "identity": (1, 1),
        "leaky_relu": (0.01, 1),
        "selu": (0, SELU.scale),
        "logistic": (0, 0),
        "tanh": (0, 0),
        "exp": (0, np.exp(-1)),
    }
    expected = slopes.get(name, (0, 1))
    np.testing.assert_allclose(derivative[[0, 2]], expected, rtol=1e-6)


@every_activation
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_largest_numbers_of_a_type_pass_forward_and_back_without_warnings(name, dtype):
    """Half of the largest, which SELU's λ of 1.05 does not make infinite; in short blocks too."""
    g, large = ACTIVATIONS[name](), np.finfo(dtype).max / 2
    z = np.array([-large, -1e4, -100, 0, -1 if name == "exp" else 100, 1, large], dtype)
    if name == "exp":
        z = np.minimum(z, 80)
    for Z in (z, np.tile(z, BLOCK // len(z) + 2)):
        with np.errstate(all="raise", under="ignore"):  # exp(-1000) is 0, and 0 is right
            A, G = np.empty_like(Z), np.empty_like(Z)
            run(g.forward(Z, A, G))
            D = g.derivative(Z, A)
        assert np.isfinite(A).all()
        assert np.isfinite(D).all()
        assert g.from_A or (G == D).all()
        assert ((D > -0.2) & (D < 2) | (name == "exp")).all()  # no slope of the table is steeper


@every_activation
def test_nan_stays_nan(name):
    """By which training sees that it has diverged."""
    a = ACTIVATIONS[name]().value(np.array([1.0, np.nan, -1.0]))
    assert np.isnan(a).tolist() == [False, True, False]


# ----- the calls that the network prepares ----------------------------------------------


@every_activation
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(7, 3), (BLOCK + 100,), (3, 1200, 11)])
@pytest.mark.parametrize("in_place", [False, True])
def test_forward_is_the_value_and_the_derivative(name, dtype, shape, in_place):
    """With A in the memory of Z, as in training, and apart; of what Z holds at each call."""
    g, rng = ACTIVATIONS[name](), np.random.default_rng(0)
    assert g.in_place
    Z, G = np.empty(shape, dtype), np.full(shape, np.nan, dtype)
    A = Z if in_place else np.full(shape, np.nan, dtype)
    with_G, without = g.forward(Z, A, G), g.forward(Z, A)
    for calls in (with_G, without, with_G):
        Z[...] = z = (3 * rng.standard_normal(shape)).astype(dtype)
        G.fill(np.nan)
        run(calls)
        # The same formulas on the same blocks: exactly.
        np.testing.assert_array_equal(A, g.value(z))
        if g.from_A or calls is without:
            assert np.isnan(G).all()
        else:
            np.testing.assert_array_equal(G, g.derivative(z, A))
        if not in_place:
            np.testing.assert_array_equal(Z, z)


@every_activation
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_prepared_value_and_derivative_are_those_of_a_block(name, dtype):
    g, rng = ACTIVATIONS[name](), np.random.default_rng(0)
    z, a, d = np.empty((3, 1000), dtype)
    calls = [g.prepare_value(z, a)] + ([g.prepare_derivative(a, d)] if g.from_A else [])
    for _ in range(2):
        z[...] = 3 * rng.standard_normal(1000)
        run(calls)
        # NumPy's loops may round the last digit by where in memory an array begins.
        digit = {"rtol": 4 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
        np.testing.assert_allclose(a, g.value(z), **digit)
        if g.from_A:
            np.testing.assert_allclose(d, g.derivative(z, a), **digit)


@every_activation
def test_a_derivative_from_A_does_not_need_Z(name):
    """Z has given its memory to A by then."""
    g, Z = ACTIVATIONS[name](), np.linspace(-5, 5, 101)
    A = g.value(Z)
    if g.from_A:
        np.testing.assert_array_equal(g.derivative(A, A), g.derivative(Z, A))
    else:  # and one from Z does not need A
        np.testing.assert_array_equal(g.derivative(Z, np.full_like(A, np.nan)), g.derivative(Z, A))


def test_only_the_identity_says_that_it_is():
    assert [n for n, g in ACTIVATIONS.items() if g().is_identity] == ["identity"]
    assert not CustomActivation(ACTIVATIONS["identity"]()).is_identity
    Z = np.ones((2, 2))
    assert ACTIVATIONS["identity"]().forward(Z, Z) == []  # nothing to do


@every_activation
@pytest.mark.parametrize("n", [100, BLOCK + 100])
def test_float32_stays_float32(name, n):
    g, z = ACTIVATIONS[name](), np.linspace(-4, 4, n, dtype=np.float32)
    a = g.value(z)
    d = g.derivative(z, a)
    assert a.dtype == d.dtype == np.float32
    # 2⁻²⁴ is 6e-8; a formula of several operations may lose ten times that.
    wide = z.astype(np.float64)
    np.testing.assert_allclose(a, CLOSED_FORMS[name](wide), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(d, CLOSED_DERIVATIVES[name](wide), rtol=1e-6, atol=1e-6)


@every_activation
@pytest.mark.parametrize("shape", [(7, 3), (1200, 11)])
def test_out_is_filled_and_returned_and_inputs_stay(name, shape):
    g, Z = ACTIVATIONS[name](), np.random.default_rng(0).standard_normal(shape)
    Z_before, out = Z.copy(), np.full(shape, np.nan)
    A = g.value(Z)
    assert g.value(Z, out=out) is out
    np.testing.assert_array_equal(out, A)
    np.testing.assert_array_equal(Z, Z_before)

    A_before, D = A.copy(), g.derivative(Z, A)
    out = np.full(shape, np.nan)
    assert g.derivative(Z, A, out=out) is out
    np.testing.assert_array_equal(out, D)
    np.testing.assert_array_equal(Z, Z_before)
    np.testing.assert_array_equal(A, A_before)
    assert not np.shares_memory(D, A)
    assert not np.shares_memory(A, Z)


@every_activation
@pytest.mark.parametrize("shape", [(7, 3), (1200, 11)])
def test_value_may_overwrite_its_input(name, shape):
    g, Z = ACTIVATIONS[name](), np.random.default_rng(0).standard_normal(shape)
    A = g.value(Z)
    assert g.value(Z, out=Z) is Z
    np.testing.assert_array_equal(Z, A)


@every_activation
@pytest.mark.parametrize("rows", [5, 2000])
def test_views_with_gaps_give_the_same(name, rows):
    g, wide = ACTIVATIONS[name](), np.random.default_rng(0).standard_normal((rows, 20))
    for Z in (wide[:, ::2], wide[::2], wide.T, wide[::-1], wide[:, 3]):
        compact = np.ascontiguousarray(Z)
        A = g.value(Z)
        # Vectorised loops round differently for strided memory: a few units in the last place.
        np.testing.assert_allclose(A, g.value(compact), rtol=1e-14)
        np.testing.assert_allclose(
            g.derivative(Z, A), g.derivative(compact, g.value(compact)), rtol=1e-13, atol=1e-15
        )


@every_activation
def test_arrays_longer_than_a_block_give_the_same_as_short_ones(name):
    g, Z = ACTIVATIONS[name](), np.random.default_rng(0).standard_normal(3 * BLOCK + 17)
    A = g.value(Z)
    D = g.derivative(Z, A)
    pieces = np.array_split(Z, 40)  # each shorter than a block
    # Not to the bit: the ends of a piece are not where the vector loop's remainder was.
    np.testing.assert_allclose(A, np.concatenate([g.value(z) for z in pieces]), rtol=1e-14)
    np.testing.assert_allclose(
        D, np.concatenate([g.derivative(z, g.value(z)) for z in pieces]), rtol=1e-13, atol=1e-15
    )


@every_activation
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_memory_does_not_grow_with_the_array(name, dtype):
    rows = GROWN // (256 * np.dtype(dtype).itemsize)
    g, Z = ACTIVATIONS[name](), np.full((rows, 256), 0.5, dtype)
    A, out = np.empty_like(Z), np.empty_like(Z)
    assert Z.nbytes >= GROWN

    def both():
        g.value(Z, out=A)
        g.derivative(Z, A, out=out)

    assert peak_memory(both) < CONSTANT
    calls = g.forward(Z, A, out)
    assert peak_memory(lambda: run(calls)) < CONSTANT


@every_activation
def test_pickle_and_repr_make_the_same_object(name):
    g = ACTIVATIONS[name]()
    assert pickle.loads(pickle.dumps(g)) == g
    assert eval(repr(g), vars(activations)) == g


@every_activation
def test_attributes_name_an_initialization_and_an_output(name):
    g = ACTIVATIONS[name]()
    assert g.initialization in INITIALIZATIONS
    assert g.output in {"any", "scale", "fixed"}


@pytest.mark.parametrize("name", [n for n, g in ACTIVATIONS.items() if g.output != "fixed"])
def test_range_of_an_output_that_may_be_scaled_has_no_upper_end(name):
    assert ACTIVATIONS[name]().value(np.array([500.0]))[0] >= 500


def test_slope_and_alpha_are_used():
    z = np.array([-2.0, 3.0])
    leaky, elu = LeakyReLU(negative_slope=0.25), ELU(alpha=2.0)
    np.testing.assert_array_equal(leaky.value(z), [-0.5, 3])
    np.testing.assert_array_equal(leaky.derivative(z, leaky.value(z)), [0.25, 1])
    np.testing.assert_allclose(elu.value(z), [2 * (np.exp(-2) - 1), 3], rtol=1e-15)
    np.testing.assert_allclose(elu.derivative(z, elu.value(z)), [2 * np.exp(-2), 1], rtol=1e-15)


@pytest.mark.parametrize("slope", [-0.01, 1.01, 5, np.inf, np.nan])
def test_a_slope_that_its_formula_cannot_bear_is_refused(slope):
    """max(z, s z) is z on the left for s > 1, and g' cannot be taken from A for s < 0."""
    with pytest.raises(ValueError, match=r"negative_slope must be from 0 to 1; got"):
        LeakyReLU(negative_slope=slope)


@pytest.mark.parametrize("slope", [0, 0.3, 1])
def test_slopes_from_0_to_1(slope):
    g, z = LeakyReLU(negative_slope=slope), np.array([-2.0, 0, 3])
    np.testing.assert_array_equal(g.value(z), [-2 * slope, 0, 3])
    np.testing.assert_array_equal(g.derivative(z, g.value(z)), [slope, slope, 1])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
def test_elu_of_other_alphas(alpha):
    g, z = ELU(alpha=alpha), np.linspace(-4, 4, 101)[::2]  # 0 among them
    np.testing.assert_allclose(
        g.value(z), np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))), rtol=1e-15
    )
    # a + α, where α exp(z) is meant, has an error of the rounding of α.
    np.testing.assert_allclose(
        g.derivative(z, g.value(z)),
        np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0))),
        rtol=1e-15,
        atol=1e-15,
    )


def test_derivative_of_relu_at_its_kink_is_0():
    z = np.zeros(1)
    assert ReLU().derivative(z, ReLU().value(z))[0] == 0


@pytest.mark.parametrize(("power", "moment"), [(1, 0), (2, 1)])
def test_selu_keeps_mean_0_and_variance_1(power, moment):
    """The defining property of its two constants, by an integral over the normal density."""

    def integrand(z):
        return SELU().value(np.array([z]))[0] ** power * stats.norm.pdf(z)

    total = integrate.quad(integrand, -12, 0)[0] + integrate.quad(integrand, 0, 12)[0]
    assert total == pytest.approx(moment, abs=1e-8)  # quad's own default accuracy


class Square:
    """g(z) = z², by a user who knows nothing of `out`."""

    output = "scale"

    def value(self, Z, out=None):
        return Z * Z

    def derivative(self, Z, A, out=None):
        return 2 * Z

    def __repr__(self):
        return "Square()"


class Cube:
    """g(z) = z³, by a user who writes to `out` before Z has been read to the end."""

    def value(self, Z, out=None):
        out = np.square(Z, out=out)
        return np.multiply(out, Z, out=out)  # Z², times Z² if out is Z

    def derivative(self, Z, A, out=None):
        out = np.square(Z, out=out)
        return np.multiply(out, 3, out=out)


@pytest.mark.parametrize(("user", "power"), [(Square(), 2), (Cube(), 3)])
@pytest.mark.parametrize("out", ["none", "given", "Z"])
def test_users_object_is_held_to_the_contract_of_out(user, power, out):
    g, Z = CustomActivation(user), np.array([[-1.0, 2.0, 3.0]])
    expected = Z**power
    target = {"none": None, "given": np.empty_like(Z), "Z": Z}[out]
    A = g.value(Z, out=target)
    np.testing.assert_array_equal(A, expected)
    assert target is None or A is target


@pytest.mark.parametrize(("user", "power"), [(Square(), 2), (Cube(), 3)])
def test_users_derivative_goes_into_out(user, power):
    g, Z, out = CustomActivation(user), np.array([[-1.0, 2.0, 3.0]]), np.empty((1, 3))
    assert g.derivative(Z, g.value(Z), out=out) is out
    np.testing.assert_array_equal(out, power * Z ** (power - 1))
    np.testing.assert_array_equal(g.derivative(Z, g.value(Z)), out)


@pytest.mark.parametrize(("user", "power"), [(Square(), 2), (Cube(), 3)])
def test_calls_of_a_users_object(user, power):
    """With Z and A apart, and g' from what the two then hold."""
    g, (Z, A, G) = CustomActivation(user), np.ones((3, 2, 3))
    assert (g.in_place, g.from_A) == (False, False)
    with_G, without = g.forward(Z, A, G), g.forward(Z, A)
    for calls in (with_G, without, with_G):
        Z += 2.0
        G.fill(np.nan)
        run(calls)
        np.testing.assert_array_equal(A, Z**power)
        expected = np.nan if calls is without else power * Z ** (power - 1)
        np.testing.assert_array_equal(G, np.broadcast_to(expected, G.shape))


def test_users_object_has_the_defaults_unless_it_says_otherwise():
    assert (CustomActivation(Cube()).initialization, CustomActivation(Cube()).output) == (
        "glorot",
        "fixed",
    )
    assert CustomActivation(Square()).output == "scale"
    assert repr(CustomActivation(Square())) == "Square()"
    assert pickle.loads(pickle.dumps(CustomActivation(Square()))).output == "scale"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_whole_numbers_are_not_truncated(name):
    Z = np.array([[1, -2], [3, -1]])
    g = ACTIVATIONS[name]()
    np.testing.assert_allclose(g.value(Z), g.value(Z.astype(float)), rtol=1e-12)
    A = g.value(Z.astype(float))
    np.testing.assert_allclose(g.derivative(Z, A), g.derivative(Z.astype(float), A), rtol=1e-12)


class Double(ReLU):
    """g(z) = 2 max(0, z): a subclass with formulas of its own."""

    def _value(self, z, a):
        np.multiply(np.maximum(z, 0), 2, out=a)

    def _derivative(self, a, d):
        np.multiply(np.greater(a, 0), 2.0, out=d)


def test_a_subclass_s_own_formulas_are_the_ones_that_are_prepared():
    g, Z = Double(), np.random.default_rng(0).standard_normal((7, 5))
    A, S = np.empty_like(Z), np.empty_like(Z)
    run(g.forward(Z, A))
    np.testing.assert_array_equal(A, 2 * np.maximum(Z, 0))
    g.prepare_derivative(A, S)()
    np.testing.assert_array_equal(S, 2.0 * (Z > 0))
    run(ReLU().forward(Z, A))  # and the parent's are its own
    np.testing.assert_array_equal(A, np.maximum(Z, 0))
