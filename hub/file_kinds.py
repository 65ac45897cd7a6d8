"""Kinds of files in a checkpoint folder, by name and by content. A file of no known kind is not published."""

import ast
import fnmatch
import json
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..configuration.folder_checks import check_plain

# kind of a published file -> patterns of its name
KINDS = {
    "card": ["README.md"],
    "weights": [
        *("model.safetensors", "model-[0-9]*-of-[0-9]*.safetensors", "model.safetensors.index.json"),
        "adapter_model.safetensors",
    ],
    "record": [
        *("config.json", "generation_config.json", "adapter_config.json", "processor_config.json"),
        *("preprocessor_config.json", "tokenizer_config.json", "results.json", "training_log.json"),
    ],
    "tokenizer": [
        *("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt"),
        *("tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model"),
    ],
    "code": ["*.py"],
    "picture": ["*.png"],
    "licence": ["LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "CITATION.cff"],
}
# reason why a file of a run's folder is not sent -> patterns of its name
KEPT = {
    "hidden": [".*", "__pycache__"],
    "a checkpoint to resume from": ["checkpoint-*"],
    "a run of its own": ["fold-[0-9]*", "seed-[0-9]*"],
    "training state": [
        *("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json", "training_args.bin"),
        *("global_step*", "latest", "zero_to_fp32.py", "runs", "recipe.json"),
    ],
    "ids, speakers and labels of the corpus": ["predictions.jsonl", "splits.json"],
    "the base model of adapters, a repository of its own": ["base"],
}
# reason why a file may not be published -> patterns of its name, in lower case
REFUSED = {
    "a recording": ["*.wav", "*.flac", "*.mp3", "*.ogg", "*.oga", "*.opus", "*.m4a", "*.aac", "*.wma", "*.aif*", "*.sph"],
    "a video": ["*.mp4", "*.mkv", "*.avi", "*.mov", "*.webm", "*.m4v", "*.mpg", "*.mpeg", "*.wmv"],
    "able to hold transcripts": ["*.jsonl", "*.csv", "*.tsv", "*.txt", "*.arrow", "*.parquet", "*.textgrid", "*.srt", "*.vtt"],
    "able to hold a pickle, which runs code when it is loaded": [
        *("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib", "*.npy", "*.npz", "*.h5", "*.zip", "*.tar*"),
    ],
}  # fmt: skip


def kind_of(name: str) -> str | None:
    """Return the kind of a file by its name, None for one that is not published."""
    return None if reason_to_keep(name) else _match(name, KINDS)


def reason_to_keep(name: str) -> str | None:
    """Return why a file stays in the folder of a run, None if it does not."""
    return _match(name, KEPT)


def _match(name: str, table: dict[str, list[str]]) -> str | None:
    lower = name.lower() if table is REFUSED else name
    return next((key for key, patterns in table.items() if any(fnmatch.fnmatchcase(lower, p) for p in patterns)), None)


def reason_to_refuse(path: Path) -> str | None:
    """Return why a file may not be published, None if it may."""
    if not path.exists() or not path.resolve().is_relative_to(path.parent.resolve()):
        return "a link that leads out of the folder"
    kind = kind_of(path.name)
    if path.is_dir():
        return "a folder, which no model has"
    if kind is None:
        return _match(path.name, REFUSED) or "not needed by a model"
    try:
        check_plain(path)
        return None if CHECKS[kind](path) else f"not the {kind} that its name says"
    except (OSError, SafetensorError, SyntaxError, ValueError):
        return f"not readable as the {kind} that its name says"


def _is_weights(path: Path) -> bool:
    if path.suffix == ".json":
        return isinstance(json.loads(path.read_bytes()), dict)
    with safe_open(path, "np") as weights:
        return bool(weights.keys())


def _is_tokenizer(path: Path) -> bool:
    if path.suffix == ".json":
        return isinstance(json.loads(path.read_bytes()), dict)
    if path.suffix == ".model":  # SentencePiece: a message whose first field is a list of pieces
        with path.open("rb") as file:
            return file.read(1) == b"\n"
    return _is_text(path)


def _is_code(path: Path) -> bool:
    read_imports(path.read_bytes())
    return True


@lru_cache(maxsize=256)  # folders of one process have the same code
def read_imports(code: bytes) -> tuple[str, ...]:
    """Return the names of the files beside a code file that it imports.

    Args:
        code: The content of the file.

    Raises:
        SyntaxError: If it is no Python code.
        ValueError: If it has a null byte.
    """
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and node.level == 1]
    modules = (module for node in nodes for module in ([node.module] if node.module else [a.name for a in node.names]))
    return tuple(f"{module}.py" for module in modules)


def _is_text(path: Path) -> bool:
    return "\0" not in path.read_text(encoding="utf-8")


def _is_picture(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        picture.verify()
        return picture.format == "PNG"


CHECKS = {
    "card": _is_text,
    "weights": _is_weights,
    "record": lambda path: isinstance(json.loads(path.read_bytes()), dict | list),
    "tokenizer": _is_tokenizer,
    "code": _is_code,
    "picture": _is_picture,
    "licence": _is_text,
}
