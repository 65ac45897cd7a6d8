"""A folder becomes a repository of the Hub, or a new commit in one: looked through, shown, and sent in one commit."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, ModelCard

from .contents import Contents, collect_contents, kind_of
from .remote import Remote, check_repo_id, check_visibility, look_at, one_sentence, upload


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
    base_revision = _pin_base(contents, token, dry_run)
    card = address_card(contents.read("README.md"), remote.repo_id, base_model=base_model)
    contents.files["README.md"] = card.encode()
    tell(describe(contents, remote, revision))
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
    tell(f"{commit.commit_url}\n\n{example_of(pinned)}".rstrip())
    return commit


def _pin_base(contents: Contents, token: str | None, lenient: bool) -> str | None:
    """Write into `adapter_config.json` which commit of their base adapters belong to, and return it."""
    if "adapter_config.json" not in contents.files:
        return None
    config = json.loads(contents.read("adapter_config.json"))
    base = config["base_model_name_or_path"]
    try:
        with one_sentence(base):
            config["revision"] = HfApi(token=token).model_info(base, revision=config.get("revision")).sha
    except OSError:
        if lenient:
            return None
        raise
    contents.files["adapter_config.json"] = f"{json.dumps(config, indent=2)}\n".encode()
    contents.notes.append(f"adapter_config.json: the base is pinned to its commit {config['revision']}.")
    return config["revision"]


def _commit_card(card: str, commit: CommitInfo, repo_id: str, revision: str, token: str | None) -> None:
    try:
        with one_sentence(repo_id):
            HfApi(token=token).create_commit(
                repo_id,
                [CommitOperationAdd("README.md", card.encode())],
                commit_message="Pin the revision in the card",
                revision=revision,
                parent_commit=commit.oid,
            )
    except OSError as error:
        raise OSError(f"Everything is in {commit.commit_url}, only the card does not name it: {error}") from error


def describe(contents: Contents, remote: Remote, revision: str) -> str:
    """What leaves, how large it is, where it goes and who will see it; and what stays."""
    sizes = {name: contents.size(name) for name in contents.files}
    who = "private" if remote.private else "public"
    lines = [f"To {remote.repo_id} ({who}, {'there already' if remote.exists else 'new'}), branch {revision}:"]
    lines += [f"  {format_size(size):>8}  {name}" for name, size in sizes.items()]
    lines.append(f"  {format_size(sum(sizes.values())):>8}  in {len(sizes)} files")
    lines += [f"Changed in what is sent: {note}" for note in contents.notes]
    if "results.json" in sizes:
        corpus = json.loads(contents.read("results.json")).get("corpus", {})
        if corpus and not corpus.get("demonstration"):
            licence = corpus.get("license", "not known here; look whether it lets you publish models")
            lines.append(f"Trained on {corpus.get('title', 'a corpus')}, which is not sent. Its licence: {licence}.")
    if contents.stays:
        lines.append("Not sent: " + ", ".join(f"{name} ({reason})" for name, reason in contents.stays.items()) + ".")
    if gone := [name for name in remote.files if name not in sizes and kind_of(name)]:
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
    """Make a card the page of a repository: its name, and examples that load from there.

    Args:
        card: text of a README.md.
        repo_id: of the repository.
        revision: commit that the examples load; the newest, if None.
        base_model: of adapters.
        base_revision: commit of that. For transformers it is the `revision` of a model with adapters.

    Returns:
        The card, otherwise as it was.
    """

    def aim(line: str) -> str:
        pin = f', revision="{revision}"' if revision else ""
        if revision and base_revision and "Processor" not in line:
            pin = f', revision="{base_revision}", adapter_kwargs={{"revision": "{revision}"}}'
        line = SOURCE.sub(lambda call: f'{call[1]}"{repo_id}"', line)
        return TRUST.sub(lambda call: f"{pin}{call[2]}trust_remote_code=True", line)

    page = ModelCard(PYTHON.sub(lambda block: "".join(map(aim, block[0].splitlines(keepends=True))), card))
    page.text = re.sub(r"^# .*$", f"# {repo_id.rpartition('/')[2]}", page.text, count=1, flags=re.MULTILINE)
    if page.data.get("model_name"):
        page.data.model_name = repo_id
    if base_model is not None:
        page.data.base_model = [base_model]
    return str(page)


def example_of(card: str) -> str:
    """The first example of a card."""
    example = PYTHON.search(card)
    return "" if example is None else example[0].rstrip()
