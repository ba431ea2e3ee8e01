#!/usr/bin/env bash
# no_cuda_test.sh PROGRAM: a build without CUDA holds no symbol of it and needs no file of it.
set -euo pipefail
program=$1
needed=$(ldd "$program")
if grep -iE 'cuda|nvidia|cublas' <<<"$needed"; then
    echo "the program needs a CUDA library"
    exit 1
fi
symbols=$(nm -C "$program")
[ "$(wc -l <<<"$symbols")" -gt 1000 ] || { echo "nm found no symbols"; exit 1; }
grep -q 'kernels::make_cuda_backend' <<<"$symbols" || { echo "make_cuda_backend() is missing"; exit 1; }
if grep -E '\bcuda[A-Z][A-Za-z]+|__cuda|kernels::cuda::|simt::' <<<"$symbols"; then
    echo "CUDA symbols in a build without CUDA"
    exit 1
fi
echo "no CUDA library needed, no CUDA symbol among $(wc -l <<<"$symbols")"
