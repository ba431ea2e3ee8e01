"""What HTTP costs, and what a constraint does: python endpoint_cost.py KEYHOLE MODEL.gguf [THREADS [TOKENS]]. Prints figures.

The engine alone (`keyhole bench`) beside one and eight streams; the time from the engine's taking a token to the client's having its
event; and the speed of replies that are held to a schema beside free ones, in turns. Use an idle machine and a model so small that
it does not hide what is measured; for the schema one with the real vocabulary (`keyhole synth --words`).

A stream's last event says how long after the request's arrival its last token was taken; the client knows when it sent the request
and when that event came. Between the two lie the way of the request in and the way of the event out: upper bounds of the latter.
"""
import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
from keyhole_server import KeyholeServer

TOKENS = int(sys.argv[4]) if len(sys.argv) > 4 else 192
ITEM = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer"}, "kind": {"enum": ["a", "b"]},
                                         "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
        "required": ["name", "age", "kind", "tags"], "additionalProperties": False}
SCHEMA = {"type": "array", "items": ITEM, "minItems": 2000}


def ends(server):
    return [json.loads(server.call("POST", "/tokenize", {"content": e, "parse_special": True})[2])["tokens"][0]
            for e in ("<|user|>", "<|observation|>", "<|endoftext|>")]


def streams(server, bodies):
    """Tokens a second of all together, and of each its last event's delay in milliseconds."""
    selector, tokens, delays = selectors.DefaultSelector(), 0, []
    began = time.monotonic()
    for body in bodies:
        text = json.dumps(body).encode()
        sock = socket.create_connection(("127.0.0.1", server.port))
        one = {"sent": time.monotonic(), "pieces": []}
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                     % (len(text), text))
        selector.register(sock, selectors.EVENT_READ, one)
    left = len(bodies)
    while left:
        for key, _ in selector.select(60):
            data, now = key.fileobj.recv(1 << 16), time.monotonic()
            one = key.data
            one["pieces"].append(data)
            if b'"timings"' in data and "came" not in one:
                one["came"] = now
            if not data or b"[DONE]" in data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
                line = next(s for s in b"".join(one["pieces"]).split(b"\n") if b'"timings"' in s)
                timings = json.loads(line[6:])["timings"]
                tokens += timings["predicted_n"]
                taken = one["sent"] + (timings["queued_ms"] + timings["prompt_ms"] + timings["predicted_ms"]) / 1000
                delays.append((one["came"] - taken) * 1000)
    return tokens / (time.monotonic() - began), delays


def main():
    program, model = sys.argv[1:3]
    threads = sys.argv[3] if len(sys.argv) > 3 else "1"
    for sequences in ("1", "8"):
        bench = json.loads(subprocess.run([program, "bench", "-m", model, "-p", "0", "-n", str(TOKENS), "-r", "3", "-t", threads, "-o", "json",
                                           "--sequences", sequences], capture_output=True, text=True, check=True).stdout)
        print(f"the model alone, {sequences} at once, without sampling: {bench['results'][0]['tokens_per_second']:.1f} tokens/s", flush=True)
    with KeyholeServer(program, model, "-t", threads, "-c", "4096") as server:
        free = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": TOKENS, "temperature": 1, "seed": 1, "stream": True,
                "logit_bias": {str(i): -100 for i in ends(server)}, "chat_template_kwargs": {"enable_thinking": False}}
        held = {**free, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
        for count in (1, 8):
            streams(server, [free] * count)
            speed = statistics.median(streams(server, [free] * count)[0] for _ in range(3))
            delays = sorted(d for _ in range(400 // count) for d in streams(server, [{**free, "max_tokens": 2}] * count)[1])
            print(f"{count} at once: {speed:.1f} tokens/s; token to event, the request's way in included: "
                  f"{delays[len(delays) // 2]:.2f} ms (median), {delays[len(delays) * 99 // 100]:.2f} ms (99 of 100 below)", flush=True)
        for count in (1, 8):
            speeds = {"free": [], "held": []}
            streams(server, [held] * count)
            for turn in range(5):
                for name, body in (("free", free), ("held", held)):
                    speeds[name].append(streams(server, [{**body, "seed": turn}] * count)[0])
            a, b = (statistics.median(speeds[name]) for name in ("free", "held"))
            print(f"{count} at once, free {a:.1f} tokens/s, held to a schema {b:.1f}: {100 * (a / b - 1):+.1f} % time a token", flush=True)


if __name__ == "__main__":
    main()
