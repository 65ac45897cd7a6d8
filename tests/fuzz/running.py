"""Run cases in forked processes with limits on memory and time, so that imports are paid once."""

import contextlib
import faulthandler
import importlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from huggingface_hub import constants

from .judging import Ended, judge_answer, judge_error
from .plan import CACHES
from .target import Spoiled, Target, Verdict
from .watching import Watch, make_device

MIB = 2**20
ADDRESSES = 6144 * MIB  # more than a case may ever ask for, so that it cannot harm the machine
RESIDENT = 768 * MIB  # more memory than a small input may cost
CPU_SECONDS = 20  # a hang that computes; independent of what else the machine does
WALL_SECONDS = 60  # a hang that waits
INTACT = -1  # number of the case that is not spoiled


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Args:
        target: The name of the target.
        number: The number of the case, `INTACT` for the input that is not spoiled.
        what: What was done to the input.
        verdict: The class.
        text: The answer, or the error.
        trace: Where an error comes from.
        seconds: Time of the processor.
    """

    target: str
    number: int
    what: str
    verdict: Verdict
    text: str
    trace: str = ""
    seconds: float = 0.0


@dataclass
class Fixture:
    """A target with its valid input, and the answer for that."""

    target: Target
    valid: Any
    intact: Any = None


def prepare(targets: Iterable[Target], folder: Path) -> tuple[list[Fixture], list[Outcome]]:
    """Build the valid inputs, and run each one once; what a process imports for that is imported here, too.

    Returns:
        The targets that give a right answer for their valid input, and the outcomes of the others.
    """
    fixtures, wrong, built = [], [], {}
    for target in targets:
        if target.build not in built:  # nobody changes a valid input, so targets may share one
            place = folder / "valid" / target.name
            place.mkdir(parents=True)
            with contextlib.redirect_stderr(io.StringIO()):  # bars
                built[target.build] = target.build(place)
        fixture = Fixture(target, built[target.build])
        child = Child(fixture, INTACT, 0, folder)
        outcome = child.wait()
        if outcome.verdict == Verdict.RIGHT:
            fixture.intact = child.report["answer"]
            _import(child.report["modules"])
            fixtures.append(fixture)
        else:
            wrong.append(outcome)
    return fixtures, wrong


def run(fixtures: Iterable[tuple[Fixture, int]], seed: int, folder: Path, processes: int = 1) -> Iterator[Outcome]:
    """Run cases, each a fixture and a number, and yield their outcomes as they end."""
    waiting, running = iter(fixtures), []
    while True:
        while len(running) < processes and (case := next(waiting, None)):
            running.append(Child(*case, seed, folder))
        if not running:
            return
        for child in running[:]:
            if child.has_ended():
                running.remove(child)
                yield child.outcome()
        time.sleep(0.002)


class Child:
    """A process that runs one case."""

    def __init__(self, fixture: Fixture, number: int, seed: int, folder: Path):
        self.fixture, self.number, self.report = fixture, number, {}
        self.folder = folder / f"{fixture.target.name}-{number}"
        self.folder.mkdir()
        self.start = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, which wait for work
            self.process = os.fork()
        if not self.process:
            _run_case(fixture, number, seed, self.folder)

    def has_ended(self) -> bool:
        """Return whether the process has ended; kill it if it waits for too long."""
        if time.monotonic() - self.start > WALL_SECONDS:
            self._kill()
        process, self.status, self.usage = os.wait4(self.process, os.WNOHANG)
        return process != 0

    def wait(self) -> Outcome:
        while not self.has_ended():
            time.sleep(0.002)
        return self.outcome()

    def outcome(self) -> Outcome:
        """Return what came of the case, and remove its files."""
        with contextlib.suppress(ProcessLookupError):
            self._kill()  # what it has started
        seconds, used = time.monotonic() - self.start, round(self.usage.ru_utime + self.usage.ru_stime, 2)
        with contextlib.suppress(OSError, ValueError):
            self.report = json.loads((self.folder / "report.json").read_text())
        what = self.report.get("what", "before the input was spoiled")
        verdict = Verdict(self.report.get("verdict", Verdict.TRACEBACK))
        text, trace = self.report.get("text", ""), self.report.get("trace", "")
        if "verdict" not in self.report:
            killed = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0
            timed_out = killed == signal.SIGXCPU or seconds > WALL_SECONDS
            verdict = Verdict.HANG if timed_out else Verdict.TRACEBACK
            text = f"killed by {signal.Signals(killed).name}" if killed else f"ended with {self.status}"
            trace = "".join((self.folder / name).read_text(errors="replace")[-10_000:] for name in ("out", "err"))
        grown = self.usage.ru_maxrss * 1024 - self.report.get("resident", 0)
        if grown > RESIDENT and verdict != Verdict.HANG:
            verdict, text = Verdict.MEMORY, f"{grown // MIB:,} MiB; {text}"
        shutil.rmtree(self.folder, ignore_errors=True)
        return Outcome(self.fixture.target.name, self.number, what, verdict, text, trace, used)

    def _kill(self) -> None:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.process, signal.SIGKILL)


def _run_case(fixture: Fixture, number: int, seed: int, folder: Path) -> None:
    """Run a case in this process, which ends with it."""
    status = 1
    try:
        os.setsid()
        signal.alarm(int(WALL_SECONDS) + 10)  # if nobody is left who would kill it
        _redirect(folder)
        faulthandler.dump_traceback_later(0.9 * WALL_SECONDS)  # where a hang waits, for its report
        watch = _enclose(folder)
        target, report = fixture.target, {}
        spoiled = Spoiled("nothing", fixture.valid)
        if number != INTACT:
            inputs = folder / "input"
            inputs.mkdir()
            spoiled = target.spoil(Random(f"{seed}:{target.name}:{number}"), fixture.valid, inputs)
        report |= {"what": spoiled.what, "resident": _resident()}
        _write(folder, report)
        _limit()
        report |= _call(target, spoiled, fixture.intact, watch)
        if number == INTACT:
            report["modules"] = [name for name in sys.modules if not name.startswith("transformers_modules")]
        else:
            report.pop("answer", None)
        _write(folder, report)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _call(target: Target, spoiled: Spoiled, intact: Any, watch: Watch) -> dict:
    try:
        answer = target.call(spoiled.value)
        problem = None if intact is None and spoiled.what == "nothing" else target.check(answer, intact, spoiled)
        verdict, text = judge_answer(answer, problem)
        trace = answer.get("trace", "") if isinstance(answer, Ended) else ""
    except BaseException as error:
        answer, trace = None, _format(error)
        verdict, text = judge_error(error, target.lenient, target.by_library)
    if watch.found:
        verdict, text = Verdict.SILENT, f"{watch.found[0]}; {text}"
    return {"verdict": verdict, "text": text, "trace": trace, "answer": answer}


def _format(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-6000:]
    except RecursionError:
        return repr(type(error))


def _write(folder: Path, report: dict) -> None:
    """Write the report at once, so that one that was killed leaves the last whole one."""
    (folder / "report.part").write_text(json.dumps(report, default=str))
    os.replace(folder / "report.part", folder / "report.json")


def _redirect(folder: Path) -> None:
    """Send both streams into files, and read nothing."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False, errors="backslashreplace") for number in (1, 2))


def _enclose(folder: Path) -> Watch:
    """Let the process work in its folder alone: a working folder with a fifo, devices and a file of somebody else's."""
    work = folder / "work"
    (work / "tmp").mkdir(parents=True)
    os.mkfifo(work / "fifo")
    for kind in ("zero", "full"):
        make_device(work / kind, kind)
    (work / "file.txt").write_text("precious\n")
    os.chdir(work)
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True  # if it was imported before
    tempfile.tempdir = os.environ["TMPDIR"] = str(work / "tmp")
    caches = [os.environ[name] for name in CACHES if name in os.environ]
    homes = [Path.home() / name for name in (".cache", ".config/matplotlib")]
    return Watch([folder, *homes, *map(Path, caches)])


def _limit() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, used + ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * MIB, 512 * MIB))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        if name not in sys.modules:
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)


def as_json(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome))
