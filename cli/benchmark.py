"""`emofusion benchmark`: measure speed."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from ..configuration.plain_text import did_you_mean
from .commands import Parser, UsageError


def run(argv: list[str]) -> None:
    """Measure sections, print their tables, and write all of them as JSON."""
    from ..benchmarks import SECTIONS
    from ..benchmarks.systems import SYSTEMS

    parser = Parser("benchmark")
    parser.add_argument("sections", metavar="SECTION", nargs="*", help=f"any of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--list", action="store_true", help="list the sections, measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: checks that it runs, measures nothing useful"
    )
    parser.add_argument(
        "--system",
        metavar="SYSTEM",
        action="append",
        default=[],
        help=f"measure this system only, one of {', '.join(map(repr, SYSTEMS))}; may be repeated (sections that compare systems)",
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
    for name in arguments.system:
        if name not in SYSTEMS:
            hint = did_you_mean(name, SYSTEMS) or f"; choose from {', '.join(map(repr, SYSTEMS))}"
            raise UsageError(f"There is no system {name!r}{hint}.")
    measure(arguments.sections or list(SECTIONS), arguments.quick, arguments.output, arguments.system)


def measure(sections: list[str], quick: bool, output: Path, systems: Sequence[str] = ()) -> None:
    """Measure sections one after another, each in its own process; the file keeps the finished ones if one fails.

    Args:
        sections: Names of the sections.
        quick: Whether to use small sizes.
        output: The JSON file; a section that draws writes a PNG of the same name beside it.
        systems: Systems to measure, in sections that compare systems; none are all.

    Raises:
        UsageError: If systems are given that a section does not compare.
    """
    from .. import benchmarks
    from ..benchmarks.measuring import describe_machine, format_table
    from ..benchmarks.subprocess_run import run_in_subprocess
    from ..corpora.atomic_write import make_folder, write_json

    if output.is_dir():
        raise ValueError(f"--output {output} is a folder; give a file.")
    make_folder(output.parent)  # a folder that cannot be written to is reported at once
    modules = {name: importlib.import_module(f".{name}", benchmarks.__name__) for name in sections}
    for name, section in modules.items():
        compared = getattr(section, "COMPARED", ())
        if systems and not compared:
            raise UsageError(f"--system is given, and the section {name} compares no systems; leave one of them out.")
        for system in systems:
            if system not in compared:
                raise UsageError(f"The section {name} does not compare {system!r}; leave one of them out.")
    machine, _ = run_in_subprocess(describe_machine)
    results = {"machine": machine, "quick": quick, "sections": {}}
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    for name in sections:
        print(f"\n## {name}: {benchmarks.SECTIONS[name]}\n", flush=True)
        section, chosen = modules[name], {"systems": systems} if systems else {}
        results["sections"][name], _ = run_in_subprocess(section.measure, quick=quick, **chosen)
        print("\n\n".join(map(format_table, results["sections"][name])), flush=True)
        write_json(output, results)
        if hasattr(section, "draw"):
            section.draw(results["sections"][name], output.with_suffix(".png"))
    print(f"\nWritten to {output}.")
