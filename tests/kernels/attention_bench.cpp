// Times of the attention kernels on a card, over depths, cache types and token counts: decode as
// GB/s of K rows read, prefill as TFLOP/s of what it multiplies. Built with KEYHOLE_CUDA=ON alone;
// run by hand, about 15 seconds.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <vector>

#include "kernels/cuda/mla_expand.h"
#include "kernels/k_type.h"

using kernels::DType;
using kernels::KType;
using namespace kernels::cuda;

namespace {

constexpr int kHeads = 20, kLatent = 512, kRotary = 64, kHead = 256;
constexpr int64_t kCacheBytes = int64_t{640} << 20;  // far more than a card's L2

// Milliseconds of one call, the mean of enough calls for 20 ms.
double milliseconds(const std::function<void(int)>& call) {
    cudaEvent_t begin, end;
    simt::check(cudaEventCreate(&begin), "event");
    simt::check(cudaEventCreate(&end), "event");
    float ms = 0;
    for (int n = 1;; n *= 4) {
        for (int i = 0; i < std::min(n, 3); i++) {
            call(i);
        }
        simt::check(cudaEventRecord(begin), "event");
        for (int i = 0; i < n; i++) {
            call(i);
        }
        simt::check(cudaEventRecord(end), "event");
        simt::check(cudaEventSynchronize(end), "event");
        simt::check(cudaEventElapsedTime(&ms, begin, end), "event");
        if (ms > 20 || n >= 1024) {
            return ms / n;
        }
    }
}

KRows rows_of(const KType& type) {
    const kernels::LatentRow parts(kLatent, kRotary);
    return {0,
            kernels::k_row_bytes(type, kLatent, kRotary),
            type.dtype,
            kLatent,
            kRotary,
            type.int8_latent,
            static_cast<int32_t>(parts.rotary_at),
            static_cast<int32_t>(parts.scales_at)};
}

// Pages of as many layers as the memory has room for, one table behind the other.
std::vector<std::byte*> page_tables(std::byte* memory,
                                    int64_t page_bytes,
                                    int64_t pages,
                                    int64_t& layers) {
    std::vector<std::byte*> tables;
    layers = std::max<int64_t>(1, kCacheBytes / (page_bytes * pages));
    for (int64_t i = 0; i < layers * pages; i++) {
        tables.push_back(memory + i * page_bytes);
    }
    std::shuffle(tables.begin(), tables.end(), std::mt19937(1));
    return tables;
}

void decode(
    const KType& type, int depth, int n_tokens, int sequences, std::byte* memory, float* numbers) {
    const int64_t pages = (depth + n_tokens + 63) / 64;
    int64_t layers = 0;
    Attend w;
    w.rows = rows_of(type);
    const simt::Buffer<std::byte*> tables(
        page_tables(memory, 64 * w.rows.row_bytes, pages * sequences, layers));
    std::vector<QueryGroup> groups;
    const int most = mla_group_tokens(kHeads), processors = simt::multiprocessors();
    for (int64_t layer = 0; layer < layers; layer++) {
        for (int s = 0; s < sequences; s++) {
            for (int t = 0; t < n_tokens; t += most) {
                QueryGroup g;
                g.first_row = s * n_tokens + t;
                g.n_tokens = std::min(most, n_tokens - t);
                g.position = depth + t;
                g.table = static_cast<int32_t>((layer * sequences + s) * pages);
                g.split_tokens = kernels::split_tokens_at(g.position, processors);
                w.n_splits =
                    std::max(w.n_splits, (g.position + g.n_tokens - 1) / g.split_tokens + 1);
                w.group_tokens = std::max(w.group_tokens, g.n_tokens);
                groups.push_back(g);
            }
        }
    }
    w.n_groups = static_cast<int32_t>(static_cast<int64_t>(groups.size()) / layers);
    const simt::Buffer<QueryGroup> device_groups(groups);
    w.n_heads = kHeads;
    w.q = {numbers, kHead, 0, 1};
    w.absorbed = {numbers, kLatent, 0, 1};
    w.head = kHead;
    w.scale = 1.0F / 16;
    w.n_tokens = n_tokens * sequences;
    const size_t rows = static_cast<size_t>(w.n_tokens * kHeads);
    const simt::Buffer<uint16_t> part(rows * static_cast<size_t>(w.n_splits) * kLatent);
    const simt::Buffer<float2> weight(rows * static_cast<size_t>(w.n_splits));
    const simt::Buffer<float> mixed(rows * kLatent);
    w.part = part.get();
    w.weight = weight.get();
    w.mixed = mixed.get();
    w.batch.pages = tables.get();
    const double attend = milliseconds([&](int i) {
        w.groups = device_groups.get() + i % layers * w.n_groups;
        launch_mla_decode(w, nullptr);
    });
    const double merge = milliseconds([&](int) { launch_mla_merge(w, nullptr); });
    const double bytes =
        static_cast<double>(sequences) * (depth + n_tokens) * static_cast<double>(w.rows.row_bytes);
    std::printf(
        "decode  %-9s depth %6d tokens %d x %d  splits %3d  attend %8.2f us %7.1f GB/s  merge "
        "%6.2f us  all %7.1f GB/s\n",
        kernels::name(type).c_str(), depth, n_tokens, sequences, w.n_splits, attend * 1e3,
        bytes / attend / 1e6, merge * 1e3, bytes / (attend + merge) / 1e6);
}

void prefill(const KType& type, int depth, int n_tokens, std::byte* memory, float* numbers) {
    int64_t layers = 0;
    const int seen = depth + n_tokens;
    Expand e;
    e.rows = rows_of(type);
    const simt::Buffer<std::byte*> tables(
        page_tables(memory, 64 * e.rows.row_bytes, (seen + 63) / 64, layers));
    e.pages = tables.get();
    e.n_heads = kHeads;
    e.n_tokens = n_tokens;
    e.position = depth;
    e.scale = 1.0F / 16;
    e.piece_tokens = std::min(static_cast<int>(kernels::kPieceTokens), seen);
    const size_t piece = static_cast<size_t>(e.piece_tokens),
                 tokens = static_cast<size_t>(n_tokens);
    const simt::Buffer<uint16_t> weights(size_t{kHeads} * kExpandRow * kLatent),
        latents(piece * 576), keys_values(size_t{kHeads} * piece * kExpandRow);
    const simt::Buffer<float2> state(tokens * kHeads);
    const simt::Buffer<float> out(tokens * kHeads * kHead), q(tokens * kHeads * kHead);
    simt::check(cudaMemset(q.get(), 0, q.size() * sizeof(float)), "clearing queries");
    e.k_b = {memory, DType::f16, kExpandNope * 2,
             kExpandNope * 2 * kLatent};
    e.v_b = {memory, DType::f16, kLatent * 2,
             kLatent * 2 * kExpandValue};
    e.q = {q.get(), kHead, 0, 1};
    e.out = {out.get(), kHead, 0, 1};
    e.weights = weights.get();
    e.latents = latents.get();
    e.keys_values = keys_values.get();
    e.state = state.get();
    const auto pieces = [&](auto launch) {
        return milliseconds([&](int) {
            for (e.first = 0; e.first < seen; e.first += e.piece_tokens) {
                e.count = std::min(e.piece_tokens, seen - e.first);
                launch(e, nullptr);
            }
        });
    };
    const double expand = milliseconds([&](int) { launch_expand_weights(e, nullptr); });
    const double unpack = pieces(launch_unpack_rows), project = pieces(launch_project),
                 attend = pieces(launch_prefill);
    const double pairs = static_cast<double>(n_tokens) * (depth + (n_tokens + 1) / 2.0);
    const double attend_flop = pairs * kHeads * 2 * (kHead + kHead);
    const double project_flop = 2.0 * seen * kLatent * kHeads * kExpandRow;
    const double all = expand + unpack + project + attend;
    std::printf(
        "prefill %-9s depth %6d tokens %5d  weights %6.1f us  unpack %7.1f us  project %8.1f us "
        "%6.1f TFLOP/s  attend %9.1f us %6.1f TFLOP/s  47 layers: %7.0f tokens/s\n",
        kernels::name(type).c_str(), depth, n_tokens, expand * 1e3, unpack * 1e3, project * 1e3,
        project_flop / project / 1e9, attend * 1e3, attend_flop / attend / 1e9,
        n_tokens / all / 47 * 1e3);
}

}  // namespace

int main() {
    try {
        cudaDeviceProp card{};
        simt::check(cudaGetDeviceProperties(&card, 0), "reading the card's properties");
        std::printf("%s, %d multiprocessors\n", card.name, card.multiProcessorCount);
        // Random halves of magnitudes around 1; enough floats for the queries of any case.
        std::vector<uint16_t> some(size_t{8} << 20);
        std::mt19937 random(3);
        for (uint16_t& v : some) {
            v = static_cast<uint16_t>(0x3400U | (random() & 0x87FFU));
        }
        const simt::Buffer<std::byte> memory(static_cast<size_t>(kCacheBytes));
        for (size_t at = 0; at < memory.size(); at += some.size() * 2) {
            simt::check(
                cudaMemcpy(memory.get() + at, some.data(),
                           std::min(some.size() * 2, memory.size() - at), cudaMemcpyHostToDevice),
                "filling the cache");
        }
        std::vector<float> values(size_t{8} << 20);
        for (float& v : values) {
            v = static_cast<float>(random() % 2001) / 1000.0F - 1;
        }
        const simt::Buffer<float> numbers(values);
        for (const KType& type : {KType(DType::f16), KType::q8_latent(), KType(DType::q8_0)}) {
            for (const int depth : {0, 255, 1000, 4000, 8191, 16383, 32767, 90000, 200000}) {
                decode(type, depth, 1, 1, memory.get(), numbers.get());
            }
            decode(type, 32766, 2, 1, memory.get(), numbers.get());
            decode(type, 32764, 4, 1, memory.get(), numbers.get());
            decode(type, 8191, 1, 8, memory.get(), numbers.get());
            decode(type, 32256, 512, 1, memory.get(), numbers.get());
        }
        prefill(DType::f16, 0, 2048, memory.get(), numbers.get());
        prefill(DType::f16, 0, 4096, memory.get(), numbers.get());
        prefill(DType::f16, 8192, 2048, memory.get(), numbers.get());
        prefill(DType::f16, 32768, 2048, memory.get(), numbers.get());
        prefill(DType::f16, 32768, 4096, memory.get(), numbers.get());
        prefill(KType::q8_latent(), 32768, 2048, memory.get(), numbers.get());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
