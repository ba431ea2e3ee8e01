# Shared by run.sh and test.sh (sourced, bash): where the repository is, which Debian packages are needed, how to install
# what is missing, where to build. Needs nothing but a shell and Debian's base system.

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd -P)

build_packages=(g++ cmake ninja-build pkg-config libimgui-dev libglfw3-dev libx11-dev libgl-dev libcpp-httplib-dev
    nlohmann-json3-dev libsqlite3-dev libmd4c-dev libuchardet-dev libfreetype-dev libfontconfig-dev libharfbuzz-dev)

# Scripts and emoji beyond the bundled faces.
font_packages=(fonts-noto-color-emoji fonts-wqy-microhei)

say() { printf 'keyhole: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need PACKAGE...: installs those that are missing, asking for sudo only then.
need() {
    local missing=() package sudo=
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: these packages' equivalents must be installed by hand: $*"
        return 0
    }
    for package; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "missing packages and no sudo here; as root run: apt-get install ${missing[*]}"
        sudo=sudo
    fi
    say "installing ${missing[*]}"
    # A fresh machine has no package lists, or old ones.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null ||
        say "apt-get update failed; trying with the package lists that are here"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        die "could not install ${missing[*]}: apt-get's message is above"
}

# want PACKAGE...: as need, for what is good to have: where it cannot be had that is said, and all goes on.
want() {
    (need "$@") || say "going on without $*"
}

# build_folder PRESET: prints a folder that this user can write: .build/PRESET in the repository, else one in the cache.
build_folder() {
    local folder=$root/.build/$1
    if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ] || { [ -e "$folder/CMakeCache.txt" ] && [ ! -w "$folder/CMakeCache.txt" ]; }; then
        folder=${XDG_CACHE_HOME:-$HOME/.cache}/keyhole/build-$(printf %s "$root" | cksum | cut -d' ' -f1)/$1
        mkdir -p "$folder" || die "cannot write a build folder, neither in $root/.build nor in $folder"
    fi
    # A repository that was moved or copied: CMake refuses a cache of another place.
    if [ -e "$folder/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
        rm -rf "$folder"
        mkdir -p "$folder"
    fi
    printf '%s\n' "$folder"
}

# build PRESET [CMake option]...: configures and builds quietly; sets `build` to the folder. Output is shown on failure,
# and live on a terminal. KEYHOLE_TARGET builds that target alone.
build() {
    local preset=$1 log target=(${KEYHOLE_TARGET:+--target "$KEYHOLE_TARGET"})
    shift
    build=$(build_folder "$preset") || exit 1
    log=$build/build.log
    say "building in ${build#"$root"/} (a first build takes a few minutes)"
    if ! (cd "$root" && cmake --preset "$preset" -B "$build" "$@") >"$log" 2>&1; then
        cat "$log" >&2
        die "configuring failed: see above"
    fi
    grep -h '^-- CUDA' "$log" | sed 's/^-- /keyhole: /' >&2 || true
    if [ -t 2 ]; then
        cmake --build "$build" "${target[@]}" >&2 || die "the build failed: see above"
    elif ! cmake --build "$build" "${target[@]}" >>"$log" 2>&1; then
        grep -nE 'error|FAILED|warning: unused' "$log" | head -40 >&2
        die "the build failed: the whole output is in $log"
    fi
}
