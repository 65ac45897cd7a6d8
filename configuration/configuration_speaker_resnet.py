"""Configuration of the speaker network (Padi 2022)."""

from typing import ClassVar

from huggingface_hub.dataclasses import strict

from .configuration_emofusion import EmoFusionConfig


@strict
class SpeakerResNetConfig(EmoFusionConfig):
    r"""Log-mel spectrogram, ResNet, statistics pooling: learns to know speakers, then what they feel.

    After Padi, Sadjadi, Manocha and Sriram, "Multimodal Emotion Recognition using Transfer Learning from Speaker
    Recognition and BERT-based models" (arXiv 2202.08974). That a ResNet with a statistics-pooling layer is trained on
    speaker recognition and transferred, and that random time and frequency masks augment the spectrograms, is the
    paper's; all numbers below are ours.

    It reads speech only and has no encoder of another library: `audio_config` is refused. `freeze_audio_layers`
    counts the stages of the ResNet, and the stem is frozen with the first; -1 freezes the embedding layer too.
    `freeze_feature_encoder` has no effect: the spectrogram learns nothing.

    Args:
        sampling_rate (`int`, *optional*, defaults to 16000):
            Of the waveform, in Hz.
        win_length (`int`, *optional*, defaults to 400):
            Samples of the Hann window, 25 ms. A frame is valid if all of its window lies inside the utterance.
        hop_length (`int`, *optional*, defaults to 160):
            Samples from one frame to the next, 10 ms.
        n_fft (`int`, *optional*, defaults to 512):
            Size of the Fourier transform; the window is padded with zeros to it.
        num_mel_bins (`int`, *optional*, defaults to 80):
            Bands of the filter bank (Slaney's scale and area normalisation), from 0 Hz to half the rate.
        apply_spec_augment (`bool`, *optional*, defaults to `True`):
            Whether training masks parts of the spectrogram. Nothing is masked where the first stage is frozen, since
            what is frozen gives the same result each time.
        num_masks (`int`, *optional*, defaults to 2):
            An utterance gets from one to this many masks over frequency, and from one to this many over time.
        mask_feature_length (`int`, *optional*, defaults to 15):
            Most mel bands that one mask covers; the number is drawn, and may be 0.
        mask_time_length (`int`, *optional*, defaults to 40):
            Most frames that one mask covers, likewise.
        mask_time_share (`float`, *optional*, defaults to 0.2):
            Most that one mask over time covers of an utterance.
        hidden_sizes (`list[int]`, *optional*, defaults to `[32, 64, 128, 256]`):
            Channels of the ResNet's stages. The stem has as many as the first, and each stage but the first halves
            frequency and time.
        depths (`list[int]`, *optional*, defaults to `[3, 4, 6, 3]`):
            Basic blocks of each stage; the default is ResNet-34.
        embedding_size (`int`, *optional*, defaults to 256):
            Width of the utterance embedding.
        num_speakers (`int`, *optional*):
            Speakers that [`SpeakerResNetForSpeakerRecognition`] tells apart.
        am_softmax_scale (`float`, *optional*, defaults to 30.0):
            What the cosines between embedding and speakers are multiplied with.
        am_softmax_margin (`float`, *optional*, defaults to 0.2):
            What is taken from the cosine of the true speaker in training.

    The other arguments are those of [`EmoFusionConfig`].
    """

    model_type = "emofusion_speaker_resnet"
    paper: ClassVar[dict | None] = {
        "title": "Multimodal Emotion Recognition using Transfer Learning from Speaker Recognition and BERT-based models",
        "authors": "Sarala Padi and Seyed Omid Sadjadi and Dinesh Manocha and Ram D. Sriram",
        "year": 2022,
        "url": "https://arxiv.org/abs/2202.08974",
    }

    sampling_rate: int = 16000
    win_length: int = 400
    hop_length: int = 160
    n_fft: int = 512
    num_mel_bins: int = 80
    apply_spec_augment: bool = True
    num_masks: int = 2
    mask_feature_length: int = 15
    mask_time_length: int = 40
    mask_time_share: float = 0.2
    hidden_sizes: list[int] | tuple[int, ...] = (32, 64, 128, 256)
    depths: list[int] | tuple[int, ...] = (3, 4, 6, 3)
    embedding_size: int = 256
    num_speakers: int | None = None
    am_softmax_scale: float = 30.0
    am_softmax_margin: float = 0.2

    def __post_init__(self, **kwargs):
        self.hidden_sizes, self.depths = list(self.hidden_sizes), list(self.depths)
        if not self.depths or len(self.depths) != len(self.hidden_sizes):
            raise ValueError(
                f"hidden_sizes has {len(self.hidden_sizes)} numbers and depths has {len(self.depths)}; give both one "
                "for each stage of the ResNet."
            )
        if min(*self.depths, *self.hidden_sizes) < 1:
            raise ValueError("hidden_sizes and depths must be at least 1 in every stage.")
        if not 0 < self.win_length <= self.n_fft:
            raise ValueError(f"win_length is {self.win_length}; it must be from 1 to n_fft ({self.n_fft}).")
        if self.num_masks < 1 and self.apply_spec_augment:
            raise ValueError(f"num_masks is {self.num_masks}; it must be at least 1, or set apply_spec_augment=False.")
        super().__post_init__(**kwargs)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Speech."""
        return ("audio",)

    @property
    def encoders(self) -> tuple[str, ...]:
        """None: the fields above describe the whole network."""
        return ()

    @property
    def layered_encoders(self) -> tuple[str, ...]:
        """The ResNet, by its stages."""
        return self.modalities

    def num_encoder_layers(self, modality: str) -> int:
        """Stages of the ResNet."""
        return len(self.depths)

    def state_size(self, modality: str) -> int:
        """Channels times bands that the last stage leaves of a frame."""
        bands = self.num_mel_bins
        for _ in self.depths[1:]:
            bands = (bands + 1) // 2
        return self.hidden_sizes[-1] * bands
