#include "runtime/model/synth.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "kernels/tensor.h"
#include "runtime/error.h"
#include "runtime/model/gguf_types.h"
#include "runtime/model/synth_blocks.h"
#include "runtime/model/synth_vocabulary.h"

namespace runtime {
namespace {

using kernels::DType;

constexpr uint64_t kAlignment = 32;
constexpr int64_t kChunkBytes = 4 << 20;
constexpr unsigned kMostThreads = 16;

// The real model's sizes by default.
struct Sizes {
    int64_t layers = 47, hidden = 2048, heads = 20, q_lora = 768, latent = 512, nope = 192,
            rope = 64, v = 256;
    int64_t dense_ff = 10240, expert_ff = 1536, experts = 64, experts_used = 4, vocab = 154880,
            context = 202752;
};

Sizes sizes_of(const std::string& preset) {
    Sizes s;
    if (preset == "full") {
        return s;
    }
    if (preset == "small") {
        s.layers = 4;
        s.vocab = 8192;
        return s;
    }
    if (preset == "tiny") {
        s.layers = 3;
        s.hidden = s.q_lora = s.dense_ff = s.expert_ff = 256;
        s.heads = 4;
        s.nope = s.v = 64;
        s.experts = 8;
        s.experts_used = 2;
        s.vocab = 512;
        s.context = 4096;
        return s;
    }
    throw ModelError("unknown preset '" + printable(preset) + "': use tiny, small or full");
}

uint32_t file_type_number(const std::string& type) {
    constexpr std::pair<const char*, uint32_t> known[] = {
        {"f32", 0}, {"f16", 1}, {"q8_0", 7}, {"q4_k_m", 15}, {"iq4_xs", 30}, {"mxfp4", 38}};
    for (const auto& [name, number] : known) {
        if (type == name) {
            return number;
        }
    }
    throw ModelError("unknown type '" + printable(type) +
                     "': use f32, f16, q8_0, q4_k_m, iq4_xs or mxfp4");
}

enum class Kind { matrix, norm, router, bias };

struct Tensor {
    std::string name;
    std::vector<int64_t> size;  // outermost first
    Kind kind;
    float std;
    DType type = DType::f32;

    int64_t rows() const {
        int64_t n = 1;
        for (size_t i = 0; i + 1 < size.size(); i++) {
            n *= size[i];
        }
        return n;
    }
    int64_t cols() const { return size.back(); }
    int64_t bytes() const { return rows() * kernels::row_bytes(type, cols()); }
};

// Standard deviations keep the network well-behaved: products of fan-in n have weights of
// 1/sqrt(n), the two branches of a layer add about a third of the residual stream's size, logits
// spread over about 3.
std::vector<Tensor> tensors_of(const Sizes& s) {
    std::vector<Tensor> list;
    const auto put = [&](const std::string& name, std::vector<int64_t> size, Kind kind,
                         double std) {
        list.push_back({name, std::move(size), kind, static_cast<float>(std)});
    };
    const auto matrix = [&](const std::string& name, std::vector<int64_t> size, double gain = 1) {
        const double std = gain / std::sqrt(static_cast<double>(size.back()));
        put(name, std::move(size), Kind::matrix, std);
    };
    constexpr double kBranch = 0.35;
    constexpr double kGatedBranch = 2 * kBranch;  // silu(gate) * up is smaller than its factors
    put("token_embd.weight", {s.vocab, s.hidden}, Kind::matrix, 1);
    put("output_norm.weight", {s.hidden}, Kind::norm, 0.1);
    matrix("output.weight", {s.vocab, s.hidden}, 3);
    for (int64_t i = 0; i < s.layers; i++) {
        const std::string p = "blk." + std::to_string(i) + ".";
        put(p + "attn_norm.weight", {s.hidden}, Kind::norm, 0.1);
        matrix(p + "attn_q_a.weight", {s.q_lora, s.hidden});
        put(p + "attn_q_a_norm.weight", {s.q_lora}, Kind::norm, 0.1);
        matrix(p + "attn_q_b.weight", {s.heads * (s.nope + s.rope), s.q_lora}, 1.5);
        matrix(p + "attn_kv_a_mqa.weight", {s.latent + s.rope, s.hidden});
        put(p + "attn_kv_a_norm.weight", {s.latent}, Kind::norm, 0.1);
        put(p + "attn_k_b.weight", {s.heads, s.latent, s.nope}, Kind::matrix,
            1 / std::sqrt(
                    static_cast<double>(s.latent)));  // stored transposed: its fan-in is the latent
        matrix(p + "attn_v_b.weight", {s.heads, s.v, s.latent});
        matrix(p + "attn_output.weight", {s.hidden, s.heads * s.v}, kBranch);
        put(p + "ffn_norm.weight", {s.hidden}, Kind::norm, 0.1);
        if (i == 0) {
            matrix(p + "ffn_gate.weight", {s.dense_ff, s.hidden});
            matrix(p + "ffn_up.weight", {s.dense_ff, s.hidden});
            matrix(p + "ffn_down.weight", {s.hidden, s.dense_ff}, kGatedBranch);
            continue;
        }
        put(p + "ffn_gate_inp.weight", {s.experts, s.hidden}, Kind::router,
            2 / std::sqrt(static_cast<double>(s.hidden)));
        put(p + "exp_probs_b.bias", {s.experts}, Kind::bias, 0.15);
        matrix(p + "ffn_gate_exps.weight", {s.experts, s.expert_ff, s.hidden});
        matrix(p + "ffn_up_exps.weight", {s.experts, s.expert_ff, s.hidden});
        matrix(p + "ffn_down_exps.weight", {s.experts, s.hidden, s.expert_ff}, kGatedBranch);
        matrix(p + "ffn_gate_shexp.weight", {s.expert_ff, s.hidden});
        matrix(p + "ffn_up_shexp.weight", {s.expert_ff, s.hidden});
        matrix(p + "ffn_down_shexp.weight", {s.hidden, s.expert_ff}, kGatedBranch);
    }
    return list;
}

// The type llama.cpp's quantizer would choose; rows that are not whole blocks (attn_k_b: 192) fall
// back as there.
DType type_of(const Tensor& tensor, const std::string& mix, int64_t layers) {
    if (tensor.kind != Kind::matrix) {
        return DType::f32;
    }
    const bool in_layer = tensor.name.starts_with("blk.");
    const int64_t layer = in_layer ? std::stoll(tensor.name.substr(4)) : -1;
    const bool more_bits =
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    const auto has = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
    DType type = DType::f32;
    if (mix == "f16") {
        type = DType::f16;
    } else if (mix == "q8_0") {
        type = DType::q8_0;
    } else if (mix == "q4_k_m") {
        type = tensor.name == "output.weight" || (in_layer && has("ffn_down") && more_bits)
                   ? DType::q6_k
                   : DType::q4_k;
    } else if (mix == "iq4_xs") {
        type = tensor.name == "output.weight" ? DType::q6_k
               : has("attn_v_b")              ? DType::q5_k
                                              : DType::iq4_xs;
    } else if (mix == "mxfp4") {
        type = has("_exps.") ? DType::mxfp4 : DType::q8_0;
    }
    if (tensor.cols() % kernels::info(type).block_elements != 0) {
        type = type == DType::iq4_xs ? DType::iq4_nl
               : type == DType::q6_k ? DType::q8_0
                                     : DType::q5_0;
    }
    return tensor.cols() % kernels::info(type).block_elements == 0 ? type : DType::f16;
}

// The front of a GGUF file, in memory.
class Header {
public:
    explicit Header(uint64_t n_tensors) {
        text_ = "GGUF";
        number(uint32_t{3});
        number(n_tensors);
        number(uint64_t{0});  // keys, filled in by finish()
    }

    void u32(const std::string& key, int64_t value) {
        begin(key, GgufType::u32), number(static_cast<uint32_t>(value));
    }
    void f32(const std::string& key, float value) { begin(key, GgufType::f32), number(value); }
    void boolean(const std::string& key, bool value) {
        begin(key, GgufType::boolean), number(static_cast<uint8_t>(value));
    }
    void string(const std::string& key, std::string_view value) {
        begin(key, GgufType::string), put(value);
    }

    void strings(const std::string& key, const std::vector<std::string>& values) {
        begin(key, GgufType::array);
        number(static_cast<uint32_t>(GgufType::string));
        number(uint64_t{values.size()});
        for (const std::string& value : values) {
            put(value);
        }
    }

    void integers(const std::string& key, const std::vector<int32_t>& values) {
        begin(key, GgufType::array);
        number(static_cast<uint32_t>(GgufType::i32));
        number(uint64_t{values.size()});
        text_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int32_t));
    }

    void tensor(const Tensor& tensor, uint64_t offset) {
        put(tensor.name);
        number(static_cast<uint32_t>(tensor.size.size()));
        for (auto n = tensor.size.rbegin(); n != tensor.size.rend(); ++n) {
            number(static_cast<uint64_t>(*n));
        }
        number(kernels::info(tensor.type).ggml_id);
        number(offset);
    }

    std::string finish() {
        std::memcpy(text_.data() + 16, &keys_, sizeof keys_);
        text_.resize((text_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
        return std::move(text_);
    }

private:
    template <typename T>
    void number(T value) {
        text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void put(std::string_view value) {
        number(uint64_t{value.size()});
        text_ += value;
    }
    void begin(const std::string& key, GgufType type) {
        keys_++;
        put(key);
        number(static_cast<uint32_t>(type));
    }

    std::string text_;
    uint64_t keys_ = 0;
};

void add_metadata(Header& h, const Sizes& s, const SynthOptions& options) {
    const std::string p = "deepseek2.";
    h.string("general.architecture", "deepseek2");
    h.string("general.type", "model");
    h.string("general.name", "Random GLM-4.7-Flash (" + options.preset + ", seed " +
                                 std::to_string(options.seed) + ")");
    h.string(
        "general.description",
        "Random weights for trying a machine, written by keyhole synth. Its answers are noise.");
    h.u32("general.quantization_version", 2);
    h.u32("general.file_type", file_type_number(options.type));
    h.u32(p + "block_count", s.layers);
    h.u32(p + "context_length", s.context);
    h.u32(p + "embedding_length", s.hidden);
    h.u32(p + "feed_forward_length", s.dense_ff);
    h.u32(p + "attention.head_count", s.heads);
    h.u32(p + "attention.head_count_kv", 1);
    h.u32(p + "attention.q_lora_rank", s.q_lora);
    h.u32(p + "attention.kv_lora_rank", s.latent);
    h.u32(p + "attention.key_length", s.latent + s.rope);
    h.u32(p + "attention.value_length", s.latent);
    h.u32(p + "attention.key_length_mla", s.nope + s.rope);
    h.u32(p + "attention.value_length_mla", s.v);
    h.f32(p + "attention.layer_norm_rms_epsilon", 1e-5F);
    h.u32(p + "rope.dimension_count", s.rope);
    h.f32(p + "rope.freq_base", 1e6F);
    h.u32(p + "leading_dense_block_count", 1);
    h.u32(p + "expert_count", s.experts);
    h.u32(p + "expert_used_count", s.experts_used);
    h.u32(p + "expert_shared_count", 1);
    h.u32(p + "expert_feed_forward_length", s.expert_ff);
    h.u32(p + "expert_group_count", 1);
    h.u32(p + "expert_group_used_count", 1);
    h.u32(p + "expert_gating_func", 2);
    h.f32(p + "expert_weights_scale", 1.8F);
    h.boolean(p + "expert_weights_norm", true);
    h.u32(p + "vocab_size", s.vocab);

    const Vocabulary v = options.words ? worded_vocabulary(s.vocab) : synthetic_vocabulary(s.vocab);
    h.string("tokenizer.ggml.model", v.model);
    h.string("tokenizer.ggml.pre", v.pre);
    h.strings("tokenizer.ggml.tokens", v.tokens);
    h.integers("tokenizer.ggml.token_type", v.types);
    h.strings("tokenizer.ggml.merges", v.merges);
    h.u32("tokenizer.ggml.bos_token_id", *v.bos);
    h.u32("tokenizer.ggml.eos_token_id", *v.eos);
    h.u32("tokenizer.ggml.eot_token_id", *v.eot);
    h.u32("tokenizer.ggml.eom_token_id", *v.eom);
    h.u32("tokenizer.ggml.unknown_token_id", *v.unknown);
    h.u32("tokenizer.ggml.padding_token_id", *v.padding);
    h.string("tokenizer.chat_template", kSyntheticChatTemplate);
}

// A new file that removes itself unless keep() is reached.
class NewFile {
public:
    explicit NewFile(const std::string& path) : path_(path) {
        descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (descriptor_ < 0 && errno == EEXIST) {
            throw ModelError("'" + printable(path, 400) +
                             "' exists already; remove it or name another file");
        }
        if (descriptor_ < 0) {
            fail(errno);
        }
    }
    ~NewFile() {
        ::close(descriptor_);
        if (!kept_) {
            ::unlink(path_.c_str());
        }
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void require_room(uint64_t bytes) const {
        struct statvfs disk {};
        if (::fstatvfs(descriptor_, &disk) == 0 && disk.f_bavail < bytes / disk.f_frsize + 1) {
            throw ModelError("'" + printable(path_, 400) + "' would take " +
                             std::to_string(bytes >> 20) + " MiB; the disk has " +
                             std::to_string(disk.f_bavail * disk.f_frsize >> 20) +
                             " MiB free: choose a smaller preset or type");
        }
    }

    // From several threads, each at places of its own.
    void write(const void* data, size_t bytes, uint64_t place) const {
        const auto* at = static_cast<const char*>(data);
        while (bytes > 0) {
            const ssize_t done = ::pwrite(descriptor_, at, bytes, static_cast<off_t>(place));
            if (done < 0 && errno != EINTR) {
                fail(errno);
            }
            const auto more = static_cast<size_t>(std::max<ssize_t>(done, 0));
            at += more;
            place += more;
            bytes -= more;
        }
    }

    void keep() {
        if (::fsync(descriptor_) != 0) {
            fail(errno);
        }
        kept_ = true;
    }

private:
    [[noreturn]] void fail(int error) const {
        throw ModelError("'" + printable(path_, 400) +
                         "' cannot be written: " + std::strerror(error));
    }

    std::string path_;
    int descriptor_ = -1;
    bool kept_ = false;
};

uint64_t aligned(uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename Report>
void write_tensor(const NewFile& file,
                  const Tensor& tensor,
                  uint64_t place,
                  uint64_t seed,
                  std::vector<std::byte>& chunk,
                  const Report& report) {
    SynthRandom random(seed, tensor.name);
    const SynthBlocks blocks(tensor.type, tensor.std);
    const int64_t row_blocks = tensor.cols() / kernels::info(tensor.type).block_elements;
    const int64_t row_bytes = kernels::row_bytes(tensor.type, tensor.cols());
    const int64_t rows_at_once = std::max<int64_t>(1, kChunkBytes / row_bytes);
    for (int64_t row = 0; row < tensor.rows(); row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, tensor.rows() - row);
        const auto bytes = static_cast<size_t>(rows * row_bytes);
        chunk.resize(std::max(chunk.size(), bytes));
        blocks.write(chunk.data(), rows * row_blocks, random);
        if (tensor.kind == Kind::norm) {  // norms are around 1
            auto* values = reinterpret_cast<float*>(chunk.data());
            for (int64_t i = 0; i < rows * tensor.cols(); i++) {
                values[i] += 1;
            }
        }
        file.write(chunk.data(), bytes, place);
        place += bytes;
        report(bytes);
    }
    const char padding[kAlignment] = {};
    const auto bytes = static_cast<uint64_t>(tensor.bytes());
    file.write(padding, aligned(bytes) - bytes, place);
}

}  // namespace

void write_synthetic_model(const std::string& path,
                           const SynthOptions& options,
                           const LoadProgress& progress) {
    const Sizes sizes = sizes_of(options.preset);
    file_type_number(options.type);  // refuses an unknown type
    std::vector<Tensor> tensors = tensors_of(sizes);
    Header header(tensors.size());
    add_metadata(header, sizes, options);
    std::vector<uint64_t> offsets;
    uint64_t offset = 0;
    int64_t total = 0;
    for (Tensor& tensor : tensors) {
        tensor.type = type_of(tensor, options.type, sizes.layers);
        header.tensor(tensor, offset);
        offsets.push_back(offset);
        offset = aligned(offset + static_cast<uint64_t>(tensor.bytes()));
        total += tensor.bytes();
    }
    const std::string front = header.finish();
    NewFile file(path);
    file.require_room(front.size() + offset);
    file.write(front.data(), front.size(), 0);

    // Every tensor has random numbers and a place of its own: threads take the next one each, and
    // the file is the same however many there are.
    std::mutex mutex;
    std::exception_ptr error;
    int64_t done = 0;
    std::atomic<size_t> next = 0;
    const auto report = [&](size_t bytes) {
        const std::lock_guard lock(mutex);
        done += static_cast<int64_t>(bytes);
        if (progress && !progress(done, total)) {
            throw ModelError("'" + printable(path, 400) + "': writing was cancelled");
        }
    };
    const auto work = [&] {
        try {
            std::vector<std::byte> chunk;
            for (size_t i = next++; i < tensors.size(); i = next++) {
                write_tensor(file, tensors[i], front.size() + offsets[i], options.seed, chunk,
                             report);
            }
        } catch (...) {
            next = tensors.size();
            const std::lock_guard lock(mutex);
            if (error == nullptr) {
                error = std::current_exception();
            }
        }
    };
    std::vector<std::thread> threads(
        std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads) - 1);
    for (std::thread& thread : threads) {
        thread = std::thread(work);
    }
    work();
    for (std::thread& thread : threads) {
        thread.join();
    }
    if (error != nullptr) {
        std::rethrow_exception(error);
    }
    file.keep();
}

}  // namespace runtime
