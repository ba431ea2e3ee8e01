// Runs code that may end its process (a kernel with a planted bug) in a child process: its exit
// status and what it wrote to standard error.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace tests {

struct ChildOutcome {
    int status = -1;  // of exit; 128 + signal where a signal ended it
    std::string errors;
};

// Exit status 0 where `run` returns, 1 where it throws. No other threads may be running.
inline ChildOutcome in_child(const std::function<void()>& run) {
    int ends[2];
    if (pipe(ends) != 0) {
        throw std::runtime_error("no pipe for a child process");
    }
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child < 0) {
        throw std::runtime_error("no child process");
    }
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        try {
            run();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
            std::_Exit(1);
        }
        std::_Exit(0);
    }
    close(ends[1]);
    ChildOutcome outcome;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
        outcome.errors.append(buffer, static_cast<size_t>(n));
    }
    close(ends[0]);
    int state = 0;
    waitpid(child, &state, 0);
    outcome.status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return outcome;
}

}  // namespace tests
