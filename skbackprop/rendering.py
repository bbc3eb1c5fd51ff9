"""An explanation as text, Markdown, LaTeX, HTML and plain data."""

import textwrap
from collections.abc import Iterator
from html import escape
from itertools import groupby
from math import isfinite
from typing import Any

import numpy as np

from .notation import escape_latex, html, latex, prose

LARGEST = 8  # rows and columns of a matrix that is written out
EDGE = 3  # rows and columns at each side of one that is not
WIDTH = 100  # characters

MORE = "…"


def number(x: Any) -> str:
    """Four digits."""
    return f"{float(x):.4g}"


def is_small(value: Any) -> bool:
    """Whether a matrix is written out."""
    return all(n <= LARGEST for n in np.shape(value))


def cells(value: Any) -> list[list[str]]:
    """The entries, row by row, as text; without the middle of what is large."""
    M = np.atleast_2d(value)
    rows, columns = ([*_shown(n)] for n in M.shape)
    return [[MORE if None in (i, j) else number(M[i, j]) for j in columns] for i in rows]


def _shown(n: int) -> Iterator[int | None]:
    """Of n indices those that are shown, None for a gap."""
    if n <= LARGEST:
        yield from range(n)
    else:
        yield from [*range(EDGE), None, *range(n - EDGE, n)]


def size(symbol: Any) -> str:
    """Rows × columns."""
    return " × ".join(map(str, symbol.shape)) or "a number"


def facts(symbol: Any) -> str:
    """Shape, norm and range in words."""
    if not symbol.shape:
        return ""
    low, high = number(symbol.smallest), number(symbol.largest)
    return f"{size(symbol)}, norm {number(symbol.norm)}, entries from {low} to {high}"


def parts(explanation: Any) -> Iterator[tuple[str, list[tuple[int, Any]]]]:
    """(heading, its numbered steps)."""
    numbered = enumerate(explanation.steps, 1)
    for part, steps in groupby(numbered, lambda found: found[1].part):
        yield part, list(steps)


# ----- text ---------------------------------------------------------------------------------


def as_text(explanation: Any) -> str:
    """Lines of at most 100 characters."""
    lines = [*_wrapped(f"{explanation.title}: {explanation.about}", ""), ""]
    lines += _wrapped(explanation.legend, "")
    for part, steps in parts(explanation):
        lines += ["", part.upper()]
        for i, step in steps:
            lines += _text_of_step(i, step)
    return "\n".join(lines)


def _text_of_step(i, step):
    equation = step.equation
    if step.result is not None and not step.result.shape:
        sign = "" if equation == step.result.name else "  "
        equation += f"{sign} = {number(step.result.value)}"
    lines = _wrapped(f"{i:3d}. {equation}", 7 * " ")
    rules = f"{', '.join(step.rules)}: " if step.rules else ""
    lines += _wrapped(rules + step.why, 5 * " ", first=5 * " ")
    uses = [f"{symbol.name} {size(symbol)}" for symbol in step.uses]
    lines += _wrapped("with " + ", ".join(uses), 10 * " ", first=5 * " ") if uses else []
    if step.result is not None and step.result.shape:
        lines += [f"     {step.result.name}: {facts(step.result)}"]
        lines += [f"       {line}" for line in matrix_lines(step.result.value)]
    return lines


def _wrapped(text, indent, first=""):
    text = text.replace("`", "")
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=indent)


def matrix_lines(value: Any) -> list[str]:
    """A matrix as lines of text, its columns aligned."""
    rows = cells(value)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "[ " + " ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) + " ]" for row in rows
    ]


# ----- Markdown and LaTeX -------------------------------------------------------------------


def equation_in_latex(step: Any) -> str:
    """The equation, and after it what its left side is in numbers."""
    text = latex(step.equation)
    if step.result is None:
        return text
    sign = r" \\ &= " if len(step.equation) > 60 else " = "
    if not step.result.shape:
        return text + " = " + latex(number(step.result.value))
    text = f"{text}{sign}{_matrix_in_latex(step.result.value)}"
    return rf"\begin{{aligned}} & {text} \end{{aligned}}" if r"\\ &" in text[:400] else text


def _matrix_in_latex(value):
    names = {MORE: r"\cdots", "inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{nan}"}
    rows = [" & ".join(names.get(c) or latex(c) for c in row) for row in cells(value)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


def as_markdown(explanation: Any) -> str:
    """Markdown with formulas as GitHub renders them."""
    lines = [f"## {explanation.title}", "", _plain(explanation.about), ""]
    lines += [_in_markdown(explanation.legend)]
    for part, steps in parts(explanation):
        lines += ["", f"### {part}"]
        for i, step in steps:
            lines += ["", f"**{i}.** {_rules(step, '`{}`')}{_in_markdown(step.why)}"]
            lines += ["", "```math", equation_in_latex(step), "```", ""]
            lines += [_facts_with_uses(step, _inline, _plain)]
    return "\n".join(lines).replace("\n\n\n", "\n\n").strip() + "\n"


def _inline(equation):
    return f"$`{latex(equation)}`$"


def _plain(text):
    """Text in which no character is Markdown or HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in r"\`*_[]$#|>~" else c for c in text)


def _in_markdown(text):
    return prose(text, _inline, _plain)


def _rules(step, template, between=", "):
    names = between.join(template.format(rule) for rule in step.rules)
    return f"{names}: " if names else ""


def _facts_with_uses(step, equation, words):
    """Shapes, norm and range."""
    uses = ", ".join(f"{equation(s.name)} {words(size(s))}" for s in step.uses)
    uses = f"With {uses}." if uses else ""
    if step.result is None or not step.result.shape:
        return uses
    return f"{uses} {equation(step.result.name)}: {words(facts(step.result))}.".strip()


def as_latex(explanation: Any) -> str:
    """A piece of a LaTeX document."""
    lines = [rf"\section*{{Backpropagation}}{_words(explanation.about)}", ""]
    lines += [prose(explanation.legend, _math, _words)]
    for part, steps in parts(explanation):
        lines += ["", rf"\subsection*{{{part}}}"]
        for i, step in steps:
            rules = _rules(step, r"\texttt{{{}}}").replace("_", r"\_")
            lines += ["", rf"\noindent\textbf{{{i}.}} {rules}{prose(step.why, _math, _words)}"]
            lines += [rf"\[ {equation_in_latex(step)} \]"]
            lines += [_facts_with_uses(step, _math, _words)]
    return "\n".join(lines) + "\n"


def _math(equation):
    return f"${latex(equation)}$"


def _words(text):
    signs = {"×": r"$\times$", "⊙": r"$\odot$", "σ": r"$\sigma$"}
    return "".join(signs.get(c) or escape_latex(c) for c in text)


# ----- HTML ---------------------------------------------------------------------------------

LINE = "1px solid rgba(128,128,128,.5)"
CELL = "text-align:right;padding:0 .5em;border:0;background:none;font-variant-numeric:tabular-nums"
BRACKETS = "border:solid currentColor;border-width:0 1.5px;border-radius:6px"


def as_html(explanation: Any) -> str:
    """A page without style sheets or scripts, in the colours of what surrounds it."""
    body = [
        f"<p><b>{escape(explanation.title)}</b>: {escape(explanation.about)}</p>"
        f"<p>{prose(explanation.legend, html, escape)}</p>"
    ]
    for part, steps in parts(explanation):
        body += [f'<h4 style="margin:1.2em 0 .3em;border-bottom:{LINE}">{escape(part)}</h4>']
        body += [_html_of_step(i, step) for i, step in steps]
    return f'<div style="max-width:60em;line-height:1.5">{"".join(body)}</div>'


def _html_of_step(i, step):
    rules = _rules(step, "<code>{}</code>")
    shown = html(step.equation)
    value = "" if step.result is None else _value_in_html(step.result)
    about = _facts_with_uses(step, html, escape)
    return (
        f'<div style="margin:.8em 0"><div>{i}. {rules}{prose(step.why, html, escape)}</div>'
        f'<div style="margin:.4em 0 .4em 2em;overflow-x:auto;white-space:nowrap">'
        f'<span style="font-family:serif;font-size:1.15em">{shown}</span>{value}</div>'
        f'<div style="margin-left:2em;opacity:.75;font-size:.9em">{about}</div></div>'
    )


def _value_in_html(symbol):
    if not symbol.shape:
        return f" = {number(symbol.value)}"
    rows = "".join(
        f'<tr style="background:none">{"".join(_cell(c) for c in row)}</tr>'
        for row in cells(symbol.value)
    )
    style = f"display:inline-table;vertical-align:middle;border-collapse:separate;margin:0;{BRACKETS}"
    return f' = <table style="{style}"><tbody>{rows}</tbody></table>'


def _cell(text):
    return f'<td style="{CELL}">{text.replace("-", "−")}</td>'


# ----- plain data ---------------------------------------------------------------------------


def as_dict(step: Any) -> dict[str, Any]:
    """A step as lists, numbers and strings."""
    return {
        "part": step.part,
        "layer": step.layer,
        "equation": step.equation,
        "latex": latex(step.equation),
        "rules": list(step.rules),
        "why": step.why,
        "result": None if step.result is None else _dict_of_symbol(step.result),
        "uses": [{"name": s.name, "shape": list(s.shape)} for s in step.uses],
    }


def _dict_of_symbol(symbol):
    value = np.asarray(symbol.value, np.float64).tolist() if is_small(symbol.value) else None
    return {
        "name": symbol.name,
        "shape": list(symbol.shape),
        "norm": _finite(symbol.norm),
        "min": _finite(symbol.smallest),
        "max": _finite(symbol.largest),
        "matrix": _finite(value),
    }


def _finite(x):
    """JSON has no number that is not finite."""
    if isinstance(x, list):
        return [_finite(y) for y in x]
    return x if x is None or isfinite(x) else None
