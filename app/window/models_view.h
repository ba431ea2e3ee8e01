// What the models page draws, and what can be done there. Plain data; the doer is Models. Main
// thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/model_files.h"
#include "runtime/cache/memory_plan.h"

namespace app::window {

class ModelsActions {
public:
    virtual ~ModelsActions() = default;
    virtual void scan_models() = 0;  // looks for files again
    virtual void select_model(const std::string& path) = 0;
    // The options of the next load changed: the plan is made anew.
    virtual void plan_changed() = 0;
    virtual void load_selected() = 0;
    virtual void cancel_loading() = 0;
    // A file is added and selected; a folder is looked through from now on.
    virtual void add_model_path(const std::string& path) = 0;
    virtual void forget_model(const std::string& path) = 0;  // out of the recent ones
};

struct ModelEntry {
    ModelFile file;
    bool recent = false;
    bool demo = false;
    bool read = false;  // `facts` are known
    ModelFacts facts;
};

// What the next load is asked with.
struct LoadChoice {
    int64_t ctx_size = 0;         // 0: what fits
    std::string cache_type;       // "f16"; empty: as the plan chooses
    std::string device = "cpu";   // or "cuda"
    int64_t cpu_moe_layers = -1;  // with a card: experts of so many stay off it; -1: as few as fit
};

struct ModelsView {
    ModelsActions* actions = nullptr;
    std::vector<ModelEntry> entries;  // recent ones first, then by place and name
    bool scanning = false;
    std::string looking_in;           // while scanning
    std::vector<std::string> places;  // looked through, for a person
    std::string typed;                // a path
    std::string problem;              // with what was typed

    std::string selected;                  // path; empty: none
    LoadChoice choice;                     // of the next load
    std::vector<std::string> cache_types;  // that can be chosen
    std::vector<std::string> devices;      // likewise; one: there is no card
    bool planned = false;                  // `plan` is of `selected` and of a recent `choice`
    runtime::MemoryPlan plan;
    std::string plan_problem;  // why there is none
    int64_t freed_bytes = 0;   // what unloading the present model gives back; not in the plan
    std::string load_problem;  // of the last try

    const ModelEntry* find(const std::string& path) const {
        for (const ModelEntry& entry : entries) {
            if (entry.file.path == path) {
                return &entry;
            }
        }
        return nullptr;
    }
};

}  // namespace app::window
