"""A picture of the sizes of a training's gradients."""

import numpy as np

from .drawing import check_drawing, new_axes, style, whole_numbers
from .estimators import checked_estimator
from .gradient_flow import gradient_norms

MOST_LAYERS = 8  # that a legend names; of more a colour bar tells


class GradientFlowDisplay:
    """Norm of df/dW[l] of every layer, from the first weights through all epochs.

    A gradient that gets smaller from layer to layer on its way back vanishes, one that gets
    larger explodes. Made by :meth:`from_estimator`; all parameters are attributes.

    Parameters
    ----------
    norms : ndarray of shape (n_epochs + 1, n_layers)
        Frobenius norms, of the network's standardised units; the first row is of the first
        weights.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    lines_ : list of matplotlib Line2D
        One for every layer.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbackprop import BackpropRegressor, GradientFlowDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> deep = BackpropRegressor(hidden_layer_sizes=(20,) * 6, activation="logistic")
    >>> display = GradientFlowDisplay.from_estimator(deep, X, y)  # doctest: +SKIP
    """

    def __init__(self, norms):
        self.norms = norms

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        ax=None,
        **keywords,
    ):
        """Fit a clone of the estimator, and record and draw the norms.

        The estimator itself is left as it is, fitted or not, and its callbacks are not told. With
        the same integer `random_state` the clone's weights are those of ``fit``. A training that
        diverges is drawn as far as it went, without an error.

        Parameters
        ----------
        estimator : BackpropRegressor
            What to fit.
        X, y, sample_weight, X_val, y_val, sample_weight_val
            As for ``fit``. The norms are of at most 2048 rows, evenly spaced, of the objective of
            training with its penalty and without dropout.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : GradientFlowDisplay
        """
        check_drawing(f"{cls.__name__}.from_estimator", ax)
        checked_estimator(estimator, fitted=False)
        validation = (X_val, y_val, sample_weight_val)
        norms = gradient_norms(estimator, X, y, sample_weight, validation)
        return cls(norms).plot(ax=ax, **keywords)

    def plot(self, ax=None, *, line_kw=None):
        """Draw the norms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        line_kw : dict, default=None
            Keywords for the lines, as of ``Axes.plot``.

        Returns
        -------
        display : GradientFlowDisplay
        """
        check_drawing(f"{type(self).__name__}.plot", ax)
        import matplotlib as mpl

        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        L = self.norms.shape[1]
        colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, L))
        self.lines_ = []
        for l, (curve, color) in enumerate(zip(self.norms.T, colors, strict=True), start=1):
            keywords = style({"color": color, "label": f"dW[{l}]"}, line_kw=line_kw)
            self.lines_ += ax.plot(np.where(curve > 0, curve, np.nan), **keywords)
        ax.set(xlabel="epoch", ylabel="norm of df/dW[l]", yscale="log")
        whole_numbers(ax)
        self._draw_key(L, colors)
        return self

    def _draw_key(self, L, colors):
        """Which colour is which layer."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import BoundaryNorm, ListedColormap

        if L <= MOST_LAYERS:
            where = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
            self.ax_.legend(**where)
            return
        norm = BoundaryNorm(np.arange(0.5, L + 1), L)
        mappable = ScalarMappable(norm, ListedColormap(colors))
        ticks = np.unique(np.linspace(1, L, 6).astype(int))
        self.figure_.colorbar(mappable, ax=self.ax_, label="layer l", ticks=ticks).minorticks_off()
