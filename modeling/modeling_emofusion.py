"""Base classes of all fusion models: encode, fuse, head, loss.

A variant subclasses [`EmoFusionModel`] with a `fuse` method, and [`EmoFusionForSequenceClassification`] with that class
as `model_class`.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ..configuration.configuration_emofusion import EmoFusionConfig
from ..configuration.modalities import CONTEXT, CONTEXT_INPUT, MODALITIES, SPAN_INPUTS
from .encoder_audio import build_audio_encoder, freeze_audio_layers, prepare_audio_encoder
from .encoder_stages import EncodingStages, LayerSum
from .encoder_text import build_text_encoder, freeze_text_layers, prepare_text_encoder
from .encoder_vision import build_vision_encoder, prepare_vision_encoder
from .fusion_dialogue import DialogueContext, Dialogues, keep_asked
from .fusion_missing_modality import MissingModalityEmbeddings
from .fusion_mixup import mix_rows
from .head_auxiliary import AuxiliaryHeads
from .head_classification import build_classification_head
from .head_dimensions import DimensionHead
from .modeling_lengths import complete_lengths, lengths_mask, zero_rows
from .modeling_losses import OTHER_LABELS, LossesMixin
from .modeling_outputs import EmotionOutput, Encoded
from .modeling_pretrained import EmoFusionPreTrainedModel
from .modeling_rows import Rows, Segments, drop_context

# For each modality, the functions that build an encoder from its configuration and that adapt a pretrained one.
ENCODER_BUILDERS = {
    "audio": (build_audio_encoder, prepare_audio_encoder),
    "text": (build_text_encoder, prepare_text_encoder),
    "video": (build_vision_encoder, prepare_vision_encoder),
}


class EmoFusionModel(EncodingStages, EmoFusionPreTrainedModel):
    """Encoders, the two stages, and learned embeddings for missing modalities. A variant adds `fuse`.

    Args:
        config: The configuration of the variant.
        audio_encoder: A pretrained speech encoder; None builds a new one from the configuration.
        text_encoder: The same for text.
        vision_encoder: The same for video frames.
    """

    def __init__(
        self,
        config: EmoFusionConfig,
        audio_encoder: PreTrainedModel | None = None,
        text_encoder: PreTrainedModel | None = None,
        vision_encoder: PreTrainedModel | None = None,
    ):
        super().__init__(config)
        given = {"audio": audio_encoder, "text": text_encoder, "video": vision_encoder}
        for name in config.encoders:
            modality, (build, prepare) = MODALITIES[name], ENCODER_BUILDERS[name]
            encoder = build(getattr(config, modality.config_field)) if given[name] is None else prepare(given[name])
            setattr(self, modality.encoder, encoder)
        if config.use_weighted_layer_sum:
            self.layer_sums = nn.ModuleDict(
                {name: LayerSum(config.num_encoder_layers(name) + 1) for name in config.layered_encoders}
            )
        self.missing_modality_embeddings = MissingModalityEmbeddings(
            {name: config.state_size(name) for name in config.modalities}
        )
        self.freeze()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """Fuse the encoder states to one embedding per utterance. Each variant defines it.

        Args:
            states: For each modality, packed states with the channels of its encoder.
            rows: For each modality, their layout; every row has at least one position.
            segments: For each level that the variant reads and the batch has, the segments of speech.
            output_attentions: Whether to return attention maps and gates.

        Returns:
            An output with the embedding `(batch, embedding_size)` and, on request, maps and gates.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define fuse.")

    def freeze(self) -> None:
        """Freeze the layers that the configuration names. Layers that are frozen already stay frozen."""
        self.train(self.training)

    def train(self, mode: bool = True) -> "EmoFusionModel":
        """Set training mode for all but the frozen layers, whose output must be the same in every pass.

        The layers are frozen here because `from_pretrained` creates all parameters anew and then calls `eval`.
        """
        super().train(mode)
        config = self.config
        if "audio" in config.encoders:
            freeze_audio_layers(self.audio_encoder, config.freeze_feature_encoder, config.freeze_audio_layers)
        if "text" in config.encoders:
            freeze_text_layers(self.text_encoder, config.freeze_text_layers)
        if "video" in config.encoders and config.freeze_vision_encoder:
            self.vision_encoder.requires_grad_(False).eval()
        return self

    def encode(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_attention_mask: torch.Tensor | None = None,
        lengths: Mapping[str, Sequence[int]] | None = None,
        **kwargs,
    ) -> Encoded:
        """Run the first stage, all frozen layers, without a graph and without dropout.

        The result can be stored and passed to `forward(encoded=...)`, which continues from there with equal results.

        Args:
            input_values: `(batch, samples)` waveform at the encoder's sampling rate (16 kHz).
            audio_attention_mask: `(batch, samples)`, ones first; all zero where a row has no audio. None means all
                ones.
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, tokens)`; see `audio_attention_mask`.
            pixel_values_videos: `(batch, frames, channels, height, width)`.
            video_attention_mask: `(batch, frames)`; see `audio_attention_mask`.
            lengths: For each modality the number of valid positions of every row, as `host_lengths` returns them. None
                derives them from the masks, which waits for the device.
            **kwargs: Other inputs of the batch. The spans that the variant reads (`word_spans`, `syllable_spans`,
                `phone_spans`: `(batch, segments, 2)` in seconds, -1 where padded) are kept, and `context_lengths`
                `(batch,)`: the number of tokens of earlier turns in each row, between the first token and the utterance.
                The rest is ignored.

        Returns:
            The encoded batch.

        Raises:
            ValueError: If a mask has a zero before a one.
        """
        inputs = {
            "audio": (input_values, audio_attention_mask),
            "text": (input_ids, attention_mask),
            "video": (pixel_values_videos, video_attention_mask),
        }
        encoded = self._run_first_stage(inputs, lengths, kwargs)
        for name in self.config.modalities:
            if (states := encoded.get(name)) is not None:
                encoded[f"{name}_mask"] = lengths_mask(encoded.lengths[name], states.device, states.shape[1])
        return encoded

    def _run_first_stage(
        self,
        given: Mapping[str, tuple[torch.Tensor | None, torch.Tensor | None]],
        lengths: Mapping[str, Sequence[int]] | None,
        others: Mapping[str, Any],
    ) -> Encoded:
        """Return the result of `encode`, without masks, which a model that knows the lengths does not read."""
        stages = {"audio": self._encode_audio, "text": self._encode_text, "video": self._encode_video}
        given = {name: given[name] for name in self.config.modalities if given[name][0] is not None}
        segments = {level: lengths[level] for level in self._span_inputs if level in (lengths or ())}
        if "text" in given and (context := others.get(CONTEXT_INPUT)) is not None:
            known = (lengths or {}).get(CONTEXT, ())
            segments[CONTEXT] = known if len(known) == len(context) else tuple(context.tolist())
        lengths = complete_lengths(given, lengths)
        encoded = Encoded(**{name: others.get(name) for name in self._span_inputs.values()}, lengths=segments)
        with torch.no_grad():
            for name, (values, _) in given.items():
                encoded[name], encoded.lengths[name] = stages[name](values, lengths[name])
        return encoded

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_attention_mask: torch.Tensor | None = None,
        lengths: Mapping[str, Sequence[int]] | None = None,
        encoded: Encoded | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Compute the fused utterance embeddings of a batch.

        Args:
            input_values: See [`EmoFusionModel.encode`].
            audio_attention_mask: See [`EmoFusionModel.encode`].
            input_ids: See [`EmoFusionModel.encode`].
            attention_mask: See [`EmoFusionModel.encode`].
            pixel_values_videos: See [`EmoFusionModel.encode`].
            video_attention_mask: See [`EmoFusionModel.encode`].
            lengths: See [`EmoFusionModel.encode`].
            encoded: The result of `encode`, which replaces the inputs.
            output_attentions: Whether to return attention maps and gates.
            output_hidden_states: Whether to return the states of all encoder layers.
            return_dict: Whether to return an [`EmotionOutput`] instead of a tuple.
            **kwargs: Other inputs of the batch; see [`EmoFusionModel.encode`].

        Returns:
            The output, with `embedding` `(batch, embedding_size)`.

        Raises:
            ValueError: If the batch has no input of a modality that the model uses.
        """
        config = self.config
        output_attentions = bool(config.output_attentions if output_attentions is None else output_attentions)
        output_hidden_states = bool(
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        if encoded is None:
            inputs = {
                "audio": (input_values, audio_attention_mask),
                "text": (input_ids, attention_mask),
                "video": (pixel_values_videos, video_attention_mask),
            }
            encoded = self._run_first_stage(inputs, lengths, kwargs)
        finishers = {"audio": self._finish_audio, "text": self._finish_text, "video": self._finish_video}
        given = {
            name: (encoded[name], encoded.get(f"{name}_mask"))
            for name in config.modalities
            if encoded.get(name) is not None
        }
        known = encoded.get("lengths") or {}
        lengths = complete_lengths(given, known)
        states, rows, hidden_states, attentions = {}, {}, {}, {}
        for name, (values, _) in given.items():
            states[name], rows[name], hidden_states[name], attentions[name] = finishers[name](
                values, lengths[name], output_hidden_states, output_attentions
            )
        if "text" in states and CONTEXT in known:  # the encoder has read earlier turns; the fusion reads the utterance
            states["text"], rows["text"] = drop_context(states["text"], rows["text"], known[CONTEXT])
        if not states:
            inputs = " or ".join(MODALITIES[name].main_input for name in config.modalities)
            raise ValueError(f"The batch has no input for {type(self).__name__}; give {inputs}.")
        dropout = config.modality_dropout if self.training else 0.0
        owned = {name: tuple(map(bool, lengths[name])) for name in states}
        states, rows, owned = self.missing_modality_embeddings(states, rows, owned, dropout)
        segments = {
            level: Segments(encoded[name], known.get(level))
            for level, name in self._span_inputs.items()
            if encoded.get(name) is not None
        }
        states = {name: rows[name].pack(value) for name, value in states.items()}
        output = self.fuse(states, rows, segments, output_attentions)
        if output.modality_embeddings is not None:
            output["modality_embeddings"] = {
                name: zero_rows(vectors, owned[name]) for name, vectors in output.modality_embeddings.items()
            }
        if output_hidden_states:
            output["hidden_states"] = hidden_states
        if output_attentions:
            output["attentions"] = attentions
        return_dict = config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    @property
    def _span_inputs(self) -> dict[str, str]:
        return {level: SPAN_INPUTS[level] for level in self.config.span_levels}


class EmoFusionForSequenceClassification(LossesMixin, EmoFusionPreTrainedModel):
    """A fusion model with a head for classes, for dimensions, or one for each, and their losses.

    A variant sets `model_class`.

    Args:
        config: The configuration of the variant.
        **encoders: Pretrained encoders; see [`EmoFusionModel`].
    """

    model_class: type[EmoFusionModel]

    def __init__(self, config: EmoFusionConfig, **encoders: PreTrainedModel):
        super().__init__(config)
        self.model = self.model_class(config, **encoders)
        self.dialogue_context = DialogueContext(config) if config.context_layers else None
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = None if config.is_regression else self._build_classifier()
        self.dimension_head = self._build_dimension_head() if config.dimensions else None
        self.auxiliary_heads = AuxiliaryHeads(config) if config.auxiliary_labels else None
        self.post_init()

    def _build_classifier(self) -> nn.Module:
        return build_classification_head(self.config)

    def _build_dimension_head(self) -> nn.Module:
        return DimensionHead(self.config)

    def encode(self, *args, **kwargs) -> Encoded:
        """Return the output of the first stage; see [`EmoFusionModel.encode`]."""
        return self.model.encode(*args, **kwargs)

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_attention_mask: torch.Tensor | None = None,
        lengths: Mapping[str, Sequence[int]] | None = None,
        encoded: Encoded | None = None,
        labels: torch.Tensor | None = None,
        dialogues: Dialogues | None = None,
        mixup: Mapping[str, Sequence] | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Compute the logits of a batch, and the loss if `labels` are given.

        Args:
            input_values: See [`EmoFusionModel.encode`].
            audio_attention_mask: See [`EmoFusionModel.encode`].
            input_ids: See [`EmoFusionModel.encode`].
            attention_mask: See [`EmoFusionModel.encode`].
            pixel_values_videos: See [`EmoFusionModel.encode`].
            video_attention_mask: See [`EmoFusionModel.encode`].
            lengths: See [`EmoFusionModel.encode`].
            encoded: The result of `encode`, which replaces the inputs.
            labels: `(batch,)` class ids, -100 where unknown; or `(batch, classes)` probabilities (soft labels), zeros
                where unknown. For a model of dimensions alone, `(batch, dimensions)` values in its scale, NaN where
                unknown.
            dialogues: The place of each row in its dialogue, on the host, for a model with `context_layers`: a mapping with
                `dialogue`, `turn` and `speaker` (-1 where unknown), a number for each row, and, where the last rows are
                only context, `asked`, the number of rows before them. None takes every row as a dialogue of its own.
            mixup: `partners` and `shares` of the rows (see [`mix_rows`]): the heads read mixed embeddings, for which the
                labels must be mixed too. Other parts of the output are those of the rows alone.
            return_dict: Whether to return an [`EmotionOutput`] instead of a tuple.
            **kwargs: The other labels of [`LossesMixin`]. They are no parameters of their own, because
                [`transformers.Trainer`] takes parameters with such names for labels that every batch has. And other inputs
                of the batch, `output_attentions` and `output_hidden_states`; see [`EmoFusionModel.forward`].

        Returns:
            The output, with `logits` `(batch, classes)`, or `(batch, dimensions)` for a model of dimensions alone; with
            `dimensions` `(batch, dimensions)` if the model has both; and, with labels, `loss` and `losses`. With `asked`,
            logits, labels and embeddings are those of the rows that are asked for.
        """
        labels = {"labels": labels} | {name: kwargs.pop(name, None) for name in OTHER_LABELS}
        output = self.model(
            input_values=input_values,
            audio_attention_mask=audio_attention_mask,
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values_videos=pixel_values_videos,
            video_attention_mask=video_attention_mask,
            lengths=lengths,
            encoded=encoded,
            dialogues=dialogues,
            return_dict=True,
            **kwargs,
        )
        if self.dialogue_context is not None:
            output["embedding"] = self.dialogue_context(output.embedding, dialogues)
        output = keep_asked(output, dialogues)
        embedding = output.embedding if mixup is None else mix_rows(output.embedding, mixup)
        output = EmotionOutput(**output, **self.apply_heads(embedding, auxiliary=bool(labels["auxiliary_labels"])))
        losses = self.losses(output, labels)
        if losses:
            output = EmotionOutput(**output, loss=reduce(torch.add, losses.values()), losses=losses)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    def apply_heads(self, embedding: torch.Tensor, auxiliary: bool = False) -> dict[str, Any]:
        """Return the outputs of the heads, `logits` and, for a model of classes and dimensions, `dimensions`.

        Args:
            embedding: `(batch, embedding_size)`, as in the output of `forward`.
            auxiliary: Whether to run the auxiliary heads too, for `auxiliary_logits`.
        """
        embedding = self.dropout(embedding)
        values = None if self.dimension_head is None else self.dimension_head(embedding)
        outputs = {"logits": values}
        if self.classifier is not None:
            outputs = {"logits": self.classifier(embedding), "dimensions": values}
        if auxiliary and self.auxiliary_heads is not None:
            outputs["auxiliary_logits"] = self.auxiliary_heads(embedding)
        return outputs
