#include "runtime/model/gguf.h"

#include <filesystem>

#include <unistd.h>

#include "runtime/model/gguf_types.h"
#include "tests/support/catch.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/model_error.h"
#include "tests/support/temp_folder.h"

using namespace runtime;
using tests::GgufImage;

namespace {

const std::string kGolden = TESTS_DIR "/golden/model/";

// A file small enough to know every byte of.
GgufImage small_image() {
    GgufImage image;
    image.set_string("general.architecture", "test");
    image.set_u32("a.number", 7);
    image.set_f32("a.float", 0.5F);
    image.tensors.push_back({"t.f32", {4, 3}, 0, std::string(48, '\1')});
    image.tensors.push_back({"t.q8", {32, 2}, 8, std::string(68, '\2')});
    return image;
}

class Files {
public:
    std::string refusal_of(const std::string& bytes) {
        const std::string path = folder.write("x.gguf", bytes);
        const std::string text = tests::refusal([&] { GgufFile::open(path); });
        if (!text.empty()) {
            CHECK_THAT(text, ContainsSubstring(path));    // names the file
            CHECK(text.find('\n') == std::string::npos);  // in one line
        }
        return text;
    }
    std::shared_ptr<const GgufFile> open(const std::string& bytes) {
        return GgufFile::open(folder.write("x.gguf", bytes));
    }

    tests::TempFolder folder;
};

std::string patched(std::string bytes, size_t at, const std::string& with) {
    return bytes.replace(at, with.size(), with);
}

template <typename T>
std::string pack(T value) {
    return GgufImage::pack(value);
}

}  // namespace

TEST_CASE("a golden model's keys and tensors are read as they were written") {
    const auto file = GgufFile::open(kGolden + "nano-f32.gguf");
    CHECK(file->version() == 3);
    CHECK(file->parts() == 1);
    CHECK(file->file_bytes() == std::filesystem::file_size(kGolden + "nano-f32.gguf"));
    CHECK(file->string("general.architecture") == "deepseek2");
    CHECK(file->u64("deepseek2.block_count") == 3u);
    CHECK(file->f64("deepseek2.expert_weights_scale").value() == Approx(1.8));
    CHECK(file->f64("deepseek2.block_count") == 3.0);  // any number will do for f64
    CHECK(file->boolean("deepseek2.expert_weights_norm") == true);
    CHECK_FALSE(file->u64("deepseek2.no_such_key").has_value());
    REQUIRE(file->array("tokenizer.ggml.tokens") != nullptr);
    CHECK(file->array("tokenizer.ggml.tokens")->count == 384);
    CHECK(file->array("tokenizer.ggml.tokens")->strings[0] == "!");
    CHECK(file->array("tokenizer.ggml.token_type")->integer(0) == 1);
    CHECK_FALSE(file->array("tokenizer.ggml.token_type")->integer(384).has_value());
    const GgufTensor* k_b = file->tensor("blk.2.attn_k_b.weight");
    REQUIRE(k_b != nullptr);
    CHECK(k_b->view.describe() == "F32 [4, 32, 32]");
    CHECK(k_b->bytes == 4 * 32 * 32 * 4);
    CHECK(file->tensor("blk.3.attn_norm.weight") == nullptr);
}

TEST_CASE("reading a file into memory gives the same as mapping it") {
    const auto mapped = GgufFile::open(kGolden + "nano-q8_0.gguf");
    const auto read = GgufFile::open(kGolden + "nano-q8_0.gguf", GgufAccess::read);
    REQUIRE(mapped->tensors().size() == read->tensors().size());
    for (size_t i = 0; i < mapped->tensors().size(); i++) {
        const GgufTensor& a = mapped->tensors()[i];
        const GgufTensor& b = read->tensors()[i];
        CHECK(a.name == b.name);
        REQUIRE(a.bytes == b.bytes);
        CHECK(std::memcmp(a.view.data, b.view.data, a.bytes) == 0);
    }
}

TEST_CASE("getters refuse another type and name key, found and expected") {
    const auto file = GgufFile::open(kGolden + "nano-f32.gguf");
    using tests::refusal;
    CHECK_THAT(refusal([&] { file->u64("general.architecture"); }),
               ContainsSubstring("'general.architecture' has type string, expected an integer"));
    CHECK_THAT(refusal([&] { file->u64("tokenizer.ggml.tokens"); }),
               ContainsSubstring("has type array, expected an integer"));
    CHECK_THAT(refusal([&] { file->f64("general.name"); }), ContainsSubstring("expected a number"));
    CHECK_THAT(refusal([&] { file->boolean("deepseek2.block_count"); }),
               ContainsSubstring("has type u32, expected a bool"));
    CHECK_THAT(refusal([&] { file->string("deepseek2.block_count"); }),
               ContainsSubstring("expected a string"));
    CHECK_THAT(refusal([&] { file->array("deepseek2.block_count"); }),
               ContainsSubstring("expected an array"));
}

TEST_CASE("version 2 is version 3; every other version is refused by its number") {
    Files files;
    const auto v2 = files.open(small_image().bytes(2));
    CHECK(v2->version() == 2);
    CHECK(v2->u64("a.number") == 7u);
    for (const uint32_t version : {0u, 1u, 4u, 99u}) {
        CHECK_THAT(files.refusal_of(small_image().bytes(version)),
                   ContainsSubstring("GGUF version " + std::to_string(version)));
    }
    CHECK_THAT(files.refusal_of(small_image().bytes(0x03000000)), ContainsSubstring("big-endian"));
}

TEST_CASE("what is no GGUF file is called what it is") {
    Files files;
    CHECK_THAT(files.refusal_of(""), ContainsSubstring("the file is empty"));
    CHECK_THAT(files.refusal_of("GG"), ContainsSubstring("not a GGUF file"));
    CHECK_THAT(files.refusal_of("GGUF"), ContainsSubstring("ends inside the version"));
    CHECK_THAT(files.refusal_of("PK\x03\x04 something"),
               ContainsSubstring("starts with 'PK\\x03\\x04 som'"));
    CHECK_THAT(files.refusal_of("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
               ContainsSubstring("Git LFS pointer"));
    CHECK_THAT(tests::refusal([&] { GgufFile::open(files.folder.path("none.gguf")); }),
               ContainsSubstring("No such file"));
    CHECK_THAT(tests::refusal([&] { GgufFile::open(files.folder.path("")); }),
               ContainsSubstring("is a folder"));
    CHECK_THAT(tests::refusal([&] { GgufFile::open("/dev/null"); }),
               ContainsSubstring("not a regular file"));
}

TEST_CASE(
    "counts larger than the file could hold are refused before anything is allocated for them") {
    Files files;
    const std::string good = small_image().bytes();
    for (const uint64_t count :
         {UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 40, uint64_t{20000}}) {
        CHECK_THAT(files.refusal_of(patched(good, 8, pack(count))), ContainsSubstring("tensors"));
        CHECK_THAT(files.refusal_of(patched(good, 16, pack(count))),
                   ContainsSubstring("metadata keys"));
    }
}

TEST_CASE("keys must be short, valid, unique text") {
    Files files;
    const std::string good = small_image().bytes();
    const size_t first_key = 24;
    for (const uint64_t length : {uint64_t{1} << 63, UINT64_MAX, uint64_t{1} << 32}) {
        CHECK_THAT(files.refusal_of(patched(good, first_key, pack(length))),
                   ContainsSubstring("ends inside the length of a key"));
    }
    for (const std::string& name : {std::string(), std::string("a\0b", 3), std::string("a\xff"),
                                    std::string("\xc0\x80"), std::string(70000, 'k')}) {
        GgufImage image = small_image();
        image.keys[1].name = name;
        CHECK_THAT(files.refusal_of(image.bytes()), ContainsSubstring("key '"));
    }
    GgufImage twice = small_image();
    twice.keys.push_back(twice.keys[1]);
    CHECK_THAT(files.refusal_of(twice.bytes()), ContainsSubstring("key 'a.number' appears twice"));
}

TEST_CASE("values must have a known type and lie inside the file") {
    Files files;
    for (const uint32_t type : {13u, 255u, UINT32_MAX}) {
        GgufImage image = small_image();
        image.set("a.number", type, pack(uint32_t{7}));
        CHECK_THAT(files.refusal_of(image.bytes()),
                   ContainsSubstring("'a.number' has the unknown type"));
    }
    GgufImage text = small_image();
    text.set("a.number", 8, pack(uint64_t{1} << 60));
    CHECK_THAT(files.refusal_of(text.bytes()),
               ContainsSubstring("ends inside the value of key 'a.number'"));
    GgufImage boolean = small_image();
    boolean.set("a.number", 7, pack(uint8_t{2}));
    CHECK_THAT(files.refusal_of(boolean.bytes()), ContainsSubstring("expected 0 or 1"));
}

TEST_CASE("arrays: every element type is read, and no count can wrap") {
    Files files;
    GgufImage good = small_image();
    good.set("a.i8", 9, pack(uint32_t{1}) + pack(uint64_t{2}) + "\xff\x05");
    good.set("a.u64", 9,
             pack(uint32_t{10}) + pack(uint64_t{2}) + pack(UINT64_MAX) + pack(uint64_t{9}));
    good.set("a.empty", 9, pack(uint32_t{8}) + pack(uint64_t{0}));
    const auto file = files.open(good.bytes());
    CHECK(file->array("a.i8")->integer(0) == -1);
    CHECK(file->array("a.i8")->integer(1) == 5);
    CHECK_FALSE(file->array("a.u64")->integer(0).has_value());  // does not fit
    CHECK(file->array("a.u64")->integer(1) == 9);
    CHECK(file->array("a.empty")->count == 0);

    for (uint32_t type = 0; type < 13; type++) {
        for (const uint64_t count :
             {uint64_t{1} << 62, uint64_t{1} << 61, UINT64_MAX, uint64_t{1000000}}) {
            GgufImage image = small_image();
            image.set("a.array", 9, pack(type) + pack(count) + std::string(16, '\0'));
            CHECK_THAT(files.refusal_of(image.bytes()), ContainsSubstring("'a.array'"));
        }
    }
    GgufImage nested = small_image();
    nested.set("a.array", 9,
               pack(uint32_t{9}) + pack(uint64_t{1}) + pack(uint32_t{9}) + pack(uint64_t{0}));
    CHECK_THAT(files.refusal_of(nested.bytes()), ContainsSubstring("array of arrays"));
    GgufImage unknown = small_image();
    unknown.set("a.array", 9, pack(uint32_t{77}) + pack(uint64_t{1}) + "\1");
    CHECK_THAT(files.refusal_of(unknown.bytes()), ContainsSubstring("unknown type 77"));
    GgufImage boolean = small_image();
    boolean.set("a.array", 9, pack(uint32_t{7}) + pack(uint64_t{2}) + "\1\2");
    CHECK_THAT(files.refusal_of(boolean.bytes()), ContainsSubstring("neither 0 nor 1"));
}

TEST_CASE("alignment is a power of two, and offsets obey it") {
    Files files;
    for (const uint32_t value : {0u, 3u, 1u, 24u, 1u << 31}) {
        GgufImage image = small_image();
        image.set_u32("general.alignment", value);
        CHECK_THAT(files.refusal_of(image.bytes()),
                   ContainsSubstring("general.alignment is " + std::to_string(value)));
    }
    GgufImage text = small_image();
    text.set_string("general.alignment", "32");
    CHECK_THAT(files.refusal_of(text.bytes()),
               ContainsSubstring("'general.alignment' has type string"));
    GgufImage wide = small_image();
    wide.set_u32("general.alignment", 4096);
    CHECK(files.open(wide.bytes(3, 4096))->tensor("t.q8")->file_offset % 4096 == 0);
}

TEST_CASE("tensor entries: name, rank, dimensions, type and place are checked") {
    Files files;
    const auto refused = [&](const auto& change) {
        GgufImage image = small_image();
        change(image.tensors[1]);
        return files.refusal_of(image.bytes());
    };
    CHECK_THAT(refused([](auto& t) { t.name = ""; }), ContainsSubstring("tensor name ''"));
    CHECK_THAT(refused([](auto& t) { t.name = std::string(65, 'n'); }),
               ContainsSubstring("longer than 64"));
    CHECK_THAT(refused([](auto& t) { t.name = std::string("a\0b", 3); }),
               ContainsSubstring("a\\x00b"));
    CHECK_THAT(refused([](auto& t) { t.name = "t.f32"; }),
               ContainsSubstring("'t.f32' appears twice"));
    CHECK_THAT(refused([](auto& t) { t.ne = {}; }), ContainsSubstring("0 dimensions"));
    CHECK_THAT(refused([](auto& t) {
                   t.ne = {32, 1, 1, 1, 1};
               }),
               ContainsSubstring("5 dimensions"));
    for (const uint64_t n : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 63}) {
        CHECK_THAT(refused([&](auto& t) {
                       t.ne = {32, n};
                   }),
                   ContainsSubstring("has a dimension of " + std::to_string(n)));
    }
    const uint64_t huge = uint64_t{1} << 62;
    CHECK_THAT(refused([&](auto& t) {
                   t.ne = {huge, 2};
               }),
               ContainsSubstring("larger than the file"));
    CHECK_THAT(refused([&](auto& t) {
                   t.ne = {huge, huge, huge, huge};
               }),
               ContainsSubstring("larger than the file"));
    CHECK_THAT(refused([&](auto& t) {
                   t.ne = {uint64_t{1} << 32, uint64_t{1} << 32};
               }),
               ContainsSubstring("larger than the file"));
    CHECK_THAT(refused([](auto& t) {
                   t.ne = {32, 1000};
               }),
               ContainsSubstring("larger than the file"));
    CHECK_THAT(refused([](auto& t) { t.ne = {33}; }),
               ContainsSubstring("rows of 33 weights, expected a multiple of 32"));
    CHECK_THAT(refused([](auto& t) { t.offset = 33; }),
               ContainsSubstring("expected a multiple of 32"));
    CHECK_THAT(refused([](auto& t) { t.offset = int64_t{1} << 62; }),
               ContainsSubstring("the file has"));
    CHECK_THAT(refused([](auto& t) { t.offset = INT64_MAX - 31; }),
               ContainsSubstring("the file has"));
    CHECK_THAT(refused([](auto& t) { t.offset = 32; }),
               ContainsSubstring("'t.f32' and 't.q8' overlap"));
    CHECK_THAT(refused([](auto& t) { t.offset = 0; }), ContainsSubstring("overlap"));

    const std::string good = small_image().bytes();
    const size_t entry = GgufImage::entry_of(good, "t.q8");
    CHECK_THAT(files.refusal_of(patched(good, entry + 12, pack(UINT32_MAX))),
               ContainsSubstring("4294967295 dimensions"));
    CHECK_THAT(files.refusal_of(patched(good, entry + 12 + 4 + 16 + 4, pack(UINT64_MAX - 31))),
               ContainsSubstring("the file has"));
}

TEST_CASE("types Keyhole does not compute with are named, and the file still opens") {
    Files files;
    const std::pair<uint32_t, const char*> types[] = {
        {4, "Q4_2"},       {16, "IQ2_XXS"},
        {19, "IQ1_S"},     {31, "Q4_0_4_4"},
        {34, "TQ1_0"},     {40, "NVFP4"},
        {139, "IQ4_K"},    {146, "IQ4_KSS"},
        {999, "type 999"}, {UINT32_MAX, "type 4294967295"}};
    for (const auto& [type, name] : types) {
        GgufImage image = small_image();
        image.tensors[1] = {"t.odd", {256}, type, std::string(512, 'x')};
        const auto file = files.open(image.bytes());
        CHECK(file->tensor("t.odd")->type_name == name);
        CHECK(file->tensor("t.odd")->view.empty());
    }
    for (uint32_t type = 0; type <= 40; type++) {
        CHECK(ggml_type(type) != nullptr);
    }
}

TEST_CASE("the table of types agrees with the types Keyhole computes with") {
    for (uint32_t id = 0; id < 64; id++) {
        if (const auto dtype = kernels::dtype_from_ggml(id)) {
            const kernels::DTypeInfo& computed = kernels::info(*dtype);
            const GgmlType* type = ggml_type(id);
            REQUIRE(type != nullptr);
            CHECK(type->name == computed.name);
            CHECK(type->block_elements == computed.block_elements);
            CHECK(type->block_bytes == computed.block_bytes);
        }
    }
}

TEST_CASE("a file cut inside its tensor data is refused; garbage behind it is not looked at") {
    Files files;
    const std::string good = small_image().bytes();
    CHECK_THAT(files.refusal_of(good.substr(0, good.size() - 40)),
               ContainsSubstring("'t.q8' needs bytes"));
    CHECK(files.refusal_of(good.substr(0, good.size() - 28)) == "");  // only padding is missing
    CHECK(files.refusal_of(good + "garbage") == "");
}

TEST_CASE("a file without tensors opens") {
    Files files;
    GgufImage image = small_image();
    image.tensors.clear();
    CHECK(files.open(image.bytes())->tensors().empty());
}

TEST_CASE("a file that shrinks after it was opened is noticed when a program asks") {
    Files files;
    const auto file = files.open(small_image().bytes());
    CHECK(tests::refusal([&] { file->check_unchanged(); }) == "");
    REQUIRE(::truncate(file->path().c_str(), 100) == 0);
    CHECK_THAT(tests::refusal([&] { file->check_unchanged(); }),
               ContainsSubstring("changed its size"));
}

TEST_CASE("text of a hostile file stays one printable line in messages") {
    CHECK(printable("plain") == "plain");
    CHECK(printable("two\nlines\x1b[2J") == "two\\x0alines\\x1b[2J");
    CHECK(printable("T\u014dky\u014d \xff") == "T\u014dky\u014d \\xff");
    CHECK(printable(std::string(200, 'x')) == std::string(80, 'x') + "...");
    CHECK(utf8_length("\xed\xa0\x80") == 0);  // a surrogate
    CHECK(utf8_length("\xf4\x90\x80\x80") == 0);
    CHECK(utf8_length("\xf0\x9f\x98\x80") == 4);
}

// ---- split files

namespace {

void write_parts(const tests::TempFolder& folder,
                 const std::vector<std::string>& parts,
                 const std::string& stem = "m") {
    for (size_t i = 0; i < parts.size(); i++) {
        folder.write(stem + "-0000" + std::to_string(i + 1) + "-of-0000" +
                         std::to_string(parts.size()) + ".gguf",
                     parts[i]);
    }
}

}  // namespace

TEST_CASE("any part of a split model opens all of it") {
    tests::TempFolder folder;
    const GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
    write_parts(folder, image.parts(3));
    const auto whole = GgufFile::open(kGolden + "nano-f32.gguf");
    for (const char* part :
         {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}) {
        const auto file = GgufFile::open(folder.path(part));
        CHECK(file->parts() == 3);
        CHECK(file->string("general.architecture") == "deepseek2");
        REQUIRE(file->tensors().size() == whole->tensors().size());
        CHECK(file->tensor_bytes() == whole->tensor_bytes());
        for (const GgufTensor& tensor : whole->tensors()) {
            const GgufTensor* same = file->tensor(tensor.name);
            REQUIRE(same != nullptr);
            CHECK(std::memcmp(same->view.data, tensor.view.data, tensor.bytes) == 0);
        }
    }
}

TEST_CASE("split models: missing, misnamed, foreign and miscounted parts are told apart") {
    const GgufImage image = GgufImage::of(kGolden + "nano-f32.gguf");
    const auto opened = [](const tests::TempFolder& folder) {
        return tests::refusal([&] { GgufFile::open(folder.path("m-00001-of-00003.gguf")); });
    };
    SECTION("a part is missing") {
        tests::TempFolder folder;
        write_parts(folder, image.parts(3));
        std::filesystem::remove(folder.path("m-00002-of-00003.gguf"));
        CHECK_THAT(opened(folder),
                   ContainsSubstring("m-00002-of-00003.gguf") && ContainsSubstring("part 2 of 3"));
    }
    SECTION("two parts are swapped") {
        tests::TempFolder folder;
        auto parts = image.parts(3);
        std::swap(parts[1], parts[2]);
        write_parts(folder, parts);
        CHECK_THAT(opened(folder), ContainsSubstring("misnamed or belongs to another model"));
    }
    SECTION("a part of another model") {
        tests::TempFolder folder;
        auto parts = image.parts(3);
        GgufImage other = image;
        other.tensors.pop_back();
        parts[1] = other.parts(3)[1];
        write_parts(folder, parts);
        CHECK_THAT(opened(folder), ContainsSubstring("belongs to another model"));
    }
    SECTION("the same tensor in two parts") {
        tests::TempFolder folder;
        auto parts = image.parts(3);
        GgufImage other = image;
        other.tensors[20].name = other.tensors[0].name;
        parts[1] = other.parts(3)[1];
        write_parts(folder, parts);
        CHECK_THAT(opened(folder), ContainsSubstring("is in another part too"));
    }
    SECTION("renamed") {
        tests::TempFolder folder;
        folder.write("model.gguf", image.parts(3)[0]);
        CHECK_THAT(tests::refusal([&] { GgufFile::open(folder.path("model.gguf")); }),
                   ContainsSubstring("-00001-of-00003.gguf"));
    }
    for (const uint32_t count : {0u, 65536u, 7u}) {
        tests::TempFolder folder;
        GgufImage part = image;
        part.set_u32("split.count", count);
        folder.write("m-00001-of-00003.gguf", part.bytes());
        CHECK_THAT(opened(folder), ContainsSubstring(std::to_string(count)));
    }
    SECTION("split.count as text") {
        tests::TempFolder folder;
        GgufImage part = image;
        part.set_string("split.count", "../../etc/passwd");
        folder.write("m-00001-of-00003.gguf", part.bytes());
        CHECK_THAT(opened(folder), ContainsSubstring("'split.count' has type string"));
    }
}
