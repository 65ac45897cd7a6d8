"""The pipeline `emotion-recognition`: recordings, transcripts and films in, emotions and their scores out."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Pipeline, PreTrainedModel, ProcessorMixin
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import logging

from .download import fetch
from .media import load_audio
from .transcriber import Transcriber

# modality -> its name in a sentence
NAMES = {"audio": "speech", "text": "text", "video": "the face"}
UTTERANCE = (*NAMES, "alignment")
# What each step may be asked for; the defaults stand in the steps.
OPTIONS = {"preprocess": ("timeout",), "forward": ("transcriber_kwargs",), "postprocess": ("top_k", "return_text")}
RATE = 16000  # Hz, of recordings that only the transcriber hears
WINDOW = 4  # batches that are read together, to put recordings of about equal length into one

logger = logging.get_logger(__name__)


class EmotionRecognitionPipeline(Pipeline):
    """Recognises the emotion of utterances with any classifier of emofusion.

    ```python
    from transformers import pipeline

    recognise = pipeline("emotion-recognition", model="folder or name on the Hub", trust_remote_code=True)
    recognise("recording.wav")
    recognise({"audio": "recording.wav", "text": "What a lovely morning."}, top_k=1)
    ```

    Args:
        model: A classifier of emofusion; it is put into evaluation mode.
        processor: Its processor.
        transcriber: Writes the transcripts that are missing, for models that read: a pipeline for automatic speech
            recognition, or the name on the Hub or the folder of a model for one, which is loaded when it is first needed,
            from safetensors and without code of its own.
        **kwargs: As in every pipeline (`device`, `batch_size`, `num_workers`, ...), and defaults for the options of
            `__call__`.

    Raises:
        TypeError: `model` or `transcriber` is something else.
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
        kwargs.pop("local_files_only", None)  # `pipeline` has obeyed it, and hands it on
        super().__init__(model, processor=processor, **kwargs)
        self.model.eval()
        self.transcriber = None if transcriber is None else Transcriber(transcriber)

    def __call__(self, inputs: Any, **kwargs) -> Any:
        """Recognises one utterance, or many.

        Args:
            inputs: One utterance; a list of them; or a generator or a `torch.utils.data.Dataset` of them, which are read as
                they are needed. An utterance is a dict with any of these, as far as the model looks at them; where only one
                is given, what the model looks at first (of most models the recording) may stand without the dict:

                - `audio`: a recording, as a path, the bytes of a file, an http(s) address, or a dict
                  `{"array": ..., "sampling_rate": ...}` of one channel (`"raw"` does for `"array"`) or
                  `{"path": ..., "bytes": ...}`.
                - `text`: its transcript.
                - `video`: a film, as a path, bytes, an address, or pictures as the processor takes them.
                - `alignment`: the times of words, syllables and phones, as the processor takes them.
            **kwargs: Options; `pipeline` takes them too, as defaults:

                - `top_k` (`int`): how many emotions to return, the likeliest first; None, the default, is all.
                - `return_text` (`bool`): whether to return the transcript too that the model read.
                - `transcriber_kwargs` (`dict`): options for each call of the transcriber, such as
                  `{"generate_kwargs": {"language": "english"}}` for Whisper.
                - `timeout` (`float`): how long the download of one file may take, in seconds; 60 if not given.
                - `batch_size` (`int`): utterances that the model gets at a time, 1 if not given. Those of a list or a dataset
                  are put together by length; no answer depends on it.
                - `num_workers` (`int`): processes that decode the recordings of a list or a dataset.

        Returns:
            Of an utterance `[{"label": ..., "score": ...}, ...]`; with `return_text`
            `{"text": ..., "scores": [{"label": ..., "score": ...}, ...]}`, where the text is None if the model read none.
            Of a list a list, and of a generator or a dataset a generator of that.

        Raises:
            FileNotFoundError: A file does not exist.
            TypeError: An input or an option of a wrong kind.
            ValueError: A file that cannot be read or downloaded; or nothing that the model looks at. In a list and its like,
                these name the place of the input.
            RuntimeError: The transcriber fails.
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
        """Reads one utterance: recordings are decoded, and what is on the web is downloaded.

        Args:
            inputs: As in `__call__`.
            place: What an error begins with.
            timeout: As in `__call__`.

        Returns:
            What there is of the utterance, None for what is not: `audio`, an array and its `sampling_rate`; `text`; `video`
            and `alignment`, untouched. `unused` names what the model does not look at, and `place` is handed on.
        """
        try:
            row = dict.fromkeys(UTTERANCE) | self._name(inputs)
            given = {name for name in NAMES if row[name] is not None}
            if not isinstance(row["text"], (str, type(None))):
                raise TypeError(f"text must be a string, not {type(row['text']).__name__}.")
            wanted = {name for name in self.model.config.modalities if name in given}
            if self._is_heard(row):
                wanted |= {"audio", "text"}
            if not wanted & set(self.model.config.modalities):
                raise ValueError(f"There is nothing that this model looks at: give {self._wishes()}.")
            row |= dict.fromkeys(given - wanted)
            if row["audio"] is None:
                row["alignment"] = None
            else:
                extractor = getattr(self.processor, "feature_extractor", None)
                rate = RATE if extractor is None else extractor.sampling_rate
                row["audio"] = {"array": load_audio(fetch(row["audio"], timeout), rate), "sampling_rate": rate}
            row["video"] = fetch(row["video"], timeout)
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise type(error)(f"{place}{error}") from error
        return row | {"place": place, "unused": sorted(given - wanted)}

    def _name(self, inputs: Any) -> dict[str, Any]:
        """An utterance as a dict of what it consists of."""
        if not isinstance(inputs, Mapping) or not inputs.keys() & set(NAMES):
            listens = "audio" in self.model.config.modalities or self.transcriber is not None
            return {"audio" if listens else self.model.config.modalities[0]: inputs}
        if unknown := inputs.keys() - set(UTTERANCE):
            raise ValueError(
                f"An utterance has {', '.join(UTTERANCE[:-1])} and {UTTERANCE[-1]}, and not {', '.join(map(repr, unknown))}."
            )
        return dict(inputs)

    def _is_heard(self, row: Mapping[str, Any]) -> bool:
        """Whether the transcriber is to hear a recording."""
        needed = "text" in self.model.config.modalities and row["text"] is None and row["audio"] is not None
        return needed and self.transcriber is not None

    def _wishes(self) -> str:
        modalities = list(self.model.config.modalities)
        if modalities == ["text"]:
            return "text, or audio and a transcriber"
        return " or ".join(modalities)

    def _forward(self, rows: list[dict], transcriber_kwargs: Mapping[str, Any] | None = None) -> list[dict]:
        """Transcribes what has to be, makes the batch and asks the model.

        Args:
            rows: Utterances as `preprocess` returns them.
            transcriber_kwargs: As in `__call__`.

        Returns:
            Of each utterance the `logits` `(classes,)`, and the `text` that the model read.
        """
        for row in rows:
            if self._is_heard(row):
                row["text"] = self.transcriber(row["audio"], self.device, row["place"], **transcriber_kwargs or {})
            self._say_what_is_lost(row)
        logits = self.model(**self._batch(rows)).logits.float()
        return [{"logits": row_logits, "text": row["text"]} for row, row_logits in zip(rows, logits, strict=True)]

    def _say_what_is_lost(self, row: Mapping[str, Any]) -> None:
        """Warns, once each, of what the model leaves aside or does without."""
        modalities, limit = self.model.config.modalities, self.processor.max_seconds
        if row["unused"]:
            names = " and ".join(NAMES[name] for name in row["unused"])
            logger.warning_once(f"This model does not look at {names}; what is given of it is left aside.")
        if "text" in modalities and row["text"] is None:
            names = " and ".join(NAMES[name] for name in modalities if row[name] is not None)
            logger.warning_once(
                f"An utterance has no transcript: the model goes by {names} alone. Give its text, or a transcriber."
            )
        audio = row["audio"] if "audio" in modalities else None
        if audio is not None and limit is not None and len(audio["array"]) > limit * audio["sampling_rate"]:
            logger.warning_once(f"A recording is longer than {limit:g} s: the model hears no more of any.")

    def _batch(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """What the model is called with, on its device and in its precision; times stay as precise as they are."""
        names = (*self.model.config.modalities, "alignment")
        columns = {name: [row[name] for row in rows] for name in names}
        columns = {name: column for name, column in columns.items() if any(item is not None for item in column)}
        try:
            batch = self.processor(**columns, return_tensors="pt")
        except (ImportError, OSError, TypeError, ValueError) as error:
            if len(rows) == 1:
                raise type(error)(f"{rows[0]['place']}{error}") from error
            for row in rows:  # the one at fault is named
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
        """The answer: see `__call__`.

        Args:
            model_outputs: Of one utterance, as `_forward` returns them.
            top_k: As in `__call__`.
            return_text: As in `__call__`.
        """
        scores, classes = model_outputs["logits"].softmax(dim=-1).sort(descending=True)
        labels = self.model.config.id2label
        answer = [
            {"label": labels[number], "score": score}
            for number, score in islice(zip(classes.tolist(), scores.tolist(), strict=True), top_k)
        ]
        return {"text": model_outputs["text"], "scores": answer} if return_text else answer

    def run_single(
        self, inputs: Any, preprocess_params: dict, forward_params: dict, postprocess_params: dict
    ) -> list | dict:
        """Recognises one utterance; the options are those of the steps."""
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
        """Recognises one utterance after the other; the options are those of the steps."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
        source = _Rows(self, inputs, preprocess_params)
        if isinstance(inputs, Sized):
            rows = iter(DataLoader(source, batch_size=None, collate_fn=_unchanged, num_workers=num_workers))
            window = batch_size if batch_size == 1 else WINDOW * batch_size
        else:  # a stream does not wait for more than the batch
            rows, window = (source.read(number, item) for number, item in enumerate(inputs)), batch_size
        while group := list(islice(rows, window)):
            order = sorted(range(len(group)), key=lambda number: _length(group[number]))
            answers = {}
            for first in range(0, len(order), batch_size):
                numbers = order[first : first + batch_size]
                outputs = self.forward([group[number] for number in numbers], **forward_params)
                answers |= dict(zip(numbers, outputs, strict=True))
            for number in range(len(group)):
                yield self.postprocess(answers[number], **postprocess_params)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> None:
        """Saves model and processor, and the code of those that brought their own.

        Args:
            save_directory: The folder.
            **kwargs: As in the models' `save_pretrained`.
        """
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)
        if getattr(self.model.config, "custom_pipelines", None):
            custom_object_save(self, save_directory)


class _Rows(Dataset):
    """Utterances, each read when its turn comes."""

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
    """By what utterances are put together."""
    return 0 if row["audio"] is None else len(row["audio"]["array"]), len(row["text"] or "")
