"""Configuration of the speaker network (Padi 2022)."""

import math
from typing import ClassVar, Literal

from .configuration_checks import LARGEST, MOST_LAYERS, checked, number, positive, share, whole
from .configuration_emofusion import EmoFusionConfig
from .modalities import SAMPLING_RATE
from .plain_text import show_value


@checked
class SpeakerResNetConfig(EmoFusionConfig):
    r"""Log-mel spectrogram, ResNet, statistics pooling; trained on speaker recognition, then on emotion.

    After Padi, Sadjadi, Manocha and Sriram, "Multimodal Emotion Recognition using Transfer Learning from Speaker
    Recognition and BERT-based models" (arXiv 2202.08974). From the paper: a ResNet with a statistics-pooling layer,
    trained on speaker recognition and transferred, and random time and frequency masks on the spectrograms. All
    numbers below are ours.

    The model reads speech only and builds its own network, so `audio_config` must be left out. `freeze_audio_layers`
    counts the stages of the ResNet; the stem is frozen with the first stage, and -1 freezes the pooling and the embedding
    layer as well. `freeze_feature_encoder` has no effect, since the spectrogram has no parameters.

    Args:
        sampling_rate (`int`, *optional*, defaults to 16000):
            Sampling rate of the waveform in Hz.
        win_length (`int`, *optional*, defaults to 400):
            Length of the Hann window in samples (25 ms). A frame is valid if its window lies inside the utterance.
        hop_length (`int`, *optional*, defaults to 160):
            Samples from one frame to the next (10 ms).
        n_fft (`int`, *optional*, defaults to 512):
            Size of the Fourier transform; the window is zero-padded to this size.
        num_mel_bins (`int`, *optional*, defaults to 80):
            Mel bands (Slaney's scale and area normalisation) from 0 Hz to half the sampling rate.
        apply_spec_augment (`bool`, *optional*, defaults to `True`):
            Whether to mask the spectrogram in training. Nothing is masked if the first stage is frozen, because the
            output of frozen layers must be the same in every epoch.
        clean_share (`float`, *optional*, defaults to 0.5):
            Share of the training utterances that are not masked, drawn anew in every step: masked copies are added to
            the clean utterances, and do not replace them. At 0.5 two epochs have each utterance clean and masked once,
            in expectation.
        num_masks (`int`, *optional*, defaults to 2):
            Maximum number of frequency masks of an utterance, and of time masks; at least one of each is drawn.
        mask_feature_length (`int`, *optional*, defaults to 15):
            Maximum width of a frequency mask in mel bands; the width is drawn from 0 up.
        mask_time_length (`int`, *optional*, defaults to 40):
            Maximum width of a time mask in frames; the width is drawn from 0 up.
        mask_time_share (`float`, *optional*, defaults to 0.2):
            Maximum share of an utterance's frames that one time mask covers.
        hidden_sizes (`list[int]`, *optional*, defaults to `[32, 64, 128, 256]`):
            Channels of the ResNet's stages. The stem has the channels of the first stage. Every later stage halves
            frequency and time.
        depths (`list[int]`, *optional*, defaults to `[3, 4, 6, 3]`):
            Basic blocks of each stage; the default is ResNet-34.
        pooling (`str`, *optional*, defaults to `"statistics"`):
            `"statistics"`, or `"attentive_statistics"`, whose mean and standard deviation are weighted by an attention
            over the frames (Okabe 2018).
        embedding_size (`int`, *optional*, defaults to 256):
            Width of the utterance embedding.
        num_speakers (`int`, *optional*):
            Number of speakers of [`SpeakerResNetForSpeakerRecognition`].
        am_softmax_scale (`float`, *optional*, defaults to 30.0):
            Scale of the cosines between embedding and speakers in the additive-margin softmax.
        am_softmax_margin (`float`, *optional*, defaults to 0.2):
            Margin subtracted from the cosine of the true speaker in training.

    The other arguments are those of [`EmoFusionConfig`].
    """

    model_type = "emofusion_speaker_resnet"
    paper: ClassVar[dict | None] = {
        "title": "Multimodal Emotion Recognition using Transfer Learning from Speaker Recognition and BERT-based models",
        "authors": "Sarala Padi and Seyed Omid Sadjadi and Dinesh Manocha and Ram D. Sriram",
        "year": 2022,
        "url": "https://arxiv.org/abs/2202.08974",
        "stated": "a ResNet that is trained on speakers first, spectrogram augmentation, and, in the abstract of an earlier "
        "paper of the authors, statistics pooling over whole utterances and additional samples with masks over time and "
        "frequency",
        "ours": "the settings of the spectrogram, the depth of the ResNet, the loss over the speakers, the distribution of the "
        "masks, the stages of the transfer, all numbers",
    }

    sampling_rate: int = whole(1, SAMPLING_RATE)
    win_length: int = 400
    hop_length: int = whole(1, 160)
    n_fft: int = whole(1, 512, most=65536)
    num_mel_bins: int = whole(1, 80, most=4096)
    apply_spec_augment: bool = True
    clean_share: int | float = share(0.5)
    num_masks: int = whole(0, 2)
    mask_feature_length: int = whole(0, 15)
    mask_time_length: int = whole(0, 40)
    mask_time_share: int | float = number(0.2, below=math.nextafter(1, 2), words="from 0 to 1")
    hidden_sizes: list[int] | tuple[int, ...] = (32, 64, 128, 256)
    depths: list[int] | tuple[int, ...] = (3, 4, 6, 3)
    pooling: Literal["statistics", "attentive_statistics"] = "statistics"
    embedding_size: int = whole(1, 256)
    num_speakers: int | None = whole(1, None)
    am_softmax_scale: int | float = positive(30.0)
    am_softmax_margin: int | float = number(0.2)

    def __post_init__(self, **kwargs):
        self.hidden_sizes, self.depths = list(self.hidden_sizes), list(self.depths)
        if not self.depths or len(self.depths) != len(self.hidden_sizes):
            raise ValueError(
                f"hidden_sizes has {len(self.hidden_sizes)} numbers and depths has {len(self.depths)}; give both one "
                "number per stage of the ResNet."
            )
        for name, most in (("hidden_sizes", LARGEST), ("depths", MOST_LAYERS)):
            if not all(1 <= value <= most for value in getattr(self, name)):
                raise ValueError(
                    f"{name} is {show_value(getattr(self, name))}; it must be from 1 to {most} in every stage."
                )
        if not 0 < self.win_length <= self.n_fft:
            raise ValueError(f"win_length is {self.win_length}; it must be from 1 to n_fft ({self.n_fft}).")
        if self.num_masks < 1 and self.apply_spec_augment:
            raise ValueError(f"num_masks is {self.num_masks}; it must be at least 1, or set apply_spec_augment=False.")
        super().__post_init__(**kwargs)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Speech only."""
        return ("audio",)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Empty: the fields above describe the whole network."""
        return ()

    @property
    def layered_encoders(self) -> tuple[str, ...]:
        """The ResNet, which is frozen stage by stage."""
        return self.modalities

    def num_encoder_layers(self, modality: str) -> int:
        """Return the number of stages of the ResNet."""
        return len(self.depths)

    def state_size(self, modality: str) -> int:
        """Return the width of a frame after the last stage: channels times bands."""
        bands = self.num_mel_bins
        for _ in self.depths[1:]:
            bands = (bands + 1) // 2
        return self.hidden_sizes[-1] * bands
