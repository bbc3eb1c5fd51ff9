"""Blocks: every entry once, in order, in constant memory."""

import numpy as np
import pytest
from allocation import peak_memory

from skbackprop.blocks import BLOCK, blocks


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 99, 100, 101])
def test_blocks_cover_the_range_in_order(n):
    slices = list(blocks(n, 10))
    assert [i for s in slices for i in range(n)[s]] == list(range(n))
    assert all(1 <= s.stop - s.start <= 10 for s in slices)


def test_default_size_is_the_ufunc_buffers():
    assert next(blocks(10**6)) == slice(0, BLOCK)
    assert np.getbufsize() == BLOCK  # numpy's own buffer, entries


def arrays(shape, layout):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, *shape))
    if layout == "gaps":  # a view of every other column
        wide = np.zeros((*shape[:-1], 2 * shape[-1]))
        wide[..., ::2] = A
        return wide[..., ::2], B
    if layout == "transposed":
        return np.asfortranarray(A), B
    return A, B


# Below, at and above a block; the last three are not a whole number of blocks.
SHAPES = [(5, 3), (BLOCK,), (BLOCK + 1,), (3 * BLOCK // 7, 7), (3, BLOCK + 5), (2, 3 * BLOCK)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["contiguous", "gaps", "transposed"])
@pytest.mark.parametrize("out", ["new", "given", "first", "second"])
def test_blockwise_equals_the_function_of_the_whole(shape, layout, out):
    A, B = arrays(shape, layout)
    expected = A * B - 1
    target = {"new": None, "given": np.full(shape, np.nan), "first": A, "second": B}[out]
    result = blockwise(lambda a, b: a * b - 1, A, B, out=target)
    np.testing.assert_array_equal(result, expected)
    assert target is None or result is target


def test_no_call_gets_more_than_a_block():
    sizes = []

    def function(a):
        sizes.append(a.size)
        return a

    blockwise(function, np.zeros((100, 1000)))
    blockwise(function, np.zeros((1000, 200))[:, ::2])
    assert max(sizes) <= BLOCK
    assert sum(sizes) == 2 * 100_000


def test_type_of_out_is_kept():
    X = np.ones(2 * BLOCK, np.float32)
    assert blockwise(lambda x: x.astype(np.float64), X).dtype == np.float32


def test_memory_is_that_of_a_few_blocks():
    A, out = np.ones(100 * BLOCK), np.empty(100 * BLOCK)
    # -a, its square, exp, the sum: at most three alive at once, of 64 kB each, and the
    # book-keeping of views. The array is 100 blocks.
    assert peak_memory(lambda: blockwise(lambda a: np.exp(-a * a) + 1, A, out=out)) < 4 * BLOCK * 8
