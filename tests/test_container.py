"""The bytes of a saved model: whole, the same every time, and refused at any damage."""

import io
import os
import struct
import threading
import zipfile
from itertools import pairwise
from zlib import crc32

import numpy as np
import pytest

from skbackprop import container
from skbackprop.container import HEADER, LARGEST_HEADER, ModelFileError, parse, read, write

ARRAYS = {
    "theta": np.linspace(-1, 1, 20),
    "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "nothing": np.zeros(0),
    "counts": np.arange(3),
    "text": np.frombuffer(b"name", np.uint8),
}
DESCRIPTION = {"format": 1, "alpha": 1e-4, "names": [None, True, "x"]}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "model.skb"
    write(file, DESCRIPTION, ARRAYS)
    return file


def refused(data, match=None):
    with pytest.raises(ModelFileError, match=match) as caught:
        parse(io.BytesIO(data), len(data), "m.skb")
    assert str(caught.value) == f"m.skb: {caught.value.reason}"


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
    loaded = np.load(path)
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
        refused(bytes(flipped))
    for k in range(len(data)):
        refused(data[:k])
    refused(data + b"\0")


def with_header(text, rest=b""):
    return container._local(HEADER, len(text), crc32(text)) + text + rest


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b"\xff", b'{"a":1,"a":2}', b'{"a":NaN}', b'{ "a":1}', b"[" * 100_000,
     b'{"arrays":{}}', b'{"arrays":[1]}', b'{"arrays":[["../x","<f8",[1],""]]}',
     b'{"arrays":[["x","|O",[1],""]]}', b'{"arrays":[["x","<f8",[-1],""]]}',
     b'{"arrays":[["x","<f8",[1000000000000000000],""]]}', b'{"arrays":[["x","<f8",[true],""]]}',
     b'{"arrays":[["x","<f8",[4294967296,4294967296],""]]}', b'{"arrays":[["x","<f8",[1,1,1],""]]}',
     b'{"a":' + b"9" * 5000 + b"}", b'{"a":[' + b"[]," * 90_000 + b"[]]}"],
)  # fmt: skip
def test_headers_that_are_refused(text):
    refused(with_header(text))
    refused(with_header(text, b"\0" * 300))


def test_sizes_are_compared_before_memory_is_asked_for():
    text = b'{"arrays":[["x","<f8",[2199023255552],""]]}'  # 16 TiB
    refused(with_header(text, b"\0" * 300), "bytes and the file has fewer")


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
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_members_in_another_order_or_twice(path):
    data = path.read_bytes()
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x03\x04"]
    starts.append(data.index(b"PK\x01\x02"))
    parts = [data[a:b] for a, b in pairwise(starts)]
    refused(b"".join([parts[0], parts[2], parts[1], *parts[3:]]) + data[starts[-1] :])
    refused(b"".join([*parts[:2], *parts[1:]]) + data[starts[-1] :])


def test_a_reason_not_to_read_it_comes_before_the_rest(path):
    with pytest.raises(ModelFileError, match="too new"):
        read(path, lambda header: "too new" if header["format"] == 1 else None)


def test_what_is_too_large_is_refused_before_a_file_is_touched(tmp_path):
    with pytest.raises(ValueError, match="description"):
        write(tmp_path / "m", {"text": "x" * LARGEST_HEADER}, {})
    huge = np.broadcast_to(np.zeros(1, np.uint8), (2**32,))
    with pytest.raises((ValueError, MemoryError), match=r"GiB"):
        write(tmp_path / "m", {}, {"M": huge})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod", "write"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_while_saving_leaves_the_old_file_and_no_litter(path, monkeypatch, call, error):
    before = path.read_bytes()

    def fails(*args):
        raise error

    if call == "write":
        monkeypatch.setattr(container, "_end", fails)
    else:
        monkeypatch.setattr(os, call, fails)
    with pytest.raises(error):
        write(path, {}, {"M": np.ones(10)})
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_a_link_and_the_mode_stay(path):
    link = path.parent / "link"
    link.symlink_to(path)
    path.chmod(0o640)
    write(link, {}, {})
    assert link.is_symlink() and read(path) == ({}, {})
    assert path.stat().st_mode & 0o777 == 0o640


def test_threads_save_to_one_path(path):
    def save(k):
        for _ in range(10):
            write(path, {"k": k}, {"M": np.full(1000, float(k))})

    threads = [threading.Thread(target=save, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        header, arrays = read(path)
        if "k" in header:
            seen.add(header["k"])
            assert (arrays["M"] == header["k"]).all()
    for thread in threads:
        thread.join()
    assert os.listdir(path.parent) == [path.name]


def test_sizes_in_the_bytes_are_those_of_the_zip_format(path):
    data = path.read_bytes()
    assert struct.unpack("<H", data[-12:-10])[0] == 1 + len(ARRAYS)
