"""What the page answers, without gradio and a browser."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from emofusion.inference.answers_html import show_answer, show_windows
from emofusion.inference.app_answers import Limits, build_action, explain_visit, recognise_visit
from emofusion.inference.app_uploads import FOLDER, Uploads, open_folder
from emofusion.inference.shown_errors import hide_folders
from testing_meld import write_video
from testing_pipeline import RATE, build, noise

LIMITS = Limits(seconds=30, megabytes=1, characters=20)


@pytest.fixture(scope="module")
def recognise():
    return build(settings={"max_seconds": 2.0})


@pytest.fixture
def record(tmp_path):
    """Writes a recording; returns its path."""

    def write(seconds, name="voice.wav", scale=1.0):
        soundfile.write(tmp_path / name, scale * noise(round(seconds * RATE)), RATE)
        return str(tmp_path / name)

    return write


def answer_of(recognise, path, text="", action=recognise_visit):
    """The answer and the picture of the page, as HTML."""
    return build_action(action, recognise, LIMITS)(path, text)


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def test_answer_has_probability_of_each_class_and_transcript(recognise, record):
    text = words(answer_of(recognise, record(1), "hello there")[0])
    assert sum(map(float, re.findall(r"([\d.]+) %", text)[1:])) == pytest.approx(100, abs=0.2)
    assert all(f" {label} " in text for label in ("sad", "happy", "angry"))
    assert text.endswith("Transcript: hello there")


def test_text_alone_is_answered_by_fusion(recognise):
    assert "most probable" in answer_of(recognise, None, "go away")[0]


def test_nothing_given_is_hint(recognise):
    assert words(answer_of(recognise, None, " ")[0]) == "Record your voice, or choose a recording, first."


def test_long_recording_has_row_for_each_window(recognise, record):
    html, picture = answer_of(recognise, record(5))
    assert 'src="data:image/png;base64,' in picture
    text = words(html)
    assert text.startswith("3 windows 0:05 min in all Time Most probable 0:00&ndash;0:02")


def test_explanation_is_picture(recognise, record):
    html, picture = answer_of(recognise, record(1), "hello there", explain_visit)
    assert "most probable" in html
    assert 'src="data:image/png;base64,' in picture


@pytest.fixture(scope="module")
def watch():
    """The pipeline of a model of speech, text and video that reads two earlier turns."""
    return build("wavfusion", settings={"context_turns": 2, "max_seconds": 2.0})


@pytest.mark.parametrize("with_sound", [True, False])
def test_video_gives_its_pictures_and_its_sound(watch, tmp_path, with_sound):
    write_video(tmp_path / "voice.mp4", 1.0, 440, with_sound)
    file = str(tmp_path / "voice.mp4")
    html = build_action(recognise_visit, watch, LIMITS)(None, "hello there", file)[0]
    given = {"text": "hello there", "video": file} | ({"audio": file} if with_sound else {})
    assert html == show_answer(watch(given, return_text=True))
    html, picture = build_action(explain_visit, watch, LIMITS)(None, "hello", file)
    assert "data:image/png" in picture


def test_recording_replaces_sound_of_video(watch, record, tmp_path):
    write_video(tmp_path / "voice.mp4", 1.0, 440)
    given = {"audio": record(1), "video": str(tmp_path / "voice.mp4")}
    html = build_action(recognise_visit, watch, LIMITS)(given["audio"], "", given["video"])[0]
    assert html == show_answer(watch(given, return_text=True))


def test_long_video_has_row_for_each_window(watch, tmp_path):
    write_video(tmp_path / "call.mp4", 5.0, 440, with_sound=False)
    html, picture = build_action(recognise_visit, watch, LIMITS)(None, "", str(tmp_path / "call.mp4"))
    assert "3 windows" in words(html)
    assert "data:image/png" in picture


def test_earlier_turns_are_read_with_their_speakers(watch, recognise):
    given = {
        "text": "hello there",
        "speaker": "Ben",
        "context": [{"speaker": "Ann", "text": "go away"}, {"text": "a"}],
    }
    turns = "Ann: go away\n\na\n"
    html = build_action(recognise_visit, watch, LIMITS)(None, "hello there", None, turns, "Ben ")[0]
    assert html == show_answer(watch(given, return_text=True))
    assert html != answer_of(watch, None, "hello there")[0]
    # A box that was never touched may have no value. A model without context is not given turns.
    assert build_action(recognise_visit, watch, LIMITS)(None, "go", None, None, None) == answer_of(watch, None, "go")
    both = [build_action(recognise_visit, recognise, LIMITS)(None, "hello", None, turns) for turns in ("go", "")]
    assert both[0] == both[1]
    long = build_action(recognise_visit, watch, LIMITS)(None, "hello", None, "go away " * 5)[0]
    assert words(long) == "The earlier turns have 39 characters: shorten them to 20."


def test_long_recording_is_not_explained(recognise, record):
    answer = words(answer_of(recognise, record(5), action=explain_visit)[0])
    assert answer == "The recording lasts 5.0 s: only one of up to 2 s can be explained."


def test_silence_is_named(recognise, record):
    assert "Nothing is heard" in answer_of(recognise, record(1, scale=0.0), "hello")[0]


@pytest.mark.parametrize(
    ("seconds", "text", "sentence"),
    [
        (31, "", "The recording lasts 31 s: choose one of at most 30 s."),
        (40, "", "The file has 1 MB: choose one of at most 1 MB."),
        (3, "hello", "leave the transcript empty"),
        (1, "hello " * 5, "The transcript has 29 characters: shorten it to 20."),
        (0, "", "voice.wav"),
        (None, "", "The recording was removed: choose it, or record it, again."),
    ],
)
def test_unusable_input_is_one_sentence_without_path(recognise, record, tmp_path, seconds, text, sentence):
    path = str(tmp_path / "gone.wav") if seconds is None else record(seconds)
    answer = answer_of(recognise, path, text)[0]
    assert answer.startswith('<p class="ef-error" role="alert">')
    assert sentence in words(answer)
    assert str(tmp_path) not in answer


def test_file_that_is_no_audio_is_one_sentence(recognise, tmp_path):
    (tmp_path / "voice.wav").write_text("This is a letter.")
    answer = answer_of(recognise, str(tmp_path / "voice.wav"))[0]
    assert "ef-error" in answer
    assert str(tmp_path) not in answer


def test_defect_is_logged_and_not_shown(recognise, record, monkeypatch, caplog):
    def fail(*_, **__):
        raise KeyError("/home/someone/secret")

    monkeypatch.setattr(recognise, "run_single", fail)
    answer = answer_of(recognise, record(1))[0]
    assert words(answer) == "The model failed on this recording; the log of the page has the reason."
    assert "secret" in caplog.text


def test_text_from_outside_is_escaped():
    entry = {"label": "<b>sad</b>", "score": 1.0}
    attack = "<script>alert(1)</script>"
    rows = [{"start": 0.0, "end": 1.0, "scores": [entry], "text": attack}]
    for html in (show_answer({"scores": [entry], "text": attack}), show_windows(rows)):
        assert "<b>" not in html
        assert "<script" not in html


def test_dimensions_are_shown_in_their_scale():
    entries = [{"label": "valence", "score": 5.5, "scale": [1.0, 5.0]}]
    html = show_answer({"scores": entries})
    assert "5.50 of 1 to 5" in html
    assert "width:100.0%" in html  # a value outside its scale does not leave its track
    assert "most probable" not in html


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/tmp/page/a.wav is empty.", "a.wav is empty."),
        ("Cannot read '/home/me/model/config.json'.", "Cannot read 'config.json'."),
        (r"C:\Users\me\a.wav is empty.", "a.wav is empty."),
        ("Choose WAV and/or MP3.", "Choose WAV and/or MP3."),
    ],
)
def test_folders_are_hidden(message, shown):
    assert hide_folders(message) == shown


def test_visitor_has_one_recording_and_none_after_leaving(tmp_path):
    files = []
    for name in ("a", "b"):
        (tmp_path / "uploads" / name).mkdir(parents=True)
        files.append(tmp_path / "uploads" / name / "voice.wav")
        files[-1].write_bytes(b"RIFF")
    uploads = Uploads(tmp_path / "uploads")
    uploads.keep("visitor", str(files[0]))
    uploads.keep("visitor", str(files[0]))
    assert files[0].exists()
    uploads.keep("visitor", str(files[1]))
    assert [file.exists() for file in files] == [False, True]
    uploads.forget("visitor")
    assert not files[1].exists()
    assert uploads.current == {}


def test_recording_and_video_of_a_visitor_are_kept_side_by_side(tmp_path):
    files = [tmp_path / name / "file" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b"RIFF")
    uploads = Uploads(tmp_path)
    uploads.keep("visitor", str(files[0]))
    uploads.keep("visitor", str(files[1]), "video")
    assert all(file.exists() for file in files)
    uploads.forget("visitor")
    assert not any(file.exists() for file in files)
    assert uploads.current == {}


def test_files_outside_uploads_are_never_removed(tmp_path):
    (tmp_path / "uploads").mkdir()
    np.save(tmp_path / "mine.npy", np.zeros(1))
    uploads = Uploads(tmp_path / "uploads")
    uploads.keep("visitor", str(tmp_path / "uploads" / ".." / "mine.npy"))
    uploads.forget("visitor")
    assert (tmp_path / "mine.npy").exists()


@pytest.mark.parametrize("kind", ["recording", "video"])
def test_answer_to_replaced_file_is_not_shown(tmp_path, kind):
    gradio = pytest.importorskip("gradio", reason="gradio is not installed (pip install 'emofusion[app]')")
    from emofusion.inference.app_events import answer_current

    uploads = Uploads(tmp_path)
    files = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    for file in files:
        file.write_bytes(b"RIFF")

    def press(file, new=None):
        """What is shown after a press, if the visitor gives another file before the answer is ready."""

        def answer(*_):
            if new is not None:
                uploads.keep("visitor", str(new), kind)
            return "answer", ""

        given = (str(file), "", None) if kind == "recording" else (None, "", str(file))
        return answer_current(answer, uploads)(*given, "", "", SimpleNamespace(session_hash="visitor"))

    assert press(files[0]) == ("answer", "")  # the event that the file has come may be later than the press
    uploads.keep("visitor", str(files[0]), kind)
    assert press(files[0], new=files[1]) == (gradio.skip(), gradio.skip())
    assert press(files[2]) == ("answer", "")
    files[1].unlink()  # by age: the answer says so
    assert press(files[1]) == ("answer", "")


def test_pages_of_a_process_share_a_folder_until_the_last_one_closes(monkeypatch):
    monkeypatch.setenv(FOLDER, "before")
    first, second = open_folder(), open_folder()
    folder = first.__enter__()
    assert second.__enter__() == folder == Path(os.environ[FOLDER])
    first.__exit__(None, None, None)
    assert folder.exists()
    second.__exit__(None, None, None)
    assert not folder.exists()
    assert os.environ[FOLDER] == "before"
