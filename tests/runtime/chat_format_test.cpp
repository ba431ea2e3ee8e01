#include "runtime/text/chat_format.h"

#include <algorithm>

#include "tests/runtime/text_cases.h"
#include "tests/support/catch.h"

using namespace runtime;

namespace {

// Around every token that the template itself writes, in the golden prompts: U+E100 and U+E101.
const std::string kOpen = "\xEE\x84\x80", kClose = "\xEE\x84\x81";

struct ChatCase {
    ChatOptions options;
    std::vector<std::string> tools;
    std::vector<ChatMessage> messages;
    std::string marked;
};

std::vector<ChatCase> read_cases() {
    const auto fields = tests::read_fields("chat_cases.txt");
    size_t at = 0;
    const auto next = [&] { return fields.at(at++); };
    const auto number = [&] { return std::stoi(fields.at(at++)); };
    const auto texts = [&](int count) {
        std::vector<std::string> list;
        for (int i = 0; i < count; i++) {
            list.push_back(next());
        }
        return list;
    };
    std::vector<ChatCase> cases;
    while (at < fields.size()) {
        ChatCase c;
        const auto flags = tests::numbers<int>(next());
        c.options = {flags.at(0) == 1, flags.at(1) == 1, flags.at(2) == 1};
        c.tools = texts(number());
        c.messages.resize(static_cast<size_t>(number()));
        for (ChatMessage& message : c.messages) {
            const std::string role = next();
            message.role = role == "system"      ? Role::system
                           : role == "user"      ? Role::user
                           : role == "assistant" ? Role::assistant
                                                 : Role::tool;
            message.content = next();
            const bool has_reasoning = number() == 1;
            const std::string reasoning = next();
            if (has_reasoning) {
                message.reasoning = reasoning;
            }
            message.tool_calls.resize(static_cast<size_t>(number()));
            for (ToolCall& call : message.tool_calls) {
                call.name = next();
                call.arguments.resize(static_cast<size_t>(number()));
                for (ToolArgument& argument : call.arguments) {
                    argument.key = next();
                    argument.value = next();
                }
            }
            if (const int responses = number(); responses >= 0) {
                message.responses = texts(responses);
            }
        }
        c.marked = next();
        cases.push_back(std::move(c));
    }
    return cases;
}

std::string without_marks(std::string text) {
    for (const std::string& mark : {kOpen, kClose}) {
        for (size_t at; (at = text.find(mark)) != std::string::npos;) {
            text.erase(at, mark.size());
        }
    }
    return text;
}

std::vector<TokenId> expected_ids(const Tokenizer& tokenizer, const std::string& marked) {
    std::vector<TokenId> ids;
    size_t at = 0;
    for (size_t open; (open = marked.find(kOpen, at)) != std::string::npos;) {
        tokenizer.encode(marked.substr(at, open - at), Special::as_text, ids);
        const size_t token = open + kOpen.size(), close = marked.find(kClose, token);
        ids.push_back(tokenizer.find(marked.substr(token, close - token)).value());
        at = close + kClose.size();
    }
    tokenizer.encode(marked.substr(at), Special::as_text, ids);
    return ids;
}

}  // namespace

TEST_CASE("prompts equal those of the model's own template, byte for byte", "[chat_format]") {
    const auto cases = read_cases();
    REQUIRE(cases.size() >= 300);
    for (size_t i = 0; i < cases.size(); i++) {
        INFO("case " << i);
        REQUIRE(ChatFormat::render(cases[i].messages, cases[i].tools, cases[i].options) ==
                without_marks(cases[i].marked));
    }
}

TEST_CASE("only what the template writes becomes a special token", "[chat_format]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    const auto cases = read_cases();
    for (size_t i = 0; i < cases.size(); i++) {
        INFO("case " << i);
        const auto ids =
            ChatFormat::encode(tokenizer, cases[i].messages, cases[i].tools, cases[i].options);
        REQUIRE(ids == expected_ids(tokenizer, cases[i].marked));
        REQUIRE(tokenizer.decode(ids, true) == without_marks(cases[i].marked));
    }
}

TEST_CASE("people cannot forge a turn, a thought or a tool call", "[chat_format]") {
    const Tokenizer tokenizer(tests::small_vocabulary());
    std::string every;
    for (TokenId id = 0; id < tokenizer.vocab_size(); id++) {
        if (tokenizer.is_special(id)) {
            every += tokenizer.bytes(id, true);
        }
    }
    ChatMessage system{Role::system, every, {}, {}, {}}, user{Role::user, every, {}, {}, {}},
        tool{Role::tool, every, {}, {}, {}};
    ChatMessage list{Role::tool, "", {}, {}, std::vector<std::string>{every, every}};
    ChatMessage assistant{Role::assistant, every, every, {{"id", every, {{every, every}}}}, {}};
    const auto ids =
        ChatFormat::encode(tokenizer, {system, user, assistant, tool, list}, {every}, {});
    std::string specials;
    for (const TokenId id : ids) {
        if (tokenizer.is_special(id)) {
            specials += tokenizer.bytes(id, true);
        }
    }
    const std::string arguments = "<arg_key></arg_key><arg_value></arg_value>";
    CHECK(specials == "[gMASK]<sop><|system|><tool_call>" + arguments + arguments +
                          "</tool_call><|system|><|user|><|assistant|><think></think><tool_call>" +
                          arguments +
                          "</tool_call><|observation|><tool_response></"
                          "tool_response><|observation|><tool_response></tool_response>"
                          "<tool_response></tool_response><|assistant|><think>");
}

TEST_CASE("the fact sheet's renders", "[chat_format]") {
    const ChatMessage hello{Role::user, "Hello", {}, {}, {}};
    CHECK(ChatFormat::render({hello}, {}, {}) == "[gMASK]<sop><|user|>Hello<|assistant|><think>");
    CHECK(ChatFormat::render({hello}, {}, {.enable_thinking = false}) ==
          "[gMASK]<sop><|user|>Hello<|assistant|></think>");
    CHECK(ChatFormat::render({}, {}, {}) == "[gMASK]<sop><|assistant|><think>");
    const ChatMessage call{Role::assistant, "", {}, {{"", "f", {}}}, {}};
    CHECK(ChatFormat::render({hello, call}, {}, {.add_generation_prompt = false}) ==
          "[gMASK]<sop><|user|>Hello<|assistant|></think><tool_call>f</tool_call>");
}

TEST_CASE("a marker that the vocabulary lacks is written in its characters", "[chat_format]") {
    Vocabulary vocabulary = tests::small_vocabulary();
    vocabulary.tokens[345] = "<other>";
    const Tokenizer tokenizer(std::move(vocabulary));
    const std::vector<ChatMessage> messages = {{Role::user, "hello", {}, {}, {}}};
    const auto ids = ChatFormat::encode(tokenizer, messages, {}, {});
    CHECK(tokenizer.decode(ids, true) == ChatFormat::render(messages, {}, {}));
    CHECK(std::count_if(ids.begin(), ids.end(),
                        [&](TokenId id) { return tokenizer.is_special(id); }) == 4);
}
