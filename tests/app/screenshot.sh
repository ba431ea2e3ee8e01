#!/bin/sh
# Starts the real window under Xvfb with a home folder of its own, drives it with xdotool and takes pictures.
#   tests/app/screenshot.sh KEYHOLE OUTPUT_FOLDER [MODEL.gguf [FOLDER]]
# Pictures: first-start.png, answer.png, folder.png. Also checks that an idle window draws nothing and uses no processor.
# Needs xvfb, xdotool and imagemagick.
set -eu
keyhole=$1
out=$2
model=${3:-}
folder=${4:-$(cd "$(dirname "$0")" && pwd)}
mkdir -p "$out"
home=$(mktemp -d)
display=:$((90 + $$ % 400))
Xvfb "$display" -screen 0 1440x900x24 -nolisten tcp >"$home/xvfb.log" 2>&1 &
xvfb=$!
app=
cleanup() {
    if [ -n "$app" ]; then kill "$app" 2>/dev/null || true; fi
    kill "$xvfb" 2>/dev/null || true
    rm -rf "$home"
}
trap cleanup EXIT INT TERM
export DISPLAY=$display KEYHOLE_HOME=$home LIBGL_ALWAYS_SOFTWARE=1
for _ in $(seq 100); do
    if [ -S "/tmp/.X11-unix/X${display#:}" ]; then break; fi
    sleep 0.2
done

start() {
    "$keyhole" "$@" --port 0 --log-level info >"$home/keyhole.log" 2>&1 &
    app=$!
    for _ in $(seq 60); do
        if xdotool search --name '^Keyhole$' >/dev/null 2>&1; then break; fi
        kill -0 "$app" 2>/dev/null || { cat "$home/keyhole.log" >&2; exit 1; }
        sleep 0.5
    done
    window=$(xdotool search --name '^Keyhole$' | head -n 1)
    xdotool windowsize --sync "$window" 1440 900 windowmove "$window" 0 0 windowfocus "$window" 2>/dev/null || true
    sleep "${KEYHOLE_SETTLE:-6}"
}
stop() {
    kill "$app"
    wait "$app" || true
    app=
}
ticks() { awk '{print $14 + $15}' "/proc/$app/stat"; }

start ${model:+"$model"}
import -window root "$out/first-start.png"
sleep 6 # the caret stops blinking ten seconds after the last key
before=$(ticks)
sleep 5
echo "idle: $(($(ticks) - before)) clock ticks in 5 s"

xdotool mousemove 700 700 type --delay 20 'Why is there no V cache?'
sleep 1
xdotool key Return
# A small model answers in a tenth of a second: the program is held still while the picture is taken.
sleep "${KEYHOLE_MIDWAY:-0.1}"
kill -STOP "$app"
import -window root "$out/streaming.png"
kill -CONT "$app"
sleep "${KEYHOLE_ANSWER:-4}"
import -window root "$out/answer.png"
stop

if [ -z "$model" ]; then
    start -m "$(dirname "$0")/../../assets/demo/keyhole-demo.gguf" "$folder"
else
    start "$model" "$folder"
fi
import -window root "$out/folder.png"
stop
grep frames "$home/keyhole.log" || true
