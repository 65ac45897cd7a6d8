"""Spoil text of lines: tables, transcripts, alignments, recipes in YAML, and the words of a command line."""

import re
from random import Random

from .spoil_trees import TEXTS

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NUMBERS = ("-1", "0", "1e400", "nan", "inf", "99999999999999999999", "1e-9", "-0.0", "0x10", "1_000", "\u0663", "")
WORDS = (
    *("", " ", "-", "--", "---", "--=", "=", "[", "{", "{a", "[1, 2", "null", "nan", "inf", "-1", "0", "1e400"),
    *(
        "!!python/object/apply:os.getcwd []",
        "*a",
        "&a [*a]",
        "{a: {b: {}}}",
        "[[[[]]]]",
        "~",
        "yes",
        "99999999999999999999",
    ),
    *(
        "no such thing",
        "no/such/folder",
        "zero",
        "full",
        "fifo",
        "file.txt",
        ".",
        "..",
        "file.txt/x",
        "/proc/x",
        "\u202e",
        "\udcff",
        "x" * 5000,
    ),
    *(
        "<script>",
        "$\\bad{$",
        "a\nb",
        "%s",
        "--help",
        "--traceback",
        "http://127.0.0.1:9/x.wav",
        "file:///proc/version",
    ),
)
# 9 levels of 9 aliases: 9^9 values in 400 bytes.
BOMB = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}' if level else 'x'] * 9)}]\n" for level in range(9))


def spoil_lines(random: Random, text: str) -> tuple[str, bytes]:
    """Return what was done, and the spoiled text, encoded."""
    lines = text.splitlines(keepends=True)
    place = random.randrange(len(lines))
    line = lines[place]
    ways = {
        "a line is gone": lambda: lines[:place] + lines[place + 1 :],
        "a line is there twice": lambda: [*lines[: place + 1], line, *lines[place + 1 :]],
        "two lines are exchanged": lambda: [*lines[:place], *reversed(lines[place : place + 2]), *lines[place + 2 :]],
        "cut in a line": lambda: [*lines[:place], line[: random.randrange(len(line))]],
        "only the first line": lambda: lines[:1],
        "another number": lambda: _number(random, lines),
        "a line is hostile": lambda: [*lines[:place], random.choice(TEXTS) + "\n", *lines[place + 1 :]],
        "a line is indented": lambda: [*lines[:place], "\t " + line, *lines[place + 1 :]],
        "without quotes": lambda: [line.replace('"', "") for line in lines],
        "an open quote": lambda: [*lines[:place], '"' + line, *lines[place + 1 :]],
        "other separators": lambda: [line.replace(",", ";").replace(":", "=") for line in lines],
        "NUL bytes": lambda: [*lines[:place], "\0" + line, *lines[place + 1 :]],
        "CR line ends": lambda: [line.replace("\n", "\r") for line in lines],
        "a long line": lambda: [*lines[:place], line.rstrip("\n") * 5000 + "\n", *lines[place + 1 :]],
    }
    encodings = {"UTF-16": "utf-16", "UTF-8 with a mark": "utf-8-sig", "half of Latin-1": "latin-1"}
    name = random.choice([*ways, *encodings, "empty"])
    if name == "empty":
        return name, b""
    if name in encodings:
        return name, (text + "caf\xe9").encode(encodings[name], "replace")
    return f"line {place + 1}: {name}", "".join(ways[name]()).encode("utf-8", "surrogatepass")


def _number(random: Random, lines: list[str]) -> list[str]:
    """Replace one number of the text."""
    text = "".join(lines)
    found = list(NUMBER.finditer(text))
    if not found:
        return lines
    number = random.choice(found)
    return [text[: number.start()] + random.choice(NUMBERS) + text[number.end() :]]


def spoil_yaml(random: Random, text: str) -> tuple[str, bytes]:
    """Spoil YAML as text; half of the time in a way of YAML's own."""
    ways = {
        "a bomb": BOMB + text,
        "a bomb inside a mapping": text + "model_config:\n" + "".join(f"  {line}\n" for line in BOMB.splitlines()),
        "a circle": "model_config: &a\n  audio_config: *a\n" + text,
        "an unknown alias": text + "seed: *nowhere\n",
        "a tag of Python": text + "run_name: !!python/object/apply:os.getcwd []\n",
        "a binary value": text + "run_name: !!binary gIGCgw==\n",
        "a date": text + "seed: 2020-01-01\n",
        "a set": text + "model_config: !!set {a, b}\n",
        "two documents": text + "---\nseed: 1\n",
        "a merge": "base_: &b {seed: 1}\n<<: *b\n" + text,
        "deep nesting": text + "model_config: " + "[" * 2000 + "]" * 2000 + "\n",
        "deep nesting of keys": text + "model_config: " + "{a: " * 500 + "1" + "}" * 500 + "\n",
        "a key that is a list": text + "[a, b]: c\n",
        "a key that is a mapping": text + "{a: b}: c\n",
        "a key without a name": text + "~: 1\n",
        "a tab": text + "\tseed: 1\n",
        "sexagesimal": text + "seed: 1:30:00\n",
        "twice the same key": text + text,
    }
    if random.random() < 0.5:
        return spoil_lines(random, text)
    name = random.choice(list(ways))
    return name, ways[name].encode()


def spoil_words(random: Random, words: list[str]) -> tuple[str, list[str]]:
    """Spoil a command line: its first word is the command, which mostly stays."""
    words, place = list(words), random.randrange(0 if random.random() < 0.1 else 1, len(words))
    word = random.choice(WORDS)
    old = words[place]
    kind = random.choice(("replace", "replace", "replace", "insert", "delete", "repeat", "exchange", "join", "cut"))
    if kind == "replace":
        words[place] = word
    elif kind == "insert":
        words.insert(place, word)
    elif kind == "delete":
        del words[place]
    elif kind == "repeat":
        words.insert(place, old)
    elif kind == "exchange":
        other = random.randrange(len(words))
        words[place], words[other] = words[other], words[place]
    elif kind == "join":
        words[place] = f"{old}={word}"
    else:
        words[place] = old[: len(old) // 2]
    shown = f" {word[:30]!r}" if kind in ("replace", "insert", "join") else ""
    return f"{kind} word {place} ({old[-30:]!r}){shown}", words
