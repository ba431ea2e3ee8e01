#include <random>

#include "app/window/edit_buffer.h"
#include "app/window/format.h"
#include "app/window/frame_clock.h"
#include "app/window/window_icon.h"
#include "tests/support/catch.h"

using namespace app::window;

TEST_CASE("the draft: typing, words, characters of several bytes, undo") {
    EditBuffer edit;
    edit.insert("h\xC3\xA9llo w\xE4\xB8\xAD");
    edit.move_left(false, false);
    edit.erase_back(false);
    CHECK(edit.text() == "h\xC3\xA9llo \xE4\xB8\xAD");
    edit.undo();
    CHECK(edit.text() == "h\xC3\xA9llo w\xE4\xB8\xAD");
    edit.redo();
    CHECK(edit.text() == "h\xC3\xA9llo \xE4\xB8\xAD");
    edit.select_all();
    CHECK(edit.selected() == edit.text());
    edit.insert("a\r\nb\rc");
    CHECK(edit.text() == "a\nb\nc");
    edit.move_to(0, false);
    edit.move_right(false, true);
    CHECK(edit.selected() == "a");
    edit.set("one two  three");
    edit.erase_back(true);
    CHECK(edit.text() == "one two  ");
    edit.move_to(0, false);
    edit.erase_forward(true);
    CHECK(edit.text() == " two  ");
    edit.set("x");
    edit.erase_forward(false);
    edit.move_right(true, false);
    edit.erase_back(false);
    edit.erase_back(false);
    CHECK(edit.empty());
}

TEST_CASE("soft wrapping keeps every character and breaks at blanks") {
    EditBuffer edit;
    const auto measure = [](std::string_view text) {
        float width = 0;
        for (const char c : text) {
            width += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1.0F : 0.0F;
        }
        return width;
    };
    edit.set("the quick brown fox\n\nunbreakablelongword \xE4\xB8\xAD\xE6\x96\x87");
    const auto rows = edit.wrap(10, 1, measure);
    std::vector<std::string> lines;
    for (const auto& row : rows) {
        lines.push_back(edit.text().substr(row.begin, row.end - row.begin));
    }
    CHECK(lines == std::vector<std::string>{"the quick ", "brown fox", "", "unbreakabl",
                                            "elongword ", "\xE4\xB8\xAD\xE6\x96\x87"});
    edit.move_to(0, false);
    edit.move_vertically(1, false);
    CHECK(edit.cursor() == 10);
    edit.move_to_row_end(false);
    CHECK(edit.cursor() == 19);
    edit.move_vertically(1, false);
    edit.move_vertically(1, false);
    CHECK(edit.row_of(edit.cursor()) == 3);
    CHECK(edit.position_at(0, 4.2F) == 4);
    CHECK(edit.x_of(12) == 2);
    // Any width, any text: rows cover the text in order.
    std::mt19937 random(3);
    for (int round = 0; round < 200; round++) {
        std::string text;
        for (int i = 0; i < 50; i++) {
            text += std::string("ab c\n")[random() % 5];
        }
        edit.set(text);
        std::string joined;
        size_t expected = 0;
        for (const auto& row : edit.wrap(static_cast<float>(1 + random() % 12),
                                         static_cast<uint64_t>(round), measure)) {
            REQUIRE((row.begin == expected || row.begin == expected + 1));
            joined += (row.begin == expected + 1 ? "\n" : "") +
                      text.substr(row.begin, row.end - row.begin);
            expected = row.end;
        }
        REQUIRE(joined == text);
    }
}

TEST_CASE("nothing is drawn without a reason") {
    FrameClock clock;
    double now = 10;
    for (int i = 0; i < 3; i++) {
        REQUIRE(clock.due(now, 0));
        clock.drawn(now);
    }
    CHECK_FALSE(clock.due(now, 0));
    CHECK(clock.wait(now, 1.0 / 30, -1) == FrameClock::kLongest);
    for (int second = 0; second < 5; second++) {
        now += 1;
        CHECK_FALSE(clock.due(now, 0));
    }
    CHECK(clock.frames() == 3);
    clock.request();
    clock.drawn(now);
    clock.request();
    CHECK_FALSE(clock.due(now + 0.01, 1.0 / 30));
    CHECK(clock.wait(now + 0.01, 1.0 / 30, -1) < 1.0 / 30);
    CHECK(clock.due(now + 0.04, 1.0 / 30));
    FrameClock idle;
    for (int i = 0; i < 3; i++) {
        idle.drawn(0);
    }
    CHECK(idle.wait(0.2, 0, 0) < 0.31);  // the caret's next change
}

TEST_CASE("the window's icon: a keyhole on a round ground, at every size") {
    for (const int size : {16, 32, 48, 128}) {
        const auto pixels = window_icon(size);
        REQUIRE(pixels.size() == static_cast<size_t>(size * size * 4));
        const auto at = [&](float x, float y) {
            const auto column = static_cast<size_t>(x * static_cast<float>(size));
            const auto row = static_cast<size_t>(y * static_cast<float>(size));
            return &pixels[(row * static_cast<size_t>(size) + column) * 4];
        };
        CHECK(at(0, 0)[3] == 0);
        CHECK(at(0.5F, 0.4F)[3] == 255);
        CHECK(at(0.45F, 0.4F)[2] > 200);  // the keyhole is blue
        CHECK(at(0.2F, 0.5F)[2] < 60);    // and what is around it dark
        CHECK(at(0.45F, 0.75F)[2] > 200);
        CHECK(at(0.45F, 0.9F)[2] < 90);
    }
}

TEST_CASE("figures for people") {
    CHECK(with_commas(0) == "0");
    CHECK(with_commas(-1234567) == "-1,234,567");
    CHECK(with_commas(999) == "999");
    CHECK(short_count(12'240) == "12.2k");
    CHECK(bytes_text(54'144) == "52.9 KiB");
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(2'007'879'680) == "1.87 GiB");
    CHECK(percent_text(0.987) == "98.7 %");
    CHECK(seconds_text(410) == "0.41 s");
    CHECK(seconds_text(72'000) == "1 min 12 s");
}
