"""The pages and files with which runs and the package are published."""

import ast
import inspect
import re

import emofusion
import yaml
from huggingface_hub import HfApi
from testing_pages import ROOT

PAGE = (ROOT / "docs" / "publish.md").read_text("utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")


def test_calls_of_the_page_fit_the_installed_client():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    calls = [
        node
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.value.id == "hub"
    ]
    assert len(calls) >= 7
    for call in calls:
        signature = inspect.signature(getattr(HfApi, call.func.attr))
        signature.bind(None, *call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


def test_folders_of_the_page_exist():
    for path in re.findall(r'(?:folder_path|path_or_fileobj)="([^"]+)"', PAGE):
        assert (ROOT / path).exists()


def test_release_workflow_tests_and_builds_and_uploads_no_package():
    steps = yaml.safe_load(WORKFLOW)["jobs"]["build"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert commands.index(".ci/run") < commands.index("python -m build") < commands.index("twine check")
    assert "twine upload" not in commands
    assert not any("pypi-publish" in step.get("uses", "") for step in steps)


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == emofusion.__version__


def test_page_of_the_organisation_has_the_header_of_a_static_space():
    text = (ROOT / "hub_cards" / "organisation.md").read_text("utf-8")
    header = yaml.safe_load(text.split("---")[1])
    assert (header["title"], header["sdk"]) == ("README", "static")
