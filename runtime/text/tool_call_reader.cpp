#include "runtime/text/tool_call_reader.h"

#include <algorithm>

#include "runtime/text/json_scan.h"

namespace runtime {
namespace {

using Tag = ToolCallReader::Tag;

constexpr std::string_view kSpace = " \t\r\n\v\f";

struct Spelling {
    Tag tag;
    std::string_view text;
};
constexpr Spelling kTags[] = {{Tag::call, "<tool_call>"},  {Tag::end_call, "</tool_call>"},
                              {Tag::key, "<arg_key>"},     {Tag::end_key, "</arg_key>"},
                              {Tag::value, "<arg_value>"}, {Tag::end_value, "</arg_value>"}};

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

}  // namespace

Tag tag_at(std::string_view text) {
    bool partial = false;
    for (const Spelling& spelling : kTags) {
        if (text.starts_with(spelling.text)) {
            return spelling.tag;
        }
        partial = partial || spelling.text.starts_with(text);
    }
    return partial ? Tag::partial : Tag::none;
}

size_t tag_length(Tag tag) {
    for (const Spelling& spelling : kTags) {
        if (spelling.tag == tag) {
            return spelling.text.size();
        }
    }
    return 0;
}

ToolCallReader::Result ToolCallReader::read(std::string_view text, bool end) {
    for (;;) {
        switch (step(text, end)) {
            case Outcome::next:
                break;
            case Outcome::more:
                return end ? Result::not_a_call : Result::more;
            case Outcome::call:
                return Result::call;
            case Outcome::not_a_call:
                return Result::not_a_call;
        }
    }
}

ToolCallReader::Outcome ToolCallReader::step(std::string_view text, bool end) {
    switch (step_) {
        case Step::name:
            return read_name(text, end);
        case Step::after_name:
            return read_after_name(text, end);
        case Step::key:
        case Step::bare_key:
            return read_key(text, end);
        case Step::after_key:
            return read_after_key(text, end);
        case Step::value:
            return read_value(text, end);
        case Step::bare_value:
            return read_bare_value(text, end);
        case Step::between:
            return read_between(text, end);
    }
    return Outcome::not_a_call;
}

ToolCallReader::Outcome ToolCallReader::read_name(std::string_view text, bool end) {
    if (!skip_space(text)) {
        return Outcome::more;
    }
    const size_t name_end = text.find_first_of(" \t\r\n\v\f<", at_);
    const std::string_view word = text.substr(at_, name_end - at_);
    const bool whole = name_end != std::string_view::npos || end;
    bool possible = false;
    for (const ToolSignature& tool : tools_) {
        if (whole && tool.name == word) {
            tool_ = &tool;
            go(Step::after_name, at_ + word.size());
            return Outcome::next;
        }
        possible = possible || tool.name.starts_with(word);
    }
    return possible && !whole ? Outcome::more : Outcome::not_a_call;
}

ToolCallReader::Outcome ToolCallReader::read_after_name(std::string_view text, bool end) {
    // Like `between`, but only tags that a call can go on with: a name in running text is not a
    // call.
    if (skip_space(text)) {
        const Tag tag = tag_at(text.substr(at_));
        if (tag != Tag::partial && tag != Tag::key && tag != Tag::end_call && tag != Tag::call) {
            return Outcome::not_a_call;
        }
    }
    return read_between(text, end);
}

ToolCallReader::Outcome ToolCallReader::read_between(std::string_view text, bool end) {
    if (!skip_space(text)) {
        return end && has_required() ? Outcome::call : Outcome::more;
    }
    const Tag tag = text[at_] == '<' ? tag_at(text.substr(at_)) : Tag::none;
    switch (tag) {
        case Tag::key:
            go(Step::key, at_ + tag_length(tag));
            return Outcome::next;
        case Tag::end_call:
            at_ += tag_length(tag);
            return Outcome::call;
        case Tag::call:
            return Outcome::call;
        case Tag::end_key:
        case Tag::end_value:
            go(Step::between, at_ + tag_length(tag));
            return Outcome::next;
        case Tag::value:
            return Outcome::not_a_call;
        case Tag::none:
            go(Step::bare_key, at_);
            return Outcome::next;
        case Tag::partial:
            break;
    }
    if (!end) {
        return Outcome::more;
    }
    // The reply ends inside a tag: </tool_call> if it can be that.
    if (std::string_view("</tool_call>").starts_with(text.substr(at_)) && has_required()) {
        at_ = text.size();
        return Outcome::call;
    }
    return Outcome::not_a_call;
}

ToolCallReader::Outcome ToolCallReader::read_key(std::string_view text, bool end) {
    const Found found = next_tag(text, end);
    if (found.tag == Tag::none || found.tag == Tag::partial) {
        return Outcome::more;
    }
    const bool mismatched = found.tag == Tag::value || found.tag == Tag::end_value;
    if (found.tag != Tag::end_key && (step_ == Step::bare_key || !mismatched)) {
        return Outcome::not_a_call;
    }
    key_ = trimmed(text.substr(at_, found.at - at_));
    go(Step::after_key, found.at + (found.tag == Tag::value ? 0 : tag_length(found.tag)));
    return Outcome::next;
}

ToolCallReader::Outcome ToolCallReader::read_after_key(std::string_view text, bool end) {
    if (!skip_space(text)) {
        return Outcome::more;
    }
    const Tag tag = text[at_] == '<' ? tag_at(text.substr(at_)) : Tag::none;
    switch (tag) {
        case Tag::value:
            go(Step::value, at_ + tag_length(tag));
            return Outcome::next;
        case Tag::end_key:
            go(Step::after_key, at_ + tag_length(tag));
            return Outcome::next;
        case Tag::end_value:
            finish_value({}, at_ + tag_length(tag));
            return Outcome::next;
        case Tag::none:
            go(Step::bare_value, at_);
            return Outcome::next;
        case Tag::partial:
            return end ? Outcome::not_a_call : Outcome::more;
        default:
            return Outcome::not_a_call;
    }
}

ToolCallReader::Outcome ToolCallReader::read_value(std::string_view text, bool end) {
    for (;;) {
        const Found found = next_tag(text, end);
        const bool unknown = found.tag == Tag::none || found.tag == Tag::partial;
        begun_ = begun_ || (std::min(cut_, found.at) > at_ && reads_declared_string());
        if (found.tag == Tag::end_value) {
            finish_value(text.substr(at_, found.at - at_), found.at + tag_length(found.tag));
            return Outcome::next;
        }
        if (cut_ != std::string_view::npos && (found.tag == Tag::value || (unknown && end))) {
            finish_value(text.substr(at_, cut_ - at_), cut_);
            return Outcome::next;
        }
        if (unknown) {
            return Outcome::more;
        }
        if (found.tag != Tag::value) {
            cut_ = std::min(cut_, found.at);
        }
        scan_ = found.at + tag_length(found.tag);
    }
}

ToolCallReader::Outcome ToolCallReader::read_bare_value(std::string_view text, bool end) {
    const Found found = next_tag(text, end);
    if (found.tag == Tag::none || found.tag == Tag::partial) {
        return Outcome::more;
    }
    if (found.tag == Tag::value) {
        return Outcome::not_a_call;
    }
    finish_value(text.substr(at_, found.at - at_), found.at);
    return Outcome::next;
}

bool ToolCallReader::skip_space(std::string_view text) {
    at_ = std::min(text.find_first_not_of(kSpace, at_), text.size());
    return at_ < text.size();
}

ToolCallReader::Found ToolCallReader::next_tag(std::string_view text, bool end) {
    for (;;) {
        scan_ = std::min(text.find('<', scan_), text.size());
        if (scan_ == text.size()) {
            return {scan_, Tag::none};
        }
        const Tag tag = tag_at(text.substr(scan_));
        if (tag == Tag::none || (tag == Tag::partial && end)) {
            scan_++;
            continue;
        }
        return {scan_, tag};
    }
}

void ToolCallReader::go(Step step, size_t at) {
    step_ = step;
    at_ = scan_ = at;
    cut_ = std::string_view::npos;
}

void ToolCallReader::finish_value(std::string_view value, size_t at) {
    const auto& declared = tool_->parameters;
    const auto parameter = std::find_if(declared.begin(), declared.end(),
                                        [&](const auto& p) { return p.name == key_; });
    const bool is_text = parameter != declared.end() && parameter->is_string;
    const bool is_string = is_text || !is_json(value);
    if (keys_.insert(key_).second) {
        arguments_.push_back({key_, std::string(is_string ? value : trimmed(value)), is_string});
    }
    go(Step::between, at);
}

bool ToolCallReader::has_required() const {
    return std::all_of(tool_->parameters.begin(), tool_->parameters.end(),
                       [&](const auto& p) { return !p.required || keys_.count(p.name) != 0; });
}

bool ToolCallReader::reads_declared_string() const {
    return step_ == Step::value && keys_.count(key_) == 0 &&
           std::any_of(tool_->parameters.begin(), tool_->parameters.end(),
                       [&](const auto& p) { return p.is_string && p.name == key_; });
}

std::string_view ToolCallReader::open_text(std::string_view text) const {
    return reads_declared_string() ? text.substr(at_, std::min(cut_, scan_) - at_)
                                   : std::string_view();
}

size_t ToolCallReader::read_length(std::string_view text) const {
    return reads_declared_string() ? std::min({cut_, scan_, text.size()}) : std::min(at_, text.size());
}

}  // namespace runtime
