"""Installed fonts for the characters of a picture, which the default font may lack."""

import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..configuration.plain_text import join_words

EXAMPLES = 3
# Fonts whose glyphs are the same box for every character.
PLACEHOLDERS = ("lastresort", "unicodebmpfallback")


class Fonts(NamedTuple):
    """Fonts of a picture.

    Attributes:
        families: The families in the order in which they are tried for a character.
        missing: The characters that none of them has, which are drawn as boxes.
    """

    families: tuple[str, ...]
    missing: str

    @property
    def notes(self) -> list[str]:
        """A sentence on the characters that are missing, if there are any."""
        if not self.missing:
            return []
        shown = [f"{character} (U+{ord(character):04X})" for character in self.missing[:EXAMPLES]]
        examples = join_words([*shown, "others"] if len(self.missing) > EXAMPLES else shown)
        return [
            f"No installed font has {examples}, which the picture shows as boxes: install a font for this script, such as one "
            "of the Noto fonts."
        ]


def choose_fonts(texts: Iterable[str]) -> Fonts:
    """Return the default fonts of matplotlib, and further installed ones for the characters that those lack.

    Args:
        texts: What is written in the picture.
    """
    import matplotlib
    from matplotlib import font_manager

    families = list(matplotlib.rcParams["font.family"])
    wanted = {character for text in texts for character in text if _is_drawn(character)}
    missing = wanted - _characters(font_manager.findfont(font_manager.FontProperties(family=families)))
    fonts = (
        {} if not missing else {font.name: font.fname for font in font_manager.fontManager.ttflist if _is_plain(font)}
    )
    covered = {name: missing & _characters(path) for name, path in sorted(fonts.items())}
    while missing and (best := max(covered, key=lambda name: len(covered[name]), default=None)) and covered[best]:
        families.append(best)
        missing -= covered[best]
        covered = {name: characters & missing for name, characters in covered.items()}
    return Fonts(tuple(families), "".join(sorted(missing)))


def _is_drawn(character: str) -> bool:
    """Return whether a character has a glyph: spaces, controls and selectors of variants have none."""
    return unicodedata.category(character)[0] not in "CZ" and not unicodedata.name(character, "").startswith(
        "VARIATION"
    )


def _is_plain(font: Any) -> bool:
    is_regular = font.style == "normal" and font.weight in (400, "normal", "regular", "book")
    return is_regular and not font.name.lower().replace(" ", "").startswith(PLACEHOLDERS)


def _characters(path: str) -> set[str]:
    """Return the characters of a font; none if it cannot be read, or has bitmaps alone, as those of coloured emoji."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
    except (OSError, RuntimeError):
        return set()
    return {chr(code) for code in font.get_charmap()} if font.scalable else set()
