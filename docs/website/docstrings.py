"""How Sphinx reads docstrings of the package: an extension."""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx

from .public_names import find_bases, find_public_names, is_ours

# A name in the way of transformers' docstrings, [`LikeThis`].
MARKDOWN_NAME = re.compile(r"\[(`[^`]+`)\]")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    app.connect("autodoc-process-docstring", prepare_docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-bases", show_known_bases)
    return {"parallel_read_safe": True}


def prepare_docstring(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Change a docstring in place, so that napoleon reads it as it is meant."""
    for place, line in enumerate(lines):
        lines[place] = MARKDOWN_NAME.sub(r"\1", line)
        # Otherwise what precedes a colon is taken for the type of the result.
        if place and lines[place - 1].strip() in ("Returns:", "Yields:"):
            indent = len(line) - len(line.lstrip())
            lines[place] = f"{line[:indent]}: {lines[place][indent:]}"


def shorten_signature(app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, returned: str):
    """Return the signature of a dataclass with the fields of its library left out."""
    if not (inspect.isclass(value) and hasattr(value, "__dataclass_fields__")):
        return None
    inherited = {field for base in value.__mro__[1:] if not is_ours(base) for field in vars(base).get("__annotations__", ())}
    if not inherited:
        return None
    own = [field for field in value.__dataclass_fields__.values() if field.init and field.name not in inherited]
    parameters = ", ".join([*(field.name for field in own), "**kwargs"])
    return f"(*, {parameters})", returned


def show_known_bases(app: Sphinx, name: str, value: Any, options: Any, bases: list[type]) -> None:
    """Replace the bases of a class in place by those that a reader knows."""
    public = {value for value in find_public_names().values() if inspect.isclass(value)}
    bases[:] = dict.fromkeys(find_bases(value, public)) or [object]
