#include "app/codebase/content_hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace app::codebase {
namespace {

constexpr size_t kBlock = 128, kHashBytes = 16;

constexpr std::array<uint64_t, 8> kStart = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179};

// The order in which the sixteen words of a block enter a round.
constexpr uint8_t kOrder[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

void compress(std::array<uint64_t, 8>& state, const char* block, uint64_t bytes, bool last) {
    uint64_t m[16];
    std::memcpy(m, block, sizeof m);
    uint64_t v[16];
    for (size_t i = 0; i < 8; i++) {
        v[i] = state[i];
        v[i + 8] = kStart[i];
    }
    v[12] ^= bytes;
    v[14] = last ? ~v[14] : v[14];
    const auto mix = [&](size_t a, size_t b, size_t c, size_t d, uint64_t x, uint64_t y) {
        v[a] += v[b] + x;
        v[d] = std::rotr(v[d] ^ v[a], 32);
        v[c] += v[d];
        v[b] = std::rotr(v[b] ^ v[c], 24);
        v[a] += v[b] + y;
        v[d] = std::rotr(v[d] ^ v[a], 16);
        v[c] += v[d];
        v[b] = std::rotr(v[b] ^ v[c], 63);
    };
    for (size_t round = 0; round < 12; round++) {
        const uint8_t* s = kOrder[round % 10];
        for (size_t i = 0; i < 4; i++) {
            mix(i, i + 4, i + 8, i + 12, m[s[2 * i]], m[s[2 * i + 1]]);
        }
        for (size_t i = 0; i < 4; i++) {
            mix(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12, m[s[2 * i + 8]],
                m[s[2 * i + 9]]);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        state[i] ^= v[i] ^ v[i + 8];
    }
}

}  // namespace

ContentHash content_hash(std::string_view text) {
    std::array<uint64_t, 8> state = kStart;
    state[0] ^= 0x01010000 ^ kHashBytes;
    uint64_t bytes = 0;
    while (text.size() > kBlock) {
        bytes += kBlock;
        compress(state, text.data(), bytes, false);
        text.remove_prefix(kBlock);
    }
    char rest[kBlock] = {};
    std::memcpy(rest, text.data(), text.size());
    compress(state, rest, bytes + text.size(), true);
    return {state[0], state[1]};
}

}  // namespace app::codebase
