#include "app/codebase/budget.h"

#include <algorithm>
#include <numeric>

#include "app/codebase/decode.h"
#include "app/codebase/outline.h"

namespace app::codebase {
namespace {

constexpr size_t kMaxOutlined = 300;  // files that are read for one proposal

std::string files_text(size_t files) {
    return std::to_string(files) + (files == 1 ? " file" : " files");
}

class Proposer {
public:
    Proposer(const ScanResult& scanned,
             const FileChoices& chosen,
             const runtime::Tokenizer& tokenizer,
             int64_t budget,
             ScanProgress* progress)
        : scanned_(scanned),
          chosen_(chosen),
          tokenizer_(tokenizer),
          budget_(budget),
          progress_(progress) {}

    std::vector<Proposal> run() {
        FileChoices without = chosen_;
        size_t tests = 0;
        for (const ScannedFile& file : scanned_.files) {
            if (status_of(file, chosen_) == FileStatus::full && is_test_path(file.path)) {
                without[file.path].status = FileStatus::name;
                tests++;
            }
        }
        bool fits = tests > 0 && add("tests, examples and documentation by name only (" +
                                         files_text(tests) + ")",
                                     without);
        if (!fits) {
            fits = outlines("", chosen_);
        }
        if (!fits && tests > 0) {
            fits = outlines("tests, examples and documentation by name only, and ", without);
        }
        if (!fits && !slice("", chosen_) && tests > 0) {
            slice("tests, examples and documentation by name only, and ", without);
        }
        return std::move(proposals_);
    }

private:
    static FileStatus status_of(const ScannedFile& file, const FileChoices& choices) {
        const auto at = choices.find(file.path);
        return at == choices.end() ? default_status(file) : at->second.status;
    }

    int64_t tokens_of(const FileChoices& choices) const {
        PackOptions options;
        options.choices = choices;
        options.counts_only = true;
        return make_pack(scanned_, &tokenizer_, options, progress_).tokens;
    }

    bool add(const std::string& text, const FileChoices& choices) {
        const int64_t tokens = tokens_of(choices);
        proposals_.push_back({text, choices, tokens, tokens <= budget_});
        return tokens <= budget_;
    }

    // The outlines of the largest files, as many as it takes.
    bool outlines(const std::string& before, FileChoices choices) {
        std::vector<const ScannedFile*> largest;
        for (const ScannedFile& file : scanned_.files) {
            if (status_of(file, choices) == FileStatus::full && file.tokens > 200) {
                largest.push_back(&file);
            }
        }
        std::stable_sort(largest.begin(), largest.end(),
                         [](const auto* a, const auto* b) { return a->tokens > b->tokens; });
        int64_t excess = tokens_of(choices) - budget_;
        size_t outlined = 0;
        for (size_t i = 0; i < std::min(largest.size(), kMaxOutlined) && excess > 0; i++) {
            const ScannedFile& file = *largest[i];
            const FileText read = read_file_text(scanned_.source.root, file.path, scanned_.secrets);
            const auto outline = outline_of(file.path, read.text);
            if (!outline) {
                continue;
            }
            const int64_t tokens =
                count_tokens(tokenizer_, make_element(scanned_.wrapper, printable_path(file.path),
                                                      *outline, {"outline", 0, 0, {}}));
            if (tokens < file.tokens) {
                choices[file.path].status = FileStatus::outline;
                excess -= file.tokens - tokens;
                outlined++;
            }
        }
        return outlined > 0 && add(before + "outlines instead of the text of the largest (" +
                                       files_text(outlined) + ")",
                                   choices);
    }

    // A file that is larger than everything there is room for.
    bool slice(const std::string& before, const FileChoices& chosen) {
        const auto& files = scanned_.files;
        const auto largest =
            std::max_element(files.begin(), files.end(), [&](const auto& a, const auto& b) {
                const auto weight = [&](const ScannedFile& file) {
                    return status_of(file, chosen) == FileStatus::full ? file.tokens : -1;
                };
                return weight(a) < weight(b);
            });
        if (largest == files.end() || largest->tokens <= budget_) {
            return false;
        }
        FileChoices choices = chosen;
        choices[largest->path].status = FileStatus::name;
        const int64_t room = budget_ - tokens_of(choices);
        const int64_t last = lines_that_fit(scanned_, *largest, tokenizer_, room);
        if (last <= 0) {
            return false;
        }
        FileChoice& choice = choices[largest->path];
        choice = {};
        choice.first_line = 1;
        choice.last_line = last;
        return add(
            before + "lines 1-" + std::to_string(last) + " of " + printable_path(largest->path),
            choices);
    }

    const ScanResult& scanned_;
    const FileChoices& chosen_;
    const runtime::Tokenizer& tokenizer_;
    int64_t budget_;
    ScanProgress* progress_;
    std::vector<Proposal> proposals_;
};

}  // namespace

int64_t lines_that_fit(const ScanResult& scanned,
                       const ScannedFile& file,
                       const runtime::Tokenizer& tokenizer,
                       int64_t tokens) {
    const std::string text =
        read_file_text(scanned.source.root, file.path, scanned.secrets, kMaxAskedBytes).text;
    int64_t line = 0, last = 0;
    const std::string path = printable_path(file.path);
    int64_t used = 0;
    for (size_t at = 0; at < text.size();) {
        // A few lines at a time: the counts of lines add up to no less than the whole's.
        const size_t begin = at;
        for (int i = 0; i < 16 && at < text.size(); i++, line++) {
            at = std::min(text.find('\n', at), text.size() - 1) + 1;
        }
        used += tokenizer.count(std::string_view(text).substr(begin, at - begin));
        const int64_t frame =
            count_tokens(tokenizer, make_element(scanned.wrapper, path, "x\n", {"", 1, line, {}}));
        if (used + frame > tokens) {
            break;
        }
        last = line;
    }
    return last;
}

std::vector<Proposal> propose(const ScanResult& scanned,
                              const FileChoices& chosen,
                              const runtime::Tokenizer& tokenizer,
                              int64_t budget,
                              ScanProgress* progress) {
    return Proposer(scanned, chosen, tokenizer, budget, progress).run();
}

}  // namespace app::codebase
