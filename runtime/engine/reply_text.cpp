#include "runtime/engine/reply_text.h"

#include <iterator>
#include <utility>

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
    append(deltas, parser_ ? parser_->finish(complete) : as_content(plain_.flush()));
    return deltas;
}

bool ReplyText::stopped() const {
    return parser_ ? parser_->stopped() : plain_.found();
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
