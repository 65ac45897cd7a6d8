import pytest
from emofusion.corpora.words import strip_events, words


def test_case_punctuation_and_spaces_do_not_matter():
    assert words("Well -- I don't\tKNOW_that, (2) times!") == words("well i dont know that 2 times")
    assert words("well i dont know that 2 times") == ("well", "i", "dont", "know", "that", "2", "times")


@pytest.mark.parametrize("text", [None, "", " ", "...", "?!", "'"])
def test_text_without_words_has_none(text):
    assert words(text) == ()


def test_tags_of_events_are_not_words():
    assert words("[LAUGHTER] Well[BREATHING]then. [I know]") == ("well", "then", "i", "know")


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("[LAUGHTER] Now it rains.", "Now it rains."),
        ("Stop [LIP_SMACK]. No (laughter), no", "Stop. No, no"),
        ("[LAUGHTER], well", "well"),
        ("++LAUGHTER++ so +BREATHING+ it <sigh> goes (clears throat) *sobbing quietly*", "so it goes"),
        ("[LAUGHTER] [breathing].", ""),
        *((text, text) for text in ("C++ and [I know]", "(USA)", "one  + 2 +3+", "I laugh (I mean it)", "...", "")),
    ],
)
def test_tags_of_events_are_stripped(text, stripped):
    assert strip_events(text) == stripped


def test_different_words_differ():
    assert words("I know.") != words("I no.")
    assert words("I know.") != words("know I")
    assert words("ice cream") != words("icecream")


@pytest.mark.parametrize("apostrophe", ["'", "\u2019", "\u02bc"])
def test_every_apostrophe_is_same(apostrophe):
    assert words(f"We{apostrophe}ll") == ("well",)


def test_unicode_forms_of_letter_are_same():
    assert words("caf\u00e9") == words("CAFE\u0301") == ("caf\u00e9",)
    assert words("Stra\u00dfe") == words("STRASSE")


def test_vowel_signs_do_not_break_word():
    assert len(words("\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e")) == 2
