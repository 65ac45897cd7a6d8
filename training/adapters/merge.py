"""Merge adapters into their base model."""

import json
import shutil
from pathlib import Path

from transformers import AutoModelForAudioClassification, AutoProcessor, PreTrainedConfig, PreTrainedModel

from ...configuration.plain_text import reason_of
from ...corpora.atomic_write import staged
from ...evaluation.predictions import FILE as PREDICTIONS
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ...hub.bundle import write_bundle
from ...hub.card import write_card
from ..lifecycle import LOG
from .base import BASE


def merge_adapter(adapter: str | Path, out: str | Path, base: str | None = None) -> PreTrainedModel:
    """Write a Hub folder with a plain model that gives the same logits as the base model with the adapters.

    Results, predictions and pictures are copied, because they hold for the merged model too.

    Args:
        adapter: The folder of a run with `lora`.
        out: The new folder.
        base: Folder or Hub id of the base model, if it is not where the adapters say.

    Returns:
        The merged model.

    Raises:
        FileNotFoundError: If the folder holds no adapters, or there is no base model.
        ValueError: If the adapters are damaged or do not fit the base, the base is or was quantised, or `out` is not empty.
    """
    from peft import PeftModel

    adapter, out = Path(adapter), Path(out)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (adapter / name).is_file():
            raise FileNotFoundError(f"{adapter} is not a folder of adapters: it has no {name}.")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; give a new folder.")
    results = RunResults.read(adapter) if (adapter / RESULTS).is_file() else None
    base = base or _find_base(adapter)
    fields, _ = PreTrainedConfig.get_config_dict(base)
    if fields.get("quantization_config") or (results is not None and results.recipe.get("quantization")):
        raise ValueError(
            f"The adapters in {adapter} were trained on a quantised base, so merging would round them; load them on it."
        )
    model = AutoModelForAudioClassification.from_pretrained(base, use_safetensors=True)
    try:
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    except (KeyError, RuntimeError) as error:  # of peft and torch, for a weight that is missing or has another shape
        raise ValueError(
            f"The adapters in {adapter} do not fit the base model {base} ({reason_of(error)})."
        ) from error
    processor = AutoProcessor.from_pretrained(adapter)
    out.mkdir(parents=True, exist_ok=True)
    with staged(out) as staging:
        merged.save_pretrained(staging)
        processor.save_pretrained(staging)
        write_bundle(merged, staging, processor)
        for name in (PREDICTIONS, LOG, *(results.pictures if results is not None else ())):
            if (adapter / Path(name).name).is_file():
                shutil.copy(adapter / Path(name).name, staging)
    if results is not None:
        results.adapter = None
        write_card(out, results)
        results.write(out)
    return merged


def _find_base(adapter: Path) -> str:
    """Return the base that adapters name or, if they were moved together with it, the one inside their folder."""
    file = adapter / "adapter_config.json"
    try:
        fields = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged: it is no JSON.") from error
    base = fields.get("base_model_name_or_path") if isinstance(fields, dict) else None
    if not isinstance(base, str) or not base:
        raise ValueError(f"{file} has the base_model_name_or_path {base!r}; name the base model with --base.")
    if not Path(base).is_absolute() or Path(base).is_dir():
        return base
    if (adapter / BASE).is_dir():
        return str(adapter / BASE)
    raise FileNotFoundError(
        f"The adapters in {adapter} are on the base model {base}, which is not there; name another with --base."
    )
