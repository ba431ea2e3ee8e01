"""The curriculum: what is trained on, in which order, how long. Rate 1.0 is a high learning rate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    name: str
    steps: int
    tokens: int         # per step
    tasks: dict         # task of corpus.py: share of the tokens
    rate: tuple         # at the stage's first and last step, linear between
    lead: float = 1.0   # weight of the first four tokens of a reply
    marked: float = 1.0     # weight of a token that follows a special token


STAGES = [
    Stage("warm", 60, 8192, {"echo": 1.0}, (0.02, 0.4)),
    Stage("copy", 400, 8192, {"echo": 0.3, "recall": 0.35, "repeat": 0.1, "among": 0.15, "manual": 0.1}, (0.4, 0.4), 2.0, 2.0),
    Stage("mixed", 453, 8192, {"recall": 0.15, "among": 0.2, "repeat": 0.05, "once": 0.3, "calls": 0.1, "manual": 0.2}, (0.4, 0.4), 2.0, 2.0),
    Stage("main", 228, 8192, {"recall": 0.05, "among": 0.07, "long": 0.18, "repeat": 0.05, "once": 0.35, "calls": 0.08, "manual": 0.22}, (0.4, 0.4), 2.0, 2.0),
    Stage("choose", 184, 8192, {"recall": 0.07, "among": 0.08, "brief": 0.6, "calls": 0.05, "manual": 0.2}, (0.4, 0.4), 3.0, 4.0),
    Stage("ask", 297, 8192, {"recall": 0.05, "among": 0.08, "brief": 0.65, "manual": 0.22}, (0.4, 0.4), 3.0, 4.0),
    Stage("end", 227, 8192, {"recall": 0.05, "among": 0.06, "long": 0.12, "longest": 0.02, "brief": 0.3, "once": 0.25, "manual": 0.2}, (0.4, 0.324), 3.0, 4.0),
    Stage("sharp", 950, 8192, {"recall": 0.05, "among": 0.05, "long": 0.1, "longest": 0.01, "choose": 0.2, "brief": 0.22, "once": 0.2, "manual": 0.18}, (0.34, 0.0), 4.0, 5.0),
    Stage("wake", 60, 8192, {"recall": 0.04, "among": 0.06, "long": 0.12, "longest": 0.01, "choose": 0.1, "brief": 0.34, "once": 0.18, "manual": 0.15}, (0.05, 0.3), 3.0, 4.0),
    Stage("tools", 585, 8192, {"recall": 0.04, "among": 0.06, "long": 0.12, "longest": 0.01, "choose": 0.1, "brief": 0.34, "once": 0.18, "manual": 0.15}, (0.3, 0.3), 3.0, 4.0),
    Stage("bind", 408, 8192, {"recall": 0.02, "among": 0.03, "long": 0.09, "longest": 0.01, "choose": 0.08, "brief": 0.22, "once": 0.08, "bind": 0.34, "manual": 0.13}, (0.3, 0.3), 3.0, 4.0),
    Stage("bind2", 181, 4096, {"recall": 0.02, "among": 0.03, "long": 0.07, "choose": 0.08, "brief": 0.25, "once": 0.1, "bind": 0.30, "manual": 0.15}, (0.3, 0.3), 3.0, 4.0),
    Stage("bind3", 700, 4096, {"recall": 0.02, "among": 0.03, "long": 0.07, "choose": 0.08, "brief": 0.25, "once": 0.1, "bind": 0.28, "manual": 0.17}, (0.3, 0.3), 4.0, 5.0),
    Stage("join", 79, 8192, {"recall": 0.03, "among": 0.05, "long": 0.11, "longest": 0.01, "choose": 0.08, "brief": 0.3, "once": 0.14, "bind": 0.12, "manual": 0.16}, (0.3, 0.0), 4.0, 5.0),
    Stage("join2", 529, 4096, {"recall": 0.03, "among": 0.05, "long": 0.1, "choose": 0.06, "brief": 0.28, "once": 0.14, "bind": 0.16, "manual": 0.18}, (0.28, 0.15), 4.0, 5.0),
    Stage("join3", 260, 4096, {"recall": 0.02, "among": 0.04, "long": 0.08, "choose": 0.05, "brief": 0.27, "once": 0.16, "bind": 0.2, "manual": 0.18}, (0.19, 0.16), 5.0, 8.0),
    Stage("last", 520, 8192, {"recall": 0.03, "among": 0.05, "long": 0.1, "longest": 0.01, "choose": 0.04, "brief": 0.25, "once": 0.2, "bind": 0.13, "manual": 0.19}, (0.16, 0.0), 5.0, 8.0),
]
