"""A fitted network, or several whose mean predicts, between the caller's units and its own.

The network sees (X - X_shift) / X_scale, encoded or as it is, and predicts (y - y_shift) / y_scale.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from .activations import Exp, Identity, LeakyReLU, ReLU
from .blocks import blocks
from .bounded import predict_bounded
from .encoding import NO_COLUMNS, Encoding
from .network import PREDICTION_ENTRIES, Network
from .parameters import resolve_activation
from .scaling import Rows, has_missing

Array = np.ndarray

BINS = ("bin_columns_", "bin_middles_", "bin_halves_")
OTHERS = ("level_columns_", "level_codes_", "level_others_", "missing_columns_")
ENCODED = (*BINS, *OTHERS)
LARGEST_SHIFT = 2.0**10  # of y in units of its spread: a rounding of float32 is 6e-5 of these then


@dataclass
class Model:
    """Everything that a prediction needs; a shift or scale of None changes nothing."""

    theta: Array
    layer_sizes: list[int]
    activations: list[Any]  # of layers 1 … L, names or objects
    fit_intercept: bool
    X_shift: Array | None = None
    X_scale: Array | None = None
    y_shift: Array | None = None
    y_scale: Array | None = None
    encoding: Encoding | None = None
    n_networks: int = 1
    input_scale: bool = False
    categories: list[Any] | None = None  # of every feature the levels, None for one of numbers

    def network(self) -> Network:
        """The network without its weights; the stack of them, if there are several."""
        g = [resolve_activation(spec) for spec in self.activations]
        stack = (self.n_networks,) if self.n_networks > 1 else ()
        return Network(self.layer_sizes, g, self.fit_intercept, stack, self.input_scale)

    @property
    def n_features(self) -> int:
        """Columns of X; layer_sizes[0] are those of A[0]."""
        return self.layer_sizes[0] - (0 if self.encoding is None else self.encoding.n_added)

    def encoded(self, Z: Array) -> Array:
        """A[0] of scaled features."""
        encoding = self._encoding_of(Z)
        if encoding is None:
            return Z
        return encoding.value(Z, np.empty((len(Z), self.layer_sizes[0]), Z.dtype))

    def _encoding_of(self, X):
        """The encoding; where there is none, and X has missing cells, one that makes them 0."""
        if self.encoding is None and self.X_scale is not None and has_missing(X):
            return Encoding(bounded=False)
        return self.encoding

    def input_names(self, feature_names: Any) -> list[str]:
        """A name for every column of A[0]: the feature's, a bin's number, a level, "missing"."""
        names, E = [str(name) for name in feature_names], self.encoding
        if E is None:
            return names
        number = np.arange(E.n_bins) - np.searchsorted(E.column, E.column) + 1  # of its feature's
        return [
            *np.array(names, object)[E.numbers(len(names))],
            *(f"{names[j]} {t}" for j, t in zip(E.column, number, strict=True)),
            *(
                f"{names[j]}={self._level(j, p)}"
                for j, p in zip(E.level_column, E.level, strict=True)
            ),
            *(f"{names[j]} missing" for j in E.missing_column),
        ]

    def _level(self, j, code):
        return code if self.categories is None else self.categories[j][code]

    def members(self) -> "list[Model]":
        """The networks, each a model of its own, diag(s) W[1] for a scale of the inputs."""
        if self.n_networks == 1 and not self.input_scale:
            return [self]
        stack = self.network()
        thetas = [self.theta] if not stack.stack else map(self._theta_of, range(self.n_networks))
        one = replace(self, n_networks=1, input_scale=False)
        return [replace(one, theta=stack.of_one.folded(theta)) for theta in thetas]

    def _theta_of(self, k):
        return self.network().unpack(self.theta, k)

    def rows(self, X: Any) -> Rows:
        """X as the network sees it."""
        return self._rows(X, self.theta.dtype)

    def _rows(self, X, dtype):
        return Rows(X, dtype, self.X_shift, self.X_scale, self._encoding_of(X))

    def predict(self, X: Any) -> Array:
        """Predictions for the rows of X in the caller's units, (n, outputs): finite.

        Rows that overflow inside, of which the usual way may make NaN, are predicted once
        more within the bounds of what numbers there are; to be called with NumPy's
        floating-point errors ignored (``np.errstate``).
        """
        network, y = self.network(), np.empty((X.shape[0], self.layer_sizes[-1]), self.dtype_out)
        self.to_caller(network.predict(self.theta, self.rows(X).take, y))
        # The sum alone may overflow too. Weights that are not finite shall be seen as such.
        if not isfinite(np.add.reduce(y, axis=None)) and np.isfinite(self.theta).all():
            self._predict_bounded(X, y)
        return y

    def spread(self, X: Any) -> Array:
        """Standard deviation between the networks' predictions, (n, outputs)."""
        spread = np.empty((X.shape[0], self.layer_sizes[-1]), self.dtype_out)
        between = partial(np.std, ddof=1, dtype=np.float64)  # squares of float32 overflow at 1e19
        self.network().predict(self.theta, self.rows(X).take, spread, between)
        if self.y_scale is not None:
            np.multiply(spread, self.y_scale, out=spread, casting="same_kind")
        return spread

    def _predict_bounded(self, X, y):
        """Predict the rows of y that are not finite."""
        X = self._rows(X, np.float64)
        largest = np.finfo(y.dtype).max
        overflown = np.flatnonzero(~np.isfinite(y).all(axis=1))
        for block in blocks(len(overflown), max(1, PREDICTION_ENTRIES // max(self.layer_sizes))):
            index = overflown[block]
            A = X.take(index, np.empty((len(index), self.layer_sizes[0])))
            # In quarters, as y_scale A may overflow where y_scale A + y_shift does not.
            K = 4 * self.n_networks
            A = sum(predict_bounded(m.network(), m.theta, A) / K for m in self.members())
            if self.y_scale is not None:
                A *= self.y_scale
            if self.y_shift is not None:
                A += 0.25 * self.y_shift
            y[index] = 4 * np.clip(A, -largest / 4, largest / 4)

    @property
    def dtype_out(self) -> Any:
        """Type of the predictions: that of the weights if it holds y's units, else float64."""
        dtype, scale, shift = self.theta.dtype, self.y_scale, self.y_shift
        if dtype == np.float64 or scale is None:
            return dtype
        units = scale.tolist()  # for one or a few outputs Python is faster than NumPy
        held = min(units) > 2.0**-100 and max(units) < 2.0**100
        if held and shift is not None:
            # Of a y that is far from 0 float32 would leave few digits, or none, to its spread.
            far = zip(shift.tolist(), units, strict=True)
            held = all(abs(c) <= LARGEST_SHIFT * s for c, s in far)
        return dtype if held else np.dtype(np.float64)

    def to_caller(self, A: Array) -> Array:
        """y_scale A + y_shift, in place: the network's predictions in the caller's units."""
        if self.y_scale is not None:
            np.multiply(A, self.y_scale, out=A, casting="same_kind")
        if self.y_shift is not None:
            np.add(A, self.y_shift, out=A, casting="same_kind")
        return A

    def targets(self, Y: Array) -> Rows:
        """(Y - y_shift) / y_scale: targets in the network's units."""
        return Rows(Y, self.theta.dtype, self.y_shift, self.y_scale)

    def folded(self) -> tuple[list[Array], list[Array], Array | None]:
        """Weights and biases of the same network on raw X, and a factor left over.

        X_scale and X_shift go into the first layer,
            W[1] / X_scale,   b[1] - (X_shift / X_scale) W[1],
        y_scale and y_shift into the last one, where the output activation allows it:
        W[L] y_scale, b[L] y_scale + y_shift for the identity; W[L] y_scale, b[L] y_scale
        for relu and leaky_relu, as max(0, s z) = s max(0, z), s > 0; b[L] + log y_scale for
        exp. The lists begin at layer 1, as coefs_ does: W[0] here is W[1].
        For another activation the factor y_scale of the predictions is left over, and
        y_shift with it.

        Of inputs that are bounded X_scale and X_shift are no part: W[1] is for A[0] then; of
        others with categories, or missing cells, it is for A[0] with x in the place of z. Several
        networks are one (:func:`joined`).
        """
        parts = [member._folded() for member in self.members()]
        if len(parts) == 1:
            return parts[0]
        if not isinstance(self.network().g[-1], Identity):
            raise AttributeError(
                f"the mean of {self.n_networks} networks with output_activation="
                f"{self.activations[-1]!r} is no network; fit with n_networks=1"
            )
        return (*joined([W for W, _, _ in parts], [b for _, b, _ in parts]), None)

    def _folded(self):
        views = self.network().views(self.theta.astype(np.float64))
        W = [w.copy() for w in views.W[1:]]
        b = [
            np.zeros(w.shape[1]) if v is None else v[0].copy()
            for w, v in zip(W, views.b[1:], strict=True)
        ]
        E = self.encoding or Encoding(bounded=False)
        if not E.bounded:
            numbers, W_1 = E.numbers(self.n_features), W[0][E.parts(self.n_features)[0]]
            if self.X_scale is not None:
                W_1 /= self.X_scale[numbers, None]
            if self.X_shift is not None:
                b[0] -= self.X_shift[numbers] @ W_1
        left_over = None
        if self.y_scale is not None:
            output = self.network().g[-1]
            if isinstance(output, (Identity, ReLU, LeakyReLU)):
                W[-1] *= self.y_scale
                b[-1] *= self.y_scale
            elif isinstance(output, Exp) and self.fit_intercept:
                b[-1] += np.log(self.y_scale)
            else:
                left_over = self.y_scale
        if self.y_shift is not None and left_over is None:
            b[-1] += self.y_shift
        return W, b, left_over


def joined(Ws: list[list[Array]], bs: list[list[Array]]) -> tuple[list[Array], list[Array]]:
    """The mean of K networks as one network, whose layers are theirs side by side.

    W[1] = [W₁[1] … W_K[1]], W[l] is block-diagonal, and of the identity output W[L] is the W_k[L]
    one below the other, divided by K, and b[L] the mean.
    """
    from scipy.linalg import block_diag  # here: whoever predicts does without

    K, layers = len(Ws), list(zip(*Ws, strict=True))
    biases = list(zip(*bs, strict=True))
    if len(layers) == 1:
        return [sum(layers[0]) / K], [sum(biases[0]) / K]
    W = [np.hstack(layers[0]), *(block_diag(*M) for M in layers[1:-1]), np.vstack(layers[-1]) / K]
    return W, [*(np.concatenate(v) for v in biases[:-1]), sum(biases[-1]) / K]


def model_of(attributes: dict[str, Any]) -> Model:
    """The model of a fitted regressor's attributes."""
    names = ("theta", "layer_sizes", "activations", "fit_intercept")
    units = ("X_shift", "X_scale", "y_shift", "y_scale")
    parts = [attributes[f"{name}_"] for name in (*names, *units)]
    parts += [_encoding_in(attributes), attributes["n_networks_"], attributes["input_scale_"]]
    parts.append(attributes["categories_"])
    return Model(*parts)


def _encoding_in(attributes):
    arrays, categories = [attributes[name] for name in ENCODED], attributes["categories_"]
    bounded = arrays[0] is not None
    if categories is None and all(M is None for M in arrays):
        return None
    if bounded and categories is None and all(M is None for M in arrays[len(BINS) :]):
        return Encoding(*arrays[: len(BINS)])  # without a look at what is empty
    arrays = [NO_COLUMNS if M is None else M for M in arrays]
    of_levels = [j for j, levels in enumerate(categories or ()) if levels is not None]
    return Encoding(*arrays, np.array(of_levels, np.int64), bounded)


def encoding_attributes(encoding: Encoding | None) -> dict[str, Any]:
    """An encoding as attributes of a fitted regressor; None for columns that there are none of."""
    if encoding is None:
        return dict.fromkeys(ENCODED)
    E, bins = encoding, (encoding.column, encoding.middle, encoding.half)
    others = [M if len(M) else None for M in (E.level_column, E.level, E.other, E.missing_column)]
    return dict(zip(ENCODED, [*(bins if E.bounded else [None] * 3), *others], strict=True))
