#include "app/window/edit_buffer.h"

#include <algorithm>
#include <cctype>

namespace app::window {
namespace {

constexpr size_t kMaxUndoSteps = 200;
constexpr size_t kMaxUndoBytes = 16 << 20;  // of all steps, but for the last one

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}
size_t previous(std::string_view text, size_t at) {
    if (at > 0) {
        at--;
    }
    while (at > 0 && continues_character(text[at])) {
        at--;
    }
    return at;
}
size_t next(std::string_view text, size_t at) {
    if (at < text.size()) {
        at++;
    }
    while (at < text.size() && continues_character(text[at])) {
        at++;
    }
    return at;
}
bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
size_t previous_word(std::string_view text, size_t at) {
    while (at > 0 && !is_word(text[at - 1])) {
        at--;
    }
    while (at > 0 && is_word(text[at - 1])) {
        at--;
    }
    return at;
}
size_t next_word(std::string_view text, size_t at) {
    while (at < text.size() && !is_word(text[at])) {
        at++;
    }
    while (at < text.size() && is_word(text[at])) {
        at++;
    }
    return at;
}

}  // namespace

std::string_view EditBuffer::selected() const {
    return std::string_view(text_).substr(selection_begin(), selection_end() - selection_begin());
}

void EditBuffer::before_change(bool typing) {
    if (!(typing && typing_)) {
        undo_.push_back({text_, cursor_});
        const size_t room = kMaxUndoBytes / std::max<size_t>(1, text_.size());
        const size_t steps = std::clamp<size_t>(room, 1, kMaxUndoSteps);
        if (undo_.size() > steps) {
            undo_.erase(undo_.begin(), undo_.end() - static_cast<std::ptrdiff_t>(steps));
        }
    }
    typing_ = typing;
    redo_.clear();
}

void EditBuffer::changed() {
    revision_++;
    wanted_x_ = -1;
}

void EditBuffer::erase_selection() {
    const size_t begin = selection_begin();
    text_.erase(begin, selection_end() - begin);
    cursor_ = anchor_ = begin;
}

void EditBuffer::set(std::string_view text) {
    before_change(false);
    text_ = std::string(text);
    cursor_ = anchor_ = text_.size();
    changed();
}

void EditBuffer::start(std::string_view text, size_t cursor) {
    text_ = std::string(text);
    undo_.clear();
    redo_.clear();
    move_to(cursor, false);
    changed();
}

void EditBuffer::insert(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\r') {
            if (i + 1 == text.size() || text[i + 1] != '\n') {
                clean += '\n';
            }
        } else if (text[i] != '\0') {
            clean += text[i];
        }
    }
    const bool one_character =
        !clean.empty() && next(clean, 0) == clean.size() && clean[0] != ' ' && clean[0] != '\n';
    before_change(one_character && cursor_ == anchor_);
    erase_selection();
    text_.insert(cursor_, clean);
    cursor_ = anchor_ = cursor_ + clean.size();
    changed();
}

void EditBuffer::erase_back(bool word) {
    if (cursor_ == anchor_) {
        const size_t to = word ? previous_word(text_, cursor_) : previous(text_, cursor_);
        if (to == cursor_) {
            return;
        }
        before_change(false);
        anchor_ = to;
    } else {
        before_change(false);
    }
    erase_selection();
    changed();
}

void EditBuffer::erase_forward(bool word) {
    if (cursor_ == anchor_) {
        const size_t to = word ? next_word(text_, cursor_) : next(text_, cursor_);
        if (to == cursor_) {
            return;
        }
        before_change(false);
        anchor_ = to;
    } else {
        before_change(false);
    }
    erase_selection();
    changed();
}

void EditBuffer::undo() {
    if (undo_.empty()) {
        return;
    }
    redo_.push_back({text_, cursor_});
    text_ = std::move(undo_.back().text);
    cursor_ = anchor_ = undo_.back().cursor;
    undo_.pop_back();
    typing_ = false;
    changed();
}

void EditBuffer::redo() {
    if (redo_.empty()) {
        return;
    }
    undo_.push_back({text_, cursor_});
    text_ = std::move(redo_.back().text);
    cursor_ = anchor_ = redo_.back().cursor;
    redo_.pop_back();
    typing_ = false;
    changed();
}

void EditBuffer::move_to(size_t position, bool select) {
    position = std::min(position, text_.size());
    while (position > 0 && position < text_.size() && continues_character(text_[position])) {
        position--;
    }
    cursor_ = position;
    if (!select) {
        anchor_ = cursor_;
    }
    typing_ = false;
    wanted_x_ = -1;
}

void EditBuffer::move_left(bool word, bool select) {
    if (cursor_ != anchor_ && !select) {
        move_to(selection_begin(), false);
    } else {
        move_to(word ? previous_word(text_, cursor_) : previous(text_, cursor_), select);
    }
}

void EditBuffer::move_right(bool word, bool select) {
    if (cursor_ != anchor_ && !select) {
        move_to(selection_end(), false);
    } else {
        move_to(word ? next_word(text_, cursor_) : next(text_, cursor_), select);
    }
}

void EditBuffer::move_vertically(int rows, bool select) {
    const float x = wanted_x_ >= 0 ? wanted_x_ : x_of(cursor_);
    const auto row = static_cast<int64_t>(row_of(cursor_)) + rows;
    if (row < 0) {
        move_to(0, select);
    } else if (row >= static_cast<int64_t>(rows_.size())) {
        move_to(text_.size(), select);
    } else {
        move_to(position_at(static_cast<size_t>(row), x), select);
    }
    wanted_x_ = x;
}

void EditBuffer::move_to_row_begin(bool select) {
    move_to(rows_[row_of(cursor_)].begin, select);
}

void EditBuffer::move_to_row_end(bool select) {
    move_to(rows_[row_of(cursor_)].end, select);
}

void EditBuffer::select_all() {
    anchor_ = 0;
    cursor_ = text_.size();
    typing_ = false;
}

void EditBuffer::select_word(size_t position) {
    position = std::min(position, text_.size());
    size_t begin = position, end = position;
    while (begin > 0 && is_word(text_[begin - 1])) {
        begin--;
    }
    while (end < text_.size() && is_word(text_[end])) {
        end++;
    }
    anchor_ = begin;
    cursor_ = end;
    typing_ = false;
}

const std::vector<EditBuffer::Row>& EditBuffer::wrap(float width,
                                                     uint64_t fonts_generation,
                                                     const Measure& measure) {
    measure_ = measure;
    if (width == width_ && fonts_generation == fonts_generation_ &&
        revision_ == wrapped_revision_) {
        return rows_;
    }
    width_ = width;
    fonts_generation_ = fonts_generation;
    wrapped_revision_ = revision_;
    rows_.clear();
    for (size_t line = 0;;) {
        const size_t line_end = std::min(text_.find('\n', line), text_.size());
        // Words are taken one by one; a row ends before the word that no longer fits.
        size_t row = line, at = line;
        float x = 0;
        while (at < line_end) {
            size_t end = at;
            while (end < line_end && text_[end] != ' ') {
                end = next(text_, end);
            }
            while (end < line_end && text_[end] == ' ') {
                end++;
            }
            const std::string_view word = std::string_view(text_).substr(at, end - at);
            const size_t visible = word.find_last_not_of(' ') + 1;
            if (x + measure(word.substr(0, visible)) <= width) {
                x += measure(word);
                at = end;
            } else if (at > row) {
                rows_.push_back({row, at});
                row = at;
                x = 0;
            } else {
                size_t cut = next(text_, at);
                while (cut < end && measure(std::string_view(text_).substr(
                                        at, next(text_, cut) - at)) <= width) {
                    cut = next(text_, cut);
                }
                rows_.push_back({row, cut});
                row = at = cut;
                x = 0;
            }
        }
        rows_.push_back({row, line_end});
        if (line_end == text_.size()) {
            break;
        }
        line = line_end + 1;
    }
    return rows_;
}

size_t EditBuffer::row_of(size_t position) const {
    size_t row = 0;
    while (row + 1 < rows_.size() && rows_[row + 1].begin <= position) {
        row++;
    }
    return row;
}

float EditBuffer::x_of(size_t position) const {
    const Row row = rows_[row_of(position)];
    const size_t end = std::min({position, row.end, text_.size()});
    return measure_ && end > row.begin
               ? measure_(std::string_view(text_).substr(row.begin, end - row.begin))
               : 0;
}

size_t EditBuffer::position_at(size_t row, float x) const {
    if (rows_.empty()) {
        return 0;
    }
    const Row r = rows_[std::min(row, rows_.size() - 1)];
    size_t at = r.begin;
    float before = 0;
    while (at < r.end && measure_) {
        const size_t after = next(text_, at);
        const float width = measure_(std::string_view(text_).substr(r.begin, after - r.begin));
        if (x < (before + width) / 2) {
            return at;
        }
        before = width;
        at = after;
    }
    // The end of a wrapped row is the beginning of the next one: stay in front of the blank it was
    // broken at.
    const bool wrapped = row + 1 < rows_.size() && rows_[row + 1].begin == r.end && r.end > r.begin;
    return wrapped ? previous(text_, r.end) : r.end;
}

}  // namespace app::window
