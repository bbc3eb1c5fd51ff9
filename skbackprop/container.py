"""The file of a saved model, as bytes: a header and arrays, and nothing that could be run.

A stored (not compressed) zip of ``header.json`` and one ``.npy`` a array, so that other tools
open it. Every byte of it follows from header and arrays: names, order, time stamps and flags
are fixed. Reading therefore needs no parser of zip or npy files. It computes the bytes that
must be there and compares, and every flipped bit is seen. Sizes are compared with that of the
file before memory is asked for.
"""

import json
import os
import secrets
import stat
import struct
from hashlib import sha256
from math import prod
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

Array = np.ndarray

DTYPES = ("<f4", "<f8", "<i8", "|u1")
HEADER = "header.json"
# A header of tiny lists takes 24 times its bytes in memory: 6 MiB.
LARGEST_HEADER = 2**18
LARGEST_FILE = 2**32 - 1  # of a zip without extensions
CHUNK = 2**20
EPOCH = (0, 33)  # 1980-01-01 00:00, the first time of a zip


class ModelFileError(ValueError):
    """A file that is no saved model, is damaged, or is newer than this version.

    Attributes
    ----------
    path : str
    reason : str
    """

    def __init__(self, path: Any, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = str(path), reason

    def __reduce__(self):
        return type(self), (self.path, self.reason)


# ----- the bytes ---------------------------------------------------------------------------


def _local(name: str, size: int, crc: int) -> bytes:
    """A member's own header."""
    text = name.encode("ascii")
    fields = (0x04034B50, 20, 0, 0, *EPOCH, crc, size, size, len(text), 0)
    return struct.pack("<I5H3I2H", *fields) + text


def _central(name: str, size: int, crc: int, offset: int) -> bytes:
    """Its entry in the directory at the end."""
    text = name.encode("ascii")
    fields = (0x02014B50, 20, 20, 0, 0, *EPOCH, crc, size, size, len(text), 0, 0, 0, 0, 0, offset)
    return struct.pack("<I6H3I5H2I", *fields) + text


def _end(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<I4H2IH", 0x06054B50, 0, 0, count, count, size, offset, 0)


def _npy(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The beginning of an .npy file, version 1.0."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("ascii")


def _json(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _little(M: Array) -> Array:
    """In C order, of one of the file's types, without a copy where it is so already."""
    M = np.ascontiguousarray(M) if M.ndim else M
    return M.astype(M.dtype.newbyteorder("<"), copy=False)


# ----- writing -----------------------------------------------------------------------------


def write(path: Any, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write a file in one step: whole or not at all, in place of an older one.

    Parameters
    ----------
    path : str or os.PathLike
    header : dict
        Of JSON's types. "arrays" is added.
    arrays : dict of ndarray
        By names of letters, digits, dots and underscores; float32, float64, int64, uint8.
    """
    parts = [(name, _little(M)) for name, M in arrays.items()]
    listed = [[name, M.dtype.str, list(M.shape), _sha256(M)] for name, M in parts]
    text = _json(header | {"arrays": listed})
    if len(text) > LARGEST_HEADER:
        raise ValueError(
            f"the model's description takes {len(text)} bytes, more than {LARGEST_HEADER}"
        )
    total = len(text) + sum(M.nbytes + 512 for _, M in parts)
    if total > LARGEST_FILE:
        raise ValueError(f"the model takes {total / 2**30:.1f} GiB, at most 4 GiB can be saved")
    members = [(HEADER, b"", text)]
    members += [(f"{name}.npy", _npy(M.dtype.str, M.shape), _bytes(M)) for name, M in parts]
    _replace(path, members)


def _bytes(M: Any) -> Any:
    return memoryview(M.reshape(-1)).cast("B") if M.size else b""


def _sha256(M: Array) -> str:
    return sha256(_bytes(M)).hexdigest()


def _write_members(file: BinaryIO, members: list[tuple[str, bytes, Any]]) -> None:
    directory, offset = b"", 0
    for name, begin, data in members:
        size, crc = len(begin) + len(data), crc32(data, crc32(begin))
        directory += _central(name, size, crc, offset)
        local = _local(name, size, crc)
        for part in (local, begin, data):
            file.write(part)
        offset += len(local) + size
    file.write(directory + _end(len(members), len(directory), offset))


def _replace(path: Any, members: list[tuple[str, bytes, Any]]) -> None:
    """Write a new file beside the old one, to the disk, and put it in its place."""
    path = os.path.realpath(path)  # a link stays a link
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            _write_members(file, members)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            os.chmod(beside, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.remove(beside)
        raise
    if hasattr(os, "O_DIRECTORY"):  # that the name is on the disk too
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# ----- reading -----------------------------------------------------------------------------


def read(path: Any, understood: Any = None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a file; memory for them is that of the file.

    Parameters
    ----------
    path : str or os.PathLike
    understood : callable, optional
        Called with the header before anything else of the file is judged; returns why it
        cannot be read, or None.

    Raises
    ------
    ModelFileError
        If a byte is not as it must be.
    OSError
        If there is no such file, or it may not be read.
    """
    # Not to wait for the other end of a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(path, "not a regular file")
        return parse(file, status.st_size, os.fspath(path), understood)


class _Reader:
    """Takes bytes from a file, and knows where it is and how many are left."""

    def __init__(self, file, size, path):
        self.file, self.left, self.path, self.offset = file, size, path, 0

    def fail(self, reason):
        raise ModelFileError(self.path, reason)

    def take(self, n):
        if n > self.left:
            self.fail("truncated")
        data = self.file.read(n)
        if len(data) != n:
            self.fail("truncated")
        self.left -= n
        self.offset += n
        return data

    def expect(self, data, what):
        if self.take(len(data)) != data:
            self.fail(f"{what} is not as it must be")

    def fill(self, M, crc):
        """Read an array's entries; the checksums, of which the first goes on from `crc`."""
        view, digest = _bytes(M), sha256()
        for start in range(0, len(view), CHUNK):
            part = view[start : start + CHUNK]
            if self.file.readinto(part) != len(part):
                self.fail("truncated")
            crc = crc32(part, crc)
            digest.update(part)
        self.left -= len(view)
        self.offset += len(view)
        return crc, digest.hexdigest()


def parse(file: BinaryIO, size: int, path: str, understood: Any = None):
    """The same of an open file of `size` bytes."""
    reader = _Reader(file, size, path)
    header, entry = _read_header(reader)
    reason = None if understood is None else understood(header)
    if reason is not None:
        reader.fail(reason)
    listed = header.pop("arrays", None)
    if not isinstance(listed, list):
        reader.fail("the header lists no arrays")
    arrays: dict[str, Array] = {}
    entries = [entry]
    for item in listed:
        name, dtype, shape, digest = _checked_item(reader, item, arrays)
        offset, begin = reader.offset, _npy(dtype, shape)
        n = prod(shape) * np.dtype(dtype).itemsize
        # The local header holds a checksum that is known only after the data; look ahead.
        local = reader.take(len(_local(f"{name}.npy", 0, 0)))
        if n + len(begin) > reader.left:
            reader.fail(f"array {name!r} is said to have {n} bytes and the file has fewer")
        reader.expect(begin, f"the beginning of array {name!r}")
        M = np.empty(shape, dtype)
        crc, found = reader.fill(M, crc32(begin))
        entry = f"{name}.npy", len(begin) + n, crc, offset
        if local != _local(*entry[:3]) or found != digest:
            reader.fail(f"array {name!r} is damaged")
        arrays[name] = M.astype(M.dtype.newbyteorder("="), copy=False)
        entries.append(entry)
    offset = reader.offset
    directory = b"".join(_central(*entry) for entry in entries)
    reader.expect(directory + _end(len(entries), len(directory), offset), "the end of the file")
    if reader.left:
        reader.fail("there are bytes after its end")
    return header, arrays


def _read_header(reader: _Reader) -> tuple[dict[str, Any], tuple[str, int, int, int]]:
    """The header, and its entry in the directory."""
    blank = _local(HEADER, 0, 0)
    local = reader.take(len(blank))
    crc, size = struct.unpack_from("<2I", local, 14)
    if local != _local(HEADER, size, crc):
        reader.fail(f"no saved model: it does not begin with {HEADER}")
    if size > LARGEST_HEADER:
        reader.fail(f"{HEADER} of {size} bytes; at most {LARGEST_HEADER} are read")
    text = reader.take(size)
    if crc32(text) != crc:
        reader.fail(f"{HEADER} is damaged")
    try:
        header = json.loads(
            text.decode("ascii"), object_pairs_hook=_once, parse_constant=_no_constant
        )
        canonical = isinstance(header, dict) and _json(header) == text
    except (ValueError, RecursionError) as error:
        raise ModelFileError(reader.path, f"{HEADER} cannot be read: {error}"[:200]) from None
    if not canonical:
        reader.fail(f"{HEADER} is not written as it must be")
    return header, (HEADER, size, crc, 0)


def _once(pairs):
    """A dict, in which no name comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def _checked_item(reader: _Reader, item: Any, known: Any) -> tuple[str, str, tuple[int, ...], str]:
    """Name, type, shape and checksum of an array, as the header lists it."""
    if not (isinstance(item, list) and len(item) == 4):
        reader.fail("the header's list of arrays is not as it must be")
    name, dtype, shape, digest = item
    if not (isinstance(name, str) and name.replace(".", "_").isidentifier() and name.isascii()):
        reader.fail("an array's name is not as it must be")
    if name in known or len(name) > 100:
        reader.fail(f"array {name[:100]!r} comes twice or has too long a name")
    if dtype not in DTYPES or not isinstance(shape, list) or len(shape) > 2:
        reader.fail(f"array {name!r} has a type or shape that is not read")
    if not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        reader.fail(f"array {name!r} has a shape that is not read")
    return name, dtype, tuple(shape), digest
