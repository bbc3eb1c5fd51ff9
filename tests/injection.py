"""Raise an exception at a chosen executed line of the package."""

import pathlib
import sys
from collections import Counter
from types import CodeType
from typing import NamedTuple

import skbackprop

PACKAGE = str(pathlib.Path(skbackprop.__file__).parent)


class Execution(NamedTuple):
    """Of a line of the package, in the code of a function; how often it was executed before."""

    code: CodeType
    number: int
    before: int

    @property
    def line(self):
        return self.code.co_filename, self.number


class _Notes:
    """Notes the executed lines of the package."""

    def __init__(self):
        self.lines, self.seen = [], Counter()

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, frame, event, arg):
        if event == "line":
            line = frame.f_code, frame.f_lineno
            self.lines.append(Execution(*line, self.seen[line]))
            self.seen[line] += 1
        return self.line


class _RaisesAt:
    """Raises at one of them. Of other code no line is looked at: that is five times faster."""

    def __init__(self, point, error):
        self.code, self.number, self.before = point
        self.error = error

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code is self.code else None

    def line(self, frame, event, arg):
        if event == "line" and frame.f_lineno == self.number:
            if self.before == 0:
                raise self.error
            self.before -= 1
        return self.line


def _traced(function, trace):
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(before)


def executed(function):
    """The lines that a call executes, one after the other."""
    notes = _Notes()
    _traced(function, notes)
    return notes.lines


def points(lines, spread=60, but=()):
    """Executions to raise at: of every line `but` some its first and last, and some between."""
    first, last, but = {}, {}, {execution.line for execution in but}
    for k, execution in enumerate(lines):
        if execution.line not in but:
            first.setdefault(execution.line, k)
            last[execution.line] = k
    step = max(1, len(lines) // spread)
    chosen = {*first.values(), *last.values(), *range(0, len(lines), step), len(lines) - 1}
    return [lines[k] for k in sorted(chosen)]


def raising(function, point, error):
    """Call the function with an error raised at the point; whether it came out."""
    try:
        _traced(function, _RaisesAt(point, error))
    except type(error) as raised:
        assert raised is error
        return True
    return False
