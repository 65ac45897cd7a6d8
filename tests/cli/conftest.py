"""Commands, run in this process, which is faster than in another."""

import json
import sys
from pathlib import Path

import emofusion
import pytest
from emofusion.cli.main import main
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK
from testing_commands import start
from testing_training import tiny_recipe


@pytest.fixture
def call(capfd):
    """Runs a command; returns what it and its subprocesses printed."""

    def run(command, *arguments):
        capfd.readouterr()  # what was printed before
        status = main([command, *map(str, arguments)])
        printed = capfd.readouterr()
        assert status == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def complaint(capfd):
    """Runs a command that fails; returns its one sentence, without the name of the command."""

    def run(command, *arguments, status=1):
        capfd.readouterr()
        assert main([command, *map(str, arguments)]) == status
        message = capfd.readouterr().err.splitlines()[-1]
        assert message.startswith(f"emofusion {command}: ")
        return message.removeprefix(f"emofusion {command}: ")

    return run


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with a corpus and a recipe."""
    place = tmp_path_factory.mktemp("commands")
    recipe = tiny_recipe(place / "corpora", place / "unused", num_train_epochs=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    return place


@pytest.fixture(scope="session")
def row(place):
    """A test utterance of that corpus."""
    return load_corpus("spoken", place / "corpora", utterances=BLOCK)["test"][0]


@pytest.fixture(scope="session")
def trained(place):
    """The finished process of `scripts/train.py`, and the folder that it made."""
    script = Path(emofusion.__file__).parent / "scripts" / "train.py"
    options = ("--output_dir", "plain", "--learning_rate", "5e-3", "--model_config.conv_kernel_size", "5")
    return start(sys.executable, script, "recipe.yaml", *options, cwd=place), place / "plain"
