"""`emofusion prepare`: check a corpus on disk, list its problems and cache it."""

import argparse
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import Parser, yaml_value
from .output import announce, conclude

if TYPE_CHECKING:
    from ..corpora.corpus import DiskCorpus
    from ..corpora.records import Prepared


def run(argv: list[str]) -> None:
    """Prepare a corpus, print what was found, and write what else the options name."""
    from ..corpora.corpus import DiskCorpus
    from ..corpora.registry import CORPORA

    names = [name for name, corpus in CORPORA.items() if isinstance(corpus, DiskCorpus)]
    name = next((argument for argument in argv if argument in names), None)
    # --folds writes all folds, and the language of a corpus is only shown on cards.
    options = fields(CORPORA[name].options) if name else ()
    options = [option for option in options if option.name not in ("fold", "language")]
    parser = Parser("prepare", "To list the options of a corpus: emofusion prepare NAME --help.")
    parser.add_argument("name", metavar="NAME", choices=names, help=f"the corpus: {', '.join(names)}")
    parser.add_argument("root", metavar="ROOT", help="its folder, or a folder that was prepared from it")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the prepared corpus (default: in the cache of datasets)"
    )
    parser.add_argument(
        "--no-decode",
        dest="decode",
        action="store_false",
        help="read only the headers of recordings: faster, but misses truncated, silent and NaN recordings",
    )
    parser.add_argument(
        "--embed-audio", action="store_true", help="store the recordings in DIR, so that it can be moved or pushed"
    )
    parser.add_argument("--transcribe", metavar="MODEL", help="speech recogniser (Hub id or folder) for asr_text")
    parser.add_argument("--language", help="spoken language, for recognisers of several languages")
    parser.add_argument("--folds", metavar="FILE", help="write the ids of the utterances of every fold, as JSON")
    parser.add_argument("--report", action="store_true", help="write report.html, an overview of the corpus")
    group = parser.add_argument_group(f"options of {name}")
    for option in options:
        text = f"{option.metadata['help'].replace('%', '%%')} (default: %(default)s)"
        settings = {"dest": option.name, "metavar": "VALUE", "type": yaml_value, "default": option.default}
        group.add_argument(f"--{option.name.replace('_', '-')}", help=text, **settings)
        if "_" in option.name:  # as recipes spell it
            group.add_argument(f"--{option.name}", help=argparse.SUPPRESS, **settings)
    arguments = parser.parse_args(argv)
    prepare(CORPORA[arguments.name], arguments, {option.name: getattr(arguments, option.name) for option in options})


def prepare(corpus: "DiskCorpus", arguments: argparse.Namespace, options: dict) -> None:
    """Prepare a corpus and print what was found.

    Args:
        corpus: The corpus.
        arguments: Arguments of the command.
        options: Options of the corpus.
    """
    from ..corpora.atomic_write import check_file
    from ..corpora.folds import write_folds
    from ..corpora.registry import export_folds, prepare_corpus
    from ..corpora.report.counts import format_counts
    from ..corpora.report.page import write_corpus_report
    from ..corpora.report.splits import count_rows, divide_for_training
    from ..corpora.transcripts.transcribe import transcribe
    from ..corpora.transcripts.word_errors import compare_transcripts, format_errors

    if arguments.folds:
        check_file(arguments.folds)
    since = announce(f"Preparing {corpus.name} from {arguments.root}", arguments.out)
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
    parsed = corpus.parse(**options)
    published, title = corpus.published_counts(parsed), corpus.describe(parsed)["title"]
    print(f"\n{title}: {prepared.metadata['rows']:,} utterances\n")
    divided, splits = divide_for_training(corpus, prepared, parsed)
    counts = count_rows(divided.splits) if corpus.count_by == "split" else prepared.metadata["counts"]
    print(format_counts(counts, published))
    print(f"\n{splits}")
    print(f"\n{format_problems(prepared)}")
    if arguments.transcribe:
        print(f"\nWord error rate of {arguments.transcribe} against the transcripts of the corpus:")
        print(format_errors(compare_transcripts(divided.splits)))
    if arguments.folds:
        folds = export_folds(corpus.name, prepared.folder, **options)
        write_folds(arguments.folds, folds)
        print(f"\nThe ids of the utterances of {len(folds)} folds are in {arguments.folds}.")
    if arguments.report:
        page = prepared.folder / "report.html"
        write_corpus_report(divided, published, corpus.count_by, page)
        print(f"\nThe report is {page}.")
    holds = f"{prepared.folder} holds the prepared corpus. It is prepared again only if its files change."
    conclude(f"Prepared {corpus.name}", since, holds)


def format_problems(prepared: "Prepared") -> str:
    """Return how many utterances were dropped, or kept in spite of a problem, by kind, and problems of the whole corpus."""
    from ..corpora.records import UNREAD
    from ..corpora.schema import UNLABELLED

    whole = [found for found in prepared.problems if found["id"] is None and found["kind"] in (UNREAD, UNLABELLED)]
    single = [found for found in prepared.problems if found not in whole]
    dropped = Counter(found["kind"] for found in single if found["dropped"])
    kept = Counter(found["kind"] for found in single if not found["dropped"])
    lines = [found["what"] for found in whole]
    lines += [
        f"{title}: {', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())}"
        for title, kinds in (("Dropped", dropped), ("Kept, with a problem", kept))
        if kinds
    ]
    if not lines:
        return "No problems."
    return "\n".join([*lines, f"All problems: {Path(prepared.folder, 'problems.txt')}"])
