#include <fstream>
#include <iterator>

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/conversation_store.h"
#include "app/settings.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

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

TEST_CASE("a second answer and an edited question are branches that can be switched") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    int64_t id = 0;
    {
        ConversationStore store(path);
        Conversation a = question("first question");
        store.begin_turn(a);
        id = a.id;
        answer_it(store, a, "first answer");

        // Another answer to the same question.
        Conversation again = *store.load(id);
        const int64_t parent = again.messages[1].parent;
        CHECK(parent == again.messages[0].id);
        again.messages[1] = {};
        again.messages[1].role = runtime::Role::assistant;
        again.messages[1].parent = parent;
        store.begin_turn(again);
        answer_it(store, again, "second answer");
        CHECK(again.messages[1].branch == 1);
        CHECK(again.messages[1].branches == 2);

        // The conversation goes on, and then the first question is written anew.
        Message more;
        more.content = "and then?";
        again.messages.push_back(more);
        store.begin_turn(again);
        Message edited;
        edited.content = "a better question";
        edited.parent = again.messages[0].parent;
        Conversation other = again;
        other.messages = {edited};
        store.begin_turn(other);
    }
    ConversationStore store(path);
    Conversation shown = *store.load(id);
    REQUIRE(shown.messages.size() == 1);
    CHECK(shown.messages[0].content == "a better question");
    CHECK(shown.messages[0].branch == 1);
    CHECK(shown.messages[0].branches == 2);
    CHECK_FALSE(store.switch_branch(id, shown.messages[0].id, 1));
    REQUIRE(store.switch_branch(id, shown.messages[0].id, -1));

    // The branch under it is the one that was shown last.
    shown = *store.load(id);
    REQUIRE(shown.messages.size() == 3);
    CHECK(shown.messages[1].content == "second answer");
    CHECK(shown.messages[2].content == "and then?");
    const int64_t second = shown.messages[1].id;
    REQUIRE(store.switch_branch(id, second, -1));
    shown = *store.load(id);
    REQUIRE(shown.messages.size() == 2);
    CHECK(shown.messages[1].content == "first answer");
    CHECK(shown.messages[1].branches == 2);
    store.show_message(second);
    CHECK(store.load(id)->messages.size() == 3);
}

TEST_CASE("a deleted turn and a deleted version come back as they were") {
    const tests::TempFolder temp;
    ConversationStore store(temp.path() / "c.db");
    Conversation c = question("one");
    store.begin_turn(c);
    answer_it(store, c, "1");
    for (const char* words : {"two", "three"}) {
        Conversation next = question(words);
        c.messages.insert(c.messages.end(), next.messages.begin(), next.messages.end());
        store.begin_turn(c);
        answer_it(store, c, std::string("answer to ") + words);
    }
    const auto contents = [&] {
        std::string all;
        const Conversation loaded = *store.load(c.id);
        for (const Message& message : loaded.messages) {
            all += message.content + "|";
        }
        return all;
    };
    const std::string whole = "one|1|two|answer to two|three|answer to three|";
    REQUIRE(contents() == whole);

    // From the middle: what follows stays; a new question goes on after it.
    const DeletedMessages middle = store.remove_turn(*store.load(c.id), 2);
    CHECK(contents() == "one|1|three|answer to three|");
    CHECK(store.load_tree(c.id)->messages.size() == 4);
    CHECK(store.load_tree(c.id)->messages[2].parent == store.load_tree(c.id)->messages[1].id);
    store.restore(middle);
    CHECK(contents() == whole);

    // From the end, with a new question written before it is taken back.
    const DeletedMessages last = store.remove_turn(*store.load(c.id), 4);
    CHECK(contents() == "one|1|two|answer to two|");
    Conversation now = *store.load(c.id);
    Message instead;
    instead.content = "instead";
    now.messages.push_back(instead);
    store.begin_turn(now);
    CHECK(contents() == "one|1|two|answer to two|instead|");
    store.restore(last);
    CHECK(contents() == whole);
    CHECK(store.load(c.id)->messages[4].branches == 2);

    // A version goes with all that follows it; its sibling is shown.
    const DeletedMessages version = store.remove_turn(*store.load(c.id), 4);
    CHECK(contents() == "one|1|two|answer to two|instead|");
    store.restore(version);
    CHECK(contents() == whole);
}

TEST_CASE("the trash keeps conversations for thirty days, and what was deleted within them") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    int64_t kept = 0, lost = 0;
    {
        ConversationStore store(path);
        Conversation a = question("kept words"), b = question("lost words");
        store.begin_turn(a);
        store.begin_turn(b);
        Conversation more = question("more words");
        a.messages.insert(a.messages.end(), more.messages.begin(), more.messages.end());
        store.begin_turn(a);
        answer_it(store, a, "after");
        kept = a.id;
        lost = b.id;
        store.remove_turn(*store.load(kept), 0);
        store.remove({lost});
        CHECK(store.list().size() == 1);
        REQUIRE(store.trash().size() == 1);
        CHECK(store.trash()[0].deleted_at > 0);
        CHECK_FALSE(store.load(lost));
        CHECK(store.search("lost words").empty());
        store.restore(std::vector<int64_t>{lost});
        CHECK(store.list().size() == 2);
        CHECK(store.search("lost words").size() == 1);
        store.remove({lost});
        store.rename(kept, "renamed");
    }
    {
        ConversationStore store(path);
        CHECK(store.trash().size() == 1);
        CHECK(store.load(kept)->messages.size() == 2);
    }
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db,
                         "UPDATE conversations SET deleted_at = deleted_at - 31 * 86400 WHERE "
                         "deleted_at <> 0;"
                         "UPDATE messages SET deleted_at = deleted_at - 31 * 86400 WHERE "
                         "deleted_at <> 0",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    ConversationStore store(path);
    CHECK(store.trash().empty());
    REQUIRE(store.list().size() == 1);
    CHECK(store.list()[0].title == "renamed");
    const Conversation left = *store.load(kept);
    REQUIRE(left.messages.size() == 2);
    CHECK(left.messages[0].content == "more words");
    CHECK(left.messages[0].parent == 0);
    CHECK(store.search("kept words").empty());
    CHECK(store.search("more words").size() == 1);
    store.erase({kept});
    CHECK(store.list().empty());
    CHECK(store.search("more").empty());
}

TEST_CASE("a file of version 1 is copied and then brought to the present one") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    // The tables as the first release made them, with a second answer and a deleted conversation.
    REQUIRE(
        sqlite3_exec(
            db,
            "CREATE TABLE conversations (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,"
            " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
            " tokens INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0);"
            "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,"
            " role TEXT NOT NULL, state TEXT NOT NULL, content TEXT NOT NULL,"
            " reasoning TEXT NOT NULL, tool_calls TEXT NOT NULL, error TEXT NOT NULL,"
            " stats TEXT NOT NULL, created_at INTEGER NOT NULL,"
            " replaced INTEGER NOT NULL DEFAULT 0);"
            "CREATE INDEX messages_by_conversation ON messages(conversation_id, id);"
            "CREATE TABLE attachments (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,"
            " name TEXT NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL,"
            " files TEXT NOT NULL);"
            "CREATE INDEX attachments_by_message ON attachments(message_id, id);"
            "INSERT INTO conversations VALUES (1, 'old', 10, 20, 30, 0), (2, 'gone', 1, 2, 3, 1);"
            "INSERT INTO messages VALUES"
            " (1, 1, 'user', 'complete', 'q1', '', '[]', '', '{}', 5, 0),"
            " (2, 1, 'assistant', 'complete', 'a1', 'why', '[]', '', '{}', 6, 1),"
            " (3, 1, 'assistant', 'complete', 'a1 again', '', '[]', '', '{}', 7, 0),"
            " (4, 1, 'user', 'complete', 'q2', '', '[]', '', '{}', 8, 0),"
            " (5, 1, 'assistant', 'streaming', 'half', '', '[]', '', '{}', 9, 0),"
            " (6, 2, 'user', 'complete', 'bye', '', '[]', '', '{}', 1, 0);"
            "INSERT INTO attachments VALUES (1, 1, 'src/', 'text', 7, '[]');"
            "PRAGMA user_version=1",
            nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    {
        ConversationStore store(path);
        REQUIRE(store.problem() == "");
        REQUIRE(store.list().size() == 1);
        REQUIRE(store.trash().size() == 1);
        CHECK(store.trash()[0].title == "gone");
        Conversation old = *store.load(1);
        REQUIRE(old.messages.size() == 4);
        CHECK(old.messages[0].attachments[0].text == "text");
        CHECK(old.messages[1].content == "a1 again");
        CHECK(old.messages[1].branches == 2);
        CHECK(old.messages[1].branch == 1);
        CHECK(old.messages[3].state == MessageState::stopped);
        REQUIRE(store.switch_branch(1, old.messages[1].id, -1));
        old = *store.load(1);
        REQUIRE(old.messages.size() == 2);
        CHECK(old.messages[1].reasoning == "why");
        while (store.index_some()) {
        }
        CHECK(store.search("a1 again").size() == 1);
    }
    // The copy is the file as it was.
    const fs::path copy = path.string() + ".version-1";
    REQUIRE(fs::exists(copy));
    REQUIRE(sqlite3_open(copy.c_str(), &db) == SQLITE_OK);
    int rows = 0;
    sqlite3_exec(
        db, "SELECT 1 FROM messages WHERE replaced IN (0, 1)",
        [](void* count, int, char**, char**) { return ++*static_cast<int*>(count), 0; }, &rows,
        nullptr);
    sqlite3_close(db);
    CHECK(rows == 6);
    CHECK(ConversationStore(path).list().size() == 1);
    CHECK_FALSE(fs::exists(path.string() + ".version-2"));
    CHECK_FALSE(fs::exists(path.string() + ".version-1-2"));
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
