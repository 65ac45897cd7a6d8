"""The sections of the site, and the pages of each. A page in no section stops the build."""

import configparser
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = "README.md"

# Section -> its pages, in the order of the sidebar. A star stands for the other pages of a folder.
SECTIONS = {
    "Start here": ("docs/start.md", "docs/demonstration.md", "docs/build.md", "docs/faq.md"),
    "Data": (
        "docs/own_data.md",
        "docs/corpora.md",
        "docs/iemocap.md",
        "docs/meld.md",
        "docs/acted_corpora.md",
        "docs/conversation.md",
    ),
    "Training": (
        "docs/training.md",
        "docs/cross_validation.md",
        "docs/cross_corpus.md",
        "docs/prefix_cache.md",
        "docs/adapters.md",
        "docs/search.md",
        "docs/options.md",
        "docs/scaling.md",
        "docs/many_gpus.md",
        "docs/reproduce.md",
    ),
    "Systems": ("docs/systems/README.md", "docs/systems/*"),
    "Using models": (
        "docs/pipeline.md",
        "docs/loading.md",
        "docs/long_recordings.md",
        "docs/batch_scoring.md",
        "docs/timelines.md",
        "docs/explain.md",
        "docs/serving.md",
        "docs/demo_app.md",
        "docs/export.md",
    ),
    "Hub": ("docs/hub.md", "docs/publish.md"),
    "Reference": ("reference/*", "docs/performance.md", "CHANGELOG.md", "CONTRIBUTING.md"),
}


def read_repository() -> str:
    """Return the address of the repository, from `setup.cfg`."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["url"]


REPOSITORY = read_repository()


def find_pages() -> list[str]:
    """Return the pages of the repository that the site has."""
    pages = [ROOT / HOME, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page.relative_to(ROOT).as_posix() for page in pages]


def arrange(pages: list[str]) -> dict[str, list[str]]:
    """Return the pages of each section.

    Args:
        pages: All pages.

    Raises:
        ValueError: If a page is in no section.
    """
    arranged, left = {}, [page for page in pages if page != HOME]
    named = {entry for entries in SECTIONS.values() for entry in entries}
    for section, entries in SECTIONS.items():
        arranged[section] = []
        for entry in entries:
            found = [page for page in left if page == entry or (page not in named and fnmatch(page, entry))]
            arranged[section] += found
            left = [page for page in left if page not in found]
    if left:
        raise ValueError(f"In no section of docs/website/navigation.py: {', '.join(left)}.")
    return arranged
