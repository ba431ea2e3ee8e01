// ModelInstance: one model loaded on one device, with its cache, by its memory plan: what
// EngineThread and DirectRun drive. Built and used on one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/backend.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/cache/memory_plan.h"
#include "runtime/engine/engine_thread.h"
#include "runtime/model/model.h"

namespace runtime {

struct ModelInstance {
    std::shared_ptr<const LoadedModel> info;
    std::unique_ptr<kernels::Backend> backend;  // outlives what follows
    std::unique_ptr<Model> model;
    std::unique_ptr<KvCache> cache;
    MemoryPlan plan;
    int64_t ubatch_tokens = 0;  // the largest batch model->forward() takes
    bool pretends = false;      // total_bytes is what --vram says
    bool on_card = false;       // the CPU could go on where the device fails

    // This moment's bytes of the device; weights + K cache reserved + compute + other + free ==
    // total.
    MemorySnapshot::Device device() const;
};

// Throws ModelError (file, cache type, plan that does not fit, no such device), DeviceError.
ModelInstance load_model(const std::string& path,
                         const EngineOptions& options,
                         const LoadProgress& progress = {});

// What loading would plan, from the file's directory and the device's figures alone: `keyhole
// plan`. With vram_bytes the device need not be in this machine.
MemoryPlan plan_for(const GgufFile& file, const EngineOptions& options);

}  // namespace runtime
