// The tables of the file of conversations and the way there from every earlier version.
//
//   conversations  one row each; the trash is deleted_at <> 0
//   messages       a tree: parent_id (0: a root) and active_child, the branch that was shown last
//   attachments    what was dropped, by message
//   drafts         what is written and not sent, by conversation (0: the new one)
//   folders, meta  names; single values such as the open conversation
//   search         FTS5 over the contents of messages, three characters a term; absent where
//                  SQLite lacks it
#pragma once

#include <filesystem>

#include "app/database.h"

namespace app {

inline constexpr int kSchemaVersion = 2;

// Brings an open file to kSchemaVersion in one transaction. A file that holds something is copied
// beside itself first (NAME.version-N). Throws StoreError, with the file as it was.
void migrate(const Database& db, const std::filesystem::path& path);

// Makes the search index where it is missing and SQLite can. Whether there is one now.
bool make_search_index(const Database& db);

}  // namespace app
