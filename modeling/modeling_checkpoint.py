"""Checks of the files and weights of a checkpoint. Every error is one sentence that names the file."""

import os
import re
from collections.abc import Collection
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath

import torch
from torch import nn
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME

from ..configuration.folder_checks import check_folder, check_plain, find_file, read_object
from ..configuration.plain_text import reason_of, show_some, show_value

# dtype and shape by the name of the tensor, and headers by the path of the file
Header = dict[str, tuple[str, tuple[int, ...]]]
Headers = dict[str, Header]
# In TypeErrors about the arguments of a call, which are no fault of the checkpoint.
WRONG_CALL = re.compile(r"(unexpected|multiple values for|missing \d+ required) .*argument")


def check_files(source: str | os.PathLike, variant: str | None = None, **place) -> Headers:
    """Check the files of a model before any of them is loaded: names, formats, and the headers of weights.

    `use_safetensors=True` of transformers is not enough: an index, or `transformers_weights` in a configuration, may
    name any file, also outside the folder, and transformers chooses the reader by the file name.

    Args:
        source: A folder, file or Hub id of a model or of adapters, whose base is checked then.
        variant: As in `from_pretrained`.
        **place: Arguments of `from_pretrained` that locate files (`revision`, `token`, ...); others are ignored.

    Returns:
        The headers of the files of weights on this machine, by path; see `read_header`.

    Raises:
        OSError: If a folder has no configuration, or a file that another file names is missing.
        ValueError: If a file of weights is not in safetensors or damaged, or a file names another file than it may.
    """
    if os.path.isfile(source):
        _check_name(source, "path", os.path.basename(source))
        return {os.fspath(source): read_header(source)}
    check_folder(source, place.get("subfolder"))
    config = read_json(source, CONFIG_NAME, **place)
    if config is None:
        adapters = read_json(source, "adapter_config.json", **place)
        if adapters is None and os.path.isdir(source):
            raise OSError(f"{source} has no {CONFIG_NAME}: give the folder of a model or of adapters.")
        if adapters is None:
            return {}  # transformers will raise with the reason
        base = adapters.get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise ValueError(
                f"adapter_config.json of {source} has base_model_name_or_path {show_value(base)}; it must be the folder or "
                "Hub id of the base model."
            )
        try:
            return check_files(base, variant)
        except (OSError, ValueError) as error:
            raise type(error)(f"The base model of {source}: {error}") from error
    middle = "" if variant is None else f".{variant}"
    name = config.get("transformers_weights") or f"model{middle}.safetensors"
    index_name = SAFE_WEIGHTS_INDEX_NAME if variant is None else f"model.safetensors.index.{variant}.json"
    index = None if "transformers_weights" in config else read_json(source, index_name, **place)
    _check_name(source, CONFIG_NAME, name)
    shards = _shards(source, index_name, index)
    files = {name: file} if (file := find_file(source, name, **place)) else {}
    files = files or {shard: find_file(source, shard, **place) for shard in sorted(shards)}
    headers = {}
    for shard, file in files.items():
        if file is None:
            raise OSError(f"{source} has no {shard}, which its {index_name} names: copy or download it again.")
        headers[file] = read_header(file)
    return headers


def read_header(file: str | os.PathLike) -> Header:
    """Check that a safetensors file is complete, and return the dtype, such as `F32`, and the shape of each tensor.

    Args:
        file: The path of the file.

    Raises:
        ValueError: If it is cut, or no safetensors file.
    """
    check_plain(file)
    try:
        from safetensors import safe_open

        with safe_open(file, framework="pt") as opened:
            parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}
    except Exception as error:  # its errors are direct subclasses of Exception
        raise ValueError(
            f"{file} is damaged or incomplete ({reason_of(error)}): copy or download it again."
        ) from error


@contextmanager
def one_sentence(source: str | os.PathLike | None):
    """Turn what libraries raise while they load a checkpoint into one sentence that names the checkpoint.

    Args:
        source: The checkpoint.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If anything else is wrong with the checkpoint. Errors of the call (TypeError), of the installation
            (ImportError) and of memory are raised as they are.
    """
    try:
        yield
    except (ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except (OSError, ValueError) as error:
        names_source = source is None or str(source) in str(error)
        if names_source and "\n" not in str(error):
            raise
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{'' if names_source else f'{source}: '}{reason_of(error)}.") from error
    except Exception as error:
        if isinstance(error, TypeError) and WRONG_CALL.search(str(error)):
            raise
        reason = f"{type(error).__name__}: {reason_of(error)}"
        if "ignore_mismatched_sizes" in reason:  # refers to a table in the log
            reason = "weights have another shape than its configuration says"
        raise ValueError(f"{source or 'The state_dict'} cannot be loaded: {reason}.") from error


def check_finite(model: nn.Module, source: str | os.PathLike) -> None:
    """Check that all weights of a loaded model are finite.

    Args:
        model: The model.
        source: The checkpoint, for the error.

    Raises:
        ValueError: If a weight or a running statistic is NaN or infinite.
    """
    if names := non_finite_weights(model):
        raise ValueError(
            f"{source} has NaN or infinite numbers in {count_weights(names)} ({show_some(names)}), so every score would be "
            "NaN: its training diverged or the file is damaged; use another checkpoint."
        )


def check_dtypes(model: nn.Module, headers: Headers) -> None:
    """Check that the weights in files are real numbers where those of a loaded model are; a library casts any.

    Args:
        model: The model.
        headers: The headers of the files that it was loaded from, from `check_files`.

    Raises:
        ValueError: If a file has whole numbers for such a weight.
    """
    weights, base = model.state_dict(), f"{model.base_model_prefix}."
    for file, header in headers.items():
        kinds = {name: dtype for name, (dtype, _) in header.items()}
        # A model without a head has the names without the prefix, which a file may have.
        found = {name: weights.get(name, weights.get(name.removeprefix(base))) for name in kinds}
        wrong = [
            name
            for name, kind in kinds.items()
            if not kind.lstrip("B").startswith("F") and found[name] is not None and found[name].is_floating_point()
        ]
        if wrong:
            raise ValueError(
                f"{file} has {kinds[wrong[0]]} instead of floating-point numbers in {count_weights(wrong)} ({show_some(wrong)}): "
                "it is damaged or not of this model; copy or download it again."
            )


def non_finite_weights(model: nn.Module) -> list[str]:
    """Return the names of the weights of a model that hold NaN or infinite numbers; those not loaded are skipped."""
    tensors = {
        name: value for name, value in model.state_dict().items() if value.is_floating_point() and not value.is_meta
    }
    # A sum is not finite if one number is not. It costs no memory, and in the weights' own dtype a fourteenth of the time of
    # one in float64; a sum that overflows costs a second look.
    suspects = [name for name, value in tensors.items() if not value.sum().isfinite()]
    return [name for name in suspects if not tensors[name].isfinite().all()]


def read_json(source: str | os.PathLike, name: str, **place) -> dict | None:
    """Return the object in a JSON file of a checkpoint, or None if there is no such file.

    Args:
        source: A folder or Hub id.
        name: The file name.
        **place: Arguments of `from_pretrained` that locate files.

    Raises:
        ValueError: If the file holds no JSON object.
    """
    file = find_file(source, name, **place)
    return None if file is None else read_object(file)


def count_weights(names: Collection) -> str:
    """Return the number of weights with its noun: `1 weight`, `2 weights`."""
    return f"{len(names)} weight{'s' * (len(names) != 1)}"


def _shards(source: str | os.PathLike, file: str, index: dict | None) -> set[str]:
    """Return the file names in an index of weights."""
    if index is None:
        return set()
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(
            f"{file} of {source} has the weight_map {show_value(names)}; it must map weights to file names."
        )
    if not isinstance(index.get("metadata", {}), dict):
        raise ValueError(
            f"{file} of {source} has the metadata {show_value(index['metadata'])}; it must be a JSON object."
        )
    for name in names.values():
        _check_name(source, file, name)
    return set(names.values())


def _check_name(source: str | os.PathLike, file: str, name: object) -> None:
    """Check the name of a file of weights, which a file of a checkpoint gives."""
    if not isinstance(name, str) or PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
        raise ValueError(
            f"{source} names {show_value(name)} as a file of weights in its {file}; it must be the name of a file in the folder."
        )
    if not name.endswith(".safetensors"):
        raise ValueError(
            f"{source} has weights in {name}, which is not opened because loading it may run code: save the weights as "
            "safetensors."
        )
