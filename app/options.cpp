#include "app/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>

#include "runtime/log.h"

namespace app {
namespace {

using enum Command;

constexpr unsigned bit(Command command) {
    return 1U << static_cast<unsigned>(command);
}
template <typename... Commands>
constexpr unsigned of(Commands... commands) {
    return (bit(commands) | ...);
}

constexpr unsigned kLoadsModel = of(window, serve, chat, plan, eval, bench);
constexpr unsigned kServes = of(window, serve);
constexpr unsigned kAll = ~0U;

struct CommandInfo {
    Command command;
    const char* name;
    const char* usage;
    const char* purpose;
};

constexpr CommandInfo kCommands[] = {
    {window, "window", "keyhole [MODEL.gguf] [FOLDER...]",
     "the desktop window, with the HTTP server inside it"},
    {serve, "serve", "keyhole serve [-m MODEL.gguf]", "the HTTP server alone"},
    {chat, "chat", "keyhole chat [-m MODEL.gguf] [-p PROMPT] [-f FILE] [--context DIR]",
     "one answer, or a conversation in the terminal"},
    {plan, "plan", "keyhole plan MODEL.gguf",
     "where every byte will go, before anything is loaded"},
    {inspect, "inspect", "keyhole inspect MODEL.gguf",
     "metadata, tensors, what is recognised, problems"},
    {pack, "pack", "keyhole pack DIR", "the text that dropping DIR on the window would add"},
    {bench, "bench", "keyhole bench [-m MODEL.gguf]",
     "speed: prompt processing and generation at depths"},
    {synth, "synth", "keyhole synth OUT.gguf", "a model of the real shape with random weights"},
    {eval, "eval", "keyhole eval -m MODEL.gguf --tokens FILE",
     "logits of a token list, for comparing engines"},
    {pull, "pull", "keyhole pull NAME", "fetch a model (not part of this version)"},
};

const CommandInfo& info(Command command) {
    for (const CommandInfo& entry : kCommands) {
        if (entry.command == command) {
            return entry;
        }
    }
    return kCommands[0];
}

// --- values: each throws UsageError naming the flag as it was typed

[[noreturn]] void bad_value(std::string_view flag,
                            std::string_view value,
                            const std::string& wanted) {
    throw UsageError(std::string(flag) + ": '" + std::string(value) + "' is not " + wanted);
}

int64_t integer(std::string_view flag, std::string_view value, int64_t least, int64_t most) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < least ||
        number > most) {
        bad_value(
            flag, value,
            "a whole number from " + std::to_string(least) +
                (most == std::numeric_limits<int64_t>::max() ? " up"
                                                             : " to " + std::to_string(most)));
    }
    return number;
}

// "1,4,8"
std::vector<int64_t> integers(std::string_view flag,
                              std::string_view value,
                              int64_t least,
                              int64_t most) {
    std::vector<int64_t> list;
    for (size_t at = 0; at <= value.size();) {
        const size_t comma = std::min(value.find(',', at), value.size());
        list.push_back(integer(flag, value.substr(at, comma - at), least, most));
        at = comma + 1;
    }
    return list;
}

float real(std::string_view flag, std::string_view value, float least, float most) {
    float number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(number) ||
        number < least || number > most) {
        bad_value(flag, value,
                  "a number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return number;
}

std::string one_of(std::string_view flag,
                   std::string_view value,
                   const std::vector<std::string>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
        std::string list;
        for (const std::string& word : allowed) {
            list += (list.empty() ? "" : word == allowed.back() ? " or " : ", ") + word;
        }
        const std::string near = nearest(value, allowed);
        bad_value(flag, value,
                  "one of " + list + (near.empty() ? "" : "; did you mean " + near + "?"));
    }
    return std::string(value);
}

std::string not_empty(std::string_view flag, std::string_view value, const char* what) {
    if (value.empty()) {
        bad_value(flag, value, what);
    }
    return std::string(value);
}

// --- the table

struct Flag {
    const char* names;  // separated by spaces, the short one first
    const char* value;  // what --help calls it; null: the flag takes none
    unsigned commands;
    const char* help;
    void (*apply)(Options& options, std::string_view flag, std::string_view value);
};

constexpr int64_t kAnyNumber = std::numeric_limits<int64_t>::max();
constexpr int64_t kManyTokens = int64_t{1} << 31;

// One row per flag; the formatter would tear the rows apart.
// clang-format off
#define SET [](Options & o, [[maybe_unused]] std::string_view flag, [[maybe_unused]] std::string_view value)

const Flag kFlags[] = {
    {"-h --help", nullptr, kAll, "this text", SET { o.show_help = true; }},
    {"--version", nullptr, kAll, "the version", SET { o.show_version = true; }},
    {"--log-level", "L", kAll, "error, warning (default), info or debug",
     SET {
         runtime::LogLevel level{};
         if (!runtime::parse_log_level(value, level)) {
             bad_value(flag, value, "one of error, warning, info or debug");
         }
         o.log_level = value;
     }},

    {"-m --model", "FILE", kLoadsModel | of(inspect, pack), "the model, a GGUF file; without one, the demo model",
     SET { o.model = not_empty(flag, value, "a file name"); }},
    {"-c --ctx-size", "N", kLoadsModel, "tokens a conversation may hold; 0 = what fits",
     SET {
         o.engine.ctx_size = integer(flag, value, 0, kManyTokens);
         o.ctx_size_given = true;
     }},
    {"-ngl --gpu-layers --n-gpu-layers", "N|auto|all", kLoadsModel, "layers on the graphics card",
     SET {
         if (value != "auto" && value != "all") {
             integer(flag, value, -1, 1'000'000);
         }
         o.gpu_layers = value;
     }},
    {"-ncmoe --n-cpu-moe", "N", kLoadsModel, "layers whose experts stay on the CPU; without it, as few as fit",
     SET { o.engine.cpu_moe_layers = integer(flag, value, 0, 1'000'000); }},
    {"-ctk --cache-type-k", "T", kLoadsModel,
     "K cache in f16, bf16, f32, q8_0, q4_0, or q8_latent (rotary part in f16); without it, chosen by the room",
     SET {
         one_of(flag, value, {"f16", "bf16", "f32", "q8_0", "q4_0", "q8_latent"});
         o.engine.cache_type = kernels::k_type(value);
     }},
    {"-t --threads", "N", kLoadsModel, "threads for generation; 0 = physical cores",
     SET { o.engine.threads = static_cast<int>(integer(flag, value, 0, 1024)); }},
    {"-tb --threads-batch", "N", kLoadsModel, "threads for reading prompts; 0 = as --threads",
     SET { o.engine.threads_batch = static_cast<int>(integer(flag, value, 0, 1024)); }},
    {"-b --batch-size", "N", kLoadsModel, "tokens of one step at most (2048)",
     SET { o.engine.batch_tokens = integer(flag, value, 1, 1 << 20); }},
    {"-ub --ubatch-size", "N", kLoadsModel, "tokens of one forward pass at most (512; on a card 2048 where they fit)",
     SET { o.engine.ubatch_tokens = integer(flag, value, 1, 1 << 16); }},
    {"-np --parallel", "N", kLoadsModel, "answers generated at the same time (8)",
     SET { o.engine.parallel = static_cast<int>(integer(flag, value, 1, 1024)); }},
    {"--device", "D", kLoadsModel, "cpu, cuda or cuda:N",
     SET {
         const bool numbered = value.starts_with("cuda:") && value.size() > 5;
         if (numbered) {
             integer(flag, value.substr(5), 0, 1023);
         } else {
             one_of(flag, value, {"cpu", "cuda", "cuda:N"});
         }
         o.engine.device = value;
         o.device_given = true;
     }},
    {"--vram", "SIZE", kLoadsModel, "pretend the device has this much memory: 24GiB, 24G, 8192M",
     SET {
         const auto size = parse_size(value);
         if (!size || *size <= 0) {
             bad_value(flag, value, "a size such as 24GiB, 24G or 8192M");
         }
         o.engine.vram_bytes = *size;
     }},
    {"--no-mmap", nullptr, kLoadsModel, "read the model into memory instead of mapping the file",
     SET { o.engine.mmap = false; }},
    {"--mlock", nullptr, kLoadsModel, "keep the model file in memory: nothing else can push it out",
     SET { o.engine.mlock = true; }},

    {"--host", "ADDRESS", kServes, "address to listen on (127.0.0.1); any other than loopback needs a key",
     SET { o.host = not_empty(flag, value, "an address"); }},
    {"--port", "N", kServes, "port to listen on (8080); 0 takes a free one",
     SET {
         o.port = static_cast<int>(integer(flag, value, 0, 65535));
         o.port_given = true;
     }},
    {"--api-key", "KEY", kServes, "clients must present this key; repeatable; KEYHOLE_API_KEY does the same",
     SET { o.api_keys.push_back(not_empty(flag, value, "a key")); }},
    {"--allow-origin", "ORIGIN", kServes, "web pages of this origin may use the server; repeatable",
     SET {
         if (value.find("://") == std::string_view::npos || value == "*") {
             bad_value(flag, value, "an origin such as https://example.org");
         }
         o.allow_origins.emplace_back(value);
     }},
    {"--allow-host", "NAME", kServes, "also answer requests whose Host header is NAME; repeatable",
     SET { o.allow_hosts.push_back(not_empty(flag, value, "a host name")); }},
    {"--queue-limit", "N", kServes, "requests that may wait (256); more are refused with 429",
     SET { o.engine.queue_limit = integer(flag, value, 0, 100'000); }},
    {"--max-per-client", "N", kServes, "requests of one key, or one client without keys, at once; 0 = no limit",
     SET { o.max_per_client = static_cast<int>(integer(flag, value, 0, 100'000)); }},
    {"--alias", "NAME", kServes, "the model's name towards clients",
     SET { o.alias = not_empty(flag, value, "a name"); }},

    {"--remote", "URL", of(window, serve, chat), "use another OpenAI-compatible engine (vLLM, SGLang, Keyhole) at this address",
     SET { o.remote = not_empty(flag, value, "an address such as http://host:8000"); }},
    {"--remote-key", "KEY", of(window, serve, chat), "the key for --remote; KEYHOLE_REMOTE_KEY does the same",
     SET { o.remote_key = not_empty(flag, value, "a key"); }},
    {"--remote-model", "NAME", of(window, serve, chat), "the model of --remote to use where none it has is named (its first)",
     SET { o.remote_model = not_empty(flag, value, "a name"); }},
    {"--remote-timeout", "SECONDS", of(window, serve, chat), "how long --remote may say nothing (600)",
     SET { o.remote_timeout_s = integer(flag, value, 1, 86'400); }},

    {"-p --prompt", "PROMPT", of(chat), "ask this, print the answer and end",
     SET { o.prompt = std::string(value); }},
    {"-f --file", "FILE", of(chat), "a file whose text goes before the prompt, or is the prompt; - is standard input",
     SET { o.prompt_file = not_empty(flag, value, "a file name"); }},
    {"--context", "DIR", of(chat), "add a folder or file as context; repeatable",
     SET { o.contexts.push_back(not_empty(flag, value, "a folder")); }},
    {"-sys --system", "TEXT", of(chat), "the system message", SET { o.system = value; }},
    {"--no-think", nullptr, of(chat), "answer without thinking first", SET { o.think = false; }},
    {"-n --predict", "N", of(chat), "tokens of an answer at most; -1 = to the end of the context",
     SET { o.max_tokens = integer(flag, value, -1, kManyTokens); }},
    {"--temp --temperature", "F", of(chat), "0 = always the likeliest token (1.0)",
     SET { o.sampling.temperature = real(flag, value, 0, 100); }},
    {"--top-p", "F", of(chat), "0.95", SET { o.sampling.top_p = real(flag, value, 0, 1); }},
    {"--top-k", "N", of(chat), "0 = all",
     SET { o.sampling.top_k = static_cast<int32_t>(integer(flag, value, 0, 1 << 30)); }},
    {"--min-p", "F", of(chat), "0", SET { o.sampling.min_p = real(flag, value, 0, 1); }},
    {"-s --seed", "N", of(chat), "same seed, same text",
     SET { o.sampling.seed = static_cast<uint64_t>(integer(flag, value, 0, kAnyNumber)); }},

    {"--tokens", "FILE", of(eval), "token ids, separated by white space",
     SET { o.tokens_file = not_empty(flag, value, "a file name"); }},
    {"--logits", "FILE", of(eval), "write float32, little endian, n_tokens x n_vocab",
     SET { o.logits_file = not_empty(flag, value, "a file name"); }},
    {"--greedy", "N", of(eval), "continue by N likeliest tokens and print their ids",
     SET { o.greedy = integer(flag, value, 0, kManyTokens); }},

    {"-p --n-prompt", "N", of(bench), "tokens of the prompt test (512); 0 leaves it out",
     SET { o.bench_prompt = integer(flag, value, 0, kManyTokens); }},
    {"-n --n-gen", "N", of(bench), "tokens of the generation test (128); 0 leaves it out",
     SET { o.bench_generate = integer(flag, value, 0, kManyTokens); }},
    {"-d --n-depth", "N[,N...]", of(bench), "tokens already in the cache (0)",
     SET { o.bench_depths = integers(flag, value, 0, kManyTokens); }},
    {"--sequences", "N[,N...]", of(bench), "sequences that the generation test runs in step (1)",
     SET { o.bench_sequences = integers(flag, value, 1, 256); }},
    {"-r --repetitions", "N", of(bench), "how often each test runs (5)",
     SET { o.bench_repetitions = integer(flag, value, 1, 10'000); }},
    {"--random-cache", nullptr, of(bench),
     "random K rows for the tokens of the depth: not computed, deep contexts in seconds",
     SET { o.bench_random_cache = true; }},
    {"--profile", nullptr, of(bench), "on a card, also where the time of one step goes, by kernel",
     SET { o.bench_profile = true; }},
    {"-o --output", "md|json", of(bench), "form of the result (md)",
     SET { o.output = one_of(flag, value, {"md", "json"}); }},

    {"--preset", "P", of(synth), "tiny (6 M weights), small (2 G, default) or full (30 G)",
     SET { o.preset = one_of(flag, value, {"tiny", "small", "full"}); }},
    {"--type", "T", of(synth), "f32, f16, q8_0, q4_k_m (default), iq4_xs or mxfp4",
     SET { o.weight_type = one_of(flag, value, {"f32", "f16", "q8_0", "q4_k_m", "iq4_xs", "mxfp4"}); }},
    {"-s --seed", "N", of(synth), "same seed, same file (1)",
     SET { o.synth_seed = static_cast<uint64_t>(integer(flag, value, 0, kAnyNumber)); }},
    {"--words", nullptr, of(synth), "every token of the vocabulary says something, as in the real one",
     SET { o.synth_words = true; }},

    {"--json", nullptr, of(plan, pack), "machine-readable output", SET { o.json = true; }},
    {"--list", nullptr, of(pack), "the paths of what is included, one a line", SET { o.list = true; }},
    {"-o --output", "FILE", of(pack), "write to this file",
     SET { o.output = not_empty(flag, value, "a file name"); }},
    {"--budget", "N", of(pack), "tokens there is room for; more ends with status 3 and proposals",
     SET { o.pack_budget = integer(flag, value, 1, kManyTokens); }},
    {"--format", "F", of(pack), "xml (default) or markdown",
     SET { o.pack_format = one_of(flag, value, {"xml", "markdown"}); }},
    {"--summary", "F", of(pack), "form of the closing line on standard error: text (default) or json",
     SET { o.pack_summary = one_of(flag, value, {"text", "json"}); }},
    {"--outline", "GLOB", of(pack), "signatures instead of the text of these files; repeatable",
     SET { o.pack_outline.push_back(not_empty(flag, value, "a pattern as in .gitignore")); }},
    {"--name-only", "GLOB", of(pack), "only the names of these files; repeatable",
     SET { o.pack_name.push_back(not_empty(flag, value, "a pattern as in .gitignore")); }},
    {"--leave-out", "GLOB", of(pack), "not even the names of these files; repeatable",
     SET { o.pack_leave_out.push_back(not_empty(flag, value, "a pattern as in .gitignore")); }},
    {"--full", "GLOB", of(pack), "the text of these files, whatever they are; repeatable",
     SET { o.pack_full.push_back(not_empty(flag, value, "a pattern as in .gitignore")); }},
    {"--focus", "GLOB", of(pack), "these files come last, where a model reads best; repeatable",
     SET { o.pack_focus.push_back(not_empty(flag, value, "a pattern as in .gitignore")); }},
    {"--lines", "FILE:FROM-TO", of(pack), "only these lines of a file; repeatable",
     SET { o.pack_lines.push_back(not_empty(flag, value, "a file and its lines: src/a.c:1-200")); }},
    {"--line-numbers", nullptr, of(pack), "every tenth line carries its number",
     SET { o.pack_line_numbers = true; }},
    {"--secrets", "S", of(pack), "mask (default), leave-out (files that hold some) or allow",
     SET { o.pack_secrets = one_of(flag, value, {"mask", "leave-out", "allow"}); }},
};
#undef SET
// clang-format on

std::vector<std::string> split_names(const char* names) {
    std::vector<std::string> words;
    std::string word;
    for (const char* c = names;; c++) {
        if (*c == ' ' || *c == '\0') {
            words.push_back(word);
            word.clear();
            if (*c == '\0') {
                return words;
            }
        } else {
            word += *c;
        }
    }
}

bool has_name(const Flag& flag, std::string_view name) {
    for (const std::string& candidate : split_names(flag.names)) {
        if (candidate == name) {
            return true;
        }
    }
    return false;
}

const Flag* find_flag(std::string_view name, unsigned commands) {
    for (const Flag& flag : kFlags) {
        if ((flag.commands & commands) != 0 && has_name(flag, name)) {
            return &flag;
        }
    }
    return nullptr;
}

const CommandInfo* find_command(std::string_view name) {
    for (const CommandInfo& entry : kCommands) {
        if (name == entry.name) {
            return &entry;
        }
    }
    return nullptr;
}

// "--port=0" -> name, value. A flag as typed is kept for messages.
struct Typed {
    std::string name;
    std::optional<std::string> value;
};
Typed split_typed(const std::string& argument) {
    const size_t equals = argument.find('=');
    if (argument.starts_with("--") && equals != std::string::npos) {
        return {argument.substr(0, equals), argument.substr(equals + 1)};
    }
    return {argument, std::nullopt};
}

bool is_flag(const std::string& argument) {
    return argument.size() > 1 && argument[0] == '-';
}

std::string unknown_flag(const std::string& name, Command command) {
    const std::string which =
        command == window ? "keyhole" : "keyhole " + std::string(to_string(command));
    if (find_flag(name, kAll) != nullptr) {
        std::string others;
        for (const CommandInfo& entry : kCommands) {
            if (find_flag(name, bit(entry.command)) != nullptr) {
                others += (others.empty() ? "" : ", ") + std::string(entry.name);
            }
        }
        return name + " is not a flag of " + which + "; it belongs to " + others;
    }
    std::vector<std::string> candidates;
    for (const Flag& flag : kFlags) {
        if ((flag.commands & bit(command)) != 0) {
            for (std::string& candidate : split_names(flag.names)) {
                candidates.push_back(std::move(candidate));
            }
        }
    }
    const std::string near = nearest(name, candidates);
    return "unknown flag " + name +
           (near.empty() ? "; see " + which + " --help" : "; did you mean " + near + "?");
}

bool is_gguf(std::string_view name) {
    return name.size() > 5 && name.substr(name.size() - 5) == ".gguf";
}

void take_positional(Options& options, const std::string& text) {
    const auto once = [&](std::string& into, const char* what) {
        if (!into.empty()) {
            throw UsageError("'" + text + "' is one argument too many: " + what + " is already '" +
                             into + "'");
        }
        into = text;
    };
    switch (options.command) {
        case window: {
            if (is_gguf(text) && options.model.empty()) {
                options.model = text;
                return;
            }
            std::error_code error;
            if (!std::filesystem::exists(text, error)) {
                std::vector<std::string> names;
                for (const CommandInfo& entry : kCommands) {
                    names.emplace_back(entry.name);
                }
                const std::string near = nearest(text, names);
                throw UsageError("there is no command, model or folder called '" + text + "'" +
                                 (near.empty() ? "" : "; did you mean " + near + "?"));
            }
            options.folders.push_back(text);
            return;
        }
        case serve:
        case chat:
        case inspect:
        case plan:
        case eval:
        case bench:
            once(options.model, "the model");
            return;
        case synth:
            once(options.output, "the file to write");
            return;
        case pack:
            once(options.pack_folder, "the folder");
            return;
        case pull:
            once(options.pull_name, "the name");
            return;
    }
}

void check_complete(const Options& options) {
    if (options.command == eval && options.model.empty()) {
        throw UsageError("eval needs a model: -m FILE");
    }
    if (options.command == eval && options.tokens_file.empty()) {
        throw UsageError("eval needs --tokens FILE");
    }
    if ((options.command == inspect || options.command == plan) && options.model.empty()) {
        throw UsageError(std::string(to_string(options.command)) + " needs a model: keyhole " +
                         std::string(to_string(options.command)) + " MODEL.gguf");
    }
    if (options.command == synth && options.output.empty()) {
        throw UsageError("synth needs the file to write: keyhole synth OUT.gguf");
    }
    if (!options.remote.empty() && !options.model.empty()) {
        throw UsageError("-m and --remote exclude each other: one engine answers");
    }
    if (options.remote.empty() && (!options.remote_key.empty() || !options.remote_model.empty())) {
        throw UsageError("--remote-key and --remote-model need --remote URL");
    }
    if (options.command == pack && options.pack_folder.empty()) {
        throw UsageError("pack needs a folder: keyhole pack DIR");
    }
    if (options.command == pack && options.json && options.list) {
        throw UsageError("--json and --list exclude each other");
    }
    if (options.command == bench && options.bench_prompt == 0 && options.bench_generate == 0) {
        throw UsageError("nothing to measure: -p 0 and -n 0");
    }
}

}  // namespace

std::string_view to_string(Command command) {
    return info(command).name;
}

Options parse_options(const std::vector<std::string>& arguments) {
    Options options;

    // The command is the first argument that is neither a flag nor a flag's value, wherever it
    // stands. Flags that share a name between commands also share whether they take a value.
    size_t command_at = arguments.size();
    for (size_t i = 0; i < arguments.size(); i++) {
        if (arguments[i] == "--") {
            break;
        }
        if (!is_flag(arguments[i])) {
            if (const CommandInfo* found = find_command(arguments[i])) {
                options.command = found->command;
                command_at = i;
            }
            break;
        }
        const Typed typed = split_typed(arguments[i]);
        const Flag* flag = find_flag(typed.name, kAll);
        if (flag != nullptr && flag->value != nullptr && !typed.value) {
            i++;
        }
    }

    std::vector<std::string> positionals;
    bool only_positionals = false;
    for (size_t i = 0; i < arguments.size(); i++) {
        if (i == command_at) {
            continue;
        }
        if (only_positionals || !is_flag(arguments[i])) {
            positionals.push_back(arguments[i]);
            continue;
        }
        if (arguments[i] == "--") {
            only_positionals = true;
            continue;
        }
        const Typed typed = split_typed(arguments[i]);
        const Flag* flag = find_flag(typed.name, bit(options.command));
        if (flag == nullptr) {
            throw UsageError(unknown_flag(typed.name, options.command));
        }
        if (flag->value == nullptr) {
            if (typed.value) {
                throw UsageError(typed.name + " takes no value");
            }
            flag->apply(options, typed.name, "");
        } else if (typed.value) {
            flag->apply(options, typed.name, *typed.value);
        } else if (i + 1 < arguments.size()) {
            flag->apply(options, typed.name, arguments[++i]);
        } else {
            throw UsageError(typed.name + " needs a value: " + flag->value);
        }
        if (options.show_help || options.show_version) {
            return options;
        }
    }
    for (const std::string& text : positionals) {
        take_positional(options, text);
    }
    check_complete(options);
    return options;
}

std::string help_text(Command command) {
    std::string text;
    const auto row = [&text](std::string left, std::string_view right) {
        left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
        text += "  " + left + std::string(right) + "\n";
    };
    if (command == window) {
        text += "Keyhole " KEYHOLE_VERSION
                ": chat with GLM-4.7-Flash in a native window, over HTTP and in the terminal.\n\n";
        for (const CommandInfo& entry : kCommands) {
            row(entry.command == window ? "keyhole [MODEL.gguf] [FOLDER...]"
                                        : "keyhole " + std::string(entry.name),
                entry.purpose);
        }
        text += "\nkeyhole COMMAND --help tells a command's flags. Those of the window:\n\n";
    } else {
        text += std::string(info(command).usage) + "\n" + info(command).purpose + "\n\n";
    }
    for (const Flag& flag : kFlags) {
        if ((flag.commands & bit(command)) == 0) {
            continue;
        }
        std::string left;
        for (const std::string& name : split_names(flag.names)) {
            left += (left.empty() ? "" : ", ") + name;
        }
        row(flag.value != nullptr ? left + " " + flag.value : left, flag.help);
    }
    return text;
}

std::optional<int64_t> parse_size(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !std::isfinite(number) || number < 0) {
        return std::nullopt;
    }
    std::string unit(end, text.data() + text.size());
    std::transform(unit.begin(), unit.end(), unit.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    double factor = 1;
    if (!unit.empty() && unit != "b") {
        constexpr std::string_view kPrefixes = "kmgt";
        const size_t power = kPrefixes.find(unit[0]);
        const std::string rest = unit.substr(1);
        if (power == std::string_view::npos ||
            (rest != "" && rest != "b" && rest != "i" && rest != "ib")) {
            return std::nullopt;
        }
        factor = std::pow(rest == "b" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
    }
    const double bytes = number * factor;
    if (bytes > 9e18) {
        return std::nullopt;
    }
    return static_cast<int64_t>(bytes);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    size_t best_distance = std::numeric_limits<size_t>::max();
    for (const std::string& candidate : candidates) {
        // Levenshtein, with a row of the table at a time.
        std::vector<size_t> row(candidate.size() + 1);
        for (size_t j = 0; j < row.size(); j++) {
            row[j] = j;
        }
        for (size_t i = 1; i <= word.size(); i++) {
            size_t diagonal = row[0];
            row[0] = i;
            for (size_t j = 1; j < row.size(); j++) {
                const size_t above = row[j];
                row[j] = std::min({above + 1, row[j - 1] + 1,
                                   diagonal + (word[i - 1] != candidate[j - 1] ? 1 : 0)});
                diagonal = above;
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = candidate;
        }
    }
    const size_t letters = std::max(word.size(), best.size());
    // A single letter is near every other single letter: that would be no help.
    const bool near = best_distance <= std::max<size_t>(1, (letters + 1) / 3) && word.size() > 2;
    return near || best_distance == 0 ? best : "";
}

}  // namespace app
