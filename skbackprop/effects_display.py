"""A picture of marginal effects."""

import numpy as np

from .drawing import (
    POINT,
    check_drawing,
    new_axes,
    rows_for,
    shortened,
    style,
)
from .estimators import checked_estimator
from .parameters import COUNT, OneOf, check
from .scaling import deviations
from .tables import checked_weights

KINDS = {
    "standardized": "change of y for a standard deviation more",
    "effect": "change of y for a unit more",
    "elasticity": "per cent of y for a per cent more",
}
MOST = 20  # features


class MarginalEffectsDisplay:
    """Average marginal effects of the features, the largest first.

    A mark is the mean of dy/dx over the rows, the bar beside it the standard deviation of dy/dx
    over them: how much the effect differs from row to row, and no confidence interval. Made by
    :meth:`from_estimator`; all parameters are attributes.

    Parameters
    ----------
    effects : dict of arrays
        The table of :meth:`BackpropRegressor.marginal_effects`.
    feature_std : ndarray of shape (n_features,)
        Standard deviations of the features, by which effects in any units compare.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    features_ : ndarray of int
        The features that are drawn, from the top.
    containers_ : list of matplotlib ErrorbarContainer
        The marks, one container for every output.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbackprop import BackpropRegressor, MarginalEffectsDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = BackpropRegressor(solver="lbfgs", alpha=10).fit(X, y)
    >>> display = MarginalEffectsDisplay.from_estimator(model, X)  # doctest: +SKIP
    """

    def __init__(self, effects, feature_std):
        self.effects, self.feature_std = effects, feature_std

    @classmethod
    def from_estimator(cls, estimator, X, sample_weight=None, *, ax=None, **keywords):
        """Compute the effects of a fitted estimator on the rows of X, and draw them.

        Parameters
        ----------
        estimator : BackpropRegressor
            Fitted.
        X, sample_weight
            As for :meth:`BackpropRegressor.marginal_effects`.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : MarginalEffectsDisplay
        """
        check_drawing(f"{cls.__name__}.from_estimator", ax)
        effects = checked_estimator(estimator).marginal_effects(X, sample_weight)
        _, table = estimator._fitted_and_inputs(X)
        weight = checked_weights(sample_weight, table.shape[0])
        return cls(effects, deviations(table, weight)).plot(ax=ax, **keywords)

    def plot(self, ax=None, *, kind="standardized", max_features=None, line_kw=None, text_kw=None):
        """Draw the effects.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        kind : {"standardized", "effect", "elasticity"}, default="standardized"
            For a standard deviation of the feature more, for a unit more, or per cent for a per
            cent, which has no bars.
        max_features : int, default=None
            Features that are drawn, those with the largest effects on any output; None for 20, or
            as many as the axes have room for.
        line_kw : dict, default=None
            Keywords for marks and bars, as of ``Axes.errorbar``.
        text_kw : dict, default=None
            Keywords for the names, as of ``Axes.set_yticks``.

        Returns
        -------
        display : MarginalEffectsDisplay
        """
        check_drawing(f"{type(self).__name__}.plot", ax)
        check("kind", kind, OneOf(tuple(KINDS)))
        if max_features is None:
            max_features = MOST if ax is None else rows_for(ax, MOST)
        check("max_features", max_features, COUNT)
        means, stds = self._of_kind(kind)
        size = np.where(np.isnan(means), -1.0, np.abs(means)).max(axis=0)
        defined = int((size >= 0).sum()) or len(size)  # a category has no effect to be drawn
        self.features_ = np.argsort(-size, kind="stable")[: min(max_features, defined)]
        n, outputs = len(self.features_), len(means)
        height = 0.24 + 0.08 * (min(outputs, 8) - 1)
        self.ax_ = ax = new_axes(ax, (6.4, max(2.4, 1.2 + height * n)))
        self.figure_ = ax.figure
        ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        self._draw_marks(means[:, self.features_], stds, line_kw)
        self._draw_names(n, text_kw)
        ax.set_xlabel(KINDS[kind])
        if n < defined:
            ax.set_title(f"the {n} largest of {defined} features", fontsize=10)
        if outputs > 1:
            where = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
            ax.legend(title="output", **where)
        return self

    def _of_kind(self, kind):
        """(outputs, features): what is drawn as marks and as bars, None for no bars."""
        features = len(self.feature_std)
        if kind == "elasticity":
            return self.effects["elasticity"].reshape(-1, features), None
        scale = self.feature_std if kind == "standardized" else 1.0
        means, stds = (self.effects[name].reshape(-1, features) for name in ("effect", "std"))
        return means * scale, stds * scale

    def _draw_marks(self, means, stds, line_kw):
        outputs, n = means.shape
        apart = 0.7 / outputs
        self.containers_ = []
        for k, x in enumerate(means):
            y = np.arange(n) + (k - (outputs - 1) / 2) * apart
            bars = None if stds is None else stds[k, self.features_]
            defaults = {"fmt": "o", "color": f"C{k}", "markersize": 5 if outputs < 4 else 3}
            keywords = style(defaults | {"elinewidth": 1.2, "label": str(k)}, line_kw=line_kw)
            self.containers_.append(self.ax_.errorbar(x, y, xerr=bars, **keywords))

    def _draw_names(self, n, text_kw):
        """As large as the rows allow, the first feature on top."""
        ax = self.ax_
        ax.set_ylim(n - 0.4, -0.6)
        spacing = ax.get_window_extent().height / self.figure_.dpi * POINT / n
        names = [shortened(self.effects["feature"][j]) for j in self.features_]
        defaults = {"fontsize": min(9.0, 0.7 * spacing), "parse_math": False}
        ax.set_yticks(range(n), names, **style(defaults, text_kw=text_kw))
