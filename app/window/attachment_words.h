// What is said of attached things in a few words, wherever they are shown. Pure.
#pragma once

#include <string>

#include "app/window/app_state.h"

namespace app::window {

// "12 files · 3,456 tokens"; of a folder that is known by names alone: "3 names · 40 tokens".
std::string attachment_words(const Attachment& attachment);
// Of a folder that is being read: "reading", "reading · 120 of 498 files".
std::string reading_words(const PackingView& packing);

}  // namespace app::window
