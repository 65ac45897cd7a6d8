"""What the pages of all kinds are made with: templates, tables, and words for numbers."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCard, ModelCardData

from ..corpora.atomic_write import staged


def write_page(folder: str | Path, template: str, metadata: ModelCardData, **values: Any) -> Path:
    """Render `README.md` into a folder.

    Args:
        folder: that exists.
        template: name of a file in `hub_cards`.
        metadata: between the lines of dashes.
        values: what the template tells.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: if `folder` does not exist.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emofusion.hub_cards", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["words"] = words
    text = environment.get_template(template).render(**values)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()  # so that parts of a template need not know what is around them
    with staged(folder) as staging:
        # Reads the metadata back first: a page that huggingface_hub rejects is not written.
        ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n").save(staging / "README.md")
    return Path(folder, "README.md")


def measured(value: Any) -> Any:
    """Drop what says nothing from mappings, at any depth: None, numbers that are not finite, paths of this machine."""
    if isinstance(value, Mapping):
        kept = {key: measured(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item != {}}
    if isinstance(value, list | tuple):
        return [measured(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and Path(value).is_absolute():
        return None
    return value


def table(corner: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, str]]) -> str:
    """A Markdown table.

    Args:
        corner: heading of the names of the rows.
        columns: key -> heading; those that no row has are left out.
        rows: name -> cells by key.

    Returns:
        The table, empty if it has no columns.
    """
    present = [key for key in columns if any(key in row for row in rows.values())]
    if not present:
        return ""
    lines = [[corner, *(columns[key] for key in present)], ["---"] + ["---:"] * len(present)]
    lines += [[name, *(row.get(key, "") for key in present)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")


def settings_table(results: Mapping[str, Any]) -> str:
    """The settings, the size and duration of a training, and the versions it ran on."""
    settings = results.get("training", {}).items()
    values = {f"`{name}`": value for name, value in settings if isinstance(value, str | int | float)}
    if "model_class" in results:
        values["Model class"] = f"`{results['model_class']}`"
    values |= {f"Parameters, {name}": f"{count:,}" for name, count in results.get("parameters", {}).items()}
    if "seconds" in results:
        values["Duration"] = f"{results['seconds']:.1f} s"
    values |= results.get("environment", {})
    return table("Setting", {"value": "Value"}, {name: {"value": str(value)} for name, value in values.items()})


def cite_paper(results: Mapping[str, Any]) -> str:
    """The paper of the system as BibTeX, empty where there is none."""
    paper = results.get("paper", {})
    fields = {"title": "title", "authors": "author", "year": "year", "url": "url"}
    lines = [f"  {bibtex} = {{{paper[name]}}}," for name, bibtex in fields.items() if name in paper]
    key = f"{results.get('system', 'paper')}{paper.get('year', '')}"
    return "\n".join([f"@misc{{{key},", *lines, "}"]) if lines else ""


def percent(share: float) -> str:
    """A share as the pages tell it: `91.2 %`."""
    return f"{100 * share:.1f} %"


def words(items: Sequence[str], last: str = "and") -> str:
    """Join as in a sentence: `a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
