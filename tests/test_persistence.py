"""save and load: all of it comes back, and nothing else comes in."""

import ast
import copy
import inspect
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from allocation import peak_memory
from forge import identical, pack, unpack
from own import SEVERAL, classic

from skbackprop import (
    BackpropRegressor,
    ModelFileError,
    atomic,
    checkpoints,
    container,
    persistence,
    schema,
    values,
)
from skbackprop.activations import ACTIVATIONS
from skbackprop.losses import LOSSES
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH
from skbackprop.schedules import SCHEDULES

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
y = np.abs(X @ [1.0, -2.0, 0.5]) + 0.1


def fit(data=X, target=y, **params):
    params = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0} | params
    return classic(**params).fit(data, target)


OPTIONS = {
    **{f"loss={name}": {"loss": name} for name in LOSSES},
    **{f"loss={name}()": {"loss": cls()} for name, cls in LOSSES.items()},
    **{f"activation={name}": {"activation": name} for name in ACTIVATIONS},
    **{f"activation={name}()": {"activation": [cls()]} for name, cls in ACTIVATIONS.items()},
    **{f"solver={name}": {"solver": name} for name in (*OPTIMIZERS, *FULL_BATCH)},
    **{f"solver={name}()": {"solver": cls()} for name, cls in OPTIMIZERS.items()},
    **{f"rate={name}": {"learning_rate": name} for name in SCHEDULES},
    **{f"rate={name}()": {"learning_rate": cls()} for name, cls in SCHEDULES.items()},
    "slope": {"activation": ACTIVATIONS["leaky_relu"](negative_slope=np.float64(0.3))},
    "delta": {"loss": LOSSES["huber"](delta=2)},
    "beta": {"solver": OPTIMIZERS["adam"](beta_1=0.8)},
    "early": {"early_stopping": True, "warm_start": True},
    "score": {"early_stopping": True, "scoring": "r2"},
    "no momentum": {"solver": "sgd", "momentum": 0},
    "linear": {"hidden_layer_sizes": ()},
    "string": {"hidden_layer_sizes": "4-3"},
    "array": {"hidden_layer_sizes": np.array([4, 3], np.int32)},
    "list": {"hidden_layer_sizes": [4, 3], "activation": ["tanh", "relu"]},
    "bare": {"fit_intercept": False, "standardize": False},
    "dropout": {"dropout": 0.3, "clip_norm": 1.0, "max_time": 100.0},
    "RandomState": {"random_state": np.random.RandomState(5)},
    "scalars": {"alpha": np.float32(0.1), "max_iter": np.int64(3), "n_iter_no_change": np.inf},
    "seedless": {"random_state": None},
    "several": SEVERAL,
    "several, going on": SEVERAL | {"warm_start": True, "n_bins": 0},
    "a network in bins": SEVERAL | {"n_networks": 1},
    "a choice of bins": SEVERAL | {"n_bins": "auto"},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skb"


def again(model, path):
    model.save(path)
    return BackpropRegressor.load(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIONS)
def test_everything_comes_back(path, name, dtype):
    model = fit(X.astype(dtype), **OPTIONS[name])
    loaded = again(model, path)
    assert identical(vars(loaded), vars(model))
    assert identical(loaded.predict(X), model.predict(X))
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", OPTIONS)
def test_training_goes_on_as_if_it_had_not_been_saved(path, name):
    model = fit(**OPTIONS[name])
    loaded = again(model, path)
    for m in (model, loaded):
        if m.solver not in FULL_BATCH:
            m.partial_fit(X, y).partial_fit(X[:20], y[:20])
        m.set_params(warm_start=True).fit(X, y)
    assert identical(vars(loaded), vars(model))


@pytest.mark.parametrize("dtype", [None, np.float32, "f4", "float64", np.dtype(np.float64)])
def test_a_dtype_comes_back_by_name(path, dtype):
    loaded = again(fit(dtype=dtype), path)
    assert loaded.dtype == (None if dtype is None else np.dtype(dtype).name)
    loaded.partial_fit(X, y)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c"], ["é", "", "x" * 300], ["\udc80", "😀", "a\0b"],
        ["é", "e\u0301", "E\u0301"], ["\u202egnp", "\ufeff", "\uffff"],
        ["\u2028", "\U0010ffff", "ß"], ["\r\n", "\\", '"'],
    ],
)  # fmt: skip
def test_feature_names(path, names):
    model = fit(pd.DataFrame(X, columns=names))
    loaded = again(model, path)
    assert identical(vars(loaded), vars(model))


def test_a_table_of_another_byte_order_gives_the_same_file(path, tmp_path):
    """And so do parameters."""
    sizes = np.array([4, 3], ">i4")
    fit(X.astype(">f8"), y.astype(">f8"), hidden_layer_sizes=sizes).save(path)
    fit(X, y, hidden_layer_sizes=sizes.astype("<i4")).save(tmp_path / "native")
    assert path.read_bytes() == (tmp_path / "native").read_bytes()
    assert BackpropRegressor.load(path).predict(X.astype(">f8")).dtype.isnative


def test_several_outputs_weights_and_a_column_of_y(path):
    for target in (y[:, None], np.c_[y, y**2]):
        model = fit(X, target)
        assert identical(again(model, path).predict(X), model.predict(X))


RESUME = """
import hashlib, sys
import numpy as np
from skbackprop import BackpropRegressor
X, y = np.load(sys.argv[2]), np.load(sys.argv[3])
model = BackpropRegressor.load(sys.argv[1])
print(hashlib.sha256(model.predict(X).tobytes()).hexdigest())
model.partial_fit(X, y).set_params(warm_start=True).fit(X, y).save(sys.argv[1])
"""


def test_in_another_process(path, tmp_path):
    import hashlib

    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    model = fit(early_stopping=True, warm_start=True, dropout=0.2)
    model.save(path)
    command = [sys.executable, "-c", RESUME, path, tmp_path / "X.npy", tmp_path / "y.npy"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert said == hashlib.sha256(model.predict(X).tobytes()).hexdigest()
    resumed = path.read_bytes()
    model.partial_fit(X, y).set_params(warm_start=True).fit(X, y).save(path)
    assert path.read_bytes() == resumed


HASHES = """
import hashlib, os, sys
from test_persistence import OPTIONS, X, fit
for name, params in OPTIONS.items():
    if params.get("random_state", 0) is not None:
        fit(**params).save(sys.argv[1])
        print(name, hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"""


def test_the_same_bytes_whatever_the_seed_of_hashes(tmp_path):
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", HASHES, tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "4294967295")
    ]
    one, two = (process.communicate()[0] for process in processes)
    assert one == two and one.count(b"\n") == len(OPTIONS) - 1


def test_the_size_does_not_depend_on_the_number_of_rows(path):
    """But for the digits of numbers in the header."""
    table, sizes = np.random.default_rng(1).standard_normal((20_000, 3)), []
    for n in (200, 20_000):
        fit(table[:n], table[:n, 0], early_stopping=True, warm_start=True).save(path)
        sizes.append(path.stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 100


def test_no_row_of_the_training_data_is_in_the_file(path):
    table = np.random.default_rng(1).standard_normal((500, 3))
    fit(table, table[:, 0], early_stopping=True, warm_start=True).save(path)
    data = path.read_bytes()
    assert not any(row.tobytes() in data or row[:2].tobytes() in data for row in table)


# ----- what is refused at save ---------------------------------------------------------


class OwnActivation:
    def value(self, Z, out=None):
        return np.multiply(Z, 1, out=out)

    def derivative(self, Z, A, out=None):
        return np.ones_like(Z) if out is None else (out.fill(1), out)[1]


class OwnReLU(ACTIVATIONS["relu"]):
    pass


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"activation": OwnActivation()}, "activation="),
        ({"activation": [OwnActivation()]}, "activation="),
        ({"activation": OwnReLU()}, "activation="),
        ({"learning_rate": lambda progress: 1.0}, "learning_rate="),
        ({"scoring": lambda model, X, y: 0.0}, "scoring="),
        ({"random_state": np.random}, "random_state="),
    ],
)
def test_code_is_refused_before_a_file_is_touched(path, params, named):
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=named):
        fit(**params).save(path)
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == [path.name]


def set_training(*names, to):
    """A change of a model: `to` in place of what training keeps under these names."""

    def change(model):
        inside = model._training
        for name in names[:-1]:
            inside = inside[name]
        inside[names[-1]] = to

    return change


def without_layers(model):
    model.layer_sizes_, model.activations_, model.theta_ = [3], [], np.zeros(0)


def with_longer_scores(model):
    for name in ("validation_loss_curve", "validation_scores"):
        model._training["history"][name] = [0.0] * 9
        setattr(model, f"{name}_", [0.0] * 9)


EARLY = {"early_stopping": True, "warm_start": True}
LBFGS, LM = {"solver": "lbfgs"}, {"solver": "lm"}
SHORT, STATE = "weights of training that are not like theta_", "the state of {}"
CURVES = "the length of its curves"
REFUSED = [
    ({}, lambda m: setattr(m, "theta_", np.full(21, np.nan)), "the numbers of theta_"),
    ({}, lambda m: setattr(m, "theta_", np.zeros(20)), "20 weights, where its layers have 21"),
    ({}, lambda m: setattr(m, "n_outputs_", 7), "the value of n_outputs_"),
    ({}, lambda m: setattr(m, "loss_", "x"), "the value of loss_"),
    ({}, without_layers, "the number of its layers"),
    ({}, lambda m: setattr(m, "activations_", ["relu"]), "the number of its activations"),
    ({"target": np.c_[y, y]}, lambda m: setattr(m, "_y_ndim", 1), "the dimensions of y"),
    ({}, lambda m: setattr(m, "X_scale_", np.ones(2)), "the number of units of X"),
    ({}, lambda m: setattr(m, "y_shift_", np.ones(2)), "the number of units of y"),
    ({}, lambda m: setattr(m, "loss_curve_", [1, 2, 3]), "the numbers of loss_curve_"),
    ({}, lambda m: setattr(m, "loss_curve_", [1.0]), "the length of its loss curve"),
    ({}, set_training("architecture", "dtype", to="float32"), "the type of its weights"),
    ({}, set_training("architecture", "hidden_layer_sizes", to=(9,)), "its architecture"),
    ({}, set_training("theta", to=np.zeros(20)), SHORT),
    ({}, set_training("first_theta", to=np.zeros(21, np.float32)), SHORT),
    (EARLY, set_training("history", "best_theta", to=np.zeros(22)), SHORT),
    ({}, set_training("optimizer", "m", to=np.zeros(20)), "m of the optimizer"),
    ({}, set_training("optimizer", "t", to=0.5), "t of the optimizer"),
    ({}, set_training("optimizer", to={}), "the state of the optimizer"),
    (LBFGS, set_training("optimizer", to={"evaluations": 0.5}), STATE.format("lbfgs")),
    (LBFGS, set_training("optimizer", to={"more": 1}), STATE.format("lbfgs")),
    (LBFGS, set_training("optimizer", to={"damping": 0.5}), STATE.format("lbfgs")),
    *((LM, set_training("optimizer", to={"damping": x}), STATE.format("lm"))
      for x in (-0.5, np.inf, np.nan, 1)),
    (EARLY, set_training("history", "validation_scores", to=[0.0]), CURVES),
    (EARLY, with_longer_scores, CURVES),
    (EARLY, lambda m: setattr(m, "validation_scores_", [0.0]), CURVES),
    (EARLY, lambda m: setattr(m, "validation_loss_curve_", None), CURVES),
    ({}, set_training("history", "best_epoch", to=4), "the epoch that was best"),
    ({}, set_training("history", "judged_from", to=4), "the epoch that was best"),
    ({}, set_training("weight_mean", to=0.0), "the mean of its weights"),
    ({}, set_training("rng", "state", "inc", to=2), "its random generator"),
    ({}, set_training("rng", "bit_generator", to="MT19937"), "its random generator"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "change", "reason"), REFUSED)
def test_what_could_not_be_loaded_is_not_saved(path, params, change, reason):
    """The same function reads a file that was forged."""
    model = fit(**params)
    change(model)
    with pytest.raises(ValueError, match=f"cannot be saved: {reason}$"):
        model.save(path)
    assert not path.exists()


# ----- damage --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "model.skb"
    fit(hidden_layer_sizes=(2,), solver="sgd", momentum=0).save(path)
    return path.read_bytes()


def parsed(data):
    return container.parse(io.BytesIO(data), len(data))


def test_every_truncation(data):
    for n in range(len(data)):
        with pytest.raises(container.RefusedError):
            parsed(data[:n])


def test_every_flipped_bit(data):
    flipped = bytearray(data)
    for k in range(8 * len(data)):
        flipped[k // 8] ^= 1 << k % 8
        with pytest.raises(container.RefusedError):
            parsed(flipped)
        flipped[k // 8] ^= 1 << k % 8
    parsed(flipped)


def accepted(path, data):
    """The model of the file, if it is accepted: then it predicts and can be saved as it was."""
    path.write_bytes(data)
    try:
        model = BackpropRegressor.load(path)
    except ModelFileError as error:
        assert error.path == str(path) and error.reason
        return None
    with np.errstate(all="ignore"):
        rows = np.zeros((2, model.n_features_in_))
        names = getattr(model, "feature_names_in_", None)
        rows = rows if names is None else pd.DataFrame(rows, columns=names)
        assert model.predict(rows).shape[0] == 2
        model.save(path)
        assert path.read_bytes() == data
    return model


def test_damage_on_the_disk_names_the_path(path, data):
    for k in range(0, len(data), 97):
        assert accepted(path, data[:k] + bytes([data[k] ^ 4]) + data[k + 1 :]) is None
    assert accepted(path, data) is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h["fitted"]["activations_"].__setitem__(0, "snake"), "activations_"),
        (lambda h: h["params"].update(loss={"object": ["loss", "snake", {}]}), "is not known"),
        (lambda h: h["params"].update(loss={"object": ["os", "system", {}]}), "the kind of loss"),
        (lambda h: h.update(later=1), "other keys"),
        (lambda h: h["params"].update(later=1), r"\['later'\] is not known to this version"),
        (lambda h: h["fitted"].update(later=1), r"\['later'\], not known to this version"),
        (lambda h: h["fitted"]["_training"].update(later=1), r"_training has \['later'\]"),
        (lambda h: h["fitted"]["_training"]["optimizer"].update(v=0), "the state of the optimizer"),
        (lambda h: h["arrays"].append(h["arrays"][0]), "an array twice"),
        (
            lambda h: h.update(format=container.FORMAT + 1, library="7.1.0", needs="7.0.0"),
            r"written by skbackprop 7\.1\.0; reading it needs skbackprop >= 7\.0\.0",
        ),
    ],
)  # fmt: skip
def test_what_is_not_known_is_named(path, data, change, said):
    header, numbers = unpack(data)
    change(header)
    path.write_bytes(pack(header, numbers))
    with pytest.raises(ModelFileError, match=said) as refused:
        BackpropRegressor.load(path)
    assert refused.value.path == str(path)


def leaves(tree, path=()):
    """Paths to everything in a header."""
    yield path
    if isinstance(tree, (dict, list)):
        for key, inside in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(inside, (*path, key))


STRANGE = [
    None, True, -1, 0, 1, 2**70, 2**200, 0.5, -0.5, "", "x", "theta_", [], {}, [[]], {"a": 1},
    {"float": "nan"}, {"tuple": []}, {"object": ["activation", "elu", {"alpha": -1.0}]},
    {"scalar": ["int64", 2**64]}, {"array": ["int8", [300]]},
]  # fmt: skip
RICH = {
    "early_stopping": True,
    "warm_start": True,
    "random_state": np.random.RandomState(1),
    "activation": ACTIVATIONS["elu"](),
}


def test_every_value_of_the_header_replaced_by_strange_ones(path):
    """With right checksums: ModelFileError, or a model that works."""
    fit(pd.DataFrame(X, columns=list("abc")), **RICH).save(path)
    header, numbers = unpack(path.read_bytes())
    tried = 0
    for where in [p for p in leaves(header) if p and p[0] not in ("arrays", "format", "run")]:
        # Of a parameter that came later it is an old file, which is saved with it.
        gone = [] if where[-1] in persistence.ADDED else ["missing"]
        for value in [*STRANGE, *gone]:
            forged = copy.deepcopy(header)
            inside = forged
            for key in where[:-1]:
                inside = inside[key]
            if value == "missing":
                del inside[where[-1]]
            else:
                inside[where[-1]] = value
            accepted(path, pack(forged, numbers))
            tried += 1
    assert tried > 2000


def test_weights_that_are_not_finite(path, data):
    header, numbers = unpack(data)
    for name in ("theta_", "X_scale_", "X_shift_", "y_scale_"):
        for value in (np.nan, np.inf, -np.inf):
            wrong = np.frombuffer(numbers[name]).copy()
            wrong[0] = value
            assert accepted(path, pack(header, numbers | {name: wrong.tobytes()})) is None
    for value in (0.0, -1.0):
        wrong = np.frombuffer(numbers["X_scale_"]).copy()
        wrong[0] = value
        assert accepted(path, pack(header, numbers | {"X_scale_": wrong.tobytes()})) is None


def test_mutations_of_arrays_with_right_checksums(path, data):
    header, numbers = unpack(data)
    random = np.random.default_rng(0)
    for _ in range(300):
        name = random.choice([name for name in numbers if numbers[name]])
        wrong = bytearray(numbers[name])
        for at in random.integers(len(wrong), size=3):
            wrong[at] = random.integers(256)
        accepted(path, pack(header, numbers | {name: bytes(wrong)}))


def test_an_array_that_nothing_asks_for(path, data):
    header, numbers = unpack(data)
    for name in ("more", "room"):
        forged = copy.deepcopy(header)
        forged["arrays"].append({"name": name, "dtype": "|u1", "shape": [8], "sha256": ""})
        assert accepted(path, pack(forged, numbers | {name: bytes(8)})) is None


@pytest.mark.parametrize("content", [pickle.dumps(classic()), b"", b"PK\5\6" + bytes(18)])
def test_other_files_are_refused_and_not_unpickled(path, content, monkeypatch):
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(pickle, "loads", None)
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        BackpropRegressor.load(path)


def test_memory(path):
    for model in (
        fit(hidden_layer_sizes=(800, 800), max_iter=1, learning_rate_init=1e-6),
        fit(max_iter=1),
    ):
        if model.layer_sizes_[1] == 4:  # curves as long as a stream makes them
            curve = rng.standard_normal(400_000).tolist()
            model.loss_curve_ = model._training["history"]["loss_curve"] = curve
        model.save(path)
        size = path.stat().st_size
        assert peak_memory(lambda: BackpropRegressor.load(path)) < 2 * size + 16 * 2**20


LIMITED = """
import pathlib, resource, sys
from skbackprop import BackpropRegressor, ModelFileError, persistence
for path in sys.argv[1:]:
    size = pathlib.Path(path).stat().st_size
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * size + 16 * 2**20, resource.RLIM_INFINITY))
    try:
        BackpropRegressor.load(path)
        print("loaded")
    except ModelFileError:
        print("refused")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs the limits of Linux")
def test_memory_under_a_limit(tmp_path, data):
    """Of addresses, which counts what the interpreter and its allocator take too."""
    fit(hidden_layer_sizes=(1000, 1000), max_iter=1, learning_rate_init=1e-6).save(tmp_path / "0")
    header, numbers = unpack(data)
    curve = fit(max_iter=1)
    curve.loss_curve_ = curve._training["history"]["loss_curve"] = rng.random(400_000).tolist()
    curve.save(tmp_path / "1")
    long, lists = unpack((tmp_path / "1").read_bytes())
    long["arrays"] = [entry for entry in long["arrays"] if entry["name"] != schema.ROOM]
    forged = [pack(long, lists)]
    for shape in ([2**41], [2**31, 2**31], [2000, 2000, 2000], [len(data)]):
        giant = copy.deepcopy(header)
        giant["arrays"][0]["shape"] = shape
        # The numbers stay: pack asks for no more than their bytes.
        forged.append(pack(giant, numbers))
    for key, value in (
        ("params", [0] * 100_000),
        ("run", [[]] * 60_000),
        ("fitted", "x" * 200_000),
    ):
        forged.append(pack(header | {key: value}, numbers))
    forged.append(pack(header | {"params": {str(k): k for k in range(20_000)}}, numbers))
    forged.append(pack(header, numbers)[:-1])
    for k, content in enumerate(forged, 2):
        (tmp_path / str(k)).write_bytes(content)
    paths = [tmp_path / str(k) for k in range(len(forged) + 2)]
    done = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["loaded"] * 2 + ["refused"] * len(forged)


LIBRARIES = {
    "collections", "contextlib", "copy", "errno", "hashlib", "itertools", "json", "math", "numpy",
    "os", "re", "secrets", "stat", "struct", "sys", "typing", "zlib",
}  # fmt: skip
CODE = {
    "__import__", "allow_pickle", "compile", "eval", "exec", "fromfile", "globals",
    "import_module", "literal_eval", "memmap", "pickle", "popen", "system", "vars",
}  # fmt: skip


@pytest.mark.parametrize("module", [persistence, container, values, schema, atomic, checkpoints])
def test_no_module_of_files_can_run_code(module):
    """Of these libraries, by none of these names; `vars` of objects to write alone."""
    imported, used = set(), set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module.partition(".")[0]} if node.level == 0 else set()
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", None)
            used |= {node.attr} - ({"compile"} if owner == "re" else set())
            assert node.attr != "load" or owner == "persistence"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "getattr":
            assert isinstance(node.args[1], ast.Constant)
        used |= {getattr(node, "id", None), getattr(node, "arg", None)}
    assert imported <= LIBRARIES
    assert used & CODE <= ({"vars"} if module is values else set())


def test_loading_needs_no_pickle(path, monkeypatch):
    model = fit(pd.DataFrame(X, columns=list("abc")), **RICH)
    model.save(path)

    def fails(*args, **kwargs):
        raise AssertionError("unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (np, "load")):
        monkeypatch.setattr(module, name, fails)
    loaded = BackpropRegressor.load(path)
    monkeypatch.undo()
    assert identical(vars(loaded), vars(model))


AUDIT = """
import sys
from skbackprop import BackpropRegressor, persistence
path, seen = sys.argv[1], []
sys.addaudithook(lambda event, args: seen.append((event, args)))
BackpropRegressor.load(path)
seen = list(seen)
BAD = ("import", "exec", "compile", "socket", "subprocess", "os.system")
bad = [e for e, a in seen if e.startswith(BAD)]
opened = {a[0] for e, a in seen if e == "open"}
assert not bad and opened == {path}, (bad, opened)
"""


def test_loading_opens_one_file_and_runs_nothing(path):
    fit(random_state=np.random.RandomState(1), loss=LOSSES["huber"]()).save(path)
    done = subprocess.run([sys.executable, "-c", AUDIT, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
