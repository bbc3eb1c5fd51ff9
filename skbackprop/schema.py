"""What a file may hold under a name: how each kind of value is written, and checked when read.

A kind has ``write(value, path, shelf)``, which returns what the header says of the value, and
``read(tree, path, shelf)``, its inverse, which refuses everything that ``write`` would not
have written. Arrays go to, and come from, a shelf.
"""

import math
from itertools import accumulate
from typing import Any

import numpy as np

from .blocks import blocks
from .container import demand
from .optimizers import OPTIMIZERS
from .parameters import FULL_BATCH
from .values import OBJECTS, TABLES, decode, encode

Array = np.ndarray

# A list of numbers or names takes more memory than its array: beyond so many bytes of
# lists the file is made as long as they are, so that no small file can ask for much.
LISTS = 6 * 2**20
FLOAT_BYTES = 32  # of a list: a pointer and the number
NAME_BYTES, LETTER_BYTES = 96, 4
ROOM = "room"
MOST = 2**62  # of a counter


class Shelf:
    """The arrays of a file. One that is there already, such as equal curves, is not repeated."""

    def __init__(self, arrays: dict[str, Array] | None = None):
        self.arrays = {} if arrays is None else arrays
        self.seen: list[str] = []
        self.lists = 0  # bytes
        room = self.arrays.get(ROOM)
        self.allowed = LISTS + (0 if room is None else room.size)

    def put(self, name: str, M: Array) -> str:
        """Keep an array; the name that it has in the file."""
        for other, known in self.arrays.items():
            if _identical(known, M):
                return other
        self.arrays[name] = M
        return name

    def take(self, name: Any, path: str, *dtypes: Any) -> Array:
        """The array of that name, which must be the one that `put` gives; of one of these types."""
        demand(type(name) is str and name in self.arrays and name != ROOM, f"the array of {path}")
        M = self.arrays[name]
        demand(M.dtype in dtypes and M.ndim == 1, f"the type of {path}")
        if name not in self.seen:
            again = any(_identical(self.arrays[other], M) for other in self.seen)
            demand(name == path and not again, f"the name of the array of {path}")
            self.seen.append(name)
        return M

    def spend(self, nbytes: int) -> None:
        """Account for lists; before they are made, when a file is read."""
        self.lists += nbytes
        demand(self.lists <= self.allowed, "lists that are too long for its size")

    def close_written(self) -> None:
        """Make room for the lists."""
        if self.lists > LISTS:
            self.arrays[ROOM] = np.zeros(self.lists - LISTS, np.uint8)

    def close_read(self) -> None:
        """Refuse arrays that nothing has asked for, and another order than that of writing."""
        room = self.arrays.get(ROOM)
        if room is not None:
            self.seen.append(ROOM)
            demand(room.dtype == np.uint8 and not room.any(), "room that is not empty")
            demand(room.shape == (self.lists - LISTS,), "room for nothing")
        demand(self.seen == list(self.arrays), "an array that belongs to nothing, or elsewhere")


def _identical(A, B):
    """Whether two arrays hold the same bytes."""
    if A.dtype != B.dtype or A.shape != B.shape:
        return False
    a, b = (np.ascontiguousarray(M).view(np.uint8) for M in (A, B))
    return all(np.array_equal(a[part], b[part]) for part in blocks(len(a)))


class Whole:
    """An int of an interval."""

    def __init__(self, low: int = 0, high: int = MOST):
        self.low, self.high = low, high

    def write(self, value, path, shelf):
        return value

    def read(self, tree, path, shelf):
        demand(type(tree) is int and self.low <= tree <= self.high, f"the value of {path}")
        return tree


class Real:
    """A float of an interval; without one, NaN and infinity too."""

    def __init__(self, low: float | None = None, high: float = 1.0):
        self.low, self.high = low, high

    def write(self, value, path, shelf):
        return encode(value, path)

    def read(self, tree, path, shelf):
        value = decode(tree, path, 0)
        inside = self.low is None or self.low <= value <= self.high if type(value) is float else 0
        demand(inside, f"the value of {path}")
        return value


class Text:
    """A str."""

    def write(self, value, path, shelf):
        return encode(value, path)

    def read(self, tree, path, shelf):
        demand(type(tree) is str, f"the value of {path}")
        return decode(tree, path, 0)


class Flag:
    """A bool."""

    def write(self, value, path, shelf):
        return value

    def read(self, tree, path, shelf):
        demand(type(tree) is bool, f"the value of {path}")
        return tree


class OneOf:
    """One of some strings and booleans."""

    def __init__(self, *values: Any):
        self.values = values

    def write(self, value, path, shelf):
        return value

    def read(self, tree, path, shelf):
        known = any(type(tree) is type(value) and tree == value for value in self.values)
        demand(known, f"the value of {path}")
        return tree


class OrNone:
    """Another kind, or None."""

    def __init__(self, kind: Any):
        self.kind = kind

    def write(self, value, path, shelf):
        return None if value is None else self.kind.write(value, path, shelf)

    def read(self, tree, path, shelf):
        return None if tree is None else self.kind.read(tree, path, shelf)


class ListOf:
    """A list, or a tuple, of a kind."""

    def __init__(self, kind: Any, of: type = list):
        self.kind, self.of = kind, of

    def write(self, value, path, shelf):
        return [self.kind.write(item, path, shelf) for item in value]

    def read(self, tree, path, shelf):
        demand(type(tree) is list, f"the items of {path}")
        return self.of(self.kind.read(item, path, shelf) for item in tree)


class Choice:
    """A name of a table, or one of its objects."""

    def __init__(self, table: str, *others: str):
        self.table, self.names = table, (*TABLES[table], *others)

    def write(self, value, path, shelf):
        return encode(value, path, 0)

    def read(self, tree, path, shelf):
        value = decode(tree, path, 0)
        named = type(value) is str and value in self.names
        demand(named or OBJECTS.get(type(value), "?")[0] == self.table, f"the value of {path}")
        return value


class Vector:
    """Finite numbers, with a lower bound that may be open."""

    def __init__(self, *dtypes: Any, above: float = -math.inf):
        self.dtypes, self.above = dtypes or (np.float64,), above

    def write(self, value, path, shelf):
        return shelf.put(path, value)

    def read(self, tree, path, shelf):
        M = shelf.take(tree, path, *self.dtypes)
        finite = all(np.isfinite(M[part]).all() for part in blocks(len(M)))
        demand(finite and (M.size == 0 or M.min() > self.above), f"the numbers of {path}")
        return M


class Matrix:
    """Finite numbers in columns."""

    def write(self, value, path, shelf):
        return [shelf.put(path, value.reshape(-1)), value.shape[1]]

    def read(self, tree, path, shelf):
        demand(type(tree) is list and len(tree) == 2, f"the value of {path}")
        columns = Whole(1).read(tree[1], path, shelf)
        M = Vector().read(tree[0], path, shelf)
        demand(M.size % columns == 0 and M.size > 0, f"the size of {path}")
        return M.reshape(-1, columns)


class Curve:
    """A list of float, NaN and infinity among them."""

    def write(self, value, path, shelf):
        shelf.lists += FLOAT_BYTES * len(value)
        demand(all(type(x) is float for x in value), f"the numbers of {path}")
        return shelf.put(path, np.array(value, np.float64))

    def read(self, tree, path, shelf):
        M = shelf.take(tree, path, np.float64)
        shelf.spend(FLOAT_BYTES * M.size)
        return M.tolist()


class Names:
    """An array of str: lengths in UTF-8, and the text."""

    def write(self, value, path, shelf):
        parts = [str(name).encode("utf-8", "surrogatepass") for name in value]
        lengths = np.array([len(part) for part in parts], np.int64)
        text = np.frombuffer(b"".join(parts), np.uint8)
        shelf.lists += NAME_BYTES * len(parts) + LETTER_BYTES * text.size
        return [shelf.put(f"{path}.lengths", lengths), shelf.put(f"{path}.text", text)]

    def read(self, tree, path, shelf):
        demand(type(tree) is list and len(tree) == 2, f"the arrays of {path}")
        lengths = shelf.take(tree[0], f"{path}.lengths", np.int64)
        text = shelf.take(tree[1], f"{path}.text", np.uint8)
        # Each within the text: their sum then overflows no integer.
        within = lengths.size == 0 or (lengths.min() >= 0 and lengths.max() <= text.size)
        demand(within and int(lengths.sum()) == text.size, f"the lengths of {path}")
        shelf.spend(NAME_BYTES * lengths.size + LETTER_BYTES * text.size)
        names, start = np.empty(lengths.size, object), 0
        for k in range(lengths.size):
            end = start + int(lengths[k])
            names[k] = _decoded(text[start:end].tobytes(), path)
            start = end
        return names


def _decoded(part, path):
    try:
        return part.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        demand(False, f"{path} is no text")


class Levels:
    """Of every feature the ascending levels, an array of text or of numbers, or None.

    All of a kind stand in one array, as there may be more features than a file may have arrays.
    """

    KINDS = (object, np.int64, np.float64)  # 1, 2, 3; 0 is None

    def write(self, value, path, shelf):
        kinds = [0 if M is None else 1 + self.KINDS.index(M.dtype) for M in value]
        counts = [0 if M is None else len(M) for M in value]
        about = (np.array(M, np.int64) for M in (kinds, counts))
        names = [
            shelf.put(f"{path}.{name}", M)
            for name, M in zip(("kinds", "counts"), about, strict=True)
        ]
        pools = [_joined(value, dtype) for dtype in self.KINDS]
        names.append(Names().write(pools[0], f"{path}.text", shelf))
        return [*names, shelf.put(f"{path}.whole", pools[1]), shelf.put(f"{path}.real", pools[2])]

    def read(self, tree, path, shelf):
        demand(type(tree) is list and len(tree) == 5, f"the arrays of {path}")
        kinds, counts = (
            shelf.take(name, f"{path}.{part}", np.int64)
            for name, part in zip(tree, ("kinds", "counts"), strict=False)
        )
        shelf.spend(FLOAT_BYTES * kinds.size)
        fits = kinds.size == counts.size and kinds.size > 0 and kinds.max() > 0
        fits = fits and kinds.min() >= 0 and kinds.max() <= len(self.KINDS) and counts.min() >= 0
        demand(fits and not counts[kinds == 0].any(), f"the kinds of {path}")
        text = Names().read(tree[2], f"{path}.text", shelf)
        whole = Vector(np.int64).read(tree[3], f"{path}.whole", shelf)
        real = Vector().read(tree[4], f"{path}.real", shelf)
        levels: list[Any] = [None] * kinds.size
        for kind, pool in enumerate((text, whole, real), 1):
            features = np.flatnonzero(kinds == kind)
            ends = [0, *accumulate(counts[features].tolist())]
            demand(ends[-1] == pool.size, f"the counts of {path}")
            for j, start, end in zip(features, ends, ends[1:], strict=False):
                levels[j] = pool[start:end].copy()
                demand(bool((levels[j][1:] > levels[j][:-1]).all()), f"the order of {path}")
        return levels


def _joined(levels, dtype):
    parts = [M for M in levels if M is not None and M.dtype == dtype]
    return np.concatenate([np.empty(0, dtype), *parts])


class Record:
    """A dict of known keys, each of a kind of its own; `optional` ones may be missing."""

    def __init__(self, kinds: dict[str, Any], optional: tuple[str, ...] = ()):
        self.kinds, self.needed = kinds, kinds.keys() - set(optional)

    def write(self, value, path, shelf):
        before = self._before(value.keys(), path)
        return {
            name: kind.write(value[name], before + name, shelf)
            for name, kind in self.kinds.items()
            if name in value
        }

    def read(self, tree, path, shelf):
        demand(type(tree) is dict, f"the value of {path}")
        before = self._before(tree.keys(), path)
        return {
            name: kind.read(tree[name], before + name, shelf)
            for name, kind in self.kinds.items()
            if name in tree
        }

    def _before(self, keys, path):
        """What stands before the names within; all of these must be known, and be there."""
        unknown, missing = sorted(keys - self.kinds.keys()), sorted(self.needed - keys)
        demand(not unknown, f"{path or 'it'} has {unknown[:1]}, not known to this version")
        demand(not missing, f"{path or 'it'} lacks {missing[:1]}")
        return f"{path}." if path else ""


class OptimizerState:
    """The dict that a solver of the tables keeps: vectors, counters, and numbers."""

    def write(self, value, path, shelf):
        vector = Vector()
        return {
            name: vector.write(x, f"{path}.{name}", shelf) if isinstance(x, np.ndarray) else x
            for name, x in sorted(value.items())  # the order in a header, and so of the arrays
        }

    def read(self, tree, path, shelf):
        demand(type(tree) is dict, f"the value of {path}")
        kinds = {str: Vector(np.float32, np.float64), float: Real()}
        return {
            name: kinds.get(type(x), Whole()).read(x, f"{path}.{name}", shelf)
            for name, x in tree.items()
        }


def check_optimizer_state(state: dict[str, Any], solver: Any, theta: Array) -> None:
    """Whether it is what that solver would have made for this theta."""
    if isinstance(solver, str) and solver in FULL_BATCH:
        _check_full_batch_state(dict(state), solver)
        return
    cls: Any = OPTIMIZERS[solver] if isinstance(solver, str) else type(solver)
    like = cls().init(theta[:1])
    if not state and cls is OPTIMIZERS["sgd"]:
        return  # it had no momentum when training began
    demand(state.keys() == like.keys(), "the state of the optimizer")
    for name, value in state.items():
        if isinstance(like[name], np.ndarray):
            fits = isinstance(value, np.ndarray) and (value.dtype, value.shape) == (
                theta.dtype,
                theta.shape,
            )
        else:
            fits = type(value) is int
        demand(fits, f"{name} of the optimizer")


def _check_full_batch_state(state, solver):
    """Nothing, where training would begin anew; else evaluations, and the damping of lm."""
    evaluations, damping = state.pop("evaluations", 0), state.pop("damping", None)
    fits = type(evaluations) is int and not state
    if damping is not None:
        fits = fits and solver == "lm" and type(damping) is float and 0 <= damping < math.inf
    demand(fits, f"the state of {solver}")
