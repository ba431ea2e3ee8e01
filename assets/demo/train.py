"""Trains the demo model from nothing: `python train.py OUT_DIR`. The stages, their seeds and rates are in stages.py.

    python train.py OUT_DIR [--from CHECKPOINT] [--until STAGE]

Muon for the matrices inside the layers, Adam for embedding, head, norms and router; a running mean of the weights is what gets
exported. One core computes, another process makes the batches. Step s of stage i always sees the same batch; OUT_DIR gets log.txt,
latest.pt (from which a stopped run goes on) and one checkpoint per stage.
"""

import argparse
import ctypes
import multiprocessing
import os
import time
from pathlib import Path

import torch

import corpus
from model import Config, Model
from stages import STAGES
from vocab import Vocab

SEED = 20261123
SAVE_EVERY_S = 90

# Keep freed memory: without this every large temporary is mapped and page-faulted anew, which costs most of the time.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
_libc = ctypes.CDLL(None)
_libc.mallopt(M_MMAP_MAX, 0)
_libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
_libc.mallopt(M_TOP_PAD, 256 << 20)


def _product(start, beta, a, alpha, b):
    """beta * start + alpha * a @ b, in one operation."""
    return (torch.addmm if a.dim() == 2 else torch.baddbmm)(start, a, b, beta=beta, alpha=alpha)


def orthogonal(g):
    """Nearest semi-orthogonal matrices of a stack (..., a, b), by Newton-Schulz with Muon's quintic."""
    x = g.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = _product(x, 3.4445, _product(a, -4.7750, a, 2.0315, a), 1.0, x)
    return (x.transpose(-1, -2) if tall else x).float()


class Muon:
    """Momentum, orthogonalised, for matrices and stacks of matrices."""

    def __init__(self, params, momentum=0.95, decay=0.01):
        self.params, self.momentum, self.decay = params, momentum, decay
        self.state = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self, rate):
        for p, m in zip(self.params, self.state):
            m.lerp_(p.grad, 1 - self.momentum)
            update = orthogonal(p.grad.lerp(m, self.momentum))
            scale = max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5
            p.mul_(1 - rate * self.decay).add_(update, alpha=-rate * scale)


class Trainer:
    def __init__(self, model):
        self.model = model
        inner, tables, small = [], [], []
        for name, p in model.named_parameters():
            if name in ("embedding", "head"):
                tables.append(p)
            elif p.dim() == 1 or name.endswith("router"):
                small.append(p)
            else:
                inner.append(p)
        self.muon = Muon(inner)
        self.adam = torch.optim.Adam([{"params": [model.embedding], "factor": 1.0}, {"params": [model.head], "factor": 0.5},
                                      {"params": small, "factor": 0.3}], lr=0.0, betas=(0.9, 0.98), eps=1e-10)
        self.mean = {name: x.detach().clone() for name, x in model.state_dict().items()}

    def step(self, batch, rate, count):
        """One update; rate 1.0 is a high learning rate. Returns loss and, if count says so, accuracy."""
        loss, hits = self.model.loss(*(torch.from_numpy(a) for a in batch), count)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self.muon.step(0.02 * rate)
        for group in self.adam.param_groups:
            group["lr"] = 0.006 * group["factor"] * rate
        torch.nn.utils.clip_grad_norm_([p for g in self.adam.param_groups for p in g["params"]], 1.0)
        self.adam.step()
        for block in self.model.blocks[self.model.c.n_dense:]:
            block.ffn.balance(0.002 * rate)
        return loss.item(), hits

    @torch.no_grad()
    def average(self, weight):
        """Move the running mean of the weights towards the weights."""
        for name, x in self.model.state_dict().items():
            self.mean[name].lerp_(x, weight)

    def state(self):
        return {"model": self.model.state_dict(), "mean": self.mean, "muon": self.muon.state, "adam": self.adam.state_dict()}

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.mean, self.muon.state = state["mean"], state["muon"]
        self.adam.load_state_dict(state["adam"])


def make_batches(queue, stage, number, first_step):
    """The other process: batches of one stage, in order."""
    os.nice(5)
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    vocab = Vocab()
    parent = os.getppid()
    for step in range(first_step, stage.steps):
        while queue.full() and os.getppid() == parent:
            time.sleep(0.05)
        if os.getppid() != parent:
            break
        queue.put(corpus.batch(SEED * 1_000_003 + number * 1_000_000 + step, vocab, stage.tasks, stage.tokens, stage.lead, stage.marked))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=Path)
    ap.add_argument("--from", dest="start", type=Path)
    ap.add_argument("--until", default=STAGES[-1].name)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    everywhere = os.sched_getaffinity(0)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    trainer = Trainer(Model(Config()))
    first_stage, first_step, seen = 0, 0, 0
    if a.start:
        saved = torch.load(a.start)
        trainer.load(saved["trainer"])
        first_stage, first_step, seen = saved["stage"], saved["step"], saved["seen"]
    log = open(a.out / "log.txt", "a", encoding="utf-8")

    def save(path, stage, step):
        torch.save({"trainer": trainer.state(), "stage": stage, "step": step, "seen": seen}, str(path) + ".part")
        os.replace(str(path) + ".part", path)

    trainer.model.train()
    began = saved_at = time.time()
    for i in range(first_stage, len(STAGES)):
        stage = STAGES[i]
        mean, start = None, first_step if i == first_stage else 0
        queue = multiprocessing.Queue(8)
        os.sched_setaffinity(0, everywhere)
        maker = multiprocessing.Process(target=make_batches, args=(queue, stage, i, start), daemon=True)
        maker.start()
        os.sched_setaffinity(0, {min(everywhere)})
        for step in range(start, stage.steps):
            rate = stage.rate[0] + (stage.rate[1] - stage.rate[0]) * step / stage.steps
            batch = queue.get()
            loss, hits = trainer.step(batch, rate, step % 10 == 0)
            seen += stage.tokens
            if step % 4 == 0:
                trainer.average(0.02)
            if mean is None:
                mean = [loss, hits]
            mean[0] += 0.05 * (loss - mean[0])
            if hits is not None:
                mean[1] += 0.3 * (hits - mean[1])
            if step % 20 == 0:
                line = f"{time.time() - began:7.0f} s  {stage.name:8s} {step:5d}  {seen / 1e6:7.2f} M tokens  loss {mean[0]:.4f}  hits {mean[1]:.4f}  rate {rate:.3f}  waiting {queue.qsize()}"
                print(line, flush=True)
                print(line, file=log, flush=True)
            if time.time() - saved_at > SAVE_EVERY_S:
                saved_at = time.time()
                save(a.out / "latest.pt", i, step + 1)
        save(a.out / f"{stage.name}.pt", i + 1, 0)
        if stage.name == a.until:
            break


if __name__ == "__main__":
    main()
