"""Checkpoint folders through every loader, and calls of processors and pipelines."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile
import torch
from testing_meld import tone, write_video
from testing_pipeline import build as build_pipeline

from .checkpoints import (
    LABELS,
    RATE,
    UTTERANCE,
    check_scores,
    make_adapter,
    make_fusion,
    make_late_fusion,
    make_other,
    make_other_model,
    spoil_checkpoint,
)
from .judging import Ended, run_command
from .spoil_bytes import spoil_bytes
from .spoil_trees import spoil_tree
from .target import Spoiled, Target

FILES = ("config.json", "config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json")
FILES += ("model.safetensors", "model.safetensors", "*.json")
PIPELINES: dict[str, Any] = {}  # loaded before the processes are forked


def build_fusion(folder: Path) -> Path:
    make_other_model(folder)
    return make_fusion(folder)


def others(valid: Path) -> list[Path]:
    return [make_other(valid.parent)]


def other_models(valid: Path) -> list[Path]:
    return [make_other_model(valid.parent)]


def ask_pipeline(folder: str | Path) -> list:
    """Return the scores of the pipeline of a folder, with all inputs and without the text."""
    from transformers import pipeline

    recognise = pipeline("emotion-recognition", model=str(folder))
    return [recognise(UTTERANCE), recognise({**UTTERANCE, "text": None})]


def ask_classes(folder: str | Path) -> list:
    """Return the scores of model and processor, loaded one by one."""
    from emofusion import EmoFusionProcessor
    from transformers import AutoModelForAudioClassification

    model = AutoModelForAudioClassification.from_pretrained(folder)
    processor = EmoFusionProcessor.from_pretrained(folder)
    batch = processor(UTTERANCE["audio"], UTTERANCE["text"])
    with torch.no_grad():
        scores = model(**batch).logits.softmax(-1).tolist()
    return [
        [{"label": model.config.id2label[number], "score": score} for number, score in enumerate(row)]
        for row in scores
    ]


def check_logits(answer: list, intact: list | None, spoiled: Spoiled) -> str | None:
    """Accept what `check_scores` accepts, and infinities of finite weights: only who makes scores of logits sees them."""
    return None if "is huge" in spoiled.what else check_scores(answer, intact, spoiled)


def predict(folder: str | Path) -> Ended:
    sound = Path(folder).parent / "sound.wav"
    soundfile.write(sound, UTTERANCE["audio"]["array"], RATE)
    return run_command(["predict", str(folder), str(sound), "--text", UTTERANCE["text"]])


def merge(folder: str | Path) -> Ended:
    """Merge adapters, and predict with what came out."""
    merged = Path("merged")
    shutil.rmtree(merged, ignore_errors=True)
    ended = run_command(["merge-adapter", str(folder), str(merged)])
    return ended if ended["status"] else predict(merged.resolve())


def check_printed(answer: Ended, intact: dict | None, spoiled: Spoiled) -> str | None:
    """Accept the same printed scores, where they must not change, and no scores that are not finite."""
    printed = answer["out"].splitlines()[-len(LABELS) :]
    if "nan" in answer["out"]:
        return f"the scores {printed}"
    if not spoiled.keeps or intact is None:
        return None
    before = intact["out"].splitlines()[-len(LABELS) :]
    return None if printed == before else f"printed {printed}, before {before}"


def build_call(folder: Path) -> dict[str, Any]:
    """Return arguments of a call of the pipeline; the pipeline is loaded beforehand."""
    PIPELINES["fusion"] = build_pipeline()
    soundfile.write(folder / "a.wav", tone(0.4, 500), RATE)
    spans = {"start": [0.1, 0.2], "end": [0.2, 0.3], "symbol": ["hello", "there"]}
    return {
        "inputs": [
            {**UTTERANCE, "alignment": {"word": spans, "phone": None}},
            {"audio": str(folder / "a.wav"), "text": "what a morning"},
            {"audio": {"path": str(folder / "a.wav"), "bytes": None}, "text": None},
            {"audio": (folder / "a.wav").read_bytes()},
            {"text": "go away"},
        ],
        "batch_size": 2,
        "top_k": None,
        "timeout": 5.0,
    }


def spoil_call(random: Random, valid: dict, folder: Path) -> Spoiled:
    what, arguments, _ = spoil_tree(random, valid)
    return Spoiled(what, arguments)


def call_pipeline(arguments: dict[str, Any]) -> list:
    """Return the scores of all utterances; of one alone if there is but one."""
    arguments = dict(arguments)
    found = PIPELINES["fusion"](arguments.pop("inputs", None), **arguments)
    return found if not found or isinstance(found[0], list) else [found]


def check_call(answer: list, intact: list | None, spoiled: Spoiled) -> str | None:
    """Accept distributions, and parts of them where `top_k` asked for these."""
    return None if "top_k" in spoiled.what else check_scores(answer, intact, spoiled)


def build_listed(folder: Path) -> dict[str, bytes]:
    soundfile.write(folder / "a.wav", tone(0.4, 500), RATE)
    write_video(folder / "a.mp4", 0.4, 300)
    return {name: (folder / name).read_bytes() for name in ("a.wav", "a.mp4")}


def spoil_one_of_list(random: Random, valid: dict[str, bytes], folder: Path) -> Spoiled:
    name = random.choice(list(valid))
    what, data = spoil_bytes(random, valid[name])
    return Spoiled(f"{name}: {what}", data)


def call_with_one_bad(data: Any) -> list:
    """Return the scores of two good recordings that are given together with another one."""
    good, bad = UTTERANCE, {"audio": data if isinstance(data, bytes) else data["a.wav"]}
    found = PIPELINES["fusion"]([good, bad, good], on_error="return", batch_size=2)
    assert len(found) == 3
    return [found[0], found[2]]


def check_good_ones(answer: list, intact: list | None, spoiled: Spoiled) -> str | None:
    """Accept the scores of the good recordings alone: the bad one must not change them."""
    return check_scores(answer, intact, Spoiled(spoiled.what, None, keeps=True))


def build_processor_call(folder: Path) -> dict[str, Any]:
    PIPELINES["video"] = build_pipeline("wavfusion").processor
    PIPELINES["video"].max_seconds = 1.0
    spans = {"start": [0.1, 0.2], "end": [0.2, 0.3], "symbol": ["AA", "SIL"]}
    return {
        "audio": [tone(0.4, 300), tone(0.2, 500), None],
        "text": ["hello there", None, "what a morning"],
        "video": [np.zeros((3, 20, 24, 3), np.uint8), np.full((1, 20, 24, 3), 9, np.uint8), None],
        "alignment": [{"word": spans, "phone": spans}, None, {"syllable": spans}],
        "sampling_rate": RATE,
        "padding": True,
        "return_tensors": "np",
    }


def call_processor(arguments: dict[str, Any]) -> dict:
    """Return the shapes of a batch, which must be finite."""
    batch = PIPELINES["video"](**arguments)
    arrays = {name: np.asarray(value) for name, value in batch.items()}
    assert all(np.isfinite(array).all() for array in arrays.values())
    return {name: list(array.shape) for name, array in arrays.items()}


TARGETS = [
    Target(
        "checkpoint-pipeline", "inference", build_fusion, spoil_checkpoint(*FILES, others=others), ask_pipeline,
        check_scores, 5, by_library=True,
    ),
    Target(
        "checkpoint-classes", "modeling", build_fusion, spoil_checkpoint(*FILES, others=other_models), ask_classes,
        check_logits, 3, by_library=True,
    ),
    Target(
        "checkpoint-predict", "cli", build_fusion, spoil_checkpoint(*FILES, others=others), predict, check_printed, 3
    ),
    Target(
        "checkpoint-late-fusion", "modeling", make_late_fusion,
        spoil_checkpoint(*FILES, "**/*.json"), ask_pipeline, check_scores, 3, by_library=True,
    ),
    Target(
        "adapter-predict", "training", make_adapter,
        spoil_checkpoint("adapter_*", "adapter_*", "*.json"), predict, check_printed, 3,
    ),
    Target(
        "adapter-merge", "training", make_adapter,
        spoil_checkpoint("adapter_*", "adapter_*", "*.json"), merge, check_printed, 2,
    ),
    Target("pipeline-call", "inference", build_call, spoil_call, call_pipeline, check_call, 3, lenient=True),
    Target("pipeline-list", "inference", build_listed, spoil_one_of_list, call_with_one_bad, check_good_ones, 1),
    Target("processor-call", "inference", build_processor_call, spoil_call, call_processor, weight=2, lenient=True),
]  # fmt: skip
