// Another engine in the place of this program's model, as the window's controller uses it: an
// engine that is simulated over HTTP answers, refuses, breaks off and is gone.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include <httplib.h>

#include "app/conversation_export.h"
#include "app/conversation_store.h"
#include "app/window/controller.h"
#include "app/window/text_field.h"
#include "tests/app/window_stage.h"
#include "tests/support/temp_folder.h"

namespace {

namespace fs = std::filesystem;

const fs::path kModel = fs::path(TESTS_DIR) / "golden/model/nano-f32.gguf";

// As vLLM: a list of models with their context, answers as server-sent events.
struct Engine {
    explicit Engine(std::string wanted = "") : key(std::move(wanted)) {
        server.Get("/v1/models",
                   [this](const httplib::Request& request, httplib::Response& answer) {
                       keys_seen.push_back(request.get_header_value("Authorization"));
                       if (refused(request, answer)) {
                           return;
                       }
                       answer.set_content(
                           R"({"data": [{"id": "big", "max_model_len": 4096}, {"id": "small"}]})",
                           "application/json");
                   });
        server.Post("/v1/chat/completions",
                    [this](const httplib::Request& request, httplib::Response& answer) {
                        if (refused(request, answer)) {
                            return;
                        }
                        asked = request.body;
                        if (!error.empty()) {
                            answer.status = 400;
                            answer.set_content(error, "application/json");
                            return;
                        }
                        answer.set_content(events, "text/event-stream");
                    });
        port = server.bind_to_any_port("127.0.0.1");
        thread = std::thread([this] { server.listen_after_bind(); });
        while (!server.is_running()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    ~Engine() {
        server.stop();
        thread.join();
    }
    bool refused(const httplib::Request& request, httplib::Response& answer) const {
        if (key.empty() || request.get_header_value("Authorization") == "Bearer " + key) {
            return false;
        }
        answer.status = 401;
        answer.set_content(R"({"error": "no"})", "application/json");
        return true;
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }

    std::string key, asked, error;
    std::string events =
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"far \"}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"away\"},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":5,"
        "\"prompt_tokens_details\":{\"cached_tokens\":32}}}\n\ndata: [DONE]\n\n";
    std::vector<std::string> keys_seen;
    httplib::Server server;
    int port = 0;
    std::thread thread;
};

// The controller as the window has it, without a window.
struct Window {
    explicit Window(const tests::TempFolder& folder, Options given = {})
        : home(folder.path()), options(std::move(given)) {
        options.port = 0;
        options.port_given = true;
        controller = std::make_unique<Controller>(
            state, engine, options,
            ControllerPaths{
                home / "settings.json", home / "conversations.db", home / "models", kModel, {}},
            Controller::Hooks{[this] { wakes++; }, [](const std::string&) {}});
        controller->open_first_model("");
    }
    ~Window() {
        controller.reset();
        engine.stop();
    }
    template <typename Done>
    bool until(const Done& done) {
        for (int i = 0; i < 4000; i++) {
            controller->tick();
            if (done()) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return false;
    }
    bool connect(const std::string& url, const std::string& key = "") {
        state.remote.url = url;
        state.remote.key = key;
        state.remote.actions->connect_remote();
        return until([&] { return state.remote.state != RemoteView::State::asking; }) &&
               state.remote.problem.empty();
    }
    // The answer's text, or its error in brackets.
    std::string ask(const std::string& question) {
        state.draft.set(question);
        controller->send();
        if (!until([&] {
                return !state.generation.busy() && !state.conversation.messages.empty() &&
                       state.conversation.messages.back().state != MessageState::streaming;
            })) {
            return "(nothing)";
        }
        const Message& answer = state.conversation.messages.back();
        return answer.state == MessageState::failed ? "[" + answer.error + "]" : answer.content;
    }

    fs::path home;
    Options options;
    std::atomic<int> wakes{0};
    AppState state;
    runtime::EngineThread engine{[this] { wakes++; }};
    std::unique_ptr<Controller> controller;
};

}  // namespace

TEST_CASE("another engine answers: connected, asked, left, with what it says of itself") {
    const tests::TempFolder folder;
    Engine far("inner");
    {
        Window window(folder);
        AppState& state = window.state;
        REQUIRE(window.until([&] { return state.model.state == ModelView::State::ready; }));
        // Errors say what to do, and change nothing of what answers.
        CHECK_FALSE(window.connect("ftp://x"));
        CHECK_FALSE(window.connect("http://127.0.0.1:1"));
        CHECK_THAT(state.remote.problem, ContainsSubstring("cannot be reached"));
        CHECK_FALSE(window.connect(far.url(), "wrong"));
        CHECK_THAT(state.remote.problem, ContainsSubstring("refuses the key"));
        CHECK_FALSE(window.connect(far.url(), "wr\xC3\xB6ng"));
        CHECK(state.model.remote.empty());
        REQUIRE(window.connect(far.url() + "/v1/", "inner"));
        window.controller->tick();
        CHECK(state.model.remote == "127.0.0.1:" + std::to_string(far.port));
        CHECK(state.model.name == "big");
        CHECK(state.remote.models.size() == 2);
        CHECK(state.remote.models[0].context_tokens == 4096);
        CHECK(state.remote.key.empty());

        const int before = window.wakes;
        CHECK(window.ask("where \xC3\xA9?") == "far away");
        CHECK(window.wakes > before);
        const Message& answer = state.conversation.messages.back();
        CHECK(answer.reasoning == "hm");
        CHECK(answer.stats.prompt_tokens == 40);
        CHECK(answer.stats.cached_tokens == 32);
        CHECK(answer.stats.completion_tokens == 5);
        CHECK_THAT(far.asked, ContainsSubstring("where \xC3\xA9?"));
        CHECK_THAT(far.asked, ContainsSubstring("\"big\""));
        // The context as the other counted it; the gauge says whose memory it is.
        REQUIRE(window.until([&] { return state.context.chat == 45; }));
        CHECK(state.context.limit == 4096);
        CHECK_THAT(gauge_text(state), ContainsSubstring("that machine's"));

        state.remote.actions->choose_remote_model("small");
        CHECK(window.ask("and now?") == "far away");
        CHECK_THAT(far.asked, ContainsSubstring("\"small\""));
        CHECK_THAT(far.asked, ContainsSubstring("where"));

        far.error = R"({"error": {"message": "This model's maximum context length is 4096."}})";
        CHECK_THAT(window.ask("too long"), ContainsSubstring("maximum context length"));
        far.error.clear();
        const std::string whole = far.events;
        far.events = whole.substr(0, 120);
        CHECK_THAT(window.ask("broken off"), ContainsSubstring("["));
        far.events = whole;

        // A key goes to the address it was given for, and to no other.
        Engine other;
        REQUIRE(window.connect(other.url()));
        REQUIRE(other.keys_seen.size() == 1);
        CHECK(other.keys_seen[0].empty());
        REQUIRE(window.connect(far.url(), "inner"));

        // Nothing that leaves the program holds the key.
        const auto tree = [&] {
            ConversationStore store(window.home / "conversations.db");
            return ExportedTree{*store.load_tree(state.conversation.id), 0};
        }();
        for (const std::string& text :
             {to_json({tree}), to_markdown(tree.tree), to_html(tree.tree)}) {
            CHECK_THAT(text, ContainsSubstring("far away"));
            CHECK(text.find("inner") == std::string::npos);
        }

        state.remote.actions->disconnect_remote();
        window.controller->tick();
        CHECK(state.model.remote.empty());
        CHECK(state.model.state == ModelView::State::ready);
        window.controller->new_conversation();
        const std::string own = window.ask("hi");
        CHECK(own != "far away");
        CHECK(state.conversation.messages.back().stats.completion_tokens > 0);
        REQUIRE(window.connect(far.url(), "inner"));
    }
    // The next start is where this one was, and loads no model of its own.
    Window again(folder);
    REQUIRE(again.until([&] { return !again.state.model.remote.empty(); }));
    CHECK(again.engine.model() == nullptr);
    CHECK(again.ask("still?") == "far away");
    // Stopped while nothing is there yet: taken back at once, whatever the network does.
    again.state.remote.actions->disconnect_remote();
    REQUIRE(again.until([&] { return again.state.model.state == ModelView::State::ready; }));
    CHECK(again.engine.model() != nullptr);
}

TEST_CASE("--remote of the command line goes before the settings, and is not kept") {
    const tests::TempFolder folder;
    Engine far("given");
    Options options;
    options.remote = far.url();
    options.remote_key = "given";
    options.remote_model = "small";
    {
        Window window(folder, options);
        REQUIRE(window.until([&] { return !window.state.model.remote.empty(); }));
        CHECK(window.state.model.name == "small");
        CHECK(window.ask("hello") == "far away");
    }
    std::string problem;
    const Settings kept = load_settings(folder.path() / "settings.json", problem);
    CHECK_FALSE(kept.remote_on);
    CHECK(kept.remote_key.empty());
}

TEST_CASE("the page of another engine at every size, by mouse and by keys") {
    struct Doer : RemoteActions {
        void connect_remote() override { calls.emplace_back("connect"); }
        void disconnect_remote() override { calls.emplace_back("disconnect"); }
        void choose_remote_model(const std::string& id) override { calls.push_back(id); }
        void forget_remote_key() override { calls.emplace_back("forget"); }
        std::vector<std::string> calls;
    } doer;
    for (const float scale : {1.0F, 2.0F, 3.0F}) {
        WindowStage stage(scale);
        AppState& state = stage.state;
        state.page = Page::remote;
        state.remote.actions = &doer;
        for (const ImVec2 size : {ImVec2(400, 300), ImVec2(1440, 900)}) {
            ImGui::GetIO().DisplaySize = size;
            state.remote.state = RemoteView::State::off;
            state.remote.problem = "The remote engine cannot be reached: connection refused.";
            stage.frames(2);
            state.remote.state = RemoteView::State::on;
            state.remote.models = {{"a/very/long/name/of/a/model/that/goes/on/and/on", 131'072},
                                   {"small", 0}};
            state.remote.model = "small";
            state.remote.key_kept = true;
            stage.frames(2);
        }
    }
    WindowStage stage;
    AppState& state = stage.state;
    state.page = Page::remote;
    state.remote.actions = &doer;
    state.remote.url = "http://far:8000";
    stage.frames(2);
    // The key is written with dots, and cannot be copied.
    const float x = 248 + 24 + 30, y = 43 + 56 + 24;
    for (float at = y; at < 600 && state.remote.key.empty(); at += 12) {
        stage.click(x, at);
        stage.type("s");
        stage.frames(2);  // later versions take their input over several frames
        if (state.remote.url != "http://far:8000") {
            state.remote.url = "http://far:8000";
            leave_input_line();
        }
        if (state.page != Page::remote) {
            state.page = Page::remote;
        }
    }
    REQUIRE(state.remote.key == "s");
    stage.type("ecret");
    CHECK(state.remote.key == "secret");
    stage.hold_ctrl(true);
    stage.press(ImGuiKey_A);
    stage.press(ImGuiKey_C);
    stage.hold_ctrl(false);
    CHECK_FALSE(stage.actions.has("copy secret"));
    doer.calls.clear();
    stage.press(ImGuiKey_Enter);
    CHECK(doer.calls == std::vector<std::string>{"connect"});
}
