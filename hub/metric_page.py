"""The metric as a page of the Hub, from which `evaluate.load` takes it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import CommitInfo

from .contents import Contents
from .push import describe
from .remote import check_repo_id, check_visibility, look_at, upload

FILES = ("README.md", "app.py", "requirements.txt")


def push_metric(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = True,
    revision: str = "main",
    commit_message: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
    tell: Callable[[str], object] = print,
) -> CommitInfo | None:
    """Publish the folder of an `evaluate` module as a gradio Space: the module, its card, its page; in one commit.

    Args:
        folder: of the metric, which is called as its module.
        repo_id: "owner/name" with the name of the folder, by which `evaluate.load` finds the module, or this name.
        private: whether only you see the page. That of one that exists is never changed.
        revision: branch, made if it is not there.
        commit_message: first line of the commit.
        token: of the Hub, by default that of `hf auth login` or `HF_TOKEN`.
        dry_run: tell only.
        tell: is given what is going to leave, as text of several lines.

    Returns:
        The commit; None of a dry run.

    Raises:
        FileNotFoundError: if a file is missing.
        OSError: if the Hub cannot be reached or refuses.
        ValueError: if the name is not the folder's, or others would see the page than was meant.
    """
    check_repo_id(repo_id)
    folder = Path(folder).resolve()
    if repo_id.rpartition("/")[2] != folder.name:
        raise ValueError(f"{repo_id} must end with {folder.name}: evaluate.load looks for a module that is called so.")
    files = {name: folder / name for name in (*FILES, f"{folder.name}.py")}
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not the folder of a metric: it has no {name}.")
    remote = replace(look_at(repo_id, "space", private, revision, token, dry_run), files=[])  # which are left alone
    card = files["README.md"].read_text(encoding="utf-8").replace(f"OWNER/{folder.name}", remote.repo_id)
    contents = Contents(files | {"README.md": card.encode()}, {}, [])
    tell(describe(contents, remote, revision))
    check_visibility(remote, private)
    if dry_run:
        return None
    commit = upload(
        contents.files,
        remote,
        repo_type="space",
        revision=revision,
        commit_message=commit_message or f"Upload {folder.name}",
        token=token,
        is_ours=lambda name: False,
    )
    tell(f'{commit.commit_url}\n\nmetric = evaluate.load("{remote.repo_id}", revision="{commit.oid}")')
    return commit
