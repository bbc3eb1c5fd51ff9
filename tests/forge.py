"""Model files taken apart, and put together again with right checksums, whatever they say."""

import io
import json
import zipfile
from hashlib import sha256
from zlib import crc32

import numpy as np

from skbackprop.container import Entry, Member, _directory


def unpack(data):
    """(header, {array name: the bytes of its numbers})."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        header = json.loads(file.read("header.json"))
        names = [entry["name"] for entry in header["arrays"]]
        arrays = {name: np.load(io.BytesIO(file.read(f"{name}.npy"))) for name in names}
    return header, {name: M.tobytes() for name, M in arrays.items()}


def pack(header, numbers):
    """The file of that header, checksums repaired."""
    members = []
    for entry in header["arrays"]:
        entry["sha256"] = sha256(numbers[entry["name"]]).hexdigest()
        npy = Entry(**(entry | {"shape": tuple(entry["shape"])})).npy()
        members.append((f"{entry['name']}.npy", npy + numbers[entry["name"]]))
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    parts, kept = [], []
    for name, data in [("header.json", text), *members]:
        kept.append(Member(name.encode(), len(data), crc32(data)))
        parts += [kept[-1].local(), data]
    return b"".join([*parts, _directory(kept)])


def identical(a, b):
    """The same types and the same bits, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.shape == b.shape and identical(a.tolist(), b.tolist())
        return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, (float, np.floating)):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if isinstance(a, np.random.RandomState):
        return identical(a.get_state(legacy=False), b.get_state(legacy=False))
    return identical(vars(a), vars(b)) if hasattr(a, "fields") else a == b
