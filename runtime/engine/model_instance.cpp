#include "runtime/engine/model_instance.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "kernels/card_memory.h"
#include "kernels/check.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace runtime {
namespace {

bool is_card(const std::string& device) {
    return device != "cpu";
}

// Throws ModelError for a word that names no device, DeviceError where the card is not usable.
std::unique_ptr<kernels::Backend> open_device(const EngineOptions& options) {
    const std::string& name = options.device;
    kernels::CpuOptions cpu;
    cpu.threads = options.threads;
    cpu.threads_batch = options.threads_batch;
    if (name == "cpu") {
        cpu.limit_bytes = options.vram_bytes;
        return kernels::make_cpu_backend(cpu);
    }
    kernels::CudaOptions cuda;
    bool known = name == "cuda";
    if (name.starts_with("cuda:")) {
        const char* end = name.data() + name.size();
        const auto [stop, error] = std::from_chars(name.data() + 5, end, cuda.device);
        known = error == std::errc() && stop == end && cuda.device >= 0;
    }
    if (!known) {
        throw ModelError("no device is called \"" + name + "\": use cpu, cuda or cuda:N");
    }
    cuda.limit_bytes = options.vram_bytes;
    cuda.cpu = cpu;
    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(cuda);
    if (backend == nullptr) {
        throw kernels::DeviceError(
            "device " + name + " is not there: this build or this machine has no such CUDA device");
    }
    return backend;
}

// Tokens of a pass where nobody says otherwise; and, where they fit, on a card.
constexpr int64_t kUbatchTokens = 512;
constexpr int64_t kCardUbatchTokens = 2048;

int64_t at_most(int64_t tokens, const EngineOptions& options) {
    // Every running sequence has a place in a pass.
    return std::max<int64_t>({1, options.parallel, std::min(tokens, options.batch_tokens)});
}

MemoryPlan plan_on(const kernels::DeviceMemory& memory,
                   const ModelConfig& config,
                   const WeightBytes& weights,
                   const EngineOptions& options,
                   const std::function<int64_t(const kernels::WorkShape&)>& work_bytes) {
    MemoryRequest request;
    request.ctx_size = options.ctx_size;
    request.cache_type = options.cache_type;
    request.cpu_moe_layers = options.cpu_moe_layers;
    const bool open = options.ubatch_tokens == 0;
    request.ubatch_tokens = at_most(open ? kUbatchTokens : options.ubatch_tokens, options);
    if (open && is_card(options.device)) {
        request.larger_ubatch_tokens = at_most(kCardUbatchTokens, options);
    }
    request.parallel = std::max(1, options.parallel);
    request.device = memory.name;
    request.card = is_card(options.device);
    const bool pretends = options.vram_bytes > 0;
    request.total_bytes = pretends ? options.vram_bytes : memory.total_bytes;
    request.free_bytes = pretends ? options.vram_bytes : memory.free_bytes;
    if (pretends && request.card) {
        request.free_bytes = std::max<int64_t>(0, request.free_bytes - kernels::kCardOverheadBytes);
    }
    request.weights_may_page = !request.card && options.mmap && !pretends;
    request.work_bytes = work_bytes;
    if (request.card) {
        kernels::CpuOptions one;
        one.threads = one.threads_batch = 1;  // only asked for its memory
        const kernels::DeviceMemory host = kernels::make_cpu_backend(one)->memory();
        request.host_total_bytes = host.total_bytes;
        request.host_free_bytes = host.free_bytes;
    }
    return plan_memory(config, weights, request);
}

}  // namespace

MemoryPlan plan_for(const GgufFile& file, const EngineOptions& options) {
    const ModelConfig config = ModelConfig::from(file);
    const WeightBytes weights = Weights::bytes(file, config);
    if (is_card(options.device) && options.vram_bytes > 0) {
        kernels::DeviceMemory memory;
        memory.name = options.device;  // a card that need not be here
        return plan_on(memory, config, weights, options, kernels::card_work_bytes);
    }
    const std::unique_ptr<kernels::Backend> backend = open_device(options);
    return plan_on(backend->memory(), config, weights, options,
                   [&](const kernels::WorkShape& shape) { return backend->work_bytes(shape); });
}

ModelInstance load_model(const std::string& path,
                         const EngineOptions& wanted,
                         const LoadProgress& progress) {
    EngineOptions options = wanted;
    if (options.ctx_size < 0 || options.parallel < 1 || options.ubatch_tokens < 0 ||
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
    info->trie = std::make_shared<SharedTokenTrie>(info->tokenizer);

    try {
        instance.backend = open_device(options);
    } catch (const kernels::DeviceError& error) {
        // The answer is the same without the card, only later.
        log(LogLevel::warning, std::string(error.what()) + "; computing on the CPU instead");
        options.device = "cpu";
        options.vram_bytes = 0;
        instance.backend = open_device(options);
    }
    instance.on_card = is_card(options.device);
    kernels::Backend& backend = *instance.backend;
    const WeightBytes weights = Weights::bytes(*file, config);
    instance.pretends = options.vram_bytes > 0;
    instance.plan =
        plan_on(backend.memory(), config, weights, options,
                [&](const kernels::WorkShape& shape) { return backend.work_bytes(shape); });
    const MemoryPlan& plan = instance.plan;
    if (!plan.fits) {
        throw ModelError(path + ": " + plan.problem);
    }
    for (const MemoryPlan::Choice& choice : plan.choices) {
        log(LogLevel::info, path + ": " + choice.what + ": " + choice.reason);
    }
    for (const std::string& note : plan.notes) {
        log(LogLevel::info, path + ": " + note);
    }
    instance.ubatch_tokens = plan.ubatch_tokens;
    backend.reserve_weights(plan.devices.at(0).weights_bytes);
    backend.reserve_work(
        Model::work_shape(config, instance.ubatch_tokens, options.parallel, plan.ctx_size));
    instance.model = std::make_unique<Model>(file, backend, instance.ubatch_tokens, progress,
                                             plan.cpu_moe_layers);
    if (options.mlock) {  // after reading, which reports its progress
        if (const std::string problem = file->lock_in_memory(); !problem.empty()) {
            log(LogLevel::warning, path + ": " + problem);
        }
    }
    instance.cache =
        std::make_unique<KvCache>(backend, KvLayout(config, plan.type), plan.pool_pages);
    info->config = instance.model->config();
    info->ctx_size = plan.ctx_size;
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
