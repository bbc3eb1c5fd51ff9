"""Standardisation: weighted statistics of any columns, and rows taken by the batch."""

import numpy as np
import pytest
from allocation import peak_memory
from scipy import sparse

from skbackprop.losses import LOSSES, CustomLoss, Quantile
from skbackprop.scaling import (
    BLOCK_ENTRIES,
    Rows,
    has_missing,
    of_present_cells,
    robust_standardization,
    standardization,
    target_standardization,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def standardized(X, shift, scale):
    return Rows(X, np.float64, shift, scale).take(slice(None), np.empty(X.shape))


# ----- statistics ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (1000, 1), (BLOCK_ENTRIES // 3 + 7, 4), (3, 1000)])
def test_mean_and_deviation_are_numpys(shape, rng):
    """Of one block, several blocks, and more columns than rows."""
    X = rng.normal(3, 2, shape)
    shift, scale = standardization(X)
    assert shift.dtype == scale.dtype == np.float64
    np.testing.assert_allclose(shift, X.mean(axis=0), rtol=1e-12)  # another order of summing
    np.testing.assert_allclose(scale, X.std(axis=0), rtol=1e-12)


def test_blocks_are_of_rows_even_where_one_row_is_longer_than_a_block():
    X = np.vstack([np.zeros(BLOCK_ENTRIES + 1), np.full(BLOCK_ENTRIES + 1, 2.0)])
    shift, scale = standardization(X)
    assert (shift == 1).all()
    assert (scale == 1).all()


def test_weighted_statistics_are_their_formulas(rng):
    X, w = rng.normal(3, 2, (50, 4)), rng.uniform(0, 5, 50)
    shift, scale = standardization(X, w)
    mean = np.average(X, axis=0, weights=w)
    np.testing.assert_allclose(shift, mean, rtol=1e-13)
    np.testing.assert_allclose(scale, np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w)))


def test_whole_weights_are_repeated_rows(rng):
    X, times = rng.normal(3, 2, (50, 4)), rng.integers(0, 4, 50)
    weighted = standardization(X, times.astype(float))
    repeated = standardization(np.repeat(X, times, axis=0))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-13)


@pytest.mark.parametrize("factor", [1e-300, 1e-3, 1e5, 1e300])
def test_only_the_ratios_of_weights_count(factor, rng):
    X, w = rng.normal(3, 2, (50, 4)), rng.uniform(0.1, 5, 50)
    np.testing.assert_allclose(standardization(X, factor * w), standardization(X, w), rtol=1e-13)


@pytest.mark.parametrize("huge", [1e300, -1e300, np.inf, np.nan])
def test_rows_of_weight_zero_count_for_nothing(huge, rng):
    X, w = rng.normal(3, 2, (50, 4)), rng.integers(1, 4, 50).astype(float)
    with_row, weight = np.insert(X, 20, huge, axis=0), np.insert(w, 20, 0.0)
    np.testing.assert_allclose(standardization(with_row, weight), standardization(X, w), rtol=1e-14)


def test_a_block_of_weights_zero_is_skipped(rng):
    X = rng.normal(3, 2, (3 * BLOCK_ENTRIES, 1))
    w = np.ones(len(X))
    w[: BLOCK_ENTRIES + 5] = 0
    expected = standardization(X[BLOCK_ENTRIES + 5 :])
    np.testing.assert_allclose(standardization(X, w), expected, rtol=1e-12)


def test_without_center_the_scale_is_the_root_mean_square(rng):
    X, w = rng.normal(3, 2, (50, 4)), rng.uniform(0.1, 5, 50)
    shift, scale = standardization(X, w, center=False)
    assert shift is None
    np.testing.assert_allclose(scale, np.sqrt(np.average(X**2, axis=0, weights=w)), rtol=1e-13)


# ----- columns that break the plain formulas -------------------------------------------


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1e300])
def test_any_unit_gives_the_same_standardised_column(unit, rng):
    """Squares of 1e-200 vanish and those of 1e200 overflow; powers of two are taken out first."""
    X = rng.normal(3, 2, (50, 2))
    with np.errstate(all="raise"):
        result = standardized(X * unit, *standardization(X * unit))
    # X times a unit that is no power of two is rounded: 1e-16 of 3 against a deviation of 2.
    np.testing.assert_allclose(result, standardized(X, *standardization(X)), rtol=1e-12, atol=1e-14)


def test_columns_of_different_units_do_not_meet(rng):
    X = rng.normal(3, 2, (50, 3))
    units = np.array([1e-300, 1.0, 1e300])
    shift, scale = standardization(X * units)
    np.testing.assert_allclose(shift / units, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scale / units, X.std(axis=0), rtol=1e-13)


def test_the_largest_numbers_of_float64():
    largest = np.finfo(np.float64).max
    X = np.array([[largest], [-largest]])
    shift, scale = standardization(X)
    np.testing.assert_array_equal(shift, [0])
    np.testing.assert_array_equal(scale, [largest])


def test_denormal_columns():
    """Multiples of the smallest number there is; the scale is one of them, rounded."""
    tiny = np.finfo(np.float64).smallest_subnormal
    X = np.array([[1.0], [3.0], [5.0], [7.0]]) * 1000 * tiny
    shift, scale = standardization(X)
    np.testing.assert_array_equal(shift, [4000 * tiny])
    assert round(scale[0] / tiny) == round(1000 * np.sqrt(5))
    result = standardized(X, shift, scale)
    np.testing.assert_allclose(result[:, 0], np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-3)


def test_offset_of_1e12_and_deviation_of_1(rng):
    noise = rng.standard_normal((10_000, 1))
    X = 1e12 + noise
    kept = X - 1e12  # what is left of the noise: multiples of 2⁻¹³ = 1.2e-4
    shift, scale = standardization(X)
    # Sums of 1e16 are known to 2 each, 10,000 of them to 1e-4 of the mean, as is 1e12 itself.
    assert shift[0] - 1e12 == pytest.approx(kept.mean(), abs=1e-3)
    assert scale[0] == pytest.approx(kept.std(), rel=1e-6)


@pytest.mark.parametrize("c", [0.1, -0.1, 1 / 3, 1e-300, 1e300, 1e12 + 0.1])
@pytest.mark.parametrize("n", [1, 3, 10, 100_003])
def test_a_constant_column_becomes_exactly_zero(c, n):
    """However often it is repeated: the sum of n times 0.1, over n, need not be 0.1."""
    X = np.full((n, 1), c)
    w = np.random.default_rng(0).uniform(0.1, 3, n)
    for weight in (None, w):
        shift, scale = standardization(X, weight)
        np.testing.assert_array_equal(shift, [c])
        np.testing.assert_array_equal(scale, [abs(c)])
        assert (standardized(X, shift, scale) == 0).all()


def test_a_column_of_zeros_has_scale_1():
    np.testing.assert_array_equal(standardization(np.zeros((5, 2))), [[0, 0], [1, 1]])


def test_a_column_is_constant_if_its_rows_of_positive_weight_are():
    X = np.array([[2.0], [2.0], [7.0]])
    shift, scale = standardization(X, np.array([1.0, 3.0, 0.0]))
    np.testing.assert_array_equal([shift, scale], [[2], [2]])


def test_one_part_in_1e12_is_no_constant():
    X = np.array([[1e12], [1e12 + 1]])
    shift, scale = standardization(X)
    np.testing.assert_array_equal([shift, scale], [[1e12 + 0.5], [0.5]])


# ----- other tables --------------------------------------------------------------------


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array])
def test_sparse_is_dense(kind, center, rng):
    X = rng.normal(3, 2, (300, 5)) * (rng.random((300, 5)) < 0.3)
    w = rng.integers(0, 3, 300).astype(float)
    dense, csr = standardization(X, w, center), standardization(kind(X), w, center)
    np.testing.assert_array_equal(csr[1], dense[1])  # the same blocks, made dense
    assert (csr[0] is None) if not center else (csr[0] == dense[0]).all()


def test_statistics_of_float32_are_taken_in_float64(rng):
    X = (1000 + rng.standard_normal((100_000, 1))).astype(np.float32)
    wide = X.astype(np.float64)
    shift, scale = standardization(X)
    assert shift.dtype == scale.dtype == np.float64
    np.testing.assert_allclose(shift, wide.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, wide.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memmap_fortran_order_and_views_give_the_same(order, rng, tmp_path):
    X = rng.normal(3, 2, (200, 3))
    mapped = np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape, order=order)
    mapped[...] = X
    # BLAS adds the rows of another memory order in another order.
    np.testing.assert_allclose(standardization(mapped), standardization(X), rtol=1e-13)
    np.testing.assert_array_equal(
        standardization(np.repeat(X, 2, axis=1)[:, ::2]), standardization(X)
    )


def test_inputs_stay(rng):
    X, w = rng.normal(3, 2, (50, 4)), rng.uniform(0, 5, 50)
    before = X.copy(), w.copy()
    standardization(X, w)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(w, before[1])


@pytest.mark.parametrize("kind", ["dense", "sparse", "float32", "memmap", "weighted"])
def test_statistics_never_copy_the_whole_table(kind, rng, tmp_path):
    n, columns = 40 * BLOCK_ENTRIES // 16, 16
    X = np.zeros((n, columns), np.float32 if kind == "float32" else np.float64)
    X[::50] = 1
    w = None
    if kind == "sparse":
        X = sparse.csr_matrix(X)
    elif kind == "memmap":
        mapped = np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape)
        mapped[...] = X
        X = mapped
    elif kind == "weighted":
        w = np.ones(n)
        w[::3] = 0
    # The block, its float64 copy, its rows of positive weight, ldexp and the square: five
    # blocks of 2 MiB at once, of the forty that X has; a sixth while the next one is read.
    assert peak_memory(lambda: standardization(X, w)) < 6 * 8 * BLOCK_ENTRIES


# ----- rows ----------------------------------------------------------------------------

SELECTIONS = {
    "slice": slice(2, 7),
    "all": slice(None),
    "indices": np.array([9, 0, 3, 3]),
    "none": np.array([], dtype=np.intp),
}


def tables(X, tmp_path):
    mapped = np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape)
    mapped[...] = X
    mapped.flush()
    return {
        "dense": X,
        "csr_matrix": sparse.csr_matrix(X),
        "csr_array": sparse.csr_array(X),
        "memmap": np.memmap(tmp_path / "X", np.float64, "r", shape=X.shape),
        "fortran": np.asfortranarray(X),
        "view": np.repeat(X, 2, axis=1)[:, ::2],
    }


@pytest.mark.parametrize("kind", ["dense", "csr_matrix", "csr_array", "memmap", "fortran", "view"])
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("gaps", ["none", "a column before", "of a window"])
def test_take_is_the_formula(kind, selection, scaled, gaps, rng, tmp_path):
    X = rng.normal(3, 2, (10, 4)) * (rng.random((10, 4)) < 0.6)
    table, rows = tables(X, tmp_path)[kind], SELECTIONS[selection]
    shift, scale = (X.mean(axis=0), X.std(axis=0)) if scaled else (None, None)
    expected = (X[rows] - shift) / scale if scaled else X[rows]
    m, columns = expected.shape
    memory = np.full((m + 2, columns + 2), np.nan)
    # [1 A[0]] with rows of other batches around it, as training hands it over.
    out = {
        "none": np.full(expected.shape, np.nan),
        "a column before": memory[:m, 1:-1],
        "of a window": memory[1:-1, 2:],
    }[gaps]
    assert Rows(table, np.float64, shift, scale).take(rows, out) is out
    np.testing.assert_array_equal(out, expected)
    if gaps != "none":  # nothing is written beside `out`
        assert np.isnan(memory).sum() == memory.size - expected.size
    np.testing.assert_array_equal(table.toarray() if sparse.issparse(table) else table, X)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("kind", ["dense", "sparse", "view", "with gaps"])
@pytest.mark.parametrize("X_dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_scaled_in_the_wider_type_and_then_rounded(X_dtype, dtype, kind, selection, rng):
    X = rng.normal(100, 20, (10, 4)).astype(X_dtype)
    shift, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    rows = SELECTIONS[selection]
    wide = np.result_type(X_dtype, dtype)
    expected = ((X[rows].astype(wide) - shift.astype(wide)) / scale.astype(wide)).astype(dtype)
    table = {"sparse": sparse.csr_matrix, "view": lambda X: np.repeat(X, 2, axis=1)[:, ::2]}
    table = table.get(kind, np.asarray)(X)
    out = np.full((len(expected), 5), np.nan, dtype)[:, 1:]
    out = out if kind == "with gaps" else out.copy()
    Rows(table, dtype, shift, scale).take(rows, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("kind", ["dense", "csr_matrix", "csr_array", "memmap", "fortran", "view"])
@pytest.mark.parametrize("dtype", [np.float32, "f4", np.float64])
def test_rows_know_their_shape_and_type(kind, dtype, rng, tmp_path):
    table = tables(rng.normal(size=(10, 4)), tmp_path)[kind]
    rows = Rows(table, dtype)
    assert (len(rows), rows.shape, rows.dtype_out) == (10, (10, 4), np.dtype(dtype))


@pytest.mark.parametrize("kind", ["dense", "fortran", "view", "memmap"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_a_batch_in_any_order_the_next_one_is_another(kind, dtype, rng, tmp_path):
    """The gathered rows share memory that is used again; what was taken stays."""
    X = rng.normal(size=(10, 4))
    rows = Rows(tables(X, tmp_path)[kind], dtype)
    first, second = np.empty((2, 3, 4), dtype)
    rows.take(np.array([7, 1, 1]), first)
    rows.take(np.array([2, 9, 0]), second)
    np.testing.assert_array_equal(first, X[[7, 1, 1]].astype(dtype))
    np.testing.assert_array_equal(second, X[[2, 9, 0]].astype(dtype))


@pytest.mark.parametrize("shape", [(1, 4), (10, 1)])  # of C and of Fortran order at once
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_single_row_or_column(shape, order, rng):
    X = rng.normal(size=shape)
    index = rng.integers(0, shape[0], 5)
    out = Rows(np.array(X, order=order), np.float64).take(index, np.empty((5, shape[1])))
    np.testing.assert_array_equal(out, X[index])


def test_float32_batches_of_float64_rows_keep_what_float32_cannot_hold(rng):
    """1e9 + noise: in float32 the noise is gone, so it is scaled before it is rounded."""
    noise = rng.standard_normal((100, 1))
    X = 1e9 + noise
    out = np.empty((100, 1), np.float32)
    Rows(X, np.float32, *standardization(X)).take(slice(None), out)
    # 1e9 is known to 1.2e-7 in float64.
    np.testing.assert_allclose(out, (noise - noise.mean()) / noise.std(), rtol=1e-5, atol=1e-6)


def test_batches_of_different_lengths_from_the_same_rows(rng):
    """The buffer of another type grows, and a shorter batch uses its first rows."""
    X = rng.standard_normal((10, 4))
    rows = Rows(X, np.float32)
    for n in (3, 10, 1, 7):
        out = rows.take(slice(0, n), np.empty((n, 4), np.float32))
        np.testing.assert_array_equal(out, X[:n].astype(np.float32))


def test_a_scale_below_float32_does_not_become_zero():
    X = np.array([[0.0], [0.0]], np.float32)
    out = Rows(X, np.float32, np.zeros(1), np.array([1e-300])).take(
        slice(None), np.empty((2, 1), "f4")
    )
    np.testing.assert_array_equal(out, [[0], [0]])


@pytest.mark.parametrize("shift", [1e300, -1e300, np.finfo(np.float64).max])
def test_a_scale_of_which_a_quarter_is_0_does_not_become_zero(shift):
    """Where the shift is so large that all is divided by 4."""
    X = np.array([[shift], [0.0], [-shift]])
    with np.errstate(over="ignore"):
        B = standardized(X, np.array([shift]), np.array([5e-324]))
    np.testing.assert_array_equal(B[:, 0], [0, -np.sign(shift) * np.inf, -np.sign(shift) * np.inf])


@pytest.mark.parametrize(
    "kind", ["dense", "sparse", "memmap", "int", "float32", "fortran", "view", "reversed"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_taking_rows_never_copies_the_whole_table(kind, dtype, rng, tmp_path):
    X = np.zeros((100_000, 8))
    X[::50] = 1
    table = {
        "dense": lambda: X,
        "sparse": lambda: sparse.csr_matrix(X),
        "memmap": lambda: np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape),
        "int": lambda: X.astype(np.int64),
        "float32": lambda: X.astype(np.float32),
        "fortran": lambda: np.asfortranarray(X),
        "view": lambda: np.repeat(X, 2, axis=1)[:, ::2],
        "reversed": lambda: X[::-1],
    }[kind]()
    shift, scale = standardization(X)
    index, out = rng.permutation(len(X))[:100], np.empty((100, 8), dtype)

    def use():
        rows = Rows(table, dtype, shift, scale)
        rows.take(index, out)
        rows.take(slice(500, 600), out)

    # A hundred rows of 8 are 6.4 kB, and the table is 6.4 MB: room for a dozen batches.
    assert peak_memory(use) < 100_000


# ----- targets -------------------------------------------------------------------------


def test_targets_of_any_output_are_shifted_to_the_best_constant(rng):
    Y = rng.gamma(2, 2, (101, 2)) * [1, 1000]
    for loss in (LOSSES["squared_error"](), Quantile(0.8), LOSSES["absolute_error"]()):
        shift, scale = target_standardization(Y, None, loss, "any", True)
        np.testing.assert_allclose(shift, loss.best_constant(Y), rtol=1e-12)
        np.testing.assert_allclose(scale, Y.std(axis=0), rtol=1e-13)


def test_targets_of_a_scaled_output_keep_their_zero(rng):
    Y, w = rng.normal(size=(50, 2)), rng.uniform(0, 3, 50)
    shift, scale = target_standardization(Y, w, LOSSES["poisson"](), "scale", True)
    assert shift is None
    np.testing.assert_allclose(scale, np.average(np.abs(Y), axis=0, weights=w), rtol=1e-13)
    assert target_standardization(0 * Y, w, LOSSES["poisson"](), "scale", True)[1].tolist() == [
        1,
        1,
    ]


def test_targets_stay_where_no_change_of_units_is_known(rng):
    Y = rng.normal(size=(50, 2))
    assert target_standardization(Y, None, CustomLoss(None), "any", True) == (None, None)
    assert target_standardization(Y, None, LOSSES["huber"](), "fixed", True) == (None, None)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_targets_of_weight_zero_count_for_nothing(loss, rng):
    Y, w = rng.normal(size=(50, 1)), rng.integers(1, 4, 50).astype(float)
    with_row, weight = np.insert(Y, 20, 1e9, axis=0), np.insert(w, 20, 0.0)
    np.testing.assert_allclose(
        target_standardization(with_row, weight, LOSSES[loss](), "any", True),
        target_standardization(Y, w, LOSSES[loss](), "any", True),
        rtol=1e-12,
    )


# ----- missing cells -----------------------------------------------------------------------


def test_a_sum_that_overflows_is_no_missing_cell():
    huge = np.finfo(np.float64).max
    assert not has_missing(np.array([[huge, huge], [-huge, -huge]]))
    assert not has_missing(np.array([[huge], [huge], [-huge], [-huge]])[::-1])
    assert has_missing(np.array([[huge, huge], [-huge, np.nan]]))
    assert has_missing(sparse.csr_array([[0.0, np.nan]])) and not has_missing(np.empty((0, 3)))


@pytest.mark.parametrize("statistics", [standardization, robust_standardization])
@pytest.mark.parametrize("rows", [None, np.arange(5, 90), np.array([3, 3, 7, 50, 51, 52])])
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_of_the_cells_that_are_there(statistics, rows, weighted):
    """Of a column with missing cells those of its other rows, and of others the same bits."""
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(100, 4)), rng.integers(0, 3, 100) * 1.0 if weighted else None
    plain = statistics(X, weight, index=rows)
    X[rng.random(100) < 0.3, 1] = np.nan
    X[:, 3] = np.nan
    shift, scale = of_present_cells(statistics, X, weight, rows, np.array([1, 3]))
    every = np.arange(100) if rows is None else rows
    there = every[~np.isnan(X[every, 1])]
    alone = statistics(X[there, 1:2], None if weight is None else weight[there])
    for found, of_all, of_one, neutral in zip((shift, scale), plain, alone, (0, 1), strict=True):
        assert (found[[0, 2]] == of_all[[0, 2]]).all()
        assert found[1] == pytest.approx(of_one[0], rel=1e-12) and found[3] == neutral
