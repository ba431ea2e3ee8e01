"""For the tests that talk to the program over HTTP: starts `keyhole serve` and ends it again."""
import http.client
import json
import os
import re
import subprocess


class KeyholeServer:
    """with KeyholeServer(program, model, "--alias", "m") as server: server.call("GET", "/health"). No model: None."""

    def __init__(self, program, model, *arguments, key="", environment=None):
        self.command = [program, "serve", *(["-m", model] if model else []), "--port", "0", *arguments]
        self.environment = {**os.environ, "KEYHOLE_API_KEY": key, **(environment or {})}
        self.key = key

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.environment)
        line = self.process.stdout.readline()
        match = re.match(r"listening on (http://127\.0\.0\.1:(\d+))", line)
        assert match, line
        self.url, self.port = match.group(1), int(match.group(2))
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        status = self.process.wait(60)
        assert kind is not None or status == 0, status

    def call(self, method, path, body=None, headers=None, timeout=120):
        """Status, headers and text of the answer. A body that is no str goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        keys = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        connection.request(method, path, text, {**keys, "Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        result = answer.status, answer.headers, answer.read().decode()
        connection.close()
        return result

    def metric(self, name):
        for line in self.call("GET", "/metrics")[2].splitlines():
            if line.startswith(f"keyhole_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def events(text):
    """(name, data) of each event of a stream; [DONE] is kept as text."""
    found = []
    for block in text.split("\n\n"):
        name, data = "", []
        for line in block.splitlines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            joined = "\n".join(data)
            found.append((name, joined if joined == "[DONE]" else json.loads(joined)))
    return found
