"""Asking the Hub and writing to it, with one sentence where something is wrong."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError

from .contents import is_repo_id

NO_TOKEN = "There is no token of the Hub: run `hf auth login`, or set HF_TOKEN."
ANSWERS = {
    401: "The Hub does not know the token: run `hf auth login`, or set HF_TOKEN to a valid one.",
    402: "The Hub wants to be paid for {repo_id}.",
    403: "This token may not write to {repo_id}: it only reads, or the repository belongs to somebody else, or is full.",
    404: "The Hub has no {repo_id} that this token can see, or no such branch in it.",
    409: "{repo_id} is there already, and this token cannot see it: choose another name.",
    412: "{repo_id} was changed by somebody else at the same moment: look at it, and push again.",
    413: "A file is too large for the Hub.",
    429: "The Hub was asked too often: wait some minutes, and push again.",
}


@dataclass(frozen=True)
class Remote:
    """What is known of a repository.

    Args:
        repo_id: with its owner.
        exists: whether it is there.
        private: whether it is, or will be.
        head: commit of the branch, None where there is no such branch yet.
        files: names in the branch.
    """

    repo_id: str
    exists: bool
    private: bool
    head: str | None
    files: list[str]


def check_repo_id(repo_id: str) -> None:
    """Refuse what no repository can be called.

    Raises:
        ValueError: in that case.
    """
    if not is_repo_id(repo_id):
        raise ValueError(
            f"{repo_id!r} is no name of a repository: give OWNER/NAME, of letters, digits, '-', '_' and '.'."
        )


def look_at(
    repo_id: str,
    repo_type: str,
    private: bool,
    revision: str = "main",
    token: str | None = None,
    lenient: bool = False,
) -> Remote:
    """Ask the Hub what there is.

    Args:
        repo_id: with or without its owner.
        repo_type: "model" or "space".
        private: whether it shall be, if it is not there yet.
        revision: branch.
        token: of the Hub.
        lenient: suppose that nothing is there where the Hub cannot be asked.

    Raises:
        OSError: if the Hub cannot be asked.
    """
    api, new = HfApi(token=token), Remote(repo_id, False, private, None, [])
    if token is None and get_token() is None:
        if lenient:
            return new
        raise OSError(NO_TOKEN)
    try:
        with one_sentence(repo_id):
            if "/" not in repo_id:
                repo_id = f"{api.whoami()['name']}/{repo_id}"
            try:
                private = api.repo_info(repo_id, repo_type=repo_type).private
            except RepositoryNotFoundError:
                return Remote(repo_id, False, private, None, [])
            try:
                head = api.repo_info(repo_id, repo_type=repo_type, revision=revision).sha
                files = api.list_repo_files(repo_id, repo_type=repo_type, revision=head)
            except RevisionNotFoundError:
                head, files = None, []
            return Remote(repo_id, True, private, head, files)
    except OSError:
        if lenient:
            return new
        raise


def check_visibility(remote: Remote, private: bool) -> None:
    """Publish nothing where another public reads it than was meant.

    Raises:
        ValueError: if the repository exists and is public or private, unlike `private`.
    """
    if remote.exists and remote.private != private:
        if private:
            raise ValueError(
                f"{remote.repo_id} is public: everybody would see the files. Pass --public if that is meant."
            )
        raise ValueError(
            f"{remote.repo_id} is private, and stays so: make it public in its settings, or leave out --public."
        )


def upload(
    files: Mapping[str, Path | bytes],
    remote: Remote,
    *,
    repo_type: str = "model",
    revision: str = "main",
    commit_message: str,
    token: str | None = None,
    is_ours: Callable[[str], bool],
) -> CommitInfo:
    """Make the repository and the branch, if there are none, and commit once.

    Args:
        files: name -> content.
        remote: from `look_at`.
        repo_type: "model" or "space".
        revision: branch.
        commit_message: first line of the commit.
        token: of the Hub.
        is_ours: whether a file in the repository is to be removed when it is not among `files`.

    Raises:
        OSError: if the Hub cannot be reached or refuses.
    """
    api, repo_id = HfApi(token=token), remote.repo_id
    with one_sentence(repo_id):
        if not remote.exists:
            sdk = "gradio" if repo_type == "space" else None
            api.create_repo(repo_id, repo_type=repo_type, private=remote.private, space_sdk=sdk)
        if remote.head is None and revision != "main":
            api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
        return api.create_commit(
            repo_id,
            [CommitOperationAdd(name, source) for name, source in files.items()]
            + [CommitOperationDelete(name) for name in remote.files if name not in files and is_ours(name)],
            commit_message=commit_message,
            repo_type=repo_type,
            revision=revision,
            parent_commit=remote.head,
        )


@contextmanager
def one_sentence(repo_id: str) -> Iterator[None]:
    """Say in one sentence what the client of the Hub says in many.

    Raises:
        OSError: instead of the client's errors.
    """
    try:
        yield
    except RepositoryNotFoundError as error:
        raise OSError(ANSWERS[404].format(repo_id=repo_id)) from error
    except OfflineModeIsEnabled as error:
        raise OSError("HF_HUB_OFFLINE is set: unset it, to push.") from error
    except (HTTPError, RuntimeError) as error:
        raise OSError(_explain(error, repo_id)) from error
    except ValueError as error:
        raise OSError(f"The Hub refuses what {repo_id} shall hold: {' '.join(str(error).split())}") from error


def _explain(error: Exception, repo_id: str) -> str:
    # Of a file that could not be sent the client tells in another error.
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    response = getattr(cause, "response", None)
    if response is None:
        failed = "cannot be reached" if isinstance(cause, HTTPError) else "could not be given the files"
        return f"The Hub ({constants.ENDPOINT}) {failed}: {_first_line(cause)}"
    said = getattr(cause, "server_message", None)
    sentence = ANSWERS.get(response.status_code)
    if sentence is None:
        return f"The Hub answered {response.status_code}: {said or _first_line(cause)}"
    return sentence.format(repo_id=repo_id) + (f" It says: {' '.join(said.split())}" if said else "")


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
