"""The real window under Xvfb, used as a person uses it, by X events alone: a question typed, its answer streamed and
stopped, another one written beside it, a conversation deleted and taken back, a folder named while an answer is
written, a second start, the window's place at the next one, a conversation of 2,000 messages opened and searched, and a
second Keyhole that answers in the place of this one's model. What happened is read from the files it keeps.
    window_drive.py KEYHOLE [PICTURES_FOLDER]
Needs Xvfb and xdotool."""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from window_program import Program, find_window, focus, free_port, long_answer_model, ready, start_display, xdotool

keyhole = sys.argv[1]
pictures = sys.argv[2] if len(sys.argv) > 2 else None
home = tempfile.mkdtemp()
failures = []


def check(what, holds, detail=""):
    print(f"{what}: {'yes' if holds else 'NO'} {detail}".rstrip(), flush=True)
    if not holds:
        failures.append(what)


def until(read, wanted, seconds=60):
    """The first reading that satisfies `wanted`, or the last one."""
    end = time.monotonic() + seconds
    while True:
        value = read()
        if wanted(value) or time.monotonic() > end:
            return value
        time.sleep(0.02)


def rows(query):
    try:
        with sqlite3.connect(f"file:{home}/conversations.db?mode=ro", uri=True, timeout=5) as db:
            return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def answers():
    return rows("SELECT id, state, length(content) + length(reasoning) FROM messages WHERE role = 'assistant' ORDER BY id")


def settings():
    with open(f"{home}/settings.json") as file:
        return json.load(file)


def picture(name):
    if pictures and shutil.which("import"):
        os.makedirs(pictures, exist_ok=True)
        subprocess.run(["import", "-window", "root", f"{pictures}/{name}.png"], check=False)


def command(words):
    xdotool("key", "ctrl+k")
    time.sleep(0.3)
    xdotool("type", "--delay", "10", words)
    time.sleep(0.3)
    xdotool("key", "Return")


def late(program, since, bar):
    """What held the main thread up for longer than `bar` ms."""
    found = []
    for when, line in program.lines:
        if when >= since and "on the main thread" in line:
            found += [float(ms) for ms in re.findall(r"(\d+(?:\.\d+)?) ms", line) if float(ms) > bar]
    return found


def names_of_late(program, since):
    """Who took more than 4 ms of the main thread, and the longest of each."""
    longest = {}
    for when, line in program.lines:
        if when >= since and "on the main thread" in line:
            for name, ms in re.findall(r"([a-z][a-z ]*) (\d+(?:\.\d+)?) ms", line):
                longest[name] = max(longest.get(name, 0), float(ms))
    return longest


def add_long_conversation():
    """2,000 messages of 2 million characters in all, as the program itself would have stored them."""
    with sqlite3.connect(f"{home}/conversations.db", timeout=20) as db:
        now = int(time.time())
        conversation = db.execute("INSERT INTO conversations (title, created_at, updated_at) VALUES ('the long one', ?, ?)",
                                  (now, now)).lastrowid
        parent = 0
        for i in range(2000):
            text = f"Message {i} about pages, tokens and **rows** of the cache. " * 18
            row = db.execute("INSERT INTO messages (conversation_id, role, state, content, reasoning, tool_calls, error, stats,"
                             " created_at, parent_id) VALUES (?, ?, 'complete', ?, '', '', '', '', ?, ?)",
                             (conversation, "assistant" if i % 2 else "user", text, now, parent)).lastrowid
            db.execute("UPDATE messages SET active_child = ? WHERE id = ?" if parent else
                       "UPDATE conversations SET active_root = ? WHERE id = ?", (row, parent or conversation))
            parent = row
        return conversation


port = free_port()
server, display = start_display()
os.environ.update(DISPLAY=display, KEYHOLE_HOME=home, LIBGL_ALWAYS_SOFTWARE="1")
try:
    model, question = f"{home}/random.gguf", "Tell me something long"
    long_answer_model(keyhole, model, question)
    with open(f"{home}/settings.json", "w") as file:
        json.dump({"temperature": 0}, file)
    program = Program(keyhole, model, "-c", "8192", port=port)
    program.wait_for("first frame drawn")
    window = find_window()
    focus(window)
    check("the model is loaded", until(lambda: ready(port), bool))

    began = time.monotonic()
    xdotool("type", "--delay", "5", question)
    xdotool("key", "Return")
    first = until(answers, lambda a: a and a[0][2] > 0)
    check("the answer streams into the file", bool(first) and first[0][1] == "streaming", str(first))
    grown = until(answers, lambda a: a and a[0][2] > first[0][2], 5)
    check("and grows there", bool(grown) and bool(first) and grown[0][2] > first[0][2])
    xdotool("key", "Escape")
    now = until(answers, lambda a: a and a[0][1] != "streaming")
    check("Escape stops it", bool(now) and now[0][1] == "stopped", str(now))
    check("the question is kept once", rows("SELECT content FROM messages WHERE role = 'user'") == [(question,)])
    before = len(answers())
    xdotool("key", "ctrl+r")
    check("Ctrl+R writes another answer", len(until(answers, lambda a: len(a) > before)) > before)
    # A folder is read while the answer is being written.
    asked = time.monotonic()
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    xdotool("key", "ctrl+u")
    time.sleep(0.3)
    xdotool("type", "--delay", "5", f"{folder}/app")
    xdotool("key", "Return")
    staged = until(lambda: rows("SELECT length(staged) FROM drafts"), lambda r: r and r[0][0] > 1000)
    check("a folder is attached by its path meanwhile", bool(staged) and staged[0][0] > 1000)
    streamed = time.monotonic()
    still = answers()[-1][1] == "streaming"
    xdotool("key", "Escape")
    ended = until(answers, lambda a: all(x[1] != "streaming" for x in a))
    check("and no answer is lost", len(ended) > before and ended[-1][1] in ("stopped", "complete"), str(ended))
    # The goal is 50 ms; the bar of the suite leaves room for a slow machine that does other things too.
    gaps = program.gaps_ms(asked, streamed)
    print(f"while an answer streams{'' if still else ' (it ended before)'} and a folder is read: {len(gaps)} frames, the longest "
          f"gaps {', '.join(f'{gap:.0f}' for gap in gaps[:3])} ms, {sum(gap > 50 for gap in gaps)} over 50 ms")
    held = late(program, began, 50)
    print(f"main thread held up for more than 50 ms: {len(held)} times {held[:5]}")
    print(f"for more than 4 ms: {len(late(program, began, 4))} times, frames: {program.frames(began)}")
    check("the main thread is free again within 0.2 s", not late(program, began, 200), str(late(program, began, 200)))

    command("delete this conversation")
    gone = until(lambda: rows("SELECT deleted_at FROM conversations"), lambda r: r and r[0][0] != 0)
    check("a conversation is deleted from the palette", bool(gone) and gone[0][0] != 0)
    command("take back")
    back = until(lambda: rows("SELECT deleted_at FROM conversations"), lambda r: r and r[0][0] == 0)
    check("and taken back", bool(back) and back[0][0] == 0)

    xdotool("key", "ctrl+shift+l")
    check("the theme is kept", until(settings, lambda s: s["theme"] == "light")["theme"] == "light")
    xdotool("key", "ctrl+equal")
    check("the zoom is kept", abs(until(settings, lambda s: s["zoom"] > 1.05)["zoom"] - 1.1) < 1e-6)

    # A second start opens its folder here and ends.
    second = subprocess.run([keyhole, f"{folder}/tests/golden/window"], capture_output=True, text=True, timeout=60)
    check("a second start ends at once", second.returncode == 0 and "already there" in second.stderr)

    xdotool("windowsize", "--sync", window, 1000, 700)
    xdotool("windowmove", "--sync", window, 60, 40)
    time.sleep(0.5)
    check("it ends well", program.stop() == 0)
    kept = settings()
    check("its place is kept", [kept[f"window_{k}"] for k in ("x", "y", "width", "height")] == [60, 40, 1000, 700],
          str([kept[f"window_{k}"] for k in ("x", "y", "width", "height")]))
    long_one = add_long_conversation()
    program = Program(keyhole, model, port=port)
    program.wait_for("first frame drawn")
    geometry = subprocess.check_output(["xdotool", "getwindowgeometry", "--shell", find_window()], text=True)
    check("and taken again", all(f"{k}={v}\n" in geometry for k, v in
                                 {"X": 60, "Y": 40, "WIDTH": 1000, "HEIGHT": 700}.items()), geometry.replace("\n", " "))
    focus(find_window())
    began = time.monotonic()
    command("the long one")
    opened = until(lambda: rows("SELECT value FROM meta WHERE key = 'open_conversation'"), lambda r: r == [(str(long_one),)])
    check("a conversation of 2,000 messages is opened by its name", opened == [(str(long_one),)], str(opened))
    for keys in (["ctrl+f"], ["ctrl+Home"], ["Prior"], ["ctrl+End"]):
        time.sleep(0.4)
        xdotool("key", *keys)
        if keys == ["ctrl+f"]:
            time.sleep(0.3)
            xdotool("type", "--delay", "20", "message 77")
            xdotool("key", "Return", "Escape")
    time.sleep(1)
    print(f"opening it, finding in it and going through it, over 4 ms: {names_of_late(program, began)}")
    held = late(program, began, 50)
    print(f"over 50 ms: {len(held)} times {held[:5]}")
    began = time.monotonic()
    for keys in ("ctrl+shift+l", "ctrl+equal", "ctrl+0"):
        xdotool("key", keys)
        time.sleep(0.5)
    print(f"another theme and zoom, over 4 ms: {names_of_late(program, began)}")
    check("it ends well again", program.stop() == 0)

    # Another engine: a second Keyhole, whose model this window does not have.
    far_port = free_port()
    far = subprocess.Popen([keyhole, "serve", "-m", model, "-c", "8192", "--port", str(far_port), "--api-key", "sk-7Qx93vK",
                            "--alias", "far"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env={**os.environ, "KEYHOLE_HOME": f"{home}/far"})
    try:
        check("another engine is there", until(lambda: ready(far_port), bool))
        with open(f"{home}/settings.json") as file:
            kept = json.load(file)
        kept.update(remote_on=True, remote_url=f"http://127.0.0.1:{far_port}", remote_key="sk-7Qx93vK", remote_model="far")
        with open(f"{home}/settings.json", "w") as file:
            json.dump(kept, file)
        program = Program(keyhole, None, port=port)
        program.wait_for("first frame drawn")
        window = find_window()
        focus(window)
        time.sleep(1)
        xdotool("key", "ctrl+n")
        before = len(answers())
        xdotool("type", "--delay", "5", question)
        xdotool("key", "Return")
        first = until(answers, lambda a: len(a) > before and a[-1][2] > 0)
        check("another engine's answer streams into the file", len(first) > before and first[-1][2] > 0, str(first[-1:]))
        xdotool("key", "Escape")
        now = until(answers, lambda a: a[-1][1] != "streaming")
        check("and is stopped", now[-1][1] in ("stopped", "complete"), str(now[-1:]))
        picture("remote-answer")
        xdotool("key", "ctrl+shift+o")
        time.sleep(0.5)
        picture("remote")
        command("disconnect")
        check("it is left again", not until(settings, lambda s: not s["remote_on"])["remote_on"])
        check("only the owner can read the settings", os.stat(f"{home}/settings.json").st_mode & 0o777 == 0o600)
        check("nothing but the settings holds the key", b"sk-7Qx93vK" not in b"".join(
            open(os.path.join(home, name), "rb").read() for name in os.listdir(home) if name.startswith("conversations")))
        check("it ends well, too", program.stop() == 0)
    finally:
        far.terminate()
        far.wait()
finally:
    server.terminate()
    server.wait()
    shutil.rmtree(home, ignore_errors=True)
if failures:
    sys.exit("missed: " + ", ".join(failures))
