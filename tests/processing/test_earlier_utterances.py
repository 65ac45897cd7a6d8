"""Earlier utterances that the pipeline reads before an utterance."""

import pickle

import numpy as np
import pytest
from emofusion.cli import predict as command
from emofusion.processing.earlier_utterances import list_earlier, place_earlier
from emofusion.processing.utterance_reader import Limit, UtteranceReader

SOUND = {"array": np.full(1600, 0.1, np.float32), "sampling_rate": 16000}
TURNS = [
    {"speaker": "Ann", "text": "one", "audio": SOUND},
    {"speaker": "Ben", "text": "two", "audio": SOUND},
    {"speaker": "Ann", "audio": SOUND},
]


def reader(modalities=("audio", "text"), **fields):
    return UtteranceReader(modalities, False, 16000, 2.0, Limit(10.0, ""), **fields)


def test_last_turns_are_utterances_with_the_turns_before_them():
    first, second = list_earlier(["zero", *TURNS], 2)
    assert (first["text"], second.get("text")) == ("two", None)
    assert [turn["text"] for turn in first["context"]] == ["zero", "one"]
    (nameless,) = list_earlier([*TURNS[:2], "three"], 1)
    assert [turn["speaker"] for turn in nameless["context"]] == [None, None]
    assert list_earlier([], 3) == []


def test_reader_reads_as_much_of_the_context_as_the_model():
    row = reader(earlier_turns=1, history=2).read({"audio": SOUND, "text": "now", "speaker": "Ben", "context": TURNS})
    assert [earlier["text"] for earlier in row["history"]] == ["two", None]
    assert [len(earlier["context"]) for earlier in row["history"]] == [1, 2]
    assert row["context"] == TURNS
    assert row["unused"] == []
    rows, dialogues = place_earlier([row, reader().read(SOUND)])
    assert len(rows) == 4
    assert dialogues == {"dialogue": (0, 1, 0, 0), "turn": (2, 0, 0, 1), "speaker": (1, -1, 1, 2), "asked": (2,)}


def test_context_of_a_call_is_that_of_utterances_without_their_own():
    context = reader(earlier_turns=2).read({"text": "now"}, context=["before"])["context"]
    assert context == ["before"]
    assert reader(earlier_turns=2).read({"text": "now", "context": ["own"]}, context=["before"])["context"] == ["own"]


def test_context_is_ignored_where_the_model_reads_none():
    row = pickle.loads(pickle.dumps(reader())).read({"text": "now", "context": ["before"]})
    assert row["unused"] == ["context"]
    assert row["context"] is None
    assert row["history"] == []


@pytest.mark.parametrize(
    ("utterance", "message"),
    [
        ({"audio": SOUND, "context": "before"}, "context must be a list of earlier turns"),
        (
            {"audio": SOUND, "context": [{"audio": SOUND}, "words"]},
            r"context\[1\]: The utterance has no input for this model",
        ),
        ({"audio": SOUND, "context": [{"audio": "gone.wav"}]}, r"context\[0\]: gone.wav"),
        ({"audio": SOUND, "context": [{"audio": SOUND, "word": 1}]}, r"context\[0\]: An utterance has no key 'word'"),
        ({"audio": SOUND, "context": [{"speaker": "Ann", "text": "a"}]}, "the speaker of the utterance is unknown"),
    ],
)
def test_wrong_contexts_are_refused_in_one_sentence(utterance, message):
    with pytest.raises((OSError, TypeError, ValueError), match=message):
        reader(("audio",), history=2).read(utterance)


def test_command_passes_turns_and_speakers(monkeypatch, capsys):
    given = []

    def recognise(inputs, **_):
        given.append(inputs)
        return [{"label": "sad", "score": 1.0}]

    monkeypatch.setattr(command, "load_pipeline", lambda *_, **__: recognise)
    options = ["--context", "Ben: Are you coming?", "Soon.", "--speaker", "Ann"]
    command.run(["folder", "a.wav", "--text", "Hello", *options])
    command.run(["folder", "a.wav", "--text", "Yes", "--context", "12:30 it is."])
    assert given[0]["context"] == [{"speaker": "Ben", "text": "Are you coming?"}, {"text": "Soon."}]
    assert given[0]["speaker"] == "Ann"
    assert given[1]["context"] == [{"text": "12:30 it is."}]
