// The program as a script sees it: exit statuses, one clear line on standard error, and the figures
// that `eval` and `plan` promise. Runs the real executable.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/model/gguf.h"
#include "tests/support/catch.h"
#include "tests/support/check_close.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/real_shape.h"
#include "tests/support/temp_folder.h"

namespace {

struct Outcome {
    int status = -1;
    std::string out, err;
};

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string quoted(const std::string& word) {
    return "'" + word + "'";
}

// Runs keyhole without a display, with its own home.
Outcome keyhole(const std::vector<std::string>& arguments) {
    const tests::TempFolder folder;
    std::string command =
        "env -u DISPLAY -u WAYLAND_DISPLAY KEYHOLE_HOME=" + quoted(folder.path("home")) +
        " timeout 120 " + quoted(KEYHOLE_BINARY);
    for (const std::string& argument : arguments) {
        command += " " + quoted(argument);
    }
    command +=
        " >" + quoted(folder.path("out")) + " 2>" + quoted(folder.path("err")) + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder.path("out")),
            read_file(folder.path("err"))};
}

std::string golden(const std::string& name) {
    return TESTS_DIR "/golden/model/" + name;
}

int64_t lines(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
}

// All rows' logits of prompt + greedy tokens through `keyhole eval`.
std::vector<float> eval_logits(const std::string& model,
                               const tests::GoldenVectors& want,
                               const std::string& cache_type) {
    const tests::TempFolder folder;
    std::ofstream tokens(folder.path("tokens"));
    for (const int32_t id : want["prompt"].i32) {
        tokens << id << '\n';
    }
    const auto& greedy = want["greedy"].i32;
    for (size_t i = 0; i + 1 < greedy.size(); i++) {
        tokens << greedy[i] << ' ';
    }
    tokens.close();
    const Outcome run = keyhole({"eval", "-m", golden(model), "--tokens", folder.path("tokens"),
                                 "--logits", folder.path("logits"), "-ctk", cache_type});
    INFO(run.err);
    REQUIRE(run.status == 0);
    const std::string bytes = read_file(folder.path("logits"));
    std::vector<float> logits(bytes.size() / sizeof(float));
    std::memcpy(logits.data(), bytes.data(), bytes.size());
    return logits;
}

std::string greedy_tokens(const std::string& model, const tests::GoldenVectors& want) {
    const tests::TempFolder folder;
    std::ofstream tokens(folder.path("tokens"));
    for (const int32_t id : want["prompt"].i32) {
        tokens << id << ' ';
    }
    tokens.close();
    const Outcome run =
        keyhole({"eval", "-m", golden(model), "--tokens", folder.path("tokens"), "--greedy",
                 std::to_string(want["greedy"].i32.size()), "-ctk", "f32"});
    REQUIRE(run.status == 0);
    return run.out;
}

}  // namespace

TEST_CASE("eval gives the oracle's logits and greedy continuation for F32 weights") {
    const tests::GoldenVectors want(golden("nano-f32.vec"));
    const auto& logits = want["logits"];
    CHECK(tests::difference(eval_logits("nano-f32.gguf", want, "f32"), logits.f32,
                            {1e-3, 0, 0.999999}, logits.shape[1]) == "");
    CHECK(tests::difference(eval_logits("nano-f32.gguf", want, "f16"), logits.f32,
                            {1e-2, 0, 0.9999}, logits.shape[1]) == "");
    std::ostringstream greedy;
    for (size_t i = 0; i < want["greedy"].i32.size(); i++) {
        greedy << (i > 0 ? " " : "") << want["greedy"].i32[i];
    }
    CHECK(greedy_tokens("nano-f32.gguf", want) == greedy.str() + "\n");
}

TEST_CASE("eval of quantised weights stays within what 8-bit activations explain") {
    for (const std::string name : {"nano-q8_0", "tiny-q4_k_m"}) {
        CAPTURE(name);
        const tests::GoldenVectors want(golden(name + ".vec"));
        const auto& logits = want["logits"];
        const auto got = eval_logits(name + ".gguf", want, "f16");
        REQUIRE(got.size() == logits.f32.size());
        const int64_t columns = logits.shape[1];
        const int64_t layers = want["router_margin"].shape[1];
        for (int64_t r = 0; r < logits.shape[0]; r++) {
            float margin = INFINITY;
            for (int64_t i = 0; i < layers; i++) {
                margin = std::min(margin,
                                  want["router_margin"].f32[static_cast<size_t>(r * layers + i)]);
            }
            if (margin < 0.02F) {
                continue;  // any rounding may choose the other expert, and the row is then another
                           // one
            }
            CAPTURE(r);
            const auto row = std::span(got).subspan(static_cast<size_t>(r * columns),
                                                    static_cast<size_t>(columns));
            CHECK(tests::difference(row, logits.row(r), {INFINITY, 0, 0.999}) == "");
            if (want["greedy_gap"].f32[static_cast<size_t>(r)] > 0.1F) {
                const auto top = std::max_element(row.begin(), row.end()) - row.begin();
                CHECK(top ==
                      want["top_ids"].i32[static_cast<size_t>(r * want["top_ids"].shape[1])]);
            }
        }
    }
}

TEST_CASE("plan of the real dimensions: 54,144 bytes a token, no V, and what V would have taken") {
    const tests::TempFolder folder;
    const std::string model = folder.path("glm-4.7-flash real shape.gguf");
    tests::write_real_shape(model, golden("nano-f32.gguf"));
    const Outcome run = keyhole({"plan", model, "-c", "200192", "--vram", "80GiB", "--json"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    const auto plan = nlohmann::json::parse(run.out);
    CHECK(plan["model"]["mla"] == true);
    CHECK(plan["kv_cache"]["type"] == "f16");
    CHECK(plan["kv_cache"]["bytes_per_token"] == 54144);
    CHECK(plan["kv_cache"]["v_bytes"] == 0);
    CHECK(plan["kv_cache"]["k_bytes"] == int64_t{54144} * 200192);        // 10337.06 MiB
    CHECK(plan["kv_cache"]["with_v_bytes"] == int64_t{102272} * 200192);  // 19525.56 MiB
    CHECK(plan["ctx_size"] == 200192);
    for (const auto& device : plan["devices"]) {
        const int64_t parts =
            device["weights_bytes"].get<int64_t>() + device["kv_bytes"].get<int64_t>() +
            device["compute_bytes"].get<int64_t>() + device["free_bytes"].get<int64_t>() +
            device.value("other_bytes", int64_t{0});
        CHECK(parts == device["total_bytes"]);
    }
    const Outcome table = keyhole({"plan", model, "-c", "200192", "--vram", "80GiB"});
    CHECK_THAT(table.out, ContainsSubstring("10337.06 MiB"));
    CHECK_THAT(table.out, ContainsSubstring("19525.56 MiB"));
    CHECK_THAT(keyhole({"inspect", model}).out, ContainsSubstring("MLA"));
}

TEST_CASE(
    "plan of a Q4_K_M file: the whole window on 24 GiB in 8 bits, and experts on the CPU of "
    "smaller cards") {
    const tests::TempFolder folder;
    const std::string model = folder.path("q4_k_m.gguf");
    tests::write_real_shape(model, golden("nano-f32.gguf"), true);
    const auto plan = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments = {"plan", model, "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome run = keyhole(arguments);
        INFO(run.err);
        REQUIRE(run.status == 0);
        return nlohmann::json::parse(run.out);
    };
    const auto whole = plan({"--vram", "24GiB"});
    CHECK(whole["fits"] == true);
    CHECK(whole["ctx_size"] == 202752);
    CHECK(whole["kv_cache"]["type"] == "q8_latent");
    CHECK(whole["kv_cache"]["bytes_per_token"] == 47 * 656);
    CHECK(whole["cpu_moe_layers"] == 0);
    CHECK(whole["devices"][0]["compute_bytes"] <= 300 << 20);
    CHECK(whole["choices"][0]["reason"].get<std::string>().find("202752 tokens") !=
          std::string::npos);
    const auto f16 = plan({"--vram", "24GiB", "-ctk", "f16"});
    CHECK(f16["fits"] == true);
    CHECK(f16["max_ctx_size"] >= 125'000);
    CHECK(f16["max_ctx_size"] <= 133'000);
    CHECK(plan({"--vram", "24GiB", "-c", "202752", "-ctk", "f16", "-ncmoe", "0"})["fits"] == false);
    CHECK(plan({"--vram", "24GiB", "-c", "202752", "-ctk", "f16"})["cpu_moe_layers"] == 12);
    CHECK(plan({"--vram", "24GiB", "-c", "100000"})["kv_cache"]["type"] == "f16");
    // Larger passes where there is room for them: nothing else is different for it.
    const auto roomy = plan({"--vram", "24GiB", "-c", "65536"}),
               same = plan({"--vram", "24GiB", "-c", "65536", "-ub", "512"});
    CHECK(roomy["choices"].back()["what"] == "passes of up to 2048 tokens");
    CHECK(roomy["kv_cache"] == same["kv_cache"]);
    CHECK(roomy["cpu_moe_layers"] == same["cpu_moe_layers"]);
    CHECK(roomy["devices"][0]["compute_bytes"] > same["devices"][0]["compute_bytes"]);
    CHECK(plan({"--vram", "24GiB", "-c", "65536", "-ub", "2048"})["devices"][0] ==
          roomy["devices"][0]);
    int64_t kept = 0;
    for (const char* card : {"16GiB", "12GiB", "8GiB"}) {
        const auto small = plan({"--vram", card});
        INFO(small.dump());
        CHECK(small["fits"] == true);
        CHECK(small["ctx_size"] == 202752);
        CHECK(small["cpu_moe_layers"] > kept);
        kept = small["cpu_moe_layers"];
        CHECK(small["devices"].size() == 2);
        int64_t weights = 0;
        for (const auto& device : small["devices"]) {
            weights += device["weights_bytes"].get<int64_t>();
        }
        CHECK(weights == small["model"]["weights_bytes"]);
        // A layer fewer, and it does not fit.
        CHECK(plan({"--vram", card, "-c", "202752", "-ctk", "q8_latent", "-ncmoe",
                    std::to_string(kept - 1)})["fits"] == false);
    }
}

TEST_CASE("failures say one clear line and exit with 1, wrong usage with 2") {
    const tests::TempFolder folder;
    std::ofstream(folder.path("not a model.gguf")) << "hello";
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"chat", "-m", folder.path("absent.gguf"), "-p", "hi"},
             {"inspect", folder.path("not a model.gguf")},
             {"plan", folder.path("absent.gguf")},
             {"eval", "-m", golden("nano-f32.gguf"), "--tokens", folder.path("absent"), "--greedy",
              "1"},
             {"serve", "-m", folder.path("not a model.gguf"), "--port", "0"}}) {
        const Outcome run = keyhole(arguments);
        CAPTURE(arguments[0], run.err, run.out);
        CHECK(run.status == 1);
        CHECK(run.err.find(".gguf") + run.err.find("absent") != 2 * std::string::npos);
        CHECK(lines(run.err) == 1);
    }
    for (const auto& arguments : std::vector<std::vector<std::string>>{{"chat", "--no-such-flag"},
                                                                       {"serve", "--port", "many"},
                                                                       {"plan"},
                                                                       {"bench", "-p", "-3"}}) {
        const Outcome run = keyhole(arguments);
        CAPTURE(arguments[0], run.err, run.out);
        CHECK(run.status == 2);
        CHECK(lines(run.err) >= 1);
        CHECK(run.out.empty());
    }
    for (const std::string command :
         {"serve", "chat", "plan", "inspect", "eval", "bench", "synth"}) {
        const Outcome run = keyhole({command, "--help"});
        CAPTURE(command);
        CHECK(run.status == 0);
        CHECK_THAT(run.out, ContainsSubstring("--"));
    }
    CHECK(keyhole({"--version"}).status == 0);
}

TEST_CASE("synth writes a model that inspect, plan and chat take, and never overwrites") {
    const tests::TempFolder folder;
    const std::string model = folder.path("tiny.gguf");
    REQUIRE(
        keyhole({"synth", model, "--preset", "tiny", "--type", "q4_k_m", "--seed", "7"}).status ==
        0);
    CHECK(keyhole({"inspect", model}).status == 0);
    CHECK(keyhole({"plan", model}).status == 0);
    const Outcome chat = keyhole({"chat", "-m", model, "-p", "hello", "-n", "8", "--temp", "0"});
    INFO(chat.err);
    CHECK(chat.status == 0);
    CHECK(keyhole({"synth", model, "--preset", "tiny"}).status == 1);
}

TEST_CASE("--no-mmap computes the same from memory of its own") {
    const tests::TempFolder folder;
    const std::string tokens = folder.write("tokens", "1 2 3");
    const auto run = [&](const std::string& option) {
        return keyhole(
            {"eval", "-m", golden("nano-q8_0.gguf"), "--tokens", tokens, "--greedy", "8", option});
    };
    const Outcome mapped = run("--log-level=error"), read = run("--no-mmap");
    INFO(mapped.err << read.err);
    REQUIRE(mapped.status == 0);
    CHECK(read.status == 0);
    CHECK(read.out == mapped.out);
}

TEST_CASE("--mlock locks the model, or says why it could not and goes on") {
    const tests::TempFolder folder;
    const std::string tokens = folder.write("tokens", "1 2 3");
    const Outcome run =
        keyhole({"eval", "-m", golden("nano-q8_0.gguf"), "--tokens", tokens, "--greedy", "2", "--mlock"});
    INFO(run.err);
    CHECK(run.status == 0);
    const std::vector<char> probe(std::filesystem::file_size(golden("nano-q8_0.gguf")));
    const bool allowed = mlock(probe.data(), probe.size()) == 0;
    munlock(probe.data(), probe.size());
    CHECK((run.err.find("--mlock: the system did not lock") == std::string::npos) == allowed);
}

TEST_CASE("bench prints the fields scripts rely on, V bytes zero") {
    const Outcome run = keyhole({"bench", "-m", golden("nano-f32.gguf"), "-p", "32", "-n", "8",
                                 "-d", "0,64", "-r", "2", "--sequences", "1,3", "-o", "json"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    const auto bench = nlohmann::json::parse(run.out);
    REQUIRE(bench["results"].size() == 6);
    for (const auto& result : bench["results"]) {
        CHECK(result["tokens_per_second"].get<double>() > 0);
        CHECK(result["multiply_adds_per_second"].get<double>() > 0);
    }
    CHECK(bench["results"][5]["test"] == "tg8 x3");
    CHECK(bench["results"][5]["bytes_per_second"].get<double>() > 0);
    CHECK(bench["machine"]["read_bytes_per_second"].get<double>() > 1e8);
    CHECK(bench["machine"]["multiply_adds_per_second"].get<double>() > 1e8);
    CHECK(bench["kv_cache"]["v_bytes"] == 0);
    CHECK(bench["kv_cache"]["bytes_per_token"] == 3 * (32 + 16) * 2);
    CHECK(bench["kv_cache"]["peak_bytes"].get<int64_t>() > 0);
}

TEST_CASE("pack keeps a budget by its exit status, proposes and never acts, in both formats") {
    const tests::TempFolder folder;
    folder.write("p/src/a.c", "int f(void) {\n    return 1;\n    /* 1111111111111111111111 */\n}\n");
    folder.write("p/tests/a_test.c", "int t(void) {\n    return 2;\n}\n");
    const std::string model = golden("nano-f32.gguf"), root = folder.path("p");
    const Outcome all = keyhole({"pack", root, "-m", model, "--json", "--budget", "10000"});
    CHECK(all.status == 0);
    const auto json = nlohmann::json::parse(all.out);
    CHECK(json.at("budget") == 10000);
    CHECK(json.at("files").size() == 2);
    const auto tokens = json.at("tokens").get<int64_t>();

    const Outcome over = keyhole({"pack", root, "-m", model, "--budget", std::to_string(tokens - 1), "--summary", "json"});
    CHECK(over.status == 3);
    CHECK_THAT(over.out, ContainsSubstring("return 2;"));
    const auto summary = nlohmann::json::parse(over.err);
    CHECK(summary.at("fits") == false);
    CHECK(summary.at("tokens") == tokens);
    CHECK(summary.at("proposals").at(0).at("tokens").get<int64_t>() < tokens);
    CHECK(keyhole({"pack", root, "-m", model, "--budget", std::to_string(tokens), "-o", folder.path("out")}).status == 0);
    CHECK(read_file(folder.path("out")) == over.out);

    const Outcome markdown = keyhole({"pack", root, "-m", model, "--format", "markdown", "--outline", "*.c", "--name-only", "tests/"});
    CHECK(markdown.status == 0);
    CHECK_THAT(markdown.out, ContainsSubstring("## src/a.c (shows=\"outline\")\n```c\nint f(void) { ... }\n```\n"));
    CHECK_THAT(markdown.out, !ContainsSubstring("return 2"));
    CHECK(keyhole({"pack", root, "-m", model, "--outline", "*.none"}).status == 2);
    CHECK(keyhole({"pack", root, "-m", model, "--lines", "src/a.c:3-1"}).status == 2);
    CHECK(keyhole({"pack", root, "-m", model, "--lines", "src/a.c:2-2"}).out.find("return 1;") != std::string::npos);
}
