"""Floating-point errors are ignored inside, and every caller has its own settings back."""

import threading

import numpy as np
import pytest

from skbackprop.quiet import quietly


@quietly
def overflow(inner=None):
    assert set(np.geterr().values()) == {"ignore"}
    found = np.float64(1e308) * 10
    return found if inner is None else inner()


@pytest.fixture(autouse=True)
def strict():
    with np.errstate(all="raise"):
        yield


def test_settings_come_back():
    assert overflow() == np.inf and overflow(overflow) == np.inf
    assert set(np.geterr().values()) == {"raise"}
    with pytest.raises(ZeroDivisionError):
        overflow(lambda: 1 / 0)
    assert set(np.geterr().values()) == {"raise"}


def test_threads_have_their_own():
    inside, go_on, seen = threading.Event(), threading.Event(), []

    def other():
        with np.errstate(all="warn"):
            overflow(lambda: (inside.set(), go_on.wait(10)))
            seen.append(set(np.geterr().values()))

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    overflow()  # begins and ends in the middle of the other's call
    go_on.set()
    thread.join()
    assert seen == [{"warn"}] and set(np.geterr().values()) == {"raise"}
