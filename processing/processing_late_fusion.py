"""The processor of a late fusion: one batch for all members."""

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BatchFeature

from ..configuration.folder_checks import locating
from ..configuration.modalities import MODALITIES
from .processing_emofusion import AudioItem, EmoFusionProcessor, VideoItem, is_one_audio, shorter

# Sub-processor -> the argument that it processes.
ARGUMENTS = {modality.processor_part: name for name, modality in MODALITIES.items()}
OF_TEXT = (
    "context_turns",
    "context_tokens",
)  # settings that concern a tokenizer; the others concern recordings and videos


class LateFusionProcessor(EmoFusionProcessor):
    """An [`EmoFusionProcessor`] with shared sub-processors, and further processors for members that need their own.

    Create one with `from_members`. Members with equal tokenizers and feature extractors share `input_ids` and
    `input_values`. Inputs for one member alone have the prefix `member_<number>_`: a member with its own tokenizer has
    `member_2_input_ids` and `member_2_attention_mask` in the batch.
    """

    # Number of a member -> the processor with its own sub-processors.
    members: Mapping[int, EmoFusionProcessor] = {}

    @classmethod
    def from_members(cls, processors: Sequence[EmoFusionProcessor]) -> "LateFusionProcessor":
        """Build a processor that prepares the inputs of every member as the member's own processor does.

        Args:
            processors: The processors of the members, in their order. The first feature extractor, tokenizer and image
                processor become the shared ones. The first processor with audio or video gives their shared settings,
                such as `max_seconds`, and the first with text that of its context; `longest_seconds` is the largest.
        """
        shared, settings, members = {}, {}, {}
        for number, processor in enumerate(processors):
            own, its = {}, _settings(processor)
            for name in processor.get_attributes():
                part = getattr(processor, name)
                of_part = {key: value for key, value in its.items() if (key in OF_TEXT) == (name == "tokenizer")}
                equal = [settings.setdefault(key, value) == value for key, value in of_part.items()]
                if not _is_same(part, shared.setdefault(name, part)) or not all(equal):
                    own[name] = part
            if own:
                its = its if "tokenizer" in own else {key: value for key, value in its.items() if key not in OF_TEXT}
                members[number] = EmoFusionProcessor(**own, **its)
        known = [processor.longest_seconds for processor in processors if processor.longest_seconds is not None]
        processor = cls(**shared, **settings, longest_seconds=max(known, default=None))
        processor.members = members
        return processor

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "LateFusionProcessor":
        """See [`EmoFusionProcessor.from_pretrained`]; processors of single members are in subfolders `member_<number>`."""
        processor = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        settings, _ = cls.get_processor_dict(pretrained_model_name_or_path, **kwargs)
        place = locating(kwargs)
        numbers = settings.get("members", [])
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise ValueError(
                f"{pretrained_model_name_or_path}: members in processor_config.json must be a list of numbers, not "
                f"{numbers!r}."
            )
        processor.members = {
            number: EmoFusionProcessor.from_pretrained(
                pretrained_model_name_or_path, **place | {"subfolder": f"member_{number}"}
            )
            for number in numbers
        }
        return processor

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> list[str]:
        """Save the shared sub-processors, and the processors of single members in subfolders."""
        for number, processor in self.members.items():
            processor.save_pretrained(os.path.join(save_directory, f"member_{number}"))
        return super().save_pretrained(save_directory, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, with the numbers of the members that have their own processor."""
        return super().to_dict() | {"members": list(self.members)}

    @property
    def model_input_names(self) -> list[str]:
        """The possible keys of a batch, the main input first."""
        own = [f"member_{number}_{name}" for number, part in self.members.items() for name in part.model_input_names]
        return super().model_input_names + own

    @property
    def earlier_turns(self) -> int:
        """The largest number of earlier turns that any member reads."""
        return max(processor.context_turns for processor in (self, *self.members.values()))

    @property
    def decoded_seconds(self) -> float | None:
        """The number of seconds of a recording that any member uses; None means all."""
        limits = [processor.max_seconds for processor in (self, *self.members.values())]
        return None if None in limits else max(limits)

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
        max_seconds: float | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Prepare one utterance or a batch for all members. Each recording is decoded once.

        Args:
            audio: See [`EmoFusionProcessor.__call__`].
            text: See [`EmoFusionProcessor.__call__`].
            video: See [`EmoFusionProcessor.__call__`].
            sampling_rate: See [`EmoFusionProcessor.__call__`].
            alignment: See [`EmoFusionProcessor.__call__`].
            context: See [`EmoFusionProcessor.__call__`]; each member reads as many turns as it was trained with.
            speaker: See [`EmoFusionProcessor.__call__`].
            max_seconds: See [`EmoFusionProcessor.__call__`].
            **kwargs: See [`EmoFusionProcessor.__call__`].

        Returns:
            The shared inputs, and those of single members with the prefix `member_<number>_`.
        """
        if self.members and self.feature_extractor is not None and audio is not None:
            rate = self.feature_extractor.sampling_rate
            limit = shorter(self.decoded_seconds, max_seconds)
            audio = [
                item
                if item is None
                else {"array": self._waveform(item, row, sampling_rate, limit), "sampling_rate": rate}
                for row, item in enumerate([audio] if is_one_audio(audio) else audio)
            ]
        options = {"max_seconds": max_seconds, **kwargs}
        turns = {"context": context, "speaker": speaker}
        batch = super().__call__(
            audio,
            text,
            video,
            sampling_rate=sampling_rate,
            alignment=alignment,
            **(turns if self.context_turns else {}),
            **options,
        )
        given = {"audio": audio, "text": text, "video": video}
        for number, processor in self.members.items():
            inputs = {ARGUMENTS[name]: given[ARGUMENTS[name]] for name in processor.get_attributes()}
            if any(_has_items(rows) for rows in inputs.values()):
                spans = alignment if "audio" in inputs else None  # spans refer to the recording
                own = processor(**inputs, alignment=spans, **(turns if processor.context_turns else {}), **options)
                batch.update({f"member_{number}_{name}": value for name, value in own.items()})
        return batch


def _has_items(rows: Any) -> bool:
    return any(row is not None for row in rows) if isinstance(rows, (list, tuple)) else rows is not None


def _settings(processor: EmoFusionProcessor) -> dict[str, Any]:
    """Return the arguments of a processor that are not sub-processors and that affect its result."""
    arguments = list(inspect.signature(EmoFusionProcessor).parameters)
    return {name: getattr(processor, name) for name in arguments if name not in (*ARGUMENTS, "longest_seconds")}


def _is_same(part: Any, other: Any) -> bool:
    """Return whether two sub-processors give the same result for every input."""
    return part is other or (type(part) is type(other) and _content(part) == _content(other))


def _content(part: Any) -> Any:
    if not hasattr(part, "get_vocab"):
        return part.to_dict()
    if getattr(part, "backend_tokenizer", None) is None:
        return part.get_vocab(), part.init_kwargs
    backend = json.loads(part.backend_tokenizer.to_str())
    # The backend also stores truncation and padding of the last call.
    return {**backend, "truncation": None, "padding": None}, part.model_max_length, part.padding_side
