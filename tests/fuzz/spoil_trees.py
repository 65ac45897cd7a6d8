"""Spoil nested mappings and lists: JSON, YAML, rows of a table, and arguments of a function."""

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "](javascript:alert(1))",
    "$\\bad{$",
    "a\n# heading",
    "a | b | c",
    "{{ 7 * 7 }} {% raw %}",
    "`code` ---\nlicense: mit",
    "%s %(x)s {0}",
)
# Relative ones are in the working folder of every case.
PATHS = (
    "../outside",
    "zero",
    "fifo",
    "file.txt",
    "..",
    ".",
    "C:\\x",
    "~",
    "file:///proc/version",
    "a/\u0000b",
    "/proc/x",
)
TEXTS = ("", " ", "0", "nan", "null", "no", "\u202e\u0301", "\ud800", "x" * 20000, "[", "{", "1e400", *MARKUP, *PATHS)
NUMBERS = (0, 1, -1, 2, 0.5, -0.5, 1e-9, 1e308, -1e308, 2**31, 2**63, -(2**63), 10**30, math.nan, math.inf, -math.inf)
OTHERS = (None, True, False, [], {}, [None], [[]], {"a": {"b": []}}, {"": None}, ["a", 1, None])
MOST_DEEP = 300  # `json.dumps` goes no deeper than about 1000


def deep(depth: int = MOST_DEEP) -> list:
    """Return a list in a list in a list."""
    inner: list = []
    for _ in range(depth):
        inner = [inner]
    return inner


def spoil_tree(random: Random, tree: Any) -> tuple[str, Any, bool]:
    """Spoil one place of a tree.

    Returns:
        What was done; the spoiled copy; and whether no reader could take it for another valid value.
    """
    tree = deepcopy(tree)
    container, key = random.choice(list(places(tree)))
    old = container[key]
    kind = random.choice(("delete", "type", "type", "number", "text", "nest", "repeat", "rename"))
    if isinstance(old, np.ndarray) and kind != "delete":
        name, container[key] = spoil_array(random, old)
        return f"{key!r}: {name}", tree, False
    if kind == "delete":
        del container[key]
    elif kind == "rename" and isinstance(container, dict):
        container[f"{key}_x"] = container.pop(key)
    elif kind == "repeat" and isinstance(container, list):
        container.insert(key, deepcopy(old))
    elif kind == "nest":
        container[key] = random.choice(([old], {"value": old}, deep()))
    elif kind == "number":
        container[key] = random.choice(NUMBERS)
    elif kind == "text":
        container[key] = random.choice(TEXTS)
    else:
        kind = "type"
        others = [value for value in (*OTHERS, *NUMBERS, *TEXTS) if type(value) is not type(old)]
        container[key] = deepcopy(random.choice(others))
    now = shorten(container[key]) if key in keys(container) else "gone"
    return f"{kind} {key!r}: {shorten(old)} -> {now}", tree, not _may_be_valid(kind, old, container, key)


def _may_be_valid(kind: str, old: Any, container: Any, key: Any) -> bool:
    """Return whether a reader may take what was spoiled for another valid value: a default, a number, a text."""
    if kind in ("delete", "rename", "repeat") or key not in keys(container):
        return True
    new = container[key]
    if old is None or new is None:
        return True
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)]
    return all(numbers) or (isinstance(old, str) and isinstance(new, str))


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) of a tree."""
    for key in keys(tree):
        yield tree, key
        yield from places(tree[key])


def keys(container: Any) -> list:
    if isinstance(container, dict):
        return list(container)
    return list(range(len(container))) if isinstance(container, list) else []


def spoil_array(random: Random, array: np.ndarray) -> tuple[str, Any]:
    """Return what was done, and the array in another form."""
    others = {
        "NaN": lambda: np.where(np.arange(array.size).reshape(array.shape) == array.size // 2, math.nan, array),
        "infinite": lambda: array * np.float32(math.inf),
        "huge": lambda: array * np.float64(1e300),
        "int16": lambda: array.astype(np.int16),
        "complex": lambda: array.astype(complex),
        "text": lambda: array.astype(str),
        "objects": lambda: array.astype(object),
        "float16": lambda: array.astype(np.float16),
        "2-D": lambda: np.stack([array, array]),
        "column": lambda: array[..., None],
        "0-D": lambda: array.reshape(-1)[0],
        "empty": lambda: array[:0],
        "one sample": lambda: array[:1],
        "zeros": lambda: np.zeros_like(array),
        "list": lambda: array.tolist(),
        "bytes": lambda: array.tobytes(),
        "reversed view": lambda: array[::-1],
        "read only": lambda: _read_only(array),
        "big endian": lambda: array.astype(array.dtype.newbyteorder(">")),
    }
    name = random.choice(list(others))
    with np.errstate(all="ignore"):
        return name, others[name]()


def _read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def spoil_json(random: Random, text: str) -> tuple[str, str, bool]:
    """Spoil JSON as a tree, or in a way that only text can be spoiled; returns as `spoil_tree`."""
    ways = {
        "twice the same key": lambda: text.replace("{", '{"a": 1, "a": 2, ', 1),
        "trailing comma": lambda: text.rstrip().removesuffix("}") + ",}",
        "cut": lambda: text[: random.randrange(len(text))],
        "deeper than a parser goes": lambda: "[" * 100_000 + text,
        "a list around it": lambda: f"[{text}]",
        "a string around it": lambda: json.dumps(text),
        "a number": lambda: "7",
        "null": lambda: "null",
        "byte order mark": lambda: "\ufeff" + text,
        "a number of 5000 digits": lambda: text.replace(":", ":" + "9" * 5000 + ', "b":', 1),
        "a comment": lambda: "// no JSON\n" + text,
    }
    tree = json.loads(text)
    if random.random() < 0.25 or not keys(tree):
        name = random.choice(list(ways))
        return name, ways[name](), False
    what, tree, keeps = spoil_tree(random, tree)
    return what, json.dumps(tree, indent=2), keeps


def shorten(value: Any) -> str:
    """Return a value for the report."""
    try:
        text = repr(value)
    except RecursionError:
        return "deep nesting"
    if text.startswith("[[[["):
        return "deep nesting"
    return text if len(text) <= 40 else f"{text[:36]}..."
