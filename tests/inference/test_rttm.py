"""RTTM files: what is read, what is refused, and that written files read the same."""

import pytest
from emofusion.inference.rttm import Turn, read_rttm, write_rttm

LINE = "SPEAKER {} {} {} {} <NA> <NA> {} <NA> <NA>"


@pytest.fixture
def rttm(tmp_path):
    """Writes a file."""

    def write(*lines, name="turns.rttm", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes("\r\n".join(lines).encode(encoding))
        return path

    return write


def test_turns_are_sorted_and_all_other_lines_passed_over(rttm):
    path = rttm(
        "\ufeff;; a comment",
        "SPKR-INFO call 1 <NA> <NA> <NA> unknown B <NA>",
        "",
        LINE.format("call", 1, 5.5, 1.25, "B"),
        "   # another comment",
        "SPEAKER\tcall\t<NA>\t0\t2e0\t<NA>\t<NA>\tÄnne\t0.93",
        "LEXEME call 1 0.1 0.3 hello lex B 0.5",
        "SPEAKER call 2 2.0 1.0 <NA> <NA> B",
    )
    assert read_rttm(path) == [
        Turn("call", 0.0, 2.0, "Änne", None),
        Turn("call", 2.0, 3.0, "B", 2),
        Turn("call", 5.5, 6.75, "B", 1),
    ]


def test_turn_without_duration_is_left_out_with_warning(rttm, caplog):
    path = rttm(LINE.format("a", 1, 3, 0, "A"), LINE.format("a", 1, 3, 1, "A"))
    assert len(read_rttm(path)) == 1
    assert "1 of its turns last 0 s" in caplog.text
    assert read_rttm(rttm(name="empty.rttm")) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE.format("a", 1, -1, 2, "A"), "a turn from -1 s of 2 s: neither may be negative"),
        (LINE.format("a", 1, 1, -0.1, "A"), "neither may be negative"),
        (LINE.format("a", 1, "nan", 1, "A"), "the time 'nan'"),
        (LINE.format("a", 1, 1, "inf", "A"), "the time 'inf'"),
        (LINE.format("a", 1, 1, "1e999", "A"), "finite number of seconds"),
        (LINE.format("a", 1, "1_0", 1, "A"), "the time '1_0'"),
        (LINE.format("a", 1, "1,5", 1, "A"), "the time '1,5'"),
        (LINE.format("a", "left", 1, 1, "A"), "the channel 'left'"),
        (LINE.format("a", 1, 1, 1, "A B"), "has 11 fields"),
        ("SPEAKER a 1 0 1", "has 5 fields"),
        ("start,end,speaker", "begins with 'start,end,speaker', not SPEAKER"),
    ],
)
def test_damaged_line_is_named(rttm, line, reason):
    path = rttm(LINE.format("a", 1, 0, 1, "A"), line)
    with pytest.raises(ValueError, match=r"turns\.rttm, line 2 ") as caught:
        read_rttm(path)
    assert reason in str(caught.value)


def test_file_that_is_no_text_is_refused(rttm):
    with pytest.raises(ValueError, match="not a text in UTF-8"):
        read_rttm(rttm("SPEAKER Ä", encoding="latin-1"))


def test_turns_of_one_recording_are_selected_by_its_name(rttm, caplog):
    both = rttm(LINE.format("one", 1, 0, 1, "A"), LINE.format("two.wav", 1, 0, 2, "B"))
    assert [turn.speaker for turn in read_rttm(both, "calls/one.flac")] == ["A"]
    assert [turn.speaker for turn in read_rttm(both, "/calls/two.wav")] == ["B"]
    with pytest.raises(ValueError, match=r"2 recordings \(one, two.wav\), and none of three"):
        read_rttm(both, "three.wav")
    assert not caplog.records
    single = rttm(LINE.format("waveform", 1, 0, 1, "A"), name="single.rttm")
    assert len(read_rttm(single, "three.wav")) == 1
    assert "is about waveform; its turns are taken for three.wav" in caplog.text


def test_written_file_reads_the_same(tmp_path):
    turns = [Turn("call", 0.0, 1.25, "A", 1), Turn("call", 1.25, 3601.0, "B", 2), Turn("other", 0.5, 0.75, "A", 1)]
    write_rttm(tmp_path / "new.rttm", turns)
    assert read_rttm(tmp_path / "new.rttm") == turns
    assert [file.name for file in tmp_path.iterdir()] == ["new.rttm"]


@pytest.mark.parametrize(
    "turn", [Turn("a b", 0, 1, "A"), Turn("a", 0, 1, ""), Turn("a", 1, 1, "A"), Turn("a", 0, float("inf"), "A")]
)
def test_turn_that_would_not_read_the_same_is_not_written(tmp_path, turn):
    with pytest.raises(ValueError, match=r"new\.rttm"):
        write_rttm(tmp_path / "new.rttm", [turn])
    assert not list(tmp_path.iterdir())
