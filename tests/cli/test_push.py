import pytest
from testing_commands import start_command
from testing_hub_server import TOKEN
from testing_model_folder import make_model_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with the folder of a model."""
    place = tmp_path_factory.mktemp("place")
    make_model_folder(place / "model")
    return place


@pytest.fixture
def push(place, hub):
    def run(*arguments, token=TOKEN):
        return start_command(
            "push",
            *arguments,
            cwd=place,
            HF_ENDPOINT=hub.endpoint,
            HF_HOME=str(place / "home"),
            HF_TOKEN=token,
            HF_HUB_DISABLE_XET="1",
            HF_HUB_OFFLINE="0",
        )

    return run


def test_a_dry_run_then_a_public_push(hub, push):
    dry = push("model", "someone/calm", "--public", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.startswith("To someone/calm (public, new), branch main:\n")
    assert not hub.repos
    done = push("model", "someone/calm", "--public", "--commit-message", "First words")
    assert done.returncode == 0, done.stderr
    repo = hub.repos["model", "someone/calm"]
    assert not repo.private
    first, commit, _ = repo.branches["main"]
    assert commit.message == "First words"
    assert done.stdout.startswith(dry.stdout)
    assert f'revision="{commit.sha}"' in done.stdout
    assert first.sha not in done.stdout


def test_a_refusal_is_one_sentence(hub, push):
    private = push("model", "somebody-else/calm")
    unknown = push("model", "calm", token="hf_unknown")
    loose = push("model", "someone/calm", "--base-model", "someone/base")
    for done, part in (
        (private, "may not write to somebody-else/calm"),
        (unknown, "does not know the token"),
        (loose, "has no adapters"),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith("emofusion push: ")
        assert part in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert not hub.repos
