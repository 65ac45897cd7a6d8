"""A lean start of `emofusion predict`: what is not imported, and that the answer is the same."""

import copy
import importlib
import json
import sys

import numpy as np
import pytest
import soundfile
from emofusion.cli import lean_start, predict
from testing_commands import start
from testing_model_folder import make_model_folder

HEAVY = (
    "accelerate",
    "scipy",
    "sympy",
    "torch._dynamo.eval_frame",
    "torch._decomp",
    "torch.distributed.tensor",
    "datasets",
)
SCRIPT = f"""
import sys
from emofusion.cli.main import main
status = main(sys.argv[1:])
print([name for name in {HEAVY} if sys.modules.get(name)], status, __import__("gc").isenabled())
"""


@pytest.fixture
def folder(tmp_path):
    make_model_folder(tmp_path / "model")
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 4000), 16000)
    return tmp_path


def test_the_answer_is_that_of_a_full_start_without_heavy_libraries(folder, capsys):
    arguments = [str(folder / "model"), str(folder / "a.wav"), "--text", "hello there"]
    done = start(sys.executable, "-c", SCRIPT, "predict", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    *answer, imported = done.stdout.splitlines()
    assert imported == "[] 0 True"
    predict.run(arguments)
    assert capsys.readouterr().out.splitlines() == answer


@pytest.mark.parametrize(
    ("change", "plain"),
    [(None, True), ("adapter_config.json", False), ("config.json", False), ("quantization_config", False)],
)
def test_only_the_folder_of_a_whole_model_starts_lean(folder, change, plain):
    model = folder / "model"
    if change == "adapter_config.json":
        (model / change).write_text("{}")
    elif change == "quantization_config":
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {change: {"quant_method": "bitsandbytes"}}))
    elif change:
        (model / change).unlink()
    assert predict.is_plain(str(model), None) == plain
    assert not predict.is_plain(str(model), "a recogniser")


def test_nothing_is_hidden_once_transformers_is_imported():
    before = {name: sys.modules.get(name) for name in lean_start.UNUSED}, list(sys.meta_path)
    with lean_start.lean_start():
        assert ({name: sys.modules.get(name) for name in lean_start.UNUSED}, list(sys.meta_path)) == before


def test_a_deferred_module_is_imported_when_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "deferred_example.py").write_text("mark = 1\nother = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finder = lean_start._Prepared("deferred_example", lean_start._defer(mark="stand-in"))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    module = importlib.import_module("deferred_example")
    assert module.mark == "stand-in"
    assert not hasattr(module, "__wrapped__")
    assert module.mark == "stand-in"
    assert (module.other, module.mark) == (2, 1)
    with pytest.raises(AttributeError):
        module.missing  # noqa: B018


def test_a_regular_expression_is_compiled_when_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "late_example.py").write_text(
        "import re\nfrom re import sub\ndef build(): return re.compile('(a+)', re.I)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    finder = lean_start._Prepared("late_example", lean_start._compile_late)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    module = importlib.import_module("late_example")
    pattern, copied = module.build(), copy.deepcopy(module.build())
    assert "pattern" not in vars(pattern)
    assert pattern.search("bAa")[1] == copied.search("bAa")[1] == "Aa"
    assert pattern.groups == 1


def test_a_load_that_fails_is_repeated_with_everything(tmp_path, monkeypatch):
    import torch

    for name in ("deferred_example", "hidden_example"):
        (tmp_path / f"{name}.py").write_text("mark = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.delitem(sys.modules, "deferred_example", raising=False)
    monkeypatch.delitem(sys.modules, "transformers")
    monkeypatch.setattr(lean_start, "_PREPARED", {"deferred_example": lean_start._defer()})
    monkeypatch.setattr(lean_start, "UNUSED", ("hidden_example",))
    functions, finders, tries = (torch.empty_like, torch.norm_except_dim), list(sys.meta_path), []

    def load():
        module = importlib.import_module("deferred_example")
        tries.append("mark" in vars(module))
        if not tries[-1]:
            assert torch.empty_like is not functions[0]
            raise NotImplementedError
        return importlib.import_module("hidden_example").mark

    assert lean_start.load_leanly(load) == 1
    assert tries == [False, True]
    assert ((torch.empty_like, torch.norm_except_dim), sys.meta_path) == (functions, finders)
