// What nobody means to give the window, and somebody does: broken databases, imports that lie,
// texts that are none, windows that are too small, lists that are too long. Nothing of it may
// crash, hang or lose what is whole.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include <sqlite3.h>

#include "app/conversation_export.h"
#include "app/conversation_import.h"
#include "app/conversation_search.h"
#include "app/conversation_store.h"
#include "tests/app/window_stage.h"
#include "tests/support/temp_folder.h"
#include "tests/support/thread_time.h"

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Conversation some(int number) {
    Conversation tree;
    tree.title = "Number " + std::to_string(number);
    for (int m = 0; m < 6; m++) {
        Message message;
        message.id = m + 1;
        message.parent = m;
        message.role = m % 2 ? runtime::Role::assistant : runtime::Role::user;
        message.content = "words of message " + std::to_string(m) + std::string(400, 'w');
        message.attachments.resize(m == 0 ? 1 : 0);
        tree.messages.push_back(message);
    }
    return tree;
}

// Everything that the window does with a file of conversations. What fails, fails as StoreError.
void use(const fs::path& path) {
    ConversationStore store(path);
    const auto calm = [](const auto& call) {
        try {
            call();
        } catch (const StoreError&) {
        }
    };
    std::vector<ConversationSummary> list;
    calm([&] { list = store.list(); });
    calm([&] { store.folders(); });
    calm([&] { store.trash(); });
    for (size_t i = 0; i < std::min<size_t>(list.size(), 5); i++) {
        calm([&] { store.load(list[i].id); });
        calm([&] { store.load_tree(list[i].id); });
        calm([&] { store.draft(list[i].id); });
        calm([&] { store.switch_branch(list[i].id, 1, 1); });
    }
    calm([&] { store.search("words"); });
    calm([&] {
        for (int i = 0; i < 20 && store.index_some(); i++) {
        }
    });
    calm([&] {
        Conversation fresh;
        fresh.title = "after";
        fresh.messages.resize(2);
        fresh.messages[0].content = "question";
        fresh.messages[1].role = runtime::Role::assistant;
        store.begin_turn(fresh);
        fresh.messages[1].content = "answer";
        store.finish_turn(fresh, fresh.messages[1]);
    });
}

void execute(const fs::path& path, const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(db);
}

// Texts that break what was not thought of.
const std::vector<std::string>& odd_texts() {
    static const std::vector<std::string> texts = {
        "",
        "\xFF\xFE\x80 no UTF-8 \xC3",
        std::string("a\0b", 3),
        "\u202Eright to left \u202C and \u2066back\u2069",
        "\u05E9\u05DC\u05D5\u05DD \u0645\u0631\u062D\u0628\u0627",
        "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466 "
        "\U0001F3F3\uFE0F\u200D\U0001F308",
        "\u200D\u200D\uFE0F\u20E3",
        std::string(30'000, 'w'),
        "a\u0301\u0301\u0301\u0301\u0301",
        "\x1b[31m\x07\x08\x7f",
        "<script>alert(1)</script> %s%n {} ${x}",
        "\U0010FFFF\U000F0000 \xED\xA0\x80",
        "\n\n\n\t\r\n",
        "```\nopen code\n| a |\n|--",
        "| a | b |\n|---|\n| c |\n$$\\frac{",
    };
    return texts;
}

}  // namespace

TEST_CASE("a broken file of conversations is opened or put aside, wherever it is broken") {
    const tests::TempFolder temp;
    const fs::path whole = temp.path() / "whole.db", path = temp.path() / "c.db";
    {
        ConversationStore store(whole);
        for (int i = 0; i < 20; i++) {
            store.add_tree(some(i));
        }
    }
    execute(whole, "PRAGMA wal_checkpoint(TRUNCATE)");
    const std::string good = bytes_of(whole);
    REQUIRE(good.size() > 50'000);
    std::mt19937 random(11);
    const auto clean = [&] {
        for (const auto& entry : fs::directory_iterator(temp.path())) {
            if (entry.path() != whole) {
                fs::remove(entry.path());
            }
        }
    };
    for (int round = 0; round < 60; round++) {
        CAPTURE(round);
        clean();
        std::string bytes = good;
        if (round % 4 == 0) {
            bytes.resize(random() % bytes.size());
        } else if (round % 4 == 1) {
            const size_t at = random() % bytes.size();
            for (size_t i = at; i < std::min(bytes.size(), at + 4096); i++) {
                bytes[i] = static_cast<char>(random());
            }
        } else {
            for (int i = 0; i < 40; i++) {
                bytes[random() % (round % 4 == 2 ? 4096 : bytes.size())] =
                    static_cast<char>(random());
            }
        }
        std::ofstream(path, std::ios::binary) << bytes;
        if (round % 5 == 0) {
            std::ofstream(path.string() + "-wal", std::ios::binary) << bytes.substr(0, 9000);
        }
        use(path);
        // What comes after is kept.
        ConversationStore after(path);
        if (!after.in_memory()) {
            CHECK_NOTHROW(after.list());
        }
    }
    // Whole to SQLite, and nonsense to us: rows that point to themselves and to each other, other
    // types, tables and columns that are gone.
    for (const char* sql :
         {"UPDATE messages SET parent_id = id",
          "UPDATE messages SET parent_id = id + 1",
          "UPDATE messages SET active_child = id",
          "UPDATE messages SET active_child = parent_id",
          "UPDATE messages SET parent_id = 'x', role = 7",
          "UPDATE messages SET active_child = -1",
          "UPDATE messages SET content = x'FF00FE', state = 'nothing'",
          "UPDATE messages SET tool_calls = '[[', stats = 'null', tokens = x'0102'",
          "UPDATE conversations SET title = x'FF', updated_at = 'tomorrow'",
          "UPDATE conversations SET updated_at = 9223372036854775807, created_at = -1",
          "UPDATE conversations SET settings = '{{{', folder_id = 99999, active_root = 7777",
          "UPDATE conversations SET deleted_at = -5, scroll = 'x y z'",
          "UPDATE attachments SET files = '[[[', tokens = 'x'",
          "DROP TABLE messages",
          "DROP TABLE attachments",
          "DROP TABLE conversations",
          "DROP TABLE drafts",
          "DROP TABLE folders",
          "DELETE FROM messages WHERE parent_id = 0",
          "ALTER TABLE messages RENAME COLUMN content TO other",
          "PRAGMA user_version = 1",
          "PRAGMA user_version = 0",
          "PRAGMA user_version = -7"}) {
        CAPTURE(sql);
        clean();
        fs::copy_file(whole, path);
        execute(path, sql);
        use(path);
    }
}

TEST_CASE("an import that lies is refused or read, and does not hang") {
    const std::string good =
        to_json({ExportedTree{some(1), 0, "folder"}, ExportedTree{some(2), 0, ""}});
    REQUIRE(read_conversations(good).trees.size() == 2);
    std::mt19937 random(5);
    for (int round = 0; round < 400; round++) {
        std::string bytes = good;
        if (round % 2 == 0) {
            bytes.resize(random() % bytes.size());
        } else {
            for (int i = 0; i < 1 + round % 7; i++) {
                bytes[random() % bytes.size()] = "\"{}[]:,0n\xFF"[random() % 10];
            }
        }
        read_conversations(bytes);
    }
    std::string deep;
    for (int i = 0; i < 200'000; i++) {
        deep += "[";
    }
    CHECK_FALSE(read_conversations(deep).problem.empty());
    CHECK_FALSE(read_conversations("{\"messages\": " + deep).problem.empty());
    for (
        const char* odd :
        {R"([{"role": "user", "content": "a", "parent": 1, "id": 1}])",
         R"({"messages": [{"role": "\u0000", "content": ["\ud800", {"text": 7}]}]})",
         R"({"messages": [{"role": "user", "content": 1e999}]})",
         R"({"mapping": {"a": {"parent": "b", "message": {"author": {"role": "user"}, "content": {"parts": ["x"]}}}, "b": {"parent": "a", "message": {"author": {"role": "user"}, "content": {"parts": ["y"]}}}}})",
         R"({"conv": {"id": 1}, "messages": [{"id": 1, "parent": 2, "role": "user", "content": "a"}, {"id": 2, "parent": 1, "role": "assistant", "content": "b"}]})"}) {
        CAPTURE(odd);
        const ImportedFile file = read_conversations(odd);
        for (const ExportedTree& tree : file.trees) {
            const tests::TempFolder temp;
            ConversationStore store(temp.path() / "c.db");
            const int64_t id = store.add_tree(tree.tree, tree.shown);
            CHECK(store.load(id).has_value());
        }
    }
    // As many messages as a long life has, and one that is ten megabytes.
    std::string long_one =
        R"([{"role": "user", "content": ")" + std::string(10'000'000, 'x') + "\"}";
    for (int i = 0; i < 20'000; i++) {
        long_one += R"(,{"role": "assistant", "content": "a"})";
    }
    CHECK(read_conversations(long_one + "]").trees.size() == 1);
}

TEST_CASE("odd texts everywhere, in windows of every size and scale") {
    for (const float scale : {1.0F, 3.0F}) {
        WindowStage stage(scale);
        AppState& state = stage.state;
        for (const ImVec2 size :
             {ImVec2(1, 1), ImVec2(120, 90), ImVec2(400, 300), ImVec2(1440, 900)}) {
            ImGui::GetIO().DisplaySize = size;
            for (const std::string& text : odd_texts()) {
                state.model = {};
                state.model.state = ModelView::State::ready;
                state.model.name = state.model.type = state.model.path = text;
                state.server.address = text;
                state.device = text;
                state.conversation.id = 1;
                state.conversation_generation++;
                state.conversation.title = text;
                state.conversation.messages.clear();
                Message question;
                question.content = text;
                question.attachments = {{text, text, INT64_MAX / 4, {{text, text, 3, true}}}};
                Message answer;
                answer.role = runtime::Role::assistant;
                answer.content = answer.reasoning = answer.error = text;
                answer.state = MessageState::failed;
                answer.tool_calls = {{text, text, {{text, text}}}};
                Message tool = answer;
                tool.role = runtime::Role::tool;
                state.conversation.messages = {question, answer, tool, answer};
                state.conversations = {{1, text, INT64_MAX / 2, 5, 0, false, 0},
                                       {2, text, INT64_MIN / 2, 5, 3, true, 0}};
                state.chat.sidebar.folders = {{3, text}};
                state.banners = {{1, Banner::Kind::error, text, 0}};
                state.staged = question.attachments;
                state.draft.set(text);
                state.layouts.clear();
                state.drag = {true, false, text, INT64_MAX / 4, 1, 1, 0, 0, text};
                for (const Page page :
                     {Page::chat, Page::models, Page::remote, Page::server, Page::settings}) {
                    state.page = page;
                    stage.frames(2);
                }
                state.page = Page::chat;
                state.gauge.open = !state.gauge.open;
                for (MessageLayout& layout : state.layouts) {
                    layout.thinking_open = layout.calls_open = true;
                }
                stage.frames(2);
            }
        }
        state.drag = {};
    }
}

TEST_CASE("twenty thousand conversations in the list cost a frame no more than a few") {
    WindowStage stage;
    AppState& state = stage.state;
    state.model.state = ModelView::State::ready;
    for (int64_t i = 0; i < 20'000; i++) {
        state.conversations.push_back({i + 1, "Conversation number " + std::to_string(i),
                                       state.now - i * 3600, i, i % 100 == 0 ? 7 : 0, i % 500 == 0,
                                       0});
    }
    state.chat.sidebar.folders = {{7, "Folder"}};
    stage.frames(3);
    double worst = 1e9;
    for (int round = 0; round < 3; round++) {
        double slowest = 0;
        for (int i = 0; i < 20; i++) {
            const double before = thread_ms();
            stage.frame();
            slowest = std::max(slowest, thread_ms() - before);
        }
        worst = std::min(worst, slowest);
    }
    std::printf("a frame with 20,000 conversations in the list: at most %.2f ms\n", worst);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(worst <= 12);  // the goal is 4: a machine may be a third as fast
#endif
}

TEST_CASE("ten megabytes are pasted: they become an attachment, and no frame waits for them") {
    WindowStage stage;
    AppState& state = stage.state;
    state.model.state = ModelView::State::ready;
    stage.frames(2);
    static std::string clipboard;
    clipboard = std::string(10'000'000, 'x');
    set_clipboard_functions(
        nullptr, [](void*, const char*) {}, [](void*) { return clipboard.c_str(); });
    stage.hold_ctrl(true);
    stage.press(ImGuiKey_V);
    stage.hold_ctrl(false);
    CHECK(state.draft.empty());
    CHECK(stage.chat_actions.has("attach_text 10000000"));
    // What one can still edit is written into the box.
    clipboard = std::string(3000, 'y');
    stage.hold_ctrl(true);
    stage.press(ImGuiKey_V);
    stage.hold_ctrl(false);
    CHECK(state.draft.text() == clipboard);
}
