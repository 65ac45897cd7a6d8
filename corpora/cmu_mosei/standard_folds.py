"""The standard folds of CMU-MOSEI: lists of videos in a file of its SDK, which is read and never run."""

import ast
from pathlib import Path

FILE = "cmu_mosei_std_folds.py"
SOURCE = "https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK"
LISTS = {
    "standard_train_fold": "train",
    "standard_valid_fold": "validation",
    "standard_test_fold": "test",
}
MOST_BYTES = 10_000_000


def read_standard_folds(path: Path) -> dict[str, str]:
    """Return the split of each video.

    Args:
        path: The file `cmu_mosei_std_folds.py`, which assigns a list of names to each of `LISTS`.

    Raises:
        ValueError: If it cannot be read, lacks a list, or has a video in two.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is not {FILE} of the SDK of CMU-MOSEI: get it from {SOURCE}.") from error
    splits = {}
    for name, split in LISTS.items():
        videos = _list(tree, name)
        if not videos:
            raise ValueError(f"{path} has no list {name} of names of videos: get {FILE} from {SOURCE}.")
        for video in videos:
            if splits.setdefault(video, split) != split:
                raise ValueError(f"{path} has the video {video!r} in two folds: get {FILE} from {SOURCE}.")
    return splits


def _list(tree: ast.Module, name: str) -> list[str]:
    """Return the list of texts that is assigned to a name, empty if there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == name for target in node.targets):
            items = getattr(node.value, "elts", [])
            values = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            return values if len(values) == len(items) else []
    return []
