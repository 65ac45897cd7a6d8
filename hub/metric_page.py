"""Publishing a metric as a Space of the Hub, from where `evaluate.load` loads it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import CommitInfo

from .contents import Contents
from .push import describe
from .remote import check_repo_id, check_visibility, inspect_remote, upload

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
    log: Callable[[str], object] = print,
) -> CommitInfo | None:
    """Publish the folder of an `evaluate` module as a gradio Space: the module, its card and its page, in one commit.

    Args:
        folder: The folder of the metric, named like its module.
        repo_id: "owner/name" or a name in your own account; the name must be that of the folder, because `evaluate.load`
            finds the module by it.
        private: Whether only you see a new Space. An existing one keeps its visibility.
        revision: The branch; it is created if it does not exist.
        commit_message: First line of the commit.
        token: Token of the Hub, by default that of `hf auth login` or `HF_TOKEN`.
        dry_run: Whether to log the plan and send nothing.
        log: Called with texts of several lines: the plan, then the address of the commit.

    Returns:
        The commit, None for a dry run.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If the Hub cannot be reached, or refuses.
        ValueError: If the name is not that of the folder, or the Space exists and its visibility is not `private`.
    """
    check_repo_id(repo_id)
    folder = Path(folder).resolve()
    if repo_id.rpartition("/")[2] != folder.name:
        raise ValueError(f"{repo_id} must end with {folder.name}: evaluate.load looks for a module of that name.")
    modules = (f"{folder.name}.py", f"{folder.name.removesuffix('_metrics')}_scores.py")
    files = {name: folder / name for name in (*FILES, *modules)}
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not the folder of a metric: it has no {name}.")
    remote = inspect_remote(repo_id, "space", private, revision, token, dry_run)
    remote = replace(remote, files=[])  # other files of the Space are left alone
    card = files["README.md"].read_text(encoding="utf-8").replace(f"OWNER/{folder.name}", remote.repo_id)
    contents = Contents(files | {"README.md": card.encode()}, {}, [])
    log(describe(contents, remote, revision))
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
    log(f'{commit.commit_url}\n\nmetric = evaluate.load("{remote.repo_id}", revision="{commit.oid}")')
    return commit
