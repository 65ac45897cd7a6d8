"""The speaker network, for speaker recognition and for emotion recognition (Padi 2022, arXiv 2202.08974)."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init

from ..configuration.configuration_speaker_resnet import SpeakerResNetConfig
from .encoder_resnet import ResNet
from .encoder_spectrogram import LogMelSpectrogram, mask_spectrogram
from .fusion_pooling import build_pooling
from .modeling_emofusion import EmoFusionForSequenceClassification, EmoFusionModel
from .modeling_lengths import Lengths, at_least_one, lengths_mask
from .modeling_outputs import EmotionOutput
from .modeling_pretrained import EmoFusionPreTrainedModel
from .modeling_rows import Rows, Segments


class SpeakerResNetModel(EmoFusionModel):
    """Log-mel spectrogram -> ResNet -> statistics pooling over time -> linear layer: the speaker embedding.

    A ResNet with statistics pooling is the paper's; the sizes are ours.
    """

    config: SpeakerResNetConfig

    def __init__(self, config: SpeakerResNetConfig):
        super().__init__(config)
        self.spectrogram = LogMelSpectrogram(
            config.sampling_rate, config.win_length, config.hop_length, config.n_fft, config.num_mel_bins
        )
        self.audio_encoder = ResNet(config.hidden_sizes, config.depths)
        self.pooling = build_pooling(config.pooling, config.state_size("audio"))
        self.embedding_projection = nn.Linear(2 * config.state_size("audio"), config.embedding_size)
        self.freeze()
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, LogMelSpectrogram):  # its constants are not saved in checkpoints
            for name, value in zip(("window", "filters"), module.constants(), strict=True):
                init.copy_(getattr(module, name), value)

    def train(self, mode: bool = True) -> "SpeakerResNetModel":
        """See [`EmoFusionModel.train`]."""
        super().train(mode)
        is_built = hasattr(self, "embedding_projection")  # the base class calls this before the layers exist
        if self.config.freeze_audio_layers and is_built:
            network = self.audio_encoder
            frozen = [network.stem, *network.stages[: self._frozen_audio_layers]]
            if self.config.freeze_audio_layers == -1:
                frozen = [network, self.pooling, self.embedding_projection]
            for module in frozen:
                module.requires_grad_(False).eval()
        return self

    def _encode_audio(self, values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        states, mask = self.spectrogram(values, lengths_mask(lengths, values.device, values.shape[1]))
        lengths, frozen = self.spectrogram.count_frames(lengths), self._frozen_audio_layers
        states = states.to(self.dtype)
        if frozen:
            states = self.audio_encoder.run_stem(states, mask)
            states, _, _ = self.audio_encoder.run_stages(states, mask, 0, frozen)
            lengths = self.audio_encoder.count_frames(lengths, 0, frozen)
        return states, lengths

    def _finish_audio(self, states, lengths: Lengths, output_hidden_states: bool, output_attentions: bool):
        config, frozen = self.config, self._frozen_audio_layers
        states, mask = states.to(self.dtype), lengths_mask(lengths, states.device, states.shape[1])
        if not frozen:
            if self.training and config.apply_spec_augment:
                masked = mask_spectrogram(
                    states,
                    mask,
                    config.num_masks,
                    config.mask_feature_length,
                    config.mask_time_length,
                    config.mask_time_share,
                )
                is_clean = torch.rand(len(states), device=states.device) < config.clean_share
                states = torch.where(is_clean[:, None, None], states, masked)
            states = self.audio_encoder.run_stem(states, mask)
        stages = len(config.depths)
        states, _, hidden_states = self.audio_encoder.run_stages(states, mask, frozen, stages)
        rows = Rows(at_least_one(self.audio_encoder.count_frames(lengths, frozen, stages)), states.device)
        return states, rows, hidden_states, ()

    def fuse(
        self,
        states: dict[str, torch.Tensor],
        rows: dict[str, Rows],
        segments: dict[str, Segments],
        output_attentions: bool,
    ) -> EmotionOutput:
        """See [`EmoFusionModel.fuse`]."""
        pooled = self.pooling(states["audio"], rows["audio"])
        return EmotionOutput(embedding=self.embedding_projection(pooled))


class SpeakerResNetForSequenceClassification(EmoFusionForSequenceClassification):
    """The speaker network with a classification head.

    `from_pretrained` with `output_loading_info=True` also loads the folder of a
    [`SpeakerResNetForSpeakerRecognition`]: the network is transferred, and the head is new.
    """

    config: SpeakerResNetConfig
    model_class = SpeakerResNetModel


class SpeakerResNetForSpeakerRecognition(EmoFusionPreTrainedModel):
    """The speaker network with an additive-margin softmax over the training speakers (Wang et al. 2018).

    Args:
        config: The configuration, with `num_speakers`.

    Raises:
        ValueError: If the configuration has no `num_speakers`.
    """

    config: SpeakerResNetConfig

    def __init__(self, config: SpeakerResNetConfig):
        super().__init__(config)
        if not config.num_speakers:
            raise ValueError("num_speakers is not set; SpeakerResNetForSpeakerRecognition needs it.")
        self.model = SpeakerResNetModel(config)
        self.speaker_classifier = nn.Linear(config.embedding_size, config.num_speakers, bias=False)
        # Share of the margin that the loss applies; a schedule may let it grow in training.
        self.margin_share = 1.0
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> EmotionOutput | tuple:
        """Compute the speaker logits of a batch, and the loss if `labels` are given.

        Args:
            input_values: See [`EmoFusionModel.encode`].
            audio_attention_mask: See [`EmoFusionModel.encode`].
            labels: `(batch,)` speaker ids.
            return_dict: Whether to return an [`EmotionOutput`] instead of a tuple.
            **kwargs: Other arguments of [`EmoFusionModel.forward`].

        Returns:
            The output, with `embedding` `(batch, embedding_size)`, to be compared by cosine similarity; `logits`
            `(batch, num_speakers)`, the scaled cosines without margin; and, with `labels`, `loss`.
        """
        output = self.model(
            input_values=input_values, audio_attention_mask=audio_attention_mask, return_dict=True, **kwargs
        )
        cosines = (
            F.normalize(output.embedding.float(), dim=-1)
            @ F.normalize(self.speaker_classifier.weight.float(), dim=-1).T
        )
        logits = self.config.am_softmax_scale * cosines
        losses = None
        if labels is not None:
            margin = self.margin_share * self.config.am_softmax_margin * F.one_hot(labels, self.config.num_speakers)
            losses = {"am_softmax": F.cross_entropy(logits - self.config.am_softmax_scale * margin, labels)}
        output = EmotionOutput(
            **output, loss=None if losses is None else losses["am_softmax"], logits=logits, losses=losses
        )
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()
