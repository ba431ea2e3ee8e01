"""Trains the demo model from nothing: `python train.py OUT_DIR`. Stages, seeds and rates below are the whole recipe.

    python train.py OUT_DIR [--from CHECKPOINT] [--until STAGE] [--threads N]

Muon for the matrices inside the layers, Adam for embedding, head, norms and router. Step s of stage i always sees the
same batch; OUT_DIR gets log.txt and one checkpoint per stage (plus latest.pt, from which a stopped run goes on).
"""

import argparse
import ctypes
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


def orthogonal(g):
    """Nearest semi-orthogonal matrices of a stack (..., a, b), by Newton-Schulz with Muon's quintic."""
    x = g.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
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

    def step(self, batch, rate):
        """One update; rate 1.0 is the full learning rate. Returns loss and accuracy."""
        tokens, targets, weights = (torch.from_numpy(a) for a in batch)
        loss, hits = self.model.loss(tokens, targets, weights)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self.muon.step(0.02 * rate)
        for group in self.adam.param_groups:
            group["lr"] = 0.006 * group["factor"] * rate
        torch.nn.utils.clip_grad_norm_([p for g in self.adam.param_groups for p in g["params"]], 1.0)
        self.adam.step()
        for block in self.model.blocks[self.model.c.n_dense:]:
            block.ffn.balance(0.002 * rate)
        return loss.item(), hits.item()

    def state(self):
        return {"model": self.model.state_dict(), "muon": self.muon.state, "adam": self.adam.state_dict()}

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.muon.state = state["muon"]
        self.adam.load_state_dict(state["adam"])


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("out", type=Path)
    ap.add_argument("--from", dest="start", type=Path)
    ap.add_argument("--until", default=STAGES[-1].name)
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(a.threads)
    torch.manual_seed(SEED)
    vocab = Vocab()
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
        for step in range(start, stage.steps):
            seed = SEED * 1_000_003 + i * 1_000_000 + step
            size, tasks = stage.cycle[step % len(stage.cycle)]
            batch = corpus.batch(seed, vocab, tasks, size, stage.tokens, stage.lead, stage.marked)
            progress = step / stage.steps
            rate = stage.rate[0] + (stage.rate[1] - stage.rate[0]) * progress
            if i == 0:
                rate *= min(1.0, (step + 1) / 50)
            loss, hits = trainer.step(batch, rate)
            seen += batch[0].size
            mean = (loss, hits) if mean is None else (0.95 * mean[0] + 0.05 * loss, 0.95 * mean[1] + 0.05 * hits)
            if step % 20 == 0:
                line = (f"{stage.name} {step}/{stage.steps} size {size} loss {mean[0]:.4f} hits {mean[1]:.4f} "
                        f"rate {rate:.3f} seen {seen / 1e6:.2f}M time {time.time() - began:.0f}s")
                print(line, flush=True)
                print(line, file=log, flush=True)
            if time.time() - saved_at > SAVE_EVERY_S:
                save(a.out / "latest.pt", i, step + 1)
                saved_at = time.time()
        save(a.out / f"{stage.name}.pt", i + 1, 0)
        save(a.out / "latest.pt", i + 1, 0)
        if stage.name == a.until:
            break


if __name__ == "__main__":
    main()
