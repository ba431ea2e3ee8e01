#include "runtime/model/weights.h"

#include <algorithm>
#include <unordered_set>

#include <sys/mman.h>
#include <unistd.h>

#include "kernels/quants/quants.h"
#include "runtime/error.h"
#include "runtime/model/gguf_types.h"

namespace runtime {
namespace {

using kernels::DType;
using kernels::TensorView;

constexpr int64_t kPageInChunk = 32 << 20;  // between two looks at the progress callback

class Loader {
public:
    Loader(const GgufFile& file, const ModelConfig& config) : file_(file), c_(config) {}

    // Every name, shape and type, which reads nothing but the header.
    std::vector<std::string> check() {
        weights_.layers.resize(static_cast<size_t>(c_.n_layers));
        bind_model();
        for (int64_t i = 0; i < c_.n_layers; i++) {
            bind_layer(i);
        }
        find_unused();
        return weights_.warnings;
    }

    // The tensors themselves, after check().
    Weights load(kernels::Backend& backend,
                 const LoadProgress& progress,
                 const WeightPlacement& placement) {
        backend_ = &backend;
        adopt(progress, placement);
        return std::move(weights_);
    }

    // After check().
    WeightBytes bytes() const {
        WeightBytes sizes;
        for (const Pending& tensor : pending_) {
            sizes.parts.push_back(
                {tensor.convert ? tensor.host.elements() * 4 : tensor.host.bytes(), tensor.kind,
                 tensor.layer});
            if (tensor.extra_bytes > 0) {
                sizes.parts.push_back({tensor.extra_bytes});
            }
        }
        return sizes;
    }

private:
    using Shape = std::vector<int64_t>;  // outermost first, as in TensorView
    using Place = std::function<void(const TensorView& device)>;

    // A checked tensor waiting to be read. `convert` ones are handed over as they lie in the file.
    struct Pending {
        TensorView host;
        bool convert = false;
        Place place;
        WeightBytes::Kind kind = WeightBytes::Kind::other;
        int64_t layer = -1;
        int64_t extra_bytes = 0;  // of what `place` makes of it beside it
    };

    [[noreturn]] void fail(const std::string& what) const {
        throw ModelError("'" + printable(file_.path(), 400) + "': " + what);
    }

    static std::string text(const Shape& shape) {
        std::string out = "{";
        for (size_t i = shape.size(); i-- > 0;) {
            out += std::to_string(shape[i]) + (i == 0 ? "}" : ", ");
        }
        return out;
    }

    static Shape without_ones(Shape shape) {
        while (shape.size() > 1 && shape.front() == 1) {
            shape.erase(shape.begin());
        }
        return shape;
    }

    static TensorView view(const TensorView& tensor, const Shape& s) {
        switch (s.size()) {
            case 1:
                return {tensor.data, tensor.dtype, {s[0]}};
            case 2:
                return {tensor.data, tensor.dtype, {s[0], s[1]}};
            default:
                return {tensor.data, tensor.dtype, {s[0], s[1], s[2]}};
        }
    }

    bool has(const std::string& name) const { return file_.tensor(name) != nullptr; }

    // The tensor in the shape it must have. `flat` is a second shape of the same memory that is
    // accepted too.
    TensorView find(const std::string& name, const Shape& shape, const Shape& flat = {}) {
        const GgufTensor* tensor = file_.tensor(name);
        if (tensor == nullptr) {
            fail("tensor '" + name +
                 "' is missing; the file is incomplete: download it again, or another one");
        }
        used_.insert(tensor->name);
        const Shape actual(tensor->ne.rbegin(), tensor->ne.rend());
        const Shape bare = without_ones(actual);
        if (bare != without_ones(shape) && (flat.empty() || bare != without_ones(flat))) {
            fail("tensor '" + name + "' has shape " + text(actual) + ", expected " + text(shape) +
                 "; the file is damaged or of another model");
        }
        if (tensor->view.empty() || tensor->view.dtype == DType::i32) {
            const GgmlType* type = ggml_type(tensor->ggml_type);
            const std::string origin = type != nullptr && !type->origin.empty()
                                           ? " (" + std::string(type->origin) + ")"
                                           : "";
            fail("tensor '" + name + "' has type " + tensor->type_name + origin +
                 ", which Keyhole does not compute with; convert or download a Q4_K_M, IQ4_XS, "
                 "Q6_K or Q8_0 file");
        }
        return view(tensor->view, shape);
    }

    void matrix(TensorView& field,
                const std::string& name,
                const Shape& shape,
                const Shape& flat = {}) {
        pending_.push_back({find(name, shape, flat), false,
                            [&field](const TensorView& device) { field = device; }});
    }

    // Norms, router and bias enter the arithmetic as F32; a file that stores them narrower has them
    // widened here.
    void floats(TensorView& field, const std::string& name, const Shape& shape) {
        const TensorView host = find(name, shape);
        if (host.dtype == DType::f32) {
            pending_.push_back(
                {host, false, [&field](const TensorView& device) { field = device; }});
            return;
        }
        pending_.push_back({host, true, [this, &field, shape](const TensorView& tensor) {
                                std::vector<float> values(static_cast<size_t>(tensor.elements()));
                                kernels::dequantize_row(tensor.dtype, tensor.data, values.data(),
                                                        tensor.elements());
                                field = keep(DType::f32, shape, values.data());
                            }});
    }

    void bind_model() {
        matrix(weights_.token_embd, "token_embd.weight", {c_.vocab, c_.hidden});
        if (has("output.weight")) {  // else it is the head as well
            pending_.back().kind = WeightBytes::Kind::embedding;
        }
        floats(weights_.output_norm, "output_norm.weight", {c_.hidden});
        if (has("output.weight")) {
            matrix(weights_.output, "output.weight", {c_.vocab, c_.hidden});
        }
    }

    void bind_layer(int64_t index) {
        LayerWeights& w = weights_.layers[static_cast<size_t>(index)];
        const std::string p = "blk." + std::to_string(index) + ".";
        const int64_t D = c_.hidden, H = c_.n_heads, Q = c_.q_lora_rank, L = c_.kv_lora_rank;
        const int64_t N = c_.qk_nope_head_dim, R = c_.qk_rope_head_dim, V = c_.v_head_dim;

        floats(w.attn_norm, p + "attn_norm.weight", {D});
        matrix(w.q_a, p + "attn_q_a.weight", {Q, D});
        floats(w.q_a_norm, p + "attn_q_a_norm.weight", {Q});
        matrix(w.q_b, p + "attn_q_b.weight", {H * (N + R), Q});
        matrix(w.kv_a, p + "attn_kv_a_mqa.weight", {L + R, D});
        floats(w.kv_a_norm, p + "attn_kv_a_norm.weight", {L});
        if (has(p + "attn_k_b.weight") || has(p + "attn_v_b.weight")) {
            matrix(w.k_b, p + "attn_k_b.weight", {H, L, N}, {H * L, N});
            matrix(w.v_b, p + "attn_v_b.weight", {H, V, L}, {H * V, L});
            if (const GgufTensor* both = file_.tensor(p + "attn_kv_b.weight")) {
                used_.insert(
                    both->name);  // the same weights once more, unsplit: known, and not needed
            }
        } else {
            unsplit_kv_b(w, p + "attn_kv_b.weight");
        }
        matrix(w.attn_output, p + "attn_output.weight", {D, H * V});
        floats(w.ffn_norm, p + "ffn_norm.weight", {D});

        w.routed = index >= c_.n_dense_layers;
        if (!w.routed) {
            glu(w.dense, p + "ffn_", ".weight", c_.dense_ff);
            return;
        }
        const int64_t E = c_.n_experts, F = c_.expert_ff;
        const auto routed = [this, index] {
            pending_.back().kind = WeightBytes::Kind::experts;
            pending_.back().layer = index;
        };
        floats(w.router, p + "ffn_gate_inp.weight", {E, D});
        for (const char* name : {"exp_probs_b.bias", "exp_probs_b"}) {
            if (has(p + name)) {
                floats(w.router_bias, p + name, {E});
                break;
            }
        }
        if (has(p + "ffn_gate_up_exps.weight")) {
            pending_.push_back({find(p + "ffn_gate_up_exps.weight", {E, 2 * F, D}), false,
                                [&w, F](const TensorView& device) {
                                    w.experts.gate = device.slice(1, 0, F);
                                    w.experts.up = device.slice(1, F, 2 * F);
                                }});
            routed();
        } else {
            matrix(w.experts.gate, p + "ffn_gate_exps.weight", {E, F, D});
            routed();
            matrix(w.experts.up, p + "ffn_up_exps.weight", {E, F, D});
            routed();
        }
        matrix(w.experts.down, p + "ffn_down_exps.weight", {E, D, F});
        routed();
        if (c_.shared_ff > 0) {
            glu(w.shared, p + "ffn_", "_shexp.weight", c_.shared_ff);
        }
    }

    void glu(kernels::Glu& glu,
             const std::string& before,
             const std::string& after,
             int64_t width) {
        matrix(glu.gate, before + "gate" + after, {width, c_.hidden});
        matrix(glu.up, before + "up" + after, {width, c_.hidden});
        matrix(glu.down, before + "down" + after, {c_.hidden, width});
    }

    // An early dialect keeps keys and values of a head together, keys not transposed:
    //   attn_kv_b [H, N+V, L]:   head h | N rows: k_b[h]^T | V rows: v_b[h] |
    // v_b is used where it lies. k_b is transposed once, into the float type that holds its values:
    // exactly for F32, F16 and BF16; for a quantised tensor F16 rounds its values by 2^-11, far
    // below what quantising them did.
    void unsplit_kv_b(LayerWeights& w, const std::string& name) {
        const int64_t H = c_.n_heads, L = c_.kv_lora_rank, N = c_.qk_nope_head_dim,
                      V = c_.v_head_dim;
        const TensorView host = find(name, {H * (N + V), L}, {H, N + V, L}).reshaped({H, N + V, L});
        pending_.push_back({host, false, [this, &w, host, N, V](const TensorView& device) {
                                w.v_b = device.slice(1, N, N + V);
                                w.k_b = transposed_k_b(host);
                            }});
        pending_.back().extra_bytes = H * L * kernels::row_bytes(float_type(host.dtype), N);
    }

    // Of k_b, transposed.
    static DType float_type(DType type) {
        return type == DType::f32 || type == DType::bf16 ? type : DType::f16;
    }

    TensorView transposed_k_b(const TensorView& kv_b) {
        const int64_t H = c_.n_heads, L = c_.kv_lora_rank, N = c_.qk_nope_head_dim;
        const DType type = float_type(kv_b.dtype);
        std::vector<float> row(static_cast<size_t>(L));
        std::vector<float> head(static_cast<size_t>(L * N));
        std::vector<std::byte> packed(static_cast<size_t>(H * L * kernels::row_bytes(type, N)));
        std::byte* out = packed.data();
        for (int64_t h = 0; h < H; h++) {
            for (int64_t n = 0; n < N; n++) {
                kernels::dequantize_row(kv_b.dtype, kv_b[h][n].data, row.data(), L);
                for (int64_t l = 0; l < L; l++) {
                    head[static_cast<size_t>(l * N + n)] = row[static_cast<size_t>(l)];
                }
            }
            for (int64_t l = 0; l < L; l++, out += kernels::row_bytes(type, N)) {
                kernels::quantize_row(type, head.data() + l * N, out, N);
            }
        }
        return keep(type, {H, L, N}, packed.data());
    }

    // Values in memory of our own on the backend.
    TensorView keep(DType type, const Shape& shape, const void* values) {
        TensorView tensor = view({nullptr, type, {0}}, shape);
        weights_.converted.push_back(
            backend_->allocate(tensor.bytes(), kernels::MemoryUse::weights));
        tensor.data = weights_.converted.back().data();
        backend_->upload(tensor, values);
        return tensor;
    }

    void find_unused() {
        size_t count = 0;
        std::string example;
        for (const GgufTensor& tensor : file_.tensors()) {
            const bool draft = c_.n_mtp_layers > 0 && is_draft(tensor.name);
            if (!draft && !used_.contains(tensor.name)) {
                example = count++ == 0 ? printable(tensor.name) : example;
            }
        }
        if (count > 0) {
            weights_.warnings.push_back(std::to_string(count) +
                                        " tensors are not used, among them '" + example + "'");
        }
    }

    bool is_draft(std::string_view name) const {
        for (int64_t i = c_.n_layers; i < c_.n_layers + c_.n_mtp_layers; i++) {
            if (name.starts_with("blk." + std::to_string(i) + ".")) {
                return true;
            }
        }
        return false;
    }

    void adopt(const LoadProgress& progress, const WeightPlacement& placement) {
        file_.check_unchanged();
        int64_t total = 0;
        for (const Pending& tensor : pending_) {
            total += tensor.host.bytes();
        }
        int64_t done = 0;
        const auto report = [&](int64_t bytes) {
            done += bytes;
            if (progress && !progress(done, total)) {
                throw ModelError("'" + printable(file_.path(), 400) + "': loading was cancelled");
            }
        };
        report(0);
        const bool touch =
            file_.access() == GgufAccess::map && total <= physical_memory_bytes() / 10 * 9;
        for (Pending& tensor : pending_) {
            const bool beside = tensor.kind == WeightBytes::Kind::embedding ||
                                (tensor.kind == WeightBytes::Kind::experts &&
                                 tensor.layer < placement.cpu_moe_layers);
            const bool copied = !tensor.convert && !beside && backend_->copies_weights();
            if (touch && !copied) {
                page_in(tensor.host, report);
            }
            tensor.place(tensor.convert ? tensor.host
                         : beside       ? backend_->keep_on_host(tensor.host)
                                        : backend_->adopt_weight(tensor.host));
            if (!touch || copied) {
                report(tensor.host.bytes());
            }
        }
        if (weights_.output.empty()) {
            weights_.output = weights_.token_embd;
        }
        pending_.clear();
    }

    static int64_t physical_memory_bytes() {
        return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
    }

    // Brings a mapped tensor into memory ahead of its first use, so that the first answer does not
    // pay for the disk.
    template <typename Report>
    static void page_in(const TensorView& tensor, const Report& report) {
        const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
        const auto* end = tensor.data + tensor.bytes();
        for (const std::byte* at = tensor.data; at < end;) {
            const int64_t bytes = std::min<int64_t>(kPageInChunk, end - at);
            const uintptr_t aligned = reinterpret_cast<uintptr_t>(at) / page * page;
            const uintptr_t stop = reinterpret_cast<uintptr_t>(at) + static_cast<uintptr_t>(bytes);
            ::madvise(reinterpret_cast<void*>(aligned), stop - aligned,
                      MADV_WILLNEED);  // a hint; failure is harmless
            for (int64_t i = 0; i < bytes; i += static_cast<int64_t>(page)) {
                static_cast<void>(*static_cast<const volatile std::byte*>(at + i));
            }
            at += bytes;
            report(bytes);
        }
    }

    const GgufFile& file_;
    const ModelConfig& c_;
    kernels::Backend* backend_ = nullptr;
    Weights weights_;
    std::vector<Pending> pending_;
    std::unordered_set<std::string_view> used_;
};

}  // namespace

Weights Weights::load(const GgufFile& file,
                      const ModelConfig& config,
                      kernels::Backend& backend,
                      const LoadProgress& progress,
                      const WeightPlacement& placement) {
    Loader loader(file, config);
    loader.check();
    return loader.load(backend, progress, placement);
}

WeightBytes Weights::bytes(const GgufFile& file, const ModelConfig& config) {
    Loader loader(file, config);
    loader.check();
    return loader.bytes();
}

int64_t WeightBytes::total() const {
    int64_t sum = 0;
    for (const Part& part : parts) {
        sum += part.bytes;
    }
    return sum;
}

std::vector<std::string> Weights::check(const GgufFile& file, const ModelConfig& config) {
    return Loader(file, config).check();
}

}  // namespace runtime
