"""What HTTP costs: python http_cost.py KEYHOLE MODEL.gguf. Not a test: prints figures; use a model so small that it does not hide them.

The engine alone (`keyhole bench`) beside one and eight streams and whole answers; and, of answers of one token, the time from the
request to the answer's last byte less what the engine says it took: parsing, template, tokens, waking up, JSON and sockets together.
"""
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time

from keyhole_server import KeyholeServer

CHAT = "/v1/chat/completions"
TOKENS = 512


def ends(server):
    return [json.loads(server.call("POST", "/tokenize", {"content": e, "parse_special": True})[2])["tokens"][0]
            for e in ("<|user|>", "<|observation|>", "<|endoftext|>")]


def main():
    program, model = sys.argv[1:3]
    bench = json.loads(subprocess.run([program, "bench", "-m", model, "-p", "0", "-n", str(TOKENS), "-r", "5", "-t", "1", "-o", "json"],
                                      capture_output=True, text=True, check=True).stdout)
    print(f"the model alone, without sampling: {bench['results'][0]['tokens_per_second']:.0f} tokens/s")
    with KeyholeServer(program, model, "-t", "1") as server:
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": TOKENS, "temperature": 0,
                "logit_bias": {str(i): -100 for i in ends(server)}, "chat_template_kwargs": {"enable_thinking": False}}

        def ask(stream, connection=None):
            """Tokens a second at the client, and as the engine counts them."""
            own = connection or http.client.HTTPConnection("127.0.0.1", server.port)
            began = time.perf_counter()
            own.request("POST", CHAT, json.dumps({**body, "stream": stream}))
            answer = own.getresponse().read().decode()
            took = time.perf_counter() - began
            last = json.loads(answer) if not stream else json.loads(answer.rsplit("data: {", 1)[1].join(["{", ""]).split("\n")[0])
            return TOKENS / took, last["timings"]["predicted_per_second"]

        for stream in (False, True):
            ask(stream)
            found = [ask(stream) for _ in range(5)]
            print(f"{'streamed' if stream else 'whole'}: {statistics.median(f[0] for f in found):.0f} tokens/s at the client, "
                  f"{statistics.median(f[1] for f in found):.0f} as the engine counts")
        for stream in (False, True):
            began = time.perf_counter()
            threads = [threading.Thread(target=ask, args=(stream,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print(f"eight at once, {'streamed' if stream else 'whole'}: {8 * TOKENS / (time.perf_counter() - began):.0f} tokens/s together")
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        over = []
        for _ in range(300):
            began = time.perf_counter()
            connection.request("POST", CHAT, json.dumps({**body, "max_tokens": 1}))
            timings = json.loads(connection.getresponse().read())["timings"]
            took = (time.perf_counter() - began) * 1000
            over.append(took - timings["queued_ms"] - timings["prompt_ms"] - timings["predicted_ms"])
        over.sort()
        print(f"beside the engine, of an answer of one token: {over[150]:.3f} ms (median), {over[285]:.3f} ms (95 of 100 below)")


if __name__ == "__main__":
    main()
