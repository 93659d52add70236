#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

#include "tools/tool.h"

namespace gossamer::scripted_server {

/// "stuck", which answers no call until it is told to stop, or throws.
class StuckTool final : public tools::Tool {
 public:
  StuckTool() {
    declaration_.name = "stuck";
    declaration_.description = "Never answers.";
    declaration_.functions = {
        {.name = "wait", .description = "Waits.", .parameters = {}},
        {.name = "break", .description = "Breaks.", .parameters = {}}};
  }

  const harmony::ToolNamespace& declaration() const override { return declaration_; }

  tools::ToolResult run(const harmony::Message& call, std::stop_token stop) const override {
    if (call.recipient == "stuck.break") throw std::runtime_error("the tool is broken");
    while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return {.output = "stopped"};
  }

 private:
  harmony::ToolNamespace declaration_;
};

}  // namespace gossamer::scripted_server
