"""Syllables from phones, against words divided by hand."""

import random

import pytest
from emofusion.corpora.alignment import NUCLEUS, syllables_from_phones

# Phones of a word, in the IPA as espeak-ng gives it or in ARPAbet as Sphinx does; "." is where a syllable begins.
BY_HAND = {
    "extra (IPA)": "ˈɛ k . s t ɹ ə",
    "extra (ARPAbet)": "EH K . S T R AH",
    "Anna (IPA)": "ˈæ . n ə",
    "Anna (ARPAbet)": "AE . N AH",
    "wonderful (IPA)": "w ˈʌ n . d ɚ . f əl",
    "wonderful (ARPAbet)": "W AH N . D ER . F AH L",
    "stamps (IPA)": "s t ˈæ m p s",
    "stamps (ARPAbet)": "S T AE M P S",
    "kitten (IPA)": "k ˈɪ . ʔ n̩",
    "kitten (ARPAbet)": "K IH . T AH N",
    "painting (IPA)": "p ˈeɪ n . t ɪ ŋ",
    "painting (ARPAbet)": "P EY N . T IH NG",
    "singer (IPA)": "s ˈɪ ŋ . ɚ",
    "singer (ARPAbet)": "S IH NG . ER",
    "graceful (IPA)": "ɡ ɹ ˈeɪ s . f əl",
    "hungry (IPA, other letters)": "h ˈʌ ŋ . g r i",
    "hungry (ARPAbet)": "HH AH NG . G R IY",
    "teacher (IPA)": "t ˈiː . tʃ ɚ",
    "teacher (ARPAbet)": "T IY . CH ER",
    "idea, stressed (ARPAbet)": "AY0 . D IY1 . AH0",
    "on the (IPA)": "ɔ n . ð ə",
    "shush (no nucleus)": "ʃ",
}


def segments(symbols, starts):
    """Segments of 0.1 s, in columns."""
    return {"start": starts, "end": [start + 0.1 for start in starts], "symbol": symbols}


def word_of(phones) -> dict:
    return {"start": phones["start"][:1], "end": phones["end"][-1:], "symbol": ["word"]}


@pytest.mark.parametrize("divided", BY_HAND.values(), ids=BY_HAND)
def test_a_word_is_divided_as_by_hand(divided):
    symbols = divided.replace(". ", "").split()
    phones = segments(symbols, [0.1 * number for number in range(len(symbols))])
    syllables = syllables_from_phones(phones, word_of(phones))
    assert syllables["symbol"] == divided.split(" . ")
    assert syllables["start"][0] == 0.0
    assert syllables["end"][-1] == phones["end"][-1]
    assert syllables["start"][1:] == pytest.approx(syllables["end"][:-1])


def test_no_syllable_crosses_a_word():
    phones = segments(["ə", "s", "t", "ɹ", "iː"], [0.0, 0.1, 0.2, 0.3, 0.4])  # "us tree", not "a stree"
    words = {"start": [0.0, 0.2], "end": [0.2, 0.5], "symbol": ["us", "tree"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["ə s", "t ɹ iː"]


def test_phones_outside_all_words_are_on_their_own():
    phones = segments(["SIL", "AE", "T", "+BREATH+", "AE", "T", "SIL"], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    words = {"start": [0.1, 0.4], "end": [0.3, 0.6], "symbol": ["at", "at"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["SIL", "AE T", "+BREATH+", "AE T", "SIL"]


def test_a_phone_without_duration_belongs_to_the_word_that_it_ends():
    phones = {"start": [0.0, 0.1, 0.1, 0.2], "end": [0.1, 0.1, 0.2, 0.3], "symbol": ["ɔː", "ɹ", "ɪ", "z"]}
    words = {"start": [0.0, 0.1], "end": [0.1, 0.3], "symbol": ["or", "is"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["ɔː ɹ", "ɪ z"]


def test_nothing_has_no_syllables():
    nothing = {"start": [], "end": [], "symbol": []}
    assert syllables_from_phones(nothing, nothing) == nothing


@pytest.mark.parametrize("alphabet", ["ə iː n̩ s t ɹ l ŋ tʃ", "AH IY S T R L NG CH"], ids=["IPA", "ARPAbet"])
def test_syllables_share_out_the_phones_and_have_one_nucleus_each(alphabet):
    draw = random.Random(0)
    for _ in range(200):
        symbols = draw.choices(alphabet.split(), k=draw.randint(1, 9))
        phones = segments(symbols, [0.1 * number for number in range(len(symbols))])
        syllables = syllables_from_phones(phones, word_of(phones))
        assert " ".join(syllables["symbol"]).split() == symbols
        nuclei = [
            sum(bool(NUCLEUS.intersection(phone)) for phone in syllable.split()) for syllable in syllables["symbol"]
        ]
        assert nuclei == [1] * len(nuclei) or nuclei == [0]
