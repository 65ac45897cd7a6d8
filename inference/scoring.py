"""Scores of many recordings: the function that one batch of them goes through, in this process or in others."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset
from transformers import Pipeline

from ..configuration.plain_text import one_line, show_dtype
from ..processing.input_errors import EXPECTED
from ..processing.utterance_reader import MARGIN, Limit
from ..processing.window_options import AUTO
from ..processing.windows import Span
from .journal import Part
from .recording import Recording
from .rttm import group_turns
from .scoring_options import ScoringOptions
from .scoring_plan import Piece, Planner, measure_if_possible
from .tables import build_row, name_columns

# A function that returns the pipeline on a device, None for the default one. Where another process has chosen the dtype, it is
# given by its name, as `dtype`.
Load = Callable[..., Pipeline]


class Utterances(Dataset):
    """Inputs of the pipeline; the pipeline answers a dataset one by one.

    Args:
        inputs: The inputs.
    """

    def __init__(self, inputs: Sequence[dict[str, Any]]):
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.inputs[number]


class Scorer:
    """Scorer of batches of recordings.

    Args:
        load: See `Load`.
        options: The options.
        device: The device.

    Raises:
        OSError: If the RTTM file cannot be read.
        ValueError: If it is damaged, or the windows are longer than the model takes.
    """

    def __init__(self, load: Load, options: ScoringOptions, device: str | None = None):
        self.turns = None if options.rttm is None else group_turns(options.rttm)
        self.recognise, self.options = load(device), options
        config, processor = self.recognise.model.config, self.recognise.processor
        self.dtype = show_dtype(self.recognise.model.dtype)
        self.columns, self.limit = name_columns(config), Limit.from_processor(processor).seconds
        if options.window_seconds is not None and options.window_seconds > self.limit:
            raise ValueError(
                f"Windows of {options.window_seconds:g} s are longer than the {self.limit:g} s that this model takes: give "
                "shorter ones."
            )
        # An earlier utterance that a model reads may itself read words of those before it.
        self.earlier_turns = processor.earlier_turns + config.history
        self._planner = Planner(options, config.modalities, self.limit, self.earlier_turns > 0, self.turns)
        self._call = {"batch_size": options.batch_size, "return_text": True, "on_error": "return"}

    def __call__(
        self, recordings: Mapping[str, Recording], finished: Mapping[str, Collection[int]] | None = None
    ) -> Iterator[Part]:
        """Yield the rows of recordings, part by part. A recording that cannot be scored is a row with an error.

        Args:
            recordings: The recordings by key; their inputs are in memory together.
            finished: The parts of recordings that are left out.
        """
        pieces = []
        for key, recording in recordings.items():
            try:
                pieces += self._planner.plan(key, recording, (finished or {}).get(key, ()))
            except EXPECTED as error:
                yield from self._fail(Piece(key, recording), str(error))
        for windows in sorted({piece.windows for piece in pieces}, key=lambda windows: windows is not None):
            chosen = [piece for piece in pieces if piece.windows == windows]
            options = {"num_workers": self.options.num_workers} if windows is None else self._cut_into(*windows)
            answers = self.recognise(Utterances([piece.inputs for piece in chosen]), **self._call, **options)
            if windows is not None:
                yield from self._finish_rows(chosen, answers)
            else:
                for piece, answer in zip(chosen, answers, strict=True):
                    yield from self._finish(piece, answer)

    def _cut_into(self, window: float | None, hop: float | None) -> dict[str, Any]:
        """Return the options with which the pipeline cuts recordings into windows."""
        windows = {"window_seconds": window or AUTO, "hop_seconds": hop, "stream_rows": True}
        return self.options.of_pipeline() | {name: value for name, value in windows.items() if value is not None}

    def _finish_rows(self, pieces: Sequence[Piece], answers: Iterable[dict[str, Any]]) -> Iterator[Part]:
        """Yield the parts for the rows of recordings that the pipeline cuts: windows that were planned one by one."""
        found = []
        for answer in answers:
            piece = pieces[answer["input"]]
            if "row" not in answer and "error" in answer:
                yield from self._fail(piece, answer["error"])
                continue
            row = build_row(piece.recording, {**piece.named, **answer}, self.columns)
            seconds = answer["end"] - answer["start"] if "row" in answer else 0.0  # nobody speaks in it
            if piece.spans:
                yield Part(piece.key, piece.parts[answer["row"]], piece.total, [row], seconds)
                continue
            found.append((row, seconds))
            if len(found) >= answer["rows"]:
                rows, total = [row for row, _ in found], float(sum(seconds for _, seconds in found))
                yield Part(piece.key, piece.parts[0], piece.total, rows, total)
                found = []

    def _finish(self, piece: Piece, answer: Any) -> Iterator[Part]:
        """Yield the part for the answer of the pipeline to a recording that is not cut."""
        key, recording = piece.key, piece.recording
        if "error" in answer:
            yield from self._fail(piece, answer["error"])
        else:
            start, end = recording.start or 0.0, recording.end
            if end is None and self._planner.hears:
                end = measure_if_possible(recording)
            is_cut = end is not None and end - start > self.limit + MARGIN
            end = start + self.limit if is_cut else end
            times = {} if end is None else {"start": round(start, 6), "end": round(end, 6)}
            rows = [build_row(recording, {**answer, **times}, self.columns)]
            yield Part(key, piece.parts[0], piece.total, rows, 0.0 if end is None else end - start, is_cut)

    def _fail(self, piece: Piece, message: str) -> Iterator[Part]:
        """Yield a row with an error for each part."""
        recording = piece.recording
        spans = piece.spans or [Span(recording.start, recording.end)]
        for part, (start, end, *_) in zip(piece.parts, spans, strict=True):
            row = {**piece.named, "start": start, "end": end, "error": one_line(message)}
            yield Part(piece.key, part, piece.total, [build_row(recording, row, self.columns)])
