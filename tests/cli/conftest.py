"""Commands, run in this process, which is faster than in another."""

import pytest
from emofusion.cli.main import main


@pytest.fixture(scope="module", autouse=True)
def quick_runs(unrendered_pictures, spoken_read_once):
    """Runs read a corpus once per module and do not render their pictures."""


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
