// Stage: an ImGui context without a window, for tests of views. Feeds mouse, wheel, keys and text
// as a window system would, runs frames, and draws one into a Picture where pixels are wanted.
// Works with every ImGui we build with.
//   Stage stage;                          // 1440 x 900 at scale 1
//   stage.draw = [&] { ... };             // what a frame consists of
//   stage.click({120, 70});
//   stage.key(ImGuiKey_A, Stage::kCtrl);
//   Picture picture = stage.picture(ground);
#pragma once

#include <functional>
#include <string>

#include <imgui.h>

#include "app/window/theme.h"
#include "tests/app/picture.h"

class Stage {
public:
    static constexpr int kCtrl = 1, kShift = 2, kAlt = 4;

    explicit Stage(float scale = 1, ImVec2 size = {1440, 900});
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    void frame();
    void frames(int count);

    void move(ImVec2 to);
    void press_mouse(int button = 0);
    void release_mouse(int button = 0);
    void click(ImVec2 at, int button = 0);  // the mouse is gone afterwards
    void double_click(ImVec2 at);
    void drag(ImVec2 from, ImVec2 to, int steps = 8);
    void wheel(float lines);
    void key(ImGuiKey key, int modifiers = 0);  // down and up again
    void hold(int modifiers, bool down);        // modifiers that stay down over several calls
    void type(const std::string& text);

    // The last frame, drawn on `ground`.
    Picture picture(ImU32 ground);

    std::function<void()> draw;
    app::window::Fonts fonts;
    RasterTextures textures;  // add what a view draws beside the atlas
    std::string clipboard;
};
