#include "apps/gossamer/interrupt.h"

#include <csignal>

namespace gossamer::apps {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t g_requested = 0;

void on_interrupt(int signal) {
  g_requested = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  g_requested = 0;
  std::signal(SIGINT, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
}

bool InterruptGuard::requested() {
  return g_requested != 0;
}

}  // namespace gossamer::apps
