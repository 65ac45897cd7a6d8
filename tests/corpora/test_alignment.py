"""Segment files of Sphinx, and syllables of words that were divided by hand."""

import random

import pytest
from emofusion.corpora.alignment import NUCLEUS, read_sphinx, syllables_from_phones

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
    """Return segments of 0.1 s, in columns."""
    return {"start": starts, "end": [start + 0.1 for start in starts], "symbol": symbols}


def word_of(phones) -> dict:
    return {"start": phones["start"][:1], "end": phones["end"][-1:], "symbol": ["word"]}


@pytest.mark.parametrize("divided", BY_HAND.values(), ids=BY_HAND)
def test_syllables_match_manual_division(divided):
    symbols = divided.replace(". ", "").split()
    phones = segments(symbols, [0.1 * number for number in range(len(symbols))])
    syllables = syllables_from_phones(phones, word_of(phones))
    assert syllables["symbol"] == divided.split(" . ")
    assert syllables["start"][0] == 0.0
    assert syllables["end"][-1] == phones["end"][-1]
    assert syllables["start"][1:] == pytest.approx(syllables["end"][:-1])


def test_no_syllable_crosses_word():
    phones = segments(["ə", "s", "t", "ɹ", "iː"], [0.0, 0.1, 0.2, 0.3, 0.4])  # "us tree", not "a stree"
    words = {"start": [0.0, 0.2], "end": [0.2, 0.5], "symbol": ["us", "tree"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["ə s", "t ɹ iː"]


def test_phones_outside_all_words_are_separate():
    phones = segments(["SIL", "AE", "T", "+BREATH+", "AE", "T", "SIL"], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    words = {"start": [0.1, 0.4], "end": [0.3, 0.6], "symbol": ["at", "at"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["SIL", "AE T", "+BREATH+", "AE T", "SIL"]


def test_phone_without_duration_belongs_to_preceding_word():
    phones = {"start": [0.0, 0.1, 0.1, 0.2], "end": [0.1, 0.1, 0.2, 0.3], "symbol": ["ɔː", "ɹ", "ɪ", "z"]}
    words = {"start": [0.0, 0.1], "end": [0.1, 0.3], "symbol": ["or", "is"]}
    assert syllables_from_phones(phones, words)["symbol"] == ["ɔː ɹ", "ɪ z"]


def test_no_phones_give_no_syllables():
    nothing = {"start": [], "end": [], "symbol": []}
    assert syllables_from_phones(nothing, nothing) == nothing


@pytest.mark.parametrize("alphabet", ["ə iː n̩ s t ɹ l ŋ tʃ", "AH IY S T R L NG CH"], ids=["IPA", "ARPAbet"])
def test_syllables_cover_all_phones(alphabet):
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


HEADER = "\tSFrm\tEFrm\tSegAScr\tWord\n"


def sphinx(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode("latin-1"))
    return path


@pytest.mark.parametrize("end", ["", "\n", " Total score: -71\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_sphinx_frames_are_inclusive_10_ms(tmp_path, end, newline):
    text = f"{HEADER} 0 4 -51 <s>\n 5 14 -20 WE\n{end}".replace("\n", newline)
    segments = read_sphinx(sphinx(tmp_path, "a.wdseg", text))
    assert segments == {"start": [0.0, 0.05], "end": [0.05, 0.15], "symbol": ["<s>", "WE"]}


def test_number_of_pronunciation_is_removed(tmp_path):
    text = f"{HEADER}0 4 -51 THE(2)\n5 9 0 O'CLOCK(12)\n10 12 0 ++BREATHING++\n"
    assert read_sphinx(sphinx(tmp_path, "a.wdseg", text))["symbol"] == ["THE", "O'CLOCK", "++BREATHING++"]


def test_triphone_gives_middle_phone(tmp_path):
    text = f"{HEADER}0 4 -51 SIL\n5 9 -20 AE K T i\n10 12 -20 T\n"
    assert read_sphinx(sphinx(tmp_path, "a.phseg", text))["symbol"] == ["SIL", "AE", "T"]


@pytest.mark.parametrize("score", ["", "-20 "])
def test_syllable_is_read_with_or_without_score(tmp_path, score):
    text = f"SFrm EFrm Syll\n0 9 {score}K AE T\n10 12 {score}SIL\n"
    assert read_sphinx(sphinx(tmp_path, "a.syseg", text))["symbol"] == ["K AE T", "SIL"]


def test_offset_shifts_segments_but_not_below_zero(tmp_path):
    path = sphinx(tmp_path, "a.wdseg", f"{HEADER}0 4 -51 A\n5 14 -20 B\n")
    assert read_sphinx(path, 0.02)["start"] == pytest.approx([0.02, 0.07])
    assert read_sphinx(path, -0.02) == {"start": [0.0, 0.03], "end": [0.03, 0.13], "symbol": ["A", "B"]}


@pytest.mark.parametrize("row", ["5 4 -20 BACKWARDS", "-1 4 -20 EARLY", "5 x -20 NAN", "5 9", "5", "only text"])
def test_invalid_row_is_named(tmp_path, row):
    with pytest.raises(ValueError, match=r"a\.wdseg, line 3, is not 'first frame, last frame, score, symbol'\.$"):
        read_sphinx(sphinx(tmp_path, "a.wdseg", f"{HEADER}0 4 -51 A\n{row}\n"))


@pytest.mark.parametrize("text", ["", HEADER])
def test_file_without_segments_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match="has no segments"):
        read_sphinx(sphinx(tmp_path, "a.wdseg", text))
