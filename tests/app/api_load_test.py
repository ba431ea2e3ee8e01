"""Many clients at once: python api_load_test.py KEYHOLE MODEL.gguf REQUESTS

64 connections at a time, over all routes that generate, a third of them streamed and cut at a random moment. Every request is
answered, refused with 429, or was cut by its client; at the end nothing runs or waits, no page is held, and the memory is that
of an early moment.
"""
import collections
import concurrent.futures
import json
import random
import socket
import sys
import time

from keyhole_server import KeyholeServer

CLIENTS = 64


def resident_bytes(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def body_of(rng):
    words = " ".join(rng.choice(["the", "gauge", "shows", "where", "memory", "is"]) for _ in range(rng.randrange(1, 40)))
    most, stream = rng.randrange(1, 24), rng.random() < 0.5
    message = [{"role": "user", "content": words}]
    return rng.choice([
        ("/v1/chat/completions", {"messages": message, "max_tokens": most, "stream": stream, "n": rng.choice([1, 1, 1, 2])}),
        ("/v1/completions", {"prompt": words, "max_tokens": most, "stream": stream}),
        ("/v1/responses", {"input": words, "max_output_tokens": most, "stream": stream}),
        ("/v1/messages", {"messages": message, "max_tokens": most, "stream": stream}),
    ])


def one(server, seed):
    """The status, or "cut"."""
    rng = random.Random(seed)
    path, body = body_of(rng)
    text = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: client{seed % 5}\r\nConnection: close\r\n"
                           f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
        if rng.random() < 0.33:
            connection.settimeout(rng.random() * 0.05 + 0.001)
            try:
                connection.recv(rng.randrange(1, 600))
            except socket.timeout:
                pass
            return "cut"
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    status = int(answer[9:12])
    if status == 200 and body["stream"]:
        last = {"/v1/chat/completions": b"[DONE]", "/v1/completions": b"[DONE]", "/v1/messages": b"message_stop",
                "/v1/responses": b"response."}[path]
        assert last in answer[-4000:], answer[-400:]
        assert answer.endswith(b"0\r\n\r\n"), answer[-40:]
    return status


def main():
    program, model, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with KeyholeServer(program, model, "-t", "1") as server:
        outcomes, early = collections.Counter(), 0
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for done, outcome in enumerate(pool.map(lambda seed: one(server, seed), range(requests)), 1):
                outcomes[outcome] += 1
                if done == requests // 4:
                    early = resident_bytes(server.process)
        seconds = time.monotonic() - began
        assert set(outcomes) <= {200, 429, "cut"}, outcomes
        for _ in range(200):
            memory = json.loads(server.call("GET", "/v1/memory")[2])
            if not memory["sequences"] and server.metric("num_requests_waiting") == 0:
                break
            time.sleep(0.05)
        assert not memory["sequences"] and memory["kv_cache"]["pages_used"] == 0, memory
        assert server.metric("num_requests_running") == 0 and server.metric("num_requests_waiting") == 0
        late = resident_bytes(server.process)
        # Rows of the request log are kept: at most 2 KiB each, and its prompts within their 32 MiB.
        assert late - early < (48 << 20) + requests * 2048, (early, late)
        print(f"ok: {dict(outcomes)} in {seconds:.1f} s; {early >> 20} MiB after a quarter, {late >> 20} MiB at the end")


if __name__ == "__main__":
    main()
