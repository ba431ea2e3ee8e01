#include "runtime/model/synth_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/check.h"
#include "kernels/quants/quants.h"

namespace runtime {
namespace {

using kernels::DType;

constexpr int64_t kSampleBlocks =
    512;  // from which the spread of a type's random codes is measured

uint64_t rotate_left(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

void put_half(std::byte* out, float value) {
    kernels::quantize_row(DType::f16, &value, out, 1);
}

uint8_t byte_at(const std::byte* block, int64_t at) {
    return static_cast<uint8_t>(block[at]);
}

// Eight 6-bit scales s and minima m in the 12 bytes of Q4_K and Q5_K (layout of ggml's
// get_scale_min_k4):
//   bytes 0..3   s[j]   | high bits of s[j+4] << 6
//   bytes 4..7   m[j]   | high bits of m[j+4] << 6
//   bytes 8..11  low nibble of s[j+4] | low nibble of m[j+4] << 4          with s == m here
void put_scales_6bit(std::byte* out, const uint8_t (&s)[8]) {
    for (int j = 0; j < 4; j++) {
        const auto high = static_cast<uint8_t>(s[j] | (s[j + 4] >> 4) << 6);
        const auto low = static_cast<uint8_t>(s[j + 4] & 15);
        out[j] = out[j + 4] = std::byte{high};
        out[j + 8] = static_cast<std::byte>(low | low << 4);
    }
}

}  // namespace

SynthRandom::SynthRandom(uint64_t seed, std::string_view name) {
    uint64_t mixed = seed;
    for (const char c : name) {  // FNV-1a, so that every tensor has a stream of its own
        mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    for (uint64_t& word : state_) {
        uint64_t z = mixed += 0x9e3779b97f4a7c15ULL;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        word = z ^ z >> 31;
    }
}

uint64_t SynthRandom::next() {
    const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate_left(state_[3], 45);
    return result;
}

float SynthRandom::normal() {
    const uint64_t bits = next();
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += static_cast<int64_t>(bits >> 16 * i & 0xFFFF);
    }
    return static_cast<float>(static_cast<double>(sum - 2 * 65535) / (65536 / std::sqrt(3.0)));
}

SynthBlocks::SynthBlocks(DType type, float std) : type_(type), scale_(1) {
    if (type == DType::f32 || type == DType::f16) {
        scale_ = std;
        return;
    }
    const kernels::DTypeInfo& t = kernels::info(type);
    std::vector<std::byte> blocks(static_cast<size_t>(kSampleBlocks * t.block_bytes));
    std::vector<float> values(static_cast<size_t>(kSampleBlocks * t.block_elements));
    SynthRandom random(1, t.name);
    write(blocks.data(), kSampleBlocks, random);
    kernels::dequantize_row(type, blocks.data(), values.data(),
                            static_cast<int64_t>(values.size()));
    double squares = 0;
    for (const float v : values) {
        squares += static_cast<double>(v) * v;
    }
    scale_ = std / static_cast<float>(std::sqrt(squares / static_cast<double>(values.size())));
}

void SynthBlocks::write(std::byte* out, int64_t blocks, SynthRandom& random) const {
    const kernels::DTypeInfo& t = kernels::info(type_);
    if (type_ == DType::f32 || type_ == DType::f16) {
        for (int64_t i = 0; i < blocks; i++, out += t.block_bytes) {
            const float value = random.normal() * scale_;
            kernels::quantize_row(type_, &value, out, 1);
        }
        return;
    }
    const int64_t bytes = blocks * t.block_bytes;
    for (int64_t at = 0; at < bytes; at += 8) {
        const uint64_t bits = random.next();
        std::memcpy(out + at, &bits, static_cast<size_t>(std::min<int64_t>(8, bytes - at)));
    }
    for (int64_t i = 0; i < blocks; i++, out += t.block_bytes) {
        const auto noise = static_cast<float>(random.next() >> 40) / static_cast<float>(1 << 24);
        set_scales(out, scale_ * (0.875F + 0.25F * noise), random);
    }
}

// Codes are random already; what is left is to make the scales sensible, and the values centred.
void SynthBlocks::set_scales(std::byte* block, float d, SynthRandom& random) const {
    const uint64_t bits = random.next();
    const float either_sign =
        (bits & 1) != 0 ? d : -d;  // centres codes that are not symmetric themselves
    switch (type_) {
        case DType::q8_0:
            put_half(block, d);
            return;
        case DType::q5_0:
        case DType::iq4_nl:
            put_half(block, either_sign);
            return;
        case DType::q4_k:
        case DType::q5_k: {  // w = d s q - dmin m with s == m: dmin is d times the mean code
            put_half(block, d);
            put_half(block + 2, d * (type_ == DType::q4_k ? 7.5F : 15.5F));
            uint8_t scales[8];
            for (int j = 0; j < 8; j++) {
                scales[j] = static_cast<uint8_t>(32 | (bits >> 8 * j & 31));
            }
            put_scales_6bit(block + 4, scales);
            return;
        }
        case DType::q6_k:  // 16 signed scales, here of magnitude 64..127
            for (int64_t j = 192; j < 208; j++) {
                const auto magnitude = static_cast<int8_t>(64 | (byte_at(block, j) & 63));
                block[j] = static_cast<std::byte>(byte_at(block, j) > 127 ? -magnitude : magnitude);
            }
            put_half(block + 208, d);
            return;
        case DType::iq4_xs: {  // scale s - 32, |s - 32| in 16..31: low nibbles after the two bytes
                               // of high bits
            put_half(block, d);
            uint16_t high = 0;
            uint8_t low[4] = {};
            for (int j = 0; j < 8; j++) {
                const auto random5 = static_cast<int>(bits >> 5 * j & 31);
                const int s = (random5 & 16) != 0 ? 48 + (random5 & 15) : 16 - (random5 & 15);
                high = static_cast<uint16_t>(high | (s >> 4) << 2 * j);
                low[j / 2] = static_cast<uint8_t>(low[j / 2] | (s & 15) << 4 * (j % 2));
            }
            std::memcpy(block + 2, &high, 2);
            std::memcpy(block + 4, low, 4);
            return;
        }
        case DType::mxfp4:
            block[0] = static_cast<std::byte>(static_cast<int>(std::lround(std::log2(d))) + 127);
            return;
        default:
            ENSURE(false, kernels::name(type_), " has no random blocks");
    }
}

}  // namespace runtime
