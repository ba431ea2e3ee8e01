#include "app/window/damage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "app/window/compat.h"
#include "kernels/check.h"

namespace app::window {
namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15;
    return hash ^ hash >> 29;
}

uint64_t mix_vertex(uint64_t hash, const ImDrawVert& vertex) {
    static_assert(sizeof(ImDrawVert) == 20);
    uint64_t words[2];
    uint32_t last = 0;
    std::memcpy(words, &vertex, sizeof words);
    std::memcpy(&last, reinterpret_cast<const char*>(&vertex) + sizeof words, sizeof last);
    return mix(mix(mix(hash, words[0]), words[1]), last);
}

// The pixels of `clip` that the triangle's box touches. Whatever a coordinate is, what comes out is
// within `clip`.
PixelRect touched(const ImVec2& a, const ImVec2& b, const ImVec2& c, const PixelRect& clip) {
    const auto pixel = [](float at, int low, int high) {
        return static_cast<int>(
            std::max(static_cast<float>(low), std::min(static_cast<float>(high), at)));
    };
    return {pixel(std::floor(std::min({a.x, b.x, c.x})), clip.x0, clip.x1),
            pixel(std::floor(std::min({a.y, b.y, c.y})), clip.y0, clip.y1),
            pixel(std::ceil(std::max({a.x, b.x, c.x})), clip.x0, clip.x1),
            pixel(std::ceil(std::max({a.y, b.y, c.y})), clip.y0, clip.y1)};
}

struct Triangle {
    const ImDrawIdx* indices;
    const ImDrawVert *a, *b, *c;

    PixelRect touched(const PixelRect& clip) const {
        return window::touched(a->pos, b->pos, c->pos, clip);
    }
};

template <typename Use>
void for_each_triangle(const ImDrawList& list, const ImDrawCmd& command, const Use& use) {
    const ImDrawIdx* index = list.IdxBuffer.Data + command.IdxOffset;
    const ImDrawVert* vertices = list.VtxBuffer.Data + command.VtxOffset;
    for (unsigned int i = 0; i + 2 < command.ElemCount; i += 3, index += 3) {
        use(Triangle{index, vertices + index[0], vertices + index[1], vertices + index[2]});
    }
}

// No view draws by itself: what a callback draws could not be known.
void check_plain(const ImDrawCmd& command) {
    ENSURE(command.UserCallback == nullptr, "a draw command with a callback");
}

uint64_t packed(const PixelRect& rect) {
    const auto part = [](int edge, int shift) { return static_cast<uint64_t>(edge) << shift; };
    return part(rect.x0, 0) | part(rect.y0, 16) | part(rect.x1, 32) | part(rect.y1, 48);
}

int64_t area(const PixelRect& rect) {
    return static_cast<int64_t>(rect.width()) * rect.height();
}

// Puts one rect in the place of two, and of those it would overlap.
void join(std::vector<PixelRect>& rects, size_t first, size_t second) {
    PixelRect whole = around(rects[first], rects[second]);
    rects.erase(rects.begin() + static_cast<std::ptrdiff_t>(second));
    rects.erase(rects.begin() + static_cast<std::ptrdiff_t>(first));
    for (size_t i = 0; i < rects.size();) {
        if (common_part(whole, rects[i]).empty()) {
            i++;
            continue;
        }
        whole = around(whole, rects[i]);
        rects.erase(rects.begin() + static_cast<std::ptrdiff_t>(i));
        i = 0;  // one that was passed may overlap it now
    }
    rects.push_back(whole);
}

// Joins those that draw little in vain together, and whatever it takes to be few.
void make_few(std::vector<PixelRect>& rects, size_t most, int64_t cheap) {
    while (rects.size() > 1) {
        int64_t least = 0;
        size_t first = 0, second = 0;
        for (size_t i = 0; i < rects.size(); i++) {
            for (size_t j = i + 1; j < rects.size(); j++) {
                const int64_t vain =
                    area(around(rects[i], rects[j])) - area(rects[i]) - area(rects[j]);
                if (second == 0 || vain < least) {
                    least = vain;
                    first = i;
                    second = j;
                }
            }
        }
        if (rects.size() <= most && least > cheap) {
            return;
        }
        join(rects, first, second);
    }
}

}  // namespace

PixelRect common_part(const PixelRect& a, const PixelRect& b) {
    return {std::max(a.x0, b.x0), std::max(a.y0, b.y0), std::min(a.x1, b.x1), std::min(a.y1, b.y1)};
}

PixelRect around(const PixelRect& a, const PixelRect& b) {
    return {std::min(a.x0, b.x0), std::min(a.y0, b.y0), std::max(a.x1, b.x1), std::max(a.y1, b.y1)};
}

PixelRect pixel_clip(const ImDrawData& frame, const ImDrawCmd& command) {
    const ImVec4& clip = command.ClipRect;
    const auto high = static_cast<int>(frame.DisplaySize.y);
    const int left = static_cast<int>(clip.x - frame.DisplayPos.x);
    const int bottom = static_cast<int>(static_cast<float>(high) - (clip.w - frame.DisplayPos.y));
    const PixelRect cut{left, high - bottom - static_cast<int>(clip.w - clip.y),
                        left + static_cast<int>(clip.z - clip.x), high - bottom};
    return common_part(cut, {0, 0, static_cast<int>(frame.DisplaySize.x), high});
}

const std::vector<PixelRect>& Damage::find(const ImDrawData& frame, ImU32 ground) {
    ENSURE(frame.FramebufferScale.x == 1 && frame.FramebufferScale.y == 1 &&
               frame.DisplayPos.x == 0 && frame.DisplayPos.y == 0,
           "a unit that is not a pixel", frame.FramebufferScale.x, frame.FramebufferScale.y);
    const auto width = static_cast<int>(frame.DisplaySize.x);
    const auto height = static_cast<int>(frame.DisplaySize.y);
    if (width != width_ || height != height_) {
        forget();
        width_ = width;
        height_ = height;
        columns_ = (width + kTile - 1) / kTile;
        rows_ = (height + kTile - 1) / kTile;
    }
    const std::vector<uint64_t> before = std::exchange(
        tiles_, std::vector<uint64_t>(static_cast<size_t>(columns_) * static_cast<size_t>(rows_),
                                      mix(0, ground)));
    for (int n = 0; n < frame.CmdListsCount; n++) {
        const ImDrawList& list = *frame.CmdLists[n];
        for (const ImDrawCmd& command : list.CmdBuffer) {
            add(frame, list, command);
        }
    }
    rects_.clear();
    if (before.empty()) {
        rects_.push_back({0, 0, width_, height_});
    } else {
        compare(before);
    }
    return rects_;
}

void Damage::add(const ImDrawData& frame, const ImDrawList& list, const ImDrawCmd& command) {
    check_plain(command);
    const PixelRect clip = pixel_clip(frame, command);
    if (clip.empty()) {
        return;
    }
    const ImTextureID texture = command.GetTexID();
    const auto version = versions_.find(texture);
    const uint64_t base =
        mix(mix(0, version == versions_.end() ? 0 : version->second), texture_number(texture));
    for_each_triangle(list, command, [&](const Triangle& triangle) {
        const PixelRect box = triangle.touched(clip);
        if (box.empty()) {
            return;
        }
        const uint64_t hash =
            mix_vertex(mix_vertex(mix_vertex(base, *triangle.a), *triangle.b), *triangle.c);
        const int last_column = (box.x1 - 1) / kTile, last_row = (box.y1 - 1) / kTile;
        for (int row = box.y0 / kTile; row <= last_row; row++) {
            uint64_t* const tiles = tiles_.data() + static_cast<std::ptrdiff_t>(row) * columns_;
            for (int column = box.x0 / kTile; column <= last_column; column++) {
                // What is cut off beyond the tile is nothing to it.
                const PixelRect part = common_part(
                    box, {column * kTile, row * kTile, (column + 1) * kTile, (row + 1) * kTile});
                tiles[column] = mix(mix(tiles[column], hash), packed(part));
            }
        }
    });
}

// In tiles first; several in a row are one rect from the start.
void Damage::compare(const std::vector<uint64_t>& before) {
    for (int row = 0; row < rows_; row++) {
        const auto differs = [&](int column) {
            const auto i = static_cast<size_t>(row * columns_ + column);
            return tiles_[i] != before[i];
        };
        for (int column = 0; column < columns_; column++) {
            if (differs(column)) {
                const int from = column;
                while (column + 1 < columns_ && differs(column + 1)) {
                    column++;
                }
                rects_.push_back({from, row, column + 1, row + 1});
            }
        }
        // However torn a frame is, joining the pieces stays quick.
        constexpr size_t kMany = 64;
        if (rects_.size() > kMany) {
            make_few(rects_, kMaxRects, kCheapTiles);
        }
    }
    make_few(rects_, kMaxRects, kCheapTiles);
    for (PixelRect& rect : rects_) {
        rect = {rect.x0 * kTile, rect.y0 * kTile, std::min(rect.x1 * kTile, width_),
                std::min(rect.y1 * kTile, height_)};
    }
}

void keep_only(ImDrawData& frame, const std::vector<PixelRect>& rects) {
    struct Piece {
        PixelRect clip;
        std::vector<ImDrawIdx> indices;
    };
    std::vector<Piece> pieces;
    for (int n = 0; n < frame.CmdListsCount; n++) {
        ImDrawList& list = *frame.CmdLists[n];
        ImVector<ImDrawCmd> commands;
        ImVector<ImDrawIdx> indices;
        for (const ImDrawCmd& command : list.CmdBuffer) {
            check_plain(command);
            const PixelRect clip = pixel_clip(frame, command);
            pieces.clear();
            for (const PixelRect& rect : rects) {
                if (const PixelRect part = common_part(clip, rect); !part.empty()) {
                    pieces.push_back({part, {}});
                }
            }
            if (pieces.empty()) {
                continue;
            }
            for_each_triangle(list, command, [&](const Triangle& triangle) {
                for (Piece& piece : pieces) {
                    if (!triangle.touched(piece.clip).empty()) {
                        piece.indices.insert(piece.indices.end(), triangle.indices,
                                             triangle.indices + 3);
                    }
                }
            });
            for (const Piece& piece : pieces) {
                if (piece.indices.empty()) {
                    continue;
                }
                ImDrawCmd part = command;
                part.ClipRect = {
                    static_cast<float>(piece.clip.x0), static_cast<float>(piece.clip.y0),
                    static_cast<float>(piece.clip.x1), static_cast<float>(piece.clip.y1)};
                part.IdxOffset = static_cast<unsigned int>(indices.Size);
                part.ElemCount = static_cast<unsigned int>(piece.indices.size());
                commands.push_back(part);
                indices.resize(indices.Size + static_cast<int>(piece.indices.size()));
                std::copy(piece.indices.begin(), piece.indices.end(),
                          indices.Data + part.IdxOffset);
            }
        }
        list.CmdBuffer.swap(commands);
        list.IdxBuffer.swap(indices);
    }
}

}  // namespace app::window
