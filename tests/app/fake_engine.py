"""An engine that behaves as vLLM does towards its clients, in what concerns those, and as a broken one on demand.

The model named in a request says how: "slow-head" is silent before its answer, "silent" says nothing more after two pieces, "cut"
ends the connection in the middle, "error-inside" sends an error as an event, "status-N" refuses with that status in the shape that
older vLLM uses, "page-N" with a proxy's page, "redirect" sends elsewhere, "no-reason" ends without saying why.
"""
import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECES = [("reasoning", "I think"), ("reasoning", "."), ("content", "H\u00e9llo"), ("content", ", w\u00f6rld \U0001f642"), ("content", "!\n")]
MODELS = ["glm-4.7-flash", "slow-head", "silent", "cut", "error-inside", "status-400", "status-404", "status-429", "status-503", "page-500",
          "redirect", "no-reason", "steady"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.answer(401, {"error": "Unauthorized"})
            return False
        return True

    def do_GET(self):
        if self.path != "/base/v1/models":
            self.answer(404, {"detail": "Not Found"})
        elif self.allowed():
            self.answer(200, {"object": "list", "data": [
                {"id": name, "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 131072, "permission": []}
                for name in MODELS]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        self.server.seen.append((self.path, dict(self.headers), body))
        model = body.get("model")
        if self.path != "/base/v1/chat/completions":
            self.answer(404, {"detail": "Not Found"})
        elif model.startswith("status-"):
            self.answer(int(model[7:]), {"object": "error", "message": f"This is refused ({model}).\nSecond line", "type": "BadRequestError",
                                         "param": None, "code": int(model[7:])}, Retry_After="7")
        elif model.startswith("page-"):
            self.answer(int(model[5:]), b"<html>proxy at /srv/secret</html>", "text/html")
        elif model == "redirect":
            self.answer(302, b"", Location="http://127.0.0.1:1/")
        elif body.get("stream"):
            self.stream(model, body)
        else:
            text = {kind: "".join(t for k, t in PIECES if k == kind) for kind in ("reasoning", "content")}
            self.answer(200, {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [
                {"index": 0, "message": {"role": "assistant", "tool_calls": [], **text}, "finish_reason": "stop", "logprobs": None,
                 "stop_reason": None}], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}})

    def piece(self, text):
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def event(self, model, delta, finish=None, **more):
        self.piece("data: " + json.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [
            {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}, ensure_ascii=False) + "\n\n")

    def stream(self, model, body):
        if model == "slow-head":
            time.sleep(1.5)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.event(model, {"role": "assistant", "content": ""})
            pieces = PIECES if model != "steady" else [("content", str(i) + " ") for i in range(40)]
            for number, (kind, text) in enumerate(pieces):
                if number == 2 and model == "cut":
                    self.connection.close()
                    return
                if number == 2 and model == "silent":
                    self.wait_until_gone(30)
                    return
                if number == 2 and model == "error-inside":
                    self.piece('data: {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}}\n\n')
                    break
                delta = {kind: text, **({"reasoning_content": text} if kind == "reasoning" and body.get("both") else {})}
                if model == "steady":
                    time.sleep(0.02)
                    delta["content"] = repr(time.monotonic()) + " "
                self.event(model, delta)
            else:
                if model != "no-reason":
                    self.event(model, {}, "stop")
                if body.get("stream_options", {}).get("include_usage"):
                    self.piece('data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], '
                               '"usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}\n\n')
                self.piece("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.gone.set()

    def wait_until_gone(self, seconds):
        """Reads until the other side closes: how a cancelled request looks from here."""
        self.connection.settimeout(seconds)
        try:
            if self.connection.recv(1) == b"":
                self.server.gone.set()
        except OSError:
            pass


class FakeEngine(ThreadingHTTPServer):
    """with FakeEngine() as engine: engine.url"""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, key="", tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.key, self.seen, self.gone = key, [], threading.Event()
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}/base"

    def server_bind(self):  # without asking a name server who this machine is
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, *_):
        pass

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
