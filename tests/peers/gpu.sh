#!/usr/bin/env bash
# gpu.sh [--dry] [--minutes N] [--peer] [--programs FOLDER] [--build FOLDER]: everything that needs an NVIDIA card, in one run on a bare Debian
# or Ubuntu machine with nvcc: build for this card, the kernels' and backends' tests on it, speed at depths with both caches and
# as shares of what the card copies and multiplies, launches a token, where a step's time goes, the whole window held to 24 GiB
# with a prompt of 200,000 tokens, forecast against driver memory, compute-sanitizer on small shapes. Ends within N minutes
# (10): steps stand in the order of their worth, each has its share of the time, one that fails or does not fit is said and
# left behind. --programs: the programs are there already, nothing is built. --peer adds llama.cpp, built from source beside
# the repository's build folder while the steps run. Prints Markdown for tests/peers/README.md and keeps it with every step's
# whole output in the build folder; --dry prints the commands and their times instead. The model goes to /dev/shm where that
# has room.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dry=0 minutes=10 peer=0 programs= build=.build/gpu
while [ $# -gt 0 ]; do
    case $1 in
        --dry) dry=1 ;;
        --peer) peer=1 ;;
        --minutes)
            minutes=${2:?a number of minutes}
            shift
            ;;
        --programs)
            programs=$(readlink -f "${2:?a folder}")
            shift
            ;;
        --build)
            build=$(readlink -f "${2:?a folder}")
            shift
            ;;
        *)
            sed -n '2,11p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done
case $minutes in
    '' | *[!0-9]*) echo "gpu.sh: --minutes takes a whole number" >&2 && exit 2 ;;
esac
end=$(($(date +%s) + minutes * 60))
failed=() total=0
bin=${programs:-$build/bin}
logs=$build/logs
place=$build
if [ "$(df -BG --output=avail /dev/shm 2>/dev/null | tail -1 | tr -dc 0-9)" -ge 19 ] 2>/dev/null; then place=/dev/shm; fi
model=$place/keyhole-full-q4_k_m.gguf
background=() printer=
finish() {
    for pid in "${background[@]}"; do kill "$pid" 2>/dev/null; done
    [ "$dry" -eq 1 ] || [ "$place" = "$build" ] || rm -f "$model"
    exec >&- 2>&-
    [ -z "$printer" ] || wait "$printer"
}
trap finish EXIT

left() { echo $((end - $(date +%s))); }

# step NAME SECONDS EXPECTED COMMAND...: runs the command within its time and the script's, keeps its output, shows its end.
# EXPECTED seconds are what it should take; they are what --dry adds up.
step() {
    local name=$1 seconds=$2 expected=$3 status=0 log began
    shift 3
    printf '\n### %s\n\n' "$name"
    if [ "$dry" -eq 1 ]; then
        total=$((total + expected))
        printf '    %s\n\nabout %d s (%d in all), at most %d\n' "$(printf '%q ' "$@")" "$expected" "$total" "$seconds"
        return 0
    fi
    if [ "$(left)" -lt 10 ]; then
        echo "left out: the $minutes minutes are over"
        failed+=("$name (no time)")
        return 1
    fi
    [ "$seconds" -le "$(left)" ] || seconds=$(left)
    log=$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9\n' _).log
    began=$(date +%s)
    timeout -k 5 "$seconds" "$@" >"$log" 2>&1 || status=$?
    tail -n 40 "$log" | sed 's/^/    /'
    printf '\n%d s\n' "$(($(date +%s) - began))"
    if [ "$status" -ne 0 ]; then
        echo
        echo "**failed** with status $status (124: out of time)"
        failed+=("$name")
    fi
    return "$status"
}

# bench NAME FILE SECONDS EXPECTED OPTIONS...: keyhole bench, its figures kept in FILE.
bench() {
    local name=$1 file=$2 seconds=$3 expected=$4
    shift 4
    # shellcheck disable=SC2016 # the inner shell's own words
    step "$name" "$seconds" "$expected" bash -c 'out=$1; shift; "$@" >"$out"' bench "$logs/$file.json" \
        "$bin/keyhole" bench -m "$model" --device cuda -o json "$@"
}

if [ "$dry" -eq 0 ]; then
    for tool in nvidia-smi python3 $([ -n "$programs" ] || echo cmake ninja g++); do
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
    rm -rf "$logs"
    mkdir -p "$logs"
    card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1)
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
    exec > >(tee "$build/gpu.md") 2>&1
    printer=$!
else
    card="CARD, DRIVER, MEMORY" arch=ARCH
fi
printf '## %s, %s, %s\n' "$card" "$(date +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo no commit)"

# The program first, so that the model is written while the tests are built.
if [ -z "$programs" ]; then
    step "configure" 60 10 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKEYHOLE_CUDA=ON -DKEYHOLE_WINDOW=OFF \
        "-DCMAKE_CUDA_ARCHITECTURES=$arch" || exit 1
    step "build" 300 110 cmake --build "$build" --target keyhole || exit 1
fi
synth=
if [ "$dry" -eq 0 ]; then
    rm -f "$model"
    "$bin/keyhole" synth "$model" --preset full --type q4_k_m --seed 1 >"$logs/synth.log" 2>&1 &
    synth=$!
    background+=("$synth")
fi
[ -n "$programs" ] || step "build the tests" 150 45 cmake --build "$build" --target cuda_tests backend_tests cuda_bench attention_bench || true

# llama.cpp is built while the card works, by the processors that are left.
llama=$build/llama.cpp peer_build=
if [ "$peer" -eq 1 ] && [ "$dry" -eq 0 ]; then
    jobs=$(($(nproc) * 3 / 4))
    (
        [ -d "$llama" ] || git clone -q --depth 1 https://github.com/ggml-org/llama.cpp "$llama"
        cmake -S "$llama" -B "$llama/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON \
            "-DCMAKE_CUDA_ARCHITECTURES=$arch" -DLLAMA_CURL=OFF &&
            nice -n 19 cmake --build "$llama/build" -j "$((jobs > 0 ? jobs : 1))" --target llama-bench
    ) >"$logs/llama.log" 2>&1 &
    peer_build=$!
    background+=("$peer_build")
fi

step "what the card copies and multiplies, launches, products of few tokens" 30 12 "$bin/cuda_bench" few || true
step "attention alone, by depth and cache" 40 16 "$bin/attention_bench" || true
step "the kernels' tests on the card" 90 25 "$bin/cuda_tests" -r compact || true

if [ "$dry" -eq 1 ]; then
    step "a model of the real shape (written while the tests are built)" 180 0 "$bin/keyhole" synth "$model" --preset full \
        --type q4_k_m --seed 1
elif ! wait "$synth"; then
    cat "$logs/synth.log"
    echo "no model: what follows needs it"
    exit 1
fi
depths=0,8192,32768,90000,200000
bench "decode at depths, f16" decode-f16 60 20 -ctk f16 -p 0 -n 64 -d "$depths" -r 2 --random-cache || true
bench "decode at depths, q8_latent" decode-q8_latent 60 20 -ctk q8_latent -p 0 -n 64 -d "$depths" -r 2 --random-cache || true
bench "prompts, at 0 and 32k" prefill 60 18 -ctk f16 -p 4096 -n 0 -ub 4096 -d 0,32768 -r 1 --random-cache || true
step "short prompts, and where time goes" 60 15 "$bin/keyhole" bench -m "$model" --device cuda -ctk f16 -p 512 -n 32 -d 0 -r 2 --profile ||
    true
step "figures" 10 1 python3 tests/peers/gpu_rows.py \
    "$logs/what_the_card_copies_and_multiplies__launches__products_of_few_tokens.log" "$logs"/{decode-f16,decode-q8_latent,prefill}.json ||
    true
step "the plan for a 24 GiB card" 20 2 "$bin/keyhole" plan "$model" --device cuda --vram 24GiB || true

# The server held to 24 GiB with its whole window: what the account and the driver say, and the longest prompt.
vocabulary=154880
serve=("$bin/keyhole" "$model")
held=("$vocabulary" --device cuda --vram 24GiB -c 202752 -ub 2048)
step "a prompt of 8,000 tokens, held to 24 GiB" 60 12 python3 tests/peers/gpu_prompt.py "${serve[@]}" 8000 "${held[@]}" || true
step "a prompt of 200,000 tokens, held to 24 GiB" 240 110 python3 tests/peers/gpu_prompt.py "${serve[@]}" 200000 "${held[@]}" || true

if [ "$peer" -eq 1 ]; then
    peer_bench=("$llama/build/bin/llama-bench" -m "$model" -ngl 99 -fa 1 -p 512,4096 -n 32 -d "0,32768" -r 1 -o md)
    if [ "$dry" -eq 1 ]; then
        step "llama.cpp, the same model" 120 45 "${peer_bench[@]}"
    else
        while kill -0 "$peer_build" 2>/dev/null && [ "$(left)" -gt 60 ]; do sleep 2; done
        if kill -0 "$peer_build" 2>/dev/null || ! wait "$peer_build"; then
            tail -n 5 "$logs/llama.log" | sed 's/^/    /'
            failed+=("llama.cpp (not built)")
        else
            step "llama.cpp, the same model" 120 45 "${peer_bench[@]}" || true
        fi
    fi
fi

if command -v compute-sanitizer >/dev/null || [ "$dry" -eq 1 ]; then
    for check in memcheck racecheck synccheck; do
        step "compute-sanitizer $check" 60 25 env KEYHOLE_SMALL_TESTS=1 compute-sanitizer --tool "$check" --error-exitcode 9 \
            --print-limit 5 "$bin/cuda_tests" "mla*,cuda rows*,cuda products*,cuda model: a pass*" -r compact || true
    done
else
    printf '\ncompute-sanitizer is not installed: left out\n'
    failed+=("compute-sanitizer (missing)")
fi
step "every combination: rows, queries, lengths, heads" 60 20 "$bin/cuda_tests" "every combination: row*,every combination: longest*" -r compact || true
step "every combination: element types, long spans" 60 15 "$bin/cuda_tests" "every combination: product*,every combination: span*" -r compact || true
step "the backends' tests, the card among the backends" 90 35 "$bin/backend_tests" -r compact || true
step "experts of 5 layers on the CPU" 60 20 "$bin/keyhole" bench -m "$model" --device cuda --vram 24GiB -c 202752 -ncmoe 5 \
    -p 512 -n 16 -d 0 -r 1 || true

printf '\n### in all\n\n'
if [ ${#failed[@]} -eq 0 ]; then
    echo "every step done, $(left) s left"
else
    printf '%s\n' "not done: ${failed[*]}"
    exit 1
fi
