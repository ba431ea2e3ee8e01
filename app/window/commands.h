// Commands: everything that has a name, in one table - what the palette offers, what a shortcut
// does, and the list of shortcuts. A new command is a row. Main thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/window/app_state.h"

namespace app::window {

// Keys as window systems name them: a capital letter, a digit, a sign.
struct Shortcut {
    int key = 0;  // 0: none
    bool ctrl = false, shift = false;
};

struct Command {
    const char* title;
    Shortcut shortcut;
    void (*run)(AppState& state);
    bool (*possible)(const AppState& state) = nullptr;  // null: always
};
const std::vector<Command>& commands();

std::string shortcut_text(const Shortcut& shortcut);  // "Ctrl+Shift+P"
// Runs the command of a key, if one has it and it is possible. false: nobody's key.
bool run_shortcut(AppState& state, const Shortcut& pressed);

// Keys that are no commands: what they do where one is writing or reading.
struct KeyNote {
    const char* keys;
    const char* what;
};
const std::vector<KeyNote>& key_notes();

// What the palette offers: commands, presets, models, conversations.
std::vector<PaletteItem> palette_items(const AppState& state);
// How well `query` is in `text`, letters in order; 0: not at all. Beginnings of words count more.
int match_score(const std::string& query, const std::string& text);

// Opens the palette: with everything there is, or with `items` to choose from.
void open_palette(AppState& state);
void open_palette(AppState& state, const std::string& hint, std::vector<PaletteItem> items);

}  // namespace app::window
