"""Words of transcripts, and the tags of events that are no words."""

import re
import unicodedata

# Tags of events in transcripts: capitals in square brackets ([LAUGHTER]), symbols of a recogniser (++BREATHING++), and up to
# three words in any brackets that begin like the name of an event ((laughs), [clears throat]). Repetitions are limited, so
# that the time is linear in the length of a text.
EVENTS = (
    "laugh|giggl|chuckl|breath|inhal|exhal|sigh|sob|crying|cries|weep|whimper|sniff|cough|gasp|groan|moan|scream|shout|yell|"
    "whisper|lip ?smack|clear(?:s|ing)? throat|noise|garbage|silence|pause"
)
TAG = re.compile(
    r"\[ ?[A-Z][A-Z_ -]{1,40}\]"
    rf"|[\[(<*{{] ?(?i:{EVENTS})\w{{0,12}}(?:[ _-]\w{{1,12}}){{0,2}} ?[\])>*}}]"
    r"|(?<!\S)\+{1,2}[A-Z_]{1,40}\+{1,2}(?![^\s.,;:!?])"
)
BEFORE_PUNCTUATION = re.compile(rf" ?(?:{TAG.pattern})(?= ?[.,;:!?])")

APOSTROPHES = "'\u2019\u02bc"  # the ASCII, the typographic and the letter apostrophe


def strip_events(text: str) -> str:
    """Return a text without tags of events such as [LAUGHTER], which can reveal the emotion; "" if nothing else is in it."""
    if not TAG.search(text):
        return text
    kept = " ".join(TAG.sub(" ", BEFORE_PUNCTUATION.sub("", text)).split()).lstrip(" ,;:")
    return kept if any(map(str.isalnum, kept)) else ""


def words(text: str | None) -> tuple[str, ...]:
    """Return the words of a text without case, punctuation, spaces and tags of events; "It's" and "Its" are the same word.

    Words are split at whitespace and punctuation only, so a script without spaces is not split into words.

    Args:
        text: The text; None has no words.
    """
    text = unicodedata.normalize("NFKC", strip_events(text or "")).casefold()
    kept = (
        # letters, combining marks and numbers
        character if unicodedata.category(character)[0] in "LMN" else " "
        for character in text
        if character not in APOSTROPHES
    )
    return tuple("".join(kept).split())
