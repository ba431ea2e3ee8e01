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

namespace runtime {

// Plain text up to the first stop string, which is left out. Holds back only what could be the
// beginning of one.
class StopFinder {
public:
    explicit StopFinder(std::vector<std::string> stop);

    std::string add(std::string_view text);
    std::string finish();  // what was held back
    bool stopped() const { return !found_.empty(); }
    const std::string& stop_string() const { return found_; }

private:
    std::vector<std::string> stop_;  // no empty ones
    std::string held_;
    std::string found_;
};

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
    StopFinder plain_;
};

}  // namespace runtime
