"""The processor of every variant: recordings, transcripts, films and alignments in, the batch of the forward contract out."""

import math
import os
import re
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoTokenizer, BatchFeature, ProcessorMixin

# transformers 5.17 gives the name at its root only where torchvision is installed, which the class does not need.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from .media import AudioSource, as_waveform, load_audio
from .video import VideoSource, count_frames, load_video

SPAN_LEVELS = ("word", "syllable", "phone")

# Silence and noise in the Sphinx segments of IEMOCAP, and the names that other corpora are converted to.
SILENCE = re.compile(r"<s>|</s>|<sil>|SIL|\+.+\+")

AudioItem = np.ndarray | torch.Tensor | list[float] | AudioSource | None
VideoItem = np.ndarray | torch.Tensor | VideoSource | None


class EmoFusionProcessor(ProcessorMixin):
    """Turns recordings, transcripts, films and alignments into one batch that every emofusion model takes.

    Args:
        feature_extractor: Waveform feature extractor (`Wav2Vec2FeatureExtractor`); None for a model that hears nothing.
        tokenizer: Tokenizer; None for a model that reads nothing.
        image_processor: Image processor (`ViTImageProcessor`, ...) for single frames; None for a model that sees nothing.
        max_seconds: Longer recordings and films are cut here, and so are alignments; None never cuts.
        frames_per_second: How many pictures of a second of film are looked at. Of a turn in a conversation, mostly 3 to
            15 s long, the default leaves 6 to 30 (ours).

    Raises:
        TypeError: A sub-processor is of the wrong class.
        ValueError: All sub-processors are None; the feature extractor does not give waveforms padded on the right; or a
            number is not positive.
    """

    def __init__(
        self,
        feature_extractor=None,
        tokenizer=None,
        image_processor=None,
        max_seconds: float | None = None,
        frames_per_second: float = 2.0,
    ):
        super().__init__(feature_extractor, tokenizer, image_processor)
        present = [name for name in self.get_attributes() if getattr(self, name) is not None]
        if not present:
            raise ValueError("A processor needs a feature_extractor, a tokenizer or an image_processor.")
        # The class names the sub-processors that there may be, an instance those it has: `save_pretrained` asks it.
        self.get_attributes = partial(list, present)
        if feature_extractor is not None and (
            feature_extractor.model_input_names[0] != "input_values" or feature_extractor.padding_side != "right"
        ):
            raise ValueError(
                f"The feature_extractor must give waveforms padded on the right, as Wav2Vec2FeatureExtractor does; "
                f"{type(feature_extractor).__name__} (padding_side={feature_extractor.padding_side!r}) does not."
            )
        if max_seconds is not None and not 0 < max_seconds < math.inf:
            raise ValueError(f"max_seconds must be a positive number of seconds or None, not {max_seconds}.")
        if not 0 < frames_per_second < math.inf:
            raise ValueError(f"frames_per_second must be a positive number, not {frames_per_second}.")
        self.max_seconds = max_seconds
        self.frames_per_second = frames_per_second

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Checks the class of a sub-processor, which may be None."""
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    def to_dict(self) -> dict[str, Any]:
        """Serialises the processor; a sub-processor that it does not have is written as None."""
        return super().to_dict() | {name: None for name in type(self).get_attributes() if getattr(self, name) is None}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "EmoFusionProcessor":
        """Loads the sub-processors that the saved processor had.

        Args:
            pretrained_model_name_or_path: Repository name or folder.
            kwargs: Where to load from (`revision`, `token`, `cache_dir`, ...), and new values for arguments of
                `__init__`.
        """
        settings, init_kwargs = cls.get_processor_dict(pretrained_model_name_or_path, **kwargs)
        loaders = {
            "feature_extractor": AutoFeatureExtractor,
            "tokenizer": AutoTokenizer,
            "image_processor": AutoImageProcessor,
        }
        parts = [
            None
            if settings.get(name, "saved") is None
            else loader.from_pretrained(pretrained_model_name_or_path, **kwargs)
            for name, loader in loaders.items()
        ]
        return cls.from_args_and_dict(parts, settings, **init_kwargs)

    @property
    def model_input_names(self) -> list[str]:
        """The keys that a batch may have, the main input first."""
        audio = ["input_values", "audio_attention_mask"] if self.feature_extractor is not None else []
        text = ["input_ids", "attention_mask"] if self.tokenizer is not None else []
        video = ["pixel_values_videos", "video_attention_mask"] if self.image_processor is not None else []
        return [*audio, *text, *video, *(f"{level}_spans" for level in SPAN_LEVELS)]

    def __call__(
        self,
        audio: AudioItem | list[AudioItem] = None,
        text: str | list[str | None] | None = None,
        video: VideoItem | list[VideoItem] = None,
        *,
        sampling_rate: int | None = None,
        alignment: Mapping[str, Any] | list[Mapping[str, Any] | None] | None = None,
        padding: bool | str = True,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Prepares one utterance or a batch. A modality that is None, or None in every row, is left out of the result.

        Args:
            audio: One item or a list of them. An item is a waveform `(samples,)`, a path, the bytes of a file or a dict
                (see `load_audio`), or None where the row has no recording.
            text: One transcript or a list of them, None where the row has none. Longer ones are cut at the
                tokenizer's `model_max_length`.
            video: One item or a list of them. An item is pictures `(frames, height, width, 3)`, RGB, uint8, of which there
                are `frames_per_second`; a path, the bytes of a file or a dict (see `load_video`), which are sampled at
                that rate; or None where the row has no film.
            sampling_rate: Rate of the waveforms in Hz: required for waveforms, where it must be the feature extractor's;
                files know theirs and are resampled.
            alignment: One row or a list of them, None where the row has none. A row maps `word`, `syllable` and `phone`
                to `{"start": [...], "end": [...], "symbol": [...]}` in seconds, or to None; silence and noise are
                dropped.
            padding: As in the feature extractor and the tokenizer; `"max_length"` pads audio and video to `max_seconds`.
                Video is otherwise padded to the longest.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `input_values` `(batch, samples)` float32 with `audio_attention_mask` `(batch, samples)`; `input_ids` and
            `attention_mask` `(batch, tokens)`; `pixel_values_videos` `(batch, frames, channels, height, width)` float32 and
            `video_attention_mask` `(batch, frames)`; with an alignment `word_spans`, `syllable_spans` and `phone_spans`
            `(batch, segments, 2)`, float32 seconds, -1 where padded. A row without a modality has an all-zero mask.

        Raises:
            TypeError: Audio, text, video or alignment of a wrong type.
            ValueError: Wrong rate; audio that is empty, not one channel or not finite; pictures of a wrong shape; rows that
                do not match; nothing given; or a modality that this processor has no sub-processor for.
        """
        audio = [audio] if is_one_audio(audio) else audio
        text = [text] if isinstance(text, str) else text
        video = [video] if video is not None and not isinstance(video, (list, tuple)) else video
        alignment = [alignment] if isinstance(alignment, Mapping) else alignment
        rows = _count_rows(audio=audio, text=text, video=video, alignment=alignment)

        batch = {}
        if audio is not None and any(item is not None for item in audio):
            batch |= self._process_audio_rows(audio, sampling_rate, padding)
        if text is not None and any(item is not None for item in text):
            batch |= self._process_text_rows(text, padding)
        if video is not None and any(item is not None for item in video):
            batch |= self._process_video_rows(video, padding)
        if not batch:
            raise ValueError(f"There is nothing to process: audio, text and video are None in all {rows} rows.")
        if alignment is not None:
            for level in SPAN_LEVELS:
                batch[f"{level}_spans"] = self._pad_spans(alignment, level)
        return BatchFeature(batch, tensor_type=return_tensors)

    def _process_audio_rows(self, audio: list[AudioItem], sampling_rate: int | None, padding: bool | str) -> dict:
        if self.feature_extractor is None:
            raise ValueError(
                "audio was given, but this processor has no feature_extractor: its model does not listen."
            )
        limit = None if self.max_seconds is None else round(self.max_seconds * self.feature_extractor.sampling_rate)
        waveforms = {
            row: self._waveform(item, row, sampling_rate)[:limit] for row, item in enumerate(audio) if item is not None
        }
        features = self.feature_extractor(
            list(waveforms.values()),
            sampling_rate=self.feature_extractor.sampling_rate,
            padding=padding,
            max_length=limit,
            return_attention_mask=True,
            return_tensors="np",
        )
        present = list(waveforms)
        return {
            "input_values": _spread(features["input_values"], present, len(audio), 0.0),
            "audio_attention_mask": _spread(features["attention_mask"], present, len(audio), 0),
        }

    def _waveform(self, item: AudioItem, row: int, sampling_rate: int | None) -> np.ndarray:
        expected = self.feature_extractor.sampling_rate
        name = f"audio[{row}]"
        if isinstance(item, (str, os.PathLike, bytes, Mapping)):
            try:
                return load_audio(item, expected)
            except (FileNotFoundError, TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
        if not isinstance(item, (np.ndarray, torch.Tensor, list, tuple)):
            raise TypeError(f"{name} must be a 1-D array, a path, bytes, a dict or None, not {type(item).__name__}.")
        if sampling_rate != expected:
            given = "of unknown rate: give sampling_rate" if sampling_rate is None else f"at {sampling_rate} Hz"
            raise ValueError(
                f"{name} is a waveform {given}, and this model takes {expected} Hz: resample it, or pass the path of "
                "its file, which is resampled."
            )
        return as_waveform(item.detach().cpu().float().numpy() if isinstance(item, torch.Tensor) else item, name)

    def _process_text_rows(self, text: list[str | None], padding: bool | str) -> dict:
        if self.tokenizer is None:
            raise ValueError("text was given, but this processor has no tokenizer: its model does not read.")
        present = [row for row, item in enumerate(text) if item is not None]
        for row in present:
            if not isinstance(text[row], str):
                raise TypeError(f"text[{row}] must be a string or None, not {type(text[row]).__name__}.")
        tokens = self.tokenizer(
            [text[row] for row in present],
            padding=padding,
            truncation=True,
            return_token_type_ids=False,
            return_attention_mask=True,
            return_tensors="np",
        )
        return {
            "input_ids": _spread(tokens["input_ids"], present, len(text), self.tokenizer.pad_token_id),
            "attention_mask": _spread(tokens["attention_mask"], present, len(text), 0),
        }

    def _process_video_rows(self, video: list[VideoItem], padding: bool | str) -> dict:
        if self.image_processor is None:
            raise ValueError("video was given, but this processor has no image_processor: its model does not look.")
        clips = {row: self._pixels(item, row) for row, item in enumerate(video) if item is not None}
        length = max(map(len, clips.values()))
        if padding == "max_length" and self.max_seconds is not None:
            length = count_frames(self.max_seconds, self.frames_per_second)
        shapes = {clip.shape[1:] for clip in clips.values()}
        if len(shapes) > 1:
            raise ValueError(
                f"The image_processor must give pictures of one size, not {' and '.join(map(str, shapes))}."
            )
        pixels = np.zeros((len(video), length, *shapes.pop()), dtype=np.float32)
        mask = np.zeros((len(video), length), dtype=np.int64)
        for row, clip in clips.items():
            pixels[row, : len(clip)] = clip
            mask[row, : len(clip)] = 1
        return {"pixel_values_videos": pixels, "video_attention_mask": mask}

    def _pixels(self, item: VideoItem, row: int) -> np.ndarray:
        """What the encoder sees of one row's film, `(frames, channels, height, width)`."""
        name = f"video[{row}]"
        if isinstance(item, (str, os.PathLike, bytes, Mapping)):
            try:
                frames = load_video(item, self.frames_per_second, max_seconds=self.max_seconds)
            except (FileNotFoundError, TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
        elif isinstance(item, (np.ndarray, torch.Tensor)):
            frames = np.asarray(item.detach().cpu() if isinstance(item, torch.Tensor) else item)
            if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or frames.dtype != np.uint8:
                raise ValueError(
                    f"{name} must be pictures of shape (frames, height, width, 3) in uint8, not {frames.shape} in {frames.dtype}."
                )
            if self.max_seconds is not None:
                frames = frames[: count_frames(self.max_seconds, self.frames_per_second)]
        else:
            raise TypeError(f"{name} must be an array, a path, bytes, a dict or None, not {type(item).__name__}.")
        features = self.image_processor(list(frames), input_data_format="channels_last", return_tensors="np")
        return features["pixel_values"]

    def _pad_spans(self, alignment: list[Mapping[str, Any] | None], level: str) -> np.ndarray:
        rows = [_spans(row, level, f"alignment[{index}]", self.max_seconds) for index, row in enumerate(alignment)]
        padded = np.full((len(rows), max(1, *map(len, rows)), 2), -1.0, dtype=np.float32)
        for row, spans in zip(padded, rows, strict=True):
            row[: len(spans)] = spans
        return padded


def is_one_audio(audio: Any) -> bool:
    """Whether `audio` is one item (a list of numbers is one waveform) and not a list of items."""
    if isinstance(audio, (list, tuple)):
        return len(audio) > 0 and isinstance(audio[0], Real)
    return audio is not None


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


def _spread(values: np.ndarray, present: list[int], rows: int, fill: float) -> np.ndarray:
    """Puts the rows of `values` where they belong in the batch; the rows that are missing hold `fill`."""
    if len(present) == rows:
        return values
    batch = np.full((rows, *values.shape[1:]), fill, dtype=values.dtype)
    batch[present] = values
    return batch


def _spans(row: Mapping[str, Any] | None, level: str, name: str, limit: float | None) -> np.ndarray:
    """The spans `(segments, 2)` of one row in seconds, without silence and without what lies after `limit`."""
    if row is not None and not isinstance(row, Mapping):
        raise TypeError(f"{name} must map 'word', 'syllable' or 'phone' to segments, not be {type(row).__name__}.")
    segments = None if row is None else row.get(level)
    if segments is None:
        return np.zeros((0, 2))
    name = f"{name}[{level!r}]"
    if not isinstance(segments, Mapping) or not {"start", "end", "symbol"} <= set(segments):
        raise ValueError(f"{name} needs the lists 'start', 'end' and 'symbol'.")
    lengths = {len(segments[key]) for key in ("start", "end", "symbol")}
    if len(lengths) > 1:
        raise ValueError(f"{name} has lists 'start', 'end' and 'symbol' of different lengths.")
    spans = np.array([segments["start"], segments["end"]], dtype=np.float64).T
    if not np.isfinite(spans).all() or (spans[:, 0] < 0).any() or (spans[:, 1] < spans[:, 0]).any():
        raise ValueError(f"{name} has a segment that does not satisfy 0 <= start <= end in seconds.")
    spoken = np.array([SILENCE.fullmatch(symbol) is None for symbol in segments["symbol"]], dtype=bool)
    if limit is None:
        return spans[spoken]
    return spans[spoken & (spans[:, 0] < limit)].clip(max=limit)
