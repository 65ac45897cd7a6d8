"""The metric as a Space of the Hub."""

import importlib.util
import json
import sys
from pathlib import Path

import emofusion
import pytest
from emofusion.hub.metric_page import push_metric
from huggingface_hub import RepoCard
from testing_fresh import run_fresh

FOLDER = Path(emofusion.__file__).parent / "metrics" / "emotion_metrics"
DIMENSIONS = FOLDER.with_name("dimension_metrics")
REPO = "someone/emotion_metrics"

LOAD = """
import json
import sys

sys.modules["emofusion"] = None
import evaluate

metric = evaluate.load(sys.argv[1], revision=sys.argv[2])
print(json.dumps(metric.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0], labels=["calm", "angry"])))
"""


def load_app(folder, monkeypatch):
    """Load `app.py` as on the Hub, next to the module."""
    monkeypatch.syspath_prepend(str(folder))
    specification = importlib.util.spec_from_file_location("metric_app", folder / "app.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def app(monkeypatch):
    """The page of `emotion_metrics`."""
    yield load_app(FOLDER, monkeypatch)
    sys.modules.pop("emotion_scores")


@pytest.fixture
def dimensions_app(monkeypatch):
    """The page of `dimension_metrics`."""
    yield load_app(DIMENSIONS, monkeypatch)
    sys.modules.pop("dimension_scores")


def test_a_pushed_metric_is_loaded_by_its_name(hub, tmp_path):
    logged = []
    commit = push_metric(FOLDER, "emotion_metrics", private=False, log=logged.append)
    repo = hub.repos["space", REPO]
    assert not repo.private
    assert repo.find(commit.oid).files.keys() - {".gitattributes"} == {
        *("README.md", "app.py", "requirements.txt", "emotion_metrics.py", "emotion_scores.py"),
    }
    assert f'evaluate.load("{REPO}")' in repo.find(commit.oid).files["README.md"].decode()
    assert logged[1].endswith(f'evaluate.load("{REPO}", revision="{commit.oid}")')
    environment = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path),
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "HF_HUB_OFFLINE": "0",
    }
    done = run_fresh(LOAD, REPO, commit.oid, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads(done.stdout)
    assert scores["wa"] == 3 / 4
    assert scores["ua"] == pytest.approx((2 / 3 + 1) / 2)


def test_a_dry_run_of_the_metric_sends_nothing(hub):
    logged = []
    assert push_metric(FOLDER, REPO, dry_run=True, log=logged.append) is None
    assert logged[0].startswith(f"To {REPO} (private, new), branch main:\n")
    assert not hub.repos


def test_a_metric_has_the_name_of_its_module(hub, tmp_path):
    with pytest.raises(ValueError, match="must end with emotion_metrics"):
        push_metric(FOLDER, "someone/metric")
    with pytest.raises(FileNotFoundError, match=r"it has no README.md"):
        push_metric(tmp_path, f"someone/{tmp_path.name}")
    assert not hub.requests


@pytest.mark.parametrize("folder", [FOLDER, DIMENSIONS], ids=lambda folder: folder.name)
def test_the_page_is_a_gradio_space(folder):
    data = RepoCard((folder / "README.md").read_text(encoding="utf-8")).data
    assert (data.sdk, data.app_file) == ("gradio", "app.py")
    assert {"evaluate", "metric"} <= set(data.tags)
    assert len(data.short_description) <= 60  # the Hub refuses more


def test_the_page_scores_pasted_labels(app):
    overall, classes, counts = app.score("angry, calm\nangry; calm ,", "angry,calm,calm,calm,")
    assert overall == [["WA", "75.0"], ["UA", "75.0"], ["Weighted F1", "73.3"], ["Macro F1", "73.3"]]
    assert classes == [["angry", "50.0", "100.0", "66.7", "2"], ["calm", "100.0", "66.7", "80.0", "2"]]
    assert counts == [["angry", 1, 1], ["calm", 0, 2]]
    assert app.score("angry", "calm")[1][1] == ["calm", "", "0.0", "0.0", "0"]


@pytest.mark.parametrize(("true", "predicted"), [("", ""), ("angry, calm", "angry")])
def test_the_page_refuses_unpaired_labels(app, true, predicted):
    with pytest.raises(ValueError, match="give the same number"):
        app.score(true, predicted)


def test_the_metric_of_dimensions_is_pushed_with_its_own_modules(hub):
    commit = push_metric(DIMENSIONS, "someone/dimension_metrics", log=lambda _: None)
    assert hub.repos["space", "someone/dimension_metrics"].find(commit.oid).files.keys() - {".gitattributes"} == {
        *("README.md", "app.py", "requirements.txt", "dimension_metrics.py", "dimension_scores.py"),
    }


def test_the_page_scores_pasted_values(dimensions_app):
    rows = dimensions_app.score("valence, arousal\n1, 2\n2, \n\n3, 4\n", "valence,arousal\r\n1,2\r\n2,3\r\n3,5")
    assert rows[0] == ["valence", "1.000", "1.000", "0.000", "3", "0"]
    assert rows[1] == ["arousal", "0.857", "1.000", "0.707", "2", "1"]
    assert rows[2] == ["Mean", "0.929", "1.000", "0.354", "", ""]
    assert len(dimensions_app.score(*dimensions_app.EXAMPLE)) == 3


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ("", "", "There are no values"),
        ("a\n1", "b\n1", "have the names a, the predictions b"),
        ("a\n1\n2", "a\n1", "2 true lines and 1 predicted"),
        ("a, b\n1", "a, b\n1, 2", "Utterance 1 has 1 values for 2 names"),
        ("a\nhigh", "a\n1", "'high' is no number"),
        ("a\n1", "a\n", "1 true lines and 0 predicted"),
    ],
)
def test_the_page_refuses_values_that_do_not_fit(dimensions_app, true, predicted, message):
    with pytest.raises(ValueError, match=message):
        dimensions_app.score(true, predicted)
