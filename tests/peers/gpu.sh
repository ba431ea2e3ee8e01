#!/usr/bin/env bash
# gpu.sh [--dry] [--minutes N] [--peer] [--programs FOLDER]: everything that needs an NVIDIA card, in one run on a bare Debian
# or Ubuntu machine with nvcc: build for this card, the kernels' and backends' tests on it, compute-sanitizer on small ones, a
# model of the real shape, speed at depths with both caches, where a step's time goes, long prompts held to 24 GiB, and
# forecast against driver memory. Ends within N minutes (10): a step that would not fit is left out, and said. --programs:
# keyhole, cuda_tests and backend_tests are there already, nothing is built. --peer adds llama.cpp, built here from source
# beside the repository's build folder. Prints Markdown for tests/peers/README.md; --dry prints the commands instead of
# running them. The model goes to /dev/shm where that has room.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dry=0 minutes=10 peer=0 programs=
while [ $# -gt 0 ]; do
    case $1 in
        --dry) dry=1 ;;
        --peer) peer=1 ;;
        --minutes)
            minutes=${2:?a number of minutes}
            shift
            ;;
        --programs)
            programs=${2:?a folder}
            shift
            ;;
        *)
            sed -n '2,8p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done
end=$(($(date +%s) + minutes * 60))
failed=()
build=.build/gpu
bin=${programs:-$build/bin}
place=$build
if [ "$(df -BG --output=avail /dev/shm 2>/dev/null | tail -1 | tr -dc 0-9)" -ge 19 ] 2>/dev/null; then place=/dev/shm; fi
model=$place/keyhole-full-q4_k_m.gguf
trap '[ "$dry" -eq 1 ] || [ "$place" = "$build" ] || rm -f "$model"' EXIT

left() { echo $((end - $(date +%s))); }

# step NAME SECONDS COMMAND...: runs the command within its time and the script's, shows the end of its output.
step() {
    local name=$1 seconds=$2 status=0 log
    shift 2
    printf '\n### %s\n\n' "$name"
    if [ "$dry" -eq 1 ]; then
        printf '    %s\n' "$(printf '%q ' "$@")"
        return 0
    fi
    if [ "$(left)" -lt 15 ]; then
        echo "left out: the $minutes minutes are over"
        failed+=("$name (no time)")
        return 1
    fi
    [ "$seconds" -le "$(left)" ] || seconds=$(left)
    log=$(mktemp)
    timeout "$seconds" "$@" >"$log" 2>&1 || status=$?
    tail -n 40 "$log" | sed 's/^/    /'
    rm -f "$log"
    if [ "$status" -ne 0 ]; then
        echo
        echo "**failed** with status $status (124: out of time)"
        failed+=("$name")
    fi
    return "$status"
}

if [ "$dry" -eq 0 ]; then
    for tool in nvidia-smi $([ -n "$programs" ] || echo cmake ninja g++); do
        command -v "$tool" >/dev/null || {
            echo "gpu.sh: $tool is missing; packaging/run.sh installs the build tools, the driver brings nvidia-smi" >&2
            exit 1
        }
    done
    nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
    [ -x "$nvcc" ] || [ -n "$programs" ] || {
        echo "gpu.sh: no nvcc, neither in PATH nor in /usr/local/cuda/bin" >&2
        exit 1
    }
    PATH=$(dirname "$nvcc"):$PATH
    mkdir -p "$build"
    card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1)
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
else
    card="CARD, DRIVER, MEMORY" arch=ARCH
fi
printf '## %s, %s, %s\n' "$card" "$(date +%F)" "$(git rev-parse --short HEAD)"

if [ -z "$programs" ]; then
    step "configure" 60 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKEYHOLE_CUDA=ON -DKEYHOLE_WINDOW=OFF \
        "-DCMAKE_CUDA_ARCHITECTURES=$arch" || exit 1
    step "build" 300 cmake --build "$build" --target keyhole cuda_tests backend_tests || exit 1
fi
synth=
if [ "$dry" -eq 0 ]; then
    rm -f "$model"
    "$bin/keyhole" synth "$model" --preset full --type q4_k_m --seed 1 >"$build/synth.log" 2>&1 &
    synth=$!
fi
step "the kernels' tests on the card" 60 "$bin/cuda_tests" -r compact || true
step "every combination: rows, queries, lengths, heads" 60 "$bin/cuda_tests" "every combination: rows*" -r compact || true
step "every combination: element types" 60 "$bin/cuda_tests" "every combination: element*" -r compact || true
step "the backends' tests, the card among the backends" 90 "$bin/backend_tests" -r compact || true
if command -v compute-sanitizer >/dev/null || [ "$dry" -eq 1 ]; then
    for check in memcheck racecheck synccheck; do
        step "compute-sanitizer $check" 40 env KEYHOLE_SMALL_TESTS=1 compute-sanitizer --tool "$check" --error-exitcode 9 \
            --print-limit 5 "$bin/cuda_tests" "mla*,cuda rows*,cuda products*,cuda model: a pass*" -r compact || true
    done
else
    printf '\ncompute-sanitizer is not installed: left out\n'
    failed+=("compute-sanitizer (missing)")
fi

if [ "$dry" -eq 1 ]; then
    step "a model of the real shape" 180 "$bin/keyhole" synth "$model" --preset full --type q4_k_m --seed 1
else
    wait "$synth" || { cat "$build/synth.log"; exit 1; }
fi
for cache in f16 q8_latent; do
    step "decode at depths, $cache" 60 "$bin/keyhole" bench -m "$model" --device cuda -ctk "$cache" -p 0 -n 64 \
        -d 0,8192,32768,90000,200000 -r 2 --random-cache || true
done
step "prompts, and where time goes" 60 "$bin/keyhole" bench -m "$model" --device cuda -ctk f16 -p 512 -n 32 -d 0 -r 2 --profile || true
step "long chunks of a prompt, at 0 and 32k" 60 "$bin/keyhole" bench -m "$model" --device cuda -ctk f16 -p 4096 -n 0 -ub 4096 \
    -d 0,32768 -r 1 --random-cache || true
step "the plan for a 24 GiB card" 20 "$bin/keyhole" plan "$model" --device cuda --vram 24GiB || true
step "experts of 5 layers on the CPU" 60 "$bin/keyhole" bench -m "$model" --device cuda --vram 24GiB -c 202752 -ncmoe 5 \
    -p 512 -n 16 -d 0 -r 1 || true
# The server held to 24 GiB with its whole window; what the account and the driver say; the longest prompt that time allows.
vocabulary=154880
for tokens in 8000 90000 200000; do
    step "a prompt of $tokens tokens, held to 24 GiB" "$([ "$dry" -eq 1 ] && echo 300 || left)" python3 tests/peers/gpu_prompt.py \
        "$bin/keyhole" "$model" "$tokens" "$vocabulary" --device cuda --vram 24GiB -c 202752 -ub 2048 || true
done

if [ "$peer" -eq 1 ]; then
    llama=$build/llama.cpp
    [ -d "$llama" ] || step "llama.cpp: source" 60 git clone --depth 1 https://github.com/ggml-org/llama.cpp "$llama"
    step "llama.cpp: configure" 60 cmake -S "$llama" -B "$llama/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON \
        "-DCMAKE_CUDA_ARCHITECTURES=$arch" -DLLAMA_CURL=OFF &&
        step "llama.cpp: build" 420 cmake --build "$llama/build" --target llama-bench &&
        step "llama.cpp: the same model" 120 "$llama/build/bin/llama-bench" -m "$model" -ngl 99 -fa 1 -p 512 -n 32 -d 0,32768 \
            -r 1 -o md
fi

printf '\n### in all\n\n'
if [ ${#failed[@]} -eq 0 ]; then
    echo "every step done"
else
    printf '%s\n' "not done: ${failed[*]}"
    exit 1
fi
