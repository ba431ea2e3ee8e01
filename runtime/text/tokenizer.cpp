#include "runtime/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text/bpe.h"
#include "runtime/text/splitter.h"
#include "runtime/text/unicode.h"

namespace runtime {
namespace {

constexpr int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

// The added tokens of GLM-4.5 and later. Whatever a file says of their types, they never arise from
// people's text; the shown ones are always visible, for they are how a reply marks its reasoning
// and tool calls.
constexpr std::string_view kShown[] = {
    "<think>",          "</think>",  "<tool_call>", "</tool_call>", "<tool_response>",
    "</tool_response>", "<arg_key>", "</arg_key>",  "<arg_value>",  "</arg_value>"};
constexpr std::string_view kHidden[] = {"<|endoftext|>",
                                        "[MASK]",
                                        "[gMASK]",
                                        "[sMASK]",
                                        "<sop>",
                                        "<eop>",
                                        "<|system|>",
                                        "<|user|>",
                                        "<|assistant|>",
                                        "<|observation|>",
                                        "<|begin_of_image|>",
                                        "<|end_of_image|>",
                                        "<|begin_of_video|>",
                                        "<|end_of_video|>",
                                        "<|begin_of_audio|>",
                                        "<|end_of_audio|>",
                                        "<|begin_of_transcription|>",
                                        "<|end_of_transcription|>",
                                        "<|code_prefix|>",
                                        "<|code_middle|>",
                                        "<|code_suffix|>",
                                        "/nothink",
                                        "<|begin_of_box|>",
                                        "<|end_of_box|>",
                                        "<|image|>",
                                        "<|video|>"};
constexpr std::string_view kEndOfTurn[] = {"<|endoftext|>", "<|user|>", "<|observation|>"};

// Longer ones are never looked for in a text: it bounds the work per character for any file.
constexpr size_t kLongestSpecial = 256;
// A whole piece that is a token is found by one look-up; longer pieces go through the merges.
constexpr size_t kLongestWhole = 48;

// GPT-2's byte alphabet: printable Latin-1 bytes stand for themselves, the other 68 are U+0100,
// U+0101, ...
struct ByteAlphabet {
    std::array<int16_t, 0x100 + 68> byte_of;  // -1: not in the alphabet

    ByteAlphabet() {
        byte_of.fill(-1);
        int next = 0x100;
        for (int b = 0; b < 0x100; b++) {
            const bool printable =
                (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
            byte_of[static_cast<size_t>(printable ? b : next++)] = static_cast<int16_t>(b);
        }
    }

    // False when the text has a character outside the alphabet; `bytes` is then unspecified.
    bool decode(std::string_view text, std::string& bytes) const {
        bytes.clear();
        while (!text.empty()) {
            const Utf8Unit unit = utf8_unit(text);
            if (unit.code_point >= byte_of.size() || byte_of[unit.code_point] < 0) {
                return false;
            }
            bytes += static_cast<char>(byte_of[unit.code_point]);
            text.remove_prefix(unit.length);
        }
        return true;
    }
};

bool contains(std::span<const std::string_view> list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

// Rows that a converter adds up to the width of the output matrix are named [PAD<id>].
bool is_padding_name(std::string_view text, size_t id) {
    return text.starts_with("[PAD") && text == "[PAD" + std::to_string(id) + "]";
}

uint64_t hash_bytes(std::string_view text) {
    uint64_t hash = text.size();
    while (!text.empty()) {
        uint64_t word = 0;
        const size_t n = std::min<size_t>(text.size(), 8);
        std::memcpy(&word, text.data(), n);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15;
        hash ^= hash >> 29;
        text.remove_prefix(n);
    }
    return hash;
}

}  // namespace

struct Tokenizer::Data {
    struct Row {
        bool special = false, hidden = false, sampled = true;
    };
    struct NamedToken {
        std::string_view text;
        TokenId id;
    };
    struct WholeSlot {
        uint32_t tag = 0;  // upper half of the hash
        TokenId id = -1;
    };

    std::string arena;  // the bytes of all tokens, one after the other
    std::vector<size_t> offsets;
    std::vector<Row> rows;
    std::vector<NamedToken> specials;  // by text
    std::array<bool, 256> starts_special{};
    std::vector<TokenId> end_of_turn;
    std::optional<Bpe> bpe;
    std::vector<WholeSlot> whole;  // open addressing, a power of two, at most half full

    std::string_view text(TokenId id) const {
        const auto i = static_cast<size_t>(id);
        return std::string_view(arena).substr(offsets[i], offsets[i + 1] - offsets[i]);
    }
    bool contains(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < rows.size(); }

    void add_rows(const Vocabulary& vocabulary, std::array<int32_t, 256>& byte_ids);
    void add_merges(const Vocabulary& vocabulary, const std::array<int32_t, 256>& byte_ids);
    void add_specials();
    void add_end_of_turn(const Vocabulary& vocabulary);
    void add_whole_tokens();

    TokenId find_whole(std::string_view piece) const;
    const NamedToken* special_at(std::string_view text) const;

    // Calls text(piece of plain text) and special(id) in the order of the text.
    template <typename OnText, typename OnSpecial>
    void cut_at_specials(std::string_view text, OnText on_text, OnSpecial on_special) const {
        size_t plain = 0, at = 0;
        while (at < text.size()) {
            const NamedToken* found = starts_special[static_cast<uint8_t>(text[at])]
                                          ? special_at(text.substr(at))
                                          : nullptr;
            if (found == nullptr) {
                at++;
                continue;
            }
            if (at > plain) {
                on_text(text.substr(plain, at - plain));
            }
            on_special(found->id);
            at += found->text.size();
            plain = at;
        }
        if (at > plain) {
            on_text(text.substr(plain));
        }
    }

    void encode_text(std::string_view text, std::vector<TokenId>& append_to) const {
        for (size_t at = 0; at < text.size();) {
            const size_t end = piece_end(text, at);
            const std::string_view piece = text.substr(at, end - at);
            if (const TokenId id = find_whole(piece); id >= 0) {
                append_to.push_back(id);
            } else {
                bpe->encode(piece, append_to);
            }
            at = end;
        }
    }
};

void Tokenizer::Data::add_rows(const Vocabulary& vocabulary, std::array<int32_t, 256>& byte_ids) {
    const ByteAlphabet alphabet;
    byte_ids.fill(-1);
    const size_t count = vocabulary.tokens.size();
    rows.resize(count);
    offsets.reserve(count + 1);
    offsets.push_back(0);
    std::string bytes;
    for (size_t id = 0; id < count; id++) {
        const std::string& token = vocabulary.tokens[id];
        int32_t type = vocabulary.types.empty() ? kNormal : vocabulary.types[id];
        if (is_padding_name(token, id)) {
            type = kUnused;
        } else if (runtime::contains(kShown, token)) {
            type = kUserDefined;
        } else if (runtime::contains(kHidden, token) && type != kUserDefined) {
            type = kControl;
        }
        Row& row = rows[id];
        row.special = type == kControl || type == kUserDefined;
        row.hidden = type == kControl || type == kUnused;
        row.sampled = type != kUnused;
        // Added tokens are spelled plainly. So is, to be shown at all, one that the byte alphabet
        // cannot spell.
        const bool spelled = !row.special && type != kUnused && alphabet.decode(token, bytes);
        arena += spelled ? bytes : token;
        offsets.push_back(arena.size());
        if (spelled && bytes.size() == 1) {
            byte_ids[static_cast<uint8_t>(bytes[0])] = static_cast<int32_t>(id);
        }
    }
    for (size_t b = 0; b < byte_ids.size(); b++) {
        if (byte_ids[b] < 0) {
            throw ModelError("the vocabulary has no token for byte " + std::to_string(b) +
                             "; a byte-level BPE vocabulary has one for each of the 256");
        }
    }
}

void Tokenizer::Data::add_merges(const Vocabulary& vocabulary,
                                 const std::array<int32_t, 256>& byte_ids) {
    // The last of two equal tokens counts, as in llama.cpp. Added and unused tokens take no part:
    // plain text never becomes one, and decoding what was encoded gives the same bytes whatever the
    // file says.
    std::unordered_map<std::string_view, TokenId> ids;
    ids.reserve(rows.size());
    for (size_t id = 0; id < rows.size(); id++) {
        if (!rows[id].special && !rows[id].hidden) {
            ids[vocabulary.tokens[id]] = static_cast<TokenId>(id);
        }
    }
    std::vector<Bpe::Merge> merges;
    merges.reserve(vocabulary.merges.size());
    std::string joined;
    for (size_t rank = 0; rank < vocabulary.merges.size(); rank++) {
        const std::string_view merge = vocabulary.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos || space + 1 == merge.size()) {
            throw ModelError("merge " + std::to_string(rank) +
                             " of the vocabulary is not two tokens with a space between them");
        }
        joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
        const auto left = ids.find(merge.substr(0, space)),
                   right = ids.find(merge.substr(space + 1)), result = ids.find(joined);
        // A merge of or into what is no token cannot be expressed in ids; llama.cpp ends up with
        // the same bytes.
        if (left != ids.end() && right != ids.end() && result != ids.end()) {
            merges.push_back({left->second, right->second, result->second});
        }
    }
    if (merges.size() < vocabulary.merges.size()) {
        log(LogLevel::warning,
            "tokenizer: " + std::to_string(vocabulary.merges.size() - merges.size()) + " of " +
                std::to_string(vocabulary.merges.size()) +
                " merges name no token and are left out");
    }
    bpe.emplace(byte_ids, merges);
}

void Tokenizer::Data::add_specials() {
    for (size_t i = 0; i < rows.size(); i++) {
        const auto id = static_cast<TokenId>(i);
        if (rows[i].special && !text(id).empty() && text(id).size() <= kLongestSpecial) {
            specials.push_back({text(id), id});
            starts_special[static_cast<uint8_t>(text(id)[0])] = true;
        }
    }
    // The last of two equal ones counts here too.
    std::sort(specials.begin(), specials.end(), [](const NamedToken& a, const NamedToken& b) {
        return a.text != b.text ? a.text < b.text : a.id > b.id;
    });
    const auto same = [](const NamedToken& a, const NamedToken& b) { return a.text == b.text; };
    specials.erase(std::unique(specials.begin(), specials.end(), same), specials.end());
}

void Tokenizer::Data::add_end_of_turn(const Vocabulary& vocabulary) {
    const auto add = [&](const char* key, TokenId id) {
        if (contains(id)) {
            end_of_turn.push_back(id);
        } else {
            log(LogLevel::warning, "tokenizer: tokenizer.ggml." + std::string(key) + " is " +
                                       std::to_string(id) + ", which is no token; ignored");
        }
    };
    const std::pair<const char*, std::optional<TokenId>> keys[] = {
        {"eos_token_id", vocabulary.eos},
        {"eot_token_id", vocabulary.eot},
        {"eom_token_id", vocabulary.eom}};
    for (const auto& [key, id] : keys) {
        if (id) {
            add(key, *id);
        }
    }
    for (const TokenId id : vocabulary.more_eos) {
        add("eos_token_ids", id);
    }
    for (const NamedToken& special : specials) {
        if (runtime::contains(kEndOfTurn, special.text)) {
            end_of_turn.push_back(special.id);
        }
    }
    std::sort(end_of_turn.begin(), end_of_turn.end());
    end_of_turn.erase(std::unique(end_of_turn.begin(), end_of_turn.end()), end_of_turn.end());
}

void Tokenizer::Data::add_whole_tokens() {
    whole.resize(std::bit_ceil(std::max<size_t>(rows.size() * 2, 2)));
    const size_t mask = whole.size() - 1;
    std::vector<TokenId> ids;
    for (size_t i = 0; i < rows.size(); i++) {
        const std::string_view bytes = text(static_cast<TokenId>(i));
        if (rows[i].special || rows[i].hidden || bytes.empty() || bytes.size() > kLongestWhole) {
            continue;
        }
        // Only where the merges lead to the same: the table is a shortcut, not HF's ignore_merges.
        ids.clear();
        bpe->encode(bytes, ids);
        if (ids.size() != 1 || ids[0] != static_cast<TokenId>(i)) {
            continue;
        }
        const uint64_t hash = hash_bytes(bytes);
        size_t at = hash & mask;
        while (whole[at].id >= 0) {
            at = (at + 1) & mask;
        }
        whole[at] = {static_cast<uint32_t>(hash >> 32), ids[0]};
    }
}

TokenId Tokenizer::Data::find_whole(std::string_view piece) const {
    if (piece.size() > kLongestWhole) {
        return -1;
    }
    const uint64_t hash = hash_bytes(piece);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    const size_t mask = whole.size() - 1;
    for (size_t at = hash & mask; whole[at].id >= 0; at = (at + 1) & mask) {
        if (whole[at].tag == tag && text(whole[at].id) == piece) {
            return whole[at].id;
        }
    }
    return -1;
}

// The longest special token that `text` begins with, or null. Narrows the sorted list byte by byte.
const Tokenizer::Data::NamedToken* Tokenizer::Data::special_at(std::string_view text) const {
    const NamedToken* found = nullptr;
    auto first = specials.begin(), last = specials.end();
    for (size_t depth = 0; depth < text.size(); depth++) {
        const auto byte = static_cast<uint8_t>(text[depth]);
        // Entries share their first `depth` bytes here; those that end there sort first.
        const auto at = [depth](const NamedToken& t) {
            return t.text.size() > depth ? static_cast<uint8_t>(t.text[depth]) : -1;
        };
        first =
            std::partition_point(first, last, [&](const NamedToken& t) { return at(t) < byte; });
        last =
            std::partition_point(first, last, [&](const NamedToken& t) { return at(t) == byte; });
        if (first == last) {
            break;
        }
        if (first->text.size() == depth + 1) {
            found = &*first;
        }
    }
    return found;
}

Tokenizer::Tokenizer(Vocabulary vocabulary) {
    if (vocabulary.tokens.empty()) {
        throw ModelError("the model file has no vocabulary (tokenizer.ggml.tokens)");
    }
    if (vocabulary.tokens.size() > INT32_MAX) {
        throw ModelError("the vocabulary has " + std::to_string(vocabulary.tokens.size()) +
                         " tokens; ids have 31 bits");
    }
    if (!vocabulary.types.empty() && vocabulary.types.size() != vocabulary.tokens.size()) {
        throw ModelError("tokenizer.ggml.token_type has " +
                         std::to_string(vocabulary.types.size()) + " entries for " +
                         std::to_string(vocabulary.tokens.size()) + " tokens");
    }
    if (!vocabulary.model.empty() && vocabulary.model != "gpt2") {
        throw ModelError("the vocabulary is of type \"" + vocabulary.model +
                         "\" (tokenizer.ggml.model); byte-level BPE, \"gpt2\", works");
    }
    if (vocabulary.pre.empty()) {
        log(LogLevel::warning,
            "tokenizer: the file names no split rule (tokenizer.ggml.pre); using glm4");
    } else if (vocabulary.pre != "glm4" && vocabulary.pre != "chatglm-bpe") {
        throw ModelError("the vocabulary splits text by the rule \"" + vocabulary.pre +
                         "\" (tokenizer.ggml.pre); glm4 and chatglm-bpe work");
    }
    auto data = std::make_unique<Data>();
    std::array<int32_t, 256> byte_ids;
    data->add_rows(vocabulary, byte_ids);
    data->add_merges(vocabulary, byte_ids);
    data->add_specials();
    data->add_end_of_turn(vocabulary);
    data->add_whole_tokens();
    data_ = std::move(data);
}

Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, Special special) const {
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 8);
    encode(text, special, ids);
    return ids;
}

void Tokenizer::encode(std::string_view text,
                       Special special,
                       std::vector<TokenId>& append_to) const {
    if (special == Special::as_text) {
        data_->encode_text(text, append_to);
        return;
    }
    data_->cut_at_specials(
        text, [&](std::string_view plain) { data_->encode_text(plain, append_to); },
        [&](TokenId id) { append_to.push_back(id); });
}

int64_t Tokenizer::count(std::string_view text) const {
    std::vector<TokenId> ids;  // of one piece: the pieces are independent of each other
    int64_t total = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = piece_end(text, at);
        const std::string_view piece = text.substr(at, end - at);
        if (data_->find_whole(piece) >= 0) {
            total++;
        } else {
            ids.clear();
            data_->bpe->encode(piece, ids);
            total += static_cast<int64_t>(ids.size());
        }
        at = end;
    }
    return total;
}

std::string_view Tokenizer::bytes(TokenId id, bool show_special) const {
    if (!data_->contains(id) || (data_->rows[static_cast<size_t>(id)].hidden && !show_special)) {
        return {};
    }
    return data_->text(id);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool show_special) const {
    std::string text;
    for (const TokenId id : ids) {
        text += bytes(id, show_special);
    }
    return text;
}

int64_t Tokenizer::vocab_size() const {
    return static_cast<int64_t>(data_->rows.size());
}

std::optional<TokenId> Tokenizer::find(std::string_view special) const {
    const auto& list = data_->specials;
    const auto at = std::lower_bound(list.begin(), list.end(), special,
                                     [](const auto& t, std::string_view s) { return t.text < s; });
    return at != list.end() && at->text == special ? std::optional(at->id) : std::nullopt;
}

bool Tokenizer::is_special(TokenId id) const {
    return data_->contains(id) && data_->rows[static_cast<size_t>(id)].special;
}

bool Tokenizer::is_end_of_turn(TokenId id) const {
    return std::binary_search(data_->end_of_turn.begin(), data_->end_of_turn.end(), id);
}

bool Tokenizer::can_be_sampled(TokenId id) const {
    return data_->contains(id) && data_->rows[static_cast<size_t>(id)].sampled;
}

std::span<const TokenId> Tokenizer::end_of_turn() const {
    return data_->end_of_turn;
}

}  // namespace runtime
