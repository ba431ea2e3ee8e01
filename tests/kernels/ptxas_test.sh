#!/usr/bin/env bash
# ptxas_test.sh ROOT [NVCC]: compiles the decode kernels for every release architecture and reads what ptxas says: no
# spilled register, no stack, at most 255 registers for 256 threads. Exits 77 (skipped) where there is no nvcc. It takes a
# minute of processor time, so the verdict is kept in the user's cache and stands while sources and compiler are the same.
set -euo pipefail
root=$1
nvcc=${2:-nvcc}
command -v "$nvcc" >/dev/null || { echo "skipped: no nvcc here"; exit 77; }
verdict=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/keyhole/ptxas.verdict
mkdir -p "${verdict%/*}"
inputs=$({
    cat "$0" "$root"/kernels/{check,dtype,float16}.h "$root"/kernels/{cuda,simt,quants}/*.h "$root"/kernels/cuda/*.cuh \
        "$root/tests/kernels/ptxas_kernels.cu"
    "$nvcc" --version
} | sha256sum | cut -d' ' -f1)
if [ -e "$verdict" ] && [ "$(head -1 "$verdict")" = "$inputs" ]; then
    tail -1 "$verdict"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

codes=()
for arch in 80 86 89 90 120; do codes+=("-gencode=arch=compute_$arch,code=sm_$arch"); done
"$nvcc" -std=c++20 -I "$root" "${codes[@]}" --threads 2 -Xptxas -v -c "$root/tests/kernels/ptxas_kernels.cu" \
    -o "$work/kernels.o" >"$work/log" 2>&1 || { cat "$work/log"; echo "does not compile"; exit 1; }

kernels=$(grep -c 'Compiling entry function.*mla_decode_kernel' "$work/log" || true)
[ "$kernels" -eq 15 ] || { cat "$work/log"; echo "expected 3 kernels for 5 architectures, found $kernels"; exit 1; }
if grep -E 'spill|stack frame' "$work/log" | grep -vE '\b0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads'; then
    echo "registers are spilled"
    exit 1
fi
most=$(grep -oE 'Used [0-9]+ registers' "$work/log" | grep -oE '[0-9]+' | sort -n | tail -1)
[ "$most" -le 255 ] || { echo "$most registers"; exit 1; }
printf '%s\n' "$inputs" "15 kernels, no spills, at most $most registers" >"$verdict"
tail -1 "$verdict"
