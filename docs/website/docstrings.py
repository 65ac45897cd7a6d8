"""How Sphinx reads docstrings of the package: an extension."""

import dataclasses
import inspect
import re
from textwrap import indent
from typing import Any

from sphinx.application import Sphinx

from .public_names import PACKAGE, find_bases, find_public_names, is_ours

# A name in the way of transformers' docstrings, [`LikeThis`].
MARKDOWN_NAME = re.compile(r"\[`([^`]+)`\]")
# Code between fences, as in Markdown.
FENCE = re.compile(r"^```(\w+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^((?:Args|Attributes|Fields|Keys|Raises|Returns|Yields):\n)", re.MULTILINE)
FORMULA = re.compile(r"\n\n((?: {4}.*(?:\n|\Z))+)")
# Characters of plain text that docutils would read as markup.
MARKUP = re.compile(r"([*`|_\\])")
# The heading before the description of a result, and the indentation of that.
RESULT = re.compile(r"^( *(?:Returns|Yields):\n +)", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    app.connect("autodoc-process-docstring", prepare_docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-bases", show_known_bases)
    return {"parallel_read_safe": True}


def prepare_docstring(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Change a docstring in place, so that napoleon and docutils read it as it is meant."""
    text = MARKDOWN_NAME.sub(link_name, "\n".join(lines))
    # Indented lines of the description are formulas.
    description, section, rest = SECTION.split(text, maxsplit=1) if SECTION.search(text) else (text, "", "")
    text = FORMULA.sub(lambda match: f"\n\n.. code-block:: text\n\n{match[1]}", description) + section + rest
    text = FENCE.sub(lambda match: f".. code-block:: {match[1]}\n\n{indent(match[2], '    ')}", text)
    # Otherwise what precedes a colon is taken for the type of the result, or of the property.
    text = RESULT.sub(r"\1: ", text if what != "property" else f": {text}")
    helps = describe_fields(value) if what == "class" else []
    lines[:] = [*text.splitlines(), *helps]


def link_name(match: re.Match) -> str:
    """Return the link to a public name, or the name as code."""
    name = match[1]
    paths = {path.rpartition(".")[2]: path for path in find_public_names()}
    first, dot, member = name.partition(".")
    return f":py:obj:`{name} <{paths[first]}{dot}{member}>`" if first in paths else f"`{name}`"


def describe_fields(value: type) -> list[str]:
    """Return the section `Args:` of a dataclass whose fields have their description as `help`; empty for another class."""
    described = [field for field in own_fields(value) if "help" in field.metadata]
    helps = ["    " + field.name + ": " + MARKUP.sub(r"\\\1", field.metadata["help"]) for field in described]
    return ["", "Args:", *helps] if helps else []


def own_fields(value: type) -> list[dataclasses.Field]:
    """Return the fields of a dataclass that no class of a library has; empty for another class."""
    bases = [base for base in value.__mro__ if not is_ours(base)]
    inherited = {name for base in bases for name in vars(base).get("__annotations__", ())}
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    return [field for field in fields if field.init and field.name not in inherited]


def shorten_signature(app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, returned: str):
    """Return the signature of a class without arguments of libraries; None leaves it as it is."""
    if what != "class":
        return None
    if not dataclasses.is_dataclass(value):
        ours = not inspect.isfunction(value.__init__) or value.__init__.__module__.startswith(PACKAGE)
        return None if ours else ("(**kwargs)", returned)
    public = {base for base in find_public_names().values() if inspect.isclass(base)}
    inherited = {field.name for base in public & {*value.__mro__[1:]} for field in own_fields(base)}
    own = [field for field in own_fields(value) if field.name not in inherited]
    has_others = len(own) < len([field for field in dataclasses.fields(value) if field.init])
    star = ["*"] if own and (has_others or own[0].kw_only) else []
    return f"({', '.join([*star, *map(format_field, own), *(['**kwargs'] if has_others else [])])})", returned


def format_field(field: dataclasses.Field) -> str:
    """Return a field of a dataclass as a parameter with its default."""
    if field.default is not dataclasses.MISSING:
        return f"{field.name}={field.default!r}"
    if field.default_factory is not dataclasses.MISSING:
        return f"{field.name}={field.default_factory()!r}"
    return field.name


def show_known_bases(app: Sphinx, name: str, value: Any, options: Any, bases: list[type]) -> None:
    """Replace the bases of a class in place by those that a reader knows."""
    public = {value for value in find_public_names().values() if inspect.isclass(value)}
    bases[:] = dict.fromkeys(find_bases(value, public))
