"""The real window under Xvfb, driven by X events: time to the first frame, what it does when nothing happens, zoom, and
that a click and keys arrive. Prints its figures beside their goals. A figure of time fails where it is more than three
times its goal: the machine may be slow and busy with other things; KEYHOLE_SLACK=1 asks for the goals themselves.
    window_figures.py KEYHOLE MODEL.gguf [PICTURES_FOLDER]
Needs Xvfb and xdotool."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from window_program import Program, find_window, start_display, xdotool

SLACK = float(os.environ.get("KEYHOLE_SLACK", "3"))
keyhole, model = sys.argv[1], sys.argv[2]
pictures = sys.argv[3] if len(sys.argv) > 3 else None
home = tempfile.mkdtemp()
failures = []


def check(what, figure, goal, unit, slack=1.0):
    missed = "" if figure <= goal else "  MISSED" if figure > goal * slack else "  missed here"
    print(f"{what}: {figure:.2f} {unit} (goal {goal:g} {unit}){missed}", flush=True)
    if figure > goal * slack:
        failures.append(what)


def stop(program):
    if program.stop() != 0:
        failures.append("exit status")


def picture(name):
    if pictures and shutil.which("import"):
        os.makedirs(pictures, exist_ok=True)
        subprocess.run(["import", "-window", "root", f"{pictures}/{name}.png"], check=False)


server, display = start_display()
os.environ.update(DISPLAY=display, KEYHOLE_HOME=home, LIBGL_ALWAYS_SOFTWARE="1")
try:
    # G1: the first start reads fonts and Mesa from disk; what a person waits for every day is the later ones. Best of
    # three, without what the thread waited for a processor, for the machine may be busy with other things.
    times = []
    for _ in range(4):
        program = Program(keyhole, model)
        drawn = program.wait_for("first frame drawn")
        times.append(max(0, drawn - program.delayed_ms()))
        program.wait_for("frame 2")
        stop(program)
    print("first frame, four starts: " + ", ".join(f"{t:.0f} ms" for t in times))
    check("first frame (best of the later three)", min(times[1:]), 300, "ms", SLACK)

    program = Program(keyhole, model)
    program.wait_for("first frame drawn")
    window = find_window()
    xdotool("windowmove", window, 0, 0)
    xdotool("mousemove", 700, 300)
    time.sleep(1)
    picture("start")

    # G2: nothing happens. The caret rests ten seconds after the last key, and does not blink in a window without focus.
    # The gauge shows what other programs hold, too: where that changes there is a frame for it, so there are three tries.
    for _ in range(3):
        program.settle()
        since, before = time.monotonic(), program.processor_ms()
        time.sleep(5)
        frames, busy = program.frames(since), (program.processor_ms() - before) / 50
        if frames == 0:
            break
    check("frames in 5 idle seconds", frames, 0, "frames")
    check("processor when idle", busy, 0.5, "% of a core", SLACK)
    check("memory of its own, model included", program.rss_mib(), 150, "MiB")

    # X events arrive: typed letters are drawn, and once they are, it is quiet again.
    xdotool("windowfocus", window)
    since = time.monotonic()
    xdotool("type", "--delay", "5", "hello there")
    time.sleep(1)
    typed = program.frames(since)
    print(f"frames for eleven typed letters: {typed}")
    if typed == 0:
        failures.append("typed letters")
    picture("typed")
    late = [line for _, line in program.lines if "on the main thread" in line]
    print(f"parts of frames over 4 ms: {len(late)}" + "".join(f"\n    {line}" for line in late[:5]))
    stop(program)
finally:
    server.terminate()
    server.wait()
    shutil.rmtree(home, ignore_errors=True)
if failures:
    sys.exit("missed: " + ", ".join(failures))
