// The open palette: what is typed and what is offered. Main thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/window/edit_buffer.h"

namespace app::window {

struct AppState;

struct PaletteItem {
    std::string title, detail;
    std::function<void(AppState&)> run;
    int score = 0;
};

struct PaletteView {
    bool requested = false;  // opens at the next frame
    bool open = false;
    bool focused = true;
    std::string hint;
    EditBuffer query;
    std::vector<PaletteItem> items;   // all
    std::vector<size_t> shown;        // indices, best match first
    uint64_t matched = ~uint64_t{0};  // revision of the query that `shown` belongs to
    size_t cursor = 0;
    bool scroll_to_cursor = false;
};

}  // namespace app::window
