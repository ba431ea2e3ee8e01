#!/usr/bin/env python3
"""keyhole pack beside other packers: same tree, one run, alternating.

    tests/peers/pack.py --keyhole BIN --peer 'NAME=COMMAND {tree} -o {out}'... [-r N] [--limit SECONDS] TREE

Prints a table in the form of README.md: medians of N runs of each program for time, processor time and peak of memory, and
what it wrote. Keyhole writes the whole pack with exact counts, its count cache empty before every run. A peer's command is run by the
shell, with {tree} and {out} put in; raise its limits by its options, so that it takes the whole tree. The peers are never
part of this repository: give the commands of what you installed. tests/app/make_tree.py makes the tree. A peer that has no
result within the limit counts as having taken all of it.
"""
import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(command, limit, environment):
    """Seconds, processor seconds, MB at the peak, and whether it came to its end."""
    begin = time.monotonic()
    process = subprocess.Popen(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True, env={**os.environ, **environment})
    deadline = begin + limit
    peak = 0
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        peak = max(peak, memory_of_group(process.pid))
        if time.monotonic() > deadline:
            os.killpg(process.pid, 9)
            _, status, usage = os.wait4(process.pid, 0)
            break
        time.sleep(0.05)
    seconds = time.monotonic() - begin
    ended = seconds < limit
    error = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if ended and os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command}\n{error[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss * 1024) / 1e6, ended


def memory_of_group(group):
    """Resident bytes of all processes of a group: some packers start others."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, ValueError, IndexError):
                pass  # ended meanwhile
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keyhole", required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("-r", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600)
    parser.add_argument("tree")
    args = parser.parse_args()
    programs = [("Keyhole", f"{shlex.quote(args.keyhole)} pack -o {{out}} {{tree}}")]
    programs += [tuple(peer.split("=", 1)) for peer in args.peer]
    figures = {name: [] for name, _ in programs}
    written = {}
    for round_ in range(args.r):
        for name, command in programs:
            with tempfile.TemporaryDirectory() as temp:
                out = Path(temp) / "pack"
                line = command.replace("{tree}", shlex.quote(args.tree)).replace("{out}", shlex.quote(str(out)))
                figures[name].append(measure(line, args.limit, {"KEYHOLE_HOME": temp}))
                written[name] = out.stat().st_size if out.exists() else 0
            print(f"round {round_ + 1}: {name}: {figures[name][-1][0]:.1f} s, {figures[name][-1][2]:.0f} MB", file=sys.stderr)
    medians = {name: [statistics.median(run[i] for run in runs) for i in range(3)] for name, runs in figures.items()}
    ours = medians["Keyhole"]
    print("| packer | seconds | processor seconds | peak MB | MB written | time to Keyhole's | memory to Keyhole's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (seconds, processor, memory) in medians.items():
        more = "" if all(run[3] for run in figures[name]) else "more than "
        print(f"| {name} | {more}{seconds:.1f} | {processor:.1f} | {memory:.0f} | {written[name] / 1e6:.0f} | {more}{seconds / ours[0]:.1f} | "
              f"{memory / ours[2]:.1f} |")


if __name__ == "__main__":
    main()
