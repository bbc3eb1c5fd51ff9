"""Fuzz BackpropRegressor.load: python fuzz/fuzz_load.py --seconds 60 [a file that failed].

Headers and arrays of real files are changed and packed again with right checksums, so that what
lies behind the checksums is reached; a fifth of the changes are to bytes. A file is either refused
with ModelFileError, or a model that predicts finite numbers and is saved again byte for byte.
"""

import argparse
import copy
import os
import pathlib
import random
import runpy
import sys
import tempfile
import warnings

import atheris

with atheris.instrument_imports(include=["skbackprop"]):
    from skbackprop import BackpropRegressor, ModelFileError

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from forge import pack, unpack  # noqa: E402, of the tests

LARGEST = 2**16  # bytes of a file
STRANGE = [
    None, True, False, -1, 0, 1, 2, 624, 2**31, 2**62, 2**63, 2**128, 0.0, -0.5, 1e308, 5e-324,
    "", "x", "theta_", "adam", "lbfgs", "relu", "\ud800", [], {}, [[]], [1], ["relu"], {"a": 1},
    {"float": "nan"}, {"float": "inf"}, {"tuple": [1]}, {"scalar": ["float32", 1.5]},
    {"object": ["activation", "elu", {"alpha": 1e300}]}, {"array": ["int8", [1, 2]]},
]  # fmt: skip


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
    everywhere = [at for at in places(header) if at]
    at, other = dice.choice(everywhere), dice.choice(everywhere)
    parent, kind = inside_of(header, at[:-1]), dice.randrange(4)
    if kind == 0:
        del parent[at[-1]]
    elif kind == 1:
        parent[at[-1]] = copy.deepcopy(inside_of(header, other))
    elif kind == 2 and isinstance(parent[at[-1]], (int, float)):
        parent[at[-1]] += dice.choice([-1, 1, 0.5, 2**31])
    else:
        parent[at[-1]] = copy.deepcopy(dice.choice(STRANGE))


def change_array(header, numbers, dice):
    """A number, the length, or the type of an array."""
    entry = dice.choice(header["arrays"])
    data = bytearray(numbers[entry["name"]])
    kind, size = dice.randrange(4), int(entry["dtype"][2])
    if kind == 0:
        entry["dtype"] = dice.choice(["<f4", "<f8", "<i8", "|u1"])
        data = data[: len(data) // 8 * 8]
    elif kind == 1:
        data += bytes(size)
    elif kind == 2:
        del data[-size:]
    elif data:
        k = dice.randrange(len(data) // size) * size
        number = np.array(dice.choice([np.nan, np.inf, -1.0, 0.0, 1e300, 1e-300]), "<f8").tobytes()
        data[k : k + size] = number[-size:]
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


def check(path, data):
    """Refused as it must be, or a model."""
    path.write_bytes(data)
    try:
        model = BackpropRegressor.load(path)
    except ModelFileError as error:
        assert error.path == str(path) and error.reason and len(str(error)) < 1000
        return False
    names = getattr(model, "feature_names_in_", None)
    X = np.linspace(-3, 3, 2 * model.n_features_in_).reshape(2, -1)
    assert np.isfinite(model.predict(X if names is None else pd.DataFrame(X, columns=names))).all()
    model.save(path)
    if unpack(data)[0]["run"] is None:  # which a checkpoint has, and a model has not
        assert path.read_bytes() == data, "saved again, it is another file"
    return True


def main():
    """Fuzz for some seconds, or look at one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    folder = pathlib.Path(tempfile.mkdtemp())
    target, counts = folder / "model.skb", [0, 0]
    if given.file:
        print("a model" if check(target, pathlib.Path(given.file).read_bytes()) else "refused")
        return

    def one_input(data):
        counts[check(target, data)] += 1
        if sum(counts) % 5000 == 0:
            print(f"{counts[0]} refused, {counts[1]} models", flush=True)

    corpus = folder / "corpus"
    corpus.mkdir()
    make = runpy.run_path(str(ROOT / "tests" / "data" / "models" / "make.py"), run_name="make")
    for name in make["CASES"]:
        make["write"](name, corpus / name)
    limits = [f"-max_total_time={given.seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=1024"]
    options = [*limits, "-timeout=5", "-print_final_stats=1", f"-artifact_prefix={os.getcwd()}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
