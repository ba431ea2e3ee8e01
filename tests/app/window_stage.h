// A window without a window: an ImGui context, the real fonts, views drawn into lists that nobody
// shows; the pointer and the keyboard are fed by the test.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <imgui.h>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/glyph_cache.h"
#include "tests/support/catch.h"

using namespace app;
using namespace app::window;

struct Recorder : Actions {
    std::vector<std::string> calls;
    void note(const std::string& call) { calls.push_back(call); }
    bool has(const std::string& call) const {
        return std::find(calls.begin(), calls.end(), call) != calls.end();
    }
    void send() override { note("send"); }
    void stop() override { note("stop"); }
    void toggle_thinking() override { note("toggle_thinking"); }
    void draft_changed() override { note("draft_changed"); }
    void new_conversation() override { note("new_conversation"); }
    std::function<void()> on_select;
    void select_conversation(int64_t id) override {
        note("select " + std::to_string(id));
        if (on_select) {
            on_select();
        }
    }
    void rename_conversation(int64_t, const std::string&) override { note("rename"); }
    void remove_conversation(int64_t) override { note("remove"); }
    void attach(const std::vector<std::string>&) override { note("attach"); }
    void cancel_attach() override { note("cancel_attach"); }
    void remove_attachment(size_t) override { note("remove_attachment"); }
    void load_model(const std::string& path) override { note("load " + path); }
    void cancel_load() override { note("cancel_load"); }
    void copy(const std::string& text) override { note("copy " + text); }
    void open_link(const std::string& address) override { note("link " + address); }
    void dismiss_banner(uint64_t id) override { note("dismiss " + std::to_string(id)); }
    void toggle_sidebar() override { note("toggle_sidebar"); }
    void zoom(int) override { note("zoom"); }
};

struct ChatRecorder : ChatActions {
    std::vector<std::string> calls;
    void note(const std::string& call) { calls.push_back(call); }
    bool has(const std::string& call) const {
        return std::find(calls.begin(), calls.end(), call) != calls.end();
    }
    void regenerate(size_t index) override { note("regenerate " + std::to_string(index)); }
    void continue_answer() override { note("continue"); }
    void begin_edit(size_t index) override { note("edit " + std::to_string(index)); }
    void cancel_edit() override { note("cancel_edit"); }
    void switch_branch(size_t index, int step) override {
        note("branch " + std::to_string(index) + " " + std::to_string(step));
    }
    void delete_turn(size_t index) override { note("delete " + std::to_string(index)); }
    void undo(uint64_t id) override { note("undo " + std::to_string(id)); }
    void choose_overflow(size_t choice) override { note("choose " + std::to_string(choice)); }
    void cancel_overflow() override { note("cancel_overflow"); }
    void show_all_to_model() override { note("show_all"); }
    void attach_text(const std::string& text) override {
        note("attach_text " + std::to_string(text.size()));
    }
    void recall(int step) override { note("recall " + std::to_string(step)); }
    void search_changed() override { note("search"); }
    void open_hit(size_t index) override { note("hit " + std::to_string(index)); }
    void open_trash(bool open) override { note(open ? "open_trash" : "close_trash"); }
    void set_pinned(const Ids& ids, bool pinned) override {
        note((pinned ? "pin " : "unpin ") + text_of(ids));
    }
    void move_to_folder(const Ids& ids, int64_t folder) override {
        note("move " + text_of(ids) + "to " + std::to_string(folder));
    }
    void add_folder(const std::string& name, const Ids&) override { note("folder " + name); }
    void rename_folder(int64_t, const std::string& name) override { note("name " + name); }
    void remove_folder(int64_t folder) override { note("unfolder " + std::to_string(folder)); }
    void remove(const Ids& ids) override { note("remove " + text_of(ids)); }
    void restore(const Ids& ids) override { note("restore " + text_of(ids)); }
    void erase(const Ids& ids) override { note("erase " + text_of(ids)); }
    void export_to_file(const Ids& ids, ExportFormat) override { note("export " + text_of(ids)); }
    void copy_as_markdown(int64_t id) override { note("markdown " + std::to_string(id)); }
    void import_file(const std::string& path) override { note("import " + path); }
    static std::string text_of(const Ids& ids) {
        std::string text;
        for (const int64_t id : ids) {
            text += std::to_string(id) + " ";
        }
        return text;
    }
};

// Textures that nobody draws with.
struct CountedTextures : GlyphTextures {
    uint64_t made = 0;
    size_t updates = 0;
    uint64_t create(int) override { return ++made; }
    void update(uint64_t, int, int, int, int, const uint32_t*) override { updates++; }
    void destroy(uint64_t) override {}
};

// One context with the real fonts; frames are laid out and thrown away.
class WindowStage {
public:
    explicit WindowStage(float scale = 1) : glyphs(textures, [] {}) {
        ImGui::CreateContext();
        ImGuiIO& io = ImGui::GetIO();
        io.IniFilename = nullptr;
        io.DeltaTime = 1.0F / 60;
        io.DisplaySize = {1440, 900};
        prepare_test_keys(io);
        build_fonts(state.fonts, scale);
        apply_style(scale);
        state.actions = &actions;
        state.chat.actions = &chat_actions;
        state.now = 1'790'000'000;
        state.demo_hint = "get a GGUF and name it";
    }
    ~WindowStage() {
        ImGui::DestroyContext();
    }

    void frame() {
        ImGui::NewFrame();
        draw_window(state);
        ImGui::Render();
        REQUIRE(ImGui::GetDrawData()->Valid);
    }
    void frames(int count) {
        for (int i = 0; i < count; i++) {
            frame();
        }
    }
    void click(float x, float y) {
        ImGuiIO& io = ImGui::GetIO();
        feed_mouse_position(io, {x, y});
        frames(2);
        feed_mouse_button(io, true);
        frame();
        feed_mouse_button(io, false);
        frames(2);
        feed_mouse_position(io, {-1000, -1000});
    }
    void type(const std::string& text) {
        ImGui::GetIO().AddInputCharactersUTF8(text.c_str());
        frame();
    }
    void press(ImGuiKey key) {
        ImGuiIO& io = ImGui::GetIO();
        feed_key(io, key, true);
        frame();
        feed_key(io, key, false);
        frame();
    }

    // The pointer goes from one place to another with the button down.
    void drag(ImVec2 from, ImVec2 to, int clicks = 1) {
        ImGuiIO& io = ImGui::GetIO();
        feed_mouse_position(io, from);
        frames(2);
        for (int i = 1; i < clicks; i++) {
            feed_mouse_button(io, true);
            frame();
            feed_mouse_button(io, false);
            frame();
        }
        feed_mouse_button(io, true);
        frame();
        feed_mouse_position(io, {(from.x + to.x) / 2, (from.y + to.y) / 2});
        frame();
        feed_mouse_position(io, to);
        frames(2);
        feed_mouse_button(io, false);
        frame();
    }
    // Images that the glyph cache still waits for are there in the next frame.
    void settle() {
        frame();
        glyphs.settle(state.fonts);
        frames(2);
    }
    void hold_ctrl(bool down) {
        hold_modifiers(ImGui::GetIO(), true, false, down);
    }
    void hold_shift(bool down) {
        hold_modifiers(ImGui::GetIO(), false, true, down);
    }

    CountedTextures textures;
    GlyphCache glyphs;
    Recorder actions;
    ChatRecorder chat_actions;
    AppState state;
};
