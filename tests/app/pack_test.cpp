// Packs: their counts, their order, what choices do to them, and that no content can do anything.
#include "app/codebase/pack.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include <sys/resource.h>

#include "app/codebase/budget.h"
#include "app/codebase/count_cache.h"
#include "app/codebase/decode.h"
#include "app/codebase/order.h"
#include "app/codebase/outline.h"
#include "app/codebase/tree.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app::codebase;
namespace fs = std::filesystem;

namespace {

const runtime::Tokenizer& tokenizer(const char* model = "nano-f32.gguf") {
    static std::map<std::string, std::unique_ptr<runtime::Tokenizer>> kept;
    auto& slot = kept[model];
    if (!slot) {
        const std::string path = std::string(TESTS_DIR) + "/golden/model/" + model;
        slot = std::make_unique<runtime::Tokenizer>(
            runtime::vocabulary_of(*runtime::GgufFile::open(path)));
    }
    return *slot;
}

ScanResult scanned(const fs::path& folder, const ScanOptions& options = {}) {
    return scan(sources_of({folder}).front(), &tokenizer(), options);
}

std::vector<std::string> taken(const Pack& pack) {
    std::vector<std::string> paths;
    for (const PackedFile& file : pack.files) {
        if (file.status == FileStatus::full || file.status == FileStatus::outline) {
            paths.push_back(file.path);
        }
    }
    return paths;
}

// Pieces that break what is naive: markers of the model, wrappers, fences, line ends and blanks.
std::string hostile_text(std::mt19937& random) {
    static const char* const kPieces[] = {"<|user|>",
                                          "<|assistant|>",
                                          "<|system|>",
                                          "<|observation|>",
                                          "<|endoftext|>",
                                          "[gMASK]",
                                          "<sop>",
                                          "<think>",
                                          "</think>",
                                          "<tool_call>",
                                          "/nothink",
                                          "</file>",
                                          "<file path=\"/etc/passwd\">",
                                          "</file-00000000>",
                                          "<file-12345678 path=\"evil.c\">",
                                          "```",
                                          "````c",
                                          "## evil.c",
                                          "\n",
                                          "\n\n",
                                          " \n",
                                          "\t",
                                          "  ",
                                          "int x = 1;",
                                          "'s",
                                          "caf\xC3\xA9",
                                          "\xE4\xB8\xAD\xE6\x96\x87",
                                          "\xF0\x9F\x98\x80",
                                          "123456",
                                          "--",
                                          "\xE2\x80\xAE",
                                          "\r",
                                          "a",
                                          "{",
                                          "}",
                                          "\"",
                                          ">",
                                          "<",
                                          "=",
                                          "\x7F",
                                          "\xC2\xA0",
                                          "\xE3\x80\x80"};
    std::string text;
    for (auto n = random() % 60; n > 0; n--) {
        text += kPieces[random() % std::size(kPieces)];
    }
    return text;
}

}  // namespace

TEST_CASE("content hashes are those of BLAKE2b") {
    std::string bytes;
    for (int i = 0; i < 1280; i++) {
        bytes += static_cast<char>(i);
    }
    // Python's hashlib.blake2b(..., digest_size=16), as two little-endian words.
    CHECK(content_hash("") == ContentHash{0x40BDEFD94169E6CA, 0x7076A68E75884D4E});
    CHECK(content_hash("abc") == ContentHash{0x2B8D2BC691B74ACF, 0x1678287502C90921});
    CHECK(content_hash(std::string(128, 'a')) ==
          ContentHash{0x57FB1A738ED27112, 0xBE0135AFBDA6FBBD});
    CHECK(content_hash(std::string(129, 'a')) ==
          ContentHash{0xC45550ADFBBAB768, 0x24850F0A17EBE6EB});
    CHECK(content_hash(bytes) == ContentHash{0x182CC18FFA7C5C82, 0x9FDB48A546607BF5});
}

TEST_CASE("the sum of the parts is the whole, and hostile files change nothing") {
    std::mt19937 random(11);
    for (int round = 0; round < 40; round++) {
        const tests::TempFolder temp;
        for (int i = 0; i < 12; i++) {
            static const char* const kNames[] = {
                "a.c",    "b.py",        "x++",  "d e.md", "f\"<|user|>.txt",
                "g/h.ts", "g/</file>.c", "\n.c", "no",     "i/j/k.rs"};
            temp.write("p/" + std::to_string(i) + kNames[random() % std::size(kNames)],
                       hostile_text(random));
        }
        ScanOptions options;
        options.wrapper.format = round % 2 == 0 ? PackFormat::xml : PackFormat::markdown;
        options.wrapper.line_numbers = round % 4 >= 2;
        const ScanResult result = scanned(temp.path() / "p", options);
        for (const char* model : {"nano-f32.gguf", "tiny-q4_k_m.gguf"}) {
            const runtime::Tokenizer& counts = tokenizer(model);
            const ScanResult again = scan(result.source, &counts, options);
            const Pack pack = make_pack(again, &counts);
            int64_t sum = pack.head_tokens;
            for (const PackedFile& file : pack.files) {
                sum += file.tokens;
            }
            const auto ids = counts.encode(pack.text);
            CAPTURE(round, pack.text);
            REQUIRE(sum == pack.tokens);
            REQUIRE(static_cast<int64_t>(ids.size()) == pack.tokens);
            REQUIRE(std::none_of(ids.begin(), ids.end(),
                                 [&](runtime::TokenId id) { return counts.is_special(id); }));
            REQUIRE(counts.decode(ids) == pack.text);
            REQUIRE(is_valid_utf8(pack.text));
        }
        // Element by element, as a strict reader would: each closes at its own tag, in order, and
        // holds its file's text.
        if (options.wrapper.format == PackFormat::xml && !options.wrapper.line_numbers) {
            const Pack pack = make_pack(result, &tokenizer());
            size_t at = pack.text.find("\n<file-") + 1;
            for (const std::string& path : taken(pack)) {
                const auto file = std::find_if(
                    result.files.begin(), result.files.end(),
                    [&](const ScannedFile& each) { return printable_path(each.path) == path; });
                REQUIRE(file != result.files.end());
                std::string text = read_file_text(result.source.root, file->path).text;
                const std::string tag = tag_of(text);
                text += text.empty() || text.ends_with('\n') ? "" : "\n";
                const std::string element =
                    "<" + tag + " path=\"" + path + "\">\n" + text + "</" + tag + ">\n";
                REQUIRE(pack.text.substr(at, element.size()) == element);
                REQUIRE(text.find(tag) == std::string::npos);
                at += element.size();
            }
            REQUIRE(at == pack.text.size());
        }
    }
}

TEST_CASE("a long text is counted in pieces with the same sum") {
    std::mt19937 random(5);
    std::string text;
    while (text.size() < 400'000) {
        text += hostile_text(random);
    }
    CHECK(count_tokens(tokenizer(), text) == tokenizer().count(text));
    const std::string one_line(300'000, 'x');
    CHECK(count_tokens(tokenizer(), one_line) == tokenizer().count(one_line));
    const auto yes = [](const void*) { return true; };
    CHECK(count_tokens(tokenizer(), text, yes, nullptr) == -1);
}

TEST_CASE("definitions come before uses, focus last, and nothing but paths and contents decides") {
    const tests::TempFolder temp;
    temp.write("p/a_main.cpp", "#include \"lib/queue.h\"\nint main() {}\n");
    temp.write("p/lib/queue.cpp", "#include \"lib/queue.h\"\n");
    temp.write("p/lib/queue.h", "#include <vector>\n#include \"lib/zero.h\"\n");
    temp.write("p/lib/zero.h", "#pragma once\n");
    temp.write("p/app.py", "import os\nfrom util.text import cut\nfrom . import zed\n");
    temp.write("p/util/text.py", "def cut(x): return x\n");
    temp.write("p/zed.py", "Z = 1\n");
    temp.write("p/web/index.ts",
               "import { a } from './part.js';\nconst b = require('../web/side')\n");
    temp.write("p/web/part.ts", "export const a = 1;\n");
    temp.write("p/web/side.ts", "export {}\n");
    temp.write("p/core/main.rs", "mod parse;\nuse crate::core::types::Node;\n");
    temp.write("p/core/parse.rs", "pub fn p() {}\n");
    temp.write("p/core/types.rs", "pub struct Node;\n");
    temp.write("p/go/cmd/a.go",
               "package main\nimport (\n\t\"fmt\"\n\t\"example.com/x/go/store\"\n)\n");
    temp.write("p/go/store/s.go", "package store\n");
    temp.write("p/circle/one.h", "#include \"two.h\"\n");
    temp.write("p/circle/two.h", "#include \"one.h\"\n");
    const auto order = taken(make_pack(scanned(temp.path() / "p"), &tokenizer()));
    const auto before = [&](const char* first, const char* second) {
        const auto at = [&](const char* path) {
            return std::find(order.begin(), order.end(), path) - order.begin();
        };
        CAPTURE(first, second);
        CHECK(at(first) < at(second));
    };
    before("lib/zero.h", "lib/queue.h");
    before("lib/queue.h", "a_main.cpp");
    before("lib/queue.h", "lib/queue.cpp");
    before("util/text.py", "app.py");
    before("zed.py", "app.py");
    before("web/part.ts", "web/index.ts");
    before("web/side.ts", "web/index.ts");
    before("core/parse.rs", "core/main.rs");
    before("core/types.rs", "core/main.rs");
    before("go/store/s.go", "go/cmd/a.go");
    before("circle/two.h", "circle/one.h");
    CHECK(order.size() == 17);

    // The order in which files are met plays no part.
    std::vector<OrderedFile> files;
    const ScanResult result = scanned(temp.path() / "p");
    for (const ScannedFile& file : result.files) {
        files.push_back({file.path, file.imports, false});
    }
    const auto paths = [&] {
        std::vector<std::string> out;
        for (const size_t i : pack_order(files)) {
            out.emplace_back(files[i].path);
        }
        return out;
    };
    const auto expected = paths();
    std::mt19937 random(3);
    for (int i = 0; i < 20; i++) {
        std::shuffle(files.begin(), files.end(), random);
        REQUIRE(paths() == expected);
    }
    PackOptions options;
    options.choices["lib/zero.h"].focus = true;
    CHECK(taken(make_pack(result, &tokenizer(), options)).back() == "lib/zero.h");
}

TEST_CASE("an outline keeps what can be called and drops how it is done") {
    CHECK(
        outline_of(
            "a.cpp",
            "namespace n {\n// Doc.\nint f(int a) {\n    for (;;) { g(\"}\"); }\n}\n"
            "class C {\npublic:\n    int m() const { return 1; }\n    void k() {\n        a('{');\n"
            "        b();\n    }\n    int x_ = 0;\n};\nenum E {\n    a,\n    b\n};\n}  // "
            "namespace n\n") ==
        "namespace n {\n// Doc.\nint f(int a) { ... }\nclass C {\npublic:\n    int m() const { "
        "return 1; }\n"
        "    void k() { ... }\n    int x_ = 0;\n};\nenum E {\n    a,\n    b\n};\n}  // namespace "
        "n\n");
    CHECK(outline_of("a.rs",
                     "impl<'a> S<'a> {\n    pub fn go(&'a self) -> char {\n        let c = '{';\n  "
                     "      c\n    }\n}\n") ==
          "impl<'a> S<'a> {\n    pub fn go(&'a self) -> char { ... }\n}\n");
    CHECK(outline_of("a.py",
                     "import os\n\nclass A(B):\n    \"\"\"What it is.\"\"\"\n    def m(self,\n     "
                     "     x=(1, 2)):\n"
                     "        y = 1\n        return y\n\nLIMIT = 3\nprint(LIMIT)\n") ==
          "import os\nclass A(B):\n    \"\"\"What it is.\"\"\"\n    def m(self,\n          x=(1, "
          "2)):\n        ...\nLIMIT = 3\n");
    CHECK(outline_of("a.md", "# One\ntext\n```\n# no\n```\n## Two\n") == "# One\n## Two\n");
    CHECK(outline_of("a.csv", "1,2\n3,4\n") == std::nullopt);
    std::mt19937 random(2);
    for (int i = 0; i < 300; i++) {
        const std::string text = hostile_text(random) + "{" + hostile_text(random) + "}";
        for (const char* path : {"a.cpp", "a.py", "a.md"}) {
            const auto outline = outline_of(path, text);
            CHECK((!outline || outline->size() < text.size()));
        }
    }
}

TEST_CASE("choices: outlines, names, lines, secrets that are allowed, files that are left out") {
    const tests::TempFolder temp;
    const std::string key = "ghp_" + std::string("R4f9Kq2Lm8Zt7Xw3Vb6Nc1Hd5Js0Pg4YaQeU");
    temp.write("p/long.c",
               "int f(void) {\n    return 1;\n    /* 1 */\n    /* 2 */\n    /* 3 */\n}\nint "
               "g(void) {\n    return 2;\n    /* 22222222222222222222222 */\n}\n");
    temp.write("p/key.py", "k = '" + key + "'\n");
    temp.write("p/.env", "A=1\n");
    temp.write("p/data.bin", std::string("\0\1", 2));
    const ScanResult result = scanned(temp.path() / "p");
    PackOptions options;
    options.choices["long.c"].status = FileStatus::outline;
    options.choices["key.py"].secrets = SecretPolicy::allow;
    options.choices[".env"].secrets = SecretPolicy::allow;
    Pack pack = make_pack(result, &tokenizer(), options);
    CHECK_THAT(pack.text,
               ContainsSubstring("path=\"long.c\" shows=\"outline\">\nint f(void) { ... }\n"));
    CHECK_THAT(pack.text, ContainsSubstring(key));
    CHECK_THAT(pack.text, ContainsSubstring("A=1\n"));
    CHECK(tokenizer().count(pack.text) == pack.tokens);

    options.choices.clear();
    options.choices["long.c"] = {FileStatus::full, 2, 3, SecretPolicy::mask, false};
    options.choices["key.py"].status = FileStatus::left_out;
    options.choices["data.bin"].status = FileStatus::full;
    pack = make_pack(result, &tokenizer(), options);
    CHECK_THAT(
        pack.text,
        ContainsSubstring("path=\"long.c\" lines=\"2-3\">\n    return 1;\n    /* 1 */\n</file-"));
    CHECK_THAT(pack.text, !ContainsSubstring("key.py"));
    CHECK_THAT(pack.text, ContainsSubstring("data.bin (binary)"));
    CHECK(tokenizer().count(pack.text) == pack.tokens);
    options.choices["long.c"] = {FileStatus::full, 90, 95, SecretPolicy::mask, false};
    CHECK_THAT(make_pack(result, &tokenizer(), options).text, !ContainsSubstring("<file-"));
}

TEST_CASE("what does not fit gets proposals with exact figures, and nothing else") {
    const tests::TempFolder temp;
    std::string code = "// head\n";
    for (int i = 0; i < 60; i++) {
        code += "int function_" + std::to_string(i) +
                "(int value) {\n    int sum = 0;\n    for (int i = 0; i < value; i++) {\n"
                "        sum += i * " +
                std::to_string(i) + ";\n    }\n    return sum;\n}\n";
    }
    temp.write("p/src/big.c", code);
    temp.write("p/tests/big_test.c", code + "// test\n");
    temp.write("p/small.c", "int x;\n");
    const ScanResult result = scanned(temp.path() / "p");
    const int64_t all = make_pack(result, &tokenizer()).tokens;
    for (const int64_t budget : {all - 1, all / 2 - 10, all / 20}) {
        const auto proposals = propose(result, {}, tokenizer(), budget);
        REQUIRE(!proposals.empty());
        for (const Proposal& proposal : proposals) {
            PackOptions options;
            options.choices = proposal.choices;
            const Pack pack = make_pack(result, &tokenizer(), options);
            CAPTURE(proposal.text, budget);
            CHECK(pack.tokens == proposal.tokens);
            CHECK(tokenizer().count(pack.text) == proposal.tokens);
            CHECK(proposal.fits == (proposal.tokens <= budget));
        }
        CHECK(std::any_of(proposals.begin(), proposals.end(), [](auto& p) { return p.fits; }));
    }
    CHECK_THAT(propose(result, {}, tokenizer(), all / 20).back().text,
               ContainsSubstring("lines 1-"));
}

TEST_CASE("counts are kept on disk by content and tokenizer, and a damaged file does no harm") {
    const tests::TempFolder temp;
    for (int i = 0; i < 40; i++) {
        temp.write("p/" + std::to_string(i) + ".c",
                   "int value_" + std::to_string(i * 7919) + ";\n");
    }
    ScanOptions options;
    options.cache = temp.path() / "cache";
    const auto tokens = [&](const runtime::Tokenizer& counts) {
        std::vector<int64_t> out;
        for (const ScannedFile& file :
             scan(sources_of({temp.path() / "p"}).front(), &counts, options).files) {
            out.push_back(file.tokens);
        }
        return out;
    };
    const auto first = tokens(tokenizer());
    const ContentHash identity = identity_of(tokenizer());
    CHECK(CountCache(options.cache, identity).size() == 40);
    CHECK(tokens(tokenizer()) == first);
    CHECK(CountCache(options.cache, identity).size() == 40);
    runtime::Vocabulary fewer = runtime::vocabulary_of(
        *runtime::GgufFile::open(std::string(TESTS_DIR) + "/golden/model/nano-f32.gguf"));
    fewer.merges.erase(fewer.merges.begin() + 3);
    CHECK_FALSE(identity == identity_of(runtime::Tokenizer(fewer)));
    // A wrong count that is kept is a count that is used: so the cache is what answers.
    CountCache cache(temp.path() / "other", identity);
    const ScanResult plain = scanned(temp.path() / "p");
    for (const ScannedFile& file : plain.files) {
        cache.add(count_key(file.content, plain.wrapper), 1000);
    }
    cache.save();
    options.cache = temp.path() / "other";
    CHECK(tokens(tokenizer()).front() > 1000);
    for (const auto& entry : fs::directory_iterator(options.cache)) {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        for (int at = 8; at < 40 * 24; at += 3) {
            file.seekp(at);
            file.put('z');
        }
        file.close();
        fs::resize_file(entry.path(), 40 * 24 - 5);
    }
    CHECK(tokens(tokenizer()) == first);
    CHECK(tokens(tokenizer()) == first);
}

TEST_CASE("a scan that is cancelled stops where it is, and its progress never lies") {
    const tests::TempFolder temp;
    for (int i = 0; i < 200; i++) {
        temp.write("p/" + std::to_string(i) + ".c",
                   "int x;\n" + std::string(300, 'y') + "\n" + std::to_string(i));
    }
    const ScanSource source = sources_of({temp.path() / "p"}).front();
    ScanProgress progress;
    progress.snapshot_files = 1'000'000;
    int published = 0;
    ScanOptions options;
    options.threads = 3;
    options.on_news = [&] {
        const auto snapshot = progress.snapshot();
        CHECK(snapshot->files.size() == 200);
        if (published++ == 0) {
            CHECK(snapshot->files[0].stage == ScannedFile::Stage::found);
            progress.cancel = true;
        }
    };
    CHECK(scan(source, &tokenizer(), options, &progress).cancelled);
    CHECK(progress.counted == 0);
    CHECK(make_pack(*progress.snapshot(), &tokenizer(), {}, &progress).cancelled);

    ScanProgress whole;
    const ScanResult result = scan(source, &tokenizer(), {}, &whole);
    CHECK(whole.counted == 200);
    int64_t sum = 0;
    for (const ScannedFile& file : result.files) {
        sum += file.tokens;
    }
    CHECK(whole.tokens == sum);
    CHECK(whole.interval().least == sum);
    CHECK(whole.interval().most == sum);
}

// KEYHOLE_TREE=FOLDER codebase_tests "[tree]": a tree of make_tree.py's, on an idle machine.
TEST_CASE("a large tree: rows, kinds and counts in time, and a cancel at any moment", "[.tree]") {
    const char* tree = std::getenv("KEYHOLE_TREE");
    REQUIRE(tree != nullptr);
    using Clock = std::chrono::steady_clock;
    const auto sources = sources_of({tree});
    ScanOptions options;
    double worst = 0;
    for (const int after : {1, 20, 60, 150, 400, 900, 1600, 2200, 2800, 3400}) {
        ScanProgress progress;
        bool cancelled = false;
        std::thread scanning(
            [&] { cancelled = scan(sources.front(), &tokenizer(), options, &progress).cancelled; });
        std::this_thread::sleep_for(std::chrono::milliseconds(after));
        const auto begin = Clock::now();
        progress.cancel = true;
        scanning.join();
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
        CHECK(cancelled);
        worst = std::max(worst, ms);
    }
    ScanProgress progress;
    progress.snapshot_files = 1'000'000;
    const ScanResult scanned = scan(sources.front(), &tokenizer(), options, &progress);
    const auto seconds = [](int64_t us) { return static_cast<double>(us) / 1e6; };
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf(
        "%zu files: rows %.3f s, classified %.2f s, counted %.2f s, worst cancel %.1f ms, peak %ld "
        "MB\n",
        scanned.files.size(), seconds(progress.first_rows_us), seconds(progress.classified_us),
        seconds(progress.counted_us), worst, usage.ru_maxrss / 1000);
    CHECK(worst <= 50);
    CHECK(seconds(progress.first_rows_us) <= 0.3);
    CHECK(seconds(progress.classified_us) <= 2);
    CHECK(seconds(progress.counted_us) <= 15);
    CHECK(usage.ru_maxrss <= 300'000);
}

TEST_CASE("the tree at the head is bounded") {
    std::vector<TreeLine> lines;
    for (int i = 0; i < 3000; i++) {
        char path[64];
        std::snprintf(path, sizeof path, "d%02d/e%02d/f%04d.c", i / 300, i / 30 % 10, i);
        lines.push_back({path, ""});
    }
    const std::string text = tree_text(lines);
    CHECK(std::count(text.begin(), text.end(), '\n') == 110);
    CHECK_THAT(text, ContainsSubstring("d00/\n  e00/ (30 files)\n"));
    CHECK(tree_text({{"a.c", ""}, {"b/c.c", "binary"}, {"b/d/e.c", ""}}) ==
          "a.c\nb/\n  c.c (binary)\n  d/\n    e.c\n");
    std::vector<TreeLine> flat(1000, {"x.c", ""});
    CHECK_THAT(tree_text(flat), ContainsSubstring("x.c\nand 600 more\n"));
}
