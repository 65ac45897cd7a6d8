"""The pipeline `emotion-recognition`: from recordings, transcripts and videos to emotions with scores."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Pipeline, PreTrainedModel, ProcessorMixin
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import logging

from ..configuration.modalities import MODALITIES, SAMPLING_RATE
from .download import fetch
from .media import load_audio
from .processor_checks import check_processor_fits
from .transcriber import Transcriber

# Keys of an utterance.
UTTERANCE = (*MODALITIES, "alignment")
# Options of each step; the steps define the defaults.
OPTIONS = {"preprocess": ("timeout",), "forward": ("transcriber_kwargs",), "postprocess": ("top_k", "return_text")}
# Number of batches that are read together, so that recordings of similar length share a batch.
WINDOW = 4

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
            inputs: One utterance; a list of utterances; or a generator or `torch.utils.data.Dataset` of them, which is
                read lazily. An utterance is a dict with some of the keys below. The value of the model's first
                modality (for most models the recording) may be given without the dict.

                - `audio`: a recording, as a path, the bytes of a file, an http(s) URL, or a dict
                  `{"array": ..., "sampling_rate": ...}` with one channel (`"raw"` is accepted for `"array"`) or
                  `{"path": ..., "bytes": ...}`.
                - `text`: its transcript.
                - `video`: a video, as a path, bytes, a URL, or frames in the format of the processor.
                - `alignment`: the times of words, syllables and phones, in the format of the processor.
            **kwargs: Options; `pipeline` accepts them as defaults:

                - `top_k` (`int`): the number of emotions to return, the most probable first; by default all.
                - `return_text` (`bool`): whether to return the transcript that the model used.
                - `transcriber_kwargs` (`dict`): options for each call of the transcriber, such as
                  `{"generate_kwargs": {"language": "english"}}` for Whisper.
                - `timeout` (`float`): the limit for the download of one file in seconds, by default 60.
                - `batch_size` (`int`): the number of utterances per batch, by default 1. Utterances of a list or a
                  dataset are batched by length; results do not depend on it.
                - `num_workers` (`int`): the number of processes that decode the recordings of a list or a dataset.

        Returns:
            For one utterance `[{"label": ..., "score": ...}, ...]`; with `return_text` `{"text": ..., "scores":
            [{"label": ..., "score": ...}, ...]}`, where the text is None if the model used none. For a list, a list of
            these; for a generator or a dataset, a generator.

        Raises:
            FileNotFoundError: If a file does not exist.
            TypeError: If an input or an option has a wrong type.
            ValueError: If a file cannot be read or downloaded, or an utterance has no input for the model. For several
                utterances the message names the position of the input.
            RuntimeError: If the transcriber fails.
        """
        if isinstance(inputs, list) and not inputs:
            return []
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **parameters) -> tuple[dict, dict, dict]:
        known = [name for names in OPTIONS.values() for name in names]
        for name in parameters:
            if name not in known:
                raise TypeError(f"emotion-recognition has no option {name!r}; it has {', '.join(known)}.")
        top_k = parameters.get("top_k")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, or None for all emotions, not {top_k}.")
        return tuple({name: parameters[name] for name in names if name in parameters} for names in OPTIONS.values())

    def preprocess(self, inputs: Any, place: str = "", timeout: float = 60.0) -> dict[str, Any]:
        """Read one utterance: download files at URLs, and decode the recording.

        Args:
            inputs: One utterance; see `__call__`.
            place: Prefix of error messages.
            timeout: See `__call__`.

        Returns:
            `audio` (`array` and `sampling_rate`), `text`, `video` and `alignment` of the utterance, None where
            missing; `unused`, the modalities that the model does not use; and `place`.
        """
        try:
            row = dict.fromkeys(UTTERANCE) | self._as_utterance(inputs)
            given = {name for name in MODALITIES if row[name] is not None}
            if not isinstance(row["text"], (str, type(None))):
                raise TypeError(f"text must be a string, not {type(row['text']).__name__}.")
            used = {name for name in self.model.config.modalities if name in given}
            if self._needs_transcript(row):
                used |= {"audio", "text"}
            if not used & set(self.model.config.modalities):
                raise ValueError(f"The utterance has no input for this model: give {self._accepted_inputs()}.")
            row |= dict.fromkeys(given - used)
            if row["audio"] is None:
                row["alignment"] = None
            else:
                extractor = getattr(self.processor, "feature_extractor", None)
                rate = SAMPLING_RATE if extractor is None else extractor.sampling_rate
                row["audio"] = {"array": load_audio(fetch(row["audio"], timeout), rate), "sampling_rate": rate}
            row["video"] = fetch(row["video"], timeout)
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise type(error)(f"{place}{error}") from error
        return row | {"place": place, "unused": sorted(given - used)}

    def _as_utterance(self, inputs: Any) -> dict[str, Any]:
        """Return an utterance as a dict of its modalities."""
        if not isinstance(inputs, Mapping) or not inputs.keys() & set(MODALITIES):
            takes_audio = "audio" in self.model.config.modalities or self.transcriber is not None
            return {"audio" if takes_audio else self.model.config.modalities[0]: inputs}
        if unknown := inputs.keys() - set(UTTERANCE):
            raise ValueError(
                f"An utterance has no key {', '.join(map(repr, unknown))}; its keys are {', '.join(UTTERANCE)}."
            )
        return dict(inputs)

    def _needs_transcript(self, row: Mapping[str, Any]) -> bool:
        """Return whether the transcriber must transcribe an utterance."""
        needed = "text" in self.model.config.modalities and row["text"] is None and row["audio"] is not None
        return needed and self.transcriber is not None

    def _accepted_inputs(self) -> str:
        modalities = list(self.model.config.modalities)
        if modalities == ["text"]:
            return "text, or audio and a transcriber"
        return " or ".join(modalities)

    def _forward(self, rows: list[dict], transcriber_kwargs: Mapping[str, Any] | None = None) -> list[dict]:
        """Transcribe where text is missing, build the batch, and run the model.

        Args:
            rows: Utterances from `preprocess`.
            transcriber_kwargs: See `__call__`.

        Returns:
            For each utterance the `logits` `(classes,)` and the `text` that the model used.
        """
        for row in rows:
            if self._needs_transcript(row):
                row["text"] = self.transcriber(row["audio"], self.device, row["place"], **transcriber_kwargs or {})
            self._warn_of_lost_inputs(row)
        logits = self.model(**self._batch(rows)).logits.float()
        return [{"logits": row_logits, "text": row["text"]} for row, row_logits in zip(rows, logits, strict=True)]

    def _warn_of_lost_inputs(self, row: Mapping[str, Any]) -> None:
        """Warn once about inputs that are ignored, missing or cut."""
        modalities, limit = self.model.config.modalities, self.processor.max_seconds
        if row["unused"]:
            names = " and ".join(MODALITIES[name].word for name in row["unused"])
            logger.warning_once(f"This model does not use {names}; the input is ignored.")
        if "text" in modalities and row["text"] is None:
            names = " and ".join(MODALITIES[name].word for name in modalities if row[name] is not None)
            logger.warning_once(
                f"An utterance has no transcript: the model uses {names} alone. Give its text, or a transcriber."
            )
        audio = row["audio"] if "audio" in modalities else None
        if audio is not None and limit is not None and len(audio["array"]) > limit * audio["sampling_rate"]:
            logger.warning_once(f"A recording is longer than {limit:g} s: the model uses the first {limit:g} s.")

    def _batch(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """Return the inputs of the model on its device and in its dtype; spans stay in float32."""
        names = (*self.model.config.modalities, "alignment")
        columns = {name: [row[name] for row in rows] for name in names}
        columns = {name: column for name, column in columns.items() if any(item is not None for item in column)}
        try:
            batch = self.processor(**columns, return_tensors="pt")
        except (ImportError, OSError, TypeError, ValueError) as error:
            if len(rows) == 1:
                raise type(error)(f"{rows[0]['place']}{error}") from error
            for row in rows:  # raise with the position of the bad row
                self._batch([row])
            raise
        return {
            name: values.to(
                self.device,
                self.model.dtype if values.is_floating_point() and not name.endswith("_spans") else values.dtype,
            )
            for name, values in batch.items()
        }

    def postprocess(self, model_outputs: dict, top_k: int | None = None, return_text: bool = False) -> list | dict:
        """Return the result for one utterance; see `__call__`.

        Args:
            model_outputs: The output of `_forward` for one utterance.
            top_k: See `__call__`.
            return_text: See `__call__`.
        """
        scores, classes = model_outputs["logits"].softmax(dim=-1).sort(descending=True)
        labels = self.model.config.id2label
        entries = [
            {"label": labels[number], "score": score}
            for number, score in islice(zip(classes.tolist(), scores.tolist(), strict=True), top_k)
        ]
        return {"text": model_outputs["text"], "scores": entries} if return_text else entries

    def run_single(
        self, inputs: Any, preprocess_params: dict, forward_params: dict, postprocess_params: dict
    ) -> list | dict:
        """Run all steps on one utterance, with the options of each step."""
        outputs = self.forward([self.preprocess(inputs, **preprocess_params)], **forward_params)
        return self.postprocess(outputs[0], **postprocess_params)

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
        source = _PreprocessedUtterances(self, inputs, preprocess_params)
        if isinstance(inputs, Sized):
            rows = iter(DataLoader(source, batch_size=None, collate_fn=_unchanged, num_workers=num_workers))
            window = batch_size if batch_size == 1 else WINDOW * batch_size
        else:  # a stream: read no further ahead than one batch
            rows, window = (source.read(number, item) for number, item in enumerate(inputs)), batch_size
        while group := list(islice(rows, window)):
            order = sorted(range(len(group)), key=lambda number: _length(group[number]))
            results = {}
            for first in range(0, len(order), batch_size):
                numbers = order[first : first + batch_size]
                outputs = self.forward([group[number] for number in numbers], **forward_params)
                results |= dict(zip(numbers, outputs, strict=True))
            for number in range(len(group)):
                yield self.postprocess(results[number], **postprocess_params)

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


class _PreprocessedUtterances(Dataset):
    """Utterances that are read lazily."""

    def __init__(self, recogniser: EmotionRecognitionPipeline, inputs: Iterable[Any], options: dict):
        self.recogniser, self.inputs, self.options = recogniser, inputs, options

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.read(number, self.inputs[number])

    def read(self, number: int, item: Any) -> dict[str, Any]:
        return self.recogniser.preprocess(item, place=f"inputs[{number}]: ", **self.options)


def _unchanged(row: dict) -> dict:
    return row


def _length(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the sort key of an utterance for batches of similar length: samples, then characters."""
    return 0 if row["audio"] is None else len(row["audio"]["array"]), len(row["text"] or "")
