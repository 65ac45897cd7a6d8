"""Normalisation of transcripts for comparisons."""

import re
import unicodedata

NOISE = re.compile(r"\[[A-Z_ ]+\]")  # marks of noise in transcripts, such as [LAUGHTER]
APOSTROPHES = "'\u2019\u02bc"  # the ASCII, the typographic and the letter apostrophe


def words(text: str | None) -> tuple[str, ...]:
    """Return the words of a text without case, punctuation, spaces and [NOISE]; "It's" and "Its" are the same word.

    Words are split at whitespace and punctuation only, so a script without spaces is not split into words.

    Args:
        text: The text; None has no words.
    """
    text = unicodedata.normalize("NFKC", NOISE.sub(" ", text or "")).casefold()
    kept = (
        # letters, combining marks and numbers
        character if unicodedata.category(character)[0] in "LMN" else " "
        for character in text
        if character not in APOSTROPHES
    )
    return tuple("".join(kept).split())
