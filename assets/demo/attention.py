"""Attention over conversations laid end to end: attention.cpp where the processor has AMX, plain PyTorch elsewhere."""

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F


@cache
def _native():
    """The compiled attention.cpp, or None."""
    if "amx_bf16" not in Path("/proc/cpuinfo").read_text():
        return None
    from torch.utils.cpp_extension import load
    return load("attention", [str(Path(__file__).with_suffix(".cpp"))],
                extra_cflags=["-std=c++20", "-O3", "-march=sapphirerapids", "-mprefer-vector-width=512", "-ffast-math"])


@cache
def _angles(n, r, base):
    """(n, r) float32: cosines of every position, then sines."""
    angle = torch.arange(n, dtype=torch.float64)[:, None] * base ** (-torch.arange(0, r, 2, dtype=torch.float64) / r)
    return torch.cat([angle.cos(), angle.sin()], -1).float()


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, k_pe, v, cs, starts):
        out, sums = _native().forward(q, k, k_pe, v, cs, starts)
        ctx.save_for_backward(q, k, k_pe, v, cs, starts, out, sums)
        return out

    @staticmethod
    def backward(ctx, grad):
        return *_native().backward(*ctx.saved_tensors, grad.contiguous()), None, None


def _rotate(x, cs):
    cos, sin = (a[:, None] for a in cs.chunk(2, -1))
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)


def attend(q, k, k_pe, v, starts, base):
    """q (T, H, N+R), k (T, H, N), k_pe (T, R), v (T, H, V) -> (T, H, V); starts: where each conversation begins, and T."""
    n = k.shape[-1]
    cs = _angles(8192, k_pe.shape[-1], base)
    if _native():
        return _Attend.apply(q, k, k_pe, v, cs, starts)
    out = []
    for a, b in zip(starts[:-1].tolist(), starts[1:].tolist()):
        queries = torch.cat([q[a:b, :, :n], _rotate(q[a:b, :, n:], cs[:b - a])], -1)
        keys = torch.cat([k[a:b], _rotate(k_pe[a:b, None], cs[:b - a]).expand(-1, q.shape[1], -1)], -1)
        out.append(F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in (queries, keys, v[a:b])), is_causal=True)[0].transpose(0, 1))
    return torch.cat(out)
