"""`emofusion demo`: train on the spoken demonstration corpus, and show that fusion beats one modality."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration.modalities import MODALITIES
from .commands import Parser, read_recipe
from .output import announce, conclude

if TYPE_CHECKING:
    from ..evaluation.results import RunResults

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes" / "spoken"
FUSION = "cross_attention"
LATE_FUSION = "late_fusion"

# Recipes of `recipes/spoken`: four emotions, which depend on voice and words; with --all, the others too.
QUADRANTS = ("speech", "text", FUSION)
OTHER_SYSTEMS = ("speaker_resnet", LATE_FUSION, "multi_level", "wavfusion_quadrants")
# With --all, eight emotions, which depend on the face too: recipe -> name in the tables.
OCTANTS = {
    "wavfusion_audio": "wavfusion, speech",
    "octants_text": "text",
    "octants_video": "video",
    "wavfusion_audio_text": "wavfusion, speech + text",
    "wavfusion_audio_video": "wavfusion, speech + video",
    "wavfusion": "wavfusion, speech + text + video",
}

# Folders with what a trained model depends on.
ROOMS = ("configuration", "corpora", "evaluation", "hub", "hub_cards", "metrics", "modeling", "processing")
ROOMS += ("recipes", "training")


def run(argv: list[str]) -> None:
    """Train the systems that are not trained yet, compare them, and use one without emofusion."""
    parser = Parser("demo", "Options of emofusion train are passed on to every training.")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/demo"), help="default: %(default)s")
    parser.add_argument("--all", action="store_true", help="train every system, and add video as a third modality")
    parser.add_argument(
        "--resume_from_checkpoint", choices=["true"], help="resume the training that was interrupted, if there is one"
    )
    parser.check(argv)
    arguments, options = parser.parse_known_args(argv)

    import espeakng_loader  # noqa: F401 (first, because its extra installs all that the demonstration needs)

    from ..training.recipe import TRAINING

    # A wrong option is reported before anything is done.
    read_recipe([str(RECIPES / f"{FUSION}.yaml"), *options], TRAINING)
    demonstrate(arguments.output_dir, arguments.all, options, arguments.resume_from_checkpoint is not None)


def demonstrate(folder: Path, every_system: bool, options: list[str], resume: bool = False) -> None:
    """Run the demonstration.

    Args:
        folder: Folder for the folders of the systems, the tables and the pictures.
        every_system: Whether to train all systems, and the three modalities.
        options: Options of `emofusion train` for every training.
        resume: Whether to resume a training that was interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {"code": fingerprint(), "options": options}
    systems = (*QUADRANTS, *OTHER_SYSTEMS) if every_system else QUADRANTS
    corpora = "both demonstration corpora" if every_system else "the demonstration corpus"
    what = f"{len(systems) + len(OCTANTS) * every_system} systems on {corpora}"
    since = announce(f"Training {what}", folder)
    results = {system: train_once(system, folder, state, resume) for system in systems}
    octants = {system: train_once(system, folder, state, resume) for system in OCTANTS} if every_system else {}
    withheld = score_without_modalities(folder, options) if every_system else {}

    print(
        "\nTest scores in percent, on speakers and sentences that training did not use (synthetic speech, no benchmark):\n"
    )
    files = compare(folder, "", results)
    print("\nThe voice carries the arousal, the words carry the valence. From one of them, a system can distinguish")
    print("two pairs of emotions; from both, all four emotions.")
    if octants:
        print("\nWith a drawn face, which carries the dominance, there are eight emotions. Test scores in percent:\n")
        files |= compare(folder, "octants_", octants)
        files["octants_withheld.json"] = "UA of the last model without one of its modalities"
        scores = ", ".join(f"{MODALITIES[modality].word} {100 * ua:.1f}" for modality, ua in withheld.items())
        print("\nEach missing modality halves the number of distinguishable emotions. The last model was trained")
        print(f"with modality dropout; its UA without each modality: {scores}.")
    use_without_emofusion(folder / FUSION, options)
    print(f"\nFiles in {folder}:")
    for name, content in files.items():
        print(f"  {name:<30} {content}")
    holds = f"{folder} holds a folder for each system, which is a complete Hub repository with its card (README.md)."
    predict = f'{find_command()} predict {folder / FUSION} RECORDING.wav --text "TRANSCRIPT"'
    train_again = f"{find_command()} train {shorten(RECIPES / FUSION)}.yaml --learning_rate 5e-4"
    conclude(f"Trained {what}", since, holds, [predict, train_again])


def train_once(system: str, folder: Path, state: dict, resume: bool = False) -> "RunResults":
    """Return the results of a system, which is trained unless the same code and options trained it before.

    Args:
        system: Name of a recipe in `recipes/spoken`.
        folder: Folder for the folder of the system.
        state: Fingerprint of the code, and the options.
        resume: Whether to resume from the last checkpoint, where the system has any.
    """
    from ..corpora.atomic_write import write_json
    from ..evaluation.results import RunResults
    from ..training.checkpoints import list_checkpoints
    from ..training.console import show_run
    from ..training.late_fusion.fit import fit_late_fusion
    from ..training.recipe import LATE_FUSION as LATE_FUSION_GROUPS
    from ..training.recipe import TRAINING
    from ..training.run import train

    target, record = (
        folder / system,
        folder / f".{system}.made_by.json",
    )  # outside the folder, which is a Hub repository
    if record.is_file() and json.loads(record.read_text("utf-8")) == state and (target / "results.json").is_file():
        print(f"{system}: trained before by the same code; remove {target} to train it again.")
        return RunResults.read(target)
    print(f"\nTraining {system}.", flush=True)
    argv = [str(RECIPES / f"{system}.yaml"), "--output_dir", str(target), *state["options"]]
    if resume and list_checkpoints(target):
        argv += ["--resume_from_checkpoint", "true"]
    if system == LATE_FUSION:
        members = [str(folder / member) for member in QUADRANTS if member != FUSION]
        results = fit_late_fusion(read_recipe([*argv, "--members", *members], LATE_FUSION_GROUPS))
    else:
        results = train(read_recipe(argv, TRAINING), show_run)
    write_json(record, state)
    return results


def compare(folder: Path, prefix: str, results: dict[str, "RunResults"]) -> dict[str, str]:
    """Print a table of systems, write it and draw it; return what each file holds, by its name.

    Args:
        folder: Folder of the demonstration.
        prefix: Beginning of the names of the files.
        results: Results of each system, by the name of its recipe.
    """
    from ..corpora.atomic_write import write_json
    from ..evaluation.pictures import draw_confusion_matrices, draw_learning_curves
    from ..evaluation.task import task_of_results
    from ..training.console import format_table, summarise

    names = {system: OCTANTS.get(system, system) for system in results}
    table = {name: summarise(results[system], folder / system) for system, name in names.items()}
    print(format_table(table, task_of_results(next(iter(results.values())))))
    write_json(folder / f"{prefix}results.json", table)
    matrices = {name: results[system].metrics["test"].confusion_matrix for system, name in names.items()}
    draw_confusion_matrices(folder / f"{prefix}confusion_matrix.png", matrices, next(iter(results.values())).labels)
    files = {name: folder / system / "training_log.json" for system, name in names.items()}
    logs = {name: json.loads(file.read_text("utf-8")) for name, file in files.items() if file.is_file()}
    draw_learning_curves(folder / f"{prefix}learning_curve.png", logs)
    return {
        f"{prefix}results.json": "the scores of the table",
        f"{prefix}confusion_matrix.png": "confusion matrices",
        f"{prefix}learning_curve.png": "learning curves",
    }


def score_without_modalities(folder: Path, options: list[str]) -> dict[str, float]:
    """Return the UA of the model of three modalities on the test split without each of them, and write it."""
    from ..corpora.atomic_write import write_json
    from ..training.run import score_without

    rows = load_test_split("wavfusion", options)
    scores = {modality: score_without(modality, folder / "wavfusion", rows).ua for modality in MODALITIES}
    write_json(folder / "octants_withheld.json", scores)
    return scores


def use_without_emofusion(folder: Path, options: list[str]) -> None:
    """Classify a test recording with a checkpoint folder, in a process that cannot import emofusion."""
    rows = load_test_split(FUSION, options)
    row, label = rows[0], rows.features["label"].int2str(rows[0]["label"])
    print(
        "\nThe fusion model, loaded by AutoModelForAudioClassification in a process without emofusion, on a recording"
    )
    print("of the test split:", flush=True)
    # Without -P, Python would first look for libraries in the folder of the file.
    command = [sys.executable, "-P", str(Path(__file__).with_name("without_emofusion.py"))]
    subprocess.run([*command, str(folder), row["audio"]["path"], row["text"], label], check=True)


def load_test_split(system: str, options: list[str]):
    """Return the test split that a system of the demonstration is tested on."""
    from ..corpora import load_corpus
    from ..training.recipe import TRAINING

    data = read_recipe([str(RECIPES / f"{system}.yaml"), *options], TRAINING).data
    return load_corpus(data.corpus, data.corpus_root, **data.corpus_options)["test"]


def fingerprint() -> str:
    """Return a digest of the code, recipes and templates that a trained model depends on."""
    digest = hashlib.sha256()
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".yaml", ".md")]
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def find_command() -> str:
    """Return how to call emofusion here: its path, unless the shell finds it."""
    return "emofusion" if shutil.which("emofusion") else shorten(Path(sys.executable).with_name("emofusion"))


def shorten(path: Path) -> str:
    """Return a path relative to the working folder if it is inside, else the whole path."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
