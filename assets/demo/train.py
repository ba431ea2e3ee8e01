"""Trains the demo model, from nothing in a given time: `python train.py OUT_DIR --seconds 300`. The curriculum is in stages.py.

    python train.py OUT_DIR --seconds S [--start WEIGHTS_DIR|FILE.gguf] [--plan NAME] [--makers N] [--threads N]

On a CUDA device if there is one, else on the CPU. Muon for the matrices inside the layers, Adam for embedding, head, norms and
router; a running mean of the weights is what gets exported. The rate falls to zero by the clock, at the end of the time given.
Other processes make the batches; batch number s is always the same, but which stage it belongs to follows from the clock, unless the
plan has a number of steps (then the time given plays no part). OUT_DIR gets log.txt and, after 60 %, 85 % and all of the run,
keyhole-demo.gguf and the mean weights as bfloat16 (weights-0.pt, -1.pt); OUT_DIR/best those that did best on tools nobody trains on,
if the plan says how often to look (validate.py).
"""

import argparse
import ctypes
import multiprocessing
import os
import time
from multiprocessing.connection import wait
from pathlib import Path

BEGAN = time.time()

import numpy as np
import torch

import attention
import corpus
import stages
import validate
from export import export, restore
from model import BF, Config, Model, Parts
from vocab import Vocab

SEED = 20261126
RESERVE_S = 6       # for the last export


def keep_memory():
    """Freed memory stays with this process: else every large temporary is mapped and page-faulted anew, which on the CPU costs most of the time."""
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2 ** 31 - 1)
    libc.mallopt(top_pad, 256 << 20)


def orthogonal(g):
    """Nearest semi-orthogonal matrices of a stack (n, a, b), by Newton-Schulz with Muon's quintic."""
    x = g.to(BF)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = torch.baddbmm(x, torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.transpose(-1, -2) if tall else x).float()


class Muon:
    """Momentum, orthogonalised, for matrices and stacks of matrices; those of one shape in one product."""

    def __init__(self, params, momentum=0.95, decay=0.01):
        self.momentum, self.decay = momentum, decay
        self.groups = {}
        for p in params:
            self.groups.setdefault(p.shape, []).append((p, torch.zeros_like(p)))

    @torch.no_grad()
    def step(self, rate):
        for shape, group in self.groups.items():
            params, state = zip(*group)
            grads = [p.grad for p in params]
            torch._foreach_lerp_(state, grads, 1 - self.momentum)
            mixed = torch._foreach_lerp(grads, state, self.momentum)
            update = orthogonal(torch.stack(mixed).view(-1, *shape[-2:])).view(len(params), *shape)
            torch._foreach_mul_(params, 1 - rate * self.decay)
            torch._foreach_add_(params, list(update.unbind(0)), alpha=-rate * max(1.0, shape[-2] / shape[-1]) ** 0.5)


class Trainer:
    """frozen: layers from below that are not trained, nor the embedding then."""

    def __init__(self, model, device, frozen=0):
        self.model, self.device, self.frozen, self.attend = model.to(device), device, frozen, attention.plain
        inner, tables, small = [], [], []
        for p in [model.embedding, *model.blocks[:frozen].parameters()] if frozen else []:
            p.requires_grad_(False)
        for name, p in model.named_parameters():
            if not p.requires_grad:
                continue
            if name in ("embedding", "head"):
                tables.append(p)
            elif p.dim() == 1 or name.endswith("router"):
                small.append(p)
            else:
                inner.append(p)
        self.muon = Muon(inner)
        self.adam = torch.optim.Adam([{"params": [p], "factor": 0.5 if p is model.head else 1.0} for p in tables]
                                     + [{"params": small, "factor": 0.3}], lr=0.0, betas=(0.9, 0.98), eps=1e-10)
        self.live = list(model.state_dict().values())       # the very tensors, which the steps change in place
        self.mean = [x.detach().clone() for x in self.live]

    def put(self, batch):
        """A batch of corpus.py as the arguments of Model.loss."""
        tokens, targets, weights, starts, branch = batch
        n = len(tokens)
        where = np.flatnonzero(weights)[:n // 2]
        filled = np.pad(where, (0, n // 2 - len(where) if self.model.parts.compiled else 0))    # compiled for one shape
        w = weights[filled]
        w[len(where):] = 0
        lengths = np.diff(starts)
        positions = corpus.positions(starts, branch)
        to = lambda a, kind: torch.from_numpy(np.ascontiguousarray(a, kind)).to(self.device)
        longest = -(-int(lengths.max()) // 256) * 256
        self.model.attend = attention.forked(self.attend, branch, starts, self.device) if branch.any() else self.attend
        return (to(tokens, np.int64), to(positions, np.int64), to(starts, np.int32), longest, to(filled, np.int64),
                to(targets[filled], np.int64), to(w, np.float32))

    def step(self, batch, rate):
        """One update; rate 1.0 is a high learning rate. Returns loss and share of hits, on the device."""
        loss, hits = self.model.loss(*self.put(batch))
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self.muon.step(0.02 * rate)
        for group in self.adam.param_groups:
            group["lr"] = 0.006 * group["factor"] * rate
        torch.nn.utils.clip_grad_norm_([p for g in self.adam.param_groups for p in g["params"]], 1.0)
        self.adam.step()
        for block in self.model.blocks[max(self.model.c.n_dense, self.frozen):]:
            block.ffn.balance(0.002 * rate)
        return loss.detach(), hits

    @torch.no_grad()
    def average(self, weight):
        """Move the running mean of the weights towards the weights."""
        torch._foreach_lerp_(self.mean, self.live, weight)

    @torch.no_grad()
    def validate(self, vocab):
        """What validate.py says of the mean weights."""
        kept = [x.clone() for x in self.live]
        for x, mean in zip(self.live, self.mean):
            x.copy_(mean)
        scores = validate.validate(self.model, vocab, every=3)
        for x, back in zip(self.live, kept):
            x.copy_(back)
        return scores

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: x.float().cpu() for name, x in zip(self.model.state_dict(), self.mean)}
        export(state, folder / "part.gguf", self.model.c)
        os.replace(folder / "part.gguf", folder / "keyhole-demo.gguf")
        names = sorted(state)
        for i in range(2):
            torch.save({name: state[name].to(torch.bfloat16) for name in names[i::2]}, folder / "part.pt")
            os.replace(folder / "part.pt", folder / f"weights-{i}.pt")

    @torch.no_grad()
    def load(self, start):
        """From a folder that save() wrote, or from the exported file alone."""
        saved = restore(start, self.model.c) if start.is_file() else {}
        for i in range(0 if saved else 2):
            saved |= torch.load(start / f"weights-{i}.pt", map_location=self.device)
        for name, live, mean in zip(self.model.state_dict(), self.live, self.mean):
            live.copy_(saved[name])
            mean.copy_(saved[name])


def make_batches(pipe, plan):
    """One of the other processes: gets (number, tokens, part of the run), answers with a batch."""
    ctypes.CDLL(None).prctl(1, 9)       # PR_SET_PDEATHSIG: end with the trainer, however that ends
    os.nice(5)
    torch.set_num_threads(1)
    vocab = Vocab()
    while True:
        try:
            number, tokens, progress = pipe.recv()
            s = plan.stage(progress)
            made = corpus.batch((SEED + plan.seed) * 1_000_003 + number, vocab, s.tasks, tokens, s.lead, s.marked)
            pipe.send((made[0].astype(np.uint16), made[1].astype(np.uint16), made[2].astype(np.float16), made[3].astype(np.int32), made[4].astype(np.uint8)))
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            return


class Makers:
    """The processes that make batches; each has two to do."""

    def __init__(self, n, tokens, plan):
        self.tokens, self.number, self.progress, self.pipes, self.processes = tokens, 0, 0.0, [], []
        context = multiprocessing.get_context("fork")
        for _ in range(n):
            ours, theirs = context.Pipe()
            p = context.Process(target=make_batches, args=(theirs, plan), daemon=True)
            p.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(p)
        for _ in range(2):
            for pipe in self.pipes:
                self.order(pipe)

    def order(self, pipe):
        pipe.send((self.number, self.tokens, self.progress))
        self.number += 1

    def take(self):
        ready = wait(self.pipes, 600)
        if not ready:
            raise SystemExit("no batch in ten minutes")
        pipe = ready[self.number % len(ready)]
        tokens, targets, weights, starts, branch = pipe.recv()
        self.order(pipe)
        return tokens, targets, weights.astype(np.float32), starts, branch

    def stop(self):
        for p in self.processes:
            p.kill()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=Path)
    ap.add_argument("--seconds", type=float, default=300)
    ap.add_argument("--start", type=Path)
    ap.add_argument("--plan", choices=stages.PLANS, help="of stages.py; default: fresh, with --start continued")
    ap.add_argument("--makers", type=int, default=max(1, len(os.sched_getaffinity(0)) - 5))
    ap.add_argument("--threads", type=int, help="of the CPU")
    ap.add_argument("--eager", action="store_true", help="compile nothing")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    plan = stages.PLANS[a.plan or ("continued" if a.start else "fresh")]
    if a.threads:
        torch.set_num_threads(a.threads)
    makers = Makers(a.makers, plan.tokens, plan)      # before the device is touched: they are forked
    log = open(a.out / "log.txt", "a", encoding="utf-8")

    def say(line):
        print(line, flush=True)
        print(line, file=log, flush=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    c = Config()
    trainer = Trainer(Model(c), device, plan.frozen)
    if a.start:
        trainer.load(a.start)
    model = trainer.model
    if device.type == "cpu":
        keep_memory()
        model.parts = Parts(False, gathered=True)
    trainer.attend = attention.choose(device, c.n_head, c.nope + c.rope, c.v_dim)
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    say(f"{time.time() - BEGAN:6.1f} s  {device}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M weights, {a.makers} makers, attention {trainer.attend.__name__}, torch {torch.__version__}")

    first = makers.take()
    if device.type == "cuda" and not a.eager:
        model.parts = Parts(True)
        try:
            model.loss(*trainer.put(first))[0].backward()
            synchronize()
        except Exception as e:
            model.parts = Parts(False)
            say(f"not compiled: {str(e).splitlines()[0][:300] if str(e) else type(e).__name__}")
    model.zero_grad(set_to_none=True)
    say(f"{time.time() - BEGAN:6.1f} s  ready")

    start, end = time.time(), BEGAN + a.seconds - RESERVE_S
    marks, best = [0.6, 0.85], 0.0
    step = said_step = 0
    said, waited, batch = start, 0.0, first
    while True:
        now = time.time()
        progress = makers.progress = step / plan.steps if plan.steps else (now - start) / max(1.0, end - start)
        if progress >= 1:
            break
        loss, hits = trainer.step(batch, plan.rate(step, progress))
        trainer.average(max(plan.mean, 1 / (step + 1)))
        step += 1
        if step % 4 == 0:
            synchronize()       # the clock and the device must not drift apart
        asked = time.time()
        batch = makers.take()
        waited += time.time() - asked
        if time.time() - said > 5:
            value, share = loss.item(), hits.item()
            now = time.time()
            speed = (step - said_step) * plan.tokens / (now - said)
            say(f"{now - BEGAN:6.1f} s  {plan.stage(progress).name:6s} {100 * progress:5.1f} %  step {step:6d}  {step * plan.tokens / 1e6:8.2f} M tokens  {speed / 1e3:8.1f} k/s  "
                f"loss {value:.4f}  hits {share:.4f}  rate {plan.rate(step, progress):.3f}  waited {waited:.1f} s")
            if value != value:
                raise SystemExit("the loss is not a number")
            said, said_step, waited = now, step, 0.0
        if plan.checked and step % 20 == 0:
            trainer.save(a.out)
        if plan.checked and step % plan.checked == 0:
            scores = trainer.validate(Vocab())
            say(f"{time.time() - BEGAN:6.1f} s  step {step:6d}  held-back tools: " + ", ".join(f"{k} {100 * v:.1f} %" for k, v in scores.items()))
            if sum(scores.values()) >= best:
                best = sum(scores.values())
                trainer.save(a.out / "best")
        if marks and progress > marks[0]:
            marks.pop(0)
            trainer.save(a.out)
    makers.stop()
    trainer.save(a.out)
    say(f"{time.time() - BEGAN:6.1f} s  done: {step} steps, {step * plan.tokens / 1e6:.1f} M tokens")


if __name__ == "__main__":
    main()
