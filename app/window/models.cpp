#include "app/window/models.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "app/paths.h"
#include "runtime/engine/model_instance.h"

namespace app::window {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxModelFolders = 32;

constexpr const char* kCacheTypes[] = {"", "f16", "bf16", "q8_0", "q4_0", "q8_latent"};

std::string cache_type_name(const runtime::EngineOptions& options) {
    return options.cache_type ? kernels::name(*options.cache_type) : "";
}

std::string absolute_path(const std::string& typed) {
    std::string path = typed;
    while (!path.empty() && (path.back() == ' ' || path.back() == '\n')) {
        path.pop_back();
    }
    const char* home = std::getenv("HOME");
    if (home && (path == "~" || path.starts_with("~/"))) {
        path = home + path.substr(1);
    }
    std::error_code error;
    const fs::path absolute = fs::absolute(path, error);
    return error ? path : absolute.lexically_normal().string();
}

// A card that is not there, or not usable by this build, cannot be planned for.
bool has_card(const runtime::GgufFile& file, runtime::EngineOptions options) {
    try {
        options.device = "cuda";
        runtime::plan_for(file, options);
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

}  // namespace

// Only the plan worker touches it, one job at a time.
struct Models::PlanJob {
    std::string path;
    std::shared_ptr<const runtime::GgufFile> file;
    bool looked_for_card = false, has_card = false;
};

Models::Models(Host host, const runtime::EngineOptions& base)
    : host_(std::move(host)),
      base_(base),
      view_(host_.state.models),
      plan_job_(std::make_shared<PlanJob>()),
      scan_worker_(host_.wake),
      plan_worker_(host_.wake) {
    view_.actions = this;
    view_.choice.ctx_size = base.ctx_size;
    view_.choice.cache_type = cache_type_name(base);
    view_.choice.device = base.device;
    view_.choice.cpu_moe_layers = base.cpu_moe_layers.value_or(-1);
    view_.cache_types.assign(std::begin(kCacheTypes), std::end(kCacheTypes));
    view_.devices = {"cpu"};
    if (base.device != "cpu" || base.vram_bytes > 0) {
        view_.devices.push_back(base.device != "cpu" ? base.device : "cuda");
    }
    add_known();
}

runtime::EngineOptions Models::options_for(const LoadChoice& choice) const {
    runtime::EngineOptions options = base_;
    options.ctx_size = choice.ctx_size;
    options.device = choice.device;
    options.cache_type = kernels::k_type(choice.cache_type);
    options.cpu_moe_layers.reset();
    if (choice.cpu_moe_layers >= 0) {
        options.cpu_moe_layers = choice.cpu_moe_layers;
    }
    return options;
}

Models::~Models() {
    cancel_ = true;
}

void Models::add_entry(const ModelFile& file, bool recent) {
    const auto known =
        std::find_if(view_.entries.begin(), view_.entries.end(),
                     [&](const ModelEntry& entry) { return entry.file.path == file.path; });
    if (known != view_.entries.end()) {
        known->file.bytes = file.bytes;
        known->recent = known->recent || recent;
        return;
    }
    ModelEntry entry;
    entry.file = file;
    entry.recent = recent;
    entry.demo = file.path == host_.demo;
    view_.entries.push_back(std::move(entry));
}

// What is known without looking: recent files and the demo.
void Models::add_known() {
    for (const std::string& path : host_.settings.recent_models) {
        add_entry(model_file(path, "recent"), true);
    }
    if (!host_.demo.empty()) {
        add_entry(model_file(host_.demo, "comes with Keyhole"), false);
    }
}

void Models::remember(const runtime::EngineOptions& options) {
    host_.settings.context_tokens = options.ctx_size;
    host_.settings.cache_type = cache_type_name(options);
    view_.choice.ctx_size = options.ctx_size;
    view_.choice.cache_type = host_.settings.cache_type;
}

// What the command line says goes before what was chosen last time.
runtime::EngineOptions Models::remembered() const {
    LoadChoice choice = view_.choice;
    if (choice.ctx_size == 0) {
        choice.ctx_size = host_.settings.context_tokens;
    }
    if (choice.cache_type.empty()) {
        choice.cache_type = host_.settings.cache_type;
    }
    return options_for(choice);
}

void Models::opened() {
    if (!scanned_) {
        scan_models();
    }
    if (view_.selected.empty()) {
        const std::string& loaded = host_.state.model.path;
        if (!loaded.empty()) {
            select_model(loaded);
        } else if (!view_.entries.empty()) {
            select_model(view_.entries.front().file.path);
        }
    } else {
        plan_changed();  // memory that is free now is not what was free before
    }
}

void Models::scan_models() {
    if (view_.scanning) {
        return;
    }
    scanned_ = true;
    add_known();
    for (const ModelEntry& entry : view_.entries) {
        if (!entry.read) {
            read_facts(entry.file.path);
        }
    }
    const std::vector<ModelPlace> places =
        model_places(host_.own_folder, host_.settings.model_folders);
    view_.places.clear();
    for (const ModelPlace& place : places) {
        view_.places.push_back(place.name);
    }
    scans_left_ = static_cast<int>(places.size());
    view_.scanning = scans_left_ > 0;
    view_.looking_in = places.empty() ? "" : places.front().name;
    for (size_t i = 0; i < places.size(); i++) {
        const std::string next = i + 1 < places.size() ? places[i + 1].name : "";
        scan_worker_.add([this, place = places[i], next]() -> Worker::Done {
            std::vector<ModelFile> found = find_models(place, cancel_);
            return [this, found = std::move(found), next] {
                for (const ModelFile& file : found) {
                    const bool fresh = view_.find(file.path) == nullptr;
                    add_entry(file, false);
                    if (fresh) {
                        read_facts(file.path);
                    }
                }
                scans_left_--;
                view_.scanning = scans_left_ > 0;
                view_.looking_in = next;
            };
        });
    }
}

void Models::read_facts(const std::string& path) {
    scan_worker_.add([this, path]() -> Worker::Done {
        ModelFacts facts = cancel_ ? ModelFacts{} : model_facts(path);
        return [this, path, facts = std::move(facts)] {
            for (ModelEntry& entry : view_.entries) {
                if (entry.file.path == path) {
                    entry.facts = facts;
                    entry.read = true;
                }
            }
        };
    });
}

bool Models::tick() {
    bool changed = scan_worker_.deliver();
    changed = plan_worker_.deliver() || changed;
    if (!planning_ && made_plan_ != wanted_plan_) {
        start_plan();
    }
    return changed;
}

void Models::select_model(const std::string& path) {
    if (view_.find(path) == nullptr) {
        add_entry(model_file(path, ""), false);
        read_facts(path);
    }
    if (view_.selected != path) {
        view_.selected = path;
        view_.planned = false;
        view_.plan = {};
        view_.plan_problem.clear();
        view_.load_problem.clear();
    }
    plan_changed();
}

void Models::plan_changed() {
    wanted_plan_++;
    if (!planning_) {
        start_plan();
    }
}

// The plan of `keyhole plan` and of loading, for what the sliders say. One at a time; what changed
// meanwhile is planned next.
void Models::start_plan() {
    if (view_.selected.empty()) {
        made_plan_ = wanted_plan_;
        return;
    }
    planning_ = true;
    // The present model goes before the next one comes; mapped weights on the CPU count as free
    // already.
    int64_t freed = 0;
    if (host_.state.memory.loaded && !host_.state.memory.devices.empty()) {
        const auto& device = host_.state.memory.devices.front();
        freed = device.kv_reserved_bytes + device.compute_bytes +
                (view_.choice.device == "cpu" ? 0 : device.weights_bytes);
    }
    plan_worker_.add([this, serial = wanted_plan_, path = view_.selected,
                      options = options_for(view_.choice), freed,
                      job = plan_job_]() -> Worker::Done {
        runtime::MemoryPlan plan;
        std::string problem;
        try {
            if (!job->file || job->path != path) {
                job->file = nullptr;
                job->file = runtime::GgufFile::open(path);
                job->path = path;
            }
            plan = runtime::plan_for(*job->file, options);
            if (!job->looked_for_card) {
                job->looked_for_card = true;
                job->has_card = has_card(*job->file, options);
            }
        } catch (const std::exception& error) {
            problem = error.what();
        }
        return
            [this, serial, path, plan = std::move(plan), problem, freed, has_card = job->has_card] {
                planning_ = false;
                made_plan_ = serial;
                if (path == view_.selected) {
                    view_.plan = plan;
                    view_.plan_problem = problem;
                    view_.planned = problem.empty();
                    view_.freed_bytes = freed;
                    if (has_card && view_.devices.size() == 1) {
                        view_.devices.emplace_back("cuda");
                    }
                }
            };
    });
}

void Models::load_selected() {
    if (!view_.selected.empty()) {
        view_.load_problem.clear();
        host_.load(view_.selected, options_for(view_.choice));
    }
}

void Models::cancel_loading() {
    host_.cancel_load();
}

void Models::loaded(const std::string& path) {
    view_.load_problem.clear();
    for (ModelEntry& entry : view_.entries) {
        entry.recent = entry.recent || (entry.file.path == path && !entry.demo);
    }
    if (view_.find(path) == nullptr) {
        add_entry(model_file(path, "recent"), true);
        if (scanned_) {
            read_facts(path);
        }
    }
    if (host_.state.page == Page::models) {
        plan_changed();
    }
}

void Models::failed(const std::string& error) {
    view_.load_problem = error;
}

void Models::add_model_path(const std::string& typed) {
    view_.problem.clear();
    const std::string path = absolute_path(typed);
    std::error_code error;
    if (fs::is_directory(path, error)) {
        auto& folders = host_.settings.model_folders;
        std::erase(folders, path);
        folders.insert(folders.begin(), path);
        folders.resize(std::min(folders.size(), kMaxModelFolders));
        host_.save_settings();
        view_.typed.clear();
        scan_models();
    } else if (fs::is_regular_file(path, error)) {
        view_.typed.clear();
        select_model(path);
    } else {
        view_.problem = typed + ": there is no such file or folder";
    }
}

void Models::forget_model(const std::string& path) {
    std::erase(host_.settings.recent_models, path);
    host_.save_settings();
    std::erase_if(view_.entries, [&](ModelEntry& entry) {
        if (entry.file.path != path) {
            return false;
        }
        entry.recent = false;
        // What no place holds goes; what is gone from the disk as well.
        return entry.file.place == "recent" || entry.file.bytes == 0;
    });
    if (view_.selected == path && view_.find(path) == nullptr) {
        view_.selected.clear();
        view_.planned = false;
    }
}

}  // namespace app::window
