// A GGUF file as an editable value: read a good one, change keys and tensors, write it again in any
// version or in parts. Knows nothing of what Keyhole accepts, so tests can write wrong files with
// it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/model/gguf.h"

namespace tests {

struct GgufImage {
    struct Key {
        std::string name;
        uint32_t type;
        std::string value;  // packed, without the type number
    };
    struct Tensor {
        std::string name;
        std::vector<uint64_t> ne;
        uint32_t type;
        std::string data;
        int64_t offset = -1;  // from the start of the data; -1: the next free place
    };

    std::vector<Key> keys;
    std::vector<Tensor> tensors;

    template <typename T>
    static std::string pack(T value) {
        return {reinterpret_cast<const char*>(&value), sizeof value};
    }
    static std::string pack_string(const std::string& text) {
        return pack(uint64_t{text.size()}) + text;
    }

    static GgufImage of(const std::string& path) {
        using runtime::GgufType;
        GgufImage image;
        const auto file = runtime::GgufFile::open(path);
        for (const auto& entry : file->metadata()) {
            Key key{std::string(entry.key), static_cast<uint32_t>(entry.type), {}};
            if (const auto* array = std::get_if<runtime::GgufArray>(&entry.value)) {
                key.value = pack(static_cast<uint32_t>(array->type)) + pack(array->count);
                key.value.append(reinterpret_cast<const char*>(array->bytes.data()),
                                 array->bytes.size());
                for (const auto text : array->strings) {
                    key.value += pack_string(std::string(text));
                }
            } else {
                const auto& scalar = std::get<runtime::GgufScalar>(entry.value);
                switch (entry.type) {
                    case GgufType::u32:
                        key.value = pack(static_cast<uint32_t>(std::get<uint64_t>(scalar)));
                        break;
                    case GgufType::f32:
                        key.value = pack(static_cast<float>(std::get<double>(scalar)));
                        break;
                    case GgufType::boolean:
                        key.value = pack(static_cast<uint8_t>(std::get<bool>(scalar)));
                        break;
                    case GgufType::string:
                        key.value = pack_string(std::string(std::get<std::string_view>(scalar)));
                        break;
                    default:
                        throw std::runtime_error("a type the golden models do not use");
                }
            }
            image.keys.push_back(std::move(key));
        }
        for (const auto& t : file->tensors()) {
            Tensor tensor{std::string(t.name), {t.ne.begin(), t.ne.end()}, t.ggml_type, {}};
            tensor.data.assign(reinterpret_cast<const char*>(t.view.data), t.bytes);
            image.tensors.push_back(std::move(tensor));
        }
        return image;
    }

    Key* find_key(const std::string& name) {
        const auto found =
            std::find_if(keys.begin(), keys.end(), [&](auto& k) { return k.name == name; });
        return found == keys.end() ? nullptr : &*found;
    }
    void set(const std::string& name, uint32_t type, std::string value) {
        if (Key* key = find_key(name)) {
            *key = {name, type, std::move(value)};
        } else {
            keys.push_back({name, type, std::move(value)});
        }
    }
    void set_u32(const std::string& name, uint32_t value) { set(name, 4, pack(value)); }
    void set_f32(const std::string& name, float value) { set(name, 6, pack(value)); }
    void set_string(const std::string& name, const std::string& value) {
        set(name, 8, pack_string(value));
    }
    void set_u32_array(const std::string& name, const std::vector<uint32_t>& values) {
        std::string packed = pack(uint32_t{4}) + pack(uint64_t{values.size()});
        for (const uint32_t v : values) {
            packed += pack(v);
        }
        set(name, 9, packed);
    }
    void set_string_array(const std::string& name, const std::vector<std::string>& values) {
        std::string packed = pack(uint32_t{8}) + pack(uint64_t{values.size()});
        for (const std::string& v : values) {
            packed += pack_string(v);
        }
        set(name, 9, packed);
    }
    void erase_key(const std::string& name) {
        std::erase_if(keys, [&](auto& k) { return k.name == name; });
    }
    void rename_keys(const std::string& prefix, const std::string& new_prefix) {
        for (Key& key : keys) {
            if (key.name.starts_with(prefix)) {
                key.name = new_prefix + key.name.substr(prefix.size());
            }
        }
    }

    Tensor& tensor(const std::string& name) {
        const auto found =
            std::find_if(tensors.begin(), tensors.end(), [&](auto& t) { return t.name == name; });
        if (found == tensors.end()) {
            throw std::runtime_error("no tensor " + name);
        }
        return *found;
    }
    void erase_tensor(const std::string& name) {
        std::erase_if(tensors, [&](auto& t) { return t.name == name; });
    }

    std::string bytes(uint32_t version = 3, uint64_t alignment = 32) const {
        std::string head =
            "GGUF" + pack(version) + pack(uint64_t{tensors.size()}) + pack(uint64_t{keys.size()});
        for (const Key& key : keys) {
            head += pack_string(key.name) + pack(key.type) + key.value;
        }
        std::string data;
        for (const Tensor& t : tensors) {
            const uint64_t offset = t.offset >= 0 ? static_cast<uint64_t>(t.offset) : data.size();
            head += pack_string(t.name) + pack(static_cast<uint32_t>(t.ne.size()));
            for (const uint64_t n : t.ne) {
                head += pack(n);
            }
            head += pack(t.type) + pack(offset);
            data += t.data;
            data.resize((data.size() + alignment - 1) / alignment * alignment, '\0');
        }
        if (!tensors.empty()) {
            head.resize((head.size() + alignment - 1) / alignment * alignment, '\0');
        }
        return head + data;
    }

    // Where the entry of a tensor begins in bytes(): its name's length.
    static size_t entry_of(const std::string& bytes, const std::string& tensor_name) {
        return bytes.find(pack_string(tensor_name));
    }

    // The model in `count` parts, as llama.cpp's splitter writes them: all keys in the first.
    std::vector<std::string> parts(int count) const {
        std::vector<std::string> files;
        for (int i = 0; i < count; i++) {
            GgufImage part;
            if (i == 0) {
                part.keys = keys;
            }
            part.set("split.no", 2, pack(static_cast<uint16_t>(i)));
            part.set("split.count", 2, pack(static_cast<uint16_t>(count)));
            part.set("split.tensors.count", 5, pack(static_cast<int32_t>(tensors.size())));
            const size_t n = tensors.size();
            const auto each = static_cast<size_t>(count);
            const auto at = static_cast<size_t>(i);
            part.tensors.assign(tensors.begin() + static_cast<long>(n * at / each),
                                tensors.begin() + static_cast<long>(n * (at + 1) / each));
            files.push_back(part.bytes());
        }
        return files;
    }
};

}  // namespace tests
