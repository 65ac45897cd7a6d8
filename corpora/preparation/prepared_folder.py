"""The folder that a prepared corpus is.

data/<split>-00000-of-00001.arrow    the rows in the schema
README.md                            what they are, and what `datasets.load_dataset` has to know of them
problems.json, problems.txt          what is wrong with the corpus, row by row
preparation.json                     what was prepared, from which files
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from datasets import Dataset, DatasetDict, Features, concatenate_datasets

from ..scan import Scan
from ..schema import SPLITS, features
from ..transcripts.transcribe import add_transcripts

FORMAT = 1
FACTS, PROBLEMS = "preparation.json", "problems.json"
ROWS = 256  # that are written at a time
SHARD = 500_000_000  # bytes after which a file is followed by another
ALL = "train"  # the split of rows that have none: folds are chosen when they are loaded

README = """\
---
configs:
- config_name: default
  data_files:
{files}---

# {title}, prepared

{rows:,} utterances, prepared by emofusion from a copy on disk. `problems.txt` says what was left out, and why; what the columns
are is told in `corpora/schema.py` of emofusion. {carried}

```python
from datasets import load_dataset
from emofusion import load_corpus

folder = "..."  # where this page lies
rows = load_dataset(folder, streaming=True)  # as they are
corpus = load_corpus("{corpus}", folder{options})  # in training, validation and test
```

Licence of the corpus: {license}. It holds for this folder too.
"""
CARRIED = {
    True: "The recordings are inside (16 kHz, 16 bits, FLAC), so the folder can be moved; the films are not.",
    False: "The recordings are not inside: rows name them by their paths on the machine where they were prepared.",
}


@dataclass
class Prepared:
    """A prepared corpus.

    Args:
        folder: Where it is.
        splits: The rows, memory-mapped; all in "train" where the corpus has no splits of its own.
        problems: What is wrong with the corpus, as `disk.problem` gives it.
        facts: What `preparation.json` holds: `corpus`, `options`, `root`, `decoded`, `embedded`, `rows`, and `counts`, the
            rows per part of the corpus and label.
    """

    folder: Path
    splits: DatasetDict
    problems: list[dict]
    facts: dict


def open_prepared(folder: str | Path) -> Prepared:
    """Open a prepared folder.

    Raises:
        FileNotFoundError: If it is none.
        ValueError: If it is damaged, or was made by a version of emofusion with another format.
    """
    folder = Path(folder)
    if not (folder / FACTS).is_file():
        raise FileNotFoundError(
            f"{folder} is not a prepared corpus: it has no {FACTS}. Make one with scripts/prepare.py."
        )
    try:
        facts = json.loads((folder / FACTS).read_text("utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']!r}, not {FORMAT}")
        splits = {split: _open_split(folder / "data", split, count) for split, count in facts["splits"].items()}
        problems = json.loads((folder / PROBLEMS).read_text("utf-8"))
    except (KeyError, OSError, ValueError, pyarrow.ArrowException) as error:
        raise ValueError(f"{folder} cannot be read ({error}): prepare the corpus again.") from error
    return Prepared(folder, add_transcripts(DatasetDict(splits), folder), problems, facts)


def write_prepared(folder: Path, scan: Scan, rows: Iterable[dict], facts: Mapping, about: Mapping) -> None:
    """Write a prepared folder.

    Args:
        folder: An empty one.
        scan: Where the rows come from; its problems are written last.
        rows: Those of the scan that can be used.
        facts: What is known of the preparation.
        about: What the corpus says of itself; and `part`, the column by which rows are counted (or "split"), and `options`,
            those that loading the folder needs.

    Raises:
        ValueError: If there are no rows.
    """
    part, counts, tables = about["part"], {}, _Tables(folder / "data", features(scan.labels))
    with tables:
        for row in rows:
            split = row.pop("split", None) or ALL
            counts.setdefault(str(split if part == "split" else row[part]), Counter())[row["label"]] += 1
            tables.add(split, row)
    if not tables.rows:
        first = f" The first of {len(scan.problems)} problems: {scan.problems[0]['what']}" if scan.problems else ""
        raise ValueError(f"{scan.root} has no utterance that can be used.{first}")
    splits = {split: tables.rows[split] for split in SPLITS if split in tables.rows}
    counts = {
        name: {label: counts[name][label] for label in scan.labels if counts[name][label]}
        for name in (splits if part == "split" else sorted(counts))
    }
    facts = {**facts, "rows": sum(splits.values()), "splits": splits, "counts": counts}
    _write_json(folder / PROBLEMS, scan.problems)
    (folder / "problems.txt").write_text(format_problems(scan.problems), encoding="utf-8")
    (folder / "README.md").write_text(_page(facts, about), encoding="utf-8")
    _write_json(folder / FACTS, facts)


def format_problems(problems: Iterable[Mapping]) -> str:
    """Problems as text to be read, by their kind: first those of this copy, then those of every copy."""
    groups = {}
    for found in problems:
        groups.setdefault((found["known"], found["kind"]), []).append(found)
    lines = [] if groups else ["No problems.\n"]
    for (known, kind), members in sorted(groups.items(), key=lambda group: (group[0][0], len(group[1]))):
        dropped = sum(found["dropped"] for found in members)
        fate = f", {dropped:,} left out" if dropped else ""
        lines.append(f"{kind}: {len(members):,}{fate}{' (in every copy)' if known else ''}")
        for found in members:
            where = " ".join(part for part in (found["id"], found["file"]) if part and part not in found["what"])
            lines.append(f"  {where}: {found['what']}" if where else f"  {found['what']}")
        lines.append("")
    return "\n".join(lines)


class _Tables:
    """Arrow files, one or more a split, that are written as the rows come.

    Args:
        folder: Will be made.
        schema: Of the rows.

    Attributes:
        rows: How many were written, per split.
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
        waiting.append(row | {"label": self.schema["label"].str2int(row["label"])})
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


def _open_split(folder: Path, split: str, count: int) -> Dataset:
    shards = sorted(folder.glob(f"{split}-*-of-*.arrow"))
    if not shards:
        raise ValueError(f"it has no {split}")
    rows = concatenate_datasets([Dataset.from_file(str(shard)) for shard in shards])
    if len(rows) != count:
        raise ValueError(f"its {split} has {len(rows)} rows, not {count}")
    return rows


def _page(facts: Mapping, about: Mapping) -> str:
    files = "".join(f"  - split: {split}\n    path: data/{split}-*.arrow\n" for split in facts["splits"])
    options = "".join(f", {name}={value!r}" for name, value in about["options"].items())
    return README.format(
        files=files,
        title=about["title"],
        rows=facts["rows"],
        carried=CARRIED[facts["embedded"]],
        corpus=facts["corpus"],
        options=options,
        license=about["license"],
    )


def _write_json(path: Path, content) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
