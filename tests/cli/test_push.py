import pytest
from emofusion.cli.main import main
from testing_model_folder import make_model_folder

# The Hub's client passes files to its HTTP library in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with the folder of a model."""
    place = tmp_path_factory.mktemp("place")
    make_model_folder(place / "model")
    return place


def test_a_dry_run_then_a_public_push(hub, call, place, monkeypatch):
    monkeypatch.chdir(place)
    dry = call("push", "model", "someone/calm", "--public", "--dry-run")
    assert dry.startswith("To someone/calm (public, new), branch main:\n")
    assert not hub.repos
    done = call("push", "model", "someone/calm", "--public", "--commit-message", "First words")
    repo = hub.repos["model", "someone/calm"]
    assert not repo.private
    first, commit, _ = repo.branches["main"]
    assert commit.message == "First words"
    assert done.startswith(dry)
    assert f'revision="{commit.sha}"' in done
    assert first.sha not in done


def test_a_refusal_is_one_sentence(hub, place, capfd, monkeypatch):
    monkeypatch.chdir(place)
    assert main(["push", "model", "somebody-else/calm"]) == 1  # others are in tests/hub
    message = capfd.readouterr().err
    assert message.startswith("emofusion push: ")
    assert "may not write to somebody-else/calm" in message
    assert message.count("\n") == 1, message
    assert not hub.repos
