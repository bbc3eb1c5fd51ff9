"""One file of named arrays and a header: bytes, and no meaning.

The file is a zip of members that are stored and not compressed: ``header.json``, then a
``.npy`` for every array, so that other tools can look into it. But it is neither written nor
read by a zip library. Every byte follows from the header and the arrays (time stamps are
those of 1980, there are no optional fields), so that the same model gives the same file,
and the reader compares: a file of which any byte is not what it would write is refused. The
size of everything is known, and found to be that of the file, before memory is asked for.

In JSON the header is at most 256 kB: lists of nothing take 24 times as much memory.
"""

import hashlib
import json
import os
import re
import stat
import struct
from math import prod
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

import numpy as np

from . import __version__
from .atomic import path_of, write_atomically
from .messages import shortened

Array = np.ndarray

FORMAT = 1  # of the file as a whole; a change of meaning is a new number too
NEEDS = "0.1.0"  # the first version that reads this format
HEADER = "header.json"
HEADER_BYTES = 2**18
LARGEST = 2**32 - 1  # what a zip without extensions can hold
MOST_ARRAYS = 64
DTYPES = ("<f4", "<f8", "<i8", "|u1")
CHUNK = 2**20
LOCAL, CENTRAL, END = (struct.Struct(f) for f in ("<4s5H3I2H", "<4s6H3I5H2I", "<4s4H2IH"))
DATE = 1 << 5 | 1  # 1 January 1980
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,63}", re.ASCII)
VERSION = re.compile(r"[0-9][0-9a-zA-Z.+-]{0,31}", re.ASCII)
OWN = ("arrays", "format", "library", "needs")  # keys of the header that are made here


class ModelFileError(ValueError):
    """A file that is no model, is damaged, or is of a newer version.

    Attributes
    ----------
    path : str
        The file.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self):
        return type(self), (self.path, self.reason)


class RefusedError(ValueError):
    """What is wrong with a file, before it is known which file."""

    def __init__(self, reason: str):
        super().__init__(shortened(reason, 400))  # a name in it may be all of the header


def demand(condition: Any, reason: str) -> None:
    """Refuse the file unless the condition holds."""
    if not condition:
        raise RefusedError(reason)


class Member(NamedTuple):
    """A file in the zip: its name, size and checksum."""

    name: bytes
    size: int
    crc: int

    def local(self) -> bytes:
        """What stands before its bytes."""
        size = len(self.name)
        fields = (20, 0, 0, 0, DATE, self.crc, self.size, self.size, size, 0)
        return LOCAL.pack(b"PK\3\4", *fields) + self.name

    def central(self, offset: int) -> bytes:
        """Its entry in the directory at the end."""
        fields = (20, 20, 0, 0, 0, DATE, self.crc, self.size, self.size, len(self.name))
        return CENTRAL.pack(b"PK\1\2", *fields, 0, 0, 0, 0, 0, offset) + self.name

    def total(self) -> int:
        """Bytes of the file that it takes, its entry in the directory included."""
        return LOCAL.size + CENTRAL.size + 2 * len(self.name) + self.size


class Entry(NamedTuple):
    """An array as the header lists it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str

    def npy(self) -> bytes:
        """The beginning of a .npy of version 1.0, as NumPy writes it."""
        about = f"{{'descr': '{self.dtype}', 'fortran_order': False, 'shape': {self.shape}, }}"
        length = -(-(len(about) + 11) // 64) * 64 - 10  # so that the numbers begin at n * 64
        return (
            b"\x93NUMPY\1\0" + struct.pack("<H", length) + about.ljust(length - 1).encode() + b"\n"
        )

    def nbytes(self) -> int:
        """Bytes of its numbers; as Python's integers, which do not overflow."""
        return prod(self.shape) * int(self.dtype[2])

    def member(self, crc: int = 0) -> Member:
        """Its file in the zip."""
        return Member(f"{self.name}.npy".encode(), len(self.npy()) + self.nbytes(), crc)


# ----- writing -----------------------------------------------------------------------


def write(path: str | os.PathLike, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write the file, atomically.

    Parameters
    ----------
    path : str or os.PathLike
        Where to; a file that is there is replaced.
    header : dict
        What JSON can express, without NaN and infinity.
    arrays : dict of str to ndarray
        Of the types ``<f4``, ``<f8``, ``<i8``, ``|u1``, of one dimension or more.
    """
    path, arrays = path_of(path), {name: _little(M) for name, M in arrays.items()}
    entries = [_entry(name, M) for name, M in arrays.items()]
    text = _dumps(
        header
        | {"format": FORMAT, "library": __version__, "needs": NEEDS}
        | {"arrays": [entry._asdict() for entry in entries]}
    )
    if len(text) > HEADER_BYTES or len(entries) > MOST_ARRAYS:
        raise ValueError(
            f"the header would have {len(text)} bytes and {len(entries)} arrays; "
            f"{HEADER_BYTES} and {MOST_ARRAYS} are the most"
        )
    members = [Member(HEADER.encode(), len(text), crc32(text))]
    parts = [[text]]
    for entry, M in zip(entries, arrays.values(), strict=True):
        parts.append([entry.npy(), _bytes(M)])
        members.append(entry.member(crc32(_bytes(M), crc32(entry.npy()))))
    size = sum(member.total() for member in members) + END.size
    if size > LARGEST:
        raise ValueError(f"the file would have {size} bytes; {LARGEST} are the most")

    def write_members(file):
        for member, data in zip(members, parts, strict=True):
            for part in (member.local(), *data):
                file.write(part)
        file.write(_directory(members))

    write_atomically(path, write_members)


def _little(M):
    """The array as the file has it: little-endian, row by row; no copy if it is already."""
    return np.ascontiguousarray(M, M.dtype.newbyteorder("<"))


def _bytes(M):
    """The memory of the array, flat."""
    return memoryview(M.reshape(-1).view(np.uint8))


def _entry(name, M):
    entry = Entry(name, M.dtype.str, M.shape, hashlib.sha256(_bytes(M)).hexdigest())
    if not NAME.fullmatch(name) or entry.dtype not in DTYPES or not 1 <= M.ndim <= 4:
        raise ValueError(f"array {name!r} of type {M.dtype} and shape {M.shape} cannot be written")
    return entry


def _dumps(header):
    """The one way to write this header."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _directory(members):
    """The end of the zip: where everything is."""
    offset, entries = 0, []
    for member in members:
        entries.append(member.central(offset))
        offset += len(member.local()) + member.size
    size, n = sum(map(len, entries)), len(entries)
    return b"".join(entries) + END.pack(b"PK\5\6", 0, 0, n, n, size, offset, 0)


# ----- reading -----------------------------------------------------------------------


def read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays that :func:`write` was given.

    Raises
    ------
    ModelFileError
        If the file is not exactly as ``write`` makes it.
    OSError
        If it cannot be opened or read.
    """
    path = path_of(path)
    # A named pipe would be waited for; it is opened, and refused.
    flags = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        status = os.fstat(file.fileno())
        try:
            demand(stat.S_ISREG(status.st_mode), "not a regular file")
            return parse(file, status.st_size)
        except RefusedError as refused:
            raise ModelFileError(path, str(refused)) from None


def parse(file: BinaryIO, size: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of an open file of that size; RefusedError if it is not as it must be."""
    demand(size <= LARGEST, f"{size} bytes long; {LARGEST} are the most")
    member, text = _read_header(file, size)
    header = _loads(text)
    entries = _entries(header, size)
    members = [member, *(entry.member() for entry in entries)]
    total = sum(member.total() for member in members) + END.size
    demand(total == size, f"{size} bytes long, where its header asks for {total}")
    arrays = {}
    for k, entry in enumerate(entries, 1):
        arrays[entry.name], members[k] = _read_array(file, entry)
    end = _directory(members)
    demand(file.read(len(end) + 1) == end, "its directory does not fit its members")
    return {key: value for key, value in header.items() if key not in OWN}, arrays


def _read_header(file, size):
    """The first member, and its bytes."""
    name = HEADER.encode()
    start = file.read(LOCAL.size + len(name))
    demand(len(start) == LOCAL.size + len(name) and start.startswith(b"PK\3\4"), "not a model file")
    crc, length = LOCAL.unpack_from(start)[6:8]
    demand(length <= min(HEADER_BYTES, size), f"a header of {length} bytes")
    member = Member(name, length, crc)
    demand(start == member.local(), "its first member is no stored header.json")
    text = file.read(length)
    demand(len(text) == length and crc32(text) == crc, "its header is damaged")
    return member, text


def _loads(text):
    """The header, if it is of this format and written as it would be here."""
    try:
        header = json.loads(
            text.decode("ascii"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
        demand(isinstance(header, dict), "its header is no JSON object")
        _check_format(header)
        again = _dumps(header)
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"its header is no JSON that is accepted here ({error})") from None
    demand(again == text, "its header is not written as it should be")
    return header


def _check_format(header):
    """Before anything else is judged: of a newer file all the rest may be different."""
    number, names = header.get("format"), []
    demand(type(number) is int and number >= 1, "its header has no format number")
    for key in ("library", "needs"):
        value = header.get(key)
        known = isinstance(value, str) and VERSION.fullmatch(value)
        names.append(value if known else "of an unknown version")
    demand(
        number <= FORMAT,
        f"format {number}, written by skbackprop {names[0]}; reading it needs skbackprop >= "
        f"{names[1]}, and this is {__version__}",
    )
    demand("of an unknown version" not in names, "its header names no library version")


def _no_duplicates(pairs):
    demand(len({key for key, _ in pairs}) == len(pairs), "a key twice in its header")
    return dict(pairs)


def _no_constant(name):
    raise RefusedError(f"{name} in its header")


def _entries(header, size):
    """The arrays that the header lists; none can be larger than the file."""
    listed = header.get("arrays")
    demand(isinstance(listed, list) and len(listed) <= MOST_ARRAYS, "no list of arrays")
    entries = [_entry_of(item, size) for item in listed]
    demand(len({entry.name for entry in entries}) == len(entries), "an array twice")
    return entries


def _entry_of(item, size):
    demand(isinstance(item, dict) and item.keys() == set(Entry._fields), "an array's entry")
    name, dtype, shape, sha256 = (item[key] for key in Entry._fields)
    demand(isinstance(name, str) and NAME.fullmatch(name), "an array's name")
    demand(dtype in DTYPES, f"the type of array {name}")
    demand(isinstance(shape, list) and 1 <= len(shape) <= 4, f"the shape of array {name}")
    demand(all(type(n) is int and 0 <= n <= size for n in shape), f"the shape of array {name}")
    # A zero among them would hide what the others ask for.
    demand(prod(n or 1 for n in shape) <= size, f"the shape of array {name}")
    demand(isinstance(sha256, str), f"the checksum of array {name}")
    return Entry(name, dtype, tuple(shape), sha256)


def _read_array(file, entry):
    """The array, straight into its memory, and its member with the checksum."""
    start = file.read(LOCAL.size + len(entry.name) + len(".npy"))
    npy = file.read(len(entry.npy()))
    demand(npy == entry.npy(), f"array {entry.name} is not what the header says")
    M = np.empty(entry.shape, entry.dtype)
    data, sha256, crc = _bytes(M), hashlib.sha256(), crc32(npy)
    for first in range(0, len(data), CHUNK):
        chunk = data[first : first + CHUNK]
        demand(file.readinto(chunk) == len(chunk), "it ended while it was read")
        sha256.update(chunk)
        crc = crc32(chunk, crc)
    member = entry.member(crc)
    intact = start == member.local() and sha256.hexdigest() == entry.sha256
    demand(intact, f"array {entry.name} is damaged")
    native = M.dtype.newbyteorder("=")
    return (M if M.dtype == native else M.astype(native)), member
