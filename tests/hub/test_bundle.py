"""Bundling a small package of three rooms, in which each rule can be broken alone."""

import ast
import importlib
import json
import sys
from pathlib import Path

import emofusion
import pytest
from emofusion.hub import bundle, write_bundle
from transformers.dynamic_module_utils import get_imports

FILES = {
    "configuration/configuration_toy.py": """
from transformers import PreTrainedConfig


class ToyConfig(PreTrainedConfig):
    model_type = "emofusion_toy"
    width: int = 4
""",
    "modeling/blocks.py": '''"""Blocks; "from ..configuration.x import y" in a text is no import."""
import torch.nn as nn
Block = nn.Linear
if "é":  # positions count bytes
    from ..configuration . configuration_toy import ToyConfig; toy = ToyConfig
from ..modeling.numbers_of_toys import ONE
''',
    "modeling/numbers_of_toys.py": "ONE = 1\n",
    "modeling/unused.py": "TWO = 2\n",
    "modeling/modeling_toy.py": """
from transformers import PreTrainedModel

from ..configuration.configuration_toy import (
    ToyConfig,  # a comment that stays
)
from .blocks import Block


class ToyModel(PreTrainedModel):
    config: ToyConfig
    def __init__(self, config):
        super().__init__(config)
        self.block = Block(config.width, config.width)
        self.post_init()

    def forward(self, values):
        return self.block(values)


class ToyForSequenceClassification(ToyModel):
    pass
""",
    "processing/media.py": """
def decode(path):
    try:
        import a_decoder_nobody_has
    except ImportError:
        return None
""",
    "processing/processing_toy.py": """
from transformers import ProcessorMixin

from .media import decode


class ToyProcessor(ProcessorMixin):
    def __init__(self, feature_extractor):
        super().__init__(feature_extractor)
""",
}
CODE = {"blocks.py", "configuration_toy.py", "modeling_toy.py", "numbers_of_toys.py", "media.py", "processing_toy.py"}


class Toy:
    """The package, imported, with a checkpoint that has no code yet."""

    def __init__(self, root):
        self.root = root / "toyfusion"
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        modeling = importlib.import_module("toyfusion.modeling.modeling_toy")
        processing = importlib.import_module("toyfusion.processing.processing_toy")
        from transformers import Wav2Vec2FeatureExtractor

        self.model = modeling.ToyForSequenceClassification(modeling.ToyConfig())
        self.processor = processing.ToyProcessor(Wav2Vec2FeatureExtractor())
        self.folder = root / "checkpoint"
        self.model.save_pretrained(self.folder)
        self.processor.save_pretrained(self.folder)

    def code(self):
        return {file.name: file.read_bytes() for file in self.folder.glob("*.py")}

    def change(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield Toy(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "toyfusion"]:
        del sys.modules[name]


def test_the_folder_has_exactly_the_imported_files(toy):
    before = {file.name for file in toy.folder.iterdir()}
    written = write_bundle(toy.model, toy.folder, toy.processor)
    assert {file.name for file in toy.folder.iterdir()} == before | CODE
    assert written == sorted(toy.folder / name for name in CODE | {"config.json", "processor_config.json"})


def test_without_a_processor_its_files_are_left_out(toy):
    write_bundle(toy.model, toy.folder)
    assert set(toy.code()) == CODE - {"media.py", "processing_toy.py"}
    assert "auto_map" not in json.loads((toy.folder / "processor_config.json").read_text())


def test_only_import_statements_change(toy):
    write_bundle(toy.model, toy.folder, toy.processor)
    for name, text in FILES.items():
        for room in ("configuration . ", "configuration.", "modeling."):
            text = text.replace(f"from ..{room}", "from .").replace('"from .x', '"from ..configuration.x')
        if "unused" not in name:
            assert toy.code()[name.rpartition("/")[2]] == text.encode()


def test_everything_else_is_copied_byte_for_byte(toy):
    text = FILES["modeling/modeling_toy.py"].replace("\n", "\r\n") + "\x0c\r\nlast = '\u2028'"
    (toy.root / "modeling/modeling_toy.py").write_bytes(text.encode())
    write_bundle(toy.model, toy.folder)
    assert toy.code()["modeling_toy.py"] == text.replace("..configuration.", ".").encode()


def test_auto_map_names_the_classes_and_other_fields_stay(toy):
    before = json.loads((toy.folder / "config.json").read_text())
    write_bundle(toy.model, toy.folder, toy.processor)
    after = json.loads((toy.folder / "config.json").read_text())
    assert after.pop("auto_map") == {
        "AutoConfig": "configuration_toy.ToyConfig",
        "AutoModel": "modeling_toy.ToyModel",
        "AutoModelForAudioClassification": "modeling_toy.ToyForSequenceClassification",
        "AutoModelForSequenceClassification": "modeling_toy.ToyForSequenceClassification",
    }
    assert after == before
    processor = json.loads((toy.folder / "processor_config.json").read_text())
    assert processor["auto_map"] == {"AutoProcessor": "processing_toy.ToyProcessor"}


def test_writing_twice_changes_nothing(toy):
    write_bundle(toy.model, toy.folder, toy.processor)
    first = {file.name: file.read_bytes() for file in toy.folder.iterdir()}
    write_bundle(toy.model, toy.folder, toy.processor)
    assert {file.name: file.read_bytes() for file in toy.folder.iterdir()} == first


def test_a_source_file_is_read_once_until_it_changes(toy, monkeypatch):
    write_bundle(toy.model, toy.folder, toy.processor)
    first = toy.code()
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "_split_imports", lambda text: pytest.fail("read again"))
        for file in toy.folder.glob("*.py"):
            file.unlink()
        write_bundle(toy.model, toy.folder, toy.processor)
        assert toy.code() == first
    toy.change("modeling/numbers_of_toys.py", "ONE = 1  # still\n")
    write_bundle(toy.model, toy.folder, toy.processor)
    assert toy.code() == first | {"numbers_of_toys.py": b"ONE = 1  # still\n"}


def test_imports_are_those_of_the_whole_file_and_known_to_the_loader():
    for room in bundle.ROOMS:
        for file in Path(emofusion.__file__).with_name(room).glob("[!_]*.py"):
            text = file.read_bytes()
            begin, rest, tree = bundle._split_imports(text)
            assert begin + rest == text
            found, expected = (
                [(ast.dump(node), in_try) for node, in_try in bundle._import_statements(part.body)]
                for part in (tree, ast.parse(text))
            )
            assert found == expected
            assert set(get_imports(file)) <= bundle.AVAILABLE


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "modeling/blocks.py",
            "from ..corpora.schema import x",
            r"blocks\.py, line 1: .* not `from \.\.corpora\.schema`",
        ),
        ("modeling/blocks.py", "\nfrom ...other import x", r"blocks\.py, line 2: .* not `from \.\.\.other`"),
        ("modeling/blocks.py", "from .deep.down import x", r"not `from \.deep\.down`"),
        ("modeling/blocks.py", "from . import numbers_of_toys", r"not `from \.`"),
        ("modeling/blocks.py", "from ..configuration import VARIANTS", r"not `from \.\.configuration`"),
        ("modeling/blocks.py", "from .nowhere import x", r"line 1: the imported file .*nowhere\.py does not exist"),
        ("modeling/blocks.py", "import emofusion.modeling", "line 1: import emofusion relatively"),
        (
            "modeling/blocks.py",
            "try:\n    from emofusion import x\nexcept ImportError: x = 1",
            "line 2: import emofusion",
        ),
        ("modeling/blocks.py", "def f():\n    import soundfile", r"blocks\.py, line 2: import soundfile inside `try`"),
        ("modeling/blocks.py", "from scipy.signal import x", r"blocks\.py, line 1: import scipy inside `try`"),
        ("modeling/blocks.py", '"""\nfrom .text import x\n"""', r"blocks\.py: the Hub's loader .* errs on text"),
        ("modeling/blocks.py", "x = 1; from .numbers_of_toys import ONE", "errs on numbers_of_toys"),
        ("processing/media.py", "from .blocks import x", r"blocks\.py .* would be one file on the Hub: rename"),
    ],
)
def test_code_that_cannot_be_bundled_is_refused_and_nothing_is_written(toy, name, text, message):
    toy.change("processing/blocks.py", "decode = 1")
    toy.change(name, text)
    before = {file.name: file.read_bytes() for file in toy.folder.iterdir()}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        write_bundle(toy.model, toy.folder, toy.processor)
    assert {file.name: file.read_bytes() for file in toy.folder.iterdir()} == before


def test_a_folder_without_the_saved_model_is_refused(toy, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        write_bundle(toy.model, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist: call save_pretrained"):
        write_bundle(toy.model, tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())


def test_a_foreign_model_is_refused(tmp_path):
    from transformers import BertConfig, BertModel

    sizes = {
        "hidden_size": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 4,
        "vocab_size": 9,
    }
    with pytest.raises(TypeError, match="models of emofusion only, not for BertModel"):
        write_bundle(BertModel(BertConfig(**sizes)), tmp_path)


def test_a_model_defined_outside_the_rooms_is_refused(toy):
    (toy.root / "training").mkdir()
    subclass = "class ToyForSequenceClassification(ToyModel):\n    pass\n"
    toy.change("training/outside.py", f"from ..modeling.modeling_toy import ToyModel\n{subclass}")
    outside = importlib.import_module("toyfusion.training.outside")
    with pytest.raises(ValueError, match=r"outside\.py, line 1: bundled code"):
        write_bundle(outside.ToyForSequenceClassification(toy.model.config), toy.folder)


def test_importing_the_room_loads_no_library(tmp_path, run_python):
    code = "import sys, emofusion.hub; print(sorted({'transformers', 'huggingface_hub', 'jinja2'} & set(sys.modules)))"
    assert run_python(code, cwd=tmp_path, without_emofusion=False) == "[]\n"


def test_a_model_of_remote_code_can_be_bundled_again(toy, tmp_path, run_python):
    write_bundle(toy.model, toy.folder, toy.processor)
    code = """
from emofusion.hub import write_bundle
from transformers import AutoModelForAudioClassification, AutoProcessor
source, target = sys.argv[1:]
model = AutoModelForAudioClassification.from_pretrained(source, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(source, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules."), type(model)
model.save_pretrained(target)
processor.save_pretrained(target)
write_bundle(model, target, processor)
"""
    again = tmp_path / "again"
    run_python("import sys\n" + code, toy.folder, again, cwd=tmp_path / "checkpoint", without_emofusion=False)
    assert {file.name for file in again.iterdir()} == {file.name for file in toy.folder.iterdir()}
    assert {file.name: file.read_bytes() for file in again.glob("*.py")} == toy.code()
    for name in ("config.json", "processor_config.json"):
        maps = [json.loads((folder / name).read_text())["auto_map"] for folder in (toy.folder, again)]
        assert maps[0] == maps[1]
