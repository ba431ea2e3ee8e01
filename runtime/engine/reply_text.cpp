#include "runtime/engine/reply_text.h"

#include <algorithm>

namespace runtime {
namespace {

std::vector<ReplyDelta> as_content(std::string text) {
    std::vector<ReplyDelta> deltas;
    if (!text.empty()) {
        deltas.emplace_back();
        deltas.back().text = std::move(text);
    }
    return deltas;
}

void append(std::vector<ReplyDelta>& to, std::vector<ReplyDelta> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

StopFinder::StopFinder(std::vector<std::string> stop) : stop_(std::move(stop)) {
    std::erase_if(stop_, [](const std::string& s) { return s.empty(); });
}

std::string StopFinder::add(std::string_view text) {
    if (stopped()) {
        return {};
    }
    held_ += text;
    size_t first = std::string::npos;
    for (const std::string& s :
         stop_) {  // the earliest wins; of those that begin together, the first listed
        if (const size_t at = held_.find(s); at < first) {
            first = at;
            found_ = s;
        }
    }
    size_t keep = 0;  // bytes at the end that may begin a stop string
    if (first == std::string::npos) {
        for (const std::string& s : stop_) {
            for (size_t n = std::min(s.size() - 1, held_.size()); n > keep; n--) {
                if (held_.compare(held_.size() - n, n, s, 0, n) == 0) {
                    keep = n;
                }
            }
        }
    }
    std::string out = held_.substr(0, stopped() ? first : held_.size() - keep);
    held_ = stopped() ? std::string() : held_.substr(held_.size() - keep);
    return out;
}

std::string StopFinder::finish() {
    return std::exchange(held_, {});
}

ReplyText::ReplyText(const Tokenizer& tokenizer, const GenerationRequest& request)
    : detokenizer_(tokenizer),
      plain_(request.parse_reply ? std::vector<std::string>() : request.reply.stop) {
    if (request.parse_reply) {
        parser_.emplace(request.reply);
    }
}

std::vector<ReplyDelta> ReplyText::parse(std::string_view text) {
    if (text.empty()) {
        return {};
    }
    return parser_ ? parser_->add(text) : as_content(plain_.add(text));
}

std::vector<ReplyDelta> ReplyText::add(TokenId id) {
    return parse(detokenizer_.add(id));
}

std::vector<ReplyDelta> ReplyText::finish(bool complete) {
    std::vector<ReplyDelta> deltas = parse(detokenizer_.flush());
    append(deltas, parser_ ? parser_->finish(complete) : as_content(plain_.finish()));
    return deltas;
}

bool ReplyText::stopped() const {
    return parser_ ? parser_->stopped() : plain_.stopped();
}

const std::string& ReplyText::stop_string() const {
    return parser_ ? parser_->stop_string() : plain_.stop_string();
}

bool ReplyText::in_reasoning() const {
    return parser_ && parser_->in_reasoning();
}

int ReplyText::tool_calls() const {
    return parser_ ? parser_->tool_calls() : 0;
}

}  // namespace runtime
