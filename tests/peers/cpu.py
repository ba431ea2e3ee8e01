#!/usr/bin/env python3
"""Keyhole beside llama.cpp and ik_llama.cpp on the CPU: same file, same threads, one run, alternating.

    tests/peers/cpu.py --keyhole BIN [--ik LLAMA_BENCH] [--llama LLAMA_BENCH] [-t N] [-r N] MODEL.gguf...

Prints a table in the form of README.md: medians of N runs of each engine for prompts of 512 and 2,048 tokens, for
generation behind the given depths, and for several sequences in step; Keyhole's peak of memory of its own; the ratio to
the better peer. The peers are never part of this repository: give the paths of what you built or installed. A peer given
as "COMMAND ARGS" is split at spaces (for one that runs in another root directory). ik_llama.cpp is taken with -mla 3 -fa 1
-fmoe 1 and, as it prefills faster without and decodes faster with it, with and without -rtr 1.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time


def own_memory(pid):
    """MiB of anonymous memory of a process: neither the mapped file nor anything shared."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1]) / 1024
    except (OSError, TypeError):
        return 0.0


def run(command, limit):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0.0]

    def watch():
        while process.poll() is None:
            peak[0] = max(peak[0], own_memory(process.pid))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise SystemExit(f"no result after {limit} s: {' '.join(command)}")
    finally:
        watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{err[-2000:]}")
    return out, peak[0]


class Keyhole:
    name = "Keyhole"

    def __init__(self, path, threads, limit):
        self.program, self.threads, self.limit = path.split(), ["-t", str(threads)], limit

    def speed(self, model, prompt, generate, depth, extra):
        out, _ = run(self.program + ["bench", "-m", model, "-r", "1", "-o", "json", "-p", str(prompt), "-n", str(generate),
                                     "-d", str(depth)] + self.threads + extra, self.limit)
        result = json.loads(out)
        self.machine = result.get("machine")
        last = result["results"][-1]
        self.bytes = last.get("bytes_per_second", 0)
        return last["tokens_per_second"]

    def own_memory(self, model):
        """Peak MiB beside the mapped file while 2,048 tokens are read, K cache included."""
        with tempfile.NamedTemporaryFile("w") as tokens:
            tokens.write(" ".join(str(100 + i % 1000) for i in range(2048)))
            tokens.flush()
            return run(self.program + ["eval", "-m", model, "-c", "2112", "--tokens", tokens.name, "--greedy", "4"] +
                       self.threads, self.limit)[1]


class Peer:
    """llama-bench of either project; its JSON has avg_ts."""

    def __init__(self, name, path, threads, limit, options, depth_flag):
        self.name, self.limit, self.depth_flag = name, limit, depth_flag
        self.base = path.split() + ["-t", str(threads), "-r", "1", "-o", "json"] + options

    def speed(self, model, prompt, generate, depth, extra):
        del extra
        test = ["-p", str(prompt), "-n", str(generate)]
        if depth > 0 and self.depth_flag == "-gp":
            test = ["-p", "0", "-n", "0", "-gp", f"{depth},{generate}"]
        elif depth > 0:
            test += [self.depth_flag, str(depth)]
        out, _ = run(self.base + ["-m", model] + test, self.limit)
        results = json.loads(out[out.index("["):])
        return results[-1]["avg_ts"]


def processor():
    with open("/proc/cpuinfo") as info:
        found = re.search(r"model name\s*:\s*(.*)", info.read())
    return found[1] if found else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keyhole", required=True)
    parser.add_argument("--ik", help="llama-bench of ik_llama.cpp")
    parser.add_argument("--llama", help="llama-bench of llama.cpp")
    parser.add_argument("--llama-options", default="-fa 0",
                        help="Debian's llama.cpp 0.7.0 ends in a failed assertion with -fa 1 on this model")
    parser.add_argument("-t", "--threads", type=int, default=max(1, (os.cpu_count() or 2)))
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("-p", "--prompts", default="512,2048")
    parser.add_argument("-d", "--depths", default="0,2048,4096,16384")
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--limit", type=int, default=900, help="seconds that one run may take")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()

    mine = Keyhole(args.keyhole, args.threads, args.limit)
    ik = ["-mla", "3", "-fa", "1", "-fmoe", "1"]
    peers = []
    if args.ik:
        peers += [Peer("ik_llama.cpp", args.ik, args.threads, args.limit, ik + ["-rtr", "0"], "-gp"),
                  Peer("ik_llama.cpp, -rtr 1", args.ik, args.threads, args.limit, ik + ["-rtr", "1"], "-gp")]
    if args.llama:
        peers.append(Peer("llama.cpp", args.llama, args.threads, args.limit, args.llama_options.split(), "-d"))

    tests = [(f"prompt {p}", int(p), 0, 0, []) for p in args.prompts.split(",") if p]
    for depth in filter(None, args.depths.split(",")):
        tests.append((f"generate @ {depth}", 0, args.generate, int(depth), []))
        if int(depth) >= 16384:
            tests.append((f"generate @ {depth}, q8_0 cache", 0, args.generate, int(depth), ["-ctk", "q8_0"]))
    if args.sequences > 1:
        tests.append((f"generate x{args.sequences}", 0, args.generate, 0, ["--sequences", str(args.sequences)]))

    print(f"{processor()}, {args.threads} threads, {datetime.date.today()}, medians of {args.repetitions}\n")
    columns = [engine.name for engine in [mine] + peers]
    for model in args.models:
        print(f"\n`{os.path.basename(model)}`\n")
        print("| test | " + " | ".join(columns) + " | ratio to the better peer | GB/s | of the streaming read |")
        print("| --- |" + " ---: |" * (len(columns) + 3))
        for name, prompt, generate, depth, extra in tests:
            own_only = bool(extra)
            speeds = {engine.name: [] for engine in [mine] + peers}
            shares, read = [], []
            for _ in range(args.repetitions):
                for engine in [mine] + ([] if own_only else peers):
                    speeds[engine.name].append(engine.speed(model, prompt, generate, depth, extra))
                if generate and mine.machine:
                    read.append(mine.bytes / 1e9)
                    shares.append(mine.bytes / mine.machine["read_bytes_per_second"])
            medians = {engine: statistics.median(values) for engine, values in speeds.items() if values}
            others = [medians[p.name] for p in peers if p.name in medians]
            row = [f"{medians[c]:.2f}" if c in medians else "" for c in columns]
            row.append(f"{medians[mine.name] / max(others):.2f}" if others else "")
            row += [f"{statistics.median(read):.1f}", f"{100 * statistics.median(shares):.0f} %"] if read else ["", ""]
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)
        print(f"\nPeak of memory beside the mapped weights, K cache of 2,112 tokens included: {mine.own_memory(model):.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
