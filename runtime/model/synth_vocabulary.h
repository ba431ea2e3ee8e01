// The vocabulary of a synthetic model: bytes, a few English merges, filler, and GLM-4.7-Flash's
// special tokens and padding in their real order at the end, so that with the real size every
// special token has its real id.
#pragma once

#include <cstdint>

#include "runtime/text/tokenizer.h"

namespace runtime {

Vocabulary synthetic_vocabulary(int64_t size);
// The same with every filler a token that says something, as in the real vocabulary: random words with
// and without a blank before them, Chinese, numbers, punctuation of code and JSON, runs of blanks. No
// merges lead to them: they are sampled, and no text becomes them.
Vocabulary worded_vocabulary(int64_t size);

// A short Jinja template with the model's markers, for other programs; Keyhole renders chats
// itself.
extern const char* const kSyntheticChatTemplate;

}  // namespace runtime
