"""Lazy faces: packages whose names are imported when they are first used, from where the stub beside them says."""

import ast
import importlib
import pathlib
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from ._meant import meant, meant_in
from ._names import MOVED

_FRONT_DOOR = __name__.split(".")[0]


def old_name(package: str, name: str, public: Iterable[str] = ()) -> Any:
    """What a name stands for that a package once had: under its new name, in the room where it is now.

    Raises:
        AttributeError: for any other name, with what was meant.
    """
    *room, now = MOVED.get(name, name).split(".")
    if now == name and (not room or package != _FRONT_DOOR):
        # What is looked for by tools is no slip of a person's.
        hint = meant(name, public) if package == _FRONT_DOOR and not name.startswith("_") else ""
        raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
    where = ".".join([_FRONT_DOOR, *room]) if package == _FRONT_DOOR else package
    return getattr(importlib.import_module(where), now)


class _Named(types.ModuleType):
    """A module that travels to other processes by its name, as modules do whose class is no other."""

    def __reduce__(self) -> tuple[Callable[[str], types.ModuleType], tuple[str]]:
        return importlib.import_module, (self.__name__,)


class _Room(_Named):
    """A module that the front door shows: of a name that it doesn't have it tells the nearest that it has."""

    def __getattr__(self, name: str) -> Any:
        door = self.__name__.rpartition(".")[2]
        hint = "" if name.startswith("_") else meant_in(door, name, [one for one in vars(self) if one[0] != "_"])
        raise AttributeError(f"module '{_FRONT_DOOR}.{door}' has no attribute {name!r}{hint}")


def _shown(thing: Any) -> Any:
    """The thing itself; a module as a room."""
    if type(thing) is types.ModuleType:
        thing.__class__ = _Room
    return thing


class _Face(_Named):
    """A package whose own names come before those of the modules in it: a module is called like what it is about."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if isinstance(found, types.ModuleType) and not name.startswith("_"):
            return super().__getattribute__("__getattr__")(name, found)
        return found


def face(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a lazy package defines: its `__getattr__`, its `__dir__` and its `__all__`.

    The list of names is kept once, in the stub `__init__.pyi`, where type checkers and editors read it too.

    Args:
        package: the package's `__name__`.
        file: its `__file__`.
    """
    origin = {}
    for node in ast.parse(pathlib.Path(file).with_suffix(".pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            origin |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}

    def __getattr__(name: str, submodule: Any = None) -> Any:
        if name not in origin:
            return submodule or old_name(package, name, origin)
        module, original = origin[name]
        if module is None:
            return _shown(importlib.import_module(f"{package}.{original}"))
        thing = _shown(getattr(importlib.import_module(f"{package}.{module}"), original))
        setattr(sys.modules[package], name, thing)
        return thing

    def __dir__() -> list[str]:
        loaded = (name for name in vars(sys.modules[package]) if not name.startswith("_") or name.startswith("__"))
        # Whoever looks for a name by its first letters finds those in the rooms too.
        roomed = (name for name, now in MOVED.items() if package == _FRONT_DOOR and now.split(".")[-1] == name)
        return sorted({*loaded, *origin, *roomed})

    sys.modules[package].__class__ = _Face
    return __getattr__, __dir__, [*origin]
