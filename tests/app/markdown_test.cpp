// Markdown, formulas, parts, colours and copying: everything about text that needs no font.
#include "app/window/markdown.h"

#include <random>
#include <set>

#include "app/window/chat_parts.h"
#include "app/window/highlight.h"
#include "app/window/latex.h"
#include "app/window/text_cutter.h"
#include "app/window/text_layer.h"
#include "app/window/text_units.h"
#include "tests/support/catch.h"

using namespace app::window;

namespace {

std::string dump(const std::vector<Block>& blocks) {
    std::string out;
    for (const Block& block : blocks) {
        static constexpr const char* kNames[] = {"p", "h", "code", "table", "rule", "formula"};
        out += std::string(static_cast<size_t>(block.indent), '>') +
               std::string(block.quotes.size(), '|') + kNames[static_cast<int>(block.kind)] +
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

// Every displayed byte that stands for itself is the byte of the source that it names.
void check_places(const RichText& rich, const std::string& source) {
    uint32_t at = 0;
    for (const Span& span : rich.spans) {
        REQUIRE(span.begin == at);
        REQUIRE(span.end > span.begin);
        REQUIRE(span.source_end <= source.size());
        at = span.end;
        if (span.end - span.begin == span.source_end - span.source &&
            (span.style & (kFormula | kNote)) == 0) {
            const std::string shown = rich.text.substr(span.begin, span.end - span.begin);
            const std::string written = source.substr(span.source, span.end - span.begin);
            CHECK(shown == written);
        }
    }
    REQUIRE(at == rich.text.size());
}

const std::string kEverything =
    "# Title *x*\n\nFirst **bold** and `code` &amp; more[^1].\n\n"
    "- one\n- two\n  1. deep\n\n     ```py\n     if x:\n         y\n     ```\n- [x] done\n\n"
    "| a | b |\n|:--|--:|\n| 1 \\| 2 | $x_1$ |\n| \xC3\xA9 | <br> |\n\n"
    "> quoted \\(\\alpha^2\\)\n> on\n\n$$\n\\frac{a}{b}\n$$\n\ntail ~~gone~~ [link](http://x/y) "
    "![pic](z.png)\n\n[^1]: The note.\n\n---\n\n```cpp\nint x;\n\treturn;\n```\n";

}  // namespace

TEST_CASE("Markdown becomes blocks") {
    CHECK(dump(parse_markdown("# Title\n\nPlain **bold** and *it* with `code`.")) ==
          "h1()[Title]\np()[Plain bold and it with code.]1:bold;2:it;4:code;\n");
    CHECK(dump(parse_markdown("- one\n- two\n  - deep\n\n3. three\n4. four")) ==
          ">p(\u2022)[one]\n>p(\u2022)[two]\n>>p(\u25E6)[deep]\n>p(3.)[three]\n>p(4.)[four]\n");
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
    const auto table = parse_markdown("|a|b|c|\n|:--|:-:|--:|\n|1|2|3|");
    CHECK(table[0].columns == std::vector<Align>{Align::left, Align::centre, Align::right});
    CHECK(dump(parse_markdown("one<br>two")) == "p()[one\ntwo]\n");
    const auto referred = parse_markdown("see [it][a]", 0, "[a]: http://there\n");
    REQUIRE(referred.size() == 1);
    CHECK(referred[0].rich.links == std::vector<std::string>{"http://there"});
}

TEST_CASE("formulas and footnotes are read, prices and code are not taken for them") {
    CHECK(dump(parse_markdown("so $x_1^2 + \\alpha$ holds")) ==
          "p()[so x\u2081\u00B2 + \u03B1 holds]32:x\u2081\u00B2 + \u03B1;\n");
    CHECK(dump(parse_markdown("so \\(a \\le b\\) holds")) ==
          "p()[so a \u2264 b holds]32:a \u2264 b;\n");
    CHECK(dump(parse_markdown("See:\n\\[\nE = mc^2\n\\]\nright.")) ==
          "p()[See:]\nformula()[E = mc\u00B2]32:E = mc\u00B2;\np()[right.]\n");
    CHECK(dump(parse_markdown("$$\\frac{a+1}{2}$$")) == "formula()[(a+1)/2]32:(a+1)/2;\n");
    CHECK(dump(parse_markdown("costs $5 and $10, or 5$")) == "p()[costs $5 and $10, or 5$]\n");
    CHECK(dump(parse_markdown("`$x$ [^a-z]` and\n\n```\n$y$ \\(z\\) [^1]\n```")) ==
          "p()[$x$ [^a-z] and]4:$x$ [^a-z];\ncode()[$y$ \\(z\\) [^1]]\n");
    CHECK(dump(parse_markdown("Said[^1].\n\n[^1]: By whom.")) ==
          "p()[Said[1].]64:[1];\np()[1. By whom.]64:1.;\n");
    CHECK(latex_to_text("\\sum_{i=1}^{n} i = \\frac{n(n+1)}{2}") ==
          "\u2211\u1D62\u208C\u2081\u207F i = (n(n+1))/2");
    CHECK(latex_to_text("\\sqrt{x+1} \\cdot \\text{if } y") == "\u221A(x+1) \u00B7 if y");
    CHECK(latex_to_text("\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}") == "[1 0; 0 1]");
    CHECK(latex_to_text("\\unknown{x}") == "\\unknownx");
    // Whatever is written, it ends.
    std::mt19937 random(5);
    const std::string signs = "\\{}^_$[]()afrcsqt& \n";
    for (int round = 0; round < 500; round++) {
        std::string text;
        for (int i = 0; i < 60; i++) {
            text += signs[random() % signs.size()];
        }
        latex_to_text(text);
        parse_markdown(text);
    }
}

TEST_CASE("what is shown names its place in the source") {
    for (size_t end = 0; end <= kEverything.size(); end++) {
        const std::string text = kEverything.substr(0, end);
        for (const Block& block : parse_markdown(text)) {
            check_places(block.rich, text);
            for (const auto& row : block.rows) {
                for (const RichText& cell : row) {
                    check_places(cell, text);
                }
            }
        }
    }
}

TEST_CASE("a text in parts has the blocks of the whole, however it arrives") {
    const std::string texts[] = {
        "First.\n\nSecond **x**.\n\n- a\n\n- b\n\nAfter the list.\n\n```py\nif x:\n\n    "
        "y\n```\n\nEnd.\n\n1. one\n\n2. two\n\ntext",
        "~~~\n```\n\nnot the end\n~~~\n\nA\n\n| a |\n|---|\n| b |\n\nB\n",
        "# H\nunder\n\n> q\n\nplain\n\n    indented\n\nplain again\n\n```",
        "- a\n- b\n\n- c\n  - d\n\n    more\n- e\nlazy\n- f\n\n> q\n>> r\n\n> s\n\nTitle\n---\n"
        "1. x\n2. y\n\n3. z\n- w\n\n2. v\n",
        kEverything,
    };
    for (const std::string& text : texts) {
        const std::string whole = dump(parse_markdown(text));
        for (const size_t step : {size_t{1}, size_t{7}, text.size()}) {
            TextCutter cutter(1);
            for (size_t end = step; end < text.size(); end += step) {
                cutter.feed(std::string_view(text).substr(0, end));
            }
            cutter.feed(text);
            const auto& parts = cutter.parts();
            CHECK(parts.size() > 1);
            std::string joined;
            for (size_t i = 0; i < parts.size(); i++) {
                const size_t end = i + 1 < parts.size() ? parts[i + 1].begin : text.size();
                joined += dump(blocks_of_part(text, parts[i].begin, end, parts[i],
                                              i + 1 < parts.size() && parts[i + 1].in_fence,
                                              cutter.references()));
            }
            CHECK(joined == whole);
        }
    }
}

TEST_CASE("long code, long lines and long lists are cut, and nothing of them is lost") {
    std::string code = "Before.\n\n```cpp\n/* open\n";
    for (int i = 0; i < 3000; i++) {
        code += "line " + std::to_string(i) + "\n";
    }
    code += "*/ int x;\n```\n\nAfter.";
    TextCutter cutter;
    cutter.feed(code);
    CHECK(cutter.parts().size() > 4);
    for (size_t i = 0; i < cutter.parts().size(); i++) {
        const size_t end =
            i + 1 < cutter.parts().size() ? cutter.parts()[i + 1].begin : code.size();
        CHECK(end - cutter.parts()[i].begin < 16'000);
    }
    const std::string plain = copy_as_text(code, {0, code.size()});
    CHECK(plain.starts_with("Before.\n\n/* open\nline 0\nline 1\n"));
    CHECK(plain.ends_with("line 2999\n*/ int x;\n\nAfter."));
    CHECK(std::count(plain.begin(), plain.end(), '\n') == 3000 + 1 + 4);

    std::string words;
    while (words.size() < 200'000) {
        words += "word ";
    }
    TextCutter long_line;
    long_line.feed(words);
    CHECK(long_line.parts().size() > 8);
    CHECK(copy_as_text(words, {0, words.size()}).size() >= words.size() - long_line.parts().size());

    std::string list;
    for (int i = 0; i < 5000; i++) {
        list += "- item " + std::to_string(i) + "\n";
    }
    TextCutter items;
    items.feed(list);
    CHECK(items.parts().size() > 20);
    const std::string copied = copy_as_text(list, {0, list.size()});
    CHECK(copied.starts_with("\u2022 item 0\n\u2022 item 1\n"));
    CHECK(std::count(copied.begin(), copied.end(), '\n') == 4999);
}

TEST_CASE(
    "a long table is cut into several with its head above each, and copied and found as one") {
    std::string table = "Before.\n\n| number | *name* |\n|--:|---|\n";
    std::string wanted = "Before.\n\nnumber\tname";
    for (int i = 0; i < 2000; i++) {
        table += "| " + std::to_string(i) + " | `row` |\n";
        wanted += "\n" + std::to_string(i) + "\trow";
    }
    table += "\nAfter.";
    wanted += "\n\nAfter.";
    const TextParts parts(table);
    CHECK(parts.size() > 10);
    size_t tables = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        const SourceRange range = parts.range(i);
        CHECK(range.end - range.begin < 9000);
        for (const Block& block : parts.blocks(i)) {
            if (block.kind == Block::Kind::table) {
                tables++;
                CHECK(block.rows.front()[0].text == "number");
                CHECK(block.rows.front()[1].text == "name");
                CHECK(block.columns == std::vector<Align>{Align::right, Align::left});
                CHECK(block.repeats_head == (tables > 1));
                for (size_t r = block.repeats_head ? 1 : 0; r < block.rows.size(); r++) {
                    check_places(block.rows[r][0], table);
                    CHECK(block.rows[r][0].spans.front().source >= range.begin);
                }
            }
        }
    }
    CHECK(tables > 10);
    CHECK(copy_as_text(table, {0, table.size()}) == wanted);
    CHECK(find_in_text(table, "NAME").size() == 1);
    CHECK(find_in_text(table, "row").size() == 2000);
    // Rows from the middle are rows, without the head that is shown above them.
    const size_t from = table.find("| 1000 |"), to = table.find("| 1002 |");
    CHECK(copy_as_text(table, {from, to}) == "1000\trow\n1001\trow");
}

TEST_CASE("colours cover the code without gaps, whatever it is, and across a cut") {
    std::mt19937 random(7);
    const std::string alphabet = "ab\"'`/*#-_ \n\\019.:{}<>$@!&(=[]\xC3\xA9";
    for (int round = 0; round < 400; round++) {
        std::string text;
        for (int i = 0; i < 60; i++) {
            text += alphabet[random() % alphabet.size()];
        }
        for (const char* language :
             {"cpp",  "python", "rust", "js",      "bash", "sql",  "json", "yaml",
              "toml", "html",   "css",  "diff",    "md",   "text", "ruby", "php",
              "java", "csharp", "lua",  "haskell", "tex",  ""}) {
            LexState state;
            const size_t half = random() % text.size();
            for (const auto& [begin, end] :
                 {std::pair(size_t{0}, half), std::pair(half, text.size())}) {
                uint32_t at = 0;
                for (const CodePiece& piece : highlight(
                         std::string_view(text).substr(begin, end - begin), language, state)) {
                    REQUIRE(piece.begin == at);
                    REQUIRE(piece.end > piece.begin);
                    at = piece.end;
                }
                REQUIRE(at == end - begin);
            }
        }
    }
}

TEST_CASE("each family of languages has its words, strings and comments") {
    const auto kind_of = [](const std::string& text, const std::string& what,
                            const char* language) {
        const size_t at = text.find(what);
        REQUIRE(at != std::string::npos);
        for (const CodePiece& piece : highlight(text, language)) {
            if (piece.begin <= at && at < piece.end) {
                return piece.kind;
            }
        }
        return CodeKind::plain;
    };
    using K = CodeKind;
    const std::string cpp = "#include <map>\nint f() { return R\"x(a)\"b)x\"; } // why";
    CHECK(kind_of(cpp, "#include", "cpp") == K::keyword);
    CHECK(kind_of(cpp, "<map>", "cpp") == K::string);
    CHECK(kind_of(cpp, "int", "cpp") == K::type);
    CHECK(kind_of(cpp, "f()", "cpp") == K::function);
    CHECK(kind_of(cpp, "a)\"b", "cpp") == K::string);
    CHECK(kind_of(cpp, "// why", "cpp") == K::comment);
    const std::string python =
        "@dec\ndef f(x):\n    \"\"\"doc\n    it's\"\"\"\n    return 0x1F # no";
    CHECK(kind_of(python, "@dec", "python") == K::name);
    CHECK(kind_of(python, "def", "py") == K::keyword);
    CHECK(kind_of(python, "it's", "python") == K::string);
    CHECK(kind_of(python, "return", "python") == K::keyword);
    CHECK(kind_of(python, "0x1F", "python") == K::number);
    CHECK(kind_of(python, "# no", "python") == K::comment);
    const std::string rust = "fn f<'a>(x: &'a str) -> char { println!(\"{}\", 'x'); 'y' }";
    CHECK(kind_of(rust, "fn", "rust") == K::keyword);
    CHECK(kind_of(rust, "'a>", "rust") == K::name);
    CHECK(kind_of(rust, "'x'", "rust") == K::string);
    CHECK(kind_of(rust, "println!", "rust") == K::function);
    const std::string js = "const re = /a\\/b/g; let s = `x\n${y}`; // c";
    CHECK(kind_of(js, "/a", "js") == K::string);
    CHECK(kind_of(js, "${y}", "ts") == K::string);
    CHECK(kind_of(js, "// c", "typescript") == K::comment);
    const std::string sh = "for f in *.txt; do echo \"$f\" # all\nx=$HOME/it; done";
    CHECK(kind_of(sh, "for", "bash") == K::keyword);
    CHECK(kind_of(sh, "# all", "sh") == K::comment);
    CHECK(kind_of(sh, "$HOME", "shell") == K::name);
    const std::string json = "{\"key\": [1.5e3, true, \"v\"]}";
    CHECK(kind_of(json, "\"key\"", "json") == K::name);
    CHECK(kind_of(json, "1.5e3", "json") == K::number);
    CHECK(kind_of(json, "true", "json") == K::keyword);
    CHECK(kind_of(json, "\"v\"", "json") == K::string);
    const std::string yaml = "a-key: \"v\" # c\n- 12\n";
    CHECK(kind_of(yaml, "a-key", "yaml") == K::name);
    CHECK(kind_of(yaml, "# c", "yml") == K::comment);
    CHECK(kind_of(yaml, "12", "yaml") == K::number);
    const std::string sql = "SELECT a FROM t WHERE b = 'it''s' -- c";
    CHECK(kind_of(sql, "SELECT", "sql") == K::keyword);
    CHECK(kind_of(sql, "'it", "sql") == K::string);
    CHECK(kind_of(sql, "-- c", "sql") == K::comment);
    const std::string html = "<a href=\"x\">text</a><!-- no -->";
    CHECK(kind_of(html, "<a", "html") == K::keyword);
    CHECK(kind_of(html, "href", "html") == K::name);
    CHECK(kind_of(html, "text", "html") == K::plain);
    CHECK(kind_of(html, "<!--", "html") == K::comment);
    const std::string css = ".a { color: #fff; margin: 4px }";
    CHECK(kind_of(css, "color", "css") == K::name);
    CHECK(kind_of(css, "#fff", "css") == K::number);
    CHECK(kind_of(css, "4px", "css") == K::number);
    const std::string diff = "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n";
    CHECK(kind_of(diff, "-old", "diff") == K::removed);
    CHECK(kind_of(diff, "+new", "diff") == K::added);
    CHECK(kind_of("func main() { var x int }", "func", "go") == K::keyword);
    CHECK(kind_of("public class A { }", "class", "java") == K::keyword);
    CHECK(kind_of("public record A(int B);", "record", "csharp") == K::keyword);
    // A comment that the first half opens goes on in the second.
    LexState state;
    highlight("int x; /* open", "cpp", state);
    const auto rest = highlight("still */ int", "cpp", state);
    CHECK(rest.front().kind == K::comment);
    CHECK(rest.back().kind == K::type);
}

TEST_CASE("copying: as a person reads it, and as it was written") {
    const std::string text =
        "# Head\n\nOne **bold** word.\n\n- a\n- b `c`\n\n```cpp\nint x;\n  y;\n```\n\n"
        "| h | k |\n|---|---|\n| 1 | 2 |\n\nEnd.";
    CHECK(copy_as_text(text, {0, text.size()}) ==
          "Head\n\nOne bold word.\n\n\u2022 a\n\u2022 b c\n\nint x;\n  y;\n\nh\tk\n1\t2\n\nEnd.");
    CHECK(copy_as_markdown(text, {0, text.size()}) == text);
    const auto from = [&](const char* a, const char* b) {
        return SourceRange{text.find(a), text.find(b) + std::string(b).size()};
    };
    CHECK(copy_as_text(text, from("bold", "word")) == "bold word");
    CHECK(copy_as_markdown(text, from("ead", "bold")) == "ead\n\nOne **bold");
    CHECK(copy_as_markdown(text, from("Head", "word.")) == "# Head\n\nOne **bold** word.");
    CHECK(copy_as_markdown(text, from("a\n", "c`")) == "- a\n- b `c`");
    CHECK(copy_as_text(text, from("int x", "y;")) == "int x;\n  y;");
    CHECK(copy_as_markdown(text, from("int x", "y;")) == "```cpp\nint x;\n  y;\n```");
    CHECK(copy_as_text(text, from("k |", "2")) == "k\n1\t2");
    const std::string bold = "**all of it**";
    CHECK(copy_as_markdown(bold, {2, 11}) == bold);
    CHECK(copy_as_text("a $x_1$ b", {0, 9}) == "a x\u2081 b");
    CHECK(copy_as_text("", {0, 0}).empty());
}

TEST_CASE("finding: in what is seen, whatever stands between the words in the source") {
    const auto found = [](const std::string& text, const std::string& words) {
        std::string out;
        for (const SourceRange& range : find_in_text(text, words)) {
            out += "[" + text.substr(range.begin, range.end - range.begin) + "]";
        }
        return out;
    };
    CHECK(found("One **bold** word", "bold word") == "[bold** word]");
    CHECK(found("Aa aA", "aa") == "[Aa][aA]");
    CHECK(found("\xC3\x84pfel \xD0\x9F\xD1\x80", "\xC3\xA4PFEL") == "[\xC3\x84pfel]");
    CHECK(found("| a | find |\n|---|---|\n| Find | b |", "find") == "[find][Find]");
    CHECK(found("```\nfind **me**\n```", "**me") == "[**me]");
    CHECK(found("nothing", "x").empty());
    CHECK(found("text", "").empty());
}

TEST_CASE("what belongs together is one unit") {
    const auto units = [](const std::string& text) {
        std::vector<std::string> out;
        for (size_t i = 0; i < text.size();) {
            const size_t end = next_unit(text, i).end;
            out.push_back(text.substr(i, end - i));
            i = end;
        }
        return out;
    };
    using V = std::vector<std::string>;
    CHECK(units("ab") == V{"a", "b"});
    CHECK(units("e\u0301x") == V{"e\u0301", "x"});
    CHECK(units("\U0001F468\u200D\U0001F469\u200D\U0001F467!") ==
          V{"\U0001F468\u200D\U0001F469\u200D\U0001F467", "!"});
    CHECK(units("\U0001F1E9\U0001F1EA\U0001F1EB\U0001F1F7") ==
          V{"\U0001F1E9\U0001F1EA", "\U0001F1EB\U0001F1F7"});
    CHECK(units("\U0001F44D\U0001F3FD") == V{"\U0001F44D\U0001F3FD"});
    CHECK(units("1\uFE0F\u20E3") == V{"1\uFE0F\u20E3"});
    CHECK(units("\u4E2D\u6587") == V{"\u4E2D", "\u6587"});
    CHECK(units("\u0627\u0644\u0633 \u0644") == V{"\u0627\u0644\u0633", " ", "\u0644"});
    CHECK(next_unit("\u2764\uFE0F", 0).emoji);
    CHECK_FALSE(next_unit("\u2764", 0).emoji);
    // Any bytes: always forward, never past the end.
    std::mt19937 random(11);
    for (int round = 0; round < 300; round++) {
        std::string text;
        for (int i = 0; i < 30; i++) {
            text += static_cast<char>(random());
        }
        size_t at = 0;
        while (at < text.size()) {
            const size_t end = next_unit(text, at).end;
            REQUIRE(end > at);
            REQUIRE(end <= text.size());
            at = end;
        }
    }
    const std::string mixed = "a\u0301\u4E2D\U0001F468\u200D\U0001F469 b";
    for (size_t at = mixed.size(); at > 0;) {
        const size_t before = unit_before(mixed, at);
        REQUIRE(before < at);
        CHECK(next_unit(mixed, before).end == at);
        at = before;
    }
}
