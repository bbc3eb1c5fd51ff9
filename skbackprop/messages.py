"""Values in messages: as Python writes them, but short, whatever they are."""

import reprlib
from typing import Any


class _Short(reprlib.Repr):
    """Entries and characters that are too many are left out; a repr that fails is no error."""

    def __init__(self):
        super().__init__()
        self.maxtuple = self.maxlist = self.maxarray = 10
        self.maxstring = self.maxlong = 80
        self.maxother = 160  # an optimizer with its settings

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4,300 digits.
        return super().repr_int(x, level) if x.bit_length() < 8192 else "an integer beyond 1e2466"


shown = _Short().repr


def described(obj: Any) -> str:
    """An object as it describes itself; by its class where that is an address in memory."""
    text = shown(obj)
    return f"{type(obj).__name__}()" if " object at 0x" in text else text


def shortened(text: str, most: int = 1200) -> str:
    """A message without its middle, where that is a whole table."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


def naming(name: str, error: Any) -> str:
    """An error's message, with the name of what it is about if it does not give that."""
    text = shortened(str(error))
    words = text.partition("\n")[0].replace(".", " ").replace(",", " ").split()
    return text if name in words else f"{name}: {text}"
