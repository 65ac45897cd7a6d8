"""States on disk: arrays of different length, read by key from memory-mapped files, written by any number of processes."""

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
# Keys fall into so many parts, each written by one process at a time: more share the work better, and make smaller files.
BUCKETS = 32
SHARD_BYTES = 2**27  # of states in a file, about: what an interruption costs, and what is held in memory before


class PrefixStore:
    """A folder of safetensors files, each with some rows' `states` behind each other, their `offsets` and their `keys`.

    A file appears whole or not at all and is never changed, so that reading needs no lock. A process that writes holds
    the lock of its bucket of keys; the lock goes with the process, however that ends.

    Args:
        folder: created where it does not exist.
        dtype: of the states on disk.
        about: what the states are, for people, in `about.json`.
    """

    def __init__(self, folder: str | Path, dtype: torch.dtype, about: dict | None = None):
        self.folder = Path(folder)
        self.dtype = dtype
        self._files: list[Path] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}  # key -> number of its file, first position, last
        self._mapped: dict[int, torch.Tensor] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if about is not None and not (self.folder / "about.json").exists():
            with staged(self.folder) as staging:
                (staging / "about.json").write_text(json.dumps(about, indent=2, sort_keys=True), encoding="utf-8")
        self.refresh()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """The states `(positions, ...)` of a row, a view of the mapped file: copy them, do not write to them."""
        number, start, end = self._places[key]
        if number not in self._mapped:
            with _open(self._files[number]) as file:
                self._mapped[number] = file.get_tensor("states")
        return self._mapped[number][start:end]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_mapped": {}}  # a worker that is spawned maps the files itself

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self._files)

    def refresh(self, bucket: int | None = None) -> None:
        """Take in the files that have been written since, by whichever process.

        Raises:
            ValueError: if a file is damaged; it is named.
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
        """Compute what is missing, and share the work with all processes that do so at the same time.

        What is finished stays, whatever happens next. When this returns, all keys are there.

        Args:
            keys: that will be read.
            compute: called with keys that are missing, gives each with its states `(positions, ...)`, in any order.
        """
        buckets = defaultdict(list)
        for key in keys:
            if key not in self:
                buckets[key[0] % BUCKETS].append(key)
        # What another process works on is left to it; at last it is waited for, and done here should it have failed.
        for patient in (False, True):
            for bucket in list(buckets):
                lock = FileLock(self.folder / f"{bucket:02x}.lock")
                try:
                    with lock.acquire(blocking=patient):
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
        partial = self.folder / f"{bucket:02x}.partial"  # whoever has the lock next writes over what a kill left
        try:
            save_file(tensors, partial)
            os.replace(partial, self.folder / f"{bucket:02x}-{name}.safetensors")
        finally:
            partial.unlink(missing_ok=True)


def _open(path: Path):
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it, and what it held is computed anew.") from error
