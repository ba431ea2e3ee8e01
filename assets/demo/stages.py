"""The curriculum: what is trained on, in which order, how long. Lengths in tokens, rate 1.0 = full learning rate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    name: str
    steps: int
    tokens: int         # per step
    cycle: tuple        # of (longest row in tokens, {task: share}); step s uses cycle[s % len(cycle)]
    rate: tuple         # at the stage's first and last step, linear between
    lead: float = 1.0   # weight of the first four tokens of a reply
    marked: float = 1.0     # weight of a token that follows a special token


COPY = {"recall": 0.7, "repeat": 0.3}
MANUAL = {"manual": 0.85, "recall": 0.1, "repeat": 0.05}
TOOLS = {"tools": 1.0}
SHORT = {"recall": 0.45, "among": 0.45, "repeat": 0.1}
AMONG = {"among": 0.8, "recall": 0.2}
DENSE = {"tools_dense": 1.0}
STRANGE = {"tools_strange": 1.0}
ONCE = {"tools_once": 1.0}
RECALL = {"recall": 0.9, "repeat": 0.1}
BLEND = ((192, SHORT), (256, MANUAL), (640, DENSE), (320, AMONG), (256, MANUAL), (512, DENSE), (768, AMONG), (256, MANUAL),
         (640, DENSE), (192, SHORT))
SHARP = ((192, SHORT), (256, MANUAL), (640, STRANGE), (256, MANUAL), (512, AMONG), (512, STRANGE), (256, MANUAL), (1024, AMONG),
         (640, STRANGE), (256, MANUAL))
LOOKUP = ((192, SHORT), (256, MANUAL), (384, ONCE), (640, ONCE), (256, MANUAL), (512, AMONG), (900, ONCE), (256, MANUAL), (384, ONCE),
          (1024, AMONG))
LONG = ((1024, AMONG), (384, ONCE), (256, MANUAL), (640, ONCE), (256, MANUAL), (320, SHORT), (2048, AMONG), (384, ONCE), (256, MANUAL),
        (512, DENSE))

MANY = {"manual_more": 0.9, "recall": 0.07, "repeat": 0.03}
MORE = ((192, SHORT), (256, MANY), (384, ONCE), (640, ONCE), (320, AMONG), (256, MANY), (900, ONCE), (384, ONCE), (1024, AMONG), (512, DENSE))
END = ((1024, AMONG), (384, ONCE), (256, MANY), (640, ONCE), (2048, AMONG), (256, MANY), (320, SHORT), (900, ONCE), (1024, AMONG), (512, DENSE),
       (256, MANY), (384, ONCE), (4096, AMONG), (192, SHORT))

STAGES = [
    Stage("copy", 600, 4096, ((128, COPY), (128, COPY), (192, COPY), (256, COPY)), (1.0, 1.0)),
    Stage("mixed", 788, 4096, ((256, MANUAL), (512, TOOLS), (512, RECALL), (256, MANUAL), (704, TOOLS), (1024, RECALL)), (1.0, 0.87)),
    Stage("blend", 306, 4096, BLEND, (0.85, 0.73)),
    Stage("calm", 515, 4096, BLEND, (0.3, 0.197), 4.0),
    Stage("sharp", 332, 4096, SHARP, (0.2, 0.159), 4.0),
    Stage("lookup", 249, 4096, LOOKUP, (0.2, 0.157), 4.0, 4.0),
    Stage("long", 640, 4096, LONG, (0.16, 0.0), 4.0, 4.0),
    Stage("more", 597, 4096, MORE, (0.22, 0.201), 4.0, 4.0),
    Stage("end", 760, 4096, END, (0.16, 0.0), 4.0, 4.0),
]
