import json
import subprocess
import sys
from pathlib import Path

import emofusion
import pytest
from emofusion.benchmarks import SECTIONS

SCRIPT = Path(emofusion.__file__).parent / "scripts" / "benchmark.py"


def run(*arguments, cwd):
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)


def test_a_section_is_printed_as_a_table_and_written_with_the_machine_that_it_ran_on(tmp_path):
    done = run("resample", "--quick", "--output", "made/benchmark.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    written = json.loads((tmp_path / "made/benchmark.json").read_text())
    assert written["machine"]["cores"] >= 1
    assert written["quick"] is True
    assert list(written["sections"]) == ["resample"]
    for table in written["sections"]["resample"]:
        assert f"### {table['title']}\n" in done.stdout
        assert all(f"\n| {row['what']} " in done.stdout for row in table["rows"])
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["benchmark.json"]


def test_sections_can_be_listed_without_measuring(tmp_path):
    done = run("--list", cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SECTIONS)
    assert not list(tmp_path.iterdir())


def test_an_unknown_section_is_one_sentence(tmp_path):
    done = run("resampel", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("benchmark.py: there is no section 'resampel'; choose of resample, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_its_file(section):
    assert (SCRIPT.parent.parent / "benchmarks" / f"{section}.py").is_file()
