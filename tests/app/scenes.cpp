#include "tests/app/scenes.h"

#include <algorithm>

using namespace app;
using namespace app::window;

namespace scenes {

void reset(AppState& state) {
    const Fonts fonts = state.fonts;
    Actions* const actions = state.actions;
    state = AppState();
    state.fonts = fonts;
    state.actions = actions;
    state.now = 1'790'000'000;
    state.demo_hint =
        "get a GGUF of GLM-4.7-Flash (for example Q4_K_M, 18 GB, from Hugging Face) and name it";
}

void load_model(AppState& state) {
    constexpr int64_t kGiB = int64_t{1} << 30, kMiB = 1 << 20;
    state.model = {ModelView::State::ready,
                   "GLM-4.7-Flash",
                   "Q4_K_M",
                   "/models/GLM-4.7-Flash-Q4_K_M.gguf",
                   false,
                   17 * kGiB,
                   1,
                   ""};
    state.device = "RTX 4090";
    state.server = {"127.0.0.1:8080", 2};
    runtime::MemorySnapshot& memory = state.memory;
    memory.loaded = true;
    memory.ctx_size = 65'536;
    constexpr int64_t kPage = 54'144 * 64;
    memory.devices = {{"RTX 4090", 24 * kGiB, 17 * kGiB + 410 * kMiB, 652 * kPage, 1024 * kPage,
                       1024 * kPage, 635 * kMiB, 922 * kMiB, 0}};
    runtime::MemorySnapshot::Device& device = memory.devices[0];
    device.free_bytes = device.total_bytes - device.weights_bytes - device.kv_reserved_bytes -
                        device.compute_bytes - device.other_bytes;
    memory.kv_cache = {
        "f16", 54'144, 64, 652, 12, 210, 1024, 1024, 652 * kPage, 0, 652 * 64 * int64_t{48'128}};
    memory.sequences = {{7, "window", 41'670, 41'212, 41'158, 652}};
    state.context = {true, 65'536, 148, 31'204, 8'112, 46, 4096};
    state.prefix_cached = 0.987;
    using Page = runtime::MemorySnapshot::Page;
    memory.pages.resize(1024);
    for (size_t i = 0; i < memory.pages.size(); i++) {
        memory.pages[i] = i < 640   ? Page{Page::State::used, 0}
                          : i < 652 ? Page{Page::State::shared, 1}
                          : i < 862 ? Page{Page::State::cached, -1}
                                    : Page{};
    }
    memory.sequences.push_back({9, "http", 2'310, 2'200, 704, 37});
    using End = runtime::MemorySnapshot::Lookup::End;
    memory.lookups = {{5, "http", 1'204, 0, End::nothing, 0},
                      {6, "window", 40'120, 18'304, End::differs, 18'330},
                      {7, "window", 41'670, 41'158, End::complete, 41'158},
                      {9, "http", 2'310, 704, End::not_kept, 704}};
    memory.lookup_tokens = 85'304;
    memory.found_tokens = 60'166;
    state.gauge.process = {2'400'000'000, 310'000'000, 2'090'000'000};
    state.gauge.graphics_bytes = 31 << 20;
    for (int i = 0; i < 120; i++) {
        const auto& d = memory.devices[0];
        state.gauge.timeline.push_back({i * 5.0, d.weights_bytes,
                                        d.kv_used_bytes * std::min(i, 90) / 100,
                                        d.kv_reserved_bytes * (i / 40 + 1) / 3, d.compute_bytes,
                                        d.other_bytes, d.total_bytes});
    }
    state.gauge.shown_at = 600;
    state.gauge.prefill.add(0, 1000, 800);
}

void converse(AppState& state) {
    Message user;
    user.content =
        "After a cancelled request the used pages never go back to zero. Where is the reference "
        "lost?";
    user.attachments.push_back({"keyhole/",
                                "text",
                                31'204,
                                {{"runtime/engine/engine.cpp", "", 3912, true},
                                 {"runtime/cache/kv_cache.cpp", "", 2204, true},
                                 {"runtime/engine/scheduler.cpp", "", 2961, true},
                                 {"assets/demo.gguf", "binary", 0, false},
                                 {"package-lock.json", "lock file", 41'332, false}}});
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.reasoning = "so the sequence is erased\nbefore its partial page is released";
    answer.content =
        "The leak is in the cancel path. **Sequence::release** drops full pages only; the last, "
        "partly filled page keeps "
        "its reference when a request ends between two steps:\n\n"
        "```cpp\nvoid KvCache::release(Sequence& s) {\n    for (PageId p : s.pages) {\n        "
        "pool_.unref(p);  // the partial "
        "one too\n    }\n    s.pages.clear();\n}\n```\n\n"
        "Two callers must agree on it. A test that cancels after 63, 64 and 65 tokens shows it.\n\n"
        "| tokens | pages before | pages after |\n|---|---|---|\n| 63 | 1 | 0 |\n| 65 | 2 | 0 |\n";
    answer.stats = {41'670, 41'158, 300, 60, 410, 2024, 6200};
    state.conversation.id = 1;
    state.conversation.title = "Why does the page table leak?";
    state.conversation.messages = {user, answer};
    state.conversation_generation++;
    state.conversations = {{1, "Why does the page table leak?", state.now, 41'700},
                           {2, "Rewrite the XDND preview", state.now - 400, 12'200},
                           {3, "Bash: rename with spaces", state.now - 3'000, 1'100},
                           {4, "Plan a two-day trip to Turin", state.now - 90'000, 2'900}};
}

const std::vector<Scene>& all() {
    static const std::vector<Scene> scenes = {
        {"welcome",
         [](AppState& state) {
             reset(state);
             load_model(state);
             state.model.is_demo = true;
             state.model.name = "Keyhole demo";
             state.context.codebase = state.context.chat = state.context.draft = 0;
         }},
        {"chat",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
         }},
        {"gauge",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             state.sidebar = false;
             state.staged = {{"docs/", "", 31'000, {}}};
             state.context.codebase += 31'000;
             state.gauge.open = true;
         }},
        {"picker",
         [](AppState& state) {
             reset(state);
             load_model(state);
             state.staged = {{"keyhole/", "", 88'412, {}}};
             PickerView& picker = state.picker;
             picker.open = true;
             picker.root = "keyhole/";
             picker.tokens = 88'412;
             picker.budget = 61'292;
             picker.bytes_per_token = 54'144;
             const auto add = [&](const char* path, int64_t tokens, PickerLevel level,
                                  const char* reason = "") {
                 const bool shown = level == PickerLevel::full || level == PickerLevel::outline;
                 picker.files.push_back({path, reason, tokens * 3, tokens,
                                         !shown                        ? 0
                                         : level == PickerLevel::outline ? tokens / 8
                                                                         : tokens,
                                         level, tokens > 0, false});
             };
             add("app/conversation.cpp", 8'112, PickerLevel::full);
             add("app/conversation.h", 2'140, PickerLevel::full);
             add("app/window/chat.cpp", 21'480, PickerLevel::outline, "outline");
             add("app/window/composer.cpp", 19'975, PickerLevel::full);
             add("assets/demo.gguf", 0, PickerLevel::name, "binary");
             add("package-lock.json", 41'332, PickerLevel::name, "lock file");
             add("runtime/cache/page_pool.h", 2'204, PickerLevel::full);
             add("runtime/engine/engine.cpp", 13'912, PickerLevel::full);
             add("runtime/engine/scheduler.cpp", 32'961, PickerLevel::full, "1 secret masked");
             add("tests/app/engine_test.cpp", 6'423, PickerLevel::left_out, "left out by hand");
             picker.files[7].focus = true;
             picker.proposals = {
                 {"tests, examples and documentation by name only (1 file)", 81'989, false},
                 {"outlines instead of the text of the largest (2 files)", 47'310, true}};
             picker.cursor = "runtime/engine/engine.cpp";
         }},
        {"dragged",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             state.drag = {true, false, "linux/", 12'400, 151'200'000, 1'204'118, 2'890'000,
                           4'120'000, ""};
             state.gauge.dragged_tokens = 3'505'000;
         }},
    };
    return scenes;
}

}  // namespace scenes
