import json

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.modeling.head_score_combination import COMBINATIONS
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from testing_training import TEXT, tiny_recipe


def test_members_are_fused_and_the_fusion_predicts(call, tmp_path, corpus_root):
    config = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
    recipe = tiny_recipe(corpus_root, tmp_path / "text", variant="unimodal", model_config=config, max_steps=1)
    (tmp_path / "text.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    train(parse_recipe([str(tmp_path / "text.yaml")]))
    options = ("--corpus_root", corpus_root, "--corpus_options.utterances", BLOCK, "--use_cpu", "true")
    printed = call(
        "fit-late-fusion",
        *("--members", tmp_path / "text", tmp_path / "text", "--combination", "weighted"),
        *("--output_dir", tmp_path / "fused", "--disable_tqdm", "true", *options),
    )
    table = printed.strip().split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["text-0", "text-1", *COMBINATIONS]
    assert "weighted_probability  text-0 0.500, text-1 0.500" in printed
    assert "The best member on the validation split is text-0." in printed
    row = load_corpus("spoken", corpus_root, utterances=BLOCK)["test"][0]
    probabilities = call("predict", tmp_path / "fused", "--text", row["text"])
    assert probabilities == call("predict", tmp_path / "text", "--text", row["text"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "There is no recipe nowhere.yaml"),
        ([], "No recipe is given"),
        (["--corpus", "spoken"], "members is empty"),
        (["--members", "a", "--combination", "x"], "combination is 'x'"),
        (["--members", "a", "--variant", "unimodal"], "Unknown option --variant"),
    ],
)
def test_what_is_wrong_is_one_sentence(complaint, arguments, message):
    assert complaint("fit-late-fusion", *arguments, status=2).startswith(message)
