#include "tests/app/scenes.h"

#include <algorithm>

#include "app/window/commands.h"

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

void find_models(AppState& state) {
    constexpr int64_t kGiB = int64_t{1} << 30, kMiB = 1 << 20;
    state.page = Page::models;
    ModelsView& view = state.models;
    const auto entry = [&](const char* path, const char* name, const char* place, int64_t bytes,
                           const char* type, bool recent) -> ModelEntry& {
        ModelEntry fresh;
        fresh.file = {path, name, place, bytes, 1};
        fresh.recent = recent;
        fresh.read = true;
        fresh.facts.usable = fresh.facts.mla = true;
        fresh.facts.name = "GLM-4.7-Flash";
        fresh.facts.architecture = "deepseek2";
        fresh.facts.type = type;
        fresh.facts.dialect = "mainline llama.cpp";
        fresh.facts.n_layers = 47;
        fresh.facts.n_experts = 64;
        fresh.facts.n_experts_used = 4;
        fresh.facts.n_mtp_layers = 1;
        fresh.facts.context_length = 202'752;
        fresh.facts.bytes_per_token = 54'144;
        view.entries.push_back(fresh);
        return view.entries.back();
    };
    entry("/models/GLM-4.7-Flash-Q4_K_M.gguf", "GLM-4.7-Flash-Q4_K_M.gguf", "~/models",
          17 * kGiB + 410 * kMiB, "Q4_K_M", true)
        .facts.notes = {"the draft layer (MTP) is not used: its tensors are not loaded"};
    entry("/hf/GLM-4.7-Flash-Q8_0.gguf", "GLM-4.7-Flash-Q8_0.gguf", "Hugging Face cache", 30 * kGiB,
          "Q8_0", false);
    entry("/lm/GLM-4.7-Flash-MXFP4.gguf", "GLM-4.7-Flash-MXFP4.gguf", "LM Studio",
          16 * kGiB + 200 * kMiB, "MXFP4", false);
    ModelEntry& demo =
        entry("/demo.gguf", "keyhole-demo.gguf", "comes with Keyhole", 9 * kMiB, "F16", false);
    demo.demo = true;
    demo.facts.name = "Keyhole demo";
    ModelEntry& other = entry("/lm/llama.gguf", "Llama-3.1-8B-Q4_K_M.gguf", "LM Studio",
                              4 * kGiB + 600 * kMiB, "Q4_K", false);
    other.facts.usable = other.facts.mla = false;
    other.facts.name = "Llama 3.1 8B";
    view.places = {"Keyhole's models", "Hugging Face cache", "LM Studio", "~/models"};
    view.selected = "/models/GLM-4.7-Flash-Q4_K_M.gguf";
    view.choice.ctx_size = 65'536;
    view.choice.cache_type = "f16";
    view.choice.device = "cuda";
    view.cache_types = {"", "f16", "bf16", "q8_0", "q4_0", "q8_latent"};
    view.devices = {"cpu", "cuda"};
    view.planned = true;
    runtime::MemoryPlan& plan = view.plan;
    plan.fits = true;
    plan.cache_type = "f16";
    plan.bytes_per_token = 54'144;
    plan.ctx_size = 65'536;
    plan.max_ctx_size = 98'304;
    plan.k_bytes = 65'536 * plan.bytes_per_token;
    plan.with_v_bytes = 65'536 * int64_t{102'272};
    runtime::MemoryPlan::Device device;
    device.name = "RTX 4090";
    device.total_bytes = 24 * kGiB;
    device.weights_bytes = 17 * kGiB + 410 * kMiB;
    device.kv_bytes = plan.k_bytes;
    device.compute_bytes = 635 * kMiB;
    device.other_bytes = 922 * kMiB;
    device.free_bytes = device.total_bytes - device.weights_bytes - device.kv_bytes -
                        device.compute_bytes - device.other_bytes;
    plan.devices = {device};
}

void serve(AppState& state) {
    static RequestLog log;
    static const std::string prompt =
        "[gMASK]<sop><|system|>\nYou are a careful reviewer.<|user|>\n<file-7f3a "
        "path=\"runtime/cache/kv_cache.cpp\">\nvoid KvCache::release(Sequence& s) {\n    for "
        "(PageId "
        "p : s.pages) {\n        pool_.unref(p);\n    }\n    s.pages.clear();\n}\n</file-7f3a>\n"
        "After a cancelled request the used pages never go back to zero. Where is the reference "
        "lost?<|assistant|>\n<think>";
    if (log.size() == 0) {
        for (int i = 0; i < 400; i++) {
            RequestRow row;
            row.started_ms = (1'790'000'000 + i * 7) * int64_t{1000};
            row.method = i % 9 == 0 ? "GET" : "POST";
            row.route = i % 9 == 0   ? "/v1/models"
                        : i % 4 == 0 ? "/v1/messages"
                                     : "/v1/chat/completions";
            row.owner = i % 4 == 0 ? "key 2" : "key 1";
            row.client = i % 4 == 0 ? "claude-cli/2.0" : "OpenAI/Python 1.109";
            row.model = "glm-4.7-flash";
            row.status = i % 23 == 0 ? 400 : i % 31 == 0 ? 499 : 200;
            row.error = i % 23 == 0 ? "The prompt has 70,112 tokens; the context holds 65,536" : "";
            row.streamed = true;
            row.finish_reason = "stop";
            row.total_ms = 900 + (i * 377) % 4000;
            if (i % 9 != 0 && row.status == 200) {
                row.usage = {12'000 + i * 71, 11'400 + i * 71, 80 + i % 300, 20};
                row.timings = {3, 410, row.total_ms - 420};
            }
            log.add(row, i % 9 != 0 ? prompt : "");
        }
    }
    state.page = Page::server;
    ServerPage& page = state.server_page;
    page.log = &log;
    page.state = ServerPage::State::on;
    page.url = "http://127.0.0.1:8080";
    page.port = "8080";
    page.keys = {"kh-2f8AbcdefghijklmnopqrstuvwxyZ91", "kh-9kQabcdefghijklmnopqrstuvwxyzT7"};
    page.selected = 398;
    page.row = *LogRows::row(log, 398);
    page.prompt = log.prompt(398);
}

void show_text(AppState& state) {
    reset(state);
    load_model(state);
    converse(state);
    Message user;
    user.content =
        "Show me a table, code in six languages, and other scripts: \u4E2D\u6587 \U0001F600";
    Message answer;
    answer.role = runtime::Role::assistant;
    answer.reasoning = "A table, then one short piece of code in each language.";
    answer.content =
        "## Six languages, one table\n\n"
        "Plain words with **bold**, *italics*, ~~struck~~, `inline code`, a [link](https://e.org) "
        "and a note[^1]. \u4E2D\u6587\u4E0E\u65E5\u672C\u8A9E\u3001\uD55C\uAD6D\uC5B4 stand beside "
        "emoji "
        "\U0001F600 \U0001F468\u200D\U0001F469\u200D\U0001F467 \U0001F1E9\U0001F1EA "
        "\U0001F44D\U0001F3FD and rare ones \U0001D54F \U00020000; accents: e\u0301 n\u0303; "
        "\u0627\u0644\u0639\u0631\u0628\u064A\u0629.\n\n"
        "| file | pages | what it holds |\n|---|--:|---|\n"
        "| `runtime/cache/kv_cache.cpp` | 1,204 | K rows in pages of 64 tokens, shared |\n"
        "| `app/window/chat.cpp` | 12 | \u5BF9\u8BDD\u89C6\u56FE \u2705 |\n\n"
        "1. First, with a formula: $E = mc^2$ and $\\sum_{i=1}^n x_i \\le \\alpha$\n2. Second\n"
        "   - nested *item*\n   - [x] done\n   - [ ] open\n\n"
        "> A quote: the sequence is erased before its partial page is released.\n\n"
        "```cpp\ntemplate <typename T>\nauto sum(const std::vector<T>& v) {\n    return "
        "std::accumulate(v.begin(), v.end(), T{0});  // \u5408\u8BA1\n}\n```\n\n"
        "```python\n@dataclass\nclass Page:\n    \"\"\"64 tokens.\"\"\"\n    tokens: int = 64  # "
        "fixed\n```\n\n"
        "```rust\nfn main() { let s: &'static str = \"hi\"; println!(\"{} {}\", s, 42u8); "
        "}\n```\n\n"
        "```js\nconst total = rows.filter(r => r.n > 1).map(r => `${r.n}`).join(\"\\n\"); // "
        "ok\n```\n\n"
        "```bash\nfor f in *.gguf; do echo \"$f: $(stat -c %s \"$f\")\" >> sizes.txt; done # "
        "sizes\n```\n\n"
        "```sql\nSELECT id, count(*) FROM messages WHERE role = 'user' GROUP BY id; -- per "
        "chat\n```\n\n"
        "$$\\int_0^\\infty e^{-x^2} dx = \\frac{\\sqrt{\\pi}}{2}$$\n\n[^1]: Where the reference is "
        "lost.\n";
    answer.stats = {160, 60, 420, 20, 120, 3200, 900};
    state.conversation.messages = {user, answer};
    state.conversation.title = "\u4E2D\u6587\u63D0\u793A\u8BCD \U0001F600 table";
    state.conversations.front().title = state.conversation.title;
    state.context.codebase = 0;
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
        {"overflow",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             state.draft.set("And which test would have caught it?");
             OverflowView view;
             view.conversation = state.conversation;
             state.context.chat = 32'014;
             view.report = {
                 true, state.context.used(), state.context.reserve, state.context.limit, {}};
             using Kind = OverflowChoice::Kind;
             const auto add = [&](Kind kind, int64_t freed) -> OverflowChoice& {
                 OverflowChoice choice;
                 choice.kind = kind;
                 choice.freed_tokens = freed;
                 choice.prompt_tokens = view.report.prompt_tokens - freed;
                 choice.room = view.report.limit - choice.prompt_tokens;
                 choice.fits = choice.room >= view.report.reserve;
                 view.report.choices.push_back(choice);
                 return view.report.choices.back();
             };
             add(Kind::trim_turns, 8'112).messages = {0, 1};
             add(Kind::drop_attachment, 31'204).attachment = {0, 0};
             add(Kind::less_room, 0);
             OverflowChoice& raise = add(Kind::raise_limit, 0);
             raise.limit = 75'776;
             raise.bytes = (raise.limit - view.report.limit) * 54'144;
             state.chat.overflow = view;
         }},
        {"models",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             find_models(state);
         }},
        {"remote",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             state.page = Page::remote;
             RemoteView& view = state.remote;
             view.state = RemoteView::State::on;
             view.url = "http://cluster:8000";
             view.key_kept = true;
             view.host = "cluster:8000";
             view.models = {{"zai-org/GLM-4.7-Flash", 202'752}, {"zai-org/GLM-4.7", 131'072}};
             view.model = view.models[0].id;
             view.warning =
                 "note: http://cluster:8000 is not https: conversations and the key can be read on "
                 "their way through the network";
             state.model = {};
             state.model.state = ModelView::State::ready;
             state.model.name = view.model;
             state.model.remote = view.host;
         }},
        {"server",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             serve(state);
         }},
        {"settings",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             state.page = Page::settings;
             static Settings settings;
             settings = {};
             settings.temperature = 0.8;
             settings.system_prompt = "Answer briefly, and name the file and line you speak of.";
             state.settings_page.settings = &settings;
             state.settings_page.system_prompt.start(settings.system_prompt, 0);
         }},
        {"palette",
         [](AppState& state) {
             reset(state);
             load_model(state);
             converse(state);
             open_palette(state);
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
                                         !shown                          ? 0
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
             state.drag = {true,      false,     "linux/",  12'400, 151'200'000,
                           1'204'118, 2'890'000, 4'120'000, ""};
             state.gauge.dragged_tokens = 3'505'000;
         }},
    };
    return scenes;
}

}  // namespace scenes
