"""A store of arrays of different lengths, read by key from memory-mapped files and written by several processes."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ...corpora.atomic_write import staged

KEY_SIZE = 16  # bytes
# Keys are divided among buckets; one process at a time writes a bucket. More buckets balance better but make smaller files.
BUCKETS = 32
SHARD_BYTES = 2**27  # approximate size of a file, which is held in memory and lost in an interruption


class PrefixStore:
    """A folder of safetensors files, each with the concatenated `states` of some rows, their `offsets` and `keys`.

    Files are written atomically and never changed, so reading needs no lock. A writing process holds the lock of its
    bucket of keys, which is released when the process ends in any way.

    Args:
        folder: The folder; it is created if missing.
        dtype: The dtype of the states on disk.
        metadata: Description of the states, written to `about.json`.
    """

    def __init__(self, folder: str | Path, dtype: torch.dtype, metadata: dict | None = None):
        self.folder = Path(folder)
        self.dtype = dtype
        self._files: list[Path] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}  # key -> number of the file, start, end
        self._mapped: dict[int, torch.Tensor] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if metadata is not None and not (self.folder / "about.json").exists():
            with staged(self.folder) as staging:
                (staging / "about.json").write_text(json.dumps(metadata, indent=2, sort_keys=True), encoding="utf-8")
        self.refresh()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """Return the states `(positions, ...)` of a row: a view of the mapped file, which must not be written to."""
        number, start, end = self._places[key]
        if number not in self._mapped:
            with _open(self._files[number]) as file:
                self._mapped[number] = file.get_tensor("states")
        return self._mapped[number][start:end]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_mapped": {}}  # a spawned worker maps the files itself

    @property
    def nbytes(self) -> int:
        """Size on disk in bytes."""
        return sum(file.stat().st_size for file in self._files)

    def refresh(self, bucket: int | None = None) -> None:
        """Add the rows of files that any process has written since the last call.

        Args:
            bucket: Look only for files of this bucket.

        Raises:
            ValueError: If a file is damaged.
        """
        known = set(self._files)
        for path in sorted(self.folder.glob("*.safetensors" if bucket is None else f"{bucket:02x}-*.safetensors")):
            if path not in known:
                with _open(path) as file:
                    keys, offsets = file.get_tensor("keys").numpy(), file.get_tensor("offsets").tolist()
                for key, start, end in zip(keys, offsets, offsets[1:], strict=False):
                    self._places[key.tobytes()] = (len(self._files), start, end)
                self._files.append(path)

    def fill(
        self, keys: Iterable[bytes], compute: Callable[[list[bytes]], Iterator[tuple[bytes, torch.Tensor]]]
    ) -> None:
        """Compute the missing keys, sharing the work with other processes that fill the store; then all keys are there.

        Args:
            keys: The keys that will be read.
            compute: Takes missing keys and yields each with its states `(positions, ...)`, in any order.
        """
        buckets = defaultdict(list)
        for key in keys:
            if key not in self:
                buckets[key[0] % BUCKETS].append(key)
        # First skip the buckets of other processes; then wait for them, and compute what a failed process left.
        for wait in (False, True):
            for bucket in list(buckets):
                lock = FileLock(self.folder / f"{bucket:02x}.lock")
                try:
                    with lock.acquire(blocking=wait):
                        self.refresh(bucket)
                        if missing := [key for key in buckets[bucket] if key not in self]:
                            self._write(bucket, compute(missing))
                except Timeout:
                    continue
                del buckets[bucket]

    def _write(self, bucket: int, rows: Iterable[tuple[bytes, torch.Tensor]]) -> None:
        keys, states, size = [], [], 0
        for key, values in rows:
            keys.append(key)
            states.append(values.to(self.dtype))
            size += states[-1].nbytes
            if size >= SHARD_BYTES:
                self._write_file(bucket, keys, states)
                keys, states, size = [], [], 0
        if keys:
            self._write_file(bucket, keys, states)
        self.refresh(bucket)

    def _write_file(self, bucket: int, keys: list[bytes], states: list[torch.Tensor]) -> None:
        name = hashlib.blake2b(b"".join(keys), digest_size=8).hexdigest()
        tensors = {
            "states": torch.cat(states),
            "offsets": torch.tensor([0, *map(len, states)]).cumsum(dim=0),
            "keys": torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, KEY_SIZE),
        }
        # The next owner of the lock overwrites what a killed process left.
        partial = self.folder / f"{bucket:02x}.partial"
        try:
            save_file(tensors, partial)
            os.replace(partial, self.folder / f"{bucket:02x}-{name}.safetensors")
        finally:
            partial.unlink(missing_ok=True)


def _open(path: Path):
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it, and its rows will be computed again.") from error
