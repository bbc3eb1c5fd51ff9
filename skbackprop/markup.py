"""An explanation as Markdown, LaTeX and HTML."""

from html import escape
from typing import Any

from .notation import MINUS, escape_latex, html, latex, prose
from .rendering import MORE, cells, facts, number, parts, size

# ----- Markdown and LaTeX -------------------------------------------------------------------


def equation_in_latex(step: Any) -> str:
    """The equation, and after it what its left side is in numbers."""
    text = latex(step.equation)
    if step.result is None:
        return text
    if not step.result.shape:
        return f"{text} = {latex(number(step.result.value))}"
    return f"{text} = {_matrix_in_latex(step.result.value)}"


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
    uses = ", ".join(f"{equation(s.name)} {words(size(s))}" for s in step.uses if s.shape)
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
    style = (
        f"display:inline-table;vertical-align:middle;border-collapse:separate;margin:0;{BRACKETS}"
    )
    return f' = <table style="{style}"><tbody>{rows}</tbody></table>'


def _cell(text):
    return f'<td style="{CELL}">{text.replace("-", MINUS)}</td>'
