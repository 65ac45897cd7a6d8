import json

import pytest
from datasets import DatasetDict
from emofusion.corpora import registry
from emofusion.corpora.joining.selection import choose_texts
from emofusion.training.arguments import DataArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from testing_training import tiny_recipe


def transcribed(corpus: DatasetDict, say) -> DatasetDict:
    """Return the corpus with recognised transcripts."""
    return DatasetDict(
        {
            split: rows.map(lambda row: {"asr_text": say(row)}, load_from_cache_file=False)
            for split, rows in corpus.items()
        }
    )


def test_the_transcripts_of_the_corpus_are_the_default(corpus):
    assert DataArguments().text_column == "text"
    assert choose_texts(corpus, "text") is corpus


def test_recognised_transcripts_replace_them(corpus):
    heard = transcribed(corpus, lambda row: f"heard {row['id']}")
    chosen = choose_texts(heard, "asr_text")
    for split, rows in chosen.items():
        assert rows["text"][:] == [f"heard {name}" for name in corpus[split]["id"]]
        assert "asr_text" not in rows.column_names
        assert rows.cache_files == heard[split].cache_files
        assert rows["label"][:] == corpus[split]["label"][:]


def test_a_corpus_without_recognised_transcripts_is_refused(corpus):
    with pytest.raises(ValueError, match="no row of the train split has one; transcribe the corpus first"):
        choose_texts(corpus, "asr_text")
    silent = transcribed(corpus, lambda row: "")
    assert set(choose_texts(silent, "asr_text")["test"]["text"]) == {""}


def test_another_column_is_refused():
    with pytest.raises(ValueError, match="text_column is 'label'; choose one of text, asr_text"):
        DataArguments(text_column="label")


def test_the_tokenizer_learns_from_the_selected_transcripts(tmp_path, corpus, corpus_root, monkeypatch):
    heard = transcribed(corpus, lambda row: "zebra")
    monkeypatch.setattr(registry, "load_corpus", lambda *_, **__: heard)
    batches, call = [], EmotionCollator.__call__

    def spy(self, rows):
        batches.append(call(self, rows))
        return batches[-1]

    monkeypatch.setattr(EmotionCollator, "__call__", spy)
    recipe = tiny_recipe(corpus_root, tmp_path / "run", max_steps=1, text_column="asr_text")
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    train(parse_recipe([str(tmp_path / "recipe.yaml")]))
    assert all(len(set(map(tuple, batch["input_ids"].tolist()))) == 1 for batch in batches)
    assert "zebra" in (tmp_path / "run" / "tokenizer.json").read_text("utf-8")
