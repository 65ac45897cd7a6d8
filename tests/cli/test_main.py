import dataclasses
import importlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import emofusion
import pyarrow
import pytest
import yaml
from emofusion.cli import compare, predict
from emofusion.cli.commands import COMMANDS
from emofusion.cli.main import main
from emofusion.cli.output import QUIET, prepare_output
from emofusion.cli.recipe_help import RECIPE_COMMANDS, TRAINER, group_options
from emofusion.training import recipe
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from testing_commands import start, start_command

SCRIPTS = Path(emofusion.__file__).parent / "scripts"
HEAVY = {"torch", "transformers", "datasets", "scipy", "sklearn", "matplotlib", "huggingface_hub", "accelerate"}
HEAVY |= {"peft", "optuna", "evaluate", "av", "soundfile", "soxr", "PIL", "jiwer", "espeakng_loader"}


def show_help_of_all(cwd):
    """Print the help of every command in one process; return what it printed, and the libraries that it imported."""
    code = (
        "import contextlib, io, json, sys\n"
        "from emofusion.cli.main import main\n"
        "printed = {}\n"
        "for command in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):\n"
        "        main([command, '--help'] if command else ['--help'])\n"
        "    printed[command] = output.getvalue()\n"
        "libraries = {name.partition('.')[0] for name in sys.modules}\n"
        "print(json.dumps([printed, sorted(libraries)]))\n"
    )
    done = start(sys.executable, "-c", code, "", *COMMANDS, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_says_what_every_command_does_and_imports_no_heavy_library(tmp_path):
    printed, libraries = show_help_of_all(tmp_path)
    for command, purpose in COMMANDS.items():
        assert f"  {command} " in printed[""]
        assert purpose in " ".join(printed[""].split())
        assert printed[command].startswith(f"usage: emofusion {command} ")
        assert " ".join(purpose.split()) in " ".join(printed[command].split())
    assert max(map(len, printed[""].splitlines())) <= 80
    assert not HEAVY & set(libraries)


@pytest.mark.parametrize("command", RECIPE_COMMANDS)
def test_help_reads_the_fields_that_the_dataclasses_have(command):
    expected = {
        field.name: (field.metadata["help"], field.default if field.default is not dataclasses.MISSING else None)
        for group in recipe.COMMANDS[command].values()
        for field in dataclasses.fields(group)
        if field.init
    }
    groups = group_options(command)
    shown = [option for options in groups.values() for option in options]
    assert len(shown) == len({option.name for option in shown})
    assert {option.name: option.help for option in shown} == {name: text for name, (text, _) in expected.items()}
    for heading, options in groups.items():
        for option in options:
            if heading != TRAINER and option.default is not None:
                assert option.default == expected[option.name][1], option.name


def test_every_script_is_a_command():
    doors = {path.stem: path.read_text() for path in SCRIPTS.glob("*.py") if path.stem != "compare_transfer"}
    called = [command for command in COMMANDS for text in doors.values() if f'main(["{command}", *sys.argv' in text]
    assert sorted(called) == sorted(COMMANDS)


def test_an_unknown_command_names_the_closest_one(capsys):
    assert main(["trian"]) == 2
    assert (
        capsys.readouterr().err
        == "emofusion: There is no command 'trian' (did you mean 'train'?); see emofusion --help.\n"
    )


@pytest.mark.parametrize("command", RECIPE_COMMANDS)
def test_a_command_without_its_recipe_is_refused(capsys, command):
    assert main([command]) == 2
    assert "No recipe is given; write RECIPE.yaml" in capsys.readouterr().err


def test_an_argument_may_follow_an_option(monkeypatch, capsys):

    def load(folder, *_, **__):
        return lambda inputs, **_: [{"label": f"{folder}, {inputs['audio']}", "score": 1.0}]

    monkeypatch.setattr(predict, "load_pipeline", load)
    assert main(["predict", "FOLDER", "--text", "Hello.", "x.wav"]) == 0
    assert capsys.readouterr().out.startswith("FOLDER, x.wav ")


def test_no_command_prints_the_overview(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: emofusion COMMAND")


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"emofusion {emofusion.__version__}\n"


def test_wrong_arguments_are_one_sentence_and_status_2(tmp_path):
    done = start_command("compare", "here", "there", "--sed", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "emofusion compare: Unknown argument --sed; see emofusion compare --help.\n"
    assert done.stdout == ""


def test_a_failure_is_one_sentence_and_status_1(tmp_path):
    done = start_command("compare", "here", "there", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("emofusion compare: here/results.json does not exist")
    assert done.stderr.count("\n") == 1


def fail_with(error):
    def run(*arguments):
        raise error

    return run


def test_a_failure_of_several_lines_becomes_one(monkeypatch, capsys):
    monkeypatch.setattr(compare, "run", fail_with(ValueError("First line.\n  Second line.")))
    assert main(["compare"]) == 1
    assert capsys.readouterr().err == "emofusion compare: First line. Second line.\n"


def test_traceback_shows_where_a_failure_comes_from(monkeypatch):
    monkeypatch.setattr(compare, "run", fail_with(ValueError("Wrong.")))
    with pytest.raises(ValueError, match="Wrong"):
        main(["compare", "--traceback"])


def test_a_defect_is_one_sentence_that_names_a_file_with_its_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(compare, "run", fail_with(KeyError("labels")))
    assert main(["compare", "--hub_token", "secret"]) == 1
    (file,) = tmp_path.iterdir()
    expected = f"a defect of emofusion (KeyError 'labels'); please report it with the traceback in {file}.\n"
    assert capsys.readouterr().err == f"emofusion compare: This is {expected}"
    text = file.read_text()
    assert "raise error\nKeyError: 'labels'" in text
    assert "secret" not in text
    with pytest.raises(KeyError):
        main(["compare", "--traceback"])


def test_a_traceback_that_cannot_be_saved_is_printed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr(compare, "run", fail_with(KeyError("labels")))
    assert main(["compare"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.endswith("please report it with the traceback above.\n")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileExistsError(17, "File exists", "x"), "x exists, and is not a folder."),
        (OSError(5, "Input/output error", "x"), "x: Input/output error."),
        (OSError(28, "No space left on device"), "No space left on device."),
        (ValueError(f"x is no folder ({FileExistsError(17, 'File exists')})."), "x is no folder (File exists)."),
        (MemoryError(), "The memory is exhausted; use smaller batches or shorter recordings."),
        (RecursionError("maximum recursion depth exceeded"), "An input is nested too deeply."),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "A text is not in the expected encoding"),
        (json.JSONDecodeError("Expecting value", "", 0), "A JSON text cannot be read: Expecting value"),
        (SafetensorError("header too short"), "A safetensors file is damaged: header"),
        (yaml.YAMLError("bad\nindent"), "A YAML text cannot be read: bad indent"),
        (pyarrow.ArrowException("no table"), "A table cannot be read: no table"),
        (
            StrictDataclassError("Field 'x':\n    TypeError: not int"),
            "A configuration is invalid: Field 'x': not int",
        ),
        (RuntimeError("Error(s) in loading state_dict for X: size mismatch"), "Weights do not fit the model: "),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GB"), "The memory is exhausted; use smaller batches"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "A process that loads recordings"),
        (ValueError("red \x1b[31m, bell \x07"), r"red \x1b[31m, bell \x07"),
        (ValueError("x" * 5000), f"{'x' * 1499}…"),
    ],
)
def test_an_expected_failure_is_one_sentence(monkeypatch, capsys, error, sentence):
    monkeypatch.setattr(compare, "run", fail_with(error))
    assert main(["compare"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"emofusion compare: {sentence}")
    assert printed.count("\n") == 1
    assert "defect" not in printed


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_console_cannot_encode_is_escaped(monkeypatch, encoding):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    rows = [{"start": 0.0, "end": 1.0, "scores": [{"label": "\u7206 \udcff", "score": 1.0}]}]
    monkeypatch.setattr(predict, "load_pipeline", lambda *_, **__: lambda *_, **__: rows)
    assert main(["predict", "FOLDER", "x.wav"]) == 0
    assert main(["predict", "FOLDER", "x.wav", "--y\u7206.wav"]) == 2
    assert streams[0].buffer.getvalue().startswith(rb"\u7206 \udcff")
    assert rb"y\u7206.wav" in streams[1].buffer.getvalue()


def test_progress_bars_are_off_where_no_terminal_is(monkeypatch, capsys):
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    prepare_output()
    assert not [name for name in QUIET if name in os.environ]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setenv(QUIET[0], "0")
    prepare_output()
    assert [os.environ[name] for name in QUIET] == ["0", "1", "1"]


def test_a_warning_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(
        compare, "run", lambda argv: sys.stderr.write(warnings.formatwarning("a\nb", UserWarning, "f", 1))
    )
    before = warnings.formatwarning
    assert main(["compare"]) == 0
    assert capsys.readouterr().err == "emofusion compare: Warning: a b\n"
    assert warnings.formatwarning is before


def test_an_interruption_is_status_130(monkeypatch, capsys):
    monkeypatch.setattr(compare, "run", fail_with(KeyboardInterrupt()))
    assert main(["compare"]) == 130
    assert capsys.readouterr().err == "emofusion compare: Interrupted.\n"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["benchmark", "--list"]])
def test_a_closed_pipe_ends_the_command_silently(arguments):
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "emofusion", *arguments]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, timeout=250)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_closed_standard_output_is_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("peft", "train"),
        ("sklearn", "train"),
        ("optuna", "search"),
        ("espeakng_loader", "demo"),
        ("trackio", "tracking"),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_installs_it(monkeypatch, capsys, module, extra):
    monkeypatch.setattr(
        compare, "run", fail_with(ModuleNotFoundError(f"No module named '{module}.x'", name=f"{module}.x"))
    )
    assert main(["compare"]) == 1
    printed = capsys.readouterr().err
    assert printed.endswith(f" is not installed; install it with: pip install 'emofusion[{extra}]'\n")


def test_a_missing_library_of_a_public_name_is_named(monkeypatch):
    monkeypatch.delitem(vars(emofusion), "train", raising=False)
    monkeypatch.setattr(importlib, "import_module", fail_with(ModuleNotFoundError("No.", name="accelerate")))
    expected = "emofusion.train: accelerate is not installed; install it with: pip install 'emofusion[train]'"
    with pytest.raises(ImportError, match=re.escape(expected)):
        emofusion.train  # noqa: B018
