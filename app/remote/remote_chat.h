// One chat with a remote engine as a GenerationStream: the request written in OpenAI's words, the
// event stream read back into our own events. See remote_engine.h.
#pragma once

#include <memory>

#include "app/remote/remote_engine.h"

namespace app {

// `engine` must outlive the stream. The request is made on a thread of its own, beginning with the
// choice of the model.
std::unique_ptr<runtime::GenerationStream> make_remote_chat(RemoteEngine& engine,
                                                            RemoteEngine::Chat chat);

// The request's body.
Json remote_chat_body(const RemoteEngine::Chat& chat, const std::string& model);

}  // namespace app
