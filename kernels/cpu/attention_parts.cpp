// Absorbed attention's sums over the positions.
//
// Work is cut into parts: a group of neighbouring tokens of a sequence, and a split of 256
// positions. A thread takes the split's rows from memory once for all heads of the group, and
// multiplies with the matrix unit where there is one, or with integers (attention_tiles.h), else
// with floats, made of a page or where they are used (row_kernels.h). The parts' sums are merged in
// the order of the positions. With many groups a thread takes one through all its splits; with few
// (decoding) the splits themselves are shared out. Either way the order of every sum depends on the
// token's position alone.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/k_type.h"

namespace kernels::cpu {
namespace {

static_assert(kCodesPerScale == 128);  // as attention_tiles_amx.cpp reads them
static_assert(kSplitTokens % kPageTokens == 0 && kTiledSplitRows % kPageTokens == 0);
constexpr int64_t kTiledSplitPages = kTiledSplitRows / kPageTokens;
// So many groups per thread keep all threads busy to the end.
constexpr int64_t kManyGroups = 3;

}  // namespace

// Where a part's rows lie, and the part that the same thread probably takes next, if any.
struct CpuBackend::Part {
    const Group* group = nullptr;
    int64_t split = 0;
    const Group* next_group = nullptr;
    int64_t next_split = 0;
};

// The queries of attend_parts, for its threads.
struct CpuBackend::Queries {
    const float* floats = nullptr;  // [n, H, row]
    const AttentionTiles* tiles = nullptr;
    std::byte* packed = nullptr;  // of each group, with tiles
    int64_t packed_bytes = 0;     // of one group
};

int64_t CpuBackend::group_tokens(const Attention& a) const {
    return tiles_for(a.pages) != nullptr ? kTiledGroupTokens : kGroupTokens;
}

int64_t CpuBackend::split_tokens(const Attention& a) const {
    return tiles_for(a.pages) != nullptr ? kTiledSplitRows : kSplitTokens;
}

const AttentionTiles* CpuBackend::tiles_for(const KPages& rows) const {
    const AttentionTiles* tiles = tiles_;
    while (tiles != nullptr && !tiles->takes(rows.dtype, rows.int8_latent, rows.latent)) {
        tiles = tiles->others;
    }
    return tiles;
}

// mixed [n, H, part_row] = every token's sums over all positions that it sees.
void CpuBackend::attend_parts(const Attention& a,
                              std::span<const Group> groups,
                              const float* queries,
                              float* mixed) {
    const int64_t heads = a.n_heads(), part_row = a.part_row();
    const auto n_groups = static_cast<int64_t>(groups.size());
    int64_t most = 0;  // tokens of a group
    for (const Group& group : groups) {
        most = std::max(most, group.count);
    }
    const int64_t part_size = most * heads * part_row;

    Queries q{queries, tiles_for(a.pages)};
    int64_t work_bytes = (kPageTokens * a.row() + most * heads * (kPageTokens + 1)) * 4;
    if (q.tiles != nullptr) {
        q.packed_bytes = q.tiles->query_bytes(most * heads, a.latent(), a.row());
        q.packed = scratch_.bytes(Slot::tiled_queries, n_groups * q.packed_bytes);
        parallel(n_groups, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t g = begin; g < end; g++) {
                const Group& group = groups[static_cast<size_t>(g)];
                q.tiles->pack_queries(q.packed + g * q.packed_bytes,
                                      queries + group.local * heads * a.row(), a.row(),
                                      group.count * heads, a.latent(), a.row());
            }
        });
        work_bytes = q.tiles->work_bytes(most * heads, a.row()) +
                     q.tiles->query_bytes(heads, a.latent(), a.row());  // for a token alone
    }
    work_bytes = (work_bytes + 63) / 64 * 64;
    const auto packed_of = [&](const Group& group) {
        return q.packed + (&group - groups.data()) * q.packed_bytes;
    };
    // Part `part` of `group` into its tokens' sums: the first one is copied.
    const auto take_up = [&](const float* part, const Group& group, int64_t split, int64_t row) {
        float* sum = mixed + (group.local * heads + row) * part_row;
        part += row * part_row;
        const int64_t mix = a.mix();
        if (split == 0) {
            std::copy_n(part, mix + 2, sum);
        } else {
            rows_.merge(sum, sum + mix, sum + mix + 1, part, part[mix], part[mix + 1], mix);
        }
    };
    // Whether a token of the group sees a position of the split.
    const auto sees = [tokens = split_tokens(a)](const Group& group, int64_t token, int64_t split) {
        return split * tokens <= group.span->start + group.first + token;
    };

    if (n_groups >= kManyGroups * active_) {
        const int64_t private_bytes = work_bytes + part_size * 4;
        std::byte* private_work = scratch_.bytes(Slot::worker, private_bytes * active_);
        one_by_one(n_groups, 1, [&](int64_t begin, int64_t end, int worker) {
            std::byte* work = private_work + worker * private_bytes;
            auto* part = reinterpret_cast<float*>(work + work_bytes);
            for (int64_t g = begin; g < end; g++) {
                const Group& group = groups[static_cast<size_t>(g)];
                for (int64_t split = 0; split < group.splits; split++) {
                    const bool last = split + 1 == group.splits;
                    attend_part(a, q, {&group, split, last ? nullptr : &group, split + 1},
                                packed_of(group), work, part);
                    for (int64_t i = 0; i < group.count * heads; i++) {
                        if (sees(group, i / heads, split)) {
                            take_up(part, group, split, i);
                        }
                    }
                }
            }
        });
        return;
    }

    const int64_t total = groups.back().parts_before + groups.back().splits;
    const int64_t parts_at_once =
        active_ *
        (q.tiles != nullptr ? kPartsPerThread : std::max<int64_t>(1, kPartTokensPerThread / most));
    const int64_t waves = (total + parts_at_once - 1) / parts_at_once,
                  wave = (total + waves - 1) / waves;
    auto* parts = scratch_.get<float>(Slot::partials, wave * part_size);
    std::byte* private_work = scratch_.bytes(Slot::worker, work_bytes * active_);
    const auto group_of = [&](int64_t part) {
        return &*(
            std::upper_bound(groups.begin(), groups.end(), part,
                             [](int64_t i, const Group& group) { return i < group.parts_before; }) -
            1);
    };
    const int64_t rows = (groups.back().local + groups.back().count) * heads;
    for (int64_t wave_begin = 0; wave_begin < total; wave_begin += wave) {
        const int64_t wave_end = std::min(wave_begin + wave, total);
        // Two pieces for each thread with a matrix unit: neighbours within them are read ahead.
        const int64_t piece = q.tiles != nullptr && q.tiles->matrix_unit
                                  ? std::max<int64_t>(1, (wave_end - wave_begin) / (2 * active_))
                                  : 1;
        one_by_one(wave_end - wave_begin, piece, [&](int64_t begin, int64_t end, int worker) {
            for (int64_t i = wave_begin + begin; i < wave_begin + end; i++) {
                const Group* group = group_of(i);
                Part part{group, i - group->parts_before};
                // Behind the piece's last part a guess: the piece that the thread takes next if all
                // are equally fast.
                int64_t next = i + 1;
                if (next == wave_begin + end) {
                    next += (active_ - 1) * (end - begin);
                    next = next < wave_end ? next : wave_end + worker * (end - begin);
                }
                if (next < total) {
                    part.next_group = group_of(next);
                    part.next_split = next - part.next_group->parts_before;
                }
                attend_part(a, q, part, packed_of(*group), private_work + worker * work_bytes,
                            parts + (i - wave_begin) * part_size);
            }
        });
        parallel(rows, 2, [&](int64_t begin, int64_t end, int) {
            const Group* group = groups.data();
            for (int64_t i = begin; i < end; i++) {
                while (i >= (group->local + group->count) * heads) {
                    group++;
                }
                const int64_t row = i - group->local * heads;
                const int64_t from = std::max(group->parts_before, wave_begin);
                const int64_t to = std::min(group->parts_before + group->splits, wave_end);
                for (int64_t p = from; p < to; p++) {
                    if (sees(*group, row / heads, p - group->parts_before)) {
                        take_up(parts + (p - wave_begin) * part_size, *group,
                                p - group->parts_before, row);
                    }
                }
            }
        });
    }
}

// One part. With tiles `packed` holds the group's queries.
void CpuBackend::attend_part(const Attention& a,
                             const Queries& q,
                             const Part& part,
                             const std::byte* packed,
                             std::byte* work,
                             float* sums) const {
    const Group& group = *part.group;
    if (q.tiles == nullptr) {
        attend_split(a, part, q.floats, work, sums);
        return;
    }
    const int64_t heads = a.n_heads(), begin = part.split * kTiledSplitRows;
    const std::byte *rows[kTiledSplitPages] = {}, *next[kTiledSplitPages] = {};
    // Rows of a split as far as the group sees them; returns how many.
    const auto find_rows = [&](const Group& of, int64_t split, const std::byte** found) {
        const int64_t first = split * kTiledSplitRows;
        const int64_t count =
            std::min(kTiledSplitRows, of.span->start + of.first + of.count - first);
        for (int64_t r = 0; r < count; r += kPageTokens) {
            found[r / kPageTokens] = k_row(a.pages, *of.span, first + r);
        }
        return count;
    };
    TiledSplit split{};
    split.type = a.pages.dtype;
    split.int8_latent = a.pages.int8_latent;
    const LatentRow latent_row(a.latent(), a.rotary());
    split.rotary_at = latent_row.rotary_at;
    split.scales_at = latent_row.scales_at;
    split.rows = rows;
    split.row_bytes = a.pages.row_bytes;
    split.latent = a.latent();
    split.rotary = a.rotary();
    split.count = find_rows(group, part.split, rows);
    split.seen = group.span->start + group.first + 1 - begin;
    split.columns = group.count * heads;
    split.heads = heads;
    split.scale = a.scale;
    split.queries = packed;
    split.part = sums;
    split.part_row = a.part_row();
    split.stats = a.mix();
    split.work = work;
    if (part.next_group != nullptr) {
        const int64_t count = find_rows(*part.next_group, part.next_split, next);
        split.next = next;
        split.next_pages = (count + kPageTokens - 1) / kPageTokens;
    }
    if (q.tiles->attend(split)) {
        return;
    }
    std::byte* alone = work + q.tiles->work_bytes(group.count * heads, a.row());
    for (int64_t t = 0; t < group.count; t++) {
        TiledSplit token = split;
        token.seen = split.seen + t;
        if (token.seen <= 0) {
            continue;
        }
        token.count = std::min(token.seen, split.count);
        token.columns = heads;
        q.tiles->pack_queries(alone, q.floats + (group.local + t) * heads * a.row(), a.row(), heads,
                              a.latent(), a.row());
        token.queries = alone;
        token.part = sums + t * heads * a.part_row();
        token.next = nullptr;
        q.tiles->attend(token);
    }
}

// Scores, running softmax and mixed latents of one group's tokens over the positions of one split.
void CpuBackend::attend_split(const Attention& a,
                              const Part& where,
                              const float* queries,
                              std::byte* work,
                              float* part) const {
    const Group& group = *where.group;
    const int64_t heads = a.n_heads(), row = a.row(), mix = a.mix(), part_row = a.part_row();
    const int64_t columns = group.count * heads;
    auto* tile = reinterpret_cast<float*>(work);      // [64, row]
    float* scores = tile + kPageTokens * row;         // [columns, 64]
    float* factors = scores + columns * kPageTokens;  // [columns]
    queries += group.local * heads * row;
    const int64_t first = group.span->start + group.first;  // position of the group's first token
    const int64_t begin = where.split * kSplitTokens,
                  end = std::min(begin + kSplitTokens, first + group.count);
    for (int64_t i = 0; i < columns; i++) {
        float* sum = part + i * part_row;
        sum[mix] = -INFINITY;
        sum[mix + 1] = 0;
    }
    for (int64_t position = begin; position < end; position += kPageTokens) {
        const int64_t count = std::min(kPageTokens, end - position);
        // A token never sees rows behind its own, not even with weight zero: they may hold
        // anything. So tokens before the first of these leave the page alone.
        const int64_t blind = std::max<int64_t>(0, position - first);
        RowScores s{};
        s.scores = scores + blind * heads * kPageTokens;
        s.score_stride = kPageTokens;
        s.queries = queries + blind * heads * row;
        s.n = columns - blind * heads;
        s.count = count;
        s.tile = tile;
        s.stride = row;
        const bool last = position + kPageTokens >= end;
        const SequenceSpan* next = group.span;
        int64_t then = position + kPageTokens;
        if (last) {
            next = where.next_group != nullptr ? where.next_group->span : nullptr;
            then = where.next_split * kSplitTokens;
        }
        const RowMixFunction mix_as_they_lie =
            a.score_page(rows_, s, *group.span, position,
                         next != nullptr ? k_row(a.pages, *next, then) : nullptr);
        for (int64_t i = blind * heads; i < columns; i++) {
            float* sum = part + i * part_row;
            factors[i] = rows_.softmax_step(scores + i * kPageTokens,
                                            std::min(count, first + i / heads + 1 - position),
                                            a.scale, sum + mix, sum + mix + 1);
        }
        // Tokens that see as much of the page together: one by one at the diagonal, else all.
        for (int64_t t = blind, n = 1; t < group.count; t += n) {
            const int64_t seen = std::min(count, first + t + 1 - position);
            n = seen == count ? group.count - t : 1;
            const int64_t i = t * heads;
            float* sums = part + i * part_row;
            const float* factor = position == begin ? nullptr : factors + i;
            const float* weights = scores + i * kPageTokens;
            if (mix_as_they_lie != nullptr) {
                mix_as_they_lie({sums, part_row, factor, weights, kPageTokens, n * heads, s.rows,
                                 s.row_bytes, seen, mix});
            } else {
                rows_.mix(sums, part_row, factor, weights, kPageTokens, n * heads, tile, row, seen,
                          mix);
            }
        }
    }
}

}  // namespace kernels::cpu
