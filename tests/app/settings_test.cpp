// The settings file: what is kept, what is refused, who may read it.
#include "app/settings.h"

#include <fstream>
#include <iterator>
#include <random>

#include <nlohmann/json.hpp>

#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace app;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("settings: known keys, unknown keys kept, wrong types and rubbish survived") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "deep" / "settings.json";
    std::string problem;
    CHECK(load_settings(path, problem).thinking);
    CHECK(problem.empty());
    Settings settings;
    settings.thinking = false;
    settings.recent_models = {"/a b/\"c\".gguf", "/d.gguf"};
    settings.temperature = 0.25;
    settings.unknown = R"({"future": {"key": [1, 2]}})";
    REQUIRE(save_settings(path, settings, problem));
    Settings again = load_settings(path, problem);
    CHECK(problem.empty());
    CHECK_FALSE(again.thinking);
    CHECK(again.recent_models == settings.recent_models);
    CHECK(again.temperature == 0.25);
    REQUIRE(save_settings(path, again, problem));
    CHECK_THAT(bytes_of(path), ContainsSubstring("\"future\""));

    temp.write(
        "deep/settings.json",
        R"({"thinking": "yes", "temperature": -3, "zoom": 1e9, "window_width": 800, "recent_models": [1]})");
    again = load_settings(path, problem);
    CHECK(again.thinking);
    CHECK(again.temperature == 1.0);
    CHECK(again.zoom == 1.0);
    CHECK(again.window_width == 800);
    CHECK(again.recent_models.empty());

    temp.write("deep/settings.json", "{ half");
    again = load_settings(path, problem);
    CHECK_THAT(problem, ContainsSubstring("Defaults are in use"));
    CHECK(bytes_of(path.string() + ".damaged") == "{ half");
    temp.write("file", "x");
    CHECK_FALSE(save_settings(temp.path() / "file" / "settings.json", again, problem));
}

TEST_CASE("settings: a value of any wrong type leaves the default, whichever key it is") {
    using Json = nlohmann::json;
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "settings.json";
    std::vector<std::string> keys;
    for_each_setting([&](const char* key, auto) { keys.emplace_back(key); });
    Json deep = Json::array();
    for (int i = 0; i < 200; i++) {
        deep = Json::array({deep});
    }
    const std::vector<Json> values = {nullptr,
                                      true,
                                      -1,
                                      9.9e300,
                                      INT64_MIN,
                                      UINT64_MAX,
                                      "",
                                      "x",
                                      "\u0000\u202E",
                                      Json::array({1, "a", nullptr}),
                                      Json::object({{"a", 1}}),
                                      deep};
    std::string problem;
    for (const Json& value : values) {
        Json all;
        for (const std::string& key : keys) {
            all[key] = value;
        }
        temp.write("settings.json", all.dump());
        const Settings settings = load_settings(path, problem);
        CHECK(problem.empty());
        CHECK(settings.zoom >= 0.5);
        CHECK(settings.zoom <= 3.0);
        CHECK(settings.window_width >= 400);
        CHECK(settings.window_width <= 16384);
        CHECK(settings.window_height >= 300);
        CHECK(settings.server_port >= 0);
        CHECK(settings.server_port <= 65535);
        CHECK(settings.answer_reserve_tokens >= 16);
        CHECK(settings.top_p <= 1.0);
        CHECK(settings.recent_models.size() <= Settings::kMostListed);
        REQUIRE(save_settings(path, settings, problem));
        const Settings again = load_settings(path, problem);
        CHECK(problem.empty());
        CHECK(again.theme == settings.theme);
    }
    // Every beginning of a good file, and bytes that are no text.
    REQUIRE(save_settings(path, Settings(), problem));
    const std::string good = bytes_of(path);
    for (size_t size = 0; size < good.size(); size += 7) {
        temp.write("settings.json", good.substr(0, size));
        load_settings(path, problem);
    }
    temp.write("settings.json", "{\"theme\": \"\xFF\xFE\", \"zoom\": 2}");
    problem.clear();
    const Settings strange = load_settings(path, problem);
    CHECK((!problem.empty() || strange.zoom == 2));
}

TEST_CASE("settings: lists of any length are cut to what can be shown") {
    const tests::TempFolder temp;
    nlohmann::json json;
    for (int i = 0; i < 5000; i++) {
        json["recent_models"].push_back("/m/" + std::to_string(i) + ".gguf");
        json["presets"].push_back({{"name", std::to_string(i)}});
    }
    temp.write("settings.json", json.dump());
    std::string problem;
    const Settings settings = load_settings(temp.path() / "settings.json", problem);
    CHECK(settings.recent_models.size() == Settings::kMostListed);
    CHECK(settings.recent_models.front() == "/m/0.gguf");
    CHECK(settings.presets.size() == Settings::kMostListed);
}

TEST_CASE("settings: nobody else can read the file, for it holds keys") {
    const tests::TempFolder temp;
    const fs::path path = temp.path() / "settings.json";
    Settings settings;
    settings.remote_key = "sk-secret";
    std::string problem;
    temp.write("settings.json", "{}");
    fs::permissions(path, fs::perms(0644));
    REQUIRE(save_settings(path, settings, problem));
    CHECK(fs::status(path).permissions() == fs::perms(0600));
    CHECK(load_settings(path, problem).remote_key == "sk-secret");
}
