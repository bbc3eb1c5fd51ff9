"""What the displays have in common: axes, styles, names that fit.

matplotlib is imported when something is drawn. Names are drawn as they are: a "$" in one begins
no formula.
"""

from collections.abc import Sequence
from types import NoneType
from typing import Any

from .messages import shown

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


def check_drawing(caller: str, ax: Any) -> None:
    """Refuse, before anything is computed, to draw without matplotlib or into what is no Axes."""
    try:
        from matplotlib import axes
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. You can install matplotlib with "
            "`pip install matplotlib`"
        ) from error
    if ax is not None and not isinstance(ax, axes.Axes):
        raise TypeError(f"ax must be one matplotlib Axes, or None; got {shown(ax)}")


def new_axes(ax: Any, figsize: tuple[float, float] | None = None) -> Any:
    """`ax`, or that of a new figure, laid out so that nothing is cut off."""
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def style(defaults: dict[str, Any], **parameter: dict[str, Any] | None) -> dict[str, Any]:
    """The keywords for matplotlib: a user's in place of the defaults, by short names too.

    The user's are those of one parameter, given by its name: ``style(defaults, line_kw=line_kw)``.
    """
    ((name, keywords),) = parameter.items()
    if not isinstance(keywords, (dict, NoneType)):
        raise TypeError(f"{name} must be a dict of matplotlib's keywords; got {shown(keywords)}")
    keywords = keywords or {}
    given = {ALIASES.get(key, key): value for key, value in keywords.items()}
    if len(given) < len(keywords):
        raise TypeError(f"{name} has one keyword by two names: {', '.join(keywords)}")
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
