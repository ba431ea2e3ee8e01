// The picker: what a filter means, the rows of the tree, and that all of it works by keys.
#include "app/window/picker_view.h"
#include "app/window/uri_list.h"
#include "tests/app/window_stage.h"
#include "tests/support/catch.h"

using namespace app::window;

namespace {

struct Chosen : PickerActions {
    PickerView* view = nullptr;
    std::vector<std::string> calls;
    void open_picker(size_t) override {}
    void close_picker() override {
        view->open = false;
        calls.emplace_back("close");
    }
    void set_level(const std::vector<size_t>& files, PickerLevel level) override {
        std::string call = "level " + std::to_string(static_cast<int>(level));
        for (const size_t file : files) {
            view->files[file].level = level;
            call += " " + view->files[file].path;
        }
        calls.push_back(call);
        view->revision++;
    }
    void toggle_focus(size_t file) override { calls.push_back("focus " + view->files[file].path); }
    void set_secrets(const std::vector<size_t>& files, PickerSecrets what) override {
        for (const size_t file : files) {
            view->files[file].secrets = what;
            calls.push_back("secrets " + std::to_string(static_cast<int>(what)) + " " +
                            view->files[file].path);
        }
        view->revision++;
    }
    void take_proposal(size_t proposal) override {
        calls.push_back("proposal " + std::to_string(proposal));
    }
    void append_changes() override { calls.emplace_back("append"); }
    void ignore_changes() override { calls.emplace_back("ignore"); }
};

void fill(PickerView& view) {
    view.open = true;
    view.root = "p/";
    view.files = {{"a.md", "", 100, 40, 40, PickerLevel::full, true, false},
                  {"src/deep/x.cpp", "", 9000, 6000, 6000, PickerLevel::full, true, false},
                  {"src/y.cpp", "", 300, 100, 0, PickerLevel::name, true, false},
                  {"src/z.bin", "binary", 10, -1, 0, PickerLevel::name, false, false},
                  {"tests/t.cpp", "", 800, 300, 300, PickerLevel::full, true, false}};
    view.tokens = 6340;
    view.budget = 5000;
}

std::vector<std::string> paths(const PickerView& view) {
    std::vector<std::string> out;
    for (const PickerRow& row : picker_rows(view)) {
        out.push_back(row.path);
    }
    return out;
}

}  // namespace

TEST_CASE("a filter's words must all hold, and a minus takes back") {
    PickerView view;
    fill(view);
    const auto found = [&](const char* filter) {
        std::string out;
        for (const PickerFile& file : view.files) {
            out += filter_matches(filter, file) ? file.path + " " : "";
        }
        return out;
    };
    CHECK(found("*.cpp") == "src/deep/x.cpp src/y.cpp tests/t.cpp ");
    CHECK(found("*.CPP tokens>0.2k -tests") == "src/deep/x.cpp ");
    CHECK(found("src/*") == "src/deep/x.cpp src/y.cpp src/z.bin ");
    CHECK(found("tokens<101 -src") == "a.md ");
    CHECK(found("reason:bin") == "src/z.bin ");
    CHECK(found("?.md") == "a.md ");
    CHECK(found("  ") == found(""));
}

TEST_CASE("folders sum up what is below them, in three states; lists are sorted") {
    PickerView view;
    fill(view);
    CHECK(paths(view) == std::vector<std::string>{"a.md", "src/", "src/deep/", "src/deep/x.cpp",
                                                  "src/y.cpp", "src/z.bin", "tests/",
                                                  "tests/t.cpp"});
    const auto rows = picker_rows(view);
    CHECK(rows[1].tick == Tick::some);
    CHECK(rows[1].files == 3);
    CHECK(rows[1].tokens == 6000);
    CHECK(rows[2].tick == Tick::on);
    CHECK(rows[6].tick == Tick::on);
    CHECK(files_of(view, rows[1]) == std::vector<size_t>{1, 2});
    CHECK(level_after_tick(rows[1]) == PickerLevel::full);
    CHECK(level_after_tick(rows[6]) == PickerLevel::name);
    view.closed = {"src/"};
    CHECK(paths(view) == std::vector<std::string>{"a.md", "src/", "tests/", "tests/t.cpp"});
    CHECK(picker_rows(view)[1].tokens == 6000);
    view.sort = PickerSort::tokens;
    CHECK(paths(view).front() == "src/deep/x.cpp");
    CHECK(paths(view)[1] == "tests/t.cpp");
    view.filter.set("src");
    CHECK(paths(view).size() == 3);
    // Many files are no more work than a few.
    view.files.clear();
    for (int i = 0; i < 20'000; i++) {
        char path[40];
        std::snprintf(path, sizeof path, "d%03d/f%05d.c", i / 100, i);
        view.files.push_back({path, "", 10, i, i, PickerLevel::full, true, false});
    }
    view.filter.set("");
    view.largest = true;
    CHECK(paths(view).size() == 10);
    CHECK(paths(view).front() == "d199/f19999.c");
}

TEST_CASE("rows are made anew when something of them changed, and only then") {
    PickerView view;
    fill(view);
    const std::vector<PickerRow>& rows = current_rows(view);
    const size_t all = rows.size();
    const PickerRow* const first = rows.data();
    CHECK(all == picker_rows(view).size());
    CHECK(current_rows(view).data() == first);
    view.cursor = rows.back().path;  // nothing that rows depend on
    CHECK(current_rows(view).data() == first);
    view.filter.set("src");
    CHECK(current_rows(view).size() == picker_rows(view).size());
    CHECK(current_rows(view).size() < all);
    view.filter.set("");
    view.closed = {"src/"};
    CHECK(current_rows(view).size() == 4);
    view.closed.clear();
    view.sort = PickerSort::tokens;
    CHECK(current_rows(view).front().path == "src/deep/x.cpp");
    view.sort = PickerSort::path;
    view.largest = true;
    CHECK(current_rows(view).front().path == "src/deep/x.cpp");
    view.largest = false;
    view.files.pop_back();
    view.revision++;
    CHECK(current_rows(view).size() == picker_rows(view).size());
    CHECK(current_rows(view).size() < all);
}

TEST_CASE("the picker works by keys alone") {
    WindowStage stage;
    Chosen chosen;
    PickerView& view = stage.state.picker;
    fill(view);
    view.actions = &chosen;
    chosen.view = &view;
    view.proposals = {{"by name", 4000, true}};
    stage.frames(2);
    stage.press(ImGuiKey_DownArrow);
    CHECK(view.cursor == "src/");
    stage.press(ImGuiKey_Space);
    REQUIRE(chosen.calls == std::vector<std::string>{"level 0 src/deep/x.cpp src/y.cpp"});
    stage.press(ImGuiKey_Space);
    CHECK(chosen.calls.back() == "level 2 src/deep/x.cpp src/y.cpp");
    stage.press(ImGuiKey_LeftArrow);
    CHECK(view.closed.contains("src/"));
    stage.press(ImGuiKey_RightArrow);
    CHECK_FALSE(view.closed.contains("src/"));
    stage.press(ImGuiKey_End);
    CHECK(view.cursor == "tests/t.cpp");
    stage.type("o");
    CHECK(chosen.calls.back() == "level 1 tests/t.cpp");
    stage.type("n");
    CHECK(chosen.calls.back() == "level 2 tests/t.cpp");
    stage.type("f");
    CHECK(chosen.calls.back() == "level 0 tests/t.cpp");
    stage.type("b");
    CHECK(chosen.calls.back() == "focus tests/t.cpp");
    // What becomes of secrets: masked, left out, shown once. A file without any is not asked.
    const size_t asked = chosen.calls.size();
    stage.type("m");
    CHECK(chosen.calls.size() == asked);
    view.files[4].found_secrets = 2;
    for (const int what : {1, 2, 0}) {
        stage.type("m");
        CHECK(chosen.calls.back() == "secrets " + std::to_string(what) + " tests/t.cpp");
    }
    stage.press(ImGuiKey_LeftArrow);
    CHECK(view.cursor == "tests/");
    stage.type("s");
    CHECK(view.sort == PickerSort::tokens);
    stage.type("l");
    CHECK(view.largest);
    stage.type("l");
    const size_t calls = chosen.calls.size();
    stage.type("/");
    CHECK(view.filter_focused);
    stage.frames(2);
    stage.type("tests");
    stage.frames(2);
    CHECK(view.filter.text() == "tests");
    CHECK(chosen.calls.size() == calls);
    stage.press(ImGuiKey_Enter);
    CHECK_FALSE(view.filter_focused);
    stage.press(ImGuiKey_Escape);
    CHECK_FALSE(view.open);
    stage.frames(2);
    // The rest of the window is there again, and what is dragged lies over it.
    stage.state.drag = {true, false, "x/", 3, 100, 10, 10, 20, ""};
    stage.state.context = {true, 65'536, 148, 0, 0, 0, 4096};
    stage.frames(2);
    stage.state.drag = {true, true, "x/", 0, 0, 0, 0, 0, "is your home folder"};
    stage.frames(2);
    stage.state.drag = {};
    stage.state.viewer = {true, "a.c", "changed", {"one", "two"}, 1, 2, true};
    stage.frames(2);
    stage.press(ImGuiKey_Escape);
    CHECK_FALSE(stage.state.viewer.open);
}

TEST_CASE("what a file manager hands over: local files, decoded, and nothing else") {
    CHECK(paths_from_uri_list("file:///a%20b/c\r\n# comment\r\nhttp://x/y\r\n"
                              "file://localhost/d\nfile://elsewhere.example/e\nfile:///f%00g\n"
                              "file:///h%2\nfile://\n/plain\nfile:///\xE4\xB8\xAD") ==
          std::vector<std::string>{"/a b/c", "/d", "/\xE4\xB8\xAD"});
    std::string many;
    for (int i = 0; i < 20'000; i++) {
        many += "file:///x\r\n";
    }
    CHECK(paths_from_uri_list(many).size() == kMaxDraggedPaths);
}
