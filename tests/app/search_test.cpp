// Finding words over all conversations.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "app/conversation_search.h"
#include "app/conversation_store.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app;
namespace fs = std::filesystem;

TEST_CASE("words are found over a thousand conversations as they are typed") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "c.db";
    ConversationStore store(path);
    const std::string filler =
        "The page table holds one entry for sixty-four tokens; a row is shared between sequences "
        "with a common prefix. Reading it costs bandwidth, not arithmetic. ";
    for (int i = 0; i < 1000; i++) {
        Conversation tree;
        tree.title = "Conversation number " + std::to_string(i);
        tree.created_at = tree.updated_at = 1'700'000'000 + i * 3600;
        for (int m = 0; m < 6; m++) {
            Message message;
            message.id = m + 1;
            message.parent = m;
            message.role = m % 2 ? runtime::Role::assistant : runtime::Role::user;
            for (int k = 0; k < 8; k++) {
                message.content += filler + std::to_string(i * 7919 % 1000 + k) + ". ";
            }
            tree.messages.push_back(message);
        }
        if (i == 123) {
            tree.messages[3].content += " The Pangolin\xE2\x80\x99s scales. ";
        }
        if (i == 321) {
            tree.messages[5].content =
                "\xE4\xB8\xAD\xE6\x96\x87\xE6\x8F\x90\xE7\xA4\xBA\xE8\xAF\x8D"
                "\xE7\x9A\x84\xE5\x88\x86\xE8\xAF\x8D";
        }
        if (i == 500) {
            tree.title = "About the pangolin";
        }
        store.add_tree(tree);
    }
    const ConversationSearch search(path);
    const auto titles = [&](const std::string& words) {
        std::vector<std::string> found;
        const auto hits = search.find(words);
        for (const SearchHit& hit : hits) {
            found.push_back(hit.title);
        }
        return found;
    };
    using Titles = std::vector<std::string>;
    // A title before a text; case does not matter; the word may be half typed.
    for (const char* words : {"pangolin", "PANGOL", "angoli", "pang", "pan"}) {
        CAPTURE(words);
        const auto found = titles(words);
        REQUIRE(found.size() == 2);
        CHECK(found == Titles{"About the pangolin", "Conversation number 123"});
    }
    CHECK(titles("pangolin scales") == Titles{"Conversation number 123"});
    CHECK(titles("scales pangolins").empty());
    // Chinese words have one or two characters; also at the very end of a message.
    for (const char* words : {"\xE4\xB8\xAD\xE6\x96\x87", "\xE5\x88\x86\xE8\xAF\x8D",
                              "\xE8\xAF\x8D", "\xE6\x8F\x90\xE7\xA4\xBA\xE8\xAF\x8D"}) {
        CAPTURE(words);
        CHECK(titles(words) == Titles{"Conversation number 321"});
    }
    const auto hits = search.find("scales");
    REQUIRE(hits.size() == 1);
    CHECK_THAT(hits[0].snippet, ContainsSubstring("\x01scales\x02"));
    CHECK(store.load(hits[0].conversation)->messages[3].id == hits[0].message);
    // Nothing that is typed is a command.
    for (const char* words : {"\"", "a\"b", "NEAR(", "*", "page OR", "-", "%", "_", "content:x",
                              "'; DROP TABLE messages", "(", "\\"}) {
        CAPTURE(words);
        search.find(words);
    }
    CHECK(titles("%").empty());
    CHECK(titles("").empty());
    // What is in every message comes newest first, and is not slow. CPU time: the machine may be
    // busy; the limit is ten times what it takes.
    CHECK(titles("bandwidth").front().starts_with("Conversation number 9"));
    for (const char* words : {"p", "pa", "page", "page table", "the", "bandwidth arithmetic 500"}) {
        CAPTURE(words);
        const std::clock_t before = std::clock();
        search.find(words);
        const double ms = 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
        CHECK(ms < 400);
        if (std::getenv("KEYHOLE_PRINT")) {
            std::printf("find \"%s\": %.1f ms\n", words, ms);
        }
    }
}
