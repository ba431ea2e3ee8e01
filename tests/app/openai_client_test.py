"""The OpenAI Python client against `keyhole serve`: python openai_client_test.py KEYHOLE MODEL.gguf

Streamed and whole answers, a history with tools, eight streams at once, errors, the list of models.
"""
import os
import re
import subprocess
import sys
import json
import threading

import openai


def text_of(stream):
    parts = []
    for chunk in stream:
        for choice in chunk.choices:
            parts.append((getattr(choice.delta, "reasoning_content", None) or "") + (choice.delta.content or ""))
    return "".join(parts)


def whole_text(answer):
    message = answer.choices[0].message
    return (getattr(message, "reasoning_content", None) or "") + (message.content or "")


def check(client, model):
    def ask(text, **more):
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": text}], temperature=0, max_tokens=40, **more)

    models = client.models.list().data
    assert [m.id for m in models] == [model], models
    assert client.models.retrieve(model).id == model

    # Whole equals streamed, and usage comes when asked for.
    for thinking in (True, False):
        extra = {"extra_body": {"chat_template_kwargs": {"enable_thinking": thinking}}}
        whole = ask("Hello there", **extra)
        assert whole.object == "chat.completion" and whole.choices[0].finish_reason in ("stop", "length")
        assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
        assert text_of(ask("Hello there", stream=True, **extra)) == whole_text(whole)
    chunks = list(ask("Hello there", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices
    assert all(chunk.usage is None for chunk in chunks[:-1])

    # A prompt that begins like an earlier one reads only its own tokens.
    common = "The same beginning of both. " * 60
    first, second = ask(common + "First question?"), ask(common + "Another one, longer?")
    assert first.usage.prompt_tokens_details.cached_tokens < 64
    assert second.usage.prompt_tokens > 1000, second.usage
    shared = second.usage.prompt_tokens_details.cached_tokens
    assert 0 < second.usage.prompt_tokens - shared < 64, second.usage

    # A conversation in which a tool was called, with every role and both forms of content.
    tools = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a place",
              "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}}]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "How is the weather in Kyiv?"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"place": "Kyiv"}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"sky": "clear"}'},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, tools=tools, tool_choice="auto", max_tokens=20,
                                            temperature=0)
    assert answer.usage.prompt_tokens > 100
    streamed = client.chat.completions.create(model=model, messages=messages, tools=tools, max_tokens=20, temperature=0,
                                              stream=True)
    assert text_of(streamed) == whole_text(answer)

    # Eight at once give what each gives alone.
    questions = [f"Question number {i * 17}: what is {i} plus {i}?" for i in range(8)]
    alone = [whole_text(ask(question)) for question in questions]
    together = [None] * 8

    def run(i):
        together[i] = text_of(ask(questions[i], stream=True))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert together == alone, (together, alone)

    # Held to a schema, and made to call.
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}},
              "required": ["ok", "n"], "additionalProperties": False}
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "x"}], max_tokens=100, extra_body={"chat_template_kwargs": {"enable_thinking": False}},
        response_format={"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}})
    value = json.loads(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason == "stop" and isinstance(value["ok"], bool) and 1 <= value["n"] <= 9, answer
    tool = {"type": "function", "function": {"name": "count", "parameters": schema}}
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "x"}], max_tokens=100, extra_body={"chat_template_kwargs": {"enable_thinking": False}},
        tools=[tool], tool_choice="required", parallel_tool_calls=False)
    call = answer.choices[0].message.tool_calls[0].function
    assert call.name == "count" and set(json.loads(call.arguments)) == {"ok", "n"}, answer

    # Errors arrive as the client's own exceptions.
    for bad, kind in (({"temperature": 9}, openai.BadRequestError), ({"response_format": {"type": "xml"}}, openai.BadRequestError),
                      ({"tool_choice": "required"}, openai.BadRequestError)):
        try:
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], **bad)
            raise AssertionError(f"{bad} was accepted")
        except kind as error:
            assert error.param and error.type == "invalid_request_error", error
    try:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "z" * 60000}], stream=True)
        raise AssertionError("a prompt longer than the context was accepted")
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded", error
    try:
        client.with_options(api_key="wrong").models.list()
        raise AssertionError("a wrong key was accepted")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error

    # Going away in the middle of a stream leaves a server that answers.
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], max_tokens=2000,
                                            stream=True)
    next(iter(stream))
    stream.close()
    assert whole_text(ask(questions[0])) == alone[0]


def main():
    program, model_file = sys.argv[1:3]
    server = subprocess.Popen([program, "serve", "-m", model_file, "--port", "0", "--alias", "test-model"],
                              stdout=subprocess.PIPE, text=True, env={**os.environ, "KEYHOLE_API_KEY": "secret"})
    try:
        line = server.stdout.readline()
        match = re.match(r"listening on (http://\S+)", line)
        assert match, line
        check(openai.OpenAI(base_url=match.group(1) + "/v1", api_key="secret", timeout=300), "test-model")
    finally:
        server.terminate()
        status = server.wait(60)
    assert status == 0, status
    print("ok")


if __name__ == "__main__":
    main()
