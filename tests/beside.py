"""Functions called beside each other: in threads, and in a forked child."""

import os
import threading
import time
import warnings

import pytest

PATIENCE = 60  # seconds after which something hangs; none of what is waited for takes one


def in_threads(*functions):
    """Call all at once, and raise what the first of them raises."""
    errors = []

    def call(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=call, args=(f,), daemon=True) for f in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert not any(worker.is_alive() for worker in workers), "a thread hangs"
    if errors:
        raise errors[0]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def fork():
    with warnings.catch_warnings():
        # Python 3.12 warns of locks that other threads hold: which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def exit_code(pid):
    """Of a child that may hang, which is then ended."""
    end = time.monotonic() + PATIENCE / 4
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hangs"


def in_child(function):
    """Whether `function` is true in a child of this process; or that it hangs there."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if function() else 2
        finally:
            os._exit(code)  # nothing of pytest's goes on in the child
    return exit_code(pid)
