"""Optimizers: the textbook formulas, convergence, and what a step may touch."""

import pickle

import numpy as np
import pytest
from allocation import CONSTANT, GROWN, peak_memory
from scipy.optimize import rosen, rosen_der

from skbackprop.optimizers import BLOCK, FLUSH, OPTIMIZERS, SGD, Adam, AdamW, RMSprop

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
    before = dict(vars(optimizer))
    theta = np.ones(10)
    state = optimizer.init(theta)
    arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    assert optimizer.step(theta, np.ones(10), 1e-2, state) is None
    assert (theta < 1).all()
    assert all(state[k] is v for k, v in arrays.items())
    assert vars(optimizer) == before


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
    n, optimizer = GROWN // np.dtype(dtype).itemsize, OPTIMIZERS[name]()
    theta, gradient = np.ones((2, n), dtype)
    state = optimizer.init(theta)
    assert theta.nbytes >= GROWN
    prepared = optimizer.prepare(theta, gradient, state)
    # Every operation writes into an array that is there: only views and numbers are new.
    assert peak_memory(lambda: prepared(1e-3)) < CONSTANT / 32
    # Preparing makes the views and RMSprop's root, and a look for vanished moments has |m| and
    # a mask, all of a block each.
    assert peak_memory(lambda: optimizer.step(theta, gradient, 1e-3, state)) < CONSTANT

    def flushing():
        state["t"] = FLUSH - 1
        prepared(1e-3)

    assert peak_memory(flushing) < CONSTANT


# ----- prepared steps -------------------------------------------------------------------

DIFFERENT = {f"{name}, its defaults": optimizer() for name, optimizer in OPTIMIZERS.items()} | {
    name: optimizer for name, (optimizer, _) in CASES.items()
}


@pytest.mark.parametrize("case", DIFFERENT)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [5, 2 * BLOCK + 3])
def test_a_prepared_step_is_the_step_bit_for_bit(case, dtype, n):
    """Also past the step at which vanished moments are looked for."""
    optimizer, rng = DIFFERENT[case], np.random.default_rng(0)
    steps = FLUSH + 6 if n == 5 else 3
    theta = rng.standard_normal(n).astype(dtype)
    gradients = rng.standard_normal((steps, n)).astype(dtype)
    rates = [1e-2 / i for i in range(1, steps + 1)]
    plain, prepared, gradient = theta.copy(), theta.copy(), np.empty(n, dtype)
    state, state_of_prepared = optimizer.init(plain), optimizer.init(prepared)
    step = optimizer.prepare(prepared, gradient, state_of_prepared)
    for g, rate in zip(gradients, rates, strict=True):
        optimizer.step(plain, g.copy(), rate, state)
        gradient[...] = g
        assert step(rate) is None
    np.testing.assert_array_equal(plain, prepared)
    assert (plain != theta).mean() > 0.99  # v may be 0 by chance, in float32
    assert state.keys() == state_of_prepared.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(value, state_of_prepared[key])
    assert state.get("t", steps) == steps


@every_optimizer
def test_preparing_changes_nothing(name):
    optimizer, theta, gradient = OPTIMIZERS[name](), np.ones(7), np.full(7, 3.0)
    state = optimizer.init(theta)
    optimizer.prepare(theta, gradient, state)
    assert (theta == 1).all() and (gradient == 3).all()
    for key, value in optimizer.init(theta).items():
        np.testing.assert_array_equal(state[key], value)


def test_momentum_may_begin_where_there_was_none():
    """set_params(momentum=...) between two fits: the state of plain descent has no v."""
    theta, state = np.zeros(3), SGD(momentum=0.0).init(np.zeros(3))
    SGD(momentum=0.0).step(theta, np.ones(3), 0.1, state)
    SGD(momentum=0.5, nesterovs_momentum=False).step(theta, np.ones(3), 0.1, state)
    SGD(momentum=0.5, nesterovs_momentum=False).step(theta, np.ones(3), 0.1, state)
    # -0.1, then v = -0.1 and v = -0.15.
    np.testing.assert_allclose(theta, -0.35, rtol=1e-14)


# ----- moments that vanish --------------------------------------------------------------


def moments(state):
    return {k: v for k, v in state.items() if isinstance(v, np.ndarray)}


# A factor of 0.9 takes a moment of float32 from 1 to the bound in 770 steps, 0.95 in 1,570 and
# 0.99 in 8,100.
VANISHING = {
    "sgd": (SGD(), SGD(0.5), SGD(0.9, nesterovs_momentum=False)),
    "adam": (Adam(beta_2=0.95), Adam(beta_1=0.5, beta_2=0.9)),
    "adamw": (AdamW(beta_2=0.95),),
    "rmsprop": (RMSprop(), RMSprop(rho=0.99)),
}


def test_every_optimizer_has_a_case_of_vanishing():
    assert set(VANISHING) == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("optimizer", "n", "steps"),
    [(optimizer, 12, 10_000) for cases in VANISHING.values() for optimizer in cases]
    + [(cases[0], BLOCK + 8, 2000) for cases in VANISHING.values()],
    ids=repr,
)
def test_moments_of_a_gradient_that_stays_0_end_at_0_without_denormals(optimizer, n, steps):
    """The first four weights of the vector and its last four are those of dead units."""
    rng = np.random.default_rng(0)
    dead = np.r_[0:4, n - 4 : n]
    theta, gradient = np.ones((2, n), np.float32)
    state = optimizer.init(theta)
    step = optimizer.prepare(theta, gradient, state)
    tiny = np.finfo(np.float32).tiny
    denormal = 0
    for t in range(steps):
        gradient[...] = rng.standard_normal() if t < 50 else 0.25 * (-1) ** t
        if t >= 50:
            gradient[dead] = 0
        step(np.float32(1e-3))
        for M in moments(state).values():
            denormal += np.count_nonzero((M[dead] != 0) & (np.abs(M[dead]) < tiny))
    # Between two looks a moment shrinks by 0.9^64, a factor of 850, and the bound is 1,000
    # times the smallest normal number: none is denormal for a single step. A faster decay
    # passes the denormals within a look, and is 0 after it.
    slowest = max([getattr(optimizer, k, 0) for k in ("momentum", "beta_1", "rho")])
    assert denormal == 0 or slowest < 0.9
    for M in moments(state).values():
        assert (M[dead] == 0).all()
    alive = np.delete(np.arange(n), dead)
    for M in moments(state).values():
        assert (M[alive] != 0).all() and (np.abs(M[alive]) > 1e-6).all()
    assert np.isfinite(theta).all()


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_only_what_has_all_but_vanished_is_set_to_0(name, dtype):
    """Moments on both sides of their bound, at the step that looks and at one that does not.

    The bound of a moment with decay β is what is denormal after 64 more steps.
    """
    optimizer, tiny = OPTIMIZERS[name](), float(np.finfo(dtype).tiny)
    decay = {
        "m": getattr(optimizer, "beta_1", None),
        "v": getattr(optimizer, "beta_2", getattr(optimizer, "rho", None)) or optimizer.momentum,
    }
    shares = np.array([1e-3, 0.8, 1.1, 1e4, 1e8, 1e25])  # of the bound
    for t in (FLUSH - 2, FLUSH - 1):
        theta, gradient = np.ones(shares.size, dtype), np.zeros(shares.size, dtype)
        state = optimizer.init(theta)
        before = {}
        for key, M in moments(state).items():
            bound = tiny / decay[key] ** FLUSH
            # A step shrinks by β before it looks, or after (Adam): 0.8 is below 0.9 either way.
            M[...] = (shares * bound / decay[key]).astype(dtype)
            before[key] = M.copy()
        state["t"] = t
        optimizer.step(theta, gradient, 1e-3, state)
        for key, M in moments(state).items():
            # Of a normal number the product with β is rounded once, whatever is near.
            far = before[key][2:] * np.array(decay[key], dtype)
            np.testing.assert_array_equal(M[2:], far)
            assert (M[:2] == 0).all() == (t == FLUSH - 1)
        np.testing.assert_allclose(theta, 1, atol=1e-3)  # no step of Adam is longer than its rate


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
