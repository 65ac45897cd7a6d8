"""Measure speed: `python scripts/benchmark.py [SECTION ...] [--quick]`; --list names the sections."""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from emofusion.benchmarks import SECTIONS
from emofusion.benchmarks.measuring import describe_machine, format_table
from emofusion.benchmarks.subprocess_run import in_child


def main() -> None:
    """Measure the sections that are asked for, print their tables, write all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", metavar="SECTION", nargs="*", help="which to measure; all if none is named")
    parser.add_argument("--list", action="store_true", help="name the sections and measure nothing")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast it is")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark.json"), help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:<10} {about}" for name, about in SECTIONS.items()))
        return
    if unknown := [name for name in arguments.sections if name not in SECTIONS]:
        sys.exit(f"benchmark.py: there is no section {unknown[0]!r}; choose of {', '.join(SECTIONS)}.")
    try:
        run(arguments.sections or list(SECTIONS), arguments.quick, arguments.output)
    except (OSError, RuntimeError) as error:
        sys.exit(f"benchmark.py: {error}")


def run(sections: list[str], quick: bool, output: Path) -> None:
    """Measure sections one after the other, each in a process of its own; what was measured is kept if one fails."""
    output.parent.mkdir(parents=True, exist_ok=True)
    machine, _ = in_child(describe_machine)
    results = {"machine": machine, "quick": quick, "sections": {}}
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    for name in sections:
        print(f"\n## {name}: {SECTIONS[name]}\n", flush=True)
        section = importlib.import_module(f"emofusion.benchmarks.{name}")
        results["sections"][name], _ = in_child(section.measure, quick=quick)
        print("\n\n".join(map(format_table, results["sections"][name])), flush=True)
        draft = output.with_name(f".{output.name}")
        draft.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        os.replace(draft, output)
    print(f"\nWritten to {output}.")


if __name__ == "__main__":
    main()
