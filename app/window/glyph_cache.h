// GlyphCache: images of what the bundled faces do not hold - CJK, emoji, rare characters - in
// textures of its own, least recently used ones replaced. Wanted images are drawn by a worker
// (glyph_raster.h); until they are there their place is kept free. Only what is used is made; no
// atlas is ever built again. Main thread, but for the worker inside.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <imgui.h>

#include "app/window/glyph_raster.h"
#include "app/window/text_units.h"
#include "app/window/theme.h"

namespace app::window {

// Where textures live. The window's is OpenGL; tests count.
class GlyphTextures {
public:
    virtual ~GlyphTextures() = default;
    virtual uint64_t create(int side) = 0;  // RGBA, clear; never 0
    virtual void update(
        uint64_t texture, int x, int y, int width, int height, const uint32_t* pixels) = 0;
    virtual void destroy(uint64_t texture) = 0;
};

class GlyphCache {
public:
    struct Glyph {
        float left = 0, top = 0, width = 0, height = 0;  // of the image; top: above the baseline
        float advance = 0;
        ImVec2 uv0, uv1;
        uint64_t texture = 0;  // 0: not there (yet), or nothing to see
        bool coloured = false;
        bool ready = false;
    };

    // `wake`: called by the worker when images are ready.
    GlyphCache(GlyphTextures& textures, std::function<void()> wake);
    ~GlyphCache();
    GlyphCache(const GlyphCache&) = delete;
    GlyphCache& operator=(const GlyphCache&) = delete;

    // The one that text is drawn with, as ImGui has one context; null where there is none.
    static GlyphCache* current();

    // Begins a frame: takes in what the worker made. True when something on screen may look
    // different. Which of the faces are bold or monospaced follows from `fonts`.
    bool begin_frame(const Fonts& fonts);
    // Whether the worker has made something that begin_frame() would take in.
    bool has_news() const;
    // Grows when a width turned out other than it was taken for: texts with `pending` widths are
    // then laid out again.
    uint64_t widths_generation() const { return widths_generation_; }
    // Waits until nothing is asked for any more, and takes it in (for tests and pictures).
    void settle(const Fonts& fonts);

    // `guessed` is set when the width is not known yet.
    float advance(const ImFont* font, std::string_view unit, const TextUnit& what, bool& guessed);
    const Glyph& glyph(const ImFont* font, std::string_view unit, const TextUnit& what);

    size_t textures() const { return pages_.size(); }
    int64_t texture_bytes() const;
    size_t drawn() const { return drawn_; }  // images made so far

private:
    struct Entry {
        Glyph glyph;
        uint64_t used = 0;  // the frame it was asked for last
        int page = -1, slot = -1;
    };
    struct Page {
        uint64_t texture = 0;
        int cell_width = 0, cell_height = 0, columns = 0;
        std::vector<const std::string*> slots;  // keys; null: free
        uint64_t used = 0;
    };
    struct Look {
        bool bold = false, mono = false;
    };
    struct Worker;

    Look look_of(const ImFont* font) const;
    GlyphWish wish_for(const ImFont* font, const TextUnit& what, std::string_view unit) const;
    Entry& entry(const ImFont* font, std::string_view unit, const TextUnit& what);
    void place(const std::string& key, Entry& entry, const GlyphBitmap& bitmap);
    bool find_slot(int cell_width, int cell_height, int& page, int& slot);
    bool take_in();

    GlyphTextures& textures_;
    std::function<void()> wake_;
    Fonts fonts_;
    uint64_t frame_ = 1;
    uint64_t widths_generation_ = 0;
    size_t drawn_ = 0;
    std::unordered_map<std::string, Entry> entries_;
    std::vector<Page> pages_;
    std::unique_ptr<Worker> worker_;  // from the first wish on
};

}  // namespace app::window
