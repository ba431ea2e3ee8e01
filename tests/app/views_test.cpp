// All views, in an ImGui context without a window: every state that a person can see, at many
// sizes.
#include <imgui.h>

#include "app/window/app_state.h"
#include "app/window/attachment_words.h"
#include "app/window/compat.h"
#include "app/window/typed_text.h"
#include "tests/app/window_stage.h"
#include "tests/support/catch.h"

using namespace app;
using namespace app::window;

namespace {

void load(AppState& state) {
    state.model = {
        ModelView::State::ready, "Keyhole demo", "Q8_0", "/m/demo.gguf", true, 11'000'000, 1, ""};
    state.device = "CPU, 8 threads";
    state.server = {"127.0.0.1:8080", 2};
    state.memory.loaded = true;
    state.memory.ctx_size = 8192;
    state.memory.devices = {{"CPU", 16'000'000'000, 11'000'000, 2'000'000, 4'000'000, 100'000'000,
                             30'000'000, 6'000'000'000, 9'953'000'000}};
    state.memory.kv_cache = {"f16", 1152, 64, 27, 3, 10, 54, 1400, 2'000'000, 0, 1'777'777};
    state.context = {true, 8192, 3, 5000, 900, 17, 2048};
    state.prefix_cached = 0.987;
}

void converse(AppState& state) {
    Message user;
    user.content =
        "After a cancelled request the used pages never go back to zero. Where is the reference "
        "lost?";
    user.attachments.push_back(
        {"keyhole/",
         "text",
         31'204,
         {{"runtime/engine.cpp", "", 3912, true}, {"assets/demo.gguf", "binary", 0, false}}});
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.reasoning = "so the sequence is erased\nbefore its partial page is released";
    answer.content =
        "## Cause\n\nThe leak is in `release`:\n\n```cpp\nvoid f(int x) {\n    return; // "
        "why\n}\n```\n\n| a | b |\n|---|---|\n| 1 | [x](http://y) |\n\n"
        "- one\n- two with **bold** and a "
        "verylongwordthatneverendsandgoesonandonandonandonandonandonandonandonandonandonandonandona"
        "ndonandon\n\n> quoted\n\n---\n\n"
        "\xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80 \xFF broken";
    answer.tool_calls = {{"", "search", {{"query", "partial page"}}}};
    answer.stats = {41'670, 41'158, 300, 60, 410, 2024, 6200};
    state.conversation.id = 1;
    state.conversation.messages = {user, answer, user, answer};
    state.conversation_generation++;
    state.conversations = {{1, "Why does the page table leak?", state.now, 41'700},
                           {2, "Older", state.now - 90'000, 0},
                           {3, "Oldest", state.now - 9'000'000, 5}};
    state.utc_offset = 3600;
}

}  // namespace

TEST_CASE("what is attached says what is read of it, and no folder has 0 files") {
    CHECK(attachment_words({"a/", "x", 3'456, {{"a", "", 1, true}, {"b", "binary", 0, false}}}) ==
          "1 file \u00B7 3,456 tokens");
    CHECK(attachment_words({"a/", "x", 40, {{"a", "by hand", 1, false}, {"b", "", 0, false}}}) ==
          "2 names \u00B7 40 tokens");
    CHECK(attachment_words({"imported", "x", 1, {}}) == "1 token");
    Attachment out{"a/", "x", 5, {{"a", "", 5, true}}};
    out.left_out = true;
    CHECK(attachment_words(out) == "1 file \u00B7 5 tokens, no longer read by the model");
    PackingView packing{true, "a/", 0, 0};
    CHECK(reading_words(packing) == "reading");
    packing.found = 498;
    CHECK(reading_words(packing) == "reading \u00B7 498 files");
    packing.files = 120;
    CHECK(reading_words(packing) == "reading \u00B7 120 of 498 files");
    packing.files = 498;
    CHECK(reading_words(packing) == "reading \u00B7 498 files");
}

TEST_CASE("typed characters beyond ImGui's 16 bits arrive whole and in order") {
    WindowStage stage;
    stage.state.model.state = ModelView::State::ready;
    stage.frames(2);
    ImGuiIO& io = ImGui::GetIO();
    const auto type = [&](std::initializer_list<uint32_t> characters) {
        for (const uint32_t c : characters) {
            note_typed(c);
            io.AddInputCharacter(c);
        }
        stage.frame();
        forget_typed();
    };
    type({'a', 0x1F600, 0xFFFD, 'b', 0x20000});
    CHECK(stage.state.draft.text() == "a\U0001F600\uFFFDb\U00020000");
    type({'c', 7, 127});
    CHECK(stage.state.draft.text() == "a\U0001F600\uFFFDb\U00020000c");
}

TEST_CASE("every state is drawn at every size and scale") {
    for (const float scale : {1.0F, 1.5F, 2.0F}) {
        WindowStage stage(scale);
        for (const ImVec2 size : {ImVec2(640, 480), ImVec2(480, 360), ImVec2(1024, 768),
                                  ImVec2(1440, 900), ImVec2(2560, 1440)}) {
            CAPTURE(scale, size.x, size.y);
            ImGui::GetIO().DisplaySize = size;
            AppState& state = stage.state;
            const auto fresh = [&] {
                Fonts fonts = state.fonts;
                state = AppState();
                state.fonts = fonts;
                state.actions = &stage.actions;
                state.chat.actions = &stage.chat_actions;
                state.now = 1'790'000'000;
                state.demo_hint = "get a GGUF";
            };
            fresh();
            stage.frames(2);  // nothing loaded, nothing said
            state.model.state = ModelView::State::loading;
            state.model.loading_name = "GLM-4.7-Flash-Q4_K_M.gguf";
            state.model.load_progress = 0.4;
            stage.frames(2);
            state.model.state = ModelView::State::failed;
            state.banners = {
                {1, Banner::Kind::error,
                 "model.gguf: tensor blk.0.attn_q.weight has type IQ2_XXS, which is not supported",
                 0},
                {2, Banner::Kind::warning, "careful", 0},
                {3, Banner::Kind::info, "Deleted", 7},
                {4, Banner::Kind::info, "not shown", 0}};
            stage.frames(2);
            fresh();
            load(state);
            stage.frames(3);  // the welcome
            converse(state);
            stage.frames(3);
            state.layouts[1].thinking_open = true;
            stage.frames(2);
            state.sidebar_overlay = true;
            state.staged = {
                {"src/",
                 "x",
                 120'000,
                 {{"a/very/long/path/that/does/not/fit/in/the/panel/at/all.cpp", "", 5, true}}},
                {"one.txt", "x", 3, {}}};
            state.packing = {true, "more/", 12, 3456};
            OverflowView overflow;
            overflow.report = {true, 70'112, 4096, 65'536, {}};
            overflow.report.choices.resize(2);
            overflow.report.choices[1].kind = OverflowChoice::Kind::raise_limit;
            overflow.report.choices[1].limit = 75'776;
            state.chat.overflow = overflow;
            state.attach_open = true;
            state.draft.set("several words that wrap " + std::string(3000, 'w') + "\nand lines");
            state.context.draft = 70'000;
            stage.frames(3);
            state.generation.phase = GenerationView::Phase::reading;
            state.generation.prompt_done = 512;
            state.generation.prompt_total = 4096;
            state.conversation.messages.back().state = MessageState::streaming;
            state.conversation.messages.back().content.clear();
            stage.frames(2);
            state.generation.phase = GenerationView::Phase::writing;
            state.generation.thinking = true;
            stage.frames(2);
            state.generation.thinking = false;
            for (int i = 0; i < 20; i++) {
                state.conversation.messages.back().content +=
                    "word **and** \n\n```\ncode " + std::to_string(i);
                state.conversation.messages.back().revision++;
                stage.frame();
            }
            state.generation = {};
            state.conversation.messages.back().state = MessageState::failed;
            state.conversation.messages.back().error = "The engine stopped.";
            stage.frames(2);
        }
    }
}

TEST_CASE("writing and sending: Enter sends, Shift+Enter does not, Escape stops") {
    WindowStage stage;
    load(stage.state);
    stage.frames(2);
    stage.type("hello \xC3\xA9");
    CHECK(stage.state.draft.text() == "hello \xC3\xA9");
    CHECK(stage.actions.has("draft_changed"));
    stage.hold_shift(true);
    stage.press(ImGuiKey_Enter);
    CHECK(stage.state.draft.text() == "hello \xC3\xA9\n");
    CHECK_FALSE(stage.actions.has("send"));
    stage.hold_shift(false);
    stage.press(ImGuiKey_Enter);
    CHECK(stage.actions.has("send"));
    stage.state.generation.phase = GenerationView::Phase::writing;
    stage.press(ImGuiKey_Escape);
    CHECK(stage.actions.has("stop"));
    // Nothing to send: nothing is sent.
    stage.actions.calls.clear();
    stage.state.generation = {};
    stage.state.draft.clear();
    stage.press(ImGuiKey_Enter);
    CHECK_FALSE(stage.actions.has("send"));
}

TEST_CASE("the sidebar, the model chip, a banner and a question of the welcome answer to clicks") {
    WindowStage stage;
    AppState& state = stage.state;
    load(state);
    stage.frames(2);
    stage.click(120, 70);
    CHECK(stage.actions.has("new_conversation"));
    stage.click(150, 20);
    CHECK(state.page == Page::models);
    stage.click(150, 20);
    CHECK(state.page == Page::chat);
    stage.click(20, 20);
    CHECK(stage.actions.has("toggle_sidebar"));
    converse(state);
    stage.frames(2);
    stage.click(100, 165);
    CHECK(stage.actions.has("select 1"));
}

TEST_CASE("a question is edited, deleted and its versions are switched from the line under it") {
    WindowStage stage;
    load(stage.state);
    converse(stage.state);
    Message& user = stage.state.conversation.messages[0];
    user.attachments.clear();
    user.content = "One line.";
    user.id = 7;
    user.branch = 1;
    user.branches = 3;
    stage.settle();
    // Every word of the line, wherever the fonts put it.
    for (float x = 1224; x > 900; x -= 8) {
        stage.click(x, 118);
    }
    CHECK(stage.chat_actions.has("edit 0"));
    CHECK(stage.chat_actions.has("delete 0"));
    CHECK(stage.chat_actions.has("branch 0 1"));
}

TEST_CASE("each choice of the overflow card is a click") {
    WindowStage stage;
    load(stage.state);
    converse(stage.state);
    OverflowView overflow;
    overflow.report = {true, 70'112, 4096, 65'536, {}};
    overflow.report.choices.resize(3);
    stage.state.chat.overflow = overflow;
    stage.frames(3);
    for (float y = 200; y < 800; y += 10) {
        stage.click(500, y);
    }
    for (const char* call : {"choose 0", "choose 1", "choose 2"}) {
        CAPTURE(call);
        CHECK(stage.chat_actions.has(call));
    }
}
