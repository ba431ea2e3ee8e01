// Conversations out of the store and into it: nothing is lost on the way through our own JSON, and
// other programs' files are read.
#include "app/conversation_export.h"
#include "app/conversation_import.h"
#include "app/conversation_store.h"
#include "app/markdown_html.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app;

namespace {

Message said(runtime::Role role, const std::string& content, int64_t parent = -1) {
    Message message;
    message.role = role;
    message.content = content;
    message.parent = parent;
    return message;
}

}  // namespace

TEST_CASE("a conversation with branches, files and figures comes back from JSON as it was") {
    const tests::TempFolder temp;
    ConversationStore store(temp.path() / "c.db");
    Conversation c;
    c.title = "A \"title\" \xE4\xB8\xAD";
    c.pinned = true;
    c.settings = R"({"temperature": 0.5})";
    Message question = said(runtime::Role::user, "question\n```cpp\nx\n```");
    question.attachments = {
        {"src/", "text of files\n", 12, {{"a.cpp", "read as Latin-1", 12, true}}}};
    question.left_out = true;
    Message answer = said(runtime::Role::assistant, "answer <b>&</b>");
    answer.reasoning = "why";
    answer.tool_calls = {{"id1", "search", {{"query", "a b"}}}};
    answer.state = MessageState::cut;
    answer.stats = {100, 64, 20, 5, 12.5, 300.25, 80};
    answer.tokens = {1, 2, 300};
    c.messages = {question, answer};
    store.begin_turn(c);
    Conversation again = c;
    again.messages[1] = said(runtime::Role::assistant, "another answer", c.messages[0].id);
    store.begin_turn(again);
    REQUIRE(store.switch_branch(c.id, again.messages[1].id, -1));

    ExportedTree tree{*store.load_tree(c.id), store.load(c.id)->messages.back().id, "Work"};
    const std::string json = to_json({tree});
    const ImportedFile file = read_conversations(json);
    REQUIRE(file.problem == "");
    REQUIRE(file.trees.size() == 1);
    CHECK(to_json(file.trees) == json);

    ConversationStore other(temp.path() / "other.db");
    const int64_t id = other.add_tree(file.trees[0].tree, file.trees[0].shown);
    const Conversation back = *other.load(id);
    CHECK(back.title == c.title);
    CHECK(back.pinned);
    CHECK(back.settings == c.settings);
    REQUIRE(back.messages.size() == 2);
    CHECK(back.messages[0].left_out);
    CHECK(back.messages[0].attachments[0].text == "text of files\n");
    CHECK(back.messages[0].attachments[0].files[0].reason == "read as Latin-1");
    CHECK(back.messages[1].content == "answer <b>&</b>");
    CHECK(back.messages[1].branches == 2);
    CHECK(back.messages[1].branch == 0);
    CHECK(back.messages[1].state == MessageState::cut);
    CHECK(back.messages[1].tokens == std::vector<runtime::TokenId>{1, 2, 300});
    CHECK(back.messages[1].tool_calls[0].arguments[0].value == "a b");
    CHECK(back.messages[1].stats.generation_ms == 300.25);
    // Once more around: only the ids are others.
    ExportedTree second{*other.load_tree(id), back.messages.back().id, "Work"};
    const int64_t third =
        other.add_tree(read_conversations(to_json({second})).trees[0].tree, second.shown);
    CHECK(to_markdown(*other.load(third)) == to_markdown(c));
}

TEST_CASE("Markdown and HTML show what was said and let nothing of it act") {
    Conversation c;
    c.title = "<script>alert(1)</script>";
    Message question = said(runtime::Role::user, "look:\n\n<script>alert(2)</script> `<b>`");
    question.attachments = {{"a`.txt", "```\ninside\n```", 3, {}}};
    Message answer = said(runtime::Role::assistant,
                          "# Head\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n\n"
                          "[bad](javascript:alert(3)) [good](https://example.org/?a=1&b=2)\n\n"
                          "```html\n<i>code</i>\n```\n\n![pic](file:///etc/passwd)");
    answer.state = MessageState::stopped;
    c.messages = {question, answer};
    const std::string markdown = to_markdown(c);
    CHECK_THAT(markdown, ContainsSubstring("````\n```\ninside\n```\n````"));
    CHECK_THAT(markdown, ContainsSubstring("*(stopped)*"));
    const std::string html = to_html(c);
    CHECK_THAT(html, !ContainsSubstring("<script"));
    CHECK_THAT(html, !ContainsSubstring("javascript:"));
    CHECK_THAT(html, !ContainsSubstring("file:///"));
    CHECK_THAT(html, ContainsSubstring("&lt;script&gt;alert(2)"));
    CHECK_THAT(html, ContainsSubstring("<h1>Head</h1>"));
    CHECK_THAT(html, ContainsSubstring("<td style=\"text-align:right\">2</td>"));
    CHECK_THAT(html, ContainsSubstring("href=\"https://example.org/?a=1&amp;b=2\""));
    CHECK_THAT(html, ContainsSubstring("&lt;i&gt;code&lt;/i&gt;"));
    CHECK(file_stem("../../etc/passwd; rm -rf ~") == "etc-passwd-rm-rf");
    CHECK(file_stem("...") == "conversation");
    CHECK(file_stem("\xE4\xB8\xAD\xE6\x96\x87 one") == "\xE4\xB8\xAD\xE6\x96\x87-one");
}

TEST_CASE("the files of other programs are read, and rubbish is refused in words") {
    const ImportedFile chatgpt =
        read_conversations(R"([{"title": "Old", "create_time": 1700000000.5,
        "update_time": 1700000100, "current_node": "c", "mapping": {
        "r": {"id": "r", "message": null, "parent": null, "children": ["s"]},
        "s": {"message": {"author": {"role": "system"}, "content": {"parts": [""]}}, "parent": "r", "children": ["a"]},
        "a": {"message": {"author": {"role": "user"}, "create_time": 1700000001, "content": {"content_type": "text", "parts": ["Hi", {"asset": 1}]}}, "parent": "s", "children": ["b", "c"]},
        "b": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["one"]}}, "parent": "a", "children": []},
        "c": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["two"]}}, "parent": "a", "children": []}}},
        {"title": "empty", "mapping": {}}])");
    REQUIRE(chatgpt.problem == "");
    REQUIRE(chatgpt.trees.size() == 1);
    CHECK(chatgpt.skipped == 1);
    const Conversation& old = chatgpt.trees[0].tree;
    CHECK(old.title == "Old");
    CHECK(old.created_at == 1700000000);
    REQUIRE(old.messages.size() == 3);
    CHECK(old.messages[0].content == "Hi");
    CHECK(old.messages[1].parent == old.messages[0].id);
    CHECK(old.messages[2].parent == old.messages[0].id);
    CHECK(chatgpt.trees[0].shown == old.messages[2].id);

    const ImportedFile lm_studio =
        read_conversations(R"({"name": "Chat", "createdAt": 1700000000123,
        "messages": [
        {"versions": [{"type": "singleStep", "role": "user", "content": [{"type": "text", "text": "Q"}]}], "currentlySelected": 0},
        {"versions": [{"type": "multiStep", "role": "assistant", "steps": [
            {"type": "contentBlock", "style": {"type": "thinking"}, "content": [{"type": "text", "text": "hm"}]},
            {"type": "contentBlock", "content": [{"type": "text", "text": "A1"}]}]},
          {"role": "assistant", "content": "A2"}], "currentlySelected": 1}]})");
    REQUIRE(lm_studio.trees.size() == 1);
    const ExportedTree& studio = lm_studio.trees[0];
    CHECK(studio.tree.created_at == 1700000000);
    REQUIRE(studio.tree.messages.size() == 3);
    CHECK(studio.tree.messages[1].reasoning == "hm");
    CHECK(studio.tree.messages[1].content == "A1");
    CHECK(studio.shown == studio.tree.messages[2].id);

    const ImportedFile llama = read_conversations(
        R"({"conv": {"id": "x", "name": "Page", "currNode": "3", "lastModified": 1700000000000},
        "messages": [{"id": "1", "parent": "0", "role": "user", "content": "Q", "timestamp": 1700000000000},
        {"id": "2", "parent": "1", "role": "assistant", "content": "A", "thinking": "t"},
        {"id": "3", "parent": "1", "role": "assistant", "content": "B"}]})");
    REQUIRE(llama.trees.size() == 1);
    CHECK(llama.trees[0].tree.title == "Page");
    CHECK(llama.trees[0].tree.messages[2].parent == llama.trees[0].tree.messages[0].id);
    CHECK(llama.trees[0].shown == 3);

    const ImportedFile plain = read_conversations(
        R"([{"role": "user", "content": "only a list"}, {"role": "assistant", "content": "yes"}])");
    REQUIRE(plain.trees.size() == 1);
    CHECK(plain.trees[0].tree.title == "only a list");

    for (const char* rubbish :
         {"", "{", "[]", "42", "null", "[1,2]", "{\"messages\": 3}", "[[[]]]",
          "{\"mapping\": {\"a\": {\"parent\": \"a\", \"children\": [\"a\"]}}}",
          "{\"format\": \"keyhole-conversations\"}",
          "{\"format\": \"keyhole-conversations\", \"version\": 2, \"conversations\": []}",
          "{\"format\": \"keyhole-conversations\", \"version\": 1, \"conversations\": []}"}) {
        CAPTURE(rubbish);
        const ImportedFile file = read_conversations(rubbish);
        CHECK(file.trees.empty());
        CHECK_FALSE(file.problem.empty());
    }
}
