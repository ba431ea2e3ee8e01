#!/usr/bin/env bash
# gpu.sh [--dry] [--minutes N] [--peer]: everything that needs an NVIDIA card, in one run on a bare Debian or Ubuntu machine
# with nvcc: build for this card, the backends' tests on it, compute-sanitizer on small ones, a model of the real shape,
# speed at depths with both caches, and forecast against driver memory. Ends within N minutes (10): a step that would not
# fit is left out, and said. --peer adds llama.cpp, built here from source beside the repository's build folder. Prints
# Markdown for tests/peers/README.md; --dry prints the commands instead of running them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dry=0 minutes=10 peer=0
while [ $# -gt 0 ]; do
    case $1 in
        --dry) dry=1 ;;
        --peer) peer=1 ;;
        --minutes)
            minutes=${2:?a number of minutes}
            shift
            ;;
        *)
            sed -n '2,6p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done
end=$(($(date +%s) + minutes * 60))
failed=()
build=.build/gpu
model=$build/full-q4_k_m.gguf

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
    for tool in nvidia-smi cmake ninja g++; do
        command -v "$tool" >/dev/null || {
            echo "gpu.sh: $tool is missing; packaging/run.sh installs the build tools, the driver brings nvidia-smi" >&2
            exit 1
        }
    done
    nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
    [ -x "$nvcc" ] || {
        echo "gpu.sh: no nvcc, neither in PATH nor in /usr/local/cuda/bin" >&2
        exit 1
    }
    PATH=$(dirname "$nvcc"):$PATH
    card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1)
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
else
    card="CARD, DRIVER, MEMORY" arch=ARCH
fi
printf '## %s, %s, %s\n' "$card" "$(date +%F)" "$(git rev-parse --short HEAD)"

step "configure" 60 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKEYHOLE_CUDA=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=$arch" || exit 1
step "build" 300 cmake --build "$build" --target keyhole backend_tests || exit 1
step "the backends' tests, the card among the backends" 120 "$build/bin/backend_tests" || true
if command -v compute-sanitizer >/dev/null || [ "$dry" -eq 1 ]; then
    for check in memcheck racecheck synccheck; do
        step "compute-sanitizer $check" 60 compute-sanitizer --tool "$check" --error-exitcode 9 \
            "$build/bin/backend_tests" "backend: norms of any type*" || true
    done
else
    printf '\ncompute-sanitizer is not installed: left out\n'
    failed+=("compute-sanitizer (missing)")
fi

step "a model of the real shape" 180 "$build/bin/keyhole" synth "$model" --preset full --type q4_k_m --seed 1 || exit 1
for cache in f16 q8_latent; do
    step "plan, $cache" 20 "$build/bin/keyhole" plan "$model" --device cuda -ctk "$cache" || true
    step "speed at depths, $cache" 120 "$build/bin/keyhole" bench -m "$model" --device cuda -ctk "$cache" -p 512 -n 32 \
        -d 0,8192,32768 -r 1 -o json || true
done
if [ "$dry" -eq 1 ] || [ "$(left)" -gt 120 ]; then
    step "speed far down, 8-bit cache" 180 "$build/bin/keyhole" bench -m "$model" --device cuda -ctk q8_latent -p 0 -n 16 \
        -d 90000 -r 1 -o json || true
fi
step "the plan for a 24 GiB card" 20 "$build/bin/keyhole" plan "$model" --device cuda --vram 24GiB || true
if [ "$dry" -eq 1 ] || [ "$(left)" -gt 120 ]; then
    step "held to 24 GiB: the whole window reserved, experts of 4 layers on the CPU for once" 120 "$build/bin/keyhole" bench \
        -m "$model" --device cuda --vram 24GiB -c 202752 -ncmoe 5 -p 512 -n 16 -d 0 -r 1 -o json || true
fi

# Forecast against the driver: what the plan says beside what nvidia-smi sees while the server holds the model.
memory() {
    local server before during
    before=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | head -1)
    "$build/bin/keyhole" serve -m "$model" --device cuda -ctk q8_latent -c 32768 --port 0 >"$build/serve.log" 2>&1 &
    server=$!
    for _ in $(seq 1 60); do
        grep -q listening "$build/serve.log" && break
        sleep 1
    done
    during=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | head -1)
    kill "$server"
    wait "$server"
    echo "driver: $((during - before)) MiB more while the model is loaded; the plan:"
    "$build/bin/keyhole" plan "$model" --device cuda -ctk q8_latent -c 32768 | grep -E 'weights|K cache|compute'
}
if [ "$dry" -eq 1 ]; then
    printf '\n### forecast against driver memory\n\n    keyhole serve, nvidia-smi before and during, keyhole plan\n'
elif [ "$(left)" -gt 60 ]; then
    printf '\n### forecast against driver memory\n\n'
    memory | sed 's/^/    /'
fi

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
