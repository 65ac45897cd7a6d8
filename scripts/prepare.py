"""Look through a corpus on disk: `python scripts/prepare.py NAME ROOT [--out DIR] [--report] [options of the corpus]`."""

import argparse
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import yaml
from emofusion.corpora.corpus import DiskCorpus
from emofusion.corpora.folds import write_folds
from emofusion.corpora.records import Prepared
from emofusion.corpora.registry import CORPORA, export_folds, get_corpus, prepare_corpus
from emofusion.corpora.report.counts import format_counts
from emofusion.corpora.report.page import write_corpus_report
from emofusion.corpora.transcripts.transcribe import transcribe
from emofusion.corpora.transcripts.word_errors import compare_transcripts, format_errors

NAMES = [name for name, corpus in CORPORA.items() if isinstance(corpus, DiskCorpus)]


def main() -> None:
    """Prepare, say what was found, and do what else is asked for."""
    arguments, options = parse_arguments(sys.argv[1:])
    try:
        run(arguments, options)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(f"prepare.py: {error}")


def parse_arguments(argv: list[str]) -> tuple[argparse.Namespace, dict]:
    """The command line: what holds for every corpus, and the options of this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="NAME", choices=NAMES, help=f"the corpus: {', '.join(NAMES)}")
    parser.add_argument("root", metavar="ROOT", help="its folder, or one that was prepared of it")
    parser.add_argument(
        "--out", metavar="DIR", help="where the prepared corpus goes; by default into the cache of datasets"
    )
    parser.add_argument(
        "--no-decode",
        dest="decode",
        action="store_false",
        help="believe the headers of the recordings: quicker, but what is truncated, silent or not a number goes unnoticed",
    )
    parser.add_argument(
        "--embed-audio", action="store_true", help="put the recordings inside, so that the folder can be moved"
    )
    parser.add_argument(
        "--transcribe", metavar="MODEL", help="add what this recogniser of the Hub, or of a folder, hears"
    )
    parser.add_argument("--language", help="what is spoken, for recognisers that know several languages")
    parser.add_argument("--folds", metavar="FILE", help="write who is in which split of every fold, as JSON")
    parser.add_argument("--report", action="store_true", help="write report.html, a page to look at")
    name = next((argument for argument in argv if argument in NAMES), None)
    known = [option for option in fields(get_corpus(name).options) if option.name != "fold"] if name else []
    group = parser.add_argument_group(f"options of {name}, see docs/corpora.md" if name else "options of the corpus")
    for option in known:
        spellings = dict.fromkeys((f"--{option.name.replace('_', '-')}", f"--{option.name}"))
        text = f"{option.metadata['help']} (default: {option.default})".replace("%", "%%")
        group.add_argument(*spellings, type=yaml.safe_load, default=option.default, help=text)
    arguments = parser.parse_args(argv)
    return arguments, {option.name: getattr(arguments, option.name) for option in known}


def run(arguments: argparse.Namespace, options: dict) -> None:
    """Prepare a corpus and print what was found."""
    corpus = get_corpus(arguments.name)
    chosen = corpus.parse(**options)
    prepared = prepare_corpus(
        corpus.name,
        arguments.root,
        arguments.out,
        decode=arguments.decode,
        embed_audio=arguments.embed_audio,
        **options,
    )
    if arguments.transcribe:
        prepared = transcribe(prepared, arguments.transcribe, language=arguments.language)
    published = corpus.published_counts(chosen)
    print(f"\n{corpus.describe(chosen)['title']}: {prepared.metadata['rows']:,} utterances\n")
    print(format_counts(prepared.metadata["counts"], published))
    print(f"\n{describe_problems(prepared)}")
    if arguments.transcribe:
        print(f"\nWhat {arguments.transcribe} heard, beside the transcripts of the corpus:")
        print(format_errors(compare_transcripts(prepared.splits)))
    if arguments.folds:
        folds = export_folds(corpus.name, prepared.folder, **options)
        write_folds(arguments.folds, folds)
        print(f"\n{len(folds)} folds, by the ids of their utterances: {arguments.folds}")
    if arguments.report:
        page = prepared.folder / "report.html"
        write_corpus_report(prepared, published, corpus.count_by, page)
        print(f"\nA page to look at: {page}")
    print(f"\nThe corpus is in {prepared.folder}; it is read again only when its files change.")


def describe_problems(prepared: Prepared) -> str:
    """What was left out and what is wrong, in a few lines."""
    dropped = Counter(found["kind"] for found in prepared.problems if found["dropped"])
    kept = Counter(found["kind"] for found in prepared.problems if not found["dropped"])
    lines = [
        f"{what}: {', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())}"
        for what, kinds in (("Left out", dropped), ("Kept, with a problem", kept))
        if kinds
    ]
    if not lines:
        return "No problems."
    return "\n".join([*lines, f"Each with its reason: {Path(prepared.folder, 'problems.txt')}"])


if __name__ == "__main__":
    main()
