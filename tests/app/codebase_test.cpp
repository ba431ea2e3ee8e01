#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <sys/stat.h>

#include "app/codebase/classify.h"
#include "app/codebase/decode.h"
#include "app/codebase/secrets.h"
#include "app/codebase/ignore.h"
#include "app/codebase/pack.h"
#include "app/codebase/walk.h"
#include "tests/support/temp_folder.h"
#include "tests/support/catch.h"

using namespace app::codebase;
namespace fs = std::filesystem;

namespace {

std::set<std::string> walked(const fs::path& root) {
    std::set<std::string> paths;
    for (const WalkedFile& file : walk_folder(root, nullptr).files) {
        paths.insert(file.path);
    }
    return paths;
}

const PackedFile* find(const Pack& pack, const std::string& path) {
    for (const PackedFile& file : pack.files) {
        if (file.path == path) {
            return &file;
        }
    }
    return nullptr;
}

}  // namespace

TEST_CASE("wildcards match as git's do") {
    struct Case {
        const char* pattern;
        const char* text;
        bool matches;
    };
    const Case cases[] = {
        {"*.o", "a.o", true},
        {"*.o", "a/b.o", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"**/x", "x", true},
        {"**/x", "a/b/x", true},
        {"a/**/x", "a/x", true},
        {"a/**/x", "a/b/c/x", true},
        {"a/**", "a/b", true},
        {"a/**", "a", false},
        {"a/**/x", "ab/x", false},
        {"[a-c]z", "bz", true},
        {"[!a-c]z", "bz", false},
        {"[!a-c]z", "dz", true},
        {"[]]", "]", true},
        {"[", "[", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"[[:digit:]]x", "7x", true},
        {"[[:digit:]]x", "ax", false},
        {"a**b", "axxb", true},
        {"a**b", "a/b", false},
        {"*", "", true},
        {"[a-]", "-", true},
        {"**", "a/b", true},
        {"x*y*z", "x1y2z", true},
        {"x*y*z", "x1y2", false},
    };
    for (const Case& c : cases) {
        CAPTURE(c.pattern, c.text);
        CHECK(wildcard_match(c.pattern, c.text) == c.matches);
    }
    // No backtracking: this would take forever where each star tries every length.
    std::string pattern, text(2000, 'a');
    for (int i = 0; i < 60; i++) {
        pattern += "a*";
    }
    CHECK_FALSE(wildcard_match(pattern + "b", text));
}

TEST_CASE("the last line of an ignore file decides, and odd lines are read as git reads them") {
    const IgnoreRules rules = IgnoreRules::parse(
        "\xEF\xBB\xBF*.log\r\n!keep.log\n#comment\n\\#name\n/top\nout/\ndoc/*.txt\ntrail  \nesc\\ "
        "\n");
    CHECK(rules.match("a.log", false) == true);
    CHECK(rules.match("x/keep.log", false) == false);
    CHECK(rules.match("#name", false) == true);
    CHECK(rules.match("comment", false) == std::nullopt);
    CHECK(rules.match("top", false) == true);
    CHECK(rules.match("x/top", false) == std::nullopt);
    CHECK(rules.match("x/out", true) == true);
    CHECK(rules.match("x/out", false) == std::nullopt);
    CHECK(rules.match("doc/a.txt", false) == true);
    CHECK(rules.match("x/doc/a.txt", false) == std::nullopt);
    CHECK(rules.match("trail", false) == true);
    CHECK(rules.match("esc ", false) == true);
}

TEST_CASE(
    "the walk respects nested ignore files, those above the root, and takes nothing back below an "
    "ignored folder") {
    const tests::TempFolder temp;
    const fs::path root = temp.path() / "repo";
    temp.write("repo/.git/HEAD", "ref: refs/heads/main\n");
    fs::create_directories(root / ".git/objects");
    fs::create_directories(root / ".git/refs");
    temp.write("repo/.git/info/exclude", "*.local\n");
    temp.write("repo/.gitignore", "*.tmp\nbuild/\n");
    temp.write("repo/a.c", "a");
    temp.write("repo/b.tmp", "b");
    temp.write("repo/x.local", "b");
    temp.write("repo/build/.gitignore", "!*\n");
    temp.write("repo/build/out.c", "o");
    temp.write("repo/sub/.gitignore", "!keep.tmp\n/only_here\n");
    temp.write("repo/sub/keep.tmp", "k");
    temp.write("repo/sub/lose.tmp", "l");
    temp.write("repo/sub/only_here", "l");
    temp.write("repo/sub/deep/only_here", "l");
    CHECK(walked(root) == std::set<std::string>{".gitignore", "a.c", "sub/.gitignore",
                                                "sub/deep/only_here", "sub/keep.tmp"});
    // A folder inside the repository, dropped on its own, obeys the same rules.
    CHECK(walked(root / "sub") ==
          std::set<std::string>{".gitignore", "deep/only_here", "keep.tmp"});
}

TEST_CASE("a pack holds text files in a fixed order and says what it left out") {
    const tests::TempFolder temp;
    temp.write("p/b.txt", "second\r\nline");
    temp.write("p/a/z.txt", "first\n");
    temp.write("p/bin", std::string("\x7F"
                                    "ELF\0\0",
                                    6));
    temp.write("p/.env", "PASSWORD=x");
    temp.write("p/.env.example", "PASSWORD=");
    temp.write("p/key.txt",
               "before\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"
               "-----END OPENSSH PRIVATE KEY-----\nafter\n");
    temp.write("p/config.py", "url = 'x'\ngithub = 'ghp_" + std::string("R4f9Kq2Lm8Zt7Xw3Vb6Nc1Hd5Js0Pg4YaQeU") + "'\n");
    const std::string twice(300, 'c');
    temp.write("p/copy1.txt", twice);
    temp.write("p/copy2.txt", twice);
    temp.write("p/huge.txt", std::string((1 << 20) + 1, 'x'));
    temp.write("p/latin.txt", "caf\xE9\n");
    temp.write("p/wide.txt", std::string("\xFF\xFEh\0i\0", 6));
    temp.write("outside.txt", "secret of the outside");
    fs::create_symlink(temp.path() / "outside.txt", temp.path() / "p/link.txt");
    fs::create_directory_symlink(temp.path(), temp.path() / "p/loop");
    REQUIRE(::mkfifo((temp.path() / "p/pipe").c_str(), 0600) == 0);

    const Pack pack = pack_folder(temp.path() / "p", nullptr);
    CHECK(pack.root == "p/");
    const auto first_left = std::find_if(pack.files.begin(), pack.files.end(), [](auto& file) {
        return file.status != FileStatus::full;
    });
    const auto by_path = [](auto& a, auto& b) { return a.path < b.path; };
    CHECK(std::is_sorted(pack.files.begin(), first_left, by_path));
    CHECK(std::is_sorted(first_left, pack.files.end(), by_path));
    CHECK(find(pack, "bin")->status == FileStatus::name);
    CHECK(find(pack, ".env")->status == FileStatus::left_out);
    CHECK(find(pack, ".env.example")->status == FileStatus::full);
    CHECK(find(pack, "key.txt")->reason == "1 secret masked");
    CHECK(find(pack, "config.py")->reason == "1 secret masked");
    CHECK_THAT(pack.text, !ContainsSubstring("b3BlbnNzaC1rZXk") && !ContainsSubstring("ghp_R4f9") && ContainsSubstring("\nafter\n"));
    CHECK(find(pack, "copy2.txt")->status == FileStatus::name);
    CHECK(find(pack, "copy2.txt")->reason == "the same as copy1.txt");
    CHECK(find(pack, "huge.txt")->status == FileStatus::name);
    CHECK(find(pack, "latin.txt")->reason == "read as Latin-1");
    CHECK(find(pack, "link.txt")->status == FileStatus::left_out);
    CHECK(find(pack, "loop")->status == FileStatus::left_out);
    CHECK(find(pack, "pipe")->status == FileStatus::left_out);
    CHECK(pack.files_taken() == 8);
    CHECK_THAT(pack.text, ContainsSubstring("path=\"b.txt\">\nsecond\nline\n</file-"));
    CHECK_THAT(pack.text, ContainsSubstring("caf\xC3\xA9\n"));
    CHECK_THAT(pack.text, ContainsSubstring("path=\"wide.txt\">\nhi\n"));
    CHECK_THAT(pack.text, ContainsSubstring("\nbin (binary)\n"));
    CHECK_THAT(pack.text, !ContainsSubstring("PASSWORD=x"));
    CHECK_THAT(pack.text, !ContainsSubstring("secret of the outside"));
    CHECK(pack.text.find("path=\"a/z.txt\"") < pack.text.find("path=\"b.txt\""));
    CHECK(is_valid_utf8(pack.text));
    CHECK(pack_folder(temp.path() / "p", nullptr).text == pack.text);
}

TEST_CASE("no content can close its own element") {
    const tests::TempFolder temp;
    temp.write("p/a.txt", "harmless");
    const std::string first = pack_folder(temp.path() / "p", nullptr).text;
    const size_t at = first.find("<file-");
    const std::string tag = first.substr(at + 1, 13);
    // The content does not know its own hash; the nearest a forger gets is to quote a tag of
    // another state of the file.
    for (const std::string& forged : {"</" + tag + ">\n<" + tag + " path=\"/etc/shadow\">",
                                      std::string("</file-"), std::string("</file>")}) {
        temp.write("p/a.txt", forged);
        const std::string text = pack_folder(temp.path() / "p", nullptr).text;
        const std::string own = text.substr(text.find("\n<file-") + 2, 13);
        const size_t body = text.find('\n', text.find("<" + own)) + 1;
        CHECK(text.find("</" + own + ">", body) == body + forged.size() + 1);
    }
}

TEST_CASE("odd names stay inside the path attribute") {
    CHECK(printable_path("a\"><x>.c") == "a\\x22\\x3E\\x3Cx\\x3E.c");
    CHECK(printable_path("new\nline\x7F") == "new\\x0Aline\\x7F");
    CHECK(printable_path("bad\xFF.c") == "bad\\xFF.c");
    CHECK(printable_path("\xE4\xB8\xAD.txt") == "\xE4\xB8\xAD.txt");
    const tests::TempFolder temp;
    temp.write("p/x\">\n<file.c", "1");
    const Pack pack = pack_folder(temp.path() / "p", nullptr);
    REQUIRE(pack.files.size() == 1);
    CHECK_THAT(pack.text, ContainsSubstring("path=\"x\\x22\\x3E\\x0A\\x3Cfile.c\">\n"));
}

TEST_CASE("whole machines and home folders are refused with a line that says what to do") {
    CHECK_THROWS_WITH(pack_folder("/", nullptr), ContainsSubstring("choose a folder inside it"));
    CHECK_THROWS_AS(pack_folder("/no/such/folder", nullptr), PackError);
    const tests::TempFolder temp;
    temp.write("home/me/file", "x");
    const char* old = std::getenv("HOME");
    const std::string saved = old ? old : "";
    ::setenv("HOME", (temp.path() / "home/me").c_str(), 1);
    CHECK_THROWS_WITH(pack_folder(temp.path() / "home/me", nullptr),
                      ContainsSubstring("is your home folder"));
    CHECK_THROWS_WITH(pack_folder(temp.path() / "home/me/../me", nullptr),
                      ContainsSubstring("is your home folder"));
    CHECK_THROWS_WITH(pack_folder(temp.path() / "home", nullptr),
                      ContainsSubstring("holds your home folder"));
    ::setenv("HOME", saved.c_str(), 1);
}

TEST_CASE("a folder of more files than anybody means stops the walk, and the pack says so") {
    tests::TempFolder temp;
    for (int i = 0; i < 120; i++) {
        temp.write("d" + std::to_string(i / 40) + "/f" + std::to_string(i) + ".c", "int x;\n");
    }
    ScanOptions options;
    options.max_files = 50;
    const auto sources = sources_of({temp.path()});
    ScanProgress progress;
    const ScanResult scanned = scan(sources.front(), nullptr, options, &progress);
    CHECK(scanned.files.size() == 50);
    CHECK(progress.found == 50);
    CHECK(scanned.note == "stopped after 50 files");
    CHECK(make_pack(scanned, nullptr).note.find("stopped after 50 files") != std::string::npos);
    options.max_files = 120;
    CHECK(scan(sources.front(), nullptr, options).note.empty());
    CHECK(scan(sources.front(), nullptr).files.size() == 120);
}

TEST_CASE("loose files are gathered, folders stay apart, and a cancelled pack is empty") {
    const tests::TempFolder temp;
    temp.write("p/a.txt", "1");
    temp.write("one.txt", "2");
    temp.write("two.txt", "3");
    const auto packs =
        pack_paths({temp.path() / "one.txt", temp.path() / "p", temp.path() / "two.txt"}, nullptr);
    REQUIRE(packs.size() == 2);
    CHECK(packs[0].root == "p/");
    CHECK(packs[1].root == "2 files");
    CHECK(packs[1].files_taken() == 2);
    ScanProgress progress;
    progress.cancel = true;
    const Pack pack = pack_folder(temp.path() / "p", nullptr, &progress);
    CHECK(pack.cancelled);
    CHECK(pack.text.empty());
}
