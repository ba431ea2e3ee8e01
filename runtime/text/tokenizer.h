// Tokenizer: text -> token ids and back, from the vocabulary of the model file. Byte-level BPE with the `glm4` split
// rule; any bytes can be encoded, and decoding gives the same bytes. Immutable after construction: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace runtime {

using TokenId = int32_t;

// What a GGUF says about its vocabulary (keys tokenizer.ggml.*), already checked for type and bounds of each array.
struct Vocabulary {
    std::vector<std::string> tokens;      // in the byte alphabet of GPT-2, index = id
    std::vector<int32_t> types;           // tokenizer.ggml.token_type: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte
    std::vector<std::string> merges;      // "left right", by rank
    std::string pre;                      // tokenizer.ggml.pre
    std::string model;                    // tokenizer.ggml.model
    std::optional<TokenId> eos, eot, eom, bos, unknown, padding;
    std::vector<TokenId> more_eos;        // dialect C: eos_token_ids
};

enum class Special { as_text, recognise };

class Tokenizer {
public:
    // Throws ModelError: no tokens, arrays of different length, a merge or token that cannot be, another split rule.
    explicit Tokenizer(Vocabulary vocabulary);
    ~Tokenizer();

    // Linear in the length of the text, whatever it holds; invalid UTF-8 is encoded byte by byte.
    // as_text: "<|user|>" and its like are plain characters. That is how every message, file and argument is encoded;
    // recognise: special tokens found literally in the text become their ids, longest first.
    std::vector<TokenId> encode(std::string_view text, Special special = Special::as_text) const;
    void encode(std::string_view text, Special special, std::vector<TokenId>& append_to) const;
    int64_t count(std::string_view text) const;  // encode(text).size() without building it

    // The bytes of a token. Control tokens and padding give "" unless `show_special`.
    std::string_view bytes(TokenId id, bool show_special = false) const;
    std::string decode(std::span<const TokenId> ids, bool show_special = false) const;

    int64_t vocab_size() const;                                 // rows, padding included
    std::optional<TokenId> find(std::string_view special) const;  // id of a special token by its text: "<|user|>"
    bool is_special(TokenId id) const;                          // one of the added tokens (control or user defined)
    bool is_end_of_turn(TokenId id) const;                      // stops a generation
    bool can_be_sampled(TokenId id) const;                      // false for padding and unused rows
    std::span<const TokenId> end_of_turn() const;               // sorted: eos, <|user|>, <|observation|>

private:
    struct Data;
    std::unique_ptr<const Data> data_;
};

}  // namespace runtime
