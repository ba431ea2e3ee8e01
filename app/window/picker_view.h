// The picker's figures and rows as plain data: which files of a staged folder the model will read,
// and how much of each. The desk (pack_desk.h) fills in files and tokens; the view keeps what is
// open, sorted and filtered; rows are made by pure functions. Main thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/window/edit_buffer.h"

namespace app::window {

enum class PickerLevel : uint8_t { full, outline, name, left_out };
// Of a file that holds secrets: their values are masked, or the file is left out, or they are shown
// in this pack.
enum class PickerSecrets : uint8_t { mask, leave_out, allow };

struct PickerFile {
    std::string path;    // printable
    std::string reason;  // why not full, or how it was read
    int64_t bytes = 0;
    int64_t tokens = -1;  // of its whole text; -1: not counted
    int64_t shown = 0;    // of what the pack has of it now
    PickerLevel level = PickerLevel::full;
    bool selectable = true;  // has a text
    bool focus = false;
    int found_secrets = 0;
    PickerSecrets secrets = PickerSecrets::mask;
};

struct PickerProposal {
    std::string text;
    int64_t tokens = 0;
    bool fits = false;
};

// What the picker asks for; nothing else changes a pack. Files by index.
class PickerActions {
public:
    virtual ~PickerActions() = default;
    virtual void open_picker(size_t attachment) = 0;
    virtual void close_picker() = 0;
    virtual void set_level(const std::vector<size_t>& files, PickerLevel level) = 0;
    virtual void toggle_focus(size_t file) = 0;
    virtual void set_secrets(const std::vector<size_t>& files, PickerSecrets what) = 0;
    virtual void take_proposal(size_t proposal) = 0;
    virtual void append_changes() = 0;  // what differs on disk from what was sent
    virtual void ignore_changes() = 0;
};

enum class PickerSort : uint8_t { path, tokens, reason };

enum class Tick : uint8_t { off, some, on };

struct PickerRow {
    std::string path;  // of a folder with its slash
    int file = -1;     // -1: a folder
    int depth = 0;
    int files = 1;
    int64_t tokens = 0;  // shown by the pack; of all below, for a folder
    Tick tick = Tick::off;
};

struct PickerView {
    PickerActions* actions = nullptr;
    bool open = false;
    bool working = false;  // the figures are being made anew
    std::string root;
    std::vector<PickerFile> files;  // by path
    int64_t tokens = 0;             // of the whole pack
    int64_t budget = 0;             // tokens there is room for; 0: not known
    int64_t bytes_per_token = 0;    // of K cache
    std::vector<PickerProposal> proposals;
    uint64_t revision = 0;  // grows with every change of the above

    // Kept by the view.
    EditBuffer filter;
    bool filter_focused = false;
    PickerSort sort = PickerSort::path;
    bool largest = false;          // the ten largest alone
    std::set<std::string> closed;  // folders
    std::string cursor;            // path of the row that keys speak of
    bool scroll_to_cursor = false;
    struct Made {  // rows as they were made last, and of what
        uint64_t revision = ~uint64_t{0}, filter = ~uint64_t{0};
        PickerSort sort = PickerSort::path;
        bool largest = false;
        std::set<std::string> closed;
        std::vector<PickerRow> rows;
    } made;
};

// "*.cpp tokens>5k -tests": all must hold. A word without wildcards is looked for in the path; with
// `*` or `?` it is matched against the name, or the path where it holds a slash; tokens< and
// tokens> with k and m; reason:word; a minus takes back.
bool filter_matches(std::string_view filter, const PickerFile& file);

// What is to be seen, top to bottom: a tree by path; a list by tokens or reason; the ten largest.
std::vector<PickerRow> picker_rows(const PickerView& view);
// The same for every frame: made anew only when something of it changed. Until the next call.
const std::vector<PickerRow>& current_rows(PickerView& view);

// The files that a row stands for, those that have a text and match the filter.
std::vector<size_t> files_of(const PickerView& view, const PickerRow& row);

// Those of them that hold secrets.
std::vector<size_t> secret_files_of(const PickerView& view, const PickerRow& row);

// What a tick on this row asks for: all of it where something is missing, else none of it.
PickerLevel level_after_tick(const PickerRow& row);

}  // namespace app::window
