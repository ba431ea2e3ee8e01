#!/usr/bin/env python3
"""gpu_rows.py PEAKS BENCH.json...: rows of tests/peers/README.md from what `cuda_bench peaks` and `keyhole bench -o json` wrote:
tokens per second, launches a token, and which share of the card's copies (decode: bytes that a step reads at the least) or of
its matrix instructions (prompts: what it multiplies at the least) that is. Files that are missing or empty are left out."""
import json
import re
import sys


def peaks(path):
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        text = ""
    copies = re.search(r"copies (\d+) GB/s", text)
    products = re.search(r"f16 products (\d+) TFLOP/s", text)
    return (float(copies.group(1)) * 1e9 if copies else 0, float(products.group(1)) * 1e12 if products else 0)


def share(part, whole):
    return f"{100 * part / whole:.0f} %" if part > 0 and whole > 0 else ""


def main():
    copies, products = peaks(sys.argv[1])
    rows = []
    for path in sys.argv[2:]:
        try:
            with open(path) as file:
                bench = json.load(file)
        except (OSError, ValueError):
            continue
        row_bytes = bench["kv_cache"]["bytes_per_token"]
        for r in bench["results"]:
            decode = r["test"].startswith("tg")
            used = (share(r["bytes_per_second"], copies) if decode
                    else share(2 * r["multiply_adds_per_second"], products))
            rows.append(f"| {r['test']} @ {r['depth']:,} | {row_bytes:,} | {r['tokens_per_second']:,.1f} | "
                        f"{r.get('launches_per_token', 0):,.1f} | {used} |")
    if not rows:
        print("no figures")
        return 1
    print("| test @ depth | K cache, bytes a token | tokens/s | launches a token | of copies / of products |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print("\n".join(rows))
    if copies:
        print(f"\ncopies {copies / 1e9:,.0f} GB/s (read and written), f16 products {products / 1e12:,.0f} TFLOP/s, measured beside them")
    return 0


sys.exit(main())
