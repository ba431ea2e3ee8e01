// What the chat remembers between frames: where it is scrolled to, what is selected, what is looked
// for, and the laid-out text of each message. Plain state; main thread only.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/window/edit_buffer.h"
#include "app/window/text_layer.h"

namespace app::window {

// A place in the conversation.
struct TextPlace {
    enum Part : int { reasoning, content };
    int message = -1;
    int part = content;
    size_t source = 0;
    auto operator<=>(const TextPlace&) const = default;
};

struct ChatSelection {
    TextPlace anchor, head;  // where it began, where it is drawn to
    TextPlace anchor_end;    // words and paragraphs: the other end of what was taken first
    enum class Step { character, word, block } step = Step::character;
    bool dragging = false;
    bool exists() const { return anchor.message >= 0 && anchor != head; }
    const TextPlace& begin() const { return anchor < head ? anchor : head; }
    const TextPlace& end() const { return anchor < head ? head : anchor; }
};

// Looking for words in the conversation on screen. Goes through it a little each frame.
struct FindView {
    struct Match {
        int message = 0;
        int part = TextPlace::content;
        SourceRange range;
    };
    bool open = false;
    bool requested = false;  // opens, or takes the keyboard again, at the next frame
    EditBuffer query;
    bool focused = false;

    std::string searched;             // what `matches` belong to
    uint64_t conversation = 0;        // its generation
    std::vector<uint64_t> marks;      // by message: its revision when it was gone through
    std::vector<Match> matches;       // in order
    std::vector<SourceRange> ranges;  // of matches, for drawing
    size_t next_message = 0;          // gone through so far
    // The text that is being gone through: cut into parts first, then part by part.
    struct Place {
        int part = TextPlace::reasoning;
        uint64_t revision = 0;
        TextCutter cutter;
        size_t fed = 0, next_part = 0;
        std::vector<Match> found;  // in this message
    };
    std::optional<Place> place;
    size_t current = 0;
    bool shown = false;  // the current one was brought into sight
    bool complete = false;
};

// Where another view wants the chat to go: a hit of the search over all conversations.
struct ChatJump {
    int64_t message_id = 0;  // 0: the first message that has the words
    std::string words;       // found and marked there; empty: the message alone
};

// A view's memory of one message.
struct MessageLayout {
    TextView content, reasoning;
    bool thinking_open = false;
    bool calls_open = false;
    // Of the last measuring; the height holds while revision, width and faces are the same.
    float height = 0, width = 0;
    uint64_t revision = 0, fonts_generation = 0;
    bool measured = false;
    float content_y = 0, reasoning_y = 0;  // within the message
};

struct ReadingView {
    float scroll = 0;  // pixels above the window's upper edge
    float total = 0;   // height of everything
    bool at_end = true;
    uint64_t shown_generation = ~uint64_t{0};
    std::vector<float> tops;  // of each message, and the end

    // What keeps its place on screen while heights around it change: a line of a text, or a
    // message.
    struct Anchor {
        int message = -1;
        int part = -1;  // -1: the message's upper edge
        size_t source = 0;
        float screen_y = 0;  // below the window's upper edge
    } anchor;
    float view_width = 0, view_height = 0;
    bool bar_held = false;
    float bar_grab = 0;
    // This frame's share of laying out: with the rest of the window it stays below what the
    // watchdog allows. It is used up at `until`.
    std::chrono::microseconds layout_time{1800};
    std::chrono::steady_clock::time_point until;

    ChatSelection selection;
    bool focused = false;  // the keyboard means the chat's selection
    bool menu_requested = false;
    std::string menu_link;
    FindView find;

    // Reading the prompt: when it began, for the time that is left.
    double reading_since = -1;
    int64_t reading_from = 0;
};

}  // namespace app::window
