// The conversation as a whole: which messages are in sight, where the view is scrolled to and what
// keeps its place while heights become known. Only what is in sight is laid out and drawn.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "app/window/app_state.h"
#include "app/window/chat_parts.h"
#include "app/window/compat.h"
#include "app/window/text_field.h"
#include "app/window/turn_view.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

constexpr float kTopRim = 20, kBottomRim = 8, kBar = 12;

class Scroller {
public:
    Scroller(AppState& state, ImVec2 at, ImVec2 size)
        : state_(state), chat_(state.reading), at_(at), size_(size) {
        // Room for the scrollbar is always kept: its coming and going changes no line break.
        width_ = std::min(px(kChatColumn), size.x - px(2 * kChatMargin) - px(4));
        x_ = std::round(at.x + (size.x - width_) / 2);
    }

    void run() {
        chat_.until = std::chrono::steady_clock::now() + chat_.layout_time;
        place();
        if (chat_.shown_generation != state_.conversation_generation) {
            chat_.shown_generation = state_.conversation_generation;
            chat_.anchor = {};
            chat_.selection = {};
            chat_.scroll = 0;
            take_place();
        }
        // What was selected may be gone: another branch, a turn deleted.
        const auto messages = static_cast<int>(count());
        if (chat_.selection.anchor.message >= messages ||
            chat_.selection.head.message >= messages ||
            chat_.selection.anchor_end.message >= messages) {
            chat_.selection = {};
        }
        take_jump();
        find_step(state_);
        if (std::optional<FindView::Match> match = find_to_show(state_)) {
            show(*match);
        }
        take_input();
        if (state_.scroll_to_end) {
            state_.follow = true;
            state_.scroll_to_end = false;
        }
        if (state_.follow) {
            settle_at_end();
        } else {
            settle_at_anchor();
        }
        draw();
        scrollbar();
        remember();
        if (after_) {
            after_();
        }
    }

private:
    float px(float units) const { return std::round(units * state_.fonts.scale); }
    size_t count() const { return state_.conversation.messages.size(); }
    float view() const { return size_.y; }
    float furthest() const { return std::max(0.0F, chat_.total - view()); }

    // What is known of a message's height; else a guess from how much it says.
    float height_of(size_t i) const {
        const MessageLayout& layout = state_.layouts[i];
        if (layout.measured && layout.width == width_ &&
            layout.fonts_generation == state_.fonts.generation) {
            return layout.height;
        }
        const Message& message = state_.conversation.messages[i];
        const float size = font_size(state_.fonts.body);
        const auto bytes = static_cast<float>(message.content.size());
        const float lines = std::ceil(bytes * size * 0.52F / width_) + 1;
        return lines * std::round(size * 1.42F) + px(64) +
               static_cast<float>(message.attachments.size()) * px(35);
    }

    void place() {
        chat_.tops.resize(count() + 1);
        float y = px(kTopRim);
        for (size_t i = 0; i < count(); i++) {
            chat_.tops[i] = y;
            y += height_of(i);
        }
        chat_.tops[count()] = y;
        chat_.total = y + px(kBottomRim);
    }

    size_t message_at(float y) const {
        const auto found = std::upper_bound(chat_.tops.begin(), chat_.tops.end() - 1, y);
        return found == chat_.tops.begin() ? 0
                                           : static_cast<size_t>(found - chat_.tops.begin()) - 1;
    }

    Pen pen_at(float y, bool drawing) {
        return Pen{state_,
                   ImGui::GetWindowDrawList(),
                   x_,
                   y,
                   width_,
                   at_.y,
                   at_.y + size_.y,
                   hovered_,
                   drawing,
                   &areas_,
                   &after_};
    }
    void measure(size_t i) {
        Pen pen = pen_at(0, false);
        turn(pen, i);
    }
    TextView* view_of(size_t i, int part) {
        MessageLayout& layout = state_.layouts[i];
        return part == TextPlace::content     ? &layout.content
               : part == TextPlace::reasoning ? &layout.reasoning
                                              : nullptr;
    }
    float text_y(size_t i, int part) const {
        const MessageLayout& layout = state_.layouts[i];
        return part == TextPlace::content ? layout.content_y : layout.reasoning_y;
    }

    // Lays out what lies in [scroll, scroll + view]. True when heights changed.
    bool measure_visible(float scroll) {
        bool changed = false;
        float y = 0;
        size_t i = message_at(scroll);
        y = chat_.tops[i];
        for (; i < count() && y < scroll + view(); i++) {
            MessageLayout& layout = state_.layouts[i];
            const float before = height_of(i);
            measure(i);
            bool texts = false;
            if (layout.thinking_open) {
                const float from = scroll - y - layout.reasoning_y;
                texts = layout.reasoning.ensure(from, from + view());
            }
            const float from = scroll - y - layout.content_y;
            texts = layout.content.ensure(from, from + view()) || texts;
            if (texts) {
                measure(i);
            }
            changed = changed || layout.height != before;
            y += layout.height;
        }
        if (changed) {
            place();
        }
        return changed;
    }

    void settle_at_end() {
        for (int round = 0; round < 12; round++) {
            chat_.scroll = furthest();
            if (!measure_visible(chat_.scroll)) {
                break;
            }
        }
        chat_.scroll = std::round(furthest());
    }

    // Where this conversation was left.
    void take_place() {
        const auto place = std::exchange(state_.chat.restore, std::nullopt);
        const auto& messages = state_.conversation.messages;
        for (size_t i = 0; place && i < messages.size(); i++) {
            if (messages[i].id == place->message) {
                chat_.anchor = {static_cast<int>(i), place->part, place->source, place->y};
                state_.follow = false;
                state_.scroll_to_end = false;
            }
        }
    }
    void settle_at_anchor() {
        anchor_waits_ = false;
        for (int round = 0; round < 12; round++) {
            if (chat_.anchor.message >= 0 && static_cast<size_t>(chat_.anchor.message) < count()) {
                chat_.scroll = anchor_y() - chat_.anchor.screen_y;
            }
            const float before = chat_.scroll;
            chat_.scroll = std::round(std::clamp(chat_.scroll, 0.0F, furthest()));
            if (std::abs(before - chat_.scroll) > 1 && !anchor_waits_) {
                anchor_here();
            }
            if (!measure_visible(chat_.scroll)) {
                break;
            }
        }
    }

    float anchor_y() {
        const ReadingView::Anchor& anchor = chat_.anchor;
        const auto i = static_cast<size_t>(anchor.message);
        if (anchor.part < 0) {
            return chat_.tops[i];
        }
        measure(i);
        TextView* text = view_of(i, anchor.part);
        anchor_waits_ = !text->knows(anchor.source);
        if (text->ensure_place(anchor.source)) {
            measure(i);
            place();
        }
        return chat_.tops[i] + text_y(i, anchor.part) + text->y_of(anchor.source);
    }

    // The line at the upper edge keeps its place from now on.
    void anchor_here() {
        if (count() == 0) {
            return;
        }
        ReadingView::Anchor& anchor = chat_.anchor;
        const size_t i = message_at(chat_.scroll);
        const float y = chat_.scroll - chat_.tops[i];
        const MessageLayout& layout = state_.layouts[i];
        anchor = {static_cast<int>(i), -1, 0, chat_.tops[i] - chat_.scroll};
        const bool known = layout.measured && layout.width == width_;
        for (const int part : {TextPlace::reasoning, TextPlace::content}) {
            TextView* text = view_of(i, part);
            const float in = y - text_y(i, part);
            const bool drawn = part == TextPlace::content || layout.thinking_open;
            if (known && drawn && in >= 0 && in < text->height() && text->parts() > 0) {
                anchor.part = part;
                anchor.source = text->line_source(in);
                anchor.screen_y =
                    chat_.tops[i] + text_y(i, part) + text->y_of(anchor.source) - chat_.scroll;
            }
        }
    }

    // A person moves the view by so many pixels.
    void move(float pixels) {
        if (state_.follow) {
            anchor_here();
        }
        const bool far = std::abs(pixels) > view() * 1.5F;
        const float to = std::clamp(chat_.scroll + pixels, 0.0F, furthest());
        state_.follow = pixels > 0 && to >= furthest() - 1;
        if (far) {
            chat_.scroll = to;
            anchor_here();
        } else {
            chat_.anchor.screen_y -= to - chat_.scroll;
            chat_.scroll = to;
        }
    }

    void take_jump() {
        if (!state_.jump) {
            return;
        }
        const ChatJump jump = *std::exchange(state_.jump, std::nullopt);
        const auto& messages = state_.conversation.messages;
        const auto found = std::find_if(messages.begin(), messages.end(),
                                        [&](const Message& m) { return m.id == jump.message_id; });
        const bool known = jump.message_id != 0 && found != messages.end();
        if (known) {
            chat_.anchor = {static_cast<int>(found - messages.begin()), -1, 0, px(16)};
            state_.follow = state_.scroll_to_end = false;
        }
        if (!jump.words.empty()) {
            find_words(state_, jump.words, known ? chat_.anchor.message : 0);
        }
    }

    void show(const FindView::Match& match) {
        const auto i = static_cast<size_t>(match.message);
        MessageLayout& layout = state_.layouts[i];
        if (match.part == TextPlace::reasoning ||
            (state_.conversation.messages[i].role != runtime::Role::user &&
             state_.conversation.messages[i].role != runtime::Role::assistant)) {
            layout.thinking_open = true;
            layout.measured = false;
        }
        state_.follow = state_.scroll_to_end = false;
        measure(i);
        place();
        chat_.anchor = {match.message, match.part, match.range.begin, std::round(view() * 0.35F)};
        // Where it is in sight already nothing moves.
        const float y = anchor_y() - chat_.scroll;
        if (y > px(60) && y < view() - px(60)) {
            chat_.anchor.screen_y = y;
        }
    }

    void take_input() {
        const ImGuiIO& io = ImGui::GetIO();
        hovered_ = ImGui::IsWindowHovered() && !chat_.bar_held;
        if (hovered_ && io.MouseWheel != 0 && !io.KeyCtrl && !io.KeyShift) {
            move(-io.MouseWheel * px(72));
        }
        const bool keys =
            (chat_.focused || state_.draft.empty()) && !input_line_active() &&
            !chat_.find.focused &&
            !ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel);
        if (keys && !io.KeyShift) {
            if (key_pressed(ImGuiKey_PageUp)) {
                move(-view() * 0.9F);
            }
            if (key_pressed(ImGuiKey_PageDown)) {
                move(view() * 0.9F);
            }
            if (io.KeyCtrl && key_pressed(ImGuiKey_Home)) {
                move(-chat_.total);
            }
            if (io.KeyCtrl && key_pressed(ImGuiKey_End)) {
                state_.scroll_to_end = true;
            }
        }
        if (const float pull = selection_pull(state_, at_.y, at_.y + size_.y); pull != 0) {
            move(pull);
            state_.wants_frame = true;
        }
    }

    void draw() {
        areas_.clear();
        size_t i = message_at(chat_.scroll);
        float y = at_.y - chat_.scroll + chat_.tops[i];
        for (; i < count() && y < at_.y + size_.y; i++) {
            Pen pen = pen_at(y, true);
            turn(pen, i);
            y = pen.y;
        }
        for (const TextArea& area : areas_) {
            state_.wants_frame = state_.wants_frame || area.view->pending();
        }
        select_text(state_, areas_, at_, size_, hovered_);
    }

    void scrollbar() {
        if (furthest() < 1) {
            chat_.bar_held = false;
            return;
        }
        const float width = px(kBar), x = at_.x + size_.x - width;
        const float thumb = std::max(px(32), view() * view() / chat_.total);
        const float track = view() - thumb;
        float y = at_.y + track * chat_.scroll / furthest();
        const ImGuiIO& io = ImGui::GetIO();
        ImGui::SetCursorScreenPos({x, at_.y});
        ImGui::InvisibleButton("scrollbar", {width, view()});
        const bool over = ImGui::IsItemHovered();
        if (ImGui::IsItemActivated()) {
            const bool on_thumb = io.MousePos.y >= y && io.MousePos.y < y + thumb;
            chat_.bar_grab = on_thumb ? io.MousePos.y - y : thumb / 2;
        }
        chat_.bar_held = ImGui::IsItemActive();
        if (chat_.bar_held) {
            const float to = (io.MousePos.y - chat_.bar_grab - at_.y) / std::max(1.0F, track);
            const float scroll = std::clamp(to, 0.0F, 1.0F) * furthest();
            if (std::abs(scroll - chat_.scroll) >= 1) {
                chat_.scroll = std::round(scroll);
                state_.follow = chat_.scroll >= furthest() - 1;
                anchor_here();
                state_.wants_frame = true;
            }
            y = at_.y + track * chat_.scroll / furthest();
        }
        ImDrawList* list = ImGui::GetWindowDrawList();
        for (const FindView::Match& match : chat_.find.matches) {
            if (!chat_.find.open) {
                break;
            }
            const auto i = static_cast<size_t>(match.message);
            const Message& message = state_.conversation.messages[i];
            const size_t size = match.part == TextPlace::content ? message.content.size()
                                                                 : message.reasoning.size();
            const float inside = static_cast<float>(match.range.begin) /
                                 static_cast<float>(std::max<size_t>(size, 1));
            const float where =
                at_.y + view() * (chat_.tops[i] + (chat_.tops[i + 1] - chat_.tops[i]) * inside) /
                            chat_.total;
            if (where >= tick_end_) {
                list->AddRectFilled({x + px(2), where}, {x + width - px(2), where + px(2)},
                                    colour::kWarning);
                tick_end_ = where + px(2);
            }
        }
        list->AddRectFilled({x + px(3), y + px(2)}, {x + width - px(3), y + thumb - px(2)},
                            chat_.bar_held ? colour::kTextDim
                            : over         ? colour::kReserve
                                           : colour::kActive,
                            px(3));
    }

    void remember() {
        chat_.at_end = chat_.scroll >= furthest() - px(4);
        if (chat_.at_end && !state_.generation.busy() && !chat_.bar_held && !state_.follow) {
            state_.follow = chat_.anchor.message < 0;
        }
        if (!anchor_waits_) {
            anchor_here();
        }
        chat_.view_width = size_.x;
        chat_.view_height = size_.y;
    }

    AppState& state_;
    ReadingView& chat_;
    ImVec2 at_, size_;
    float width_ = 0, x_ = 0;
    bool hovered_ = false;
    bool anchor_waits_ = false;  // its text is not taken in that far yet
    float tick_end_ = -1e9F;
    std::function<void()> after_;
    std::vector<TextArea>& areas_ = text_areas();

    // Reused from frame to frame.
    static std::vector<TextArea>& text_areas() {
        static std::vector<TextArea> areas;
        return areas;
    }
};

void draw_to_end(AppState& state, ImVec2 at, ImVec2 size) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    const float left = state.reading.total - size.y - state.reading.scroll;
    if (state.follow || left < px(120)) {
        return;
    }
    ButtonLook look;
    look.fill = colour::kActive;
    look.hover = colour::kHover;
    look.border = colour::kLine;
    look.text = colour::kText;
    look.rounding = 14;
    look.font = state.fonts.small;
    look.pad_x = 14;
    const char* words = state.generation.busy() ? "\u2193 new text" : "\u2193 to the end";
    const ImVec2 pill = button_size(state, words, look);
    if (button(state, "to_end", {std::round(at.x + (size.x - pill.x) / 2), at.y + size.y - px(40)},
               words, look)
            .clicked) {
        state.scroll_to_end = true;
        state.wants_frame = true;
    }
}

}  // namespace

void draw_chat(AppState& state, ImVec2 at, ImVec2 size) {
    float banners = 0;
    draw_banners(state, {at.x, at.y}, size.x, banners);
    at.y += banners;
    size.y -= banners;

    // Another view may have changed the conversation in this very frame.
    if (state.layouts_generation != state.conversation_generation) {
        state.layouts.clear();
        state.layouts_generation = state.conversation_generation;
        state.follow = true;
        state.scroll_to_end = true;
    }
    state.layouts.resize(state.conversation.messages.size());

    begin_region("chat", at, size);
    if (state.composer_focused) {
        state.reading.focused = false;
    }
    if (state.conversation.messages.empty()) {
        state.reading.find.open = false;
        draw_welcome(state, at, size);
        ImGui::EndChild();
        return;
    }
    // The bar above lies over the chat: it gets the pointer first.
    draw_find_bar_input(state);
    Scroller(state, at, size).run();
    draw_to_end(state, at, size);
    draw_find_bar(state, at, size);
    draw_chat_menu(state);
    ImGui::EndChild();
}

}  // namespace app::window
