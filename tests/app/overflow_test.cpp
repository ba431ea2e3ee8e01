// Overflow is a decision: over random conversations and limits nothing is ever left out without
// one, and what a choice promises is what is sent, to the token.
#include "app/overflow.h"

#include <random>

#include "app/prompt_count.h"
#include "tests/runtime/toy_engine.h"
#include "tests/support/catch.h"

using namespace app;
using runtime::Role;

namespace {

std::string words(std::mt19937& random, size_t count) {
    static const char* const kWords[] = {"page ",     "cache\n",  "\xE4\xB8\xAD\xE6\x96\x87 ",
                                         "<|user|> ", "int x;\n", "\xF0\x9F\x98\x80",
                                         "  ",        "</think>", "don't "};
    std::string text;
    for (size_t i = 0; i < count; i++) {
        text += kWords[random() % std::size(kWords)];
    }
    return text;
}

Attachment file(std::mt19937& random, size_t count) {
    const std::string text = "<file-1>\n" + words(random, count) + "\n</file-1>\n";
    return {"file" + std::to_string(random() % 100), text, 0, {}};
}

Conversation chat(std::mt19937& random) {
    Conversation conversation;
    const size_t turns = random() % 8;
    int64_t id = 1;
    for (size_t i = 0; i <= turns; i++) {
        Message question;
        question.id = id++;
        question.content = words(random, 1 + random() % 40);
        for (size_t a = random() % 4; a > 2; a--) {
            question.attachments.push_back(file(random, 1 + random() % 120));
        }
        question.left_out = random() % 10 == 0 && i < turns;
        conversation.messages.push_back(std::move(question));
        if (i < turns) {
            Message answer;
            answer.id = id++;
            answer.role = Role::assistant;
            answer.content = words(random, random() % 60);
            answer.reasoning = random() % 2 ? words(random, random() % 40) : "";
            conversation.messages.push_back(std::move(answer));
        }
    }
    return conversation;
}

// Every word that the model is to read: what may not go missing.
size_t texts_in(const Conversation& conversation) {
    size_t bytes = 0;
    for (const Message& message : conversation.messages) {
        bytes += message.left_out ? 0 : message.content.size();
        for (const Attachment& attachment : message.attachments) {
            bytes += attachment.left_out ? 0 : attachment.text.size();
        }
    }
    return bytes;
}

}  // namespace

TEST_CASE("while words are typed, counting them alone says what counting everything says") {
    const auto tokenizer = tests::nano_tokenizer();
    std::mt19937 random(11);
    const char* const kEnds[] = {"\n", "", "\n\n", "x\n  y\n", ">\n", "\n \n", "'"};
    const char* const kBegins[] = {"", "\n", " a", "\n\n b", "\t", "s", "!", "1", "\u4E2D", "\r\n"};
    int quick = 0;
    for (int round = 0; round < 300; round++) {
        Conversation conversation = chat(random);
        if (round % 3 != 0) {
            conversation.messages.pop_back();
        }
        Draft draft;
        for (size_t i = random() % 3; i > 0; i--) {
            Attachment each = file(random, 1 + random() % 50);
            each.text = each.text.str() + kEnds[random() % std::size(kEnds)];
            each.tokens = tokenizer->count(each.text);
            draft.staged.push_back(each);
        }
        const auto some_words = [&] {
            return kBegins[random() % std::size(kBegins)] + words(random, random() % 6);
        };
        draft.text = some_words();
        const PromptSettings settings{round % 2 ? "Be brief." : "", round % 5 != 0, round % 7 == 0};
        PromptCount count = count_prompt(*tokenizer, conversation, draft, settings);
        for (int i = 0; i < 4; i++) {
            draft.text = some_words();
            const PromptCount whole = count_prompt(*tokenizer, conversation, draft, settings);
            const auto again = recount_words(*tokenizer, count, draft.text, settings);
            CAPTURE(round, i, draft.text, draft.staged.size());
            CHECK((again.has_value() || draft.staged.empty() || !whole.line));
            if (again) {
                quick++;
                CHECK(again->total == whole.total);
                CHECK(again->chat == whole.chat);
                CHECK(again->codebase == whole.codebase);
                CHECK(again->thinking == whole.thinking);
                CHECK(again->draft == whole.draft);
                count = *again;
            } else {
                count = whole;
            }
            if (!conversation.messages.empty() && !draft.empty()) {
                Message message;
                message.content = draft.text;
                message.attachments = draft.staged;
                Conversation sent = conversation;
                sent.messages.push_back(message);
                CHECK(whole.total == make_prompt(*tokenizer, sent, settings).size());
            }
        }
    }
    CHECK(quick > 800);
}

TEST_CASE("whatever the sizes, a choice sends exactly what it says, and without one nothing goes") {
    const auto tokenizer = tests::nano_tokenizer();
    std::mt19937 random(20260724);
    int overflowing = 0, choices = 0, fitting = 0;
    for (int round = 0; round < 300; round++) {
        const Conversation conversation = chat(random);
        PromptSettings settings;
        settings.system_prompt = random() % 2 ? "Be brief." : "";
        settings.thinking = random() % 2;
        settings.keep_thinking = random() % 2;
        const int64_t whole = make_prompt(*tokenizer, conversation, settings).size();
        OverflowLimits limits;
        limits.context = 16 + static_cast<int64_t>(random() % (2 * static_cast<uint64_t>(whole)));
        limits.reserve = static_cast<int64_t>(random() % 200);
        limits.model_context = limits.context * 4;
        limits.bytes_per_token = 1152;
        limits.free_bytes = static_cast<int64_t>(random() % 2'000'000);
        const OverflowReport report = plan_overflow(*tokenizer, conversation, settings, limits);
        CAPTURE(round, whole, limits.context, limits.reserve);
        REQUIRE(report.prompt_tokens == whole);
        REQUIRE(report.overflows == (whole + limits.reserve > limits.context));
        if (!report.overflows) {
            REQUIRE(report.choices.empty());
            continue;
        }
        overflowing++;
        for (const OverflowChoice& choice : report.choices) {
            choices++;
            Conversation changed = conversation;
            PromptSettings with = settings;
            apply_choice(choice, changed, with);
            const int64_t sent = make_prompt(*tokenizer, changed, with).size();
            CAPTURE(static_cast<int>(choice.kind), choice.prompt_tokens);
            REQUIRE(sent == choice.prompt_tokens);
            const bool raised = choice.kind == OverflowChoice::Kind::raise_limit;
            const bool less = choice.kind == OverflowChoice::Kind::less_room;
            const int64_t limit = raised ? choice.limit : limits.context;
            REQUIRE(choice.room == limit - sent);
            if (!raised && !less) {
                REQUIRE(choice.freed_tokens == whole - sent);
                REQUIRE(choice.freed_tokens > 0);
            } else {
                REQUIRE(texts_in(changed) == texts_in(conversation));
                REQUIRE(sent == whole);
            }
            REQUIRE(choice.fits == (less ? sent < limit : sent + limits.reserve <= limit));
            fitting += choice.fits;
            // The question itself is never left out, nor the file of another choice.
            REQUIRE_FALSE(changed.messages.back().left_out);
            REQUIRE(changed.messages.back().content == conversation.messages.back().content);
            if (choice.kind == OverflowChoice::Kind::trim_turns && choice.fits) {
                // One turn fewer would not have been enough.
                OverflowChoice fewer = choice;
                while (!fewer.messages.empty() &&
                       conversation.messages[fewer.messages.back()].role != Role::user) {
                    fewer.messages.pop_back();
                }
                if (!fewer.messages.empty()) {
                    fewer.messages.pop_back();
                }
                Conversation more = conversation;
                apply_choice(fewer, more, with);
                REQUIRE(make_prompt(*tokenizer, more, with).size() + limits.reserve >
                        limits.context);
            }
            if (choice.kind == OverflowChoice::Kind::raise_limit) {
                REQUIRE(choice.bytes == (choice.limit - limits.context) * limits.bytes_per_token);
                REQUIRE(choice.possible == (choice.bytes <= limits.free_bytes));
            }
        }
    }
    CHECK(overflowing > 80);
    CHECK(choices > 200);
    CHECK(fitting > 100);
}

TEST_CASE("an answer goes on from the tokens it ended with, or else from its text") {
    const auto tokenizer = tests::nano_tokenizer();
    Conversation conversation;
    Message question;
    question.content = "Tell me.";
    Message answer;
    answer.role = Role::assistant;
    answer.state = MessageState::stopped;
    const std::string raw = "\nfirst I think\n\nof this</think>\n\nThe answer\n";
    answer.tokens = tokenizer->encode(raw, runtime::Special::recognise);
    answer.reasoning = "first I think\n\nof this";
    answer.content = "The answer\n";
    conversation.messages = {question, answer};
    Prompt prompt = make_prompt(*tokenizer, conversation, {});
    REQUIRE(prompt.continued);
    CHECK(prompt.continued->text == raw);
    CHECK(prompt.continued->starts_in_reasoning);
    CHECK(prompt.continued->reasoning == "first I think\n\nof this");
    const std::string text = tokenizer->decode(prompt.tokens, true);
    CHECK(text == "[gMASK]<sop><|user|>Tell me.<|assistant|><think>" + raw);

    // What comes next is given out once, and line ends in the middle are kept.
    runtime::ReplyParserOptions options;
    options.before = prompt.continued->text;
    runtime::ReplyParser parser(options);
    std::string rest;
    for (const auto& delta : parser.add("\ngoes on")) {
        rest += delta.text;
    }
    for (const auto& delta : parser.finish(true)) {
        rest += delta.text;
    }
    CHECK(prompt.continued->content + rest == "The answer\n\ngoes on");

    // Edited since: the text counts.
    conversation.messages[1].content = "Another answer";
    prompt = make_prompt(*tokenizer, conversation, {});
    CHECK(tokenizer->decode(prompt.tokens, true) ==
          "[gMASK]<sop><|user|>Tell me.<|assistant|><think>first I think\n\nof this</think>"
          "Another answer");
    // Without thinking, and stopped in the middle of thinking.
    conversation.messages[1].reasoning.clear();
    prompt = make_prompt(*tokenizer, conversation, {"", false, false});
    CHECK(tokenizer->decode(prompt.tokens, true) ==
          "[gMASK]<sop><|user|>Tell me.<|assistant|></think>Another answer");
    CHECK_FALSE(prompt.continued->starts_in_reasoning);
    conversation.messages[1].content.clear();
    conversation.messages[1].reasoning = "half a thou";
    prompt = make_prompt(*tokenizer, conversation, {"", false, false});
    CHECK(tokenizer->decode(prompt.tokens, true) ==
          "[gMASK]<sop><|user|>Tell me.<|assistant|><think>half a thou");
    // Tokens of a larger vocabulary are not believed.
    conversation.messages[1].tokens = {1'000'000, -1};
    CHECK(make_prompt(*tokenizer, conversation, {}).continued->text == "half a thou");
}
