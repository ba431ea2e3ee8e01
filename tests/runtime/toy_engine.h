// ToyModel: a forward function whose logits depend on every token of a sequence, read back through
// its pages. A page that is shared wrongly, lost, or written twice therefore changes a text.
// Instant, deterministic, batch-invariant.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/engine/engine.h"
#include "runtime/error.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace tests {

inline const char* const kNano = TESTS_DIR "/golden/model/nano-f32.gguf";

inline std::shared_ptr<const runtime::Tokenizer> nano_tokenizer() {
    static const auto tokenizer = std::make_shared<const runtime::Tokenizer>(
        runtime::vocabulary_of(*runtime::GgufFile::open(kNano)));
    return tokenizer;
}

class ToyModel {
public:
    static constexpr int64_t kVocab = 384;

    explicit ToyModel(int64_t pool_pages)
        : memory_(static_cast<size_t>(pool_pages), std::vector<int64_t>(64, kEmpty)) {}

    std::span<const float> operator()(const runtime::Batch& batch) {
        if (fail_at_pass == passes) {
            throw std::logic_error("toy failure");
        }
        passes++;
        largest_pass = std::max(largest_pass, batch.n_tokens());
        tokens_computed += batch.n_tokens();
        logits_.clear();
        size_t wanted = 0;
        int64_t row = 0;
        for (const kernels::SequenceSpan& span : batch.spans) {
            if (span.first_row != row || span.n_tokens <= 0) {
                throw std::logic_error("spans do not cover the rows");
            }
            for (int64_t i = 0; i < span.n_tokens; i++, row++) {
                write(span, span.start + i, batch.token_ids.at(static_cast<size_t>(row)));
            }
        }
        if (row != batch.n_tokens()) {
            throw std::logic_error("rows without a span");
        }
        for (const kernels::SequenceSpan& span : batch.spans) {
            for (int64_t i = 0; i < span.n_tokens; i++) {
                if (wanted < batch.logit_rows.size() &&
                    batch.logit_rows[wanted] == span.first_row + i) {
                    wanted++;
                    emit(span, span.start + i);
                }
            }
        }
        if (on_pass) {
            on_pass(batch);
        }
        return logits_;
    }

    void copy_rows(int32_t from, int32_t to, int64_t rows) {
        const auto& source = memory_.at(static_cast<size_t>(from));
        std::copy_n(source.begin(), rows, memory_.at(static_cast<size_t>(to)).begin());
        rows_copied += rows;
    }

    int64_t rows_copied = 0;
    int64_t passes = 0, largest_pass = 0, tokens_computed = 0;
    int64_t fail_at_pass = -1;
    int64_t end_after = -1;  // end of turn once a sequence has this many tokens
    std::function<void(const runtime::Batch&)> on_pass;

private:
    static constexpr int64_t kEmpty = -1;

    int64_t& slot(const kernels::SequenceSpan& span, int64_t position) {
        const int32_t page = span.page_table[static_cast<size_t>(position / 64)];
        return memory_.at(static_cast<size_t>(page)).at(static_cast<size_t>(position % 64));
    }

    void write(const kernels::SequenceSpan& span, int64_t position, int32_t token) {
        slot(span, position) = token;
    }

    void emit(const kernels::SequenceSpan& span, int64_t last) {
        uint64_t hash = 1469598103934665603U;
        for (int64_t p = 0; p <= last; p++) {
            hash = (hash ^ static_cast<uint64_t>(slot(span, p) + 7)) * 1099511628211U;
            hash ^= hash >> 29;
        }
        const bool end = end_after >= 0 && last + 1 >= end_after;
        for (int64_t w = 0; w < kVocab; w++) {
            uint64_t x = (hash + static_cast<uint64_t>(w)) * 0x9E3779B97F4A7C15U;
            x ^= x >> 32;
            // Printable ASCII, so that each token shows at once; no end of turn unless it is due.
            const bool ordinary = w < 94;
            logits_.push_back(ordinary ? static_cast<float>(x % 10007) / 1500.0F : -100.0F);
        }
        if (end) {
            const auto eot = nano_tokenizer()->end_of_turn().front();
            logits_[logits_.size() - kVocab + static_cast<size_t>(eot)] = 1000;
        }
    }

    std::vector<std::vector<int64_t>> memory_;  // token of each slot of each page
    std::vector<float> logits_;
};

// What a reader saw of one generation.
struct Reply {
    std::string content, reasoning;
    std::vector<runtime::TokenId> tokens;
    std::vector<int64_t> progress;
    std::optional<runtime::GenerationEvent> end;
    int terminal_events = 0;

    // Takes what is there now.
    void read(runtime::GenerationStream& stream) {
        while (auto event = stream.try_next()) {
            take(*event);
        }
    }
    void take(const runtime::GenerationEvent& event) {
        using Kind = runtime::GenerationEvent::Kind;
        if (event.terminal()) {
            terminal_events++;
            end = event;
        } else if (event.kind == Kind::progress) {
            progress.push_back(event.prompt_done);
        }
        for (const auto& delta : event.deltas) {
            (delta.kind == runtime::ReplyDelta::Kind::reasoning ? reasoning : content) +=
                delta.text;
        }
        tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
    }
    bool is(runtime::GenerationEvent::Kind kind) const {
        return terminal_events == 1 && end && end->kind == kind;
    }
    bool finished(runtime::FinishReason reason) const {
        return is(runtime::GenerationEvent::Kind::finished) && end->reason == reason;
    }
};

}  // namespace tests
