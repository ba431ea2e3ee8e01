// ReplyParser: the streamed text of one reply -> reasoning, content and tool-call deltas; finds stop strings, also across
// pieces. Tolerant of what GLM models really write (fact sheet, section 6.4). The sum of the deltas does not depend on
// how the text is cut into pieces. One per generation; one thread at a time. Linear in the text.
//
// Whether a reply begins with reasoning is told by the request, never guessed from the text.
//   - <think> at the very start is dropped; so is, where the reply starts with content, </think> there or after that.
//   - Reasoning ends at </think>, or at a tool call; the </think> that then follows later is dropped. Line ends at the
//     start of reasoning, at its end and at the start of content are dropped, as the prompt of the next turn drops them.
//   - A tool call is given as begin, arguments, end (tool_call_reader.h tells what is repaired): whole once it is closed, but
//     the text of a declared string as it comes, and what stands before that with it. What is not a call of a declared tool
//     stays text, markup included, where it stood: in reasoning or in content. What began as a call and goes on as none has
//     no end, and is text from there on.
//     With tools declared, white space (ASCII) just before a call and all of it after one, up to further text, is dropped.
//   - A value is a string where the schema says so; else it is the JSON text it looks like, else a string.
//   - Stop strings are looked for in content only, after all that was dropped, and not across a tool call. The match that
//     ends first wins, of several that end together the longest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runtime {

// A declared tool: its name and how its arguments' values are read back.
struct ToolSignature {
    struct Parameter {
        std::string name;
        bool is_string = false;  // schema says string (and nothing else): the raw text is the value
        bool required = false;
    };
    std::string name;
    std::vector<Parameter> parameters;
};

struct ReplyParserOptions {
    bool starts_in_reasoning = true;      // the prompt ended with <think>
    std::vector<ToolSignature> tools;     // empty: tool-call markup is content
    std::vector<std::string> stop;        // the stop string itself is not part of the output; empty ones are ignored
    bool plain = false;                   // nothing but stop strings is looked for: every character is content
    std::string before;                   // of an answer that goes on: read first, and not given out again
};

// One piece of a reply. Exactly one of the texts is in use, by kind.
struct ReplyDelta {
    enum class Kind { reasoning, content, tool_call_begin, tool_argument, tool_call_end };
    Kind kind = Kind::content;
    std::string text;     // reasoning, content: the characters; tool_call_begin: the tool's name; tool_argument: its value
    int call_index = 0;   // tool_*: which call of this reply, from 0
    std::string key;      // tool_argument: the argument's name; the value is whole, or, of a declared string, goes on in the next
                          // delta if that has the same key
    bool is_string = false;  // tool_argument: value is a string (else JSON text)
};

class ReplyParser {
public:
    explicit ReplyParser(ReplyParserOptions options);
    ~ReplyParser();

    // Whole UTF-8 characters in; what is certain comes out. After stopped() further text is ignored.
    std::vector<ReplyDelta> add(std::string_view text);
    // At the end of the generation: what was held back for a marker or stop string that never came. `complete` is false
    // when a limit cut the reply: an unfinished tool call is then given as far as it goes, without its end. When the
    // model itself ended the reply, a call lacking no more than </tool_call> and no required argument is whole.
    std::vector<ReplyDelta> finish(bool complete);

    bool stopped() const;                  // a stop string was found
    const std::string& stop_string() const;
    bool in_reasoning() const;
    int tool_calls() const;                // calls begun so far

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace runtime
