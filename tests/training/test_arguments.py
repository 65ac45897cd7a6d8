import pytest
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.recipe import TRAINING, parse_recipe
from emofusion.training.settings import field_types, read_settings


@pytest.fixture
def parse(tmp_path):
    """Parses a recipe's text and the command line behind it."""

    def parse(text="", *options):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return parse_recipe([str(path), *options, "--output_dir", str(tmp_path)])

    return parse


def complaint(parse, *arguments):
    with pytest.raises(ValueError, match=r"^\S.*[.?]$") as caught:
        parse(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_values_have_the_types_of_yaml(parse):
    text = """
    variant: unimodal
    learning_rate: 1e-4
    weight_decay: 0.1
    max_steps: -1
    use_cpu: yes
    seed: 7
    model_config: {modality: text, hidden_size: 32, initializer_range: 2e-2, class_weights: [1, 2.5, 1e0]}
    corpus_options:
      utterances: 104
    """
    recipe = parse(text)
    assert recipe.model.variant == "unimodal"
    assert (recipe.training.learning_rate, recipe.training.weight_decay) == (1e-4, 0.1)
    assert (recipe.training.max_steps, recipe.training.seed, recipe.training.use_cpu) == (-1, 7, True)
    assert recipe.model.model_config == {
        "modality": "text",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "class_weights": [1, 2.5, 1.0],
    }
    assert isinstance(recipe.model.model_config["class_weights"][2], float)
    assert recipe.data.corpus_options == {"utterances": 104}


@pytest.mark.parametrize("number", ["1e-4", "1E-4", "-1e-4", "1.5e3", ".5e-3", "2.e+1", "+3e2"])
def test_a_number_with_an_exponent_is_a_number(parse, number):
    recipe = parse(f"model_config: {{x: {number}}}")
    assert recipe.model.model_config["x"] == float(number)


def test_what_only_looks_like_a_number_stays_text(parse):
    recipe = parse("model_config: {x: e-4, y: 1e, z: wav2vec2}")
    assert recipe.model.model_config == {"x": "e-4", "y": "1e", "z": "wav2vec2"}


def test_an_empty_recipe_and_null_mean_the_defaults(parse):
    names = ("corpus", "max_seconds", "learning_rate", "model_config", "learning_rates", "class_weights")
    nothing, nulls = parse(""), parse("".join(f"{name}: null\n" for name in names))
    for plain, null in zip(nothing.groups().values(), nulls.groups().values(), strict=True):
        assert vars(plain).keys() == vars(null).keys()
    assert (nothing.model, nothing.data) == (nulls.model, nulls.data)
    assert nulls.data.corpus == "spoken"
    assert nulls.model.model_config == nulls.training.learning_rates == {}
    assert nulls.training.learning_rate == nothing.training.learning_rate


def test_the_recipe_may_be_left_out(tmp_path):
    recipe = parse_recipe(["--variant", "unimodal", "--output_dir", str(tmp_path)])
    assert recipe.model.variant == "unimodal"
    assert recipe.training.output_dir == str(tmp_path)


def test_the_command_line_wins(parse):
    options = ("--learning_rate", "1e-4", "--seed=3", "--weight_decay=0.25", "--max_seconds", "2.5", "--bf16", "False")
    recipe = parse("{learning_rate: 1, seed: 1, weight_decay: 1, max_seconds: 9, bf16: true}", *options)
    assert (recipe.training.learning_rate, recipe.training.seed, recipe.training.weight_decay) == (1e-4, 3, 0.25)
    assert recipe.data.max_seconds == 2.5
    assert recipe.training.bf16 is False


def test_a_dot_reaches_a_member(parse):
    text = "model_config: {hidden_size: 8, text_config: {vocab_size: 100, hidden_size: 8}}"
    recipe = parse(
        text,
        *("--model_config.hidden_size", "32"),
        *("--model_config.text_config.vocab_size=200",),
        *("--model_config.audio_config.conv_dim", "[8, 8]"),
        *("--corpus_options.utterances", "104"),
        *("--learning_rates.audio_encoder", "1e-5"),
    )
    assert recipe.model.model_config == {
        "hidden_size": 32,
        "text_config": {"vocab_size": 200, "hidden_size": 8},
        "audio_config": {"conv_dim": [8, 8]},
    }
    assert recipe.data.corpus_options == {"utterances": 104}
    assert recipe.training.learning_rates == {"audio_encoder": 1e-5}


def test_a_dot_reaches_into_what_the_recipe_left_null(parse):
    recipe = parse("corpus_options: null", "--corpus_options.utterances", "104")
    assert recipe.data.corpus_options == {"utterances": 104}


def test_a_whole_dict_on_the_command_line_replaces_that_of_the_recipe(parse):
    recipe = "model_config: {hidden_size: 8, conv_kernel_size: 5}"
    recipe = parse(recipe, "--model_config", '{"hidden_size": 16}')
    assert recipe.model.model_config == {"hidden_size": 16}


def test_lists_and_class_weights(parse):
    recipe = parse("label_names: [labels, others]\nclass_weights: [1, 2]")
    assert recipe.training.label_names == ["labels", "others"]
    assert recipe.training.class_weights == "[1, 2]"
    assert parse("class_weights: balanced").training.class_weights == "balanced"


def test_defaults_choose_the_checkpoint_on_validation_ua(tmp_path):
    args = EmotionTrainingArguments(output_dir=str(tmp_path))
    assert args.load_best_model_at_end
    assert (args.metric_for_best_model, args.greater_is_better) == ("ua", True)
    assert args.eval_strategy == args.save_strategy == "epoch"
    assert not args.remove_unused_columns


def test_reading_a_recipe_gives_its_fields(tmp_path):
    (tmp_path / "recipe.yaml").write_text("learning_rate: 1e-4\ncorpus: spoken\n")
    assert read_settings(tmp_path / "recipe.yaml", field_types(TRAINING)) == {
        "learning_rate": 1e-4,
        "corpus": "spoken",
    }


def test_a_missing_recipe_is_named(tmp_path):
    assert "nowhere.yaml" in complaint(parse_recipe, [str(tmp_path / "nowhere.yaml")])
    assert str(tmp_path) in complaint(parse_recipe, [str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "options", "parts"),
    [
        ("a: [1, 2", (), ("recipe.yaml", "YAML")),
        ("- variant", (), ("recipe.yaml", "mapping")),
        ("just words", (), ("recipe.yaml", "mapping")),
        ("learning_rat: 1", (), ("recipe.yaml", "'learning_rat'", "did you mean 'learning_rate'")),
        ("zzzzzz: 1", (), ("'zzzzzz'", "--help")),
        ("3: 1", (), ("3",)),
        ("", ("--learning_rat", "1"), ("--learning_rat", "did you mean 'learning_rate'")),
        ("", ("--model_confg.hidden_size", "1"), ("--model_confg.hidden_size", "did you mean 'model_config'")),
        ("", ("--learning_rate", "abc"), ("learning_rate", "'abc'")),
        ("learning_rate: abc", (), ("learning_rate", "'abc'")),
        ("", ("--seed", "1.5"), ("seed", "'1.5'")),
        ("variant: crossattention", (), ("variant", "'crossattention'", "cross_attention")),
        ("", ("--model_config", "{oops"), ("model_config", "JSON")),
        ("model_config: [1]", (), ("model_config", "mapping")),
        ("model_config: 5", (), ("model_config", "mapping")),
        ("learning_rates: {audio_encoder: fast}", (), ("learning_rates", "audio_encoder", "fast")),
        ("model_config: {hidden_size: 8}", ("--model_config.hidden_size.x", "1"), ("model_config.hidden_size.x",)),
        ("model_config: {x: 1}", ("--model_config.y", "[1, 2"), ("--model_config.y", "[1, 2")),
    ],
)
def test_bad_input_is_one_sentence(parse, text, options, parts):
    message = complaint(parse, text, *options)
    for part in parts:
        assert part in message


def test_a_member_without_a_value_is_one_sentence():
    assert "--model_config.hidden_size" in complaint(parse_recipe, ["--model_config.hidden_size"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("corpus_options: {root: here}", "use corpus_root"),
        ("corpus_options: {name: spoken}", "use corpus"),
    ],
)
def test_options_that_collide_are_refused(parse, text, words):
    assert words in complaint(parse, text)
