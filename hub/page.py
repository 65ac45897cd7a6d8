"""Building blocks of all cards: templates, tables, and formats of numbers."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import ModelCard, ModelCardData

from ..corpora.atomic_write import staged
from ..evaluation.results import Results

AnyResults = TypeVar("AnyResults", bound=Results)


def write_page(folder: str | Path, template: str, metadata: ModelCardData, **values: Any) -> Path:
    """Render `README.md` into a folder.

    Args:
        folder: An existing folder.
        template: Name of a file in `hub_cards`.
        metadata: The metadata block of the page.
        **values: Variables of the template.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: If `folder` does not exist.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emofusion.hub_cards", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["words"] = join_words
    text = environment.get_template(template).render(**values)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()  # optional parts of a template leave blank lines
    with staged(folder) as staging:
        # ModelCard reads the metadata back, so a page that huggingface_hub rejects is not written.
        ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n").save(staging / "README.md")
    return Path(folder, "README.md")


def keep_publishable(results: AnyResults) -> AnyResults:
    """Return a copy of results without numbers that are not finite and without paths of this machine."""
    return results.from_dict(_drop_private(results.to_dict()))


def _drop_private(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _drop_private(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        return [_drop_private(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and Path(value).is_absolute():
        return None
    return value


def format_table(corner: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, str]]) -> str:
    """Return a Markdown table, empty if it has no columns.

    Args:
        corner: Heading of the names of the rows.
        columns: Headings by key. Columns without a cell are left out.
        rows: Cells by name of the row and key.
    """
    filled = [key for key in columns if any(key in row for row in rows.values())]
    if not filled:
        return ""
    lines = [[corner, *(columns[key] for key in filled)], ["---"] + ["---:"] * len(filled)]
    lines += [[name, *(row.get(key, "") for key in filled)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(map(_format_cell, line))} |" for line in lines)


def _format_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")


def format_settings(results: Results, parameters: Mapping[str, int]) -> str:
    """Return a table of a training: settings, parameters, duration and versions.

    Args:
        results: The results of the run.
        parameters: Numbers of parameters by their name.
    """
    settings = results.training.items()
    values = {f"`{name}`": value for name, value in settings if isinstance(value, str | int | float)}
    if results.model_class is not None:
        values["Model class"] = f"`{results.model_class}`"
    values |= {f"Parameters, {name}": f"{count:,}" for name, count in parameters.items()}
    if results.seconds is not None:
        values["Duration"] = f"{results.seconds:.1f} s"
    values |= known_values(results.environment)
    return format_table("Setting", {"value": "Value"}, {name: {"value": str(value)} for name, value in values.items()})


def known_values(record: Any) -> dict[str, Any]:
    """Return the fields of a record, or of None, that are not None or empty."""
    values = {} if record is None else record.to_dict()
    return {name: value for name, value in values.items() if value is not None and value != {}}


def cite_paper(results: Results) -> str:
    """Return the paper of the system as BibTeX, empty if there is none."""
    paper = known_values(results.paper)
    fields = {"title": "title", "authors": "author", "year": "year", "url": "url"}
    lines = [f"  {bibtex} = {{{paper[name]}}}," for name, bibtex in fields.items() if name in paper]
    key = f"{results.system or 'paper'}{paper.get('year', '')}"
    return "\n".join([f"@misc{{{key},", *lines, "}"]) if lines else ""


def format_percent(share: float) -> str:
    """Return a share as the cards show it: `91.2 %`."""
    return f"{100 * share:.1f} %"


def join_words(items: Sequence[str], last: str = "and") -> str:
    """Join words as in a sentence: `a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
