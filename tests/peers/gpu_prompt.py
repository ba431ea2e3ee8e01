#!/usr/bin/env python3
"""gpu_prompt.py KEYHOLE MODEL TOKENS VOCABULARY [SERVE OPTIONS...]: the server on the card is given a prompt of so many
random tokens and answers 32 more. Prints how long the model took to load, what the plan said of the card's memory beside what the
driver says is gone, the time to the first token, and the speed behind the prompt. Exits 1 where the answer is not whole."""
import json
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

ANSWER = 32
OVERHEAD_MIB = 466  # kCardOverheadBytes: what a plan takes for driver, context and kernels


def driver_mib():
    if shutil.which("nvidia-smi") is None:
        return 0
    out = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
                         capture_output=True, text=True)
    return int(out.stdout.split()[0]) if out.returncode == 0 and out.stdout.split() else 0


def main():
    keyhole, model, tokens, vocabulary, options = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
    before = driver_mib()
    began = time.time()
    server = subprocess.Popen([keyhole, "serve", "-m", model, "--port", "0", *options],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = None
        for line in server.stdout:
            if "http://" in line:
                address = "http://" + line.split("http://")[1].split()[0].rstrip("/.,")
                break
            print("    " + line.rstrip())
        if address is None:
            print("the server does not start")
            return 1
        while True:  # ready, or no longer there
            health = urllib.request.Request(address + "/health")
            try:
                with urllib.request.urlopen(health, timeout=10) as answer:
                    if json.load(answer).get("status") == "ok":
                        break
            except urllib.error.HTTPError:
                pass
            if server.poll() is not None or time.time() - began > 300:
                print("the model does not load")
                return 1
            time.sleep(0.05)
        print(f"loaded after {time.time() - began:.1f} s")

        dice = random.Random(1)
        prompt = [dice.randrange(300, vocabulary - 100) for _ in range(tokens)]
        body = json.dumps({"prompt": prompt, "max_tokens": ANSWER, "temperature": 0, "stream": True,
                           "stream_options": {"include_usage": True}, "ignore_eos": True}).encode()
        request = urllib.request.Request(address + "/v1/completions", body, {"Content-Type": "application/json"})
        sent = time.time()
        first = last = usage = None
        with urllib.request.urlopen(request, timeout=1000) as answer:
            for line in answer:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                if event.get("choices"):
                    last = time.time()
                    first = first or last
        gone = driver_mib() - before
        with urllib.request.urlopen(address + "/v1/memory", timeout=10) as answer:
            card = json.load(answer)["devices"][0]
        ours = sum(card[part] for part in ("weights_bytes", "kv_reserved_bytes", "compute_bytes")) / 2**20
        written = usage["completion_tokens"]
        print(f"prompt {usage['prompt_tokens']} tokens: first token after {first - sent:.2f} s "
              f"({usage['prompt_tokens'] / (first - sent):.0f} t/s), then {(written - 1) / max(1e-9, last - first):.1f} t/s, "
              f"{written} tokens")
        forecast = ours + OVERHEAD_MIB
        print(f"card: {ours:.0f} MiB in the account, with the driver's own {forecast:.0f} MiB forecast, {gone} MiB more used says "
              f"the driver: {gone - forecast:+.0f} MiB, {100 * abs(gone - forecast) / max(1, gone):.1f} %")
        return 0 if usage["prompt_tokens"] == tokens and written >= 1 else 1
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


sys.exit(main())
