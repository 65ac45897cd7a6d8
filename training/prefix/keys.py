"""Keys of cached states: a digest of the frozen prefix, and one of its input."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time_ns

import torch
import transformers
from filelock import FileLock
from torch import nn
from transformers import ProcessorMixin

from ... import __version__
from ...configuration.modalities import MODALITIES
from ...corpora.atomic_write import staged
from ...modeling.modeling_emofusion import EmoFusionModel
from ...processing.media_files import open_source
from .store import KEY_SIZE

FORMAT = 1  # to be raised when the code of a prefix changes its output

# Settings of the processor that the inputs of a modality depend on, besides its sub-processor. Text is keyed by its token
# ids, so that neither settings nor tokenizer matter.
SETTINGS = {"audio": ("max_seconds",), "text": (), "video": ("max_seconds", "frames_per_second")}
# Fields of a speaker network that define its spectrogram and stages.
SPEAKER_FIELDS = ("sampling_rate", "win_length", "hop_length", "n_fft", "num_mel_bins", "hidden_sizes", "depths")
# Parts of names of encoder fields that do not change its frozen output.
IMMATERIAL = (
    "drop",
    "mask_",
    "spec_augment",
    "label",
    "output_",
    "_name_or_path",
    "_version",
    "architectures",
    "dtype",
)
JUST_NOW = 2 * 10**9  # nanoseconds; a file that was changed so recently may change again with the same time stamp


def describe_prefix(model: EmoFusionModel, processor: ProcessorMixin, modality: str, computed_in: str) -> dict:
    """Return everything that the output of a modality's frozen prefix depends on, in JSON.

    Args:
        model: The model without its head.
        processor: Its processor.
        modality: A modality with a frozen prefix.
        computed_in: The dtype of the computation.
    """
    config, names = model.config, MODALITIES[modality]
    encoder = getattr(config, names.config_field, None)
    fields = (
        {name: getattr(config, name) for name in SPEAKER_FIELDS}
        if encoder is None
        else {name: value for name, value in encoder.to_dict().items() if not any(part in name for part in IMMATERIAL)}
    )
    frozen = getattr(config, names.freeze_field) if names.has_layers else -1
    settings = {name: getattr(processor, name) for name in SETTINGS[modality]}
    if modality != "text":
        settings[names.processor_part] = getattr(processor, names.processor_part).to_dict()
    return {
        "format": FORMAT,
        "versions": {"emofusion": __version__, "transformers": transformers.__version__},
        "modality": modality,
        "encoder": fields,
        "frozen_layers": config.num_encoder_layers(modality) if frozen == -1 and names.has_layers else frozen,
        "all_layers": config.use_weighted_layer_sum,
        "weights": _hash_weights(model, names.first_stage),
        "processor": settings,
        "computed_in": computed_in,
    }


def digest_of(description: Mapping) -> str:
    """Return a digest that is equal for equal descriptions."""
    return hashlib.blake2b(json.dumps(description, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def media_key(item: Mapping, contents: Mapping[str, bytes]) -> bytes:
    """Return the key of an audio or video: a digest of its content, span and crop.

    Args:
        item: The entry of a row: `path` or `bytes`, `start`, `end` and, for a video, `crop`.
        contents: Digests of files by path. A path that is missing gives a key that is in no store.
    """
    data = item.get("bytes")
    content = contents.get(item["path"], b"") if data is None else _digest(data)
    return _digest(content + repr([item.get(name) for name in ("start", "end", "crop")]).encode())


def ids_key(input_ids: torch.Tensor) -> bytes:
    """Return the key of a text, a digest of its token ids `(tokens,)`."""
    return _digest(input_ids.numpy().astype("<i8").tobytes())


class FileContents(Mapping):
    """Digests of file contents by path. A file is read again only if its size or time stamp has changed.

    Args:
        folder: The folder of `files.json`, which stores the digests for later runs.
    """

    def __init__(self, folder: Path):
        self._path = folder / "files.json"
        self._digests: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        return self._digests[path]

    def __iter__(self):
        return iter(self._digests)

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, paths: Iterable[str]) -> None:
        """Add the digests of files.

        Raises:
            FileNotFoundError: If a file does not exist.
            ValueError: If a file is empty, or a folder.
        """
        paths = sorted(set(paths) - set(self._digests))
        stored, read = self._stored(), {}

        def digest_file(path: str) -> bytes:
            place = Path(path).absolute()
            state = _state(place)
            *known, digest = stored.get(str(place), (None,))
            if known == state:
                return bytes.fromhex(digest)
            with open_source(path, path)[0] as file:
                content = hashlib.file_digest(file, _new_digest).digest()
            if time_ns() - state[1] > JUST_NOW:
                read[str(place)] = [*state, content.hex()]
            return content

        with ThreadPoolExecutor(8) as pool:
            self._digests |= dict(zip(paths, pool.map(digest_file, paths), strict=True))
        if read:
            with FileLock(self._path.with_suffix(".lock")), staged(self._path.parent) as staging:
                (staging / self._path.name).write_text(json.dumps(self._stored() | read), encoding="utf-8")

    def _stored(self) -> dict[str, list]:
        return json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}


def _hash_weights(model: nn.Module, names: Iterable[str]) -> str:
    """Return a digest of the frozen parameters of submodules, and of buffers in fully frozen modules."""
    digest = hashlib.blake2b(digest_size=KEY_SIZE)
    for name in names:
        for path, module in getattr(model, name, nn.Module()).named_modules(prefix=name):
            own = list(module.named_parameters(prefix=path, recurse=False))
            frozen = [(key, value) for key, value in own if not value.requires_grad]
            if len(frozen) == len(own):
                frozen += module.named_buffers(prefix=path, recurse=False)
            for key, value in frozen:
                digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _state(path: Path) -> list[int] | None:
    """Return size and time stamp of a file; None if it does not exist, which opening it will report."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _new_digest():
    return hashlib.blake2b(digest_size=KEY_SIZE)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=KEY_SIZE).digest()
