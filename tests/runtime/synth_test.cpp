#include "runtime/model/synth.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "kernels/quants/quants.h"
#include "runtime/model/inspect.h"
#include "runtime/model/synth_blocks.h"
#include "runtime/model/synth_vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/model_error.h"
#include "tests/support/temp_folder.h"

using namespace runtime;

namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a synthetic model of every type is one Keyhole can run, and the same each time") {
    tests::TempFolder folder;
    for (const char* type : {"f32", "f16", "q8_0", "q4_k_m", "iq4_xs", "mxfp4"}) {
        INFO(type);
        const std::string path = folder.path(std::string(type) + ".gguf");
        int64_t last = 0, total = 0;
        write_synthetic_model(path, {"tiny", type, 7}, [&](int64_t done, int64_t all) {
            last = done;
            total = all;
            return true;
        });
        CHECK(last == total);
        const auto file = GgufFile::open(path);
        const InspectReport report = inspect(*file);
        CHECK(report.problems == std::vector<std::string>{});
        CHECK(report.notes == std::vector<std::string>{});
        CHECK(static_cast<uint64_t>(total) == file->tensor_bytes());
        const std::string again = folder.path("again.gguf");
        write_synthetic_model(again, {"tiny", type, 7});
        CHECK(bytes_of(path) == bytes_of(again));
        std::filesystem::remove(again);
    }
    CHECK(GgufFile::open(folder.path("q4_k_m.gguf"))->tensor("blk.1.attn_q_a.weight")->type_name ==
          "Q4_K");
    CHECK(GgufFile::open(folder.path("q4_k_m.gguf"))->tensor("blk.1.attn_k_b.weight")->type_name ==
          "Q5_0");
    CHECK(GgufFile::open(folder.path("iq4_xs.gguf"))->tensor("blk.1.attn_k_b.weight")->type_name ==
          "IQ4_NL");
    CHECK(
        GgufFile::open(folder.path("mxfp4.gguf"))->tensor("blk.1.ffn_up_exps.weight")->type_name ==
        "MXFP4");
}

TEST_CASE("random blocks have the spread they are asked for and are centred") {
    using kernels::DType;
    for (const DType type :
         {DType::f32, DType::f16, DType::q8_0, DType::q5_0, DType::q4_k, DType::q5_k, DType::q6_k,
          DType::iq4_nl, DType::iq4_xs, DType::mxfp4}) {
        INFO(kernels::name(type));
        const kernels::DTypeInfo& t = kernels::info(type);
        const int64_t blocks = 1 << 16 >> (t.block_elements == 1    ? 0
                                           : t.block_elements == 32 ? 5
                                                                    : 8);
        std::vector<std::byte> packed(static_cast<size_t>(blocks * t.block_bytes));
        std::vector<float> values(static_cast<size_t>(blocks * t.block_elements));
        SynthRandom random(3, "spread");
        SynthBlocks(type, 0.25F).write(packed.data(), blocks, random);
        kernels::dequantize_row(type, packed.data(), values.data(),
                                static_cast<int64_t>(values.size()));
        double sum = 0, squares = 0;
        for (const float v : values) {
            REQUIRE(std::isfinite(v));
            sum += v;
            squares += static_cast<double>(v) * v;
        }
        const auto n = static_cast<double>(values.size());
        // MXFP4's scale is a power of two, so its spread is within a factor of sqrt 2; the others
        // within 3 %.
        const double slack = type == DType::mxfp4 ? 0.42 : 0.03;
        CHECK(std::sqrt(squares / n) == Approx(0.25).epsilon(slack));
        CHECK(std::abs(sum / n) < 0.25 * 0.05);
    }
}

TEST_CASE("with the real size, every special token has its real id") {
    const Vocabulary v = synthetic_vocabulary(154880);
    CHECK(v.eos == 154820);
    CHECK(v.eot == 154827);
    CHECK(v.eom == 154829);
    CHECK(v.tokens[154822] == "[gMASK]");
    CHECK(v.tokens[154841] == "<think>");
    CHECK(v.tokens[154855] == "<|video|>");
    CHECK(v.tokens[154856] == "[PAD154856]");
}

TEST_CASE("synth refuses what it cannot do, and leaves nothing half written") {
    tests::TempFolder folder;
    const std::string path = folder.write("there.gguf", "precious");
    CHECK_THAT(tests::refusal([&] {
                   write_synthetic_model(path, {"tiny", "q8_0", 1});
               }),
               ContainsSubstring("exists already"));
    CHECK(bytes_of(path) == "precious");
    const std::string fresh = folder.path("new.gguf");
    CHECK_THAT(tests::refusal([&] {
                   write_synthetic_model(fresh, {"huge", "q8_0", 1});
               }),
               ContainsSubstring("tiny, small or full"));
    CHECK_THAT(tests::refusal([&] {
                   write_synthetic_model(fresh, {"tiny", "q3_k", 1});
               }),
               ContainsSubstring("unknown type 'q3_k'"));
    CHECK_THAT(tests::refusal([&] {
                   write_synthetic_model(folder.path("no/where.gguf"), {"tiny", "q8_0", 1});
               }),
               ContainsSubstring("cannot be written"));
    CHECK_THAT(tests::refusal([&] {
                   write_synthetic_model(fresh, {"tiny", "q8_0", 1},
                                         [](int64_t, int64_t) { return false; });
               }),
               ContainsSubstring("cancelled"));
    CHECK_FALSE(std::filesystem::exists(fresh));
}

TEST_CASE(
    "a vocabulary of words has no token that says nothing, and the special ones where they were") {
    constexpr int64_t kSize = 4096;
    const runtime::Vocabulary words = runtime::worded_vocabulary(kSize),
                              plain = runtime::synthetic_vocabulary(kSize);
    REQUIRE(words.tokens.size() == plain.tokens.size());
    std::set<std::string> different;
    for (size_t i = 0; i < words.tokens.size(); i++) {
        constexpr int32_t kUnused = 5;
        CHECK(words.types[i] != kUnused);
        different.insert(words.tokens[i]);
        if (plain.types[i] != kUnused) {
            CHECK(words.tokens[i] == plain.tokens[i]);
            CHECK(words.types[i] == plain.types[i]);
        }
    }
    CHECK(different.size() == words.tokens.size());
    const runtime::Tokenizer tokenizer(words);
    CHECK(tokenizer.find("<tool_call>") == runtime::Tokenizer(plain).find("<tool_call>"));
}
