"""The matrix calculus: every rule against differences, and the rules joined."""

import numpy as np
import pytest
from gradcheck import central_differences, relative_error, vjp_error

from skbackprop.activations import ACTIVATIONS, Tanh
from skbackprop.calculus import (
    Add,
    Elementwise,
    LeftMultiply,
    RightMultiply,
    SquaredFrobeniusNorm,
    addition,
    check_derivative,
    elementwise,
    left_multiplication,
    product,
    right_multiplication,
    squared_frobenius_norm,
)

# The differences of a polynomial or of tanh with STEP = 1e-3 carry rounding errors of
# about 1e-13; 1e-10 leaves room for a thousand of them and for no mistake.
TOLERANCE = 1e-10

M, N, P = 4, 3, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def matrix_functions(rng):
    """name -> (G, G as an object, X), X (4, 3)."""
    W_right, W_left, C = (rng.standard_normal(s) for s in [(N, P), (P, M), (M, N)])
    return {
        "right": RightMultiply(W_right),
        "right, one column": RightMultiply(W_right[:, :1]),
        "left": LeftMultiply(W_left),
        "left, one row": LeftMultiply(W_left[:1]),
        "addition": Add(C),
        "addition of a row": Add(C[:1]),
        "elementwise": Elementwise(Tanh()),
    }


NAMES = list(matrix_functions(np.random.default_rng(0)))


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_passes_the_dot_product_test(name, rng):
    G, X = matrix_functions(rng)[name], rng.standard_normal((M, N))
    assert vjp_error(G.value, G.pull_back, X, rng) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_derivative_of_norm_after_every_rule_is_that_of_differences(name, rng):
    f = SquaredFrobeniusNorm() @ matrix_functions(rng)[name]
    X = rng.standard_normal((M, N))
    assert relative_error(f.derivative(X), central_differences(f.value, X)) < TOLERANCE


def test_functions_are_the_articles_formulas(rng):
    X, W, V = rng.standard_normal((M, N)), rng.standard_normal((N, P)), rng.standard_normal((P, M))
    dXW, dVX = rng.standard_normal((M, P)), rng.standard_normal((P, N))
    # einsum spells the indices of the article's derivation out; equal up to rounding.
    np.testing.assert_allclose(
        right_multiplication(dXW, W), np.einsum("il,jl->ij", dXW, W), rtol=1e-14
    )
    np.testing.assert_allclose(
        left_multiplication(dVX, V), np.einsum("ki,kj->ij", V, dVX), rtol=1e-14, atol=1e-15
    )
    np.testing.assert_array_equal(elementwise(X, 3 * X), X * (3 * X))
    np.testing.assert_array_equal(addition(X, 5.0), X)
    np.testing.assert_array_equal(squared_frobenius_norm(X), 2 * X)
    np.testing.assert_array_equal(squared_frobenius_norm(X, 1 / 4), X / 2)  # powers of 2: exact


def cases_of_out(rng):
    X, W = rng.standard_normal((M, N)), rng.standard_normal((N, P))
    dG = rng.standard_normal((M, P))
    return {
        "right": (right_multiplication, (dG, W), (M, N)),
        "right, one column": (right_multiplication, (dG[:, :1], W[:, :1]), (M, N)),
        "left": (left_multiplication, (dG, X), (N, P)),
        "elementwise": (elementwise, (X, X + 1), (M, N)),
        "addition": (addition, (X, 2.0), (M, N)),
        "norm": (squared_frobenius_norm, (X,), (M, N)),
        "norm with a factor": (squared_frobenius_norm, (X, 0.25), (M, N)),
    }


@pytest.mark.parametrize("name", list(cases_of_out(np.random.default_rng(0))))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_out_is_filled_and_returned_and_inputs_stay(name, dtype, rng):
    function, args, shape = cases_of_out(rng)[name]
    args = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in args]
    before = [np.copy(a) for a in args]
    pure = function(*args)
    out = np.full(shape, np.nan, dtype)
    assert function(*args, out=out) is out
    np.testing.assert_array_equal(out, pure)
    assert pure.dtype == dtype
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", list(cases_of_out(np.random.default_rng(0))))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_prepared_rule_is_the_rule_of_what_the_arrays_then_hold(name, dtype, rng):
    rule, args, shape = cases_of_out(rng)[name]
    args = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in args]
    out = np.full(shape, np.nan, dtype)
    call = rule.prepare(*args, out=out)
    assert np.isnan(out).all()  # nothing is computed before the call
    for _ in range(3):
        for a in args:
            if isinstance(a, np.ndarray):
                a[...] = rng.standard_normal(a.shape)
        expected = rule(*args)
        call()
        # The same call to NumPy but for `out`, with which a product may be np.dot: the other
        # routine may add in another order, two or four terms of size 1.
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
        again = out.copy()
        call()
        np.testing.assert_array_equal(out, again)
    np.testing.assert_array_equal(rule.prepare(*args)(), rule(*args))


def test_a_rule_has_its_name_and_its_equation():
    """Which update_wrapper gives to the object, for help() and for the derivation's text."""
    assert right_multiplication.__name__ == "right_multiplication"
    assert right_multiplication.__doc__ == "df/dX = df/dG Wᵀ,  where G(X) = X W."
    assert squared_frobenius_norm.__doc__.startswith("df/dG = 2 c G")


def test_elementwise_addition_and_norm_work_in_place(rng):
    X = rng.standard_normal((M, N))
    for function, args in [
        (elementwise, (X + 1,)),
        (addition, (2.0,)),
        (squared_frobenius_norm, ()),
    ]:
        expected, dG = function(X.copy(), *args), X.copy()
        assert function(dG, *args, out=dG) is dG
        np.testing.assert_array_equal(dG, expected)


def test_rules_take_stacks_of_matrices(rng):
    dG, W = rng.standard_normal((5, M, P)), rng.standard_normal((5, N, P))
    V, dV = rng.standard_normal((5, P, M)), rng.standard_normal((5, P, N))
    for k in range(5):
        # A stack may go to another routine of BLAS than a matrix: equal up to rounding.
        np.testing.assert_allclose(
            right_multiplication(dG, W)[k], right_multiplication(dG[k], W[k]), rtol=1e-13
        )
        np.testing.assert_allclose(
            left_multiplication(dV, V)[k], left_multiplication(dV[k], V[k]), rtol=1e-12, atol=1e-15
        )


# ----- the product of two matrices ------------------------------------------------------

# (m, n, k) of X (m, n) and Y (n, k): a few numbers; an outer product; a scalar one; a row or a
# column alone; in float64 below and above the 16 kB from which np.dot gives way to np.matmul.
SIZES = {
    "small": (4, 3, 2),
    "outer": (4, 1, 3),
    "large outer": (200, 1, 100),
    "one number": (1, 1, 1),
    "one row": (1, 5, 3),
    "one column": (5, 3, 1),
    "below the bound": (32, 13, 50),
    "above the bound": (100, 13, 50),
}
LAYOUTS = ["C", "F", "padded", "every other row"]


def laid_out(shape, layout, dtype=np.float64):
    """NaN of a shape in memory of some order, "padded" as A[l] is beside its ones."""
    if layout == "padded":
        return np.full((*shape[:-1], shape[-1] + 1), np.nan, dtype)[..., 1:]
    if layout == "every other row":
        return np.full((*shape[:-2], 2 * shape[-2], shape[-1]), np.nan, dtype)[..., ::2, :]
    if layout == "F":
        return np.full((*shape[:-2], shape[-1], shape[-2]), np.nan, dtype).swapaxes(-1, -2)
    return np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stack", [(), (3,), (1,)])
@pytest.mark.parametrize("of_X", LAYOUTS)
@pytest.mark.parametrize("of_Y", LAYOUTS)
def test_product_is_the_sum_over_the_inner_index(size, stack, of_X, of_Y, rng):
    m, n, k = SIZES[size]
    X, Y = laid_out((*stack, m, n), of_X), laid_out((*stack, n, k), of_Y)
    outs = [laid_out((*stack, m, k), layout) for layout in LAYOUTS]
    calls = [product(X, Y, out) for out in outs]
    for _ in range(2):  # prepared once, for whatever the matrices then hold
        X[...], Y[...] = rng.standard_normal(X.shape), rng.standard_normal(Y.shape)
        expected = np.einsum("...ij,...jk->...ik", X, Y)
        for call, out in zip(calls, outs, strict=True):
            call()
            # Up to 13 terms of size 1, in any order: 13 roundings of 1e-16 times their sum.
            np.testing.assert_allclose(out, expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(product(X, Y)(), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stack", [(), (3,)])
def test_product_of_float32_is_float32_and_touches_nothing_beside_its_result(size, stack, rng):
    m, n, k = SIZES[size]
    X = rng.standard_normal((*stack, m, n)).astype(np.float32)
    Y = rng.standard_normal((*stack, n, k)).astype(np.float32)
    assert product(X, Y)().dtype == np.float32
    around = np.full((*stack, m + 2, k + 2), 7, np.float32)
    product(X, Y, around[..., 1:-1, 1:-1])()
    frame = np.ones(around.shape, bool)
    frame[..., 1:-1, 1:-1] = False
    assert (around[frame] == 7).all()
    wide = np.einsum("...ij,...jk->...ik", X.astype(np.float64), Y.astype(np.float64))
    # 13 terms and roundings of 6e-8.
    np.testing.assert_allclose(around[..., 1:-1, 1:-1], wide, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_out", [False, True])
@pytest.mark.parametrize(
    ("X", "Y"),
    [((4, 1), (4, 3)), ((4, 1), (2, 3)), ((4, 3), (2, 5)), ((4, 3), (1, 5)), ((1, 1), (3, 3))],
)
def test_matrices_that_do_not_fit_have_no_product(X, Y, with_out):
    """Not even (4, 1) and (4, 3), which NumPy would stretch and multiply entry by entry."""
    out = np.empty((X[0], Y[1])) if with_out else None
    with pytest.raises(ValueError):
        product(np.ones(X), np.ones(Y), out)()


def test_derivative_of_a_long_chain_is_that_of_differences(rng):
    W, C, V = (rng.standard_normal(s) for s in [(N, P), (M, P), (3, M)])
    f = SquaredFrobeniusNorm() @ LeftMultiply(V) @ Elementwise(Tanh()) @ Add(C) @ RightMultiply(W)
    X = rng.standard_normal((M, N))
    assert relative_error(f.derivative(X), central_differences(f.value, X)) < TOLERANCE


def test_a_network_of_two_layers_written_with_the_rules(rng):
    """df/dA[0] of 1/m‖g(X W[1]) W[2] - Y‖², by the composed rules and by the article."""
    X, Y = rng.standard_normal((M, N)), rng.standard_normal((M, 1))
    W1, W2 = rng.standard_normal((N, P)), rng.standard_normal((P, 1))
    f = (
        SquaredFrobeniusNorm()
        @ Add(-Y)
        @ RightMultiply(W2)
        @ Elementwise(Tanh())
        @ RightMultiply(W1)
    )
    A1 = np.tanh(X @ W1)
    dZ2 = 2 * (A1 @ W2 - Y)
    dZ1 = dZ2 @ W2.T * (1 - A1**2)
    np.testing.assert_allclose(f.derivative(X), dZ1 @ W1.T, rtol=1e-12)
    assert f.value(X) == pytest.approx(np.sum((A1 @ W2 - Y) ** 2), rel=1e-14)


def test_joining_is_associative(rng):
    f, g, h = (
        SquaredFrobeniusNorm(),
        Elementwise(Tanh()),
        RightMultiply(rng.standard_normal((N, P))),
    )
    X = rng.standard_normal((M, N))
    np.testing.assert_array_equal(((f @ g) @ h).derivative(X), (f @ (g @ h)).derivative(X))
    assert ((f @ g) @ h).value(X) == (f @ (g @ h)).value(X)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_can_stand_in_a_chain(name, rng):
    X = rng.uniform(0.1, 1.5, (M, N)) * rng.choice([-1, 1], (M, N))  # away from kinks at 0
    f = SquaredFrobeniusNorm() @ Elementwise(ACTIVATIONS[name]())
    # Third derivatives of elu and mish near 0 make the truncation larger than tanh's.
    assert relative_error(f.derivative(X), central_differences(f.value, X)) < 1e-9


def test_derivative_of_a_matrix_function_is_refused():
    with pytest.raises(TypeError, match="scalar function"):
        RightMultiply(np.ones((2, 2))).derivative(np.ones((3, 2)))


def test_an_addition_that_stretches_x_is_refused():
    with pytest.raises(ValueError, match=r"X \+ C"):
        Add(np.ones((3, 2))).value(np.ones((1, 2)))


def test_only_functions_can_be_joined():
    with pytest.raises(TypeError):
        SquaredFrobeniusNorm() @ 2.0


def test_repr_says_what_is_joined():
    f = SquaredFrobeniusNorm() @ Add(np.zeros((4, 1))) @ RightMultiply(np.zeros((3, 1)))
    assert repr(f) == "SquaredFrobeniusNorm() @ Add(4×1) @ RightMultiply(3×1)"


# ----- what a student may type ----------------------------------------------------------


def test_lists_in_place_of_arrays():
    for f in (SquaredFrobeniusNorm(), SquaredFrobeniusNorm() @ Elementwise(Tanh())):
        X = [[1.0, 2.0], [3.0, -1.0]]
        np.testing.assert_array_equal(f.derivative(X), f.derivative(np.array(X)))
        assert f.value(X) == f.value(np.array(X))


def test_the_article_s_loss_with_its_factor(rng):
    """f(X) = 1/m ‖X W - Y‖²_F:  df/dX = 2/m (X W - Y) Wᵀ."""
    X, W, Y = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    f = 1 / 4 * SquaredFrobeniusNorm() @ Add(-Y) @ RightMultiply(W)
    assert f.value(X) == pytest.approx(np.sum((X @ W - Y) ** 2) / 4)
    np.testing.assert_allclose(f.derivative(X), 2 / 4 * (X @ W - Y) @ W.T, rtol=1e-12)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: RightMultiply([1.0, 2.0]), "needs a matrix"),
        (lambda: SquaredFrobeniusNorm() @ np.ones((2, 2)), "f.value"),
        (lambda: np.ones((2, 2)) @ SquaredFrobeniusNorm(), "unsupported operand"),
        (lambda: Elementwise(np.tanh), "such as Tanh"),
        (lambda: RightMultiply(np.ones((3, 2))).value(np.ones((4, 2))), "X W needs"),
        (lambda: LeftMultiply(np.ones((3, 2))).value(np.ones((4, 2))), "W X needs"),
        (lambda: Add(np.ones((3, 2))).value(np.ones((4, 2))), r"X \+ C needs"),
        (lambda: right_multiplication(np.ones((4, 1)), np.ones((3, 4))), "mismatch"),
    ],
)
def test_mistakes_are_named(mistake, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mistake()


# ----- check_derivative -----------------------------------------------------------------


def chain(rng, *inner):
    W, Y = rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    f = 1 / 4 * SquaredFrobeniusNorm() @ Add(-Y) @ Elementwise(Tanh()) @ RightMultiply(W)
    for G in inner:
        f = f @ G
    return f


def test_every_step_of_a_composition_is_compared(rng):
    f = chain(rng, LeftMultiply(rng.normal(size=(4, 5))))
    report = check_derivative(f, rng.normal(size=(5, 3)))
    assert report.passed, report
    assert [line.rule.partition("input of ")[2] for line in report] == [
        "SquaredFrobeniusNorm()", "Add(4×2)", "Elementwise(Tanh())", "RightMultiply(3×2)",
        "LeftMultiply(4×5)",
    ]  # fmt: skip
    assert max(line.error for line in report) < 1e-8


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_in_a_composition(name, rng):
    f = 0.5 * SquaredFrobeniusNorm() @ Elementwise(ACTIVATIONS[name]())
    assert check_derivative(f, rng.normal(size=(4, 3))).passed


class Untransposed(RightMultiply):
    """W where Wᵀ should be: a square W hides it from a check of shapes."""

    def pull_back(self, dG, X):
        return dG @ self.constant


def test_the_step_that_is_wrong_is_named(rng):
    f = chain(rng, Untransposed(rng.normal(size=(3, 3))), Elementwise(Tanh()))
    report = check_derivative(f, rng.normal(size=(4, 3)))
    assert not report.passed
    assert [line.rule for line in report.faults] == ["df/dX, X the input of Untransposed(3×3)"]
    assert report[-1].status == "follows" and "Untransposed(3×3)" in report[-1].note


def test_any_object_with_a_value_and_a_derivative(rng):
    class Sum:
        def __init__(self, factor):
            self.factor = factor

        def value(self, X):
            return np.sum(X**3)

        def derivative(self, X):
            return self.factor * X**2

    for X in (rng.normal(size=7), rng.normal(size=(40, 30)), [[1, 2]]):
        assert check_derivative(Sum(3), X).passed
        assert check_derivative(Sum(6), X).faults[0].factor == pytest.approx(2)


@pytest.mark.parametrize(
    ("f", "X", "error", "message"),
    [
        (np.sum, np.ones((2, 2)), TypeError, "f must be an object with value"),
        (SquaredFrobeniusNorm, np.ones((2, 2)), TypeError, "f must be an object with value"),
        (Add(np.ones((2, 2))), np.ones((2, 2)), TypeError, "f must be a scalar function"),
        (SquaredFrobeniusNorm(), [[np.nan]], ValueError, "X must hold finite real numbers"),
        (SquaredFrobeniusNorm(), [["a"]], ValueError, "X must hold finite real numbers"),
        (SquaredFrobeniusNorm(), [[1j]], ValueError, "X must hold finite real numbers"),
        (SquaredFrobeniusNorm(), np.ones((0, 2)), ValueError, "X must hold finite real numbers"),
        (SquaredFrobeniusNorm() @ RightMultiply([[1.0]]), np.ones((2, 2)), ValueError, "X W"),
    ],
)
def test_what_cannot_be_checked_is_refused(f, X, error, message):
    with pytest.raises(error, match=message):
        check_derivative(f, X)
