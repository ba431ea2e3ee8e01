// Where frames differ: found where it is and not elsewhere, and what is drawn there alone gives the
// picture that all of the frame does.
#include "app/window/damage.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "app/window/compat.h"
#include "tests/app/picture.h"
#include "tests/app/repaint.h"
#include "tests/app/stage.h"
#include "tests/support/catch.h"

using namespace app::window;

namespace {

constexpr ImU32 kGround = IM_COL32(20, 24, 30, 255), kInk = IM_COL32(220, 220, 210, 255);
constexpr int kWidth = 640, kHeight = 400;

using Draw = std::function<void(ImDrawList&)>;

// A stage on which nothing but `draw` is seen, with two textures beside the atlas.
class Canvas {
public:
    Canvas() : stage(1, {kWidth, kHeight}) {
        for (size_t i = 0; i < 2; i++) {
            std::mt19937 dice(static_cast<unsigned>(i) + 1);
            pixels[i].resize(64 * 64);
            for (uint32_t& pixel : pixels[i]) {
                pixel = dice();
            }
            stage.textures[texture_id(1000 + i)] = {64, 64, pixels[i].data()};
        }
    }

    // Draws the next frame, and redraws where it differs: there the picture must become that of all
    // of the frame. The result is what was redrawn.
    std::vector<PixelRect> next(const Draw& draw, ImU32 ground = kGround) {
        stage.draw = [&] { draw(*ImGui::GetBackgroundDrawList()); };
        stage.frame();
        const Picture whole = stage.picture(ground);
        std::vector<PixelRect> rects = repaint.draw(*ImGui::GetDrawData(), ground, stage.textures);
        const PictureDifference difference = compare(repaint.picture, whole, 0);
        CAPTURE(difference.first_x, difference.first_y, difference.worst);
        CHECK(difference.same_size);
        CHECK(difference.share == 0);
        CHECK(rects.size() <= Damage::kMaxRects);
        for (size_t i = 0; i < rects.size(); i++) {
            CHECK_FALSE(rects[i].empty());
            CHECK(common_part(rects[i], kWindow) == rects[i]);
            for (size_t j = 0; j < i; j++) {
                CHECK(common_part(rects[i], rects[j]).empty());
            }
        }
        return rects;
    }

    static constexpr PixelRect kWindow{0, 0, kWidth, kHeight};
    Stage stage;
    Repaint repaint;
    std::vector<uint32_t> pixels[2];
};

bool touches(const std::vector<PixelRect>& rects, const PixelRect& where) {
    return std::any_of(rects.begin(), rects.end(),
                       [&](const PixelRect& rect) { return !common_part(rect, where).empty(); });
}

// Whether all that was redrawn is within `where` and the tiles that it touches.
bool within(const std::vector<PixelRect>& rects, const PixelRect& where) {
    constexpr int kTile = Damage::kTile;
    const PixelRect tiles{where.x0 / kTile * kTile, where.y0 / kTile * kTile,
                          (where.x1 + kTile - 1) / kTile * kTile,
                          (where.y1 + kTile - 1) / kTile * kTile};
    return std::all_of(rects.begin(), rects.end(),
                       [&](const PixelRect& rect) { return common_part(rect, tiles) == rect; });
}

void write(ImDrawList& list, ImVec2 at, const std::string& text) {
    list.AddText(at, kInk, text.c_str());
}

void show_image(ImDrawList& list, uint64_t texture, ImVec2 from, ImVec2 to) {
    push_texture(&list, texture);
    list.PrimReserve(6, 4);
    list.PrimRectUV(from, to, {0, 0}, {1, 1}, IM_COL32_WHITE);
    pop_texture(&list);
}

}  // namespace

TEST_CASE("the first frame is damage everywhere, an equal one nowhere") {
    Canvas canvas;
    const Draw draw = [](ImDrawList& list) {
        list.AddRectFilled({40, 40}, {300, 200}, IM_COL32(60, 70, 80, 255), 8);
        write(list, {60, 60}, "the same words");
    };
    CHECK(canvas.next(draw) == std::vector{Canvas::kWindow});
    CHECK(canvas.next(draw).empty());
    CHECK(canvas.next(draw).empty());
}

TEST_CASE("another character is damage where it stands, and not far from there") {
    Canvas canvas;
    std::string text(60, 'a');
    const Draw draw = [&](ImDrawList& list) { write(list, {20, 100}, text); };
    canvas.next(draw);
    const float width = ImGui::CalcTextSize("a").x, height = ImGui::GetFontSize();
    text[30] = 'b';
    const int x = static_cast<int>(20 + 30 * width);
    const auto rects = canvas.next(draw);
    // The characters after it may stand elsewhere: it is as wide as others only by chance.
    CHECK(touches(rects, {x, 100, x + 2, 100 + static_cast<int>(height)}));
    CHECK(within(rects, {x, 100, kWidth, 100 + static_cast<int>(height)}));
    // Words that follow are damage behind the words that stand.
    text += " and more";
    CHECK(within(canvas.next(draw),
                 {static_cast<int>(20 + 59 * width), 100, kWidth, 100 + static_cast<int>(height)}));
}

TEST_CASE("scrolled text is damage within what cuts it off") {
    Canvas canvas;
    float scroll = 0;
    const Draw draw = [&](ImDrawList& list) {
        write(list, {400, 20}, "beside it");
        list.PushClipRect({64, 64}, {320, 256});
        for (int i = 0; i < 30; i++) {
            write(list, {70, 40 + static_cast<float>(i) * 20 - scroll},
                  "line " + std::to_string(i * 7919) + " of thirty");
        }
        list.PopClipRect();
    };
    canvas.next(draw);
    for (const float to : {3.0F, 20.0F, 133.0F, 0.0F}) {
        scroll = to;
        const auto rects = canvas.next(draw);
        CHECK(touches(rects, {70, 64, 150, 256}));
        CHECK(within(rects, {64, 64, 320, 256}));
    }
}

TEST_CASE("what is cut off elsewhere is damage where the cut was and is") {
    Canvas canvas;
    float bottom = 350;
    const Draw draw = [&](ImDrawList& list) {
        list.PushClipRect({0, 0}, {640, bottom});
        list.AddRectFilled({32, 32}, {600, 390}, IM_COL32(60, 70, 80, 255));
        write(list, {40, 40}, "far from the cut");
        list.PopClipRect();
    };
    canvas.next(draw);
    bottom = 300;
    CHECK(within(canvas.next(draw), {32, 300, 600, 350}));
    // A part of a pixel that the cut does not leave is none.
    bottom = 300.25F;
    CHECK(within(canvas.next(draw), {32, 290, 600, 301}));
}

TEST_CASE("two things that change places are damage where they overlap") {
    Canvas canvas;
    bool turned = false;
    const Draw draw = [&](ImDrawList& list) {
        const auto red = [&] {
            list.AddRectFilled({64, 64}, {256, 256}, IM_COL32(200, 0, 0, 255));
        };
        const auto blue = [&] {
            list.AddRectFilled({192, 192}, {384, 384}, IM_COL32(0, 0, 200, 255));
        };
        if (turned) {
            blue();
            red();
        } else {
            red();
            blue();
        }
    };
    canvas.next(draw);
    turned = true;
    const auto rects = canvas.next(draw);
    CHECK(touches(rects, {200, 200, 201, 201}));
    CHECK(within(rects, {192, 192, 256, 256}));
}

TEST_CASE("a texture with other pixels is damage where it is drawn") {
    Canvas canvas;
    const Draw draw = [](ImDrawList& list) {
        show_image(list, 1000, {32, 32}, {96, 96});
        show_image(list, 1001, {320, 32}, {384, 96});
    };
    canvas.next(draw);
    canvas.pixels[1][77] = 0xFF0000FF;
    canvas.repaint.damage.texture_changed(texture_id(1001));
    const auto rects = canvas.next(draw);
    CHECK(touches(rects, {320, 32, 384, 96}));
    CHECK(within(rects, {320, 32, 384, 96}));
    // Another one at the same place.
    CHECK(within(canvas.next([](ImDrawList& list) {
        show_image(list, 1001, {32, 32}, {96, 96});
        show_image(list, 1001, {320, 32}, {384, 96});
    }),
                 {32, 32, 96, 96}));
}

TEST_CASE("another ground, another size and a lost picture are damage everywhere") {
    Canvas canvas;
    const Draw draw = [](ImDrawList& list) { write(list, {20, 20}, "words"); };
    canvas.next(draw);
    CHECK(canvas.next(draw, kInk) == std::vector{Canvas::kWindow});
    CHECK(canvas.next(draw, kInk).empty());
    canvas.repaint.damage.forget();
    CHECK(canvas.next(draw, kInk) == std::vector{Canvas::kWindow});
    ImGui::GetIO().DisplaySize = {500, 300};
    CHECK(canvas.next(draw, kInk) == std::vector{PixelRect{0, 0, 500, 300}});
    CHECK(canvas.next(draw, kInk).empty());
}

TEST_CASE("places far from each other are redrawn without what is between them") {
    Canvas canvas;
    int step = 0;
    const Draw draw = [&](ImDrawList& list) {
        list.AddRectFilled({0, 0}, {640, 400}, IM_COL32(60, 70, 80, 255));
        write(list, {10, 10}, std::to_string(step));
        write(list, {600, 380}, std::to_string(step));
    };
    canvas.next(draw);
    step = 1;
    const auto rects = canvas.next(draw);
    CHECK(rects.size() == 2);
    CHECK_FALSE(touches(rects, {64, 64, 570, 350}));
}

TEST_CASE("a coordinate beyond all numbers stays within the window") {
    Canvas canvas;
    const float huge = 1e30F, none = std::numeric_limits<float>::quiet_NaN();
    for (const float at : {huge, -huge, none}) {
        const Draw draw = [&](ImDrawList& list) {
            list.AddTriangleFilled({10, 10}, {at, 50}, {60, at}, kInk);
        };
        canvas.stage.draw = [&] { draw(*ImGui::GetBackgroundDrawList()); };
        canvas.stage.frame();
        for (const PixelRect& rect : canvas.repaint.damage.find(*ImGui::GetDrawData(), kGround)) {
            CHECK(common_part(rect, Canvas::kWindow) == rect);
        }
    }
}

TEST_CASE("random frames: where they differ is enough to redraw, and equal ones have no damage") {
    Canvas canvas;
    std::mt19937 dice(1);
    const auto number = [&](float low, float high) {
        return std::uniform_real_distribution<float>(low, high)(dice);
    };
    const auto chance = [&](int of) { return dice() % static_cast<unsigned>(of) == 0; };
    struct Thing {
        int kind;
        ImVec2 at, size;
        ImU32 colour;
        ImVec4 clip;
    };
    const auto thing = [&] {
        Thing made{static_cast<int>(dice() % 6),
                   {number(-50, kWidth), number(-50, kHeight)},
                   {number(1, 150), number(1, 100)},
                   static_cast<ImU32>(dice()) | (chance(2) ? 0xFF000000U : 0U),
                   {0, 0, kWidth, kHeight}};
        if (chance(2)) {  // whole pixels, as the views have them
            made.at = {std::floor(made.at.x), std::floor(made.at.y)};
        }
        if (chance(3)) {
            made.clip = {number(-20, 400), number(-20, 300), number(100, 700), number(50, 450)};
        }
        return made;
    };
    std::vector<Thing> things;
    const Draw draw = [&](ImDrawList& list) {
        for (const Thing& each : things) {
            const ImVec2 end{each.at.x + each.size.x, each.at.y + each.size.y};
            list.PushClipRect({each.clip.x, each.clip.y}, {each.clip.z, each.clip.w});
            switch (each.kind) {
                case 0:
                    list.AddRectFilled(each.at, end, each.colour);
                    break;
                case 1:
                    list.AddRectFilled(each.at, end, each.colour, 9);
                    break;
                case 2:
                    list.AddLine(each.at, end, each.colour, 1.5F);
                    break;
                case 3:
                    list.AddText(each.at, each.colour, "words, 123");
                    break;
                case 4:
                    list.AddCircle(each.at, each.size.x / 3, each.colour);
                    break;
                default:
                    show_image(list, 1000 + each.colour % 2, each.at, end);
            }
            list.PopClipRect();
        }
    };
    int without = 0;
    for (int round = 0; round < 150; round++) {
        CAPTURE(round);
        if (round % 10 == 0) {
            things.clear();
            for (int i = 0; i < 30; i++) {
                things.push_back(thing());
            }
        }
        for (int changes = static_cast<int>(dice() % 4); changes > 0 && !things.empty();
             changes--) {
            Thing& one = things[dice() % things.size()];
            switch (dice() % 5) {
                case 0:
                    one = thing();
                    break;
                case 1:
                    one.at.x += number(-2, 2);
                    break;
                case 2:
                    one.colour ^= 1U << dice() % 32;
                    break;
                case 3:
                    std::swap(one, things[dice() % things.size()]);
                    break;
                default:
                    things.erase(things.begin() +
                                 static_cast<std::ptrdiff_t>(dice() % things.size()));
            }
        }
        const Picture before = canvas.repaint.picture;
        const auto rects = canvas.next(draw);
        without += rects.empty() ? 1 : 0;
        if (before.pixels != canvas.repaint.picture.pixels) {
            CHECK_FALSE(rects.empty());
        }
        CHECK(canvas.next(draw).empty());
    }
    CHECK(without >= 10);  // as often as nothing was changed, or nearly
}
