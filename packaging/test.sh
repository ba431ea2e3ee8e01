#!/usr/bin/env bash
# packaging/test.sh [ctest ARGS]: installs what is missing, builds with tests and runs all of them.
# KEYHOLE_PRESET=sanitize runs the same tests under the address and undefined-behaviour sanitizers.
set -euo pipefail
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"

need "${build_packages[@]}" catch2 python3 python3-venv xvfb xauth libgl1-mesa-dri
want "${font_packages[@]}"

# The OpenAI client is a test's tool alone: it lives in a virtual environment in the user's cache, and where it cannot be
# had its test is left out, which is said.
options=()
venv=${XDG_CACHE_HOME:-$HOME/.cache}/keyhole/test-venv
if ! "$venv/bin/python" -c 'import openai' 2>/dev/null; then
    { mkdir -p "$(dirname "$venv")" && python3 -m venv "$venv" && "$venv/bin/python" -m pip install -q --disable-pip-version-check openai; } >/dev/null 2>&1 || true
fi
if "$venv/bin/python" -c 'import openai' 2>/dev/null; then
    options+=("-DKEYHOLE_PYTHON=$venv/bin/python")
else
    say "the openai package cannot be installed here: the test with the OpenAI client is left out"
fi

build "${KEYHOLE_PRESET:-cpu}" "${options[@]}"
cd "$build"
exec ctest --output-on-failure "$@"
