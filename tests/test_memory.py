"""A network for which there is no memory is refused before any of it is allocated."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from own import classic
from scipy import sparse

from skbackprop import memory
from skbackprop.parameters import resolve_optimizer

GIB = 2**30


@pytest.fixture
def data():
    X = np.random.default_rng(0).normal(size=(30, 5))
    return X, X[:, 0]


@pytest.fixture
def there(monkeypatch):
    """As much memory as is said."""

    def say(n):
        monkeypatch.setattr(memory, "available", lambda: float(n))

    return say


# ----- what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [
        ((10**6, 10**6), "1,000,008,000,001"),
        ("1000000-1000000", "1,000,008,000,001"),
        (10**12, "7,000,000,000,001"),
        ((10**30,), "about 10**30"),
        ((3, 10**30, 3), "about 10**30"),
        (2**63, "about 10**19"),
        (2**64 - 1, "about 10**20"),
        (10**400, "about 10**400"),
        pytest.param(10**6000, "about 10**6000", id="10**6000"),
        ("9" * 99, "about 10**99"),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_what_no_machine_holds_is_refused_with_its_size(data, sizes, weights, solver):
    model = classic(hidden_layer_sizes=sizes, solver=solver)
    before = dict(vars(model))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="hidden_layer_sizes=") as caught:
            model.fit(*data)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert f"network of {weights} weights" in message
    assert "at least" in message and "there are" in message and "GiB of memory" in message
    assert len(message) < 600
    assert vars(model) == before


def test_the_message_says_how_much_it_is_and_how_much_there_is(data, there):
    there(GIB)
    with pytest.raises(ValueError) as caught:
        classic(hidden_layer_sizes=(8000, 8000), alpha=0).fit(*data)
    weights = 6 * 8000 + 8001 * 8000 + 8001
    needed = weights * 4 * 8 + 30 * (5 + 8000 + 8000 + 1 + 8000) * 8  # theta, gradient, m, v
    assert f"{weights:,} weights" in str(caught.value)
    assert f"at least {needed / GIB:,.1f} GiB, and there are 1.0 GiB" in str(caught.value)
    assert "fewer or smaller hidden layers" in str(caught.value)


def test_what_is_there_is_used(data, there):
    there(GIB)
    wide = {"hidden_layer_sizes": (1500, 1500), "learning_rate_init": 1e-6}  # 90 MB
    model = classic(max_iter=1, **wide).fit(*data)
    there(0)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.fit(*data)
    model.set_params(hidden_layer_sizes=(500,)).fit(*data)  # of so little nobody is asked


def test_a_wide_table_is_blamed_for_the_weights_it_asks_for(there):
    there(GIB)
    X = sparse.csr_array((np.ones(30), (np.arange(30), np.arange(30))), shape=(30, 10**6))
    with pytest.raises(ValueError, match="those of the 1,000,000 features of X: take fewer"):
        classic().fit(X, np.arange(30.0))


def test_a_large_batch_is_blamed_for_the_matrices_it_asks_for(there):
    there(2**27)
    X = np.zeros((10**5, 2))
    model = classic(batch_size=10**5, hidden_layer_sizes=(500,))
    with pytest.raises(ValueError, match="the 100000 rows of a batch: take a smaller batch_size"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("params", "vectors"),
    [
        ({"solver": "adam"}, 4),
        ({"solver": "adamw"}, 4),
        ({"solver": "rmsprop"}, 3),
        ({"solver": "sgd"}, 3),
        ({"solver": "sgd", "momentum": 0}, 2),
        ({"solver": "adam", "alpha": 1}, 5),
        ({"solver": "adam", "early_stopping": True}, 5),
        ({"solver": "adam", "max_time": 1e9}, 5),
        ({"solver": "adam", "early_stopping": True, "max_time": 1e9, "alpha": 1}, 6),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_estimate_is_below_what_training_takes(data, params, vectors, dtype):
    params |= {"dtype": dtype, "hidden_layer_sizes": (700, 700), "max_iter": 2}
    params = {"alpha": 0, "learning_rate_init": 1e-6, **params}
    model = classic(**params)
    optimizer = resolve_optimizer(model.get_params())
    dtype = np.dtype(dtype)
    of_one = memory._bytes_of_a_weight(model.get_params(), optimizer, dtype)
    assert of_one == vectors * dtype.itemsize
    weights = 6 * 700 + 701 * 700 + 701
    tracemalloc.start()
    model.fit(*data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert of_one * weights < peak


def test_the_estimate_of_lbfgs_is_below_what_it_takes(data):
    params = {"solver": "lbfgs", "alpha": 0, "hidden_layer_sizes": (300, 300), "max_iter": 2}
    given = classic(**params).get_params()
    estimate = memory._bytes_of_a_weight(given, None, np.dtype("f8"))
    assert estimate == 3 * 8 + 27 * 8
    tracemalloc.start()
    classic(**params).fit(*data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert estimate * (6 * 300 + 301 * 300 + 301) < peak


def test_a_small_network_asks_nobody(data, monkeypatch):
    def never():
        raise AssertionError("asked")

    monkeypatch.setattr(memory, "available", never)
    classic(max_iter=1).fit(*data)
    with pytest.raises(AssertionError, match="asked"):
        classic(hidden_layer_sizes=(2000, 2000), max_iter=1).fit(*data)


def test_a_user_s_optimizer_is_not_called_to_find_out(data):
    calls = []

    class Own:
        def init(self, theta):
            calls.append(theta.size)
            return {}

        def step(self, theta, gradient, learning_rate, state):
            theta -= learning_rate * gradient

    classic(solver=Own(), hidden_layer_sizes=(3,), max_iter=1).fit(*data)
    assert calls == [6 * 3 + 4]


# ----- an explanation, which keeps every row's matrices -------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_too_many_rows_are_not_explained(data, monkeypatch, dropout):
    X, y = data
    layers = {"hidden_layer_sizes": (40, 30), "activation": "tanh"}
    model = classic(**layers, max_iter=1, dropout=dropout).fit(X, y)
    of_row = (5 + (7 if dropout else 5) * (40 + 30 + 1)) * 8
    n = memory.EXPLAINED // of_row + 1
    X = np.zeros((n, 5))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"X has {n:,} rows.*{n * of_row:,} bytes.*a few rows"):
            model.explain_backprop(X, X[:, 0])
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    weight = np.zeros(n)
    weight[:3] = 1
    assert len(model.explain_backprop(X, X[:, 0], weight)["A[1]"].result.value) == 3


def test_an_explanation_takes_more_than_is_estimated_and_no_more_than_there_is(data, there):
    model = classic(hidden_layer_sizes=(200, 200), activation="tanh", max_iter=1)
    model.fit(*data)
    n, of_row = 5000, (5 + 5 * 401) * 8
    X = np.zeros((n, 5))
    tracemalloc.start()
    model.explain_backprop(X, X[:, 0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n * of_row < peak < 2 * n * of_row
    there(n * of_row - 1)
    with pytest.raises(ValueError, match=f"at most {n * of_row - 1:,} are used"):
        model.explain_backprop(X, X[:, 0])


# ----- what there is ----------------------------------------------------------------------


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of which nothing is known, and a function that makes it tell something."""
    files = {"MEMINFO": "meminfo", "STATM": "statm", "CGROUP": "cgroup", "CGROUPS": "groups"}
    for name, file in files.items():
        monkeypatch.setattr(memory, name, tmp_path / file)
    monkeypatch.setattr(memory, "resource", None)
    monkeypatch.setattr(memory.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096}[name])
    monkeypatch.setattr(memory, "_of_machine", lambda: float("inf"))

    def tell(file, text):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return tell


def test_of_a_system_that_tells_nothing_there_is_what_can_be_addressed(system):
    assert memory.available() == float(memory.sys.maxsize)


def test_free_memory_and_swap(system):
    system("meminfo", "MemTotal: 9 kB\nMemAvailable:    2000 kB\nSwapFree:  48 kB\nOdd line\n")
    assert memory.available() == 2048 * 1024
    system("meminfo", "MemTotal: 9 kB\nMemAvailable:    2000 kB\n")
    assert memory.available() == 2000 * 1024
    system("meminfo", "MemTotal: 9 kB\n")  # an old kernel
    assert memory.available() == float(memory.sys.maxsize)


@pytest.mark.parametrize(
    ("cgroup", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "5000000"}, 5e6),
        ("0::/\n", {"memory.max": "max\n"}, np.inf),
        ("0::/a/b\n", {"a/b/memory.max": "5000000"}, 5e6),
        ("0::/a/b\n", {"a/memory.max": "5000000", "a/b/memory.max": "max"}, 5e6),
        ("0::/a/b\n", {"memory.max": "7000000", "a/b/memory.max": "9000000"}, 7e6),
        ("0::/outside\n", {"memory.max": "5000000"}, 5e6),
        ("0::/../out\n", {"memory.max": "5000000"}, 5e6),
        ("4:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "5000000"}, 5e6),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, np.inf),
        ("4:memory:/a\n0::/\n", {"memory/memory.limit_in_bytes": "6000000"}, 6e6),
        ("3:cpu:/a\n", {"memory.max": "5000000"}, np.inf),
        ("0::/\n", {"memory.max": "unreadable"}, np.inf),
        ("nonsense\n\n", {"memory.max": "5000000"}, np.inf),
    ],
)
def test_limits_of_control_groups(system, cgroup, files, limit):
    system("cgroup", cgroup)
    for name, text in files.items():
        system(f"groups/{name}", text)
    assert memory.available() == pytest.approx(min(limit, memory.sys.maxsize))
    system("statm", "1000 100 50 1 0 20 0")  # 100 pages of the limit are used
    assert memory.available() == pytest.approx(min(limit - 409600, memory.sys.maxsize))


def test_the_limit_of_the_address_space(system, monkeypatch):
    limit = 10**7
    rlimit = SimpleNamespace(RLIMIT_AS=9, RLIM_INFINITY=-1, getrlimit=lambda which: (limit, -1))
    monkeypatch.setattr(memory, "resource", rlimit)
    assert memory.available() == 1e7
    system("statm", "1000 100 50 1 0 20 0")
    assert memory.available() == 1e7 - 4096000
    limit = 10**6
    assert memory.available() == 0  # below what is in use already: never negative
    limit = -1
    assert memory.available() == float(memory.sys.maxsize)


def test_the_least_of_all_counts(system):
    system("meminfo", "MemAvailable: 2000 kB\n")
    system("cgroup", "0::/\n")
    for limit, least in (("1000", 1000), ("999999999999", 2000 * 1024)):
        system("groups/memory.max", limit)
        assert memory.available() == least


def test_what_the_machine_has_where_the_system_has_no_meminfo(monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", memory.Path("nowhere"))
    pages = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(memory.os, "sysconf", pages.__getitem__, raising=False)
    assert memory._of_system() == 4096000

    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(memory.os, "sysconf", unknown)
    monkeypatch.setattr(memory.sys, "platform", "plan9")
    assert memory._of_system() == float("inf")


@pytest.mark.parametrize(("told", "there"), [(1, 3 * 1024.0), (0, np.inf)])
def test_what_the_machine_has_on_windows(monkeypatch, told, there):
    import ctypes

    def installed(kilobytes):
        kilobytes._obj.value = 3
        return told

    kernel = SimpleNamespace(GetPhysicallyInstalledSystemMemory=installed)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(memory, "MEMINFO", memory.Path("nowhere"))
    monkeypatch.delattr(memory.os, "sysconf", raising=False)
    monkeypatch.setattr(memory.sys, "platform", "win32")
    assert memory._of_system() == there


def test_this_machine_has_memory():
    assert 2**24 < memory.available() <= memory.sys.maxsize
