"""Write a prepared folder.

data/<split>-00000-of-00001.arrow    the rows in the schema
README.md                            description, with the metadata that `datasets.load_dataset` reads
problems.json, problems.txt          the problems of the corpus, row by row
turns.json                           turns of dialogues that give no row, for the context of the rows after them
preparation.json                     metadata of the preparation
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow
from datasets import Features

from ..atomic_write import write_json
from ..records import Scan
from ..schema import SPLITS, UNLABELLED, features

FORMAT = 3
METADATA, PROBLEMS, TURNS = "preparation.json", "problems.json", "turns.json"
ROWS = 256  # rows per write
SHARD = 500_000_000  # bytes after which a new file begins
ALL = "train"  # the split of rows without one; folds are chosen when the corpus is loaded

README = """\
---
configs:
- config_name: default
  data_files:
{files}---

# {title}, prepared

{rows:,} utterances, prepared by emofusion from a copy on disk. `problems.txt` lists the rows that were left out, with
reasons; `corpora/schema.py` of emofusion describes the columns. {embedding}

```python
from datasets import load_dataset
from emofusion import load_corpus

folder = "..."  # the folder of this page
rows = load_dataset(folder, streaming=True)  # all rows, as prepared
corpus = load_corpus("{corpus}", folder{options})  # in training, validation and test
```

The licence of the corpus{license} also applies to this folder.
"""
EMBEDDING = {
    True: "It contains the recordings (16 kHz, 16 bits, FLAC), so it can be moved, but no videos.",
    False: "It does not contain the recordings: rows name their paths on the machine where they were prepared.",
}


def write_prepared(
    folder: Path, scan: Scan, rows: Iterable[dict], metadata: Mapping, description: Mapping, count_by: str
) -> None:
    """Write a prepared folder.

    Args:
        folder: An empty folder.
        scan: The scan that the rows come from; its problems are written after the rows.
        rows: The usable rows of the scan.
        metadata: Metadata of the preparation, to which the counts are added.
        description: The result of `Corpus.describe`, and the `options` that are needed to load the folder.
        count_by: The column by which rows are counted, or "split".

    Raises:
        ValueError: If there are no rows.
    """
    counts, tables = {}, _Tables(folder / "data", features(scan.labels))
    with tables:
        for row in rows:
            split = row.pop("split", None) or ALL
            group = str(split if count_by == "split" else row[count_by])
            counts.setdefault(group, Counter())[UNLABELLED if row["label"] is None else row["label"]] += 1
            tables.add(split, row)
    if not tables.rows:
        first = f" The first of {len(scan.problems)} problems: {scan.problems[0]['what']}" if scan.problems else ""
        raise ValueError(f"{scan.root} has no utterance that can be used.{first}")
    splits = {split: tables.rows[split] for split in SPLITS if split in tables.rows}
    counts = {
        name: {label: counts[name][label] for label in (*scan.labels, UNLABELLED) if counts[name][label]}
        for name in (splits if count_by == "split" else sorted(counts))
    }
    metadata = {**metadata, "rows": sum(splits.values()), "splits": splits, "counts": counts}
    write_json(folder / PROBLEMS, scan.problems)
    write_json(folder / TURNS, scan.turns)
    (folder / "problems.txt").write_text(format_problems(scan.problems), encoding="utf-8")
    (folder / "README.md").write_text(_format_readme(metadata, description), encoding="utf-8")
    write_json(folder / METADATA, metadata)


def format_problems(problems: Iterable[Mapping]) -> str:
    """Return problems as text, grouped by kind: first those of this copy, then those of every copy."""
    groups = {}
    for found in problems:
        groups.setdefault((found["known"], found["kind"]), []).append(found)
    lines = [] if groups else ["No problems.\n"]
    for (known, kind), members in sorted(groups.items(), key=lambda group: (group[0][0], len(group[1]))):
        dropped = sum(found["dropped"] for found in members)
        suffix = f", {dropped:,} left out" if dropped else ""
        lines.append(f"{kind}: {len(members):,}{suffix}{' (in every copy)' if known else ''}")
        for found in members:
            where = " ".join(part for part in (found["id"], found["file"]) if part and part not in found["what"])
            lines.append(f"  {where}: {found['what']}" if where else f"  {found['what']}")
        lines.append("")
    return "\n".join(lines)


class _Tables:
    """Writer of Arrow files, one or more per split, row by row.

    Args:
        folder: The folder to create.
        schema: The columns of the rows.

    Attributes:
        rows: Number of rows written, per split.
    """

    def __init__(self, folder: Path, schema: Features):
        self.folder, self.schema, self.rows = folder, schema, Counter()
        self._waiting, self._writers, self._shards = {}, {}, Counter()
        folder.mkdir()

    def __enter__(self) -> "_Tables":
        return self

    def __exit__(self, kind, *error) -> None:
        for split in list(self._waiting) if kind is None else ():
            self._write(split)
        for writer, file in self._writers.values():
            writer.close()
            file.close()
        for split, shards in self._shards.items() if kind is None else ():
            for number in range(shards):
                draft = self._path(split, number)
                draft.rename(self.folder / f"{draft.stem}-of-{shards:05}.arrow")

    def add(self, split: str, row: dict) -> None:
        waiting = self._waiting.setdefault(split, [])
        number = None if row["label"] is None else self.schema["label"].str2int(row["label"])
        waiting.append(row | {"label": number})
        if len(waiting) == ROWS:
            self._write(split)

    def _write(self, split: str) -> None:
        table = pyarrow.Table.from_pylist(self._waiting.pop(split), schema=self.schema.arrow_schema)
        if split not in self._writers:
            file = pyarrow.OSFile(str(self._path(split, self._shards[split])), "wb")
            self._writers[split] = pyarrow.ipc.new_stream(file, table.schema), file
            self._shards[split] += 1
        writer, file = self._writers[split]
        writer.write_table(table)
        self.rows[split] += len(table)
        if file.tell() > SHARD:
            writer.close()
            file.close()
            del self._writers[split]

    def _path(self, split: str, number: int) -> Path:
        return self.folder / f"{split}-{number:05}.arrow"


def _format_readme(metadata: Mapping, description: Mapping) -> str:
    files = "".join(f"  - split: {split}\n    path: data/{split}-*.arrow\n" for split in metadata["splits"])
    options = "".join(f", {name}={value!r}" for name, value in description["options"].items())
    return README.format(
        files=files,
        title=description["title"],
        rows=metadata["rows"],
        embedding=EMBEDDING[metadata["embedded"]],
        corpus=metadata["corpus"],
        options=options,
        license=f" ({description['license']})" if description.get("license") else "",
    )
