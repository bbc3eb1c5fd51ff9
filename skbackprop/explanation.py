"""explain_backprop: the derivation of the gradient with a network's own numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import markup, memory, rendering
from .messages import described
from .quiet import quietly
from .steps import Step, Symbol, derivation
from .threads import for_products_of
from .trained import fitting_at, trained_by

LEGEND = (
    "`dM` is the derivative `df/dM`, a matrix of the shape of `M`; ⊙ multiplies entry by entry; "
    "the 1 in `1 b[l]` is a column of ones; the norm is Frobenius'. A matrix with more than "
    f"{rendering.LARGEST} rows or columns is abbreviated."
)


class Explanation(Sequence):
    """The steps of the derivation, in the order of the computation; printed as text.

    ``explanation[i]`` is step i, ``explanation["dW[2]"]`` the one that gives dW[2], whose
    ``.result.value`` is the matrix. In a notebook it is shown as a page.

    Attributes
    ----------
    title, about : str
        What is explained: the network, the loss and the number of rows.
    steps : list of Step
        The equations with their rules, reasons and results.
    """

    def __init__(self, about: str, steps: Sequence[Step]):
        self.title, self.about, self.steps = "explain_backprop", about, list(steps)
        self.legend = LEGEND

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, str):
            return self.steps[index]
        for step in self.steps:
            if step.result is not None and step.equation.partition(" = ")[0] == index:
                return step
        raise KeyError(index)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return rendering.as_text(self)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """As Markdown with formulas in LaTeX, as GitHub and notebooks show it.

        Returns
        -------
        text : str
        """
        return markup.as_markdown(self)

    def to_latex(self) -> str:
        r"""As a piece of a LaTeX document, which needs ``\\usepackage{amsmath}``.

        Returns
        -------
        text : str
        """
        return markup.as_latex(self)

    def _repr_html_(self) -> str:
        return markup.as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """As lists, numbers and strings, for ``json.dumps``.

        Returns
        -------
        explanation : dict
            "about" and "steps", each of these with "part", "layer", "equation", "latex", "rules",
            "why", "result" and "uses". A result has "name", "shape", "norm", "min", "max" and
            "matrix", the entries; that is None for one with more than 8 rows or columns. What is
            not finite is None.
        """
        return {"about": self.about, "steps": [rendering.as_dict(step) for step in self.steps]}


@quietly
def explain(fitted: dict[str, Any], params: dict[str, Any], table: Any) -> Explanation:
    """The explanation for a fitted regressor's attributes, its parameters and a table."""
    # All rows are explained, and the weights are those of the model: no draw is of consequence.
    params = params | {
        "dtype": str(fitted["theta_"].dtype),
        "early_stopping": False,
        "warm_start": False,
        "random_state": 0,
    }
    fitting = fitting_at(fitted, params, table, "explain_backprop")
    rows, model = np.arange(len(fitting.data)), fitting.model
    dropout = fitting.objective.dropout > 0
    memory.check_explanation(model.layer_sizes, len(rows), dropout, model.theta.dtype)
    with for_products_of(1):
        t = trained_by(fitting, rows)
        steps = list(derivation(fitting, t, fitted.get("feature_names_in_")))
    return Explanation(_about(fitting, len(rows), len(table[1])), steps)


def _about(fitting, m, n):
    model = fitting.model
    g = ", ".join(described(getattr(g, "g", g)) for g in model.network().g[1:])
    loss = described(getattr(fitting.loss, "loss", fitting.loss))
    rows = f"m = {m} row{'s' if m > 1 else ''}" + ("" if m == n else f" of {n}, the others weigh 0")
    return f"{'-'.join(map(str, model.layer_sizes))}, g = [{g}], {loss}, {rows}"


__all__ = ["Explanation", "Step", "Symbol", "explain"]
