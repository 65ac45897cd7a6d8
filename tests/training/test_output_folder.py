"""The output folder of a run is checked, locked, and removed if nothing was written into it."""

import json
import os

import pytest
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.output_folder import CROSS_VALIDATION, SEARCH, SINGLE, TABLE, check_kind, claimed_folder


def arguments(folder, **others):
    return EmotionTrainingArguments(str(folder), use_cpu=True, **others)


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    args = arguments(tmp_path / "run")
    with claimed_folder(args):
        with pytest.raises(ValueError, match="Another run is writing into output_dir"), claimed_folder(args):
            pass
        with claimed_folder(args, tmp_path / "other"):
            pass
        assert not list((tmp_path / "run").iterdir())
    with claimed_folder(args):
        pass


def test_a_process_of_the_data_loader_does_not_keep_the_lock(tmp_path):
    args, (starts, started), (ends, end) = arguments(tmp_path / "run"), os.pipe(), os.pipe()
    with claimed_folder(args):
        child = os.fork()
        if not child:  # as a data loader's process that outlives a killed run
            os.write(started, b"x")
            os.close(end)
            os.read(ends, 1)
            os._exit(0)
        os.read(starts, 1)
    try:
        with claimed_folder(args):
            pass
    finally:
        for descriptor in (starts, started, ends, end):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_a_run_that_fails_early_leaves_no_empty_folder(tmp_path):
    with pytest.raises(KeyError), claimed_folder(arguments(tmp_path / "a" / "b" / "run")):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileExistsError), claimed_folder(arguments(tmp_path / "a" / "run")):
        (tmp_path / "a" / "run" / "checkpoint").touch() or (tmp_path / "a" / "run" / "checkpoint").mkdir()
    assert (tmp_path / "a" / "run" / "checkpoint").is_file()
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyError), claimed_folder(arguments(tmp_path / "mine")):
        raise KeyError
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize(
    ("setting", "options"),
    [
        ("output_dir", {}),
        ("cache_dir", {"cache_prefix": True}),
        ("TENSORBOARD_LOGGING_DIR", {"report_to": "tensorboard"}),
        ("TRACKIO_DIR", {"report_to": "trackio"}),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_at_the_start(setting, options, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "run"
    if setting == "cache_dir":
        options = options | {"cache_dir": str(folder)}
    monkeypatch.setenv(setting, str(folder))
    args = arguments(folder if setting == "output_dir" else tmp_path / "run", **options)
    with pytest.raises(OSError, match=f"{setting}: The folder {folder} cannot be created"), claimed_folder(args):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("folder", ["/dev/run", "/proc/run", "/sys/run"])
def test_folders_of_the_system_are_refused_at_the_start(folder):
    with (
        pytest.raises(FileExistsError, match=f"{folder} is in .*, a folder of the system"),
        claimed_folder(arguments(folder)),
    ):
        pass
    assert not os.path.lexists(folder)


def write(file, content=""):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


KINDS = {
    "config.json": (SINGLE, {}),
    "checkpoint-8/trainer_state.json": (SINGLE, {}),
    "study.db": (SEARCH, {}),
}
RESULTS = [
    (SINGLE, {"metrics": {}}),
    (SINGLE, {"metrics": {}, "cross_validation": None}),
    (CROSS_VALIDATION, {"cross_validation": {}}),
    (TABLE, {"cross_corpus": {}}),
]


@pytest.mark.parametrize(
    ("name", "holds", "content"),
    [(name, *found) for name, found in KINDS.items()] + [("results.json", *found) for found in RESULTS],
)
def test_a_folder_holds_one_kind_of_run(name, holds, content, tmp_path):
    write(tmp_path / name, content)
    for kind in (SINGLE, CROSS_VALIDATION, TABLE, SEARCH):
        if kind == holds:
            check_kind(tmp_path, kind)
            continue
        with pytest.raises(ValueError, match=f"holds {holds}: choose another --output_dir for {kind}"):
            check_kind(tmp_path, kind)


def test_a_folder_with_one_fold_and_a_summary_is_refused_both_ways(tmp_path):
    write(tmp_path / "config.json", {})
    write(tmp_path / "results.json", {"cross_validation": {}})
    for kind, other in ((SINGLE, CROSS_VALIDATION), (CROSS_VALIDATION, SINGLE)):
        with pytest.raises(ValueError, match=f"holds {other}"), claimed_folder(arguments(tmp_path), None, kind):
            pass


def test_damaged_results_do_not_stop_a_new_run(tmp_path):
    (tmp_path / "results.json").write_text("[1")
    check_kind(tmp_path, SINGLE)
