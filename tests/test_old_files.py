"""Files of every released format are read for ever.

`data/models/v1` and its like are never written anew; a new format gets a folder of its own
(`python tests/data/models/make.py`).
"""

import hashlib
import pathlib
import runpy
import shutil

import numpy as np
import pytest
from forge import identical, pack, unpack
from own import classic

from skbackprop import BackpropRegressor, __version__, persistence
from skbackprop.container import FORMAT, NEEDS
from skbackprop.parameters import FULL_BATCH
from skbackprop.values import OBJECTS, TABLES, encode

FOLDER = pathlib.Path(__file__).parent / "data" / "models"
make = runpy.run_path(str(FOLDER / "make.py"), run_name="make")
PINS = make["pins"]()
FILES = [name for name in PINS if name.endswith(".skb")]


def test_every_format_has_its_files():
    assert {f"v{k}" for k in range(1, FORMAT + 1)} == {name.partition("/")[0] for name in PINS}
    assert {f"v{FORMAT}/{name}.skb" for name in make["CASES"]} <= set(FILES)
    there = {f"{path.parent.name}/{path.name}" for path in FOLDER.glob("v*/*")}
    assert there == set(PINS)


def test_every_entry_of_the_tables_is_in_a_file():
    """By name or as an object: a later change of what one means would change old models."""
    there = {table: set() for table in TABLES}
    for name in FILES:
        model = BackpropRegressor.load(FOLDER / name)
        used = model._training["architecture"]
        there["activation"].update(map(named, model.activations_))
        there["learning_rate"].add(named(model.learning_rate))
        there["loss"].add(named(used["loss"]))
        there["solver"].add(named(used["solver"]))
    assert there["solver"] >= {*FULL_BATCH}
    for table in TABLES:
        assert there[table] >= TABLES[table].keys()


def named(value):
    """The name of an entry of a table, which may be an object."""
    return value if isinstance(value, str) else OBJECTS[type(value)][1]


def test_a_file_that_was_changed_gets_no_new_pin(tmp_path):
    """And nothing that is there is written."""
    copied = shutil.copytree(FOLDER, tmp_path / "models")
    before = (copied / "sha256.txt").read_bytes()
    file = copied / FILES[0]
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(SystemExit, match=f"not what they were: .*{FILES[0]}"):
        runpy.run_path(str(copied / "make.py"), run_name="__main__")
    assert (copied / "sha256.txt").read_bytes() == before


@pytest.mark.parametrize("name", PINS)
def test_no_file_has_changed(name):
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PINS[name]


def as_saved_now(data):
    """An old file as this version writes it: other versions, no fit, the later parameters."""
    header, numbers = unpack(data)
    header |= {"format": FORMAT, "library": __version__, "needs": NEEDS, "run": None}
    later = {name: encode(value, name) for name, value in persistence.ADDED.items()}
    header["params"] = later | header["params"]
    return pack(header, numbers)


@pytest.mark.parametrize("name", FILES)
def test_an_old_file_predicts_trains_on_and_is_saved_again(name, tmp_path):
    model, (X, y) = BackpropRegressor.load(FOLDER / name), make["data"](pathlib.Path(name).stem)
    expected = np.load((FOLDER / name).with_suffix(".npy"))
    # Not bit for bit: BLAS adds up in another order on another processor.
    rounding = 1e-12 if model.theta_.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=rounding * abs(y).max())
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == as_saved_now((FOLDER / name).read_bytes())
    again = BackpropRegressor.load(tmp_path / "again")
    assert identical(vars(again), vars(model))
    for m in (model, again):
        if m.solver not in FULL_BATCH:
            m.partial_fit(X, y)
        m.set_params(warm_start=True).fit(X, y)
    assert identical(vars(again), vars(model))


def test_a_checkpoint_goes_on(tmp_path):
    path = tmp_path / "checkpoint.skb"
    path.write_bytes((FOLDER / "v1" / "checkpoint.skb").read_bytes())
    model = classic(
        **make["SMALL"] | make["CASES"]["checkpoint"], checkpoint=path, batch_size="auto"
    )
    X, y = make["data"]("checkpoint")
    assert BackpropRegressor.load(path).n_iter_ == 2
    assert model.fit(X, y).n_iter_ == BackpropRegressor.load(path).n_iter_ == 4


def test_a_parameter_of_a_later_version_has_its_default(monkeypatch):
    """As the entry says, and not as a constructor may say by then."""
    names = [*classic().get_params(), "later"]
    with pytest.raises(ValueError, match=r"lacks the parameter \['later'\]"):
        persistence.load(FOLDER / FILES[0], names)
    monkeypatch.setitem(persistence.ADDED, "later", 7)
    params, *_ = persistence.load(FOLDER / FILES[0], names)
    assert params["later"] == 7 and list(params) == names


def test_an_old_file_and_a_constructor_that_has_grown(monkeypatch, tmp_path):
    """Of all old files; saved by the new version, they hold the parameter, with what it means."""

    class Grown(BackpropRegressor):
        def __init__(self, later=None, **params):
            self.later = later
            BackpropRegressor.__init__(self, **params)

    names = ["later", *classic().get_params()]
    monkeypatch.setitem(persistence.ADDED, "later", ["old"])
    for name in FILES:
        params, fitted, _ = persistence.load(FOLDER / name, names)
        model = Grown(**params)._commit(fitted)
        assert model.later == ["old"] and model.later is not persistence.ADDED["later"]
        X, _ = make["data"](pathlib.Path(name).stem)
        assert np.isfinite(model.predict(X)).all()
        persistence.save(tmp_path / "new", params | {"later": 3}, fitted)
        again, *_ = persistence.load(tmp_path / "new", names)
        assert again["later"] == 3
