"""The base class of all models of the package: loading, saving, initialisation, freezing."""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from ..configuration.configuration_emofusion import EmoFusionConfig
from ..configuration.modalities import MODALITIES
from .distributed import ShardingMixin
from .encoder_packing import use_packed_attention
from .encoder_stages import LayerSum
from .fusion_missing_modality import MissingModalityEmbeddings
from .modeling_adapters import AdapterLoadingMixin
from .modeling_dtype import set_dtype, weight_dtype
from .modeling_loading import SafeLoadingMixin, load_encoder


class EmoFusionPreTrainedModel(AdapterLoadingMixin, SafeLoadingMixin, ShardingMixin, PreTrainedModel):
    """Loading, saving, initialisation and freezing for all models of the package."""

    config: EmoFusionConfig
    base_model_prefix = "model"
    main_input_name = "input_values"
    input_modalities = tuple(MODALITIES)
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # `forward(**kwargs)` takes other inputs, not `num_items_in_batch`
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, MissingModalityEmbeddings):
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
        dtype: str | torch.dtype | None = None,
        **kwargs,
    ) -> "EmoFusionPreTrainedModel":
        """Build a model with pretrained encoders and a new fusion.

        Args:
            audio: A Hub id or folder of a speech encoder, or the encoder itself.
            text: The same for the text encoder.
            vision: The same for the encoder of video frames.
            dtype: The dtype of all weights, whatever the encoders were saved in; float32 if None.
            **kwargs: Fields of the variant's configuration.

        Raises:
            ValueError: If a checkpoint lacks weights of its encoder, or `dtype` is no dtype of real numbers.
        """
        encoders, dtype = {}, weight_dtype(dtype)
        for name, source in (("audio", audio), ("text", text), ("video", vision)):
            if source is not None:
                modality = MODALITIES[name]
                encoder = source if isinstance(source, PreTrainedModel) else load_encoder(modality, source, dtype)
                encoders[modality.encoder] = encoder
                kwargs[modality.config_field] = encoder.config
        return set_dtype(cls(cls.config_class(**kwargs), **encoders), dtype)

    def freeze_feature_encoder(self) -> None:
        """Freeze the convolutional front end of the speech encoder."""
        self.config.freeze_feature_encoder = True
        self.base_model.freeze()

    def freeze_audio_encoder(self, num_layers: int = -1) -> None:
        """Freeze the first `num_layers` layers of the speech encoder and everything below them (-1: the whole encoder)."""
        self._freeze_layers("audio", num_layers)

    def freeze_text_encoder(self, num_layers: int = -1) -> None:
        """Freeze the embeddings and the first `num_layers` layers of the text encoder (-1: the whole encoder)."""
        self._freeze_layers("text", num_layers)

    def set_attn_implementation(self, attn_implementation: str | dict, *args, **kwargs) -> None:
        """Set the attention of the encoders as in transformers; "sdpa" is computed without padding.

        Args:
            attn_implementation: As in transformers.
            *args: As in transformers.
            **kwargs: As in transformers.
        """
        super().set_attn_implementation(attn_implementation, *args, **kwargs)
        pack_encoders(self)

    def _freeze_layers(self, modality: str, num_layers: int) -> None:
        self.config.set_frozen_layers(modality, num_layers)
        self.base_model.freeze()


def pack_encoders(model: nn.Module) -> None:
    """Let all encoders of a model, and of its members, attend without padding instead of with "sdpa"."""
    for module in model.modules():
        if isinstance(module, EmoFusionPreTrainedModel):
            for modality in MODALITIES.values():
                encoder = getattr(module, modality.encoder, None)
                if modality.has_layers and isinstance(encoder, PreTrainedModel):
                    use_packed_attention(encoder)
