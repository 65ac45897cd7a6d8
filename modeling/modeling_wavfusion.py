"""WavFusion (Li 2024, arXiv 2412.05558)."""

from collections.abc import Mapping

import torch
from torch import nn
from transformers import initialization as init

from ..configuration.configuration_wavfusion import WavFusionConfig
from .encoder_audio import apply_layers, layer_arguments, run_packed_layers
from .encoder_packing import attention_arguments, takes_packed_rows
from .encoder_wav2vec2 import MODEL_TYPES, has_final_layer_norm
from .fusion_gated_attention import GatedCrossModalAttention
from .fusion_pooling import build_pooling
from .fusion_recurrent_attention import RecurrentAttention
from .fusion_visual_center import LearnableVisualCenter, VisualBranch
from .loss_classification import known_classes
from .loss_discrepancy import HomogeneousEncoder, discrepancy_loss
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_outputs import EmotionOutput
from .modeling_rows import Rows, Segments


class WavFusionModel(EmoFusionModel):
    """Every frame of speech attends to text and video inside the last layers of the speech encoder.

        X_a = the speech encoder up to its last N layers       X_t = SelfAttention(GRU(text))
        X_v = [SelfAttention(GRU(video)) ; LearnableVisualCenter(video)]
        N deep layers on X_a, their self-attention replaced by P * CMA(X_a, X_t) + (1 - P) * CMA(X_a, X_v)
        u = mean over the frames of the last deep layer

    The architecture is from a third party's notes of the paper. Ours: the deep layers keep their pretrained
    normalisations and feed-forward layers; their attention to text is initialised from the replaced self-attention;
    each uses the output of the layer below as query; and the forms without text, without video, and without both.

    Raises:
        ValueError: If the speech encoder is not one of the wav2vec 2.0 family.
    """

    config: WavFusionConfig

    def __init__(self, config: WavFusionConfig, **encoders):
        if config.audio_config.model_type not in MODEL_TYPES:
            raise ValueError(
                f"audio_config names the model_type {config.audio_config.model_type!r}, which {type(self).__name__} "
                f"does not support; choose one of {', '.join(MODEL_TYPES)}."
            )
        super().__init__(config, **encoders)
        self._split_deep_layers()
        branch = (config.num_attention_heads, config.attention_dropout, config.hidden_dropout, config.layer_norm_eps)
        self.branches = nn.ModuleDict()
        for name, width in config.stream_sizes.items():
            size = config.state_size(name)
            if name == "text":
                self.branches[name] = RecurrentAttention(size, width, *branch)
            else:
                codewords = config.num_codewords if config.use_visual_center else 0
                self.branches[name] = VisualBranch(size, width, codewords, *branch)
        if config.fusion == "gated" and config.auxiliary_modalities:
            for layer in self.deep_layers:
                layer.attention = GatedCrossModalAttention(
                    layer.attention, config.stream_sizes, config.gate_self_attention
                )
        self.poolings = nn.ModuleDict(
            {name: build_pooling(config.pooling, size) for name, size in config.pooled_sizes.items()}
        )
        self.homogeneous_encoder = None
        if "discrepancy" in config.loss_parts:
            width = config.state_size("audio")
            self.homogeneous_encoder = HomogeneousEncoder({"audio": width} | config.stream_sizes, width)
        self.post_init()

    def _split_deep_layers(self) -> None:
        """Move the last layers, and the normalisation after them, out of the encoder, so that they are not frozen with it."""
        trunk, shallow = self.audio_encoder.encoder, self.config.num_audio_layers
        self.deep_layers = trunk.layers[shallow:]
        trunk.layers = trunk.layers[:shallow]
        self.deep_layer_norm = nn.Identity()
        if has_final_layer_norm(self.audio_encoder.config):
            self.deep_layer_norm, trunk.layer_norm = trunk.layer_norm, nn.Identity()
        for module in (self.deep_layers, self.deep_layer_norm):  # undo the freezing of the encoder
            module.requires_grad_(True).train(self.training)

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, LearnableVisualCenter):
            codewords, width = module.codewords.shape
            init.uniform_(module.codewords, -((codewords * width) ** -0.5), (codewords * width) ** -0.5)
            init.uniform_(module.scales, -1.0, 0.0)

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]. Maps and gates are named by the layer of the speech encoder, counted from 1:
        `"layer_10_audio_text"`, `(batch, heads, frames, tokens)`, and `"layer_10"`, `(batch, frames, hidden)`, the
        gate's weight of text, or of the only auxiliary modality.
        """
        streams = {name: branch(states[name], rows[name]) for name, branch in self.branches.items()}
        deep_states, records = self._run_deep_layers(states["audio"], streams, rows, output_attentions)
        fused = {"audio": self.deep_layer_norm(deep_states)} | streams
        pooled = [pooling(fused[name], rows[name]) for name, pooling in self.poolings.items()]
        output = EmotionOutput(embedding=torch.cat(pooled, dim=-1))
        if self.homogeneous_encoder is not None:
            output["modality_embeddings"] = self.homogeneous_encoder({"audio": states["audio"]} | streams, rows)
        for layer, (maps, gate) in enumerate(records, start=self.config.num_audio_layers + 1):
            named = {f"layer_{layer}_audio_{name}": weights for name, weights in maps.items()}
            output["cross_attentions"] = (output.cross_attentions or {}) | named
            if gate is not None:
                output["gates"] = (output.gates or {}) | {f"layer_{layer}": gate}
        return output

    def _run_deep_layers(
        self, audio: torch.Tensor, streams: dict[str, torch.Tensor], rows: dict[str, Rows], output_attentions: bool
    ) -> tuple[torch.Tensor, tuple]:
        """Return the packed states of the last deep layer, and the records of all if `output_attentions` is set."""
        layout = rows["audio"]
        packs = takes_packed_rows(self.audio_encoder)
        is_gated = self.config.fusion == "gated" and bool(streams)
        if packs and not is_gated:
            return run_packed_layers(self.audio_encoder, self.deep_layers, audio, layout)[-1], ()
        if packs:
            arguments = {"attention_mask": None} | attention_arguments(layout)
        else:
            audio = layout.pad(audio)
            arguments = layer_arguments(self.audio_encoder, audio, layout.key_mask)
            rows = rows | {"audio": layout.without_packing()}
        if is_gated:
            arguments |= {"streams": streams, "rows": rows, "output_attentions": output_attentions}
        states, records = apply_layers(self.deep_layers, audio, arguments, output_attentions and is_gated)
        return states[-1] if packs else layout.pack(states[-1]), records


class WavFusionForSequenceClassification(EmoFusionForSequenceClassification):
    """WavFusion with a classification head, and discrepancy learning in its loss."""

    config: WavFusionConfig
    model_class = WavFusionModel

    def loss_parts(self, output: EmotionOutput, labels: Mapping[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """Return the parts of every variant and, as `"discrepancy"`, the margin loss of [`discrepancy_loss`].

        In distributed training the triplets span the batches of all processes. A soft label counts as its most
        probable class; rows without a known class are left out.

        Args:
            output: See [`EmoFusionForSequenceClassification.losses`].
            labels: The same.
        """
        parts, classes = super().loss_parts(output, labels), labels["labels"]
        if output.modality_embeddings is not None and classes is not None:
            known = known_classes(classes)
            classes = classes.argmax(dim=-1) if classes.is_floating_point() else classes
            embeddings = torch.stack(list(output.modality_embeddings.values()), dim=1)
            embeddings, classes = self._gather(embeddings * known[:, None, None], classes)
            parts["discrepancy"] = self.config.discrepancy_weight * discrepancy_loss(
                embeddings, classes, self.config.margin
            )
        return parts
