#include <fstream>
#include <iterator>

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/conversation_store.h"
#include "app/settings.h"
#include "tests/support/temp_folder.h"
#include "tests/support/catch.h"

using namespace app;
namespace fs = std::filesystem;

namespace {

Conversation question(const std::string& words) {
    Conversation conversation;
    conversation.title = title_from(words);
    Message user;
    user.content = words;
    user.attachments.push_back({"src/",
                                "<file-1 path=\"a\">\nx\n</file-1>\n",
                                12,
                                {{"a", "", 12, true}, {"b.bin", "binary", 0, false}}});
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.state = MessageState::streaming;
    conversation.messages = {user, answer};
    return conversation;
}

void answer_it(ConversationStore& store, Conversation& conversation, const std::string& words) {
    Message& answer = conversation.messages.back();
    answer.content = words;
    answer.reasoning = "because \"quotes\" and \xE4\xB8\xAD";
    answer.tool_calls = {{"", "search", {{"query", "a b"}, {"limit", "3"}}}};
    answer.state = MessageState::complete;
    answer.stats = {100, 64, 20, 5, 12.5, 300.25, 80};
    store.finish_turn(conversation, answer);
}

std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("a turn comes back as it was") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "deep" / "conversations.db";
    int64_t id = 0;
    {
        ConversationStore store(path);
        REQUIRE(store.problem().empty());
        Conversation conversation = question("Where is the reference lost?");
        store.begin_turn(conversation);
        id = conversation.id;
        REQUIRE(id > 0);
        answer_it(store, conversation, "In release().");
    }
    const ConversationStore store(path);
    REQUIRE(store.list().size() == 1);
    CHECK(store.list()[0].title == "Where is the reference lost?");
    CHECK(store.list()[0].tokens == 120);
    const auto conversation = store.load(id);
    REQUIRE(conversation);
    REQUIRE(conversation->messages.size() == 2);
    const Message& user = conversation->messages[0];
    CHECK(user.role == runtime::Role::user);
    REQUIRE(user.attachments.size() == 1);
    CHECK(user.attachments[0].text == "<file-1 path=\"a\">\nx\n</file-1>\n");
    REQUIRE(user.attachments[0].files.size() == 2);
    CHECK_FALSE(user.attachments[0].files[1].included);
    const Message& answer = conversation->messages[1];
    CHECK(answer.state == MessageState::complete);
    CHECK(answer.content == "In release().");
    CHECK(answer.reasoning == "because \"quotes\" and \xE4\xB8\xAD");
    REQUIRE(answer.tool_calls.size() == 1);
    CHECK(answer.tool_calls[0].arguments[1].value == "3");
    CHECK(answer.stats.cached_tokens == 64);
    CHECK(answer.stats.generation_ms == 300.25);
    CHECK_FALSE(store.load(id + 1));
}

TEST_CASE("a killed process loses no finished turn and keeps the saved part of a running one") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    const pid_t child = ::fork();
    if (child == 0) {
        ConversationStore store(path);
        Conversation first = question("one");
        store.begin_turn(first);
        answer_it(store, first, "finished");
        Conversation second = question("two");
        store.begin_turn(second);
        second.messages.back().content = "half an ans";
        store.save_partial(second.messages.back());
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const ConversationStore store(path);
    CHECK(store.problem().empty());
    REQUIRE(store.list().size() == 2);
    CHECK(store.load(store.list()[1].id)->messages.back().content == "finished");
    const Conversation second = *store.load(store.list()[0].id);
    CHECK(second.messages.back().content == "half an ans");
    CHECK(second.messages.back().state == MessageState::stopped);
}

TEST_CASE(
    "another answer hides the one before, and a deletion can be taken back until the next start") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    int64_t kept = 0, lost = 0;
    {
        ConversationStore store(path);
        Conversation a = question("a"), b = question("b");
        store.begin_turn(a);
        answer_it(store, a, "first");
        const int64_t before = a.messages.back().id;
        a.messages.back() = {};
        a.messages.back().role = runtime::Role::assistant;
        store.begin_another_answer(a, before);
        answer_it(store, a, "second");
        store.begin_turn(b);
        kept = a.id;
        lost = b.id;
        CHECK(store.load(kept)->messages.size() == 2);
        CHECK(store.load(kept)->messages.back().content == "second");
        store.remove(lost);
        CHECK(store.list().size() == 1);
        store.restore(lost);
        CHECK(store.list().size() == 2);
        store.remove(lost);
        store.rename(kept, "renamed");
    }
    ConversationStore store(path);
    CHECK(store.list().size() == 1);
    CHECK(store.list()[0].title == "renamed");
    store.restore(lost);
    CHECK(store.list().size() == 1);
}

TEST_CASE("a damaged file is kept aside and said; a newer or unwritable one is left alone") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    const std::string rubbish = "this is not a database, " + std::string(5000, 'x');
    std::ofstream(path) << rubbish;
    {
        ConversationStore store(path);
        CHECK_THAT(store.problem(), ContainsSubstring("damaged"));
        CHECK_FALSE(store.in_memory());
        Conversation conversation = question("after the accident");
        store.begin_turn(conversation);
    }
    int aside = 0;
    for (const auto& entry : fs::directory_iterator(temp.path())) {
        if (entry.path().filename().string().find("damaged") != std::string::npos &&
            bytes_of(entry.path()) == rubbish) {
            aside++;
        }
    }
    CHECK(aside == 1);
    CHECK(ConversationStore(path).list().size() == 1);

    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version=99; PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr,
                 nullptr);
    sqlite3_close(db);
    const std::string newer = bytes_of(path);
    {
        ConversationStore store(path);
        CHECK(store.in_memory());
        CHECK_THAT(store.problem(), ContainsSubstring("newer Keyhole"));
        Conversation conversation = question("in memory");
        store.begin_turn(conversation);
        CHECK(store.list().size() == 1);
    }
    CHECK(bytes_of(path) == newer);

    temp.write("file", "x");
    ConversationStore nowhere(temp.path() / "file" / "c.db");
    CHECK(nowhere.in_memory());
    CHECK_FALSE(nowhere.problem().empty());
    Conversation conversation = question("still works");
    nowhere.begin_turn(conversation);
    CHECK(nowhere.load(conversation.id)->messages.size() == 2);
}

TEST_CASE("what the model is given: documents first, failed empty answers left out") {
    Conversation conversation = question("Explain.");
    conversation.messages.back().state = MessageState::failed;
    auto chat = to_chat(conversation, "Be brief.");
    REQUIRE(chat.size() == 2);
    CHECK(chat[0].role == runtime::Role::system);
    CHECK(chat[1].content == "<file-1 path=\"a\">\nx\n</file-1>\n\nExplain.");
    CHECK(title_from("  many\n\nblanks  ") == "many blanks");
    CHECK(title_from("one two three four", 9) == "one two\u2026");
    CHECK(title_from("\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97", 2) ==
          "\xE4\xB8\xAD\xE6\x96\x87\u2026");
    CHECK(title_from("") == "");
}

TEST_CASE("settings: known keys, unknown keys kept, wrong types and rubbish survived") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "deep" / "settings.json";
    std::string problem;
    CHECK(load_settings(path, problem).thinking);
    CHECK(problem.empty());
    Settings settings;
    settings.thinking = false;
    settings.recent_models = {"/a b/\"c\".gguf", "/d.gguf"};
    settings.temperature = 0.25;
    settings.unknown = R"({"future": {"key": [1, 2]}})";
    REQUIRE(save_settings(path, settings, problem));
    Settings again = load_settings(path, problem);
    CHECK(problem.empty());
    CHECK_FALSE(again.thinking);
    CHECK(again.recent_models == settings.recent_models);
    CHECK(again.temperature == 0.25);
    REQUIRE(save_settings(path, again, problem));
    CHECK_THAT(bytes_of(path), ContainsSubstring("\"future\""));

    temp.write(
        "deep/settings.json",
        R"({"thinking": "yes", "temperature": -3, "zoom": 1e9, "window_width": 800, "recent_models": [1]})");
    again = load_settings(path, problem);
    CHECK(again.thinking);
    CHECK(again.temperature == 1.0);
    CHECK(again.zoom == 1.0);
    CHECK(again.window_width == 800);
    CHECK(again.recent_models.empty());

    temp.write("deep/settings.json", "{ half");
    again = load_settings(path, problem);
    CHECK_THAT(problem, ContainsSubstring("Defaults are in use"));
    CHECK(bytes_of(path.string() + ".damaged") == "{ half");
    temp.write("file", "x");
    CHECK_FALSE(save_settings(temp.path() / "file" / "settings.json", again, problem));
}
