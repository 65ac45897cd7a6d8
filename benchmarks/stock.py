"""What a user of transformers runs instead: the same encoders, each on the padded batch with its mask, nothing fused."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModel

from ..configuration.modalities import MODALITIES
from .systems import encoder_configs, keep_scale


class StockEncoders(nn.Module):
    """The encoders of a classifier as plain models of transformers, with random weights.

    Layers that the classifier freezes are frozen here too. There is no layer drop, because the classifiers have none.

    Args:
        model: A classifier of ours.
        head: Whether to add mean pooling and a linear head over the concatenated means.
    """

    def __init__(self, model, head: bool = False):
        super().__init__()
        frozen = {name for name, weight in encoder_weights(model) if not weight.requires_grad}
        width = 0
        for name, config in encoder_configs(model.config).items():
            if hasattr(config, "layerdrop"):
                config.layerdrop = 0.0
            encoder = AutoModel.from_config(config, attn_implementation=None)
            if name == "text":
                encoder.pooler = None  # the task reads tokens
            if name == "video":
                keep_scale(encoder.eval(), config.image_size)
            setattr(self, MODALITIES[name].encoder, encoder)
            width += getattr(config, "hidden_size", 0) or getattr(config, "hidden_dim", 0) or config.hidden_sizes[-1]
        for name, weight in self.named_parameters():
            weight.requires_grad_(name not in frozen)
        if any(name.startswith("audio_encoder.feature_extractor.") for name in frozen):
            self.audio_encoder.freeze_feature_encoder()
        self.classifier = nn.Linear(width, model.config.num_labels) if head else None

    def forward(
        self,
        input_values=None,
        audio_attention_mask=None,
        input_ids=None,
        attention_mask=None,
        pixel_values_videos=None,
        video_attention_mask=None,
        labels=None,
        **others,
    ) -> dict[str, torch.Tensor]:
        """Return the states of each modality; with a head, the logits and the cross-entropy of the labels."""
        states = {}
        if input_values is not None and hasattr(self, "audio_encoder"):
            encoder = self.audio_encoder
            outputs = encoder(input_values.to(encoder.dtype), attention_mask=audio_attention_mask)
            states["audio"] = outputs.last_hidden_state
        if input_ids is not None and hasattr(self, "text_encoder"):
            states["text"] = self.text_encoder(input_ids, attention_mask=attention_mask).last_hidden_state
        if pixel_values_videos is not None and hasattr(self, "vision_encoder"):
            frames = pixel_values_videos.flatten(0, 1).to(self.vision_encoder.dtype)
            vectors = self.vision_encoder(frames).pooler_output.flatten(1)
            states["video"] = vectors.unflatten(0, pixel_values_videos.shape[:2])
        if self.classifier is None:
            return states
        masks = {"text": attention_mask, "video": video_attention_mask}
        if "audio" in states:
            masks["audio"] = self.audio_encoder._get_feature_vector_attention_mask(
                states["audio"].shape[1], audio_attention_mask
            )
        means = [
            (state * masks[name][..., None]).sum(dim=1) / masks[name].sum(dim=1, keepdim=True)
            for name, state in states.items()
        ]
        logits = self.classifier(torch.cat(means, dim=-1))
        return {"loss": F.cross_entropy(logits.float(), labels), "logits": logits}


def encoder_weights(model):
    """Yield the names, without the path to the model that holds them, and the weights of a classifier's encoders."""
    for name, weight in model.named_parameters():
        for modality in MODALITIES.values():
            if (start := name.find(f"{modality.encoder}.")) >= 0:
                yield name[start:], weight
