#include "app/model_files.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/model/inspect.h"

namespace app {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 200'000;  // of one place: more is no folder of models
constexpr size_t kMaxManifest = 1 << 20;

fs::path variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// Of a model in several files the first one stands for all.
bool is_later_part(const std::string& name) {
    const size_t of = name.rfind("-of-");
    return of != std::string::npos && of >= 6 && name.substr(of - 5, 5) != "00001";
}

int parts_of(const std::string& name) {
    const size_t of = name.rfind("-00001-of-");
    return of == std::string::npos ? 1 : std::max(1, std::atoi(name.c_str() + of + 10));
}

std::string read_text(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text(kMaxManifest, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    return text;
}

// manifests/HOST/NAMESPACE/MODEL/TAG names the blob that holds the model.
void find_in_ollama(const ModelPlace& place,
                    const std::atomic<bool>& cancel,
                    std::vector<ModelFile>& found) {
    std::error_code error;
    fs::recursive_directory_iterator at(place.folder / "manifests",
                                        fs::directory_options::skip_permission_denied, error);
    size_t seen = 0;
    for (; !error && at != fs::recursive_directory_iterator() && !cancel && seen < kMaxEntries;
         at.increment(error), seen++) {
        if (at.depth() > 4) {
            at.disable_recursion_pending();
        }
        if (!at->is_regular_file(error)) {
            continue;
        }
        const auto manifest = nlohmann::json::parse(read_text(at->path()), nullptr, false);
        const auto layers = manifest.is_object() ? manifest.find("layers") : manifest.end();
        if (!manifest.is_object() || layers == manifest.end() || !layers->is_array()) {
            continue;
        }
        for (const auto& layer : *layers) {
            if (!layer.is_object() || !layer.contains("mediaType") || !layer.contains("digest") ||
                layer["mediaType"] != "application/vnd.ollama.image.model" ||
                !layer["digest"].is_string()) {
                continue;
            }
            std::string blob = layer["digest"].get<std::string>();
            std::replace(blob.begin(), blob.end(), ':', '-');
            if (blob.find('/') != std::string::npos) {
                continue;
            }
            ModelFile file = model_file(place.folder / "blobs" / blob, place.name);
            file.name =
                at->path().parent_path().filename().string() + ":" + at->path().filename().string();
            if (file.bytes > 0) {
                found.push_back(std::move(file));
            }
        }
    }
}

}  // namespace

std::vector<ModelPlace> model_places(const fs::path& own, const std::vector<std::string>& named) {
    const fs::path home = variable("HOME");
    const auto or_else = [](const fs::path& first, const fs::path& second) {
        return first.empty() ? second : first;
    };
    const fs::path cache = or_else(variable("XDG_CACHE_HOME"), home / ".cache");
    const fs::path data = or_else(variable("XDG_DATA_HOME"), home / ".local/share");
    std::vector<ModelPlace> wanted = {{"Keyhole's models", own}};
    for (const std::string& folder : named) {
        wanted.push_back({folder, folder});
    }
    const fs::path hub =
        or_else(or_else(variable("HF_HUB_CACHE"), variable("HUGGINGFACE_HUB_CACHE")),
                or_else(variable("HF_HOME"), cache / "huggingface") / "hub");
    // LM Studio may have been moved; then a file in the home folder says where to.
    std::string moved = home.empty() ? "" : read_text(home / ".lmstudio-home-pointer");
    moved.erase(
        std::find_if(moved.begin(), moved.end(), [](char c) { return c == '\n' || c == '\r'; }),
        moved.end());
    wanted.push_back({"Hugging Face cache", hub});
    wanted.push_back(
        {"LM Studio", (moved.empty() ? home / ".lmstudio" : fs::path(moved)) / "models"});
    wanted.push_back({"LM Studio", cache / "lm-studio/models"});
    wanted.push_back({"llama.cpp cache", or_else(variable("LLAMA_CACHE"), cache / "llama.cpp")});
    wanted.push_back({"Ollama", or_else(variable("OLLAMA_MODELS"), home / ".ollama/models"), 6,
                      ModelPlace::Kind::ollama});
    wanted.push_back({"Ollama", "/usr/share/ollama/.ollama/models", 6, ModelPlace::Kind::ollama});
    wanted.push_back({"Jan", data / "Jan/data/llamacpp/models"});
    wanted.push_back({"GPT4All", data / "nomic.ai/GPT4All", 1});
    wanted.push_back({"~/models", home / "models"});
    wanted.push_back({"~/Models", home / "Models"});
    wanted.push_back({"Downloads", home / "Downloads", 2});

    std::vector<ModelPlace> places;
    std::set<fs::path> known;
    for (ModelPlace& place : wanted) {
        std::error_code error;
        if (!place.folder.is_absolute() || !fs::is_directory(place.folder, error)) {
            continue;
        }
        const fs::path real = fs::canonical(place.folder, error);
        if (!error && known.insert(real).second) {
            places.push_back(std::move(place));
        }
    }
    return places;
}

ModelFile model_file(const fs::path& path, const std::string& place) {
    ModelFile file{path.string(), path.filename().string(), place, 0, 1};
    std::error_code error;
    const auto size_of = [&](const fs::path& part) {
        const auto bytes = fs::is_regular_file(part, error) ? fs::file_size(part, error) : 0;
        return error ? int64_t{0} : static_cast<int64_t>(bytes);
    };
    file.bytes = size_of(path);
    file.parts = parts_of(file.name);
    for (int part = 2; part <= std::min(file.parts, 1000); part++) {
        char number[16];
        std::snprintf(number, sizeof number, "%05d", part);
        std::string name = file.name;
        name.replace(name.rfind("-00001-of-") + 1, 5, number);
        file.bytes += size_of(path.parent_path() / name);
    }
    return file;
}

std::vector<ModelFile> find_models(const ModelPlace& place, const std::atomic<bool>& cancel) {
    std::vector<ModelFile> found;
    if (place.kind == ModelPlace::Kind::ollama) {
        find_in_ollama(place, cancel, found);
    } else {
        std::error_code error;
        fs::recursive_directory_iterator at(place.folder,
                                            fs::directory_options::skip_permission_denied, error);
        for (size_t seen = 0;
             !error && at != fs::recursive_directory_iterator() && !cancel && seen < kMaxEntries;
             at.increment(error), seen++) {
            if (at.depth() >= place.depth) {
                at.disable_recursion_pending();
            }
            const std::string name = at->path().filename().string();
            std::error_code ignored;
            // Projectors of vision models are no models of their own.
            if (at->path().extension() == ".gguf" && !is_later_part(name) &&
                !name.starts_with("mmproj") && at->is_regular_file(ignored)) {
                found.push_back(model_file(at->path(), place.name));
            }
        }
    }
    std::sort(found.begin(), found.end(), [](const ModelFile& a, const ModelFile& b) {
        return a.name != b.name ? a.name < b.name : a.path < b.path;
    });
    return found;
}

ModelFacts model_facts(const std::string& path) {
    ModelFacts facts;
    try {
        const auto file = runtime::GgufFile::open(path);
        const runtime::InspectReport report = runtime::inspect(*file);
        facts.usable = report.usable();
        facts.mla = report.mla;
        facts.dialect = report.dialect;
        facts.notes = report.notes;
        facts.problems = report.problems;
        facts.bytes_per_token = report.k_bytes_per_token;
        if (report.config) {
            const runtime::ModelConfig& config = *report.config;
            facts.name = config.name;
            facts.architecture = config.architecture;
            facts.type = config.file_type;
            facts.description = config.description;
            facts.n_layers = config.n_layers;
            facts.n_mtp_layers = config.n_mtp_layers;
            facts.n_experts = config.n_experts;
            facts.n_experts_used = config.n_experts_used;
            facts.context_length = config.context_length;
            facts.demo = config.description.find("demo") != std::string::npos ||
                         config.description.find("Demo") != std::string::npos;
        } else {
            for (const runtime::InspectReport::Key& key : report.metadata) {
                const bool quoted = key.value.size() >= 2 && key.value.front() == '"';
                const std::string value =
                    quoted ? key.value.substr(1, key.value.size() - 2) : key.value;
                if (key.name == "general.name") {
                    facts.name = value;
                } else if (key.name == "general.architecture") {
                    facts.architecture = value;
                }
            }
            facts.type = report.types.empty() ? "" : report.types.front().name;
        }
    } catch (const std::exception& error) {
        facts.problems = {error.what()};
    }
    return facts;
}

}  // namespace app
