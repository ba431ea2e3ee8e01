#include "app/server/request_log.h"

#include <thread>

#include "tests/support/catch.h"

using app::RequestLog;
using app::RequestRow;

TEST_CASE("The request log keeps its newest rows, and of these the newest prompts") {
    RequestLog log(100);
    for (int i = 0; i < 250; i++) {
        RequestRow row;
        row.status = i;
        CHECK(log.add(row, std::string(1000, 'p')) == static_cast<uint64_t>(i + 1));
    }
    CHECK(log.version() == 250);
    CHECK(log.size() == 100);
    const auto rows = log.newest(3, 1);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].id == 249);
    CHECK(rows[2].status == 246);
    CHECK(rows[0].prompt_bytes == 1000);
    CHECK(log.newest(1000).size() == 100);
    CHECK(log.newest(10, 100).empty());
    CHECK(log.prompt(150) == nullptr);  // its row is gone
    REQUIRE(log.prompt(151) != nullptr);
    CHECK(log.prompt(151)->size() == 1000);
}

TEST_CASE("The request log is bounded in bytes and holds no line breaks of strangers") {
    RequestLog log;
    RequestRow row;
    row.client = "agent\nfake line\x1b[31m" + std::string(10'000, 'a');
    const std::string large(1 << 20, 'x');
    for (int i = 0; i < 300; i++) {
        log.add(row, "begin" + large + "end");
    }
    size_t kept = 0;
    for (uint64_t id = 1; id <= 300; id++) {
        if (const auto prompt = log.prompt(id)) {
            kept += prompt->size();
            CHECK(prompt->starts_with("begin"));
            CHECK(prompt->ends_with("end"));
        }
    }
    CHECK(kept > RequestLog::kAllPromptBytes / 2);
    CHECK(kept <= RequestLog::kAllPromptBytes);
    const std::string client = log.newest(1)[0].client;
    CHECK(client.size() < 1000);
    CHECK(client.find_first_of("\n\x1b") == std::string::npos);
    log.clear();
    CHECK(log.size() == 0);
    CHECK(log.prompt(300) == nullptr);
}

TEST_CASE("The request log is read while it is written") {
    RequestLog log(50);
    std::thread writer([&log] {
        for (int i = 0; i < 5000; i++) {
            log.add({}, "prompt");
        }
    });
    while (log.version() < 5000) {
        const auto rows = log.newest(50);
        for (size_t i = 1; i < rows.size(); i++) {
            REQUIRE(rows[i].id + 1 == rows[i - 1].id);
        }
    }
    writer.join();
    CHECK(log.newest(1)[0].id == 5000);
}
