#include "runtime/model/gguf.h"

#include <cerrno>
#include <cstring>
#include <unordered_map>

#include <sys/resource.h>

#include "runtime/error.h"
#include "runtime/model/gguf_part.h"
#include "runtime/model/gguf_types.h"

namespace runtime {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw ModelError("'" + printable(path, 400) + "': " + what);
}

// "model-00002-of-00005.gguf" taken apart. Names of the other parts come from this name alone,
// never from the file.
struct SplitName {
    std::string prefix;  // "model"
    int part = 0;        // from 1
    int count = 0;

    std::string name(int number) const {
        const auto digits = [](int n) {
            const std::string text = std::to_string(n);
            return std::string(5 - text.size(), '0') + text;
        };
        return prefix + "-" + digits(number) + "-of-" + digits(count) + ".gguf";
    }

    static std::optional<SplitName> from(std::string_view path) {
        constexpr std::string_view kPattern = "-00000-of-00000.gguf";
        if (path.size() < kPattern.size()) {
            return std::nullopt;
        }
        const std::string_view end = path.substr(path.size() - kPattern.size());
        SplitName split;
        split.prefix = path.substr(0, path.size() - kPattern.size());
        for (size_t i = 0; i < end.size(); i++) {
            const bool digit = end[i] >= '0' && end[i] <= '9';
            if (kPattern[i] == '0' ? !digit : end[i] != kPattern[i]) {
                return std::nullopt;
            }
            if (digit) {
                int& number = i < 6 ? split.part : split.count;
                number = number * 10 + (end[i] - '0');
            }
        }
        return split.part >= 1 && split.part <= split.count ? std::optional(split) : std::nullopt;
    }
};

uint64_t split_number(const GgufPart& part, std::string_view key) {
    const GgufFile::Entry* entry = part.find(key);
    if (entry == nullptr) {
        fail(part.path, "a part of a split model without the key '" + std::string(key) +
                            "'; split the model again");
    }
    return unsigned_value(part.path, *entry);
}

std::vector<GgufPart> open_parts(const std::string& path, GgufAccess access) {
    std::vector<GgufPart> parts;
    parts.push_back(parse_gguf(path, access));
    const GgufFile::Entry* entry = parts[0].find("split.count");
    if (entry == nullptr) {
        return parts;
    }
    const uint64_t count = unsigned_value(path, *entry);
    if (count == 1) {
        return parts;
    }
    if (count == 0 || count > 65535) {
        fail(path, "split.count is " + std::to_string(count) + ", expected 1 to 65535");
    }
    const auto split = SplitName::from(path);
    if (!split || static_cast<uint64_t>(split->count) != count) {
        fail(path, "one of " + std::to_string(count) +
                       " parts of a split model, but its name does not end in -00001-of-" +
                       SplitName{"", 1, static_cast<int>(count)}.name(1).substr(10) +
                       "; give all parts their original names");
    }
    GgufPart named = std::move(parts[0]);
    parts.clear();
    uint64_t tensors = 0;
    for (int number = 1; number <= split->count; number++) {
        const std::string name = split->name(number);
        if (number == split->part) {
            parts.push_back(std::move(named));
        } else {
            try {
                parts.push_back(parse_gguf(name, access));
            } catch (const ModelError& error) {
                throw ModelError(std::string(error.what()) + " (part " + std::to_string(number) +
                                 " of " + std::to_string(count) +
                                 "; all parts must lie in one folder)");
            }
        }
        const GgufPart& part = parts.back();
        const uint64_t no = split_number(part, "split.no");
        const uint64_t its_count = split_number(part, "split.count");
        if (no != static_cast<uint64_t>(number - 1) || its_count != count) {
            fail(part.path, "its keys call it part " + std::to_string(no + 1) + " of " +
                                std::to_string(its_count) + ", its name part " +
                                std::to_string(number) + " of " + std::to_string(count) +
                                "; it is misnamed or belongs to another model");
        }
        tensors += part.tensors.size();
    }
    const uint64_t expected = split_number(parts[0], "split.tensors.count");
    for (const GgufPart& part : parts) {
        const GgufFile::Entry* own = part.find("split.tensors.count");
        if (own != nullptr && unsigned_value(part.path, *own) != expected) {
            fail(part.path,
                 "split.tensors.count differs from that of part 1; it belongs to another model");
        }
        const GgufFile::Entry* arch = part.find("general.architecture");
        const GgufFile::Entry* first = parts[0].find("general.architecture");
        if (arch != nullptr && first != nullptr && arch->value.index() == 0 &&
            first->value.index() == 0 &&
            std::get<GgufScalar>(arch->value) != std::get<GgufScalar>(first->value)) {
            fail(part.path,
                 "its architecture differs from that of part 1; it belongs to another model");
        }
    }
    if (tensors != expected) {
        fail(path, "the parts hold " + std::to_string(tensors) +
                       " tensors, split.tensors.count says " + std::to_string(expected) +
                       "; a part belongs to another model");
    }
    return parts;
}

}  // namespace

struct GgufFile::Data {
    std::string path;
    GgufAccess access = GgufAccess::map;
    std::vector<GgufPart> parts;
    std::vector<GgufTensor> tensors;
    std::unordered_map<std::string_view, size_t> tensor_index;
    std::unordered_map<std::string_view, size_t>
        key_index;  // of part 1, whose metadata is the model's

    const Entry* find(std::string_view key) const {
        const auto found = key_index.find(key);
        return found == key_index.end() ? nullptr : &parts[0].metadata[found->second];
    }

    // The scalar at `key`, null if absent; throws if it is an array.
    const GgufScalar* scalar(std::string_view key, const char* expected) const {
        const Entry* entry = find(key);
        if (entry == nullptr) {
            return nullptr;
        }
        const auto* value = std::get_if<GgufScalar>(&entry->value);
        if (value == nullptr) {
            wrong_type(*entry, expected);
        }
        return value;
    }

    [[noreturn]] void wrong_type(const Entry& entry, const char* expected) const {
        fail(path, "key '" + printable(entry.key) + "' has type " +
                       std::string(gguf_type_name(entry.type)) + ", expected " + expected);
    }
};

std::optional<int64_t> GgufArray::integer(uint64_t index) const {
    const auto read = [&]<typename T>(T value) -> std::optional<int64_t> {
        if (index >= count) {
            return std::nullopt;
        }
        std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
        if constexpr (sizeof(T) == 8 && !std::is_signed_v<T>) {
            if (value > static_cast<T>(INT64_MAX)) {
                return std::nullopt;
            }
        }
        return static_cast<int64_t>(value);
    };
    switch (type) {
        case GgufType::u8:
            return read(uint8_t{});
        case GgufType::i8:
            return read(int8_t{});
        case GgufType::u16:
            return read(uint16_t{});
        case GgufType::i16:
            return read(int16_t{});
        case GgufType::u32:
            return read(uint32_t{});
        case GgufType::i32:
            return read(int32_t{});
        case GgufType::u64:
            return read(uint64_t{});
        case GgufType::i64:
            return read(int64_t{});
        default:
            return std::nullopt;
    }
}

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path, GgufAccess access) {
    auto data = std::make_unique<Data>();
    data->path = path;
    data->access = access;
    data->parts = open_parts(path, access);
    for (size_t i = 0; i < data->parts.size(); i++) {
        for (GgufTensor& tensor : data->parts[i].tensors) {
            tensor.part = static_cast<int>(i);
            const auto [place, is_new] =
                data->tensor_index.emplace(tensor.name, data->tensors.size());
            if (!is_new) {
                fail(data->parts[i].path,
                     "tensor '" + printable(tensor.name) + "' is in another part too");
            }
            data->tensors.push_back(std::move(tensor));
        }
        data->parts[i].tensors.clear();
    }
    const std::vector<Entry>& metadata = data->parts[0].metadata;
    for (size_t i = 0; i < metadata.size(); i++) {
        data->key_index.emplace(metadata[i].key, i);
    }
    std::shared_ptr<const GgufFile> file(new GgufFile(std::move(data)));
    file->check_unchanged();
    return file;
}

GgufFile::GgufFile(std::unique_ptr<Data> data) : data_(std::move(data)) {}
GgufFile::~GgufFile() = default;

const std::string& GgufFile::path() const {
    return data_->path;
}

uint32_t GgufFile::version() const {
    return data_->parts[0].version;
}

uint64_t GgufFile::file_bytes() const {
    uint64_t sum = 0;
    for (const GgufPart& part : data_->parts) {
        sum += part.bytes->size();
    }
    return sum;
}

uint64_t GgufFile::tensor_bytes() const {
    uint64_t sum = 0;  // cannot wrap: tensors of a part lie side by side inside its file
    for (const GgufTensor& tensor : data_->tensors) {
        sum += tensor.bytes;
    }
    return sum;
}

int GgufFile::parts() const {
    return static_cast<int>(data_->parts.size());
}

GgufAccess GgufFile::access() const {
    return data_->access;
}

void GgufFile::check_unchanged() const {
    for (const GgufPart& part : data_->parts) {
        if (!part.bytes->unchanged()) {
            fail(part.path,
                 "the file changed its size after it was opened; let the download finish, then "
                 "open it again");
        }
    }
}

std::string GgufFile::lock_in_memory() const {
    for (const GgufPart& part : data_->parts) {
        if (part.bytes->lock()) {
            continue;
        }
        const int reason = errno;
        rlimit limit{};
        ::getrlimit(RLIMIT_MEMLOCK, &limit);
        std::string text = "--mlock: the system did not lock " +
                           std::to_string(part.bytes->size() >> 20) + " MiB in memory (" +
                           std::strerror(reason) + ")";
        if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < part.bytes->size()) {
            text += ": this user may lock " + std::to_string(limit.rlim_cur >> 20) +
                    " MiB; raise it with 'ulimit -l unlimited' or in /etc/security/limits.conf";
        }
        return text + "; going on without";
    }
    return {};
}

std::optional<uint64_t> GgufFile::u64(std::string_view key) const {
    const Entry* entry = data_->find(key);
    return entry == nullptr ? std::nullopt : std::optional(unsigned_value(data_->path, *entry));
}

std::optional<double> GgufFile::f64(std::string_view key) const {
    const GgufScalar* value = data_->scalar(key, "a number");
    if (value == nullptr) {
        return std::nullopt;
    }
    if (const auto* d = std::get_if<double>(value)) {
        return *d;
    }
    if (const auto* i = std::get_if<int64_t>(value)) {
        return static_cast<double>(*i);
    }
    if (const auto* u = std::get_if<uint64_t>(value)) {
        return static_cast<double>(*u);
    }
    data_->wrong_type(*data_->find(key), "a number");
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
    const GgufScalar* value = data_->scalar(key, "a bool");
    if (value == nullptr) {
        return std::nullopt;
    }
    if (const auto* b = std::get_if<bool>(value)) {
        return *b;
    }
    data_->wrong_type(*data_->find(key), "a bool");
}

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
    const GgufScalar* value = data_->scalar(key, "a string");
    if (value == nullptr) {
        return std::nullopt;
    }
    if (const auto* s = std::get_if<std::string_view>(value)) {
        return *s;
    }
    data_->wrong_type(*data_->find(key), "a string");
}

const GgufArray* GgufFile::array(std::string_view key) const {
    const Entry* entry = data_->find(key);
    if (entry == nullptr) {
        return nullptr;
    }
    const auto* value = std::get_if<GgufArray>(&entry->value);
    if (value == nullptr) {
        data_->wrong_type(*entry, "an array");
    }
    return value;
}

bool GgufFile::has(std::string_view key) const {
    return data_->find(key) != nullptr;
}

std::span<const GgufFile::Entry> GgufFile::metadata() const {
    return data_->parts[0].metadata;
}

std::span<const GgufTensor> GgufFile::tensors() const {
    return data_->tensors;
}

const GgufTensor* GgufFile::tensor(std::string_view name) const {
    const auto found = data_->tensor_index.find(name);
    return found == data_->tensor_index.end() ? nullptr : &data_->tensors[found->second];
}

}  // namespace runtime
