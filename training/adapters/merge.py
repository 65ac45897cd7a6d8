"""Merge adapters into their base model."""

import shutil
from pathlib import Path

from transformers import AutoProcessor, PreTrainedConfig, PreTrainedModel

from ...corpora.atomic_write import staged
from ...evaluation.predictions import FILE as PREDICTIONS
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ...hub.bundle import write_bundle
from ...hub.card import write_card
from ...modeling.modeling_checkpoint import check_files, one_sentence
from ..lifecycle import LOG
from ..model_building import source_named
from .loading import check_adapters, load_adapters


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
    adapter, out = Path(adapter), Path(out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; give a new folder.")
    results = RunResults.read(adapter) if (adapter / RESULTS).is_file() else None
    source = check_adapters(adapter, base)
    with source_named("base", source):
        check_files(source)
        fields, _ = PreTrainedConfig.get_config_dict(source)
    if fields.get("quantization_config") or (results is not None and results.recipe.get("quantization")):
        raise ValueError(
            f"The adapters in {adapter} were trained on a quantised base, so merging would round them; load them on it."
        )
    with one_sentence(adapter):
        merged = load_adapters(adapter, base).merge_and_unload(safe_merge=True)
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
