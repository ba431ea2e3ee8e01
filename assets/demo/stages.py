"""The curriculum: what is trained on and when, in parts of the run. Rate 1.0 is a high learning rate."""

from dataclasses import dataclass, replace

@dataclass(frozen=True)
class Stage:
    name: str
    until: float        # part of the run
    tasks: dict         # task of corpus.py: share of the tokens
    lead: float = 1.0   # weight of the first four tokens of a reply
    marked: float = 1.0     # weight of a token that follows a special token


@dataclass(frozen=True)
class Plan:
    peak: float         # the rate after the first steps
    hold: float         # part of the run up to which it stays there; then it goes down to zero in a straight line
    stages: tuple
    seed: int = 0       # other batches than another plan's
    tokens: int = 65536     # per step
    warm: int = 100     # steps up to the peak
    mean: float = 0.005     # weight of a step in the running mean that is exported
    frozen: int = 0     # layers from below that stay as they are, and the embedding with them
    checked: int = 0    # steps between two looks at the held-back tools (validate.py)
    steps: int = 0      # how many; 0: as many as the time given allows

    def stage(self, progress):
        """The stage at this part of the run."""
        return next((s for s in self.stages if progress < s.until), self.stages[-1])

    def rate(self, step, progress):
        return self.peak * min(1.0, (step + 1) / self.warm, max(0.0, 1 - progress) / (1 - self.hold))


FRESH = Plan(0.8, 0.35, (
    Stage("copy", 0.05, {"echo": 0.25, "recall": 0.3, "repeat": 0.1, "among": 0.15, "bind": 0.1, "manual": 0.1}, 2.0, 2.0),
    Stage("short", 0.22, {"recall": 0.12, "among": 0.14, "repeat": 0.04, "bind": 0.2, "choose": 0.06, "brief": 0.2, "once": 0.1, "manual": 0.14}, 2.0, 3.0),
    Stage("main", 0.7, {"recall": 0.05, "among": 0.08, "long": 0.16, "longest": 0.05, "repeat": 0.02, "bind": 0.13, "choose": 0.04, "brief": 0.17, "once": 0.14, "calls": 0.04, "manual": 0.12}, 2.0, 3.0),
    Stage("end", 1.0, {"recall": 0.04, "among": 0.07, "long": 0.18, "longest": 0.06, "repeat": 0.01, "bind": 0.08, "choose": 0.03, "brief": 0.18, "once": 0.17, "calls": 0.04, "manual": 0.14}, 2.0, 3.0),
))

# From the weights of a run before.
CONTINUED = Plan(0.6, 0.3, (
    Stage("more", 0.5, {"recall": 0.03, "among": 0.05, "long": 0.14, "longest": 0.07, "repeat": 0.01, "bind": 0.13, "choose": 0.03, "brief": 0.16, "once": 0.18, "calls": 0.05, "manual": 0.15}, 2.0, 3.0),
    Stage("last", 1.0, {"recall": 0.03, "among": 0.05, "long": 0.15, "longest": 0.06, "repeat": 0.01, "bind": 0.09, "choose": 0.02, "brief": 0.16, "once": 0.22, "calls": 0.05, "manual": 0.16}, 2.0, 3.0),
), seed=1)

# The last touch, on a CPU: few small steps, of the upper layers alone.
TOUCH = Plan(0.15, 0.3, (
    Stage("tools", 1.0, {"recall": 0.05, "among": 0.08, "long": 0.04, "bind": 0.07, "choose": 0.02, "brief": 0.24, "once": 0.34, "manual": 0.16}, 2.0, 3.0),
), seed=2, tokens=4096, warm=8, mean=0.03, frozen=4, steps=200)

# And once more, at half the rate and with other batches.
TOUCH_AGAIN = replace(TOUCH, peak=0.08, seed=3, steps=160)

# Tools of many more kinds, on a CPU, from the file itself; then down to nothing from there.
SPREAD = Plan(0.25, 0.99, (
    Stage("tools", 1.0, {"forked": 0.78, "once": 0.02, "calls": 0.03, "bind": 0.02, "recall": 0.02, "among": 0.04, "long": 0.03, "manual": 0.06}, 2.0, 3.0),
), seed=4, tokens=4096, warm=20, mean=0.02, frozen=2, checked=60, steps=100)
SPREAD_AGAIN = replace(SPREAD, peak=0.3, hold=0.2, seed=5, warm=4, mean=0.04, checked=50, steps=74)

# Many more hand-written tools and requests, on a GPU, from the file itself: half of the calls are a conversation's first, half of these with a thought.
BROAD = Plan(0.6, 0.3, (
    Stage("more", 0.5, {"recall": 0.03, "among": 0.05, "long": 0.13, "longest": 0.06, "bind": 0.09, "choose": 0.02, "brief": 0.1, "once": 0.12, "calls": 0.04, "forked": 0.2, "single": 0.04, "manual": 0.12}, 2.0, 3.0),
    Stage("last", 1.0, {"recall": 0.03, "among": 0.05, "long": 0.14, "longest": 0.06, "bind": 0.06, "choose": 0.01, "brief": 0.09, "once": 0.12, "calls": 0.04, "forked": 0.22, "single": 0.05, "manual": 0.13}, 2.0, 3.0),
), seed=6)
# From there, with one form for a thought about tools.
BROAD_AGAIN = replace(BROAD, peak=0.35, hold=0.15, seed=7, stages=BROAD.stages[1:])

# On a CPU, from the mean of the two: first requests to the most usual tools, few small steps.
USUAL = Plan(0.1, 0.2, (
    Stage("tools", 1.0, {"usual": 0.55, "forked": 0.12, "once": 0.04, "calls": 0.02, "bind": 0.02, "recall": 0.03, "among": 0.04, "long": 0.06, "manual": 0.12}, 2.0, 3.0),
), seed=9, tokens=4096, warm=10, mean=0.02, frozen=2, steps=260)

PLANS = {"fresh": FRESH, "continued": CONTINUED, "touch": TOUCH, "touch_again": TOUCH_AGAIN, "spread": SPREAD, "spread_again": SPREAD_AGAIN, "broad": BROAD, "broad_again": BROAD_AGAIN, "usual": USUAL}
