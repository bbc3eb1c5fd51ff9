"""The equations of a training step as text, each with the rules that give it and why.

In the notation of :mod:`skbackprop.notation`. A sentence has its equations between backquotes.
"""

from typing import Any, NamedTuple

from .losses import LOSSES, CustomLoss, SquaredError


class Equation(NamedTuple):
    """``left = right``, the rules of :mod:`skbackprop.calculus` that it comes from, and why."""

    left: str
    right: str = ""
    rules: tuple[str, ...] = ()
    why: str = ""
    relation: str = "="

    @property
    def text(self) -> str:
        """The equation; the left side alone where there is nothing on the right."""
        return f"{self.left} {self.relation} {self.right}" if self.right else self.left


class Equations:
    """Those of the layers.

    Parameters
    ----------
    intercept : bool
        Whether there are biases.
    dropout : sequence of bool
        Whether layer l has a mask, from l = 0 on.
    penalty : bool
        Whether there is one.
    """

    def __init__(self, intercept: bool, dropout: Any, penalty: bool):
        self.intercept, self.dropout, self.penalty = intercept, dropout, penalty

    def _H(self, l):
        return f"H[{l}]" if self.dropout[l] else f"A[{l}]"  # H[l] = A[l] ⊙ D[l]

    def _product(self, l):
        return f"{self._H(l - 1)} W[{l}]" + (f" + 1 b[{l}]" if self.intercept else "")

    def Z(self, l: int) -> Equation:
        """The layer's product."""
        why = f"Row i of `{self._H(l - 1)}`, times the columns of `W[{l}]`, is row i of `Z[{l}]`"
        why += ", with the biases added." if self.intercept else "."
        return Equation(f"Z[{l}]", self._product(l), (), why)

    def A(self, l: int) -> Equation:
        """Its activations."""
        return Equation(f"A[{l}]", f"g[{l}](Z[{l}])")

    def H(self, l: int) -> Equation:
        """What dropout leaves of them."""
        why = "Units are left out at random; those that stay are scaled up."
        return Equation(f"H[{l}]", f"A[{l}] ⊙ D[{l}]", (), why)

    def dA(self, l: int) -> Equation:
        """Right multiplication, l < L."""
        text = f"dZ[{l + 1}] W[{l + 1}]ᵀ"
        rules: tuple[str, ...] = ("right_multiplication",)
        M = self._H(l)
        why = f"`Z[{l + 1}] = {self._product(l + 1)}`: `{M}` is multiplied from the right by "
        why += f"`W[{l + 1}]`, so the derivative is by `W[{l + 1}]ᵀ`."
        if self.dropout[l]:
            text, rules = f"({text}) ⊙ D[{l}]", (*rules, "elementwise")
            why += f" `H[{l}] = A[{l}] ⊙ D[{l}]` is a function entry by entry, of slope `D[{l}]`."
        return Equation(f"dA[{l}]", text, rules, why)

    def dZ(self, l: int) -> Equation:
        """Elementwise function."""
        why = f"`A[{l}] = g[{l}](Z[{l}])` entry by entry: each entry of `dA[{l}]` is multiplied "
        why += "by the slope there."
        return Equation(f"dZ[{l}]", f"dA[{l}] ⊙ g[{l}]'(Z[{l}])", ("elementwise",), why)

    def dW(self, l: int) -> Equation:
        """Left multiplication."""
        M, text, rules = self._H(l - 1), f"{self._H(l - 1)}ᵀ dZ[{l}]", ["left_multiplication"]
        why = f"`Z[{l}] = {self._product(l)}`: `W[{l}]` is multiplied from the left by `{M}`, "
        why += f"so the derivative is by `{M}ᵀ`."
        if self.intercept:
            rules.insert(0, "addition")
            why += f" The term `1 b[{l}]` is a constant added and changes nothing."
        if self.penalty:
            text, rules = f"{text} + penalty W[{l}]", [*rules, "squared_frobenius_norm"]
            why += f" `penalty/2 ‖W[{l}]‖²_F` has the derivative `penalty W[{l}]`."
        return Equation(f"dW[{l}]", text, tuple(rules), why)

    def db(self, l: int) -> Equation:
        """Addition, and left multiplication by 1."""
        why = f"In `1 b[{l}]` the row `b[{l}]` is multiplied from the left by a column of ones: "
        why += f"the derivative adds up the rows of `dZ[{l}]`."
        return Equation(f"db[{l}]", f"1ᵀ dZ[{l}]", ("addition", "left_multiplication"), why)


# ----- the loss -----------------------------------------------------------------------------


def of_loss(loss: Any, L: int, weighted: bool, penalty: bool) -> Equation:
    """F, the objective."""
    A, more = f"A[{L}]", " + penalty/2 Σₗ ‖W[l]‖²_F" if penalty else ""
    mean = "Σᵢ wᵢ Σₖ " if weighted else "1/m Σᵢ Σₖ "
    if isinstance(loss, CustomLoss):
        return Equation("f", f"{_name(loss)}.value({A}, Y){more}", (), "A loss of the user's own.")
    if type(loss) is SquaredError:
        text = f"{mean}(aᵢₖ - yᵢₖ)²" if weighted else f"1/m ‖{A} - Y‖²_F"
        why = "The mean over the rows of the squared distance between `a`, a row of "
        return Equation("f", text + more, (), f"{why}`{A}`, and `y`, the row of `Y`.")
    why = f"The mean over the rows; {formula_of(loss, LOSSES)}, with `a` from `{A}`, `y` from `Y`."
    return Equation("f", f"{mean}ℓ(aᵢₖ, yᵢₖ){more}", (), why)


def of_dA_L(loss: Any, L: int, weighted: bool, from_Z: bool) -> Equation:
    """The derivative with respect to A[L], or with `from_Z` to Z[L]."""
    left, factor = f"{'dZ' if from_Z else 'dA'}[{L}]", "diag(w)" if weighted else "1/m"
    rows: tuple[str, ...] = ("left_multiplication",) if weighted else ()
    last = " Row i is multiplied by `wᵢ`, its weight." if weighted else ""
    if isinstance(loss, CustomLoss):
        return Equation(left, f"{_name(loss)}.derivative(A[{L}], Y)", (), "As the loss gives it.")
    if type(loss) is SquaredError:
        why = f"`‖G‖²_F` has the derivative `2 G`; `G = A[{L}] - Y` adds a constant to `A[{L}]`, "
        why += "which changes nothing." + last
        text = f"2 diag(w) (A[{L}] - Y)" if weighted else f"2/m (A[{L}] - Y)"
        return Equation(left, text, ("squared_frobenius_norm", "addition", *rows), why)
    if from_Z:
        why = f"Loss and output activation cancel: {formula_of(loss, LOSSES)}.{last}"
        return Equation(left, f"{factor} dℓ/dz", ("elementwise", *rows), why)
    why = f"The loss is a sum over the entries: {formula_of(loss, LOSSES)}.{last}"
    return Equation(left, f"{factor} dℓ/da", ("elementwise", *rows), why)


def formula_of(obj: Any, table: dict[str, type]) -> str:
    """What an object of a table computes, which its docstring begins with; else its name."""
    doc = type(obj).__doc__ if type(obj) in table.values() else None
    return f"`{doc.strip().partition(chr(10))[0].rstrip('.')}`" if doc else _name(obj)


def _name(obj):
    obj = getattr(obj, "loss", getattr(obj, "g", obj))  # a user's own
    return type(obj).__name__
