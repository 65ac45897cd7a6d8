"""The modalities: names of inputs, encoders, configuration fields and processor parts, defined once for all rooms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Sampling rate of every waveform that a model takes, in Hz.
SAMPLING_RATE = 16_000

# Levels of an alignment, coarse to fine, and the input of a batch that holds the segments of each level:
# `(batch, segments, 2)`, start and end in seconds, -1 where padded.
SPAN_INPUTS = {"word": "word_spans", "syllable": "syllable_spans", "phone": "phone_spans"}
SPAN_LEVELS = tuple(SPAN_INPUTS)

# The input of a batch that holds, for each row, the number of tokens of earlier turns (and of the separators after them)
# that stand between the first token of `input_ids` and the utterance, `(batch,)`; and its name in host lengths.
CONTEXT_INPUT, CONTEXT = "context_lengths", "context"


@dataclass(frozen=True)
class Modality:
    """Names that belong to one modality.

    Args:
        name: The modality: argument of the processor, column of a corpus, key of `states`, `masks` and `Encoded`.
        word: The name of the modality in text and in names of systems.
        contents: What a corpus has of the modality, in the plural.
        example: A value for the modality in an example: a file name, or a text.
        main_input: The input of a batch that holds the values.
        mask: The input of a batch that holds their mask.
        spans: The inputs of a batch that hold segments of these values; of text, `CONTEXT_INPUT`.
        encoder_kind: The word in the names of the encoder: `encoder`, `config_field` and `encoder_argument` derive
            from it.
        default_encoder: The `model_type` of the encoder if a configuration names none, as in the papers.
        has_layers: Whether the layers of the encoder can be frozen one by one, from the first
            (`freeze_<kind>_layers`), and summed. If not, the encoder is frozen as a whole (`freeze_<kind>_encoder`).
        first_stage: Attributes of a model with weights that its first stage, `encode`, may use.
        processor_part: The sub-processor that prepares the values.
        hub_task: The Hub task of classifiers whose first modality is this one.
    """

    name: str
    word: str
    contents: str
    example: str
    main_input: str
    mask: str
    spans: tuple[str, ...]
    encoder_kind: str
    default_encoder: str
    has_layers: bool
    first_stage: tuple[str, ...]
    processor_part: str
    hub_task: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """All inputs of a batch that belong to the modality: values, mask, spans."""
        return (self.main_input, self.mask, *self.spans)

    @property
    def encoder(self) -> str:
        """The attribute of a model that holds the encoder."""
        return f"{self.encoder_kind}_encoder"

    @property
    def config_field(self) -> str:
        """The field of a configuration that describes the encoder."""
        return f"{self.encoder_kind}_config"

    @property
    def freeze_field(self) -> str:
        """The field of a configuration that freezes the encoder: a number of layers (-1: all), or a bool."""
        return f"freeze_{self.encoder_kind}_{'layers' if self.has_layers else 'encoder'}"

    @property
    def encoder_argument(self) -> str:
        """The argument of a recipe that names a pretrained encoder."""
        return f"{self.encoder_kind}_model_name_or_path"


# In the order of the forward contract.
MODALITIES: dict[str, Modality] = {
    modality.name: modality
    for modality in (
        Modality(
            name="audio",
            word="speech",
            contents="recordings",
            example="recording.wav",
            main_input="input_values",
            mask="audio_attention_mask",
            spans=tuple(SPAN_INPUTS.values()),
            encoder_kind="audio",
            default_encoder="wav2vec2",
            has_layers=True,
            first_stage=("spectrogram", "audio_encoder"),
            processor_part="feature_extractor",
            hub_task="audio-classification",
        ),
        Modality(
            name="text",
            word="text",
            contents="transcripts",
            example="I will be there in a minute.",
            main_input="input_ids",
            mask="attention_mask",
            spans=(CONTEXT_INPUT,),
            encoder_kind="text",
            default_encoder="bert",
            has_layers=True,
            first_stage=("text_encoder",),
            processor_part="tokenizer",
            hub_task="text-classification",
        ),
        Modality(
            name="video",
            word="video",
            contents="videos",
            example="recording.mp4",
            main_input="pixel_values_videos",
            mask="video_attention_mask",
            spans=(),
            encoder_kind="vision",
            default_encoder="efficientnet",
            has_layers=False,
            first_stage=("vision_encoder",),
            processor_part="image_processor",
            hub_task="video-classification",
        ),
    )
}


def name_system(variant: str, modality: str | None = None) -> str:
    """Return the name of a system: its variant or, of a model of one modality, the word for the modality."""
    return MODALITIES[modality].word if variant == "unimodal" and modality in MODALITIES else variant


def host_lengths(batch: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the number of valid positions of every row, for each modality and each level of segments in the batch.

    A batch with these `lengths` never makes a model wait for the device to read its masks. Names begin as those of the
    batch: `"text"` for `attention_mask`, `"word"` for `word_spans`, `"member_0_text"` for `member_0_attention_mask`. `"context"` is a copy of `context_lengths`.

    Args:
        batch: Inputs of the forward contract on the host, with masks `(batch, positions)`.

    Raises:
        ValueError: If a mask has a zero before a one.
    """
    masks = {modality.mask: name for name, modality in MODALITIES.items()}
    levels = {name: level for level, name in SPAN_INPUTS.items()}
    lengths = {}
    for key, values in batch.items():
        member, name = re.fullmatch(r"(member_\d+_)?(.*)", key).groups()
        if values is not None and name in masks:
            lengths[f"{member or ''}{masks[name]}"] = count_valid(key, values)
        elif values is not None and name in levels:
            lengths[f"{member or ''}{levels[name]}"] = count_segments(values)
        elif values is not None and name == CONTEXT_INPUT:
            lengths[f"{member or ''}{CONTEXT}"] = tuple(values.tolist())
    return lengths


def count_valid(name: str, mask: Any) -> tuple[int, ...]:
    """Return the number of ones in each row of a mask `(batch, positions)`, with one copy from its device.

    Args:
        name: The input that holds the mask, for errors.
        mask: The mask.

    Raises:
        ValueError: If the mask has a zero before a one.
    """
    mask = mask.bool()
    is_unordered = (mask[:, :-1] < mask[:, 1:]).any(1)
    counts = (2 * mask.sum(1) + is_unordered).tolist()
    if any(count % 2 for count in counts):
        raise ValueError(f"{name} has a zero before a one; pad every row at its end (padding_side='right').")
    return tuple(count // 2 for count in counts)


def count_segments(spans: Any) -> tuple[int, ...]:
    """Return the number of segments of each row of `(batch, segments, 2)`, negative where padded, after the segments."""
    return tuple((spans[..., 0] >= 0).sum(1).tolist())
