"""Checks for every model card."""

import re
from pathlib import Path

import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id

# Of four classes with 20 utterances each.
SCORES = {
    "wa": 0.9125,
    "ua": 0.9,
    "wf1": 0.9111,
    "macro_f1": 0.8999,
    "recall": [1.0, 0.95, 0.85, 0.8],
    "precision": [0.9, 0.9, 0.95, 0.9],
    "f1": [0.947, 0.924, 0.897, 0.847],
    "support": [20, 20, 20, 20],
    "confusion_matrix": [[20, 0, 0, 0], [1, 19, 0, 0], [1, 1, 17, 1], [1, 1, 2, 16]],
    "ece": 0.034,
    "nll": 0.2564,
}


NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)*(?:e[+-]?\d+)?")
EMPTY = re.compile(r"\b(None|nan|undefined|null|TODO|inf)\b|\{\}|\[\]|[{]{2}|[}]{2}|<[a-z_ ]+>")
# Numbers in examples, of the interval, of enough utterances and speakers, of the AI Act, and of versions of transformers.
CONSTANTS = {"0", "1", "95", "30", "6", "5", "2024", "1689", "5.17", "5.23"}
AUTHORS = "{{The emofusion authors}}"  # BibTeX's braces around an organisation's name: the only place for two braces


def check_page(file: Path) -> ModelCard:
    """Check the properties of every card: nothing empty, no local path, complete tables, valid metadata."""
    page = file.read_text(encoding="utf-8")
    card = ModelCard.load(file)
    assert card.content == page
    assert not (found := EMPTY.search(page.replace(AUTHORS, ""))), found
    assert not re.search(r"(?<![\w.:/])/(?!/)\w+/", page), "a path of the machine"
    assert not re.search(r"\n{3,}|[ \t]+$", page, flags=re.MULTILINE)
    assert page.endswith("\n")
    assert not page.endswith("\n\n")
    assert len(re.findall(r"^# ", card.text, flags=re.MULTILINE)) == 1 + card.text.count("\n# emofusion")
    headings = sections(card)
    assert all(text.strip() for text in headings.values()), headings
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert link.startswith("https://") or link in anchors or (file.parent / link).is_file(), link
    for lines in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.MULTILINE):
        head, rule, *rows = lines.splitlines()
        assert rows, head
        assert len({line.count("|") for line in (head, rule, *rows)}) == 1, lines
        assert re.fullmatch(r"\| ---( \| ---:)+ \|", rule), rule
        assert all(re.match(r"\| [^ |]", row) for row in rows), lines
    for code in examples(card):
        compile(code, "example", "exec")
    check_metadata(card, page)
    return card


def check_metadata(card: ModelCard, page: str) -> None:
    """Check that the Hub's client reads the metadata and writes it unchanged."""
    block = re.match(r"---\n(.*?)\n---\n", page, re.DOTALL)[1]
    fields = yaml.safe_load(block)
    assert fields == card.data.to_dict()
    assert ModelCardData(**fields).to_yaml() == block
    assert "" not in fields.values()
    assert {"library_name", "pipeline_tag", "tags"} <= fields.keys()
    for base in fields.get("base_model", []):
        validate_repo_id(base)
        assert not Path(base).exists()
    if "model-index" in fields:
        name, results = model_index_to_eval_results(fields["model-index"])
        assert eval_results_to_model_index(name, results) == fields["model-index"]
        lowest = {"ccc": -1, "pearsonr": -1}
        assert all(lowest.get(result.metric_type, 0) <= result.metric_value for result in results)
        assert all(result.metric_value <= 1 for result in results if result.metric_type != "rmse")


def sections(card: ModelCard) -> dict[str, str]:
    """Return heading -> text below it, in order."""
    _, *parts = re.split(r"^## (.+)$", card.text, flags=re.MULTILINE)
    assert len(set(parts[::2])) == len(parts[::2])
    return dict(zip(parts[::2], parts[1::2], strict=True))


def examples(card: ModelCard) -> list[str]:
    """Return the Python blocks of a card."""
    return re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)


def strange_numbers(page: str, results: dict) -> set[str]:
    """Return the numbers on a page that are not in the results."""
    return set(NUMBER.findall(page)) - CONSTANTS - {form for value in walk(results) for form in forms(value)}


def walk(value):
    """Yield all keys and all values that are neither mappings nor lists, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from walk(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from walk(item)
    else:
        yield value


def forms(value) -> set[str]:
    """Return the forms in which a page may write a value of the results."""
    if isinstance(value, str):
        return set(NUMBER.findall(value))
    if isinstance(value, bool) or value is None:
        return set()
    fixed = {f"{value:.3f}", f"{value:.1f}", f"{value:.3g}", f"{value / 60:.1f}", str(round(value, 4))}
    return {str(value), f"{value:,}", f"{100 * value:.1f}", *fixed}
