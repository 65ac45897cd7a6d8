"""The processor of all variants: from recordings, transcripts, videos and alignments to a batch."""

import math
import os
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from ..configuration.folder_checks import check_folder
from ..configuration.modalities import CONTEXT_INPUT, MODALITIES, SPAN_INPUTS
from .alignment_spans import pad_spans
from .input_errors import EXPECTED, with_prefix
from .media import AudioSource, as_waveform, load_audio
from .processor_loading import load_parts
from .text_context import add_context, check_context, mark_turns, read_turns
from .text_tokens import tokenize
from .video import VideoSource, count_frames, load_video
from .waveform_features import is_plain, pad_waveforms

if TYPE_CHECKING:
    # Code that was loaded from a checkpoint is saved with what this file imports: a folder that a processor is saved in
    # needs the pipeline, which config.json names.
    from .pipeline_emotion_recognition import EmotionRecognitionPipeline  # noqa: F401

# Seconds: the shortest cut. A shorter recording hardly contains a syllable.
SHORTEST = 0.1
LONGEST = 86400.0  # a day

AudioItem = np.ndarray | torch.Tensor | list[float] | AudioSource | None
VideoItem = np.ndarray | torch.Tensor | VideoSource | None


class EmoFusionProcessor(ProcessorMixin):
    """Processor that turns recordings, transcripts, videos and alignments into one batch for any emofusion model.

    Args:
        feature_extractor: A waveform feature extractor (`Wav2Vec2FeatureExtractor`); None for a model without audio.
        tokenizer: A tokenizer; None for a model without text.
        image_processor: An image processor (`ViTImageProcessor`, ...) for single frames; None for a model without
            video.
        max_seconds: The maximum length in seconds; longer recordings, videos and alignments are cut, in training and
            in use. None means no limit.
        frames_per_second: The number of frames to sample per second of video. The default of 2 (ours) gives 6 to 30
            frames for a typical turn of 3 to 15 s.
        longest_seconds: The length in seconds of the longest recording that the model was trained and measured on. The
            pipeline cuts there if `max_seconds` is None; the processor itself does not. None means unknown.
        context_turns: The number of turns of the dialogue before an utterance that its text is read with; see
            `text_context`. 0 means none.
        context_tokens: The largest number of tokens of these turns. None means as many as the utterance leaves.

    Raises:
        TypeError: If a sub-processor has the wrong class, or a length, rate or count is not a number.
        ValueError: If all sub-processors are None, the feature extractor does not give waveforms padded on the right,
            the tokenizer has no words, or a length or rate is out of range.
    """

    def __init__(
        self,
        feature_extractor=None,
        tokenizer=None,
        image_processor=None,
        max_seconds: float | None = None,
        frames_per_second: float = 2.0,
        longest_seconds: float | None = None,
        context_turns: int = 0,
        context_tokens: int | None = None,
    ):
        super().__init__(feature_extractor, tokenizer, image_processor)
        parts = [name for name in self.get_attributes() if getattr(self, name) is not None]
        if not parts:
            raise ValueError("A processor needs a feature_extractor, a tokenizer or an image_processor.")
        # `save_pretrained` calls this: the class returns all possible sub-processors, the instance its own.
        self.get_attributes = partial(list, parts)
        if feature_extractor is not None and (
            feature_extractor.model_input_names[0] != "input_values" or feature_extractor.padding_side != "right"
        ):
            raise ValueError(
                f"The feature_extractor must give waveforms padded on the right, as Wav2Vec2FeatureExtractor does; "
                f"{type(feature_extractor).__name__} (padding_side={feature_extractor.padding_side!r}) does not."
            )
        if tokenizer is not None and set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):
            # transformers makes such a tokenizer up if a checkpoint has none.
            raise ValueError("The tokenizer has special tokens only: give one with a vocabulary.")
        _check_number("max_seconds", max_seconds, SHORTEST, LONGEST)
        _check_number("longest_seconds", longest_seconds, SHORTEST, LONGEST)
        if frames_per_second is None:
            raise TypeError("frames_per_second must be a number, not None.")
        _check_number("frames_per_second", frames_per_second, 0.0, 1000.0)
        self.max_seconds = max_seconds
        self.frames_per_second = frames_per_second
        self.longest_seconds = longest_seconds
        check_context(context_turns, context_tokens, tokenizer is not None)
        self.context_turns, self.context_tokens = context_turns, context_tokens

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Check the class of a sub-processor, which may be None."""
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings; a missing sub-processor is written as None, and a context that is not read not at all."""
        settings = super().to_dict() | {
            name: None for name in type(self).get_attributes() if getattr(self, name) is None
        }
        unread = () if self.context_turns else ("context_turns", "context_tokens")
        return {name: value for name, value in settings.items() if name not in unread}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "EmoFusionProcessor":
        """Load the processor with the sub-processors that were saved.

        Args:
            pretrained_model_name_or_path: A Hub id or folder.
            **kwargs: Arguments that locate files (`revision`, `token`, `cache_dir`, ...), and new values for arguments
                of `__init__`.

        Raises:
            OSError: If a file is missing, for example the vocabulary of the tokenizer.
            TypeError: If a setting has a wrong type.
            ValueError: If a setting is out of range, or a sub-processor cannot be loaded.
        """
        source = pretrained_model_name_or_path
        check_folder(source, kwargs.get("subfolder"))
        try:
            settings, init_kwargs = cls.get_processor_dict(source, **kwargs)
        except (AttributeError, TypeError) as error:  # it is JSON, but not a mapping
            raise ValueError(f"{source}: processor_config.json cannot be read: {error}") from error
        parts = load_parts(source, settings, **kwargs)
        try:
            return cls.from_args_and_dict(parts, settings, **init_kwargs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{source}: {error}") from error

    @property
    def model_input_names(self) -> list[str]:
        """The possible keys of a batch, the main input first."""
        used = [modality for modality in MODALITIES.values() if getattr(self, modality.processor_part) is not None]
        names = [name for modality in used for name in (modality.main_input, modality.mask)]
        return [*names, *([CONTEXT_INPUT] if self.context_turns else []), *SPAN_INPUTS.values()]

    @property
    def earlier_turns(self) -> int:
        """The largest number of earlier turns that any part of the processor reads."""
        return self.context_turns

    @property
    def decoded_seconds(self) -> float | None:
        """The number of seconds of a recording that any part of the processor uses; None means all."""
        return self.max_seconds

    def __call__(
        self,
        audio: AudioItem | list[AudioItem] = None,
        text: str | list[str | None] | None = None,
        video: VideoItem | list[VideoItem] = None,
        *,
        sampling_rate: int | None = None,
        alignment: Mapping[str, Any] | list[Mapping[str, Any] | None] | None = None,
        context: list[Any] | None = None,
        speaker: str | list[str | None] | None = None,
        padding: bool | str = True,
        max_seconds: float | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Prepare one utterance or a batch. A modality that is None, or None in every row, is left out of the result.

        Args:
            audio: One item or a list of items. An item is a waveform `(samples,)`; a path, the bytes of a file, a dict
                or a decoder (see `load_audio`); or None for a row without a recording.
            text: One transcript or a list of them; None for a row without a transcript. Transcripts longer than the
                tokenizer's `model_max_length` are cut, with a warning once.
            video: One item or a list of items. An item is an array of frames `(frames, height, width, 3)`, RGB, uint8,
                at `frames_per_second`; a path, the bytes of a file or a dict (see `load_video`), which are sampled at
                that rate; or None for a row without video.
            sampling_rate: The sampling rate of waveforms in Hz, which must be the feature extractor's. Required for
                waveforms; files have their own rate and are resampled.
            alignment: One row or a list of rows; None for a row without an alignment. A row maps `word`, `syllable`
                and `phone` to `{"start": [...], "end": [...], "symbol": [...]}` in seconds, or to None. Silence and
                noise are dropped.
            context: For each row the turns before it, oldest first: strings, or mappings with `text` and `speaker`. The last
                `context_turns` are read. For one utterance (`text` is a string), its turns alone.
            speaker: The speaker of each row, which the speakers of its context are compared with.
            padding: As in the feature extractor and the tokenizer; `"max_length"` pads audio and video to
                `max_seconds`. With other values, video is padded to the longest.
            max_seconds: A shorter maximum length for this batch than the processor's `max_seconds`.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `input_values` `(batch, samples)` float32 with `audio_attention_mask` `(batch, samples)`; `input_ids` and
            `attention_mask` `(batch, tokens)`, with a `context` also `context_lengths` `(batch,)`; `pixel_values_videos` `(batch, frames, channels, height, width)`
            float32 with `video_attention_mask` `(batch, frames)`; and, with an alignment, `word_spans`,
            `syllable_spans` and `phone_spans` `(batch, segments, 2)` float32 in seconds, -1 where padded. A row
            without a modality has an all-zero mask.

        Raises:
            TypeError: If audio, text, video or alignment has a wrong type.
            ValueError: If a sampling rate is wrong; audio is empty, not one channel or not finite; frames have a wrong
                shape; arguments have different numbers of rows; all are None; or the processor has no sub-processor
                for one, or reads no context.
        """
        audio = [audio] if is_one_audio(audio) else audio
        if isinstance(text, str):
            text, context = [text], None if context is None else [context]
            speaker = [speaker]
        video = [video] if video is not None and not isinstance(video, (list, tuple)) else video
        alignment = [alignment] if isinstance(alignment, Mapping) else alignment
        rows = _count_rows(audio=audio, text=text, video=video, alignment=alignment, context=context, speaker=speaker)
        limit = shorter(self.max_seconds, max_seconds)

        batch = {}
        if audio is not None and any(item is not None for item in audio):
            batch |= self._process_audio_rows(audio, sampling_rate, padding, limit)
        if text is not None and any(item is not None for item in text):
            batch |= self._process_text_rows(text, padding, context, speaker)
        if video is not None and any(item is not None for item in video):
            batch |= self._process_video_rows(video, padding, limit)
        if not batch:
            raise ValueError(f"There is nothing to process: audio, text and video are None in all {rows} rows.")
        if alignment is not None:
            for level, name in SPAN_INPUTS.items():
                batch[name] = pad_spans(alignment, level, limit)
        return BatchFeature(batch, tensor_type=return_tensors)

    def _process_audio_rows(
        self, audio: list[AudioItem], sampling_rate: int | None, padding: bool | str, limit: float | None
    ) -> dict:
        if self.feature_extractor is None:
            raise ValueError("audio was given, but this processor has no feature_extractor: leave audio out.")
        samples = None if limit is None else max(1, round(limit * self.feature_extractor.sampling_rate))
        waveforms = {
            row: self._waveform(item, row, sampling_rate, limit)[:samples]
            for row, item in enumerate(audio)
            if item is not None
        }
        features = self._pad(list(waveforms.values()), padding, samples)
        rows = list(waveforms)
        return {
            "input_values": _scatter_rows(features["input_values"], rows, len(audio), 0.0),
            "audio_attention_mask": _scatter_rows(features["attention_mask"], rows, len(audio), 0),
        }

    def _pad(self, waveforms: list[np.ndarray], padding: bool | str, samples: int | None) -> Mapping[str, np.ndarray]:
        if is_plain(self.feature_extractor, padding):
            return pad_waveforms(waveforms, self.feature_extractor, samples if padding == "max_length" else None)
        rate = self.feature_extractor.sampling_rate
        options = {"return_attention_mask": True, "return_tensors": "np"}
        return self.feature_extractor(waveforms, sampling_rate=rate, padding=padding, max_length=samples, **options)

    def _waveform(
        self, item: AudioItem, row: int, sampling_rate: int | None, limit: float | None = None
    ) -> np.ndarray:
        """Return one row's waveform `(samples,)`; of a file, no more than `limit` seconds are decoded."""
        expected = self.feature_extractor.sampling_rate
        name = f"audio[{row}]"
        if not isinstance(item, (np.ndarray, torch.Tensor, list, tuple)):
            try:
                return load_audio(item, expected, max_seconds=limit)
            except EXPECTED as error:
                raise with_prefix(error, f"{name}: ")  # noqa: B904
        if sampling_rate != expected:
            given = "of unknown rate: give sampling_rate" if sampling_rate is None else f"at {sampling_rate} Hz"
            raise ValueError(
                f"{name} is a waveform {given}, and this model takes {expected} Hz: resample it, or pass the path of "
                "its file, which is resampled."
            )
        return as_waveform(item.detach().cpu().float().numpy() if isinstance(item, torch.Tensor) else item, name)

    def _process_text_rows(
        self, text: list[str | None], padding: bool | str, context: list[Any] | None, speaker: list[str | None] | None
    ) -> dict:
        if self.tokenizer is None:
            raise ValueError("text was given, but this processor has no tokenizer: leave text out.")
        rows = [row for row, item in enumerate(text) if item is not None]
        for row in rows:
            if not isinstance(text[row], str):
                raise TypeError(f"text[{row}] must be a string or None, not {type(text[row]).__name__}.")
        tokens = tokenize([text[row] for row in rows], self.tokenizer, padding)
        if context is not None:
            marked = [self._mark_context(context[row], row, speaker) for row in rows]
            tokens = add_context(tokens, marked, self.tokenizer, self.context_tokens)
        fills = {"input_ids": self.tokenizer.pad_token_id, "attention_mask": 0, CONTEXT_INPUT: 0}
        return {name: _scatter_rows(tokens[name], rows, len(text), fills[name]) for name in fills if name in tokens}

    def _mark_context(self, context: Any, row: int, speakers: list[str | None] | None) -> str:
        """Return the last turns of the context of a row as one text."""
        if not self.context_turns:
            raise ValueError("context was given, but this processor has context_turns 0: leave context out.")
        speaker = None if speakers is None else speakers[row]
        return mark_turns(read_turns(context, f"context[{row}]", speaker)[-self.context_turns :], speaker)

    def _process_video_rows(self, video: list[VideoItem], padding: bool | str, limit: float | None) -> dict:
        if self.image_processor is None:
            raise ValueError("video was given, but this processor has no image_processor: leave video out.")
        clips = {row: self._pixels(item, row, limit) for row, item in enumerate(video) if item is not None}
        length = max(map(len, clips.values()))
        if padding == "max_length" and limit is not None:
            length = count_frames(limit, self.frames_per_second)
        shapes = {clip.shape[1:] for clip in clips.values()}
        if len(shapes) > 1:
            raise ValueError(
                f"The image_processor must give images of one size, not {' and '.join(map(str, shapes))}."
            )
        pixels = np.zeros((len(video), length, *shapes.pop()), dtype=np.float32)
        mask = np.zeros((len(video), length), dtype=np.int64)
        for row, clip in clips.items():
            pixels[row, : len(clip)] = clip
            mask[row, : len(clip)] = 1
        return {"pixel_values_videos": pixels, "video_attention_mask": mask}

    def _pixels(self, item: VideoItem, row: int, limit: float | None) -> np.ndarray:
        """Return the pixel values of one row's video, `(frames, channels, height, width)`."""
        name = f"video[{row}]"
        if isinstance(item, (str, os.PathLike, bytes, Mapping)):
            try:
                frames = load_video(item, self.frames_per_second, max_seconds=limit)
            except EXPECTED as error:
                raise with_prefix(error, f"{name}: ")  # noqa: B904
        elif isinstance(item, (np.ndarray, torch.Tensor)):
            frames = np.asarray(item.detach().cpu() if isinstance(item, torch.Tensor) else item)
            if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or frames.dtype != np.uint8:
                raise ValueError(
                    f"{name} must be frames of shape (frames, height, width, 3) in uint8, not {frames.shape} in {frames.dtype}."
                )
            if limit is not None:
                frames = frames[: count_frames(limit, self.frames_per_second)]
        elif hasattr(item, "get_frames_in_range"):
            raise TypeError(
                f"{name} is a video decoder of torchcodec: load the column with datasets.Video(decode=False), or give a "
                "path."
            )
        else:
            raise TypeError(f"{name} must be an array, a path, bytes, a dict or None, not {type(item).__name__}.")
        features = self.image_processor(list(frames), input_data_format="channels_last", return_tensors="np")
        return features["pixel_values"]


def shorter(first: float | None, second: float | None) -> float | None:
    """Return the shorter of two lengths; None means no limit."""
    return min((seconds for seconds in (first, second) if seconds is not None), default=None)


def is_one_audio(audio: Any) -> bool:
    """Return whether `audio` is one item instead of a list of items; a list of numbers is one waveform."""
    if isinstance(audio, (list, tuple)):
        return len(audio) > 0 and isinstance(audio[0], Real)
    return audio is not None


def _check_number(name: str, value: Any, lowest: float, highest: float) -> None:
    """Check that a setting is None, or a number above 0, of at least `lowest` and at most `highest`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {value!r} of type {type(value).__name__}.")
    if value > highest and value != math.inf:
        raise ValueError(f"{name} must be at most {highest:g}, not {value}.")
    if not (0 < value < math.inf and value >= lowest):
        wanted = f"at least {lowest:g}" if lowest else "a positive number"
        raise ValueError(f"{name} must be {wanted} and finite, not {value}.")


def _count_rows(**arguments: list | None) -> int:
    for name, rows in arguments.items():
        if rows is not None and not isinstance(rows, (list, tuple)):
            raise TypeError(f"{name} must be one item or a list of items, not {type(rows).__name__}.")
    lengths = {name: len(rows) for name, rows in arguments.items() if rows is not None}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"Every argument needs the same number of rows, but there are: {counts}.")
    if not any(lengths.values()):
        raise ValueError("There is nothing to process: give audio, text or video.")
    return max(lengths.values())


def _scatter_rows(values: np.ndarray, rows: list[int], count: int, fill: float) -> np.ndarray:
    """Return a batch of `count` rows with `values` at `rows` and `fill` elsewhere."""
    if len(rows) == count:
        return values
    batch = np.full((count, *values.shape[1:]), fill, dtype=values.dtype)
    batch[rows] = values
    return batch
