"""What runs leave: results, predictions, cards, pictures; and what is published of them."""

import json
import re
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from testing_cards import SCORES
from testing_folder import make_rows, write_metadata, write_recordings
from testing_predictions import BOTH, LABELS, NAMES, make_both

from .checkpoints import make_fusion
from .judging import Ended, run_command
from .spoil_folder import spoil_folder
from .spoil_trees import MARKUP, spoil_tree
from .target import Spoiled, Target

OF_DIMENSIONS = {"ccc": 0.5, "pearson": 0.625, "rmse": 0.875}
OF_DIMENSIONS |= {"dimensions": dict.fromkeys(NAMES, OF_DIMENSIONS | {"utterances": 80})}
RESULTS = {
    "format": 1,
    **BOTH.result_fields(),
    "system": "cross_attention",
    "model_class": "CrossAttentionFusionForSequenceClassification",
    "paper": {"title": "A paper", "authors": "Somebody", "year": 2021, "url": "https://example.org"},
    "labels": LABELS,
    "modalities": ["audio", "text"],
    "corpus": {"name": "mine", "title": "my corpus", "protocol": "By speaker.", "license": "CC BY 4.0"},
    "data": {"test": {"utterances": 80, "seconds": 154.2, "speakers": 2, "classes": dict.fromkeys(LABELS, 20)}},
    "metrics": {"validation": SCORES, "test": SCORES | OF_DIMENSIONS},
    "parameters": {"total": 84760, "trainable": 67732},
    "seconds": 31.2,
    "base_models": {"audio": "facebook/wav2vec2-base", "text": "bert-base-uncased"},
    "training": {"learning_rate": 1e-4, "num_train_epochs": 3, "seed": 1},
    "environment": {"python": "3.11", "torch": "2.13.0", "device": "cpu"},
    "pictures": ["confusion_matrix.png"],
}
# What a browser or a reader of Markdown would act on, outside of code.
ACTIVE = re.compile(r"(?<!\\)<script|(?<!\\)<img|(?<!\\)\]\(javascript:|^# heading|^license: mit", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
NEEDED = ("config.json", "model.safetensors", "processor_config.json", "tokenizer.json")
UNREADABLE = ("missing", "empty", "cut", "a folder", "a fifo", "a device", "a link to nothing", "a link to itself")


def build_runs(folder: Path) -> list[str]:
    from emofusion.evaluation.predictions import FILE, write_predictions

    for number, name in enumerate("ab"):
        (folder / name).mkdir()
        found = make_both(seed=number)
        write_predictions(folder / name / FILE, {"validation": found, "test": found}, BOTH)
        (folder / name / "results.json").write_text(json.dumps(RESULTS))
    return [str(folder / name) for name in "ab"]


def spoil_run(random: Random, valid: list[str], into: Path) -> Spoiled:
    if random.random() < 0.4:
        folder = Path(shutil.copytree(valid[1], into / "b"))
        lines = (folder / "predictions.jsonl").read_text().splitlines()
        number = random.randrange(len(lines))
        what, row, _ = spoil_tree(random, json.loads(lines[number]))
        lines[number] = json.dumps(row)
        (folder / "predictions.jsonl").write_text("\n".join(lines))
        return Spoiled(f"prediction {number + 1}: {what}", [valid[0], str(folder)])
    spoiled = spoil_folder(random, Path(valid[1]), into, ["results.json", "predictions.jsonl"])
    return Spoiled(spoiled.what, [valid[0], str(spoiled.value)])


def compare(folders: list[str]) -> Ended:
    return run_command(["compare", *folders])


def check_comparison(answer: Ended, intact: dict | None, spoiled: Spoiled) -> str | None:
    return "a score is not finite" if re.search(r"\b(nan|inf)\b", answer["out"]) else None


def build_results(folder: Path) -> dict:
    return RESULTS


def spoil_results(random: Random, valid: dict, into: Path) -> Spoiled:
    """Spoil results, mostly with markup in a text."""
    if random.random() < 0.5:
        what, results, _ = spoil_tree(random, valid)
        return Spoiled(what, results)
    results = json.loads(json.dumps(valid))
    texts = [
        (container, key)
        for container, key in _places(results)
        if isinstance(container[key], str) and key not in ("system", "model_class")
    ]
    container, key = random.choice(texts)
    text = random.choice(MARKUP)
    old = container[key]
    container[key] = text
    return Spoiled(f"{key!r}: {old!r} -> {text!r}", results)


def _places(tree: Any) -> list:
    from .spoil_trees import places

    return list(places(tree))


def write_card(results: Any) -> dict:
    """Return the lines of the card of results, the fields of its metadata, and its headings."""
    from emofusion.hub import write_card

    Path("card").mkdir(exist_ok=True)
    Path("card", "results.json").write_text(json.dumps(results))
    Path("card", "confusion_matrix.png").write_bytes(b"")
    page = write_card("card")
    text = Path(page).read_text()
    block, body = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL).groups()
    body = CODE.sub("", body)
    headings = len(re.findall(r"^#+ ", body, flags=re.MULTILINE))
    return {"active": ACTIVE.findall(body), "headings": headings, "license": yaml.safe_load(block).get("license")}


def check_card(answer: dict, intact: dict | None, spoiled: Spoiled) -> str | None:
    if answer["active"]:
        return f"the card has {answer['active']}"
    if intact and answer["headings"] > intact["headings"]:
        return f"the card has {answer['headings']} headings, and {intact['headings']} of honest results"
    if intact and answer["license"] != intact["license"] and "license" not in spoiled.what.partition(":")[0]:
        return f"the card states the licence {answer['license']!r}"
    return None


def spoil_published(random: Random, valid: Path, into: Path) -> Spoiled:
    return spoil_folder(random, valid, into, [*NEEDED, "*.json", "*.py", "*"])


def push(folder: Path) -> Ended:
    return run_command(["push", str(folder), "somebody/name", "--dry-run"])


def check_push(answer: Ended, intact: dict | None, spoiled: Spoiled) -> str | None:
    for done in spoiled.what.split("; "):
        name, _, what = done.partition(": ")
        if name in NEEDED and what in UNREADABLE:
            return f"a folder whose {name} is {what} would be published"
    return None


def build_pictures(folder: Path) -> dict:
    return {
        "labels": LABELS,
        "title": "my corpus",
        "matrices": {"mine": SCORES["confusion_matrix"], "other": SCORES["confusion_matrix"]},
        "curves": {"mine": [{"loss": 1.0, "epoch": 0.5}, {"eval_ua": 0.5, "eval_loss": 0.4, "epoch": 1.0}]},
        "confidence": [0.5, 0.7, 0.9],
        "correct": [True, False, True],
    }


def spoil_pictures(random: Random, valid: dict, into: Path) -> Spoiled:
    """Put markup where names are: those come from data, the numbers are ours."""
    given = json.loads(json.dumps(valid))
    text, place = (
        random.choice([*MARKUP, "", "x" * 3000, "\u202e\u0301", "$x$", "a_b^c", "\\frac{", "\x00"]),
        random.randrange(3),
    )
    if place == 0:
        given["labels"][random.randrange(4)] = text
    elif place == 1:
        given["matrices"][text] = given["matrices"].pop("mine")
    else:
        given["curves"][text] = given["curves"].pop("mine")
    return Spoiled(f"{('label', 'system', 'curve')[place]} {text[:30]!r}", given)


def draw(given: dict) -> bool:
    from emofusion.evaluation import pictures

    pictures.draw_confusion_matrices("a.png", given["matrices"], given["labels"])
    pictures.draw_learning_curves("b.png", given["curves"])
    systems = dict.fromkeys(given["matrices"], (given["confidence"], given["correct"]))
    pictures.draw_reliability("c.png", systems)
    return all(Path(f"{name}.png").stat().st_size > 1000 for name in "abc")


def build_metric(folder: Path) -> dict:
    return {
        "predictions": np.array([0, 1, 2, 1]),
        "references": np.array([0, 1, 1, 1]),
        "labels": ["a", "b", "c"],
        "probabilities": np.full((4, 3), 1 / 3),
    }


def spoil_metric(random: Random, valid: dict, into: Path) -> Spoiled:
    what, arguments, _ = spoil_tree(random, valid)
    return Spoiled(what, arguments)


def compute(arguments: dict) -> dict:
    from emofusion.metrics.emotion_metrics.emotion_metrics import EmotionMetrics

    scores = EmotionMetrics().compute(**arguments)
    assert all(0 <= scores[name] <= 1 for name in ("wa", "ua", "wf1", "macro_f1"))
    return {name: scores[name] for name in ("wa", "ua", "wf1", "macro_f1")}


def build_values(folder: Path) -> dict:
    return {
        "predictions": [[1.0, 2.0], [2.0, 3.0], [2.5, 1.0]],
        "references": [[1.5, 2.0], [2.0, None], [3.0, 1.5]],
        "dimensions": ["valence", "arousal"],
    }


def compute_values(arguments: dict) -> dict:
    from emofusion.metrics.dimension_metrics.dimension_metrics import DimensionMetrics

    scores = DimensionMetrics().compute(**arguments)
    assert all(scores[name] is None or -1 <= scores[name] <= 1 for name in ("ccc", "pearson"))
    return {name: scores[name] for name in ("ccc", "pearson", "rmse")}


def build_report(folder: Path) -> str:
    rows = make_rows()
    write_metadata(folder / "mine", rows)
    write_recordings(folder / "mine", rows)
    return str(folder / "mine")


def spoil_report(random: Random, valid: str, into: Path) -> Spoiled:
    root = Path(shutil.copytree(valid, into / "mine"))
    rows, column, text = make_rows(), random.choice(("text", "label", "speaker", "file_name")), random.choice(MARKUP)
    number = random.randrange(len(rows))
    if column == "file_name":
        text = re.sub(r"[/\n]", "_", text) + ".wav"
        (root / rows[number]["file_name"]).rename(root / text)
    rows[number][column] = text
    write_metadata(root, rows)
    return Spoiled(f"{column}: {text!r}", str(root))


def report(root: str) -> Ended:
    """Write the report of a corpus, and return with it what a browser would act on."""
    ended = run_command(["prepare", "folder", root, "--out", "prepared", "--report"])
    page = Path("prepared", "report.html")
    found = [part for part in ("<script>alert", "<img src=x") if page.is_file() and part in page.read_text()]
    return Ended(**ended | {"active": found})


def check_report(answer: Ended, intact: dict | None, spoiled: Spoiled) -> str | None:
    return f"the report has {answer['active']}" if answer["active"] else None


TARGETS = [
    Target("compare", "evaluation", build_runs, spoil_run, compare, check_comparison, 5),
    Target("card", "evaluation", build_results, spoil_results, write_card, check_card, 4),
    Target("push", "evaluation", make_fusion, spoil_published, push, check_push, 4),
    Target("pictures", "evaluation", build_pictures, spoil_pictures, draw, weight=1.5),
    Target("metric", "evaluation", build_metric, spoil_metric, compute, weight=2, lenient=True),
    Target("values", "evaluation", build_values, spoil_metric, compute_values, weight=2, lenient=True),
    Target("report", "corpora", build_report, spoil_report, report, check_report, 1.5),
]
