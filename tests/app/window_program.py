"""The real window under Xvfb, for tests that drive it with X events: a display of its own, the program with its log."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request


def start_display(*arguments):
    """Xvfb on a free display number, which it chooses itself."""
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1440x900x24", "-nolisten", "tcp", *arguments],
                              pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    number = os.read(read, 16).decode().strip()
    if not number:
        sys.exit("Xvfb did not start")
    return server, f":{number}"


class Program:
    """The window; `lines` collects (time, text) of its log."""

    def __init__(self, keyhole, model, *arguments, port=0):
        self.lines = []
        self.began = time.monotonic()
        self.process = subprocess.Popen([keyhole, *(["-m", model] if model else []), "--port", str(port), "--log-level", "debug", *arguments],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line.strip()))

    def wait_for(self, text, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for when, line in list(self.lines):
                if text in line:
                    return (when - self.began) * 1000
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        sys.exit(f"no line with '{text}' came; the log: {self.lines[-5:]}")

    def frames(self, since):
        return sum(1 for when, line in self.lines if when >= since and " frame " in f" {line} ")

    def processor_ms(self):
        """Of all its threads, to the nanosecond where the kernel says so."""
        tasks = f"/proc/{self.process.pid}/task"
        try:
            return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks)) / 1e6
        except (OSError, IndexError):
            with open(f"/proc/{self.process.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def delayed_ms(self):
        """How long its main thread could have run and was not let: others' work. 0 where the kernel does not say."""
        try:
            with open(f"/proc/{self.process.pid}/schedstat") as stat:
                return int(stat.read().split()[1]) / 1e6
        except (OSError, IndexError):
            return 0

    def intervals(self, since, until, pauses=()):
        """From each frame to the next, or from when there was one to draw again, by the program's own clock: (ms, ms that its
        main thread worked)."""
        drawn = [re.search(r"frame \d+: ([\d.]+) ms after the last, of which ([\d.]+) ms of work and ([\d.]+) ms with nothing", line)
                 for when, line in list(self.lines)
                 if since <= when <= until and not any(a <= when <= b for a, b in pauses)]
        return [(float(found[1]) - float(found[3]), float(found[2])) for found in drawn if found][1:]

    def gaps_ms(self, since, until):
        """Between a frame and the next, the longest first."""
        return sorted((gap for gap, _ in self.intervals(since, until)), reverse=True)

    def rss_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            kib = {line.split(":")[0]: line.split()[1] for line in status if line.startswith(("RssAnon", "VmRSS"))}
        return int(kib.get("RssAnon", kib.get("VmRSS", 0))) / 1024

    def settle(self, seconds=15):
        """Until no frame was drawn for two seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.frames(time.monotonic() - 2) == 0:
                return
            time.sleep(0.2)

    def stop(self):
        """The exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def long_answer_model(keyhole, path, question):
    """Random weights that always take the likeliest token may go round in a circle: an answer long enough to be watched,
    stopped or added to. Which seed does is found out here, since rounding decides it."""
    for seed in range(1, 41):
        if os.path.exists(path):
            os.remove(path)
        subprocess.run([keyhole, "synth", path, "--preset", "tiny", "--type", "f32", "--seed", str(seed)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said = subprocess.run([keyhole, "chat", "-m", path, "-c", "8192", "--temp", "0", "-n", "1000", "-p", question],
                              capture_output=True, timeout=250).stdout
        if len(said) > 1000:
            return
    sys.exit("no seed gives a long answer")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ready(port):
    """Whether the program's server answers, with a model."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    except (urllib.error.URLError, OSError):
        return False


def xdotool(*arguments):
    subprocess.run(["xdotool", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def focus(window):
    """No window manager runs there: the focus is given by hand."""
    xdotool("windowmove", window, 0, 0)
    xdotool("windowfocus", "--sync", window)


def find_window():
    found = subprocess.check_output(["xdotool", "search", "--sync", "--name", "^Keyhole$"], text=True)
    return found.split()[0]
