// LaTeX formulas -> one readable line of text: Greek letters, operators, raised and lowered digits,
// fractions with a slash. No typesetting: what is not known stays as it was written. Stateless.
#pragma once

#include <string>
#include <string_view>

namespace app::window {

std::string latex_to_text(std::string_view formula);

}  // namespace app::window
