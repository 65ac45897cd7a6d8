"""A folder becomes a repository of the Hub, or a new commit in one: looked through, shown, and sent in one commit."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    constants,
    get_token,
)
from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError

from .contents import Contents, collect_contents, is_repo_id, kind_of

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


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = True,
    revision: str = "main",
    commit_message: str | None = None,
    base_model: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
    tell: Callable[[str], object] = print,
) -> CommitInfo | None:
    """Publish a model: weights, code, processor, card, results and pictures in one commit.

    What leaves is told first. A second commit writes the first one's id into the examples of the card, so that the page
    loads exactly these files and this code for ever. The folder itself stays as it is. Files of the repository that the
    folder has no longer, such as weights in more parts, are removed, if they are of a kind that is published.

    Args:
        folder: as runs leave it.
        repo_id: "owner/name", or a name of yours.
        private: whether only you see the repository. That of one that exists is never changed.
        revision: branch, made if it is not there.
        commit_message: first line of the commit.
        base_model: Hub id of the base of adapters, where `adapter_config.json` names a folder.
        token: of the Hub, by default that of `hf auth login` or `HF_TOKEN`.
        dry_run: tell only.
        tell: is given what is going to leave, as text of several lines.

    Returns:
        The commit with everything in it (`oid`, `commit_url`); None of a dry run.

    Raises:
        FileNotFoundError: if the folder holds no complete model.
        OSError: if the Hub cannot be reached or refuses.
        ValueError: if a file may not be published, a name is bad, or the repository is public though `private`, or
            the other way round.
    """
    check_repo_id(repo_id)
    contents = collect_contents(folder, base_model)
    remote = look_at(repo_id, "model", private, revision, token, dry_run)
    card = address_card(contents.read("README.md"), remote.repo_id, base_model=base_model)
    contents.files["README.md"] = card.encode()
    tell(describe(contents.files, contents, remote, revision))
    check_visibility(remote, private)
    if dry_run:
        return None
    commit = upload(
        contents.files,
        remote,
        revision=revision,
        commit_message=commit_message or f"Upload {Path(folder).resolve().name}",
        token=token,
        is_ours=lambda name: kind_of(name) is not None,
    )
    card = address_card(card, remote.repo_id, revision=commit.oid)
    try:
        with one_sentence(remote.repo_id):
            HfApi(token=token).create_commit(
                remote.repo_id,
                [CommitOperationAdd("README.md", card.encode())],
                commit_message="Pin the revision in the card",
                revision=revision,
                parent_commit=commit.oid,
            )
    except OSError as error:
        raise OSError(f"Everything is in {commit.commit_url}, only the card does not name it: {error}") from error
    tell(f"{commit.commit_url}\n\n{example_of(card)}")
    return commit


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


def describe(files: Mapping[str, Path | bytes], contents: Contents, remote: Remote, revision: str) -> str:
    """What leaves, how large it is, where it goes and who will see it; and what stays."""
    sizes = {name: contents.size(name) for name in files}
    who = "private" if remote.private else "public"
    lines = [f"To {remote.repo_id} ({who}, {'there already' if remote.exists else 'new'}), branch {revision}:"]
    lines += [f"  {format_size(size):>8}  {name}" for name, size in sizes.items()]
    lines.append(f"  {format_size(sum(sizes.values())):>8}  in {len(sizes)} files")
    lines += [f"Changed in what is sent: {note}" for note in contents.notes]
    if "results.json" in files and (corpus := json.loads(contents.read("results.json")).get("corpus", {})):
        licence = corpus.get("license", "not known here; it decides whether models may be published")
        lines.append(
            f"Trained on {corpus.get('title', corpus.get('name'))}, of which nothing is sent. Its licence: {licence}."
        )
    if contents.stays:
        lines.append("Not sent: " + ", ".join(f"{name} ({reason})" for name, reason in contents.stays.items()) + ".")
    if gone := [name for name in remote.files if name not in files and kind_of(name)]:
        lines.append(f"Removed from the repository: {', '.join(gone)}.")
    return "\n".join(lines)


def format_size(size: int) -> str:
    """A number of bytes for people: `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


PYTHON = re.compile(r"(?<=```python\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"""(from_pretrained\(\s*|\bmodel=)(["'])[^"'\n]*\2""")
TRUST = re.compile(r"""(?:,\s*revision=(["'])[^"'\n]*\1)?(,\s*)trust_remote_code=True""")


def address_card(card: str, repo_id: str, *, revision: str | None = None, base_model: str | None = None) -> str:
    """Make a card the page of a repository: its name, and examples that load from there.

    Args:
        card: text of a README.md.
        repo_id: of the repository.
        revision: commit that the examples load; the newest, if None.
        base_model: of adapters.

    Returns:
        The card, otherwise as it was.
    """

    def aim(block: re.Match) -> str:
        example = SOURCE.sub(lambda call: f'{call[1]}"{repo_id}"', block[0])
        pin = f', revision="{revision}"' if revision else ""
        return TRUST.sub(lambda call: f"{pin}{call[2]}trust_remote_code=True", example)

    page = ModelCard(PYTHON.sub(aim, card))
    page.text = re.sub(r"^# .*$", f"# {repo_id.rpartition('/')[2]}", page.text, count=1, flags=re.MULTILINE)
    if page.data.get("model_name"):
        page.data.model_name = repo_id
    if base_model is not None:
        page.data.base_model = base_model
    return str(page)


def example_of(card: str) -> str:
    """The first example of a card."""
    example = PYTHON.search(card)
    return "" if example is None else example[0].rstrip()


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
