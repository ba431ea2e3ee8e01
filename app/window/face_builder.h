// FaceBuilder: the faces at another scale or of other families, made by a worker while the window
// goes on with those it has; put in their place between two frames. Main thread, but for the worker
// inside.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <imgui.h>

#include "app/window/theme.h"
#include "app/window/worker.h"

namespace app::window {

class FaceBuilder {
public:
    // `wake`: called by the worker when faces are ready.
    explicit FaceBuilder(std::function<void()> wake) : wake_(std::move(wake)) {}

    // What was asked for before and is not there yet is not made any more.
    void ask(float scale, const FontChoice& choice);
    bool busy() const { return made_for_ != asked_for_; }
    // Between two frames: takes the faces that were asked for, if they are ready. True: `fonts` and
    // ImGui's atlas are new, the atlas has its pixels, and the caller makes the texture.
    bool take(Fonts& fonts);

private:
    struct Made;

    std::function<void()> wake_;
    std::shared_ptr<Made> made_;
    uint64_t asked_for_ = 0, made_for_ = 0;
    std::shared_ptr<std::atomic<uint64_t>> wanted_ = std::make_shared<std::atomic<uint64_t>>(0);
    std::unique_ptr<Worker> worker_;  // from the first wish on
};

}  // namespace app::window
