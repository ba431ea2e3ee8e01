// keyhole eval: logits of a token list, for comparing engines.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/start.h"
#include "app/cli/terminal.h"
#include "runtime/engine/direct_run.h"
#include "runtime/error.h"

namespace app {
namespace {

constexpr size_t kRowsAtOnce = 256;  // of logits held in memory

std::vector<runtime::TokenId> read_tokens(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    if (!in) {
        throw std::runtime_error(name + " could not be opened");
    }
    std::vector<runtime::TokenId> tokens;
    for (std::string word; in >> word;) {
        runtime::TokenId id = -1;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (error != std::errc() || end != word.data() + word.size() || id < 0) {
            throw std::runtime_error(name + ": '" + printable(word, 40) + "' is not a token id");
        }
        tokens.push_back(id);
    }
    if (tokens.empty()) {
        throw std::runtime_error(name + " holds no token ids");
    }
    return tokens;
}

runtime::TokenId likeliest(std::span<const float> logits) {
    return static_cast<runtime::TokenId>(std::max_element(logits.begin(), logits.end()) -
                                         logits.begin());
}

}  // namespace

int run_eval(const Options& options) {
    check_device(options);
    if (options.logits_file.empty() && options.greedy == 0) {
        throw UsageError("eval has nothing to do: --logits FILE or --greedy N");
    }
    const auto tokens = read_tokens(options.tokens_file);
    runtime::DirectRun run(options.model, options.engine);
    const int64_t vocab = run.model().config.vocab;
    for (const runtime::TokenId id : tokens) {
        if (id >= vocab) {
            throw std::runtime_error("token id " + std::to_string(id) +
                                     " is outside the vocabulary of " + std::to_string(vocab));
        }
    }

    std::ofstream out;
    if (!options.logits_file.empty()) {
        out.open(options.logits_file, std::ios::binary | std::ios::trunc);
        if (!out) {
            throw std::runtime_error(options.logits_file + " could not be written");
        }
    }
    ProgressBar bar("evaluating");
    runtime::TokenId next = 0;
    for (size_t at = 0; at < tokens.size(); at += kRowsAtOnce) {
        const size_t count = std::min(kRowsAtOnce, tokens.size() - at);
        const auto logits = run.forward(std::span(tokens).subspan(at, count), out.is_open());
        if (out.is_open()) {
            out.write(reinterpret_cast<const char*>(logits.data()),
                      static_cast<std::streamsize>(logits.size_bytes()));
        }
        next = likeliest(logits.last(static_cast<size_t>(vocab)));
        bar.update(static_cast<int64_t>(at + count), static_cast<int64_t>(tokens.size()));
    }
    if (out.is_open()) {
        out.close();
        if (!out) {
            throw std::runtime_error(options.logits_file + " could not be written");
        }
    }
    bar.clear();
    for (int64_t i = 0; i < options.greedy; i++) {
        std::printf("%s%d", i > 0 ? " " : "", next);
        if (i + 1 < options.greedy) {
            next = likeliest(run.forward(std::span(&next, 1)));
        }
    }
    if (options.greedy > 0) {
        std::printf("\n");
    }
    return 0;
}

}  // namespace app
