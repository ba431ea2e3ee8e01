// The parts of the list of conversations: its rows, and what stands above and below them.
// Main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <imgui.h>

#include "app/window/app_state.h"

namespace app::window {

inline constexpr float kSidebarEdge = 8;

// One line of the list.
struct SidebarRow {
    enum class Kind { heading, folder, conversation, hit, deleted, note };
    Kind kind = Kind::note;
    std::string text;                           // heading, note
    const ConversationSummary* item = nullptr;  // conversation, deleted
    size_t index = 0;                           // folder, hit
    float indent = 0;
    int64_t id() const {
        return kind == Kind::conversation || kind == Kind::deleted ? item->id : 0;
    }
};
// What the list shows now: hits, the trash, or the conversations by pin, folder and day.
std::vector<SidebarRow> sidebar_rows(const AppState& state);

// A new conversation, and the field that searches all of them.
void draw_sidebar_head(AppState& state, ImVec2 at, float width);
// The trash and what else concerns all conversations.
void draw_sidebar_foot(AppState& state, ImVec2 at, float width);
// A new folder's name, or the path of a file to be read in.
void draw_sidebar_prompts(AppState& state);

}  // namespace app::window
