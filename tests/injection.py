"""Raise an exception at a chosen executed line of the package."""

import pathlib
import sys

import skbackprop

PACKAGE = str(pathlib.Path(skbackprop.__file__).parent)


class _At:
    """Counts the executed lines of the package, and raises at one of them."""

    def __init__(self, point=None, error=None):
        self.point, self.error, self.lines = point, error, []

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, frame, event, arg):
        if event == "line":
            self.lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.lines) - 1 == self.point:
                raise self.error
        return self.line


def _traced(function, at):
    before = sys.gettrace()
    sys.settrace(at)
    try:
        return function()
    finally:
        sys.settrace(before)


def executed(function):
    """The lines that a call executes, one after the other."""
    at = _At()
    _traced(function, at)
    return at.lines


def points(lines, spread=60):
    """Numbers of executions to raise at: of every line its first and last, and some between."""
    first, last = {}, {}
    for k, line in enumerate(lines):
        first.setdefault(line, k)
        last[line] = k
    step = max(1, len(lines) // spread)
    return sorted({*first.values(), *last.values(), *range(0, len(lines), step)})


def raising(function, point, error):
    """Call the function with an error raised at the point; whether it came out."""
    try:
        _traced(function, _At(point, error))
    except type(error) as raised:
        assert raised is error
        return True
    return False
