"""The processor of a late fusion: one batch that feeds every member."""

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BatchFeature

from .processing_emofusion import AudioItem, EmoFusionProcessor, VideoItem, is_one_audio

# sub-processor -> the argument that it takes
ARGUMENTS = {"feature_extractor": "audio", "tokenizer": "text", "image_processor": "video"}
# arguments of `from_pretrained` that say where to load from
PLACE = ("revision", "token", "cache_dir", "local_files_only", "force_download", "proxies")


class LateFusionProcessor(EmoFusionProcessor):
    """An [`EmoFusionProcessor`] for what the members share, and others for members that want something else.

    `from_members` makes one. The keys of a batch that are for one member alone begin with `member_<number>_`: members
    of equal tokenizers and feature extractors share `input_ids` and `input_values`, and a member with a tokenizer of
    its own also gets `member_2_input_ids` and `member_2_attention_mask`.
    """

    # number of a member -> a processor of what it does not share
    members: Mapping[int, EmoFusionProcessor] = {}

    @classmethod
    def from_members(cls, processors: Sequence[EmoFusionProcessor]) -> "LateFusionProcessor":
        """A processor that feeds members as their own processors do.

        Args:
            processors: of each member, in the order of the members. The first to have a feature extractor, a
                tokenizer or an image processor shares it; with the first two go the settings, such as `max_seconds`.
        """
        shared, settings, members = {}, None, {}
        for number, processor in enumerate(processors):
            own = {}
            for name in processor.get_attributes():
                part = getattr(processor, name)
                # Where a recording ends is no matter to a tokenizer.
                settings = settings if name == "tokenizer" else settings or _settings(processor)
                equal = _is_same(part, shared.setdefault(name, part))
                if not equal or (name != "tokenizer" and settings != _settings(processor)):
                    own[name] = part
            if own:
                members[number] = EmoFusionProcessor(**own, **_settings(processor))
        processor = cls(**shared, **settings or {})
        processor.members = members
        return processor

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "LateFusionProcessor":
        """See [`EmoFusionProcessor.from_pretrained`]; the members' own lie in subfolders `member_<number>`."""
        processor = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        settings, _ = cls.get_processor_dict(pretrained_model_name_or_path, **kwargs)
        place = {name: kwargs[name] for name in PLACE if name in kwargs}
        processor.members = {
            number: EmoFusionProcessor.from_pretrained(
                pretrained_model_name_or_path, subfolder=f"member_{number}", **place
            )
            for number in map(int, settings.get("members", ()))
        }
        return processor

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> list[str]:
        """Saves the shared sub-processors, and the members' own in subfolders."""
        for number, processor in self.members.items():
            processor.save_pretrained(os.path.join(save_directory, f"member_{number}"))
        return super().save_pretrained(save_directory, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Serialises the processor, with the numbers of the members that have one of their own."""
        return super().to_dict() | {"members": list(self.members)}

    @property
    def model_input_names(self) -> list[str]:
        """The keys that a batch may have, the main input first."""
        own = [f"member_{number}_{name}" for number, part in self.members.items() for name in part.model_input_names]
        return super().model_input_names + own

    def __call__(
        self,
        audio: AudioItem | list[AudioItem] = None,
        text: str | list[str | None] | None = None,
        video: VideoItem | list[VideoItem] = None,
        *,
        sampling_rate: int | None = None,
        alignment: Mapping[str, Any] | list[Mapping[str, Any] | None] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Prepares one utterance or a batch as [`EmoFusionProcessor.__call__`] does; each recording is decoded once.

        Args:
            audio: See there.
            text: See there.
            video: See there.
            sampling_rate: See there.
            alignment: See there.
            **kwargs: See there.

        Returns:
            What is said there, and the members' own with `member_<number>_` before each key.
        """
        if self.members and self.feature_extractor is not None and audio is not None:
            rate = self.feature_extractor.sampling_rate
            audio = [
                item if item is None else {"array": self._waveform(item, row, sampling_rate), "sampling_rate": rate}
                for row, item in enumerate([audio] if is_one_audio(audio) else audio)
            ]
        batch = super().__call__(audio, text, video, sampling_rate=sampling_rate, alignment=alignment, **kwargs)
        given = {"audio": audio, "text": text, "video": video}
        for number, processor in self.members.items():
            inputs = {ARGUMENTS[name]: given[ARGUMENTS[name]] for name in processor.get_attributes()}
            if any(_holds_anything(rows) for rows in inputs.values()):
                spans = alignment if "audio" in inputs else None  # the places of segments in the recording
                own = processor(**inputs, alignment=spans, **kwargs)
                batch.update({f"member_{number}_{name}": value for name, value in own.items()})
        return batch


def _holds_anything(rows: Any) -> bool:
    return any(row is not None for row in rows) if isinstance(rows, (list, tuple)) else rows is not None


def _settings(processor: EmoFusionProcessor) -> dict[str, Any]:
    """The arguments that are no sub-processors."""
    arguments = list(inspect.signature(EmoFusionProcessor).parameters)
    return {name: getattr(processor, name) for name in arguments if name not in ARGUMENTS}


def _is_same(part: Any, other: Any) -> bool:
    """Whether two sub-processors make the same of everything."""
    return part is other or (type(part) is type(other) and _content(part) == _content(other))


def _content(part: Any) -> Any:
    if not hasattr(part, "get_vocab"):
        return part.to_dict()
    if getattr(part, "backend_tokenizer", None) is None:
        return part.get_vocab(), part.init_kwargs
    backend = json.loads(part.backend_tokenizer.to_str())
    # How the last call cut and padded is noted there too.
    return {**backend, "truncation": None, "padding": None}, part.model_max_length, part.padding_side
