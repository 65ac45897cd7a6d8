"""Publishing a checkpoint folder as a repository of the Hub: checked, listed, and sent in one commit."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, ModelCard

from ..configuration.plain_text import format_size, one_line
from ..evaluation.results import FILE as RESULTS
from ..evaluation.results import RunResults, parse_results
from .contents import Contents, collect_contents, kind_of
from .page import LOCAL_NOTE
from .remote import Remote, check_repo_id, check_visibility, explain_errors, inspect_remote, upload


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
    log: Callable[[str], object] = print,
) -> CommitInfo | None:
    """Publish a model: weights, code, processor, card, results and pictures in one commit.

    The plan is logged before anything is sent. A second commit writes the id of the first into the examples of the card,
    so that they always load these files and this code. The folder itself does not change. Files of the repository that
    the folder no longer has, as shards of weights, are removed if they are of a kind that is published.

    Args:
        folder: The folder of a finished run.
        repo_id: "owner/name", or a name in your own account.
        private: Whether only you see a new repository. An existing one keeps its visibility.
        revision: The branch; it is created if it does not exist.
        commit_message: First line of the commit.
        base_model: Hub id of the base of adapters, where `adapter_config.json` names a folder.
        token: Token of the Hub, by default that of `hf auth login` or `HF_TOKEN`.
        dry_run: Whether to log the plan and send nothing.
        log: Called with texts of several lines: the plan, then the address of the commit.

    Returns:
        The commit that has all files (`oid`, `commit_url`), None for a dry run.

    Raises:
        FileNotFoundError: If the folder has no complete model.
        OSError: If the Hub cannot be reached, or refuses.
        ValueError: If a file may not be published, a name is invalid, or the repository exists and its visibility is not
            `private`.
    """
    check_repo_id(repo_id)
    contents = collect_contents(folder, base_model)
    remote = inspect_remote(repo_id, "model", private, revision, token, dry_run)
    base_revision = _pin_base(contents, token, dry_run)
    card = address_card(contents.read("README.md"), remote.repo_id, base_model=base_model)
    contents.files["README.md"] = card.encode()
    log(describe(contents, remote, revision))
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
    pinned = address_card(card, remote.repo_id, revision=commit.oid, base_revision=base_revision)
    if pinned != card:
        _commit_card(pinned, commit, remote.repo_id, revision, token)
    log(f"{commit.commit_url}\n\n{find_example(pinned)}".rstrip())
    return commit


def _pin_base(contents: Contents, token: str | None, lenient: bool) -> str | None:
    """Write the commit of the base model into `adapter_config.json`, and return it."""
    if "adapter_config.json" not in contents.files:
        return None
    config = json.loads(contents.read("adapter_config.json"))
    base = config["base_model_name_or_path"]
    try:
        with explain_errors(base):
            config["revision"] = HfApi(token=token).model_info(base, revision=config.get("revision")).sha
    except OSError:
        if lenient:
            return None
        raise
    contents.files["adapter_config.json"] = f"{json.dumps(config, indent=2)}\n".encode()
    contents.notes.append(f"adapter_config.json: the base model is pinned to its commit {config['revision']}.")
    return config["revision"]


def _commit_card(card: str, commit: CommitInfo, repo_id: str, revision: str, token: str | None) -> None:
    try:
        with explain_errors(repo_id):
            HfApi(token=token).create_commit(
                repo_id,
                [CommitOperationAdd("README.md", card.encode())],
                commit_message="Pin the revision in the card",
                revision=revision,
                parent_commit=commit.oid,
            )
    except OSError as error:
        raise OSError(f"All files are in {commit.commit_url}, but its card is not pinned to it: {error}") from error


def describe(contents: Contents, remote: Remote, revision: str) -> str:
    """Return the plan of a push: the files and their sizes, the target and its visibility, and what is not sent."""
    sizes = {name: contents.size(name) for name in contents.files}
    visibility = "private" if remote.private else "public"
    lines = [f"To {remote.repo_id} ({visibility}, {'existing' if remote.exists else 'new'}), branch {revision}:"]
    lines += [f"  {format_size(size):>8}  {name}" for name, size in sizes.items()]
    lines.append(f"  {format_size(sum(sizes.values())):>8}  in {len(sizes)} files")
    lines += [f"Changed for the Hub: {note}" for note in contents.notes]
    if RESULTS in sizes and (sentence := _describe_licence(contents.read(RESULTS))):
        lines.append(sentence)
    if contents.kept:
        lines.append(
            "Not sent: "
            + ", ".join(f"{one_line(name, 80)} ({reason})" for name, reason in contents.kept.items())
            + "."
        )
    if removed := [name for name in remote.files if name not in sizes and kind_of(name)]:
        lines.append(f"Removed from the repository: {', '.join(removed)}.")
    return "\n".join(lines)


def _describe_licence(text: str) -> str:
    """Return a sentence on the licence of the corpus in the text of `results.json`; empty for a demonstration."""
    try:
        results = parse_results(text)
    except ValueError as error:
        raise ValueError(f"{RESULTS}: {error}") from error
    if (
        not isinstance(results, RunResults)
        or results.corpus.demonstration
        or not (results.corpus.title or results.corpus.name)
    ):
        return ""
    licence = one_line(results.corpus.license or "unknown; check whether it allows you to publish models")
    title = one_line(results.corpus.title or results.corpus.name)
    return f"Trained on {title}, which is not sent. Its licence: {licence}."


PYTHON = re.compile(r"(?<=```python\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"""(from_pretrained\(\s*|\bmodel=)(["'])[^"'\n]*\2""")
TRUST = re.compile(
    r"""(?:,\s*revision=(["'])[^"'\n]*\1)?(?:,\s*adapter_kwargs=\{[^}\n]*\})?(,\s*)trust_remote_code=True"""
)


def address_card(
    card: str,
    repo_id: str,
    *,
    revision: str | None = None,
    base_model: str | None = None,
    base_revision: str | None = None,
) -> str:
    """Return a card with the name of a repository, and with examples that load from it.

    Args:
        card: The text of a README.md.
        repo_id: Id of the repository.
        revision: Commit that the examples load; None loads the newest.
        base_model: Base model of adapters, for the metadata.
        base_revision: Commit of the base model. transformers takes it as `revision` of a model with adapters.
    """

    def address(line: str) -> str:
        pin = f', revision="{revision}"' if revision else ""
        if revision and base_revision and "Processor" not in line:
            pin = f', revision="{base_revision}", adapter_kwargs={{"revision": "{revision}"}}'
        line = SOURCE.sub(lambda call: f'{call[1]}"{repo_id}"', line)
        return TRUST.sub(lambda call: f"{pin}{call[2]}trust_remote_code=True", line)

    card = card.replace(f"{LOCAL_NOTE}\n\n", "")
    page = ModelCard(PYTHON.sub(lambda block: "".join(map(address, block[0].splitlines(keepends=True))), card))
    page.text = re.sub(r"^# .*$", f"# {repo_id.rpartition('/')[2]}", page.text, count=1, flags=re.MULTILINE)
    if page.data.get("model_name"):
        page.data.model_name = repo_id
    if base_model is not None:
        page.data.base_model = [base_model]
    return str(page)


def find_example(card: str) -> str:
    """Return the first example of a card, empty if it has none."""
    example = PYTHON.search(card)
    return "" if example is None else example[0].rstrip()
