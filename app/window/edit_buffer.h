// EditBuffer: the text a person is writing - cursor, selection, undo, soft wrapping. Knows no
// keyboard and no window; rows come from a function that measures. Positions are byte offsets on
// character boundaries. Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace app::window {

class EditBuffer {
public:
    struct Row {
        size_t begin = 0, end = 0;  // without the line break
    };
    // Width of a piece of one line.
    using Measure = std::function<float(std::string_view)>;

    const std::string& text() const { return text_; }
    bool empty() const { return text_.empty(); }
    uint64_t revision() const { return revision_; }  // grows with every change of the text
    size_t cursor() const { return cursor_; }
    size_t selection_begin() const { return cursor_ < anchor_ ? cursor_ : anchor_; }
    size_t selection_end() const { return cursor_ < anchor_ ? anchor_ : cursor_; }
    std::string_view selected() const;

    void set(std::string_view text);  // as one step that can be undone; cursor at the end
    void clear() { set(""); }
    // Another text altogether, with no steps to undo.
    void start(std::string_view text, size_t cursor);
    void insert(std::string_view text);  // replaces the selection; CRLF and CR become LF
    void erase_back(bool word);
    void erase_forward(bool word);
    void undo();
    void redo();

    void move_to(size_t position, bool select);
    void move_left(bool word, bool select);
    void move_right(bool word, bool select);
    void move_vertically(int rows, bool select);  // keeps the column it came from
    void move_to_row_begin(bool select);
    void move_to_row_end(bool select);
    void select_all();
    void select_word(size_t position);

    // Breaks the text into rows of at most `width`, at blanks where there are any. Cheap when
    // nothing changed.
    const std::vector<Row>& wrap(float width, uint64_t fonts_generation, const Measure& measure);
    const std::vector<Row>& rows() const { return rows_; }
    size_t row_of(size_t position) const;
    float x_of(size_t position) const;  // within its row
    size_t position_at(size_t row, float x) const;

private:
    struct Step {
        std::string text;
        size_t cursor;
    };
    void before_change(bool typing);
    void erase_selection();
    void changed();

    std::string text_;
    size_t cursor_ = 0, anchor_ = 0;
    uint64_t revision_ = 0;
    std::vector<Step> undo_, redo_;
    bool typing_ = false;  // the last change was typing: the next character joins its undo step
    float wanted_x_ = -1;  // column for moving up and down; -1: take the cursor's

    std::vector<Row> rows_{{0, 0}};
    Measure measure_;
    float width_ = -1;
    uint64_t fonts_generation_ = 0;
    uint64_t wrapped_revision_ = ~uint64_t{0};
};

}  // namespace app::window
