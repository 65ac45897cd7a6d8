"""Cards of given results; `test_card_pattern.py` tests the cards of real runs."""

import json
import re

import pytest
from emofusion.evaluation.results import RunResults
from emofusion.hub import write_card
from huggingface_hub import ModelCard
from testing_cards import SCORES, check_page, sections, strange_numbers

LABELS = ["angry", "happy", "sad", "calm"]
RESULTS = {
    "format": 1,
    "system": "cross_attention",
    "model_class": "CrossAttentionFusionForSequenceClassification",
    "paper": {
        "title": "Using Large Pre-Trained Models with Cross-Modal Attention for Multi-Modal Emotion Recognition",
        "authors": "Krishna D N",
        "year": 2021,
        "url": "https://arxiv.org/abs/2108.09669",
    },
    "labels": LABELS,
    "modalities": ["audio", "text"],
    "corpus": {
        "name": "spoken",
        "title": "the spoken demonstration corpus",
        "demonstration": True,
        "protocol": "Test speakers and test sentences never occur in training.",
        "selection": "The checkpoint is the one with the highest UA on the validation split.",
        "license": None,
    },
    "data": {
        "train": {"utterances": 640, "seconds": 1234.5, "speakers": 6, "classes": dict.fromkeys(LABELS, 160)},
        "test": {"utterances": 80, "seconds": 154.2, "speakers": 2, "classes": dict.fromkeys(LABELS, 20)},
    },
    "metrics": {"validation": SCORES | {"wa": 0.95}, "test": SCORES},
    "parameters": {"total": 84760, "trainable": 67732},
    "seconds": 31.2,
    "base_models": {"audio": "facebook/wav2vec2-base", "text": "bert-base-uncased"},
    "training": {"learning_rate": 1e-4, "num_train_epochs": 3, "seed": 1, "output_dir": "/home/somebody/runs"},
    "environment": {"python": "3.11", "torch": "2.13.0", "device": "cpu"},
    "pictures": ["confusion_matrix.png", "learning_curve.png"],
}
SECTIONS = ["Use", "Scores", "Data", "Limits", "Out of scope", "Training", "Citation"]


def with_modalities(*modalities):
    return RESULTS | {"modalities": list(modalities)}


CASES = {
    "fusion": RESULTS,
    "speech": with_modalities("audio") | {"system": "speech", "base_models": {"audio": None}},
    "text": with_modalities("text") | {"system": "text", "base_models": {"text": "bert-base-uncased"}},
    "corpus": RESULTS | {"corpus": RESULTS["corpus"] | {"demonstration": False, "license": "CC BY 4.0"}},
    "not_measured": {name: value for name, value in RESULTS.items() if name not in ("metrics", "data", "pictures")},
    "not_finite": RESULTS
    | {"metrics": {"test": SCORES | {"ece": float("nan"), "nll": None, "recall": [1.0, None, float("nan"), 0.5]}}},
    "a_local_encoder": RESULTS | {"base_models": {"audio": "/home/somebody/wav2vec2", "text": None}},
    "next_to_nothing": {"format": 1, "labels": LABELS, "modalities": ["audio", "text"], "paper": None, "corpus": {}},
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in RESULTS["pictures"]:
        (folder / name).write_bytes(b"\x89PNG")
    return folder


def page_of(folder, results):
    return write_card(folder, RunResults.from_dict(results)).read_text(encoding="utf-8")


@pytest.mark.parametrize("results", CASES.values(), ids=CASES.keys())
def test_a_card_is_complete_for_any_results(folder, results):
    write_card(folder, RunResults.from_dict(results))
    card = check_page(folder / "README.md")
    headings = list(sections(card))
    assert headings == [name for name in SECTIONS if name in headings]
    assert {"Use", "Limits", "Out of scope", "Citation"} <= set(headings)
    assert not strange_numbers(card.content, results)


def test_scores_are_fractions_in_the_metadata_and_percent_in_the_text(folder):
    page = page_of(folder, RESULTS)
    results = ModelCard.load(folder / "README.md").data.eval_results
    assert {(result.metric_type, result.metric_value) for result in results} == {
        ("accuracy", 0.9125),
        ("recall", 0.9),
        ("f1", 0.9111),
    }
    assert {(result.dataset_type, result.dataset_name, result.dataset_split) for result in results} == {
        ("spoken", "the spoken demonstration corpus", "test")
    }
    assert (
        ": WA 91.2 %, UA 90.0 % and Weighted F1 91.1 % on the test split of the spoken demonstration corpus." in page
    )
    assert "| validation | 95.0 % | 90.0 % | 91.1 % | 90.0 % | 3.4 % | 0.256 |" in page
    assert "| sad | 85.0 % | 95.0 % | 89.7 % | 20 |" in page
    assert "| train | 640 | 20.6 | 6 | 160 | 160 | 160 | 160 |" in page
    assert RESULTS["corpus"]["protocol"] in page
    assert RESULTS["corpus"]["selection"] in page


def test_utterances_without_spans_are_counted(folder):
    data = {split: counts | {"unaligned": {"word": 3, "phone": 0}} for split, counts in RESULTS["data"].items()}
    page = page_of(folder, RESULTS | {"data": data})
    assert (
        "| Split | Utterances | Minutes | Speakers | angry | happy | sad | calm | No phone times | No word times |"
        in page
    )
    assert "| train | 640 | 20.6 | 6 | 160 | 160 | 160 | 160 | 0 | 3 |" in page
    assert "times" not in page_of(folder, RESULTS)


def test_unmeasured_scores_are_left_out(folder):
    page = page_of(folder, CASES["not_measured"])
    assert not ModelCard.load(folder / "README.md").data.eval_results
    assert "%" not in page
    assert "## Scores" not in page
    assert "## Data" not in page
    assert "png" not in page
    page = page_of(folder, CASES["not_finite"])
    assert "ECE" not in page
    assert "NLL" not in page
    assert "| happy |  | 90.0 % |" in page


def test_a_demonstration_is_called_one(folder):
    assert "no benchmark" in page_of(folder, RESULTS)
    assert "no benchmark" not in page_of(folder, CASES["corpus"])


@pytest.mark.parametrize(
    ("case", "auto_class", "arguments"),
    [
        ("fusion", "AutoModelForAudioClassification", {"audio", "text"}),
        ("speech", "AutoModelForAudioClassification", {"audio"}),
        ("text", "AutoModelForSequenceClassification", {"text"}),
    ],
)
def test_the_examples_pass_the_inputs_of_the_model(folder, case, auto_class, arguments):
    short, example = re.findall(r"```python\n(.*?)```", page_of(folder, CASES[case]), flags=re.DOTALL)
    for code in (short, example):
        compile(code, "example", "exec")
    assert 'pipeline("emotion-recognition", model=".", trust_remote_code=True)' in short
    assert set(re.findall(r'"(audio|text)":', short)) == arguments
    assert len(short.strip().splitlines()) == 4
    assert f'{auto_class}.from_pretrained(".", trust_remote_code=True)' in example
    call = re.search(r"processor\((.*)\)\n", example).group(1)
    assert set(re.findall(r"(audio|text)=", call)) == arguments
    assert len(example.strip().splitlines()) == 6


def test_scores_are_bold_only_with_their_intervals(folder):
    page = page_of(folder, RESULTS)
    assert "**WA" not in page
    assert (
        "\n\nFew data: in the test split, angry, happy, sad and calm have 20 utterances each; with fewer than 30 utterances or 6 speakers in a class, another sample can give quite "
        "different scores. The scores have no interval: it needs at least 6 speakers, and the data have 2.\n" in page
    )
    assert page.count("Few data: in the test split") == 1  # below the headline
    intervals = {"wa": [0.85, 0.95], "ua": [0.8, 0.96], "wf1": [0.81, 0.97], "speakers": 8}
    page = page_of(folder, RESULTS | {"intervals": intervals})
    claim = "**WA 91.2 % (85.0 to 95.0 %), UA 90.0 % (80.0 to 96.0 %) and Weighted F1 91.1 % (81.0 to 97.0 %)** on the"
    assert claim in page
    assert "In parentheses: 95 % intervals over resampled speakers." in page
    assert "no interval" not in page
    assert "**WA" not in page_of(folder, RESULTS | {"intervals": intervals | {"ua": None}})


def test_temperature_scaling_that_does_not_help_is_said(folder):
    scaled = SCORES | {"ece": 0.282, "ece_scaled": 0.282, "nll": 0.5, "nll_scaled": 0.5}
    scaling = {"temperature": 1.7, "ece": 0.282, "ece_scaled": 0.323}
    page = page_of(folder, RESULTS | {"metrics": {"test": scaled}, "temperature_scaling": scaling})
    assert (
        "Temperature scaling is not used: the temperature 1.7, fitted on the validation split, raises the ECE there from "
        "28.2 % to 32.3 %. ECE and NLL are without scaling." in page
    )
    assert "scaled |" not in page
    worse = scaled | {"ece_scaled": 0.323}
    kept = {"temperature": 1.7, "temperature_scaling": scaling | {"ece_scaled": 0.2}}
    page = page_of(folder, RESULTS | kept | {"metrics": {"test": worse}})
    assert "On the test split, scaling makes the calibration worse: ECE from 28.2 % to 32.3 %." in page
    assert "| ECE | ECE, scaled |" in page
    page = page_of(folder, RESULTS | kept | {"metrics": {"test": worse | {"ece_scaled": 0.1}}})
    assert "worse" not in page


@pytest.mark.parametrize("run", [[], ["de"], ["de", "fr"]])
@pytest.mark.parametrize("corpus", [[], ["en"]])
def test_language_and_licence_are_those_that_were_stated(folder, run, corpus):
    stated = {"language": run, "license": "cc-by-4.0" if run else None}
    page = page_of(folder, RESULTS | stated | {"corpus": RESULTS["corpus"] | {"language": corpus}})
    data = ModelCard.load(folder / "README.md").data
    assert data.language == (run or corpus or None)
    assert data.license == stated["license"]
    assert ("Language" in page) == bool(run or corpus)
    assert "English" not in page
    assert "apache" not in page.lower()
    if len(run) == 2:
        assert "- Languages: de and fr." in page


def test_only_encoders_of_the_hub_are_base_models(folder):
    page_of(folder, RESULTS)
    assert ModelCard.load(folder / "README.md").data.base_model == ["facebook/wav2vec2-base", "bert-base-uncased"]
    page_of(folder, CASES["a_local_encoder"])
    assert ModelCard.load(folder / "README.md").data.base_model is None


def test_a_corpus_is_linked_if_it_is_on_the_hub(folder):
    page_of(folder, RESULTS | {"corpus": RESULTS["corpus"] | {"hub_id": "someone/speech"}})
    assert ModelCard.load(folder / "README.md").data.datasets == ["someone/speech"]
    page_of(folder, RESULTS)
    assert ModelCard.load(folder / "README.md").data.datasets is None


def test_the_paper_is_cited(folder):
    page = page_of(folder, RESULTS)
    assert "@misc{cross_attention2021,\n  title = {Using Large" in page
    page = page_of(folder, RESULTS | {"paper": None})
    assert page.count("```bibtex") == 1
    assert "@software{emofusion," in page


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        ({"stated": "A, B", "ours": "C"}, "From the paper's own abstract: A, B; ours: C, the training settings."),
        (
            {"stated": "A", "noted": "B", "ours": "C"},
            "From the paper's own abstract: A; from a third party's reading notes of the paper: B; ours: C, the training "
            "settings.",
        ),
        ({"title": None, "ours": "C"}, "Ours: C, the training settings."),
    ],
)
def test_one_sentence_names_the_sources_of_the_method(folder, sources, sentence):
    page = page_of(folder, RESULTS | {"paper": RESULTS["paper"] | sources})
    assert f"\n{sentence}\n" in page
    assert "own abstract" not in page_of(folder, RESULTS)


def test_only_pictures_in_the_folder_are_shown(folder):
    (folder / "learning_curve.png").unlink()
    (folder.parent / "outside.png").write_bytes(b"\x89PNG")
    page = page_of(folder, RESULTS | {"pictures": [*RESULTS["pictures"], "../outside.png"]})
    assert re.findall(r"!\[(.*)\]\((.*)\)", page) == [("Confusion matrix", "confusion_matrix.png")]


def test_a_bar_in_a_label_is_escaped(folder):
    page = page_of(folder, RESULTS | {"labels": ["an|ger", *LABELS[1:]]})
    assert "| an&#124;ger | 100.0 % |" in page


def test_results_are_read_from_the_folder(folder):
    (folder / "results.json").write_text(json.dumps(RESULTS))
    assert write_card(folder).read_text() == page_of(folder, RESULTS)


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        (None, FileNotFoundError, r"results\.json does not exist: name the folder of a finished run"),
        ({"format": 2}, ValueError, r"results\.json: The format 2 is unknown: this version reads format 1"),
        ({"format": 1, "modalities": ["audio"]}, ValueError, "'labels' is missing"),
        (RESULTS | {"modalities": ["smell"]}, ValueError, r"'modalities' is \['smell'\]: name one or more of audio"),
    ],
)
def test_incomplete_results_are_refused_and_nothing_is_written(folder, results, error, message):
    if results is not None:
        (folder / "results.json").write_text(json.dumps(results))
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=message):
        write_card(folder)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(("turns", "history"), [(0, 0), (3, 0), (0, 4)])
def test_a_card_describes_the_context_that_the_model_reads(folder, turns, history):
    recipe = {"context_turns": 5}  # what the corpus provides
    page = page_of(
        folder, RESULTS | {"earlier_turns": turns, "history": history, "recipe": recipe, "modalities": ["text"]}
    )
    assert ("up to 3 previous turns" in page) == bool(turns)
    assert ("\nThe scores of an utterance depend on the text of up to 4 utterances before it. Give" in page) == bool(
        history
    )
    assert ('"context": [' in page) == bool(turns or history)
    assert not re.search(r"^ \S", page, re.MULTILINE)
