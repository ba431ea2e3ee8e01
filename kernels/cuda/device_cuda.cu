#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <cxxabi.h>

#include "kernels/card_memory.h"
#include "kernels/check.h"
#include "kernels/cuda/card_check.h"
#include "kernels/cuda/device.h"

namespace kernels::cuda {
namespace {

constexpr int64_t kLargeCopyBytes = 8 << 20;

// Asked for its attributes alone: for what the program's kernels were built.
__global__ void probe_kernel() {}

// "kernels::cuda::(anonymous namespace)::products_kernel<...>(...)" without what says nothing.
std::string kernel_name(const void* kernel) {
    const char* mangled = nullptr;
#if CUDART_VERSION >= 12030
    if (cudaFuncGetName(&mangled, kernel) != cudaSuccess) {
        cudaGetLastError();
    }
#endif
    if (mangled == nullptr) {
        return describe("kernel ", kernel);
    }
    int status = 0;
    char* plain = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    std::string name = status == 0 ? plain : mangled;
    std::free(plain);
    for (const std::string noise : {"void ", "kernels::", "cuda::", "(anonymous namespace)::"}) {
        for (size_t at; (at = name.find(noise)) != std::string::npos;) {
            name.erase(at, noise.size());
        }
    }
    // The parameters are the last bracket.
    const size_t end = name.rfind(">(");
    return end != std::string::npos ? name.substr(0, end + 1) : name.substr(0, name.find('('));
}

// Two events a launch.
class Stopwatch final : public simt::LaunchWatch {
public:
    ~Stopwatch() override {
        for (const Lap& lap : laps_) {
            cudaEventDestroy(lap.begin);
            cudaEventDestroy(lap.end);
        }
    }
    void before(const void* kernel, simt::Stream stream) override {
        Lap lap{kernel};
        simt::check(cudaEventCreate(&lap.begin), "making an event");
        simt::check(cudaEventCreate(&lap.end), "making an event");
        laps_.push_back(lap);
        simt::check(cudaEventRecord(lap.begin, stream), "timing a launch");
    }
    void after(simt::Stream stream) override {
        simt::check(cudaEventRecord(laps_.back().end, stream), "timing a launch");
    }
    std::vector<LaunchTime> times() const {
        std::map<std::string, LaunchTime> by_name;
        std::map<const void*, std::string> names;
        for (const Lap& lap : laps_) {
            float milliseconds = 0;
            simt::check(cudaEventElapsedTime(&milliseconds, lap.begin, lap.end), "timing a launch");
            std::string& name = names[lap.kernel];
            if (name.empty()) {
                name = kernel_name(lap.kernel);
            }
            LaunchTime& time = by_name[name];
            time.kernel = name;
            time.launches++;
            time.seconds += milliseconds / 1e3;
        }
        std::vector<LaunchTime> list;
        for (auto& [name, time] : by_name) {
            list.push_back(time);
        }
        std::ranges::sort(
            list, [](const LaunchTime& a, const LaunchTime& b) { return a.seconds > b.seconds; });
        return list;
    }

private:
    struct Lap {
        const void* kernel = nullptr;
        cudaEvent_t begin = nullptr, end = nullptr;
    };
    std::vector<Lap> laps_;
};

// Large copies from pageable memory. Threads fill pinned pieces, each of which is on its way as
// soon as it is full; one thread, or the driver's own staging, reaches a fraction of what the bus
// carries.
class Uploader {
public:
    Uploader(int device, cudaStream_t stream)
        : device_(device),
          stream_(stream),
          lanes_(std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U)) {
        for (Lane& lane : lanes_) {
            for (Piece& piece : lane) {
                simt::check(cudaMallocHost(&piece.memory, kPieceBytes), "pinning host memory");
                simt::check(cudaEventCreateWithFlags(&piece.sent, cudaEventDisableTiming),
                            "making an event");
            }
        }
    }
    ~Uploader() {
        for (Lane& lane : lanes_) {
            for (Piece& piece : lane) {
                cudaEventDestroy(piece.sent);
                cudaFreeHost(piece.memory);
            }
        }
    }
    Uploader(const Uploader&) = delete;

    // Returns once all is in pieces and queued.
    void copy(void* device, const void* host, int64_t bytes) {
        std::atomic<int64_t> next = 0;
        std::mutex mutex;
        std::exception_ptr error;
        const auto work = [&](Lane& lane) {
            try {
                simt::check(cudaSetDevice(device_), "choosing the card");
                for (size_t turn = 0;; turn++) {
                    const int64_t at = next.fetch_add(kPieceBytes);
                    if (at >= bytes) {
                        return;
                    }
                    const auto size = static_cast<size_t>(std::min(kPieceBytes, bytes - at));
                    const Piece& piece = lane[turn % lane.size()];
                    simt::check(cudaEventSynchronize(piece.sent), "waiting for a copy");
                    std::memcpy(piece.memory, static_cast<const std::byte*>(host) + at, size);
                    simt::check(cudaMemcpyAsync(static_cast<std::byte*>(device) + at, piece.memory,
                                                size, cudaMemcpyHostToDevice, stream_),
                                "copying to the card");
                    simt::check(cudaEventRecord(piece.sent, stream_), "marking a copy");
                }
            } catch (...) {
                next = bytes;
                const std::lock_guard lock(mutex);
                error = std::current_exception();
            }
        };
        std::vector<std::thread> threads;
        for (size_t i = 1; i < lanes_.size(); i++) {
            threads.emplace_back(work, std::ref(lanes_[i]));
        }
        work(lanes_[0]);
        for (std::thread& thread : threads) {
            thread.join();
        }
        if (error != nullptr) {
            std::rethrow_exception(error);
        }
    }

private:
    static constexpr int64_t kPieceBytes = 2 << 20;
    struct Piece {
        void* memory = nullptr;
        cudaEvent_t sent = nullptr;
    };
    using Lane = std::array<Piece, 2>;  // of one thread

    int device_;
    cudaStream_t stream_;
    std::vector<Lane> lanes_;
};

class Graph final : public Device::Recording {
public:
    Graph(cudaGraphExec_t graph, int64_t launches) : graph(graph), launches(launches) {}
    ~Graph() override { cudaGraphExecDestroy(graph); }
    Graph(const Graph&) = delete;

    cudaGraphExec_t graph;
    int64_t launches;
};

class CudaDevice final : public Device {
public:
    CudaDevice(const CardFacts& facts, const cudaDeviceProp& properties)
        : index_(facts.index), properties_(properties) {
        simt::early_starts = card_starts_early(facts);
        simt::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
        simt::check(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming), "making an event");
    }
    ~CudaDevice() override {
        uploader_ = nullptr;
        cudaEventDestroy(sent_);
        cudaStreamDestroy(stream_);
    }
    std::string name() const override { return properties_.name; }
    void* allocate(int64_t bytes) override {
        void* memory = nullptr;
        const cudaError_t error =
            cudaMalloc(&memory, static_cast<size_t>(round_up(bytes, kCardAlignment)));
        if (error == cudaErrorMemoryAllocation) {
            cudaGetLastError();  // an ordinary outcome: not to be found by the next launch
            return nullptr;
        }
        simt::check(error, "allocating memory");
        return memory;
    }
    void copy_in(void* device, const void* host, int64_t bytes) override {
        if (bytes >= kLargeCopyBytes) {
            if (uploader_ == nullptr) {
                uploader_ = std::make_unique<Uploader>(index_, stream_);
            }
            uploader_->copy(device, host, bytes);
            return;
        }
        // From pageable memory this returns once the bytes are staged, so `host` may change then.
        simt::check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes),
                                    cudaMemcpyHostToDevice, stream_),
                    "copying to the card");
    }
    void copy_out(void* host, const void* device, int64_t bytes) override {
        simt::check(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes),
                                    cudaMemcpyDeviceToHost, stream_),
                    "copying from the card");
        simt::check(cudaStreamSynchronize(stream_), "waiting for the card");
    }
    void copy(void* to, const void* from, int64_t pitch, int64_t bytes, int64_t count) override {
        simt::check(
            cudaMemcpy2DAsync(to, static_cast<size_t>(pitch), from, static_cast<size_t>(pitch),
                              static_cast<size_t>(bytes), static_cast<size_t>(count),
                              cudaMemcpyDeviceToDevice, stream_),
            "copying within the card");
    }
    void zero(void* device, int64_t bytes) override {
        simt::check(cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), stream_),
                    "clearing memory");
    }
    void* allocate_host(int64_t bytes) override {
        void* memory = nullptr;
        simt::check(cudaMallocHost(&memory, static_cast<size_t>(bytes)), "pinning host memory");
        return memory;
    }
    void send(void* device, const void* host, int64_t bytes) override {
        simt::check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes),
                                    cudaMemcpyHostToDevice, stream_),
                    "copying to the card");
        simt::check(cudaEventRecord(sent_, stream_), "marking a copy");
    }
    void wait_for_sent() override {
        simt::check(cudaEventSynchronize(sent_), "waiting for the card");
    }
    void begin_recording() override {
        launches_before_ = simt::launches;
        simt::check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
                    "recording launches");
    }
    std::unique_ptr<Recording> end_recording() override {
        const int64_t launches = simt::launches - launches_before_;
        simt::launches = launches_before_;
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t ready = nullptr;
        cudaError_t error = cudaStreamEndCapture(stream_, &graph);
        if (error == cudaSuccess) {
            error = cudaGraphInstantiateWithFlags(&ready, graph, 0);
        }
        if (graph != nullptr) {
            cudaGraphDestroy(graph);
        }
        if (error != cudaSuccess) {
            cudaGetLastError();  // launches one by one go on; what is really wrong meets them too
            return nullptr;
        }
        return std::make_unique<Graph>(ready, launches);
    }
    void replay(const Recording& recording) override {
        const auto& graph = static_cast<const Graph&>(recording);
        simt::check(cudaGraphLaunch(graph.graph, stream_), "launching a graph");
        simt::launches += graph.launches;
    }
    simt::Stream stream() const override { return stream_; }
    Figures memory_figures() const override {
        size_t free_bytes = 0, total_bytes = 0;
        if (cudaSetDevice(index_) != cudaSuccess ||
            cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
            return {static_cast<int64_t>(properties_.totalGlobalMem), 0};
        }
        return {static_cast<int64_t>(total_bytes), static_cast<int64_t>(free_bytes)};
    }

    int64_t launches() const override { return simt::launches; }
    std::vector<LaunchTime> profile(bool on) override {
        simt::launch_watch = nullptr;
        std::vector<LaunchTime> times;
        if (on) {
            stopwatch_ = std::make_unique<Stopwatch>();
            simt::launch_watch = stopwatch_.get();
        } else if (stopwatch_ != nullptr) {
            simt::check(cudaStreamSynchronize(stream_), "waiting for the card");
            times = stopwatch_->times();
            stopwatch_ = nullptr;
        }
        return times;
    }

private:
    int index_;
    std::unique_ptr<Stopwatch> stopwatch_;
    std::unique_ptr<Uploader> uploader_;
    cudaDeviceProp properties_{};
    cudaStream_t stream_ = nullptr;
    cudaEvent_t sent_ = nullptr;
    int64_t launches_before_ = 0;
};

}  // namespace

std::unique_ptr<Device> Device::open(int index) {
    CardFacts facts;
    facts.index = index;
    cudaDriverGetVersion(&facts.driver);
    cudaRuntimeGetVersion(&facts.runtime);
    const cudaError_t error = cudaGetDeviceCount(&facts.cards);
    cudaGetLastError();  // what is wrong is judged here, and not to be found by the next launch
    facts.old_driver = error == cudaErrorInsufficientDriver;
    if (error == cudaErrorNoDevice) {
        facts.cards = 0;
    } else if (facts.driver != 0 && !facts.old_driver) {
        simt::check(error, "counting the cards");
    }
    cudaDeviceProp properties{};
    if (facts.driver != 0 && !facts.old_driver && index >= 0 && index < facts.cards) {
        simt::check(cudaGetDeviceProperties(&properties, index), "reading the card's properties");
        facts.name = properties.name;
        facts.capability = properties.major * 10 + properties.minor;
    }
    if (!card_is_usable(facts)) {
        return nullptr;
    }
    simt::check(cudaSetDevice(index), "choosing the card");
    cudaFuncAttributes kernel{};
    const cudaError_t loads = cudaFuncGetAttributes(&kernel, probe_kernel);
    cudaGetLastError();
    facts.has_kernels = loads != cudaErrorNoKernelImageForDevice &&
                        loads != cudaErrorInvalidDeviceFunction &&
                        loads != cudaErrorUnsupportedPtxVersion;
    card_is_usable(facts);
    simt::check(loads, "reading a kernel");
    facts.built_for = kernel.ptxVersion;
    return std::make_unique<CudaDevice>(facts, properties);
}

void Device::free(void* memory, size_t) {
    cudaFree(memory);
}

void Device::free_host(void* memory, size_t) {
    cudaFreeHost(memory);
}

}  // namespace kernels::cuda
