"""What the package's losses, activations and optimizers compute, as their docstrings say it."""

import re
from typing import Any


def formula_of(obj: Any, table: dict[str, type], left: str = "") -> str:
    """A formula of an object of a table, from its docstring, or else the object's name.

    It is the formula with the left side `left`, or the whole of the first line: there is one for
    the reader of the class and for that of an explanation.
    """
    doc = type(obj).__doc__ if type(obj) in table.values() else None
    if not doc:
        return name_of(obj)
    if not left:
        return f"`{doc.strip().partition(chr(10))[0].rstrip('.')}`"
    start = rf"(?:^|\s)({re.escape(left)}(?:\(z\))? = "
    found = re.search(start + r".+?)(?=[;,]  |\.\s|\.?$)", doc.strip(), re.MULTILINE)
    return f"`{found[1]}`" if found else name_of(obj)


def letters_of(text: str, letters: dict[str, str], obj: Any = None) -> str:
    """A sentence about those of the letters that are in a text; "" if none is.

    What one means is an attribute of the object, which is a number, or words.
    """
    said = []
    for letter, meaning in letters.items():
        if re.search(rf"(?<!\w){re.escape(letter)}(?!\w)", text):
            value = getattr(obj, meaning, None)
            is_ = f"` is {meaning}" if value is None else f" = {value:.4g}`"
            said.append(f"`{letter}{is_}")
    return f" Here {'; '.join(said)}." if said else ""


def name_of(obj: Any) -> str:
    """The name of the class; of a user's own object that of its."""
    obj = getattr(obj, "loss", getattr(obj, "g", obj))
    return type(obj).__name__
