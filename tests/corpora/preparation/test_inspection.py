import io

import numpy as np
import pytest
import soundfile
import testing_media
from emofusion.corpora.preparation.inspection import inspect, measure
from emofusion.processing import load_audio
from testing_media import encode, flac_from_pipe, id3, mp3
from testing_meld import RATE, tone, write_video


def write(path, seconds=0.5, samples=None, **options):
    soundfile.write(path, tone(seconds, 300) if samples is None else samples, RATE, **options)
    return path


def inspect_rows(*rows, **options):
    """Inspect rows; return the ids that are left, the rows, and the problems."""
    problems = []
    rows = [{"id": f"row{number}", **row} for number, row in enumerate(rows)]
    kept = list(inspect(iter(rows), problems, **options))
    return [row["id"] for row in kept], kept, problems


def sound(path, **span):
    return {"audio": {"path": str(path), **span}}


def test_valid_rows_are_yielded_unchanged_and_in_order(tmp_path):
    rows = [sound(write(tmp_path / f"{number}.wav")) | {"text": str(number)} for number in range(150)]
    ids, kept, problems = inspect_rows(*rows, decode=True)
    assert problems == []
    assert [{**row, "id": None} for row in kept] == [{**row, "id": None} for row in rows]
    assert ids == [f"row{number}" for number in range(150)]


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"This is a text file and no recording.", "is not an audio or video file"),
        (None, "does not exist"),
    ],
    ids=["empty", "text", "missing"],
)
def test_invalid_recording_is_dropped_with_reason(tmp_path, content, reason, decode):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    ids, _, problems = inspect_rows(sound(path), sound(write(tmp_path / "b.wav")), decode=decode)
    assert ids == ["row1"]
    (found,) = problems
    assert (found["kind"], found["id"], found["file"], found["dropped"]) == ("unreadable", "row0", str(path), True)
    assert found["what"].startswith("row0 is dropped: ")
    assert reason in found["what"]
    assert str(path) in found["what"]


def cut_off(path):
    path.write_bytes(write(path).read_bytes()[:-4000])


def not_a_number(path):
    write(path, samples=np.array([0.1, np.nan, 0.2] * 1000, np.float32), subtype="FLOAT")


@pytest.mark.parametrize(("spoil", "reason"), [(cut_off, "is truncated"), (not_a_number, "are not finite")])
def test_decoding_finds_truncated_and_invalid_recordings(tmp_path, spoil, reason):
    spoil(tmp_path / "a.wav")
    assert inspect_rows(sound(tmp_path / "a.wav"))[0] == ["row0"]
    ids, _, (found,) = inspect_rows(sound(tmp_path / "a.wav"), decode=True)
    assert ids == []
    assert found["dropped"]
    assert reason in found["what"]


def test_decoding_finds_late_truncation(tmp_path):
    path = write(tmp_path / "a.flac", 130.0)
    path.write_bytes(path.read_bytes()[:-200])
    assert inspect_rows(sound(path), decode=True, max_seconds=None)[0] == []
    assert inspect_rows(sound(write(tmp_path / "b.flac", 130.0)), decode=True, max_seconds=None)[0] == ["row0"]


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        lambda: mp3(1.0, RATE, xing=False),
        lambda: id3(b"\0" * 100_000) + mp3(1.0, RATE, xing=False),
        lambda: id3(b"Info") + mp3(1.0, RATE),
        lambda: flac_from_pipe(1.0),
        lambda: encode(testing_media.tone(1.0, 48000), "webm", "libopus", 48000, container_options={"live": "1"}),
        lambda: encode(testing_media.tone(1.0, 48000), "mpegts", "aac", 48000),
    ],
    ids=[
        "mp3",
        "mp3 with a picture",
        "mp3 with a title",
        "flac from a pipe",
        "webm of unknown size",
        "transport stream",
    ],
)
def test_lengths_agree_with_decoder_where_headers_do_not_state_them(tmp_path, content, decode):
    (tmp_path / "a").write_bytes(content())
    ids, (row,), problems = inspect_rows(sound(tmp_path / "a"), decode=decode)
    assert (ids, problems) == (["row0"], [])
    whole = len(load_audio(row["audio"], RATE)) / RATE
    assert whole == pytest.approx(1.0, abs=0.15)
    assert row["audio"] == {"path": str(tmp_path / "a")}
    _, (row,), (found,) = inspect_rows(sound(tmp_path / "a"), decode=decode, max_seconds=0.5)
    assert (row["audio"]["start"], row["audio"]["end"], found["kind"]) == (0.0, 0.5, "too long")
    assert len(load_audio(row["audio"], RATE)) == 0.5 * RATE
    _, (row,), (found,) = inspect_rows(sound(tmp_path / "a", start=0.25, end=9.0), decode=decode)
    assert row["audio"]["end"] == pytest.approx(whole, abs=1e-3)
    assert len(load_audio(row["audio"], RATE)) == pytest.approx((whole - 0.25) * RATE, abs=2)


def test_silent_and_short_recordings_are_reported(tmp_path):
    silent = write(tmp_path / "silent.wav", samples=np.zeros(RATE, np.float32))
    short = write(tmp_path / "short.wav", 0.05)
    ids, _, problems = inspect_rows(sound(silent), sound(short), decode=True)
    assert ids == ["row0", "row1"]
    assert [(found["kind"], found["id"], found["dropped"]) for found in problems] == [
        ("silent", "row0", False),
        ("too short", "row1", False),
    ]
    assert "lasts 0.050 s" in problems[1]["what"]


def test_ten_hours_are_cut_without_being_decoded(tmp_path):
    path, hours = tmp_path / "long.wav", 10 * 3600
    with soundfile.SoundFile(path, "w", 1000, 1, "PCM_U8") as file:  # 36 MB
        for _ in range(hours // 600):
            file.write(np.tile(np.float32([0.25, -0.25]), 300 * 1000))
    ids, (row,), (found,) = inspect_rows(sound(path), decode=True)
    assert ids == ["row0"]
    assert (row["audio"]["start"], row["audio"]["end"]) == (0.0, 60.0)
    assert (found["kind"], found["dropped"]) == ("too long", False)
    assert "36000.0 s" in found["what"]
    assert len(load_audio(row["audio"], 1000)) == 60 * 1000
    assert inspect_rows(sound(path), max_seconds=None)[1][0]["audio"] == {"path": str(path)}


@pytest.mark.parametrize(("start", "end"), [(0.2, 0.2), (0.3, 0.1), (0.6, None), (0.7, 0.9), (-0.1, 0.2)])
def test_row_with_empty_span_is_dropped(tmp_path, start, end):
    ids, _, (found,) = inspect_rows(sound(write(tmp_path / "a.wav"), start=start, end=end))
    assert ids == []
    assert f"its span is from {start:.2f} s" in found["what"]


def test_span_that_ends_after_its_file_is_cut(tmp_path):
    span = {"start": 0.1, "end": 0.9}
    _, (row,), (found,) = inspect_rows(sound(write(tmp_path / "a.wav"), **span))
    assert row["audio"] == {"path": str(tmp_path / "a.wav"), "start": 0.1, "end": 0.5}
    assert (found["kind"], found["dropped"]) == ("misaligned", False)
    rounded = inspect_rows(sound(tmp_path / "a.wav", start=0.1, end=0.52))
    assert rounded[2] == []


def test_alignment_longer_than_its_recording_is_removed(tmp_path):
    fits = {"word": {"start": [0.0], "end": [0.6], "symbol": ["day"]}, "syllable": None, "phone": None}
    not_at_all = {"word": {"start": [0.0], "end": [1.1], "symbol": ["day"]}, "syllable": None, "phone": None}
    path = write(tmp_path / "a.wav")
    _, rows, problems = inspect_rows(sound(path) | {"alignment": fits}, sound(path) | {"alignment": not_at_all})
    assert [row["alignment"] for row in rows] == [fits, None]
    assert [(found["kind"], found["id"], found["dropped"]) for found in problems] == [("misaligned", "row1", False)]


def test_span_of_video_is_fitted_or_video_removed(tmp_path):
    write_video(tmp_path / "a.mp4", 1.0, 300)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    spans = ({}, {"start": 0.2, "end": 0.8, "crop": "left"}, {"start": 0.2, "end": 1.8}, {"start": 1.5, "end": 1.8})
    path = write(tmp_path / "a.wav")
    rows = [sound(path) | {"video": {"path": str(tmp_path / "a.mp4"), **span}} for span in spans]
    ids, kept, problems = inspect_rows(*rows, sound(path) | {"video": {"path": str(tmp_path / "b.mp4")}})
    assert len(ids) == 5
    assert [row["video"] for row in kept[:2]] == [row["video"] for row in rows[:2]]
    assert kept[2]["video"]["end"] == pytest.approx(1.0, abs=0.1)
    assert kept[3]["video"] is kept[4]["video"] is None
    assert [(found["kind"], found["id"]) for found in problems] == [
        ("misaligned", "row2"),
        ("unreadable", "row3"),
        ("unreadable", "row4"),
    ]
    _, (row,), _ = inspect_rows(rows[0], max_seconds=0.25)
    assert (row["video"]["start"], row["video"]["end"]) == (0.0, 0.25)


def test_problems_of_every_copy_are_marked_as_known(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    _, _, (found,) = inspect_rows(sound(tmp_path / "a.mp4"), known={"row0": "the published clip cannot be decoded"})
    assert found["known"]
    assert "(known: the published clip cannot be decoded)" in found["what"]


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_embedded_recordings_are_span_in_16_bits(tmp_path, subtype):
    samples = np.random.default_rng(0).uniform(-0.99, 0.99, RATE).astype(np.float32)
    path = write(tmp_path / "a.wav", samples=samples, subtype=subtype)
    video = {"video": {"path": str(path)}}
    _, (row,), problems = inspect_rows(sound(path, start=0.25, end=0.75) | video, embed_audio=True)
    assert problems == []
    assert row["video"] is None
    assert row["audio"]["path"] == "a.flac"
    assert set(row["audio"]) == {"path", "bytes"}
    assert soundfile.info(io.BytesIO(row["audio"]["bytes"])).subtype == "PCM_16"
    wanted = load_audio(path, RATE, 0.25, 0.75)
    given = load_audio(row["audio"], RATE)
    tolerance = 0 if subtype == "PCM_16" else 1 / 65536 + 1e-7
    np.testing.assert_allclose(given, wanted, rtol=0, atol=tolerance)


def test_durations_come_from_headers(tmp_path):
    write_video(tmp_path / "a.mp4", 1.0, 300)
    write_video(tmp_path / "mute.mp4", 1.0, 300, with_sound=False)
    assert measure(str(write(tmp_path / "a.wav", 0.75))) == 0.75
    assert measure(str(tmp_path / "a.mp4")) == pytest.approx(1.0, abs=0.1)
    assert measure(str(tmp_path / "a.mp4"), "video") == pytest.approx(1.0, abs=0.1)
    with pytest.raises(ValueError, match=r"mute\.mp4 has no audio stream"):
        measure(str(tmp_path / "mute.mp4"))
    with pytest.raises(ValueError, match=r"none\.wav lasts 0\.000 s"):
        measure(str(write(tmp_path / "none.wav", samples=np.zeros(0, np.float32))))
