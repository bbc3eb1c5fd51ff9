"""The base of small objects with hyper-parameters, such as ``Adam(beta_1=0.9)``."""

from typing import Any, ClassVar


class Settings:
    """Hyper-parameters, the annotated names of the class; made, printed, compared by value.

    Like a dataclass, without the code that one generates: for the three dozen classes of the
    package's tables that takes 15 ms of the import.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    # Of the formulas in the docstring: what a letter stands for, an attribute or words.
    letters: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [name for name, kind in cls.__annotations__.items() if "ClassVar" not in str(kind)]
        cls.fields = (*cls.fields, *(name for name in own if name not in cls.fields))

    def __init__(self, *args: Any, **kwargs: Any):
        if not self.fields and not args and not kwargs:
            return
        values = dict(zip(self.fields, args, strict=False))
        twice, unknown = values.keys() & kwargs.keys(), kwargs.keys() - set(self.fields)
        if len(args) > len(self.fields) or twice or unknown:
            names = ", ".join(self.fields) or "no arguments"
            raise TypeError(f"{type(self).__name__} takes {names}; got {args!r} and {kwargs!r}")
        values |= kwargs
        for name in self.fields:
            if name not in values and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name}")
            setattr(self, name, values.get(name, getattr(type(self), name, None)))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))
