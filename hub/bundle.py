"""Bundling the code of a checkpoint: its source files, flat in its folder, with `auto_map` and `custom_pipelines`.

transformers' own saving copies sibling files only, and ours are in three rooms. So the relative imports are followed
from the source files of the model and the processor, and `from ..configuration.x import` becomes `from .x import`.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from transformers.dynamic_module_utils import get_relative_imports

from ..corpora.atomic_write import staged

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

ROOMS = ("configuration", "modeling", "processing")
# The Hub's loader demands every library imported outside `try`: these come with transformers on torch.
AVAILABLE = {*sys.stdlib_module_names, "torch", "transformers", "numpy", "huggingface_hub"}
# `import` and the names behind it. A text can have the word too.
IMPORT = re.compile(rb"import\b[^\n(]*(?:\([^)]*\))?[^\n]*\n?")
CLASSIFIER = "AutoModelForAudioClassification"
PIPELINE = "pipeline_emotion_recognition"
CUSTOM_PIPELINES = {
    "emotion-recognition": {"impl": f"{PIPELINE}.EmotionRecognitionPipeline", "pt": [CLASSIFIER]},
}


def write_bundle(
    model: "PreTrainedModel | None", folder: str | Path, processor: "ProcessorMixin | None" = None
) -> list[Path]:
    """Make a saved checkpoint loadable with `trust_remote_code=True` where emofusion is not installed.

    A process reads and checks a source file once, and again if it changes: a run writes its code into every checkpoint.

    Args:
        model: A model of ours, already saved with `model.save_pretrained(folder)`. Its class may be from this package or
            from the remote code of another checkpoint. None for a folder of adapters, whose code is with their base.
        folder: The checkpoint folder. Its `config.json` and `processor_config.json` get an `auto_map`, and the
            `config.json` of a classifier also gets the pipeline `emotion-recognition`.
        processor: The processor, already saved with `processor.save_pretrained(folder)`.

    Returns:
        The files written or patched, sorted by name.

    Raises:
        FileNotFoundError: If the model or the processor is not saved in `folder`, or an imported file does not exist.
        TypeError: If `model` is not of one of our classes.
        ValueError: If a source file cannot be bundled: it imports from outside the three rooms, imports `emofusion`, needs
            a library that users may not have, or has the name of another file.
    """
    fields, sources = {}, []
    if model is not None:
        fields["config.json"] = {"auto_map": _model_map(model)}
        sources.append(Path(inspect.getfile(type(model))))
        if CLASSIFIER in fields["config.json"]["auto_map"] and (pipeline := _find_pipeline(model)):
            fields["config.json"]["custom_pipelines"] = CUSTOM_PIPELINES
            sources.append(pipeline)
    if processor is not None:
        fields["processor_config.json"] = {"auto_map": {"AutoProcessor": _reference(type(processor))}}
        sources.append(Path(inspect.getfile(type(processor))))

    folder = Path(folder)
    with staged(folder) as staging:
        for name, (text, imported) in _collect(sources).items():
            (staging / name).write_bytes(text)
            _check_relative_imports(staging / name, imported)
        for name, added in fields.items():
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name} does not exist: call save_pretrained on the folder first.")
            config = json.loads((folder / name).read_text(encoding="utf-8")) | added
            (staging / name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        written = sorted(file.name for file in staging.iterdir())
    return [folder / name for name in written]


def _model_map(model: "PreTrainedModel") -> dict[str, str]:
    """Return the `auto_map` of a model's variant, whose classes share a prefix: `XConfig`, `XModel`, `XFor...`.

    That of a speaker network has no emotion classifier, which would load with random weights.
    """
    module, config_class = sys.modules[type(model).__module__], type(model.config)
    prefix = config_class.__name__.removesuffix("Config")
    base = getattr(module, f"{prefix}Model", None)
    classifier = getattr(module, f"{prefix}ForSequenceClassification", None)
    if not model.config.model_type.startswith("emofusion_") or base is None or classifier is None:
        raise TypeError(f"A bundle can be written for models of emofusion only, not for {type(model).__name__}.")
    heads = {
        CLASSIFIER: classifier,
        "AutoModelForSequenceClassification": classifier,
    }
    if type(model).__name__.endswith("ForSpeakerRecognition"):
        heads = {"AutoModelForAudioXVector": type(model)}
    classes = {"AutoConfig": config_class, "AutoModel": base, **heads}
    return {auto: _reference(cls) for auto, cls in classes.items()}


def _find_pipeline(model: "PreTrainedModel") -> Path | None:
    """Return the file of the pipeline that belongs to the source of a model: in its package, or flat beside it."""
    source = Path(inspect.getfile(type(model)))
    places = [source.parent, source.parent.parent / "processing"]
    # The Hub's loader fetches only the files of a class: for remote code that names a pipeline, ours is used.
    if getattr(model.config, "custom_pipelines", None):
        places.append(Path(__file__).parent.parent / "processing")
    return next((file for place in places if (file := place / f"{PIPELINE}.py").is_file()), None)


def _reference(cls: type) -> str:
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def _collect(sources: Iterable[Path]) -> dict[str, tuple[bytes, list[str]]]:
    """Return the flat text of `sources` and of all files that they import, and what each imports, by file name."""
    waiting, seen, flat = list(sources), {}, {}
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        state = source.stat()
        text, seen[source] = _flatten(source, state.st_mtime_ns, state.st_size)
        modules = [file.stem for file in seen[source]]
        # The remote code of model and processor may each have a copy of one file; different files cannot share a name.
        if flat.setdefault(source.name, (text, modules))[0] != text:
            twin = next(other for other in seen if other.name == source.name)
            raise ValueError(f"{source} and {twin} would be one file on the Hub: rename one of them.")
        waiting += seen[source]
    return flat


@cache
def _flatten(source: Path, changed: int, size: int) -> tuple[bytes, list[Path]]:
    """Return the text of `source` with flat relative imports, and the files that it imports.

    Only `from ..room.module import` changes; the rest is copied byte for byte.

    Args:
        source: The file.
        changed: Its time stamp: a file that changes is read again.
        size: Its size, likewise.
    """
    text, rest, tree = _split_imports(source.read_bytes())
    line_starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    imported, statements = [], list(_import_statements(tree.body))
    # Backwards, so that a replacement does not move later positions.
    for node, in_try in sorted(statements, key=lambda found: (found[0].lineno, found[0].col_offset), reverse=True):
        where = f"{source}, line {node.lineno}"
        if isinstance(node, ast.Import) or node.level == 0:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            _check_libraries({name.partition(".")[0] for name in names}, where, in_try)
            continue
        target = _target(source, node, where)
        imported.append(target)
        if node.level > 1:
            start = line_starts[node.lineno - 1] + node.col_offset
            header = re.compile(rb"from\b.*?\bimport\b", re.DOTALL).match(text, start)
            text = text[:start] + f"from .{target.stem} import".encode() + text[header.end() :]
    return text + rest, imported


def _split_imports(text: bytes) -> tuple[bytes, bytes, ast.Module]:
    """Return a source file up to its last import, the rest, which need not be parsed, and the tree of the first part.

    The first part is the whole file if it cannot be parsed alone, as inside a `try`.
    """
    end = max((match.end() for match in IMPORT.finditer(text)), default=0)
    try:
        return text[:end], text[end:], ast.parse(text[:end])
    except SyntaxError:
        return text, b"", ast.parse(text)


def _import_statements(
    body: Iterable[ast.AST], in_try: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the statements that import, and whether each is inside a `try`."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, in_try
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            yield from _import_statements(getattr(node, field, ()), in_try or isinstance(node, ast.Try))


def _check_libraries(names: set[str], where: str, in_try: bool) -> None:
    if "emofusion" in names:
        raise ValueError(f"{where}: import emofusion relatively: the package is not on the Hub.")
    if not in_try and (missing := sorted(names - AVAILABLE)):
        raise ValueError(f"{where}: import {', '.join(missing)} inside `try`, or the Hub's loader requires it.")


def _target(source: Path, node: ast.ImportFrom, where: str) -> Path:
    """Return the file that a relative import reads: a sibling, or a file of another of the three rooms."""
    parts = (node.module or "").split(".")
    if node.level == 1 and len(parts) == 1 and parts[0]:
        target = source.parent / f"{parts[0]}.py"
    elif node.level == 2 and len(parts) == 2 and source.parent.name in ROOMS and parts[0] in ROOMS:
        target = source.parent.parent / parts[0] / f"{parts[1]}.py"
    else:
        raise ValueError(
            f"{where}: bundled code imports `from .module` or, from {', '.join(ROOMS)}, `from ..room.module`, "
            f"not `from {'.' * node.level}{node.module or ''}`."
        )
    if not target.is_file():
        raise FileNotFoundError(f"{where}: the imported file {target} does not exist.")
    return target


def _check_relative_imports(flat_file: Path, imported: Iterable[str]) -> None:
    """Check that the Hub's loader, which finds relative imports by their text, finds those of a flat file."""
    if errors := set(get_relative_imports(flat_file)) ^ set(imported):
        raise ValueError(
            f"{flat_file.name}: the Hub's loader finds imports by text and errs on {', '.join(sorted(errors))}: "
            "begin a line with `from .module import` for each relative import, and no line of a string."
        )
