"""Options of a training run: their types, defaults and error messages."""

import pytest
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.recipe import parse_recipe


@pytest.fixture
def parse(tmp_path):
    """Returns a function that parses the text of a recipe and options."""

    def parse(text="", *options):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return parse_recipe([str(path), *options, "--output_dir", str(tmp_path)])

    return parse


def message_of(parse, *arguments):
    """Return the message of the error, which must be one sentence."""
    with pytest.raises(ValueError, match=r"^\S.*[.?]$") as caught:
        parse(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_values_keep_their_yaml_types(parse):
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


def test_text_that_looks_like_a_number_stays_text(parse):
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


def test_the_recipe_is_optional(tmp_path):
    recipe = parse_recipe(["--variant", "unimodal", "--output_dir", str(tmp_path)])
    assert recipe.model.variant == "unimodal"
    assert recipe.training.output_dir == str(tmp_path)


def test_options_override_the_recipe(parse):
    options = ("--learning_rate", "1e-4", "--seed=3", "--weight_decay=0.25", "--max_seconds", "2.5", "--bf16", "False")
    recipe = parse("{learning_rate: 1, seed: 1, weight_decay: 1, max_seconds: 9, bf16: true}", *options)
    assert (recipe.training.learning_rate, recipe.training.seed, recipe.training.weight_decay) == (1e-4, 3, 0.25)
    assert recipe.data.max_seconds == 2.5
    assert recipe.training.bf16 is False


def test_a_dot_sets_a_member(parse):
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


def test_a_dot_sets_a_member_of_a_null_mapping(parse):
    recipe = parse("corpus_options: null", "--corpus_options.utterances", "104")
    assert recipe.data.corpus_options == {"utterances": 104}


def test_a_mapping_on_the_command_line_replaces_that_of_the_recipe(parse):
    recipe = "model_config: {hidden_size: 8, conv_kernel_size: 5}"
    recipe = parse(recipe, "--model_config", '{"hidden_size": 16}')
    assert recipe.model.model_config == {"hidden_size": 16}


def test_lists_and_class_weights(parse):
    recipe = parse("label_names: [labels, others]\nclass_weights: [1, 2]")
    assert recipe.training.label_names == ["labels", "others"]
    assert recipe.training.class_weights == "[1, 2]"
    assert parse("class_weights: balanced").training.class_weights == "balanced"


def test_the_default_selects_the_checkpoint_by_validation_ua(tmp_path):
    args = EmotionTrainingArguments(output_dir=str(tmp_path))
    assert args.load_best_model_at_end
    assert (args.metric_for_best_model, args.greater_is_better) == ("auto", True)
    assert args.eval_strategy == args.save_strategy == "epoch"
    assert not args.remove_unused_columns


def test_a_missing_recipe_is_named(tmp_path):
    assert "nowhere.yaml" in message_of(parse_recipe, [str(tmp_path / "nowhere.yaml")])
    assert str(tmp_path) in message_of(parse_recipe, [str(tmp_path)])


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
        ("seed: 1\nmodel_config: {x: 1, x: 2}", (), ("recipe.yaml", "line 2", "'x' is given twice")),
        ("model_config:\n\tx: 1", (), ("recipe.yaml", "line 2", "'\\t'")),
        ("seed: !!python/name:os.system", (), ("recipe.yaml", "line 1", "os.system")),
        ("seed: " + 9999 * "[", (), ("recipe.yaml", "50 levels")),
        ("0", (), ("recipe.yaml", "mapping")),
        ("[]", (), ("recipe.yaml", "mapping")),
        ("learning_rate: .nan", (), ("learning_rate", "nan", "a number")),
        ("", ("--logging_steps", "1e999"), ("--logging_steps", "'1e999'", "a number")),
        ("", ("--seed", 99 * "x"), ("--seed", "...")),
        ("", ("--seed", ""), ("--seed has no value",)),
        ("", ("--seed=",), ("--seed has no value",)),
        ("", ("--no_bf16", "1"), ("--no_bf16 takes no value",)),
        ("", ("--seed.x", "1"), ("--seed.x", "seed is not a mapping")),
        ("", ("--model_config.", "1"), ("--model_config. lacks a name",)),
        ("", ("--log_level", "loud"), ("--log_level", "'loud'", "warning")),
        ("", ("--optim", "adam"), ("--optim", "'adam'", "adamw_torch")),
        ("accelerator_config: {x: 1}", (), ("EmotionTrainingArguments", "'x'")),
        ("per_device_train_batch_size: 0", (), ("per_device_train_batch_size is 0", "positive")),
        ("seed: -1", (), ("seed is -1", "must not be negative")),
        ("max_seconds: -1", (), ("max_seconds is -1", "at least 0.1")),
        ("max_seconds: 1e-9", (), ("max_seconds is 1e-09", "at least 0.1")),
        ("gradient_accumulation_steps: 0", (), ("gradient_accumulation_steps is 0", "positive")),
        ("num_train_epochs: 0", (), ("num_train_epochs is 0", "positive")),
        ("max_steps: 0", (), ("max_steps is 0", "-1")),
        ("max_seconds: 1.0e+308", (), ("max_seconds is 1e+308", "at most")),
        ("num_train_epochs: 1.0e+308", (), ("num_train_epochs is 1e+308", "at most")),
        ("dataloader_num_workers: 1000000", (), ("dataloader_num_workers is 1e+06", "at most")),
        ("lora: {rank: 1000000000}", (), ("lora.rank is 1000000000", "16384")),
        ("seed: 4294967296", (), ("seed is 4", "at most")),
        ("adam_beta2: 1", (), ("adam_beta2 is 1", "below 1")),
        ("lr_scheduler_kwargs: {x: 1}", (), ("lr_scheduler_kwargs", "'linear'", "'x'")),
        ("lr_scheduler_type: cosine_with_min_lr", (), ("lr_scheduler_kwargs", "cosine_with_min_lr", "min_lr")),
        ("torch_compile: true", (), ("torch_compile is given", "compiled anew; leave it out")),
        ("torch_compile_mode: default", (), ("torch_compile_mode is given", "compiled anew")),
        ("dataloader_persistent_workers: true", (), ("dataloader_persistent_workers", "dataloader_num_workers is 0")),
        ("optim_args: fast", (), ("optim_args is 'fast'", "name=value")),
        ("activation_checkpointing_kwargs: x", (), ("activation_checkpointing_kwargs", "'x'", "mapping")),
        ("learning_rates: {audio_encoder: -1}", (), ("learning_rates", "audio_encoder", "-1")),
        ("learning_rates: {audio_encoder: .inf}", (), ("learning_rates", "audio_encoder", "inf")),
        ("class_weights: [0, 0]", (), ("class_weights is [0, 0]", "positive")),
        ("class_weights: [1, -1]", (), ("class_weights is [1, -1]", "positive")),
        ("class_weights: heavy", (), ("class_weights is 'heavy'", "balanced")),
        ("language: English language", (), ("language is 'English language'", "BCP 47")),
        ("license: Do what you want", (), ("license is 'Do what you want'", "Hub")),
        ("lr_scheduler_kwargs: x", (), ("lr_scheduler_kwargs", "'x'", "mapping")),
        ("model_config: {text_config: 3}", (), ("model_config.text_config", "3", "mapping")),
        ("seeds: [1]", (), ("recipe.yaml", "'seeds'", "emofusion cross-validate")),
        ("", ("--members", "x"), ("--members", "emofusion fit-late-fusion")),
    ],
)
def test_an_error_is_one_sentence(parse, text, options, parts):
    message = message_of(parse, text, *options)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": float("nan")},
        {"weight_decay": float("inf")},
        {"per_device_eval_batch_size": -4},
        {"per_device_train_batch_size": 2.5},
        {"seed": True},
        {"bf16": "yes"},
        {"save_total_limit": 0},
        {"logging_steps": "ten"},
        {"class_weights": [1, float("nan")]},
    ],
)
def test_wrong_numbers_from_python_are_named(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name} is .*; (it must be|choose one of) .*\\.$"):
        EmotionTrainingArguments(output_dir=str(tmp_path), **arguments)


def test_language_and_licence_of_the_weights_are_arguments(parse):
    training = parse("{language: de, license: cc-by-4.0}").training
    assert (training.language, training.license) == (["de"], "cc-by-4.0")
    assert parse("language: [de, pt-BR]").training.language == ["de", "pt-BR"]
    assert (parse().training.language, parse().training.license) == ([], None)


def test_null_on_the_command_line_is_the_default(parse):
    assert parse("max_seconds: 5", "--max_seconds", "null").data.max_seconds is None


def test_a_member_without_a_value_is_an_error():
    assert "--model_config.hidden_size" in message_of(parse_recipe, ["--model_config.hidden_size"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("corpus_options: {root: here}", "use corpus_root"),
        ("corpus_options: {name: spoken}", "use corpus"),
    ],
)
def test_corpus_options_with_an_argument_of_their_own_are_refused(parse, text, words):
    assert words in message_of(parse, text)
