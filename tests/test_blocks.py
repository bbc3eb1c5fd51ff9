"""Blocks: every entry once, in order, in constant memory; and calls that are prepared once."""

from functools import partial

import numpy as np
import pytest
from allocation import CONSTANT, peak_memory

from skbackprop.blocks import (
    BLOCK,
    block_views,
    blocks,
    entries,
    in_blocks,
    run,
    zero_like,
    zeros_like,
)


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 99, 100, 101])
def test_blocks_cover_the_range_in_order(n):
    slices = list(blocks(n, 10))
    assert [i for s in slices for i in range(n)[s]] == list(range(n))
    assert all(1 <= s.stop - s.start <= 10 for s in slices)


def test_default_size_is_a_quarter_of_a_megabyte_of_float64():
    assert next(blocks(10**6)) == slice(0, BLOCK)
    assert BLOCK * np.dtype(np.float64).itemsize == 256 * 1024
    assert BLOCK % np.getbufsize() == 0  # whole buffers of NumPy's own, where types are mixed


def test_calls_are_run_in_their_order():
    seen = []
    run([partial(seen.append, i) for i in range(5)])
    assert seen == [0, 1, 2, 3, 4]
    run([])


def arrays(shape, layout):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, *shape))
    if layout == "gaps":  # a view of every other column
        wide = np.zeros((*shape[:-1], 2 * shape[-1]))
        wide[..., ::2] = A
        return wide[..., ::2], B
    if layout == "transposed":
        return np.asfortranarray(A), B
    if layout == "both transposed":
        return np.asfortranarray(A), np.asfortranarray(B)
    if layout == "backwards":
        return A[::-1], B
    return A, B


# Below, at and above a block; the last four are not a whole number of blocks.
SHAPES = [
    (5, 3),
    (BLOCK,),
    (BLOCK + 1,),
    (3 * BLOCK // 7, 7),
    (3, BLOCK + 5),
    (2, 3 * BLOCK),
    (3, BLOCK // 2, 5),
]
LAYOUTS = ["contiguous", "gaps", "transposed", "both transposed", "backwards"]


def product_less_one(a, b, out):
    np.subtract(a * b, 1, out=out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("out", ["new", "like the first", "first", "second"])
def test_in_blocks_equals_the_function_of_the_whole(shape, layout, out):
    A, B = arrays(shape, layout)
    expected = A * B - 1
    target = {
        "new": np.full(shape, np.nan),
        "like the first": np.full_like(A, np.nan),
        "first": A,
        "second": B,
    }[out]
    run(in_blocks(product_less_one, A, B, target))
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_views_are_corresponding_entries_each_once(shape, layout):
    A, B = arrays(shape, layout)
    A[...] = B[...] = np.arange(A.size).reshape(shape)
    seen = []
    for a, b in block_views(A, B):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)
        assert np.may_share_memory(a, A) and np.may_share_memory(b, B)  # no copies
        seen.append(a.ravel())
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(A.size))


def test_calls_work_on_what_the_arrays_then_hold():
    """Prepared once, run whenever the inputs have changed."""
    A, B = np.ones(2 * BLOCK + 3), np.ones(2 * BLOCK + 3)
    out = np.empty_like(A)
    calls = in_blocks(product_less_one, A, B, out)
    assert len(calls) == 3
    for value in (2.0, 5.0):
        A.fill(value)
        run(calls)
        np.testing.assert_array_equal(out, value - 1)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_one_order_are_cut_without_regard_to_their_rows(order):
    """Rows of two thirds of a block: 30 of them fill 20 blocks and not 30."""
    A = np.empty((30, 2 * BLOCK // 3), order=order)
    assert len(list(block_views(A, A.copy("K")))) == -(-A.size // BLOCK)


def test_no_call_gets_more_than_a_block():
    sizes = []
    run(in_blocks(lambda a: sizes.append(a.size), np.zeros((100, 1000))))
    run(in_blocks(lambda a: sizes.append(a.size), np.zeros((1000, 200))[:, ::2]))
    run(in_blocks(lambda a: sizes.append(a.size), np.zeros((1000, 100), order="F")))
    assert max(sizes) <= BLOCK
    assert sum(sizes) == 3 * 100_000


def test_type_of_out_is_kept():
    X, out = np.ones(2 * BLOCK, np.float32), np.zeros(2 * BLOCK, np.float32)
    run(in_blocks(lambda x, o: np.copyto(o, x.astype(np.float64), casting="same_kind"), X, out))
    assert (out == 1).all()


def test_memory_is_that_of_a_few_blocks():
    A, out = np.ones(100 * BLOCK), np.empty(100 * BLOCK)
    # -a, its square, exp, the sum: at most three alive at once, of a block each, and the
    # book-keeping of a hundred views. The array is 100 blocks.
    calls = in_blocks(lambda a, o: np.copyto(o, np.exp(-a * a) + 1), A, out)
    assert peak_memory(lambda: run(calls)) < 4 * BLOCK * 8
    # A view and a call take less than a kB; there are a hundred.
    assert peak_memory(lambda: in_blocks(np.exp, A, out)) < 100 * 1024 < CONSTANT


# ----- one axis, and zeros --------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (5,)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_entries_of_one_piece_of_memory_are_along_one_axis(shape, order):
    M = np.asarray(np.random.default_rng(0).standard_normal(shape), order=order)
    flat = entries(M)
    assert flat.shape == (M.size,) and np.shares_memory(flat, M)
    np.testing.assert_array_equal(flat, M.ravel("K"))
    flat[...] = 7
    assert (M == 7).all()


@pytest.mark.parametrize("M", [np.ones((4, 6))[:, 1:], np.ones((4, 6))[::2], np.ones(9)[::-1]])
def test_entries_of_a_view_with_gaps_are_the_view(M):
    assert entries(M) is M


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(5,), (BLOCK,), (5, 3), ()])
def test_zeros_to_compare_with_are_zeros_of_the_type_and_cannot_be_written_to(shape, dtype):
    z = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for zeros in (zeros_like(z), zero_like(z)):
        assert zeros.dtype == dtype
        assert np.broadcast_shapes(zeros.shape, shape) == shape
        np.testing.assert_array_equal(np.maximum(z, zeros), np.maximum(z, 0))
        with pytest.raises(ValueError, match="read-only"):
            zeros[...] = 1
