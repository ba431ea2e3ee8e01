// The server page and its log, settings and presets, the palette, and a second start.
#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include <httplib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/presets.h"
#include "app/window/commands.h"
#include "app/window/log_rows.h"
#include "app/window/preferences.h"
#include "app/window/server_control.h"
#include "app/window/single_instance.h"
#include "tests/app/window_stage.h"
#include "tests/support/temp_folder.h"

namespace {

RequestRow row_of(uint64_t i) {
    RequestRow row;
    row.method = "POST";
    row.route = i % 7 == 0 ? "/v1/models" : "/v1/chat/completions";
    row.owner = "key " + std::to_string(i % 5);
    row.client = i % 3 == 0 ? "OpenAI/Python" : "curl";
    row.status = i % 11 == 0 ? 400 : 200;
    row.error = i % 11 == 0 ? "a wrong Field" : "";
    row.usage = {41'670, 41'158, 300, 60};
    row.timings = {1, 410, 2024};
    row.total_ms = 2500;
    row.started_ms = 1'790'000'000'000 + static_cast<int64_t>(i);
    return row;
}

void fill(RequestLog& log, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        log.add(row_of(i), "");
    }
}

template <typename Done>
bool until(const Done& done) {
    for (int i = 0; i < 2000; i++) {
        if (done()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

}  // namespace

TEST_CASE("a filter over 100,000 requests finds what a search of all finds, a part at a time") {
    RequestLog log;
    fill(log, 100'000);
    LogRows rows;
    CHECK(rows.follow(log));
    CHECK(rows.size() == 100'000);
    CHECK(rows.rows(log, 99'990, 50).size() == 10);
    CHECK_FALSE(rows.follow(log));

    rows.filter = {"OPENAI wrong", true};
    const auto expected = [&] {
        std::vector<uint64_t> ids;
        for (const RequestRow& row : log.newest(log.size())) {
            if (matches(row, rows.filter)) {
                ids.push_back(row.id);
            }
        }
        return ids;
    };
    const auto found = [&] {
        std::vector<uint64_t> ids;
        for (const RequestRow& row : rows.rows(log, 0, rows.size())) {
            ids.push_back(row.id);
        }
        return ids;
    };
    int steps = 0;
    do {
        rows.follow(log);
        steps++;
        if (steps % 10 == 0) {  // others write meanwhile, and the oldest rows go
            fill(log, 333);
        }
        REQUIRE(steps < 1000);
    } while (rows.searching());
    while (rows.follow(log)) {
    }
    CHECK(steps >= 100);
    CHECK(found() == expected());
    CHECK(rows.size() > 2000);
    // More at once than are looked at in a frame.
    fill(log, 2500);
    do {
        rows.follow(log);
    } while (rows.searching());
    CHECK(found() == expected());
    rows.filter = {"no such thing", false};
    do {
        rows.follow(log);
    } while (rows.searching());
    CHECK(rows.size() == 0);
    rows.filter = {};
    rows.follow(log);
    CHECK(rows.size() == log.size());
    CHECK(LogRows::row(log, 1) == std::nullopt);
    CHECK(LogRows::row(log, log.newest(1)[0].id)->id == log.newest(1)[0].id);
}

namespace {

struct ServerStage {
    // With a state of its own nothing is drawn: one ImGui context is there at a time.
    explicit ServerStage(int port = 0, AppState* given = nullptr)
        : stage(given ? nullptr : std::make_unique<WindowStage>()),
          state(given ? *given : stage->state) {
        options.port = port;
        options.port_given = true;
        control = std::make_unique<ServerControl>(
            ServerControl::Host{state, settings, engine, model, [] {}, [this] { saves++; },
                                [this](Banner::Kind, const std::string& text) { banner = text; }},
            options);
    }
    ServerPage& page() { return state.server_page; }
    bool settled() {
        return until([&] {
            control->tick();
            return page().state == ServerPage::State::on || page().state == ServerPage::State::off;
        });
    }
    int status(const std::string& path, const httplib::Headers& headers = {}) {
        httplib::Client client(page().url);
        const auto answer = client.Get(path.c_str(), headers);
        return answer ? answer->status : -1;
    }

    std::unique_ptr<WindowStage> stage;
    AppState& state;
    Settings settings;
    Options options;
    runtime::EngineThread engine;
    std::shared_ptr<const runtime::LoadedModel> model;
    int saves = 0;
    std::string banner;
    std::unique_ptr<ServerControl> control;
};

}  // namespace

TEST_CASE("the server starts, stops and moves in the window's process, and its log goes on") {
    ServerStage s;
    s.control->start_first();
    REQUIRE(s.settled());
    REQUIRE(s.page().state == ServerPage::State::on);
    CHECK(s.status("/v1/nothing") == 404);
    REQUIRE(until([&] { return s.page().log->size() == 1; }));
    CHECK(s.state.server.address.find("127.0.0.1:") == 0);

    // A key is asked for as soon as there is one and the server was started with it.
    s.control->add_key();
    CHECK(s.page().changed);
    CHECK(s.settings.server_keys.size() == 1);
    CHECK(s.page().keys[0].size() > 30);
    s.control->start_server();
    REQUIRE(s.settled());
    CHECK_FALSE(s.page().changed);
    CHECK(s.status("/v1/nothing") == 401);
    REQUIRE(until([&] { return s.page().log->size() == 2; }));  // written after the answer
    CHECK(s.status("/v1/nothing", {{"Authorization", "Bearer " + s.page().keys[0]}}) == 404);
    REQUIRE(until([&] { return s.page().log->size() == 3; }));

    s.control->select_request(2);
    CHECK(s.page().row.status == 401);
    s.control->replay();
    CHECK(s.page().replay.state == ReplayView::State::failed);
    CHECK_FALSE(s.page().replay.error.empty());

    s.control->stop_server();
    REQUIRE(s.settled());
    CHECK(s.page().state == ServerPage::State::off);
    CHECK(s.page().url.empty());
    CHECK(s.page().log->size() == 3);
    CHECK_FALSE(s.settings.server_on);

    s.page().port = "70000";
    s.control->start_server();
    CHECK(s.page().problem.find("70000") != std::string::npos);
    // The port of another program: said, and nothing runs.
    AppState other_state, third_state;
    ServerStage other(0, &other_state);
    other.control->start_first();
    REQUIRE(other.settled());
    s.page().port = other.page().url.substr(other.page().url.rfind(':') + 1);
    s.control->start_server();
    REQUIRE(s.settled());
    CHECK(s.page().state == ServerPage::State::off);
    CHECK(s.page().problem.find(s.page().port) != std::string::npos);
    // At the start of the program it moves aside instead, and says so.
    ServerStage third(std::stoi(s.page().port), &third_state);
    third.control->start_first();
    REQUIRE(third.settled());
    CHECK(third.page().state == ServerPage::State::on);
    CHECK(third.banner.find("instead") != std::string::npos);
}

TEST_CASE("open to the network there is a key, made if need be") {
    ServerStage s;
    s.page().open_to_network = true;
    s.control->start_first();
    REQUIRE(s.settled());
    REQUIRE(s.page().state == ServerPage::State::on);
    CHECK(s.page().keys.size() == 1);
    httplib::Client client("127.0.0.1",
                           std::stoi(s.page().url.substr(s.page().url.rfind(':') + 1)));
    const auto answer = client.Get("/v1/models");
    REQUIRE(answer);
    CHECK(answer->status == 401);
}

TEST_CASE("the server page at every size, with and without a request chosen") {
    RequestLog log;
    fill(log, 5000);
    std::string prompt;
    for (int i = 0; i < 2000; i++) {
        prompt +=
            "line " + std::to_string(i) + std::string(static_cast<size_t>(i % 300), 'w') + "\n";
    }
    const uint64_t with_prompt = log.add(row_of(1), prompt);
    for (const float scale : {1.0F, 2.0F}) {
        for (const ImVec2 size : {ImVec2{480, 360}, ImVec2{900, 700}, ImVec2{1440, 900}}) {
            ServerStage s;
            AppState& state = s.state;
            ImGui::GetIO().DisplaySize = {size.x * scale, size.y * scale};
            build_fonts(state.fonts, scale);
            state.page = Page::server;
            state.server_page.log = &log;
            s.stage->frames(2);
            state.server_page.selected = with_prompt;
            state.server_page.row = *LogRows::row(log, with_prompt);
            state.server_page.prompt = log.prompt(with_prompt);
            s.stage->frames(20);
            state.server_page.replay.state = ReplayView::State::running;
            state.server_page.replay.text = "again";
            s.stage->frames(2);
            state.server_page.tokens_shown = state.server_page.tokens_known = true;
            state.server_page.tokens = {{154822, "[gMASK]"}, {1, "a"}};
            s.stage->frames(2);
            state.server_page.rows.filter.errors_only = true;
            state.server_page.problem = "cannot listen";
            s.stage->frames(8);
            CHECK(state.server_page.rows.size() == 455);
        }
    }
    // A click on a row chooses it.
    ServerStage s;
    AppState& state = s.state;
    state.page = Page::server;
    for (int i = 0; i < 3; i++) {
        s.status("/v1/models");
    }
    const_cast<RequestLog*>(state.server_page.log)->add(row_of(3), "a prompt");
    s.stage->frames(2);
    s.stage->click(900, 190);
    CHECK(state.server_page.selected == 1);
    CHECK(*state.server_page.prompt == "a prompt");
}

TEST_CASE("presets: the makers' figures, a person's own, and what was changed") {
    Settings settings;
    const std::vector<Preset> built_in = all_presets(settings);
    REQUIRE(built_in.size() == 2);
    CHECK(built_in[0].temperature == 1.0);
    CHECK(built_in[0].top_p == 0.95);
    CHECK(built_in[1].temperature == 0.7);
    CHECK(built_in[1].top_p == 1.0);
    CHECK_FALSE(preset_changed(settings));
    settings.temperature = 0.3;
    settings.system_prompt = "Be brief.";
    CHECK(preset_changed(settings));
    CHECK_FALSE(save_preset(settings, "Chat"));
    CHECK_FALSE(save_preset(settings, "  "));
    CHECK(save_preset(settings, "Mine \xE4\xB8\xAD"));
    CHECK_FALSE(preset_changed(settings));
    use_preset(settings, built_in[1]);
    CHECK(settings.system_prompt.empty());

    const tests::TempFolder temp;
    std::string problem;
    settings.server_keys = {"kh-1"};
    settings.window_x = -12;
    settings.enter_sends = false;
    REQUIRE(save_settings(temp.path() / "s.json", settings, problem));
    const Settings back = load_settings(temp.path() / "s.json", problem);
    CHECK(back.presets == settings.presets);
    CHECK(back.preset == "Tools and code");
    CHECK(back.server_keys == settings.server_keys);
    CHECK(back.window_x == -12);
    CHECK_FALSE(back.enter_sends);
    delete_preset(settings, "Mine \xE4\xB8\xAD");
    CHECK(settings.presets.empty());

    std::ofstream(temp.path() / "bad.json")
        << R"({"presets":[3,{"name":7},{"name":"x","temperature":99,"top_p":"y"}],"server_port":-4})";
    const Settings bad = load_settings(temp.path() / "bad.json", problem);
    REQUIRE(bad.presets.size() == 1);
    CHECK(bad.presets[0].temperature == 1.0);
    CHECK(bad.presets[0].top_p == 0.95);
    CHECK(bad.server_port == 8080);
}

TEST_CASE("the settings page: a system prompt is written, a preset chosen, and the file follows") {
    WindowStage stage;
    AppState& state = stage.state;
    Settings settings;
    int saves = 0, counts = 0;
    Preferences preferences({state, settings, [] {}, [&] { saves++; }, [&] { counts++; }});
    state.page = Page::settings;
    stage.frames(2);
    // Somewhere on the right is the field for the system prompt.
    for (float y = 200; y < 400 && !state.settings_page.editing_prompt; y += 20) {
        stage.click(700, y);
    }
    REQUIRE(state.settings_page.editing_prompt);
    stage.type("Be kind");
    stage.press(ImGuiKey_Enter);
    stage.type("\xE4\xB8\xAD\xE6\x96\x87");
    CHECK(settings.system_prompt == "Be kind\n\xE4\xB8\xAD\xE6\x96\x87");
    CHECK(counts > 0);
    CHECK_FALSE(stage.actions.has("send"));
    stage.press(ImGuiKey_Escape);
    CHECK_FALSE(state.settings_page.editing_prompt);
    CHECK(state.page == Page::settings);
    CHECK(until([&] {
        preferences.tick();
        return saves == 1;
    }));
    preferences.choose_preset("Tools and code");
    CHECK(settings.temperature == 0.7);
    CHECK(state.settings_page.system_prompt.empty());
    preferences.list_fonts();
    CHECK(until([&] {
        preferences.tick();
        return state.settings_page.fonts_listed;
    }));
    for (const auto section : {SettingsPage::Section::answers, SettingsPage::Section::appearance,
                               SettingsPage::Section::keyboard, SettingsPage::Section::files}) {
        for (const ImVec2 size : {ImVec2{480, 360}, ImVec2{1440, 900}}) {
            ImGui::GetIO().DisplaySize = size;
            state.settings_page.section = section;
            settings.temperature = 0.31;  // a changed preset has more to show
            stage.frames(3);
        }
    }
    stage.press(ImGuiKey_Escape);
    CHECK(state.page == Page::chat);
}

TEST_CASE("no two commands share a key, and a key runs its command") {
    std::set<std::string> keys;
    for (const app::window::Command& command : commands()) {
        const std::string text = shortcut_text(command.shortcut);
        CAPTURE(command.title, text);
        CHECK((text.empty() || keys.insert(text).second));
    }
    CHECK(shortcut_text({'P', true, true}) == "Ctrl+Shift+P");
    WindowStage stage;
    CHECK(run_shortcut(stage.state, {'N', true, false}));
    CHECK(stage.actions.has("new_conversation"));
    CHECK(run_shortcut(stage.state, {'O', true, false}));
    CHECK(stage.state.page == Page::models);
    CHECK(
        run_shortcut(stage.state, {'R', true, false}));  // nothing to write again: nothing happens
    CHECK(stage.chat_actions.calls.empty());
    CHECK_FALSE(run_shortcut(stage.state, {'Q', true, false}));
}

TEST_CASE("the palette finds by the beginnings of words, runs with Enter and leaves with Escape") {
    CHECK(match_score("nc", "New conversation") > match_score("nc", "Find in this conversation"));
    CHECK(match_score("theme l", "Theme: light") > match_score("theme l", "Theme: dark"));
    CHECK(match_score("xyz", "New conversation") == 0);
    WindowStage stage;
    AppState& state = stage.state;
    state.conversations = {{42, "A trip to Turin", state.now, 10}};
    stage.frames(2);
    open_palette(state);
    stage.frames(2);
    CHECK(state.command_palette.open);
    stage.type("turin");
    stage.frame();
    stage.press(ImGuiKey_Enter);
    CHECK(stage.actions.has("select 42"));
    CHECK_FALSE(state.command_palette.open);
    CHECK(state.draft.empty());
    open_palette(state);
    stage.frames(2);
    stage.type("models");
    stage.press(ImGuiKey_DownArrow);
    stage.press(ImGuiKey_Escape);
    CHECK_FALSE(state.command_palette.open);
    CHECK(state.page == Page::chat);
    stage.frame();
    stage.type("words");
    CHECK(state.draft.text() == "words");
}

TEST_CASE("what the words under a message do is done by keys as well") {
    WindowStage stage;
    AppState& state = stage.state;
    state.model.state = ModelView::State::ready;
    state.conversation.id = 1;
    Message question, answer;
    question.id = 1;
    question.content = "first question";
    answer.id = 2;
    answer.role = runtime::Role::assistant;
    answer.content = "the answer";
    answer.reasoning = "thought";
    answer.branch = 1;
    answer.branches = 3;
    state.conversation.messages = {question, answer};
    state.conversation_generation++;
    stage.frames(3);
    const auto run = [&](const char* words) {
        stage.actions.calls.clear();
        stage.chat_actions.calls.clear();
        CHECK(run_shortcut(state, {'M', true, false}));
        stage.frames(2);
        stage.type(words);
        stage.press(ImGuiKey_Enter);
        stage.frames(2);
    };
    run("copy first");
    CHECK(stage.actions.has("copy first question"));
    run("copy answer");
    CHECK(stage.actions.has("copy the answer"));
    run("edit");
    CHECK(stage.chat_actions.has("edit 0"));
    run("write again");
    CHECK(stage.chat_actions.has("regenerate 1"));
    run("version before");
    CHECK(stage.chat_actions.has("branch 1 -1"));
    run("version after");
    CHECK(stage.chat_actions.has("branch 1 1"));
    run("delete answer");
    CHECK(stage.chat_actions.has("delete 1"));
    CHECK_FALSE(state.layouts[1].thinking_open);
    run("unfold");
    CHECK(state.layouts[1].thinking_open);
    // While an answer is written, nothing of it is changed.
    state.generation.phase = GenerationView::Phase::writing;
    run("edit");
    CHECK(stage.chat_actions.calls.empty());
}

TEST_CASE("a second start hands over what it was to open, and only while a first one is there") {
    const tests::TempFolder temp;
    const SingleInstance::Request request{"/models/a b.gguf", {"/src/\xE4\xB8\xAD", "/odd\nname"}};
    CHECK_FALSE(SingleInstance::hand_over(temp.path(), ":7", request));
    {
        std::atomic<int> wakes{0};
        SingleInstance first(temp.path(), ":7", [&] { wakes++; });
        REQUIRE(first.listens());
        SingleInstance second(temp.path(), ":7", [] {});
        CHECK_FALSE(second.listens());
        SingleInstance elsewhere(temp.path(), ":8", [] {});
        CHECK(elsewhere.listens());
        REQUIRE(SingleInstance::hand_over(temp.path(), ":7", request));
        REQUIRE(SingleInstance::hand_over(temp.path(), ":7", {}));
        CHECK(wakes == 2);
        const auto taken = first.take();
        REQUIRE(taken.size() == 2);
        CHECK(taken[0].model == request.model);
        CHECK(taken[0].paths == request.paths);
        CHECK(taken[1].paths.empty());
        // Rubbish is no request, and does no harm.
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = (temp.path() / "window-7.sock").string();
        REQUIRE(path.size() < sizeof address.sun_path);
        path.copy(address.sun_path, path.size());
        const int rubbish = ::socket(AF_UNIX, SOCK_STREAM, 0);
        REQUIRE(::connect(rubbish, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        CHECK(::write(rubbish, "no end", 6) == 6);
        ::close(rubbish);
        CHECK(SingleInstance::hand_over(temp.path(), ":7", request));
        CHECK(first.take().size() == 1);
    }
    // After a crash the file of the socket is still there.
    std::ofstream(temp.path() / "window-7.sock") << "stale";
    CHECK_FALSE(SingleInstance::hand_over(temp.path(), ":7", request));
    SingleInstance next(temp.path(), ":7", [] {});
    CHECK(next.listens());
}
