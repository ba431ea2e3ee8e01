#include "app/window/glyph_cache.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "app/window/compat.h"

namespace app::window {
namespace {

constexpr int kSide = 512;  // of a texture: 1 MiB
constexpr size_t kMaxPages = 24;
constexpr size_t kMaxEntries = 20'000;
constexpr int kCells[] = {16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384};

// Height of a line -> the em square: what the two bundled families have (ascender + descender).
constexpr float kProportionalEm = 0.826F, kMonoEm = 0.7576F;

int cell_for(int size) {
    for (const int cell : kCells) {
        if (size <= cell) {
            return cell;
        }
    }
    return GlyphBitmap::kLargest;
}

GlyphCache* the_current = nullptr;

}  // namespace

struct GlyphCache::Worker {
    struct Wish {
        std::string key, unit;
        GlyphWish look;
    };
    struct Made {
        std::string key;
        GlyphBitmap bitmap;
    };

    explicit Worker(std::function<void()> wake_main)
        : wake(std::move(wake_main)), thread([this] { run(); }) {}
    ~Worker() {
        {
            const std::lock_guard lock(mutex);
            stop = true;
        }
        ready.notify_one();
        thread.join();
    }

    void run() {
        GlyphRaster raster;
        std::unique_lock lock(mutex);
        for (;;) {
            ready.wait(lock, [this] { return stop || !wishes.empty(); });
            if (stop) {
                return;
            }
            // In portions, so that the first characters are on screen soon and the window is not
            // woken for each.
            std::vector<Wish> portion;
            for (int i = 0; i < 64 && !wishes.empty(); i++) {
                portion.push_back(std::move(wishes.front()));
                wishes.pop_front();
            }
            lock.unlock();
            std::vector<Made> done;
            for (Wish& wish : portion) {
                done.push_back({std::move(wish.key), raster.draw(wish.unit, wish.look)});
            }
            lock.lock();
            for (Made& each : done) {
                made.push_back(std::move(each));
            }
            idle.notify_all();
            lock.unlock();
            wake();
            lock.lock();
        }
    }

    std::function<void()> wake;
    std::mutex mutex;
    std::condition_variable ready, idle;
    std::deque<Wish> wishes;  // guarded by mutex
    std::vector<Made> made;   // guarded by mutex
    size_t asked = 0;         // main thread: wishes not taken in yet
    bool stop = false;        // guarded by mutex
    std::thread thread;
};

GlyphCache::GlyphCache(GlyphTextures& textures, std::function<void()> wake)
    : textures_(textures), wake_(std::move(wake)) {
    the_current = this;
}

GlyphCache::~GlyphCache() {
    worker_.reset();
    for (const Page& page : pages_) {
        textures_.destroy(page.texture);
    }
    if (the_current == this) {
        the_current = nullptr;
    }
}

GlyphCache* GlyphCache::current() {
    return the_current;
}

int64_t GlyphCache::texture_bytes() const {
    return static_cast<int64_t>(pages_.size()) * kSide * kSide * 4;
}

GlyphCache::Look GlyphCache::look_of(const ImFont* font) const {
    return {font == fonts_.bold || font == fonts_.heading || font == fonts_.title,
            font == fonts_.mono || font == fonts_.small_mono};
}

GlyphWish GlyphCache::wish_for(const ImFont* font,
                               const TextUnit& what,
                               std::string_view unit) const {
    const Look look = look_of(font);
    GlyphWish wish;
    wish.bold = look.bold;
    wish.mono = look.mono;
    wish.emoji = what.emoji;
    wish.em = font_size(font) * (look.mono ? kMonoEm : kProportionalEm);
    const bool wide = is_wide(what.first);
    if (what.emoji || wide) {
        // Widths that do not wait for a font: an ideograph is a square, and two cells in code.
        wish.fixed_advance = look.mono    ? 2 * glyph_advance(font, ' ')
                             : what.emoji ? std::round(wish.em * 1.25F)
                                          : std::round(wish.em * 1.02F);
    }
    if (unit.size() > 200) {
        wish.fixed_advance = wish.em;
    }
    return wish;
}

GlyphCache::Entry& GlyphCache::entry(const ImFont* font,
                                     std::string_view unit,
                                     const TextUnit& what) {
    const Look look = look_of(font);
    const auto size = static_cast<unsigned>(std::lround(font_size(font) * 2));
    std::string key;
    key.reserve(unit.size() + 3);
    key += static_cast<char>(size & 0xFF);
    key += static_cast<char>(size >> 8);
    key += static_cast<char>((look.bold ? 1 : 0) | (look.mono ? 2 : 0) | (what.emoji ? 4 : 0));
    key += unit;
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        const GlyphWish wish = wish_for(font, what, unit);
        Entry fresh;
        fresh.glyph.advance =
            wish.fixed_advance > 0 ? wish.fixed_advance : std::round(wish.em * 0.6F);
        found = entries_.emplace(std::move(key), fresh).first;
        if (!worker_) {
            worker_ = std::make_unique<Worker>(wake_);
        }
        {
            const std::lock_guard lock(worker_->mutex);
            worker_->wishes.push_back({found->first, std::string(unit), wish});
        }
        worker_->asked++;
        worker_->ready.notify_one();
    }
    found->second.used = frame_;
    if (found->second.page >= 0) {
        pages_[static_cast<size_t>(found->second.page)].used = frame_;
    }
    return found->second;
}

float GlyphCache::advance(const ImFont* font,
                          std::string_view unit,
                          const TextUnit& what,
                          bool& guessed) {
    if (what.single && (is_wide(what.first) || what.emoji)) {
        return wish_for(font, what, unit).fixed_advance;  // nothing need be drawn for that
    }
    const Entry& found = entry(font, unit, what);
    guessed = guessed || !found.glyph.ready;
    return found.glyph.advance;
}

const GlyphCache::Glyph& GlyphCache::glyph(const ImFont* font,
                                           std::string_view unit,
                                           const TextUnit& what) {
    return entry(font, unit, what).glyph;
}

bool GlyphCache::begin_frame(const Fonts& fonts) {
    fonts_ = fonts;
    frame_++;
    return take_in();
}

bool GlyphCache::has_news() const {
    if (!worker_ || worker_->asked == 0) {
        return false;
    }
    const std::lock_guard lock(worker_->mutex);
    return !worker_->made.empty();
}

void GlyphCache::settle(const Fonts& fonts) {
    fonts_ = fonts;
    while (worker_ && worker_->asked > 0) {
        {
            std::unique_lock lock(worker_->mutex);
            worker_->idle.wait(lock, [this] { return !worker_->made.empty(); });
        }
        take_in();
    }
}

bool GlyphCache::take_in() {
    if (!worker_ || worker_->asked == 0) {
        return false;
    }
    std::vector<Worker::Made> made;
    {
        const std::lock_guard lock(worker_->mutex);
        made.swap(worker_->made);
    }
    for (const Worker::Made& each : made) {
        worker_->asked--;
        drawn_++;
        const auto found = entries_.find(each.key);
        if (found != entries_.end()) {
            place(found->first, found->second, each.bitmap);
        }
    }
    // What was seen long ago is forgotten where there is too much; its slots become free.
    if (entries_.size() > kMaxEntries) {
        for (auto it = entries_.begin(); it != entries_.end();) {
            const bool old = it->second.glyph.ready && it->second.used + 600 < frame_;
            if (old && it->second.page >= 0) {
                pages_[static_cast<size_t>(it->second.page)]
                    .slots[static_cast<size_t>(it->second.slot)] = nullptr;
            }
            it = old ? entries_.erase(it) : std::next(it);
        }
    }
    return !made.empty();
}

void GlyphCache::place(const std::string& key, Entry& entry, const GlyphBitmap& bitmap) {
    Glyph& glyph = entry.glyph;
    if (glyph.advance != bitmap.advance) {
        widths_generation_++;
    }
    glyph.ready = true;
    glyph.advance = bitmap.advance;
    glyph.coloured = bitmap.coloured;
    glyph.left = static_cast<float>(bitmap.left);
    glyph.top = static_cast<float>(bitmap.top);
    glyph.width = static_cast<float>(bitmap.width);
    glyph.height = static_cast<float>(bitmap.height);
    if (bitmap.width == 0 || bitmap.height == 0) {
        return;
    }
    int page = 0, slot = 0;
    const int cell_width = cell_for(bitmap.width + 1), cell_height = cell_for(bitmap.height + 1);
    if (!find_slot(cell_width, cell_height, page, slot)) {
        return;
    }
    Page& home = pages_[static_cast<size_t>(page)];
    home.slots[static_cast<size_t>(slot)] = &key;
    entry.page = page;
    entry.slot = slot;
    const int x = slot % home.columns * cell_width, y = slot / home.columns * cell_height;
    // The free row and column around it are cleared: neighbours must not shine in.
    std::vector<uint32_t> cell(static_cast<size_t>(cell_width) * static_cast<size_t>(cell_height));
    for (int row = 0; row < bitmap.height; row++) {
        std::copy_n(bitmap.pixels.begin() + static_cast<std::ptrdiff_t>(row) * bitmap.width,
                    bitmap.width, cell.begin() + static_cast<std::ptrdiff_t>(row) * cell_width);
    }
    textures_.update(home.texture, x, y, cell_width, cell_height, cell.data());
    glyph.texture = home.texture;
    constexpr float kUnit = 1.0F / kSide;
    glyph.uv0 = {static_cast<float>(x) * kUnit, static_cast<float>(y) * kUnit};
    glyph.uv1 = {static_cast<float>(x + bitmap.width) * kUnit,
                 static_cast<float>(y + bitmap.height) * kUnit};
}

// A free place among cells of that size; else a new texture; else the place of what was not seen
// for longest, of this size or, as a whole texture, of another.
bool GlyphCache::find_slot(int cell_width, int cell_height, int& page, int& slot) {
    const auto fits = [&](const Page& p) {
        return p.cell_width == cell_width && p.cell_height == cell_height;
    };
    for (size_t p = 0; p < pages_.size(); p++) {
        if (!fits(pages_[p])) {
            continue;
        }
        const auto& slots = pages_[p].slots;
        const auto free = std::find(slots.begin(), slots.end(), nullptr);
        if (free != slots.end()) {
            page = static_cast<int>(p);
            slot = static_cast<int>(free - slots.begin());
            return true;
        }
    }
    const auto shape = [&](Page& p) {
        p.cell_width = cell_width;
        p.cell_height = cell_height;
        p.columns = kSide / cell_width;
        p.slots.assign(static_cast<size_t>(p.columns) * static_cast<size_t>(kSide / cell_height),
                       nullptr);
        p.used = frame_;
    };
    const auto forget = [&](const std::string* key) {
        if (key) {
            entries_.erase(entries_.find(*key));
        }
    };
    if (pages_.size() < kMaxPages) {
        Page fresh;
        fresh.texture = textures_.create(kSide);
        shape(fresh);
        pages_.push_back(std::move(fresh));
        page = static_cast<int>(pages_.size()) - 1;
        slot = 0;
        return true;
    }
    const std::string* oldest = nullptr;
    uint64_t oldest_use = frame_ - 1;  // what this frame or the last one shows is not taken away
    for (size_t p = 0; p < pages_.size(); p++) {
        if (!fits(pages_[p])) {
            continue;
        }
        for (size_t s = 0; s < pages_[p].slots.size(); s++) {
            const std::string* key = pages_[p].slots[s];
            const uint64_t used = key ? entries_.at(*key).used : 0;
            if (used < oldest_use) {
                oldest_use = used;
                oldest = key;
                page = static_cast<int>(p);
                slot = static_cast<int>(s);
            }
        }
    }
    if (oldest) {
        forget(oldest);
        return true;
    }
    const auto stale = std::min_element(
        pages_.begin(), pages_.end(), [](const Page& a, const Page& b) { return a.used < b.used; });
    if (stale->used + 1 >= frame_) {
        return false;
    }
    for (const std::string* key : stale->slots) {
        forget(key);
    }
    shape(*stale);
    page = static_cast<int>(stale - pages_.begin());
    slot = 0;
    return true;
}

}  // namespace app::window
