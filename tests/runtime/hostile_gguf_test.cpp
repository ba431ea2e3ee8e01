// Damaged and hostile files: whatever the bytes, a file is refused with a ModelError or loads and
// computes. Run under the address and undefined-behaviour sanitizers in CI. No step may allocate
// more than a few times the file's size.
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <random>

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "runtime/model/inspect.h"
#include "runtime/model/weights.h"
#include "tests/support/catch.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/model_error.h"
#include "tests/support/model_runner.h"
#include "tests/support/temp_folder.h"

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

void* counted(size_t bytes) {
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    const int64_t now = live_bytes += static_cast<int64_t>(::malloc_usable_size(memory));
    int64_t peak = peak_bytes;
    while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
    }
    return memory;
}

void uncounted(void* memory) {
    if (memory != nullptr) {
        live_bytes -= static_cast<int64_t>(::malloc_usable_size(memory));
        std::free(memory);
    }
}

}  // namespace

void* operator new(size_t bytes) {
    return counted(bytes);
}
void* operator new[](size_t bytes) {
    return counted(bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    try {
        return counted(bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory) noexcept {
    uncounted(memory);
}
void operator delete[](void* memory) noexcept {
    uncounted(memory);
}
void operator delete(void* memory, size_t) noexcept {
    uncounted(memory);
}
void operator delete[](void* memory, size_t) noexcept {
    uncounted(memory);
}

using namespace runtime;
using tests::GgufImage;

namespace {

const std::string kModel = TESTS_DIR "/golden/model/nano-q8_0.gguf";
constexpr int64_t kSlackBytes = 256 << 10;  // tables of a fixed size, streams of the test itself
constexpr int64_t kTimesFile = 6;

std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

enum class Outcome { refused, loaded };

// Everything that happens to a file a person opens: read, judged, its tokenizer built, its tensors
// bound, a few tokens run.
Outcome use(const std::string& path, kernels::Backend& backend, int64_t file_bytes) {
    const int64_t before = live_bytes;
    peak_bytes = before;
    try {
        {
            const auto file = GgufFile::open(path);
            const ModelConfig config = ModelConfig::from(*file);
            const Vocabulary vocabulary = vocabulary_of(*file);
            Weights::check(*file, config);
            to_text(inspect(*file));
        }
        const int64_t used = peak_bytes - before;
        if (used > kTimesFile * file_bytes + kSlackBytes) {
            FAIL_CHECK("reading took " << used << " bytes for a file of " << file_bytes);
        }
        const auto file = GgufFile::open(path);
        const Tokenizer tokenizer(vocabulary_of(*file));
        Model model(file, backend, 4);
        KvCache cache(backend, KvLayout(model.config(), kernels::DType::f16), 2);
        REQUIRE(cache.reserve(1));
        Batch batch;
        const auto last = static_cast<int32_t>(model.config().vocab - 1);
        batch.token_ids = {0, last / 2, last};
        const std::vector<int32_t> pages{0};
        batch.spans = {{0, 3, 0, pages}};
        batch.logit_rows = {2};
        CHECK(model.forward(batch, cache).size() == static_cast<size_t>(model.config().vocab));
        return Outcome::loaded;
    } catch (const ModelError& error) {
        const std::string text = error.what();
        CHECK(text.find('\n') == std::string::npos);
        CHECK(text.size() < 1000);
        const int64_t used = peak_bytes - before;
        if (used > kTimesFile * file_bytes + kSlackBytes) {
            FAIL_CHECK("refusing took " << used << " bytes for a file of " << file_bytes << ": "
                                        << text);
        }
        return Outcome::refused;
    }
}

}  // namespace

TEST_CASE("a good file cut at every 97th byte is refused, unless only padding is gone") {
    tests::TempFolder folder;
    const std::string good = bytes_of(kModel);
    const std::string path = folder.write("cut.gguf", good);
    const auto backend = kernels::make_cpu_backend({1, 1});
    int64_t loaded = 0;
    for (auto size = static_cast<int64_t>(good.size() / 97 * 97); size >= 0; size -= 97) {
        REQUIRE(::truncate(path.c_str(), size) == 0);
        INFO("cut to " << size);
        if (use(path, *backend, size) == Outcome::loaded) {
            loaded++;
            CHECK(static_cast<int64_t>(good.size()) - size < 32);
        }
    }
    CHECK(loaded <= 1);
}

TEST_CASE("a good file with one byte changed, at 2000 places, is refused or runs") {
    tests::TempFolder folder;
    const std::string good = bytes_of(kModel);
    const std::string path = folder.write("flipped.gguf", good);
    const int file = ::open(path.c_str(), O_RDWR);
    REQUIRE(file >= 0);
    const auto backend = kernels::make_cpu_backend({1, 1});
    const auto data_start = static_cast<uint64_t>(GgufFile::open(kModel)->tensors()[0].file_offset);
    std::mt19937_64 random(20260119);
    int64_t refused = 0;
    for (int i = 0; i < 2000; i++) {
        // Half of the places anywhere, half in the header, which is a small part of the file.
        const uint64_t at = random() % (i % 2 == 0 ? good.size() : data_start);
        const auto flipped = static_cast<char>(good[at] ^ static_cast<char>(1 + random() % 255));
        REQUIRE(::pwrite(file, &flipped, 1, static_cast<off_t>(at)) == 1);
        INFO("byte " << at << " set to " << static_cast<int>(static_cast<unsigned char>(flipped)));
        refused +=
            use(path, *backend, static_cast<int64_t>(good.size())) == Outcome::refused ? 1 : 0;
        REQUIRE(::pwrite(file, &good[at], 1, static_cast<off_t>(at)) == 1);
    }
    ::close(file);
    CHECK(refused > 100);
    CHECK(refused < 1900);
}

TEST_CASE("headers of random 8-byte numbers are refused or run") {
    tests::TempFolder folder;
    const std::string good = bytes_of(kModel);
    const auto backend = kernels::make_cpu_backend({1, 1});
    const auto data_start = static_cast<uint64_t>(GgufFile::open(kModel)->tensors()[0].file_offset);
    std::mt19937_64 random(7);
    const uint64_t numbers[] = {0,
                                1,
                                255,
                                UINT32_MAX,
                                uint64_t{1} << 31,
                                uint64_t{1} << 32,
                                uint64_t{1} << 62,
                                uint64_t{1} << 63,
                                UINT64_MAX,
                                UINT64_MAX - 31,
                                INT64_MAX};
    for (int i = 0; i < 600; i++) {
        std::string bad = good;
        const uint64_t number = numbers[random() % std::size(numbers)];
        const uint64_t at = random() % (data_start - 8);
        std::memcpy(bad.data() + at, &number, sizeof number);
        INFO("number " << number << " at " << at);
        use(folder.write("bad.gguf", bad), *backend, static_cast<int64_t>(bad.size()));
    }
}

TEST_CASE(
    "a header full of the smallest entries does not take more memory than a few times the file") {
    tests::TempFolder folder;
    GgufImage keys;
    for (int i = 0; i < 9000; i++) {
        keys.keys.push_back({"k" + std::to_string(i), 0, "x"});
    }
    const auto backend = kernels::make_cpu_backend({1, 1});
    const std::string many_keys = keys.bytes();
    CHECK(use(folder.write("keys.gguf", many_keys), *backend,
              static_cast<int64_t>(many_keys.size())) == Outcome::refused);

    GgufImage strings;
    strings.set_string_array("tokenizer.ggml.tokens", std::vector<std::string>(200000));
    const std::string many_strings = strings.bytes();
    CHECK(use(folder.write("strings.gguf", many_strings), *backend,
              static_cast<int64_t>(many_strings.size())) == Outcome::refused);
}
