#!/usr/bin/env bash
# packaging/run.sh [ARGS]: installs what is missing, builds what changed, starts `keyhole ARGS`.
# Works as root and as a user with sudo, from any folder; the program itself says what it does without a display or model.
set -euo pipefail
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"

need "${build_packages[@]}"
want "${font_packages[@]}"
# Software OpenGL matters only where there is a screen.
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    need libgl1-mesa-dri
fi
build release
exec "$build/bin/keyhole" "$@"
