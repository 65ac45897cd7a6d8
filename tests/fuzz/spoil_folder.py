"""Spoil the files of a folder: a checkpoint, a corpus, the folder of a run."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import numpy as np
from safetensors.numpy import load_file, save_file

from .spoil_bytes import spoil_bytes
from .spoil_text import spoil_lines
from .spoil_trees import spoil_json
from .target import Spoiled
from .watching import make_device

WEIGHTS = ".safetensors"
# What runs if it is ever unpickled; the runner watches for that.
PICKLE = b"cos\nsystem\n(S'exit 1'\ntR."


def spoil_folder(
    random: Random, valid: Path, into: Path, files: Iterable[str], others: Iterable[Path] = (), twice: bool = True
) -> Spoiled:
    """Copy a folder and spoil one of its files, rarely two.

    Args:
        random: The source of all choices.
        valid: The intact folder.
        into: An empty folder for the copy.
        files: Patterns of the names of the files that may be spoiled; each pattern is as likely as any other.
        others: Folders with files of the same names and another content, to be exchanged with them.
        twice: Whether two files may be spoiled.
    """
    folder = Path(shutil.copytree(valid, into / valid.name, symlinks=True))
    done, keeps, spoiled = [], True, set()
    for _ in range(random.choice((1, 1, 1, 2)) if twice else 1):
        found = sorted(file for file in folder.glob(random.choice(list(files))) if file.is_file())
        found = [file for file in found if file not in spoiled]
        if not found:
            continue
        file = random.choice(found)
        spoiled.add(file)
        what, harmless = spoil_file(random, file, [other / file.relative_to(folder) for other in others])
        done.append(f"{file.relative_to(folder)}: {what}")
        keeps &= harmless
    return Spoiled("; ".join(done) or "nothing", folder, keeps)


def spoil_file(random: Random, file: Path, others: Iterable[Path] = ()) -> tuple[str, bool]:
    """Spoil a file in place.

    Returns:
        What was done, and whether the answer must stay the same if the file is accepted.
    """
    others = [other for other in others if other.is_file()]
    ways: list[Callable] = [_replace_by_something_else, _replace_by_something_else, _spoil_content, _spoil_content]
    if others:
        ways.append(lambda random, file: _exchange(random, file, others))
    return random.choice(ways)(random, file)


def _replace_by_something_else(random: Random, file: Path) -> tuple[str, bool]:
    content = file.read_bytes()
    outside = file.parent.parent / f"outside{file.suffix}"
    ways = {
        "missing": lambda: None,
        "empty": lambda: file.write_bytes(b""),
        "cut": lambda: file.write_bytes(content[: random.randrange(len(content) + 1)]),
        "a folder": file.mkdir,
        "a fifo": lambda: os.mkfifo(file),
        "a link to nothing": lambda: file.symlink_to("nothing"),
        "a link to itself": lambda: file.symlink_to(file.name),
        "a device": lambda: make_device(file),
        "a link to its folder": lambda: file.symlink_to("."),
        "a link to the same content outside": lambda: (outside.write_bytes(content), file.symlink_to(outside)),
    }
    name = random.choice(list(ways))
    file.unlink()
    ways[name]()
    return name, True


def _exchange(random: Random, file: Path, others: list[Path]) -> tuple[str, bool]:
    other = random.choice(others)
    file.unlink()
    shutil.copyfile(other, file)
    return f"that of {other.parent.name}", True


def _spoil_content(random: Random, file: Path) -> tuple[str, bool]:
    if file.suffix == WEIGHTS:
        return spoil_weights(random, file)
    content = file.read_bytes()
    if file.suffix == ".json" and content:
        what, text, keeps = spoil_json(random, content.decode())
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        return what, keeps
    is_text = file.suffix in (".csv", ".jsonl", ".txt", ".yaml", ".TextGrid", ".wdseg", ".phseg", ".syseg", ".md")
    if is_text and content:
        what, content = spoil_lines(random, content.decode("utf-8", "replace"))
    elif content:
        what, content = spoil_bytes(random, content)
    else:
        what, content = "noise", random.randbytes(100)
    file.write_bytes(content)
    return what, False


def spoil_weights(random: Random, file: Path) -> tuple[str, bool]:
    """Spoil safetensors: other tensors, or a damaged header. A flipped bit of a weight is a valid weight, so none is."""
    weights = load_file(file)
    name = random.choice(sorted(weights))
    values = weights[name]
    ways = {
        "is gone": lambda: weights.pop(name),
        "is NaN": lambda: weights.update({name: np.full_like(values, np.nan)}),
        "is infinite": lambda: weights.update({name: np.full_like(values, np.inf)}),
        "is huge": lambda: weights.update({name: np.full_like(values, 3e38)}),
        "has another name": lambda: weights.update({f"{name}_x": weights.pop(name)}),
        "has another shape": lambda: weights.update({name: values.reshape(1, *values.shape)}),
        "is longer": lambda: weights.update({name: np.concatenate([values, values])}),
        "is empty": lambda: weights.update({name: values[:0]}),
        "is of integers": lambda: weights.update({name: values.astype(np.int32)}),
        "is the only one": lambda: [weights.pop(other) for other in list(weights) if other != name],
    }
    way = random.choice([*ways, "header", "header", "length of the header", "joined", "pickled"])
    content = file.read_bytes()
    if way in ways:
        ways[way]()
        save_file(weights, file, metadata={"format": "pt"})
        return f"{name} {way}", True
    size = struct.unpack("<Q", content[:8])[0]
    if way == "header":
        way, text, _ = spoil_json(random, content[8 : 8 + size].decode())
        header = text.encode("utf-8", "surrogatepass")
        file.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    elif way == "joined":
        file.write_bytes(content + content)
    elif way == "pickled":
        file.write_bytes(PICKLE)
    else:
        number = random.choice((0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1))
        file.write_bytes(struct.pack("<Q", number) + content[8:])
    return f"safetensors {way}", True


def add_file(random: Random, folder: Path) -> str:
    """Add a file that a loader must not follow or open to a checkpoint folder, and return what was done."""
    outside = folder.parent / "outside.safetensors"
    shutil.copyfile(next(folder.glob("*" + WEIGHTS)), outside)
    weights = load_file(outside)
    save_file({name: value * 0 for name, value in weights.items()}, outside, metadata={"format": "pt"})
    target = random.choice(("../outside.safetensors", str(outside), 7, None, ["model.safetensors"], "no.safetensors"))
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, target)}
    ways = {
        "pytorch_model.bin": PICKLE,
        "adapter_model.bin": PICKLE,
        "model.safetensors.index.json": json.dumps(index).encode(),
        "pytorch_model.bin.index.json": json.dumps({"weight_map": {"a": "pytorch_model.bin"}}).encode(),
        "generation_config.json": b"[]",
        "preprocessor_config.json": b'{"sampling_rate": 8000}',
        "added_tokens.json": b'{"x": 10000000}',
        "chat_template.jinja": b"{{ 7 * 7 }}",
        "adapter_config.json": b'{"base_model_name_or_path": ["a"]}',
    }
    name = random.choice([*ways, "model.safetensors.index.json"])
    (folder / name).write_bytes(ways[name])
    without = name.endswith(("bin", "index.json")) and random.random() < 0.7
    if without:
        for file in folder.glob("*" + WEIGHTS):
            file.unlink()
    shown = f" naming {str(target)[-24:]!r}" if name == "model.safetensors.index.json" else ""
    return f"{name} added{shown}{' in place of the weights' if without else ''}"
