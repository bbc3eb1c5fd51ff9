"""Derivatives beside differences: steps, error bars, kinks."""

import numpy as np
import pytest

from skbackprop.differences import (
    DIRECTIONS,
    ENTRIES,
    STEPS,
    compare,
    compare_matrix,
    is_kink,
    slopes,
)

FUNCTIONS = {
    "linear": (lambda t: 3 * t + 100, 3.0),
    "exp": (np.exp, 1.0),
    "wiggly": (lambda t: np.sin(300 * t), 300.0),
    "steep": (lambda t: np.exp(20 + t), np.exp(20.0)),
    "small beside a constant": (lambda t: 1 + 1e-4 * np.sin(t), 1e-4),
    "cubic with a minimum": (lambda t: (t - 1) ** 2 * (t + 1), -1.0),
    "finite on a short way only": (lambda t: np.log(1e-4 + t), 1e4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_difference_is_within_its_error_bar_of_the_slope(name):
    phi, slope = FUNCTIONS[name]
    found = slopes(phi)
    assert abs(found.both - slope) <= found.bar
    assert found.bar < 1e-6 * max(abs(slope), 1)
    assert not is_kink(found, 1e-6 * abs(slope))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("factor", [1, 1.01, 0, -1, 2, np.nan, np.inf, -np.inf])
def test_what_is_right_and_what_is_wrong(name, factor):
    phi, slope = FUNCTIONS[name]
    found = compare(slopes(phi), np.asarray(factor * slope), abs(slope))
    assert found.compared and found.wrong == (factor != 1)
    if np.isfinite(factor) and factor != 1:
        assert found.factor == pytest.approx(factor, rel=1e-6)


@pytest.mark.parametrize("excess", [3e-6, 1e-5])
def test_curvature_is_no_kink(excess):
    """Along a long direction one-sided slopes are far apart without any."""
    M = np.random.default_rng(0).normal(size=(40, 30))
    dM = 2 * M
    assert not compare_matrix(lambda M: (M * M).sum(axis=(1, 2)), M, dM).wrong.any()
    dM[3, 5] += excess * np.linalg.norm(dM)
    assert compare_matrix(lambda M: (M * M).sum(axis=(1, 2)), M, dM).wrong.all()


def test_curvature_hides_no_slope_much_smaller_than_1():
    assert compare(slopes(lambda t: (1e-8 + t) ** 2), np.asarray(3e-8), 3e-8).wrong
    assert not compare(slopes(lambda t: (1e-8 + t) ** 2), np.asarray(2e-8), 2e-8).wrong


@pytest.mark.parametrize("at", [0.0, 1e-10, -1e-10, 3e-8, -3e-8])
@pytest.mark.parametrize("curvature", [0, 1])
def test_at_a_kink_either_slope_will_do_and_no_other(at, curvature):
    """Slopes 1 and 3, at a place so near that differences cannot tell it from 0."""

    def phi(t):
        return np.where(t > at, 3 * (t - at), t - at) + curvature * t**2

    for claimed, wrong in ((1.0, False), (2.0, False), (3.0, False), (0.9, True), (3.1, True)):
        found = compare(slopes(phi), np.asarray(claimed), 1.0, margin=0.5)
        assert found.wrong == wrong
        if at == 0:
            assert found.kinks == (not wrong)


@pytest.mark.parametrize("at", [1e-5, -1e-6, 1e-4, 2e-3])
def test_a_kink_that_is_near_is_stepped_round(at):
    found = compare(slopes(lambda t: np.where(t > at, 3 * (t - at), t - at)), np.asarray(3.0), 1.0)
    assert found.wrong == (at > 0) and not found.kinks


def test_several_kinks_in_one_place_may_give_anything_with_a_margin():
    """max(0, t) - 2 max(0, -t): slopes 1 and 2, of which relu' = 0 makes 0."""
    found = slopes(lambda t: max(0, t) - 2 * max(0, -t))
    assert compare(found, np.asarray(0.0), 1.0).kinks
    assert compare(found, np.asarray(0.0), 1.0, margin=0.5).wrong
    assert compare(found, np.asarray(100.0), 1.0).wrong


def test_noise_is_neither_right_nor_wrong():
    rng = np.random.default_rng(0)
    found = compare(slopes(lambda t: rng.standard_normal()), np.asarray(1.0), 1.0)
    assert not found.compared and not found.wrong


def test_a_step_is_for_each_sign():
    seen = []
    slopes(lambda t: seen.append(t) or 0.0)
    assert sorted(seen) == sorted([0, *STEPS, *-STEPS])


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (20, 30)])
def test_a_matrix_entry_by_entry_or_along_directions(shape):
    rng = np.random.default_rng(0)
    M, C = rng.normal(size=(2, *shape))
    found = compare_matrix(lambda Ms: np.sin(Ms * C).sum(axis=(1, 2)), M, C * np.cos(M * C))
    assert found.compared.all() and not found.wrong.any() and found.errors.max() < 1e-8
    assert found.at_random == (M.size > ENTRIES)
    assert len(found.errors) == (DIRECTIONS if found.at_random else M.size)


def test_the_bound_on_wrong_entries():
    """A lone one of 3e-6 of the norm is found every time, two that may cancel as well."""
    rng = np.random.default_rng(0)
    M, C = rng.normal(size=(2, 50, 40))
    for k in range(20):
        wrong = C.copy()
        i, j = rng.choice(M.size, 2, replace=False)
        wrong.flat[i] += 3e-6 * np.linalg.norm(C)
        wrong.flat[j] -= k % 2 * 3e-6 * np.linalg.norm(C)
        found = compare_matrix(lambda Ms: np.tensordot(Ms, C), M, wrong)
        assert found.wrong.any()


def test_a_derivative_of_nothing_is_0():
    found = compare_matrix(lambda Ms: np.ones(len(Ms)), np.ones((2, 3)), np.zeros((2, 3)))
    assert not found.wrong.any() and not found.unclear.any()
    assert compare_matrix(lambda Ms: np.ones(len(Ms)), np.ones((2, 3)), np.ones((2, 3))).wrong.all()
