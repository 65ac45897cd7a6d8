"""Which transcript a model reads."""

from datasets import DatasetDict

TEXT_COLUMNS = ("text", "asr_text")


def choose_texts(corpus: DatasetDict, column: str) -> DatasetDict:
    """The corpus with what is in `column` in the place of `text`, so that nothing can read the one for the other.

    Args:
        corpus: rows of the corpus schema.
        column: "text", what people wrote down, or "asr_text", what a recogniser heard. A row without it has no text.

    Raises:
        ValueError: if no row of a split was transcribed by a recogniser.
    """
    if column == "text":
        return corpus
    for split, rows in corpus.items():
        # "" is a transcript too: of somebody who says nothing
        if column not in rows.column_names or all(text is None for text in rows[column][:]):
            raise ValueError(
                f"text_column is {column!r}, but no row of the split {split!r} has one: transcribe the corpus first "
                "(scripts/prepare.py --transcribe)."
            )
    return corpus.remove_columns("text").rename_column(column, "text")
