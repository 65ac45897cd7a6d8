"""The only reader of YAML: values that JSON has too, within limits of length, nesting and aliases (ours)."""

import re
from pathlib import Path
from typing import Any

import yaml

from ..configuration.plain_text import one_line, show_value

MOST_CHARACTERS = 1_000_000
MOST_LEVELS = 50  # of lists and mappings inside each other
MOST_VALUES = 100_000  # with all aliases written out, as JSON would be
# PyYAML's own, of malformed scalars: `!!int ""`, `!!bool x`, numbers of thousands of digits.
UNREADABLE = (yaml.YAMLError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError)


class _Loader(yaml.SafeLoader):
    """YAML in which `1e-4` is a number, a date is text, and a key of a mapping appears once."""

    def __init__(self, text: str):
        super().__init__(text)
        self._level = 0

    def compose_node(self, parent, index):
        """Return a node of the document; raise if it is nested too deeply."""
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _fail(f"it has more than {MOST_LEVELS} levels of lists and mappings", self.peek_event())
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def compose_mapping_node(self, anchor):
        """Return a mapping of the document; raise if it has a key twice, where PyYAML would keep the last value."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _fail(f"the key {show_value(key.value)} is given twice", key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node

    def get_single_node(self):
        """Return the document; raise if its aliases lead back to themselves, or are too long when written out."""
        node = super().get_single_node()
        if node is not None:
            _count_values(node, {})
        return node


# Tags of plain words that stay text: dates and "=".
_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}


def parse_yaml(name: str, text: str) -> Any:
    """Return the value of YAML text, such as that of an option: made of mappings, lists, text, numbers, booleans and None.

    Args:
        name: Name of the value in error messages.
        text: The text.

    Raises:
        ValueError: If it cannot be read, or exceeds a limit.
    """
    try:
        return _load(text)
    except UNREADABLE as error:
        raise ValueError(
            f"{name} is {show_value(text)}, which is not readable YAML or JSON: {_explain(error)}."
        ) from error


def read_yaml(path: str | Path) -> Any:
    """Return the value of a YAML file, as `parse_yaml`.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it cannot be read, or exceeds a limit. The message names the line.
    """
    with open(path, "rb") as file:
        content = file.read(MOST_CHARACTERS + 1)
    try:
        return _load(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path} is not readable YAML{place}: {_explain(error)}.") from error


def _load(text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it has more than {MOST_CHARACTERS:,} characters")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _count_values(node: yaml.Node, counted: dict[int, int | None]) -> int:
    """Return the number of values in a node with all aliases written out.

    Args:
        node: The node.
        counted: Number by node; None for those that the node is inside.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in counted:
        if counted[id(node)] is None:
            raise _fail("an alias leads back to itself", node)
        return counted[id(node)]
    counted[id(node)] = None
    inner = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    number = 1 + sum(_count_values(part, counted) for part in inner)
    if number > MOST_VALUES:
        raise _fail(f"it has more than {MOST_VALUES:,} values with its aliases written out", node)
    counted[id(node)] = number
    return number


def _fail(problem: str, place: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _explain(error: Exception) -> str:
    """Return the reason of a failure as the end of a sentence."""
    if not isinstance(error, yaml.YAMLError):
        return "a value does not fit its tag, or is too long for a number"
    return one_line(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
