// TextView: which parts of a text are laid out, and where they are.
#include <algorithm>
#include <cmath>
#include <utility>

#include "app/window/compat.h"
#include "app/window/glyph_cache.h"
#include "app/window/text_layer.h"
#include "app/window/utf8.h"

namespace app::window {
namespace {

constexpr float kGap = 10;
constexpr float kListGap = 4;
constexpr size_t kTaken = 8 << 10;  // bytes between two looks at the time

bool same_faces(const Fonts& a, const Fonts& b) {
    return a.generation == b.generation && a.body == b.body && a.scale == b.scale;
}

}  // namespace

void TextView::update(std::string_view text, uint64_t revision, const TextStyle& style) {
    const GlyphCache* cache = GlyphCache::current();
    const uint64_t widths = cache ? cache->widths_generation() : 0;
    const bool same_look = style.width == style_.width && same_faces(*style.fonts, fonts_) &&
                           style.colour == style_.colour &&
                           style.links_revision == style_.links_revision;
    const bool same_text = revision == revision_ && text.size() == size_;
    if (style.until != style_.until) {
        took_some_ = laid_some_ = lexed_some_ = parts_waiting_ = false;
    }
    if (same_look && same_text && widths == widths_generation_) {
        style_.fonts = style.fonts;
        style_.links = style.links;
        style_.until = style.until;
        if (text_.size() < size_) {
            take_text(text);
            place();
        }
        colour_waiting();
        return;
    }
    if (widths != widths_generation_) {
        widths_generation_ = widths;
        for (Part& part : parts_) {
            part.laid = part.laid && !part.layout->guessed();
        }
    }
    const float width_before = style_.width;
    style_ = style;
    fonts_ = *style.fonts;
    if (!same_look) {
        for (Part& part : parts_) {
            part.laid = false;
            part.layout.reset();
            // About as much text on each line as before.
            part.height =
                width_before > 0 && width_before != style.width ? estimate(part) : part.height;
        }
    }
    if (!same_text) {
        revision_ = revision;
        size_ = text.size();
        const bool grew =
            text.size() >= text_.size() && text.substr(0, text_.size()) == std::string_view(text_);
        if (!grew) {
            text_.clear();
            cutter_ = TextCutter();
            parts_.clear();
            uncoloured_.clear();
            references_ = 0;
        }
        take_text(text);
    }
    place();
    colour_waiting();
}

// At least one piece of it a frame, and more while there is time. One that grows by a few words is
// taken whole.
void TextView::take_text(std::string_view text) {
    if (took_some_ && late()) {
        return;
    }
    took_some_ = true;
    if (text.size() - text_.size() > kTaken) {
        text_.reserve(text.size());
    }
    do {
        const size_t end = std::min(text.size(), text_.size() + kTaken);
        const size_t whole = end < text.size() ? character_begin(text, end) : end;
        work_.taken += whole - text_.size();
        text_.append(text.substr(text_.size(), whole - text_.size()));
        cutter_.feed(text_);
    } while (text_.size() < text.size() && !late());
    take_parts();
}

// Brings parts_ up to what the cutter found. The last part of before has more in it now.
void TextView::take_parts() {
    const auto& cuts = cutter_.parts();
    const size_t before = parts_.size();
    parts_.resize(cuts.size());
    for (size_t i = before > 0 ? before - 1 : 0; i < cuts.size(); i++) {
        Part& part = parts_[i];
        const bool grown = i + 1 == before;
        part.begin = cuts[i].begin;
        part.end = i + 1 < cuts.size() ? cuts[i + 1].begin : text_.size();
        part.in_fence = cuts[i].in_fence;
        part.joined = cuts[i].joined;
        part.tight = cuts[i].tight;
        count_lines(part);
        part.fence = cuts[i].fence;
        part.language = cuts[i].language;
        part.laid = false;
        part.lexed = false;
        const float guess = estimate(part);
        part.height = grown && i + 1 == cuts.size() ? std::max(part.height, guess) : guess;
    }
    if (references_ != cutter_.references().size()) {
        references_ = cutter_.references().size();
        for (Part& part : parts_) {
            part.laid = false;
        }
    }
}

float TextView::estimate(const Part& part) const {
    if (!style_.fonts || part.end <= part.begin) {
        return 0;
    }
    const float line = std::round(font_size(fonts_.body) * 1.42F);
    const float per_line =
        std::max(8.0F, style_.width / (font_size(fonts_.body) * 0.46F));  // characters
    // Long lines leave half a line free at their end, on the whole.
    const auto written = static_cast<float>(part.lines);
    const float wrapped = static_cast<float>(part.end - part.begin) / per_line;
    const float lines =
        std::max(written, written / 2 + wrapped) + 0.45F * static_cast<float>(part.blank_lines);
    return std::max(1.0F, lines) * line;
}

void TextView::count_lines(Part& part) const {
    part.lines = part.blank_lines = 0;
    const std::string_view text = std::string_view(text_).substr(0, part.end);
    for (size_t at = part.begin; at < part.end;) {
        const size_t newline = std::min(text.find('\n', at), part.end);
        (newline == at ? part.blank_lines : part.lines)++;
        at = newline + 1;
    }
}

float TextView::gap_before(size_t index) const {
    return index == 0 || parts_[index].joined
               ? 0
               : std::round((parts_[index].tight ? kListGap : kGap) * fonts_.scale);
}

void TextView::place() {
    float y = 0;
    for (size_t i = 0; i < parts_.size(); i++) {
        y += gap_before(i);
        parts_[i].y = y;
        y += parts_[i].height;
    }
    height_ = y;
}

size_t TextView::part_at(float y) const {
    const auto found = std::partition_point(
        parts_.begin(), parts_.end(), [&](const Part& part) { return part.y + part.height <= y; });
    return std::min(static_cast<size_t>(found - parts_.begin()),
                    parts_.empty() ? 0 : parts_.size() - 1);
}

size_t TextView::part_of(size_t source) const {
    const auto found = std::partition_point(parts_.begin(), parts_.end(),
                                            [&](const Part& part) { return part.end <= source; });
    return std::min(static_cast<size_t>(found - parts_.begin()),
                    parts_.empty() ? 0 : parts_.size() - 1);
}

// What the code before a part left open; nothing: there was no time to read all of it.
std::optional<LexState> TextView::lexer_before(size_t index) {
    if (!parts_[index].in_fence || index == 0) {
        return LexState();
    }
    size_t from = index;
    while (from > 0 && parts_[from].in_fence && !parts_[from - 1].lexed) {
        from--;
    }
    for (size_t i = from; i < index; i++) {
        if (parts_[i].lexed) {
            continue;
        }
        if (lexed_some_ && late()) {
            return std::nullopt;
        }
        lexed_some_ = true;
        work_.read += parts_[i].end - parts_[i].begin;
        const bool continues = i + 1 < parts_.size() && parts_[i + 1].in_fence;
        LexState state = i > 0 && parts_[i].in_fence ? parts_[i - 1].lexer : LexState();
        const auto blocks = blocks_of_part(text_, parts_[i].begin, parts_[i].end,
                                           cutter_.parts()[i], continues, {});
        if (!blocks.empty() && blocks.back().kind == Block::Kind::code) {
            state = blocks.back().continued ? state : LexState();
            highlight(blocks.back().rich.text, blocks.back().language, state);
        }
        parts_[i].lexer = std::move(state);
        parts_[i].lexed = true;
    }
    return parts_[index - 1].lexer;
}

void TextView::lay_out(size_t index) {
    Part& part = parts_[index];
    const bool continues = index + 1 < parts_.size() && parts_[index + 1].in_fence;
    std::vector<Block> blocks = blocks_of_part(text_, part.begin, part.end, cutter_.parts()[index],
                                               continues, cutter_.references());
    if (style_.links && *style_.links) {
        mark_links(blocks, *style_.links);
    }
    const std::optional<LexState> before = lexer_before(index);
    LexState lexer = before.value_or(LexState());
    TextLayout::Options options;
    options.first = index == 0;
    options.lexer = &lexer;
    options.scrolls = &scrolls_;
    if (!part.layout) {
        part.layout = std::make_unique<TextLayout>();
    }
    // All parts of one code are moved sideways together.
    if (part.in_fence) {
        size_t first = index;
        while (first > 0 && parts_[first].in_fence) {
            first--;
        }
        options.scroll_key = parts_[first].end;
    } else if (continues) {
        options.scroll_key = part.end;
    }
    part.layout->build(blocks, style_, options);
    part.laid = true;
    work_.read += part.end - part.begin;
    work_.placed += part.layout->pieces();
    std::erase(uncoloured_, index);
    if (before) {
        part.lexer = std::move(lexer);
        part.lexed = true;
    } else {
        uncoloured_.push_back(index);
    }
}

// Long code that is opened at its end is shown at once; its colours follow when what is above it
// has been read.
void TextView::colour_waiting() {
    while (!uncoloured_.empty() && !(lexed_some_ && late())) {
        const size_t index = uncoloured_.front();
        if (index >= parts_.size() || !parts_[index].laid) {
            uncoloured_.erase(uncoloured_.begin());
        } else if (lexer_before(index)) {
            lay_out(index);  // as high as before: code does not wrap
        }
    }
}

TextLayout& TextView::layout_of(size_t index) {
    if (!parts_[index].laid) {
        ensure_place(parts_[index].begin);
    }
    return *parts_[index].layout;
}

bool TextView::ensure(float top, float bottom) {
    bool changed = false;
    // As a part is laid out its height settles, and others come into sight.
    for (size_t i = parts_.empty() ? 0 : part_at(top); i < parts_.size() && parts_[i].y <= bottom;
         i++) {
        if (parts_[i].laid) {
            continue;
        }
        if (laid_some_ && late()) {
            parts_waiting_ = true;
            break;
        }
        laid_some_ = true;
        lay_out(i);
        if (const float height = parts_[i].layout->height(); height != parts_[i].height) {
            parts_[i].height = height;
            changed = true;
            place();
        }
    }
    return changed;
}

bool TextView::ensure_place(size_t source) {
    if (parts_.empty()) {
        return false;
    }
    const size_t index = part_of(source);
    if (!parts_[index].laid) {
        lay_out(index);
        parts_[index].height = parts_[index].layout->height();
        place();
        return true;
    }
    return false;
}

TextEvent TextView::draw(ImDrawList* list,
                         ImVec2 origin,
                         float clip_top,
                         float clip_bottom,
                         bool hovered,
                         const TextMarks& marks) {
    TextEvent event;
    for (size_t i = parts_.empty() ? 0 : part_at(clip_top - origin.y); i < parts_.size(); i++) {
        Part& part = parts_[i];
        const float top = origin.y + part.y;
        if (top > clip_bottom) {
            break;
        }
        if (!part.laid) {
            continue;
        }
        TextMarks here = marks;
        const auto first =
            std::partition_point(marks.found.begin(), marks.found.end(),
                                 [&](const SourceRange& range) { return range.end <= part.begin; });
        auto last = first;
        while (last != marks.found.end() && last->begin < part.end) {
            ++last;
        }
        here.found = marks.found.subspan(static_cast<size_t>(first - marks.found.begin()),
                                         static_cast<size_t>(last - first));
        const bool selected = marks.selected.begin < part.end && marks.selected.end > part.begin;
        here.selected = selected ? marks.selected : SourceRange();
        TextEvent done = part.layout->draw(
            {list, {origin.x, top}, clip_top, clip_bottom, hovered, copied_until_, copied_card_},
            here);
        if (done.kind == TextEvent::Kind::copy_code) {
            // The rest of it may be in the parts that follow.
            for (size_t k = i + 1; k < parts_.size() && parts_[k].in_fence; k++) {
                const bool continues = k + 1 < parts_.size() && parts_[k + 1].in_fence;
                const auto blocks = blocks_of_part(text_, parts_[k].begin, parts_[k].end,
                                                   cutter_.parts()[k], continues, {});
                done.text += "\n" + blocks.front().rich.text;
            }
            copied_card_ = done.card;
            copied_until_ = ImGui::GetTime() + 1.5;
        }
        if (done.kind != TextEvent::Kind::none || done.hovers) {
            event = std::move(done);
        }
    }
    return event;
}

ImVec2 TextView::end() const {
    if (parts_.empty() || !parts_.back().laid) {
        return {0, height_};
    }
    const ImVec2 end = parts_.back().layout->end();
    return {end.x, end.y + parts_.back().y};
}

float TextView::end_line_height() const {
    return parts_.empty() || !parts_.back().laid ? 0 : parts_.back().layout->end_line_height();
}

size_t TextView::source_at(ImVec2 point) {
    if (parts_.empty()) {
        return 0;
    }
    const size_t index = part_at(point.y);
    TextLayout& layout = layout_of(index);
    const size_t place = layout.source_at({point.x, point.y - parts_[index].y});
    return std::clamp(place, parts_[index].begin, parts_[index].end);
}

size_t TextView::line_source(float y) {
    if (parts_.empty()) {
        return 0;
    }
    const size_t index = part_at(y);
    return parts_[index].laid ? layout_of(index).line_source(y - parts_[index].y)
                              : parts_[index].begin;
}

float TextView::y_of(size_t source) {
    if (parts_.empty()) {
        return 0;
    }
    const size_t index = part_of(source);
    return parts_[index].laid ? parts_[index].y + parts_[index].layout->y_of(source)
                              : parts_[index].y;
}

ImVec2 TextView::caret(size_t source, float& line_height) {
    if (parts_.empty()) {
        return {0, 0};
    }
    // A place between two parts is the end of the first.
    const size_t index = part_of(source > 0 ? source - 1 : 0);
    const ImVec2 at = layout_of(index).caret(source, line_height);
    return {at.x, at.y + parts_[index].y};
}

SourceRange TextView::word_at(size_t source) {
    return parts_.empty() ? SourceRange{} : layout_of(part_of(source)).word_at(source);
}

SourceRange TextView::block_at(size_t source) {
    return parts_.empty() ? SourceRange{} : layout_of(part_of(source)).block_at(source);
}

size_t TextView::step(size_t source, bool forward, bool word) {
    if (parts_.empty()) {
        return source;
    }
    const size_t index = part_of(forward || source == 0 ? source : source - 1);
    const size_t to = layout_of(index).step(source, forward, word);
    if (to != source) {
        return to;
    }
    // The end of a part: the next one begins behind the gap.
    return forward && index + 1 < parts_.size() ? parts_[index + 1].begin
           : !forward && index > 0              ? parts_[index].begin - 1
                                                : source;
}

size_t TextView::laid_out() const {
    return static_cast<size_t>(
        std::count_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.laid; }));
}

}  // namespace app::window
