import json
from pathlib import Path

import pytest
from emofusion import benchmarks
from emofusion.benchmarks import SECTIONS
from emofusion.benchmarks.startup import list_commands
from emofusion.cli.commands import COMMANDS
from testing_benchmarks import run_here


def test_a_section_is_printed_as_a_table_and_written_with_the_machine(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emofusion.benchmarks.subprocess_run.run_in_subprocess", run_here)
    printed = call("benchmark", "resample", "--quick", "--output", "made/benchmark.json")
    written = json.loads((tmp_path / "made/benchmark.json").read_text())
    assert written["machine"]["cores"] >= 1
    assert written["quick"] is True
    assert list(written["sections"]) == ["resample"]
    for table in written["sections"]["resample"]:
        assert f"### {table['title']}\n" in printed
        assert all(f"\n| {row['what']} " in printed for row in table["rows"])
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["benchmark.json"]


def test_sections_are_listed_without_measuring(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [line.split()[0] for line in call("benchmark", "--list").splitlines()] == list(SECTIONS)
    assert not list(tmp_path.iterdir())


def test_an_unknown_section_names_the_closest_one(complaint):
    message = complaint("benchmark", "resampel", status=2)
    assert message == "There is no section 'resampel' (did you mean 'resample'?)."
    assert complaint("benchmark", "x", status=2).startswith("There is no section 'x'; choose from resample, ")


def test_a_system_is_refused_where_it_is_not_compared(complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = complaint("benchmark", "overhead", "speed", "--system", "speaker_resnet", status=2)
    assert message == "The section speed does not compare 'speaker_resnet'; leave one of them out."


def test_the_start_of_every_command_is_measured(call):
    assert list_commands(call("--help")) == list(COMMANDS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_its_file(section):
    assert Path(benchmarks.__file__).with_name(f"{section}.py").is_file()


def test_only_named_systems_are_measured(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emofusion.benchmarks.subprocess_run.run_in_subprocess", run_here)
    call("benchmark", "overhead", "--quick", "--system", "text", "--output", "one.json")
    tables = json.loads((tmp_path / "one.json").read_text())["sections"]["overhead"]
    assert {row["what"] for table in tables for row in table["rows"]} == {"text"}


def test_an_unknown_system_names_the_closest_one(complaint):
    assert complaint("benchmark", "speed", "--system", "texd", status=2) == (
        "There is no system 'texd' (did you mean 'text'?)."
    )


def test_systems_are_refused_where_none_are_compared(complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint("benchmark", "speed", "decode", "--system", "text", status=2) == (
        "--system is given, and the section decode compares no systems; leave one of them out."
    )
