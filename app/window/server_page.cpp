// The server page: on the left whether and for whom the server runs, on the right what was asked,
// and of one request the exact prompt, its figures and its replay.
#include <algorithm>
#include <cmath>

#include "app/window/app_state.h"
#include "app/window/compat.h"
#include "app/window/controls.h"
#include "app/window/format.h"
#include "app/window/text_field.h"
#include "app/window/text_run.h"

namespace app::window {
namespace {

constexpr size_t kWrappedPerFrame = 24 << 10;  // bytes of a prompt
constexpr float kRowHeight = 28;

class ServerPageView {
public:
    explicit ServerPageView(AppState& state)
        : state_(state), page_(state.server_page), scale_(state.fonts.scale) {}

    void setup(ImVec2 at, ImVec2 size);
    void log(ImVec2 at, ImVec2 size);
    void inspector(ImVec2 at, ImVec2 size);

private:
    struct Column {
        const char* name;
        float width;  // units; 0: what is left
        bool right;
    };

    float px(float units) const { return std::round(units * scale_); }
    ImDrawList* draw() const { return ImGui::GetWindowDrawList(); }
    void label(float x, float& y, const char* text);
    float keys(float x, float y, float width);
    void status(float x, float& y, float width);
    void row(const RequestRow& row, ImVec2 at, float width, const std::vector<Column>& columns);
    std::string cell(const RequestRow& row, const char* column) const;
    float figures(float x, float y, float width);
    void prompt_text(ImVec2 at, ImVec2 size);
    void token_list(ImVec2 at, ImVec2 size);
    void replay_text(ImVec2 at, ImVec2 size);
    std::string clock(int64_t ms) const;

    AppState& state_;
    ServerPage& page_;
    float scale_;
};

std::string two_digits(int64_t value) {
    return (value < 10 ? "0" : "") + std::to_string(value);
}

std::string ServerPageView::clock(int64_t ms) const {
    const int64_t seconds = ((ms / 1000 + state_.utc_offset) % 86'400 + 86'400) % 86'400;
    return two_digits(seconds / 3600) + ":" + two_digits(seconds / 60 % 60) + ":" +
           two_digits(seconds % 60);
}

double tokens_per_second(int64_t tokens, double ms) {
    return ms > 0 && tokens > 1 ? 1000.0 * static_cast<double>(tokens - 1) / ms : 0;
}

void ServerPageView::label(float x, float& y, const char* text) {
    draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim, text);
    y += px(20);
}

void ServerPageView::status(float x, float& y, float width) {
    using State = ServerPage::State;
    const bool on = page_.state == State::on;
    const bool moving = page_.state == State::starting || page_.state == State::stopping;
    const std::string word = on                               ? "Running"
                             : page_.state == State::starting ? "Starting\u2026"
                             : page_.state == State::stopping ? "Stopping\u2026"
                                                              : "Not running";
    draw()->AddCircleFilled({x + px(6), y + px(16)}, 4.5F * scale_,
                            on ? colour::kGood : colour::kTextDim);
    draw_text(draw(), state_.fonts.bold, {x + px(20), centred(state_.fonts.bold, y, px(32))},
              colour::kText, word);
    ButtonLook look = on ? secondary_look() : primary_look();
    look.enabled = !moving;
    const char* action = on ? "Stop" : "Start";
    const float button_width = button_size(state_, action, look).x;
    if (button(state_, "run", {x + width - button_width, y}, action, look).clicked) {
        on ? page_.actions->stop_server() : page_.actions->start_server();
    }
    y += px(44);
    if (on) {
        const std::string address = page_.url + "/v1";
        ButtonLook copy;
        copy.font = state_.fonts.small;
        copy.text = colour::kAccentText;
        copy.height = 24;
        copy.pad_x = 8;
        const char* copied = just_copied(state_, "server") ? "Copied" : "Copy";
        const float copy_width = button_size(state_, copied, copy).x;
        draw_text(draw(), state_.fonts.small_mono, {x, centred(state_.fonts.small_mono, y, px(24))},
                  colour::kText, ellipsize(state_.fonts.small_mono, address, width - copy_width));
        if (button(state_, "copy_url", {x + width - copy_width, y}, copied, copy).clicked) {
            copy_and_note(state_, address, "server");
        }
        y += px(28);
        if (page_.open_to_network) {
            for (const std::string& own : page_.addresses) {
                draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim,
                          ellipsize(state_.fonts.small, "from elsewhere: " + own, width));
                y += px(20);
            }
        }
        if (state_.model.state != ModelView::State::ready) {
            y += note_card(state_, {x, y}, width, NoteKind::warning,
                           "No model is loaded: requests are answered with 503 until one is.") +
                 px(8);
        }
    }
    if (!page_.problem.empty()) {
        y += note_card(state_, {x, y}, width, NoteKind::error, page_.problem) + px(8);
    }
}

float ServerPageView::keys(float x, float y, float width) {
    if (page_.keys.empty()) {
        y += draw_wrapped(draw(), state_.fonts.small, {x, y}, width, colour::kTextDim,
                          page_.open_to_network
                              ? "One is made when the server starts: without a key nobody on the "
                                "network may ask."
                              : "None: programs on this computer may ask without one.") +
             px(8);
    }
    ButtonLook word;
    word.font = state_.fonts.small;
    word.text = colour::kAccentText;
    word.height = 24;
    word.pad_x = 6;
    for (size_t i = 0; i < page_.keys.size(); i++) {
        ImGui::PushID(static_cast<int>(i));
        const std::string& key = page_.keys[i];
        const bool fixed = i < page_.fixed_keys;
        float right = x + width;
        if (fixed) {
            const char* from = "by the command line";
            right -= text_width(state_.fonts.small, from);
            draw_text(draw(), state_.fonts.small, {right, centred(state_.fonts.small, y, px(24))},
                      colour::kTextDim, from);
        } else {
            right -= button_size(state_, "Remove", word).x;
            if (button(state_, "remove", {right, y}, "Remove", word).clicked) {
                page_.actions->remove_key(i);
                ImGui::PopID();
                return y + px(28);
            }
            const std::string what = "key " + std::to_string(i);
            const char* copied = just_copied(state_, what) ? "Copied" : "Copy";
            right -= button_size(state_, copied, word).x;
            if (button(state_, "copy", {right, y}, copied, word).clicked) {
                copy_and_note(state_, key, what);
            }
        }
        // Never whole on the screen: somebody may look on.
        const std::string shown =
            std::to_string(i + 1) + "   " +
            (key.size() > 12 ? key.substr(0, 4) + "\u2026" + key.substr(key.size() - 4) : "\u2026");
        draw_text(draw(), state_.fonts.small_mono, {x, centred(state_.fonts.small_mono, y, px(24))},
                  colour::kText, ellipsize(state_.fonts.small_mono, shown, right - x - px(8)));
        ImGui::PopID();
        y += px(28);
    }
    if (button(state_, "add_key", {x - px(6), y}, "Add a key", word).clicked) {
        page_.actions->add_key();
    }
    return y + px(32);
}

void ServerPageView::setup(ImVec2 at, ImVec2 size) {
    draw()->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    draw()->AddLine({at.x + size.x - 1, at.y}, {at.x + size.x - 1, at.y + size.y}, colour::kLine);
    begin_region("server_setup", at, {size.x - 1, size.y}, true);
    const float x = at.x + px(24), width = size.x - px(48);
    float y = ImGui::GetCursorScreenPos().y + px(16);
    status(x, y, width);
    y += px(8);
    draw()->AddLine({x, y}, {x + width, y}, colour::kLine);
    y += px(16);
    label(x, y, "PORT");
    ImGui::SetCursorScreenPos({x, y});
    const std::string before_port = page_.port;
    input_line(state_, "port", page_.port, px(112), "8080", false);
    y += px(44);
    label(x, y, "WHO MAY CONNECT");
    size_t open = page_.open_to_network ? 1 : 0;
    if (segments(state_, "open", {x, y}, {"This computer", "My network"}, open)) {
        page_.open_to_network = open == 1;
        page_.actions->server_settings_changed();
    }
    y += px(40);
    label(x, y, "KEYS");
    y = keys(x, y, width) + px(8);
    label(x, y, "WEB PAGES THAT MAY ASK");
    ImGui::SetCursorScreenPos({x, y});
    const std::string before_origins = page_.origins;
    input_line(state_, "origins", page_.origins, width, "https://example.org", false);
    y += px(38);
    y += draw_wrapped(draw(), state_.fonts.small, {x, y}, width, colour::kTextDim,
                      "Others are refused, so that no page you visit can use your model.") +
         px(12);
    if (before_port != page_.port || before_origins != page_.origins) {
        page_.actions->server_settings_changed();
    }
    if (page_.changed) {
        if (button(state_, "restart", {x, y}, "Restart with these", primary_look()).clicked) {
            page_.actions->start_server();
        }
        y += px(40);
        y += draw_wrapped(draw(), state_.fonts.small, {x, y}, width, colour::kTextDim,
                          "Answers under way end; the log stays.") +
             px(8);
    }
    ImGui::SetCursorScreenPos({x, y});
    ImGui::Dummy({1, px(8)});
    ImGui::EndChild();
}

std::string ServerPageView::cell(const RequestRow& row, const char* column) const {
    switch (column[0]) {
        case 'T':  // Time
            return clock(row.started_ms);
        case 'S':  // Status
            return row.status == 499 ? "left" : std::to_string(row.status);
        case 'R':  // Request
            return row.method + " " + row.route;
        case 'F':  // From
            return row.owner;
        case 'P':  // Prompt
            return row.usage.prompt_tokens > 0 ? with_commas(row.usage.prompt_tokens) : "";
        case 'C':  // Cached
            return row.usage.prompt_tokens > 0
                       ? fixed(100.0 * static_cast<double>(row.usage.cached_tokens) /
                                   static_cast<double>(row.usage.prompt_tokens),
                               0) +
                             " %"
                       : "";
        case 'A':  // Answer
            return row.usage.completion_tokens > 0 ? with_commas(row.usage.completion_tokens) : "";
        default:  // Duration
            return seconds_text(row.total_ms);
    }
}

void ServerPageView::row(const RequestRow& row,
                         ImVec2 at,
                         float width,
                         const std::vector<Column>& columns) {
    const float height = px(kRowHeight);
    ImGui::PushID(static_cast<int>(row.id & 0x7FFFFFFF));
    const Click click = click_area("request", at, {width, height});
    ImGui::PopID();
    if (click.clicked) {
        page_.actions->select_request(row.id == page_.selected ? 0 : row.id);
    }
    if (row.id == page_.selected || click.hovered) {
        draw()->AddRectFilled(at, {at.x + width, at.y + height},
                              row.id == page_.selected ? colour::kActive : colour::kHover, px(4));
    }
    const bool failed = row.status >= 400 && row.status != 499;
    float x = at.x + px(12);
    for (const Column& column : columns) {
        const std::string text = cell(row, column.name);
        const bool status = column.name[0] == 'S', wide = column.width == 0;
        ImFont* font = wide || column.name[0] == 'F' ? state_.fonts.small : state_.fonts.small_mono;
        const ImU32 ink = failed && (status || wide) ? colour::kError
                          : wide                     ? colour::kText
                                                     : colour::kTextSoft;
        const float room = wide ? width - px(24) -
                                      [&] {
                                          float others = 0;
                                          for (const Column& other : columns) {
                                              others += px(other.width);
                                          }
                                          return others;
                                      }()
                                : px(column.width);
        if (column.right) {
            draw_text_right(draw(), font, x + room - px(12), centred(font, at.y, height), ink,
                            text);
        } else {
            draw_text(draw(), font, {x, centred(font, at.y, height)}, ink,
                      ellipsize(font, text, room - px(12)));
        }
        x += room;
    }
}

void ServerPageView::log(ImVec2 at, ImVec2 size) {
    begin_region("request_log", at, size);
    const float x = at.x + px(16), width = size.x - px(28);
    float y = at.y + px(12);
    ImGui::SetCursorScreenPos({x, y});
    const float field = std::min(px(320), width * 0.5F);
    input_line(state_, "filter", page_.rows.filter.words, field,
               "Filter: route, client, model, status", false);
    toggle(state_, "errors", {x + field + px(16), y + px(5)}, page_.rows.filter.errors_only);
    draw_text(draw(), state_.fonts.small,
              {x + field + px(60), centred(state_.fonts.small, y, px(30))}, colour::kTextSoft,
              "errors only");
    const bool follows = page_.log != nullptr && page_.rows.follow(*page_.log);
    const size_t count = page_.rows.size();
    const std::string words =
        page_.rows.searching()
            ? "searched " + fixed(page_.rows.searched() * 100, 0) + " %"
            : with_commas(static_cast<int64_t>(count)) + (count == 1 ? " request" : " requests");
    if (width > px(560)) {
        draw_text_right(draw(), state_.fonts.small, x + width,
                        centred(state_.fonts.small, y, px(30)), colour::kTextDim, words);
    }
    if (page_.rows.searching()) {
        state_.wants_frame = true;
    }
    y += px(40);

    std::vector<Column> columns = {
        {"Time", 84, false}, {"Status", 56, false}, {"Request", 0, false}};
    if (width > px(720)) {
        columns.push_back({"From", 132, false});
    }
    columns.push_back({"Prompt", 76, true});
    if (width > px(560)) {
        columns.push_back({"Cached", 72, true});
    }
    columns.push_back({"Answer", 72, true});
    columns.push_back({"Duration", 88, true});
    float fixed_width = px(24);
    for (const Column& column : columns) {
        fixed_width += px(column.width);
    }
    float head_x = x + px(12);
    for (const Column& column : columns) {
        const float room = column.width == 0 ? width - fixed_width : px(column.width);
        if (column.right) {
            draw_text_right(draw(), state_.fonts.small, head_x + room - px(12), y, colour::kTextDim,
                            column.name);
        } else {
            draw_text(draw(), state_.fonts.small, {head_x, y}, colour::kTextDim, column.name);
        }
        head_x += room;
    }
    y += px(20);
    draw()->AddLine({x, y}, {x + width, y}, colour::kLine);
    y += px(4);

    const float height = at.y + size.y - y;
    begin_region("requests", {x, y}, {width + px(12), height}, true);
    if (count == 0) {
        const std::string lead =
            !page_.rows.filter.empty()
                ? "No request matches"
                : "No requests yet. Point a client at the address on the left: the OpenAI and "
                  "Anthropic libraries, editors and agents work unchanged.";
        draw_wrapped(draw(), state_.fonts.body, {x + px(12), y + px(16)},
                     std::min(width - px(24), px(480)), colour::kTextDim, lead);
    } else {
        const float step = px(kRowHeight);
        float scroll = ImGui::GetScrollY();
        // What is being read stays where it is while others come on top.
        const size_t added = follows ? page_.rows.take_added() : 0;
        if (scroll > 0 && added > 0) {
            scroll += static_cast<float>(added) * step;
            ImGui::SetScrollY(scroll);
        }
        const auto first = static_cast<size_t>(std::max(0.0F, scroll) / step);
        const auto shown = static_cast<size_t>(height / step) + 2;
        const ImVec2 origin = ImGui::GetCursorScreenPos();
        const std::vector<RequestRow> rows = page_.rows.rows(*page_.log, first, shown);
        for (size_t i = 0; i < rows.size(); i++) {
            row(rows[i], {x, std::round(origin.y) + static_cast<float>(first + i) * step}, width,
                columns);
        }
        ImGui::SetCursorScreenPos({x, origin.y + static_cast<float>(count) * step - 1});
        ImGui::Dummy({1, 1});
    }
    ImGui::EndChild();
    ImGui::EndChild();
}

float ServerPageView::figures(float x, float y, float width) {
    const RequestRow& r = page_.row;
    const runtime::Usage& u = r.usage;
    std::vector<std::pair<std::string, std::string>> rows = {
        {"From", r.owner + (r.client.empty() ? "" : ", " + r.client)},
        {"Model", r.model.empty() ? "not named" : r.model},
        {"Answer", std::string(r.streamed ? "streamed" : "whole") +
                       (r.choices > 1 ? ", " + std::to_string(r.choices) + " choices" : "") +
                       (r.finish_reason.empty() ? "" : ", " + r.finish_reason)},
        {"Took", seconds_text(r.total_ms)}};
    if (u.prompt_tokens > 0) {
        rows.emplace_back("Prompt", with_commas(u.prompt_tokens) + " tokens, " +
                                        with_commas(r.prompt_bytes) + " bytes");
        rows.emplace_back("Cached / new", with_commas(u.cached_tokens) + " / " +
                                              with_commas(u.prompt_tokens - u.cached_tokens));
        rows.emplace_back("Written",
                          with_commas(u.completion_tokens) + " tokens" +
                              (u.reasoning_tokens > 0
                                   ? ", " + with_commas(u.reasoning_tokens) + " of them thinking"
                                   : ""));
        rows.emplace_back("First token", seconds_text(r.timings.queued_ms + r.timings.prompt_ms) +
                                             " (waited " + seconds_text(r.timings.queued_ms) + ")");
        const double speed = tokens_per_second(u.completion_tokens, r.timings.generation_ms);
        rows.emplace_back("Speed", speed > 0 ? fixed(speed, 1) + " tokens/s" : "too short to say");
        rows.emplace_back(
            "Sampling",
            "temperature " + fixed(static_cast<double>(r.sampling.temperature), 2) + ", top_p " +
                fixed(static_cast<double>(r.sampling.top_p), 2) +
                (r.max_tokens >= 0 ? ", at most " + with_commas(r.max_tokens) + " tokens" : ""));
    }
    const int columns = width > px(860) ? 3 : width > px(520) ? 2 : 1;
    const size_t per_column =
        (rows.size() + static_cast<size_t>(columns) - 1) / static_cast<size_t>(columns);
    const float column = std::floor((width - px(24) * static_cast<float>(columns - 1)) /
                                    static_cast<float>(columns));
    for (size_t i = 0; i < rows.size(); i++) {
        const float row_x = x + static_cast<float>(i / per_column) * (column + px(24));
        const float row_y = y + static_cast<float>(i % per_column) * px(20);
        draw_text(draw(), state_.fonts.small, {row_x, row_y}, colour::kTextDim, rows[i].first);
        draw_text(draw(), state_.fonts.small, {row_x + px(92), row_y}, colour::kText,
                  ellipsize(state_.fonts.small, rows[i].second, column - px(92)));
    }
    return y + static_cast<float>(per_column) * px(20);
}

void ServerPageView::prompt_text(ImVec2 at, ImVec2 size) {
    begin_region("prompt", at, size, true);
    const std::string& text = *page_.prompt;
    ImFont* font = state_.fonts.small_mono;
    const float width = size.x - px(12);
    ServerPage::Wrapped& wrapped = page_.wrapped;
    if (wrapped.id != page_.selected || wrapped.width != width ||
        wrapped.fonts != state_.fonts.generation) {
        wrapped = {page_.selected, width, state_.fonts.generation, 0, {}};
    }
    // A part of it each frame: prompts are long.
    const size_t until = std::min(text.size(), wrapped.done + kWrappedPerFrame);
    while (wrapped.done < until) {
        const size_t end = std::min(text.find('\n', wrapped.done), text.size());
        const std::string_view line(text.data() + wrapped.done,
                                    std::min(end, wrapped.done + 4096) - wrapped.done);
        const bool whole = wrapped.done + line.size() == end;
        const size_t fits = run_fit(font, line, width);
        const size_t taken =
            fits >= line.size()
                ? line.size()
                : std::max(fits, line.empty() ? size_t{0} : run_unit(font, line, 0).end);
        wrapped.lines.emplace_back(static_cast<uint32_t>(wrapped.done),
                                   static_cast<uint32_t>(wrapped.done + taken));
        wrapped.done += taken + (whole && taken == line.size() && end < text.size() ? 1 : 0);
        if (taken == 0 && end >= text.size()) {
            break;
        }
    }
    state_.wants_frame = state_.wants_frame || wrapped.done < text.size();
    const float step = px(18);
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    const auto first = static_cast<size_t>(std::max(0.0F, ImGui::GetScrollY()) / step);
    const size_t last =
        std::min(wrapped.lines.size(), first + static_cast<size_t>(size.y / step) + 2);
    for (size_t i = first; i < last; i++) {
        const auto [begin, end] = wrapped.lines[i];
        draw_text(draw(), font, {at.x, origin.y + static_cast<float>(i) * step}, colour::kText,
                  std::string_view(text).substr(begin, end - begin));
    }
    ImGui::SetCursorScreenPos({at.x, origin.y + static_cast<float>(wrapped.lines.size()) * step});
    ImGui::Dummy({1, 1});
    ImGui::EndChild();
}

void ServerPageView::token_list(ImVec2 at, ImVec2 size) {
    begin_region("tokens", at, size, true);
    if (!page_.tokens_known) {
        draw_text(draw(), state_.fonts.small, {at.x, at.y + px(4)}, colour::kTextDim,
                  state_.model.state == ModelView::State::ready
                      ? "Counting\u2026"
                      : "Tokens are a model's: load one to see them.");
        ImGui::EndChild();
        return;
    }
    ImFont* font = state_.fonts.small_mono;
    const float step = px(18);
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    const auto first = static_cast<size_t>(std::max(0.0F, ImGui::GetScrollY()) / step);
    const size_t last =
        std::min(page_.tokens.size(), first + static_cast<size_t>(size.y / step) + 2);
    for (size_t i = first; i < last; i++) {
        const float y = origin.y + static_cast<float>(i) * step;
        const bool cached = static_cast<int64_t>(i) < page_.row.usage.cached_tokens;
        draw_text_right(draw(), font, at.x + px(64), y, colour::kTextDim,
                        with_commas(static_cast<int64_t>(i)));
        draw_text_right(draw(), font, at.x + px(136), y, colour::kTextSoft,
                        std::to_string(page_.tokens[i].first));
        draw_text(draw(), font, {at.x + px(152), y},
                  cached ? colour::kTextDim : colour::kAccentText, cached ? "cached" : "new");
        draw_text(draw(), font, {at.x + px(216), y}, colour::kText,
                  ellipsize(font, "\u201C" + page_.tokens[i].second + "\u201D", size.x - px(228)));
    }
    ImGui::SetCursorScreenPos({at.x, origin.y + static_cast<float>(page_.tokens.size()) * step});
    ImGui::Dummy({1, 1});
    ImGui::EndChild();
}

void ServerPageView::replay_text(ImVec2 at, ImVec2 size) {
    const ReplayView& replay = page_.replay;
    begin_region("replay", at, size, true);
    const float width = size.x - px(12);
    float y = ImGui::GetCursorScreenPos().y;
    std::string words;
    if (replay.state == ReplayView::State::failed) {
        y += note_card(state_, {at.x, y}, width, NoteKind::error, replay.error) + px(8);
    } else {
        words = replay.usage.completion_tokens == 0 && replay.state == ReplayView::State::running
                    ? "Reading " + with_commas(replay.prompt_done) + " of " +
                          with_commas(replay.prompt_total) + " tokens"
                    : with_commas(replay.usage.completion_tokens) + " tokens (" +
                          with_commas(page_.row.usage.completion_tokens) + " then), first after " +
                          seconds_text(replay.timings.queued_ms + replay.timings.prompt_ms) + " (" +
                          seconds_text(page_.row.timings.queued_ms + page_.row.timings.prompt_ms) +
                          "), " + with_commas(replay.usage.cached_tokens) + " cached (" +
                          with_commas(page_.row.usage.cached_tokens) + ")";
        y += draw_wrapped(draw(), state_.fonts.small, {at.x, y}, width, colour::kTextDim, words) +
             px(8);
    }
    if (!replay.remark.empty()) {
        y += note_card(state_, {at.x, y}, width, NoteKind::warning, replay.remark) + px(8);
    }
    // The end is enough: what is longer can be asked for over HTTP.
    constexpr size_t kShown = 16 << 10;
    size_t from = replay.text.size() > kShown ? replay.text.size() - kShown : 0;
    while (from > 0 && (static_cast<unsigned char>(replay.text[from]) & 0xC0) == 0x80) {
        from--;
    }
    y += draw_wrapped(draw(), state_.fonts.small_mono, {at.x, y}, width, colour::kText,
                      std::string_view(replay.text).substr(from));
    ImGui::SetCursorScreenPos({at.x, y});
    ImGui::Dummy({1, px(4)});
    ImGui::EndChild();
}

void ServerPageView::inspector(ImVec2 at, ImVec2 size) {
    begin_region("inspector", at, size);
    draw()->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kCard);
    draw()->AddLine(at, {at.x + size.x, at.y}, colour::kLine);
    const RequestRow& r = page_.row;
    const float x = at.x + px(24), width = size.x - px(48);
    float y = at.y + px(12);
    const ImVec2 close{x + width - px(24), y};
    const Click closed = click_area("close", close, {px(24), px(24)});
    draw_cross(draw(), {close.x + px(12), close.y + px(12)}, px(9),
               closed.hovered ? colour::kText : colour::kTextDim, std::max(1.0F, 1.4F * scale_));
    draw_text(
        draw(), state_.fonts.bold, {x, centred(state_.fonts.bold, y, px(24))}, colour::kText,
        ellipsize(state_.fonts.bold,
                  "#" + std::to_string(r.id) + "  " + r.method + " " + r.route + "  \u00B7  " +
                      std::to_string(r.status) + "  \u00B7  " + clock(r.started_ms),
                  width - px(40)));
    y += px(36);
    y = figures(x, y, width) + px(8);
    if (!r.error.empty()) {
        y += note_card(state_, {x, y}, width, NoteKind::error, r.error) + px(8);
    }
    if (page_.prompt && !page_.prompt->empty()) {
        size_t shown = page_.tokens_shown ? 1 : 0;
        if (segments(state_, "as", {x, y}, {"Prompt", "Tokens"}, shown)) {
            page_.actions->show_tokens(shown == 1);
        }
        ButtonLook look = secondary_look();
        look.height = 28;
        const bool running = page_.replay.state == ReplayView::State::running;
        const char* replay = running ? "Stop" : "Replay";
        float right = x + width - button_size(state_, replay, look).x;
        if (button(state_, "replay", {right, y}, replay, look).clicked) {
            running ? page_.actions->stop_replay() : page_.actions->replay();
        }
        const char* copy = just_copied(state_, "prompt") ? "Copied" : "Copy prompt";
        right -= button_size(state_, copy, look).x + px(8);
        if (button(state_, "copy", {right, y}, copy, look).clicked) {
            copy_and_note(state_, *page_.prompt, "prompt");
        }
        y += px(40);
        const float height = at.y + size.y - y - px(8);
        const bool replayed = page_.replay.state != ReplayView::State::none;
        const float text_width = replayed ? std::floor(width * 0.5F) - px(12) : width;
        if (height > px(20)) {
            page_.tokens_shown ? token_list({x, y}, {text_width, height})
                               : prompt_text({x, y}, {text_width, height});
            if (replayed) {
                const float middle = x + text_width + px(12);
                draw()->AddLine({middle, y}, {middle, y + height}, colour::kLine);
                replay_text({middle + px(12), y}, {x + width - middle - px(12), height});
            }
        }
    } else {
        draw_text(draw(), state_.fonts.small, {x, y}, colour::kTextDim,
                  r.usage.prompt_tokens > 0
                      ? "Its prompt is not kept any more: newer ones took its place."
                      : "It had no prompt.");
    }
    ImGui::EndChild();
    if (closed.clicked) {
        page_.actions->select_request(0);
    }
}

}  // namespace

void draw_server_page(AppState& state, ImVec2 at, ImVec2 size) {
    const auto px = [&](float units) { return std::round(units * state.fonts.scale); };
    begin_region("server_page", at, size);
    const float head = draw_page_head(state, at, size.x, "Server");
    const float setup = std::round(std::clamp(size.x * 0.28F, px(220), px(340)));
    const float top = at.y + head, height = size.y - head;
    ServerPageView view(state);
    view.setup({at.x, top}, {setup, height});
    const float details = state.server_page.selected != 0
                              ? std::round(std::min(height * 0.62F, height - px(160)))
                              : 0;
    view.log({at.x + setup, top}, {size.x - setup, height - std::max(0.0F, details)});
    if (details > px(80)) {
        view.inspector({at.x + setup, top + height - details}, {size.x - setup, details});
    }
    ImGui::EndChild();
}

}  // namespace app::window
