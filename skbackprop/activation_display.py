"""A picture of g and g'."""

from typing import Any

import numpy as np

from .drawing import check_drawing, new_axes, style
from .estimators import checked_estimator
from .messages import described, shown
from .parameters import ACTIVATION, check, resolve_activation

RANGE = np.linspace(-4, 4, 801)  # with a point at 0, where kinks are


class ActivationDisplay:
    """g(z), and its derivative g'(z) that backpropagation multiplies by.

    Made by :meth:`from_estimator` or :meth:`from_activation`; all parameters are attributes.

    Parameters
    ----------
    z : ndarray of shape (n_points,)
        Where the functions are evaluated.
    values, derivatives : list of ndarray of shape (n_points,)
        g(z) and g'(z) of every activation.
    names : list of str
        What they are called.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    lines_, derivative_lines_ : list of matplotlib Line2D
        Solid for g, dashed for g'.
    legend_ : matplotlib Legend
        Above the axes.

    Examples
    --------
    >>> from skbackprop import ActivationDisplay
    >>> display = ActivationDisplay.from_activation("gelu")  # doctest: +SKIP
    """

    def __init__(self, z, values, derivatives, names):
        self.z, self.values, self.derivatives, self.names = z, values, derivatives, names

    @classmethod
    def from_estimator(cls, estimator, *, z=None, ax=None, **keywords):
        """Draw the activations of a fitted estimator's layers, each once.

        Parameters
        ----------
        estimator : BackpropRegressor
            Fitted.
        z : array-like of shape (n_points,), default=None
            Where to evaluate; None for -4 to 4.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : ActivationDisplay
        """
        check_drawing(f"{cls.__name__}.from_estimator", ax)
        specs = checked_estimator(estimator).activations_
        layers: dict[str, list[int]] = {}
        by_name: dict[str, Any] = {}
        for l, spec in enumerate(specs, start=1):
            name = _name(spec)
            layers.setdefault(name, []).append(l)
            by_name.setdefault(name, spec)
        names = [f"{name} (l = {_ranges(layers[name])})" for name in by_name]
        return cls._of(list(by_name.values()), names, z).plot(ax=ax, **keywords)

    @classmethod
    def from_activation(cls, activation, *, z=None, ax=None, **keywords):
        """Draw an activation by its name, or one of your own.

        Parameters
        ----------
        activation : str or object, or a list of them
            As the parameter `activation` of BackpropRegressor.
        z : array-like of shape (n_points,), default=None
            Where to evaluate; None for -4 to 4.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        **keywords : dict
            For :meth:`plot`.

        Returns
        -------
        display : ActivationDisplay
        """
        check_drawing(f"{cls.__name__}.from_activation", ax)
        specs = activation if isinstance(activation, (list, tuple)) else [activation]
        for spec in specs:
            check("activation", spec, ACTIVATION)
        return cls._of(specs, [_name(spec) for spec in specs], z).plot(ax=ax, **keywords)

    @classmethod
    def _of(cls, specs, names, z):
        z = RANGE if z is None else np.asarray(z)
        if z.ndim != 1 or z.dtype.kind not in "fiu":
            raise ValueError(f"z must be a list or 1-dimensional array of numbers; got {shown(z)}")
        z = z.astype(float)
        values, derivatives = [], []
        with np.errstate(all="ignore"):
            for spec in specs:
                g, Z = resolve_activation(spec), z[:, None].copy()
                A = g.value(Z)
                values.append(A[:, 0])
                derivatives.append(g.derivative(Z, A)[:, 0])
        return cls(z, values, derivatives, names)

    def plot(self, ax=None, *, line_kw=None, derivative_kw=None):
        """Draw the functions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        line_kw, derivative_kw : dict, default=None
            Keywords for the lines of g and of g', as of ``Axes.plot``.

        Returns
        -------
        display : ActivationDisplay
        """
        check_drawing(f"{type(self).__name__}.plot", ax)
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        for draw in (ax.axhline, ax.axvline):
            draw(0, color="0.85", linewidth=1, zorder=0)
        self.lines_, self.derivative_lines_ = [], []
        rows = zip(self.names, self.values, self.derivatives, strict=True)
        for k, (name, g, slope) in enumerate(rows):
            first = style({"color": f"C{k}", "label": f"g: {name}"}, line_kw=line_kw)
            second = {"color": f"C{k}", "linestyle": "--", "label": "g'"}
            second = style(second, derivative_kw=derivative_kw)
            self.lines_ += ax.plot(self.z, g, **first)
            self.derivative_lines_ += ax.plot(self.z, slope, **second)
        ax.set(xlabel="z", ylabel="g(z), g'(z)")
        where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False}
        handles = self.lines_ + self.derivative_lines_  # column by column: a row an activation
        self.legend_ = ax.legend(handles=handles, ncols=2, fontsize=9, **where)
        return self


def _name(spec):
    return spec if isinstance(spec, str) else described(spec)


def _ranges(layers):
    """[1, 2, 3, 5] as "1-3, 5"."""
    parts: list[list[int]] = []
    for l in layers:
        if parts and l == parts[-1][-1] + 1:
            parts[-1].append(l)
        else:
            parts.append([l])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
