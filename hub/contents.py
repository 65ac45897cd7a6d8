"""Contents of a checkpoint folder that are published, checked for completeness and for private data."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..configuration.folder_checks import check_folder
from ..configuration.plain_text import one_line, reason_of
from ..modeling.modeling_checkpoint import check_files
from .file_kinds import kind_of, read_imports, reason_to_keep, reason_to_refuse
from .loadable import check_loadable
from .markdown import destination

SHOWN_AT_MOST = 5  # refused files in a message
# At least two names, so that no token of a tokenizer matches.
LOCAL_PATH = re.compile(r"(?:[/\\]|~[/\\]|[A-Za-z]:[/\\])[^/\\\n]+[/\\][^\n]*")
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")


@dataclass(frozen=True)
class Contents:
    """Contents of a folder as they are uploaded.

    Args:
        files: File, or the text that replaces it, by name in the repository.
        kept: Reason by name, for everything that is not uploaded.
        notes: Sentences on files that are uploaded differently from the folder's.
    """

    files: dict[str, Path | bytes]
    kept: dict[str, str]
    notes: list[str]

    def read(self, name: str) -> str:
        """Return the text of a file as it is uploaded."""
        return self.read_bytes(name).decode("utf-8")

    def read_bytes(self, name: str) -> bytes:
        """Return a file as it is uploaded."""
        source = self.files[name]
        return source if isinstance(source, bytes) else source.read_bytes()

    def size(self, name: str) -> int:
        """Return the size of a file as it is uploaded, in bytes."""
        source = self.files[name]
        return len(source) if isinstance(source, bytes) else source.stat().st_size


def collect_contents(folder: str | Path, base_model: str | None = None) -> Contents:
    """Check every file of a checkpoint folder, by its name and its content, and return what is uploaded.

    Args:
        folder: The folder of a run, of merged adapters or of a late fusion.
        base_model: Hub id of the base of adapters, which replaces a path of this machine.

    Raises:
        FileNotFoundError: If the folder does not exist, or has no model, weights, code or card.
        ValueError: If a file may not be published or is not of the kind that its name says, the base of adapters has no
            Hub id, or the model and its processor cannot be loaded or do not fit.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise FileNotFoundError(
            f"{folder} is not the folder of a model: it has no config.json. Give the folder of one run."
        )
    names = [path.name for path in sorted(folder.iterdir())]
    kept = {name: reason for name in names if (reason := reason_to_keep(name))}
    files = {name: folder / name for name in names if name not in kept}
    refused = {name: reason for name, path in files.items() if (reason := reason_to_refuse(path))}
    if refused:
        raise ValueError(_describe_refused(folder, refused))
    (check_files if (folder / "config.json").is_file() else check_folder)(folder)
    contents = Contents(files, kept, [])
    _check_complete(folder, contents)
    _rewrite(folder, contents, base_model)
    _check_secrets(folder, contents)
    check_loadable(folder)
    return contents


def _describe_refused(folder: Path, refused: dict[str, str]) -> str:
    shown = [f"{one_line(name, 80)} is {reason}" for name, reason in list(refused.items())[:SHOWN_AT_MOST]]
    if more := len(refused) - len(shown):
        shown.append(f"and so are {more} more")
    return f"{folder} cannot be published: {', '.join(shown)}. Move them out of the folder."


def _check_complete(folder: Path, contents: Contents) -> None:
    """Check that weights, code and card are complete, and that each picture and each code file is used."""
    weights = {name for name in contents.files if name.endswith(".safetensors")}
    if not weights:
        raise FileNotFoundError(f"{folder} has no weights (model.safetensors): save the model there first.")
    if "model.safetensors.index.json" in contents.files:
        index = set(json.loads(contents.read("model.safetensors.index.json")).get("weight_map", {}).values())
    else:
        index = {name for name in weights if not name.startswith("model-")}
    if weights != index:
        wrong = ", ".join(sorted(weights ^ index))
        raise ValueError(f"{folder}: {wrong} and model.safetensors.index.json do not match: save the model again.")
    if "processor_config.json" not in contents.files:
        raise FileNotFoundError(
            f"{folder} has no processor_config.json: save the processor there with save_pretrained."
        )
    if "README.md" not in contents.files:
        raise FileNotFoundError(f"{folder} has no README.md: write it with emofusion.hub.write_card.")
    card = contents.read("README.md")
    if not _metadata_of(folder, card):
        raise ValueError(f"{folder / 'README.md'} has no metadata: write it with emofusion.hub.write_card.")
    pictures = [name for name in contents.files if kind_of(name) == "picture" and f"({destination(name)})" not in card]
    unused = dict.fromkeys(pictures, "a picture that README.md does not show")
    code = {name for name in contents.files if kind_of(name) == "code"}
    unused |= dict.fromkeys(sorted(code - _reachable(folder, contents)), "code that the model does not import")
    if unused:
        raise ValueError(_describe_refused(folder, unused))


def _metadata_of(folder: Path, card: str) -> dict[str, Any]:
    try:
        return ModelCard(card).data.to_dict()
    except Exception as error:  # of PyYAML, and of huggingface_hub for metadata that are not a mapping
        raise ValueError(f"{folder / 'README.md'} has metadata that cannot be read: {reason_of(error)}.") from error


def _reachable(folder: Path, contents: Contents) -> set[str]:
    """Return the code files that the Auto classes load, with everything they import."""
    waiting, reached = [], set()
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        if name in contents.files:
            references = _references(folder / name, json.loads(contents.read(name)))
            waiting += [f"{reference.partition('.')[0]}.py" for reference in references if "--" not in reference]
    if "config.json" in contents.files and not waiting:
        raise ValueError(f"{folder / 'config.json'} has no auto_map: emofusion.hub.write_bundle adds it and the code.")
    while waiting:
        if (name := waiting.pop()) in reached:
            continue
        if name not in contents.files:
            raise FileNotFoundError(f"{folder / name} is missing: emofusion.hub.write_bundle adds the code.")
        reached.add(name)
        waiting += read_imports(contents.read_bytes(name))
    return reached


def _references(path: Path, config: dict) -> Iterator[str]:
    """Yield the references `module.Class` of `auto_map` and `custom_pipelines` of a file."""
    found = []
    for field, entries in ((name, config.get(name, {})) for name in ("auto_map", "custom_pipelines")):
        for entry in entries.values() if isinstance(entries, dict) else [entries]:
            entry = entry.get("impl") if field == "custom_pipelines" and isinstance(entry, dict) else entry
            found += filter(None, entry) if isinstance(entry, list) else [entry]
    for reference in found:
        if not isinstance(reference, str):
            raise ValueError(
                f"{path} names {reference!r} as a class; it must be module.Class: write_bundle adds them."
            )
        yield reference


def _rewrite(folder: Path, contents: Contents, base_model: str | None) -> None:
    """Replace paths of this machine by the Hub id of the base model, or by their last name."""
    names = {}
    if "adapter_config.json" in contents.files:
        base = json.loads(contents.read("adapter_config.json")).get("base_model_name_or_path") or ""
        if base_model is None and (Path(base).exists() or not is_repo_id(base)):
            raise ValueError(
                f"The adapters in {folder} are on the base model {base}, which is not a repository of the Hub: publish "
                "that folder first, then name the repository with --base-model."
            )
        if base_model is not None:
            names = {base: base_model}
    elif base_model is not None:
        raise ValueError(f"A base model is given, but {folder} has no adapters (adapter_config.json).")
    if base_model is not None and not is_repo_id(base_model):
        raise ValueError(f"The base model {base_model!r} is not the name of a repository: give OWNER/NAME.")
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
    """Return a JSON value with names replaced at any depth; replacements are added to `replaced`."""
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
    """Return whether a repository of the Hub can have this name."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not name.startswith((".", "/"))


def _check_secrets(folder: Path, contents: Contents) -> None:
    """Check that no text has a token, or a path in the home of the user or beside the folder."""
    places = {str(place.resolve()) for place in (Path.home(), folder.parent) if len(place.resolve().parts) > 1}
    local = re.compile(f"(?<![\\w.])(?:{'|'.join(map(re.escape, sorted(places)))})/[^\\s\"'`)]*") if places else None
    for name in contents.files:
        if kind_of(name) in ("weights", "picture") or name.endswith(".model"):
            continue
        text = contents.read(name)
        for content, pattern in (("a token of the Hub", TOKEN), ("a path of this machine", local)):
            if pattern is not None and (found := pattern.search(text)):
                line = text.count("\n", 0, found.start()) + 1
                shown = "" if pattern is TOKEN else f" ({found[0]})"
                raise ValueError(f"{folder / name}, line {line}, has {content}{shown}: remove it before publishing.")
