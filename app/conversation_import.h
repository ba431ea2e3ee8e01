// Conversations from JSON files: our own export, the archive of ChatGPT (conversations.json), and
// the files of LM Studio, llama.cpp's page and others that hold OpenAI messages. Nothing is fetched
// and nothing is run; what is not understood is counted and said. Any thread.
#pragma once

#include <string>
#include <vector>

#include "app/conversation_export.h"

namespace app {

struct ImportedFile {
    std::vector<ExportedTree> trees;
    size_t skipped = 0;   // conversations that hold no message
    std::string problem;  // not empty: the file is none that can be read
};

ImportedFile read_conversations(const std::string& json_text);

}  // namespace app
