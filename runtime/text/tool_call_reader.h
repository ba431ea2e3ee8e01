// ToolCallReader: one tool call of a reply, from behind its <tool_call>, as GLM models write it and
// as they miswrite it.
//
//     NAME (<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>)* </tool_call>
//
// White space around the name and between tags is skipped; values are exact. A value ends at the
// first </arg_value>, whatever else it holds. Missing or mismatched tags are supplied by walking
// the cycle of keys and values:
//   - a value without its </arg_value> ends at the first other tag of the format, which is decided
//   when a further
//     <arg_value> opens, or at the end of the reply
//   - a key ends at <arg_value> or </arg_value> too; text where <arg_value> should be is the value,
//   up to any tag; text
//     where <arg_key> should be is a key if </arg_key> follows; stray closing tags between
//     arguments are skipped
//   - a key that comes again is skipped with its value: the first one may be shown already
//   - a new <tool_call> closes the call; so does the end of the reply if every required argument is
//   there
// Anything else, and any name that is not declared, is not a call, unless text of a declared string
// came before: that is a call from then on, whatever follows, because it is shown as it comes.
// Linear: text is not read again as more of it arrives.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "runtime/text/reply_parser.h"

namespace runtime {

class ToolCallReader {
public:
    enum class Result { more, call, not_a_call };

    struct Argument {
        std::string key, value;
        bool is_string;
    };

    explicit ToolCallReader(const std::vector<ToolSignature>& tools) : tools_(tools) {}

    // `text` is all that followed <tool_call> so far, each time with what was there before at its
    // start; `end`: no more comes.
    Result read(std::string_view text, bool end);

    size_t length() const { return at_; }                // of a call: how much of the text it took
    const ToolSignature* tool() const { return tool_; }  // null until the name is certain
    const std::vector<Argument>& arguments() const { return arguments_; }  // those that are whole
    // A call for certain: a declared string has begun.
    bool begun() const { return begun_; }
    // The string that is being read, as far as it is certain; its key is open_key(). Empty: none is,
    // or nothing of it is certain. `text` as in read().
    std::string_view open_text(std::string_view text) const;
    const std::string& open_key() const { return key_; }
    // Of what begun as a call and is none: what is behind this is text again.
    size_t read_length(std::string_view text) const;

    enum class Tag { none, partial, call, end_call, key, end_key, value, end_value };

private:
    enum class Step { name, after_name, key, after_key, value, bare_value, between, bare_key };
    enum class Outcome { next, more, call, not_a_call };

    struct Found {
        size_t at;
        Tag tag;  // none: no further tag; partial: none, but one may begin at `at`
    };

    Outcome step(std::string_view text, bool end);
    Outcome read_name(std::string_view text, bool end);
    Outcome read_after_name(std::string_view text, bool end);
    Outcome read_key(std::string_view text, bool end);
    Outcome read_after_key(std::string_view text, bool end);
    Outcome read_value(std::string_view text, bool end);
    Outcome read_bare_value(std::string_view text, bool end);
    Outcome read_between(std::string_view text, bool end);

    bool skip_space(std::string_view text);  // false: the text ends with it
    Found next_tag(std::string_view text, bool end);
    void go(Step step, size_t at);
    void finish_value(std::string_view value, size_t at);
    bool has_required() const;
    bool reads_declared_string() const;

    const std::vector<ToolSignature>& tools_;
    const ToolSignature* tool_ = nullptr;
    std::vector<Argument> arguments_;
    std::unordered_set<std::string> keys_;  // of arguments_
    Step step_ = Step::name;
    size_t at_ = 0;                        // where the current part begins
    size_t scan_ = 0;                      // how far its end has been looked for
    size_t cut_ = std::string_view::npos;  // of a value: the first tag at which it may have to end
    std::string key_;
    bool begun_ = false;
};

// The tag at the start of a text that begins with '<'; `partial` when the text ends before that is
// certain.
ToolCallReader::Tag tag_at(std::string_view text);
size_t tag_length(ToolCallReader::Tag tag);

}  // namespace runtime
