"""Clients that take their time, or send what no client should: python slow_test.py KEYHOLE MODEL.gguf

Each row is a connection of its own, all at the same time; beside them ordinary requests are answered at once.
"""
import json
import socket
import sys
import threading
import time

from keyhole_server import KeyholeServer

CHAT = "/v1/chat/completions"
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n"
GOOD = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})
DEEP = '{"messages": ' + "[" * 100000 + "]" * 100000 + "}"


def deep_object(levels):
    return '{"a":' * levels + "1" + "}" * levels


def with_length(body, length=None):
    return HEAD + f"Content-Length: {len(body) if length is None else length}\r\n\r\n" + body


# (what it is, first piece, piece that comes every half second, the status it must get, within seconds)
ROWS = [
    ("half a request line, then nothing", "POST /v1/ch", "", 408, 12),
    ("half a head, then nothing", HEAD + "X-A: b\r\n", "", 408, 12),
    ("a head, one byte at a time", HEAD + "X-A: ", "a", 408, 12),
    ("a head whose lines never end", HEAD, "X-A: b\r\n", 408, 12),
    ("a body that stops", with_length(GOOD[:10], len(GOOD)), "", 408, 33),
    ("a chunked body that stops", HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a", "", 408, 33),
    ("slow, but in time", with_length("{", 13), " ", 400, 10),
    ("a head too large", HEAD + "X-A: " + "a" * 70000, "", 400, 5),
    ("many headers", HEAD + "".join(f"X-{i}: b\r\n" for i in range(9000)), "", 400, 5),
    ("a length too large", with_length("", 33 << 20), "", 413, 2),
    ("more than the length says is another request", with_length(GOOD) + "\x01\x02", "", 200, 5),
    ("a chunked body without end", HEAD + "Transfer-Encoding: chunked\r\n\r\n" + ("100000\r\n" + " " * (1 << 20) + "\r\n") * 37, "", 413, 20),
    ("arrays a hundred thousand deep", with_length(DEEP), "", 400, 5),
    ("objects ten thousand deep", with_length(deep_object(10000)), "", 400, 5),
    ("objects as deep as is read", with_length(deep_object(120)), "", 400, 5),
    ("three thousand keys", with_length("{" + ",".join(f'"k{i}": 1' for i in range(3000)) + "}"), "", 400, 5),
    ("a Host that begins like ours", HEAD.replace("localhost", "localhost.evil.example") + "\r\n", "", 403, 2),
    ("a Host by another name for the address", HEAD.replace("localhost", "127.0.0.1.nip.io") + "\r\n", "", 403, 2),
    ("a page of another site", HEAD + "Origin: http://localhost.evil.example\r\n\r\n", "", 403, 2),
    ("a page without an origin", HEAD + "Origin: null\r\n\r\n", "", 403, 2),
    ("a file of this machine", HEAD + "Origin: file://\r\n\r\n", "", 403, 2),
    ("no Host", f"POST {CHAT} HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "", 403, 2),
    ("a method that there is not", f"QUERY {CHAT} HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 405, 2),
    ("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "", 400, 2),
]


def status_of(port, first, again, seconds):
    """The status, or what happened instead, and when."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        stop = threading.Event()

        def send():
            try:
                connection.sendall(first.encode("latin-1"))
                while again and not stop.wait(0.5):
                    connection.sendall(again.encode())
            except OSError:
                pass  # refused before all was sent

        sender = threading.Thread(target=send)
        sender.start()
        connection.settimeout(seconds + 3)
        answer = b""
        try:
            while b"\r\n\r\n" not in answer:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
        except OSError as error:
            return f"{type(error).__name__}", time.monotonic() - began
        finally:
            stop.set()
            took = time.monotonic() - began
    sender.join()
    return (int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else repr(answer[:40])), took


def check_slow_reader(server):
    """A client that asks for megabytes and reads nothing: the engine goes on, and in the end nothing is held for it."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4000, "stream": True, "logprobs": True,
                       "top_logprobs": 20, "n": 2, "logit_bias": {str(i): -100 for i in ends(server)}})
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(with_length(body).encode())
    worst = 0.0
    until = time.monotonic() + 100
    while server.metric("num_requests_running") == 0:
        assert time.monotonic() < until
    while server.metric("num_requests_running") > 0:
        began = time.monotonic()
        assert server.call("POST", CHAT, GOOD)[0] == 200
        worst = max(worst, time.monotonic() - began)
        assert time.monotonic() < until, "the engine waits for a reader"
    assert worst < 10, worst
    while server.metric("num_requests_running") + len(json.loads(server.call("GET", "/v1/memory")[2])["sequences"]) > 0:
        assert time.monotonic() < until
    connection.close()
    return worst


def ends(server):
    return [json.loads(server.call("POST", "/tokenize", {"content": e, "parse_special": True})[2])["tokens"][0]
            for e in ("<|user|>", "<|observation|>", "<|endoftext|>")]


def main():
    with KeyholeServer(*sys.argv[1:3], "-t", "1") as server:
        results = {}

        def run(row):
            results[row[0]] = status_of(server.port, row[1], row[2], row[4])

        threads = [threading.Thread(target=run, args=(row,)) for row in ROWS]
        for thread in threads:
            thread.start()
        # Two hundred more that say nothing, and meanwhile somebody is answered.
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        for _ in range(5):
            began = time.monotonic()
            assert server.call("POST", CHAT, GOOD)[0] == 200
            assert time.monotonic() - began < 5, "slow clients hold up others"
        for thread in threads:
            thread.join()
        for connection in idle:
            connection.close()
        failures = []
        for name, _, _, wanted, seconds in ROWS:
            got, took = results[name]
            print(f"{got}  {took:5.1f} s  {name}")
            # With room for a machine that has other things to do.
            if got != wanted or took > seconds + 3:
                failures.append(f"{name}: {got} after {took:.1f} s, not {wanted} within {seconds} s")
        assert not failures, "\n".join(failures)
        print(f"a reader that does not read: others wait {check_slow_reader(server):.2f} s at most")


if __name__ == "__main__":
    main()
