"""BLAS threads: as many as the products of a fit can use, and put back afterwards."""

import itertools
import os
import sys
import threading

import numpy as np
import pytest
from beside import PATIENCE, exit_code, fork, in_child, in_threads, needs_fork
from own import classic
from threadpoolctl import threadpool_info, threadpool_limits

from skbackprop import fit_many, threads
from skbackprop.threads import VARIABLES, for_products_of

PRODUCT = 10**6  # in place of 8 times that, so that small tables are enough


class Library:
    """A BLAS that counts its threads and has none."""

    def __init__(self, num_threads):
        self.num_threads, self.settings = num_threads, []

    def set_num_threads(self, n):
        self.num_threads = n
        self.settings.append(n)


@pytest.fixture(autouse=True)
def nobody_has_chosen(monkeypatch):
    """Whatever the tests run under: no variable is set, and no fit is running."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "PRODUCT", PRODUCT)
    monkeypatch.setattr(threads, "_limit", threads._Limit())


@pytest.fixture
def libraries(monkeypatch):
    """Two libraries of 8 threads each on a machine of 8 cores."""
    libraries = [Library(8), Library(8)]
    monkeypatch.setattr(threads, "_cores", lambda: 8)
    monkeypatch.setattr(threads, "_libraries", lambda: libraries)
    return libraries


def numbers(libraries):
    return [library.num_threads for library in libraries]


class Watching:
    """A schedule that notes the threads; it is asked before every step."""

    def __init__(self, libraries, then=lambda progress: None):
        self.libraries, self.then, self.seen = libraries, then, set()

    def __call__(self, progress):
        self.seen |= set(numbers(self.libraries))
        self.then(progress)
        return 1.0


class Watched:
    """The squared error, which notes the threads; for lbfgs, which has no schedule."""

    def __init__(self, libraries):
        self.libraries, self.seen = libraries, set()

    def value(self, A, Y, weight=None):
        self.seen |= set(numbers(self.libraries))
        return np.sum((A - Y) ** 2 * (1 / len(A) if weight is None else weight))

    def derivative(self, A, Y, weight=None, out=None):
        return 2 * (A - Y) * (1 / len(A) if weight is None else weight)


def data(n=1000, columns=50):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, columns))
    return X, X[:, 0]


def small(**options):
    """20 rows through 3-4-1: a product that is worth one thread."""
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0} | options
    return classic(**options), data(20, 3)


# ----- how many ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("multiplications", "n"),
    [(0, 1), (1, 1), (PRODUCT, 1), (2 * PRODUCT - 1, 1), (2 * PRODUCT, 2), (5 * PRODUCT, 5),
     (8 * PRODUCT, 8), (1000 * PRODUCT, 8)],
)  # fmt: skip
def test_a_thread_for_every_million_multiplications(libraries, multiplications, n):
    with for_products_of(multiplications):
        assert numbers(libraries) == [n, n]
    assert numbers(libraries) == [8, 8]


@pytest.mark.parametrize(
    ("options", "n"),
    [
        ({}, 1),  # 200 rows of 50 columns to 60 units: 0.6 million
        ({"batch_size": 1000}, 3),  # 1000 · 50 · 60
        ({"batch_size": 10_000}, 3),  # of no more rows than there are
        ({"batch_size": 1000, "hidden_layer_sizes": (60, 90)}, 5),  # 1000 · 60 · 90 = 5.4
        ({"batch_size": 1000, "hidden_layer_sizes": (300,)}, 8),  # 15, of the 8 that there are
        ({"batch_size": 1000, "hidden_layer_sizes": ()}, 1),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_has_the_threads_of_its_largest_product(libraries, options, n, method):
    watching = Watching(libraries)
    options = {"hidden_layer_sizes": (60,), "max_iter": 2} | options
    getattr(classic(learning_rate=watching, **options), method)(*data())
    assert watching.seen == {n}
    assert numbers(libraries) == [8, 8]


@pytest.mark.parametrize(("rows", "n"), [(200, 2), (1000, 5)])
def test_lbfgs_has_those_of_a_block_of_its_rows(libraries, rows, n, monkeypatch):
    monkeypatch.setattr("skbackprop.lbfgs.FULL_BATCH_ENTRIES", 500 * 200)
    watched = Watched(libraries)
    model = classic(watched, solver="lbfgs", hidden_layer_sizes=(200,), max_iter=2)
    model.fit(*data(rows))  # 200 or 500 rows of 50 columns to 200 units
    assert watched.seen == {n}
    assert numbers(libraries) == [8, 8]


@pytest.mark.parametrize("K", [1, 3])
def test_many_networks_have_those_of_one(libraries, K):
    watching = Watching(libraries)
    models = [small(learning_rate=watching, random_state=k)[0] for k in range(K)]
    fit_many(models, *data())
    assert watching.seen == {1}
    assert numbers(libraries) == [8, 8]


def test_every_library_s_own_number_comes_back(libraries):
    libraries[1].num_threads = 16
    with for_products_of(PRODUCT):
        assert numbers(libraries) == [1, 1]
    assert numbers(libraries) == [8, 16]


def test_the_number_is_never_raised(libraries, monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    libraries[0].num_threads = libraries[1].num_threads = 2
    with for_products_of(100 * PRODUCT):
        assert numbers(libraries) == [2, 2]
    assert libraries[0].settings in ([], [2])


# ----- after an error ------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("together", [False, True])
def test_after_an_error_the_number_comes_back(libraries, error, together):
    def fail(progress):
        if progress > 0.5:
            raise error("from the schedule")

    watching = Watching(libraries, fail)
    model, table = small(learning_rate=watching)
    with pytest.raises(error, match="from the schedule"):
        if together:
            fit_many([model, small(learning_rate=watching)[0]], *table)
        else:
            model.fit(*table)
    assert watching.seen == {1}
    assert numbers(libraries) == [8, 8]
    with for_products_of(2 * PRODUCT):  # and the fits that were running are counted right
        assert numbers(libraries) == [2, 2]
    assert numbers(libraries) == [8, 8]


class Controlled(Library):
    """Of which, as of OpenBLAS, one thread has the control until it gives it back."""

    controlled = False

    def clear_controlling_thread(self, force):
        self.controlled = False

    def set_num_threads(self, n):
        super().set_num_threads(n)
        self.controlled = True


@pytest.fixture
def controlled(monkeypatch, libraries):
    libraries[:] = [Controlled(8), Controlled(8)]
    return libraries


def interrupted(at, function):
    """Call it, with a KeyboardInterrupt at those lines of threads.py; how many of them came."""
    lines, raised = 0, 0

    def trace(frame, event, arg):
        nonlocal lines, raised
        if frame.f_code.co_filename != threads.__file__:
            return None
        if event == "line":
            lines += 1
            if lines in at:
                raised += 1
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return raised


def one_fit():
    # One line, as a line after it would lead back to this one, and be counted twice.
    with for_products_of(PRODUCT): pass  # noqa: E701  # fmt: skip


def is_free(lock):
    """Whether another thread may have it."""
    free = []

    def take():
        free.append(lock.acquire(timeout=PATIENCE))
        if free[0]:
            lock.release()

    worker = threading.Thread(target=take)
    worker.start()
    worker.join()
    return free == [True]


def test_an_interrupt_at_any_line_leaves_nothing_behind(controlled):
    k = 1
    while interrupted({k}, one_fit):
        assert numbers(controlled) == [8, 8], k
        assert not any(library.controlled for library in controlled), k
        assert not threads._limit.fits, k
        assert is_free(threads._limit.lock), k
        with for_products_of(2 * PRODUCT):
            assert numbers(controlled) == [2, 2], k
        assert numbers(controlled) == [8, 8], k
        k += 1
    assert k > 50  # the lines of the whole way in and out


def test_an_interrupt_at_any_line_of_a_fit_beside_another(controlled):
    k, more = 1, True
    while more:
        with for_products_of(3 * PRODUCT):
            more = interrupted({k}, one_fit)
            assert set(numbers(controlled)) <= {1, 3}, k  # the other goes on
        assert numbers(controlled) == [8, 8], k
        k += 1
    assert k > 20


def test_a_fit_that_is_broken_off_is_forgotten(libraries):
    """What an interrupt does that comes just before the context's end."""
    fit = for_products_of(PRODUCT)
    fit.__enter__()
    assert numbers(libraries) == [1, 1]
    del fit
    assert numbers(libraries) == [8, 8]


# ----- where somebody has chosen -------------------------------------------------------


@pytest.mark.parametrize("name", VARIABLES)
def test_an_environment_variable_is_a_choice(libraries, monkeypatch, name):
    monkeypatch.setenv(name, "8")
    watching = Watching(libraries)
    model, table = small(learning_rate=watching)
    model.fit(*table)
    assert watching.seen == {8}
    assert libraries[0].settings == libraries[1].settings == []


def test_the_usual_variable_is_among_them():
    assert {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"} <= set(VARIABLES)


def test_a_library_that_has_been_limited_is_left_alone(libraries):
    libraries[0].num_threads = 7
    with for_products_of(PRODUCT):
        assert numbers(libraries) == [7, 1]
    assert numbers(libraries) == [7, 8]
    assert libraries[0].settings == []


@pytest.mark.parametrize(("now", "inside"), [(64, 1), (63, 63)])
def test_openblas_has_64_threads_at_most(libraries, monkeypatch, now, inside):
    """Of more cores it uses no more, and that is nobody's choice."""
    monkeypatch.setattr(threads, "_cores", lambda: 128)
    libraries[0].num_threads = now
    with for_products_of(PRODUCT):
        assert libraries[0].num_threads == inside
    assert libraries[0].num_threads == now


def test_a_number_that_is_set_during_a_fit_stays(libraries):
    with for_products_of(PRODUCT):
        libraries[0].set_num_threads(5)
    assert numbers(libraries) == [5, 8]


def test_a_number_that_is_set_between_two_fits_is_not_raised_and_stays(libraries):
    with for_products_of(4 * PRODUCT):
        for library in libraries:
            library.set_num_threads(1)  # as threadpool_limits of another thread does
        with for_products_of(2 * PRODUCT):
            assert numbers(libraries) == [1, 1]
        assert numbers(libraries) == [1, 1]
        for library in libraries:
            library.set_num_threads(4)  # as it does at its end
    assert numbers(libraries) == [8, 8]


def test_a_library_that_does_not_tell_its_number_is_left_alone(libraries):
    libraries[0].num_threads = None
    with for_products_of(PRODUCT):
        assert numbers(libraries) == [None, 1]
    assert libraries[0].settings == []


# ----- the libraries of this process ---------------------------------------------------


class Scaled:
    """The identity, which notes the threads of the libraries that are really there."""

    def __init__(self):
        self.seen = set()

    def value(self, Z, out=None):
        self.seen.add(real_numbers())
        return Z

    def derivative(self, Z, A, out=None):
        return np.ones_like(Z)


def real_numbers():
    return tuple(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")


def test_the_real_libraries_are_set_and_put_back(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    with threadpool_limits(limits=2, user_api="blas"):
        before = real_numbers()  # 2 each, or 1 for a library that was built without threads
        for rows, n in ((20, 1), (2000, 2)):  # 200 · 3 · 4, and 2000 · 3 · 400 = 2.4 million
            g = Scaled()
            model, _ = small(activation=g, batch_size=rows, max_iter=1)
            if n == 2:
                model.set_params(hidden_layer_sizes=(400,))
            model.fit(*data(rows, 3))
            assert g.seen == {tuple(min(n, number) for number in before)}
            assert real_numbers() == before


def test_threadpool_limits_is_a_choice(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 4)
    with threadpool_limits(limits=2, user_api="blas"):
        before = real_numbers()
        g = Scaled()
        model, table = small(activation=g)
        model.fit(*table)
        assert g.seen == {before}
        assert real_numbers() == before


def test_the_cores_are_those_that_the_process_may_use(monkeypatch):
    assert threads._cores() >= 1
    if hasattr(os, "sched_getaffinity"):
        assert threads._cores() == len(os.sched_getaffinity(0))
        monkeypatch.delattr(os, "sched_getaffinity")
    assert threads._cores() == os.cpu_count()


# ----- several fits at a time ----------------------------------------------------------


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_the_last_fit_that_ends_puts_the_number_back(libraries, order):
    fits = [for_products_of(k * PRODUCT) for k in (5, 2, 3)]
    for fit, lowest in zip(fits, (5, 2, 2), strict=True):
        fit.__enter__()
        assert numbers(libraries) == [lowest, lowest]
    for k in order:
        assert numbers(libraries) == [2, 2]  # it is not raised while others are running
        fits[k].__exit__(None, None, None)
    assert numbers(libraries) == [8, 8]


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_fits_in_threads_that_end_in_any_order(libraries, order):
    together = threading.Barrier(3, timeout=PATIENCE)
    ended = [threading.Event() for _ in order]
    during = []

    def fit(k):
        def then(progress):
            if progress == 0:
                together.wait()  # all have begun
            elif progress > 0.6:  # the last epoch: after those that end earlier
                for earlier in order[: order.index(k)]:
                    assert ended[earlier].wait(PATIENCE)
                during.append(numbers(libraries))

        model, table = small(learning_rate=Watching(libraries, then), batch_size=20)
        model.fit(*table)
        ended[k].set()

    in_threads(*(lambda k=k: fit(k) for k in range(3)))
    assert during == [[1, 1]] * 3  # also when two of the three have ended
    assert numbers(libraries) == [8, 8]


def test_fits_in_threads_of_which_some_fail(libraries):
    together = threading.Barrier(4, timeout=PATIENCE)

    def fit(fails):
        def then(progress):
            if progress == 0:
                together.wait()
            elif fails:
                raise ValueError("from the schedule")

        model, table = small(learning_rate=Watching(libraries, then), batch_size=20)
        if fails:
            with pytest.raises(ValueError, match="from the schedule"):
                model.fit(*table)
        else:
            model.fit(*table)

    in_threads(*(lambda fails=fails: fit(fails) for fails in (True, False, True, False)))
    assert numbers(libraries) == [8, 8]


def test_many_short_fits_in_many_threads(libraries):
    def fits():
        for k in range(300):
            with for_products_of((k % 9) * PRODUCT):
                assert max(numbers(libraries)) <= 8

    in_threads(*[fits] * 8)
    assert numbers(libraries) == [8, 8]


# ----- fork ----------------------------------------------------------------------------


def a_fit_of_its_own(libraries):
    """In the child: the number is there, is lowered by a fit, and is there again."""
    if numbers(libraries) != [8, 8]:
        return False
    watching = Watching(libraries)
    model, table = small(learning_rate=watching)
    model.fit(*table)
    return watching.seen == {1} and numbers(libraries) == [8, 8]


@needs_fork
def test_a_fork_while_another_thread_fits(libraries):
    begun, go_on = threading.Event(), threading.Event()

    def then(progress):
        begun.set()
        assert go_on.wait(PATIENCE)

    def fit():
        model, table = small(learning_rate=Watching(libraries, then), batch_size=20)
        model.fit(*table)

    def main():
        try:
            assert begun.wait(PATIENCE)
            assert numbers(libraries) == [1, 1]
            assert in_child(lambda: a_fit_of_its_own(libraries)) == 0
            assert numbers(libraries) == [1, 1]  # here the fit is still running
        finally:
            go_on.set()

    in_threads(fit, main)
    assert numbers(libraries) == [8, 8]


@needs_fork
def test_a_fork_while_another_thread_holds_the_lock(libraries):
    with threads._limit.lock:
        assert in_child(lambda: a_fit_of_its_own(libraries)) == 0


@needs_fork
def test_a_fork_in_the_middle_of_a_fit_that_goes_on_in_the_child(libraries):
    pids = []

    def then(progress):
        if progress > 0.3 and not pids:
            pids.append(fork())

    model, table = small(learning_rate=Watching(libraries, then), batch_size=20)
    code = 1
    try:
        model.fit(*table)
        code = 0 if numbers(libraries) == [8, 8] and a_fit_of_its_own(libraries) else 2
    finally:
        if pids == [0]:
            os._exit(code)
    assert exit_code(pids[0]) == 0
    assert code == 0


@needs_fork
def test_a_fit_that_is_forked_while_another_thread_holds_the_lock(libraries):
    held, release, pids = threading.Event(), threading.Event(), []
    limit = threads._limit

    def hold():
        with limit.lock:
            held.set()
            release.wait(PATIENCE)

    worker = threading.Thread(target=hold, daemon=True)
    code = 1
    try:
        with for_products_of(PRODUCT):
            worker.start()
            assert held.wait(PATIENCE)
            pids.append(fork())
            if pids[0]:
                release.set()
        code = 0 if numbers(libraries) == [8, 8] else 2
    finally:
        if pids == [0]:
            os._exit(code)
        release.set()
        worker.join(PATIENCE)
    assert exit_code(pids[0]) == 0
    assert code == 0


def overlapping():
    """Two fits in threads that stay alive, as those of a pool do; the first to begin ends first."""
    inside, first_left, done = threading.Barrier(2), threading.Event(), threading.Event()

    def first():
        with for_products_of(1):
            inside.wait(PATIENCE)
        first_left.set()
        done.wait(PATIENCE)

    def last():
        with for_products_of(1):
            inside.wait(PATIENCE)
            first_left.wait(PATIENCE)
        done.set()

    workers = [threading.Thread(target=first), threading.Thread(target=last)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
        assert not worker.is_alive()


def test_real_libraries_obey_every_thread(monkeypatch):
    """threadpoolctl lets one thread at a time control OpenBLAS, and ignores the others."""
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    with threadpool_limits(limits=2, user_api="blas"):
        pass
    for library in threads._libraries():
        threads._set(library, 2)
    before = real_numbers()
    overlapping()
    assert real_numbers() == before
    seen = []

    def limited():
        with threadpool_limits(limits=1, user_api="blas"):
            seen.append(real_numbers())

    worker = threading.Thread(target=limited)  # which may still limit them, after a fit here
    worker.start()
    worker.join(PATIENCE)
    assert seen == [(1,) * len(before)]


# ----- for the networks of a stack ----------------------------------------------------------


def test_a_fit_may_have_the_threads_that_its_products_do_not_need(libraries):
    assert threads.spare() == 1  # outside of a fit nothing has been limited
    with for_products_of(1):
        assert threads.spare() == 8
        libraries[1].num_threads = 2  # somebody has set it since
        assert threads.spare() == 1
    with for_products_of(2 * PRODUCT):
        assert threads.spare() == 1


def test_fits_at_the_same_time_share_them(libraries):
    with for_products_of(1), for_products_of(1), for_products_of(1):
        assert threads.spare() == 2


def test_where_somebody_has_chosen_there_is_one(libraries, monkeypatch):
    libraries[0].num_threads = 2
    libraries[1].num_threads = 1
    with for_products_of(1):
        assert threads.spare() == 1
    monkeypatch.setenv(VARIABLES[0], "4")
    with for_products_of(1):
        assert threads.spare() == 1
