// POST /v1/completions: text in, text out, without a chat around it. The prompt is taken as it
// stands: markers such as <|user|> in it are the model's special tokens, since whoever comes here
// writes the template by hand; nothing is put before it. With echo and logprobs the prompt itself
// is scored, as evaluation harnesses want.
#include "app/server/answer_run.h"
#include "app/server/chat_answer.h"
#include "app/server/chat_request.h"
#include "app/server/fields.h"
#include "app/server/server_context.h"
#include "runtime/text/unicode.h"

namespace app {
namespace {

constexpr size_t kMaxPrompts = 128;
constexpr int64_t kMaxAnswers = 128;  // prompts times n
constexpr int64_t kDefaultTokens = 16;

using Prompt = std::vector<runtime::TokenId>;

struct CompletionRequest {
    std::vector<Prompt> prompts;     // as the model reads them
    std::vector<std::string> texts;  // as echo gives them back
    int n = 1;
    runtime::SamplingParams sampling;
    std::vector<std::string> stop;
    int64_t max_tokens = kDefaultTokens;
    int logprobs = -1;
    bool echo = false;
    bool stream = false;
    bool include_usage = false;
};

void parse_prompts(const Fields& body,
                   const runtime::Tokenizer& tokenizer,
                   CompletionRequest& request) {
    const auto add_text = [&](const std::string& text) {
        request.prompts.push_back(tokenizer.encode(text, runtime::Special::recognise));
        request.texts.push_back(text);
    };
    const auto add_ids = [&](const Json& list) {
        request.prompts.push_back(parse_token_ids(list, "prompt", tokenizer.vocab_size()));
        request.texts.push_back(tokenizer.decode(request.prompts.back(), true));
    };
    const auto wrong = [] {
        return ApiError::invalid(
            "'prompt' must be a string, an array of strings, an array of token ids, or an array of "
            "such arrays.",
            "prompt");
    };
    const Json* prompt = body.find("prompt");
    if (prompt == nullptr) {
        throw ApiError::invalid("'prompt' is missing.", "prompt");
    }
    if (prompt->is_string()) {
        add_text(prompt->get<std::string>());
    } else if (!prompt->is_array() || prompt->empty()) {
        throw wrong();
    } else if (prompt->front().is_number()) {
        if (prompt->size() > kMaxTokenIds) {
            throw ApiError::invalid("'prompt' has too many token ids.", "prompt");
        }
        add_ids(*prompt);
    } else {
        if (prompt->size() > kMaxPrompts) {
            throw ApiError::invalid(
                "'prompt' may have at most " + std::to_string(kMaxPrompts) + " entries.", "prompt");
        }
        for (const Json& item : *prompt) {
            if (item.is_string() && prompt->front().is_string()) {
                add_text(item.get<std::string>());
            } else if (item.is_array() && prompt->front().is_array() &&
                       item.size() <= kMaxTokenIds) {
                add_ids(item);
            } else {
                throw wrong();
            }
        }
    }
    for (const Prompt& tokens : request.prompts) {
        if (tokens.empty()) {
            throw ApiError::invalid("'prompt' is empty.", "prompt");
        }
    }
}

// Fill in the middle, where the vocabulary has GLM's markers for it.
void add_suffix(const std::string& suffix,
                const runtime::Tokenizer& tokenizer,
                CompletionRequest& request) {
    const auto before = tokenizer.find("<|code_prefix|>");
    const auto behind = tokenizer.find("<|code_suffix|>");
    const auto middle = tokenizer.find("<|code_middle|>");
    if (!before || !behind || !middle) {
        throw ApiError::invalid("'suffix' needs a model with fill-in-the-middle tokens.", "suffix",
                                "unsupported_value");
    }
    if (request.echo) {
        throw ApiError::invalid("'suffix' and 'echo' cannot be used together.", "suffix");
    }
    for (Prompt& prompt : request.prompts) {
        prompt.insert(prompt.begin(), *before);
        prompt.push_back(*behind);
        tokenizer.encode(suffix, runtime::Special::as_text, prompt);
        prompt.push_back(*middle);
    }
}

CompletionRequest parse_completion(const Json& value, const runtime::Tokenizer& tokenizer) {
    const Fields body(value);
    CompletionRequest request;
    body.text("model");
    parse_prompts(body, tokenizer, request);
    request.sampling = parse_sampling(value, tokenizer.vocab_size());
    request.stop = parse_stop(value);
    request.echo = body.flag("echo").value_or(false);
    request.max_tokens = body.integer("max_tokens", -1, kAnyInteger).value_or(kDefaultTokens);
    if (request.max_tokens == 0 && !request.echo) {
        throw ApiError::invalid("'max_tokens' may be 0 only with 'echo'.", "max_tokens");
    }
    request.logprobs = static_cast<int>(body.integer("logprobs", 0, 20).value_or(-1));
    request.n = static_cast<int>(body.integer("n", 1, kMaxAnswers).value_or(1));
    if (static_cast<int64_t>(request.prompts.size()) * request.n > kMaxAnswers) {
        throw ApiError::invalid(
            "'n' times the number of prompts may be at most " + std::to_string(kMaxAnswers) + ".",
            "n");
    }
    const auto best_of = body.integer("best_of", 1, kMaxAnswers);
    if (best_of && *best_of != request.n) {
        throw ApiError::invalid("'best_of' must be 'n': no answers are generated and thrown away.",
                                "best_of", "unsupported_value");
    }
    request.stream = body.flag("stream").value_or(false);
    if (const Json* options = body.object("stream_options")) {
        request.include_usage =
            Fields(*options, "stream_options").flag("include_usage").value_or(false);
    }
    if (const auto suffix = body.text("suffix"); suffix && !suffix->empty()) {
        add_suffix(*suffix, tokenizer, request);
    }
    return request;
}

bool is_whole_text(std::string_view text) {
    while (!text.empty()) {
        const runtime::Utf8Unit unit = runtime::utf8_unit(text);
        if (unit.kind != runtime::Utf8Unit::Kind::character) {
            return false;
        }
        text.remove_prefix(unit.length);
    }
    return true;
}

// The four parallel lists of a choice's "logprobs". Offsets count characters of its text.
class LogprobLists {
public:
    LogprobLists(const runtime::Tokenizer& tokenizer, bool alternatives)
        : tokenizer_(tokenizer), alternatives_(alternatives) {}

    // `shown`: special tokens stand in the text, as they do in an echoed prompt.
    void add_first(runtime::TokenId id) { add(id, nullptr, nullptr, true); }
    void add(const runtime::TokenLogprob& entry, bool shown) {
        Json top = nullptr;
        if (alternatives_) {
            top = Json::object();
            for (const auto& [id, logprob] : entry.top) {
                top[name(id)] = logprob;
            }
            top[name(entry.id)] = entry.logprob;
        }
        add(entry.id, entry.logprob, std::move(top), shown);
    }
    bool empty() const { return tokens_.empty(); }
    // What came since the last call.
    Json take() {
        Json out;
        out["tokens"] = std::exchange(tokens_, Json::array());
        out["token_logprobs"] = std::exchange(logprobs_, Json::array());
        Json top = std::exchange(top_, Json::array());
        out["top_logprobs"] = alternatives_ ? std::move(top) : Json(nullptr);
        out["text_offset"] = std::exchange(offsets_, Json::array());
        return out;
    }

private:
    // As OpenAI writes a token that is no text by itself.
    std::string name(runtime::TokenId id) const {
        const std::string_view bytes = tokenizer_.bytes(id, true);
        if (is_whole_text(bytes)) {
            return std::string(bytes);
        }
        std::string out = "bytes:";
        for (const char c : bytes) {
            char text[8];
            std::snprintf(text, sizeof text, "\\x%02x", static_cast<unsigned char>(c));
            out += text;
        }
        return out;
    }
    void add(runtime::TokenId id, Json logprob, Json top, bool shown) {
        tokens_.push_back(name(id));
        logprobs_.push_back(std::move(logprob));
        top_.push_back(std::move(top));
        offsets_.push_back(characters_);
        for (const char c : tokenizer_.bytes(id, shown)) {
            characters_ += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
        }
    }

    const runtime::Tokenizer& tokenizer_;
    const bool alternatives_;
    Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(),
         offsets_ = Json::array();
    int64_t characters_ = 0;
};

class CompletionRun : public AnswerRun {
public:
    CompletionRun(CompletionRequest request,
                  AnswerHead head,
                  Streams streams,
                  std::shared_ptr<const runtime::Tokenizer> tokenizer)
        : AnswerRun(std::move(streams)),
          request_(std::move(request)),
          head_(std::move(head)),
          tokenizer_(std::move(tokenizer)) {
        for (int i = 0; i < choices(); i++) {
            Choice& choice = choices_.emplace_back(*tokenizer_, request_.logprobs > 0);
            if (request_.echo) {
                choice.text = choice.unsent = request_.texts[prompt_of(i)];
                if (request_.logprobs >= 0) {
                    choice.logprobs.add_first(request_.prompts[prompt_of(i)].front());
                }
            }
        }
    }

    // Each prompt once, however many answers it has.
    runtime::Usage usage() const override {
        runtime::Usage sum;
        for (int i = 0; i < choices(); i++) {
            const runtime::Usage& one = usage_of(i);
            sum.completion_tokens += one.completion_tokens;
            if (i % request_.n == 0) {
                sum.prompt_tokens += one.prompt_tokens;
                sum.cached_tokens += one.cached_tokens;
            }
        }
        return sum;
    }

    std::vector<StreamEvent> opening() override { return {}; }
    std::vector<StreamEvent> closing() override {
        std::vector<StreamEvent> out;
        if (request_.include_usage) {
            Json last = head_json();
            last["choices"] = Json::array();
            last["usage"] = usage_json(usage());
            out.push_back({"", std::move(last)});
        }
        out.push_back({"", nullptr});
        return out;
    }
    Json whole() const override {
        Json list = Json::array();
        for (int i = 0; i < choices(); i++) {
            const Choice& choice = choices_[static_cast<size_t>(i)];
            list.push_back(
                choice_json(i, choice.text, choice.all_logprobs, Json(to_string(reason(i)))));
        }
        Json out = head_json();
        out["choices"] = std::move(list);
        out["usage"] = usage_json(usage());
        out["timings"] = timings_json(usage(), timings());
        return out;
    }

protected:
    void take(int index,
              const runtime::GenerationEvent& event,
              std::vector<StreamEvent>& out) override {
        Choice& choice = choices_[static_cast<size_t>(index)];
        for (const runtime::TokenLogprob& entry : event.logprobs) {
            choice.logprobs.add(entry, event.kind == runtime::GenerationEvent::Kind::progress);
        }
        std::string text = std::exchange(choice.unsent, {});
        for (const runtime::ReplyDelta& delta : event.deltas) {
            text += delta.text;
            choice.text += delta.text;
        }
        if (request_.stream && (!text.empty() || !choice.logprobs.empty())) {
            out.push_back({"", chunk(index, text, nullptr)});
        }
    }
    void ended(int index, std::vector<StreamEvent>& out) override {
        Choice& choice = choices_[static_cast<size_t>(index)];
        if (request_.stream) {
            out.push_back({"", chunk(index, std::exchange(choice.unsent, {}),
                                     Json(to_string(reason(index))))});
        } else if (request_.logprobs >= 0) {
            choice.all_logprobs = choice.logprobs.take();
        }
    }

private:
    struct Choice {
        Choice(const runtime::Tokenizer& tokenizer, bool alternatives)
            : logprobs(tokenizer, alternatives) {}
        std::string text;    // all of it
        std::string unsent;  // of a stream: the echo
        LogprobLists logprobs;
        Json all_logprobs;
    };

    size_t prompt_of(int choice) const { return static_cast<size_t>(choice / request_.n); }

    Json head_json() const {
        Json out;
        out["id"] = head_.id;
        out["object"] = "text_completion";
        out["created"] = head_.created;
        out["model"] = head_.model;
        return out;
    }
    static Json choice_json(int index, const std::string& text, Json logprobs, Json reason) {
        Json choice;
        choice["text"] = text;
        choice["index"] = index;
        choice["logprobs"] = std::move(logprobs);
        choice["finish_reason"] = std::move(reason);
        return choice;
    }
    Json chunk(int index, const std::string& text, Json reason) {
        LogprobLists& lists = choices_[static_cast<size_t>(index)].logprobs;
        Json logprobs = request_.logprobs >= 0 && !lists.empty() ? lists.take() : Json(nullptr);
        Json out = head_json();
        out["choices"] =
            Json::array({choice_json(index, text, std::move(logprobs), std::move(reason))});
        return out;
    }

    CompletionRequest request_;
    AnswerHead head_;
    std::shared_ptr<const runtime::Tokenizer> tokenizer_;
    std::vector<Choice> choices_;
};

}  // namespace

void add_completions(Router& router, ServerContext& context) {
    router.post("/v1/completions", [&context](const httplib::Request& request,
                                              httplib::Response& response) {
        const auto model = context.model();
        CompletionRequest completion = parse_completion(read_body(request), *model->tokenizer);
        const bool stream = completion.stream;
        ClientTicket ticket = context.enter(request);
        AnswerRun::Streams streams;
        for (const Prompt& prompt : completion.prompts) {
            runtime::GenerationRequest generation;
            generation.prompt = prompt;
            generation.sampling = completion.sampling;
            generation.max_tokens = completion.max_tokens;
            generation.parse_reply = false;
            generation.reply.stop = completion.stop;
            generation.logprobs = completion.logprobs;
            generation.prompt_logprobs = completion.echo ? completion.logprobs : -1;
            generation.owner = ticket.client();
            try {
                for (auto& one : context.submit(*model, std::move(generation), completion.n)) {
                    streams.push_back(std::move(one));
                }
            } catch (runtime::RequestError& error) {
                if (error.param == "messages") {
                    error.param = "prompt";
                }
                throw;
            }
        }
        const auto run = std::make_shared<CompletionRun>(
            std::move(completion),
            AnswerHead{random_id("cmpl-"), unix_seconds(), context.model_id(*model)},
            std::move(streams), model->tokenizer);
        run->ticket = std::move(ticket);
        serve_answer(context, request, response, run, stream);
    });
}

}  // namespace app
