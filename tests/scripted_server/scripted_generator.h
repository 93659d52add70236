#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "engine/generator.h"
#include "harmony/encoding.h"

namespace gossamer::scripted_server {

/// What the model is to say, and to which prompts.
struct ScriptedTurn {
  std::string match;  ///< part of the prompt's text; empty: any prompt
  std::string text;   ///< Harmony, from after `<|start|>assistant`; markers are taken as such
};

struct Script {
  std::vector<ScriptedTurn> turns;
  int context_length = 131072;
  double tokens_per_second = 0;  ///< of each generation; 0: as fast as it goes
};

/// Reads {"turns": [{"match", "text"}], "context_length", "tokens_per_second"}.
Result<Script> read_script(const std::string& path);

/// A double of the model, and of the model only: a generation plays the first turn of the script
/// that was not played yet and matches its prompt, or else the last one without a match again.
class ScriptedGenerator final : public engine::Generator {
 public:
  ScriptedGenerator(harmony::Encoding encoding, Script script);
  ~ScriptedGenerator() override;

  Result<std::unique_ptr<engine::Generation>> submit(
      engine::Request request, engine::UpdateHandler on_update
  ) override;

  engine::GeneratorStatus status() const override;

 private:
  struct Playing;
  class Handle;

  const ScriptedTurn* choose(const std::string& prompt);
  void play(const std::stop_token& stop);
  bool play_one(Playing& playing);

  harmony::Encoding encoding_;
  Script script_;
  mutable std::mutex mutex_;
  std::vector<bool> is_played_;  // guarded by mutex_, as those below
  std::list<std::shared_ptr<Playing>> playing_;
  engine::GeneratorStatus status_;
  std::condition_variable_any arrival_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace gossamer::scripted_server
