"""A picture of a network: its nodes in layers, its weights as lines between them."""

from typing import Any

import numpy as np

from .drawing import (
    POINT,
    check_drawing,
    new_axes,
    rows_for,
    shortened,
    style,
    widest,
)
from .estimators import checked_estimator
from .messages import described, shown
from .model import model_of
from .parameters import COUNT, check

LENGTHS = (24, 16, 10, 6)  # of names, until they leave the network half of the width, and
PER_LAYER = 18  # points from one layer to the next: a node and some of its lines
SMALLEST = 3.5  # points of a letter that can be guessed at
MOST = 10  # nodes of a layer


class NetworkDisplay:
    """Nodes, layers and weights of a network, as textbooks draw them.

    A line's colour and width are its weight's. Of a layer with many nodes the strongest are drawn,
    those with the largest weights to both sides, in their order. Made by :meth:`from_estimator`;
    all parameters are attributes.

    Parameters
    ----------
    weights : list of ndarray of shape (n[l-1], n[l])
        W[1], …, W[L].
    feature_names, output_names : list of str
        Written beside the first and the last layer.
    activations : list of str
        Of layers 1 to L, written above them.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    nodes_ : list of ndarray of int
        The nodes of layers 0 to L that are drawn: columns of A[l].
    edges_ : matplotlib LineCollection
        The weights between them, the strongest last.
    node_collection_ : matplotlib PathCollection
        The circles.
    name_texts_, title_texts_, node_texts_ : list of matplotlib Text
        What is written beside the network, above it, and in its nodes.
    colorbar_ : matplotlib Colorbar or None
        What the colours mean.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbackprop import BackpropRegressor, NetworkDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = BackpropRegressor(hidden_layer_sizes=(8, 4)).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(model)  # doctest: +SKIP
    """

    def __init__(self, weights, feature_names, output_names, activations):
        self.weights, self.feature_names = weights, feature_names
        self.output_names, self.activations = output_names, activations

    @classmethod
    def from_estimator(cls, estimator, *, feature_names=None, ax=None, **keywords):
        """Draw a fitted estimator's network.

        The weights are those of the standardised network (`theta_`), which compare between
        features of any unit; `coefs_` has those in the caller's units. Of several networks the
        first is drawn. A feature's bins are inputs too, by the numbers 1, 2, … after its name.

        Parameters
        ----------
        estimator : BackpropRegressor
            Fitted.
        feature_names : list of str, default=None
            None for `feature_names_in_`, or x0, x1, …
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : NetworkDisplay
        """
        check_drawing(f"{cls.__name__}.from_estimator", ax)
        fitted = vars(checked_estimator(estimator))
        model = model_of(fitted).members()[0]
        sizes, n = model.layer_sizes, model.n_features
        if feature_names is None:
            feature_names = fitted.get("feature_names_in_", [f"x{j}" for j in range(n)])
        if np.shape(feature_names) != (n,):
            raise ValueError(
                f"feature_names must be a list of {n} names; got {shown(feature_names)}"
            )
        feature_names = model.input_names(feature_names)
        W = [M.copy() for M in model.network().views(model.theta).W[1:]]
        outputs = ["ŷ"] if sizes[-1] == 1 else [f"ŷ{k}" for k in range(sizes[-1])]
        activations = [g if isinstance(g, str) else described(g) for g in model.activations]
        return cls(W, feature_names, outputs, activations).plot(ax=ax, **keywords)

    def plot(
        self, ax=None, *, max_nodes=None, colorbar=True, node_kw=None, edge_kw=None, text_kw=None
    ):
        """Draw the network, for the size that the axes have now.

        Of several pictures with a layout that makes room for each other ("constrained") it is
        best drawn last.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        max_nodes : int, default=None
            Nodes that are drawn of a layer; None for 10, or as many as the axes have room for.
        colorbar : bool, default=True
            Whether to say what the colours mean.
        node_kw, edge_kw, text_kw : dict, default=None
            Keywords for the nodes, as of ``Axes.scatter``; for the weights, as of
            ``LineCollection``; and for all that is written, as of ``Axes.text``.

        Returns
        -------
        display : NetworkDisplay
        """
        check_drawing(f"{type(self).__name__}.plot", ax)
        if max_nodes is None:
            max_nodes = MOST if ax is None else rows_for(ax, MOST, besides=4)
        check("max_nodes", max_nodes, COUNT)
        self.nodes_ = _strongest(self.weights, max_nodes)
        self.sizes = [W.shape[0] for W in self.weights] + [self.weights[-1].shape[1]]
        self.rows = max(map(self._rows, range(len(self.sizes))))
        L = len(self.weights)
        figsize = min(16, 3.4 + 1.6 * L), max(2.8, 1.1 + 0.34 * self.rows)
        self.ax_ = ax = new_axes(ax, figsize)
        self.figure_ = ax.figure
        ax.set_axis_off()
        self.places = [self._places(l) for l in range(L + 1)]
        self._draw_edges(edge_kw, colorbar)
        self._measure()
        self._draw_names(text_kw)
        self._draw_nodes(node_kw, text_kw)
        self._draw_titles(text_kw)
        return self

    def _is_abbreviated(self, l):
        return len(self.nodes_[l]) < self.sizes[l]

    def _rows(self, l):
        """Rows that a layer takes, with one for the dots."""
        return len(self.nodes_[l]) + self._is_abbreviated(l)

    def _places(self, l):
        """(x, y) of every row of a layer."""
        n = self._rows(l)
        return np.column_stack([np.full(n, l), (n - 1) / 2 - np.arange(n)])

    def _draw_edges(self, edge_kw, colorbar):
        from matplotlib.collections import LineCollection
        from matplotlib.colors import Normalize

        segments, weights = [], []
        for l, W in enumerate(self.weights, start=1):
            left, right = self.nodes_[l - 1], self.nodes_[l]
            for i, start in zip(left, self.places[l - 1], strict=False):  # not from the dots
                segments += [(start, end) for _, end in zip(right, self.places[l], strict=False)]
                weights.append(W[i, right])
        w = np.concatenate(weights).astype(float)
        order, largest = np.argsort(np.abs(w), kind="stable"), np.abs(w).max() or 1.0
        widths = 0.4 + 2.6 * np.abs(w[order]) / largest
        defaults = {"cmap": "coolwarm", "norm": Normalize(-largest, largest), "linewidths": widths}
        keywords = style(defaults, edge_kw=edge_kw)
        self.edges_ = LineCollection(
            np.array(segments)[order], array=w[order], zorder=1, **keywords
        )
        self.ax_.add_collection(self.edges_)
        self.colorbar_ = None
        if colorbar:
            label = "weight (standardised units)"
            self.colorbar_ = self.figure_.colorbar(
                self.edges_, ax=self.ax_, label=label, shrink=0.8, pad=0.02, aspect=30
            )

    def _measure(self):
        """Sizes in points and pixels, once there is a layout."""
        self.figure_.canvas.figure.draw_without_rendering()
        box = self.ax_.get_window_extent()
        self.pixels, self.width = self.figure_.dpi / POINT, box.width
        height = box.height / self.pixels
        self.fontsize = min(9.0, 0.72 * height / (self.rows + 3))
        head = 4.2 * self.fontsize  # three lines
        self.spacing = (height - head) / self.rows
        self.top = self.rows / 2 + head / self.spacing
        self.ax_.set_ylim(-self.rows / 2, self.top)
        self.diameter = min(17.0, 0.75 * self.spacing, 0.3 * box.width / self.pixels / self.L)

    @property
    def L(self):
        """Layers with weights."""
        return len(self.weights)

    def _draw_names(self, text_kw):
        """Beside the first and the last layer, and the scale of x that leaves room for them."""
        margin = (self.diameter / 2 + 4) * self.pixels
        for longest in LENGTHS:
            left, right = self._names(0, longest, text_kw), self._names(self.L, longest, text_kw)
            room = widest(left) + widest(right)
            least = max(self.width / 2, self.L * PER_LAYER * self.pixels + 4 * margin)
            if room < self.width - least or longest == LENGTHS[-1]:
                break
            for text in left + right:
                text.remove()
        self.name_texts_ = left + right
        scale = self.L / max(0.3 * self.width, self.width - room - 4 * margin)
        self.per_layer = 1 / scale  # pixels
        self.diameter = min(self.diameter, 0.6 * self.per_layer / self.pixels)
        self.ax_.set_xlim(
            -(widest(left) + 2 * margin) * scale, self.L + (widest(right) + 2 * margin) * scale
        )

    def _names(self, l, longest, text_kw):
        names = self.feature_names if l == 0 else self.output_names
        texts = [shortened(names[i], longest) for i in self.nodes_[l]]
        if self._is_abbreviated(l):
            texts.append(f"{self.sizes[l] - len(texts)} more")
        side, sign = ("right", -1) if l == 0 else ("left", 1)
        return [
            self.ax_.annotate(
                text,
                place,
                xytext=(sign * (self.diameter / 2 + 4), 0),
                textcoords="offset points",
                **style(
                    {
                        "fontsize": self.fontsize,
                        "horizontalalignment": side,
                        "verticalalignment": "center_baseline",
                        "parse_math": False,
                    },
                    text_kw=text_kw,
                ),
            )
            for text, place in zip(texts, self.places[l], strict=True)
        ]

    def _draw_nodes(self, node_kw, text_kw):
        drawn = [p[: len(n)] for p, n in zip(self.places, self.nodes_, strict=True)]
        defaults = {"color": "white", "edgecolors": "0.3", "linewidths": 1, "zorder": 2}
        x, y = np.concatenate(drawn).T
        self.node_collection_ = self.ax_.scatter(
            x, y, **style(defaults | {"s": self.diameter**2}, node_kw=node_kw)
        )
        self.node_texts_ = []
        for l in range(self.L + 1):
            digits = len(str(self.sizes[l] - 1))
            size = min(0.55, 1.05 / max(1, digits)) * self.diameter
            hidden = 0 < l < self.L and size >= SMALLEST  # the others have names
            for i, place in zip(self.nodes_[l] if hidden else (), self.places[l], strict=False):
                self._write(place, str(i), text_kw, fontsize=size, zorder=3)
            if self._is_abbreviated(l):
                self._write(self.places[l][-1], "⋮", text_kw, fontsize=1.3 * self.fontsize)

    def _write(self, place, text, text_kw, **defaults):
        centered = {"horizontalalignment": "center", "verticalalignment": "center_baseline"}
        keywords = style(centered | {"parse_math": False}, text_kw=text_kw) | defaults
        self.node_texts_.append(self.ax_.text(*place, text, **keywords))

    def _draw_titles(self, text_kw):
        heads = ["input", *(f"layer {l}" for l in range(1, self.L + 1))]
        below = ["", *(shortened(g, 14) for g in self.activations)]
        titles = [f"{h}\nn = {n}\n{g}" for h, n, g in zip(heads, self.sizes, below, strict=True)]
        short, shortest = [f"{l}\n{n}" for l, n in enumerate(self.sizes)], range(self.L + 1)
        for texts, smallest in ((titles, 6), (short, SMALLEST), (map(str, shortest), 0)):
            if self._write_titles(texts, text_kw, smallest):
                break

    def _write_titles(self, titles, text_kw, smallest):
        """One above each layer, as small as it takes; False if that is too small to be read."""
        defaults = {"horizontalalignment": "center", "fontsize": self.fontsize}
        defaults |= {"parse_math": False, "verticalalignment": "top"}
        self.title_texts_ = [
            self.ax_.text(l, self.top, text, **style(defaults, text_kw=text_kw))
            for l, text in enumerate(titles)
        ]
        size = self.title_texts_[0].get_fontsize()
        size /= max(1.0, widest(self.title_texts_) / (0.92 * self.per_layer))
        for text in self.title_texts_:
            text.set_fontsize(size) if size >= smallest else text.remove()
        return size >= smallest


def _strongest(weights: list[Any], most: int) -> list[Any]:
    """Of every layer the nodes with the largest norms of weights, in their order."""
    into = [1.0, *(np.linalg.norm(W, axis=0) for W in weights)]
    out = [*(np.linalg.norm(W, axis=1) for W in weights), 1.0]
    strengths = [a * b for a, b in zip(into, out, strict=True)]
    return [np.sort(np.argsort(-s, kind="stable")[:most]) for s in strengths]
