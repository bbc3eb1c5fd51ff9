"""The equations of a training step as text, each with the rules that give it and why.

In the notation of :mod:`skbackprop.notation`. A sentence has its equations between backquotes.
"""

from typing import Any, NamedTuple

from .formulas import formula_of, letters_of, name_of
from .losses import LOSSES, CustomLoss, SquaredError
from .messages import described
from .optimizers import OPTIMIZERS, SGD


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
        why += f"`W[{l + 1}]`, and `dZ[{l + 1}]` therefore by `W[{l + 1}]ᵀ`."
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
        why += f"and `dZ[{l}]` therefore by `{M}ᵀ`."
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
    sums, mean = ("Σᵢ wᵢ Σₖ", "weighted mean") if weighted else ("1/m Σᵢ Σₖ", "mean")
    if isinstance(loss, CustomLoss):
        text = f"{name_of(loss)}.value({A}, Y{', w' if weighted else ''})"
        return Equation("f", text + more, (), "A loss of the user's own.")
    if type(loss) is SquaredError:
        text = f"{sums} (aᵢₖ - yᵢₖ)²" if weighted else f"1/m ‖{A} - Y‖²_F"
        why = f"The {mean} over the rows of the squared distance between `a`, a row of "
        return Equation("f", text + more, (), f"{why}`{A}`, and `y`, the row of `Y`.")
    why = f"The {mean} over the rows of the sum over the outputs: {_formula(loss, 'ℓ')}, "
    why += f"with `a` from `{A}`, `y` from `Y`."
    why += letters_of(why, loss.letters, loss)
    return Equation("f", f"{sums} ℓ(aᵢₖ, yᵢₖ){more}", (), why)


def of_dA_L(loss: Any, L: int, weighted: bool, from_Z: bool) -> Equation:
    """The derivative with respect to A[L], or with `from_Z` to Z[L]."""
    left, given = f"{'dZ' if from_Z else 'dA'}[{L}]", f"(A[{L}], Y)"
    if isinstance(loss, CustomLoss):
        given = given.replace("Y", "Y, w") if weighted else given
        return Equation(left, f"{name_of(loss)}.derivative{given}", (), "As the loss gives it.")
    rules: tuple[str, ...] = ("elementwise",)
    if type(loss) is SquaredError:
        rules = ("squared_frobenius_norm", "addition")
        text = f"2 diag(w) (A[{L}] - Y)" if weighted else f"2/m (A[{L}] - Y)"
        why = f"`‖G‖²_F` has the derivative `2 G`; `G = A[{L}] - Y` adds a constant to `A[{L}]`, "
        why += "which changes nothing."
    else:
        slope = "dℓ/dz" if from_Z else "dℓ/da"
        text, why = f"{'diag(w)' if weighted else '1/m'} {slope}{given}", _slope(loss, L, slope)
    if weighted:
        rules, why = (*rules, "left_multiplication"), f"{why} Row i is multiplied by `wᵢ`."
    return Equation(left, text, rules, why)


def _slope(loss, L, slope):
    """Why the derivative of a loss that is a sum over the entries is what it is."""
    formula = _formula(loss, slope)
    if slope == "dℓ/dz":
        why = f"`dℓ/dz` is `dℓ/da` times the slope of `g[{L}]`, in which a division by `a` "
        return f"{why}cancels: {formula}, with `a` from `A[{L}]`, `y` from `Y`."
    why = f"The loss is a sum over the entries, of {_formula(loss, 'ℓ')} with {formula}."
    return why + letters_of(why, loss.letters, loss)


def _formula(loss, left):
    formula = formula_of(loss, LOSSES, left)
    return formula if formula.startswith("`") else f"`{left}` of {formula}"  # a user's own


# ----- the update ---------------------------------------------------------------------------

OF_ALL = {"theta": "every `W[l]` and `b[l]` in one vector", "g": "the vector of their derivatives"}
SEARCHED = {
    "lbfgs": (
        "theta ← theta - α B g",
        "L-BFGS: `B` is made from the last steps and stands for the inverse of the second "
        "derivative; a search along the line finds `α`.",
    ),
    "lm": (
        "theta ← theta + δ",
        "Levenberg-Marquardt: `(G + λ I) δ = -g` with the Gauss-Newton matrix `G`, the identity "
        "`I`, and a damping `λ` that falls as long as the steps lower `f` as foretold.",
    ),
}


def of_update(optimizer: Any, solver: Any) -> Equation:
    """That of all weights at once, by an optimizer or, if it is None, a solver of that name."""
    if optimizer is None:
        text, why = SEARCHED[solver]
        why += letters_of(f"{text} {why}", OF_ALL)
    else:
        text, why = _step(optimizer), f"The solver is {described(optimizer)}."
        letters = OF_ALL | {"α": "the learning rate"} | getattr(optimizer, "letters", {})
        why += letters_of(text, letters, optimizer)
    left, relation, right = text.partition("←")
    return Equation(left.strip(), right.strip(), (), why, relation)


def _step(optimizer):
    if type(optimizer) is SGD:
        v = "μ v - α g" if optimizer.nesterovs_momentum else "v"
        with_momentum = f"v ← μ v - α g,  theta ← theta + {v}"
        return with_momentum if optimizer.momentum else "theta ← theta - α g"
    formula = formula_of(optimizer, OPTIMIZERS).strip("`")
    return formula if "←" in formula else "theta ← step(theta, g)"
