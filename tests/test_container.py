"""The bytes of a saved model: whole, the same every time, and refused at any damage."""

import io
import os
import struct
import subprocess
import sys
import zipfile
from itertools import pairwise
from zlib import crc32

import numpy as np
import pytest
from forge import pack, unpack

from skbackprop import ModelFileError, container
from skbackprop.container import HEADER, HEADER_BYTES, Member, RefusedError, parse, read, write

ARRAYS = {
    "theta": np.linspace(-1, 1, 20),
    "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "nothing": np.zeros(0),
    "counts": np.arange(3),
    "text": np.frombuffer(b"name", np.uint8),
}
DESCRIPTION = {"alpha": 1e-4, "names": [None, True, "x"]}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "model.skb"
    write(file, DESCRIPTION, ARRAYS)
    return file


def refused(data, match=None):
    with pytest.raises(RefusedError, match=match):
        parse(io.BytesIO(data), len(data))


def test_round_trip(path):
    header, arrays = read(path)
    assert header == DESCRIPTION and list(arrays) == list(ARRAYS)
    for name, M in ARRAYS.items():
        assert arrays[name].dtype == M.dtype and arrays[name].flags.writeable
        np.testing.assert_array_equal(arrays[name], M)


def test_other_tools_open_it(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [HEADER, *(f"{name}.npy" for name in ARRAYS)]
    with np.load(path) as loaded:
        for name, M in ARRAYS.items():
            np.testing.assert_array_equal(loaded[name], M)


def test_files_are_the_same_byte_for_byte(path, tmp_path):
    write(tmp_path / "again", dict(reversed(DESCRIPTION.items())), ARRAYS)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_arrays_of_any_layout(tmp_path):
    M = np.arange(24.0).reshape(4, 6)
    for k, view in enumerate([M.T, M[::2, ::3], M.astype(">f8"), np.asfortranarray(M)]):
        write(tmp_path / str(k), {}, {"M": view})
        np.testing.assert_array_equal(read(tmp_path / str(k))[1]["M"], view)


def test_every_flipped_bit_and_every_truncation_is_refused(path):
    data = path.read_bytes()
    for k in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[k // 8] ^= 1 << k % 8
        refused(flipped)
    for k in range(len(data)):
        refused(data[:k])
    refused(data + b"\0")


def test_a_file_that_changes_its_size_while_it_is_read_is_refused(path):
    data = path.read_bytes()
    for longer in [*(data[:k] for k in range(len(data))), data + b"\0"]:
        with pytest.raises(RefusedError):
            parse(io.BytesIO(longer), len(data))


def test_the_error_names_the_file_and_can_be_sent_to_another_process(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError) as caught:
        read(path)
    error = caught.value
    assert (error.path, str(error)) == (str(path), f"{path}: {error.reason}")
    made, arguments = error.__reduce__()
    assert str(made(*arguments)) == str(error)


def with_header(text, rest=b""):
    return Member(HEADER.encode(), len(text), crc32(text)).local() + text + rest


def header_of(arrays=b"[]", form=b"1"):
    fields = b',"format":' + form + b',"library":"0.1.0","needs":"0.1.0"}'
    return b'{"arrays":' + arrays + fields


def listed(name=b'"x"', dtype=b'"<f8"', shape=b"[1]"):
    entry = b'{"dtype":%s,"name":%s,"sha256":"","shape":%s}' % (dtype, name, shape)
    return header_of(b"[" + entry + b"]")


ENTRIES = {
    "a path": {"name": b'"../x"'}, "no name": {"name": b"1"},
    "a long name": {"name": b'"x%064d"' % 0},
    "objects": {"dtype": b'"|O"'}, "a list": {"dtype": b"[]"}, "big-endian": {"dtype": b'">f8"'},
    "-1": {"shape": b"[-1]"}, "many": {"shape": b"[1000000000000000000]"},
    "true": {"shape": b"[true]"}, "1.0": {"shape": b"[1.0]"}, "a number": {"shape": b"1"},
    "overflow": {"shape": b"[4294967296,4294967296]"}, "scalar": {"shape": b"[]"},
    "dimensions": {"shape": b"[1,1,1,1,1]"}, "hidden by 0": {"shape": b"[0,3000,3000,3000]"},
}  # fmt: skip
TEXTS = {
    "empty": b"", "a list": b"[]", "half": b"{", "no text": b"\xff", "no ascii": '{"é":1}'.encode(),
    "twice": b'{"a":1,"a":2}', "NaN": b'{"a":NaN}', "space": b"{ }", "no arrays": header_of(b"{}"),
    "no entry": header_of(b"[1]"), "100,000 entries": header_of(b"[" + b"1," * 99_999 + b"1]"),
    "10,000 arrays": header_of(b"[" + b"{}," * 9_999 + b"{}]"), "nested": b"[" * 100_000,
    "digits": b'{"a":' + b"9" * 5000 + b"}", "lists": b'{"a":[' + b"[]," * 80_000 + b"[]]}",
    "too long": b"{" + b" " * HEADER_BYTES + b"}", "format 0": header_of(form=b"0"),
    "format 1.0": header_of(form=b"1.0"), "format true": header_of(form=b"true"),
    **{name: listed(**entry) for name, entry in ENTRIES.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_headers_that_are_refused(name):
    refused(with_header(TEXTS[name]))
    refused(with_header(TEXTS[name], b"\0" * 3000))


def test_a_newer_file_is_refused_with_the_version_that_reads_it():
    text = b'{"format":2,"library":"7.1.0","needs":"7.0.0","new":[]}'
    refused(with_header(text), r"format 2, written by skbackprop 7\.1\.0; .* >= 7\.0\.0")
    refused(with_header(b'{"format":2,"library":"<script>"}'), "of an unknown version")


GIANT = """
import io, resource, sys
from skbackprop.container import RefusedError, parse
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 64 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for data in eval(sys.stdin.read()):
    try:
        parse(io.BytesIO(data), len(data))
    except RefusedError:
        continue
    sys.exit("accepted")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs the limits of Linux")
def test_sizes_are_compared_before_memory_is_asked_for():
    shapes = [b"[%d]" % 2**41, b"[%d,%d]" % (2**31, 2**31), b"[3000,3000,3000]", b"[3000]"]
    files = [with_header(listed(shape=shape), b"\0" * 3000) for shape in shapes]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", GIANT], input=repr(files), env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_other_kinds_of_files(tmp_path):
    for data in (b"", b"PK", b"\x80\x04N.", b"\x93NUMPY\x01\x00", os.urandom(1000)):
        refused(data)
    with zipfile.ZipFile(tmp_path / "deflated", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(HEADER, "{}")
    refused((tmp_path / "deflated").read_bytes())
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ModelFileError, match="regular"):
            read(tmp_path / "pipe")
    if os.path.exists("/dev/zero"):
        with pytest.raises(ModelFileError, match="regular"):
            read("/dev/zero")
    with pytest.raises(OSError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    for wrong in (None, 3, b"bytes", "", "a\0b"):
        with pytest.raises((TypeError, ValueError), match="path"):
            read(wrong)


def test_members_in_another_order_or_twice(path):
    data = path.read_bytes()
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x03\x04"]
    starts.append(data.index(b"PK\x01\x02"))
    parts = [data[a:b] for a, b in pairwise(starts)]
    refused(b"".join([parts[0], parts[2], parts[1], *parts[3:]]) + data[starts[-1] :])
    refused(b"".join([*parts[:2], *parts[1:]]) + data[starts[-1] :])


def test_an_array_listed_twice(path):
    """The header, the members and the directory agree, and all checksums are right."""
    header, numbers = unpack(path.read_bytes())
    assert parse(io.BytesIO(data := pack(header, numbers)), len(data))[0] == DESCRIPTION
    header["arrays"].append(header["arrays"][0])
    refused(pack(header, numbers), "an array twice")


def test_what_cannot_be_written_is_refused_before_a_file_is_touched(tmp_path):
    for header, arrays, match in [
        ({"text": "x" * HEADER_BYTES}, {}, "header would have"),
        ({}, {f"a{k}": np.zeros(1) for k in range(container.MOST_ARRAYS + 1)}, "65 arrays"),
        ({}, {"M": np.zeros(1, complex)}, "cannot be written"),
        ({}, {"../M": np.zeros(1)}, "cannot be written"),
        ({"a": float("nan")}, {}, "JSON"),
    ]:
        with pytest.raises(ValueError, match=match):
            write(tmp_path / "m", header, arrays)
    assert not os.listdir(tmp_path)


def test_a_file_of_4_gib_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "LARGEST", 2000)
    with pytest.raises(ValueError, match="the file would have"):
        write(tmp_path / "m", {}, {"M": np.zeros(300)})
    assert not os.listdir(tmp_path)


def test_the_end_is_that_of_the_zip_format(path):
    assert struct.unpack("<H", path.read_bytes()[-12:-10])[0] == 1 + len(ARRAYS)
