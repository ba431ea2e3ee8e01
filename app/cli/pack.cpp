// keyhole pack: the text that dropping a folder on the window would add.
#include "app/codebase/pack.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#include <unistd.h>

#include "app/cli/commands.h"
#include "app/cli/terminal.h"
#include "app/codebase/budget.h"
#include "app/codebase/ignore.h"
#include "app/json/json.h"
#include "app/paths.h"
#include "runtime/error.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace app {
namespace {

using codebase::FileChoice;
using codebase::FileStatus;

constexpr int kOverBudget = 3;

// Tokens are those of the model named, else of the demo model; without either there are no counts.
std::unique_ptr<runtime::Tokenizer> tokenizer_for(const Options& options) {
    std::string path = options.model;
    if (path.empty()) {
        const auto demo = demo_model();
        if (!demo) {
            std::fprintf(stderr, "keyhole: no model named with -m, so nothing is counted\n");
            return nullptr;
        }
        path = demo->string();
    }
    return std::make_unique<runtime::Tokenizer>(
        runtime::vocabulary_of(*runtime::GgufFile::open(path)));
}

// Whether a pattern speaks of a file: of itself or of a folder that it lies in.
bool covers(const codebase::IgnoreRules& rules, const std::string& path) {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        if (rules.match(path.substr(0, slash), true) == true) {
            return true;
        }
    }
    return rules.match(path, false) == true;
}

// A pattern that speaks of no file is a slip of the pen, and says so.
void for_files(const codebase::ScanResult& scanned,
               const char* flag,
               const std::vector<std::string>& globs,
               const std::function<void(const codebase::ScannedFile&)>& call) {
    for (const std::string& glob : globs) {
        const auto rules = codebase::IgnoreRules::parse(glob);
        bool any = false;
        for (const auto& file : scanned.files) {
            if (covers(rules, file.path)) {
                any = true;
                call(file);
            }
        }
        if (!any) {
            throw UsageError(std::string(flag) + " " + glob + ": no file of the folder is meant");
        }
    }
}

FileChoice& choice_of(codebase::FileChoices& choices,
                      const codebase::ScanResult& scanned,
                      const codebase::ScannedFile& file) {
    const auto [at, is_new] = choices.try_emplace(file.path);
    if (is_new) {
        at->second.status = codebase::default_status(file);
        at->second.secrets = scanned.secrets;
    }
    return at->second;
}

codebase::FileChoices choices_from(const Options& options, const codebase::ScanResult& scanned) {
    codebase::FileChoices choices;
    const auto set = [&](const char* flag, const std::vector<std::string>& globs,
                         FileStatus status) {
        for_files(scanned, flag, globs, [&](const codebase::ScannedFile& file) {
            choice_of(choices, scanned, file).status = status;
        });
    };
    set("--full", options.pack_full, FileStatus::full);
    set("--outline", options.pack_outline, FileStatus::outline);
    set("--name-only", options.pack_name, FileStatus::name);
    set("--leave-out", options.pack_leave_out, FileStatus::left_out);
    for_files(scanned, "--focus", options.pack_focus, [&](const codebase::ScannedFile& file) {
        choice_of(choices, scanned, file).focus = true;
    });
    for (const std::string& lines : options.pack_lines) {
        const size_t colon = lines.rfind(':');
        long long from = 0, to = 0;
        char after = 0;
        if (colon == std::string::npos ||
            std::sscanf(lines.c_str() + colon, ":%lld-%lld%c", &from, &to, &after) != 2 ||
            from < 1 || to < from) {
            throw UsageError("--lines " + lines + ": wanted is FILE:FROM-TO, as in src/a.c:1-200");
        }
        const std::string path = lines.substr(0, colon);
        const auto file = std::find_if(scanned.files.begin(), scanned.files.end(),
                                       [&](const auto& each) { return each.path == path; });
        if (file == scanned.files.end()) {
            throw UsageError("--lines " + lines + ": the folder has no file " + path);
        }
        FileChoice& choice = choice_of(choices, scanned, *file);
        choice.status = FileStatus::full;
        choice.first_line = from;
        choice.last_line = to;
    }
    return choices;
}

// Where the text goes, opened before the work and checked after it.
class Output {
public:
    explicit Output(const std::string& name) : name_(name) {
        if (!name_.empty()) {
            file_.open(name_, std::ios::binary | std::ios::trunc);
            check();
        }
    }
    void write(std::string_view text) {
        if (name_.empty()) {
            std::fwrite(text.data(), 1, text.size(), stdout);
        } else {
            file_.write(text.data(), static_cast<std::streamsize>(text.size()));
        }
    }
    void close() {
        if (!name_.empty()) {
            file_.close();
            check();
        }
    }

private:
    void check() const {
        if (!file_) {
            throw std::runtime_error(name_ + " could not be written");
        }
    }
    std::string name_;
    std::ofstream file_;
};

// Written file by file: of a hundred thousand files, the whole would take more memory than the
// scan.
void write_json(Output& output, const codebase::Pack& pack, int64_t budget) {
    output.write("{\"root\":" + to_text(Json(pack.root)) + ",\"files\":[");
    const char* comma = "";
    for (const auto& file : pack.files) {
        output.write(comma + to_text(Json{{"path", file.path},
                                          {"status", codebase::to_string(file.status)},
                                          {"reason", file.reason},
                                          {"bytes", file.bytes},
                                          {"tokens", file.tokens}}));
        comma = ",";
    }
    output.write("],\"tokens\":" + std::to_string(pack.tokens) +
                 ",\"head_tokens\":" + std::to_string(pack.head_tokens) +
                 ",\"budget\":" + (budget > 0 ? std::to_string(budget) : "null") + "}\n");
}

// Runs the scan beside a bar that shows how far it is.
codebase::ScanResult scan_with_bar(const codebase::ScanSource& source,
                                   const runtime::Tokenizer* tokenizer,
                                   const codebase::ScanOptions& options,
                                   codebase::ScanProgress& progress) {
    if (!is_terminal(STDERR_FILENO)) {
        return codebase::scan(source, tokenizer, options, &progress);
    }
    std::atomic<bool> over{false};
    std::thread watcher([&] {
        ProgressBar classifying("reading "), counting("counting");
        while (!over) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            if (progress.classified_us < 0) {
                classifying.update(progress.classified, progress.found);
            } else {
                counting.update(progress.counted, progress.countable);
            }
        }
    });
    codebase::ScanResult result = codebase::scan(source, tokenizer, options, &progress);
    over = true;
    watcher.join();
    return result;
}

void say_summary(const Options& options,
                 const codebase::Pack& pack,
                 const codebase::ScanProgress& progress,
                 const std::vector<codebase::Proposal>& proposals) {
    const bool over = options.pack_budget > 0 && pack.tokens > options.pack_budget;
    if (options.pack_summary == "json") {
        Json list = Json::array();
        for (const auto& proposal : proposals) {
            list.push_back(
                {{"text", proposal.text}, {"tokens", proposal.tokens}, {"fits", proposal.fits}});
        }
        const auto ms = [](int64_t us) { return static_cast<double>(us) / 1000; };
        const Json summary = {
            {"root", pack.root},
            {"files", pack.files_taken()},
            {"files_found", pack.files.size()},
            {"bytes", pack.bytes},
            {"tokens", pack.tokens},
            {"budget", options.pack_budget > 0 ? Json(options.pack_budget) : Json(nullptr)},
            {"fits", !over},
            {"proposals", list},
            {"note", pack.note},
            {"first_rows_ms", ms(progress.first_rows_us)},
            {"classified_ms", ms(progress.classified_us)},
            {"counted_ms", ms(progress.counted_us)}};
        std::fprintf(stderr, "%s\n", to_text(summary).c_str());
        return;
    }
    std::fprintf(stderr, "%" PRId64 " of %zu files, %" PRId64 " bytes, %" PRId64 " tokens%s\n",
                 pack.files_taken(), pack.files.size(), pack.bytes, pack.tokens,
                 pack.note.empty() ? "" : ("; " + pack.note).c_str());
    if (over) {
        std::fprintf(stderr, "%" PRId64 " tokens more than the budget of %" PRId64 "\n",
                     pack.tokens - options.pack_budget, options.pack_budget);
        for (const auto& proposal : proposals) {
            std::fprintf(stderr, "- %s: %" PRId64 " tokens, %s\n",
                         printable(proposal.text, 400).c_str(), proposal.tokens,
                         proposal.fits ? "fits" : "still too many");
        }
    }
}

}  // namespace

int run_pack(const Options& options) {
    const auto sources = codebase::sources_of({options.pack_folder});
    const auto tokenizer = tokenizer_for(options);
    if (options.pack_budget > 0 && !tokenizer) {
        throw std::runtime_error("--budget needs a model to count with: -m FILE");
    }
    codebase::ScanOptions how;
    how.wrapper.format = options.pack_format == "markdown" ? codebase::PackFormat::markdown
                                                           : codebase::PackFormat::xml;
    how.wrapper.line_numbers = options.pack_line_numbers;
    how.secrets = options.pack_secrets == "allow"       ? codebase::SecretPolicy::allow
                  : options.pack_secrets == "leave-out" ? codebase::SecretPolicy::leave_out
                                                        : codebase::SecretPolicy::mask;
    how.cache = cache_folder();
    codebase::ScanProgress progress;
    const codebase::ScanResult scanned =
        scan_with_bar(sources.front(), tokenizer.get(), how, progress);

    codebase::PackOptions wanted;
    wanted.choices = choices_from(options, scanned);
    Output output(options.output);
    if (options.json || options.list) {
        wanted.counts_only = true;
    } else {
        wanted.write = [&](std::string_view text) { output.write(text); };
    }
    const codebase::Pack pack = codebase::make_pack(scanned, tokenizer.get(), wanted);
    if (options.json) {
        write_json(output, pack, options.pack_budget);
    } else if (options.list) {
        for (const auto& file : pack.files) {
            if (file.status == FileStatus::full || file.status == FileStatus::outline) {
                output.write(file.path + "\n");
            }
        }
    }
    output.close();
    const bool over = options.pack_budget > 0 && pack.tokens > options.pack_budget;
    std::vector<codebase::Proposal> proposals;
    if (over) {
        proposals = codebase::propose(scanned, wanted.choices, *tokenizer, options.pack_budget);
    }
    say_summary(options, pack, progress, proposals);
    return over ? kOverBudget : 0;
}

}  // namespace app
