"""Build the processor of a model, and train a tokenizer for text encoders that start from random weights."""

from collections import Counter
from collections.abc import Iterable

from transformers import (
    AutoFeatureExtractor,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ViTImageProcessorPil,
    Wav2Vec2FeatureExtractor,
)

# As in `processing_emofusion`: transformers 5.17 exports it at its root only where torchvision is installed.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from ..configuration.configuration_checks import max_tokens
from ..processing import EmoFusionProcessor
from ..processing.processor_checks import modalities_of
from ..processing.text_context import MARKS, check_context
from .arguments import DataArguments, ModelArguments

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Data arguments that are options of the processor.
OPTIONS = ("max_seconds", "frames_per_second", "context_turns", "context_tokens")
PAD_TOKEN_ID = SPECIAL_TOKENS.index("[PAD]")


def build_processor(
    model_args: ModelArguments, data_args: DataArguments, model: PreTrainedModel, texts: Iterable[str | None]
) -> EmoFusionProcessor:
    """Return the processor of a model: its own, that of its pretrained encoders, or a new one.

    Args:
        model_args: The arguments that the model was built from.
        data_args: The data, with `OPTIONS` of the processor; those that are None stay as they are in the model's own.
        model: The model.
        texts: Training transcripts, which a new tokenizer learns from.
    """
    if data_args.context_turns and "text" not in modalities_of(model.config):
        raise ValueError("context_turns is given, but the model reads no text; leave it out.")
    given = {name: value for name in OPTIONS if (value := getattr(data_args, name)) is not None}
    if model_args.model_name_or_path is not None:
        processor = EmoFusionProcessor.from_pretrained(model_args.model_name_or_path)
        if given.get("context_turns") == 0:
            processor.context_tokens = None
        for name, value in given.items():
            setattr(processor, name, value)
        check_context(processor.context_turns, processor.context_tokens, processor.tokenizer is not None)
        return processor
    modalities = modalities_of(model.config)
    if data_args.context_turns:
        texts = [*texts, " ".join(f"{mark}:" for mark in MARKS)]
    return EmoFusionProcessor(
        _build_feature_extractor(model_args, model) if "audio" in modalities else None,
        _build_tokenizer(model_args, model, texts) if "text" in modalities else None,
        _build_image_processor(model_args, model) if "video" in modalities else None,
        **given,
    )


def find_context_turns(model_args: ModelArguments | None, data_args: DataArguments) -> int:
    """Return how many earlier turns the rows of a run need: those that are given, or those of the model that it starts from.

    Args:
        model_args: The arguments of the model; None for a late fusion.
        data_args: The data arguments.

    Raises:
        ValueError: If `context_tokens` is given without turns.
    """
    turns = data_args.context_turns
    if turns is None and model_args is not None and model_args.model_name_or_path is not None:
        turns = EmoFusionProcessor.from_pretrained(model_args.model_name_or_path).context_turns
    check_context(turns or 0, data_args.context_tokens)
    return turns or 0


def _build_feature_extractor(model_args: ModelArguments, model: PreTrainedModel):
    if getattr(model.config.audio_config, "model_type", None) == "whisper":  # its encoder takes raw waveforms
        return Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    if model_args.audio_model_name_or_path is not None:
        return AutoFeatureExtractor.from_pretrained(model_args.audio_model_name_or_path)
    return Wav2Vec2FeatureExtractor(return_attention_mask=True)


def _build_tokenizer(
    model_args: ModelArguments, model: PreTrainedModel, texts: Iterable[str | None]
) -> PreTrainedTokenizerBase:
    # A plain classifier has no configuration inside.
    config = getattr(model.config, "text_config", None) or model.config
    longest = max_tokens(config)
    if model_args.text_model_name_or_path is None:
        return train_tokenizer((text for text in texts if text), config.vocab_size, longest)
    tokenizer = AutoTokenizer.from_pretrained(model_args.text_model_name_or_path)
    tokenizer.model_max_length = min(tokenizer.model_max_length, longest)
    return tokenizer


def _build_image_processor(model_args: ModelArguments, model: PreTrainedModel):
    if model_args.vision_model_name_or_path is not None:
        return AutoImageProcessor.from_pretrained(model_args.vision_model_name_or_path)
    size = getattr(model.config.vision_config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    return ViTImageProcessorPil(size={"height": height, "width": width})


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_length: int) -> BertTokenizer:
    """Return a lower-casing BERT tokenizer that knows the letters and the most frequent words of `texts`.

    Rarer words are spelt letter by letter. (The trainer of the tokenizers library would learn word pieces, but breaks
    ties at random, so two runs would differ.)

    Args:
        texts: Transcripts of the training split only.
        vocab_size: Largest number of tokens.
        max_length: Number of tokens beyond which a text is truncated.
    """
    pipeline = BertTokenizer(vocab=_numbered(SPECIAL_TOKENS)).backend_tokenizer
    words = Counter()
    for text in texts:
        pieces = pipeline.pre_tokenizer.pre_tokenize_str(pipeline.normalizer.normalize_str(text))
        words.update(word for word, _ in pieces)
    letters = sorted({letter for word in words for letter in word})
    common = sorted(words, key=lambda word: (-words[word], word))
    # Each letter has two tokens, at the start of a word and inside one, so that every word can be spelt.
    tokens = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters), *common]
    return BertTokenizer(vocab=_numbered(tokens, vocab_size), model_max_length=max_length)


def _numbered(tokens: Iterable[str], limit: int | None = None) -> dict[str, int]:
    unique = list(dict.fromkeys(tokens))[:limit]
    return {token: index for index, token in enumerate(unique)}
