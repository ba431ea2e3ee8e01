// AppState: all that the views draw, as plain data. The controller writes it between frames, views
// read it and keep their own small state in it (what is open, where the cursor is). No view reaches
// past it. Main thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "app/conversation.h"
#include "app/window/actions.h"
#include "app/window/chat_view.h"
#include "app/window/edit_buffer.h"
#include "app/window/gauge_view.h"
#include "app/window/models_view.h"
#include "app/window/palette_view.h"
#include "app/window/picker_view.h"
#include "app/window/reading_view.h"
#include "app/window/remote_view.h"
#include "app/window/server_view.h"
#include "app/window/settings_view.h"
#include "app/window/theme.h"
#include "runtime/cache/memory_snapshot.h"

namespace app::window {

struct ModelView {
    enum class State { none, loading, ready, failed };
    State state = State::none;
    std::string name;  // "GLM-4.7-Flash"
    std::string type;  // "Q4_K_M"
    std::string path;
    bool is_demo = false;
    int64_t file_bytes = 0;
    double load_progress = 0;  // 0 to 1
    std::string loading_name;  // while another one is being loaded
    std::string remote;        // another engine answers: "cluster:8000"
};

struct ServerView {
    std::string address;  // "127.0.0.1:8080"; empty: it does not run
    int clients = 0;      // requests in work that are not the window's
};

// What is said about something that went wrong or can be taken back; stays until dismissed.
struct Banner {
    enum class Kind { info, warning, error };
    uint64_t id = 0;
    Kind kind = Kind::info;
    std::string text;
    uint64_t undo = 0;  // not 0: offers to take back what it tells of, by ChatActions::undo()
};

struct GenerationView {
    enum class Phase { idle, preparing, waiting, reading, writing };
    Phase phase = Phase::idle;
    int64_t prompt_done = 0, prompt_total = 0;
    bool thinking = false;  // the text that arrives now is reasoning
    double thinking_ms = 0;
    double tokens_per_second = 0;  // running figure
    int64_t conversation_id = 0;   // whose answer it is
    bool busy() const { return phase != Phase::idle; }
};

// Tokens of the next prompt by where they come from. exact once `known`.
struct ContextView {
    bool known = false;
    int64_t limit = 0;
    int64_t system = 0, codebase = 0, chat = 0, draft = 0;
    int64_t reserve = 0;   // kept for the answer
    int64_t thinking = 0;  // reasoning of earlier answers that stays in the prompt
    int64_t used() const { return system + codebase + chat + thinking + draft; }
    int64_t free() const { return limit - used() - reserve; }
};

struct PackingView {
    bool active = false;
    std::string name;
    int64_t files = 0, tokens = 0;
    // Its first files while it is read: as they are found, then with what is known of each. A file
    // that is not counted yet has -1 tokens. Never written to; the next one takes its place.
    std::shared_ptr<const Attachment> arriving = nullptr;
    int64_t found = 0;  // files there are, known before each was looked at
};

// What hangs over the window and has not been dropped.
struct DragView {
    bool active = false, done = false;
    std::string name;
    int64_t files = 0, bytes = 0, tokens = 0;
    int64_t least = 0, most = 0;  // where the tokens will end
    std::string problem;          // refused, or not complete, and why
};

// Files that were sent and are others on disk now.
struct ChangesView {
    size_t files = 0;
    int64_t tokens = 0;
    std::vector<Attachment> attachments;  // what would be appended
    std::vector<std::string> roots;       // of each
};

// A file as the model saw it.
struct FileViewer {
    bool open = false;
    std::string path, note;
    std::vector<std::string> lines;
    int64_t first_line = 1;  // of `lines` in the file
    int64_t line = 0;        // the one that was named; 0: none
    bool scroll_to_line = false;
};

struct AppState {
    Actions* actions = nullptr;
    Fonts fonts;

    Page page = Page::chat;
    ModelsView models;
    RemoteView remote;
    ServerPage server_page;
    SettingsPage settings_page;
    PaletteView command_palette;

    ModelView model;
    std::string device;
    std::string demo_hint;  // how to get the real model
    ServerView server;
    runtime::MemorySnapshot memory;
    double prefix_cached = -1;  // of the last answer's prompt, 0 to 1; -1: no answer yet

    std::vector<ConversationSummary> conversations;
    Conversation conversation;
    ChatView chat;
    uint64_t conversation_generation = 0;  // grows when another conversation is shown
    int64_t now = 0;  // seconds since 1970, local offset included, for the groups by day
    int64_t utc_offset = 0;

    std::vector<Attachment> staged;
    PackingView packing;
    DragView drag;
    PickerView picker;
    ChangesView changes;
    FileViewer viewer;
    EditBuffer draft;
    bool thinking = true;
    GenerationView generation;
    ContextView context;
    std::deque<Banner> banners;
    // Finds what names a file in an answer ("engine.cpp:118"); what it finds is drawn as a link and
    // goes to Actions::open_link. Whoever sets it counts links_revision up when answers change.
    LinkFinder links;
    uint64_t links_revision = 0;
    std::optional<ChatJump> jump;  // taken by the chat
    GaugeView gauge;
    bool sidebar = true;
    bool drop_hint = false;

    // Kept by the views.
    bool wants_frame = false;  // something is under way: draw another frame soon
    ReadingView reading;
    std::vector<MessageLayout> layouts;
    uint64_t layouts_generation = ~uint64_t{0};
    bool composer_focused = true;
    bool attach_open = false;
    std::string attach_path;
    float composer_height = 0;
    float draft_scroll = 0;
    bool follow = true;  // the chat stays at its end while text arrives
    bool scroll_to_end = false;
    int64_t renaming = 0;
    std::string rename_text;
    bool rename_starts = false;
    std::string copied;       // what was copied last, for the word "copied"
    double copied_until = 0;  // ImGui time
    double caret_since = 0;
    double frame_time = 0;     // of the last frame, by the window system's clock; kept by the loop
    bool wants_caret = false;  // a caret is on screen: the loop wakes to blink it
    bool sidebar_overlay = false;  // on narrow windows
};

// The whole window, for the current ImGui frame.
void draw_window(AppState& state);

void draw_top_bar(AppState& state, ImVec2 at, ImVec2 size);
void draw_sidebar(AppState& state, ImVec2 at, ImVec2 size);
void draw_chat(AppState& state, ImVec2 at, ImVec2 size);
void draw_composer(AppState& state, ImVec2 at, ImVec2 size);
void draw_codebase(AppState& state, ImVec2 at, ImVec2 size);
void draw_drag_card(AppState& state);
void draw_picker(AppState& state, ImVec2 at, ImVec2 size);
void draw_file_viewer(AppState& state, ImVec2 at, ImVec2 size);
void draw_gauge(AppState& state, ImVec2 at, ImVec2 size);
void draw_gauge_details(AppState& state, ImVec2 at, ImVec2 size);
void draw_banners(AppState& state, ImVec2 at, float width, float& height);
void draw_models_page(AppState& state, ImVec2 at, ImVec2 size);
void draw_remote_page(AppState& state, ImVec2 at, ImVec2 size);
void draw_server_page(AppState& state, ImVec2 at, ImVec2 size);
void draw_settings_page(AppState& state, ImVec2 at, ImVec2 size);
void draw_command_palette(AppState& state);

}  // namespace app::window
