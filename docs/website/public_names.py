"""The public names of the package: what the root and the rooms export."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import emofusion

PACKAGE = emofusion.__name__


@cache
def find_public_names() -> dict[str, Any]:
    """Return every public object by its name with the package, such as `emofusion.train`; one that has two has the shorter."""
    rooms = [module.name for module in pkgutil.iter_modules(emofusion.__path__, f"{PACKAGE}.") if module.ispkg]
    found, seen = {}, set()
    for package in (PACKAGE, *rooms):
        for name in sorted(getattr(importlib.import_module(package), "__all__", ())):
            value = getattr(sys.modules[package], name)
            if not name.startswith("__") and id(value) not in seen:
                found[f"{package}.{name}"] = value
                seen.add(id(value))
    return found


def find_home(path: str, value: Any) -> str:
    """Return the module that defines a public object.

    Args:
        path: Its name, with the package.
        value: The object.

    Raises:
        ValueError: If it is a constant without a comment that begins with `#:`.
    """
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__module__
    from sphinx.pycode import ModuleAnalyzer

    name = path.rpartition(".")[2]
    for module in [module for module in sys.modules if module.startswith(f"{PACKAGE}.")]:
        holds = vars(sys.modules[module]).get(name) is value
        if holds and ("", name) in ModuleAnalyzer.for_module(module).find_attr_docs():
            return module
    raise ValueError(f"{path} has no comment that begins with '#:'.")


def find_comment(path: str, value: Any) -> list[str]:
    """Return the comment on a constant.

    Args:
        path: Its name, with the package.
        value: The constant.
    """
    from sphinx.pycode import ModuleAnalyzer

    comments = ModuleAnalyzer.for_module(find_home(path, value)).find_attr_docs()
    return comments["", path.rpartition(".")[2]]


def find_members(value: type, public: set[type]) -> list[str]:
    """Return the members of a class that its entry describes: with a docstring, and neither of a library nor of a public base.

    Args:
        value: The class.
        public: All public classes, whose members are described with them.
    """
    others = {base for other in public & {*value.__mro__[1:]} for base in other.__mro__}
    library = {name for base in value.__mro__ if not is_ours(base) for name in dir(base)}
    members = {}
    for base in value.__mro__:
        if is_ours(base) and base not in others:
            members |= {name: None for name, member in vars(base).items() if is_described(name, member, library)}
    return list(members)


def is_described(name: str, member: Any, library: set[str]) -> bool:
    """Return whether a member is public, written here, and has a docstring; with arguments if it overrides one of a library."""
    function = getattr(member, "__func__", getattr(member, "fget", member))
    if not inspect.isfunction(function) or not function.__module__.startswith(f"{PACKAGE}."):
        return False
    text = function.__doc__ or ""
    return (name == "__call__" or not name.startswith("_")) and (
        bool(text) if name not in library else "Args:" in text
    )


def find_bases(value: type, public: set[type]) -> Iterator[type]:
    """Yield the bases that a reader knows: public ones, and those of libraries.

    Args:
        value: The class.
        public: All public classes.
    """
    for base in value.__bases__:
        if base in public or not is_ours(base):
            if base is not object:
                yield base
        else:
            yield from find_bases(base, public)


def is_ours(value: type) -> bool:
    """Return whether a class is one of the package."""
    return value.__module__.partition(".")[0] == PACKAGE
