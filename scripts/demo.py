"""The demonstration: one modality against fusion, trained on the embedded spoken corpus; with --all, every system."""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from emofusion import load_corpus
from emofusion.evaluation.pictures import draw_confusion_matrices, draw_learning_curves
from emofusion.training.console import format_table, show_run, summarise
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.recipe import LATE_FUSION as LATE_FUSION_GROUPS
from emofusion.training.recipe import parse_recipe
from emofusion.training.report import write_json
from emofusion.training.run import train
from emofusion.training.withheld import score_without

ROOT = Path(__file__).resolve().parent.parent
FUSION = "cross_attention"
LATE_FUSION = "late_fusion"

# The recipes of `recipes/spoken` that each act trains; with --all, the first act gets the second list too.
QUADRANTS = ("speech", "text", FUSION)
OTHER_SYSTEMS = ("speaker_resnet", LATE_FUSION, "multi_level", "wavfusion_quadrants")
OCTANTS = {
    "wavfusion_audio": "wavfusion, speech alone",
    "octants_text": "text",
    "octants_video": "face",
    "wavfusion_audio_text": "wavfusion, speech + text",
    "wavfusion_audio_video": "wavfusion, speech + face",
    "wavfusion": "wavfusion, speech + text + face",
}
WITHHELD = {"audio": "the voice", "text": "the words", "video": "the face"}


def main() -> None:
    """Train what is not trained yet, compare, visit the fusion model from a process without emofusion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/demo"))
    parser.add_argument("--all", action="store_true", help="every system, and a third modality")
    arguments = parser.parse_args()
    folder, code = arguments.output_dir, fingerprint()
    folder.mkdir(parents=True, exist_ok=True)
    quadrants = (*QUADRANTS, *OTHER_SYSTEMS) if arguments.all else QUADRANTS
    try:
        results = {system: trained(system, folder, code) for system in quadrants}
        octants = {OCTANTS[system]: trained(system, folder, code) for system in OCTANTS} if arguments.all else {}
        without = ask_without(folder / "wavfusion", folder) if arguments.all else ""
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"demo.py: {error}")

    print("\nOn held-out speakers and sentences of the spoken demonstration corpus (no benchmark), in percent:\n")
    made = compare(folder, "", results)
    print("\nThe voice tells how aroused, the words tell how pleasant: one alone cannot tell much more than half of")
    print("the four emotions, both together can tell all.")
    if octants:
        print("\nThe same with a drawn face, whose bearing tells how dominant: eight emotions, in percent.\n")
        made += compare(folder, "octants_", octants)
        made.append(("octants_withheld.json", "UA when one of the three modalities is withheld"))
        print(
            "\nEvery modality left out halves what can be told apart. UA of the last model, which learned to do without,"
        )
        print(f"when it is asked without {without}.")
    visit(folder / FUSION, results[FUSION]["labels"])
    print(f"\nMade in {folder}:")
    for name, about in made:
        print(f"  {name:<30} {about}")
    print("  and a folder for each system, a complete Hub repository with its page, README.md")
    print(f"""To try next:
  .venv/bin/python scripts/predict.py {folder / FUSION} RECORDING.wav --text "what is said in it"
  .venv/bin/python scripts/train.py recipes/spoken/cross_attention.yaml --learning_rate 5e-4""")


def compare(folder: Path, prefix: str, results: dict[str, dict]) -> list[tuple[str, str]]:
    """Print the table of an act's systems, write it and draw it; returns the files' names and what they are."""
    table = {system: summarise(run, run["folder"]) for system, run in results.items()}
    print(format_table(table))
    write_json(folder / f"{prefix}results.json", table)
    matrices = {system: run["metrics"]["test"]["confusion_matrix"] for system, run in results.items()}
    draw_confusion_matrices(folder / f"{prefix}confusion_matrix.png", matrices, next(iter(results.values()))["labels"])
    files = {system: Path(run["folder"], "training_log.json") for system, run in results.items()}
    logs = {system: json.loads(file.read_text()) for system, file in files.items() if file.is_file()}
    draw_learning_curves(folder / f"{prefix}learning_curve.png", logs)
    return [
        (f"{prefix}results.json", "the figures of the table"),
        (f"{prefix}confusion_matrix.png", "who is mistaken for whom"),
        (f"{prefix}learning_curve.png", "how they learned"),
    ]


def ask_without(model: Path, folder: Path) -> str:
    """UA on the test part when one modality of the three is withheld; also written."""
    rows = load_corpus("spoken", video=True)["test"]
    scores = {modality: score_without(modality, model, rows)["ua"] for modality in WITHHELD}
    write_json(folder / "octants_withheld.json", scores)
    return ", ".join(f"{name} {100 * scores[modality]:.1f}" for modality, name in WITHHELD.items())


def trained(system: str, folder: Path, code: str) -> dict:
    """The results of a system, and its `folder`: trained now, or earlier by the very same code and recipe."""
    target, mark = folder / system, folder / f".{system}.made_by.json"  # the mark is beside the Hub folder, not in it
    if mark.is_file() and json.loads(mark.read_text()) == code and (target / "results.json").is_file():
        print(f"{system}: trained before by the same code; remove {target} to train it again.")
        return {**json.loads((target / "results.json").read_text()), "folder": str(target)}
    print(f"\n{system}: training", flush=True)
    recipe = [str(ROOT / "recipes" / "spoken" / f"{system}.yaml"), "--output_dir", str(target)]
    if system == LATE_FUSION:
        members = [str(folder / member) for member in QUADRANTS if member != FUSION]
        results = fit_late_fusion(parse_recipe([*recipe, "--members", *members], LATE_FUSION_GROUPS))
    else:
        results = train(parse_recipe(recipe), show_run)
    write_json(mark, code)
    return {**results, "folder": str(target)}


def fingerprint() -> str:
    """Of all code, recipes and templates that a trained folder is made from."""
    digest = hashlib.sha256()
    rooms = (
        "configuration",
        "corpora",
        "hub",
        "hub_cards",
        "metrics",
        "modeling",
        "processing",
        "recipes",
        "training",
    )
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".yaml", ".md")]
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def visit(folder: Path, labels: list[str]) -> None:
    """Load a checkpoint folder in another process, which cannot import emofusion."""
    row = load_corpus("spoken")["test"][0]
    print("\nThe fusion model, loaded by AutoModelForAudioClassification in a process that cannot import emofusion,")
    print("on a recording that it never heard:", flush=True)
    arguments = [str(folder), row["audio"]["path"], row["text"], labels[row["label"]]]
    subprocess.run([sys.executable, str(ROOT / "scripts" / "visit.py"), *arguments], check=True)


if __name__ == "__main__":
    main()
