"""Which files belong to a folder, against git itself: `ignore_parity.py KEYHOLE MODEL [CASES] [TREE...]`.

Random trees with random ignore files (nested, negated, with classes, escapes and odd lines), info/exclude, a global exclude file, tracked
files that are ignored, submodules and folders dropped from inside: what `keyhole pack --json` lists must be what
`git ls-files -co --exclude-standard` lists. Named trees are compared as they are.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ["a", "b", "c.o", "d.txt", "build", "src", "keep.o", "x y", "A", "é", "#h", "!n", "foo.bar", "lib", "t[1]", "back\\slash", "sub", "end "]
ATOMS = ["a", "b", "*", "?", "*.o", "build", "src", "lib", "**", "[a-c]", "[!a]", "[[:upper:]]", "foo.*", "\\#h", "\\!n", "x y", "*.txt", "é", "t\\[1\\]", "[]-]",
         "[a", "end\\ ", "back\\\\slash", "k*p.o"]


def git(folder, *args, env=None):
    return subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, env=env).stdout


def pattern(r):
    parts = [r.choice(ATOMS) for _ in range(r.choice([1, 1, 1, 2, 2, 3]))]
    text = ("!" if r.random() < 0.25 else "") + ("/" if r.random() < 0.25 else "") + "/".join(parts) + ("/" if r.random() < 0.25 else "")
    return text + r.choice(["", "", "", " ", "\r", "\t"])


def ignore_file(r):
    lines = []
    for _ in range(r.randint(0, 6)):
        k = r.random()
        lines.append("# comment" if k < 0.05 else "" if k < 0.1 else pattern(r))
    text = "\n".join(lines) + r.choice(["\n", ""])
    return ("\ufeff" if r.random() < 0.05 else "") + text


def fill(r, folder, depth):
    folder.mkdir(parents=True, exist_ok=True)
    for name in r.sample(NAMES, r.randint(2, 6)):
        path = folder / name
        if path.exists():
            continue
        if depth < 3 and r.random() < 0.45:
            fill(r, path, depth + 1)
        else:
            path.write_text(f"{path}\n")
    if r.random() < 0.6:
        (folder / ".gitignore").write_text(ignore_file(r))


def listed_by_git(folder, env):
    out = git(folder, "ls-files", "-z", "-co", "--exclude-standard", env=env)
    return {p.decode("utf-8", "surrogateescape").rstrip("/") for p in out.split(b"\0") if p}


def listed_by_keyhole(program, model, folder, env):
    done = subprocess.run([program, "pack", str(folder), "-m", model, "--json"], capture_output=True, env=env)
    assert done.returncode == 0, done.stderr.decode()
    return {f["path"].rstrip("/") for f in json.loads(done.stdout)["files"]}


def shown(path):
    """A path as a pack prints it."""
    out = ""
    for c in path:
        out += f"\\x{ord(c):02x}" if c in '"<>' or ord(c) < 32 or ord(c) == 127 else c
    return out


def compare(program, model, folder, env, what):
    wanted = {shown(p) for p in listed_by_git(folder, env)}
    got = listed_by_keyhole(program, model, folder, env)
    low = {p.lower(): p for p in got}
    missing = {p for p in wanted if p.lower() not in low}
    extra = {p for p in got if p.lower() not in {w.lower() for w in wanted}}
    if missing or extra:
        print(f"{what}: git lists and Keyhole does not: {sorted(missing)[:8]}; the other way round: {sorted(extra)[:8]}")
        return False
    return True


def main():
    program, model = sys.argv[1:3]
    cases = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    if shutil.which("git") is None:
        print("git is not here: left out")
        sys.exit(77)
    bad = 0
    with tempfile.TemporaryDirectory() as temp:
        home = Path(temp) / "home"
        (home / ".config/git").mkdir(parents=True)
        env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8",
               "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a"}
        for i in range(cases):
            r = random.Random(i)
            top = Path(temp) / f"case{i}"
            (home / ".config/git/ignore").write_text(ignore_file(r) if r.random() < 0.3 else "")
            fill(r, top, 0)
            git(top, "init", "-q", env=env)
            if r.random() < 0.4:
                (top / ".git/info").mkdir(exist_ok=True)
                (top / ".git/info/exclude").write_text(ignore_file(r))
            files = sorted(p for p in top.rglob("*") if p.is_file() and ".git" not in p.relative_to(top).parts)
            for path in files:
                if r.random() < 0.2:
                    git(top, "add", "-f", "--", str(path.relative_to(top)), env=env)
            git(top, "update-index", "--index-version", r.choice(["2", "3", "4"]), env=env)
            folders = [top] + [p for p in top.rglob("*") if p.is_dir() and ".git" not in p.relative_to(top).parts]
            dropped = top if r.random() < 0.7 else r.choice(folders)
            if not listed_by_git(dropped, env):
                continue
            bad += not compare(program, model, dropped, env, f"case {i}, {dropped.relative_to(temp)}")
            shutil.rmtree(top)
        for tree in sys.argv[4:]:
            bad += not compare(program, model, Path(tree), env, tree)
    print(f"{cases} cases, {len(sys.argv[4:])} trees, {bad} differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
