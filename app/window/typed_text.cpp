#include "app/window/typed_text.h"

#include <vector>

#include <imgui.h>

#include "app/window/utf8.h"

namespace app::window {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;
std::vector<uint32_t> beyond;  // what ImGui's queue has a replacement for, in order

}  // namespace

void note_typed(uint32_t character) {
    if (sizeof(ImWchar) == 2 && (character > 0xFFFF || character == kReplacement)) {
        beyond.push_back(character);
    }
}

std::string take_typed() {
    ImGuiIO& io = ImGui::GetIO();
    std::string typed;
    size_t next = 0;
    for (const ImWchar each : io.InputQueueCharacters) {
        uint32_t c = each;
        if (c == kReplacement && next < beyond.size()) {
            c = beyond[next++];
        }
        if (c >= 32 && c != 127) {
            append_utf8(typed, c);
        }
    }
    io.InputQueueCharacters.resize(0);
    beyond.clear();
    return typed;
}

void forget_typed() {
    beyond.clear();
}

}  // namespace app::window
