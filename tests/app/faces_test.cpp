// Other faces while the window goes on, and long copies: what would hold up a frame is done
// elsewhere.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "app/window/chat_parts.h"
#include "app/window/face_builder.h"
#include "app/window/widgets.h"
#include "tests/app/window_stage.h"
#include "tests/support/thread_time.h"

namespace {

void show_answer(WindowStage& stage, const std::string& text) {
    Message message;
    message.role = runtime::Role::assistant;
    message.content = text;
    stage.state.model.state = ModelView::State::ready;
    stage.state.conversation.messages = {message};
    stage.state.conversation_generation++;
    stage.frames(3);
}

void copy_all(WindowStage& stage) {
    select_all(stage.state);
    stage.frame();
    stage.hold_ctrl(true);
    stage.press(ImGuiKey_C);
    stage.hold_ctrl(false);
}

}  // namespace

TEST_CASE(
    "zoom: the old faces are drawn until the new ones are there, and no frame waits for them") {
    WindowStage stage;
    AppState& state = stage.state;
    show_answer(stage, "Some *words* in `several` **faces**.");
    std::atomic<int> wakes = 0;
    FaceBuilder faces([&] { wakes++; });
    CHECK_FALSE(faces.take(state.fonts));
    const Fonts before = state.fonts;
    double direct = 0;  // what a frame would wait for
    {
        ImFontAtlas atlas;
        Fonts made;
        const double began = thread_ms();
        fill_atlas(atlas, made, 1.6F, {});
        direct = thread_ms() - began;
    }
    // Three steps in a row: what was asked for last comes.
    const double began = thread_ms();
    for (const float scale : {1.2F, 1.4F, 1.6F}) {
        faces.ask(scale, {});
    }
    const double asking = thread_ms() - began;
    CHECK(faces.busy());
    int frames = 0;
    double taking = 0;
    for (; faces.busy() && frames < 10'000; frames++) {
        REQUIRE(state.fonts.body == before.body);
        REQUIRE(state.fonts.scale == 1);
        stage.frame();
        const double looked = thread_ms();
        const bool taken = faces.take(state.fonts);
        taking = thread_ms() - looked;
        REQUIRE(taken == !faces.busy());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::printf(
        "faces at 1.6: %.1f ms of the worker's; the window drew %d frames meanwhile, asked in %.2f "
        "and took them in %.2f ms\n",
        direct, frames, asking, taking);
    REQUIRE_FALSE(faces.busy());
    CHECK(frames > 1);
    CHECK(wakes >= 1);
    CHECK(asking + taking < direct / 2);
    CHECK(state.fonts.scale == 1.6F);
    CHECK(state.fonts.generation == before.generation + 1);
    CHECK(font_size(state.fonts.body) == 24);
    CHECK(ImGui::GetIO().FontDefault == state.fonts.body);
    apply_style(state.fonts.scale);
    stage.frames(2);
    CHECK_FALSE(faces.take(state.fonts));
    // What nobody waits for any more is given up without harm.
    faces.ask(1, {});
}

TEST_CASE("a selection of megabytes is put together off the main thread, as it was when copied") {
    struct Later : Recorder {
        std::function<std::string()> make;
        void copy_made(std::function<std::string()> how) override { make = std::move(how); }
    } later;
    WindowStage stage;
    AppState& state = stage.state;
    state.actions = &later;
    std::string text, wanted;
    while (text.size() < 2'000'000) {
        text += "Some **bold** words.\n\n";
        wanted += wanted.empty() ? "Some bold words." : "\n\nSome bold words.";
    }
    show_answer(stage, text);
    const double began = thread_ms();
    copy_all(stage);
    const double pressed = thread_ms() - began;
    REQUIRE(later.make);
    CHECK(just_copied(state, "selection"));
    state.conversation.messages.clear();
    state.conversation_generation++;
    std::string made;
    double making = 0;
    std::thread([&] {
        const double start = thread_ms();
        made = later.make();
        making = thread_ms() - start;
    }).join();
    CHECK(made == wanted);
    std::printf("2 MB copied: %.2f ms of four frames, elsewhere %.1f ms\n", pressed, making);
    // A short one is there at once.
    later.make = nullptr;
    show_answer(stage, "Some **bold** words.");
    copy_all(stage);
    CHECK_FALSE(later.make);
    CHECK(later.has("copy Some bold words."));
}
