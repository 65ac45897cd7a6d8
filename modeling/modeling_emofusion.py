"""What every fusion model has in common: encode, fuse, head, loss.

A variant is a subclass of [`EmoFusionModel`] with a `fuse` method, and a subclass of
[`EmoFusionForSequenceClassification`] that names it. Everything else is here, once.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init

from ..configuration.configuration_emofusion import EmoFusionConfig
from .audio_encoder import (
    build_audio_encoder,
    conv_features,
    embed_frames,
    freeze_audio_layers,
    prepare_audio_encoder,
    run_layers,
)
from .missing_modality import stand_in
from .outputs import EmotionOutput, Encoded
from .text_encoder import build_text_encoder, encode_tokens, freeze_text_layers, prepare_text_encoder

# Weights that a pre-trained checkpoint may lack: one stands for masked frames only, the other is not used.
OPTIONAL_WEIGHTS = ("masked_spec_embed", "pooler.")


class EmoFusionPreTrainedModel(PreTrainedModel):
    """Loading, saving, initialisation and freezing, shared by all models of the package."""

    config: EmoFusionConfig
    base_model_prefix = "model"
    main_input_name = "input_values"
    input_modalities = ("audio", "text")
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # `forward(**kwargs)` takes other members of the batch, not a loss's normaliser
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, nn.ParameterDict):  # what stands in for missing modalities
            for vector in module.values():
                init.normal_(vector, std=self.config.initializer_range)

    @classmethod
    def from_encoders_pretrained(
        cls,
        audio: str | PreTrainedModel | None = None,
        text: str | PreTrainedModel | None = None,
        **kwargs,
    ) -> "EmoFusionPreTrainedModel":
        """A model whose encoders are pre-trained and whose fusion is new.

        Args:
            audio: Hub id or folder of a speech encoder, or the encoder itself.
            text: the same for the text encoder.
            **kwargs: fields of the variant's configuration.

        Raises:
            ValueError: if a checkpoint lacks weights of its encoder; it names them.
        """
        encoders = {}
        for modality, source in (("audio", audio), ("text", text)):
            if source is not None:
                encoder = source if isinstance(source, PreTrainedModel) else _load_encoder(modality, source)
                encoders[f"{modality}_encoder"] = encoder
                kwargs[f"{modality}_config"] = encoder.config
        return cls(cls.config_class(**kwargs), **encoders)

    def freeze_feature_encoder(self) -> None:
        """Stop training the convolutional front end of the speech encoder."""
        self.config.freeze_feature_encoder = True
        self.base_model.freeze()

    def freeze_audio_encoder(self, num_layers: int = -1) -> None:
        """Stop training the speech encoder's first `num_layers` layers and what is below them (-1: all of it)."""
        self._freeze_layers("audio", num_layers)

    def freeze_text_encoder(self, num_layers: int = -1) -> None:
        """Stop training the text encoder's embeddings and first `num_layers` layers (-1: all of it)."""
        self._freeze_layers("text", num_layers)

    def _freeze_layers(self, modality: str, num_layers: int) -> None:
        self.config.set_frozen_layers(modality, num_layers)
        self.base_model.freeze()


class EmoFusionModel(EmoFusionPreTrainedModel):
    """Encoders, the two stages, and what stands in for a missing modality. A variant adds `fuse`.

    Args:
        config: configuration of the variant.
        audio_encoder: a pre-trained speech encoder to use instead of a new one.
        text_encoder: the same for text.
    """

    def __init__(
        self,
        config: EmoFusionConfig,
        audio_encoder: PreTrainedModel | None = None,
        text_encoder: PreTrainedModel | None = None,
    ):
        super().__init__(config)
        if "audio" in config.modalities:
            self.audio_encoder = (
                prepare_audio_encoder(audio_encoder) if audio_encoder else build_audio_encoder(config.audio_config)
            )
        if "text" in config.modalities:
            self.text_encoder = (
                prepare_text_encoder(text_encoder) if text_encoder else build_text_encoder(config.text_config)
            )
        # One learned frame per modality stands in where an utterance has none.
        self.missing = nn.ParameterDict(
            {name: torch.zeros(getattr(config, f"{name}_config").hidden_size) for name in config.modalities}
        )
        self.freeze()

    def fuse(
        self, states: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], output_attentions: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """From the encoders' states to the utterance: what makes a variant.

        Args:
            states: per modality, `(batch, frames or tokens, hidden of its encoder)`.
            masks: per modality, `(batch, frames or tokens)`, bool; every row has at least one valid position.
            output_attentions: whether the attention maps are wanted.

        Returns:
            The embedding `(batch, embedding_size)`, and the maps by name (empty unless wanted).
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it fuses.")

    def freeze(self) -> None:
        """Freeze what the configuration names. What is frozen once stays so."""
        self.train(self.training)

    def train(self, mode: bool = True) -> "EmoFusionModel":
        """Training mode, but never for what is frozen: its results must be the same each time they are computed.

        It is frozen here, because `from_pretrained` makes all parameters anew and then calls `eval`.
        """
        super().train(mode)
        config = self.config
        if "audio" in config.modalities:
            freeze_audio_layers(self.audio_encoder, config.freeze_feature_encoder, config.freeze_audio_layers)
        if "text" in config.modalities:
            freeze_text_layers(self.text_encoder, config.freeze_text_layers)
        return self

    def encode(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **kwargs,
    ) -> Encoded:
        """First stage: what the frozen parameters compute, without a graph and without dropout.

        The result can be stored and given to `forward(encoded=...)`, which goes on from there with equal results.

        Args:
            input_values: `(batch, samples)` waveform, at the encoder's rate (16 kHz).
            audio_attention_mask: `(batch, samples)`; ones first. All ones if left out; a row of zeros has no audio.
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, tokens)`; likewise.
            **kwargs: other members of the batch, which are not used.
        """
        encoded = Encoded()
        with torch.no_grad():
            if "audio" in self.config.modalities and input_values is not None:
                mask = _as_mask(audio_attention_mask, input_values)
                encoded.audio, encoded.audio_mask = self._encode_audio(input_values, mask)
            if "text" in self.config.modalities and input_ids is not None:
                mask = _as_mask(attention_mask, input_ids)
                encoded.text, encoded.text_mask = self._encode_text(input_ids, mask)
        return encoded

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        encoded: Encoded | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Fused utterance embeddings of a batch.

        Args:
            input_values: `(batch, samples)` waveform, at the encoder's rate (16 kHz).
            audio_attention_mask: `(batch, samples)`; ones first. All ones if left out; a row of zeros has no audio.
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, tokens)`; likewise.
            encoded: result of `encode`, instead of the four above.
            output_attentions: whether to return attention maps.
            output_hidden_states: whether to return the encoders' states.
            return_dict: whether to return an [`EmotionOutput`] rather than a tuple.
            **kwargs: other members of the batch, which the variant does not use.

        Raises:
            ValueError: if the batch holds nothing that the model looks at.
        """
        config = self.config
        output_attentions = bool(config.output_attentions if output_attentions is None else output_attentions)
        output_hidden_states = bool(
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        if encoded is None:
            encoded = self.encode(input_values, audio_attention_mask, input_ids, attention_mask)

        states, masks, hidden_states, attentions = {}, {}, {}, {}
        for modality, finish in (("audio", self._finish_audio), ("text", self._finish_text)):
            if modality in config.modalities and encoded.get(modality) is not None:
                states[modality], masks[modality], hidden_states[modality], attentions[modality] = finish(
                    encoded[modality], encoded[f"{modality}_mask"], output_hidden_states, output_attentions
                )
        if not states:
            wanted = " or ".join({"audio": "input_values", "text": "input_ids"}[name] for name in config.modalities)
            raise ValueError(f"The batch holds nothing that {type(self).__name__} looks at; give it {wanted}.")
        states, masks = stand_in(states, masks, self.missing, config.modality_dropout if self.training else 0.0)
        embedding, cross_attentions = self.fuse(states, masks, output_attentions)

        output = EmotionOutput(
            embedding=embedding,
            cross_attentions=cross_attentions or None,
            hidden_states=hidden_states if output_hidden_states else None,
            attentions=attentions if output_attentions else None,
        )
        return_dict = config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    @property
    def _audio_layers(self) -> tuple[int, int]:
        """Layers of the speech encoder that are frozen, and all there are."""
        layers = self.config.audio_config.num_hidden_layers
        frozen = self.config.freeze_audio_layers
        return (layers if frozen == -1 else frozen), layers

    def _encode_audio(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frozen, _ = self._audio_layers
        if not frozen and not self.config.freeze_feature_encoder:
            return values, mask
        present = mask.any(dim=1, keepdim=True)
        values, mask = conv_features(self.audio_encoder, values, mask | ~present)
        if frozen:
            values = embed_frames(self.audio_encoder, values, mask)
            values, _, _ = run_layers(self.audio_encoder, values, mask, 0, frozen)
        return values, mask & present

    def _finish_audio(self, states, mask, output_hidden_states, output_attentions):
        frozen, layers = self._audio_layers
        present = mask.any(dim=1, keepdim=True)
        mask = mask | ~present  # rows without audio are computed with the others and replaced afterwards
        if not frozen:
            if not self.config.freeze_feature_encoder:
                states, mask = conv_features(self.audio_encoder, states, mask)
            states = embed_frames(self.audio_encoder, states, mask)
        states, hidden_states, attentions = run_layers(
            self.audio_encoder, states, mask, frozen, layers, output_attentions
        )
        return states, mask & present, hidden_states, attentions

    def _encode_text(self, input_ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.config.freeze_text_layers != -1:
            return input_ids, mask
        states, _, _ = encode_tokens(self.text_encoder, input_ids, mask | ~mask.any(dim=1, keepdim=True))
        return states, mask

    def _finish_text(self, states, mask, output_hidden_states, output_attentions):
        if self.config.freeze_text_layers == -1:
            return states, mask, (states,), ()
        states, hidden_states, attentions = encode_tokens(
            self.text_encoder,
            states,
            mask | ~mask.any(dim=1, keepdim=True),
            output_hidden_states,
            output_attentions,
        )
        return states, mask, hidden_states, attentions


class EmoFusionForSequenceClassification(EmoFusionPreTrainedModel):
    """A fusion model with an emotion head and its loss. A variant names its `model_class`.

    Args:
        config: configuration of the variant.
        **encoders: pre-trained encoders, as the model takes them.
    """

    model_class: type[EmoFusionModel]

    def __init__(self, config: EmoFusionConfig, **encoders: PreTrainedModel):
        super().__init__(config)
        self.model = self.model_class(config, **encoders)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.embedding_size, config.num_labels)
        self.post_init()

    def encode(self, *args, **kwargs) -> Encoded:
        """First stage, as [`EmoFusionModel.encode`]."""
        return self.model.encode(*args, **kwargs)

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        encoded: Encoded | None = None,
        labels: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Emotion scores of a batch, and the loss if `labels` are given.

        Args:
            input_values: `(batch, samples)` waveform, at the encoder's rate (16 kHz).
            audio_attention_mask: `(batch, samples)`; ones first. All ones if left out; a row of zeros has no audio.
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, tokens)`; likewise.
            encoded: result of `encode`, instead of the four above.
            labels: `(batch,)` class ids, or `(batch, classes)` probabilities (soft labels).
            output_attentions: whether to return attention maps.
            output_hidden_states: whether to return the encoders' states.
            return_dict: whether to return an [`EmotionOutput`] rather than a tuple.
            **kwargs: other members of the batch, which the variant does not use.
        """
        output = self.model(
            input_values=input_values,
            audio_attention_mask=audio_attention_mask,
            input_ids=input_ids,
            attention_mask=attention_mask,
            encoded=encoded,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.dropout(output.embedding))
        losses = None if labels is None else self.losses(logits, labels)
        output = EmotionOutput(
            loss=None if losses is None else sum(losses.values()),
            logits=logits,
            embedding=output.embedding,
            losses=losses,
            cross_attentions=output.cross_attentions,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The named parts of the loss, in float32; here cross-entropy with the configuration's class weights.

        Args:
            logits: `(batch, classes)`.
            labels: `(batch,)` class ids, or `(batch, classes)` probabilities.
        """
        weights = self.config.class_weights
        if weights is not None:
            weights = torch.tensor(weights, dtype=torch.float32, device=logits.device)
        if labels.is_floating_point():
            labels = labels.float()
        return {"cross_entropy": F.cross_entropy(logits.float(), labels, weight=weights)}


def _as_mask(mask: torch.Tensor | None, values: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(values, dtype=torch.bool) if mask is None else mask.bool()


def _load_encoder(modality: str, source: str) -> PreTrainedModel:
    """A pre-trained encoder, whole or not at all, from safetensors only."""
    encoder, info = AutoModel.from_pretrained(source, use_safetensors=True, output_loading_info=True)
    missing = [key for key in info["missing_keys"] if not key.startswith(OPTIONAL_WEIGHTS)]
    if missing:
        shown = ", ".join(sorted(missing)[:3])
        raise ValueError(
            f"The {modality} checkpoint {source!r} lacks {len(missing)} weights of {type(encoder).__name__} "
            f"({shown}, ...); give a checkpoint of that architecture."
        )
    return encoder
