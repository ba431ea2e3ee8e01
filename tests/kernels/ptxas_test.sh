#!/usr/bin/env bash
# ptxas_test.sh ROOT [NVCC]: compiles every kernel of a decode step for every release architecture and reads what ptxas
# says: no spilled register, no stack (but for the table that sine and cosine in double precision bring along), no more
# registers than the threads of a block leave, no more static shared memory than a block may have. (Dynamic shared memory is checked where it is laid out: a static_assert in mla_decode.cu, and every
# launch on the CPU's execution layer.) Exits 77 (skipped) where there is no nvcc. It takes minutes of processor time, so
# the verdict is kept in the user's cache and stands while sources and compiler are the same.
set -euo pipefail
root=$1
nvcc=${2:-nvcc}
command -v "$nvcc" >/dev/null || { echo "skipped: no nvcc here"; exit 77; }
sources=(mla_decode mla_latent mla_any mla_expand mla_prefill rows products tiles)
architectures=(80 86 89 90 120)
verdict=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/keyhole/ptxas.verdict
mkdir -p "${verdict%/*}"
inputs=$({
    cat "$0" "$root"/kernels/*.h "$root"/kernels/{cuda,simt,quants}/*.h "$root"/kernels/cuda/*.cu "$root"/kernels/cuda/*.cuh
    "$nvcc" --version
} | sha256sum | cut -d' ' -f1)
if [ -e "$verdict" ] && [ "$(head -1 "$verdict")" = "$inputs" ]; then
    tail -n +2 "$verdict"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One pass of the front end for all: the oldest architecture's PTX, which ptxas takes to each of them.
codes=()
for arch in "${architectures[@]}"; do codes+=("sm_$arch"); done
gencode="arch=compute_${architectures[0]},code=[$(IFS=,; echo "${codes[*]}")]"
for source in "${sources[@]}"; do
    "$nvcc" -std=c++20 -I "$root" "-gencode=$gencode" --threads 2 -Xptxas -v -c "$root/kernels/cuda/$source.cu" \
        -o "$work/$source.o" >"$work/$source.log" 2>&1 || { cat "$work/$source.log"; echo "$source does not compile"; exit 1; }
done

# For each entry function: its name, then "spill"s, then what it used.
read_log() {
    awk '
        /Compiling entry function/ { name = $0; sub(/.*function .\/?/, "", name); sub(/[\x27"].*/, "", name); kernels++ }
        /bytes stack frame/ {
            frame = name ~ /rotate_and_store/ ? "40" : "0"
            if ($0 !~ " (0|" frame ") bytes stack frame, 0 bytes spill stores, 0 bytes spill loads") { print "spills or stack: " name ": " $0; bad = 1 }
        }
        /Used [0-9]+ registers/ {
            match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5) + 0
            shared = 0; if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH) + 0
            threads = name ~ /mla_any/ ? 128 : name ~ /choose/ ? 32 : 256
            limit = 65536 / threads; if (limit > 255) limit = 255
            if (registers > limit) { print registers " registers for " threads " threads: " name; bad = 1 }
            if (shared > 101376 || (shared > 49152)) { print shared " bytes of static shared memory: " name; bad = 1 }
            if (registers > most) most = registers
            used++
        }
        END {
            if (used != kernels) { print used " of " kernels " kernels were reported"; bad = 1 }
            printf "%d kernels, no spills, at most %d registers\n", kernels, most
            exit bad
        }' "$1"
}
report=() expected=(13 3 1 34 1 21 38 27)
for i in "${!sources[@]}"; do
    source=${sources[$i]}
    line=$(read_log "$work/$source.log") || { echo "$source: $line"; exit 1; }
    found=$(grep -c 'Compiling entry function' "$work/$source.log")
    [ "$found" -ge $((expected[i] * ${#architectures[@]})) ] || {
        echo "$source: only $found kernels for ${#architectures[@]} architectures"
        exit 1
    }
    report+=("$source: $line")
done
printf '%s\n' "$inputs" "${report[@]}" >"$verdict"
tail -n +2 "$verdict"
