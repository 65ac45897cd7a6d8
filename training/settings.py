"""Settings of a recipe: read from YAML files, converted to the types of their fields, overridden."""

import difflib
import math
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..configuration.plain_text import did_you_mean, one_line, show_value
from ..configuration.value_checks import describe
from .yaml_reader import parse_yaml, read_yaml

BASE = "base"  # key of a recipe that names the recipe to start from
PACKAGE = Path(__file__).parent.parent
# Options with mappings whose null is a value, and not the removal of a member, at this level.
NULL_LEVELS = {"label_map": 2}
RECIPES = "recipes"  # folder of the package with its recipes
BRACKETS = (("[", list), ("{", dict))  # first characters of YAML (or JSON) lists and mappings
MAX_BASES = 100  # length of a chain of bases
MOST_NAMES = 40  # files of a folder that a message lists
MOST_CHOICES = 10  # of more, a message lists only those like the given one
SHOWN_OF_PATHS = 300  # characters of a wrong path
WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class UnknownSettingError(ValueError):
    """A name that is no field of the dataclasses of a command.

    Args:
        subject: Beginning of the message, which says where the name is.
        name: The unknown name.
        known: The fields.
    """

    def __init__(self, subject: str, name: str, known: Mapping[str, Any]):
        super().__init__(f"{subject}{did_you_mean(name, known)}; --help lists all options.")
        self.subject, self.name = subject, name


def field_types(groups: Mapping[str, type]) -> dict[str, Any]:
    """Return the type of each field of the dataclasses of a command; a `Literal` where its metadata lists choices."""
    known = {}
    for group in groups.values():
        hints = get_type_hints(group)
        for item in fields(group):
            if item.init:
                choices = item.metadata.get("choices")
                known[item.name] = Literal[tuple(choices)] if choices else hints[item.name]
    return known


def read_settings(path: str | Path, known: Mapping[str, Any], above: Sequence[Path] = ()) -> dict:
    """Read the settings of a recipe file and of those that it is based on.

    `base: other.yaml` names a recipe to start from, by its path relative to the file. The file overrides it; mappings are
    merged member by member. `null` removes what the base sets: an option has its default again, and a member of a
    mapping is gone, unless null is a value there (`NULL_LEVELS`).

    Args:
        path: A YAML file with a mapping, see `find_recipe`.
        known: Type of each field, from `field_types`.
        above: The files above this one in the chain of bases, outermost first.

    Raises:
        ValueError: If a file is missing or not a mapping, bases form a circle, or a key or value is wrong. The message
            names the file.
    """
    path = Path(path) if above else find_recipe(path)
    content = _read_mapping(path)
    settings, base = {}, content.pop(BASE, None)
    if base is not None:
        if not isinstance(base, str) or not os.path.isfile(path.parent / base):
            raise ValueError(
                f"{path} has the base {show_value(base)}, which is not a file in {path.parent}; give its relative path."
            )
        above = (*above, path.resolve())
        if (path.parent / base).resolve() in above:
            raise ValueError(f"{path} leads back to itself by its base {base}; a recipe cannot be its own base.")
        if len(above) > MAX_BASES:
            raise ValueError(f"{above[0]} has a chain of more than {MAX_BASES} bases; shorten it.")
        settings = read_settings(path.parent / base, known, above)
    if "search" not in known:
        content.pop("search", None)  # only the command `search` reads the search space
    for name, value in content.items():
        if name not in known:
            raise UnknownSettingError(f"{path} has an unknown key {name!r}", str(name), known)
        if value is None:
            settings.pop(name, None)
        else:
            settings[name] = _merge(
                settings.get(name), convert(f"{path}: {name}", value, known[name]), NULL_LEVELS.get(name)
            )
    return settings


def find_recipe(path: str | Path) -> Path:
    """Return the path of a recipe file. `recipes/...` that the working folder does not have are those of the package.

    Raises:
        ValueError: If there is no such file. The message names a similar recipe, or the recipes of a folder.
    """
    path = Path(path)
    places = [path, PACKAGE / path] if path.parts[:1] == (RECIPES,) else [path]
    for place in places:
        if os.path.isfile(place):
            return place
    for place in places:
        if os.path.isdir(place):
            names = sorted(file.name for file in place.iterdir() if file.suffix == ".yaml" or file.is_dir())
            listed = f": {', '.join(names)}" if 0 < len(names) <= MOST_NAMES else ""
            raise ValueError(f"{path} is a folder; give the path of a YAML file in it{listed}.")
    ours = [file.relative_to(PACKAGE).as_posix() for file in (PACKAGE / RECIPES).rglob("*.yaml")]
    hint = did_you_mean(str(path), ours)
    raise ValueError(f"There is no recipe {one_line(path, SHOWN_OF_PATHS)}{hint}; give the path of a YAML file.")


def override(settings: Mapping, changes: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> dict:
    """Return settings with changes. Changed values are converted; None removes a setting.

    Args:
        settings: Values by the name of the field.
        changes: Values by the name of the field, or of a member of a mapping: `model_config.hidden_size`.
        known: Type of each field, from `field_types`.
        prefix: Prefix of names in error messages, such as `--`.

    Raises:
        ValueError: If a name is unknown or a value is wrong.
    """
    settings = dict(settings)
    for option, value in changes.items():
        name, *members = option.split(".")
        if name not in known:
            raise UnknownSettingError(f"Unknown option {prefix}{option}", name, known)
        if members:
            if not any(_is(kind, dict) for kind in _alternatives(known[name])):
                raise ValueError(f"{prefix}{option} cannot be set: {name} is not a mapping.")
            if "" in members:
                raise ValueError(f"{prefix}{option} lacks a name after a dot; write {prefix}{name}.MEMBER VALUE.")
            old = settings.get(name)
            settings[name] = _set_member(old, members, value, f"{prefix}{option}")
            if value is None:  # as in a recipe
                settings[name] = _merge(old or {}, _set_member({}, members, None, option), NULL_LEVELS.get(name))
        elif value is None:
            settings.pop(name, None)
        else:
            settings[name] = convert(f"{prefix}{option}", value, known[name])
    return settings


def convert(name: str, value: Any, hint: Any) -> Any:
    """Return a value of a YAML file or a command line, converted to the type of its field.

    Args:
        name: Name of the value in error messages.
        value: A value other than None.
        hint: Type of the field.

    Raises:
        ValueError: If the value cannot be converted.
    """
    kinds = [kind for kind in _alternatives(hint) if kind is not type(None)]
    kinds.sort(key=lambda kind: kind is str)  # almost anything can be text, so it is tried last
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and any(
        value.startswith(first) and _is(kind, type_) for kind in kinds for first, type_ in BRACKETS
    ):
        value = parse_yaml(name, value)
    for kind in kinds:
        if (converted := _as_kind(name, value, kind)) is not None:
            return converted
    if any(_is(kind, list) for kind in kinds) and not isinstance(value, (list, Mapping)):
        return convert(name, [value], hint)
    raise ValueError(f"{name} is {show_value(value)}; it must be {' or '.join(map(describe, kinds))}.")


def flatten(settings: Mapping, prefix: str = "") -> dict:
    """Return the members of mappings under their names on the command line: `model_config.hidden_size`."""
    flat = {}
    for name, value in settings.items():
        inner = isinstance(value, Mapping) and value
        flat |= flatten(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def is_switch(hint: Any) -> bool:
    """Return whether a type allows true and false."""
    return bool in _alternatives(hint)


def _read_mapping(path: Path) -> dict:
    content = read_yaml(path)
    if content is None:  # empty, or comments alone
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a mapping of argument names to values.")
    return content


def _merge(old: Any, new: Any, null_level: int | None = None) -> Any:
    """Return `new`; two mappings are merged, and None in `new` removes a member of `old`, but not at `null_level`."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    level = None if null_level is None else null_level - 1
    removed = {name for name, value in new.items() if value is None and name in old and level != 0}
    merged = {**old, **{name: _merge(old.get(name), value, level) for name, value in new.items()}}
    return {name: value for name, value in merged.items() if name not in removed}


def _set_member(mapping: Any, path: Sequence[str], value: Any, option: str) -> dict:
    """Return a copy of a mapping with another value at a path of keys."""
    if not isinstance(mapping or {}, Mapping):
        raise ValueError(f"{option} cannot be set: the value before the last dot is not a mapping.")
    first, *others = path
    members = dict(mapping or {})
    members[first] = _set_member(members.get(first), others, value, option) if others else value
    return members


def _alternatives(hint: Any) -> tuple:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is(kind: Any, type_: type) -> bool:
    return kind is type_ or get_origin(kind) is type_


def _as_kind(name: str, value: Any, kind: Any) -> Any:
    """Return a value converted to one type; None if that is impossible."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _as_choice(name, value, kind)
    if get_origin(kind) is Literal:
        value = WORDS.get(value.lower(), value) if isinstance(value, str) else value
        return value if value in get_args(kind) else None
    if kind is bool:
        return WORDS.get(str(value).lower())
    if kind in (int, float):
        return _as_number(value, kind)
    if kind is str:
        return str(value) if isinstance(value, (str, bool, int, float)) else None
    if _is(kind, list) and isinstance(value, (list, tuple)):
        (element,) = get_args(kind)
        return [convert(name, item, element) for item in value]
    if _is(kind, dict):
        return dict(value) if isinstance(value, Mapping) else None
    return value if isinstance(kind, type) and isinstance(value, kind) else None


def _as_choice(name: str, value: Any, kind: type[Enum]) -> str:
    """Return the value of a member of an enumeration."""
    words = [member.value for member in kind]
    value = value.value if isinstance(value, kind) else value
    if value not in words:
        quote = " (in quotes, or YAML takes it for false)" if value is False and "no" in words else ""
        close = [word for word in words if value and str(value) in word] or difflib.get_close_matches(
            str(value), words
        )
        raise ValueError(
            f"{name} is {show_value(value)}; choose one of {', '.join(close if close and len(words) > MOST_CHOICES else words)}{quote}."
        )
    return value


def _as_number(value: Any, kind: type) -> float | None:
    if isinstance(value, bool) or (isinstance(value, float) and kind is int):
        return None
    try:
        number = kind(value)
        return number if math.isfinite(number) else None
    except (TypeError, ValueError, OverflowError):
        return None
