#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace gossamer::end_to_end {

/// How a command ended. `output` is stdout and stderr together.
struct Outcome {
  int status;
  std::string output;
};

/// Runs shell text in which `gossamer` is the program under test.
inline Outcome run(const std::string& command) {
  const std::string script =
      "gossamer() { " GOSSAMER_PROGRAM " \"$@\"; }; { " + command + "; } 2>&1";
  FILE* pipe = ::popen(script.c_str(), "r");
  Outcome outcome{-1, ""};
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> piece{};
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
    outcome.output.append(piece.data(), size);
  }
  outcome.status = WEXITSTATUS(::pclose(pipe));
  return outcome;
}

/// Runs gossamer with arguments, and sends it SIGINT as soon as it has written a whole line.
inline Outcome interrupt_after_a_line(const std::string& arguments) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {-1, "no pipe"};
  const std::string script = "exec " GOSSAMER_PROGRAM " " + arguments;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  Outcome outcome{-1, ""};
  bool interrupted = false;
  std::array<char, 4096> piece{};
  for (ssize_t size; (size = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    outcome.output.append(piece.data(), static_cast<std::size_t>(size));
    if (!interrupted && outcome.output.find('\n') != std::string::npos) {
      interrupted = ::kill(child, SIGINT) == 0;
    }
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  return outcome;
}

/// The path of a golden checkpoint.
inline std::string golden(const std::string& name) {
  return std::string(GOSSAMER_GOLDEN_DIR "/") + name;
}

}  // namespace gossamer::end_to_end
