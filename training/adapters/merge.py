"""From adapters and their base to one plain checkpoint."""

import json
import shutil
from pathlib import Path

from transformers import AutoModelForAudioClassification, AutoProcessor, PreTrainedConfig, PreTrainedModel

from ...corpora.atomic_write import staged
from ...evaluation.predictions import FILE
from ...hub.bundle import write_bundle
from ...hub.card import write_card
from ..report import write_json
from .base import BASE


def merge_adapter(adapter: str | Path, out: str | Path, base: str | None = None) -> PreTrainedModel:
    """Write a Hub folder whose model has the adapters added into its weights, and gives the same logits.

    What was measured is copied: it holds of the merged model as well.

    Args:
        adapter: folder that a run with `lora` left.
        out: new folder.
        base: folder or Hub id of the base model, if it is not where the adapters say.

    Returns:
        The merged model.

    Raises:
        FileNotFoundError: if there are no adapters in the folder, or no base model.
        ValueError: if the base is, or was in training, quantised, or `out` is not empty.
    """
    from peft import PeftModel

    adapter, out = Path(adapter), Path(out)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (adapter / name).is_file():
            raise FileNotFoundError(f"{adapter} is not a folder of adapters: it has no {name}.")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: give a new folder.")
    results = _read(adapter / "results.json")
    base = base or _find_base(adapter)
    fields, _ = PreTrainedConfig.get_config_dict(base)
    if fields.get("quantization_config") or results.get("recipe", {}).get("quantization"):
        raise ValueError(
            f"The adapters in {adapter} were trained on a quantised base, and merging would round them: load them on it."
        )
    model = AutoModelForAudioClassification.from_pretrained(base, use_safetensors=True)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    processor = AutoProcessor.from_pretrained(adapter)
    out.mkdir(parents=True, exist_ok=True)
    with staged(out) as staging:
        merged.save_pretrained(staging)
        processor.save_pretrained(staging)
        write_bundle(merged, staging, processor)
        if results:
            for name in (*results.get("pictures", []), FILE, "training_log.json"):
                if (adapter / Path(name).name).is_file():
                    shutil.copy(adapter / Path(name).name, staging)
            results["adapter"] = None
            write_card(staging, results)
            write_json(staging / "results.json", results)
    return merged


def _find_base(adapter: Path) -> str:
    """The base that adapters name or, if they were moved together with it, the one inside their folder."""
    base = _read(adapter / "adapter_config.json").get("base_model_name_or_path") or ""
    if not Path(base).is_absolute() or Path(base).is_dir():
        return base
    if (adapter / BASE).is_dir():
        return str(adapter / BASE)
    raise FileNotFoundError(f"The adapters in {adapter} are on the base model {base}, which is not there: name it.")


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
