"""A tiny folder of a trained model, as a run writes it, and changes to it."""

import json
from pathlib import Path

import torch
from emofusion.hub import write_bundle, write_card
from emofusion.processing import EmoFusionProcessor
from PIL import Image
from safetensors.torch import save_file
from testing_common import CASES
from transformers import BertTokenizer, PreTrainedModel, Wav2Vec2FeatureExtractor

LABELS = ["angry", "happy", "calm"]
RESULTS = {
    "format": 1,
    "system": "cross_attention",
    "labels": LABELS,
    "modalities": ["audio", "text"],
    "corpus": {"name": "mine", "title": "my corpus", "license": "CC BY 4.0"},
    "metrics": {"test": {"wa": 0.75, "ua": 0.5, "wf1": 0.7}},
    "pictures": ["confusion_matrix.png"],
}


def make_model_folder(folder: Path, **fields) -> tuple[PreTrainedModel, EmoFusionProcessor]:
    """Write the folder; return its model, with other fields of its configuration if they are given, and processor."""
    case = next(case for case in CASES if case.name == "cross_attention")
    model = case.model(num_labels=len(LABELS), id2label=dict(enumerate(LABELS)), **fields)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "there"]
    tokenizer = BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_bundle(model, folder, processor)
    Image.new("RGB", (4, 4)).save(folder / "confusion_matrix.png")
    (folder / "results.json").write_text(json.dumps(RESULTS))
    write_card(folder)
    (folder / "predictions.jsonl").write_text('{"id": "Ses01"}\n')
    (folder / "splits.json").write_text('{"1": {"train": ["Ses01"]}}\n')
    (folder / "seed-1").mkdir()
    (folder / "checkpoint-3").mkdir()
    torch.save({}, folder / "checkpoint-3" / "optimizer.pt")
    return model, processor


def change_results(folder: Path, **fields) -> None:
    """Set fields of `results.json`."""
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def make_adapter(folder: Path, base: str | Path) -> None:
    """Turn the folder into one with adapters for a base model."""
    processor = EmoFusionProcessor.from_pretrained(folder)
    for file in [folder / "config.json", folder / "model.safetensors", *folder.glob("*.py")]:
        file.unlink()
    write_bundle(None, folder, processor)
    names = [f"model.audio_encoder.layers.{number}.query" for number in (0, 1)]
    weights = {f"{name}.{kind}.weight": torch.ones(2, 2) for name in names for kind in ("lora_A", "lora_B")}
    weights |= {"classifier.weight": torch.ones(2)}
    save_file(
        {f"base_model.model.{name}": value for name, value in weights.items()}, folder / "adapter_model.safetensors"
    )
    config = {
        "base_model_name_or_path": str(base),
        "target_modules": r"model\.audio_encoder\.layers\.(0|1)\.query",
        "modules_to_save": ["classifier", "score"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    change_results(folder, adapter={"method": "lora", "base_model": str(base)})
