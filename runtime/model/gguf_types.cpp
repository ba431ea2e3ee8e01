#include "runtime/model/gguf_types.h"

#include <utility>

namespace runtime {
namespace {

constexpr std::string_view kIk = "ik_llama.cpp";
constexpr std::string_view kRemoved = "removed from GGUF";

// Sources: ggml/include/ggml.h and gguf-py/gguf/constants.py of ggml-org/llama.cpp; ik_llama.cpp's
// numbers from 97 on.
constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, ""},
    {1, "F16", 1, 2, ""},
    {2, "Q4_0", 32, 18, ""},
    {3, "Q4_1", 32, 20, ""},
    {4, "Q4_2", 0, 0, kRemoved},
    {5, "Q4_3", 0, 0, kRemoved},
    {6, "Q5_0", 32, 22, ""},
    {7, "Q5_1", 32, 24, ""},
    {8, "Q8_0", 32, 34, ""},
    {9, "Q8_1", 32, 36, ""},
    {10, "Q2_K", 256, 84, ""},
    {11, "Q3_K", 256, 110, ""},
    {12, "Q4_K", 256, 144, ""},
    {13, "Q5_K", 256, 176, ""},
    {14, "Q6_K", 256, 210, ""},
    {15, "Q8_K", 256, 292, ""},
    {16, "IQ2_XXS", 256, 66, ""},
    {17, "IQ2_XS", 256, 74, ""},
    {18, "IQ3_XXS", 256, 98, ""},
    {19, "IQ1_S", 256, 50, ""},
    {20, "IQ4_NL", 32, 18, ""},
    {21, "IQ3_S", 256, 110, ""},
    {22, "IQ2_S", 256, 82, ""},
    {23, "IQ4_XS", 256, 136, ""},
    {24, "I8", 1, 1, ""},
    {25, "I16", 1, 2, ""},
    {26, "I32", 1, 4, ""},
    {27, "I64", 1, 8, ""},
    {28, "F64", 1, 8, ""},
    {29, "IQ1_M", 256, 56, ""},
    {30, "BF16", 1, 2, ""},
    {31, "Q4_0_4_4", 0, 0, kRemoved},
    {32, "Q4_0_4_8", 0, 0, kRemoved},
    {33, "Q4_0_8_8", 0, 0, kRemoved},
    {34, "TQ1_0", 256, 54, ""},
    {35, "TQ2_0", 256, 66, ""},
    {36, "IQ4_NL_4_4", 0, 0, kRemoved},
    {37, "IQ4_NL_4_8", 0, 0, kRemoved},
    {38, "IQ4_NL_8_8", 0, 0, kRemoved},
    {39, "MXFP4", 32, 17, ""},
    {40, "NVFP4", 64, 36, ""},
    {41, "Q1_0", 128, 18, ""},
    {42, "Q2_0", 0, 0, ""},
    {97, "Q8_0_X4", 0, 0, kIk},
    {98, "Q8_1_X4", 0, 0, kIk},
    {133, "Q6_0", 0, 0, kIk},
    {134, "IQ1_BN", 0, 0, kIk},
    {135, "IQ2_BN", 0, 0, kIk},
    {136, "Q8_K64", 0, 0, kIk},
    {137, "IQ2_K", 0, 0, kIk},
    {138, "IQ3_K", 0, 0, kIk},
    {139, "IQ4_K", 0, 0, kIk},
    {140, "IQ5_K", 0, 0, kIk},
    {141, "IQ6_K", 0, 0, kIk},
    {144, "IQ4_KS", 0, 0, kIk},
    {145, "IQ2_KS", 0, 0, kIk},
    {146, "IQ4_KSS", 0, 0, kIk},
    {151, "Q8_KV", 0, 0, kIk},
    {152, "IQ5_KS", 0, 0, kIk},
    {153, "IQ2_KT", 0, 0, kIk},
    {154, "IQ3_KT", 0, 0, kIk},
    {155, "IQ4_KT", 0, 0, kIk},
    {156, "IQ3_KS", 0, 0, kIk},
    {157, "IQ2_KL", 0, 0, kIk},
    {158, "IQ1_KT", 0, 0, kIk},
    {202, "Q4_0_R8", 0, 0, kIk},
    {206, "Q5_0_R4", 0, 0, kIk},
    {208, "Q8_0_R8", 0, 0, kIk},
    {210, "Q2_K_R4", 0, 0, kIk},
    {211, "Q3_K_R4", 0, 0, kIk},
    {212, "Q4_K_R4", 0, 0, kIk},
    {213, "Q5_K_R4", 0, 0, kIk},
    {214, "Q6_K_R4", 0, 0, kIk},
    {216, "IQ2_XXS_R4", 0, 0, kIk},
    {217, "IQ2_XS_R4", 0, 0, kIk},
    {218, "IQ3_XXS_R4", 0, 0, kIk},
    {219, "IQ1_S_R4", 0, 0, kIk},
    {220, "IQ4_NL_R4", 0, 0, kIk},
    {221, "IQ3_S_R4", 0, 0, kIk},
    {222, "IQ2_S_R4", 0, 0, kIk},
    {223, "IQ4_XS_R8", 0, 0, kIk},
    {229, "IQ1_M_R4", 0, 0, kIk},
    {230, "BF16_R16", 0, 0, kIk},
    {233, "Q6_0_R4", 0, 0, kIk},
    {335, "IQ2_BN_R4", 0, 0, kIk},
    {337, "IQ2_K_R4", 0, 0, kIk},
    {338, "IQ3_K_R4", 0, 0, kIk},
    {339, "IQ4_K_R4", 0, 0, kIk},
    {340, "IQ5_K_R4", 0, 0, kIk},
    {344, "IQ4_KS_R4", 0, 0, kIk},
    {352, "IQ5_KS_R4", 0, 0, kIk},
    {398, "Q8_KV_R8", 0, 0, kIk},
    {399, "Q8_K_R8", 0, 0, kIk},
};

constexpr std::pair<uint64_t, std::string_view> kFileTypes[] = {
    {0, "F32"},      {1, "F16"},      {2, "Q4_0"},       {3, "Q4_1"},    {7, "Q8_0"},
    {8, "Q5_0"},     {9, "Q5_1"},     {10, "Q2_K"},      {11, "Q3_K_S"}, {12, "Q3_K_M"},
    {13, "Q3_K_L"},  {14, "Q4_K_S"},  {15, "Q4_K_M"},    {16, "Q5_K_S"}, {17, "Q5_K_M"},
    {18, "Q6_K"},    {19, "IQ2_XXS"}, {20, "IQ2_XS"},    {21, "Q2_K_S"}, {22, "IQ3_XS"},
    {23, "IQ3_XXS"}, {24, "IQ1_S"},   {25, "IQ4_NL"},    {26, "IQ3_S"},  {27, "IQ3_M"},
    {28, "IQ2_S"},   {29, "IQ2_M"},   {30, "IQ4_XS"},    {31, "IQ1_M"},  {32, "BF16"},
    {36, "TQ1_0"},   {37, "TQ2_0"},   {38, "MXFP4_MOE"}, {39, "NVFP4"},
};

}  // namespace

const GgmlType* ggml_type(uint32_t id) {
    for (const GgmlType& type : kTypes) {
        if (type.id == id) {
            return &type;
        }
    }
    return nullptr;
}

std::string ggml_type_name(uint32_t id) {
    const GgmlType* type = ggml_type(id);
    return type != nullptr ? std::string(type->name) : "type " + std::to_string(id);
}

std::string_view gguf_type_name(GgufType type) {
    constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                          "bool", "string", "array", "u64", "i64", "f64"};
    const auto index = static_cast<size_t>(type);
    return index < std::size(names) ? names[index] : "unknown type";
}

std::string_view file_type_name(uint64_t number) {
    for (const auto& [id, name] : kFileTypes) {
        if (id == number) {
            return name;
        }
    }
    return {};
}

size_t utf8_length(std::string_view text) {
    if (text.empty()) {
        return 0;
    }
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    // Overlong forms, surrogates, and code points past U+10FFFF.
    const bool bad = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                     (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
    return bad ? 0 : length;
}

std::string printable(std::string_view text, size_t max_bytes) {
    std::string out;
    size_t at = 0;
    while (at < text.size() && out.size() < max_bytes) {
        const auto first = static_cast<unsigned char>(text[at]);
        const size_t length = first < 0x20 || first == 0x7F ? 0 : utf8_length(text.substr(at));
        if (length > 0) {
            out += text.substr(at, length);
            at += length;
        } else {
            constexpr char kHex[] = "0123456789abcdef";
            out += {'\\', 'x', kHex[first >> 4], kHex[first & 15]};
            at++;
        }
    }
    return at < text.size() ? out + "..." : out;
}

}  // namespace runtime
