#include "runtime/engine/model_instance.h"

#include <algorithm>
#include <charconv>

#include "runtime/error.h"
#include "runtime/log.h"

namespace runtime {
namespace {

std::unique_ptr<kernels::Backend> open_device(const EngineOptions& options) {
    const std::string& name = options.device;
    if (name == "cpu") {
        kernels::CpuOptions cpu;
        cpu.threads = options.threads;
        cpu.threads_batch = options.threads_batch;
        return kernels::make_cpu_backend(cpu);
    }
    int index = 0;
    bool known = name == "cuda";
    if (name.starts_with("cuda:")) {
        const char* end = name.data() + name.size();
        const auto [stop, error] = std::from_chars(name.data() + 5, end, index);
        known = error == std::errc() && stop == end && index >= 0;
    }
    if (!known) {
        throw ModelError("no device is called \"" + name + "\": use cpu, cuda or cuda:N");
    }
    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(index);
    if (backend == nullptr) {
        throw ModelError(
            "device " + name +
            " is not there: this build or this machine has no such CUDA device; use --device cpu");
    }
    return backend;
}

int64_t ubatch_of(const EngineOptions& options) {
    // Every running sequence has a place in a pass.
    return std::max<int64_t>(
        {1, options.parallel, std::min(options.ubatch_tokens, options.batch_tokens)});
}

MemoryPlan plan_on(const kernels::DeviceMemory& memory,
                   const ModelConfig& config,
                   int64_t weights,
                   const EngineOptions& options) {
    MemoryRequest request;
    request.ctx_size = options.ctx_size;
    request.cache_type = options.cache_type;
    request.ubatch_tokens = ubatch_of(options);
    request.parallel = std::max(1, options.parallel);
    request.device = memory.name;
    const bool pretends = options.vram_bytes > 0;
    request.total_bytes = pretends ? options.vram_bytes : memory.total_bytes;
    request.free_bytes = pretends ? options.vram_bytes : memory.free_bytes;
    request.weights_may_page = options.device == "cpu" && options.mmap && !pretends;
    return plan_memory(config, weights, request);
}

}  // namespace

MemoryPlan plan_for(const GgufFile& file, const EngineOptions& options) {
    EngineOptions light = options;
    light.threads = light.threads_batch = 1;  // the device is only asked for its memory
    const ModelConfig config = ModelConfig::from(file);
    kernels::DeviceMemory memory;
    if (options.device != "cpu" && options.vram_bytes > 0) {
        memory.name = options.device;  // a card that need not be here
    } else {
        memory = open_device(light)->memory();
    }
    return plan_on(memory, config, weights_bytes(file, config), options);
}

ModelInstance load_model(const std::string& path,
                         const EngineOptions& options,
                         const LoadProgress& progress) {
    if (options.ctx_size < 0 || options.parallel < 1 || options.ubatch_tokens < 1 ||
        options.batch_tokens < 1 || options.threads < 0 || options.threads_batch < 0 ||
        options.vram_bytes < 0 || options.queue_limit < 0) {
        throw ModelError("sizes and counts of the engine's options must be positive");
    }
    ModelInstance instance;
    const std::shared_ptr<const GgufFile> file =
        GgufFile::open(path, options.mmap ? GgufAccess::map : GgufAccess::read);
    const ModelConfig config = ModelConfig::from(*file);
    auto info = std::make_shared<LoadedModel>();
    info->path = path;
    info->parallel = options.parallel;
    info->file_bytes = static_cast<int64_t>(file->file_bytes());
    info->is_demo = config.description.find("demo") != std::string::npos ||
                    config.description.find("Demo") != std::string::npos;
    info->tokenizer = std::make_shared<const Tokenizer>(vocabulary_of(*file));

    instance.backend = open_device(options);
    instance.pretends = options.vram_bytes > 0;
    instance.plan =
        plan_on(instance.backend->memory(), config, weights_bytes(*file, config), options);
    if (!instance.plan.fits) {
        throw ModelError(path + ": " + instance.plan.problem);
    }
    for (const std::string& note : instance.plan.notes) {
        log(LogLevel::info, path + ": " + note);
    }
    instance.ubatch_tokens = ubatch_of(options);
    instance.model =
        std::make_unique<Model>(file, *instance.backend, instance.ubatch_tokens, progress);
    instance.cache = std::make_unique<KvCache>(
        *instance.backend, KvLayout(config, options.cache_type), instance.plan.pool_pages);
    info->config = instance.model->config();
    info->ctx_size = instance.plan.ctx_size;
    instance.info = std::move(info);
    return instance;
}

MemorySnapshot::Device ModelInstance::device() const {
    const kernels::DeviceMemory now = backend->memory();
    MemorySnapshot::Device d;
    d.name = now.name;
    d.total_bytes = pretends ? plan.devices.at(0).total_bytes : now.total_bytes;
    d.kv_reserved_bytes = now.kv_bytes;
    d.kv_limit_bytes = plan.k_bytes;
    d.compute_bytes = now.compute_bytes;
    // Mapped weights may be more than the memory: what is not resident is on disk. And what the
    // system could take back, mapped weights among it, counts as free there and as ours here.
    d.weights_bytes = std::clamp<int64_t>(d.total_bytes - d.kv_reserved_bytes - d.compute_bytes, 0,
                                          now.weights_bytes);
    const int64_t rest = std::max<int64_t>(
        0, d.total_bytes - d.weights_bytes - d.kv_reserved_bytes - d.compute_bytes);
    d.free_bytes = pretends ? rest : std::min(rest, now.free_bytes);
    d.other_bytes = rest - d.free_bytes;
    return d;
}

}  // namespace runtime
