"""Average marginal effects: the means of a model's derivatives over the rows of a table.

With the weights wᵢ = sᵢ / Σ s of the rows, for the input j and the output k,

    effect      = Σᵢ wᵢ ∂yₖ/∂xⱼ(xᵢ)                       the average marginal effect, AME
    std         = √ Σᵢ wᵢ (∂yₖ/∂xⱼ(xᵢ) - effect)²         how much it differs from row to row
    elasticity  = Σᵢ wᵢ ∂yₖ/∂xⱼ(xᵢ) xᵢⱼ / yₖ(xᵢ)          in per cent of y for a per cent of x

as econometricians define them. At a prediction of 0 there is no elasticity, and no mean of it:
NaN. Rows of weight 0 are left out, and of a feature those in which it is missing. By a category
there is no derivative: NaN.
"""

from typing import Any

import numpy as np

from .derivatives import gradients, units_of
from .model import Model
from .scaling import Rows

Array = np.ndarray


class MarginalEffects(dict):
    """A table as a dict of columns, a row for every input, and for every output of several.

    ``pandas.DataFrame(effects)`` is the same table. The columns are "feature" (names),
    "output" (numbers; of several outputs alone), "effect", "std" and "elasticity".
    """

    def __repr__(self) -> str:
        columns = [[name, *map(_shown, values)] for name, values in self.items()]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return "\n".join(_line(cells, widths) for cells in lines)


def _shown(value):
    return str(value) if isinstance(value, (str, int, np.integer)) else f"{value:.4g}"


def _line(cells, widths):
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others])


def marginal_effects(model: Model, X: Any, weight: Array | None, names: Any) -> MarginalEffects:
    """The table for the rows of X, read block by block."""
    w = np.ones(X.shape[0]) if weight is None else weight / weight.max()
    # In the network's units, in which no square overflows, and dy/dx is a number.
    inputs = Rows(X, np.float64, scale=model.X_scale)
    total: Any = 0.0
    mean: Any = 0.0  # of effect and elasticity
    squares: Any = 0.0  # of what differs from it
    for rows, A, G in gradients(model, X):
        counts = w[rows] > 0
        if not counts.any():
            continue
        x = inputs.take(rows, np.empty((len(A), X.shape[1])))[counts]
        y, G = model.to_caller(A.astype(np.float64))[counts], G[counts]
        y = y if model.y_scale is None else y / model.y_scale
        elasticity = G * x[:, :, None] / np.where(y, y, np.nan)[:, None, :]
        there = ~np.isnan(x)
        Q = np.where(there[:, None, :, None], np.stack([G, elasticity], axis=1), 0)
        part = (w[rows][counts, None] * there)[:, None, :, None]
        # Joined with what has been seen (Chan et al. 1983): no difference of large sums.
        here = part.sum(axis=0)
        share = here / np.where(total + here, total + here, 1)
        center = (part * Q).sum(axis=0) / np.where(here, here, 1)
        squares = squares + (part * np.square(Q - center)).sum(axis=0)
        squares = squares + total * share * np.square(center - mean)
        mean = mean + share * (center - mean)
        total = total + here
    total = np.where(total, total, np.nan)[0, :, 0]
    std, units = np.sqrt(squares[0] / total[:, None]), units_of(model, order=1)
    mean = np.where(np.isnan(total)[:, None], np.nan, mean)
    return _table(names, effect=units * mean[0], std=units * std, elasticity=mean[1])


def _table(names, **columns):
    """(features, outputs) as columns, the features of one output after those of another."""
    features, outputs = columns["effect"].shape
    table = MarginalEffects(feature=np.tile(np.asarray(names, object), outputs))
    if outputs > 1:
        table["output"] = np.repeat(np.arange(outputs), features)
    return MarginalEffects(table | {name: M.T.reshape(-1) for name, M in columns.items()})
