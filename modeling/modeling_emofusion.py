"""What every fusion model has in common: encode, fuse, head, loss.

A variant is a subclass of [`EmoFusionModel`] with a `fuse` method, and a subclass of
[`EmoFusionForSequenceClassification`] that names it. Everything else is here, once.
"""

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init

from ..configuration.configuration_emofusion import EmoFusionConfig
from .distributed import gather_rows
from .encoder_audio import build_audio_encoder, freeze_audio_layers, prepare_audio_encoder
from .encoder_stages import EncodingStages, LayerSum
from .encoder_text import build_text_encoder, freeze_text_layers, prepare_text_encoder
from .encoder_vision import build_vision_encoder, prepare_vision_encoder
from .fusion_missing_modality import StandIns
from .loss_classification import classification_loss
from .modeling_loading import SafeLoading, refuse_pickles
from .modeling_outputs import EmotionOutput, Encoded
from .sharding import Sharding

# Weights that a pre-trained checkpoint may lack: one stands for masked frames only, the others are not used.
OPTIONAL_WEIGHTS = ("masked_spec_embed", "pooler.", "decoder.")
MAIN_INPUTS = {"audio": "input_values", "text": "input_ids", "video": "pixel_values_videos"}


class EmoFusionPreTrainedModel(SafeLoading, Sharding, PreTrainedModel):
    """Loading, saving, initialisation and freezing, shared by all models of the package."""

    config: EmoFusionConfig
    base_model_prefix = "model"
    main_input_name = "input_values"
    input_modalities = ("audio", "text", "video")
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # `forward(**kwargs)` takes other members of the batch, not a loss's normaliser
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, StandIns):
            for vector in module.parameters():
                init.normal_(vector, std=self.config.initializer_range)
        elif isinstance(module, LayerSum):
            init.zeros_(module.weight)

    @classmethod
    def from_encoders_pretrained(
        cls,
        audio: str | PreTrainedModel | None = None,
        text: str | PreTrainedModel | None = None,
        vision: str | PreTrainedModel | None = None,
        **kwargs,
    ) -> "EmoFusionPreTrainedModel":
        """A model whose encoders are pre-trained and whose fusion is new.

        Args:
            audio: Hub id or folder of a speech encoder, or the encoder itself.
            text: the same for the text encoder.
            vision: the same for the encoder of video frames.
            **kwargs: fields of the variant's configuration.

        Raises:
            ValueError: if a checkpoint lacks weights of its encoder; it names them.
        """
        encoders = {}
        for kind, source in (("audio", audio), ("text", text), ("vision", vision)):
            if source is not None:
                encoder = source if isinstance(source, PreTrainedModel) else _load_encoder(kind, source)
                encoders[f"{kind}_encoder"] = encoder
                kwargs[f"{kind}_config"] = encoder.config
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


class EmoFusionModel(EncodingStages, EmoFusionPreTrainedModel):
    """Encoders, the two stages, and what stands in for a missing modality. A variant adds `fuse`.

    Args:
        config: configuration of the variant.
        audio_encoder: a pre-trained speech encoder to use instead of a new one.
        text_encoder: the same for text.
        vision_encoder: the same for video frames.
    """

    def __init__(
        self,
        config: EmoFusionConfig,
        audio_encoder: PreTrainedModel | None = None,
        text_encoder: PreTrainedModel | None = None,
        vision_encoder: PreTrainedModel | None = None,
    ):
        super().__init__(config)
        if "audio" in config.encoders:
            self.audio_encoder = (
                prepare_audio_encoder(audio_encoder) if audio_encoder else build_audio_encoder(config.audio_config)
            )
        if "text" in config.encoders:
            self.text_encoder = (
                prepare_text_encoder(text_encoder) if text_encoder else build_text_encoder(config.text_config)
            )
        if "video" in config.encoders:
            self.vision_encoder = (
                prepare_vision_encoder(vision_encoder)
                if vision_encoder
                else build_vision_encoder(config.vision_config)
            )
        if config.use_weighted_layer_sum:
            self.layer_sums = nn.ModuleDict(
                {name: LayerSum(config.num_encoder_layers(name) + 1) for name in config.encoders if name != "video"}
            )
        self.missing = StandIns({name: config.state_size(name) for name in config.modalities})
        self.freeze()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        masks: dict[str, torch.Tensor],
        spans: dict[str, torch.Tensor],
        output_attentions: bool,
    ) -> EmotionOutput:
        """From the encoders' states to the utterance: what makes a variant.

        Args:
            states: per modality, `(batch, positions, hidden of its encoder)`.
            masks: per modality, `(batch, positions)`, bool; every row has at least one valid position.
            spans: per level that the variant reads and the batch has, `(batch, segments, 2)` seconds, -1 where padded.
            output_attentions: whether the attention maps, and the gates, are wanted.

        Returns:
            An output with the embedding `(batch, embedding_size)`, and what of maps and gates is wanted.
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
        **kwargs,
    ) -> Encoded:
        """First stage: what the frozen parameters compute, without a graph and without dropout.

        The result can be stored and given to `forward(encoded=...)`, which goes on from there with equal results.

        Args:
            input_values: `(batch, samples)` waveform, at the encoder's rate (16 kHz).
            audio_attention_mask: `(batch, samples)`; ones first. All ones if left out; a row of zeros has no audio.
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, tokens)`; likewise.
            pixel_values_videos: `(batch, frames, channels, height, width)`.
            video_attention_mask: `(batch, frames)`; likewise.
            **kwargs: other members of the batch, of which the spans that the variant reads (`word_spans` and so on,
                `(batch, segments, 2)` seconds, -1 where padded) are kept.
        """
        given = {
            "audio": (input_values, audio_attention_mask, self._encode_audio),
            "text": (input_ids, attention_mask, self._encode_text),
            "video": (pixel_values_videos, video_attention_mask, self._encode_video),
        }
        encoded = Encoded(**{name: kwargs.get(name) for name in self._span_names})
        with torch.no_grad():
            for modality in self.config.modalities:
                values, mask, encode = given[modality]
                if values is not None:
                    mask = torch.ones_like(values[:, :, *[0] * (values.ndim - 2)]) if mask is None else mask
                    encoded[modality], encoded[f"{modality}_mask"] = encode(values, mask.bool())
        return encoded

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_attention_mask: torch.Tensor | None = None,
        encoded: Encoded | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Fused utterance embeddings of a batch.

        Args:
            input_values: this and the next five as in [`EmoFusionModel.encode`].
            audio_attention_mask: see there.
            input_ids: see there.
            attention_mask: see there.
            pixel_values_videos: see there.
            video_attention_mask: see there.
            encoded: result of `encode`, instead of all others.
            output_attentions: whether to return attention maps, and gates.
            output_hidden_states: whether to return the encoders' states.
            return_dict: whether to return an [`EmotionOutput`] rather than a tuple.
            **kwargs: other members of the batch, as in [`EmoFusionModel.encode`].

        Raises:
            ValueError: if the batch holds nothing that the model looks at.
        """
        config = self.config
        output_attentions = bool(config.output_attentions if output_attentions is None else output_attentions)
        output_hidden_states = bool(
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        if encoded is None:
            encoded = self.encode(
                input_values,
                audio_attention_mask,
                input_ids,
                attention_mask,
                pixel_values_videos,
                video_attention_mask,
                **kwargs,
            )
        finishers = {"audio": self._finish_audio, "text": self._finish_text, "video": self._finish_video}
        states, masks, hidden_states, attentions = {}, {}, {}, {}
        for modality in config.modalities:
            if encoded.get(modality) is not None:
                states[modality], masks[modality], hidden_states[modality], attentions[modality] = finishers[modality](
                    encoded[modality], encoded[f"{modality}_mask"], output_hidden_states, output_attentions
                )
        if not states:
            wanted = " or ".join(MAIN_INPUTS[name] for name in config.modalities)
            raise ValueError(f"The batch holds nothing that {type(self).__name__} looks at; give it {wanted}.")
        dropout = config.modality_dropout if self.training else 0.0
        states, masks, present = self.missing(states, masks, dropout)
        spans = {
            name.removesuffix("_spans"): encoded[name] for name in self._span_names if encoded.get(name) is not None
        }
        output = self.fuse(states, masks, spans, output_attentions)
        if output.modality_embeddings is not None:  # those of a modality that a row has not got say nothing
            own = {name: vectors * present[name][:, None] for name, vectors in output.modality_embeddings.items()}
            output["modality_embeddings"] = own
        if output_hidden_states:
            output["hidden_states"] = hidden_states
        if output_attentions:
            output["attentions"] = attentions
        return_dict = config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    @property
    def _span_names(self) -> list[str]:
        return [f"{level}_spans" for level in self.config.span_levels]


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
        self.classifier = self._build_classifier(config)
        self.post_init()

    @staticmethod
    def _build_classifier(config: EmoFusionConfig) -> nn.Module:
        if config.classifier_proj_size is None:
            return nn.Linear(config.embedding_size, config.num_labels)
        return nn.Sequential(
            nn.Linear(config.embedding_size, config.classifier_proj_size),
            nn.ReLU(),
            nn.Dropout(config.classifier_dropout),
            nn.Linear(config.classifier_proj_size, config.num_labels),
        )

    def encode(self, *args, **kwargs) -> Encoded:
        """First stage, as [`EmoFusionModel.encode`]."""
        return self.model.encode(*args, **kwargs)

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_attention_mask: torch.Tensor | None = None,
        encoded: Encoded | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Emotion scores of a batch, and the loss if `labels` are given.

        Args:
            input_values: this and the next five as in [`EmoFusionModel.encode`].
            audio_attention_mask: see there.
            input_ids: see there.
            attention_mask: see there.
            pixel_values_videos: see there.
            video_attention_mask: see there.
            encoded: result of `encode`, instead of all others.
            labels: `(batch,)` class ids, or `(batch, classes)` probabilities (soft labels).
            return_dict: whether to return an [`EmotionOutput`] rather than a tuple.
            **kwargs: other members of the batch, and `output_attentions` and `output_hidden_states`, as in
                [`EmoFusionModel.forward`].
        """
        output = self.model(
            input_values=input_values,
            audio_attention_mask=audio_attention_mask,
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values_videos=pixel_values_videos,
            video_attention_mask=video_attention_mask,
            encoded=encoded,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.dropout(output.embedding))
        losses = None if labels is None else self.losses(logits, labels, output)
        loss = None if losses is None else sum(losses.values())
        output = EmotionOutput(**output, loss=loss, logits=logits, losses=losses)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()

    def losses(self, logits: torch.Tensor, labels: torch.Tensor, output: EmotionOutput) -> dict[str, torch.Tensor]:
        """The named parts of the loss, in float32; here one, the [`classification_loss`] that the configuration sets.

        Args:
            logits: `(batch, classes)`.
            labels: `(batch,)` class ids, or `(batch, classes)` probabilities.
            output: of the model without the head.
        """
        config = self.config
        if self.training:  # class weights, and batches of unequal size, count over the batches of all processes
            logits, labels = gather_rows(logits), gather_rows(labels)
        loss = classification_loss(logits, labels, config.class_weights, config.label_smoothing, config.focal_gamma)
        return {"cross_entropy": loss}


def _load_encoder(kind: str, source: str) -> PreTrainedModel:
    """A pre-trained encoder, whole or not at all, from safetensors only."""
    refuse_pickles(source)
    encoder, info = AutoModel.from_pretrained(source, use_safetensors=True, output_loading_info=True)
    missing = [key for key in info["missing_keys"] if not key.startswith(OPTIONAL_WEIGHTS)]
    if missing:
        shown = ", ".join(sorted(missing)[:3])
        raise ValueError(
            f"The {kind} checkpoint {source!r} lacks {len(missing)} weights of {type(encoder).__name__} "
            f"({shown}, ...); give a checkpoint of that architecture."
        )
    if "masked_spec_embed" in info["missing_keys"]:  # older transformers leaves that of some types uninitialised
        nn.init.uniform_(encoder.masked_spec_embed)
    return encoder
