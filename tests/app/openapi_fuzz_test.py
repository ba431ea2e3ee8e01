"""The served OpenAPI document against the server, by schemathesis: python openapi_fuzz_test.py KEYHOLE MODEL.gguf [EXAMPLES]

Generated requests, fitting the document and not: no answer of 5xx, none with a status, a content type or a body that the document
does not have, none without the key, and 405 for methods that are not there. Left out is the check that whatever fits the document is
accepted: it does not say everything that makes a request good (a token id within the vocabulary, say). The context is short: an answer
without max_tokens runs to its end, which on a busy machine must not take longer than schemathesis waits.
"""
import importlib.util
import os
import subprocess
import sys
import tempfile

from keyhole_server import KeyholeServer


def main():
    if importlib.util.find_spec("schemathesis") is None:
        print("the schemathesis package is not here: left out")
        return 77
    program, model = sys.argv[1:3]
    examples = sys.argv[3] if len(sys.argv) > 3 else "30"
    with tempfile.TemporaryDirectory() as folder:
        for key in ("", "secret"):
            with KeyholeServer(program, model, "-t", "1", "-c", "1024", "--alias", "test-model", key=key) as server:
                command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", server.url + "/openapi.json", "--seed", "1",
                           "--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--checks", "all",
                           "--exclude-checks", "positive_data_acceptance", "--request-timeout", "60", "--generation-database", "none",
                           "--no-color", *(["-H", f"Authorization: Bearer {key}"] if key else [])]
                run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
                if run.returncode != 0:
                    print(run.stdout[-8000:], run.stderr[-2000:])
                    return 1
                print("\n".join(line for line in run.stdout.splitlines() if "generated" in line or "passed" in line))
                assert server.metric("num_requests_running") == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
