"""The base model of adapters: find or save it, and load it quantised."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel, ProcessorMixin, TrainingArguments

from ...configuration.modalities import MODALITIES
from ...corpora.atomic_write import staged
from ...hub.bundle import write_bundle

BASE = "base"  # folder of the base model, inside that of the adapters

BASE_CARD = """---
library_name: transformers
tags:
- emotion-recognition
- emofusion
{encoders}---

# Base of an adapter

This is the base model of an emofusion adapter: the encoders, with an untrained fusion and head. It recognises nothing by itself;
load the adapter, which names it as its base.
"""


def find_source(model: PreTrainedModel, source: str | None) -> str | None:
    """Return the checkpoint that a model was loaded from, if it equals the model and is complete; else None."""
    saved = None if source is None else type(model.config).from_pretrained(source)
    if saved is None or _comparable(saved) != _comparable(model.config):
        return None
    if saved.dtype not in (None, model.dtype):  # the adapters are trained on other numbers than the checkpoint's
        return None
    if type(model).__name__ not in (saved.architectures or ()):  # without a head it would not load as a base
        return None
    return str(Path(source).resolve()) if Path(source).is_dir() else source


def save_base(model: PreTrainedModel, processor: ProcessorMixin, args: TrainingArguments) -> str:
    """Save a model as a Hub folder inside the output folder, for its adapters to name, and return that folder."""
    folder = Path(args.output_dir, BASE).resolve()
    with args.main_process_first(desc="saving the base model"):
        if args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            names = [getattr(model.config, modality.config_field) for modality in MODALITIES.values()]
            names = [config.name_or_path for config in names if config is not None and config.name_or_path]
            listed = "".join(f"- {name}\n" for name in names if not Path(name).exists())
            with staged(folder) as staging:
                model.save_pretrained(staging)
                processor.save_pretrained(staging)
                write_bundle(model, staging, processor)
                card = BASE_CARD.format(encoders=f"base_model:\n{listed}" if listed else "")
                (staging / "README.md").write_text(card, encoding="utf-8")
    return str(folder)


def load_quantized(model: PreTrainedModel, base: str, quantization: str, whole: list[str]) -> PreTrainedModel:
    """Load a saved model again, with the linear layers of its encoders in 8 or 4 bit; the modules in `whole` are not quantised."""
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_8bit=quantization == "8bit",
        load_in_4bit=quantization == "4bit",
        bnb_4bit_quant_type="nf4",
        llm_int8_skip_modules=whole,
    )
    model = type(model).from_pretrained(base, quantization_config=config, use_safetensors=True)
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def check_quantization(args: TrainingArguments) -> None:
    """Check that quantised weights can be used.

    Raises:
        ImportError: If bitsandbytes is not installed.
        ValueError: If there is no CUDA device.
    """
    from transformers.utils import is_bitsandbytes_available

    if not torch.cuda.is_available() or args.device.type != "cuda":
        raise ValueError("quantization needs a CUDA device, and this run has none; leave it out.")
    if not is_bitsandbytes_available():
        raise ImportError("quantization needs bitsandbytes: pip install bitsandbytes, or leave it out.")


def _comparable(config: PreTrainedConfig) -> dict:
    """Return the fields of a configuration that a loaded model depends on; those of the loss belong to a run."""
    left_out = {
        *("class_weights", "label_smoothing", "focal_gamma", "dimension_loss", "loss_weights", "problem_type"),
        *("architectures", "auto_map", "custom_pipelines", "dtype", "transformers_version", "_name_or_path"),
    }

    def keep(fields: Mapping) -> dict:
        kept = {name: value for name, value in fields.items() if name not in left_out}
        return {name: keep(value) if isinstance(value, dict) else value for name, value in kept.items()}

    return keep(config.to_dict())
