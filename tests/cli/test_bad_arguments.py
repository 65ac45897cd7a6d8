"""Bad command lines of every command: one sentence, the right status, and nothing of Python in it."""

import re

import huggingface_hub
import pytest
from emofusion.cli.main import main
from emofusion.cli.recipe_help import RECIPE_COMMANDS
from emofusion.training import run as training_run
from emofusion.training.late_fusion import fit

RECIPE = "recipes/spoken/text.yaml"
# Wrong for every command with a recipe; all of them share one reader, so the others are tried with every fifth.
OPTIONS = [
    *("nowhere.yaml", "file", "empty", "binary.yaml", "list.yaml", "open.yaml", "deep.yaml", "", "--", "-x", "--=1"),
    *(
        "--.x=1",
        "--seed",
        "--seed=",
        "--seed=x",
        "--seed=-1",
        "--seed=1e400",
        "--seed=nan",
        "--seed.x=1",
        "--banana=1",
    ),
    *("--output_dir=", "--output_dir", "--learning_rate=-1", "--learning_rate=[", "--bf16=maybe", "--no_seed"),
    *("--lr_scheduler_kwargs=x", "--lr_scheduler_type=x", "--optim=x", "--max_steps=x", "--report_to=x"),
    *("--gradient_accumulation_steps=0", "--per_device_train_batch_size=0", "--num_train_epochs=[1]"),
]
OF_MODELS = [
    *("--variant=", "--variant=x", "--model_config=[", "--model_config=x", "--model_config.=1", "--lora=x"),
    *("--lora.rank=-1", "--corpus=", "--corpus_root=", "--corpus_options=[", "--max_seconds=-1", "--max_seconds=nan"),
    *("--max_seconds", "--augmentation.x=1", "--augmentation=[", "--quantization=3bit", "--text_column=x"),
    *("--max_train_samples=0", "--cache_dtype=x", "--learning_rates.x=y", "--frames_per_second=0", "--head_epochs=-1"),
]
# Folders whose JSON files are wrong, and these.
FOLDERS = {"listed": b"[]", "nothing": b"null", "cut": b'{"a": ', "bytes": b"\xff", "nested": b"[" * 9999}
# Arguments and status of other wrong command lines.
OTHERS = [
    (["trian"], 2),
    ([""], 2),
    (["--banana"], 2),
    (["tr\x1b[31main"], 2),
    (["cross-validate", RECIPE, "--folds=x"], 2),
    (["cross-validate", RECIPE, "--folds=0"], 1),
    (["cross-validate", RECIPE, "--seeds", "1", "1"], 2),
    (["train", RECIPE, "--seed", "1", "--seed", "2"], 2),
    (["search", RECIPE, "--search.banana"], 2),
    (["search", RECIPE, "--search.banana=1"], 2),
    (["search", RECIPE, "--search.banana=[1,2]"], 2),
    (["search", RECIPE, "--search.banana.x=[1,2]"], 2),
    (["search", RECIPE, "--search.corpus=[a,b]"], 2),
    (["search", RECIPE, "--search=["], 2),
    (["search", RECIPE, "--search=x"], 2),
    (["search", RECIPE, "--search.learning_rate=[]"], 2),
    (["search", RECIPE, "--search.learning_rate=[1,a]"], 2),
    (["search", RECIPE, "--search.learning_rate={low: .nan, high: 2}"], 2),
    (["search", RECIPE, "--search.seed={low: 1, high: 2, step: 0}"], 2),
    (["search", RECIPE, "--search.seed={low: 1, high: 2, step: x}"], 2),
    (["search", RECIPE, "--search.seed={low: true, high: 2}"], 2),
    (["search", RECIPE, "--search.learning_rate={low: 1, high: 2, log: maybe}"], 2),
    (["search", RECIPE, "--search.learning_rate=[1,2]", "--trials=0"], 2),
    (["fit-late-fusion", "--members="], 2),
    (["fit-late-fusion", "--members", "a", "--combination", "x"], 2),
    (["fit-late-fusion", "--corpus=spoken", "--members", "empty"], 1),
    (["fit-late-fusion", "--corpus=spoken", "--members", "nofolder"], 1),
    (["fit-late-fusion", "--corpus=spoken", "--members", "file"], 1),
    (["pretrain-speaker", "--corpus_root=file", "--output_dir=out"], 1),
    (["pretrain-speaker", "--corpus_root=empty", "--output_dir=out"], 1),
    (["pretrain-speaker", "--corpus_root=nowhere", "--output_dir=out"], 1),
    (["pretrain-speaker", "--crop_seconds", "1"], 2),
    (["pretrain-speaker", "--crop_seconds", "2", "1"], 2),
    (["pretrain-speaker", "--validation_share", "2"], 2),
    (["compare"], 2),
    (["compare", "empty"], 2),
    (["compare", "empty", "empty"], 1),
    (["compare", "file", "file"], 1),
    (["compare", "", ""], 2),
    (["compare", "a", "b", "c"], 2),
    (["predict"], 2),
    (["predict", "empty", "x.wav"], 1),
    (["predict", "file", "x.wav"], 1),
    (["predict", "", "x.wav"], 2),
    (["predict", "a/b/c", "x.wav"], 1),
    (["predict", "empty", "x.wav", "y"], 2),
    (["predict", "empty", "--text"], 2),
    (["predict", "empty", "--text", "a", "--text", "b"], 2),
    (["predict", "empty", "--video", ""], 2),
    (["predict", "empty", "--revision="], 2),
    (["explain"], 2),
    (["explain", "empty", "x.wav"], 1),
    (["explain", "file", "x.wav", "--batch-size", "0"], 2),
    (["explain", "nowhere/at/all", "x.wav", "--target", ""], 2),
    (["prepare"], 2),
    (["prepare", "x", "y"], 2),
    (["prepare", "folder"], 2),
    (["prepare", "folder", ""], 2),
    (["prepare", "folder", "nowhere"], 1),
    (["prepare", "folder", "file"], 1),
    (["prepare", "folder", "empty"], 1),
    (["prepare", "folder", "empty", "--labels", "["], 2),
    (["prepare", "folder", "empty", "--labels", "[" * 3000], 2),
    (["prepare", "folder", "empty", "--labels", "{a: &x [*x]}"], None),
    (["prepare", "folder", "empty", "--labels", '"\x00'], 2),
    (["prepare", "folder", "empty", "--labels"], 2),
    (["prepare", "folder", "empty", "--labels", ""], 2),
    (["prepare", "folder", "empty", "--banana"], 2),
    (["prepare", "folder", "empty", "--max-seconds", "-1"], None),
    (["prepare", "folder", "empty", "--max-seconds", "1", "--max_seconds", "2"], 2),
    (["prepare", "iemocap", "empty", "--classes", "[4]"], None),
    (["prepare", "iemocap", "empty", "--protocol", "x"], None),
    (["prepare", "iemocap", "empty", "--alignment-offset", "nan"], None),
    (["merge-adapter", "empty"], 2),
    (["merge-adapter", "empty", "out"], 1),
    (["merge-adapter", "file", "out"], 1),
    (["merge-adapter", "nowhere", "out"], 1),
    (["merge-adapter", "", "out"], 2),
    (["push", "empty"], 2),
    (["push", "empty", "a/b"], 1),
    (["push", "file", "a/b"], 1),
    (["push", "", "a/b"], 2),
    (["push", "empty", "a/b", "--revision", ""], 2),
    (["push", "empty", "a/b", "--metric", "--base-model", "x"], 2),
    (["memory"], 2),
    (["memory", "file"], 2),
    (["memory", ""], 2),
    (["memory", "open.yaml"], 2),
    (["memory", RECIPE, "--processes=1.5"], 2),
    *((["predict", folder, "x.wav"], 1) for folder in FOLDERS),
    *((["push", folder, "a/b", "--dry-run"], 1) for folder in FOLDERS),
    *((["merge-adapter", folder, "out"], 1) for folder in FOLDERS),
    *((["fit-late-fusion", "--members", folder, "--use_cpu"], 1) for folder in FOLDERS),
    (["benchmark", "x"], 2),
    (["benchmark", "resample", "--output", "empty"], 1),
    (["benchmark", "resample", "--output", "file/x"], 1),
    (["benchmark", "resample", "--output", "/proc/x.json"], 1),
    (["benchmark", "resample", "--output", ""], 2),
    (["demo", "--output_dir", ""], 2),
    (["demo", "--output_dir", "file"], 1),
    (["demo", "--seed", "x"], 2),
    (["demo", "x"], 2),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with files of the wrong kinds."""
    place = tmp_path_factory.mktemp("bad")
    (place / "empty").mkdir()
    (place / "file").write_text("x")
    (place / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (place / "list.yaml").write_text("- a\n")
    (place / "open.yaml").write_text("a: [\n")
    (place / "deep.yaml").write_text("model_config: " + "[" * 3000)
    for name, content in FOLDERS.items():
        (place / name).mkdir()
        for file in ("config.json", "adapter_config.json"):
            (place / name / file).write_bytes(content)
    return place


def names(commands, options):
    return [([command, option, "--use_cpu"], 2) for command in commands for option in options]


@pytest.mark.parametrize(
    ("argv", "status"),
    [*names(["train"], OPTIONS + OF_MODELS), *names([*RECIPE_COMMANDS], OPTIONS[::5]), *OTHERS],
    ids=lambda value: " ".join(value)[:60].encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_a_bad_command_line_is_one_sentence(argv, status, place, monkeypatch, capfd):
    monkeypatch.chdir(place)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for module, function in ((training_run, "train"), (fit, "load_rows")):
        monkeypatch.setattr(module, function, lambda *_: pytest.fail("it was accepted"))
    capfd.readouterr()
    found = main(argv)
    message = capfd.readouterr().err
    assert found in ((1, 2) if status is None else (status,)), message
    assert message.count("\n") == 1, message
    assert message.startswith("emofusion")
    assert not re.search(r"Errno|defect|<unicode|\b[A-Z]\w*(Error|Exception)\b", message), message
    assert message[:-1].isprintable()
    assert len(message) < 800
