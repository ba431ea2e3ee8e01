// GgufPart: one GGUF file, mapped (or read) and parsed. The only code that looks at raw bytes of a
// header: every count, length, offset and product is checked against what the file has left before
// it is used. Used by GgufFile alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/model/gguf.h"

namespace runtime {

// The bytes of a file, read-only.
//
// A mapped file that another program shortens afterwards raises SIGBUS on the first access past its
// new end; no check of ours can prevent that. unchanged() catches it at the moments where a program
// looks (after parsing, before binding); who must be safe from it reads instead of mapping
// (--no-mmap).
class FileBytes {
public:
    // Throws ModelError: no such file, a folder, not readable, empty, no memory.
    FileBytes(const std::string& path, GgufAccess access);
    ~FileBytes();
    FileBytes(const FileBytes&) = delete;
    FileBytes& operator=(const FileBytes&) = delete;

    const std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }
    bool lock() const;       // keeps all of it in memory; false, with errno, if the system refuses
    bool unchanged() const;  // the file still has the size it was opened with

private:
    int descriptor_ = -1;
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
    bool mapped_ = false;
};

struct GgufPart {
    std::string path;
    std::unique_ptr<FileBytes> bytes;
    uint32_t version = 0;
    uint64_t data_start = 0;
    std::vector<GgufFile::Entry> metadata;
    std::vector<GgufTensor> tensors;

    const GgufFile::Entry* find(
        std::string_view key) const;  // linear; for the few keys read while opening
};

// Throws ModelError.
GgufPart parse_gguf(const std::string& path, GgufAccess access);

// An unsigned number from an entry of any integer type. Throws ModelError for another type or a
// negative value.
uint64_t unsigned_value(const std::string& path, const GgufFile::Entry& entry);

}  // namespace runtime
