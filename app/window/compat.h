// What differs between the ImGui versions we build with (1.86 in Debian 12, 1.90 in Debian 13), in
// one place.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include <imgui.h>

namespace app::window {

#if IMGUI_VERSION_NUM < 18700
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeyPadEnter;
#else
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeypadEnter;
#endif

inline bool key_pressed(ImGuiKey key, bool repeat = true) {
#if IMGUI_VERSION_NUM < 18700
    return ImGui::IsKeyPressed(ImGui::GetKeyIndex(key), repeat);
#else
    return ImGui::IsKeyPressed(key, repeat);
#endif
}

// A key that went down since the last frame, by the window system's number.
struct KeyPress {
    int key = 0;
    bool ctrl = false, shift = false;
};

// 1.86 looks at keys once a frame: one that went down and up again between two frames would be
// lost. This holds it down for the frame, with the modifiers it came with. Later versions queue
// their input.
class HeldKeys {
public:
#if IMGUI_VERSION_NUM < 18700
    explicit HeldKeys(const std::vector<KeyPress>& presses)
        : ctrl_(ImGui::GetIO().KeyCtrl), shift_(ImGui::GetIO().KeyShift) {
        ImGuiIO& io = ImGui::GetIO();
        for (const KeyPress& press : presses) {
            const auto key = static_cast<size_t>(press.key);
            if (key < std::size(io.KeysDown) && !io.KeysDown[key]) {
                io.KeysDown[key] = true;
                held_.push_back(key);
                io.KeyCtrl = io.KeyCtrl || press.ctrl;
                io.KeyShift = io.KeyShift || press.shift;
            }
        }
    }
    ~HeldKeys() {
        ImGuiIO& io = ImGui::GetIO();
        for (const size_t key : held_) {
            io.KeysDown[key] = false;
        }
        io.KeyCtrl = ctrl_;
        io.KeyShift = shift_;
    }

private:
    std::vector<size_t> held_;
    bool ctrl_, shift_;
#else
    explicit HeldKeys(const std::vector<KeyPress>&) {}
    ~HeldKeys() {}
#endif
    HeldKeys(const HeldKeys&) = delete;
    HeldKeys& operator=(const HeldKeys&) = delete;
};

// 1, 2 or 3 for a click in this frame that follows others at the same place.
inline int click_count(ImGuiMouseButton button) {
#if IMGUI_VERSION_NUM < 18700
    // 1.86 knows double clicks; a third one within the double click's time makes three.
    static double last_double = -1;
    const ImGuiIO& io = ImGui::GetIO();
    const double now = ImGui::GetTime();
    if (ImGui::IsMouseDoubleClicked(button)) {
        last_double = now;
        return 2;
    }
    const bool third = last_double >= 0 && now - last_double < io.MouseDoubleClickTime;
    last_double = -1;
    return third ? 3 : 1;
#else
    return ImGui::GetMouseClickedCount(button);
#endif
}

// Synthetic input for tests without a window.
inline void feed_mouse_position(ImGuiIO& io, ImVec2 position) {
#if IMGUI_VERSION_NUM < 18700
    io.MousePos = position;
#else
    io.AddMousePosEvent(position.x, position.y);
#endif
}
inline void feed_mouse_button(ImGuiIO& io, bool down, int button = 0) {
#if IMGUI_VERSION_NUM < 18700
    io.MouseDown[button] = down;
#else
    io.AddMouseButtonEvent(button, down);
#endif
}
// Before the first feed_key(): 1.86 looks keys up in a table that a window's back end fills.
inline void prepare_test_keys([[maybe_unused]] ImGuiIO& io) {
#if IMGUI_VERSION_NUM < 18700
    for (int key = 0; key < ImGuiKey_COUNT; key++) {
        io.KeyMap[key] = key;
    }
#endif
}
inline void feed_key(ImGuiIO& io, ImGuiKey key, bool down) {
#if IMGUI_VERSION_NUM < 18700
    io.KeysDown[key] = down;
#else
    io.AddKeyEvent(key, down);
#endif
}
// Sets those that are named; leaves the others.
inline void feed_modifiers(ImGuiIO& io, bool ctrl, bool shift, bool alt, bool down) {
#if IMGUI_VERSION_NUM < 18700
    io.KeyCtrl = ctrl ? down : io.KeyCtrl;
    io.KeyShift = shift ? down : io.KeyShift;
    io.KeyAlt = alt ? down : io.KeyAlt;
#else
    if (ctrl) {
        io.AddKeyEvent(ImGuiMod_Ctrl, down);
    }
    if (shift) {
        io.AddKeyEvent(ImGuiMod_Shift, down);
    }
    if (alt) {
        io.AddKeyEvent(ImGuiMod_Alt, down);
    }
#endif
}
// As feed_modifiers, for code that asks ImGuiIO before the next frame begins.
inline void hold_modifiers(ImGuiIO& io, bool ctrl, bool shift, bool down) {
    io.KeyCtrl = ctrl ? down : io.KeyCtrl;
    io.KeyShift = shift ? down : io.KeyShift;
    feed_modifiers(io, ctrl, shift, false, down);
}
inline void set_clipboard_functions(void* self,
                                    void (*set)(void*, const char*),
                                    const char* (*get)(void*)) {
    ImGuiIO& io = ImGui::GetIO();
    io.ClipboardUserData = self;
    io.SetClipboardTextFn = set;
    io.GetClipboardTextFn = get;
}

inline void feed_mouse_wheel(ImGuiIO& io, float steps) {
#if IMGUI_VERSION_NUM < 18700
    io.MouseWheel = steps;
#else
    io.AddMouseWheelEvent(0, steps);
#endif
}

// A face at the size it was made for: height of a line, distance from its top to the baseline,
// width of a character, and whether it has one.
#if IMGUI_VERSION_NUM < 19200
inline float font_size(const ImFont* font) {
    return font->FontSize;
}
inline float font_ascent(const ImFont* font) {
    return font->Ascent;
}
inline float glyph_advance(const ImFont* font, uint32_t c) {
    return c < static_cast<uint32_t>(font->IndexAdvanceX.Size)
               ? font->IndexAdvanceX.Data[static_cast<int>(c)]
               : font->FallbackAdvanceX;
}
inline bool font_holds(const ImFont* font, uint32_t c) {
    return c <= 0xFFFF && font->FindGlyphNoFallback(static_cast<ImWchar>(c)) != nullptr;
}
#else
inline float font_size(const ImFont* font) {
    return font->LegacySize;
}
inline float font_ascent(const ImFont* font) {
    return const_cast<ImFont*>(font)->GetFontBaked(font->LegacySize)->Ascent;
}
inline float glyph_advance(const ImFont* font, uint32_t c) {
    return const_cast<ImFont*>(font)
        ->GetFontBaked(font->LegacySize)
        ->GetCharAdvance(static_cast<ImWchar>(c));
}
inline bool font_holds(const ImFont* font, uint32_t c) {
    return (sizeof(ImWchar) > 2 || c <= 0xFFFF) &&
           const_cast<ImFont*>(font)->IsGlyphInFont(static_cast<ImWchar>(c));
}
#endif

// An atlas that is filled before it is shown. ImGui counts its allocations, in every thread, in the
// context that draws, where only its own debug window reads the count: nothing else is shared.
class OwnAtlas {
public:
    OwnAtlas() : atlas_(IM_NEW(ImFontAtlas)()) {}
    ~OwnAtlas() { IM_DELETE(atlas_); }
    OwnAtlas(const OwnAtlas&) = delete;
    OwnAtlas& operator=(const OwnAtlas&) = delete;
    ImFontAtlas& operator*() const { return *atlas_; }

    // Between two frames: takes the place of the one that ImGui draws with, and is deleted with its
    // context.
    void use() { std::swap(ImGui::GetIO().Fonts, atlas_); }

private:
    ImFontAtlas* atlas_;
};

// A texture of our own as ImGui wants to see it: a pointer, later a number, later a reference.
inline ImTextureID texture_id(uint64_t texture) {
#if IMGUI_VERSION_NUM < 19140
    return reinterpret_cast<ImTextureID>(static_cast<uintptr_t>(texture));
#else
    return static_cast<ImTextureID>(texture);
#endif
}
inline uint64_t texture_number(ImTextureID texture) {
#if IMGUI_VERSION_NUM < 19140
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(texture));
#else
    return static_cast<uint64_t>(texture);
#endif
}
// Whether textures are to be filled before the frame can be drawn: later versions draw characters
// into the atlas when they are first seen, and their back end brings it to the GPU.
inline bool fills_textures([[maybe_unused]] const ImDrawData& frame) {
#if IMGUI_VERSION_NUM < 19200
    return false;
#else
    return frame.Textures && std::any_of(frame.Textures->begin(), frame.Textures->end(),
                                         [](const ImTextureData* each) {
                                             return each->Status != ImTextureStatus_OK;
                                         });
#endif
}
inline void push_texture(ImDrawList* list, uint64_t texture) {
#if IMGUI_VERSION_NUM < 19200
    list->PushTextureID(texture_id(texture));
#else
    list->PushTexture(ImTextureRef(texture_id(texture)));
#endif
}
inline void pop_texture(ImDrawList* list) {
#if IMGUI_VERSION_NUM < 19200
    list->PopTextureID();
#else
    list->PopTexture();
#endif
}

// Whether the program's fonts can hold characters beyond the Basic Multilingual Plane.
inline constexpr bool kWideCharacters = sizeof(ImWchar) > 2;

}  // namespace app::window
