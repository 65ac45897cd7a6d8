"""Fuzz every entry point: `make fuzz`, or `python -m fuzz [TARGET | TARGET:NUMBER ...]` with `tests` on the path.

The exit status is 0 only if every answer is right and every error is one sentence.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from .plan import REPEAT, describe, plan_cases, set_environment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="targets, or single cases as TARGET:NUMBER (default: all)")
    parser.add_argument("--cases", type=int, default=1000, help="number of inputs over all targets (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all inputs (default: 0)")
    parser.add_argument("--processes", type=int, default=2, help="cases at a time (default: 2)")
    parser.add_argument("--trace", action="store_true", help="show where errors come from")
    parser.add_argument("--output", type=Path, help="file for all outcomes, as lines of JSON")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # an input may have half of a surrogate pair
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, open(arguments.output or os.devnull, "w") as output:
        set_environment(Path(folder))
        from .running import as_json, prepare, run
        from .target import GOOD, Verdict
        from .targets import TARGETS

        planned = plan_cases(TARGETS, arguments.targets, arguments.cases)
        fixtures, outcomes = prepare((target for target in TARGETS if target.name in planned), Path(folder))
        for outcome in outcomes:
            print(describe(outcome, arguments.seed, trace=True), flush=True)
        cases = [(fixture, number) for fixture in fixtures for number in planned[fixture.target.name]]
        cases.sort(key=lambda case: case[1])  # all targets in turn, so that one that is stopped has seen all
        for outcome in run(cases, arguments.seed, Path(folder), arguments.processes):
            outcomes.append(outcome)
            print(as_json(outcome), file=output, flush=True)
            if outcome.verdict not in GOOD or arguments.trace or any(":" in name for name in arguments.targets):
                print(describe(outcome, arguments.seed, arguments.trace), flush=True)
    counts = Counter(outcome.verdict for outcome in outcomes)
    print(f"\n{len(outcomes):,} inputs, seed {arguments.seed}, {time.monotonic() - start:.0f} s")
    for verdict in Verdict:
        print(f"{counts[verdict]:6,}  {verdict}")
    bad = sum(counts[verdict] for verdict in Verdict if verdict not in GOOD)
    if bad:
        print(f"\n{bad:,} are bad. To repeat one: {REPEAT} --trace --seed {arguments.seed} TARGET:NUMBER")
    return int(bad > 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
