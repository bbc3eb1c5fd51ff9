"""What the displays have in common: the estimator checked, axes, styles, names that fit.

matplotlib is imported when something is drawn. Names are drawn as they are: a "$" in one begins
no formula.
"""

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .messages import shown
from .regressor import BackpropRegressor

LONGEST = 24  # letters of a name
POINT = 72  # of an inch
ROW = 9  # points that a line of text takes where there is little room
# Short names of keywords: matplotlib refuses "lw" beside a default of "linewidth".
ALIASES = {
    "ls": "linestyle",
    "lw": "linewidth",
    "c": "color",
    "ms": "markersize",
    "mew": "markeredgewidth",
    "mec": "markeredgecolor",
    "mfc": "markerfacecolor",
    "size": "fontsize",
    "ha": "horizontalalignment",
    "va": "verticalalignment",
}


def check_matplotlib(caller: str) -> None:
    """Raise an ImportError that says who needs matplotlib and how to get it, if there is none."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. You can install matplotlib with "
            "`pip install matplotlib`"
        ) from error


def checked_estimator(estimator: Any, fitted: bool = True) -> BackpropRegressor:
    """The estimator, if it is a BackpropRegressor, and a fitted one where it has to be."""
    if not isinstance(estimator, BackpropRegressor):
        raise TypeError(
            f"estimator must be a BackpropRegressor (of a Pipeline, its last step: pipeline[-1]); "
            f"got {shown(estimator)}"
        )
    if fitted:
        check_is_fitted(estimator)
    return estimator


def new_axes(ax: Any, figsize: tuple[float, float] | None = None) -> Any:
    """`ax`, or that of a new figure, laid out so that nothing is cut off."""
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def style(defaults: dict[str, Any], keywords: dict[str, Any] | None) -> dict[str, Any]:
    """The keywords for matplotlib: a user's in place of the defaults, by short names too."""
    given = {ALIASES.get(name, name): value for name, value in (keywords or {}).items()}
    if len(given) < len(keywords or {}):
        raise TypeError(f"two of these are one keyword: {', '.join(keywords or {})}")
    return defaults | given


def shortened(name: Any, longest: int = LONGEST) -> str:
    """The name in one line, its middle left out if it is long: names often differ at the end."""
    name = " ".join(str(name).split())
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def widest(texts: Sequence[Any]) -> float:
    """Pixels that the longest of some texts takes."""
    return max((text.get_window_extent().width for text in texts), default=0.0)


def rows_for(ax: Any, most: int, besides: int = 0) -> int:
    """How many lines of text fit into the height of the axes, `besides` others: 3 to `most`."""
    ax.figure.canvas.figure.draw_without_rendering()  # which lays it out
    height = ax.get_window_extent().height / ax.figure.dpi * POINT
    return max(3, min(most, int(height / ROW) - besides))


def whole_numbers(ax: Any) -> None:
    """Epochs are counted: no tick in between."""
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
