#include "assets/embed.h"

// The assembler copies the files into read-only data: no generated source, no second copy in the
// build folder. ASSETS_DIR comes from CMake; the object depends on the files there.
#define ASSETS_EMBED(symbol, file)                                                   \
    asm(".pushsection .rodata, \"a\"\n"                                              \
        ".balign 16\n"                                                               \
        ".global " #symbol "_begin\n" #symbol                                        \
        "_begin:\n"                                                                  \
        ".incbin \"" ASSETS_DIR "/" file                                             \
        "\"\n"                                                                       \
        ".global " #symbol "_end\n" #symbol                                          \
        "_end:\n"                                                                    \
        ".byte 0\n"                                                                  \
        ".popsection\n");                                                            \
    extern "C" const char symbol##_begin[];                                          \
    extern "C" const char symbol##_end[];                                            \
    static std::string_view symbol##_view() {                                        \
        return {symbol##_begin, static_cast<size_t>(symbol##_end - symbol##_begin)}; \
    }

ASSETS_EMBED(keyhole_inter_regular, "fonts/Inter-Regular.ttf")
ASSETS_EMBED(keyhole_inter_semibold, "fonts/Inter-SemiBold.ttf")
ASSETS_EMBED(keyhole_inter_italic, "fonts/Inter-Italic.ttf")
ASSETS_EMBED(keyhole_jetbrains_mono, "fonts/JetBrainsMono-Regular.ttf")

namespace assets {

std::string_view inter_regular() {
    return keyhole_inter_regular_view();
}
std::string_view inter_semibold() {
    return keyhole_inter_semibold_view();
}
std::string_view inter_italic() {
    return keyhole_inter_italic_view();
}
std::string_view jetbrains_mono() {
    return keyhole_jetbrains_mono_view();
}

}  // namespace assets
