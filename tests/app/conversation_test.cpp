#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sstream>

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/conversation_store.h"
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

TEST_CASE("what is attached is not copied with what it is attached to") {
    const SharedText text(std::string(1'000'000, 'x'));
    const SharedText copy = text;
    CHECK(&copy.str() == &text.str());
    CHECK(SharedText().empty());
    CHECK(SharedText("").str().empty());
    CHECK(SharedText("abc") == SharedText(std::string("abc")));
    CHECK_FALSE(SharedText("abc") == text);
    Conversation asked = question("q");
    const Conversation other = asked;
    const Attachment &a = asked.messages[0].attachments[0], &b = other.messages[0].attachments[0];
    CHECK(&a.text.str() == &b.text.str());
    CHECK(&a.files.all() == &b.files.all());
    CHECK(a.files.included() == 1);
    // Taken away from one, it is still the other's.
    asked = {};
    CHECK(b.text.str() == "<file-1 path=\"a\">\nx\n</file-1>\n");
    CHECK(b.files[1].path == "b.bin");
    CHECK(AttachedFiles().empty());
    CHECK(AttachedFiles(std::vector<AttachedFile>()).begin() == AttachedFiles().end());
}

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

TEST_CASE("killed at random moments, every finished turn is there and the file opens", "[kill]") {
    const char* wanted = std::getenv("KEYHOLE_KILLS");
    const int kills = wanted ? std::atoi(wanted) : 20;
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    std::mt19937 random(static_cast<unsigned>(kills));
    std::map<int64_t, std::string> finished;  // answers that the child was told are stored
    int killed = 0, turns = 0;
    for (int round = 0; round < kills; round++) {
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            // Turns without end: asked, written in steps, finished; then told to the parent.
            ConversationStore store(path);
            std::mt19937 dice(static_cast<unsigned>(round));
            Conversation conversation;
            for (int turn = 0;; turn++) {
                if (conversation.messages.size() > 20 || turn == 0) {
                    conversation = question("round " + std::to_string(round));
                } else if (dice() % 4 == 0) {
                    conversation.messages.back() = {};
                    conversation.messages.back().role = runtime::Role::assistant;
                    conversation.messages.back().state = MessageState::streaming;
                    conversation.messages.back().parent =
                        conversation.messages[conversation.messages.size() - 2].id;
                } else {
                    const Conversation next = question("turn " + std::to_string(turn));
                    conversation.messages.insert(conversation.messages.end(), next.messages.begin(),
                                                 next.messages.end());
                }
                store.save_draft(conversation.id, {"draft of turn " + std::to_string(turn), 0, {}});
                store.begin_turn(conversation);
                Message& answer = conversation.messages.back();
                for (unsigned step = 0; step < dice() % 5; step++) {
                    answer.content += std::string(dice() % 4000, static_cast<char>('a' + step));
                    answer.tokens.push_back(static_cast<int>(dice() % 1000));
                    store.save_partial(answer);
                }
                answer.content += " end of turn " + std::to_string(turn);
                answer.state = MessageState::complete;
                store.finish_turn(conversation, answer);
                const std::string line = std::to_string(answer.id) + " " +
                                         std::to_string(std::hash<std::string>()(answer.content)) +
                                         "\n";
                if (::write(pipe_ends[1], line.data(), line.size()) < 0) {
                    ::_exit(1);
                }
            }
        }
        ::close(pipe_ends[1]);
        ::usleep(static_cast<useconds_t>(random() % 250'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        std::string told;
        char buffer[4096];
        for (ssize_t got = 0; (got = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
            told.append(buffer, static_cast<size_t>(got));
        }
        ::close(pipe_ends[0]);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        killed++;
        std::istringstream lines(told.substr(0, told.rfind('\n') + 1));
        int64_t id = 0;
        std::string hash;
        while (lines >> id >> hash) {
            finished[id] = hash;
            turns++;
        }

        ConversationStore store(path);
        REQUIRE(store.problem() == "");
        std::map<int64_t, std::string> found;
        for (const ConversationSummary& item : store.list()) {
            REQUIRE(store.load(item.id));
            const Conversation tree = *store.load_tree(item.id);
            for (const Message& message : tree.messages) {
                if (message.role == runtime::Role::assistant) {
                    found[message.id] = std::to_string(std::hash<std::string>()(message.content));
                }
            }
        }
        for (const auto& [answer, text] : finished) {
            CAPTURE(round, answer);
            REQUIRE(found.count(answer) == 1);
            REQUIRE(found[answer] == text);
        }
    }
    CHECK(killed == kills);
    CHECK(turns > kills / 2);
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    // The search index agrees with the texts.
    CHECK(sqlite3_exec(db, "INSERT INTO search(search) VALUES ('integrity-check')", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    std::printf("%d kills, %d finished turns, all there\n", killed, turns);
}

TEST_CASE(
    "two programs write the same file: one waits for the other, and says so if it takes long") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    ConversationStore ours(path), theirs(path);
    Conversation a = question("ours"), b = question("theirs");
    ours.begin_turn(a);
    theirs.begin_turn(b);
    CHECK(ours.list().size() == 2);
    // The same conversation in both: two branches, nothing overwritten.
    Conversation same = *theirs.load(a.id);
    Message more;
    more.content = "from the other program";
    same.messages.push_back(more);
    theirs.begin_turn(same);
    answer_it(ours, a, "done");
    CHECK(ours.load_tree(a.id)->messages.size() == 3);

    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    bool busy = false;
    try {
        ours.save_partial(a.messages.back());
    } catch (const StoreError& error) {
        busy = error.busy;
    }
    CHECK(busy);
    CHECK(ours.list().size() == 2);  // reading is never kept out
    sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
    sqlite3_close(db);
    ours.save_partial(a.messages.back());
}

TEST_CASE("drafts, places and folders are kept by conversation") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    int64_t id = 0, folder = 0;
    {
        ConversationStore store(path);
        Conversation c = question("q");
        store.begin_turn(c);
        id = c.id;
        Draft draft{"half a sent", 4, c.messages[0].attachments};
        store.save_draft(id, draft);
        store.save_draft(0, {"a new one", 9, {}});
        store.save_scroll(id, "1234.5");
        folder = store.add_folder("Work");
        store.add_folder("art");
        store.move_to_folder({id}, folder);
        store.set_pinned(id, true);
        store.set_settings(id, "{\"top_p\": 0.5}");
        store.set_value("open", "7");
        store.set_value("open", "8");
    }
    ConversationStore store(path);
    const Draft draft = store.draft(id);
    CHECK(draft.text == "half a sent");
    CHECK(draft.cursor == 4);
    REQUIRE(draft.staged.size() == 1);
    CHECK(draft.staged[0].text == "<file-1 path=\"a\">\nx\n</file-1>\n");
    CHECK(draft.staged[0].files[1].reason == "binary");
    CHECK(store.draft(0).text == "a new one");
    store.save_draft(0, {});
    CHECK(store.draft(0).empty());
    // Without waiting: later questions know it all the same, the newest counts, and the file has it
    // when the store is gone.
    const std::string folder_text(6'000'000, 'x');
    for (int i = 0; i <= 20; i++) {
        store.save_draft_later(id,
                               {"typed " + std::to_string(i), 0, {{"src", folder_text, 7, {}}}});
        store.save_draft_later(0, {"new " + std::to_string(i), 0, {}});
    }
    CHECK(store.draft(id).text == "typed 20");
    CHECK(store.draft(id).staged.at(0).text == folder_text);
    store.save_draft_later(0, {"gone", 0, {}});
    store.save_draft(0, {});
    CHECK(store.draft(0).empty());
    {
        ConversationStore second(path);
        second.save_draft_later(0, {"at the end", 0, {}});
    }
    CHECK(store.draft(0).text == "at the end");
    CHECK(store.scroll(id) == "1234.5");
    CHECK(store.value("open") == "8");
    REQUIRE(store.folders().size() == 2);
    CHECK(store.folders()[0].name == "art");
    CHECK(store.list()[0].folder == folder);
    CHECK(store.list()[0].pinned);
    CHECK(store.load(id)->settings == "{\"top_p\": 0.5}");
    store.remove_folder(folder);
    CHECK(store.list()[0].folder == 0);
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
