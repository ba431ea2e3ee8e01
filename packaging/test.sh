#!/usr/bin/env bash
# packaging/test.sh [ctest ARGS]: installs what is missing, builds with tests and runs all of them.
# KEYHOLE_PRESET=sanitize runs the same tests under the address and undefined-behaviour sanitizers; with KEYHOLE_TARGET=unit_tests and
# "-L unit" only what unit tests need is built.
set -euo pipefail
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"

need "${build_packages[@]}" catch2 python3 python3-venv xvfb xauth xdotool libgl1-mesa-dri
want "${font_packages[@]}"

# The OpenAI and Anthropic clients are the tests' tools alone: they live in a virtual environment in the user's cache, and
# where one cannot be had its test is left out, which is said.
options=()
venv=${XDG_CACHE_HOME:-$HOME/.cache}/keyhole/test-venv
have() { "$venv/bin/python" -c "import $1" 2>/dev/null; }
want() {
    have "$1" && return 0
    { mkdir -p "$(dirname "$venv")" && { [ -x "$venv/bin/python" ] || python3 -m venv "$venv"; } &&
        "$venv/bin/python" -m pip install -q --disable-pip-version-check "$1"; } >/dev/null 2>&1 || true
    have "$1" || { say "the $1 package cannot be installed here: the test with this client is left out"; return 1; }
}
want openai && options+=("-DKEYHOLE_PYTHON=$venv/bin/python")
want anthropic && options+=(-DKEYHOLE_ANTHROPIC=ON)
want jsonschema || true
want schemathesis || true

build "${KEYHOLE_PRESET:-cpu}" "${options[@]}"
cd "$build"
exec ctest --output-on-failure -j "$(nproc)" "$@"
