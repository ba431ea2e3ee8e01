// The desk of folders from a drop to a revision: what is read, chosen, sent, changed on disk,
// appended, and where the places that an answer names lead.
#include "app/window/pack_desk.h"

#include <chrono>
#include <thread>

#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app;
using namespace app::window;

namespace {

std::shared_ptr<const runtime::LoadedModel> nano() {
    auto model = std::make_shared<runtime::LoadedModel>();
    model->tokenizer = std::make_shared<runtime::Tokenizer>(
        runtime::vocabulary_of(*runtime::GgufFile::open(TESTS_DIR "/golden/model/nano-f32.gguf")));
    model->config.context_length = 200'000;
    return model;
}

struct DeskStage {
    AppState state;
    std::shared_ptr<const runtime::LoadedModel> model = nano();
    std::vector<std::string> banners;
    std::vector<int64_t> raised;
    PackDesk desk{{state,
                   model,
                   {},
                   {},
                   [this](Banner::Kind, const std::string& text) { banners.push_back(text); },
                   [] {},
                   [] {},
                   [this](int64_t tokens) { raised.push_back(tokens); }}};

    // The main thread's part, until what is waited for has happened.
    template <typename Condition>
    bool until(Condition condition) {
        for (int i = 0; i < 3000; i++) {
            desk.tick();
            if (condition()) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }

    void drop(const std::filesystem::path& path) {
        const size_t before = state.staged.size();
        desk.attach({path});
        REQUIRE(until([&] { return !desk.reading(); }));
        REQUIRE(state.staged.size() == before + 1);
    }
    void send() {
        Message message;
        message.attachments = std::move(state.staged);
        state.staged.clear();
        state.conversation.id = 1;
        state.conversation.messages.push_back(std::move(message));
    }
    std::vector<FoundLink> links_in(const std::string& text) {
        return state.links ? state.links(text) : std::vector<FoundLink>();
    }
};

}  // namespace

TEST_CASE("a sent folder that changes: one chip, a revision of that file alone, and its places") {
    tests::TempFolder temp;
    temp.write("p/a.c", "int one;\nint two;\n");
    temp.write("p/b.c", "int other;\n");
    DeskStage stage;
    stage.drop(temp.path() / "p");
    const int64_t whole = stage.state.staged[0].tokens;
    stage.send();
    REQUIRE(stage.until([&] { return !stage.links_in("a.c:2").empty(); }));
    CHECK(stage.state.changes.files == 0);

    // A place that an answer names opens the file as the model saw it.
    const std::string answer = "Look at a.c:2, and at a.c:9; c.c:1 is none.";
    const auto links = stage.links_in(answer);
    REQUIRE(links.size() == 2);
    CHECK(answer.substr(links[0].begin, links[0].end - links[0].begin) == "a.c:2");
    CHECK_FALSE(stage.desk.open("https://example.com/a.c:2"));
    REQUIRE(stage.desk.open(links[0].address));
    FileViewer& viewer = stage.state.viewer;
    CHECK(viewer.open);
    CHECK(viewer.path == "a.c");
    CHECK(viewer.line == 2);
    CHECK(viewer.lines == std::vector<std::string>{"int one;", "int two;"});
    CHECK(viewer.note.empty());
    REQUIRE(stage.desk.open(links[1].address));
    CHECK(viewer.note == "The model was shown no line 9 of this file");

    // It changes on disk: noticed without being asked, priced, and said where the file is opened.
    // In one step: a look between the cutting and the writing of a file would price an empty one.
    temp.write("next", "int one;\nint three;\nint four;\n");
    std::filesystem::rename(temp.path() / "next", temp.path() / "p/a.c");
    REQUIRE(stage.until([&] { return stage.state.changes.files == 1; }));
    const int64_t price = stage.state.changes.tokens;
    CHECK(price > 0);
    CHECK(price < whole);
    REQUIRE(stage.desk.open(links[0].address));
    CHECK(viewer.note == "The file has changed since the model saw it");
    CHECK(viewer.lines[1] == "int two;");

    stage.desk.append_changes();
    CHECK(stage.state.changes.files == 0);
    REQUIRE(stage.state.staged.size() == 1);
    const Attachment revision = stage.state.staged[0];
    CHECK(revision.tokens == price);
    CHECK(revision.tokens == stage.model->tokenizer->count(revision.text));
    CHECK(revision.text.str().find("replaces=") != std::string::npos);
    CHECK(revision.text.str().find("int three;") != std::string::npos);
    CHECK(revision.text.str().find("int other;") == std::string::npos);
    REQUIRE(revision.files.size() == 1);
    CHECK(revision.files[0].path == "a.c");

    // Sent, the new text is what places lead to, and nothing is offered again.
    stage.send();
    REQUIRE(stage.until([&] {
        const auto found = stage.links_in("a.c:3");
        return !found.empty() && !found[0].broken;
    }));
    REQUIRE(stage.desk.open("keyhole-file:a.c:3"));
    CHECK(viewer.lines == std::vector<std::string>{"int one;", "int three;", "int four;"});
    CHECK(viewer.note.empty());
    for (int i = 0; i < 60; i++) {
        stage.desk.tick();
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(stage.state.changes.files == 0);

    // A file that goes is told as well; ignored, it is not offered again.
    std::filesystem::remove(temp.path() / "p" / "b.c");
    REQUIRE(stage.until([&] { return stage.state.changes.files == 1; }));
    REQUIRE(stage.desk.open("keyhole-file:b.c:1"));
    CHECK(viewer.note == "The file is gone since the model saw it");
    stage.desk.ignore_changes();
    CHECK(stage.state.changes.files == 0);
}

TEST_CASE(
    "over the budget the picker opens, proposes a larger context, and asks for it only then") {
    tests::TempFolder temp;
    std::string code;
    for (int i = 0; i < 400; i++) {
        code += "int value_" + std::to_string(i) + ";\n";
    }
    temp.write("p/a.c", code);
    temp.write("p/t.env.txt", "DB_PASSWORD=k7Gp2xWq9ZtL4mVb\n");
    DeskStage stage;
    stage.state.context.limit = 2048;
    stage.state.context.reserve = 512;
    stage.state.memory.kv_cache.bytes_per_token = 1000;
    stage.state.memory.devices.resize(1);
    stage.state.memory.devices[0].free_bytes = int64_t{1} << 30;
    stage.drop(temp.path() / "p");
    PickerView& picker = stage.state.picker;
    REQUIRE(picker.open);
    REQUIRE(stage.until([&] { return !picker.working; }));
    REQUIRE(picker.tokens > picker.budget);
    REQUIRE_FALSE(picker.proposals.empty());
    const PickerProposal& raise = picker.proposals.back();
    CHECK(raise.text.starts_with("a context of "));
    CHECK(raise.fits);
    CHECK(stage.raised.empty());
    stage.desk.take_proposal(picker.proposals.size() - 1);
    REQUIRE(stage.raised.size() == 1);
    CHECK(stage.raised[0] >= stage.state.context.limit + picker.tokens - picker.budget);
    CHECK(stage.raised[0] < stage.state.context.limit + picker.tokens - picker.budget + 1024);

    // A secret: masked, shown in this pack alone, or the file is left out.
    REQUIRE(picker.files.size() == 2);
    CHECK(picker.files[1].found_secrets == 1);
    const auto text = [&] { return stage.state.staged[0].text.str(); };
    CHECK(text().find("k7Gp2xWq9ZtL4mVb") == std::string::npos);
    CHECK(text().find("DB_PASSWORD=") != std::string::npos);
    stage.desk.set_secrets({1}, PickerSecrets::allow);
    REQUIRE(stage.until([&] { return !picker.working; }));
    CHECK(text().find("k7Gp2xWq9ZtL4mVb") != std::string::npos);
    stage.desk.set_secrets({1}, PickerSecrets::leave_out);
    REQUIRE(stage.until([&] { return !picker.working; }));
    CHECK(text().find("DB_PASSWORD") == std::string::npos);
    CHECK(stage.state.staged[0].tokens == stage.model->tokenizer->count(text()));
}

TEST_CASE("a folder that is read: its files are there before it is done, then counted") {
    tests::TempFolder temp;
    for (int i = 0; i < 3000; i++) {
        temp.write("p/" + std::to_string(i % 50) + "/f" + std::to_string(i) + ".c",
                   "int f" + std::to_string(i) + "(void) { return " + std::to_string(i) + "; }\n");
    }
    DeskStage stage;
    stage.desk.attach({temp.path() / "p"});
    const PackingView& packing = stage.state.packing;
    REQUIRE(stage.until([&] { return packing.arriving != nullptr; }));
    CHECK(stage.desk.reading());
    CHECK(stage.state.staged.empty());
    const auto first = packing.arriving;
    CHECK(first->name == "p/");
    CHECK(first->files.size() >= 1);
    CHECK(first->files.size() <= 1000);
    CHECK(first->files[0].path.ends_with(".c"));
    REQUIRE(stage.until([&] { return !stage.desk.reading(); }));
    CHECK(packing.arriving == nullptr);
    REQUIRE(stage.state.staged.size() == 1);
    CHECK(stage.state.staged[0].files.size() == 3000);
}
