"""Loading of a model to infer with, and the one rule for its device and dtype (docs/loading.md, "Device and dtype")."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..configuration.folder_checks import check_folder, find_file, read_object
from ..configuration.plain_text import one_line, show_dtype
from ..inference.model_names import ADAPTER_CONFIG, CONFIG, name_model

AUTO = "auto"
DTYPES = (AUTO, "float32", "bfloat16", "float16")


def load_pipeline(
    folder: str,
    revision: str | None = None,
    transcriber: str | None = None,
    device: str | None = None,
    dtype: str | None = AUTO,
    report: Callable[[str], None] | None = None,
) -> Any:
    """Return the pipeline of a model.

    Args:
        folder: Folder of a trained model, or its name on the Hub.
        revision: Branch, tag or commit of the Hub repository.
        transcriber: Hub name or folder of a speech recogniser that makes missing transcripts.
        device: The device of the model; None means a GPU if there is one.
        dtype: The dtype of the model. `"auto"` is the dtype that was saved; but on a CPU with units for bfloat16 a large
            float32 model runs in bfloat16 if a check shows that its scores stay the same. None is the dtype that was
            saved without that check, which takes longer than it saves for a recording of seconds.
        report: Called with a sentence that says the device and the dtype.

    Raises:
        ValueError: If the folder does not exist or holds no model, or the device or the dtype cannot be used.
    """
    check_model(folder)
    check_device(device)
    from transformers import pipeline
    from transformers.utils import logging

    from ..modeling.modeling_dtype import cast_if_faster, choose_dtype

    logging.disable_progress_bar()
    model, processor = load_model(folder, revision or "main", None if dtype == AUTO else dtype)
    recognise = pipeline(
        "emotion-recognition", model=model, processor=processor, transcriber=transcriber, device=device
    )
    if report is None:
        if dtype == AUTO:
            choose_dtype(recognise.model)  # which logs a message for Python
        return recognise
    chosen = cast_if_faster(recognise.model) if dtype == AUTO else None
    report(describe_model(name_model(folder), recognise, dtype, chosen))
    return recognise


def load_model(folder: str, revision: str = "main", dtype: str | None = None) -> tuple[Any, Any]:
    """Return the model and the processor of a folder, or of a repository on the Hub.

    Args:
        folder: See `load_pipeline`.
        revision: See `load_pipeline`.
        dtype: The dtype of the weights; None means the one that was saved.

    Raises:
        ValueError: If one of them cannot be loaded.
    """
    from transformers import AutoModelForAudioClassification, AutoProcessor

    try:
        if Path(folder, ADAPTER_CONFIG).is_file():  # older transformers load only parts of it
            model = _load_adapters(folder, dtype)
        else:
            dtype = dtype or _saved_dtype(folder, revision)
            model = AutoModelForAudioClassification.from_pretrained(folder, revision=revision, dtype=dtype)
    except OSError as error:
        if Path(folder).exists():
            raise
        raise ValueError(f"{folder} is no folder here, and does not load from the Hub: {error}") from error
    try:
        return model, AutoProcessor.from_pretrained(folder, revision=revision)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:  # of many kinds, for damaged files
        reason = str(error) if folder in str(error) else f"{folder}: the processor cannot be loaded: {error}"
        raise ValueError(reason) from error


def check_model(folder: str) -> None:
    """Check that a folder holds a model; a name on the Hub is not checked.

    Args:
        folder: See `load_pipeline`.

    Raises:
        ValueError: If it holds none.
    """
    if Path(folder).exists() and not any(Path(folder, name).is_file() for name in (CONFIG, ADAPTER_CONFIG)):
        raise ValueError(f"{folder} holds no model: it has no config.json.")
    check_folder(folder)


def check_device(device: str | None) -> None:
    """Check that a device can be used.

    Args:
        device: Its name; None means the default one.

    Raises:
        ValueError: If it cannot.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ValueError(f"The device {device} cannot be used: {reason}.") from error


def _saved_dtype(folder: str, revision: str) -> str:
    """Return the dtype that was saved. Given by its name, it is kept; `"auto"` of `from_pretrained` may choose another."""
    file = find_file(folder, CONFIG, revision=revision)
    fields = {} if file is None else read_object(file)
    saved = fields.get("dtype") or fields.get("torch_dtype")
    return saved if isinstance(saved, str) and saved in ("bfloat16", "float16", "float64") else "float32"


def _load_adapters(folder: str, dtype: str | None) -> Any:
    """Return the base model of adapters with the adapters in it, all in one dtype if one is given."""
    import torch

    from ..modeling.modeling_dtype import set_dtype
    from ..training.adapters.loading import load_adapters

    model = load_adapters(folder)
    if dtype not in (None, "float32"):  # which it is
        if getattr(model.config, "quantization_config", None) is not None:
            raise ValueError(
                f"The base model of {folder} has quantised weights, whose dtype is fixed: leave out dtype (--dtype)."
            )
        set_dtype(model, getattr(torch, dtype))
    return model


def describe_model(name: str, recognise: Any, dtype: str | None = None, chosen: str | None = None) -> str:
    """Return a sentence on the device and the dtype of a model, and on the option for a better one.

    Args:
        name: The name of the model.
        recognise: Its pipeline.
        dtype: See `load_pipeline`.
        chosen: What `cast_if_faster` chose.
    """
    import torch

    own, device, remedy = show_dtype(recognise.model.dtype), recognise.device, ""
    place = "the CPU" if device.type == "cpu" else f"the GPU {device}" if device.type == "cuda" else str(device)
    if chosen and own != "float32":
        remedy = "; --dtype float32 is slower and more precise"
    elif dtype in (AUTO, None) and own == "float32" and device.type == "cuda" and torch.cuda.is_bf16_supported(False):
        remedy = "; --dtype bfloat16 is faster and less precise"
    return f"{one_line(name)} runs on {place} in {chosen or own}{remedy}."
