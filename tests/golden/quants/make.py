#!/usr/bin/env python3
"""Writes the golden vectors of dequantisation: for each type <TYPE>.bin, packed blocks and what they stand for.

    make.py REFERENCE_DIR [--peer]

REFERENCE_DIR holds the reference oracle's quants.py, which dequantises every type but Q2_K and Q3_K; those two are
written out below, weight by weight, from ggml's published layouts. --peer also compares every block with the PyPI
package `gguf` where it knows the type.

File: n blocks, then n * weights-per-block float32 (little endian); n follows from the file's size. Blocks are random
bits; their half-precision scales run through zeros of both signs, denormals and the largest finite values, and the
sub-block scales of the first blocks are all zeros and all ones.
"""

import pathlib
import sys

import numpy as np

BLOCKS = {  # weights, bytes, offsets of halves
    "F32": (1, 4, ()), "F16": (1, 2, (0,)), "BF16": (1, 2, ()),
    "Q4_0": (32, 18, (0,)), "Q4_1": (32, 20, (0, 2)), "Q5_0": (32, 22, (0,)), "Q5_1": (32, 24, (0, 2)),
    "Q8_0": (32, 34, (0,)), "IQ4_NL": (32, 18, (0,)), "MXFP4": (32, 17, ()),
    "Q2_K": (256, 84, (80, 82)), "Q3_K": (256, 110, (108,)), "Q4_K": (256, 144, (0, 2)),
    "Q5_K": (256, 176, (0, 2)), "Q6_K": (256, 210, (208,)), "IQ4_XS": (256, 136, (0,)),
}
HALVES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0xBC00]


def half(b, at):
    return np.float32(np.frombuffer(bytes(b[at:at + 2]), "<f2")[0])


def q2_k(b):
    """scales[16], qs[64], d, dmin. Weight i lies in half i / 128, bit pair (i % 128) / 32 of byte i % 32."""
    d, dmin = half(b, 80), half(b, 82)
    out = np.empty(256, np.float32)
    for i in range(256):
        byte = int(b[16 + 32 * (i // 128) + i % 32])
        q = (byte >> (2 * (i % 128 // 32))) & 3
        pair = int(b[i // 16])
        out[i] = d * np.float32(pair & 15) * np.float32(q) - dmin * np.float32(pair >> 4)
    return out


def q3_k(b):
    """hmask[32], qs[64], scales[12], d. The twelve scale bytes are three words; see dequantize_row_q3_K."""
    word = [int.from_bytes(bytes(b[96 + 4 * k:100 + 4 * k]), "little") for k in range(3)]
    low, two = 0x0F0F0F0F, 0x03030303
    words = [word[0] & low | (word[2] & two) << 4,
             word[1] & low | (word[2] >> 2 & two) << 4,
             word[0] >> 4 & low | (word[2] >> 4 & two) << 4,
             word[1] >> 4 & low | (word[2] >> 6 & two) << 4]
    scales = [w >> (8 * k) & 255 for w in words for k in range(4)]
    d = half(b, 108)
    out = np.empty(256, np.float32)
    at, mask = 0, 1
    for group in (0, 1):
        for shift in (0, 2, 4, 6):
            for l in range(32):
                q = (int(b[32 + 32 * group + l]) >> shift) & 3
                q -= 0 if int(b[l]) & mask else 4
                out[at] = d * np.float32(scales[at // 16] - 32) * np.float32(q)
                at += 1
            mask <<= 1
    return out


def blocks_of(name, rng):
    weights, size, halves = BLOCKS[name]
    count = {1: 512, 32: 44, 256: 13}[weights]
    blocks = rng.integers(0, 256, (count, size), np.uint8)
    for k, at in enumerate(halves):
        for i in range(count):
            bits = HALVES[(i + 3 * k) % len(HALVES)] if i < len(HALVES) else int(rng.integers(0, 0x10000))
            if bits & 0x7C00 == 0x7C00:
                bits ^= 0x4000
            blocks[i, at:at + 2] = bits & 255, bits >> 8
    if name == "MXFP4":
        blocks[:, 0] = np.minimum(blocks[:, 0], 254)
        blocks[:4, 0] = 0, 1, 2, 254
    scale_bytes = {"Q2_K": (0, 16), "Q3_K": (96, 108), "Q4_K": (4, 16), "Q5_K": (4, 16), "Q6_K": (192, 208),
                   "IQ4_XS": (2, 8)}.get(name)
    if scale_bytes:
        blocks[9, slice(*scale_bytes)] = 0
        blocks[10, slice(*scale_bytes)] = 255
        if name == "Q6_K":
            blocks[11, slice(*scale_bytes)] = 128
    if name == "F32":  # the payload of a NaN may change on its way through a register
        values = blocks.reshape(-1).view("<u4")
        values[values & 0x7F800000 == 0x7F800000] ^= 0x40000000
    if name == "BF16":
        values = blocks.reshape(-1).view("<u2")
        values[values & 0x7F80 == 0x7F80] ^= 0x4000
    return blocks


def main():
    reference = sys.argv[1]
    sys.path.insert(0, reference)
    import quants
    peer = None
    if "--peer" in sys.argv:
        import gguf
        peer = gguf
    np.seterr(over="ignore", invalid="ignore")
    rng = np.random.default_rng(20)
    for name, (weights, size, _) in BLOCKS.items():
        blocks = blocks_of(name, rng)
        own = {"Q2_K": q2_k, "Q3_K": q3_k}.get(name)
        values = np.concatenate([own(b) for b in blocks]) if own else quants.dequantize(blocks.reshape(-1), name)
        values = np.ascontiguousarray(values, "<f4").reshape(-1)
        if peer:
            want = peer.quants.dequantize(blocks.reshape(-1), peer.GGMLQuantizationType[name]).reshape(-1)
            same = np.array_equal(want.astype("<f4").view("<u4"), values.view("<u4"))
            close = np.array_equal(want, values, equal_nan=True)
            print(name, "peer: same bits" if same else "peer: equal values" if close else "PEER DIFFERS")
        (pathlib.Path(__file__).parent / f"{name}.bin").write_bytes(blocks.tobytes() + values.tobytes())


main()
