#include "runtime/text/reply_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/text/stop_scanner.h"
#include "runtime/text/tool_call_reader.h"

namespace runtime {
namespace {

constexpr std::string_view kThink = "<think>", kEndThink = "</think>", kToolCall = "<tool_call>";
constexpr std::string_view kSpace = " \t\r\n\v\f";

}  // namespace

// Text flows: held_ -> phases and tags -> reasoning() | content() -> stop scanner -> visible() ->
// out_.
struct ReplyParser::State {
    enum class Phase { start, reasoning, content };

    explicit State(ReplyParserOptions given)
        : options(std::move(given)),
          reasoning_first(options.starts_in_reasoning && !options.plain),
          scanner(options.stop) {
        if (options.plain) {
            phase = Phase::content;
            options.tools.clear();
            skip = {};
        }
    }

    void run(bool end, bool complete);
    bool start_done(bool end);
    bool read_call(bool end, bool complete);
    bool read_text(bool end);
    size_t next_tag(std::string_view& tag, bool end) const;
    void begin_call();
    void give_arguments();
    void reasoning(std::string_view text);
    void content(std::string_view text);
    void visible(std::string_view text);
    void finish();
    void emit(ReplyDelta::Kind kind, std::string_view text);

    std::string_view rest() const { return std::string_view(held).substr(at); }

    ReplyParserOptions options;
    bool reasoning_first;
    Phase phase = Phase::start;
    std::string held;  // input not yet given out
    size_t at = 0;     // what lies before is done with
    size_t start_scan = 0;
    std::optional<ToolCallReader> reader;  // `at` is then the place of its <tool_call>
    bool call_given = false;               // its begin
    size_t arguments_given = 0;            // of the call: those given whole
    size_t text_given = 0;                 // of the string that is being read: bytes
    bool drop_end_think = false;           // the next </think> closes nothing that was shown
    int calls = 0;

    std::string line_ends;  // of reasoning: held until it goes on
    bool reasoning_begun = false;
    std::string_view skip = "\n";  // leading characters that content drops
    StopScanner scanner;
    std::string space;  // of content: held until it goes on
    std::vector<ReplyDelta> out;
};

void ReplyParser::State::emit(ReplyDelta::Kind kind, std::string_view text) {
    if (text.empty()) {
        return;
    }
    if (out.empty() || out.back().kind != kind) {
        out.emplace_back().kind = kind;
    }
    out.back().text += text;
}

void ReplyParser::State::reasoning(std::string_view text) {
    if (!reasoning_begun) {
        text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
    }
    const size_t body = text.find_last_not_of('\n') + 1;  // npos + 1 is 0
    if (body > 0) {
        reasoning_begun = true;
        emit(ReplyDelta::Kind::reasoning, line_ends);
        emit(ReplyDelta::Kind::reasoning, text.substr(0, body));
        line_ends.clear();
    }
    line_ends += text.substr(body);
}

void ReplyParser::State::content(std::string_view text) {
    if (!skip.empty()) {
        const size_t kept = text.find_first_not_of(skip);
        if (kept == std::string_view::npos) {
            return;
        }
        text.remove_prefix(kept);
        skip = {};
    }
    visible(scanner.add(text));
    if (scanner.found()) {
        emit(ReplyDelta::Kind::content, space);
        space.clear();
        held.clear();
        at = 0;
        reader.reset();
    }
}

void ReplyParser::State::visible(std::string_view text) {
    const size_t body = options.tools.empty() ? text.size() : text.find_last_not_of(kSpace) + 1;
    if (body > 0) {
        emit(ReplyDelta::Kind::content, space);
        emit(ReplyDelta::Kind::content, text.substr(0, body));
        space.clear();
    }
    space += text.substr(body);
}

void ReplyParser::State::begin_call() {
    if (std::exchange(call_given, true)) {
        return;
    }
    arguments_given = text_given = 0;
    if (phase == Phase::reasoning) {
        phase = Phase::content;
        drop_end_think = true;
        line_ends.clear();
    } else {
        visible(scanner.flush());
        space.clear();
    }
    skip = kSpace;
    out.push_back({ReplyDelta::Kind::tool_call_begin, reader->tool()->name, calls++, "", false});
}

// What the reader has read of the call beyond what was given.
void ReplyParser::State::give_arguments() {
    begin_call();
    const auto give = [this](std::string_view value, const std::string& key, bool is_string) {
        out.push_back({ReplyDelta::Kind::tool_argument, std::string(value), calls - 1, key, is_string});
    };
    const std::vector<ToolCallReader::Argument>& whole = reader->arguments();
    for (; arguments_given < whole.size(); arguments_given++) {
        const ToolCallReader::Argument& argument = whole[arguments_given];
        const size_t known = std::exchange(text_given, 0);
        if (known == 0 || known < argument.value.size()) {
            give(std::string_view(argument.value).substr(known), argument.key, argument.is_string);
        }
    }
    const std::string_view open = reader->open_text(rest().substr(kToolCall.size()));
    if (open.size() > text_given) {
        give(open.substr(text_given), reader->open_key(), true);
        text_given = open.size();
    }
}

// False: more text is needed to tell whether the reply starts with a tag.
bool ReplyParser::State::start_done(bool end) {
    start_scan = std::min(held.find_first_not_of(kSpace, start_scan), held.size());
    const std::string_view text = std::string_view(held).substr(start_scan);
    const bool opens = text.starts_with(kThink);
    const bool closes = !reasoning_first && text.starts_with(kEndThink);
    if (!opens && !closes && !end) {
        if (kThink.starts_with(text) || (!reasoning_first && kEndThink.starts_with(text))) {
            return false;
        }
    }
    if (opens || closes) {
        at = start_scan + (opens ? kThink : kEndThink).size();
        drop_end_think = opens && !reasoning_first;
    }
    phase = reasoning_first ? Phase::reasoning : Phase::content;
    return true;
}

// Place of the next tag that means something in this phase, or of what may become one, or the end
// of the text.
size_t ReplyParser::State::next_tag(std::string_view& tag, bool end) const {
    const bool calls_count = !options.tools.empty();
    const bool thought_ends = phase == Phase::reasoning || drop_end_think;
    tag = {};
    if (!calls_count && !thought_ends) {
        return held.size();
    }
    for (size_t i = at; (i = held.find('<', i)) != std::string::npos; i++) {
        const std::string_view text = std::string_view(held).substr(i);
        for (const std::string_view candidate : {kToolCall, kEndThink}) {
            if (candidate == kToolCall ? !calls_count : !thought_ends) {
                continue;
            }
            if (text.starts_with(candidate)) {
                tag = candidate;
                return i;
            }
            if (!end && candidate.starts_with(text)) {
                return i;
            }
        }
    }
    return held.size();
}

// One step through plain text and the tag behind it. False: nothing more to do with what is there.
bool ReplyParser::State::read_text(bool end) {
    std::string_view tag;
    const size_t text_end = next_tag(tag, end);
    const size_t start = at;
    at = text_end;
    const std::string_view text = std::string_view(held).substr(start, text_end - start);
    phase == Phase::reasoning ? reasoning(text) : content(text);
    if (tag.empty() || scanner.found()) {
        return false;
    }
    if (tag == kToolCall) {
        reader.emplace(options.tools);
        call_given = false;
        return true;
    }
    at += tag.size();
    if (phase == Phase::reasoning) {
        phase = Phase::content;
        line_ends.clear();
    } else {
        drop_end_think = false;
    }
    return true;
}

bool ReplyParser::State::read_call(bool end, bool complete) {
    using Result = ToolCallReader::Result;
    const Result result = reader->read(rest().substr(kToolCall.size()), end && complete);
    if (reader->begun()) {
        give_arguments();
    }
    if (result == Result::more && !end) {
        return false;
    }
    if (result == Result::call) {
        give_arguments();
        out.push_back({ReplyDelta::Kind::tool_call_end, "", calls - 1, "", false});
        at += kToolCall.size() + reader->length();
        reader.reset();
        return true;
    }
    if (result == Result::more && reader->tool() != nullptr) {
        give_arguments();
        at = held.size();
        reader.reset();
        return false;
    }
    if (call_given) {
        at += kToolCall.size() + reader->read_length(rest().substr(kToolCall.size()));
        reader.reset();
        return true;
    }
    reader.reset();
    at += kToolCall.size();
    phase == Phase::reasoning ? reasoning(kToolCall) : content(kToolCall);
    return !scanner.found();
}

void ReplyParser::State::run(bool end, bool complete) {
    if (phase == Phase::start && !start_done(end)) {
        return;
    }
    while (reader ? read_call(end, complete) : read_text(end)) {
    }
    held.erase(0, at);
    at = 0;
}

void ReplyParser::State::finish() {
    if (phase == Phase::reasoning) {
        emit(ReplyDelta::Kind::reasoning, line_ends);
        line_ends.clear();
        return;
    }
    visible(scanner.flush());
    if (calls == 0) {
        emit(ReplyDelta::Kind::content, space);
    }
    space.clear();
}

ReplyParser::ReplyParser(ReplyParserOptions options)
    : state_(std::make_unique<State>(std::move(options))) {
    if (!state_->options.before.empty()) {
        add(state_->options.before);
    }
}

ReplyParser::~ReplyParser() = default;

std::vector<ReplyDelta> ReplyParser::add(std::string_view text) {
    if (!stopped()) {
        state_->held += text;
        state_->run(false, false);
    }
    return std::exchange(state_->out, {});
}

std::vector<ReplyDelta> ReplyParser::finish(bool complete) {
    if (!stopped()) {
        state_->run(true, complete);
    }
    if (!stopped()) {
        state_->finish();
    }
    return std::exchange(state_->out, {});
}

bool ReplyParser::stopped() const {
    return state_->scanner.found();
}

const std::string& ReplyParser::stop_string() const {
    return state_->scanner.stop_string();
}

bool ReplyParser::in_reasoning() const {
    return state_->reasoning_first && state_->phase != State::Phase::content;
}

int ReplyParser::tool_calls() const {
    return state_->calls;
}

}  // namespace runtime
