#include "runtime/model/synth_vocabulary.h"

#include <algorithm>
#include <random>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "kernels/check.h"

namespace runtime {
namespace {

enum Type : int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

constexpr int64_t kTail = 60;  // special and padding tokens

constexpr std::pair<const char*, Type> kSpecial[] = {
    {"<|endoftext|>", kControl},
    {"[MASK]", kControl},
    {"[gMASK]", kControl},
    {"[sMASK]", kControl},
    {"<sop>", kControl},
    {"<eop>", kControl},
    {"<|system|>", kControl},
    {"<|user|>", kControl},
    {"<|assistant|>", kControl},
    {"<|observation|>", kControl},
    {"<|begin_of_image|>", kControl},
    {"<|end_of_image|>", kControl},
    {"<|begin_of_video|>", kControl},
    {"<|end_of_video|>", kControl},
    {"<|begin_of_audio|>", kControl},
    {"<|end_of_audio|>", kControl},
    {"<|begin_of_transcription|>", kControl},
    {"<|end_of_transcription|>", kControl},
    {"<|code_prefix|>", kControl},
    {"<|code_middle|>", kControl},
    {"<|code_suffix|>", kControl},
    {"<think>", kUserDefined},
    {"</think>", kUserDefined},
    {"<tool_call>", kUserDefined},
    {"</tool_call>", kUserDefined},
    {"<tool_response>", kUserDefined},
    {"</tool_response>", kUserDefined},
    {"<arg_key>", kUserDefined},
    {"</arg_key>", kUserDefined},
    {"<arg_value>", kUserDefined},
    {"</arg_value>", kUserDefined},
    {"/nothink", kControl},
    {"<|begin_of_box|>", kUserDefined},
    {"<|end_of_box|>", kUserDefined},
    {"<|image|>", kUserDefined},
    {"<|video|>", kUserDefined},
};

// Common pairs of English, in an order in which both halves exist; `_` stands for the blank's
// symbol.
constexpr std::pair<const char*, const char*> kMerges[] = {
    {"_", "t"},  {"_t", "h"}, {"h", "e"},  {"_t", "he"},  {"i", "n"},  {"_", "a"},   {"r", "e"},
    {"o", "n"},  {"e", "r"},  {"_", "s"},  {"a", "t"},    {"o", "r"},  {"e", "n"},   {"_", "o"},
    {"_", "w"},  {"i", "s"},  {"_", "c"},  {"e", "s"},    {"o", "u"},  {"i", "t"},   {"a", "n"},
    {"_", "f"},  {"_", "b"},  {"_", "p"},  {"in", "g"},   {"_o", "f"}, {"_a", "n"},  {"_an", "d"},
    {"_", "in"}, {"e", "d"},  {"_", "m"},  {"_t", "o"},   {"_", "he"}, {"_", "re"},  {"a", "r"},
    {"_", "d"},  {"l", "e"},  {"_", "is"}, {"_th", "at"}, {"a", "s"},  {"_w", "as"}, {"_f", "or"},
};

// GPT-2's byte alphabet: printable Latin-1 characters stand for themselves, the others for U+0100
// and up.
bool prints(int byte) {
    return (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
}

std::string alphabet(int byte) {
    int code = byte;
    if (!prints(byte)) {
        code = 0x100;
        for (int b = 0; b < byte; b++) {
            code += prints(b) ? 0 : 1;
        }
    }
    return code < 0x80 ? std::string(1, static_cast<char>(code))
                       : std::string{static_cast<char>(0xC0 | code >> 6),
                                     static_cast<char>(0x80 | (code & 0x3F))};
}

}  // namespace

const char* const kSyntheticChatTemplate =
    "[gMASK]<sop>{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor "
    "%}"
    "{% if add_generation_prompt %}<|assistant|><think>{% endif %}";

Vocabulary synthetic_vocabulary(int64_t size) {
    Vocabulary v;
    v.model = "gpt2";
    v.pre = "glm4";
    std::unordered_map<std::string, TokenId> ids;
    const auto add = [&](const std::string& text, Type type) {
        const bool is_new = ids.emplace(text, static_cast<TokenId>(v.tokens.size())).second;
        ENSURE(is_new, "token ", text, " twice");
        v.tokens.push_back(text);
        v.types.push_back(type);
    };
    for (int b = 0; b < 256; b++) {
        if (prints(b)) {
            add(alphabet(b), kNormal);
        }
    }
    for (int b = 0; b < 256; b++) {
        if (!prints(b)) {
            add(alphabet(b), kNormal);
        }
    }
    const std::string blank = alphabet(' ');
    const auto spelled = [&](std::string text) {
        return text[0] == '_' ? blank + text.substr(1) : text;
    };
    for (const auto& [left, right] : kMerges) {
        const std::string a = spelled(left), b = spelled(right);
        ENSURE(ids.contains(a) && ids.contains(b), a, " + ", b);
        add(a + b, kNormal);
        v.merges.push_back(a + " " + b);
    }
    ENSURE(static_cast<int64_t>(v.tokens.size()) + kTail <= size, "vocabulary of ", size);
    while (static_cast<int64_t>(v.tokens.size()) + kTail < size) {
        add("[UNUSED" + std::to_string(v.tokens.size()) + "]", kUnused);
    }
    for (const auto& [text, type] : kSpecial) {
        add(text, type);
    }
    while (static_cast<int64_t>(v.tokens.size()) < size) {
        add("[PAD" + std::to_string(v.tokens.size()) + "]", kUnused);
    }
    v.eos = v.padding = v.unknown = ids.at("<|endoftext|>");
    v.bos = ids.at("[gMASK]");
    v.eot = ids.at("<|user|>");
    v.eom = ids.at("<|observation|>");
    return v;
}

Vocabulary worded_vocabulary(int64_t size) {
    Vocabulary vocabulary = synthetic_vocabulary(size);
    std::unordered_set<std::string> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
    std::mt19937 random(7);
    const auto below = [&random](size_t n) {
        return std::uniform_int_distribution<size_t>(0, n - 1)(random);
    };
    constexpr std::string_view kLetters = "eeeeettttaaaooinnsshhrrddlluccmmffyywwggppbbvkxqjzAEST";
    constexpr std::string_view kSigns = "\"\"\"{}[]:,.;()<>=+-*/_#!?&|\n\t ";
    const auto make = [&] {
        std::string text;
        const size_t kind = below(100);
        if (kind < 75) {
            text.assign(kind < 45 ? 1 : 0, ' ');
            for (size_t n = 2 + below(9); n > 0; n--) {
                text += kLetters[below(kLetters.size())];
            }
        } else if (kind < 92) {
            for (size_t n = 1 + below(3); n > 0; n--) {
                text += {static_cast<char>(0xE4 + below(5)), static_cast<char>(0x80 + below(64)),
                         static_cast<char>(0x80 + below(64))};
            }
        } else if (kind < 94) {
            text = std::to_string(below(1000));
        } else if (kind < 95) {
            text.assign(1 + below(100), ' ');
        } else {
            for (size_t n = 1 + below(5); n > 0; n--) {
                text += kSigns[below(kSigns.size())];
            }
        }
        std::string token;
        for (const char c : text) {
            token += alphabet(static_cast<unsigned char>(c));
        }
        return token;
    };
    for (size_t i = 0; i < vocabulary.tokens.size(); i++) {
        if (vocabulary.types[i] == kUnused) {
            std::string token = make();
            while (!known.insert(token).second) {
                token = make();
            }
            vocabulary.tokens[i] = token;
            vocabulary.types[i] = kNormal;
        }
    }
    return vocabulary;
}

}  // namespace runtime
