"""check_activation and check_loss: the package's own objects pass, each broken promise is named."""

import numpy as np
import pytest
from own import classic

from skbackprop import check_activation, check_loss
from skbackprop.activations import ACTIVATIONS, Activation, LeakyReLU, Mish
from skbackprop.losses import LOSSES, Gamma, Huber, Loss, Poisson


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_keeps_its_promises(name):
    for activation in (name, ACTIVATIONS[name]()):
        report = check_activation(activation)
        assert report.passed, report
        assert {line.status for line in report} == {"ok"}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_keeps_its_promises(name):
    for loss in (name, LOSSES[name]()):
        report = check_loss(loss)
        assert report.passed, report
        assert {line.status for line in report} == {"ok"}


def test_kinks_are_counted():
    assert [check_activation(g)[1].kinks for g in ("relu", "selu", "elu", "tanh")] == [1, 1, 0, 0]
    assert [check_loss(f)[0].kinks for f in ("absolute_error", "quantile", "huber")] == [1, 1, 0]


# ----- a user's own -----------------------------------------------------------------------


class Sine:
    """In place where it is asked to."""

    def value(self, Z, out=None):
        return np.sin(Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.cos(Z, out=out)


class Careless(Sine):
    """`out` may be left alone: the result is copied."""

    def value(self, Z, out=None):
        return np.sin(Z)

    def derivative(self, Z, A, out=None):
        return np.cos(Z)


class Square:
    def value(self, A, Y, weight=None):
        return float(np.sum((1 / len(A) if weight is None else weight) * (A - Y) ** 2))

    def derivative(self, A, Y, weight=None, out=None):
        out = np.subtract(A, Y, out=out)
        return np.multiply(out, 2 * (1 / len(A) if weight is None else weight), out=out)


class Share:
    """y log(y/a) + (1 - y) log((1 - y)/(1 - a)): for A and Y between 0 and 1."""

    def value(self, A, Y, weight=None):
        loss = Y * np.log(Y / A) + (1 - Y) * np.log((1 - Y) / (1 - A))
        return np.sum(loss / len(A) if weight is None else weight * loss)

    def derivative(self, A, Y, weight=None, out=None):
        slope = (A - Y) / (A * (1 - A))
        return slope / len(A) if weight is None else weight * slope


@pytest.mark.parametrize("g", [Sine(), Careless(), LeakyReLU(0.2)])
def test_an_activation_of_a_users_own(g):
    assert check_activation(g).passed, check_activation(g)


def test_a_loss_of_a_users_own():
    assert check_loss(Square()).passed, check_loss(Square())


def test_a_loss_with_a_domain():
    """It is found among three; and what nothing refuses is said."""
    report = check_loss(Share())
    assert [line.rule for line in report.faults] == ["targets of which f is no number are refused"]
    A, Y = np.random.default_rng(0).uniform(0.1, 0.9, (2, 7, 2))
    assert check_loss(Share(), A, Y)[0].status == "ok"


# ----- broken promises --------------------------------------------------------------------


class WrongSlope(Sine):
    def derivative(self, Z, A, out=None):
        return np.negative(np.cos(Z), out=out)


class FromTheWrongArgument(Sine):
    def derivative(self, Z, A, out=None):
        return np.cos(A, out=out)


class OutsideTheKink(Sine):
    """relu'(0) = 2."""

    def value(self, Z, out=None):
        return np.maximum(Z, 0, out=out)

    def derivative(self, Z, A, out=None):
        return np.where(Z == 0, 2.0, Z > 0)


class Softmax(Sine):
    def value(self, Z, out=None):
        e = np.exp(Z - Z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def derivative(self, Z, A, out=None):
        return A * (1 - A)


class Flattened(Sine):
    def value(self, Z, out=None):
        return np.sin(Z).ravel()


class Squeezed(Sine):
    """Flat for a single row or column."""

    def value(self, Z, out=None):
        return np.squeeze(np.sin(Z))


class FillsHalfOfOut(Sine):
    def value(self, Z, out=None):
        if out is not None:
            np.sin(Z[::2], out=out[::2])
        return np.sin(Z)


class FillsOutWithAnother(Sine):
    def value(self, Z, out=None):
        if out is not None:
            out[...] = 0
        return np.sin(Z)


class TakesNoOut(Sine):
    def value(self, Z):
        return np.sin(Z)


class ChangesZ(Sine):
    def value(self, Z, out=None):
        return np.sin(Z, out=Z)


class ChangesA(Sine):
    def derivative(self, Z, A, out=None):
        return np.sqrt(np.subtract(1, np.square(A, out=A), out=A)) * np.sign(np.cos(Z))


class Overflows(Sine):
    """exp z / (1 + exp z): ∞/∞ from z = 710 on."""

    def value(self, Z, out=None):
        return np.exp(Z) / (1 + np.exp(Z))

    def derivative(self, Z, A, out=None):
        return A * (1 - A)


class HalfPrecision(Sine):
    def value(self, Z, out=None):
        return np.sin(Z.astype(np.float16)).astype(Z.dtype) if Z.dtype == np.float32 else np.sin(Z)


class Noisy(Sine):
    def value(self, Z, out=None):
        return np.sin(Z) + np.random.default_rng().normal(0, 1e-3, Z.shape)


class Unpicklable(Sine):
    def __init__(self):
        self.f = lambda Z: Z


class TwoFormulas(Mish):
    """g on the way forward, with g', is another than g alone."""

    def _both(self, z, a, d):
        super()._both(z, a, d)
        a += 1e-3


class WrongFromA(Activation):
    from_A = True

    def _value(self, z, a):
        np.tanh(z, out=a)

    def _derivative(self, a, d):
        np.subtract(1, a, out=d)


BAD_ACTIVATIONS = {
    WrongSlope: "g'(Z) = dg/dZ",
    FromTheWrongArgument: "g'(Z) = dg/dZ",
    OutsideTheKink: "g'(Z) = dg/dZ",
    Softmax: "g and g' go entry by entry",
    Flattened: "g(Z) and g'(Z) have the shape of Z",
    Squeezed: "g(Z) and g'(Z) have the shape of Z",
    FillsHalfOfOut: "out= changes no result",
    FillsOutWithAnother: "out= changes no result",
    TakesNoOut: "out= changes no result",
    ChangesZ: "Z and A are left as they are",
    ChangesA: "Z and A are left as they are",
    Overflows: "no NaN for |z| up to 1000",
    HalfPrecision: "float32 is float64 but for rounding",
    Noisy: "copies and pickles compute the same",
    Unpicklable: "copies and pickles compute the same",
    TwoFormulas: "training computes the same",
    WrongFromA: "g'(Z) = dg/dZ",
}


@pytest.mark.parametrize("cls", BAD_ACTIVATIONS, ids=lambda cls: cls.__name__)
def test_what_is_wrong_with_an_activation_is_named(cls):
    report = check_activation(cls())
    assert not report.passed
    assert BAD_ACTIVATIONS[cls] in [line.rule for line in report.faults], report


class HalfSlope(Square):
    def derivative(self, A, Y, weight=None, out=None):
        return super().derivative(A, Y, weight, out) / 2


class ForgetsWeights(Square):
    def derivative(self, A, Y, weight=None, out=None):
        return super().derivative(A, Y, None, out)


class SquaresWeights(Square):
    def value(self, A, Y, weight=None):
        return super().value(A, Y, None if weight is None else weight**2)

    def derivative(self, A, Y, weight=None, out=None):
        return super().derivative(A, Y, None if weight is None else weight**2, out)


class SumOverRows(Square):
    def value(self, A, Y, weight=None):
        return super().value(A, Y, np.ones((len(A), 1)) if weight is None else weight)

    def derivative(self, A, Y, weight=None, out=None):
        return super().derivative(A, Y, np.ones((len(A), 1)) if weight is None else weight, out)


class MeanOverOutputs(Square):
    def value(self, A, Y, weight=None):
        return super().value(A, Y, weight) / A.shape[1]

    def derivative(self, A, Y, weight=None, out=None):
        return super().derivative(A, Y, weight) / A.shape[1]


class ByRow(Square):
    """One loss a row and no number."""

    def value(self, A, Y, weight=None):
        return np.sum((A - Y) ** 2, axis=1)


class ChangesTargets(Square):
    def derivative(self, A, Y, weight=None, out=None):
        Y -= A
        return -2 * Y * (1 / len(A) if weight is None else weight)


class OutIsSomethingElse(Square):
    def derivative(self, A, Y, weight=None, out=None):
        result = super().derivative(A, Y, weight)
        if out is not None:
            np.copyto(out, A)
        return result


class ReturnsSomethingElse(Square):
    def derivative(self, A, Y, weight=None, out=None):
        result = super().derivative(A, Y, weight, out)
        return result if out is None else 2 * result


class NotTranslationInvariant(Loss):
    translation_invariant = True

    def elementwise(self, A, Y):
        return (A - Y) ** 2 * (1 + Y**2)

    def elementwise_derivative(self, A, Y):
        return 2 * (A - Y) * (1 + Y**2)


class NoDomain(Gamma):
    def check_targets(self, Y):
        pass


class WrongBest(Huber):
    def best_constant(self, Y, weight=None):
        return np.median(Y, axis=0) + 1


class WrongDerivativeZ(Poisson):
    def derivative_Z(self, A, Y, weight=None, out=None):
        return np.multiply(super().derivative_Z(A, Y, weight), 2, out=out)


class Prepared(Huber):
    def prepare(self, A, Y, weight, out, from_Z=False):
        return [*super().prepare(A, Y, weight, out, from_Z), lambda: np.negative(out, out=out)]


BAD_LOSSES = {
    HalfSlope: "df/dA without weights",
    ForgetsWeights: "df/dA with weights",
    SquaresWeights: "f is linear in the weights",
    SumOverRows: "f without weights is the mean over the rows",
    MeanOverOutputs: "f is the sum over the outputs",
    ChangesTargets: "A, Y and the weights are left as they are",
    OutIsSomethingElse: "out= changes no result",
    ReturnsSomethingElse: "out= changes no result",
    NotTranslationInvariant: "f(A + c, Y + c) = f(A, Y)",
    NoDomain: "targets of which f is no number are refused",
    WrongBest: "no constant is better than the best",
    WrongDerivativeZ: "df/dZ = df/dA ⊙ g'(Z)",
    Prepared: "training computes the same",
}


@pytest.mark.parametrize("cls", BAD_LOSSES, ids=lambda cls: cls.__name__)
def test_what_is_wrong_with_a_loss_is_named(cls):
    A, Y = np.random.default_rng(0).uniform(0.5, 2, (2, 9, 3))
    report = check_loss(cls(), A, Y)
    assert not report.passed
    assert BAD_LOSSES[cls] in [line.rule for line in report.faults], report


class Fast:
    """A rounding of z in float32 is 30 times as large in g and 900 times in g'."""

    def value(self, Z, out=None):
        return np.sin(30 * Z, out=out)

    def derivative(self, Z, A, out=None):
        return np.multiply(30, np.cos(30 * Z), out=out)


class Bent:
    """At a number that float32 does not hold."""

    def value(self, Z, out=None):
        return np.maximum(Z, 0.1, out=out)

    def derivative(self, Z, A, out=None):
        return np.greater(Z, 0.1, out=np.empty_like(Z) if out is None else out)


@pytest.mark.parametrize("g", [Fast(), Bent()], ids=["fast", "bent"])
def test_what_float32_makes_of_z_is_no_fault(g):
    report = check_activation(g)
    assert report.passed, report


class Small:
    """1e-9 sin z, with a derivative of 0."""

    def value(self, Z, out=None):
        return np.multiply(1e-9, np.sin(Z), out=out)

    def derivative(self, Z, A, out=None):
        return np.multiply(0, Z, out=out)


def test_an_activation_is_measured_by_its_own_slopes():
    assert [line.rule for line in check_activation(Small()).faults] == ["g'(Z) = dg/dZ"]


class WrongInATail(Sine):
    def derivative(self, Z, A, out=None):
        return np.add(np.cos(Z), 1e-3 * (Z > 9.5), out=out)


def test_a_factor_of_1_explains_nothing():
    fault = check_activation(WrongInATail()).faults[0]
    assert fault.factor is None and not fault.note


def test_a_factor_is_named():
    assert check_loss(HalfSlope()).faults[0].factor == pytest.approx(0.5)
    assert check_activation(WrongSlope()).faults[0].factor == pytest.approx(-1)


# ----- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 3, Sine, "sine", np.sin])
def test_what_is_no_activation_is_refused_as_fit_refuses_it(wrong):
    with pytest.raises((TypeError, ValueError), match="activation must be one of") as said:
        check_activation(wrong)
    with pytest.raises(said.type, match="activation must be one of"):
        classic(activation=wrong).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("wrong", [None, 3, Square, "square", np.sin])
def test_what_is_no_loss_is_refused_as_fit_refuses_it(wrong):
    with pytest.raises((TypeError, ValueError), match="loss must be one of"):
        check_loss(wrong)


def test_predictions_and_targets_that_will_not_do():
    one = np.ones((3, 2))
    for A, Y in ((one, one[:2]), (one[0], one[0]), (one[:0], one[:0]), (one, None), (None, one)):
        with pytest.raises(ValueError, match=r"\bA and Y must both be \(m, outputs\)"):
            check_loss("huber", A, Y)
    with pytest.raises(ValueError, match=r"\bA and Y must be arrays of numbers"):
        check_loss("huber", A="a", Y="b")
    with pytest.raises(ValueError, match="A and Y must be such that the loss is finite"):
        check_loss("poisson", one, -one)
    with pytest.raises(TypeError, match=r"the value\(\) of loss must be a number"):
        check_loss(ByRow())
    with pytest.raises(ValueError, match="give A and Y"):
        check_loss(Nowhere())


class Nowhere(Square):
    def value(self, A, Y, weight=None):
        return np.nan
