"""A tree of source-like files for measuring: `make_tree.py FOLDER [FILES [MEGABYTES]]` (100,000 files and 240 MB).

Folders of about a hundred files each in five languages, names from a small vocabulary, imports of neighbours, comments, numbers and
strings; every file differs. The same arguments give the same tree. `KEYHOLE_TREE=FOLDER codebase_tests "[tree]"` times a scan of it,
tests/peers/pack.py other packers beside it.
"""

import random
import sys
from pathlib import Path

WORDS = """buffer cache page token model layer tensor weight head query value index offset length count width height scale error result
state event queue worker thread lock signal stream reader writer parser lexer node tree branch leaf path file folder name text line column
row cell table key entry map list stack frame window view panel button colour font glyph shape point region image pixel sample batch step
rate limit budget share owner reason status option setting request response header body client server socket port host route handler
message content role answer question prompt sequence prefix suffix chunk block record field type kind class object method function""".split()


class Names:
    def __init__(self, r):
        self.r = r

    def snake(self):
        return "_".join(self.r.choices(WORDS, k=self.r.choice((1, 2, 2, 3))))

    def camel(self):
        return "".join(w.capitalize() for w in self.r.choices(WORDS, k=self.r.choice((1, 2, 2))))

    def sentence(self):
        return " ".join(self.r.choices(WORDS, k=self.r.randint(5, 12))).capitalize() + "."

    def number(self):
        return self.r.choice((str(self.r.randint(0, 9)), str(self.r.randint(10, 99999)), hex(self.r.getrandbits(32)), f"{self.r.random():.4f}"))


def c(n):
    a, b, f = n.snake(), n.snake(), n.snake()
    return (f"// {n.sentence()}\nstatic int {f}({n.camel()}* {a}, size_t {b}) {{\n    for (size_t i = 0; i < {b}; i++) {{\n"
            f"        if ({a}->{n.snake()}[i] > {n.number()}) {{\n            return {n.snake()}({a}, i + {n.number()});  // {n.sentence()}\n"
            f"        }}\n    }}\n    log(\"{n.sentence()}\", {b});\n    return {n.number()};\n}}\n\n")


def python(n):
    a, f = n.snake(), n.snake()
    return (f"def {f}({a}, {n.snake()}={n.number()}):\n    \"\"\"{n.sentence()}\"\"\"\n    {n.snake()} = [{n.snake()}(x) for x in {a} if x != {n.number()}]\n"
            f"    if not {a}:\n        raise ValueError('{n.sentence()}')\n    return {n.snake()}.{n.snake()}({a}, key='{n.snake()}')\n\n\n")


def script(n):
    a = n.snake()
    return (f"/** {n.sentence()} */\nexport async function {n.snake()}({a}: {n.camel()}): Promise<{n.camel()}> {{\n"
            f"  const {n.snake()} = await this.{n.snake()}.{n.snake()}({{ {n.snake()}: {n.number()}, {n.snake()}: `${{{a}}}` }});\n"
            f"  return {n.snake()} ?? {n.number()};\n}}\n\n")


def rust(n):
    a = n.snake()
    return (f"/// {n.sentence()}\npub fn {n.snake()}({a}: &{n.camel()}) -> Result<{n.camel()}, Error> {{\n    let mut {n.snake()} = {n.number()};\n"
            f"    match {a}.{n.snake()} {{\n        Some(x) => x.{n.snake()}(),\n        None => return Err(Error::{n.camel()}),\n    }}\n}}\n\n")


def prose(n):
    return f"## {n.sentence()}\n\n" + " ".join(n.sentence() for _ in range(n.r.randint(2, 5))) + f"\n\n- `{n.snake()}`: {n.sentence()}\n\n"


KINDS = ((".c", c, '#include "{}.h"\n'), (".py", python, "from {} import *\n"), (".ts", script, 'import {{ x }} from "./{}";\n'),
         (".rs", rust, "use crate::{};\n"), (".md", prose, "# {}\n\n"))


def main():
    root = Path(sys.argv[1])
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    total = int(float(sys.argv[3]) * 1e6) if len(sys.argv) > 3 else 240_000_000
    r = random.Random(7)
    n = Names(r)
    # Pieces are made once and put together in another order for each file: writing, not inventing, should take the time.
    pool = {ending: [make(n) for _ in range(4000)] for ending, make, _ in KINDS}
    written = 0
    for i in range(files):
        ending, _, heading = KINDS[i % len(KINDS)]
        folder = root / f"part{i // 10000:02}" / f"{WORDS[i // 100 % len(WORDS)]}_{i // 100 % 100:02}"
        if i % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        want = int(total * (i + 1) / files) - written
        want = int(want * r.choice((0.4, 0.7, 1, 1, 1.2))) if want > 0 else 200
        text = heading.format(f"{n.snake()}_{i}")
        while len(text) < want:
            text += r.choice(pool[ending])
        (folder / f"{n.snake()}_{i}{ending}").write_text(text)
        written += len(text)
    print(f"{files} files, {written / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
