"""What a check has found: a table of lines, as text and as HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

COLUMNS = ("layer", "rule", "relative error", "± of differences", "compared", "result")
STYLE = {"wrong": "color: #b00020; font-weight: bold"}
UNKNOWN = {"kink": "only at kinks", "unclear": "too small beside the objective to compare"}


@dataclass(frozen=True)
class Line:
    """One rule and how far it holds.

    Attributes
    ----------
    rule : str
        The equation, such as ``dW[2] = A[1]ᵀ dZ[2]``.
    status : {"ok", "wrong", "follows", "kink", "unclear"}
        "follows": wrong, as what it is computed from is. Two say that nothing is known: "kink",
        where there is no derivative to compare with, and "unclear", where differences are too
        noisy, such as those of an objective of 1 with a derivative of 1e-14.
    layer : int or None
    error : float or None
        The largest error, relative to the size of the derivative.
    bar : float or None
        What differences leave open, in the same unit.
    compared : int or None
        How many were compared,
    of : str
        entries or random directions.
    kinks : int
        How many were not, being at a kink.
    note : str
        What is wrong, or worth knowing.
    factor : float or None
        What a wrong derivative is of the right one, if that is a number.
    """

    rule: str
    status: str
    layer: int | None = None
    error: float | None = None
    bar: float | None = None
    compared: int | None = None
    of: str = "entries"
    kinks: int = 0
    note: str = ""
    factor: float | None = None

    @property
    def is_bad(self) -> bool:
        """Whether the rule is seen not to hold."""
        return self.status in ("wrong", "follows")

    def cells(self) -> tuple[str, ...]:
        """The line as text, column by column."""
        layer = "" if self.layer is None else str(self.layer)
        numbers = ("" if x is None else f"{x:.1e}" for x in (self.error, self.bar))
        compared = "" if self.compared is None else f"{self.compared} {self.of}"
        if self.kinks:
            compared += f", {self.kinks} at kinks"
        result = f"{self.status} {self.note}".strip()
        if self.status in STYLE:
            result = f"{self.status.upper()}: {self.note}".removesuffix(": ")
        return (layer, self.rule, *numbers, compared, result)


class Report(Sequence):
    """The lines of a check, in the order in which the computation goes.

    Attributes
    ----------
    title, about : str
        What was checked, and with what.
    lines : list of Line
    passed : bool
        Whether no line is wrong; also ``bool(report)``. Where nothing is known the verdict, the
        first line of the table, says so.
    faults : list of Line
        Those that are wrong by themselves; the first is where the computation first goes wrong.
    """

    def __init__(self, title: str, about: str, lines: Sequence[Line]):
        self.title, self.about, self.lines = title, about, list(lines)

    @property
    def passed(self) -> bool:
        """Whether everything that could be compared agrees."""
        return not any(line.is_bad for line in self.lines)

    @property
    def faults(self) -> list[Line]:
        """The lines that are wrong and do not follow from another."""
        return [line for line in self.lines if line.status == "wrong"]

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, index: Any) -> Any:
        return self.lines[index]

    def __len__(self) -> int:
        return len(self.lines)

    def _columns(self) -> Iterator[tuple[str, ...]]:
        """The columns that are not empty, each with its name on top."""
        rows = [line.cells() for line in self.lines]
        for name, *column in zip(COLUMNS, *rows, strict=True):
            if any(column):
                yield (name, *column)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if not self.passed:
            return "FAILED: " + "; ".join(line.rule for line in self.faults)
        parts = ["passed"]
        for status, why in UNKNOWN.items():
            names = [line.rule.partition(" =")[0] for line in self.lines if line.status == status]
            parts += [f"{', '.join(names)} {why}"] if names else []
        return ", but ".join(parts)

    def __str__(self) -> str:
        columns = list(self._columns())
        widths = [max(map(len, column)) for column in columns]
        rows = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in zip(*columns, strict=True)
        ]
        about = [self.about] if self.about else []
        return "\n".join([f"{self.title}: {self.verdict}", *about, "", *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = zip(*self._columns(), strict=True)
        body = "".join(
            f'<tr style="{STYLE.get(line.status, "")}">'
            + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row)
            + "</tr>"
            for line, row in zip(self.lines, rows, strict=True)
        )
        names = "".join(f'<th style="text-align: left">{escape(name)}</th>' for name in head)
        return (
            f"<p><b>{escape(self.title)}: {escape(self.verdict)}</b><br>{escape(self.about)}</p>"
            f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
        )


def line_of(found: Any, rule: str, layer: int | None = None, source: str = "") -> Line:
    """The line of a :class:`skbackprop.differences.Comparison`.

    `source` names what the derivative is computed from, if that is wrong.
    """
    n, factor = int(found.compared.sum()), None
    if found.wrong.any() and source:
        status, note = "follows", f"from {source}"
    elif found.wrong.any():
        status, factor = "wrong", found.factor
        note = "" if factor is None else f"{factor:.6g} times what it should be"
    elif n:
        status, note = "ok", ""
    else:
        status, note = ("kink" if found.kinks.any() else "unclear"), ""
    if found.unclear.any():
        note = f"{note}, {found.unclear.sum()} unclear".removeprefix(", ")
    error, bar = (float(x[found.compared].max()) if n else None for x in (found.errors, found.bars))
    of, kinks = "directions" if found.at_random else "entries", int(found.kinks.sum())
    return Line(rule, status, layer, error, bar, n, of, kinks, note, factor)
