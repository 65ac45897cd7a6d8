"""A table of scores of many recordings, resumable and divided among processes."""

import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm.auto import tqdm

from ..corpora.atomic_write import make_folder
from .dialogues import join_dialogues, share_dialogues
from .identity import identify_model, identify_transcriber
from .journal import Journal, Part, Scored
from .recording import Recording
from .recording_pictures import draw_recordings
from .recordings import Found, find_recordings
from .scoring import Load, Scorer
from .scoring_options import ScoringOptions
from .scoring_plan import refuse_shared_turns
from .tables import build_row, check_table, order_columns, restore_answer, write_table

ENGINES = ("local", "ray")
GROUP = 512  # recordings that the pipeline gets at a time
# Processes of `accelerate launch` may end this much earlier than the last one.
PATIENCE = timedelta(days=30)
EMPTY = Scored({}, 1)
LOST = "A part of this recording is missing in the journal: run the command again."


class Summary(NamedTuple):
    """What a run has made.

    Attributes:
        rows: The number of rows of the table.
        errors: The number of rows with errors.
        cut: The number of recordings that were scored by their beginning only.
        scored: The number of recordings that this run scored.
        recordings: The number of recordings.
        duplicates: The number of recordings that were named again.
        others: The number of files in folders that are no recordings.
        seconds: The seconds of audio in the table.
        limit: The seconds after which recordings are cut.
        has_no_turns: Whether the model reads earlier turns, and no recording has any.
        pictures: The number of timelines that were drawn.
        speechless: The number of recordings, or of their channels, in which no speech was found.
    """

    rows: int
    errors: int
    cut: int
    scored: int
    recordings: int
    duplicates: int
    others: int
    seconds: float
    limit: float
    has_no_turns: bool
    pictures: int = 0
    speechless: int = 0


def score_to_table(
    load: Load,
    folder: str,
    paths: Sequence[str | os.PathLike],
    table: str | os.PathLike,
    options: ScoringOptions | None = None,
    *,
    root: str | os.PathLike | None = None,
    engine: str = "local",
    workers: int = 2,
    device: str | None = None,
    timelines: str | os.PathLike | None = None,
    smoothing: float | None = None,
    show: bool = True,
) -> Summary | None:
    """Score recordings, and write a table with a row for each utterance or window.

    Finished rows are appended to a journal beside the table, and a run that was ended in any way is continued by the same
    call. Rows with errors are tried again then, and files that have changed are scored again. The table is written when
    all recordings are finished, and the journal is removed unless rows have errors. Processes of `accelerate launch`
    share the recordings, and the main one writes the table. All of them, and the workers of Ray, run in the dtype of the main
    one.

    Args:
        load: A function that returns the pipeline on a device, None for the default one; and, where it is given by its
            name, in a `dtype`. With `engine="ray"` it is sent to the workers.
        folder: The folder of the model, or its name on the Hub.
        paths: See `find_recordings`.
        table: The file: CSV, JSON lines or Parquet.
        options: How recordings are scored.
        root: See `find_recordings`.
        engine: `"local"`, or `"ray"` for a job of Ray Data.
        workers: The number of workers of Ray.
        device: The device of the model; None means a GPU if there is one. Several processes have one each.
        timelines: The folder of a picture for each recording, see `draw_recordings`; None for no pictures.
        smoothing: The standard deviation of the smoothing of pictures in seconds; see `draw_timeline`.
        show: Whether to show a progress bar.

    Returns:
        A summary; None in a process that is not the main one.

    Raises:
        FileExistsError: If the table exists and no journal says how to continue it.
        FileNotFoundError: If a path does not exist.
        ImportError: If a library of a format or of Ray is not installed.
        ValueError: If there is nothing to score, the journal was begun with another model, in another dtype or with other
            options, or `device` is given and there are several processes.
    """
    options = options or ScoringOptions()
    if engine not in ENGINES:
        raise ValueError(f"engine must be {' or '.join(ENGINES)}, not {engine!r}.")
    with Journal(table) as journal:
        processes = _Processes.join()
        if engine == "ray" and processes.number > 1:
            raise ValueError("Ray starts its workers itself: leave `accelerate launch` out, or give engine='local'.")
        if device is not None and (engine == "ray" or processes.number > 1):
            raise ValueError("Several processes have a device each: leave out device (--device).")
        if processes.is_main:
            check_table(table)
            if timelines is not None:
                make_folder(Path(timelines))
            if os.path.exists(table) and not journal.exists:
                raise FileExistsError(f"{table} exists already: remove it, or give another name.")
            found = find_recordings(paths, root)
        place = "cpu" if engine == "ray" else processes.device or device
        scorer = Scorer(load, options, place)
        # Processors of several machines may choose differently, and a table has one dtype.
        dtype = processes.share(scorer.dtype)
        if scorer.dtype != dtype:
            scorer = Scorer(partial(load, dtype=dtype), options, place)
        plan = None
        if processes.is_main:
            journal.begin(_describe(folder, scorer))
            if scorer.turns is not None:
                found = found._replace(recordings=refuse_shared_turns(found.recordings, scorer.turns))
            if scorer.earlier_turns:
                found = found._replace(recordings=join_dialogues(found.recordings, scorer.earlier_turns))
            plan = _find_waiting(journal, found.recordings)
        # The main process decides, so that all have the same list, whatever is written meanwhile.
        waiting, finished = processes.share(plan)
        own = share_dialogues(waiting, processes.index, processes.number)
        if engine == "ray":
            from .ray_engine import score_on_ray

            parts = score_on_ray(partial(load, dtype=dtype), options, own, finished, workers)
        else:
            parts = _score_in_groups(scorer, own, finished)
        with journal.shard(processes.index) as shard, _Progress(own, show and processes.is_main) as progress:
            for part in parts:
                shard.add(part)
                progress.add(part)
        processes.wait()
        if not processes.is_main:
            return None
        return _finish(journal, table, scorer, found, len(waiting), timelines, smoothing)


class _Processes(NamedTuple):
    """The processes of `accelerate launch`; by default only this one.

    Attributes:
        index: The number of this process, from 0, which is the main one.
        number: The number of processes.
        device: The device of this process; None means the default one.
        state: The state of Accelerate.
    """

    index: int = 0
    number: int = 1
    device: str | None = None
    state: Any = None

    @classmethod
    def join(cls) -> "_Processes":
        if int(os.environ.get("WORLD_SIZE", 1)) == 1:
            return cls()
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env

        on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
        state = PartialState(on_cpu, timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, str(state.device), state)

    @property
    def is_main(self) -> bool:
        return self.index == 0

    def share(self, value: Any) -> Any:
        """Return the value of the main process."""
        if self.number == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Wait for all processes."""
        if self.number > 1:
            self.state.wait_for_everyone()


def _describe(folder: str, scorer: Scorer) -> dict[str, Any]:
    """Return what rows depend on, as JSON."""
    options = scorer.options
    transcriber = None if options.transcriber is None else identify_transcriber(options.transcriber)
    return {
        "model": identify_model(folder, scorer.recognise),
        "dtype": scorer.dtype,
        "transcriber": transcriber,
        **options.describe(),
        "columns": scorer.columns,
    }


def _find_waiting(
    journal: Journal, recordings: Mapping[str, Recording]
) -> tuple[dict[str, Recording], dict[str, list[int]]]:
    """Return the recordings that are not finished, and the finished parts of those."""
    waiting, finished = {}, {}
    index = journal.read()
    for key, recording in recordings.items():
        good = [part for part, place in index[key].places.items() if not place.failed] if key in index else []
        if not good or len(good) < index[key].parts:
            waiting[key] = recording
            finished[key] = good
    return waiting, finished


def _score_in_groups(
    scorer: Scorer, recordings: Mapping[str, Recording], finished: Mapping[str, list[int]]
) -> Iterator[Part]:
    """Yield the parts of all recordings, whose windows are planned a group at a time."""
    items = iter(recordings.items())
    while group := dict(islice(items, GROUP)):
        yield from scorer(group, finished)


class _Progress:
    """Progress bar of recordings, with the hours of audio that an hour scores.

    Args:
        recordings: The recordings of this process.
        show: Whether to show it.
    """

    def __init__(self, recordings: Mapping[str, Recording], show: bool):
        self.bar = tqdm(total=len(recordings), desc="Scoring", unit="recording", disable=None if show else True)
        self.seconds, self.began = 0.0, time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()

    def add(self, part: Part) -> None:
        """Count a part."""
        self.seconds += part.seconds
        speed = self.seconds / max(time.monotonic() - self.began, 1e-9)
        self.bar.set_postfix_str(f"{self.seconds / 3600:.2f} h of audio, {speed:.1f} h/h", refresh=False)
        self.bar.update(part.part == part.parts - 1)


def _by_time(row: Mapping[str, Any]) -> tuple[float, int]:
    """Return the place of a row in its recording; an error of the whole recording is the last one."""
    return row.get("start", math.inf), row.get("channel", 0)


def _finish(
    journal: Journal,
    table: str | os.PathLike,
    scorer: Scorer,
    found: Found,
    scored: int,
    timelines: str | os.PathLike | None,
    smoothing: float | None,
) -> Summary:
    """Draw the pictures and write the table from the journal, and remove the journal if no row is an error."""
    index, counts = journal.read(), Counter()

    def load(keys: Iterable[str]) -> Iterator[Part]:
        return journal.load(place for key in keys for place in index.get(key, EMPTY).rows)

    def rows() -> Iterator[dict[str, Any]]:
        for key, recording in found.recordings.items():
            kept = []
            for part in load([key]):
                counts.update(cut=part.is_cut, seconds=part.seconds)
                kept += part.rows
            if not index.get(key, EMPTY).has_an_end:
                kept.append(build_row(recording, {"error": LOST}, scorer.columns))
            for row in sorted(kept, key=_by_time):
                counts.update(rows=1, errors="error" in row, speechless=not {"error", "silent"} & row.keys())
                yield row | {"recording": recording.name}

    pictures = 0
    if timelines is not None:  # before the table, after which the run is finished
        scale = scorer.recognise.model.config.dimension_scale
        pictures = draw_recordings(
            Path(timelines),
            found.recordings,
            lambda keys: [restore_answer(row, scorer.columns, scale) for part in load(keys) for row in part.rows],
            smoothing,
        )
    write_table(table, order_columns(scorer.columns), rows())
    if not counts["errors"]:
        journal.remove()
    return Summary(
        rows=counts["rows"],
        errors=counts["errors"],
        cut=counts["cut"],
        scored=scored,
        recordings=len(found.recordings),
        duplicates=found.duplicates,
        others=found.others,
        seconds=counts["seconds"],
        limit=scorer.limit,
        has_no_turns=bool(scorer.earlier_turns) and not any(one.earlier for one in found.recordings.values()),
        pictures=pictures,
        speechless=counts["speechless"],
    )
