"""Building blocks of all cards: templates, tables of settings, citations, and formats of numbers."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..configuration.plain_text import join_words, one_line
from ..corpora.atomic_write import staged
from ..evaluation.results import Results, RunResults
from .markdown import Markdown, bibtex, bibtex_key, code, destination, escape, format_table, literal

if TYPE_CHECKING:
    import jinja2

AnyResults = TypeVar("AnyResults", bound=Results)
# Below the examples of a card in a folder of this machine; a push removes it.
LOCAL_NOTE = Markdown("Until this folder is on the Hub, run the examples in it, or give its path in them.")


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
    text = _environment().get_template(template).render(local_note=LOCAL_NOTE, **values)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()  # optional parts of a template leave blank lines
    with staged(folder) as staging:
        metadata = ModelCardData(**{name: _on_one_line(value) for name, value in vars(metadata).items()})
        # ModelCard reads the metadata back, so a page that huggingface_hub rejects is not written.
        ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n").save(staging / "README.md")
    return Path(folder, "README.md")


@cache
def _environment() -> "jinja2.Environment":
    """Return the templates, which escape every value that is not `Markdown`."""
    import jinja2

    environment = jinja2.Environment(
        finalize=escape,
        loader=jinja2.PackageLoader("emofusion.hub_cards", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"words": join_words, "code": code, "literal": literal, "bibtex": bibtex}
    environment.filters |= {"destination": destination}
    return environment


def keep_publishable(results: AnyResults) -> AnyResults:
    """Return a copy of results without numbers that are not finite and without paths of this machine."""
    kept = _drop_private(results.to_dict())
    if isinstance(results, RunResults):
        kept["labels"] = results.labels  # one that begins with a slash is no path
        kept["corpus"]["label_map"] = results.corpus.label_map  # None is the class of labels that are dropped
    return results.from_dict(kept)


def _on_one_line(value: Any) -> Any:
    """Return a value of the metadata block, with every text in it on one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list):
        return [_on_one_line(item) for item in value]
    if isinstance(value, EvalResult):
        return replace(value, **{name: _on_one_line(item) for name, item in vars(value).items()})
    return value


def _drop_private(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _drop_private(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        # A number leaves its place in a list, a path does not.
        kept = [(_drop_private(item), item) for item in value]
        return [item for item, given in kept if item is not None or not isinstance(given, str)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and Path(value).is_absolute():
        return None
    return value


def format_settings(results: Results, parameters: Mapping[str, int]) -> str:
    """Return a table of a training: settings, parameters, duration and versions.

    Args:
        results: The results of the run.
        parameters: Numbers of parameters by their name.
    """
    settings = results.training.items()
    values = {code(name): value for name, value in settings if isinstance(value, str | int | float)}
    if results.model_class is not None:
        values["Model class"] = code(results.model_class)
    values |= {f"Parameters, {name}": f"{count:,}" for name, count in parameters.items()}
    if results.seconds is not None:
        values["Duration"] = f"{results.seconds:.1f} s"
    values |= known_values(results.environment)
    return format_table("Setting", {"value": "Value"}, {name: {"value": value} for name, value in values.items()})


def known_values(record: Any) -> dict[str, Any]:
    """Return the fields of a record, or of None, that are not None or empty."""
    values = {} if record is None else record.to_dict()
    return {name: value for name, value in values.items() if value is not None and value != {}}


def cite_paper(results: Results) -> Markdown:
    """Return the paper of the system as BibTeX, empty if there is none."""
    paper = known_values(results.paper)
    fields = {"title": "title", "authors": "author", "year": "year", "url": "url"}
    lines = [f"  {field} = {{{bibtex(paper[name])}}}," for name, field in fields.items() if name in paper]
    key = bibtex_key(f"{results.system or 'paper'}{paper.get('year', '')}")
    return Markdown("\n".join([f"@misc{{{key},", *lines, "}"]) if lines else "")


def describe_sources(results: Results) -> str:
    """Return the sentence on the sources of a method: the paper's own words, notes of others, ours; empty if unknown."""
    paper = known_values(results.paper)
    if "ours" not in paper:
        return ""
    sources = {"stated": "from the paper's own abstract", "noted": "from a third party's reading notes of the paper"}
    parts = [f"{source}: {paper[name]}" for name, source in sources.items() if name in paper]
    sentence = "; ".join([*parts, f"ours: {paper['ours']}, the training settings."])
    return sentence[0].upper() + sentence[1:]


def format_percent(share: float) -> str:
    """Return a share as the cards show it: `91.2 %`."""
    return f"{100 * share:.1f} %"
