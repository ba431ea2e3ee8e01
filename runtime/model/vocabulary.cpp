// vocabulary_of: the tokenizer arrays of a model file, checked for type, length and range. What
// they mean is the Tokenizer's business.
#include "runtime/error.h"
#include "runtime/model/gguf_types.h"
#include "runtime/model/model_config.h"

namespace runtime {
namespace {

constexpr size_t kMaxTokenBytes = 1
                                  << 16;  // the longest real token is a run of some hundred blanks
constexpr int32_t kNormal = 1;            // values of tokenizer.ggml.token_type
constexpr int32_t kUnused = 5;
constexpr int64_t kLastType = 6;

class Reader {
public:
    explicit Reader(const GgufFile& file) : file_(file) {}

    Vocabulary read() {
        read_tokens();
        read_types();
        read_merges();
        vocabulary_.model = file_.string("tokenizer.ggml.model").value_or("gpt2");
        // Ollama's files name no split rule, or another program's; the model has only one.
        const bool ollama = file_.string("general.architecture").value_or("") == "glm4moelite";
        vocabulary_.pre = ollama ? "glm4" : file_.string("tokenizer.ggml.pre").value_or("glm4");
        read_ids();
        pad();
        return std::move(vocabulary_);
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw ModelError("'" + printable(file_.path(), 400) + "': " + what);
    }

    const GgufArray* strings(std::string_view key) const {
        const GgufArray* array = file_.array(key);
        if (array != nullptr && array->type != GgufType::string) {
            fail("key '" + std::string(key) + "' is an array of " +
                 std::string(gguf_type_name(array->type)) +
                 ", expected strings; the file is damaged");
        }
        return array;
    }

    void read_tokens() {
        const GgufArray* tokens = strings("tokenizer.ggml.tokens");
        if (tokens == nullptr || tokens->count == 0) {
            fail(
                "key 'tokenizer.ggml.tokens' is missing or empty: the file has no vocabulary; use "
                "a complete GGUF file");
        }
        if (const GgufTensor* table = file_.tensor("token_embd.weight");
            table != nullptr && table->ne.size() >= 2) {
            rows_ = static_cast<uint64_t>(table->ne[1]);
        }
        if (tokens->count > (rows_ > 0 ? rows_ : INT32_MAX)) {
            fail("key 'tokenizer.ggml.tokens' has " + std::to_string(tokens->count) +
                 " tokens, tensor 'token_embd.weight' " + std::to_string(rows_) +
                 " rows; the file is damaged");
        }
        vocabulary_.tokens.reserve(tokens->count);
        for (const std::string_view token : tokens->strings) {
            if (token.size() > kMaxTokenBytes) {
                fail("token " + std::to_string(vocabulary_.tokens.size()) + " has " +
                     std::to_string(token.size()) +
                     " bytes, expected at most 65536; the file is damaged");
            }
            vocabulary_.tokens.emplace_back(token);
        }
        for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
            const GgufArray* beside = file_.array(key);
            if (beside != nullptr && beside->count != tokens->count) {
                fail("key '" + std::string(key) + "' has " + std::to_string(beside->count) +
                     " elements, 'tokenizer.ggml.tokens' " + std::to_string(tokens->count) +
                     "; the file is damaged");
            }
        }
    }

    void read_types() {
        const GgufArray* types = file_.array("tokenizer.ggml.token_type");
        vocabulary_.types.assign(vocabulary_.tokens.size(), kNormal);
        for (size_t i = 0; types != nullptr && i < vocabulary_.types.size(); i++) {
            const auto type = types->integer(i);
            if (!type || *type < 0 || *type > kLastType) {
                fail("key 'tokenizer.ggml.token_type' says " +
                     (type ? std::to_string(*type) : "something other than an integer") +
                     " for token " + std::to_string(i) + ", expected 0 to 6; the file is damaged");
            }
            vocabulary_.types[i] = static_cast<int32_t>(*type);
        }
    }

    void read_merges() {
        const GgufArray* merges = strings("tokenizer.ggml.merges");
        if (merges == nullptr) {
            fail(
                "key 'tokenizer.ggml.merges' is missing: the file's tokenizer is not complete; use "
                "another GGUF file");
        }
        vocabulary_.merges.assign(merges->strings.begin(), merges->strings.end());
    }

    std::optional<TokenId> id(const char* name) const {
        const std::string key = "tokenizer.ggml." + std::string(name) + "_token_id";
        const auto value = file_.u64(key);
        return value ? std::optional(checked(key, *value)) : std::nullopt;
    }

    TokenId checked(const std::string& key, uint64_t value) const {
        if (value >= vocabulary_.tokens.size()) {
            fail("key '" + key + "' is " + std::to_string(value) + ", expected less than the " +
                 std::to_string(vocabulary_.tokens.size()) +
                 " tokens of the vocabulary; the file is damaged");
        }
        return static_cast<TokenId>(value);
    }

    void read_ids() {
        vocabulary_.eos = id("eos");
        vocabulary_.eot = id("eot");
        vocabulary_.eom = id("eom");
        vocabulary_.bos = id("bos");
        vocabulary_.unknown = id("unknown");
        vocabulary_.padding = id("padding");
        const std::string key = "tokenizer.ggml.eos_token_ids";
        const GgufArray* more = file_.array(key);
        if (more == nullptr) {
            return;
        }
        if (more->count > 64) {
            fail("key '" + key + "' has " + std::to_string(more->count) +
                 " ids, expected a few; the file is damaged");
        }
        for (uint64_t i = 0; i < more->count; i++) {
            const auto value = more->integer(i);
            if (!value || *value < 0) {
                fail("key '" + key + "' holds something other than token ids; the file is damaged");
            }
            vocabulary_.more_eos.push_back(checked(key, static_cast<uint64_t>(*value)));
        }
        // Ollama's array stands for mainline's eos, eot and eom, in this order.
        std::optional<TokenId>* const places[] = {&vocabulary_.eos, &vocabulary_.eot,
                                                  &vocabulary_.eom};
        for (size_t i = 0; i < vocabulary_.more_eos.size() && i < 3; i++) {
            if (!*places[i]) {
                *places[i] = vocabulary_.more_eos[i];
            }
        }
    }

    // A head with more rows than the vocabulary has texts: the rest is padding that can never be
    // sampled.
    void pad() {
        constexpr uint64_t kMostPadding = 1 << 16;
        if (rows_ > vocabulary_.tokens.size() + kMostPadding) {
            fail("tensor 'token_embd.weight' has " + std::to_string(rows_) + " rows for " +
                 std::to_string(vocabulary_.tokens.size()) + " tokens; the file is damaged");
        }
        for (uint64_t i = vocabulary_.tokens.size(); i < rows_; i++) {
            vocabulary_.tokens.push_back("[PAD" + std::to_string(i) + "]");
            vocabulary_.types.push_back(kUnused);
        }
    }

    const GgufFile& file_;
    uint64_t rows_ = 0;
    Vocabulary vocabulary_;
};

}  // namespace

Vocabulary vocabulary_of(const GgufFile& file) {
    return Reader(file).read();
}

}  // namespace runtime
