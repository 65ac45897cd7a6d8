"""Scores of many recordings as a job of Ray Data, on one machine or many that see the same files."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .journal import Part
from .recording import Recording
from .scoring import Load, Scorer
from .scoring_options import ScoringOptions

BATCH = 32  # recordings that a worker gets, and that are repeated if it is lost


class RayScorer:
    """Scorer in a worker of Ray.

    Args:
        load: See `Scorer`.
        options: See `Scorer`.
    """

    def __init__(self, load: Load, options: ScoringOptions):
        self.score = Scorer(load, options)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return the parts of a batch, as lines of JSON.

        Args:
            batch: Recordings, with their finished parts, as lines of JSON: names of files need not be text for Ray.
        """
        items = [json.loads(line) for line in batch["item"]]
        recordings = {key: Recording.from_json(fields) for key, fields, _ in items}
        finished = {key: parts for key, _, parts in items}
        return {"part": [json.dumps(part._asdict()) for part in self.score(recordings, finished)]}


def score_on_ray(
    load: Load,
    options: ScoringOptions,
    recordings: Mapping[str, Recording],
    finished: Mapping[str, Sequence[int]],
    workers: int,
) -> Iterator[Part]:
    """Yield the parts of all recordings as workers finish them, in any order and each once.

    The recordings that a lost worker had are given to another one, and a new worker is started. A running cluster is used
    where `RAY_ADDRESS` names one.

    Args:
        load: See `Scorer`.
        options: See `Scorer`.
        recordings: The recordings by key.
        finished: The parts of recordings that are left out.
        workers: The number of workers; each has a GPU if the cluster has any.

    Raises:
        ImportError: If Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray
    import ray.data

    if not recordings:
        return
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, logging_level="WARNING", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False  # the progress bar is that of the table
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        gpus = min(1, ray.cluster_resources().get("GPU", 0))
        lines: list[dict[str, Any]] = [
            {"item": json.dumps([key, recording, list(finished.get(key, ()))])}
            for key, recording in recordings.items()
        ]
        blocks = max(1, -(-len(lines) // BATCH))
        parts = ray.data.from_items(lines, override_num_blocks=blocks).map_batches(
            RayScorer,
            fn_constructor_args=(load, options),
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_gpus=gpus,
        )
        seen = set()
        for row in parts.iter_rows():
            part = Part(**json.loads(row["part"]))
            if (part.key, part.part) not in seen:
                seen.add((part.key, part.part))
                yield part
    finally:
        if started:
            ray.shutdown()
