"""What the answers and the log of the server say besides scores, and the names by which it may be called."""

import logging

import pytest

pytest.importorskip("fastapi_offline", reason="the server is not installed (pip install 'emofusion[serve]')")
from emofusion.inference.serving_models import Answer
from emofusion.inference.serving_requests import name_unused
from emofusion.inference.shown_errors import ServerLog
from testing_serving import Recogniser, form, make_server, post, talk, wav


def test_answer_names_inputs_that_the_model_does_not_use():
    fields = {"text": "5", "context": '[{"text": "hello"}]', "speaker": "a"}
    ignored, used = post(make_server(), form(wav(), **fields), form(wav(), text="5", context="[]"))
    assert ignored.json()["unused"] == ["context", "speaker"]
    assert "unused" not in used.json()
    Answer.model_validate(ignored.json())


@pytest.mark.parametrize(
    ("modalities", "transcribes", "turns", "unused"),
    [
        (("audio", "text"), False, 0, ["context", "speaker", "video"]),
        (("audio", "text"), False, 1, ["video"]),
        (("text",), False, 0, ["audio", "context", "speaker", "video"]),
        (("text",), True, 0, ["context", "speaker", "video"]),
        (("audio", "video"), True, 0, ["context", "speaker"]),
    ],
)
def test_unused_inputs_follow_from_the_model(modalities, transcribes, turns, unused):
    recognise = Recogniser()
    recognise.model.config.modalities, recognise.processor.earlier_turns = modalities, turns
    recognise.transcriber = object() if transcribes else None
    inputs = {"audio": "a", "video": "b", "context": [{"text": "hello"}], "speaker": "a"}
    assert name_unused(inputs, recognise) == unused
    if transcribes and "text" in modalities:
        assert name_unused(inputs | {"text": "hello"}, recognise) == sorted({"audio", *unused})


def test_log_has_no_folders_of_requests():
    file = "/tmp/emofusion-serve-x_1/tmpabc/audio"
    record = logging.LogRecord(
        "x", logging.WARNING, "x.py", 1, "No speech is found in %s: it has no rows.", (file,), None
    )
    assert ServerLog().format(record) == "No speech is found in audio: it has no rows."
    try:
        raise ValueError(f"'{file}' is damaged.")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert ServerLog().format(record).endswith("ValueError: 'audio' is damaged.")


@pytest.mark.parametrize(
    ("hosts", "name", "status"),
    [
        (("localhost", "voice.example.org"), "voice.example.org", 200),
        (("localhost", "voice.example.org"), "Voice.Example.org:443", 200),
        (("localhost", "voice.example.org"), "other.example.org", 400),
        (None, "other.example.org", 200),
    ],
)
def test_server_is_called_by_allowed_names_alone(hosts, name, status):
    server = make_server(hosts=hosts)
    assert talk(server, lambda client: client.get("/health", headers={"host": name})).status_code == status
