#include "runtime/model/inspect.h"

#include <algorithm>
#include <cstdio>

#include "runtime/cache/kv_cache.h"
#include "runtime/error.h"
#include "runtime/model/gguf_types.h"
#include "runtime/model/weights.h"

namespace runtime {
namespace {

constexpr uint64_t kShownElements = 6;  // of an array

std::string scalar_text(const GgufScalar& value) {
    if (const auto* i = std::get_if<int64_t>(&value)) {
        return std::to_string(*i);
    }
    if (const auto* u = std::get_if<uint64_t>(&value)) {
        return std::to_string(*u);
    }
    if (const auto* d = std::get_if<double>(&value)) {
        char text[32];
        std::snprintf(text, sizeof text, "%.7g", *d);
        return text;
    }
    if (const auto* b = std::get_if<bool>(&value)) {
        return *b ? "true" : "false";
    }
    return "\"" + printable(std::get<std::string_view>(value), 100) + "\"";
}

std::string array_text(const GgufArray& array) {
    std::string text =
        std::to_string(array.count) + " x " + std::string(gguf_type_name(array.type));
    for (uint64_t i = 0; i < std::min(array.count, kShownElements); i++) {
        std::string element = "...";
        if (array.type == GgufType::string) {
            element = "\"" + printable(array.strings[i], 30) + "\"";
        } else if (const auto integer = array.integer(i)) {
            element = std::to_string(*integer);
        }
        text += (i == 0 ? ": " : ", ") + element;
    }
    return array.count > kShownElements ? text + ", ..." : text;
}

std::string size_text(uint64_t bytes) {
    constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        unit++;
    }
    char text[48];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
    return text;
}

std::string shape_text(const GgufTensor& tensor) {
    std::string text = "{";
    for (size_t i = 0; i < tensor.ne.size(); i++) {
        text += (i == 0 ? "" : ", ") + std::to_string(tensor.ne[i]);
    }
    return text + "}";
}

std::string dialect_of(const GgufFile& file, const std::string& architecture) {
    const GgufTensor* k_b = file.tensor("blk.0.attn_k_b.weight");
    const bool unsplit = file.tensor("blk.0.attn_kv_b.weight") != nullptr;
    if (k_b == nullptr) {
        return unsplit ? "keys and values unsplit (early Ollama)" : "";
    }
    if (architecture == "glm4moelite") {
        return "Ollama";
    }
    return unsplit && k_b->ne.size() == 2 ? "ik_llama.cpp converter" : "mainline llama.cpp";
}

std::vector<InspectReport::Type> types_of(const GgufFile& file) {
    std::vector<InspectReport::Type> types;
    for (const GgufTensor& tensor : file.tensors()) {
        auto found = std::find_if(types.begin(), types.end(),
                                  [&](auto& t) { return t.name == tensor.type_name; });
        if (found == types.end()) {
            const bool computed = !tensor.view.empty() && tensor.view.dtype != kernels::DType::i32;
            found = types.insert(types.end(), {tensor.type_name, 0, 0, computed});
        }
        found->tensors++;
        found->bytes += tensor.bytes;
    }
    std::stable_sort(types.begin(), types.end(),
                     [](auto& a, auto& b) { return a.bytes > b.bytes; });
    return types;
}

// Runs one step of what loading does and keeps its refusal as a problem.
template <typename Step>
void try_step(InspectReport& report, const Step& step) {
    try {
        step();
    } catch (const ModelError& error) {
        const std::string own_path = "'" + printable(report.path, 400) + "': ";
        const std::string what = error.what();
        report.problems.push_back(what.starts_with(own_path) ? what.substr(own_path.size()) : what);
    }
}

}  // namespace

InspectReport inspect(const GgufFile& file) {
    InspectReport report;
    report.path = file.path();
    report.version = file.version();
    report.parts = file.parts();
    report.file_bytes = file.file_bytes();
    for (const GgufFile::Entry& entry : file.metadata()) {
        const auto* array = std::get_if<GgufArray>(&entry.value);
        report.metadata.push_back(
            {printable(entry.key, 200), std::string(gguf_type_name(entry.type)),
             array != nullptr ? array_text(*array)
                              : scalar_text(std::get<GgufScalar>(entry.value))});
    }
    for (const GgufTensor& tensor : file.tensors()) {
        report.tensors.push_back(
            {printable(tensor.name), tensor.type_name, shape_text(tensor), tensor.bytes});
    }
    report.types = types_of(file);
    report.mla = file.tensor("blk.0.attn_kv_a_mqa.weight") != nullptr;

    try_step(report, [&] {
        report.config = ModelConfig::from(file);
        report.dialect = dialect_of(file, report.config->architecture);
        report.notes = report.config->warnings;
    });
    if (report.config) {
        try_step(report, [&] {
            report.k_bytes_per_token =
                KvLayout(*report.config, kernels::DType::f16).bytes_per_token();
        });
        try_step(report, [&] {
            for (std::string& warning : Weights::check(file, *report.config)) {
                report.notes.push_back(std::move(warning));
            }
        });
        try_step(report, [&] { Tokenizer tokenizer(vocabulary_of(file)); });
    }
    return report;
}

std::string to_text(const InspectReport& r, bool all_tensors) {
    std::string out;
    const auto line = [&](const std::string& label, const std::string& text) {
        out += label + std::string(label.size() < 14 ? 14 - label.size() : 1, ' ') + text + "\n";
    };
    line("file", printable(r.path, 400));
    line("format", "GGUF v" + std::to_string(r.version) + ", " + size_text(r.file_bytes) +
                       (r.parts > 1 ? " in " + std::to_string(r.parts) + " parts" : ""));
    if (r.config) {
        const ModelConfig& c = *r.config;
        const auto n = [](int64_t value) { return std::to_string(value); };
        line("model", c.name + " (" + c.architecture + ", " + c.file_type + ")");
        if (!c.description.empty()) {
            line("", c.description);
        }
        line("attention", "MLA, " + n(c.n_heads) + " heads; K row of " + n(c.kv_lora_rank) +
                              " latent + " + n(c.qk_rope_head_dim) + " rotary, no V; f16 cache " +
                              n(r.k_bytes_per_token) + " bytes a token");
        line("layers", n(c.n_layers) + " (" + n(c.n_dense_layers) + " dense), hidden " +
                           n(c.hidden) + "; " + n(c.n_experts) + " experts, " +
                           n(c.n_experts_used) + " used" + (c.shared_ff > 0 ? " + shared" : ""));
        if (c.n_mtp_layers > 0) {
            line("draft layer", n(c.n_mtp_layers) + " MTP layer(s), set aside");
        }
        line("vocabulary", n(c.vocab) + "; context " + n(c.context_length));
        line("dialect", r.dialect);
    } else {
        line("attention", r.mla ? "MLA" : "not MLA as GLM-4.7-Flash has it");
    }
    out += "\ntypes\n";
    for (const InspectReport::Type& type : r.types) {
        out += "  " + type.name +
               std::string(type.name.size() < 12 ? 12 - type.name.size() : 1, ' ') +
               std::to_string(type.tensors) + " tensors, " + size_text(type.bytes) +
               (type.computed ? "" : "   (Keyhole does not compute with it)") + "\n";
    }
    out += "\nmetadata (" + std::to_string(r.metadata.size()) + " keys)\n";
    for (const InspectReport::Key& key : r.metadata) {
        out += "  " + key.name + " = " + key.value + "\n";
    }
    if (all_tensors) {
        out += "\ntensors (" + std::to_string(r.tensors.size()) + ")\n";
        for (const InspectReport::Tensor& tensor : r.tensors) {
            char text[160];
            std::snprintf(text, sizeof text, "  %-36s %-8s %-24s %14llu bytes\n",
                          tensor.name.c_str(), tensor.type.c_str(), tensor.shape.c_str(),
                          static_cast<unsigned long long>(tensor.bytes));
            out += text;
        }
    }
    for (const std::string& note : r.notes) {
        out += "note: " + note + "\n";
    }
    for (const std::string& problem : r.problems) {
        out += "problem: " + problem + "\n";
    }
    out += r.usable() ? "Keyhole can run this file.\n" : "Keyhole cannot run this file.\n";
    return out;
}

}  // namespace runtime
