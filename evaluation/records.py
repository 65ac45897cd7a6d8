"""Dataclasses that are read from and written to JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from ..configuration.plain_text import one_line, show_value

LARGEST = 2**63
# type of a field -> accepted types of its value, and their name
SCALARS = {
    str: (str, "a string"),
    int: (int, "an integer"),
    float: (int | float, "a number"),
    bool: (bool, "true or false"),
}


@dataclass(kw_only=True)
class Record:
    """Base of dataclasses that are stored as JSON objects, one key per field.

    Args:
        extra: Keys that this version does not know, as a newer one writes them; they are written back unchanged.
    """

    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the record, with its inner records, from what `to_dict` returns.

        Args:
            values: Values by field name. None stands for a field's default.

        Raises:
            ValueError: If a required key is missing, or a value has another type than its field.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{values!r} must be a mapping.")
        kinds = get_type_hints(cls)
        known = {item.name: item for item in dataclasses.fields(cls) if item.name != "extra"}
        given = {}
        for name, item in known.items():
            if values.get(name) is not None:
                try:
                    given[name] = _load(kinds[name], values[name])
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
            elif item.default is item.default_factory is dataclasses.MISSING:
                raise ValueError(f"{name!r} is missing.")
        return cls(**given, extra={name: value for name, value in values.items() if name not in known})

    def to_dict(self) -> dict[str, Any]:
        """Return the record and its inner records as plain mappings, lists, numbers and strings."""
        named = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "extra"}
        return {name: _dump(value) for name, value in {**named, **self.extra}.items()}


def _load(kind: Any, value: Any) -> Any:
    """Return a value as its type hint has it: mappings become records, an empty one an optional record's None."""
    if value is None:
        return None
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value == {}:
            return None
        return _load(next(choice for choice in inner if choice is not type(None)), value)
    if origin in (dict, list) and not isinstance(value, Mapping if origin is dict else list | tuple):
        raise ValueError(f"{show_value(value)} must be a {'mapping' if origin is dict else 'list'}.")
    if origin is dict:
        return {name: _load_item(inner[1], item, repr(name)) for name, item in value.items()}
    if origin is list:
        return [_load_item(inner[0], item, f"item {number}") for number, item in enumerate(value)]
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_dict(value)
    if kind in SCALARS:
        accepted, name = SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{show_value(value)} must be {name}.")
        if kind in (int, float) and isinstance(value, int) and abs(value) >= LARGEST:
            raise ValueError(f"{show_value(value)} is too large.")
    return value


def _load_item(kind: Any, value: Any, place: str) -> Any:
    """Load an item of a mapping or list; None only where its type allows it."""
    if value is None and kind is not Any and type(None) not in get_args(kind):
        raise ValueError(f"{one_line(place, 40)}: must not be null.")
    try:
        return _load(kind, value)
    except ValueError as error:
        raise ValueError(f"{one_line(place, 40)}: {error}") from error


def _dump(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _dump(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_dump(item) for item in value]
    return value
