"""The Anthropic Python client against `keyhole serve`: python anthropic_client_test.py KEYHOLE MODEL.gguf

Whole and streamed answers, thinking, tools, counting, errors, going away.
"""
import sys

import anthropic

from keyhole_server import KeyholeServer

TOOLS = [{"name": "get_weather", "description": "Weather of a place",
          "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}]
HISTORY = [
    {"role": "user", "content": "How is the weather in Kyiv?"},
    {"role": "assistant", "content": [{"type": "text", "text": "I look."},
                                      {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"place": "Kyiv"}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "clear"}]},
]


def said(message):
    return [(block.type, getattr(block, "text", None) or getattr(block, "thinking", None)) for block in message.content]


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def check(client):
    def ask(**more):
        # Newer versions of the client know no temperature.
        wanted = {"model": "m", "max_tokens": 40, "extra_body": {"temperature": 0},
                  "messages": [{"role": "user", "content": "Hello there"}]}
        return {**wanted, **more}

    for thinking in ({"type": "disabled"}, {"type": "enabled", "budget_tokens": 1024}):
        whole = client.messages.create(**ask(thinking=thinking))
        assert whole.type == "message" and whole.stop_reason in ("end_turn", "max_tokens"), whole
        assert whole.usage.output_tokens > 0 and whole.usage.input_tokens + whole.usage.cache_read_input_tokens > 0
        with client.messages.stream(**ask(thinking=thinking)) as stream:
            streamed = stream.get_final_message()
        assert said(streamed) == said(whole) and streamed.stop_reason == whole.stop_reason
        if thinking["type"] == "disabled":
            assert all(block.type == "text" for block in whole.content)

    answer = client.messages.create(**ask(messages=HISTORY, tools=TOOLS, system="Be brief.", tool_choice={"type": "auto"}))
    assert answer.role == "assistant"
    counted = client.messages.count_tokens(model="m", messages=HISTORY, tools=TOOLS, system="Be brief.").input_tokens
    assert counted == answer.usage.input_tokens + answer.usage.cache_read_input_tokens, (counted, answer.usage)

    error = refused(anthropic.BadRequestError, lambda: client.messages.create(**ask(extra_body={"temperature": 1.5})))
    assert error.body["error"]["type"] == "invalid_request_error" and "temperature" in str(error), error
    error = refused(anthropic.BadRequestError,
                    lambda: client.messages.create(**ask(messages=[{"role": "user", "content": "z" * 60000}])))
    assert "prompt is too long" in str(error), error
    refused(anthropic.AuthenticationError, lambda: client.with_options(api_key="wrong").messages.create(**ask()))

    with client.messages.stream(**ask(max_tokens=2000)) as stream:
        next(iter(stream))
    assert client.messages.create(**ask()).content


def main():
    with KeyholeServer(*sys.argv[1:3], key="secret") as server:
        check(anthropic.Anthropic(base_url=server.url, api_key="secret", timeout=300))
    print("ok")


if __name__ == "__main__":
    main()
