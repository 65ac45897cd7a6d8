"""Folders of tiny models for the fuzzer, and how they are spoiled."""

import shutil
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from testing_common import CASES, IMAGE
from testing_meld import tone
from testing_model_folder import LABELS, make_model_folder

from .spoil_folder import add_file, spoil_folder
from .target import Spoiled

RATE = 16000
WORDS = [f"word{number}" for number in range(120)]  # more than the tiny models can embed
UTTERANCE = {"audio": {"array": tone(0.5, 300), "sampling_rate": RATE}, "text": "hello there"}


def once(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Make a folder once for all targets: nobody changes it."""
    made: list[Path] = []

    @wraps(make)
    def find(folder: Path) -> Path:
        if not (made and made[-1].is_dir()):
            made.append(make(folder))
        return made[-1]

    return find


def find_case(name: str) -> Any:
    return next(case for case in CASES if case.name == name)


def make_tokenizer(words: Iterable[str]) -> Any:
    from transformers import BertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}, model_max_length=32)


@once
def make_fusion(folder: Path) -> Path:
    """Write the folder of a finished run of speech and text."""
    make_model_folder(folder / "fusion")
    shutil.rmtree(folder / "fusion" / "checkpoint-3")
    return folder / "fusion"


@once
def make_other(folder: Path) -> Path:
    """Write a folder of a model with video and other sizes, whose tokenizer has more words than any tiny model embeds."""
    from emofusion import EmoFusionProcessor
    from transformers import ViTImageProcessorPil, Wav2Vec2FeatureExtractor

    model = find_case("wavfusion").model(id2label={0: "sad", 1: "happy", 2: "angry"}, text_config=_wide_text())
    images = ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), make_tokenizer(WORDS), images)
    model.save_pretrained(folder / "other")
    processor.save_pretrained(folder / "other")
    return folder / "other"


@once
def make_other_model(folder: Path) -> Path:
    """Write the same without the processor, whose fit to a model nobody can check who loads them one by one."""
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(make_other(folder) / name, folder / "model" / name)
    return folder / "model"


def _wide_text() -> dict:
    return find_case("wavfusion").fields["text_config"] | {"vocab_size": 200}


@once
def make_late_fusion(folder: Path) -> Path:
    """Write a late fusion of four members, two of which have a tokenizer of their own."""
    from emofusion import EmoFusionProcessor
    from emofusion.processing.processing_late_fusion import LateFusionProcessor
    from transformers import Wav2Vec2FeatureExtractor

    model = find_case("late_fusion").model(id2label=dict(enumerate(LABELS)))
    texts = [EmoFusionProcessor(tokenizer=make_tokenizer(words)) for words in (["hello"], ["there", "hello"])]
    sounds = [EmoFusionProcessor(Wav2Vec2FeatureExtractor(do_normalize=choice)) for choice in (True, False)]
    model.save_pretrained(folder / "late")
    LateFusionProcessor.from_members([sounds[0], texts[0], sounds[1], texts[1]]).save_pretrained(folder / "late")
    return folder / "late"


@once
def make_adapter(folder: Path) -> Path:
    """Write adapters that change the answer, for a base model beside them."""
    from emofusion.hub import write_bundle
    from emofusion.training.adapters.lora import find_targets, put_adapters
    from emofusion.training.adapters.lora_settings import Lora

    model, processor = make_model_folder(folder / "base")
    model.name_or_path = str(folder / "base")
    lora = Lora(rank=2)
    torch.manual_seed(0)
    adapted = put_adapters(model, lora, find_targets(model, lora))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    adapted.save_pretrained(folder / "adapter")
    processor.save_pretrained(folder / "adapter")
    write_bundle(None, folder / "adapter", processor)
    return folder / "adapter"


def spoil_checkpoint(
    *files: str, others: Callable[[Path], Iterable[Path]] = lambda valid: ()
) -> Callable[[Random, dict, Path], Spoiled]:
    """Return how to spoil a checkpoint: its files, or a file more.

    Args:
        files: Patterns of the files.
        others: Returns the folders of other models, given the intact one.
    """

    def spoil(random: Random, valid: Any, into: Path) -> Spoiled:
        valid = Path(valid)
        if random.random() < 0.12:
            folder = Path(shutil.copytree(valid, into / valid.name))
            return Spoiled(add_file(random, folder), folder, keeps=True)
        return spoil_folder(random, valid, into, files, others(valid))

    return spoil


def check_scores(answer: list, intact: list | None, spoiled: Spoiled) -> str | None:
    """Accept distributions over distinct labels; where the answer must not change, to 1e-5."""
    for entries in answer:
        labels, scores = [entry["label"] for entry in entries], [entry["score"] for entry in entries]
        if not np.isfinite(scores).all() or abs(sum(scores) - 1) > 1e-3:
            return f"the scores {[round(score, 3) for score in scores]} are no distribution"
        if len(set(labels)) < len(labels) or not all(isinstance(label, str) and label for label in labels):
            return f"the labels {labels} are not distinct names"
    if not spoiled.keeps or intact is None:
        return None
    before, after = ([{entry["label"]: entry["score"] for entry in row} for row in rows] for rows in (intact, answer))
    if [row.keys() for row in before] != [row.keys() for row in after]:
        return f"the labels {[list(row) for row in after]}, before {[list(row) for row in before]}"
    moved = max(abs(row[label] - other[label]) for row, other in zip(before, after, strict=True) for label in row)
    return f"the scores moved by {moved:.3g}" if moved > 1e-5 else None
