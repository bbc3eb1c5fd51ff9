"""Activations: values, derivatives, extremes, types, the contract of `out`."""

import pickle

import numpy as np
import pytest
from allocation import CONSTANT, peak_memory
from gradcheck import elementwise_differences
from scipy import integrate, stats

from skbackprop import activations
from skbackprop.activations import ACTIVATIONS, ELU, SELU, CustomActivation, LeakyReLU, ReLU
from skbackprop.blocks import BLOCK
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
    for Z in (wide[:, ::2], wide[::2], wide.T):
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
    g, Z = ACTIVATIONS[name](), np.full((4096, 256), 0.5, dtype)
    A, out = np.empty_like(Z), np.empty_like(Z)
    assert Z.nbytes >= 8 * CONSTANT

    def both():
        g.value(Z, out=A)
        g.derivative(Z, A, out=out)

    assert peak_memory(both) < CONSTANT


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
