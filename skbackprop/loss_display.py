"""A picture of the losses of a training."""

from typing import Any

import numpy as np

from .drawing import check_drawing, new_axes, style, whole_numbers
from .estimators import checked_estimator
from .messages import described
from .parameters import Boolean, Either, OneOf, check
from .rates import learning_rates

WHETHER = Either((Boolean(), OneOf(("auto",))))
DECADES = 10.0  # a curve that falls to less than a tenth is drawn on a logarithmic scale


class LossCurveDisplay:
    """Loss of every epoch, on the training and the validation rows.

    Made by :meth:`from_estimator`; all parameters are attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss on the validation rows, NaN for an epoch without any.
    best_epoch : int, default=None
        The epoch that was the best one.
    learning_rate : array-like of shape (n_epochs,), default=None
        Rate of every epoch's first step, NaN where it is not known.
    first_epoch : int, default=1
        Number of the first epoch: of a stream the last 1000 are kept.
    loss_name : str, default=None
        For the axis.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    line_, validation_line_, best_epoch_line_, learning_rate_line_ : matplotlib Line2D or None
        The curves; None for one that is not drawn.
    learning_rate_ax_ : matplotlib Axes or None
        The scale of the learning rate, on the right.
    legend_ : matplotlib Legend
        Above the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbackprop import BackpropRegressor, LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = BackpropRegressor(early_stopping=True, random_state=0).fit(X, y)
    >>> LossCurveDisplay.from_estimator(model).figure_.savefig("loss.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        loss_curve,
        *,
        validation_loss_curve=None,
        best_epoch=None,
        learning_rate=None,
        first_epoch=1,
        loss_name=None,
    ):
        self.loss_curve, self.validation_loss_curve = loss_curve, validation_loss_curve
        self.best_epoch, self.learning_rate = best_epoch, learning_rate
        self.first_epoch, self.loss_name = first_epoch, loss_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **keywords):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : BackpropRegressor
            Fitted, and its parameters those of that fit. The learning rate is not drawn if it
            cannot be known: after several fits (warm_start), only that of the last one is, and
            that of "invscaling" is not after `partial_fit`.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError, TypeError
            For an estimator that is not fitted, or another one.
        ImportError
            Without matplotlib.
        """
        check_drawing(f"{cls.__name__}.from_estimator", ax)
        fitted, params = vars(checked_estimator(estimator)), estimator._checked()
        first = max(1, fitted["n_iter_"] - len(fitted["loss_curve_"]) + 1)
        best = fitted["_training"]["history"]["best_epoch"]
        display = cls(
            np.array(fitted["loss_curve_"]),
            validation_loss_curve=_array(fitted["validation_loss_curve_"]),
            best_epoch=best + first - 1 if best else None,
            learning_rate=learning_rates(fitted, params),
            first_epoch=first,
            loss_name=_name(params["loss"]),
        )
        return display.plot(ax=ax, **keywords)

    def plot(self, ax=None, *, learning_rate="auto", line_kw=None, best_epoch_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        learning_rate : bool or "auto", default="auto"
            Whether to draw the learning rate too; "auto" if it has changed.
        line_kw : dict, default=None
            Keywords for the curves of the loss, as of ``Axes.plot``.
        best_epoch_kw : dict, default=None
            Keywords for the mark of the best epoch, as of ``Axes.axvline``.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_drawing(f"{type(self).__name__}.plot", ax)
        check("learning_rate", learning_rate, WHETHER)
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        epochs = self.first_epoch + np.arange(len(self.loss_curve))
        self.line_ = self._curve(epochs, self.loss_curve, "training", "C0", line_kw)
        self.validation_line_ = self.best_epoch_line_ = None
        if self.validation_loss_curve is not None:
            curve = self.validation_loss_curve
            self.validation_line_ = self._curve(epochs, curve, "validation", "C1", line_kw)
        if self.best_epoch is not None:
            label = f"best epoch: {self.best_epoch}"
            defaults = {"color": "0.3", "linestyle": "--", "linewidth": 1, "label": label}
            keywords = style(defaults, best_epoch_kw=best_epoch_kw)
            self.best_epoch_line_ = ax.axvline(self.best_epoch, **keywords)
        ax.set(xlabel="epoch", ylabel=f"loss ({self.loss_name})" if self.loss_name else "loss")
        _logarithmic_if_wide(ax, self.loss_curve, self.validation_loss_curve)
        whole_numbers(ax)
        self._draw_learning_rate(epochs, learning_rate)
        self._draw_legend()
        return self

    def _curve(self, epochs, curve, label, color, line_kw):
        defaults = {"color": color, "label": label, "marker": "." if len(epochs) == 1 else ""}
        return self.ax_.plot(epochs, curve, **style(defaults, line_kw=line_kw))[0]

    def _draw_learning_rate(self, epochs, wanted):
        self.learning_rate_ax_ = self.learning_rate_line_ = None
        rates = self.learning_rate
        if rates is None or np.isnan(rates).all():
            return
        if wanted == "auto":
            wanted = np.nanmax(rates) > np.nanmin(rates)
        if not wanted:
            return
        self.learning_rate_ax_ = right = self.ax_.twinx()
        keywords = {"color": "0.6", "linestyle": ":", "drawstyle": "steps-post"}
        keywords["marker"] = "." if len(epochs) == 1 else ""
        line = right.plot(epochs, rates, label="learning rate", **keywords)[0]
        self.learning_rate_line_ = line
        right.set_ylabel("learning rate", color="0.4")
        right.tick_params(axis="y", colors="0.4")
        _logarithmic_if_wide(right, rates)
        if right.get_yscale() == "linear":
            right.set_ylim(bottom=0)
            right.ticklabel_format(axis="y", scilimits=(-3, 4))
        self.ax_.set_zorder(right.get_zorder() + 1)  # the loss before it
        self.ax_.patch.set_visible(False)

    def _draw_legend(self):
        """Above the axes, where no curve is."""
        lines = self.line_, self.validation_line_, self.best_epoch_line_, self.learning_rate_line_
        lines = [line for line in lines if line is not None]
        where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False}
        self.legend_ = self.ax_.legend(handles=lines, ncols=2, fontsize=9, **where)


def _name(loss: Any) -> str:
    """The loss for a label."""
    return loss if isinstance(loss, str) else described(loss)


def _array(curve):
    return None if curve is None else np.array(curve)


def _logarithmic_if_wide(ax, *curves):
    """A logarithmic scale for positive curves of several orders of magnitude."""
    values = np.concatenate([np.ravel(curve) for curve in curves if curve is not None])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > DECADES * values.min():
        ax.set_yscale("log")
