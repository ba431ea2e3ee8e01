// Detokenizer: streamed tokens of one generation -> whole UTF-8 characters. A character split over tokens is held back
// until it is complete; bytes that can no longer become a character come out as U+FFFD, so the output is always valid UTF-8
// and the same however the tokens arrive. One per generation; one thread at a time.
#pragma once

#include <string>

#include "runtime/text/tokenizer.h"

namespace runtime {

class Detokenizer {
public:
    explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    std::string add(TokenId id, bool show_special = false);  // what became complete with this token; may be empty
    std::string flush();                                     // what is left at the end: U+FFFD per broken sequence

private:
    const Tokenizer& tokenizer_;
    std::string held_;  // an incomplete, still possible UTF-8 sequence: at most 3 bytes
};

}  // namespace runtime
