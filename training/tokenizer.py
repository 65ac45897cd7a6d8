"""A tokenizer for text encoders that start from random weights."""

from collections import Counter
from collections.abc import Iterable

from transformers import BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD_TOKEN_ID = SPECIAL_TOKENS.index("[PAD]")


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_length: int) -> BertTokenizer:
    """A tokenizer as BERT's, lower-casing, that knows the letters and the commonest words of `texts`.

    Rarer words are spelt. (The trainer of the tokenizers library would learn pieces between letters and words, but
    breaks ties by chance: two runs would not agree.)

    Args:
        texts: transcripts, of the training part only.
        vocab_size: the most tokens it may know.
        max_length: tokens beyond which it truncates.
    """
    pipeline = BertTokenizer(vocab=_numbered(SPECIAL_TOKENS)).backend_tokenizer
    words = Counter()
    for text in texts:
        pieces = pipeline.pre_tokenizer.pre_tokenize_str(pipeline.normalizer.normalize_str(text))
        words.update(word for word, _ in pieces)
    letters = sorted({letter for word in words for letter in word})
    common = sorted(words, key=lambda word: (-words[word], word))
    # Every letter is there twice, at the start of a word and inside it, so that any word can be spelt.
    tokens = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters), *common]
    return BertTokenizer(vocab=_numbered(tokens, vocab_size), model_max_length=max_length)


def _numbered(tokens: Iterable[str], most: int | None = None) -> dict[str, int]:
    unique = list(dict.fromkeys(tokens))[:most]
    return {token: index for index, token in enumerate(unique)}
