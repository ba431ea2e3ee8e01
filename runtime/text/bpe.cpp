#include "runtime/text/bpe.h"

#include <algorithm>
#include <bit>
#include <queue>

namespace runtime {
namespace {

// Up to this length the quadratic scan over a small array beats the heap.
constexpr size_t kShortPiece = 48;

// Pieces above this are cut (nobody has one): positions in a piece are 32 bits wide.
constexpr size_t kLongestPiece = size_t{1} << 30;

uint64_t pair_key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

uint64_t mix(uint64_t key) {
    key *= 0x9E3779B97F4A7C15;
    return key ^ key >> 32;
}

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges)
    : byte_ids_(byte_ids),
      byte_rules_(256 * 256),
      slots_(std::bit_ceil(std::max<size_t>(merges.size() * 2, 2))),
      mask_(slots_.size() - 1) {
    for (size_t rank = 0; rank < merges.size(); rank++) {
        const uint64_t key = pair_key(merges[rank].left, merges[rank].right);
        uint64_t i = mix(key) & mask_;
        while (slots_[i].rule.rank != kNoRank && slots_[i].pair != key) {
            i = (i + 1) & mask_;
        }
        if (slots_[i].rule.rank == kNoRank) {
            slots_[i] = {key, {static_cast<uint32_t>(rank), merges[rank].result}};
        }
    }
    for (size_t i = 0; i < byte_rules_.size(); i++) {
        byte_rules_[i] = find(byte_ids_[i / 256], byte_ids_[i % 256]);
    }
}

Bpe::Rule Bpe::find(int32_t left, int32_t right) const {
    const uint64_t key = pair_key(left, right);
    for (uint64_t i = mix(key) & mask_; slots_[i].rule.rank != kNoRank; i = (i + 1) & mask_) {
        if (slots_[i].pair == key) {
            return slots_[i].rule;
        }
    }
    return {};
}

void Bpe::encode(std::string_view piece, std::vector<int32_t>& append_to) const {
    for (; piece.size() > kLongestPiece; piece.remove_prefix(kLongestPiece)) {
        encode_long(piece.substr(0, kLongestPiece), append_to);
    }
    piece.size() <= kShortPiece ? encode_short(piece, append_to) : encode_long(piece, append_to);
}

void Bpe::encode_short(std::string_view piece, std::vector<int32_t>& append_to) const {
    size_t count = piece.size();
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(piece[i]); };
    std::array<int32_t, kShortPiece> ids;
    std::array<Rule, kShortPiece> rules;  // rules[i] joins ids[i] and ids[i + 1]
    for (size_t i = 0; i < count; i++) {
        ids[i] = byte_ids_[byte(i)];
        if (i + 1 < count) {
            rules[i] = byte_rules_[byte(i) * 256u + byte(i + 1)];
        }
    }
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            if (rules[i].rank < rules[best].rank) {
                best = i;
            }
        }
        if (rules[best].rank == kNoRank) {
            break;
        }
        ids[best] = rules[best].result;
        count--;
        for (size_t i = best + 1; i < count; i++) {
            ids[i] = ids[i + 1];
            rules[i - 1] = rules[i];
        }
        if (best > 0) {
            rules[best - 1] = find(ids[best - 1], ids[best]);
        }
        if (best + 1 < count) {
            rules[best] = find(ids[best], ids[best + 1]);
        }
    }
    append_to.insert(append_to.end(), ids.begin(), ids.begin() + static_cast<ptrdiff_t>(count));
}

void Bpe::encode_long(std::string_view piece, std::vector<int32_t>& append_to) const {
    struct Symbol {
        int32_t id;  // -1: merged into the one before
        uint32_t previous, next;
    };
    struct Candidate {
        uint32_t rank, at;
        int32_t left, right;  // the candidate is stale when the symbols at `at` are others by now
    };
    const auto later = [](const Candidate& a, const Candidate& b) {
        return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
    };

    const auto count = static_cast<uint32_t>(piece.size());
    std::vector<Symbol> symbols(count);
    std::vector<Candidate> first;
    first.reserve(count);
    for (uint32_t i = 0; i < count; i++) {
        symbols[i] = {byte_ids_[static_cast<uint8_t>(piece[i])], i - 1, i + 1};
    }
    for (uint32_t i = 0; i + 1 < count; i++) {
        const uint32_t pair =
            static_cast<uint8_t>(piece[i]) * 256u + static_cast<uint8_t>(piece[i + 1]);
        if (const Rule rule = byte_rules_[pair]; rule.rank != kNoRank) {
            first.push_back({rule.rank, i, symbols[i].id, symbols[i + 1].id});
        }
    }
    std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> queue(later,
                                                                                  std::move(first));
    const auto consider = [&](uint32_t at) {
        const uint32_t next = symbols[at].next;
        if (const Rule rule = find(symbols[at].id, symbols[next].id); rule.rank != kNoRank) {
            queue.push({rule.rank, at, symbols[at].id, symbols[next].id});
        }
    };
    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        Symbol& left = symbols[best.at];
        if (left.id != best.left || left.next == count || symbols[left.next].id != best.right) {
            continue;
        }
        symbols[left.next].id = -1;
        left.id = find(best.left, best.right).result;
        left.next = symbols[left.next].next;
        if (left.next < count) {
            symbols[left.next].previous = best.at;
            consider(best.at);
        }
        if (best.at > 0) {
            consider(left.previous);
        }
    }
    for (uint32_t i = 0; i < count; i = symbols[i].next) {
        append_to.push_back(symbols[i].id);
    }
}

}  // namespace runtime
