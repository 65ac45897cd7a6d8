"""`emofusion benchmark`: measure speed."""

import importlib
from pathlib import Path

from ..configuration.plain_text import did_you_mean
from .commands import Parser, UsageError


def run(argv: list[str]) -> None:
    """Measure sections, print their tables, and write all of them as JSON."""
    from ..benchmarks import SECTIONS

    parser = Parser("benchmark")
    parser.add_argument("sections", metavar="SECTION", nargs="*", help=f"any of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--list", action="store_true", help="list the sections, measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: checks that it runs, measures nothing useful"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark.json"), help="default: %(default)s")
    arguments = parser.parse_args(argv)
    if arguments.list:
        print("\n".join(f"{name:<13} {purpose}" for name, purpose in SECTIONS.items()))
        return
    for name in arguments.sections:
        if name not in SECTIONS:
            hint = did_you_mean(name, SECTIONS) or f"; choose from {', '.join(SECTIONS)}"
            raise UsageError(f"There is no section {name!r}{hint}.")
    measure(arguments.sections or list(SECTIONS), arguments.quick, arguments.output)


def measure(sections: list[str], quick: bool, output: Path) -> None:
    """Measure sections one after another, each in its own process; the file keeps the finished ones if one fails.

    Args:
        sections: Names of the sections.
        quick: Whether to use small sizes.
        output: The JSON file; a section that draws writes a PNG of the same name beside it.
    """
    from .. import benchmarks
    from ..benchmarks.measuring import describe_machine, format_table
    from ..benchmarks.subprocess_run import run_in_subprocess
    from ..corpora.atomic_write import make_folder, write_json

    if output.is_dir():
        raise ValueError(f"--output {output} is a folder; give a file.")
    make_folder(output.parent)  # a folder that cannot be written to is reported at once
    machine, _ = run_in_subprocess(describe_machine)
    results = {"machine": machine, "quick": quick, "sections": {}}
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    for name in sections:
        print(f"\n## {name}: {benchmarks.SECTIONS[name]}\n", flush=True)
        section = importlib.import_module(f".{name}", benchmarks.__name__)
        results["sections"][name], _ = run_in_subprocess(section.measure, quick=quick)
        print("\n\n".join(map(format_table, results["sections"][name])), flush=True)
        write_json(output, results)
        if hasattr(section, "draw"):
            section.draw(results["sections"][name], output.with_suffix(".png"))
    print(f"\nWritten to {output}.")
