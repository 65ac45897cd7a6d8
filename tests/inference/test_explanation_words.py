import numpy as np
import pytest
from emofusion.inference.explanation_records import Word
from emofusion.inference.explanation_words import (
    MOST_WORDS,
    merge_attended,
    merge_attending,
    read_part,
    share_tokens,
    split_words,
    without_word,
)


def test_words_are_split_at_spaces_and_unspaced_characters_alone():
    words, size = split_words(["Oh,  no!\n你好 ok"])
    assert [word.text for word in words] == ["Oh,", "no!", "你", "好", "ok"]
    assert size == 1


def test_neighbours_in_a_long_text_are_taken_together():
    text = " ".join(f"w{number}" for number in range(2 * MOST_WORDS + 1))
    words, size = split_words([text])
    assert size == 3
    assert len(words) == 33
    assert words[0].text == "w0 w1 w2"
    assert words[-1].text == "w96"


def test_turns_are_kept_apart():
    words, _ = split_words(["a b", "", "c"], is_context=True)
    assert [(word.turn, word.text) for word in words] == [(0, "a"), (0, "b"), (2, "c")]


@pytest.mark.parametrize(
    ("text", "start", "end", "rest"),
    [
        ("a b c", 2, 3, "a c"),
        ("a b c", 0, 1, "b c"),
        ("a b c", 4, 5, "a b"),
        ("a", 0, 1, ""),
        ("你好", 0, 1, "好"),
        ("a  b", 0, 1, "b"),
    ],
)
def test_word_is_dropped_with_its_space(text, start, end, rest):
    assert without_word(text, Word(text[start:end], start, end)) == rest


def test_tokens_are_shared_by_characters():
    words, _ = split_words(["lovely day"])
    spans = [(0, 0), (0, 4), (4, 6), (6, 10), (8, 10), (0, 0)]  # the fourth holds the space
    shares = share_tokens(words, spans)
    assert shares.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]]
    shares = share_tokens(words, [(4, 8)])  # two characters of the first word, one of the second
    assert np.allclose(shares, [[2 / 3], [1 / 3]])


def test_attended_words_sum_and_attending_words_average():
    shares = np.array([[0, 1, 1, 0], [0, 0, 0, 0]])
    weights = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert np.allclose(merge_attended(weights, shares), [[0.5], [0]])
    assert np.allclose(merge_attending(weights.T, shares), [[0.25], [0]])


def test_read_part_ends_with_the_word_of_the_last_token():
    assert read_part("hello there you", [[(0, 0), (0, 5), (6, 8), (0, 0)]]) == "hello there"
    assert read_part("hello there you", [[(0, 5)], [(0, 5), (12, 15)]]) == "hello there you"
    assert read_part("hello there", [None]) == "hello there"
    assert read_part("\x00", [[(0, 0)]]) == ""
