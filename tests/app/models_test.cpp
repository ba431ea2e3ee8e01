// Model files: where they are found, what each is said to be, the plan of a choice, and the page.
#include "app/window/models.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "runtime/engine/model_instance.h"
#include "tests/app/window_stage.h"
#include "tests/support/temp_folder.h"

namespace fs = std::filesystem;

namespace {

const std::string kDemo = std::string(TESTS_DIR) + "/../assets/demo/keyhole-demo.gguf";

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

// The folders of a home that is thrown away, for the time of a test.
class Home {
public:
    Home() {
        for (const char* name : kNames) {
            const char* value = std::getenv(name);
            before_.emplace_back(value ? std::optional<std::string>(value) : std::nullopt);
            ::unsetenv(name);
        }
        ::setenv("HOME", folder_.path().c_str(), 1);
    }
    ~Home() {
        for (size_t i = 0; i < std::size(kNames); i++) {
            before_[i] ? ::setenv(kNames[i], before_[i]->c_str(), 1) : ::unsetenv(kNames[i]);
        }
    }
    fs::path operator/(const char* name) const { return folder_.path() / name; }

private:
    static constexpr const char* kNames[] = {
        "HOME",    "XDG_CACHE_HOME", "XDG_DATA_HOME", "HF_HUB_CACHE",
        "HF_HOME", "LLAMA_CACHE",    "OLLAMA_MODELS", "HUGGINGFACE_HUB_CACHE"};
    tests::TempFolder folder_;
    std::vector<std::optional<std::string>> before_;
};

std::vector<ModelFile> find_all(const fs::path& own, const std::vector<std::string>& named = {}) {
    const std::atomic<bool> cancel{false};
    std::vector<ModelFile> all;
    for (const ModelPlace& place : model_places(own, named)) {
        for (ModelFile& file : find_models(place, cancel)) {
            all.push_back(std::move(file));
        }
    }
    return all;
}

}  // namespace

TEST_CASE("models are found where other programs keep them, each once, with all their parts") {
    const Home home;
    const fs::path hub = home / ".cache/huggingface/hub/models--a--GLM";
    write(hub / "blobs/0123", "GGUF of hf");
    fs::create_directories(hub / "snapshots/abc");
    fs::create_symlink("../../blobs/0123", hub / "snapshots/abc/GLM-Q4_K_M.gguf");
    write(home / ".lmstudio/models/x/y/GLM-Q8_0-00001-of-00003.gguf", "12345");
    write(home / ".lmstudio/models/x/y/GLM-Q8_0-00002-of-00003.gguf", "123");
    write(home / ".lmstudio/models/x/y/GLM-Q8_0-00003-of-00003.gguf", "1");
    write(home / ".lmstudio/models/x/y/mmproj-GLM.gguf", "1");
    write(home / ".cache/llama.cpp/ggml.gguf", "1");
    write(home / ".cache/llama.cpp/ggml.gguf.json", "1");
    write(home / ".ollama/models/blobs/sha256-77", "GGUF of ollama");
    write(home / ".ollama/models/manifests/registry.ollama.ai/library/glm-4.7-flash/q4",
          R"({"layers":[{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:1"},
              {"mediaType":"application/vnd.ollama.image.model","digest":"sha256:77"}]})");
    write(home / ".ollama/models/manifests/registry.ollama.ai/library/bad/1", "{\"layers\":[3,");
    write(home / ".ollama/models/manifests/registry.ollama.ai/library/bad/2",
          R"({"layers":[{"mediaType":"application/vnd.ollama.image.model",
              "digest":"../../../../etc/passwd"}]})");
    write(home / "Downloads/a/b/deep.gguf", "1");
    write(home / "Downloads/a/b/c/too-deep.gguf", "1");
    write(home / "named/n.gguf", "1");
    fs::create_directory_symlink(home / "named", home / "models");
    fs::create_directory_symlink(home / "named", home / "named/loop");

    const std::vector<ModelFile> found = find_all(home / "own", {(home / "named").string()});
    std::vector<std::string> names;
    for (const ModelFile& file : found) {
        names.push_back(file.name + " | " + file.place + " | " + std::to_string(file.bytes));
    }
    CHECK(names == std::vector<std::string>{"n.gguf | " + (home / "named").string() + " | 1",
                                            "GLM-Q4_K_M.gguf | Hugging Face cache | 10",
                                            "GLM-Q8_0-00001-of-00003.gguf | LM Studio | 9",
                                            "ggml.gguf | llama.cpp cache | 1",
                                            "glm-4.7-flash:q4 | Ollama | 14",
                                            "deep.gguf | Downloads | 1"});
    const auto split =
        std::find_if(found.begin(), found.end(), [](const ModelFile& f) { return f.parts == 3; });
    CHECK(split != found.end());

    std::atomic<bool> cancel{true};
    CHECK(find_models({"x", home / ".lmstudio"}, cancel).empty());
    ::setenv("HF_HOME", (home / "elsewhere").c_str(), 1);
    CHECK(find_all(home / "own").size() == names.size() - 1);  // "models" leads to "named" now
}

TEST_CASE("a file is what inspect says of it; what is none says why") {
    const ModelFacts demo = model_facts(kDemo);
    CHECK(demo.usable);
    CHECK(demo.mla);
    CHECK(demo.demo);
    CHECK(demo.context_length > 0);
    CHECK(demo.bytes_per_token > 0);
    CHECK_FALSE(demo.dialect.empty());
    const tests::TempFolder temp;
    write(temp.path() / "bad.gguf", "GGUF but not really");
    for (const char* name : {"bad.gguf", "none.gguf"}) {
        const ModelFacts facts = model_facts((temp.path() / name).string());
        CHECK_FALSE(facts.usable);
        REQUIRE(facts.problems.size() == 1);
        CHECK(facts.problems[0].find(name) != std::string::npos);
    }
}

namespace {

// Models with everything around it, until nothing is under way.
struct ModelsStage {
    ModelsStage()
        : models({stage.state, settings, (home / "own").string(), kDemo, [] {}, [this] { saves++; },
                  [this](const std::string& path, const runtime::EngineOptions& options) {
                      loaded = path;
                      loaded_with = options;
                  },
                  [this] { cancelled = true; }},
                 {}) {}
    template <typename Done>
    bool until(const Done& done) {
        for (int i = 0; i < 2000; i++) {
            models.tick();
            if (done()) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }

    Home home;
    WindowStage stage;
    Settings settings;
    int saves = 0;
    std::string loaded;
    runtime::EngineOptions loaded_with;
    bool cancelled = false;
    Models models;
};

}  // namespace

TEST_CASE(
    "the page's plan is that of the command, for every choice, and loading takes the choice") {
    ModelsStage s;
    ModelsView& view = s.stage.state.models;
    s.models.opened();
    REQUIRE(s.until([&] { return view.planned && !view.scanning && view.find(kDemo)->read; }));
    CHECK(view.selected == kDemo);
    CHECK(view.find(kDemo)->facts.demo);
    const auto file = runtime::GgufFile::open(kDemo);
    for (const char* type : {"f16", "q8_0"}) {
        for (const int64_t ctx : {0, 512, 1024}) {
            view.choice.cache_type = type;
            view.choice.ctx_size = ctx;
            view.planned = false;
            s.models.plan_changed();
            REQUIRE(s.until([&] { return view.planned || !view.plan_problem.empty(); }));
            s.models.load_selected();
            CHECK(s.loaded == kDemo);
            CHECK(s.loaded_with.ctx_size == ctx);
            try {
                const runtime::MemoryPlan plan = runtime::plan_for(*file, s.loaded_with);
                CHECK(view.plan.cache_type == plan.cache_type);
                CHECK(view.plan.cache_type == type);
                CHECK(view.plan.ctx_size == plan.ctx_size);
                CHECK(view.plan.k_bytes == plan.k_bytes);
                CHECK(view.plan.compute_bytes == plan.compute_bytes);
                CHECK(view.plan.weights_bytes == plan.weights_bytes);
            } catch (const std::exception& error) {
                CHECK(view.plan_problem == error.what());
            }
        }
    }
    // A slider moves faster than plans are made: the last place counts.
    view.choice.cache_type = "f16";
    for (int64_t ctx = 128; ctx <= 1024; ctx += 64) {
        view.choice.ctx_size = ctx;
        s.models.plan_changed();
    }
    CHECK(s.until([&] { return view.planned && view.plan.ctx_size == 1024; }));
}

TEST_CASE(
    "a typed file is chosen, a typed folder is kept and looked through, another path is refused") {
    ModelsStage s;
    ModelsView& view = s.stage.state.models;
    s.models.opened();
    fs::create_directories(s.home / "mine");
    fs::copy_file(kDemo, s.home / "mine/copy.gguf");
    write(s.home / "mine/other.gguf", "GGUF rubbish");
    s.models.add_model_path("~/mine");
    REQUIRE(s.until([&] {
        const ModelEntry* other = view.find((s.home / "mine/other.gguf").string());
        const ModelEntry* copy = view.find((s.home / "mine/copy.gguf").string());
        return !view.scanning && other && other->read && copy && copy->read;
    }));
    CHECK(s.settings.model_folders == std::vector<std::string>{(s.home / "mine").string()});
    CHECK(s.saves == 1);
    CHECK(view.find((s.home / "mine/copy.gguf").string())->facts.usable);
    CHECK_FALSE(view.find((s.home / "mine/other.gguf").string())->facts.usable);
    s.models.add_model_path((s.home / "mine/other.gguf").string());
    CHECK(view.selected == (s.home / "mine/other.gguf").string());
    CHECK(s.until([&] { return !view.plan_problem.empty(); }));
    s.models.add_model_path("/no/such/thing");
    CHECK(view.problem.find("/no/such/thing") != std::string::npos);
    // Recent, gone from the disk, forgotten.
    s.settings.recent_models = {"/gone.gguf"};
    s.models.scan_models();
    REQUIRE(view.find("/gone.gguf"));
    CHECK(view.find("/gone.gguf")->file.bytes == 0);
    s.models.forget_model("/gone.gguf");
    CHECK(s.settings.recent_models.empty());
    CHECK_FALSE(view.find("/gone.gguf"));
}

namespace {

struct ModelsRecorder : ModelsActions {
    std::vector<std::string> calls;
    void scan_models() override { calls.emplace_back("scan"); }
    void select_model(const std::string& path) override { calls.push_back("select " + path); }
    void plan_changed() override { calls.emplace_back("plan"); }
    void load_selected() override { calls.emplace_back("load"); }
    void cancel_loading() override { calls.emplace_back("cancel"); }
    void add_model_path(const std::string& path) override { calls.push_back("add " + path); }
    void forget_model(const std::string& path) override { calls.push_back("forget " + path); }
    bool has(const std::string& call) const {
        return std::find(calls.begin(), calls.end(), call) != calls.end();
    }
};

ModelEntry entry_of(const char* path) {
    ModelEntry entry;
    entry.file = {path, path, "somewhere", 1 << 30, 1};
    entry.read = true;
    entry.facts.usable = entry.facts.mla = true;
    entry.facts.context_length = 202'752;
    entry.facts.n_layers = 47;
    return entry;
}

}  // namespace

TEST_CASE("the models page at every size, and what its controls call") {
    for (const float scale : {1.0F, 1.5F, 2.0F}) {
        for (const ImVec2 size : {ImVec2{480, 360}, ImVec2{800, 600}, ImVec2{1440, 900}}) {
            WindowStage stage(scale);
            ModelsRecorder recorder;
            AppState& state = stage.state;
            ImGui::GetIO().DisplaySize = size;
            state.page = Page::models;
            state.models.actions = &recorder;
            stage.frames(2);  // nothing is known
            state.models.scanning = true;
            state.models.looking_in = "Hugging Face cache";
            state.models.entries = {entry_of("/a.gguf"), entry_of("/b.gguf"), entry_of("/c.gguf")};
            state.models.entries[1].facts.usable = false;
            state.models.entries[1].facts.problems = {"no MLA", "no tokens"};
            state.models.entries[2].file.bytes = 0;
            state.models.entries[2].recent = true;
            for (const char* path : {"/a.gguf", "/b.gguf", "/c.gguf"}) {
                state.models.selected = path;
                stage.frames(2);
            }
            state.models.selected = "/a.gguf";
            state.models.planned = true;
            state.models.plan.problem = "needs 30 GiB";
            state.models.plan.suggestions = {"-c 65536", "-ctk q8_0"};
            state.models.plan.devices.resize(2);
            state.models.plan.devices[0].total_bytes = 1 << 20;
            state.models.plan.devices[0].weights_bytes = 1 << 30;
            state.models.load_problem = "it failed";
            stage.frames(2);
            state.model.state = ModelView::State::loading;
            state.model.load_progress = 0.4;
            stage.frames(2);
        }
    }

    WindowStage stage;
    ModelsRecorder recorder;
    AppState& state = stage.state;
    state.page = Page::models;
    ModelsView& view = state.models;
    view.actions = &recorder;
    view.entries = {entry_of("/a.gguf"), entry_of("/b.gguf")};
    view.selected = "/a.gguf";
    view.cache_types = {"f16", "q8_0"};
    view.choice.cache_type = "f16";
    view.devices = {"cpu"};
    view.planned = true;
    view.plan.fits = true;
    view.plan.ctx_size = 1000;
    stage.frames(2);
    // Everything on the right, wherever the fonts put it.
    for (float y = 160; y < 810; y += 8) {
        for (const float x : {690.0F, 800.0F, 850.0F}) {
            stage.click(x, y);
        }
    }
    CHECK(recorder.has("load"));
    CHECK(recorder.has("plan"));
    CHECK(view.choice.cache_type == "q8_0");
    CHECK(view.choice.ctx_size > 512);
    CHECK(view.choice.ctx_size < 202'752);
    for (float y = 200; y < 500; y += 8) {
        stage.click(400, y);
    }
    CHECK(recorder.has("select /b.gguf"));
    // A plan that does not fit is not loaded, and what would fit is one click away.
    recorder.calls.clear();
    view.plan.fits = false;
    view.plan.suggestions = {"-c 65536 -ctk f16"};
    for (float y = 160; y < 810; y += 8) {
        stage.click(690, y);
    }
    CHECK_FALSE(recorder.has("load"));
    CHECK(view.choice.ctx_size == 65536);
    CHECK(view.choice.cache_type == "f16");
    // Escape leads back to the chat.
    stage.press(ImGuiKey_Escape);
    CHECK(state.page == Page::chat);
}
