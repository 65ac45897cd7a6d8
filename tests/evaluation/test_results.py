"""`results.json`, read and written."""

import json

import pytest
from emofusion.evaluation.results import (
    AdapterMetadata,
    CrossValidationResults,
    FoldResults,
    Intervals,
    Paper,
    Results,
    RunResults,
    SpeakerData,
    SpeakerResults,
    Spread,
)
from emofusion.evaluation.score_records import Scores

# As a run wrote it before the results were typed.
WRITTEN = {
    "format": 1,
    "system": "cross_attention",
    "model_class": "CrossAttentionFusionForSequenceClassification",
    "paper": {"title": "A paper", "authors": "A and B", "year": 2021, "url": "https://arxiv.org/abs/2108.09669"},
    "labels": ["angry", "happy"],
    "modalities": ["audio", "text"],
    "corpus": {"name": "spoken", "title": "the spoken corpus", "demonstration": True, "speaker_independent": True},
    "data": {"test": {"utterances": 4, "seconds": None, "speakers": 2, "classes": {"angry": 2, "happy": 2}}},
    "parameters": {"total": 10, "trainable": 8},
    "adapter": None,
    "base_models": {"model": None, "audio": "facebook/wav2vec2-base"},
    "training": {"learning_rate": 1e-4, "class_weights": None},
    "recipe": {"model_config": {"hidden_size": 4}},
    "environment": {"emofusion": "0.1.0", "device": "cpu", "processes": 1},
    "temperature": 1.5,
    "metrics": {"test": {"wa": 0.75, "recall": [1.0, None], "confusion_matrix": [[2, 0], [1, 1]]}},
    "intervals": {},
    "breakdown": {"scripted": {"utterances": 2, "classes": 1, "wa": 1.0, "ua": 1.0, "wf1": 1.0}},
    "seconds": 12.5,
    "pictures": ["confusion_matrix.png"],
}
SPEAKER = {
    "system": "speaker_resnet",
    "metrics": {"validation": {"accuracy": 0.875}, "test": {"eer": 0.25, "min_dcf": 0.75}},
    "p_target": 0.01,
    "data": {"speakers": 40, "training": 1600, "validation": 160, "test_trials": 300},
    "parameters": 123456,
}


def write(folder, content):
    (folder / "results.json").write_text(content if isinstance(content, str) else json.dumps(content))


def is_part(part, whole):
    """Whether `whole` has every key of `part`, at any depth."""
    if isinstance(part, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in part.items())
    return part == whole


def test_results_of_the_current_format_are_read(tmp_path):
    write(tmp_path, WRITTEN)
    results = RunResults.read(tmp_path)
    assert results.task == "classification"
    assert results.paper == Paper(**WRITTEN["paper"])
    assert results.metrics["test"] == Scores(**WRITTEN["metrics"]["test"])
    assert results.corpus.title == "the spoken corpus"
    assert results.corpus.license is results.intervals is results.adapter is results.cross_validation is None
    assert results.breakdown["scripted"].classes == 1
    assert results.environment.processes == 1


def test_written_results_keep_every_key(tmp_path):
    RunResults.from_dict(WRITTEN).write(tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert is_part(WRITTEN | {"intervals": None}, written)
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_results_are_read_as_they_were_written(tmp_path):
    runs = [FoldResults(name="fold-1", fold=1, seed=0, metrics={"test": Scores(ua=0.5)})]
    results = RunResults(
        labels=["angry"],
        modalities=["audio"],
        adapter=AdapterMetadata(method="lora", layers=["query"]),
        intervals=Intervals(ua=[0.4, 0.6], speakers=7, resamples=10),
        cross_validation=CrossValidationResults(folds=[1], over_runs={"ua": Spread(mean=0.5)}, runs=runs),
    )
    results.write(tmp_path)
    assert RunResults.read(tmp_path) == results


def test_keys_of_a_newer_version_are_kept(tmp_path):
    write(tmp_path, WRITTEN | {"energy": {"joules": 3}, "corpus": {"name": "spoken", "accent": "Scottish"}})
    results = RunResults.read(tmp_path)
    results.write(tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["energy"] == {"joules": 3}
    assert written["corpus"]["accent"] == "Scottish"


def test_results_of_a_speaker_network_are_distinguished(tmp_path):
    write(tmp_path, SPEAKER)
    results = Results.read(tmp_path)
    assert isinstance(results, SpeakerResults)
    assert (results.data, results.metrics["test"].eer) == (SpeakerData(**SPEAKER["data"]), 0.25)
    with pytest.raises(ValueError, match="has the results of the task speaker_recognition, not of classification"):
        RunResults.read(tmp_path)
    results.write(tmp_path)
    assert SpeakerResults.read(tmp_path) == results


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "This is not the result of a run"),
        ({}, "The format None is unknown: this version reads format 1"),
        (WRITTEN | {"format": 2}, "The format 2 is unknown: this version reads format 1"),
        (WRITTEN | {"task": "cooking"}, "The task 'cooking' is unknown"),
        (WRITTEN | {"labels": []}, "'labels' is missing: name the emotions"),
        (WRITTEN | {"labels": None}, "'labels' is missing"),
        (WRITTEN | {"modalities": ["smell"]}, r"'modalities' is \['smell'\]: name one or more of audio, text, video"),
        (WRITTEN | {"corpus": 3}, "corpus: 3 must be a mapping"),
        (WRITTEN | {"metrics": {"test": []}}, r"metrics: 'test': \[\] must be a mapping"),
        (WRITTEN | {"metrics": {"test": {"wa": "high"}}}, "metrics: 'test': wa: 'high' must be a number"),
        (WRITTEN | {"metrics": {"test": {"wa": True}}}, "metrics: 'test': wa: True must be a number"),
        (WRITTEN | {"metrics": {"test": {"recall": [1.0]}}}, "metrics: 'test': recall is not one of 2 labels"),
        (
            WRITTEN | {"metrics": {"test": {"confusion_matrix": [[1], [2]]}}},
            "metrics: 'test': confusion_matrix is not one",
        ),
        (WRITTEN | {"metrics": {"test": None}}, "metrics: 'test': must not be null"),
        (WRITTEN | {"labels": ["sad", ["glad"]]}, r"labels: item 1: \['glad'\] must be a string"),
        (WRITTEN | {"labels": ["sad", None]}, "labels: item 1: must not be null"),
        (WRITTEN | {"labels": ["sad", "sad"]}, "'labels' has 'sad' twice: give each emotion a name of its own"),
        (WRITTEN | {"seconds": 10**400}, r"seconds: 10+\.\.\.0+ is too large"),
        (WRITTEN | {"paper": {"year": "\n2021"}}, r"paper: year: '\\n2021' must be an integer"),
        (WRITTEN | {"intervals": {"ua": [0.5]}}, r"intervals: ua: \[0.5\] must be two finite numbers"),
        (
            WRITTEN | {"intervals": {"ua": [0.5, float("nan")]}},
            r"intervals: ua: \[0.5, nan\] must be two finite numbers",
        ),
        (WRITTEN | {"task": ["cooking"]}, r"The task \['cooking'\] is unknown"),
        ("[" * 100_000, "The JSON is nested too deeply"),
        (WRITTEN | {"pictures": "a.png"}, "pictures: 'a.png' must be a list"),
        ({"p_target": 0.01}, "'data' is missing"),
    ],
)
def test_results_that_cannot_be_read_are_an_error_of_one_sentence(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(ValueError, match=rf"results\.json: {message}") as caught:
        Results.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_results_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"results\.json does not exist: name the folder of a finished run"):
        RunResults.read(tmp_path)
