"""The package's notation for equations, set in LaTeX and in HTML.

An equation is written once, as text, in the letters of the code: ``dW[2] = A[1]ᵀ dZ[2]``. There dW
is df/dW, ᵀ the transpose, ⊙ the product entry by entry, a 1 before a row a column of ones. In
prose equations stand between backquotes.
"""

import re
from collections.abc import Callable, Iterator
from html import escape

MINUS, PRIME, HAT = "\u2212", "\u2032", "\u0302"
SYMBOLS = {  # as LaTeX, HTML
    "‖": (r"\Vert ", "‖"),
    "²_F": ("_F^2", "<sup>2</sup><sub>F</sub>"),
    "²": ("^2", "<sup>2</sup>"),
    "⁻¹": ("^{-1}", f"<sup>{MINUS}1</sup>"),
    "ᵀ": ("^T", "<sup>T</sup>"),
    "ᵗ": ("^t", "<sup>t</sup>"),
    "⊙": (r"\odot ", "⊙"),
    "←": (r"\leftarrow ", "←"),
    "Σ": (r"\sum ", "Σ"),
    "<=": (r"\leq ", "≤"),
    "≤": (r"\leq ", "≤"),
    "±": (r"\pm ", "±"),
    "-": ("-", MINUS),
    "ℓ": (r"\ell ", "ℓ"),
    "ε": (r"\varepsilon ", "ε"),
    "_": (r"\_", "_"),
}
GREEK = {"α": "alpha", "β": "beta", "δ": "delta", "θ": "theta", "λ": "lambda", "μ": "mu"}
GREEK |= {"ρ": "rho", "σ": "sigma", "φ": "varphi", "Φ": "Phi"}
SYMBOLS |= {letter: (rf"\{name} ", f"<i>{letter}</i>") for letter, name in GREEK.items()}
SUBSCRIPTS = str.maketrans("ᵢₖₗ₁₂", "ikl12")
FUNCTIONS = {"log", "exp", "tanh", "cosh", "max", "min"}  # that LaTeX has by these names
DIFFERENTIALS = {"df", "da", "dz", "dM"}
NAMES = {"alpha", "diag", "sign", "softplus", "penalty", "value", "derivative"}
TOKEN = re.compile(
    rf"(?P<matrix>(?P<d>d?)(?P<letter>[AZWHDbg])\[(?P<layer>\w+)\](?P<mark>[ᵀ']?))"
    rf"|(?P<ones>\b1(?=ᵀ| b\[| [Xy]_))"
    rf"|(?P<fraction>(?P<above>d?[\wℓ]+)/(?P<below>d?[\wℓ]+))"
    rf"|(?P<root>√(?P<under>\w{HAT}?))"
    rf"|(?P<hat>(?P<bare>\w){HAT})"
    rf"|(?P<subscript>[ᵢₖₗ₁₂]+)"
    rf"|(?P<symbol>{'|'.join(map(re.escape, SYMBOLS))})"
    rf"|(?P<word>[A-Za-z][A-Za-z0-9_.]*[A-Za-z0-9](?:'s\b)?)"
    rf"|(?P<variable>[A-Za-z])"
    rf"|(?P<number>[0-9.]+e[+-]?[0-9]+)"
    rf"|(?P<space>\s+)"
    rf"|(?P<other>.)",
    re.DOTALL,
)


def _tokens(text: str) -> Iterator[tuple[str, re.Match]]:
    for found in TOKEN.finditer(text):
        yield str(found.lastgroup), found  # of nested groups the outer one


# ----- LaTeX --------------------------------------------------------------------------------


def latex(text: str) -> str:
    """An equation in LaTeX's math mode, with amsmath."""
    parts = (LATEX[kind](found) for kind, found in _tokens(text))
    return "".join(parts).replace(r" } \text{ ", " ").strip()  # words side by side: one text


def _latex_matrix(t):
    M = f"{t['letter']}^{{[{t['layer']}]}}"
    if t["d"]:
        M = rf"\frac{{df}}{{d{M}}}"
    return {"": M, "ᵀ": f"{{{M}}}^T", "'": f"{{{M}}}'"}[t["mark"]]


def _latex_word(t):
    word = t["word"]
    if word in FUNCTIONS:
        return rf"\{word} "
    if word == "theta":
        return r"\theta "
    if word in DIFFERENTIALS:
        return word
    if word in NAMES or "_" in word or "." in word:
        return rf"\mathrm{{{escape_latex(word)}}}\,"
    return rf"\text{{ {word} }}"


def _power(t):
    """1.5e-05 as 1.5 times a power of ten."""
    digits, exponent = t["number"].split("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}"


LATEX: dict[str, Callable] = {
    "matrix": _latex_matrix,
    "ones": lambda t: r"\mathbf{1}",
    "fraction": lambda t: rf"\frac{{{latex(t['above'])}}}{{{latex(t['below'])}}}",
    "root": lambda t: rf"\sqrt{{{latex(t['under'])}}}",
    "hat": lambda t: rf"\hat{{{t['bare']}}}",
    "subscript": lambda t: f"_{{{t['subscript'].translate(SUBSCRIPTS)}}}",
    "symbol": lambda t: SYMBOLS[t["symbol"]][0],
    "word": _latex_word,
    "variable": lambda t: t["variable"],
    "number": _power,
    "space": lambda t: r"\quad " if len(t["space"]) > 1 else " ",
    "other": lambda t: escape_latex(t["other"]),
}


def escape_latex(text: str) -> str:
    r"""Text in which no character is a command, outside of math or within \mathrm."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: rf"\{c}" for c in "#$%&_{}"}
    return "".join(special.get(c, c) for c in text)


# ----- HTML ---------------------------------------------------------------------------------


def html(text: str) -> str:
    """An equation in HTML: subscripts and superscripts, no more."""
    return "".join(HTML[kind](found) for kind, found in _tokens(text)).strip()


def _html_matrix(t):
    transposed, prime = (" T" if t["mark"] == "ᵀ" else ""), (PRIME if t["mark"] == "'" else "")
    return f"<i>{t['d']}{t['letter']}</i><sup>[{t['layer']}]{transposed}</sup>{prime}"


def _html_word(t):
    word = "θ" if t["word"] == "theta" else escape(t["word"])
    return f"<i>{word}</i>" if word == "θ" or word in DIFFERENTIALS else word


HTML: dict[str, Callable] = {
    "matrix": _html_matrix,
    "ones": lambda t: "<b>1</b>",
    "fraction": lambda t: f"{html(t['above'])}/{html(t['below'])}",
    "root": lambda t: f"√{html(t['under'])}",
    "hat": lambda t: f"<i>{t['bare']}{HAT}</i>",
    "subscript": lambda t: f"<sub>{t['subscript'].translate(SUBSCRIPTS)}</sub>",
    "symbol": lambda t: SYMBOLS[t["symbol"]][1],
    "word": _html_word,
    "variable": lambda t: f"<i>{t['variable']}</i>",
    "number": lambda t: t["number"].replace("-", MINUS),
    "space": lambda t: "&emsp;" if len(t["space"]) > 1 else " ",
    "other": lambda t: PRIME if t["other"] == "'" else escape(t["other"]),
}


# ----- prose with equations between backquotes -----------------------------------------------


def prose(text: str, equation: Callable[[str], str], words: Callable[[str], str]) -> str:
    """A sentence, its equations set by one function and what is between them by another."""
    parts = text.split("`")
    return "".join(equation(part) if i % 2 else words(part) for i, part in enumerate(parts))
