"""Requests to the Hub, with errors of one sentence."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError

from ..configuration.plain_text import first_line, one_line, reason_of
from .contents import is_repo_id

NO_TOKEN = "There is no token of the Hub: run `hf auth login`, or set HF_TOKEN."
# status of a response -> sentence
EXPLANATIONS = {
    401: "The Hub does not know the token: run `hf auth login`, or set HF_TOKEN to a valid one.",
    402: "The Hub requires a payment for {repo_id}.",
    403: "The token may not write to {repo_id}: it is read-only, the repository belongs to somebody else, or its quota is "
    "used up.",
    404: "The Hub has no {repo_id} that this token can see, or no such branch in it.",
    409: "{repo_id} exists already, and this token cannot see it: choose another name.",
    412: "{repo_id} was changed by another commit in the meantime: look at it, and push again.",
    413: "A file is too large for the Hub.",
    429: "The Hub limits the number of requests: wait some minutes, and push again.",
}


@dataclass(frozen=True)
class Remote:
    """State of a repository on the Hub.

    Args:
        repo_id: Its id, with the owner.
        exists: Whether it exists.
        private: Whether it is private, or will be.
        head: Commit of the branch, None if the branch does not exist.
        files: Names of the files in the branch.
    """

    repo_id: str
    exists: bool
    private: bool
    head: str | None
    files: list[str]


def check_repo_id(repo_id: str) -> None:
    """Check that a repository can have this id.

    Raises:
        ValueError: If not.
    """
    if not is_repo_id(repo_id):
        raise ValueError(
            f"{repo_id!r} is not the name of a repository: give OWNER/NAME, with letters, digits, '-', '_' and '.'."
        )


def inspect_remote(
    repo_id: str,
    repo_type: str,
    private: bool,
    revision: str = "main",
    token: str | None = None,
    lenient: bool = False,
) -> Remote:
    """Return the state of a repository.

    Args:
        repo_id: Its id, with or without the owner.
        repo_type: "model" or "space".
        private: Whether it is to be private if it does not exist yet.
        revision: The branch.
        token: Token of the Hub.
        lenient: Whether to assume that it does not exist if the Hub cannot be reached.

    Raises:
        OSError: If the Hub cannot be reached, or refuses.
    """
    api, new = HfApi(token=token), Remote(repo_id, False, private, None, [])
    if token is None and get_token() is None:
        if lenient:
            return new
        raise OSError(NO_TOKEN)
    try:
        with explain_errors(repo_id):
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
    """Check that an existing repository has the intended visibility.

    Args:
        remote: State of the repository.
        private: Whether it should be private.

    Raises:
        ValueError: If it exists and its visibility differs.
    """
    if remote.exists and remote.private != private:
        if private:
            raise ValueError(
                f"{remote.repo_id} is public, so everybody would see the files: pass --public to publish them."
            )
        raise ValueError(f"{remote.repo_id} is private: make it public in its settings, or leave out --public.")


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
    """Create the repository and the branch where they do not exist, and commit once.

    Args:
        files: Files, or their content, by name.
        remote: From `inspect_remote`.
        repo_type: "model" or "space".
        revision: The branch.
        commit_message: First line of the commit.
        token: Token of the Hub.
        is_ours: Whether a file of the repository that is not in `files` is removed.

    Raises:
        OSError: If the Hub cannot be reached, or refuses.
    """
    api, repo_id = HfApi(token=token), remote.repo_id
    with explain_errors(repo_id):
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
def explain_errors(repo_id: str) -> Iterator[None]:
    """Turn the errors of the Hub's client into an OSError of one sentence.

    Args:
        repo_id: The repository that the sentence names.

    Raises:
        OSError: Instead of the client's errors.
    """
    try:
        yield
    except RepositoryNotFoundError as error:
        raise OSError(EXPLANATIONS[404].format(repo_id=repo_id)) from error
    except OfflineModeIsEnabled as error:
        raise OSError("HF_HUB_OFFLINE is set: unset it to push.") from error
    except (HTTPError, RuntimeError) as error:
        raise OSError(_explain(error, repo_id)) from error
    except ValueError as error:
        raise OSError(f"The Hub refuses the files for {repo_id}: {reason_of(error)}.") from error


def _explain(error: Exception, repo_id: str) -> str:
    # The client wraps the error of an upload in a RuntimeError.
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    response = getattr(cause, "response", None)
    if response is None:
        failed = "cannot be reached" if isinstance(cause, HTTPError) else "did not take the files"
        return f"The Hub ({constants.ENDPOINT}) {failed}: {first_line(cause)}"
    message = getattr(cause, "server_message", None)
    sentence = EXPLANATIONS.get(response.status_code)
    if sentence is None:
        return f"The Hub answered {response.status_code}: {message or first_line(cause)}"
    return sentence.format(repo_id=repo_id) + (f" Its message: {one_line(message)}" if message else "")
