"""Recordings that files, folders, globs and manifests name."""

import json
import os

import pytest
from emofusion.inference.recordings import find_recordings
from testing_scoring import make_recordings


def names(*paths, **options):
    return [recording.name for recording in find_recordings(paths, **options).recordings.values()]


def errors(*paths, **options):
    return [recording.error for recording in find_recordings(paths, **options).recordings.values() if recording.error]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_recordings(tmp_path / "calls", 2)
    make_recordings(tmp_path / "calls" / "below", 1)
    return tmp_path / "calls"


def test_folders_files_and_globs_name_recordings(folder):
    (folder / "notes.txt").write_text("no recording")
    (folder / ".hidden.wav").write_text("no recording")
    (folder / "film.MP4").write_text("")
    found = find_recordings(["calls"])
    assert names("calls") == ["calls/00.wav", "calls/01.wav", "calls/film.MP4", "calls/below/00.wav"]
    assert found.others == 1
    film = list(found.recordings.values())[2]
    assert film.audio == film.video == str(folder / "film.MP4")
    assert names("calls/*.wav") == names("./calls/00.wav", "calls/01.wav") == ["calls/00.wav", "calls/01.wav"]
    assert names("calls/**/*.wav") == ["calls/00.wav", "calls/01.wav", "calls/below/00.wav"]


def test_url_is_refused_in_one_sentence(folder):
    with pytest.raises(ValueError, match=r"^https://a\.org/b\.wav\?c=1 is a URL: download the file, and name it\.$"):
        find_recordings(["calls", "https://a.org/b.wav?c=1"])


def test_recordings_named_twice_are_found_once(folder):
    found = find_recordings(["calls", "calls/00.wav", str(folder / "below")])
    assert (len(found.recordings), found.duplicates) == (3, 2)


def test_links_to_folders_are_followed_once(folder):
    (folder / "again").symlink_to(folder)
    assert len(names("calls")) == 3


def test_changed_file_has_another_key(folder):
    before = find_recordings(["calls/00.wav"]).recordings
    os.utime(folder / "00.wav", ns=(1, 1))
    assert before.keys() != find_recordings(["calls/00.wav"]).recordings.keys()


def test_unreadable_folder_is_a_row_with_an_error(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names("calls") == ["calls/00.wav", "calls/01.wav", "calls/below"]
    assert errors("calls") == ["The folder cannot be read: Permission denied."]


def test_names_that_are_not_utf8_are_found_and_escaped(folder):
    path = os.fsencode(folder) + b"/caf\xe9.wav"
    os.rename(folder / "00.wav", path)
    found = find_recordings(["calls"]).recordings.values()
    assert [recording.name for recording in found][1] == r"calls/caf\xe9.wav"
    assert any(os.fsencode(recording.audio) == path for recording in found)


@pytest.mark.parametrize("path", ["gone.wav", "gone/*.wav"])
def test_path_that_names_nothing_is_refused(folder, path):
    with pytest.raises(FileNotFoundError, match="gone"):
        find_recordings([path])


def test_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="There is no recording in"):
        find_recordings([tmp_path])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_manifests_name_spans_texts_and_speakers(folder, suffix):
    rows = [
        {"file_name": "00.wav", "text": "hello, there", "speaker": "a", "start": 0.25, "end": 0.5, "else": "x"},
        {"file_name": "below/00.wav", "text": None, "speaker": "b", "start": None, "end": None, "else": "y"},
    ]
    path = folder / f"manifest{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pandas = pytest.importorskip("pandas")
        getattr(pandas.DataFrame(rows), f"to_{suffix[1:]}")(path, index=False)
    one, other = find_recordings([f"calls/manifest{suffix}"]).recordings.values()
    assert one[:8] == ("calls/00.wav", str(folder / "00.wav"), "hello, there", None, "a", 0.25, 0.5, None)
    assert (other.name, other.text, other.start, other.end) == ("calls/below/00.wav", None, None, None)


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/passwd", "below/../../secret.wav", r"..\secret.wav"])
def test_manifest_does_not_lead_out_of_its_folder(folder, name):
    make_recordings(folder.parent, 1)
    (folder / "manifest.csv").write_text(f"audio\n{name}\n00.wav\n{folder}/01.wav\n")
    (error,) = errors("calls/manifest.csv")
    assert error.startswith("calls/manifest.csv, row 1: its audio")
    assert "leads out of the folder calls: give the folder that the paths are in with --root" in error
    assert names("calls/manifest.csv")[1:] == ["calls/00.wav", f"{folder}/01.wav"]


def test_root_is_the_folder_of_the_paths_in_a_manifest(folder):
    (folder / "below" / "manifest.csv").write_text(f"audio\n01.wav\n{folder}/00.wav\n../x.wav\n")
    found = find_recordings([folder / "below" / "manifest.csv"], root="calls").recordings.values()
    assert [recording.audio for recording in found] == [str(folder / "01.wav"), str(folder / "00.wav"), None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("00.wav,later,1", "its start 'later' is not a number of seconds from 0."),
        ("00.wav,0,nan", "its end 'nan' is not a number of seconds from 0."),
        ("00.wav,1_0,20", "its start '1_0' is not a number of seconds from 0."),
        ("00.wav,0,\u0663", "its end '\u0663' is not a number of seconds from 0."),
        (",0,1", "it names no audio, text or video."),
        ("https://a.org/a.wav,0,1", "its audio is a URL: download the file, and name it."),
        ("a\0b.wav,0,1", r"leads out of the folder"),
    ],
)
def test_bad_row_of_a_manifest_is_a_row_with_an_error(folder, row, message):
    (folder / "manifest.csv").write_text(f"audio,start,end\n{row}\n00.wav,0,1\n")
    (error,) = errors("calls/manifest.csv")
    assert message in error
    assert len(names("calls/manifest.csv")) == 2


@pytest.mark.parametrize("turn", ["99999999999999999999", "1_000", "1.5", "\u0663", "9" * 5000, "1e3", "0x1", "nine"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_turn_that_no_table_holds_is_a_row_with_an_error(folder, turn, suffix):
    pandas = pytest.importorskip("pandas")
    manifest = pandas.DataFrame({"audio": ["00.wav", "01.wav"], "dialogue": "d", "turn": [turn, str(-(2**63))]})
    (manifest.to_csv if suffix == ".csv" else manifest.to_parquet)(folder / f"manifest{suffix}", index=False)
    wrong, right = find_recordings([f"calls/manifest{suffix}"]).recordings.values()
    assert "is not a whole number of 64 bits" in wrong.error
    assert (right.turn, right.error) == (-(2**63), None)


@pytest.mark.parametrize("kind", ["int8", "uint64", "float32", "float64", "object", "bool"])
def test_numbers_of_every_type_are_read_or_errors(folder, kind):
    pandas = pytest.importorskip("pandas")
    values = {"uint64": 2**64 - 1, "float64": 1e300, "bool": True}
    table = {"audio": ["00.wav", "01.wav"], "dialogue": "d", "turn": [3, values.get(kind, 4)], "start": [0, 1]}
    frame = pandas.DataFrame(table).astype({"turn": kind, "start": kind})
    frame.to_parquet(folder / "manifest.parquet")
    first, second = find_recordings(["calls/manifest.parquet"]).recordings.values()
    if kind == "bool":
        assert "is not a number" in first.error
    else:
        assert (first.turn, first.start) == (3, 0.0)
        assert second.turn == 4 or "is not a whole number" in second.error


@pytest.mark.parametrize(
    ("header", "message"),
    [("label,speaker", "names no recording"), ("audio,path", "two columns for the audio, 'audio' and 'path'")],
)
def test_manifest_without_usable_columns_is_refused(folder, header, message):
    (folder / "manifest.csv").write_text(f"{header}\na,b\n")
    with pytest.raises(ValueError, match=message):
        find_recordings(["calls/manifest.csv"])
