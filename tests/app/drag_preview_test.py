"""What is dragged over the window is counted before it is dropped: `drag_preview_test.py KEYHOLE MODEL DRAG_SOURCE [FOLDER]`.

The real window under Xvfb and a real XDND source. A folder that is dropped, one that leaves again, sources that never answer or answer too
late, addresses that are none of ours, and the home folder. FOLDER is dragged as well, for its figures."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

keyhole, model, source = sys.argv[1:4]


def start_display():
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1440x900x24", "-nolisten", "tcp"],
                              pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    number = os.read(read, 16).decode().strip()
    if not number:
        sys.exit("Xvfb did not start")
    return server, f":{number}"


def window_id(env):
    out = subprocess.run(["xdotool", "search", "--name", "^Keyhole$"], capture_output=True, text=True, env=env).stdout.split()
    return out[0] if out else None


class Window:
    def __init__(self, env):
        self.env, self.lines = env, []
        self.process = subprocess.Popen([keyhole, "-m", model, "--port", "0", "--log-level", "info"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.time(), line.strip()))

    def wait(self, text, since, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            for when, line in list(self.lines):
                if when >= since and text in line:
                    return when, line
            assert self.process.poll() is None, self.lines[-5:]
            time.sleep(0.005)
        return None

    def drag(self, how, text):
        since = time.time()
        out = subprocess.run([source, self.id, how, text], capture_output=True, text=True, env=self.env, check=True).stdout
        said = {line.split(" ", 1)[1]: float(line.split(" ", 1)[0]) for line in out.splitlines()}
        return since, said


def main():
    server, display = start_display()
    home = tempfile.mkdtemp()
    # GLFW answers a drop with the number of bytes it was handed, of which the protocol reads the lowest bit as "accepted".
    folder = Path(home) / "work/project"
    if len(f"file://{folder}\r\n") % 2 == 0:
        folder = Path(home) / "work/projects"
    for i in range(200):
        path = folder / f"part{i % 7}" / f"file {i}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"int value_{i} = {i * i};\n" * 20)
    env = {**os.environ, "DISPLAY": display, "KEYHOLE_HOME": home + "/keyhole", "HOME": home, "LIBGL_ALWAYS_SOFTWARE": "1"}
    env.pop("WAYLAND_DISPLAY", None)
    window = None
    try:
        window = Window(env)
        assert window.wait("first frame drawn", 0, 60), window.lines
        window.id = window_id(env)
        assert window.id, "the window cannot be found"
        uri = "file://" + str(folder).replace(" ", "%20")

        since, said = window.drag("drop", uri)
        first = window.wait("dragged: ", since)
        exact = window.wait("complete", since)
        assert first and exact, window.lines[-10:]
        assert first[0] < said["drop"], "the first figures came after the drop"
        assert exact[0] < said["drop"], f"200 files were not counted before the drop: {exact}"
        assert "finished, accepted" in said, said
        files, least, most = map(int, re.search(r"dragged: (\d+) files, (\d+) to (\d+) tokens, complete", exact[1]).groups())
        assert files == 200 and least == most, exact
        packed = subprocess.run([keyhole, "pack", str(folder), "-m", model, "--json", "--list"][:-1], capture_output=True, text=True, env=env)
        import json
        summary = json.loads(packed.stdout)
        assert least == summary["tokens"] - summary["head_tokens"], (least, summary["tokens"])
        print(f"first figures {1000 * (first[0] - said['enter']):.0f} ms after the pointer came in, exact after "
              f"{1000 * (exact[0] - said['enter']):.0f} ms, the drop after {1000 * (said['drop'] - said['enter']):.0f} ms")

        since, said = window.drag("leave", uri)
        assert window.wait("complete", since, 5)
        since, said = window.drag("mute", uri)
        assert not window.wait("dragged: ", since, 1), "figures of a source that never answered"
        since, said = window.drag("late", uri)
        assert "answered" in said, said
        assert not window.wait("dragged: ", since, 1), "figures of a source that answered after it had left"
        for text in ("http://example.org/x", "file:///tmp%00/x", "file://elsewhere.example/etc", "nothing"):
            since, _ = window.drag("leave", text)
            assert not window.wait("dragged: ", since, 0.5), text
        since, _ = window.drag("leave", "file://" + home)
        refused = window.wait("complete", since, 5)
        assert refused and "is your home folder" in refused[1] and "dragged: 0 files" in refused[1], refused
        since, _ = window.drag("leave", "file:///")
        refused = window.wait("complete", since, 5)
        assert refused and "whole machine" in refused[1], refused
        if len(sys.argv) > 4:
            since, said = window.drag("drop", "file://" + os.path.abspath(sys.argv[4]))
            first, exact = window.wait("dragged: ", since), window.wait("complete", since, 3)
            print("first:", first, "complete:", exact, "drop:", said.get("drop"))
        print("all kinds of drags are handled")
    finally:
        if window:
            window.process.terminate()
            window.process.wait(20)
        server.terminate()
        server.wait()


main()
