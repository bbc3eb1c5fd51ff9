"""Schedules: the formulas at the points that name them."""

import pickle

import numpy as np
import pytest

from skbackprop.schedules import SCHEDULES, InverseScaling, OfProgress, OneCycle

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("adaptive", {0: 1, 0.5: 1, 1: 1}),
        ("cosine", {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        # Up by a half cosine to 1 at 0.3, half-way at 0.15; down from there, half-way at 0.65.
        ("one_cycle", {0: 0.04, 0.15: 0.52, 0.3: 1, 0.65: 0.500002, 1: 4e-6}),
        # 1 + 15 t = 1, 2, 4, 8, 16 are the valleys; the peaks are half-way in the logarithm.
        ("coslog4", {0: 0, (2**0.5 - 1) / 15: 1, 1 / 15: 0, 3 / 15: 0, 7 / 15: 0, 1: 0}),
    ],
)
def test_points_of_the_formula(name, points):
    schedule = SCHEDULES[name]()
    for progress, share in points.items():
        # A cosine near its ends loses half of the digits of its argument's error: 1e-15.
        assert schedule(progress, 0) == pytest.approx(share, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("power_t", [0.5, 1.0])
@pytest.mark.parametrize("samples", [0, 1, 1000, 10**9])
def test_inverse_scaling_is_that_of_scikit_learn(power_t, samples):
    """learning_rate_init / (t + 1)^power_t, with t the number of samples."""
    share = InverseScaling(power_t)(0.3, samples)
    assert share == pytest.approx(1 / (samples + 1) ** power_t, rel=1e-14)


@every_schedule
def test_shares_are_floats_from_0_to_1(name):
    schedule = SCHEDULES[name]()
    shares = [schedule(float(t), 10) for t in np.linspace(0, 1, 1001)]
    assert all(type(share) is float for share in shares)  # NumPy's would upcast float32
    assert min(shares) >= 0
    assert max(shares) <= 1


@pytest.mark.parametrize("name", [n for n, s in SCHEDULES.items() if s.planned])
def test_a_planned_schedule_ends_near_0(name):
    assert SCHEDULES[name]()(1.0, 0) < 1e-5


@every_schedule
def test_only_those_made_for_max_iter_are_planned(name):
    assert SCHEDULES[name].planned == (name in {"cosine", "one_cycle", "coslog4"})


def test_one_cycle_is_continuous_and_rises_then_falls():
    t = np.linspace(0, 1, 2001)
    shares = np.array([OneCycle()(p, 0) for p in t])
    steps = np.diff(shares)
    assert (steps[t[1:] <= 0.3] > 0).all()
    assert (steps[t[:-1] >= 0.3] < 0).all()
    assert np.abs(steps).max() < 0.003  # π/2 / 0.3 / 2000: no jump where the halves meet


def test_cosine_never_rises():
    assert (np.diff([SCHEDULES["cosine"]()(t, 0) for t in np.linspace(0, 1, 500)]) < 0).all()


def test_cycles_of_coslog4_double():
    t = np.linspace(0, 1, 150_001)
    shares = np.array([SCHEDULES["coslog4"]()(p, 0) for p in t])
    peaks = t[1:-1][(shares[1:-1] > shares[:-2]) & (shares[1:-1] > shares[2:])]
    assert len(peaks) == 4
    np.testing.assert_allclose(np.diff(peaks)[1:] / np.diff(peaks)[:-1], 2, rtol=1e-3)  # the grid


def test_adaptive_has_scikit_learns_constants():
    adaptive = SCHEDULES["adaptive"]()
    assert (adaptive.plateau, adaptive.smallest) == (1 / 5, 1e-6)
    assert not any(hasattr(s, "plateau") for n, s in SCHEDULES.items() if n != "adaptive")


def test_users_function_of_progress():
    schedule = OfProgress(lambda t: np.float32(1 - t))
    assert schedule(0.25, 99) == 0.75
    assert type(schedule(0.25, 99)) is float
    assert schedule.planned


@every_schedule
def test_pickle_makes_the_same_object(name):
    schedule = SCHEDULES[name]()
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_one_cycle_may_be_all_warm_up():
    schedule = SCHEDULES["one_cycle"](warm_up=1.0)
    assert [schedule(t, 0) for t in (0.0, 1.0)] == pytest.approx([1 / 25, 1.0])
