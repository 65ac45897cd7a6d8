"""What of a checkpoint folder may be published. A file that is not known to belong to a model is refused by name."""

import ast
import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open

# File names of a published folder, by what they are.
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
# What runs leave in their folders and nobody needs to use the model; it stays where it is.
STAYS = {
    "hidden": [".*", "__pycache__"],
    "a checkpoint to go on from": ["checkpoint-*"],
    "state of the training": [
        *("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json", "training_args.bin"),
        *("global_step*", "latest", "zero_to_fp32.py", "runs", "recipe.json"),
    ],
    "ids, speakers and labels of the corpus": ["predictions.jsonl"],
    "the base model of adapters, a repository of its own": ["base"],
}
REFUSED = {
    "a recording": ["*.wav", "*.flac", "*.mp3", "*.ogg", "*.oga", "*.opus", "*.m4a", "*.aac", "*.wma", "*.aif*", "*.sph"],
    "a film": ["*.mp4", "*.mkv", "*.avi", "*.mov", "*.webm", "*.m4v", "*.mpg", "*.mpeg", "*.wmv"],
    "able to hold transcripts": ["*.jsonl", "*.csv", "*.tsv", "*.txt", "*.arrow", "*.parquet", "*.textgrid", "*.srt", "*.vtt"],
    "able to hold a pickle, which runs code when it is loaded": [
        *("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib", "*.npy", "*.npz", "*.h5", "*.zip", "*.tar*"),
    ],
}  # fmt: skip
SHOWN_AT_MOST = 5  # refused files in a message

# At least two names, so that a token of a tokenizer is none.
LOCAL_PATH = re.compile(r"(?:[/\\]|~[/\\]|[A-Za-z]:[/\\])[^/\\\n]+[/\\][^\n]*")
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")


@dataclass(frozen=True)
class Contents:
    """What is uploaded of a folder.

    Args:
        files: name in the repository -> the file, or the text that takes its place there.
        stays: name -> what it is, for all that is not uploaded.
        notes: sentences on what is uploaded otherwise than it lies in the folder.
    """

    files: dict[str, Path | bytes]
    stays: dict[str, str]
    notes: list[str]

    def read(self, name: str) -> str:
        """The text of a file as it is uploaded."""
        source = self.files[name]
        return (source if isinstance(source, bytes) else source.read_bytes()).decode("utf-8")

    def size(self, name: str) -> int:
        """Bytes of a file as it is uploaded."""
        source = self.files[name]
        return len(source) if isinstance(source, bytes) else source.stat().st_size


def collect_contents(folder: str | Path, base_model: str | None = None) -> Contents:
    """Look at every file of a checkpoint folder, by its name and by what is in it.

    Args:
        folder: that a run, `merge_adapter` or `fit_late_fusion` left.
        base_model: Hub id of the base of adapters, which takes the place of a path of this machine.

    Raises:
        FileNotFoundError: if there is no such folder, or no model, weights or card in it.
        ValueError: if a file may not be published or is not what its name says; if the adapters' base has no Hub id.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise FileNotFoundError(
            f"{folder} is not a model's folder: it has no config.json. Give the folder of one run."
        )
    names = [path.name for path in sorted(folder.iterdir())]
    stays = {name: reason for name in names if (reason := _match(name, STAYS))}
    files = {name: folder / name for name in names if name not in stays}
    refused = {name: reason for name, path in files.items() if (reason := _reason_to_refuse(path))}
    if refused:
        raise ValueError(_complain(folder, refused))
    contents = Contents(files, stays, [])
    _check_complete(folder, contents)
    _rewrite(folder, contents, base_model)
    _check_secrets(folder, contents)
    return contents


def kind_of(name: str) -> str | None:
    """What a file is, judging by its name; None where it is nothing that is published."""
    return None if _match(name, STAYS) else _match(name, KINDS)


def _match(name: str, table: dict[str, list[str]]) -> str | None:
    lower = name.lower() if table is REFUSED else name
    return next((key for key, patterns in table.items() if any(fnmatch.fnmatchcase(lower, p) for p in patterns)), None)


def _complain(folder: Path, refused: dict[str, str]) -> str:
    shown = [f"{name} is {reason}" for name, reason in list(refused.items())[:SHOWN_AT_MOST]]
    if more := len(refused) - len(shown):
        shown.append(f"and so on with {more} more")
    return f"{folder} cannot be published: {', '.join(shown)}. Move that out of the folder."


def _reason_to_refuse(path: Path) -> str | None:
    """Why a file may not be published, None if it may."""
    if not path.exists() or not path.resolve().is_relative_to(path.parent.resolve()):
        return "a link that leads out of the folder"
    kind = kind_of(path.name)
    if path.is_dir():
        return "a folder, and a model has none"
    if kind is None:
        return _match(path.name, REFUSED) or "no file that a model needs"
    try:
        return None if CHECKS[kind](path) else f"not what its name says ({kind})"
    except (OSError, SafetensorError, SyntaxError, ValueError):
        return f"not readable as what its name says ({kind})"


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
    ast.parse(path.read_bytes())
    return True


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


def _check_complete(folder: Path, contents: Contents) -> None:
    """Ask for weights, code and a card, and for nothing besides that nobody leads to."""
    weights = {name for name in contents.files if name.endswith(".safetensors")}
    if not weights:
        raise FileNotFoundError(f"{folder} has no weights (model.safetensors): save the model there first.")
    if "model.safetensors.index.json" in contents.files:
        index = set(json.loads(contents.read("model.safetensors.index.json")).get("weight_map", {}).values())
    else:
        index = {name for name in weights if not name.startswith("model-")}
    if weights != index:
        wrong = ", ".join(sorted(weights ^ index))
        raise ValueError(
            f"{folder}: {wrong} and model.safetensors.index.json do not go together: save the model anew."
        )
    if "README.md" not in contents.files:
        raise FileNotFoundError(f"{folder} has no README.md: write it with emofusion.hub.write_card.")
    card = contents.read("README.md")
    if not _metadata_of(folder, card):
        raise ValueError(f"{folder / 'README.md'} begins with no metadata: write it with emofusion.hub.write_card.")
    pictures = [name for name in contents.files if kind_of(name) == "picture" and f"({name})" not in card]
    strange = dict.fromkeys(pictures, "a picture that README.md does not show")
    code = {name for name in contents.files if kind_of(name) == "code"}
    strange |= dict.fromkeys(sorted(code - _reachable(folder, contents)), "code that the model does not import")
    if strange:
        raise ValueError(_complain(folder, strange))


def _metadata_of(folder: Path, card: str) -> dict[str, Any]:
    try:
        return ModelCard(card).data.to_dict()
    except Exception as error:  # PyYAML's own, and what huggingface_hub makes of a metadata block that is no mapping
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder / 'README.md'} begins with metadata that cannot be read: {reason}") from error


def _reachable(folder: Path, contents: Contents) -> set[str]:
    """The code that the Auto classes are led to, and all that it imports."""
    waiting, reached = [], set()
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        if name in contents.files:
            references = _references(json.loads(contents.read(name)))
            waiting += [f"{reference.partition('.')[0]}.py" for reference in references if "--" not in reference]
    if "config.json" in contents.files and not waiting:
        raise ValueError(f"{folder / 'config.json'} has no auto_map: emofusion.hub.write_bundle adds it and the code.")
    while waiting:
        if (name := waiting.pop()) in reached:
            continue
        if name not in contents.files:
            raise FileNotFoundError(f"{folder / name} is missing: emofusion.hub.write_bundle adds the code.")
        reached.add(name)
        for node in ast.walk(ast.parse(contents.read(name))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                waiting += [
                    f"{module}.py" for module in ([node.module] if node.module else [a.name for a in node.names])
                ]
    return reached


def _references(config: dict) -> Iterator[str]:
    """`module.Class`, as `auto_map` and `custom_pipelines` name what is loaded."""
    for value in config.get("auto_map", {}).values():
        yield from filter(None, value if isinstance(value, list) else [value])
    for pipeline in config.get("custom_pipelines", {}).values():
        yield pipeline["impl"]


def _rewrite(folder: Path, contents: Contents, base_model: str | None) -> None:
    """Put the Hub id of the base, or else the last name, in the place of paths of this machine."""
    names = {}
    if "adapter_config.json" in contents.files:
        base = json.loads(contents.read("adapter_config.json")).get("base_model_name_or_path") or ""
        if base_model is None and (Path(base).exists() or not is_repo_id(base)):
            raise ValueError(
                f"The adapters in {folder} are on the base model {base}, which is no repository of the Hub: publish that "
                "folder first, then name it as base model (--base-model)."
            )
        if base_model is not None:
            names = {base: base_model}
    elif base_model is not None:
        raise ValueError(f"A base model is given, but {folder} holds no adapters (adapter_config.json).")
    if base_model is not None and not is_repo_id(base_model):
        raise ValueError(f"The base model {base_model!r} is no name of a repository: give it as OWNER/NAME.")
    for name in list(contents.files):
        if kind_of(name) != "record":
            continue
        record, replaced = json.loads(contents.read(name)), {}
        rewritten = _replace(record, names, replaced)
        if rewritten != record:
            text = json.dumps(rewritten, indent=2, ensure_ascii=False)
            contents.files[name] = f"{text}\n".encode()
            contents.notes.extend(f"{name}: {new!r} instead of {old!r}." for old, new in replaced.items())


def _replace(value: Any, names: dict[str, str], replaced: dict[str, str]) -> Any:
    """Rename in a record, at any depth; what became of it is added to `replaced`."""
    if isinstance(value, dict):
        return {_replace(key, names, replaced): _replace(item, names, replaced) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, names, replaced) for item in value]
    if isinstance(value, str) and value in names:
        replaced[value] = names[value]
    elif isinstance(value, str) and LOCAL_PATH.fullmatch(value):
        replaced[value] = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    else:
        return value
    return replaced[value]


def is_repo_id(name: str) -> bool:
    """Whether a repository of the Hub may be called so."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not name.startswith((".", "/"))


def _check_secrets(folder: Path, contents: Contents) -> None:
    """Refuse texts that name the home of the user, where the folder lies, or a token."""
    places = {str(place.resolve()) for place in (Path.home(), folder.parent) if len(place.resolve().parts) > 1}
    local = re.compile(f"(?<![\\w.])(?:{'|'.join(map(re.escape, sorted(places)))})/[^\\s\"'`)]*") if places else None
    for name in contents.files:
        if kind_of(name) in ("weights", "picture") or name.endswith(".model"):
            continue
        text = contents.read(name)
        for what, pattern in (("a token of the Hub", TOKEN), ("a path of this machine", local)):
            if pattern is not None and (found := pattern.search(text)):
                line = text.count("\n", 0, found.start()) + 1
                shown = "" if pattern is TOKEN else f" ({found[0]})"
                raise ValueError(
                    f"{folder / name}, line {line}, holds {what}{shown}: remove it before it is published."
                )
