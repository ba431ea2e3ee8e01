// keyhole bench: tokens per second of the model alone, without sampling: prompt processing (ppN)
// and generation (tgN), each behind `depth` tokens that are in the cache already; tgN xS generates
// in S sequences in step. On the CPU beside it what a step reads and multiplies at the least, and
// which share of the machine's measured memory bandwidth and peak that is; on a card the launches a
// token takes, and with --profile the time of each kernel in one step.
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/start.h"
#include "app/cli/terminal.h"
#include "app/json/json.h"
#include "kernels/machine_speed.h"
#include "runtime/engine/direct_run.h"

namespace app {
namespace {

struct Result {
    std::string test;
    int64_t depth = 0;
    double mean = 0;
    double stddev = 0;
    double bytes = 0;          // read, and
    double multiply_adds = 0;  // done at the least per second
    double launches = 0;       // of kernels, a token; 0 on the CPU
};

// One step, each of its launches timed.
struct Profile {
    std::string step;
    int64_t depth = 0;
    std::vector<kernels::LaunchTime> kernels;
};

// Any tokens do, but the same ones every time.
std::vector<runtime::TokenId> random_tokens(const runtime::Tokenizer& tokenizer, int64_t count) {
    std::mt19937 random(1);
    std::uniform_int_distribution<runtime::TokenId> any(
        0, static_cast<runtime::TokenId>(tokenizer.vocab_size() - 1));
    std::vector<runtime::TokenId> tokens;
    while (static_cast<int64_t>(tokens.size()) < count) {
        const runtime::TokenId id = any(random);
        if (tokenizer.can_be_sampled(id)) {
            tokens.push_back(id);
        }
    }
    return tokens;
}

class Bench {
public:
    Bench(runtime::DirectRun& run, const Options& options, int64_t sequences, int64_t longest)
        : run_(run),
          sequences_(sequences),
          repetitions_(options.bench_repetitions),
          longest_(longest),
          random_cache_(options.bench_random_cache && sequences == 1),
          tokens_(random_tokens(*run.model().tokenizer, longest * sequences)) {}

    Result prompt(int64_t count, int64_t depth) {
        Result result = measure("pp" + std::to_string(count) + times(), count, depth,
                                [this, count, depth] { forward(depth, count); });
        // Of a token in the middle; the head is for the last one alone, and is counted for all.
        result.multiply_adds = result.mean * run_.work(depth + count / 2, 1).multiply_adds;
        return result;
    }

    Result generate(int64_t count, int64_t depth) {
        Result result =
            measure("tg" + std::to_string(count) + times(), count, depth, [this, count, depth] {
                for (int64_t i = 0; i < count; i++) {
                    forward(depth + i, 1);
                }
            });
        const runtime::TokenWork work = run_.work(depth + count / 2, sequences_);
        const double steps = result.mean / static_cast<double>(sequences_);
        result.bytes = steps * (work.weight_bytes + work.k_bytes);
        result.multiply_adds = steps * work.multiply_adds;
        return result;
    }

    Profile profile(int64_t count, int64_t depth) {
        go_to(depth);
        run_.profile(true);
        forward(depth, count);
        return {count == 1 ? "a token" + times() : std::to_string(count) + " tokens" + times(),
                depth, run_.profile(false)};
    }

private:
    std::string times() const { return sequences_ == 1 ? "" : " x" + std::to_string(sequences_); }

    void go_to(int64_t depth) {
        run_.reset();
        if (depth > 0 && random_cache_) {
            run_.pretend(depth);
        } else if (depth > 0) {
            forward(0, depth);
        }
    }

    // Tokens [at, at + count) of every sequence.
    void forward(int64_t at, int64_t count) {
        step_.clear();
        for (int64_t s = 0; s < sequences_; s++) {
            const auto from = tokens_.begin() + s * longest_ + at;
            step_.insert(step_.end(), from, from + count);
        }
        run_.forward(step_);
    }

    template <typename Work>
    Result measure(std::string test, int64_t count, int64_t depth, Work work) {
        ProgressBar bar(test + " @ " + std::to_string(depth));
        std::vector<double> speeds;
        int64_t launches = 0;
        // The first run warms caches and page tables and does not count.
        for (int64_t i = -1; i < repetitions_; i++) {
            bar.update(i + 1, repetitions_ + 1);
            go_to(depth);
            const int64_t launched = run_.launches();
            const auto start = std::chrono::steady_clock::now();
            work();
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            if (i >= 0) {
                speeds.push_back(static_cast<double>(count * sequences_) / taken.count());
            }
            launches = run_.launches() - launched;
        }
        Result result{std::move(test), depth};
        result.launches = static_cast<double>(launches) / static_cast<double>(count * sequences_);
        for (const double speed : speeds) {
            result.mean += speed / static_cast<double>(speeds.size());
        }
        for (const double speed : speeds) {
            result.stddev += (speed - result.mean) * (speed - result.mean);
        }
        if (speeds.size() > 1) {
            result.stddev = std::sqrt(result.stddev / static_cast<double>(speeds.size() - 1));
        }
        return result;
    }

    runtime::DirectRun& run_;
    const int64_t sequences_, repetitions_, longest_;
    const bool random_cache_;
    std::vector<runtime::TokenId> step_;
    const std::vector<runtime::TokenId> tokens_;
};

// "CPU, 8 threads, AVX2" -> 8: what was used where 0 was asked for.
int64_t thread_count(const std::string& description, int asked) {
    const size_t at = description.find(" thread");
    size_t begin = at;
    while (at != std::string::npos && begin > 0 &&
           std::isdigit(static_cast<unsigned char>(description[begin - 1])) != 0) {
        begin--;
    }
    if (at != std::string::npos && begin < at) {
        return std::stoll(description.substr(begin, at - begin));
    }
    return asked > 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

void print_json(const runtime::DirectRun& run,
                const Options& options,
                const std::vector<Result>& results,
                const std::optional<kernels::MachineSpeed>& machine) {
    Json list = Json::array();
    for (const Result& result : results) {
        Json entry;
        entry["test"] = result.test;
        entry["depth"] = result.depth;
        entry["tokens_per_second"] = result.mean;
        entry["stddev"] = result.stddev;
        entry["bytes_per_second"] = result.bytes;
        entry["multiply_adds_per_second"] = result.multiply_adds;
        if (result.launches > 0) {
            entry["launches_per_token"] = result.launches;
        }
        list.push_back(std::move(entry));
    }
    Json out;
    out["model"] = run.model().config.name;
    out["device"] = run.description();
    out["threads"] = thread_count(run.description(), options.engine.threads);
    out["results"] = std::move(list);
    if (machine) {
        out["machine"]["read_bytes_per_second"] = machine->read_bytes;
        out["machine"]["multiply_adds_per_second"] = machine->multiply_adds;
    }
    out["kv_cache"]["bytes_per_token"] = run.bytes_per_token();
    out["kv_cache"]["v_bytes"] = 0;
    out["kv_cache"]["peak_bytes"] = run.peak_kv_bytes();
    std::printf("%s\n", to_text(out).c_str());
}

std::string share(double part, double whole) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.0f %%", whole > 0 ? 100 * part / whole : 0.0);
    return text;
}

void print_profile(const Profile& profile) {
    int64_t launches = 0;
    double seconds = 0;
    for (const kernels::LaunchTime& kernel : profile.kernels) {
        launches += kernel.launches;
        seconds += kernel.seconds;
    }
    std::printf("\n%s behind %" PRId64 ": %" PRId64 " launches, kernels %.3f ms\n\n",
                profile.step.c_str(), profile.depth, launches, seconds * 1e3);
    std::printf(
        "| kernel | launches | us each | ms | share |\n| --- | ---: | ---: | ---: | ---: |\n");
    for (const kernels::LaunchTime& kernel : profile.kernels) {
        std::printf("| %s | %" PRId64 " | %.1f | %.3f | %s |\n", kernel.kernel.c_str(),
                    kernel.launches, kernel.seconds / static_cast<double>(kernel.launches) * 1e6,
                    kernel.seconds * 1e3, share(kernel.seconds, seconds).c_str());
    }
}

void print_table(const runtime::DirectRun& run,
                 const std::vector<Result>& results,
                 const std::optional<kernels::MachineSpeed>& machine) {
    std::printf("%s, %s, %s\n\n", printable(run.model().config.name).c_str(),
                printable(run.model().config.file_type).c_str(),
                printable(run.description()).c_str());
    const bool launches = !results.empty() && results.front().launches > 0;
    std::printf("| test | depth | tokens/s | +- |%s%s\n| --- | ---: | ---: | ---: |%s%s\n",
                launches ? " launches a token |" : "",
                machine ? " GB/s read | of memory | GMAC/s | of peak |" : "",
                launches ? " ---: |" : "", machine ? " ---: | ---: | ---: | ---: |" : "");
    for (const Result& result : results) {
        std::printf("| %s | %" PRId64 " | %.2f | %.2f |", result.test.c_str(), result.depth,
                    result.mean, result.stddev);
        if (launches) {
            std::printf(" %.1f |", result.launches);
        }
        if (machine) {
            char read[64] = " | |";
            if (result.bytes > 0) {
                std::snprintf(read, sizeof(read), " %.2f | %s |", result.bytes / 1e9,
                              share(result.bytes, machine->read_bytes).c_str());
            }
            std::printf("%s %.1f | %s |", read, result.multiply_adds / 1e9,
                        share(result.multiply_adds, machine->multiply_adds).c_str());
        }
        std::printf("\n");
    }
    if (machine) {
        std::printf(
            "\nthis machine, same threads: %.2f GB/s streaming read, %.0f GMAC/s in q8_0 "
            "products of 512 rows\n",
            machine->read_bytes / 1e9, machine->multiply_adds / 1e9);
    }
    std::printf("\nK cache: %" PRId64 " bytes a token, %s at most, V 0\n", run.bytes_per_token(),
                human_bytes(run.peak_kv_bytes()).c_str());
}

}  // namespace

int run_bench(const Options& options) {
    check_device(options);
    const int64_t deepest =
        *std::max_element(options.bench_depths.begin(), options.bench_depths.end());
    const int64_t longest = deepest + std::max(options.bench_prompt, options.bench_generate);
    // Before the model is there: half of the memory may be its own afterwards.
    std::optional<kernels::MachineSpeed> machine;
    if (options.engine.device == "cpu") {
        machine = kernels::measure_machine(options.engine.threads);
    }
    std::vector<Result> results;
    std::vector<Profile> profiles;
    std::unique_ptr<runtime::DirectRun> run;
    for (const int64_t sequences : options.bench_sequences) {
        runtime::EngineOptions engine = options.engine;
        if (!options.ctx_size_given) {
            engine.ctx_size = (longest + 64) * sequences;
        }
        run = nullptr;
        run = std::make_unique<runtime::DirectRun>(choose_model(options), engine, sequences);
        Bench bench(*run, options, sequences, longest);
        for (const int64_t depth : options.bench_depths) {
            if (options.bench_prompt > 0 && sequences == options.bench_sequences.front()) {
                results.push_back(bench.prompt(options.bench_prompt, depth));
                if (options.bench_profile) {
                    profiles.push_back(bench.profile(options.bench_prompt, depth));
                }
            }
            if (options.bench_generate > 0) {
                results.push_back(bench.generate(options.bench_generate, depth));
                if (options.bench_profile) {
                    profiles.push_back(bench.profile(1, depth));
                }
            }
        }
    }
    if (options.output == "json") {
        print_json(*run, options, results, machine);
    } else {
        print_table(*run, results, machine);
        for (const Profile& profile : profiles) {
            if (!profile.kernels.empty()) {
                print_profile(profile);
            }
        }
    }
    return 0;
}

}  // namespace app
