"""CRCs of tables: the same for the same numbers, another for any other."""

import numpy as np
import pytest
from scipy import sparse

from skbackprop.fingerprint import ROWS, crc_of


@pytest.mark.parametrize("n", [3, ROWS, 2 * ROWS + 1])
def test_it_is_that_of_the_numbers_in_order_of_the_rows(n):
    X = np.random.default_rng(0).standard_normal((n, 2))
    expected = crc_of([X])
    assert crc_of([np.asfortranarray(X)]) == crc_of([X, None]) == expected
    assert crc_of([np.repeat(X, 2, axis=0)[::2]]) == expected
    for cell in ((0, 0), (n - 1, 1), (n // 2, 0)):
        other = X.copy()
        other[cell] = np.nextafter(other[cell], np.inf)
        assert crc_of([other]) != expected
    assert crc_of([X[::-1]]) != expected and crc_of([X, X]) != expected


def test_of_a_sparse_matrix_it_is_that_of_what_it_holds():
    X = sparse.random(50, 4, 0.3, "csr", random_state=0)
    other = X.copy()
    other.indices[-1] = (other.indices[-1] + 1) % 4
    assert crc_of([X]) == crc_of([X.copy()]) != crc_of([other])
