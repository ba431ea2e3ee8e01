// The chat's parts that only the chat puts together: selecting, finding, the menu.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/window/app_state.h"
#include "app/window/turn_view.h"

namespace app::window {

// Selecting with the pointer and the keyboard over the texts in sight.
void select_text(
    AppState& state, const std::vector<TextArea>& areas, ImVec2 at, ImVec2 size, bool hovered);
// How far the view follows a selection that is drawn beyond its edges, this frame.
float selection_pull(const AppState& state, float top, float bottom);
std::string selected_text(const AppState& state);
std::string selected_markdown(const AppState& state);
void select_all(AppState& state);
void draw_chat_menu(AppState& state);

// Keys of the bar, before anything else looks at them; then the search itself, a part of it each
// frame; what is to be brought into sight now; and the bar.
void draw_find_bar_input(AppState& state);
void find_step(AppState& state);
std::optional<FindView::Match> find_to_show(AppState& state);
void draw_find_bar(AppState& state, ImVec2 at, ImVec2 size);
// Opens the bar with these words; the first hit from `message` on is shown.
void find_words(AppState& state, const std::string& words, int message);

// Places of `words` in what a person sees of a text, as places of its source. Upper and lower case
// are the same.
std::vector<SourceRange> find_in_text(std::string_view text, std::string_view words);

}  // namespace app::window
