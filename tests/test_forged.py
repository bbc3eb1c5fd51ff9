"""Forged files, checksums right, that a fuzzer found: refused, in a few words."""

import contextlib
import copy
import itertools
import pathlib
import warnings

import numpy as np
import pytest
from forge import pack, unpack

from skbackprop import BackpropRegressor, ModelFileError, container, values

DATA = (pathlib.Path(__file__).parent / "data" / "models" / "v1" / "defaults.skb").read_bytes()
LONG = "x" * 100_000


@pytest.fixture
def reason(tmp_path):
    """Why a file is refused whose header was changed."""
    header, numbers = unpack(DATA)

    def of(change):
        forged = copy.deepcopy(header)
        change(forged)
        path = tmp_path / "model.skb"
        path.write_bytes(pack(forged, numbers))
        with pytest.raises(ModelFileError) as refused:
            BackpropRegressor.load(path)
        return refused.value.reason

    return of


@pytest.mark.parametrize(
    "value",
    ["<f8", "(2,)f4", "f4,f4", "int8", 1, True, [], {"scalar": ["str", "float32"]},
     {"array": ["int8", [1, 2]]}, {"dict": {"a": 1}}],
)  # fmt: skip
def test_a_dtype_by_another_name(reason, value):
    """It would be saved again as another file; and NumPy would parse text of a stranger."""
    assert reason(lambda header: header["params"].update(dtype=value)) == "the value of dtype"


@pytest.mark.parametrize("record", ["params", "fitted", "optimizer"])
def test_a_reason_is_short_whatever_the_file_says(reason, record):
    def change(header):
        inside = header["fitted"]["_training"] if record == "optimizer" else header
        inside[record][LONG] = []

    assert "xxx" in reason(change) and len(reason(change)) < 500


def test_a_parameter_of_a_newer_version_is_named(reason):
    said = reason(lambda header: header["params"].update(later=1))
    assert said == "its parameter ['later'] is not known to this version"


def test_an_array_by_another_name_twice_or_elsewhere(tmp_path):
    """Each would be a model, and be saved again as another file."""
    path, (header, numbers) = tmp_path / "model.skb", unpack(DATA)
    names = [entry["name"] for entry in header["arrays"]]
    renamed, twice, moved = (copy.deepcopy(header) for _ in range(3))
    renamed["arrays"][names.index("theta_")]["name"] = "other"
    renamed["fitted"]["theta_"] = "other"
    assert header["fitted"]["_training"]["history"]["loss_curve"] == "loss_curve_"
    own = "_training.history.loss_curve"
    twice["fitted"]["_training"]["history"]["loss_curve"] = own
    curve = header["arrays"][names.index("loss_curve_")]
    twice["arrays"].append({**curve, "name": own})
    moved["arrays"].reverse()
    numbers |= {"other": numbers["theta_"], own: numbers["loss_curve_"]}
    for forged in (renamed, twice, moved):
        path.write_bytes(pack(forged, numbers))
        with pytest.raises(ModelFileError, match=r"the name of the array|or elsewhere"):
            BackpropRegressor.load(path)


def test_a_generator_that_would_give_one_number_for_ever(reason):
    """With an even increment PCG64 may stand still, and a shuffle never end."""
    multiplier = 47026247687942121848144207491837523525
    state = (0x0123456789ABCDEF << 64) | (0x0123456789ABCDEF ^ (2**64 - 1))
    still = {"state": state, "inc": state * (1 - multiplier) % 2**128}
    said = reason(lambda h: h["fitted"]["_training"]["rng"].update(state=still))
    assert said == "its random generator"


def test_weights_of_mean_0(reason):
    said = reason(lambda h: h["fitted"]["_training"].update(weight_mean=0.0))
    assert said == "the mean of its weights"


@pytest.mark.parametrize("scalar", [["int8", -128], ["int64", -(2**63)], ["uint64", 2**64 - 1]])
def test_numbers_without_an_absolute_value(reason, scalar):
    """Where the program raises NumPy's errors; of these types abs of the least is no number."""
    elu = {"object": ["activation", "elu", {"alpha": {"scalar": scalar}}]}
    with np.errstate(all="raise"):
        said = reason(lambda header: header["fitted"].update(loss_=elu))
    assert said.startswith("loss_: alpha must be ")


def extremes():
    """Numbers of every type, as a file says them: those it can hold, and some that it cannot."""
    floats = [0.0, -0.0, 0.1, 0.5, 1.0, 5e-324, 1e-46, 3.4028234663852886e38, 3.5e38, 1e308]
    floats += [np.finfo(np.float64).max, *({"float": name} for name in values.NONFINITE)]
    floats += [-number for number in floats if isinstance(number, float)]
    for dtype in values.INTEGERS:
        limits = np.iinfo(dtype)
        for number in (0, 1, 2, limits.min, limits.max, limits.min - 1, limits.max + 1):
            yield {"scalar": [dtype, number]}
    for dtype in ("float32", "float64"):
        yield from ({"scalar": [dtype, number]} for number in floats)
    yield from floats
    yield from ({"scalar": ["bool", True]}, {"scalar": ["str", "1"]}, 2**127, -(2**127), 2**128)


@pytest.mark.parametrize("table", values.TABLES)
def test_objects_of_any_number(table):
    """An object that is written as it was read, or refused; and no error of NumPy's arithmetic."""
    made = 0
    for name, cls in values.TABLES[table].items():
        whole = values.encode(cls(), "x")
        for field, tree in itertools.product(cls.fields, extremes()):
            forged = {"object": [table, name, whole["object"][2] | {field: tree}]}
            with np.errstate(all="raise"), warnings.catch_warnings():
                warnings.simplefilter("error")
                with contextlib.suppress(container.RefusedError):
                    assert values.encode(values.decode(forged, "x"), "x") == forged
                    made += 1
    assert made > 0 or not any(cls.fields for cls in values.TABLES[table].values())


def test_the_smallest_scale_beside_a_large_shift(tmp_path):
    """The mean's row is a row of zeros, whatever the scale."""
    path, (header, numbers) = tmp_path / "model.skb", unpack(DATA)
    shift, scale = np.full(3, 1e300), np.full(3, 5e-324)
    numbers |= {"X_shift_": shift.tobytes(), "X_scale_": scale.tobytes()}
    path.write_bytes(pack(header, numbers))
    model = BackpropRegressor.load(path)
    assert np.isfinite(model.predict([shift, -shift, shift * [1, 1, 0]])).all()
