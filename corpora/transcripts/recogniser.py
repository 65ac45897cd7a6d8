"""A speech recogniser of the Hub whose transcripts do not depend on the other recordings in the batch."""

from collections.abc import Sequence

import numpy as np

from ...configuration.plain_text import first_line

LONG = 30.0  # seconds: Whisper's window, and a limit for attention over all frames
# CTC models whose encoder ignores padding if it normalises each frame separately (group norm depends on all frames) and
# has no adapter.
MASKING = ("hubert", "unispeech-sat", "wav2vec2", "wavlm")


class Recogniser:
    """A speech recogniser: CTC (wav2vec 2.0, HuBERT, ...), transducer, or encoder-decoder (Whisper, ...).

    Only weights in safetensors are loaded, and no code from the Hub. On the CPU, weights are converted to float32;
    elsewhere they keep their dtype.

    Args:
        model: Name on the Hub, or a folder.
        revision: Branch, tag or commit on the Hub.
        device: Device as torch names it; None means a GPU if there is one, else the CPU.
        language: Language of the speech ("german", "de"), for multilingual models.

    Attributes:
        sampling_rate: Sampling rate of its input in Hz.
        can_batch: Whether a batch of recordings of different length gives the same transcripts as single recordings.
            Whisper pads each to 30 s anyway, and some CTC models (`MASKING`) ignore padding; others are not batched.

    Raises:
        ValueError: If the model does not exist, is not a recogniser, cannot be loaded, or does not know the language.
    """

    def __init__(
        self, model: str, *, revision: str | None = None, device: str | None = None, language: str | None = None
    ):
        import torch
        from transformers import AutoFeatureExtractor, AutoTokenizer, pipeline

        try:
            device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"The device {device!r} cannot be used: {first_line(error)}") from error
        source = {"pretrained_model_name_or_path": str(model), "revision": revision or "main"}
        try:
            auto_class, config = _find_class(source)
            network = auto_class.from_pretrained(
                **source, config=config, use_safetensors=True, dtype=torch.float32 if device.type == "cpu" else "auto"
            )
            extractor = AutoFeatureExtractor.from_pretrained(**source)
            tokenizer = AutoTokenizer.from_pretrained(**source)
        except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
            raise ValueError(f"{model} cannot be loaded as a speech recogniser: {first_line(error)}") from error
        self._options = _language_options(model, network, language)
        self._pipeline = pipeline(
            "automatic-speech-recognition",
            model=network,
            feature_extractor=extractor,
            tokenizer=tokenizer,
            device=device,
        )
        self.sampling_rate = extractor.sampling_rate
        self._whisper = self._pipeline.type == "seq2seq_whisper"
        self._longest = extractor.n_samples if self._whisper else LONG * self.sampling_rate
        has_frames = self._pipeline.type == "ctc" and not getattr(config, "add_adapter", False)
        self._can_overlap = has_frames and hasattr(config, "inputs_to_logits_ratio")
        self._ignores_padding = (
            has_frames and config.model_type in MASKING and getattr(config, "feat_extract_norm", None) == "layer"
        )
        self.can_batch = (self._whisper or self._ignores_padding) and tokenizer.pad_token_id is not None

    def is_long(self, waveform: np.ndarray) -> bool:
        """Return whether a waveform `(samples,)` is too long for a batch."""
        return len(waveform) > self._longest

    def __call__(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Return the transcripts of recordings.

        Recordings of more than 30 s are transcribed to their end: Whisper continues from its own time stamps, CTC models
        use overlapping windows. Other models get the whole recording, and may run out of memory.

        Args:
            waveforms: Waveforms `(samples,)`: one, or, if the model `can_batch`, several that are not long.

        Raises:
            Exception: Any error of the model.
        """
        options = dict(self._options)
        is_long = any(map(self.is_long, waveforms))
        if is_long and self._whisper:
            options["return_timestamps"] = True
        elif is_long and self._can_overlap:
            options["chunk_length_s"] = LONG
        inputs = [{"raw": waveform, "sampling_rate": self.sampling_rate} for waveform in waveforms]
        if self._ignores_padding and not is_long:
            inputs = [item | {"stride": (0, self._surplus(len(item["raw"])))} for item in inputs]
        return [output["text"].strip() for output in self._pipeline(inputs, batch_size=len(inputs), **options)]

    def _surplus(self, samples: int) -> int:
        """Return the samples at the end that the pipeline must skip so that it decodes no frame of padding.

        The pipeline assumes `samples / inputs_to_logits_ratio` frames, which is up to one too many.
        """
        config = self._pipeline.model.config
        frames, assumed = samples, max(1, round(samples * (1 / config.inputs_to_logits_ratio)))
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            frames = (frames - kernel) // stride + 1
        return max(0, round((assumed - frames) * samples / assumed))


def _find_class(source: dict) -> tuple:
    """Return the Auto class that loads a model with its head, and the model's configuration."""
    from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoModelForTDT
    from transformers.models.auto import modeling_auto

    config = AutoConfig.from_pretrained(**source)
    for auto_class, names in (
        (AutoModelForCTC, modeling_auto.MODEL_FOR_CTC_MAPPING_NAMES),
        (AutoModelForSpeechSeq2Seq, modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES),
        (AutoModelForTDT, modeling_auto.MODEL_FOR_TDT_MAPPING_NAMES),
    ):
        # A bare encoder would load as well, with a head of random weights.
        if names.get(config.model_type) in (config.architectures or ()):
            return auto_class, config
    raise ValueError(f"it is a {' or '.join(config.architectures or [config.model_type])}.")


def _language_options(model: str, network, language: str | None) -> dict:
    """Return the options that set the language of a multilingual model."""
    known = getattr(getattr(network, "generation_config", None), "lang_to_id", None)
    if not known:
        if language is not None:
            raise ValueError(f"{model} takes no language, but {language!r} is given; leave it out.")
        return {}
    if language is not None:
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        language = language.lower()
        if f"<|{TO_LANGUAGE_CODE.get(language, language)}|>" not in known:
            codes = ", ".join(sorted(token.strip("<|>") for token in known))
            raise ValueError(f"{model} does not know the language {language!r}; it knows {codes}.")
    return {"generate_kwargs": {"task": "transcribe", "language": language}}
