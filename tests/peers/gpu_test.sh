#!/usr/bin/env bash
# gpu_test.sh: gpu.sh with programs that only pretend: a step that fails, one that hangs and one that dies are said and left
# behind, the others' figures are there, and nothing but these programs is started.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/build"
pretend() {
    cat >"$work/bin/$1"
    chmod +x "$work/bin/$1"
}
pretend nvidia-smi <<'END'
#!/bin/sh
case $* in
    *compute_cap*) echo 9.0 ;;
    *memory.used*) echo 100 ;;
    *) echo "Pretended Card, 1.2.3, 24564 MiB" ;;
esac
END
pretend keyhole <<'END'
#!/bin/sh
case $* in
    synth*) : >"$2" ;;
    *q8_latent*) kill -9 $$ ;;
    *"-o json"*) cat <<JSON
{"model":"m","device":"d","results":[{"test":"tg64","depth":32768,"tokens_per_second":200.5,"bytes_per_second":2.1e12,
"multiply_adds_per_second":1e12,"launches_per_token":1.0}],"kv_cache":{"bytes_per_token":54144,"v_bytes":0}}
JSON
        ;;
    serve*) exit 1 ;;
    *) echo done: "$@" ;;
esac
END
pretend cuda_bench <<'END'
#!/bin/sh
echo "copies 4200 GB/s, read and written"
echo "f16 products 600 TFLOP/s, mma.sync"
END
pretend cuda_tests <<'END'
#!/bin/sh
echo "a test failed"
exit 3
END
pretend backend_tests <<'END'
#!/bin/sh
echo "All tests passed"
END
cp "$work/bin/backend_tests" "$work/bin/attention_bench"
cp "$work/bin/backend_tests" "$work/bin/compute-sanitizer"
status=0
PATH=$work/bin:$PATH "$here/gpu.sh" --programs "$work/bin" --build "$work/build" --minutes 1 >"$work/out" 2>&1 || status=$?
wants() {
    grep -qF -- "$1" "$work/out" || { cat "$work/out"; echo "missing: $1"; exit 1; }
}
wants "## Pretended Card, 1.2.3, 24564 MiB"
wants "**failed** with status 3"
wants "**failed** with status 137"
wants "| tg64 @ 32,768 | 54,144 | 200.5 | 1.0 | 50 % |"
wants "done: plan"
wants "### compute-sanitizer synccheck"
wants "### experts of 5 layers on the CPU"
wants "not done: the kernels' tests on the card decode at depths, q8_latent"
[ "$status" -eq 1 ] || { echo "ended with $status"; exit 1; }
cmp -s "$work/out" "$work/build/gpu.md" || { echo "gpu.md is not what was printed"; exit 1; }
status=0
PATH=$work/bin:$PATH "$here/gpu.sh" --programs "$work/bin" --build "$work/build" --minutes 0 >"$work/out" 2>&1 || status=$?
wants "left out: the 0 minutes are over"
"$here/gpu.sh" --dry --peer >"$work/out"
seconds=$(grep -o '([0-9]* in all)' "$work/out" | tail -1 | tr -dc 0-9)
peer=$(sed -n '/### llama.cpp, the same model/,$p' "$work/out" | grep -o 'about [0-9]*' | head -1 | tr -dc 0-9)
[ $((seconds - peer)) -le 600 ] || { echo "the steps take $seconds s"; exit 1; }
echo "gpu.sh goes on behind what fails; its own steps take about $((seconds - peer)) s"
