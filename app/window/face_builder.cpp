#include "app/window/face_builder.h"

#include <utility>

#include "app/window/compat.h"

namespace app::window {

// Faces and the atlas they are in.
struct FaceBuilder::Made {
    OwnAtlas atlas;
    Fonts fonts;
};

void FaceBuilder::ask(float scale, const FontChoice& choice) {
    if (!worker_) {
        worker_ = std::make_unique<Worker>(wake_);
    }
    *wanted_ = ++asked_for_;
    worker_->add([this, wanted = wanted_, serial = asked_for_, scale, choice]() -> Worker::Done {
        if (*wanted != serial) {
            return nullptr;
        }
        auto made = std::make_shared<Made>();
        fill_atlas(*made->atlas, made->fonts, scale, choice);
        return [this, serial, made] {
            made_ = made;
            made_for_ = serial;
        };
    });
}

bool FaceBuilder::take(Fonts& fonts) {
    if (!worker_ || !busy() || !worker_->deliver() || busy()) {
        return false;
    }
    const auto made = std::exchange(made_, nullptr);
    const uint64_t generation = fonts.generation + 1;
    fonts = made->fonts;
    fonts.generation = generation;
    made->atlas.use();
    ImGui::GetIO().FontDefault = fonts.body;
    return true;
}

}  // namespace app::window
