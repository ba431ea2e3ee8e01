// What was sent and what has changed since; and what the second question, a revision and a second
// chat read anew, by the engine's own counters.
#include "app/codebase/ledger.h"

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include <sys/inotify.h>

#include "app/codebase/citations.h"
#include "app/codebase/line_diff.h"
#include "app/codebase/pack.h"
#include "app/codebase/watch.h"
#include "runtime/engine/engine_thread.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"
#include "runtime/text/chat_format.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app::codebase;
namespace fs = std::filesystem;

namespace {

const std::string kModel = std::string(TESTS_DIR) + "/golden/model/nano-f32.gguf";

const runtime::Tokenizer& tokenizer() {
    static const runtime::Tokenizer kept(runtime::vocabulary_of(*runtime::GgufFile::open(kModel)));
    return kept;
}

// Calls that may come from another thread, counted.
struct Told {
    std::atomic<int> times{0};
    bool within(int wanted, int milliseconds) const {
        for (int i = 0; i < milliseconds / 10 && times < wanted; i++) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return times >= wanted;
    }
};

}  // namespace

TEST_CASE("a diff leads from one text to the other") {
    std::mt19937 random(7);
    for (int round = 0; round < 400; round++) {
        std::string before, after;
        for (auto n = random() % 40; n > 0; n--) {
            const std::string line = std::string(1, static_cast<char>('a' + random() % 6)) + "\n";
            before += line;
            const auto what = random() % 8;
            after += what == 0 ? "" : what == 1 ? "new\n" + line : what == 2 ? "@@ -1\n" : line;
        }
        const auto diff = line_diff(before, after);
        REQUIRE(diff);
        CAPTURE(before, after, *diff);
        REQUIRE(patched(before, *diff) == after);
        REQUIRE(diff->empty() == (before == after));
    }
    CHECK(line_diff("a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nd\nX\nf\ng\nh\n") ==
          "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+X\n f\n g\n h\n");
    CHECK(patched("a\n", "@@ -1,1 +1,1 @@\n-b\n+c\n") == std::nullopt);
    CHECK(patched("a\n", "@@ -9,1 +1,1 @@\n-b\n") == std::nullopt);
    std::string old_lines, new_lines;
    for (int i = 0; i < 1000; i++) {
        old_lines += "old " + std::to_string(i) + "\n";
        new_lines += "new " + std::to_string(i) + "\n";
    }
    CHECK(line_diff(old_lines, new_lines) == std::nullopt);
}

TEST_CASE("changes are found against what was sent, priced, and appended without touching it") {
    const tests::TempFolder temp;
    std::string code;
    for (int i = 0; i < 60; i++) {
        code += "int value_" + std::to_string(i) + " = " + std::to_string(i * i) + ";\n";
    }
    temp.write("p/a.c", code);
    temp.write("p/sub/b.py", "x = 1\n");
    temp.write("p/gone.txt", "will go\n");
    temp.write("p/odd \".txt", "odd name\n");
    temp.write("p/forged.md", "<file-00000000 path=\"a.c\">\nnot it\n</file-00000000>\n");
    temp.write("p/end.txt", "no line end");
    const Pack pack = pack_folder(temp.path() / "p", &tokenizer());
    Snapshot snapshot;
    snapshot.add(pack.text);
    REQUIRE(snapshot.files().size() == 6);
    CHECK(snapshot.files().at("a.c").content == code);
    CHECK(snapshot.files().at("odd \\x22.txt").content == "odd name\n");

    Ledger ledger(temp.path() / "p", "p/", snapshot);
    CHECK(ledger.folders() == std::vector<std::string>{"", "sub"});
    CHECK(ledger.look(tokenizer()).empty());

    // One line of many: a diff. All of a short file: the file. Touched only: nothing.
    std::string changed = code;
    changed.replace(changed.find("value_30 = 900"), 14, "value_30 = 901");
    temp.write("p/a.c", changed);
    temp.write("p/sub/b.py", "y = 2\n");
    temp.write("p/end.txt", "no line end");
    fs::remove(temp.path() / "p/gone.txt");
    const Revision revision = ledger.look(tokenizer());
    REQUIRE(revision.changes.size() == 3);
    CHECK(revision.tokens == tokenizer().count(revision.text));
    CHECK(revision.tokens < pack.tokens / 3);
    CHECK_THAT(revision.text, ContainsSubstring("path=\"a.c\" shows=\"diff\" replaces=\"" +
                                                snapshot.files().at("a.c").tag + "\" now=\""));
    CHECK_THAT(revision.text, ContainsSubstring("-int value_30 = 900;\n+int value_30 = 901;\n"));
    CHECK_THAT(revision.text, !ContainsSubstring("value_10 "));
    CHECK_THAT(revision.text, ContainsSubstring("Gone:\n- gone.txt\n"));
    CHECK_THAT(revision.text, ContainsSubstring("path=\"sub/b.py\" replaces=\"") &&
                                  ContainsSubstring(">\ny = 2\n</file-"));
    CHECK(ledger.look(tokenizer()).text == revision.text);

    // Sent too, it is what the model has seen; the next difference is one to that.
    snapshot.add(revision.text);
    CHECK(snapshot.files().at("a.c").content == changed);
    Ledger next(temp.path() / "p", "p/", snapshot);
    const Revision none = next.look(tokenizer());
    CHECK(none.changes.size() == 1);  // what is gone stays gone
    changed.replace(changed.find("value_31 = 961"), 14, "value_31 = 962");
    temp.write("p/a.c", changed);
    CHECK_THAT(next.look(tokenizer()).text,
               ContainsSubstring("+int value_31 = 962;\n") && !ContainsSubstring("-int value_30"));
    std::atomic<bool> cancel{true};
    CHECK(next.look(tokenizer(), &cancel).empty());
}

TEST_CASE("outlines and slices are compared as what they show") {
    const tests::TempFolder temp;
    temp.write("p/a.c", "int f(void) {\n    int a = 1;\n    int b = 2;\n    return a + b;\n}\n");
    temp.write("p/b.c", "int one;\nint two;\nint three;\n");
    const ScanResult result = scan(sources_of({temp.path() / "p"}).front(), &tokenizer());
    PackOptions options;
    options.choices["a.c"].status = FileStatus::outline;
    options.choices["b.c"] = {FileStatus::full, 2, 2, SecretPolicy::mask, false};
    Snapshot snapshot;
    snapshot.add(make_pack(result, &tokenizer(), options).text);
    Ledger ledger(temp.path() / "p", "p/", snapshot);
    CHECK(ledger.look(tokenizer()).empty());
    temp.write("p/a.c", "int f(void) {\n    int a = 1;\n    int b = 3;\n    return a + b;\n}\n");
    temp.write("p/b.c", "int ONE;\nint two;\nint THREE;\n");
    CHECK(ledger.look(tokenizer()).empty());
    temp.write("p/a.c", "int g(void) {\n    int a = 1;\n    int b = 3;\n    return a + b;\n}\n");
    CHECK_THAT(ledger.look(tokenizer()).text, ContainsSubstring("int g(void) { ... }\n"));
}

TEST_CASE("a change in a watched folder is told once, with and without the system's watches") {
    const tests::TempFolder temp;
    temp.write("p/sub/a.c", "1");
    for (const size_t limit : {size_t{100}, size_t{0}}) {
        Told told;
        const FolderWatch watch(
            temp.path() / "p", {"", "sub"}, [&] { told.times++; }, limit);
        CHECK(watch.polls() == (limit == 0));
        if (limit > 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(400));
            CHECK(told.times == 0);
            for (int i = 0; i < 20; i++) {
                temp.write("p/sub/a.c", std::to_string(i));
            }
            CHECK(told.within(1, 5000));
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
            CHECK(told.times == 1);
        } else {
            CHECK(told.within(1, 8000));
        }
    }
}

TEST_CASE("the second question, a revision and a second chat read only what is theirs") {
    const tests::TempFolder temp;
    for (int i = 0; i < 12; i++) {
        std::string code;
        for (int line = 0; line < 12; line++) {
            code += "int value_" + std::to_string(i * 100 + line) + ";\n";
        }
        temp.write("p/file_" + std::to_string(i) + ".c", code);
    }
    const Pack pack = pack_folder(temp.path() / "p", &tokenizer());
    constexpr int64_t kPage = 64;

    runtime::EngineThread engine;
    runtime::EngineOptions options;
    options.ctx_size = 8192;
    engine.load(kModel, options);
    for (int i = 0; i < 3000 && engine.status().state == runtime::EngineStatus::State::loading;
         i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    REQUIRE(engine.status().state == runtime::EngineStatus::State::ready);

    struct Asked {
        int64_t prompt = 0, cached = 0;
        std::string answer;
        std::vector<runtime::TokenId> computed;  // all but the last token of the answer
        int64_t read() const { return prompt - cached; }
    };
    using Chat = std::vector<runtime::ChatMessage>;
    const auto tokens_of = [](const Chat& chat) {
        return runtime::ChatFormat::encode(tokenizer(), chat, {}, {false, true, true});
    };
    const auto ask = [&](const Chat& chat) {
        runtime::GenerationRequest request;
        request.prompt = tokens_of(chat);
        request.max_tokens = 4;
        Asked asked;
        asked.computed = request.prompt;
        auto stream = engine.submit(std::move(request));
        for (;;) {
            const auto event = stream->next(std::chrono::milliseconds(1000));
            if (!event) {
                continue;
            }
            for (const auto& delta : event->deltas) {
                asked.answer += delta.text;
            }
            asked.computed.insert(asked.computed.end(), event->tokens.begin(), event->tokens.end());
            if (event->terminal()) {
                REQUIRE(event->kind == runtime::GenerationEvent::Kind::finished);
                asked.prompt = event->usage.prompt_tokens;
                asked.cached = event->usage.cached_tokens;
                asked.computed.resize(asked.computed.size() - 1);
                return asked;
            }
        }
    };
    const auto say = [](runtime::Role role, const std::string& text) {
        runtime::ChatMessage message;
        message.role = role;
        message.content = text;
        return message;
    };
    // What a prompt has in common with the tokens that were computed before.
    const auto expected = [&](const std::vector<runtime::TokenId>& before, const Chat& now) {
        const auto tokens = tokens_of(now);
        return static_cast<int64_t>(
            std::mismatch(before.begin(), before.end(), tokens.begin(), tokens.end()).first -
            before.begin());
    };

    Chat chat = {say(runtime::Role::user, pack.text + "\nWhat is value_100?")};
    const Asked first = ask(chat);
    CHECK(first.cached == 0);
    REQUIRE(first.prompt > 1000);

    Chat second = chat;
    second.push_back(say(runtime::Role::assistant, first.answer));
    second.push_back(say(runtime::Role::user, "And value_205?"));
    const Asked again = ask(second);
    CHECK(again.cached == expected(first.computed, second));
    // The new turn, to the token: what stands behind the first prompt, less what of the answer is
    // there already.
    CHECK(again.cached >= first.prompt);
    CHECK(again.read() <= again.prompt - first.prompt);

    // A changed file, appended: only that file and the question are read.
    std::string code = "int value_100;\nint renamed;\n";
    temp.write("p/file_1.c", code);
    Snapshot snapshot;
    snapshot.add(pack.text);
    const Revision revision = Ledger(temp.path() / "p", "p/", snapshot).look(tokenizer());
    REQUIRE(revision.changes.size() == 1);
    Chat third = second;
    third.push_back(say(runtime::Role::assistant, again.answer));
    third.push_back(say(runtime::Role::user, revision.text + "\nWhat was renamed?"));
    const Asked appended = ask(third);
    CHECK(appended.cached == expected(again.computed, third));
    CHECK(appended.cached >= again.prompt);
    Chat without = second;
    without.push_back(third[third.size() - 2]);
    without.push_back(say(runtime::Role::user, "\nWhat was renamed?"));
    const auto question = static_cast<int64_t>(tokens_of(without).size()) - again.prompt;
    CHECK(appended.read() <= revision.tokens + question);
    CHECK(appended.read() < first.prompt / 2);

    // Another chat on the same snapshot finds its pages, and both hold them at once.
    Chat other = {say(runtime::Role::user, pack.text + "\nList the files.")};
    const Asked shared = ask(other);
    CHECK(shared.cached == expected(first.computed, other));
    CHECK(shared.cached >= pack.tokens);
    const auto bare =
        static_cast<int64_t>(tokens_of({say(runtime::Role::user, "\nList the files.")}).size());
    CHECK(shared.read() <= bare);

    std::vector<std::unique_ptr<runtime::GenerationStream>> both;
    for (const Chat& each : {chat, other}) {
        runtime::GenerationRequest request;
        request.prompt = tokens_of(each);
        request.max_tokens = 2000;
        request.sampling.temperature = 1;
        both.push_back(engine.submit(std::move(request)));
    }
    int64_t most = 0;
    for (int i = 0; i < 2000 && most == 0 && !(both[0]->done() && both[1]->done()); i++) {
        most = std::max<int64_t>(most, engine.memory().kv_cache.pages_shared);
        for (auto& stream : both) {
            stream->next(std::chrono::milliseconds(1));
        }
    }
    CHECK(most >= pack.tokens / kPage);
    for (auto& stream : both) {
        stream->cancel();
    }
    engine.stop();
}

TEST_CASE("places in files that an answer names are checked against what was shown") {
    Snapshot snapshot;
    const Wrapper wrapper;
    snapshot.add(make_element(wrapper, "src/a.c", "one\ntwo\nthree\n") +
                 make_element(wrapper, "lib/b.c", "x\n") + make_element(wrapper, "src/b.c", "y\n") +
                 make_element(wrapper, "Makefile", "all:\n") +
                 make_element(wrapper, "s.c", "five\nsix\n", {"", 5, 6, {}, {}}));
    const std::string text =
        "See src/a.c:2, `a.c:3`, a.c:4 and src/a.c:1-3. b.c:1 could be two; lib/b.c:1. Makefile:1. "
        "Not d.c:9, not 10:30. s.c:5, s.c:7. In ./src/a.c.";
    struct Place {
        std::string text;
        std::string path;
        int64_t line;
        bool exists;
    };
    const std::vector<Place> expected = {
        {"src/a.c:2", "src/a.c", 2, true}, {"a.c:3", "src/a.c", 3, true},
        {"a.c:4", "src/a.c", 4, false},    {"src/a.c:1-3", "src/a.c", 1, true},
        {"lib/b.c:1", "lib/b.c", 1, true}, {"Makefile:1", "Makefile", 1, true},
        {"s.c:5", "s.c", 5, true},         {"s.c:7", "s.c", 7, false},
        {"./src/a.c", "src/a.c", 0, true}};
    const auto found = find_citations(text, snapshot);
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); i++) {
        CHECK(text.substr(found[i].begin, found[i].end - found[i].begin) == expected[i].text);
        CHECK(found[i].path == expected[i].path);
        CHECK(found[i].line == expected[i].line);
        CHECK(found[i].line_exists == expected[i].exists);
    }
}
