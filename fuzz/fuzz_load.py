"""Fuzz BackpropRegressor.load: python fuzz/fuzz_load.py --seconds 60 [a file that failed].

Headers and arrays of real files are changed and packed again with right checksums, so that what
lies behind the checksums is reached; a fifth of the changes are to bytes. A file is either refused
with ModelFileError, or a model that predicts finite numbers and is saved again byte for byte; and
loading it takes no more memory than it may. Ends with 0 if all of them were; with 1 after the first
that was not, which is then in the present folder.
"""

import argparse
import atexit
import copy
import hashlib
import os
import pathlib
import random
import resource
import runpy
import shutil
import sys
import tempfile
import warnings

import atheris

with atheris.instrument_imports(include=["skbackprop"]):
    from skbackprop import BackpropRegressor, ModelFileError, __version__, container, persistence

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from forge import pack, unpack  # noqa: E402, of the tests

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
    [[]], [1], ["relu"], [[[[[[1]]]]]], {"a": 1}, {"float": "nan"}, {"float": "inf"},
    {"tuple": [1]}, {"scalar": ["float32", 1.5]}, {"scalar": ["str", "adam"]}, {"dict": {"a": 1}},
    {"object": ["activation", "elu", {"alpha": 1e300}]}, {"array": ["int8", [1, 2]]},
]  # fmt: skip
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
        parent[name] = parent.pop(at[-1])
    else:
        parent[at[-1]] = copy.deepcopy(dice.choice(STRANGE))


def change_array(header, numbers, dice):
    """A number, the length, or the type of an array."""
    entry = dice.choice(header["arrays"])
    data = bytearray(numbers[entry["name"]])
    kind, size = dice.randrange(5), int(entry["dtype"][2])
    if kind == 0:
        entry["dtype"] = dice.choice(["<f4", "<f8", "<i8", "|u1"])
        data = data[: len(data) // 8 * 8]
    elif kind == 1:
        data += bytes(size)
    elif kind == 2:
        del data[-size:]
    elif data:
        k = dice.randrange(len(data) // size) * size
        dtype = "<f4" if size == 4 else "<f8"
        with np.errstate(all="ignore"):
            data[k : k + size] = np.array(dice.choice(NUMBERS), dtype).tobytes()[-size:]
    entry["shape"] = [len(data) // int(entry["dtype"][2])]
    numbers[entry["name"]] = bytes(data)


def mutated(data, max_size, seed):
    """Another file, packed with right checksums; or, where that cannot be, other bytes."""
    dice = random.Random(seed)
    if dice.random() < 0.8:
        try:
            header, numbers = unpack(data)
            for _ in range(dice.choice([1, 1, 1, 2, 3])):
                if dice.random() < 0.7:
                    change_header(header, dice)
                else:
                    change_array(header, numbers, dice)
            return pack(header, numbers)[:max_size]
        except Exception:  # of the packer, which knows whole files alone
            pass
    return atheris.Mutate(data, max_size)


def most_memory():
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def check(path, data):
    """Refused as it must be, or a model."""
    path.write_bytes(data)
    before = most_memory()
    try:
        model = BackpropRegressor.load(path)
    except ModelFileError as error:
        assert error.path == str(path) and error.reason
        assert len(str(error)) < 1000, "a reason as long as the file"
        return False
    finally:
        assert most_memory() - before < 2 * len(data) + MEMORY, "too much memory"
    names = getattr(model, "feature_names_in_", None)
    X = np.linspace(-3, 3, 2 * model.n_features_in_).reshape(2, -1)
    assert np.isfinite(model.predict(X if names is None else pd.DataFrame(X, columns=names))).all()
    check_saved_again(path, data, model)
    return True


def check_saved_again(path, data, model):
    """The same file, but for the version that wrote it: as it is, and as a model that is no fit."""
    header, numbers = unpack(data)
    header |= {"library": __version__, "needs": container.NEEDS}
    persistence.save(path, *persistence.load(path, NAMES))
    assert path.read_bytes() == pack(header, numbers), "saved again, it is another file"
    model.save(path)
    again = path.read_bytes()
    assert again == pack(header | {"run": None}, numbers), "the model is saved as another file"


def limit_memory():
    """Make an array of a size that was made up an error, where the system can."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    except FileNotFoundError:
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPACE, most))


def corpus_in(folder):
    """A file of every setting that is kept for ever, written by this version."""
    make = runpy.run_path(str(ROOT / "tests" / "data" / "models" / "make.py"), run_name="make")
    folder.mkdir()
    for name in make["CASES"]:
        make["write"](name, folder / name)
    return str(folder)


def main():
    """Fuzz for some seconds, or look at one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    folder = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target, counts = folder / "model.skb", [0, 0]
    if given.file:
        print("a model" if check(target, pathlib.Path(given.file).read_bytes()) else "refused")
        return
    os.fsync = lambda descriptor: None  # power failures are not what is looked for

    def one_input(data):
        try:
            counts[check(target, data)] += 1
        except BaseException:
            name = f"crash-{hashlib.sha1(data).hexdigest()}"  # as it is called when it is written
            print(f"\nafter {sum(counts)} files; again: python {sys.argv[0]} {name}", flush=True)
            raise
        if sum(counts) % 5000 == 0:
            print(f"{counts[0]} refused, {counts[1]} models", flush=True)

    corpus = corpus_in(folder / "corpus")
    limits = [f"-max_total_time={given.seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=1024"]
    ends = ["-timeout=5", "-error_exitcode=1", "-timeout_exitcode=1", "-print_final_stats=1"]
    options = [*limits, *ends, f"-artifact_prefix={os.getcwd()}/"]
    atheris.Setup([sys.argv[0], *options, corpus], one_input, custom_mutator=mutated)
    limit_memory()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
