// GgufFile: a mapped GGUF model (v2 or v3, one file or split parts): its metadata and its tensor
// directory. Everything that is read is checked against the file before use; a file that lies gives
// ModelError, never a crash or a huge allocation. Knows no architecture. Immutable after opening:
// any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/tensor.h"

namespace runtime {

struct GgufArray;
// Integers are widened to int64/uint64, floats to double; type as stored is kept by GgufValue.
using GgufScalar = std::variant<int64_t, uint64_t, double, bool, std::string_view>;

// map: the file's pages are used where they lie. read: a private copy in memory, which nobody can
// change or shorten.
enum class GgufAccess { map, read };

enum class GgufType : uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64
};

// An array of metadata, read where it lies in the mapping.
struct GgufArray {
    GgufType type = GgufType::u8;
    uint64_t count = 0;
    std::span<const std::byte> bytes;                      // elements of fixed size
    std::vector<std::string_view> strings;                 // elements of type string
    std::optional<int64_t> integer(uint64_t index) const;  // any integer type
};

struct GgufTensor {
    std::string_view name;
    uint32_t ggml_type = 0;
    std::vector<int64_t> ne;   // GGUF order: fastest first
    std::string type_name;     // "Q4_K", "IQ2_XXS", "NVFP4", "type 999"
    kernels::TensorView view;  // outermost first; empty() for a type Keyhole does not compute with
    int part = 0;              // of a split model
    uint64_t file_offset = 0;
    uint64_t bytes = 0;  // 0 for a type whose layout is unknown
};

class GgufFile {
public:
    // Opens `path`; a name ending -00001-of-0000N.gguf (any part may be named) opens all parts,
    // which are looked for beside it. Throws ModelError.
    static std::shared_ptr<const GgufFile> open(const std::string& path,
                                                GgufAccess access = GgufAccess::map);
    ~GgufFile();

    const std::string& path() const;
    uint32_t version() const;
    uint64_t file_bytes() const;  // of all parts
    uint64_t tensor_bytes() const;
    int parts() const;
    GgufAccess access() const;
    // Throws ModelError if a file was shortened or grew since it was opened. (See FileBytes in
    // gguf_part.h.)
    void check_unchanged() const;
    // Locks all parts in memory, so that the system never puts them out (--mlock). Empty, or why it
    // refused and what would help.
    std::string lock_in_memory() const;

    // Metadata. The getters give nothing when the key is absent and throw ModelError when it has
    // another type.
    std::optional<uint64_t> u64(std::string_view key) const;  // any integer type, not negative
    std::optional<double> f64(std::string_view key) const;    // any number
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::string_view> string(std::string_view key) const;
    const GgufArray* array(std::string_view key) const;
    bool has(std::string_view key) const;
    struct Entry {
        std::string_view key;
        GgufType type;
        std::variant<GgufScalar, GgufArray> value;
    };
    std::span<const Entry> metadata() const;  // in file order

    std::span<const GgufTensor> tensors() const;  // in file order, parts one after the other
    const GgufTensor* tensor(std::string_view name) const;  // null if absent

private:
    struct Data;
    explicit GgufFile(std::unique_ptr<Data> data);
    std::unique_ptr<Data> data_;
};

}  // namespace runtime
