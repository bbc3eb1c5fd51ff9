"""Optimizers: the textbook formulas, convergence, and what a step may touch."""

import pickle
from dataclasses import asdict

import numpy as np
import pytest
from allocation import CONSTANT, peak_memory
from scipy.optimize import rosen, rosen_der

from skbackprop.blocks import BLOCK
from skbackprop.optimizers import OPTIMIZERS, SGD, Adam, AdamW, RMSprop

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)

# ----- the formulas, one number at a time ----------------------------------------------


def sgd(theta, gradients, rate, mu):
    v = np.zeros_like(theta)
    for g in gradients:
        v = mu * v - rate * g
        theta = theta + v
    return theta


def nesterov(theta, gradients, rate, mu):
    """Sutskever et al. 2013, eqs. 3 and 4: v ← μ v - α ∇f(θ + μ v), θ ← θ + v.

    The optimizer's theta is the point θ + μ v at which the gradient is taken; a list of
    gradients that does not depend on theta lets the two be compared.
    """
    ahead, v = theta, np.zeros_like(theta)  # ahead = θ + μ v
    for g in gradients:
        base = ahead - mu * v
        v = mu * v - rate * g
        base = base + v
        ahead = base + mu * v
    return ahead


def adam(theta, gradients, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma & Ba 2015, algorithm 1: ε outside the root."""
    m = v = np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        theta = theta - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return theta


def rmsprop(theta, gradients, rate, rho=0.9, epsilon=1e-8):
    v = np.zeros_like(theta)
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        theta = theta - rate * g / (np.sqrt(v) + epsilon)
    return theta


CASES = {
    "plain": (SGD(momentum=0.0), lambda *a: sgd(*a, mu=0.0)),
    "plain, nesterov or not": (SGD(0.0, nesterovs_momentum=False), lambda *a: sgd(*a, mu=0.0)),
    "momentum": (SGD(0.8, nesterovs_momentum=False), lambda *a: sgd(*a, mu=0.8)),
    "nesterov": (SGD(0.8), lambda *a: nesterov(*a, mu=0.8)),
    "adam": (Adam(), adam),
    "adam, others": (Adam(0.5, 0.7, 0.1), lambda *a: adam(*a, 0.5, 0.7, 0.1)),
    "adam, no memory": (Adam(0.0, 0.0), lambda *a: adam(*a, 0.0, 0.0)),
    "adamw": (AdamW(), adam),  # its decay is training's, see test_training
    "rmsprop": (RMSprop(), rmsprop),
    "rmsprop, others": (RMSprop(0.5, 0.1), lambda *a: rmsprop(*a, 0.5, 0.1)),
}


def run(optimizer, theta, gradients, rate):
    """theta after a step for every gradient, and the state."""
    theta = theta.copy()
    state = optimizer.init(theta)
    for g in gradients:
        optimizer.step(theta, g.copy(), rate, state)
    return theta, state


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [1, 2, 50])
@pytest.mark.parametrize("n", [5, 2 * BLOCK + 3])
def test_steps_are_the_textbooks(case, steps, n):
    """Short, and longer than a block, where the last block is of three."""
    optimizer, textbook = CASES[case]
    rng = np.random.default_rng(0)
    theta, gradients = rng.standard_normal(n), rng.standard_normal((steps, n))
    # Of 50 steps of 1e-2 each rounds by 1e-16 or so; theta is of size 1, and passes near 0.
    np.testing.assert_allclose(
        run(optimizer, theta, gradients, 1e-2)[0],
        textbook(theta, gradients, 1e-2),
        rtol=1e-13,
        atol=1e-14,
    )


def test_first_steps_of_adam_by_hand():
    """g = 3, then -1; α = 0.1, ε = 0: m̂ and v̂ are averages of g and g².

    Step 1: m̂ = 3, v̂ = 9, theta = 1 - 0.1 · 3/3 = 0.9.
    Step 2: β₁ = 0.5 gives m = 0.5·1.5 - 0.5 = 0.25, m̂ = 0.25 / 0.75 = 1/3,
            β₂ = 0.5 gives v = 0.5·4.5 + 0.5 = 2.75, v̂ = 2.75 / 0.75 = 11/3.
    """
    theta, optimizer = np.array([1.0]), Adam(beta_1=0.5, beta_2=0.5, epsilon=0.0)
    state = optimizer.init(theta)
    optimizer.step(theta, np.array([3.0]), 0.1, state)
    assert theta[0] == pytest.approx(0.9, rel=1e-15)
    optimizer.step(theta, np.array([-1.0]), 0.1, state)
    assert theta[0] == pytest.approx(0.9 - 0.1 * (1 / 3) / np.sqrt(11 / 3), rel=1e-15)


def test_epsilon_stands_outside_the_root():
    """With g = ε the first step is half a rate outside the root, and almost 0 inside it."""
    theta = np.zeros(1)
    optimizer = Adam(epsilon=1e-3)
    optimizer.step(theta, np.array([1e-3]), 1.0, optimizer.init(theta))
    assert theta[0] == pytest.approx(-0.5, rel=1e-12)


@every_optimizer
def test_the_first_step_goes_downhill(name):
    theta, optimizer = np.zeros(3), OPTIMIZERS[name]()
    optimizer.step(theta, np.array([1.0, -2.0, 0.0]), 1e-3, optimizer.init(theta))
    assert theta[0] < 0 < theta[1]
    assert theta[2] == 0  # 0 / (0 + ε), not 0/0


# ----- convergence ---------------------------------------------------------------------

# Learning rates found by trying; the schedule goes down to 0 linearly, as it must for
# Adam and RMSprop, whose steps are as long as the rate to the end.
RATES = {
    "quadratic": {"sgd": 0.02, "adam": 0.1, "adamw": 0.1, "rmsprop": 0.02},
    "rosenbrock": {"sgd": 5e-4, "adam": 0.05, "adamw": 0.05, "rmsprop": 0.005},
}
DIAGONAL = np.array([1.0, 10.0, 30.0])


@every_optimizer
@pytest.mark.parametrize("function", RATES)
def test_converges(name, function):
    f, gradient, theta, minimum = {
        "quadratic": (
            lambda t: 0.5 * np.sum(DIAGONAL * (t - 1) ** 2),
            lambda t: DIAGONAL * (t - 1),
            np.array([3.0, -2.0, 0.5]),
            np.ones(3),
        ),
        "rosenbrock": (rosen, rosen_der, np.array([-1.2, 1.0]), np.ones(2)),
    }[function]
    optimizer, steps = OPTIMIZERS[name](), 6000
    rate, start = RATES[function].get(name, 1e-2), f(theta)
    state = optimizer.init(theta)
    for i in range(steps):
        optimizer.step(theta, gradient(theta), rate * (1 - i / steps), state)
    # A millionth of f is a thousandth of the distance: more than a wrong sign or a missing
    # root reaches, and what first-order methods reach along Rosenbrock's valley.
    assert f(theta) < 1e-6 * start
    np.testing.assert_allclose(theta, minimum, atol=5e-3)


# ----- contract ------------------------------------------------------------------------

VECTORS = {"sgd": {"v"}, "adam": {"m", "v"}, "adamw": {"m", "v"}, "rmsprop": {"v"}}


@every_optimizer
def test_theta_and_state_change_in_place_and_hyper_parameters_do_not(name):
    optimizer = OPTIMIZERS[name]()
    before = asdict(optimizer)
    theta = np.ones(10)
    state = optimizer.init(theta)
    arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    assert optimizer.step(theta, np.ones(10), 1e-2, state) is None
    assert (theta < 1).all()
    assert all(state[k] is v for k, v in arrays.items())
    assert asdict(optimizer) == before


@every_optimizer
def test_state_has_only_the_vectors_it_needs(name):
    """RMSprop's root is scratch, of one block."""
    n = 3 * BLOCK
    state = OPTIMIZERS[name]().init(np.ones(n))
    vectors = {k for k, v in state.items() if np.size(v) > BLOCK}
    assert vectors == VECTORS.get(name, vectors)
    assert sum(np.size(v) for v in state.values()) <= 2 * n + 1


def test_descent_without_momentum_has_no_state():
    assert SGD(momentum=0.0).init(np.ones(3)) == {}


@every_optimizer
@pytest.mark.parametrize("rate", [1e-2, np.float64(1e-2)], ids=["float", "numpy"])
def test_float32_stays_float32(name, rate):
    """Of state and theta; the rate may be a number of NumPy's."""
    rng = np.random.default_rng(0)
    theta, gradients = rng.standard_normal(100), rng.standard_normal((20, 100))
    wide, _ = run(OPTIMIZERS[name](), theta, gradients, 1e-2)
    theta, state = run(
        OPTIMIZERS[name](), theta.astype(np.float32), gradients.astype(np.float32), rate
    )
    assert theta.dtype == np.float32
    assert all(v.dtype == np.float32 for v in state.values() if isinstance(v, np.ndarray))
    np.testing.assert_allclose(theta, wide, rtol=1e-5, atol=1e-6)  # 20 roundings of 6e-8


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_memory_of_a_step_does_not_grow_with_theta(name, dtype):
    theta, gradient, optimizer = np.ones(2**20, dtype), np.ones(2**20, dtype), OPTIMIZERS[name]()
    state = optimizer.init(theta)
    assert theta.nbytes >= 8 * CONSTANT
    # Every operation writes into an array that is there: only views and numbers are new.
    assert peak_memory(lambda: optimizer.step(theta, gradient, 1e-3, state)) < CONSTANT / 32


@every_optimizer
def test_a_state_continued_is_a_state_never_left(name):
    rng = np.random.default_rng(0)
    theta, gradients = rng.standard_normal(7), rng.standard_normal((6, 7))
    optimizer = OPTIMIZERS[name]()
    expected, _ = run(optimizer, theta, gradients, 1e-2)
    half, state = run(optimizer, theta, gradients[:3], 1e-2)
    half, state, optimizer = pickle.loads(pickle.dumps((half, state, optimizer)))
    for g in gradients[3:]:
        optimizer.step(half, g.copy(), 1e-2, state)
    np.testing.assert_array_equal(half, expected)


def test_only_adamw_shrinks_the_weights_outside_the_gradient():
    decoupled = [n for n, o in OPTIMIZERS.items() if getattr(o, "decoupled", False)]
    assert decoupled == ["adamw"]


@every_optimizer
def test_pickle_and_repr_make_the_same_object(name):
    optimizer = OPTIMIZERS[name]()
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert eval(repr(optimizer), {type(optimizer).__name__: type(optimizer)}) == optimizer
