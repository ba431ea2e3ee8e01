#!/usr/bin/env bash
# ptxas_test.sh ROOT [NVCC]: nvcc builds the CUDA backend, and ptxas takes every kernel of it to every release architecture:
# no spilled register, no stack (but for the table that sine and cosine in double precision bring along), no more registers
# than the threads of a block leave, no more static shared memory than a block may have. (Dynamic shared memory is checked
# where it is laid out: static_asserts beside the launches, and every launch on the CPU's execution layer.) Kernels of a
# decode step are built for 8.0 and for 9.0, where their launches wait for the ones before; the others for 8.0 alone.
# Exits 77 (skipped) where there is no nvcc. What is found of a source is kept in the user's cache and stands while it, what it
# includes and the compiler are the same.
set -euo pipefail
root=$1
nvcc=${2:-nvcc}
command -v "$nvcc" >/dev/null || { echo "skipped: no nvcc here"; exit 77; }
ptxas=$(dirname "$(readlink -f "$(command -v "$nvcc")")")/ptxas
[ -x "$ptxas" ] || ptxas=ptxas

# source: the fewest kernels it must hold, and the architectures that 8.0's and 9.0's code goes to
sources=(
    "mla_decode 13 80,86,89 90,120"
    "mla_latent 3 80,86,89 90,120"
    "mla_any 1 80,86,89,90,120 -"
    "rows 21 80,86,89 90,120"
    "products 38 80,86,89 90,120"
    "mla_expand 34 80,86,89,90,120 -"
    "mla_prefill 1 80,86,89,90,120 -"
    "tiles 27 80,86,89,90,120 -"
)

# For each entry function: its name, then "spill"s, then what it used.
read_log() {
    awk '
        /Compiling entry function/ { name = $0; sub(/.*function .\/?/, "", name); sub(/[\x27"].*/, "", name); kernels++ }
        /bytes stack frame/ {
            frame = name ~ /turns_kernel/ ? "40" : "0"
            if ($0 !~ " (0|" frame ") bytes stack frame, 0 bytes spill stores, 0 bytes spill loads") { print "spills or stack: " name ": " $0; bad = 1 }
        }
        /Used [0-9]+ registers/ {
            match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5) + 0
            shared = 0; if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH) + 0
            threads = name ~ /mla_any/ ? 128 : name ~ /choose/ ? 32 : 256
            limit = 65536 / threads; if (limit > 255) limit = 255
            if (registers > limit) { print registers " registers for " threads " threads: " name; bad = 1 }
            if (shared > 49152) { print shared " bytes of static shared memory: " name; bad = 1 }
            if (registers > most) most = registers
            used++
        }
        END {
            if (used != kernels) { print used " of " kernels " kernels were reported"; bad = 1 }
            printf "%d kernels, no spills, at most %d registers\n", kernels, most
            exit bad
        }' "$1"
}

# One source to all its architectures; prints a line, or what is wrong.
check_source() (
    source=$1 expected=$2 archs=0
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for code in "80 $3" "90 $4"; do
        list=${code#* }
        code=${code% *}
        [ "$list" != - ] || continue
        "$nvcc" -std=c++20 -I "$root" -ptx "-arch=compute_$code" "$root/kernels/cuda/$source.cu" -o "$work/$code.ptx" 2>&1 ||
            { echo "$source does not compile for $code"; exit 1; }
        [ "$code" = 80 ] || [ "$(grep -c 'griddepcontrol\.wait' "$work/$code.ptx")" -ge "$expected" ] ||
            { echo "$source: kernels for $code do not wait for the launches before"; exit 1; }
        for arch in ${list//,/ }; do
            "$ptxas" -v "-arch=sm_$arch" "$work/$code.ptx" -o "$work/out" >>"$work/log" 2>&1 ||
                { tail -5 "$work/log"; echo "$source does not assemble for sm_$arch"; exit 1; }
            archs=$((archs + 1))
        done
    done
    line=$(read_log "$work/log") || { echo "$source: $line"; exit 1; }
    found=$(grep -c 'Compiling entry function' "$work/log")
    [ "$found" -ge $((expected * archs)) ] || { echo "$source: only $found kernels for $archs architectures"; exit 1; }
    echo "$source: $line"
)

# The host's side of the backend, as one source, for one architecture.
host_files=()
for file in "$root"/kernels/cuda/*.cpp; do
    case $file in
        */no_cuda.cpp | */device_emulated.cpp) ;;
        *) host_files+=("$file") ;;
    esac
done
check_host() (
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    printf '#include "%s"\n' "${host_files[@]}" "$root/kernels/cuda/device_cuda.cu" >"$work/host.cu"
    "$nvcc" -std=c++20 -I "$root" -arch=sm_80 -c "$work/host.cu" -o "$work/host.o" 2>&1 ||
        { echo "the backend does not compile"; exit 1; }
    echo "the backend: $(grep -c include "$work/host.cu") sources compile"
)

# check NAME FILES... -- COMMAND...: runs it, or says what is known of the same files with the headers they include.
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/keyhole/ptxas
mkdir -p "$cache"
common=$({ cat "$0" && "$nvcc" --version; } | sha256sum)
with_headers() {
    # What a C++ compiler takes in place of CUDA's own headers is not what nvcc sees.
    "${CXX:-g++}" -MM -x c++ -std=c++20 -I "$root" "$@" | sed -e 's/\\$//' -e 's/\\ /\x01/g' | tr ' ' '\n' | tr '\001' ' ' |
        grep -v -e ':$' -e 'simt/words\.h$' -e '^$' | sort -u
}
check() {
    local name=$1 known files=()
    shift
    while [ "$1" != -- ]; do
        files+=("$1")
        shift
    done
    shift
    known=$cache/$name-$({ echo "$common" && with_headers "${files[@]}" | tr '\n' '\0' | xargs -0 cat; } | sha256sum | cut -c1-16)
    if [ ! -e "$known" ]; then
        "$@" >"$known.$$" || { cat "$known.$$"; rm -f "$known.$$"; return 1; }
        find "$cache" -type f -mtime +7 -delete
        mv "$known.$$" "$known"
    fi
    cat "$known"
}

# Two at a time, the largest first.
failed=0 running=0
for entry in "tiles" "products" "mla_expand" "mla_decode" "rows" "host" "mla_latent" "mla_prefill" "mla_any"; do
    if [ "$running" -ge 2 ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    if [ "$entry" = host ]; then
        check host "${host_files[@]}" "$root/kernels/cuda/device_cuda.cu" -- check_host &
    else
        # shellcheck disable=SC2046 # words
        check "$entry" "$root/kernels/cuda/$entry.cu" -- check_source $(printf '%s\n' "${sources[@]}" | grep "^$entry ") &
    fi
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
