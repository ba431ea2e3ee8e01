// Times the products on the card at the shapes of GLM-4.7-Flash in Q4_K_M: GB/s of weights for few
// tokens, TFLOP/s for many. Random bytes as weights: figures, no results. Built with
// KEYHOLE_CUDA=ON.
//   cuda_bench peaks     what the card copies and multiplies at the most
//   cuda_bench few       that, and the products of 1 and 4 tokens
//   cuda_bench [filter]  all products, or those whose name holds the filter
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/products.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/tiles.h"
#include "kernels/quants/quants.h"
#include "kernels/simt/warp_matrix.h"

using kernels::DType;
using namespace kernels::cuda;

namespace {

cudaStream_t stream;
std::string filter;

__device__ uint32_t mixed(uint64_t i) {
    auto v = static_cast<uint32_t>(i * 2654435761U ^ i >> 17);
    v ^= v >> 15;
    v *= 2246822519U;
    return v ^ v >> 13;
}

// Random bits; or numbers between -1 and 1.
__global__ void fill(uint32_t* words, size_t n, bool numbers) {
    for (size_t i = blockIdx.x * size_t{256} + threadIdx.x; i < n; i += size_t{256} * gridDim.x) {
        const uint32_t v = mixed(i);
        words[i] = numbers ? __float_as_uint(static_cast<float>(v) * 0x1p-31F - 1) : v;
    }
}

void* room(size_t bytes, bool numbers = false) {
    void* p = nullptr;
    bytes = (bytes + 3) / 4 * 4;
    simt::check(cudaMalloc(&p, bytes), "memory");
    fill<<<1024, 256, 0, stream>>>(static_cast<uint32_t*>(p), bytes / 4, numbers);
    return p;
}

// Microseconds a call, launched as a graph of `calls`.
double microseconds(int calls, const std::function<void(int)>& call) {
    for (int i = 0; i < 3; i++) {
        call(i);
    }
    simt::check(cudaStreamSynchronize(stream), "warm");
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    simt::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
    for (int i = 0; i < calls; i++) {
        call(i);
    }
    simt::check(cudaStreamEndCapture(stream, &graph), "capture");
    simt::check(cudaGraphInstantiate(&exec, graph, 0), "graph");
    simt::check(cudaGraphLaunch(exec, stream), "launch");
    cudaEvent_t begin, end;
    cudaEventCreate(&begin);
    cudaEventCreate(&end);
    float best = 1e30F;
    for (int i = 0; i < 3; i++) {
        cudaEventRecord(begin, stream);
        simt::check(cudaGraphLaunch(exec, stream), "launch");
        cudaEventRecord(end, stream);
        simt::check(cudaStreamSynchronize(stream), "run");
        float ms = 0;
        cudaEventElapsedTime(&ms, begin, end);
        best = ms < best ? ms : best;
    }
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return best * 1e3 / calls;
}

struct Shape {
    const char* name;
    DType type;
    int64_t experts;  // weights
    int64_t rows;
    int64_t cols;
    int parts;
    InputForm input;
    SlotForm slots;
};

constexpr Shape kShapes[] = {
    {"q_a+kv_a", DType::q4_k, 1, 672, 2048, 2, InputForm::normed, SlotForm::tokens},
    {"q_b", DType::q4_k, 1, 5120, 768, 1, InputForm::normed, SlotForm::tokens},
    {"k_b", DType::q5_0, 20, 512, 192, 1, InputForm::plain, SlotForm::heads},
    {"v_b", DType::q4_k, 20, 256, 512, 1, InputForm::plain, SlotForm::heads},
    {"o", DType::q4_k, 1, 2048, 5120, 1, InputForm::plain, SlotForm::tokens},
    {"router", DType::f32, 1, 64, 2048, 1, InputForm::normed, SlotForm::tokens},
    {"gate+up", DType::q4_k, 64, 1536, 2048, 2, InputForm::normed, SlotForm::routed},
    {"down q4", DType::q4_k, 64, 2048, 1536, 1, InputForm::gated, SlotForm::routed},
    {"down q6", DType::q6_k, 64, 2048, 1536, 1, InputForm::gated, SlotForm::routed},
    {"shared gate+up", DType::q4_k, 1, 1536, 2048, 2, InputForm::normed, SlotForm::tokens},
    {"shared down q6", DType::q6_k, 1, 2048, 1536, 1, InputForm::gated, SlotForm::tokens},
    {"lm_head", DType::q6_k, 1, 154880, 2048, 1, InputForm::normed, SlotForm::tokens},
    {"q8_0 2048x2048", DType::q8_0, 1, 2048, 2048, 1, InputForm::plain, SlotForm::tokens},
};

void bench(
    const Shape& s, int tokens, int tile, float* x, float* up, float* out, uint16_t* packed) {
    if (!filter.empty() && std::string(s.name).find(filter) == std::string::npos) {
        return;
    }
    const bool many = tokens >= kernels::kTilesFrom;
    if (many && s.rows > 100000) {
        return;
    }
    const int64_t bytes = s.experts * s.rows * kernels::row_bytes(s.type, s.cols);
    // Several copies in turn, so that the second level cache does not hold the weights.
    const int64_t copies =
        std::max<int64_t>(1, std::min<int64_t>(16, (int64_t{3} << 28) / (bytes * s.parts)));
    auto* weight = static_cast<std::byte*>(room(static_cast<size_t>(copies * s.parts * bytes)));
    Products p;
    p.cols = static_cast<int32_t>(s.cols);
    p.input = s.input;
    p.x = {x, s.slots == SlotForm::heads ? s.experts * s.cols : s.cols, s.cols,
           s.slots == SlotForm::heads ? static_cast<int32_t>(s.experts) : 1};
    p.up = {up, s.cols, 0, 1};
    p.norm = up;
    p.eps = 1e-5F;
    p.slots = s.slots;
    p.n_slots = tokens;
    p.n_heads = static_cast<int32_t>(s.experts);
    constexpr int kUsed = 4;
    std::vector<WorkItem> items;
    std::vector<int32_t> pairs;
    const int n_pairs = tokens * kUsed;
    double rows_of_work = tokens;
    int64_t touched = s.experts;
    if (s.slots == SlotForm::routed) {
        p.item_slots = many ? tile : tokens == 1 ? 1 : kernels::kTileTokens;
        std::vector<std::vector<int32_t>> of(static_cast<size_t>(s.experts));
        uint32_t state = 7;
        for (int i = 0; i < n_pairs; i++) {
            state = state * 1664525U + 1013904223U;
            of[(state >> 8) % static_cast<uint32_t>(s.experts)].push_back(i);
        }
        touched = 0;
        for (size_t e = 0; e < of.size(); e++) {
            touched += !of[e].empty();
            for (size_t i = 0; i < of[e].size(); i += static_cast<size_t>(p.item_slots)) {
                items.push_back({static_cast<int32_t>(e), static_cast<int32_t>(pairs.size()),
                                 static_cast<int32_t>(std::min<size_t>(
                                     of[e].size() - i, static_cast<size_t>(p.item_slots)))});
                pairs.insert(pairs.end(), of[e].begin() + static_cast<std::ptrdiff_t>(i),
                             of[e].begin() + static_cast<std::ptrdiff_t>(i) + items.back().count);
            }
        }
        p.n_slots = kernels::most_items(n_pairs, s.experts, p.item_slots);
        p.n_pairs = n_pairs;
        p.pairs_a_row = s.input == InputForm::gated ? 1 : kUsed;
        rows_of_work = n_pairs;
    } else if (s.slots == SlotForm::heads) {
        rows_of_work = static_cast<double>(tokens) * static_cast<double>(s.experts);
    }
    const simt::Buffer<WorkItem> device_items(items.empty() ? std::vector<WorkItem>(1) : items);
    const simt::Buffer<int32_t> device_pairs(pairs.empty() ? std::vector<int32_t>(1) : pairs),
        n_items(std::vector<int32_t>{static_cast<int32_t>(items.size())});
    p.items = device_items.get();
    p.pairs = device_pairs.get();
    p.n_items = n_items.get();
    if (many) {
        p.packed = packed;
        p.item_slots = tile;
    }
    const auto with = [&](int call) {
        Products q = p;
        q.n_parts = s.parts;
        for (int i = 0; i < s.parts; i++) {
            ProductPart& part = q.parts[i];
            part.weight = weight + (call % copies * s.parts + i) * bytes;
            part.end = part.weight + bytes;
            part.row_bytes = kernels::row_bytes(s.type, s.cols);
            part.expert_bytes = s.rows * part.row_bytes;
            part.rows = static_cast<int32_t>(s.rows);
            part.out = {out + static_cast<int64_t>(i) * 150000000,
                        s.slots == SlotForm::heads ? s.experts * s.rows : s.rows, s.rows,
                        s.slots == SlotForm::heads ? static_cast<int32_t>(s.experts) : 1};
        }
        return q;
    };
    const int calls = many ? 8 : 48;
    const double us = microseconds(calls, [&](int i) { launch_products(s.type, with(i), stream); });
    double pack = 0;
    if (many && has_tiles(s.type)) {
        pack = microseconds(calls, [&](int i) { launch_pack(with(i), stream); });
    }
    const double read = static_cast<double>(bytes) * s.parts * static_cast<double>(touched) /
                        static_cast<double>(s.experts);
    const double flop = 2.0 * rows_of_work * static_cast<double>(s.rows * s.parts * s.cols);
    std::printf("%-16s %-5s %5d tokens (%3d) %9.1f us  pack %7.1f us  %7.0f GB/s  %6.1f TFLOP/s\n",
                s.name, std::string(kernels::name(s.type)).c_str(), tokens, p.item_slots, us, pack,
                read / us / 1e3, flop / us / 1e6);
    cudaFree(weight);
}

__global__ void nothing() {}

// Matrix instructions alone: eight sums of a warp that do not wait for each other.
__global__ void __launch_bounds__(256) multiply(float* out, int rounds) {
    const uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, threadIdx.x + 2, threadIdx.x + 3};
    const uint32_t b[2] = {threadIdx.x, threadIdx.x + 5};
    float sum[8][4] = {};
    for (int i = 0; i < rounds; i++) {
        SIMT_UNROLL
        for (int k = 0; k < 8; k++) {
            simt::mma_f16(sum[k], a, b);
        }
    }
    float all = 0;
    SIMT_UNROLL
    for (int k = 0; k < 8; k++) {
        all += sum[k][0] + sum[k][1] + sum[k][2] + sum[k][3];
    }
    out[blockIdx.x * 256 + threadIdx.x] = all;
}

void peaks(int processors, float* out) {
    constexpr size_t kBytes = size_t{1} << 30;
    void *from = nullptr, *to = nullptr;
    simt::check(cudaMalloc(&from, kBytes), "memory");
    simt::check(cudaMalloc(&to, kBytes), "memory");
    const double copy = microseconds(8, [&](int) {
        simt::check(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, stream), "copy");
    });
    cudaFree(from);
    cudaFree(to);
    constexpr int kRounds = 4096;
    const int blocks = 4 * processors;
    const double products =
        microseconds(4, [&](int) { multiply<<<blocks, 256, 0, stream>>>(out, kRounds); });
    const double flop = 4096.0 * 8 * kRounds * 8 * blocks;
    std::printf("copies %.0f GB/s, read and written\n", 2.0 * kBytes / copy / 1e3);
    std::printf("f16 products %.0f TFLOP/s, mma.sync\n", flop / products / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
    filter = argc > 1 ? argv[1] : "";
    const bool few = filter == "few", only_peaks = filter == "peaks";
    if (few || only_peaks) {
        filter = "";
    }
    cudaDeviceProp card{};
    simt::check(cudaGetDeviceProperties(&card, 0), "properties");
    std::printf("%s, %d processors\n", card.name, card.multiProcessorCount);
    simt::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    peaks(card.multiProcessorCount, static_cast<float*>(room(size_t{4} << 20)));
    if (only_peaks) {
        return 0;
    }
    auto* x = static_cast<float*>(room(size_t{4096} * 4 * 10240 * 4, true));
    auto* up = static_cast<float*>(room(size_t{4096} * 4 * 10240 * 4, true));
    auto* out = static_cast<float*>(room(size_t{300000000} * 4));
    auto* packed = static_cast<uint16_t*>(room(size_t{4096} * 4 * 10240 * 2));
    std::printf("an empty launch in a graph: %.2f us\n",
                microseconds(256, [](int) { nothing<<<132, 256, 0, stream>>>(); }));
    for (const bool early : {false, true}) {
        simt::early_starts = early && card.major >= 9;
        std::printf("launches may start early: %s\n", simt::early_starts ? "yes" : "no");
        for (const int tokens : {1, 4, 16, 64, 512, 2048, 4096}) {
            for (const Shape& s : kShapes) {
                if (tokens <= 4 || (!early && !few)) {
                    bench(s, tokens, kernels::kTileSlots, x, up, out, packed);
                    if (tokens >= kernels::kTilesFrom && has_tiles(s.type)) {
                        bench(s, tokens, kernels::kSmallTileSlots, x, up, out, packed);
                    }
                }
            }
        }
    }
    // Routing and the sum.
    for (const int tokens : {1, 512, 2048}) {
        if (few && tokens > 1) {
            break;
        }
        Route r;
        const simt::Buffer<int32_t> chosen(static_cast<size_t>(tokens) * 4),
            pairs(static_cast<size_t>(tokens) * 4), n(1);
        const simt::Buffer<float> weights(static_cast<size_t>(tokens) * 4);
        const simt::Buffer<WorkItem> items(static_cast<size_t>(tokens) * 4 + 64);
        r.logits = x;
        r.n_tokens = tokens;
        r.n_experts = 64;
        r.n_used = 4;
        r.chosen = chosen.get();
        r.weights = weights.get();
        r.items = items.get();
        r.n_items = n.get();
        r.pairs = pairs.get();
        std::printf("route %5d tokens %8.1f us\n", tokens,
                    microseconds(16, [&](int) { launch_route(r, stream); }));
        std::printf("combine %5d tokens %8.1f us\n", tokens, microseconds(16, [&](int) {
                        launch_combine({out, 2048, 0, 1}, x, up, nullptr, tokens, 4, 2048, stream);
                    }));
    }
    return 0;
}
