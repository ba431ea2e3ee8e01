"""toolkit.txt, situations.txt and everyday.txt: kinds of parameters, verbs, nouns, and tools written by hand."""

import random
from pathlib import Path

from families import B, I, N, S
from values import VALUES

KINDS, ACTIONS, THINGS = {}, {}, {}
KINDS_OF_VALUES = {}    # kinds that situations.txt names by what values.py calls them
OTHERS = {}     # other words for a noun


class Kind:
    """A kind of parameter: names, type, descriptions, values, and how a request states them."""

    def __init__(self, names, kind, texts, values, frames):
        self.names, self.type, self.texts, self.frames = names.split("/"), kind, [t for t in texts.split("/") if t], [f for f in frames.split("/") if f]
        self.enum = values.removeprefix("e!").split("|") if "|" in values else None
        self.closed = values.startswith("e!")
        self.value = (lambda r: r.choice(self.enum)) if self.enum else VALUES[values]


def parameter(text):
    """(name or None, kind) of a written tool's parameter: kind=name, (a|b|c)=name for a string, {a|b|c}=name for an enum."""
    kind, _, name = text.partition("=")
    if kind[0] in "({":
        return name, Kind(name, S, "", ("e!" if kind[0] == "{" else "") + kind[1:-1], "{}")
    if kind not in KINDS:
        sample = VALUES[kind](random.Random(1))
        KINDS_OF_VALUES.setdefault(kind, Kind(kind, {bool: B, int: I, float: N}.get(type(sample), S) if kind not in ("real", "amount", "degrees") else N, "", kind, "{}"))
        return name, KINDS_OF_VALUES[kind]
    return name or None, KINDS[kind]


def read(file):
    """Lines of one of the files, whose comments say what the letters mean; returns the tools written by hand, held-back ones last."""
    written, held = [], []
    for line in Path(__file__).with_name(file).read_text(encoding="utf-8").split("\n"):
        kind, _, rest = line.partition(" ")
        fields = [x.strip() for x in rest.split(" | " if kind in ("F", "H") else "; ")]
        if kind == "K":
            KINDS[fields[0]] = Kind(*fields[1:5], rest.split("; ")[5])
        elif kind == "V":
            ACTIONS[fields[0]] = (fields[1].split("/"), fields[2].split("/"))
        elif kind == "N":
            THINGS[fields[0]] = (fields[1].split(","), fields[2].split(","))
        elif kind in ("F", "H"):
            family = (fields[0].split("/"), fields[1].split("/"), [parameter(k) for k in fields[2].split(",") if k.strip("- ")], fields[3].split("/ "))
            (written if kind == "F" else held).append(family)
        if kind in ("N", "S") and len(fields) > (3 if kind == "N" else 1):
            OTHERS[fields[0]] = OTHERS.get(fields[0], []) + fields[-1].split(",")
    return written, held


FLAGS = [("urgent", "Whether it is urgent", "urgently", "not urgent"), ("private", "Keep it private", "privately", "publicly"), ("recursive", "Also in subfolders", "with subfolders", "without subfolders"),
         ("notify", "Tell the others", "and notify everybody", "without notification"), ("force", "Do it in any case", "by force", "without force"), ("round_trip", "Both ways", "and back", "one way"),
         ("breakfast", "With breakfast", "with breakfast", "without breakfast"), ("verbose", "Many details", "with all details", "without details"), ("repeat", "Again every day", "every day", "only once"),
         ("all", "All of them", "all of them", "not all of them"), ("gift", "Wrap as a gift", "as a gift", "not as a gift"), ("express", "Fast delivery", "by express", "by normal delivery")]
TOOLKIT, (SITUATIONS, HELD), EVERYDAY = read("toolkit.txt")[0], read("situations.txt"), read("everyday.txt")[0]
WRITTEN = TOOLKIT + SITUATIONS + EVERYDAY
