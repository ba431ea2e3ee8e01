#include "tests/app/stage.h"

#include "app/window/compat.h"

using namespace app::window;

Stage::Stage(float scale, ImVec2 size) {
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DeltaTime = 1.0F / 60;
    io.DisplaySize = size;
    prepare_test_keys(io);
    set_clipboard_functions(
        this, [](void* self, const char* text) { static_cast<Stage*>(self)->clipboard = text; },
        [](void* self) { return static_cast<Stage*>(self)->clipboard.c_str(); });
    build_fonts(fonts, scale);
    apply_style(scale);
}

Stage::~Stage() {
    ImGui::DestroyContext();
}

void Stage::frame() {
    ImGui::NewFrame();
    if (draw) {
        draw();
    }
    ImGui::Render();
}

void Stage::frames(int count) {
    for (int i = 0; i < count; i++) {
        frame();
    }
}

void Stage::move(ImVec2 to) {
    feed_mouse_position(ImGui::GetIO(), to);
    frame();
}

void Stage::press_mouse(int button) {
    feed_mouse_button(ImGui::GetIO(), true, button);
    frame();
}

void Stage::release_mouse(int button) {
    feed_mouse_button(ImGui::GetIO(), false, button);
    frame();
}

void Stage::click(ImVec2 at, int button) {
    move(at);
    frame();
    press_mouse(button);
    release_mouse(button);
    frame();
    move({-1000, -1000});
}

void Stage::double_click(ImVec2 at) {
    move(at);
    frame();
    for (int i = 0; i < 2; i++) {
        press_mouse();
        release_mouse();
    }
    frame();
    move({-1000, -1000});
}

void Stage::drag(ImVec2 from, ImVec2 to, int steps) {
    move(from);
    frame();
    press_mouse();
    for (int i = 1; i <= steps; i++) {
        const float part = static_cast<float>(i) / static_cast<float>(steps);
        move({from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part});
    }
    release_mouse();
    frame();
}

void Stage::wheel(float lines) {
    feed_mouse_wheel(ImGui::GetIO(), lines);
    frame();
}

void Stage::hold(int modifiers, bool down) {
    feed_modifiers(ImGui::GetIO(), (modifiers & kCtrl) != 0, (modifiers & kShift) != 0,
                   (modifiers & kAlt) != 0, down);
}

void Stage::key(ImGuiKey key, int modifiers) {
    hold(modifiers, true);
    feed_key(ImGui::GetIO(), key, true);
    frame();
    feed_key(ImGui::GetIO(), key, false);
    hold(modifiers, false);
    frame();
}

void Stage::type(const std::string& text) {
    ImGui::GetIO().AddInputCharactersUTF8(text.c_str());
    frame();
}

Picture Stage::picture(ImU32 ground) {
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    ImFontAtlas& atlas = *ImGui::GetIO().Fonts;
    atlas.GetTexDataAsRGBA32(&pixels, &width, &height);
    textures[atlas.TexID] = {width, height, reinterpret_cast<const uint32_t*>(pixels)};
    return rasterise(*ImGui::GetDrawData(), ground, textures);
}
