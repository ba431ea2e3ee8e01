// ReplyText: the tokens of one reply -> what its reader sees. Joins Detokenizer and ReplyParser;
// where the request wants plain text, only looks for stop strings. One per generation, engine
// thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/reply_parser.h"
#include "runtime/text/stop_scanner.h"

namespace runtime {

class ReplyText {
public:
    ReplyText(const Tokenizer& tokenizer, const GenerationRequest& request);

    std::vector<ReplyDelta> add(TokenId id);
    // complete: the model ended its turn; false where a limit cut it.
    std::vector<ReplyDelta> finish(bool complete);

    bool stopped() const;
    const std::string& stop_string() const;
    bool in_reasoning() const;
    int tool_calls() const;

private:
    std::vector<ReplyDelta> parse(std::string_view text);

    Detokenizer detokenizer_;
    std::optional<ReplyParser> parser_;  // empty: plain text
    StopScanner plain_;
};

}  // namespace runtime
