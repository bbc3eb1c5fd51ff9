"""CRCs of tables, names of scorers: the same for the same, another for any other."""

import pickle
from functools import partial

import numpy as np
import pytest
from own import classic
from scipy import sparse
from sklearn.metrics import make_scorer, max_error

from skbackprop.fingerprint import ROWS, crc_of, name_of


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


# ----- scorers -------------------------------------------------------------------------


class Scorer:
    """Of which repr tells no more than where in memory it is; it counts its calls."""

    def __init__(self, factor):
        self.factor, self.calls = factor, 0

    def __call__(self, model, X, y):
        self.calls += 1
        return self.factor * float(np.mean((model.predict(X) - y) ** 2))


def test_a_scorer_s_name_has_no_address_and_is_that_of_its_copies():
    scorers = [Scorer(-1.0), Scorer(-2.0), np.mean, data, partial(data, n=1), "r2"]
    scorers += [make_scorer(max_error), make_scorer(max_error, greater_is_better=False)]
    names = [name_of(scorer) for scorer in scorers]
    assert [name_of(pickle.loads(pickle.dumps(scorer))) for scorer in scorers] == names
    assert len(set(names)) == len(names) and not any("0x" in name for name in names)


def test_lambdas_are_told_apart():
    assert name_of(lambda *_: 1.0) != name_of(lambda *_: 2.0)


def data(n=60):
    X = np.random.default_rng(0).standard_normal((n, 3))
    return X, X[:, 0]


def test_a_scorer_that_has_counted_its_calls_is_the_same_one():
    """Or a warm start would forget the best epoch, and have all its patience again."""
    model = classic(
        hidden_layer_sizes=(5,), max_iter=2, early_stopping=True, warm_start=True,
        scoring=Scorer(-1.0), random_state=0,
    ).fit(*data())  # fmt: skip
    for copied in (model, pickle.loads(pickle.dumps(model))):
        assert copied.fit(*data())._training["history"]["judged_from"] == 0
    model.set_params(scoring=Scorer(-2.0)).fit(*data())
    assert model._training["history"]["judged_from"] == 4
