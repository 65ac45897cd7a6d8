"""The digest of the code that determines a prepared folder."""

import inspect
import shutil
from pathlib import Path

import emofusion
import pytest
from emofusion.corpora.corpus import DiskCorpus
from emofusion.corpora.preparation.digests import digest_code, reachable_files
from emofusion.corpora.preparation.prepare import code_entries
from emofusion.corpora.registry import CORPORA

ROOT = Path(emofusion.__file__).parent
DISK_CORPORA = [corpus for corpus in CORPORA.values() if isinstance(corpus, DiskCorpus)]

READ = ("corpora/records.py", "corpora/schema.py", "corpora/preparation/inspection.py", "processing/media.py")
UNRELATED = (
    *("corpora/folds.py", "corpora/protocols.py", "corpora/registry.py", "corpora/demo/spoken.py"),
    *("corpora/report/page.py", "corpora/transcripts/files.py", "corpora/transcripts/transcribe.py"),
    "corpora/preparation/prepared_folder.py",
)


def file_of(code):
    """The file that defines a function or class, relative to the package."""
    return Path(inspect.getfile(code)).relative_to(ROOT)


@pytest.fixture
def copy(tmp_path):
    """A copy of the code to edit."""
    for room in ("configuration", "processing", "corpora"):
        shutil.copytree(ROOT / room, tmp_path / room)
    return tmp_path


@pytest.mark.parametrize(
    "corpus", {type(corpus): corpus for corpus in DISK_CORPORA}.values(), ids=lambda corpus: corpus.name
)
def test_digest_changes_only_with_code_that_reads_corpora(corpus, copy):
    entries = [copy / entry.relative_to(ROOT) for entry in code_entries(corpus)]
    before = digest_code(entries)
    for name in (*UNRELATED, file_of(type(corpus))):
        with open(copy / name, "a") as file:
            file.write("# An edit.\n")
        assert digest_code(entries) == before, name
    for name in (*READ, file_of(corpus.scan)):
        with open(copy / name, "a") as file:
            file.write("# An edit.\n")
        assert digest_code(entries) != before, name
        before = digest_code(entries)


@pytest.mark.parametrize("corpus", DISK_CORPORA, ids=lambda corpus: corpus.name)
def test_corpus_does_not_depend_on_code_of_another(corpus):
    reached = {file.relative_to(ROOT) for file in reachable_files(code_entries(corpus))}
    own, others = file_of(corpus.scan), {file_of(other.scan) for other in DISK_CORPORA if other is not corpus}
    assert own in reached
    assert not reached & others
    assert not {file.parent for file in reached} & ({other.parent for other in others} - {own.parent})


def test_imports_in_functions_and_packages_are_followed(tmp_path):
    (tmp_path / "room").mkdir()
    files = {
        "start.py": "import os\nfrom numpy import nan\ndef load():\n    from .room import inner, name\n",
        "room/__init__.py": "name = 1\n",
        "room/inner.py": "from ..other import x\n",
        "other.py": "from . import start\n",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = reachable_files([tmp_path / "start.py"])
    assert {file.relative_to(tmp_path.resolve()).as_posix() for file in found} == {*files} - {"unused.py"}
