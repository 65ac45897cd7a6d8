"""Checks of values against type annotations, in words. This file imports no library, so that `--help` stays fast."""

import dataclasses
import math
import re
import sys
import types
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from .plain_text import show_value

# The kinds of values that a field may hold, in words: one value, and several.
WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "booleans"),
    str: ("a text", "texts"),
    dict: ("a mapping", "mappings"),
    Path: ("a path", "paths"),
    list: ("a list", "lists"),
    type(None): ("null", "nulls"),
}
# Bases of the classes of numbers, for those of numpy.
NUMBERS = {int: Integral, float: Real}
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # the shape of BCP 47 tags


def describe(kind: Any) -> str:
    """Return the words for a type annotation, such as "a list of whole numbers or null"."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) in (Union, types.UnionType):
        # Classes that no file can hold, as that of a configuration, are left out.
        parts = dict.fromkeys(describe(part) for part in get_args(kind) if part in WORDS or get_origin(part))
        if float in get_args(kind):
            parts.pop(WORDS[int][0], None)
        return " or ".join(parts)
    if get_origin(kind) in (list, tuple, Sequence):
        item, *_ = get_args(kind)
        inner = WORDS[item][1] if item in WORDS else "numbers" if item == int | float else "values"
        return f"a list of {'values, each ' + describe(item) if get_origin(item) is Literal else inner}"
    return WORDS.get(get_origin(kind) or kind, (f"of type {getattr(kind, '__name__', kind)}",))[0]


def check_value(name: str, value: Any, kind: Any) -> None:
    """Check the type of a value, and that a number is finite.

    Args:
        name: The name of the value, for errors.
        value: The value.
        kind: Its type annotation: classes, lists, or a union of them.

    Raises:
        ValueError: If it is of another type, NaN or infinite.
    """
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if not any(_fits(value, get_origin(part) or part) for part in kinds):
        raise ValueError(f"{name} is {show_value(value)}; it must be {describe(kind)}.")
    if isinstance(value, Real) and not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} is {value}; it must be a finite number.")


def check_languages(tags: Iterable[Any]) -> None:
    """Raise a ValueError if one of the tags of languages has not the shape of BCP 47."""
    for tag in tags:
        if not isinstance(tag, str) or not LANGUAGE.fullmatch(tag):
            raise ValueError(f"language is {show_value(tag)}; give BCP 47 codes, such as en or pt-BR.")


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def read_number(text: str) -> float:
    """Return the number that a cell of a table has; not a number without one, or where only Python reads one, such as `1_0`."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def default_of(field: dataclasses.Field) -> Any:
    """Return the default of a field of a dataclass, or None if it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, NUMBERS.get(kind, kind)) and not (kind is Sequence and isinstance(value, str))
