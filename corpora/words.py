"""When two texts say the same: the one normaliser of transcripts."""

import re
import unicodedata

NOISE = re.compile(r"\[[A-Z_ ]+\]")  # what transcribers of corpora write for it: [LAUGHTER]
APOSTROPHES = "'\u2019\u02bc"  # typewriter's, typesetter's, and the letter


def words(text: str | None) -> tuple[str, ...]:
    """The words of a text, without case, punctuation, spaces and [NOISE]; "It's" and "Its" are the same word.

    What is written as one word stays one: scripts without spaces are one word between two marks of punctuation.

    Args:
        text: Any; None has no words.
    """
    text = unicodedata.normalize("NFKC", NOISE.sub(" ", text or "")).casefold()
    kept = (
        # letters, the marks that are part of them in many scripts, and numbers
        character if unicodedata.category(character)[0] in "LMN" else " "
        for character in text
        if character not in APOSTROPHES
    )
    return tuple("".join(kept).split())
