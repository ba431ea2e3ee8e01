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
]
