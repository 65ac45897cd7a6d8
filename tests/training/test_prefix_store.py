import subprocess
import sys

import pytest
import torch
from emofusion.training.prefix.store import PrefixStore

FILLER = """
import sys, torch
from emofusion.training.prefix.store import PrefixStore

def compute(keys):
    for key in keys:
        print(key.hex(), flush=True)
        sys.stdin.readline()
        yield key, torch.full((key[0] % 3 + 1, 2), float(key[0]))

store = PrefixStore(sys.argv[1], torch.float32)
print("ready", flush=True)
sys.stdin.readline()
store.fill([bytes([number]) * 16 for number in range(64)], compute)
assert len(store) == 64
"""


def test_processes_share_the_work_of_filling(tmp_path):
    command = [sys.executable, "-c", FILLER, str(tmp_path / "store")]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    first = [process.stdout.readline() for process in running]  # both are at work
    for process in running:  # one waits for the other in the end
        process.stdin.write("go\n" * 64)
        process.stdin.flush()
    done = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted([*done[0], *done[1], *"".join(first).split()]) == sorted(
        bytes([number]).hex() * 16 for number in range(64)
    )
    store = PrefixStore(tmp_path / "store", torch.float32)
    for number in range(64):
        assert store[bytes([number]) * 16].equal(torch.full((number % 3 + 1, 2), float(number)))


def test_other_processes_do_the_work_of_a_killed_one(tmp_path):
    command = [sys.executable, "-c", FILLER, str(tmp_path / "store")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.stdout.readline() != f"{bytes([7]).hex() * 16}\n":
        process.stdin.write("go\n")
        process.stdin.flush()
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    store, computed = PrefixStore(tmp_path / "store", torch.float32), []

    def compute(keys):
        computed.extend(keys)
        yield from ((key, torch.zeros(1, 2)) for key in keys)

    keys = [bytes([number]) * 16 for number in range(64)]
    found = len(store)
    store.fill(keys, compute)
    assert 0 < found == 64 - len(computed)
    assert all(key in store for key in keys)


def test_a_damaged_file_is_named(tmp_path):
    key = bytes(16)
    PrefixStore(tmp_path, torch.float32).fill([key], lambda keys: iter([(key, torch.ones(2, 3))]))
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=rf"^{path} is damaged .*; delete it, and its rows will be computed again\.$"):
        PrefixStore(tmp_path, torch.float32)
