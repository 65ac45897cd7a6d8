import pytest
from emofusion.corpora.textgrid import read_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.75
            text = "the ""3rd"" one"
        intervals [3]:
            xmin = 0.75
            xmax = 1.5e0
            text = "day"
    item [2]:
        class = "TextTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "click"
    item [3]:
        class = "IntervalTier"
        name = "Ada - phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.75
            text = "sil"
        intervals [2]:
            xmin = 0.75
            xmax = 1.5
            text = "deɪ"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
3
"IntervalTier"
"words"
0
1.5
3
0
0.25
""
0.25
0.75
"the ""3rd"" one"
0.75
1.5
"day"
"TextTier"
"words"
0
1.5
1
0.5
"click"
"IntervalTier"
"Ada - phones"
0
1.5
2
0
0.75
"sil"
0.75
1.5
"deɪ"
"""
READ = {
    "word": {"start": [0.25, 0.75], "end": [0.75, 1.5], "symbol": ['the "3rd" one', "day"]},
    "syllable": None,
    "phone": {"start": [0.75], "end": [1.5], "symbol": ["deɪ"]},
}


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "turn.TextGrid"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("text", [LONG, SHORT, LONG.replace("\n", "\r\n")], ids=["long", "short", "crlf"])
def test_long_and_short_form_give_same_result(tmp_path, text, encoding):
    assert read_textgrid(write(tmp_path, text, encoding)) == READ


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('0\n0.25\n""', '0\n0\n""', READ["word"]),
        ('0.25\n""\n', '0.25\n""\n0.25\n0.25\n""\n', READ["word"]),
        ("0.75\n1.5\n", "0.7499999\n1.5\n", READ["word"]),
        ("0.25\n0.75\n", "0.2500001\n0.75\n", READ["word"] | {"start": [0.2500001, 0.75]}),
        ("0.75\n1.5\n", "0.75\n0.7499999\n", READ["word"] | {"end": [0.75, 0.75]}),
        ('"day"\n', '"day" ! not "night"\n', READ["word"]),
    ],
    ids=["empty first", "empty within", "overlap", "gap", "no duration", "comment"],
)
def test_rounded_times_and_empty_intervals_lose_no_word(tmp_path, old, new, words):
    text = SHORT.replace(old, new, 1)
    if text.count('""\n') > SHORT.count('""\n'):
        text = text.replace("1.5\n3\n", "1.5\n4\n", 1)
    assert text != SHORT
    assert read_textgrid(write(tmp_path, text))["word"] == words


@pytest.mark.parametrize("name", ["word", "Words", "phonemes", "Ben - syllables", "PHONE"])
def test_tiers_may_have_several_names(tmp_path, name):
    levels = read_textgrid(write(tmp_path, SHORT.replace("Ada - phones", "notes").replace("words", name)))
    assert [segments["symbol"][-1] for segments in levels.values() if segments] == ["day"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TextGrid", "PitchTier", "is not a TextGrid"),
        ('"day"', "", "a tier of the kind 'words'"),  # a missing text shifts all later values
        ('0.75\n1.5\n"day"', '0.75\n0.5\n"day"', "'words' whose times are not in order"),
        ('0.75\n1.5\n"day"', '0.7\n1.5\n"day"', "'words' whose times are not in order"),
        ('0\n0.25\n""', '-1\n0.25\n""', "'words' whose times are not in order"),
        ('0.25\n""', '"zero"\n""', "'words' whose intervals are not two times and a text"),
        ("<exists>\n3", "<exists>\nthree\n3", None),
        ("<exists>\n3", '<exists>\n"3x"', "it has '3x' where the number"),
        ('"TextTier"', '"PointTier"', "a tier of the kind 'PointTier'"),
        ("<exists>", "<absent>", "more tiers than the 0 that it declares"),
        ('"words"\n0\n1.5\n1', '"words"\n0\n1.5\n0', "'words' with more intervals than the 0 that it declares"),
        ("1.5\n3\n0\n", "1.5\n2\n0\n", "'words' with more intervals than the 2 that it declares"),
        ("1.5\n3\n0\n", "1.5\n4\n0\n", "'words' .* has fewer intervals than it declares"),
        ("1.5\n2\n0\n", "1.5\n1\n0\n", "'Ada - phones' with more intervals than the 1 that it declares"),
        ("1.5\n2\n0\n", "1.5\n3\n0\n", "is truncated"),
        ("<exists>\n3", "<exists>\n2", "more tiers than the 2 that it declares"),
        ("<exists>\n3", "<exists>\n4", "is truncated"),
        ('"deɪ"', "", "is truncated"),
    ],
)
def test_broken_file_is_refused_in_one_sentence(tmp_path, old, new, message):
    assert old in SHORT
    path = write(tmp_path, SHORT.replace(old, new, 1))
    if message is None:  # a free-standing word is a comment
        assert read_textgrid(path) == READ
        return
    with pytest.raises(ValueError, match=message) as error:
        read_textgrid(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x80 no text", b"no grid", b"ooBinaryFile\x08TextGrid\x00"])
def test_file_that_is_not_textgrid_is_refused(tmp_path, content):
    path = tmp_path / "turn.TextGrid"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"turn\.TextGrid is"):
        read_textgrid(path)
