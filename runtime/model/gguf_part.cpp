#include "runtime/model/gguf_part.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.h"
#include "runtime/model/gguf_types.h"

namespace runtime {
namespace {

static_assert(std::endian::native == std::endian::little,
              "GGUF is read in place, as little-endian");

// Limits far above any real model (GLM-4.7-Flash: about 50 keys, 844 tensors). They bound what a
// hostile header can make us allocate; strings and arrays are bounded by the file's own length.
constexpr uint64_t kMaxKeys = 1 << 13;
constexpr uint64_t kMaxTensors = 1 << 14;
constexpr uint64_t kMaxKeyBytes = 65535;      // the format's own limit
constexpr uint64_t kMaxTensorNameBytes = 64;  // likewise
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMinAlignment =
    8;  // the format demands a multiple of 8; kernels read floats in place
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;  // length, one character, type, one byte of value
constexpr uint64_t kMinTensorBytes =
    8 + 1 + 4 + 8 + 4 + 8;  // length, one character, rank, one dimension, type, offset

uint64_t scalar_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::string:
        case GgufType::array:
            break;
    }
    return 0;
}

bool valid_name(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = text[at] == '\0' ? 0 : utf8_length(text.substr(at));
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return !text.empty();
}

// Reads a header from front to back. `what` in every message names the field being read.
class Parser {
public:
    Parser(GgufPart& part, const std::byte* data, uint64_t size)
        : part_(part), data_(data), size_(size) {}

    void parse() {
        const uint64_t n_tensors = header();
        const uint64_t n_keys = number<uint64_t>("the number of keys");
        check_count("metadata keys", n_keys, kMaxKeys, kMinKeyBytes);
        check_count("tensors", n_tensors, kMaxTensors, kMinTensorBytes);
        std::unordered_set<std::string_view> names;
        for (uint64_t i = 0; i < n_keys; i++) {
            read_entry();
            if (!names.insert(part_.metadata.back().key).second) {
                fail("key '" + printable(part_.metadata.back().key) + "' appears twice");
            }
        }
        names.clear();
        for (uint64_t i = 0; i < n_tensors; i++) {
            read_tensor();
            if (!names.insert(part_.tensors.back().name).second) {
                fail("tensor '" + printable(part_.tensors.back().name) + "' appears twice");
            }
        }
        place_tensors();
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw ModelError("'" + printable(part_.path, 400) + "': " + what);
    }

    uint64_t left() const { return size_ - at_; }

    void need(uint64_t bytes, std::string_view what) const {
        if (bytes > left()) {
            fail("the file ends inside " + std::string(what) + ": " + std::to_string(bytes) +
                 " bytes needed at offset " + std::to_string(at_) + ", " + std::to_string(left()) +
                 " left; the download is incomplete or damaged");
        }
    }

    template <typename T>
    T number(std::string_view what) {
        need(sizeof(T), what);
        T value;
        std::memcpy(&value, data_ + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }

    std::string_view text(std::string_view what) {
        const auto length = number<uint64_t>(what);
        need(length, what);
        const std::string_view value(reinterpret_cast<const char*>(data_ + at_), length);
        at_ += length;
        return value;
    }

    void check_count(std::string_view what,
                     uint64_t count,
                     uint64_t limit,
                     uint64_t bytes_each) const {
        if (count > limit || count > left() / bytes_each) {
            fail("the header promises " + std::to_string(count) + " " + std::string(what) +
                 "; the file has room for " + std::to_string(left() / bytes_each) +
                 " and Keyhole reads at most " + std::to_string(limit) + "; the file is damaged");
        }
    }

    uint64_t header() {
        constexpr char kMagic[] = {'G', 'G', 'U', 'F'};
        if (size_ < 4 || std::memcmp(data_, kMagic, 4) != 0) {
            const std::string_view start(reinterpret_cast<const char*>(data_),
                                         std::min<uint64_t>(size_, 40));
            if (start.starts_with("version https://git-lfs")) {
                fail(
                    "this is a Git LFS pointer, not the model; fetch the file itself (git lfs "
                    "pull)");
            }
            fail("not a GGUF file: it starts with '" + printable(start.substr(0, 8)) +
                 "', expected 'GGUF'");
        }
        at_ = 4;
        part_.version = number<uint32_t>("the version");
        if (part_.version == 0x02000000 || part_.version == 0x03000000) {
            fail(
                "a big-endian GGUF file; convert it with gguf_convert_endian.py or download the "
                "little-endian one");
        }
        if (part_.version != 2 && part_.version != 3) {
            fail("GGUF version " + std::to_string(part_.version) +
                 "; Keyhole reads versions 2 and 3: convert the model again");
        }
        return number<uint64_t>("the number of tensors");
    }

    void read_entry() {
        const std::string_view key = text("the length of a key");
        if (key.size() > kMaxKeyBytes || !valid_name(key)) {
            fail("key '" + printable(key) + "' of " + std::to_string(key.size()) +
                 " bytes is empty, too long or no valid UTF-8 text; the file is damaged");
        }
        const std::string what = "the value of key '" + printable(key) + "'";
        const auto type_number = number<uint32_t>(what);
        const GgufType type = value_type(type_number, what);
        GgufFile::Entry entry{key, type, {}};
        if (type == GgufType::array) {
            entry.value = read_array(what);
        } else {
            entry.value = read_scalar(type, what);
        }
        part_.metadata.push_back(std::move(entry));
    }

    GgufType value_type(uint32_t number, const std::string& what) const {
        if (number > static_cast<uint32_t>(GgufType::f64)) {
            fail(what + " has the unknown type " + std::to_string(number) +
                 ", expected 0 to 12; the file is damaged");
        }
        return static_cast<GgufType>(number);
    }

    GgufScalar read_scalar(GgufType type, const std::string& what) {
        switch (type) {
            case GgufType::u8:
                return uint64_t{number<uint8_t>(what)};
            case GgufType::u16:
                return uint64_t{number<uint16_t>(what)};
            case GgufType::u32:
                return uint64_t{number<uint32_t>(what)};
            case GgufType::u64:
                return number<uint64_t>(what);
            case GgufType::i8:
                return int64_t{number<int8_t>(what)};
            case GgufType::i16:
                return int64_t{number<int16_t>(what)};
            case GgufType::i32:
                return int64_t{number<int32_t>(what)};
            case GgufType::i64:
                return number<int64_t>(what);
            case GgufType::f32:
                return double{number<float>(what)};
            case GgufType::f64:
                return number<double>(what);
            case GgufType::string:
                return text(what);
            case GgufType::boolean: {
                const auto byte = number<uint8_t>(what);
                if (byte > 1) {
                    fail(what + " is a bool of value " + std::to_string(byte) +
                         ", expected 0 or 1; the file is damaged");
                }
                return byte == 1;
            }
            case GgufType::array:
                break;
        }
        fail(what + " has no readable type");
    }

    GgufArray read_array(const std::string& what) {
        GgufArray array;
        array.type = value_type(number<uint32_t>(what), what);
        array.count = number<uint64_t>(what);
        if (array.type == GgufType::array) {
            fail(what + " is an array of arrays, which no GLM-4.7-Flash file holds");
        }
        if (array.type == GgufType::string) {
            if (array.count >
                left() /
                    8) {  // before the reservation: each string takes at least its length field
                fail(what + " promises " + std::to_string(array.count) + " strings in the " +
                     std::to_string(left()) + " bytes that are left; the file is damaged");
            }
            array.strings.reserve(array.count);
            for (uint64_t i = 0; i < array.count; i++) {
                array.strings.push_back(text(what));
            }
            return array;
        }
        const uint64_t each = scalar_bytes(array.type);
        if (array.count > left() / each) {
            fail(what + " promises " + std::to_string(array.count) + " elements of " +
                 std::to_string(each) + " bytes in the " + std::to_string(left()) +
                 " bytes that are left; the file is damaged");
        }
        array.bytes = {data_ + at_, array.count * each};
        at_ += array.bytes.size();
        if (array.type == GgufType::boolean &&
            std::any_of(array.bytes.begin(), array.bytes.end(),
                        [](std::byte b) { return b > std::byte{1}; })) {
            fail(what + " has a bool that is neither 0 nor 1; the file is damaged");
        }
        return array;
    }

    void read_tensor() {
        GgufTensor tensor;
        tensor.name = text("the name of a tensor");
        if (tensor.name.size() > kMaxTensorNameBytes || !valid_name(tensor.name)) {
            fail("tensor name '" + printable(tensor.name) + "' of " +
                 std::to_string(tensor.name.size()) +
                 " bytes is empty, longer than 64 bytes or no valid UTF-8 text; the file is "
                 "damaged");
        }
        const std::string what = "tensor '" + printable(tensor.name) + "'";
        const auto rank = number<uint32_t>(what);
        if (rank < 1 || rank > kMaxDims) {
            fail(what + " has " + std::to_string(rank) +
                 " dimensions, expected 1 to 4; the file is damaged");
        }
        for (uint32_t d = 0; d < rank; d++) {
            const auto n = number<uint64_t>(what);
            if (n == 0 || n > uint64_t{1} << 62) {
                fail(what + " has a dimension of " + std::to_string(n) + "; the file is damaged");
            }
            tensor.ne.push_back(static_cast<int64_t>(n));
        }
        tensor.ggml_type = number<uint32_t>(what);
        tensor.type_name = ggml_type_name(tensor.ggml_type);
        tensor.file_offset =
            number<uint64_t>(what);  // from the start of the data, until place_tensors()
        tensor.bytes = tensor_bytes(tensor, what);
        part_.tensors.push_back(std::move(tensor));
    }

    // 0 for a type whose layout is unknown. A dense tensor of the file can hold no more elements
    // than the file has bits, so the product is refused long before it can wrap.
    uint64_t tensor_bytes(const GgufTensor& tensor, const std::string& what) const {
        const uint64_t most = size_ <= UINT64_MAX / 8 ? size_ * 8 : UINT64_MAX;
        uint64_t elements = 1;
        for (const int64_t n : tensor.ne) {
            if (static_cast<uint64_t>(n) > most / elements) {
                fail(what + " " + shape_text(tensor) +
                     " is larger than the file; the file is damaged or incomplete");
            }
            elements *= static_cast<uint64_t>(n);
        }
        const GgmlType* type = ggml_type(tensor.ggml_type);
        if (type == nullptr || type->block_elements == 0) {
            return 0;
        }
        if (tensor.ne[0] % type->block_elements != 0) {
            fail(what + " of type " + tensor.type_name + " has rows of " +
                 std::to_string(tensor.ne[0]) + " weights, expected a multiple of " +
                 std::to_string(type->block_elements) + "; the file is damaged");
        }
        const uint64_t blocks = elements / static_cast<uint64_t>(type->block_elements);
        const auto block_bytes = static_cast<uint64_t>(type->block_bytes);
        if (blocks > size_ / block_bytes) {
            fail(what + " " + shape_text(tensor) + " of type " + tensor.type_name +
                 " is larger than the file of " + std::to_string(size_) +
                 " bytes; the download is incomplete or damaged");
        }
        return blocks * block_bytes;
    }

    static std::string shape_text(const GgufTensor& tensor) {
        std::string text = "{";
        for (size_t i = 0; i < tensor.ne.size(); i++) {
            text += (i == 0 ? "" : ", ") + std::to_string(tensor.ne[i]);
        }
        return text + "}";
    }

    uint64_t alignment() const {
        const GgufFile::Entry* entry = part_.find("general.alignment");
        if (entry == nullptr) {
            return kDefaultAlignment;
        }
        const uint64_t value = unsigned_value(part_.path, *entry);
        if (!std::has_single_bit(value) || value < kMinAlignment || value > kMaxAlignment) {
            fail("general.alignment is " + std::to_string(value) +
                 ", expected a power of two from 8 to 1048576");
        }
        return value;
    }

    // Turns offsets into places in the file; nothing may lie outside the data or on top of
    // something else.
    void place_tensors() {
        const uint64_t align = alignment();
        const uint64_t padding = (align - at_ % align) % align;
        if (part_.tensors.empty()) {
            part_.data_start = at_;
            return;
        }
        need(padding, "the padding before the tensor data");
        part_.data_start = at_ + padding;
        const uint64_t room = size_ - part_.data_start;
        std::vector<const GgufTensor*> order;
        for (GgufTensor& tensor : part_.tensors) {
            const std::string what = "tensor '" + printable(tensor.name) + "'";
            if (tensor.file_offset % align != 0) {
                fail(what + " starts at offset " + std::to_string(tensor.file_offset) +
                     ", expected a multiple of " + std::to_string(align) + "; the file is damaged");
            }
            if (tensor.file_offset > room || tensor.bytes > room - tensor.file_offset) {
                fail(what + " needs bytes " + std::to_string(tensor.file_offset) + " + " +
                     std::to_string(tensor.bytes) + " of the tensor data, but the file has " +
                     std::to_string(room) + "; the download is incomplete or damaged");
            }
            tensor.file_offset += part_.data_start;
            order.push_back(&tensor);
            set_view(tensor);
        }
        std::sort(order.begin(), order.end(),
                  [](auto* a, auto* b) { return a->file_offset < b->file_offset; });
        for (size_t i = 1; i < order.size(); i++) {
            const GgufTensor& before = *order[i - 1];
            if (order[i]->file_offset - before.file_offset < std::max<uint64_t>(before.bytes, 1)) {
                fail("tensors '" + printable(before.name) + "' and '" + printable(order[i]->name) +
                     "' overlap in the file; the file is damaged");
            }
        }
    }

    void set_view(GgufTensor& tensor) const {
        const auto dtype = kernels::dtype_from_ggml(tensor.ggml_type);
        if (!dtype) {
            return;
        }
        // The view's type is mutable memory; the mapping is read-only and nobody writes to weights.
        auto* data = const_cast<std::byte*>(data_) + tensor.file_offset;
        const std::vector<int64_t>& ne = tensor.ne;
        switch (ne.size()) {
            case 1:
                tensor.view = {data, *dtype, {ne[0]}};
                break;
            case 2:
                tensor.view = {data, *dtype, {ne[1], ne[0]}};
                break;
            case 3:
                tensor.view = {data, *dtype, {ne[2], ne[1], ne[0]}};
                break;
            default:
                tensor.view = {data, *dtype, {ne[3], ne[2], ne[1], ne[0]}};
                break;
        }
    }

    GgufPart& part_;
    const std::byte* data_;
    uint64_t size_;
    uint64_t at_ = 0;
};

}  // namespace

FileBytes::FileBytes(const std::string& path, GgufAccess access) {
    const auto fail = [&](const std::string& what) {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
        throw ModelError("'" + printable(path, 400) + "': " + what);
    };
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) {
        fail(std::string("cannot be opened: ") + std::strerror(errno));
    }
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
        fail(std::string("cannot be examined: ") + std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        fail(S_ISDIR(status.st_mode) ? "is a folder; name the .gguf file inside it"
                                     : "is not a regular file");
    }
    size_ = static_cast<uint64_t>(status.st_size);
    if (size_ == 0) {
        fail("the file is empty; download it again");
    }
    mapped_ = access == GgufAccess::map;
    void* memory = mapped_ ? ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0)
                           : ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("cannot be " + std::string(mapped_ ? "mapped" : "read into memory") + " (" +
             std::to_string(size_) + " bytes): " + std::strerror(errno));
    }
    data_ = static_cast<std::byte*>(memory);
    if (mapped_) {
        // Read from the disk in pages of 2 MB where the file system has such: weights then stream as
        // fast as memory of one's own. Otherwise nothing happens.
        ::madvise(memory, size_, MADV_HUGEPAGE);
        return;
    }
    for (uint64_t done = 0; done < size_;) {
        const ssize_t got =
            ::pread(descriptor_, data_ + done, std::min<uint64_t>(size_ - done, 64 << 20),
                    static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            const std::string why =
                got == 0 ? "it became shorter while it was read" : std::strerror(errno);
            ::munmap(data_, size_);
            fail("cannot be read: " + why);
        }
        done += static_cast<uint64_t>(got);
    }
}

FileBytes::~FileBytes() {
    ::munmap(data_, size_);
    ::close(descriptor_);
}

bool FileBytes::lock() const {
    return ::mlock(data_, size_) == 0;
}

bool FileBytes::unchanged() const {
    struct stat status {};
    return !mapped_ ||
           (::fstat(descriptor_, &status) == 0 && static_cast<uint64_t>(status.st_size) == size_);
}

const GgufFile::Entry* GgufPart::find(std::string_view key) const {
    const auto found =
        std::find_if(metadata.begin(), metadata.end(), [&](const auto& e) { return e.key == key; });
    return found == metadata.end() ? nullptr : &*found;
}

uint64_t unsigned_value(const std::string& path, const GgufFile::Entry& entry) {
    const std::string what = "'" + printable(path, 400) + "': key '" + printable(entry.key) + "' ";
    if (const auto* scalar = std::get_if<GgufScalar>(&entry.value)) {
        if (const auto* u = std::get_if<uint64_t>(scalar)) {
            return *u;
        }
        if (const auto* i = std::get_if<int64_t>(scalar)) {
            if (*i >= 0) {
                return static_cast<uint64_t>(*i);
            }
            throw ModelError(what + "is " + std::to_string(*i) +
                             ", expected a number of at least 0");
        }
    }
    throw ModelError(what + "has type " + std::string(gguf_type_name(entry.type)) +
                     ", expected an integer");
}

GgufPart parse_gguf(const std::string& path, GgufAccess access) {
    GgufPart part;
    part.path = path;
    part.bytes = std::make_unique<FileBytes>(path, access);
    Parser(part, part.bytes->data(), part.bytes->size()).parse();
    return part;
}

}  // namespace runtime
