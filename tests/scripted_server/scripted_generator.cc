#include "tests/scripted_server/scripted_generator.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace gossamer::scripted_server {

/// A generation on its way.
struct ScriptedGenerator::Playing {
  std::vector<TokenId> tokens;
  std::size_t next = 0;
  std::size_t limit = 0;
  std::vector<TokenId> stop_tokens;
  std::mutex mutex;                 // held while the handler is called
  engine::UpdateHandler on_update;  // empty once the generation is given up; guarded by mutex
};

class ScriptedGenerator::Handle final : public engine::Generation {
 public:
  explicit Handle(std::shared_ptr<Playing> playing) : playing_(std::move(playing)) {}
  ~Handle() override {
    const std::lock_guard lock(playing_->mutex);
    playing_->on_update = nullptr;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

 private:
  std::shared_ptr<Playing> playing_;
};

Result<Script> read_script(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("turns")) {
    return make_error(ErrorCode::kInvalidArgument, "{}: not a script", path);
  }
  Script script;
  script.context_length = json.value("context_length", script.context_length);
  script.tokens_per_second = json.value("tokens_per_second", script.tokens_per_second);
  for (const auto& turn : json["turns"]) {
    script.turns.push_back({turn.value("match", ""), turn.value("text", "")});
  }
  return script;
}

ScriptedGenerator::ScriptedGenerator(harmony::Encoding encoding, Script script)
    : encoding_(std::move(encoding)),
      script_(std::move(script)),
      is_played_(script_.turns.size()),
      thread_([this](const std::stop_token& stop) { play(stop); }) {}

ScriptedGenerator::~ScriptedGenerator() = default;

const ScriptedTurn* ScriptedGenerator::choose(const std::string& prompt) {
  const ScriptedTurn* fallback = nullptr;
  for (std::size_t i = 0; i < script_.turns.size(); ++i) {
    const ScriptedTurn& turn = script_.turns[i];
    if (turn.match.empty()) fallback = &turn;
    if (is_played_[i] || prompt.find(turn.match) == std::string::npos) continue;
    is_played_[i] = true;
    return &turn;
  }
  return fallback;
}

Result<std::unique_ptr<engine::Generation>> ScriptedGenerator::submit(
    engine::Request request, engine::UpdateHandler on_update
) {
  const std::size_t room = static_cast<std::size_t>(script_.context_length);
  if (request.prompt.size() >= room) {
    return make_error(
        ErrorCode::kContextFull,
        "the prompt has {} tokens, and the context holds {}",
        request.prompt.size(),
        room
    );
  }
  const std::string prompt = encoding_.tokenizer().decode(request.prompt);
  const std::lock_guard lock(mutex_);
  const ScriptedTurn* turn = choose(prompt);
  if (turn == nullptr) return make_error(ErrorCode::kNotFound, "the script is over");
  auto playing = std::make_shared<Playing>();
  playing->tokens = encoding_.tokenizer().encode_with_specials(turn->text);
  playing->limit = std::min(
      room - request.prompt.size(), static_cast<std::size_t>(request.max_tokens.value_or(1 << 30))
  );
  playing->stop_tokens = std::move(request.stop_tokens);
  playing->on_update = std::move(on_update);
  status_.num_prompt_tokens += request.prompt.size();
  playing_.push_back(playing);
  arrival_.notify_one();
  return std::unique_ptr<engine::Generation>(std::make_unique<Handle>(std::move(playing)));
}

/// False when it is over.
bool ScriptedGenerator::play_one(Playing& playing) {
  const std::lock_guard lock(playing.mutex);
  if (!playing.on_update) return false;
  engine::Update update;
  update.sampled = engine::SampledToken{.token = playing.tokens[playing.next++]};
  const auto& stops = playing.stop_tokens;
  const bool is_stop = std::find(stops.begin(), stops.end(), update.sampled->token) != stops.end();
  if (is_stop || playing.next == playing.tokens.size()) {
    update.finish = engine::FinishReason::kStop;
  } else if (playing.next >= playing.limit) {
    update.finish = engine::FinishReason::kLength;
  }
  playing.on_update(update);
  return !update.finish;
}

void ScriptedGenerator::play(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<std::shared_ptr<Playing>> round;
    {
      std::unique_lock lock(mutex_);
      arrival_.wait(lock, stop, [this] { return !playing_.empty(); });
      round.assign(playing_.begin(), playing_.end());
    }
    for (const auto& playing : round) {
      if (play_one(*playing)) continue;
      const std::lock_guard lock(mutex_);
      playing_.remove(playing);
    }
    const std::lock_guard lock(mutex_);
    status_.num_generated_tokens += round.size();
    if (script_.tokens_per_second > 0) {
      std::this_thread::sleep_for(std::chrono::duration<double>(1 / script_.tokens_per_second));
    }
  }
}

engine::GeneratorStatus ScriptedGenerator::status() const {
  const std::lock_guard lock(mutex_);
  engine::GeneratorStatus status = status_;
  status.num_running = static_cast<int>(playing_.size());
  return status;
}

}  // namespace gossamer::scripted_server
