// The strip at the bottom: where every byte of memory is, and what the context holds. All figures
// come from the engine's snapshot and the tokenizer; nothing here is a constant.
#include <algorithm>
#include <cmath>
#include <vector>

#include "app/window/app_state.h"
#include "app/window/format.h"
#include "app/window/widgets.h"

namespace app::window {
namespace {

struct Part {
    int64_t amount;
    ImU32 fill;
    bool hatched;
    std::string name;
};

// Draws the parts in order, to scale; what is not zero is at least two pixels wide.
void draw_bar(
    AppState& state, ImVec2 at, ImVec2 size, int64_t total, const std::vector<Part>& parts) {
    const float scale = state.fonts.scale;
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kTrack, 2 * scale);
    if (total <= 0) {
        return;
    }
    float x = at.x;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    for (const Part& part : parts) {
        if (part.amount <= 0) {
            continue;
        }
        float width =
            static_cast<float>(static_cast<double>(part.amount) / static_cast<double>(total)) *
            size.x;
        width = std::min(std::max(width, 2.0F), at.x + size.x - x);
        if (width <= 0) {
            break;
        }
        const ImVec2 low{x, at.y}, high{x + width, at.y + size.y};
        if (part.hatched) {
            draw_hatched(list, low, high, colour::kHatch, part.fill, std::round(5 * scale));
        } else {
            list->AddRectFilled(low, high, part.fill);
        }
        if (ImGui::IsWindowHovered() && mouse.x >= low.x && mouse.x < high.x &&
            mouse.y >= low.y - 4 && mouse.y < high.y + 4) {
            tooltip(state, part.name);
        }
        x += width;
    }
}

// A line of figures, right-aligned; parts are dropped from the left end where there is no room. The
// most telling come last.
std::string fit(ImFont* font, std::vector<std::string> parts, float room) {
    for (;;) {
        std::string line;
        for (const std::string& part : parts) {
            line += (line.empty() ? "" : " \u00B7 ") + part;
        }
        if (parts.size() <= 1 || text_width(font, line) <= room) {
            return ellipsize(font, line, room);
        }
        parts.erase(parts.begin());
    }
}

}  // namespace

void draw_gauge(AppState& state, ImVec2 at, ImVec2 size) {
    const float scale = state.fonts.scale;
    const auto px = [scale](float units) { return std::round(units * scale); };
    begin_region("gauge", at, size);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel);
    list->AddLine(at, {at.x + size.x, at.y}, colour::kLine);
    const float label_x = at.x + px(16), bar_x = at.x + px(92);
    const float right = at.x + size.x - px(16);
    const bool wide = size.x > px(880);
    const float bar_width = wide ? std::round((right - bar_x) * 0.56F) : right - bar_x;
    const float text_room = right - (bar_x + bar_width) - px(20);
    const float line1 = at.y + px(14), line2 = at.y + px(36), line3 = at.y + px(58);
    const float bar_height = px(12), line_height = px(14);
    ImFont* mono = state.fonts.small_mono;
    const runtime::MemorySnapshot& memory = state.memory;

    draw_text(list, state.fonts.small, {label_x, centred(state.fonts.small, line1, line_height)},
              colour::kTextDim, "MEMORY");
    draw_text(list, state.fonts.small, {label_x, centred(state.fonts.small, line2, line_height)},
              colour::kTextDim, "CONTEXT");

    std::vector<std::string> memory_words;
    if (memory.devices.empty()) {
        draw_bar(state, {bar_x, line1 + px(1)}, {bar_width, bar_height}, 0, {});
        memory_words = {"no model is loaded"};
    } else {
        const auto& device = memory.devices.front();
        const int64_t idle_pages = device.kv_reserved_bytes - device.kv_used_bytes;
        draw_bar(state, {bar_x, line1 + px(1)}, {bar_width, bar_height}, device.total_bytes,
                 {{device.weights_bytes, colour::kWeights, false,
                   "Weights " + bytes_text(device.weights_bytes)},
                  {device.kv_used_bytes, colour::kKeys, false,
                   "K pages in use " + bytes_text(device.kv_used_bytes)},
                  {idle_pages, colour::kKeysReserved, true,
                   "K pages reserved and not in use " + bytes_text(idle_pages) + "; " +
                       with_commas(memory.kv_cache.pages_cached) + " of them keep earlier turns"},
                  {device.compute_bytes, colour::kCompute, false,
                   "Compute buffers " + bytes_text(device.compute_bytes)},
                  {device.other_bytes, colour::kOthers, false,
                   "Other programs, and this window " + bytes_text(device.other_bytes)}});
        memory_words = {"weights " + bytes_text(device.weights_bytes),
                        "K " + bytes_text(device.kv_used_bytes) +
                            (idle_pages > 0 ? " (+" + bytes_text(idle_pages) + ")" : ""),
                        "compute " + bytes_text(device.compute_bytes),
                        "others " + bytes_text(device.other_bytes),
                        "free " + bytes_text(device.free_bytes)};
    }

    const ContextView& context = state.context;
    std::vector<std::string> context_words;
    if (context.limit <= 0) {
        draw_bar(state, {bar_x, line2 + px(1)}, {bar_width, bar_height}, 0, {});
    } else {
        draw_bar(state, {bar_x, line2 + px(1)}, {bar_width, bar_height}, context.limit,
                 {{context.system, colour::kSystem, false,
                   "System and format " + with_commas(context.system) + " tokens"},
                  {context.codebase, colour::kCodebase, false,
                   "Files and folders " + with_commas(context.codebase) + " tokens"},
                  {context.chat, colour::kChat, false,
                   "Conversation " + with_commas(context.chat) + " tokens"},
                  {context.draft, colour::kDraft, false,
                   "What is being written " + with_commas(context.draft) + " tokens"},
                  {std::min(context.reserve, std::max<int64_t>(0, context.limit - context.used())),
                   colour::kReserve, true,
                   "Kept for the answer " + with_commas(context.reserve) + " tokens"}});
        if (context.system > 0) {
            context_words.push_back("system " + with_commas(context.system));
        }
        if (context.codebase > 0) {
            context_words.push_back("codebase " + with_commas(context.codebase));
        }
        context_words.push_back("chat " + with_commas(context.chat + context.draft));
        context_words.push_back("reserve " + with_commas(context.reserve));
        context_words.push_back(with_commas(context.used()) + " / " + with_commas(context.limit));
    }

    std::vector<std::string> facts;
    if (memory.loaded && memory.kv_cache.bytes_per_token > 0) {
        facts.push_back(bytes_text(memory.kv_cache.bytes_per_token) + " a token");
        facts.push_back("V cache " + bytes_text(memory.kv_cache.v_bytes) + " (saved " +
                        bytes_text(memory.kv_cache.saved_bytes) + ")");
        facts.push_back(with_commas(memory.kv_cache.pages_used) + " of " +
                        with_commas(memory.kv_cache.pages_limit) + " pages");
    }
    if (state.prefix_cached >= 0) {
        facts.push_back("prefix cached " + percent_text(state.prefix_cached));
    }
    std::string fact_line;
    for (const std::string& fact : facts) {
        fact_line += (fact_line.empty() ? "" : "   \u00B7   ") + fact;
    }
    if (wide) {
        draw_text_right(list, mono, right, centred(mono, line1, line_height), colour::kTextSoft,
                        fit(mono, memory_words, text_room));
        draw_text_right(list, mono, right, centred(mono, line2, line_height), colour::kTextSoft,
                        fit(mono, context_words, text_room));
    } else if (!context_words.empty()) {
        fact_line = context_words.back() + " tokens" +
                    (fact_line.empty() ? "" : "   \u00B7   " + fact_line);
    }
    draw_text(list, mono, {bar_x, centred(mono, line3, line_height)}, colour::kTextDim,
              ellipsize(mono, fact_line, right - bar_x));
    ImGui::EndChild();
}

}  // namespace app::window
