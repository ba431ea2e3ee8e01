"""The real window under Xvfb with a software renderer, which draws only what differs from the frame before: after each of
many steps - lines typed, an answer streamed, scrolled, other pages and cards opened and closed, another theme, size and zoom
- its pixels are those of the same window drawn whole, as it is after it was taken from the screen and put back.
    window_pixels.py KEYHOLE MODEL.gguf [PICTURES_FOLDER]
Needs Xvfb and xdotool; pictures need ImageMagick."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from window_program import Program, find_window, focus, free_port, ready, start_display, xdotool

keyhole, model = sys.argv[1], sys.argv[2]
pictures = sys.argv[3] if len(sys.argv) > 3 else None
home, screens = tempfile.mkdtemp(), tempfile.mkdtemp()
failures = []
height = 900


def pixels():
    """The screen as an XWD file, without the row of figures about the machine's memory, which change by themselves."""
    with open(f"{screens}/Xvfb_screen0", "rb") as file:
        screen = bytearray(file.read())
    header = struct.unpack(">25I", screen[:100])
    begin, row = header[0] + header[19] * 12, header[12]
    screen[begin + (height - 82) * row : begin + (height - 50) * row] = bytes(32 * row)
    return bytes(screen)


def looks(seconds=1.2):
    """What the screen looks like in turn, while a caret blinks."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        now = pixels()
        if now not in seen:
            seen.append(now)
        time.sleep(0.1)
    return seen


def settled():
    """The same, once nothing else changes any more: a busy machine counts and fades late."""
    seen = looks()
    for _ in range(10):
        again = looks()
        if set(again) == set(seen):
            break
        seen = again
    return seen


def nudge():
    """A window that was taken away does not know where the pointer is until it moves (newer versions of ImGui)."""
    for to in ("1", "-1"):
        xdotool("mousemove_relative", "--", to, "0")
        time.sleep(0.15)
    time.sleep(0.3)


def save(name, screen):
    if pictures and shutil.which("convert"):
        os.makedirs(pictures, exist_ok=True)
        subprocess.run(["convert", "xwd:-", f"{pictures}/{name}.png"], input=screen, check=False)


def step(name, *commands, wait=0.6, becomes=None):
    """Does something, and compares the window as it is then with the same one drawn whole. Whether that changed it."""
    global height
    before = pixels()
    for command in commands:
        xdotool(*command)
        time.sleep(0.15)
    time.sleep(wait)
    height = becomes or height
    nudge()
    parts = settled()
    xdotool("windowunmap", "--sync", window)
    xdotool("windowmap", "--sync", window)
    focus(window)
    nudge()
    whole = settled()
    same = any(each in whole for each in parts)
    print(f"{name}: {'the same' if same else 'DIFFERENT'}{'' if before not in parts else ', as before'}", flush=True)
    save(name.replace(" ", "_") + "-parts", parts[0])
    if not same:
        save(name.replace(" ", "_") + "-whole", whole[0])
        failures.append(name)
    return before not in parts


server, display = start_display("-fbdir", screens)
os.environ.update(DISPLAY=display, KEYHOLE_HOME=home, LIBGL_ALWAYS_SOFTWARE="1")
try:
    with open(f"{home}/settings.json", "w") as file:
        json.dump({"temperature": 0}, file)
    port = free_port()
    program = Program(keyhole, model, "-c", "4096", port=port)
    program.wait_for("first frame drawn")
    if not any("drawn where they change" in line for _, line in program.lines):
        sys.exit("this display has no renderer that draws by parts")
    window = find_window()
    focus(window)
    xdotool("mousemove", 700, 300)
    while not ready(port):
        time.sleep(0.1)
    # Each has to change the picture: a step that does not arrive would be the same for no reason.
    changes = [
        step("a line is typed", ("type", "--delay", "20", "Tell me a story")),
        step("words are taken back", ("key", "ctrl+BackSpace"), ("key", "BackSpace")),
        step("lines are typed", ("key", "shift+Return"), ("type", "about a fox"), ("key", "shift+Return"), ("type", "and a crow")),
        step("an answer is written", ("key", "Return"), wait=8),
        step("another answer is written", ("type", "Tell me more of it"), ("key", "Return"), wait=8),
        step("the palette is open", ("key", "ctrl+k"), *[("mousemove", 700, y) for y in range(302, 312)]),  # the rest fades
        step("a command is looked for", ("type", "th")),
        step("the palette is closed", ("key", "Escape")),
        step("the pointer is over the list", ("mousemove", 120, 160)),
        step("the list of conversations is closed", ("key", "ctrl+b")),
        step("the list of conversations is open", ("key", "ctrl+b")),
        step("settings", ("key", "ctrl+comma")),
        step("settings are closed", ("key", "Escape")),
        step("light", ("key", "ctrl+k"), ("type", "light"), ("key", "Return"), wait=1.5),
        step("smaller", ("windowsize", "--sync", window, 1000, 640), becomes=640),
        step("scrolled up", ("mousemove", 700, 301), ("click", "4"), ("click", "4"), ("click", "4")),
        step("scrolled down a little", ("click", "5")),
        step("larger", ("windowsize", "--sync", window, 1400, 860), becomes=860),
        step("zoomed in", ("key", "ctrl+equal"), wait=1.5),
        step("other scripts", ("type", "--delay", "30", "\u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4"), wait=1.5),
        step("zoomed out", ("key", "ctrl+minus"), wait=1.5),
    ]
    if not all(changes):
        failures.append(f"{changes.count(False)} steps without a change")
    if program.stop() != 0:
        failures.append("exit status")
finally:
    server.terminate()
    server.wait()
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(screens, ignore_errors=True)
if failures:
    sys.exit("missed: " + "; ".join(failures))
