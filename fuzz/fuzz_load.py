"""Fuzz BackpropRegressor.load: python fuzz/fuzz_load.py --seconds 60 [a file that failed].

Headers and arrays of real files are changed and packed again with right checksums, so that what
lies behind the checksums is reached; a tenth of the changes are to bytes. A file is either refused
with ModelFileError, or a model that predicts finite numbers, is saved again byte for byte, and
trains on or says why not; and loading it takes no more memory than it may. Ends with 0 if all of
them were; with 1 after the first that was not, which is then found.skb in the present folder.
"""

import argparse
import copy
import json
import os
import pathlib
import random
import resource
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings

import atheris

with atheris.instrument_imports(include=["skbackprop"]):
    from skbackprop import BackpropRegressor, ModelFileError, __version__, container, persistence
    from skbackprop.parameters import FULL_BATCH
    from skbackprop.values import encode

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from forge import pack, unpack  # noqa: E402, of the tests

FOUND = "found.skb"  # in the present folder
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # many times faster than a disk
LARGEST = 2**16  # bytes of a file
MEMORY = 16 * 2**20  # that loading may take, beside twice the file
SPACE = 2**29  # of addresses, beyond those in use: more is a size that was believed
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
NAMES = list(BackpropRegressor().get_params(deep=False))
# Parts of the header, as often as they are changed; None is any of them.
PARTS = ("params", "params", "fitted", "fitted", "fitted", "run", "random_state", "arrays", None)
STRANGE = [
    None, True, False, -1, 0, 1, 2, 624, 2**31, 2**62, 2**63, 2**128, 0.0, -0.5, 1e308, 5e-324,
    "", "x", "theta_", "adam", "lbfgs", "relu", "<f8", "float32", "\ud800", "x" * 2000, [], {},
    [[]], [1], [4000] * 4, ["relu"], [[[[[[1]]]]]], {"a": 1}, {"float": "nan"}, {"float": "inf"},
    {"tuple": [1]}, {"scalar": ["float32", 1.5]}, {"scalar": ["str", "adam"]}, {"dict": {"a": 1}},
    {"object": ["activation", "elu", {"alpha": 1e300}]}, {"array": ["int8", [1, 2]]},
    {"object": ["activation", "leaky_relu", {"negative_slope": {"scalar": ["int8", -128]}}]},
]  # fmt: skip
WHOLE = []  # headers as text, and arrays, of the files to begin with
NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, -1e300, 1e-300, 5e-324]


def places(tree, at=()):
    """Paths to everything in a header."""
    yield at
    if isinstance(tree, (dict, list)):
        for key, inside in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(inside, (*at, key))


def inside_of(tree, at):
    """What is at that place."""
    for key in at:
        tree = tree[key]
    return tree


def change_header(header, dice):
    """Put something else in one place, or nothing, or what is in another place."""
    part, everywhere = dice.choice(PARTS), [at for at in places(header) if at]
    at = dice.choice([at for at in everywhere if part in (None, at[0])])
    parent, kind = inside_of(header, at[:-1]), dice.randrange(6)
    if kind == 0:
        del parent[at[-1]]
    elif kind == 1:
        parent[at[-1]] = copy.deepcopy(inside_of(header, dice.choice(everywhere)))
    elif kind == 2 and isinstance(parent[at[-1]], (int, float)):
        parent[at[-1]] += dice.choice([-1, 1, 0.5, 2**31])
    elif kind == 3 and isinstance(parent, dict):
        name = dice.choice(["x" * 2000, "", "\ud800", str(dice.choice(everywhere)[-1])])
        parent[name] = copy.deepcopy(parent[at[-1]])
        if dice.random() < 0.5:  # another name for it, and not one more
            del parent[at[-1]]
    else:
        alike = [value for value in STRANGE if kind == 5 or type(value) is type(parent[at[-1]])]
        parent[at[-1]] = copy.deepcopy(dice.choice(alike))


def change_list_of_arrays(header, numbers, dice):
    """One array less, or one more: another's copy, or zeros."""
    if dice.random() < 0.5:
        header["arrays"].remove(dice.choice(header["arrays"]))
        return
    entry = {**dice.choice(header["arrays"]), "name": dice.choice(["room", "more"])}
    data = numbers[dice.choice(list(numbers))] if dice.random() < 0.5 else bytes(64)
    if dice.random() < 0.5:
        entry["dtype"], data = "|u1", bytes(len(data))
    entry["shape"] = [len(data) // int(entry["dtype"][2])]
    header["arrays"].insert(dice.randrange(len(header["arrays"]) + 1), entry)
    numbers[entry["name"]] = data[: entry["shape"][0] * int(entry["dtype"][2])]


def change_array(header, numbers, dice):
    """A number or all of them, the length, or the type of an array."""
    entry = dice.choice(header["arrays"])
    data = bytearray(numbers[entry["name"]])
    kind, size = dice.randrange(6), int(entry["dtype"][2])
    if kind == 0:
        entry["dtype"] = dice.choice(["<f4", "<f8", "<i8", "|u1"])
        data = data[: len(data) // 8 * 8]
    elif kind == 1:
        data += bytes(size)
    elif kind == 2:
        del data[-size:]
    elif data:
        k, dtype = dice.randrange(len(data) // size) * size, "<f4" if size == 4 else "<f8"
        with np.errstate(all="ignore"):
            number = np.array(dice.choice(NUMBERS), dtype).tobytes()[-size:]
        if kind == 3:
            data = bytearray(number * (len(data) // size))
        data[k : k + size] = number
    entry["shape"] = [len(data) // int(entry["dtype"][2])]
    numbers[entry["name"]] = bytes(data)


def mutated(data, max_size, seed):
    """Another file, packed with right checksums; or, where that cannot be, other bytes.

    Most begin with a whole file: descendants of one that was refused are refused for the same
    reason, and hardly any of them reaches what is checked after that.
    """
    dice = random.Random(seed)
    if dice.random() < 0.9:
        try:
            text, numbers = dice.choice(WHOLE)
            header, numbers = json.loads(text), dict(numbers)
            if dice.random() < 0.1:
                header, numbers = unpack(data)
            for _ in range(dice.choice([1, 1, 1, 2, 3])):
                what = dice.random()
                if what < 0.68:
                    change_header(header, dice)
                elif what < 0.7:
                    change_list_of_arrays(header, numbers, dice)
                else:
                    change_array(header, numbers, dice)
            return pack(header, numbers)[:max_size]
        except Exception:  # of the packer, which knows whole files alone
            pass
    return atheris.Mutate(data, max_size)


def most_memory():
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def with_levels(categories, X):
    """The table with a column of levels, and of others, for every category."""
    X = pd.DataFrame(X)
    for j, levels in enumerate(categories):
        if levels is not None:
            text = levels.dtype == object
            some = [*levels[:1], *levels[-1:], "other" if text else 17, None, None][: len(X)]
            X.isetitem(j, pd.Series(some, dtype=object) if text else pd.Categorical(some))
    return X


def check(path, data):
    """Refused as it must be, or a model."""
    path.write_bytes(data)
    before = most_memory()
    try:
        with np.errstate(all="raise"), warnings.catch_warnings():  # as a program may have it
            warnings.simplefilter("error")
            model = BackpropRegressor.load(path)
    except ModelFileError as error:
        assert error.path == str(path) and error.reason
        assert len(str(error)) < 1000, "a reason as long as the file"
        return False
    finally:
        assert most_memory() - before < 2 * len(data) + MEMORY, "too much memory"
    names = getattr(model, "feature_names_in_", None)
    X = np.linspace(-3, 3, 2 * model.n_features_in_).reshape(2, -1)
    if model.X_shift_ is not None:  # where a scale of 0 would be 0 / 0
        X = np.vstack([X, model.X_shift_])
    if names is not None and len({*names}) == len(names):  # else scikit-learn refuses the frame
        X = pd.DataFrame(X, columns=names)
    X = X if model.categories_ is None else with_levels(model.categories_, X)
    predictions = model.predict(X)
    assert np.isfinite(predictions).all() and predictions.size == len(X) * model.n_outputs_
    check_saved_again(path, data, model)
    check_training(model, X, np.linspace(0.5, 1.5, predictions.size).reshape(predictions.shape))
    return True


def check_training(model, X, y):
    """It goes on, and predictions are finite; or it is said why not, by a line that says so."""
    model.set_params(max_iter=1, max_time=None, verbose=False, warm_start=True)
    try:
        if isinstance(model.solver, str) and model.solver in FULL_BATCH:
            model.fit(X, y)
        else:
            model.partial_fit(X, y)
    except (ValueError, TypeError) as error:
        # Not by NumPy, whose errors have no line: "operands could not be broadcast".
        line = traceback.extract_tb(error.__traceback__)[-1].line
        if not line.startswith("raise"):
            raise
    assert np.isfinite(model.predict(X)).all()


def check_saved_again(path, data, model):
    """The same file, but for the version that wrote it; a fit's state too, where it has one."""
    header, numbers = unpack(data)
    header |= {"library": __version__, "needs": container.NEEDS}
    later = {name: encode(value, name) for name, value in persistence.ADDED.items()}
    header["params"] = later | header["params"]  # of an old file they are missing
    if header["run"] is not None:
        params, fitted, run = persistence.load(path, NAMES)
        assert type(run) is dict
        persistence.save(path, params, fitted, run)
        assert path.read_bytes() == pack(header, numbers), "the fit is saved as another file"
    model.save(path)
    again = path.read_bytes()
    assert again == pack(header | {"run": None}, numbers), "saved again, it is another file"


def limit_memory():
    """Make an array of a size that was made up an error, where the system can."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    except FileNotFoundError:
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPACE, most))


def corpus_in(folder):
    """Files of all settings that are kept for ever, written by this version."""
    make = runpy.run_path(str(ROOT / "tests" / "data" / "models" / "make.py"), run_name="make")
    folder.mkdir()
    for name in make["CASES"]:
        make["write"](name, folder / name)
        header, numbers = unpack((folder / name).read_bytes())
        WHOLE.append((json.dumps(header), numbers))
    return str(folder)


def fuzz(folder, seconds):
    """Fuzz, and end the process."""
    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None  # power failures are not what is looked for
    target, counts = folder / "model.skb", [0, 0]

    def one_input(data):
        counts[check(target, data)] += 1
        if sum(counts) % 5000 == 0:
            print(f"{counts[0]} refused, {counts[1]} models", flush=True)

    limits = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=1024"]
    ends = [
        "-timeout=5",
        "-mutate_depth=1",
        "-print_final_stats=1",
        f"-exact_artifact_path={FOUND}",
    ]
    options = [sys.argv[0], *limits, *ends, corpus_in(folder / "corpus")]
    atheris.Setup(options, one_input, custom_mutator=mutated)
    limit_memory()
    atheris.Fuzz()


def main():
    """Fuzz for some seconds in a process of its own, or look at one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    given = parser.parse_args()
    np.seterr(all="ignore")
    if given.folder:
        fuzz(given.folder, given.seconds)
    with tempfile.TemporaryDirectory(
        dir=PLACE
    ) as folder:  # the fuzzer ends without any cleaning up
        if given.file:
            model = check(pathlib.Path(folder) / "model.skb", given.file.read_bytes())
            print("a model" if model else "refused")
            return
        child = [sys.executable, __file__, "--seconds", str(given.seconds), "--folder", folder]
        status = subprocess.call(child)
    if status:
        sys.exit(f"found after an end with {status}; again: python {sys.argv[0]} {FOUND}")


if __name__ == "__main__":
    main()
