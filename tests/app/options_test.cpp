#include "app/options.h"

#include "tests/support/catch.h"

using app::Command;
using app::parse_options;

namespace {

std::string usage_error(const std::vector<std::string>& arguments) {
    try {
        parse_options(arguments);
    } catch (const app::UsageError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("The command may stand before or after its flags and positional arguments") {
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"serve", "-m", "a.gguf", "--port", "0"},
             {"--port", "0", "serve", "-m", "a.gguf"},
             {"-m", "a.gguf", "serve", "--port=0"},
             {"serve", "a.gguf", "--port", "0"},
             {"serve", "--port", "0", "--", "a.gguf"},
         }) {
        const auto options = parse_options(arguments);
        CHECK(options.command == Command::serve);
        CHECK(options.model == "a.gguf");
        CHECK(options.port == 0);
    }
}

TEST_CASE("No command is the window, with a model and folders") {
    CHECK(parse_options({}).command == Command::window);
    const auto options = parse_options({"/", "m.gguf", "--host", "::1"});
    CHECK(options.command == Command::window);
    CHECK(options.model == "m.gguf");
    CHECK(options.folders == std::vector<std::string>{"/"});
    CHECK(options.host == "::1");
}

TEST_CASE("A flag's value that looks like a command is a value") {
    const auto options = parse_options({"--alias", "chat", "serve"});
    CHECK(options.command == Command::serve);
    CHECK(options.alias == "chat");
}

TEST_CASE("Every shared flag reaches the engine's options") {
    const auto options = parse_options({"serve", "-c",  "4096",   "-ctk",   "q8_0",     "-t",
                                        "3",     "-tb", "5",      "-b",     "1024",     "-ub",
                                        "256",   "-np", "4",      "--vram", "24GiB",    "--no-mmap",
                                        "-ngl",  "all", "-ncmoe", "7",      "--device", "cuda:1"});
    CHECK(options.engine.ctx_size == 4096);
    CHECK(options.engine.cache_type == kernels::DType::q8_0);
    CHECK(options.engine.threads == 3);
    CHECK(options.engine.threads_batch == 5);
    CHECK(options.engine.batch_tokens == 1024);
    CHECK(options.engine.ubatch_tokens == 256);
    CHECK(options.engine.parallel == 4);
    CHECK(options.engine.vram_bytes == int64_t{24} << 30);
    CHECK_FALSE(options.engine.mmap);
    CHECK(options.gpu_layers == "all");
    CHECK(options.engine.cpu_moe_layers == 7);
    CHECK(options.engine.device == "cuda:1");
}

TEST_CASE("Flags of the same name belong to their command") {
    CHECK(parse_options({"chat", "-p", "hello"}).prompt == "hello");
    const auto bench = parse_options({"bench", "-p", "64", "-d", "0,512,4096", "-o", "json"});
    CHECK(bench.bench_prompt == 64);
    CHECK(bench.bench_depths == std::vector<int64_t>{0, 512, 4096});
    CHECK(bench.output == "json");
}

TEST_CASE("Sizes in the forms people type") {
    CHECK(app::parse_size("24GiB") == int64_t{24} << 30);
    CHECK(app::parse_size("24G") == int64_t{24} << 30);
    CHECK(app::parse_size("24g") == int64_t{24} << 30);
    CHECK(app::parse_size("24GB") == int64_t{24'000'000'000});
    CHECK(app::parse_size("1.5K") == 1536);
    CHECK(app::parse_size("512") == 512);
    for (const char* bad : {"", "G", "-1G", "24Q", "24GiBs", "nan", "inf", "1e300G", "0x10"}) {
        INFO(bad);
        CHECK_FALSE(app::parse_size(bad).has_value());
    }
}

TEST_CASE("Wrong usage names the flag and what was probably meant") {
    struct Case {
        std::vector<std::string> arguments;
        const char* part;
    };
    for (const Case& wrong : std::vector<Case>{
             {{"serve", "--prot", "1"}, "did you mean --port"},
             {{"serve", "--port"}, "--port needs a value"},
             {{"serve", "--port", "65536"}, "--port: '65536'"},
             {{"serve", "--port", "eighty"}, "--port: 'eighty'"},
             {{"serve", "--no-mmap=1"}, "--no-mmap takes no value"},
             {{"serve", "-ctk", "q5_0"}, "-ctk: 'q5_0'"},
             {{"serve", "--vram", "lots"}, "--vram: 'lots'"},
             {{"serve", "-ngl", "most"}, "-ngl: 'most'"},
             {{"serve", "--device", "gpu"}, "--device: 'gpu'"},
             {{"serve", "--device", "cuda:x"}, "--device: 'x'"},
             {{"serve", "--allow-origin", "*"}, "--allow-origin: '*'"},
             {{"serve", "--log-level", "loud"}, "--log-level: 'loud'"},
             {{"serve", "--tokens", "f"},
              "--tokens is not a flag of keyhole serve; it belongs to eval"},
             {{"serve", "a.gguf", "b.gguf"}, "one argument too many"},
             {{"sevre"}, "did you mean serve"},
             {{"no-such-folder"}, "no command, model or folder"},
             {{"eval", "--tokens", "f"}, "eval needs a model"},
             {{"eval", "-m", "a.gguf"}, "--tokens"},
             {{"inspect"}, "inspect needs a model"},
             {{"synth"}, "synth needs the file"},
             {{"synth", "o.gguf", "--type", "q3"}, "--type: 'q3'"},
             {{"bench", "-d", "1,,2"}, "-d: ''"},
             {{"bench", "-p", "0", "-n", "0"}, "nothing to measure"},
             {{"chat", "--temp", "nan"}, "--temp: 'nan'"},
             {{"chat", "-n", "-2"}, "-n: '-2'"},
         }) {
        const std::string error = usage_error(wrong.arguments);
        INFO(wrong.arguments.back());
        CHECK_THAT(error, ContainsSubstring(wrong.part));
    }
}

TEST_CASE("--help and --version win over what is missing, and help lists the command's flags") {
    CHECK(parse_options({"eval", "--help"}).show_help);
    CHECK(parse_options({"--version"}).show_version);
    CHECK_THAT(app::help_text(Command::bench), ContainsSubstring("-d, --n-depth N[,N...]"));
    CHECK_THAT(app::help_text(Command::window), ContainsSubstring("keyhole serve"));
}
