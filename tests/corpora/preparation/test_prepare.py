import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import soundfile
from emofusion import load_corpus
from emofusion.corpora import prepare_corpus as prepare
from emofusion.corpora.folder.corpus import FOLDER
from emofusion.corpora.preparation import inspection, writing
from emofusion.corpora.preparation.prepared_folder import open_prepared
from emofusion.corpora.schema import features
from emofusion.processing import load_audio
from testing_folder import make_folder, make_rows

SPLITS = ("train", "validation", "test")

# Code of a process that prepares a folder; its last argument is code to run before.
PROCESS = """
import sys
root, out, before = sys.argv[1:]
from emofusion.corpora import prepare_corpus
from emofusion.corpora.preparation import inspection
inspect = inspection.inspect
def counted(*arguments, **options):
    print("inspects")
    return inspect(*arguments, **options)
inspection.inspect = counted
exec(before)
try:
    prepare_corpus("folder", root, out)
except OSError as error:
    print(error)
"""


@pytest.fixture
def root(tmp_path):
    rows = [row | {"split": SPLITS[number % 3]} for number, row in enumerate(make_rows())]
    return make_folder(tmp_path / "own", rows)


@pytest.fixture
def inspections(monkeypatch):
    """A list with one entry per inspection."""
    count = []

    def counted(*arguments, **options):
        count.append(1)
        return inspect(*arguments, **options)

    inspect = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", counted)
    return count


def start(root, out, before=""):
    command = [sys.executable, "-c", PROCESS, str(root), str(out), before]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content(folder):
    """Return the content of a folder without the locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_prepared_folder_contains_scanned_rows_in_schema(root, tmp_path):
    prepared = prepare("folder", root, tmp_path / "out")
    assert content(tmp_path / "out") == [
        *("README.md", "data", "preparation.json", "problems.json", "problems.txt", "turns.json")
    ]
    assert list(prepared.splits) == list(SPLITS)
    schema = features(["glad", "sad"])
    for split, rows in prepared.splits.items():
        assert rows.features == schema
        wanted = [row for row in FOLDER.scan(root, FOLDER.parse()).rows if row["split"] == split]
        assert rows["id"][:] == [row["id"] for row in wanted]
        assert [schema["label"].int2str(label) for label in rows["label"]] == [row["label"] for row in wanted]
        assert rows[0]["audio"] == {"path": wanted[0]["audio"]["path"], "bytes": None, "start": None, "end": None}
    assert prepared.metadata["counts"] == {split: {"sad": 2, "glad": 2} for split in SPLITS}
    assert prepared.metadata["rows"] == 12
    assert prepared.problems == []
    assert (tmp_path / "out" / "problems.txt").read_text() == "No problems.\n"


def test_prepared_corpus_is_not_inspected_again(root, tmp_path, inspections):
    first = prepare("folder", root)
    assert first.folder.is_relative_to(datasets.config.HF_DATASETS_CACHE)
    assert prepare("folder", root).folder == first.folder
    load_corpus("folder", root)
    load_corpus("folder", root, seed=3)
    assert len(inspections) == 1
    other = tmp_path / "other"
    shutil.copytree(root, other)
    assert prepare("folder", other).folder != first.folder


def touch(root):
    os.utime(root / "audio" / "s0_sad.wav", ns=(1, 1))


def add(root):
    (root / "audio" / "more.txt").write_text("A file that was not there before.")


def edit(root):
    path = root / "metadata.csv"
    path.write_text(path.read_text().replace("A sad day, s0.", "A bad day, s0."))


@pytest.mark.parametrize("change", [touch, add, edit])
def test_changed_corpus_is_prepared_again(root, inspections, change):
    prepare("folder", root)
    change(root)
    assert prepare("folder", root).folder == prepare("folder", root).folder
    assert len(inspections) == 2


def test_each_choice_of_options_has_prepared_folder(root, inspections):
    folders = {prepare("folder", root, **options).folder for options in ({}, {"labels": ["sad", "glad"]}, {})}
    assert (len(folders), len(inspections)) == (2, 2)
    assert prepare("folder", root, labels=["sad", "glad"]).splits["test"].features["label"].names == ["sad", "glad"]


def test_changed_code_prepares_corpus_again(root, inspections, monkeypatch):
    prepare("folder", root)
    monkeypatch.setattr("emofusion.corpora.preparation.prepare.digest_code", lambda entries: "other")
    prepare("folder", root)
    assert len(inspections) == 2


def test_decoded_preparation_is_reused_without_decode(root, inspections):
    soundfile.write(root / "audio" / "s0_sad.wav", [0.0] * 8000, 16000)
    assert prepare("folder", root).problems == []
    (found,) = prepare("folder", root, decode=True).problems
    assert found["kind"] == "silent"
    assert prepare("folder", root).problems == [found]
    assert len(inspections) == 2


def test_second_process_waits(root, tmp_path):
    processes = [start(root, tmp_path / "out") for _ in range(2)]
    printed = [process.communicate() for process in processes]
    assert sorted(out for out, _ in printed) == ["", "inspects\n"], printed
    assert all("Traceback" not in errors for _, errors in printed)
    assert len(open_prepared(tmp_path / "out").splits["train"]) == 4
    assert content(tmp_path) == ["out", "own"]


def test_interrupted_preparation_changes_nothing(root, tmp_path, monkeypatch):
    def broken(rows, *arguments, **options):
        yield next(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(inspection, "inspect", broken)
        with pytest.raises(KeyboardInterrupt):
            prepare("folder", root, tmp_path / "out")
    assert content(tmp_path) == ["own"]
    before = prepare("folder", root, tmp_path / "out").metadata
    edit(root)
    monkeypatch.setattr(inspection, "inspect", broken)
    with pytest.raises(KeyboardInterrupt):
        prepare("folder", root, tmp_path / "out")
    assert content(tmp_path) == ["out", "own"]
    assert open_prepared(tmp_path / "out").metadata == before


def test_leftovers_of_killed_process_are_removed(root, tmp_path):
    before = (
        "import os, signal; inspection.inspect = lambda *_, **__: (os.kill(os.getpid(), signal.SIGKILL) for _ in [0])"
    )
    start(root, tmp_path / "out", before).communicate()
    assert [name.startswith(".out-draft-") for name in content(tmp_path)] == [True, False]
    prepare("folder", root, tmp_path / "out")
    assert content(tmp_path) == ["out", "own"]


def test_full_disk_leaves_nothing(root, tmp_path):
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    printed, errors = start(root, tmp_path / "out", limit).communicate()
    assert errors == ""
    assert printed.splitlines()[1:] == [
        f"{tmp_path / 'out'} was not written: File too large. Free disk space, or give another folder."
    ]
    assert content(tmp_path) == ["own"]


@pytest.mark.parametrize("place", ["own/out", "own", "full"])
def test_corpus_and_other_files_are_never_overwritten(root, tmp_path, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("All of it.")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((FileExistsError, ValueError), match="give another folder"):
        prepare("folder", root, tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


def test_prepared_folder_loads_as_root(root, tmp_path):
    prepare("folder", root, tmp_path / "out")
    wanted = load_corpus("folder", root)
    shutil.move(root, tmp_path / "moved")
    corpus = load_corpus("folder", tmp_path / "out")
    assert {split: rows["id"][:] for split, rows in corpus.items()} == {
        split: rows["id"][:] for split, rows in wanted.items()
    }
    with pytest.raises(ValueError, match=r"was prepared from the corpus 'folder', not 'iemocap'"):
        load_corpus("iemocap", tmp_path / "out")
    with pytest.raises(ValueError, match=r"was prepared with max_seconds=60\.0, not 5\.0: give that option"):
        load_corpus("folder", tmp_path / "out", max_seconds=5.0)
    for options in ({"out": tmp_path / "again"}, {"embed_audio": True}):
        with pytest.raises(ValueError, match=r"out is prepared already"):
            prepare("folder", tmp_path / "out", **options)


def test_transcripts_are_kept_after_new_preparation(root, tmp_path):
    prepare("folder", root, tmp_path / "out")
    transcripts = tmp_path / "out" / "transcripts"
    transcripts.mkdir()
    (transcripts / "model.jsonl").write_text('{"id": "audio/s0_sad.wav", "key": "0", "text": "a sad day"}\n')
    (transcripts / "current").write_text("model\n")
    assert load_corpus("folder", tmp_path / "out")["train"][0]["asr_text"] == "a sad day"
    edit(root)
    prepared = prepare("folder", root, tmp_path / "out")
    assert prepared.splits["train"][0]["asr_text"] is None
    assert content(transcripts) == ["model.jsonl"]


def test_folder_with_embedded_recordings_can_be_moved(root, tmp_path):
    prepare("folder", root, tmp_path / "out", embed_audio=True)
    wanted = load_audio(root / "audio" / "s0_sad.wav", 16000)
    shutil.rmtree(root)
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(tmp_path / "out", tmp_path / "elsewhere" / "corpus"))
    row = load_corpus("folder", moved)["train"][0]
    assert row["audio"]["path"] == "s0_sad.flac"
    assert (load_audio(row["audio"], 16000) == wanted).all()
    for stream in (True, False):
        read = datasets.load_dataset(str(moved), streaming=stream, cache_dir=tmp_path / "cache")
        assert sorted(read) == sorted(SPLITS)
        assert next(iter(read["train"])) == row
        assert read["train"].features == features(["glad", "sad"])


def test_large_corpus_is_written_in_several_files(root, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS", 1)
    monkeypatch.setattr(writing, "SHARD", 1)
    prepared = prepare("folder", root, tmp_path / "out", embed_audio=True)
    names = [path.name for path in sorted((tmp_path / "out" / "data").glob("train-*"))]
    assert names == [f"train-{number:05}-of-00004.arrow" for number in range(4)]
    assert prepared.splits["train"]["id"][:] == [
        row["id"] for row in FOLDER.scan(root, FOLDER.parse()).rows if row["split"] == "train"
    ]
    assert len(datasets.load_dataset(str(tmp_path / "out"), cache_dir=tmp_path / "cache")["train"]) == 4


@pytest.mark.parametrize("damage", ["preparation.json", "problems.json", "data/test-00000-of-00001.arrow"])
def test_damaged_folder_is_not_opened(root, tmp_path, damage):
    prepare("folder", root, tmp_path / "out")
    (tmp_path / "out" / damage).write_bytes(b"damage")
    with pytest.raises(ValueError, match=r"out cannot be read \(.*\): prepare the corpus again\."):
        open_prepared(tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *(("preparation.json", text) for text in ("[]", "null", "3", '{"format": 3}', "[" * 100_000)),
        ("preparation.json", {"splits": {"../../elsewhere": 12}}),
        ("preparation.json", {"splits": 3}),
        ("preparation.json", {"rows": None}),
        *(("problems.json", text) for text in ("{}", "[3]", '[{"what": "x"}]')),
    ],
)
def test_folder_with_files_of_another_form_is_not_opened(root, tmp_path, file, content):
    path = prepare("folder", root, tmp_path / "out").folder / file
    path.write_text(content if isinstance(content, str) else json.dumps(json.loads(path.read_text()) | content))
    with pytest.raises(ValueError, match=r"out cannot be read \(.*\): prepare the corpus again\.") as error:
        open_prepared(tmp_path / "out")
    assert "\n" not in str(error.value)
    if file == "preparation.json":
        assert prepare("folder", root, tmp_path / "out").metadata["rows"] == 12


def test_other_format_is_refused(root, tmp_path):
    path = prepare("folder", root, tmp_path / "out").folder / "preparation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match="its format is 99, not 3"):
        open_prepared(tmp_path / "out")


def test_problems_are_written_as_text_and_as_json(root, tmp_path):
    (root / "audio" / "s0_sad.wav").write_bytes(b"")
    (root / "audio" / "s1_sad.wav").unlink()
    prepared = prepare("folder", root, tmp_path / "out")
    text = (tmp_path / "out" / "problems.txt").read_text()
    assert json.loads((tmp_path / "out" / "problems.json").read_text()) == prepared.problems
    assert {found["kind"]: found["id"] for found in prepared.problems} == {
        "missing": "audio/s1_sad.wav",
        "unreadable": "audio/s0_sad.wav",
    }
    for found in prepared.problems:
        assert f"{found['kind']}: 1, 1 left out\n" in text
        assert found["what"] in text
    assert prepared.metadata["rows"] + sum(found["dropped"] for found in prepared.problems) == 12


def test_corpus_without_usable_row_is_refused(root, tmp_path):
    for path in (root / "audio").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"own has no utterance that can be used\. The first of 12 problems: .*empty"):
        prepare("folder", root, tmp_path / "out")
    assert content(tmp_path) == ["own"]
