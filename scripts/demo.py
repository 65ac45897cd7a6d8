"""The demonstration: speech only, text only and their fusion, trained on the embedded spoken corpus and compared."""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from emofusion import load_corpus
from emofusion.training.arguments import parse_recipe
from emofusion.training.pictures import draw_confusion_matrices, draw_learning_curves
from emofusion.training.report import format_table, summarise, write_json
from emofusion.training.run import train

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("speech", "text", "cross_attention")
FUSION = "cross_attention"


def main() -> None:
    """Train what is not trained yet, compare, visit the fusion model from a process without emofusion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/demo"))
    folder = parser.parse_args().output_dir
    folder.mkdir(parents=True, exist_ok=True)
    code = fingerprint()
    try:
        results = {system: trained(system, folder / system, code) for system in SYSTEMS}
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"demo.py: {error}")

    table = {system: summarise(results[system], folder / system) for system in SYSTEMS}
    write_json(folder / "results.json", table)
    labels = results[FUSION]["labels"]
    draw_confusion_matrices(
        folder / "confusion_matrix.png",
        {system: results[system]["metrics"]["test"]["confusion_matrix"] for system in SYSTEMS},
        labels,
    )
    logs = {system: json.loads((folder / system / "training_log.json").read_text()) for system in SYSTEMS}
    draw_learning_curves(folder / "learning_curve.png", logs)

    print("\nOn held-out speakers and sentences of the spoken demonstration corpus (no benchmark), in percent:\n")
    print(format_table(table))
    print("\nThe voice tells how aroused, the words tell how pleasant: one alone cannot tell much more than half of")
    print("the four emotions, both together can tell all.")
    visit(folder / FUSION, labels)
    print(f"""
Made in {folder}:
  results.json           the table above
  confusion_matrix.png   who is mistaken for whom
  learning_curve.png     how they learned
  {", ".join(f"{system}/" for system in SYSTEMS)}   each a complete Hub folder with its page, README.md
To try next:
  .venv/bin/python scripts/predict.py {folder / FUSION} RECORDING.wav --text "what is said in it"
  .venv/bin/python scripts/train.py recipes/spoken/cross_attention.yaml --learning_rate 5e-4""")


def trained(system: str, folder: Path, code: str) -> dict:
    """The results of a system: trained now, or earlier by the very same code and recipe."""
    mark = folder.with_name(f".{folder.name}.made_by.json")  # beside the Hub folder, not in it
    if mark.is_file() and json.loads(mark.read_text()) == code and (folder / "results.json").is_file():
        print(f"{system}: trained before by the same code; remove {folder} to train it again.")
        return json.loads((folder / "results.json").read_text())
    print(f"\n{system}: training", flush=True)
    recipe = ROOT / "recipes" / "spoken" / f"{system}.yaml"
    results = train(*parse_recipe([str(recipe), "--output_dir", str(folder)]))
    write_json(mark, code)
    return results


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
