// Options: what a command line says. One table of flags (options.cpp) drives parsing, --help and
// the suggestions for a mistyped flag. Knows nothing of models; opens no file. Values are checked
// for form and range here, so the commands rely on them.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"
#include "runtime/engine/engine_thread.h"

namespace app {

enum class Command { window, serve, chat, inspect, plan, eval, bench, synth, pack, pull };

std::string_view to_string(Command command);

// Wrong usage: exit status 2. The text names the flag and, where one is near, the flag that was
// probably meant.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Options {
    Command command = Command::window;
    bool show_help = false;
    bool show_version = false;

    std::string model;                 // -m or the positional one; empty: none was named
    std::vector<std::string> folders;  // window: what to add to the first conversation

    runtime::EngineOptions engine;  // -c -ctk -ncmoe -t -tb -b -ub -np --device --vram --no-mmap
    bool ctx_size_given = false;
    bool device_given = false;
    std::string gpu_layers;  // -ngl as given: "auto", "all" or a number; empty: not given
    std::string log_level;       // checked; already applied by main

    // serve, window
    std::string host = "127.0.0.1";
    int port = 8080;
    bool port_given = false;
    std::vector<std::string>
        api_keys;  // --api-key; KEYHOLE_API_KEY is added by whoever starts the server
    std::vector<std::string> allow_origins;
    std::vector<std::string> allow_hosts;
    int max_per_client = 0;  // requests of one client under way; 0: no limit
    std::string alias;

    // serve, chat: another engine in the place of this one; empty: none
    std::string remote;
    std::string remote_key;    // KEYHOLE_REMOTE_KEY is read by whoever uses it
    std::string remote_model;  // empty: the first that it lists
    int64_t remote_timeout_s = 600;

    // chat
    std::optional<std::string> prompt;  // -p
    std::string prompt_file;            // -f; "-" is standard input
    std::vector<std::string> contexts;  // --context
    std::string system;
    bool think = true;
    int64_t max_tokens = -1;           // -n
    runtime::SamplingParams sampling;  // --temp --top-p --top-k --min-p --seed

    // eval
    std::string tokens_file;
    std::string logits_file;
    int64_t greedy = 0;

    // bench
    int64_t bench_prompt = 512;
    int64_t bench_generate = 128;
    std::vector<int64_t> bench_depths = {0};
    std::vector<int64_t> bench_sequences = {1};
    int64_t bench_repetitions = 5;
    bool bench_profile = false;
    bool bench_random_cache = false;

    std::string output;  // bench: "md" or "json"; pack: a file; synth: the positional file

    // synth
    std::string preset = "small";
    std::string weight_type = "q4_k_m";
    uint64_t synth_seed = 1;
    bool synth_words = false;

    // pack, plan
    bool json = false;
    bool list = false;
    std::string pack_folder;
    int64_t pack_budget = 0;              // tokens; 0: none
    std::string pack_format = "xml";      // or "markdown"
    std::string pack_summary = "text";    // or "json"
    std::string pack_secrets = "mask";    // "leave-out", "allow"
    bool pack_line_numbers = false;
    std::vector<std::string> pack_outline, pack_name, pack_leave_out, pack_full, pack_focus;  // globs
    std::vector<std::string> pack_lines;  // "FILE:FROM-TO"

    std::string pull_name;
};

// `arguments` without the program's name. Throws UsageError.
Options parse_options(const std::vector<std::string>& arguments);

// What `keyhole COMMAND --help` prints; for the window, the overview of all commands.
std::string help_text(Command command);

// "24GiB", "24G", "24g", "1.5G" are binary; "24GB" is decimal; a bare number is bytes. Nothing: not
// a size.
std::optional<int64_t> parse_size(std::string_view text);

// The word of `candidates` that a person probably meant: at most a third of its letters off. Empty:
// none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace app
