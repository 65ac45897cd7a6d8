"""Forms of one utterance: each without one part."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import ProcessorMixin

from ..configuration.modalities import MODALITIES
from ..processing.text_context import read_turns
from ..processing.utterance_reader import Limit
from ..processing.video import load_video
from .explanation_records import Word
from .explanation_words import Span, read_part, split_words, token_spans, without_word

CONTEXT = "context"  # the part that is no modality

Row = Mapping[str, Any]


def fix_row(row: Row, processor: ProcessorMixin) -> dict[str, Any]:
    """Return an utterance whose context is the turns that are read, and whose video is decoded.

    Without this, dropping the only word of a turn would bring in the turn before those, and each form would decode the
    video again.

    Args:
        row: An utterance from the pipeline's `preprocess`.
        processor: The processor.
    """
    context, video = row["context"], row["video"]
    if context is not None:
        turns = read_turns(context, CONTEXT, row["speaker"])[-processor.earlier_turns :]
        context = [turn._asdict() for turn in turns]
    rates = {part.frames_per_second for part in list_processors(processor).values()}
    if video is not None and not hasattr(video, "shape") and len(rates) == 1:
        video = load_video(video, *rates, max_seconds=Limit.from_processor(processor).seconds)
    return {**row, "context": context, "video": video}


def list_processors(processor: ProcessorMixin) -> dict[int | None, ProcessorMixin]:
    """Return the processor as None and, of a late fusion, those of members with their own by number."""
    return {None: processor, **getattr(processor, "members", {})}


def without_parts(row: Row) -> dict[str, dict[str, Any]]:
    """Return the utterance without each modality that it has, and without its context; a modality that is alone remains.

    Args:
        row: An utterance from `fix_row`.
    """
    given = [name for name in MODALITIES if row[name] is not None]
    forms = {name: {**row, name: None} for name in given if len(given) > 1}
    if "audio" in forms:
        forms["audio"]["alignment"] = None  # its times refer to the recording
    if row["context"] or row["history"]:
        forms[CONTEXT] = {**row, "context": None if row["context"] is None else [], "history": []}
    return forms


def without_words(row: Row, words: Sequence[Word], text: str) -> dict[Word, dict[str, Any]]:
    """Return the utterance without each word of its text or its context.

    Args:
        row: An utterance from `fix_row`.
        words: The words.
        text: The part of the text that is read: words behind it do not take the place of a word that is dropped.
    """
    return {word: _drop_word(row, word, text) for word in words}


def list_words(row: Row, spans: Mapping[int | None, Sequence[Span] | None]) -> tuple[list[Word], str, list[str]]:
    """Return the words that the model reads, the part of the text that they are in, and sentences on what is left out.

    Args:
        row: An utterance from `fix_row`.
        spans: The result of `locate_tokens`.
    """
    if row["text"] is None:
        return [], "", []
    text, notes = read_part(row["text"], list(spans.values())), []
    if len(text) < len(row["text"].rstrip()):
        notes.append(f"The model reads the first {len(text):,} of {len(row['text']):,} characters of the text.")
    words, size = split_words([text])
    earlier, context_size = split_words([turn["text"] for turn in row["context"] or ()], is_context=True)
    for name, count in (("text", size), ("context", context_size)):
        if count > 1:
            notes.append(f"The {name} is long: up to {count} neighbouring words are taken together.")
    return words + earlier, text, notes


def locate_tokens(processor: ProcessorMixin, text: str | None) -> dict[int | None, list[Span] | None]:
    """Return the places of the tokens of a text, for the processor and each member with a tokenizer of its own.

    Args:
        processor: The processor.
        text: The text; None gives no places.
    """
    found: dict[int | None, list[Span] | None] = {None: None}
    for number, part in list_processors(processor).items():
        if text is not None and getattr(part, "tokenizer", None) is not None:
            found[number] = token_spans(part.tokenizer, text)
    return found


def _drop_word(row: Row, word: Word, text: str) -> dict[str, Any]:
    if word.turn is None:
        return {**row, "text": without_word(text, word)}
    turns = list(row["context"])
    turns[word.turn] = {**turns[word.turn], "text": without_word(turns[word.turn]["text"], word)}
    return {**row, "context": turns}
