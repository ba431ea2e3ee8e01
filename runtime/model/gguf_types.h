// The numbers a GGUF file uses for tensor element types, with the names its tools print. Wider than
// kernels/dtype.h: it also names what Keyhole does not compute with, so that a refusal and `keyhole
// inspect` can say what a file holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/model/gguf.h"

namespace runtime {

struct GgmlType {
    uint32_t id;
    std::string_view name;
    int64_t block_elements;  // 0 where the layout is not known here (types of forks)
    int64_t block_bytes;
    std::string_view
        origin;  // "" for llama.cpp's own, else who writes it: "ik_llama.cpp", "removed from GGUF"
};

// Null for a number nobody is known to use.
const GgmlType* ggml_type(uint32_t id);

// "Q4_K", "IQ4_KSS", "type 999".
std::string ggml_type_name(uint32_t id);

std::string_view gguf_type_name(GgufType type);  // "u32", "string"

// Name of a `general.file_type` number: "Q4_K_M"; empty for an unknown one.
std::string_view file_type_name(uint64_t number);

// Text from a file made fit for a one-line message: control bytes and invalid UTF-8 as \xNN, cut
// after `max_bytes`.
std::string printable(std::string_view text, size_t max_bytes = 80);

// Length of the valid UTF-8 character at the start of `text`; 0 where there is none.
size_t utf8_length(std::string_view text);

}  // namespace runtime
