"""Files of every released format are read for ever.

`data/models/v1` and its like are never written anew; a new format gets a folder of its own
(`python tests/data/models/make.py`).
"""

import hashlib
import pathlib
import runpy

import numpy as np
import pytest
from forge import identical

from skbackprop import BackpropRegressor, persistence
from skbackprop.container import FORMAT

FOLDER = pathlib.Path(__file__).parent / "data" / "models"
make = runpy.run_path(str(FOLDER / "make.py"), run_name="make")
PINS = dict(
    reversed(line.split()) for line in (FOLDER / "sha256.txt").read_text("ascii").splitlines()
)
FILES = [name for name in PINS if name.endswith(".skb")]


def test_every_format_has_its_files():
    assert {f"v{k}" for k in range(1, FORMAT + 1)} == {name.partition("/")[0] for name in PINS}
    assert {f"v{FORMAT}/{name}.skb" for name in make["CASES"]} <= set(FILES)
    there = {f"{path.parent.name}/{path.name}" for path in FOLDER.glob("v*/*")}
    assert there == set(PINS)


@pytest.mark.parametrize("name", PINS)
def test_no_file_has_changed(name):
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PINS[name]


@pytest.mark.parametrize("name", FILES)
def test_an_old_file_predicts_trains_on_and_is_saved_again(name, tmp_path):
    model, (X, y) = BackpropRegressor.load(FOLDER / name), make["data"](pathlib.Path(name).stem)
    expected = np.load((FOLDER / name).with_suffix(".npy"))
    # Not bit for bit: BLAS adds up in another order on another processor.
    rounding = 1e-12 if model.theta_.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=rounding * abs(y).max())
    model.save(tmp_path / "again")
    again = BackpropRegressor.load(tmp_path / "again")
    assert identical(vars(again), vars(model))
    for m in (model, again):
        if m.solver != "lbfgs":
            m.partial_fit(X, y)
        m.set_params(warm_start=True).fit(X, y)
    assert identical(vars(again), vars(model))


def test_a_checkpoint_goes_on(tmp_path):
    path = tmp_path / "checkpoint.skb"
    path.write_bytes((FOLDER / "v1" / "checkpoint.skb").read_bytes())
    model = BackpropRegressor(**make["SMALL"] | make["CASES"]["checkpoint"], checkpoint=path)
    X, y = make["data"]("checkpoint")
    assert BackpropRegressor.load(path).n_iter_ == 2
    assert model.fit(X, y).n_iter_ == BackpropRegressor.load(path).n_iter_ == 4


def test_a_parameter_of_a_later_version_has_its_default(monkeypatch):
    """As the entry says, and not as a constructor may say by then."""
    names = [*BackpropRegressor().get_params(), "later"]
    with pytest.raises(ValueError, match=r"lacks the parameter \['later'\]"):
        persistence.load(FOLDER / FILES[0], names)
    monkeypatch.setitem(persistence.ADDED, "later", 7)
    params, *_ = persistence.load(FOLDER / FILES[0], names)
    assert params["later"] == 7 and list(params) == names
