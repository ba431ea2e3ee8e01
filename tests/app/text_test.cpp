#include <random>

#include "app/window/edit_buffer.h"
#include "app/window/format.h"
#include "app/window/frame_clock.h"
#include "app/window/highlight.h"
#include "app/window/markdown.h"
#include "tests/support/catch.h"

using namespace app::window;

namespace {

std::string dump(const std::vector<Block>& blocks) {
    std::string out;
    for (const Block& block : blocks) {
        static constexpr const char* kNames[] = {"p", "h", "code", "table", "rule"};
        out += std::string(static_cast<size_t>(block.indent), '>') +
               std::string(static_cast<size_t>(block.quotes), '|') +
               kNames[static_cast<int>(block.kind)] +
               (block.level ? std::to_string(block.level) : "");
        out += "(" + block.marker + block.language + ")[" + block.rich.text + "]";
        for (const Span& span : block.rich.spans) {
            out += span.style ? std::to_string(span.style) + ":" +
                                    block.rich.text.substr(span.begin, span.end - span.begin) + ";"
                              : "";
        }
        for (const auto& row : block.rows) {
            for (const RichText& cell : row) {
                out += "<" + cell.text + ">";
            }
        }
        out += "\n";
    }
    return out;
}

}  // namespace

TEST_CASE("Markdown becomes blocks") {
    CHECK(dump(parse_markdown("# Title\n\nPlain **bold** and *it* with `code`.")) ==
          "h1()[Title]\np()[Plain bold and it with code.]1:bold;2:it;4:code;\n");
    CHECK(dump(parse_markdown("- one\n- two\n  - deep\n\n3. three\n4. four")) ==
          ">p(\u2022)[one]\n>p(\u2022)[two]\n>>p(\u2022)[deep]\n>p(3.)[three]\n>p(4.)[four]\n");
    CHECK(dump(parse_markdown("```cpp\nint x;\n\nreturn;\n```")) ==
          "code(cpp)[int x;\n\nreturn;]\n");
    CHECK(dump(parse_markdown("```\nopen fence")) == "code()[open fence]\n");
    CHECK(dump(parse_markdown("> said\n\n---")) == "|p()[said]\nrule()[]\n");
    CHECK(dump(parse_markdown("|a|b|\n|---|---|\n|1|**2**|")) == "table()[]<a><b><1><2>\n");
    CHECK(dump(parse_markdown("a &amp; b &lt; <b>raw</b> &#x41;")) ==
          "p()[a & b < <b>raw</b> A]\n");
    CHECK(dump(parse_markdown("- [ ] open\n- [x] done")) == ">p(\u2610)[open]\n>p(\u2611)[done]\n");
    const auto link = parse_markdown("see [here](https://example.org/x)");
    REQUIRE(link[0].rich.links.size() == 1);
    CHECK(link[0].rich.links[0] == "https://example.org/x");
    CHECK(parse_markdown("").empty());
    CHECK(dump(parse_markdown("-")) == ">p(\u2022)[]\n");
}

TEST_CASE("text cut at stable ends gives the blocks of the whole") {
    const std::string texts[] = {
        "First.\n\nSecond **x**.\n\n- a\n\n- b\n\nAfter the list.\n\n```py\nif x:\n\n    "
        "y\n```\n\nEnd.\n\n1. one\n\n2. two\n\ntext",
        "~~~\n```\n\nnot the end\n~~~\n\nA\n\n| a |\n|---|\n| b |\n\nB\n",
        "# H\nunder\n\n> q\n\nplain\n\n    indented\n\nplain again\n\n```",
    };
    for (const std::string& text : texts) {
        const std::string whole = dump(parse_markdown(text));
        // Arriving character by character, each chunk settled as soon as it may be.
        std::string parts;
        size_t from = 0;
        for (size_t end = 1; end <= text.size(); end++) {
            const size_t stable = stable_end(std::string_view(text).substr(0, end), from);
            REQUIRE(stable >= from);
            REQUIRE(stable <= end);
            if (stable > from) {
                parts += dump(parse_markdown(std::string_view(text).substr(from, stable - from)));
                from = stable;
            }
        }
        parts += dump(parse_markdown(std::string_view(text).substr(from)));
        CHECK(parts == whole);
        CHECK(from > 0);
    }
}

TEST_CASE("colours cover the code without gaps, whatever it is") {
    std::mt19937 random(7);
    const std::string alphabet = "ab\"'`/*#-_ \n\\019.:{}\xC3\xA9";
    for (int round = 0; round < 300; round++) {
        std::string text;
        for (int i = 0; i < 60; i++) {
            text += alphabet[random() % alphabet.size()];
        }
        for (const char* language : {"cpp", "python", "sql", "text", ""}) {
            uint32_t at = 0;
            for (const CodePiece& piece : highlight(text, language)) {
                REQUIRE(piece.begin == at);
                REQUIRE(piece.end > piece.begin);
                at = piece.end;
            }
            REQUIRE(at == text.size());
        }
    }
    const auto pieces = highlight("return 42; // x", "cpp");
    CHECK(pieces.front().kind == CodeKind::keyword);
    CHECK(pieces.back().kind == CodeKind::comment);
}

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
