#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <numeric>

namespace gossamer::server {

namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

Counter& counter(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

Gauge& gauge(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

Histogram& histogram(
    Registry& registry,
    const char* name,
    const char* help,
    const Histogram::BucketBoundaries& bounds
) {
  return BuildHistogram().Name(name).Help(help).Register(registry).Add({}, bounds);
}

/// A gauge for each group of the KV cache.
struct BlockGauges {
  BlockGauges(Registry& registry, const char* name, const char* help)
      : family(BuildGauge().Name(name).Help(help).Register(registry)) {}

  void set(const model::KvCacheSize& blocks) {
    full.Set(blocks.full_blocks);
    sliding.Set(blocks.sliding_blocks);
  }

  Family<Gauge>& family;
  Gauge& full = family.Add({{"group", "full"}});
  Gauge& sliding = family.Add({{"group", "sliding"}});
};

/// Counters that the generator keeps: the difference is added.
void advance(Counter& counter, std::uint64_t total) {
  counter.Increment(static_cast<double>(total) - counter.Value());
}

}  // namespace

struct Metrics::Series {
  std::mutex scrape;  // one reader at a time: counters advance by differences
  Registry registry;
  Gauge& running = gauge(registry, "gossamer_requests_running", "Sequences being computed.");
  Gauge& waiting = gauge(registry, "gossamer_requests_waiting", "Sequences in the queue.");
  BlockGauges blocks_used{
      registry, "gossamer_kv_blocks_used", "Blocks of the KV cache that sequences hold."};
  BlockGauges blocks_total{registry, "gossamer_kv_blocks_total", "Blocks of the KV cache."};
  Counter& prompt_tokens =
      counter(registry, "gossamer_prompt_tokens_total", "Prompt tokens of admitted requests.");
  Counter& cached_tokens = counter(
      registry,
      "gossamer_cached_prompt_tokens_total",
      "Prompt tokens that were found in the prefix cache."
  );
  Counter& generated_tokens =
      counter(registry, "gossamer_generated_tokens_total", "Tokens sampled.");
  Counter& steps = counter(registry, "gossamer_steps_total", "Steps of the model.");
  Counter& cancelled = counter(
      registry, "gossamer_cancelled_requests_total", "Requests that ended before they were done."
  );
  Counter& preemptions = counter(
      registry, "gossamer_preemptions_total", "Sequences set back because the KV cache was full."
  );
  Counter& repairs =
      counter(registry, "gossamer_header_repairs_total", "Malformed Harmony that was repaired.");
  Family<Counter>& answers = BuildCounter()
                                 .Name("gossamer_http_requests_total")
                                 .Help("Requests answered, by route and status.")
                                 .Register(registry);
  Gauge& connections = gauge(registry, "gossamer_http_connections", "Connections open.");
  Histogram& first_token = histogram(
      registry,
      "gossamer_time_to_first_token_seconds",
      "From the submission of a prompt to its first token.",
      {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}
  );
  Histogram& next_token = histogram(
      registry,
      "gossamer_inter_token_seconds",
      "Between two tokens of a request.",
      {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}
  );

  void take(const engine::GeneratorStatus& status) {
    running.Set(status.num_running);
    waiting.Set(status.num_waiting);
    blocks_total.set(status.total_blocks);
    blocks_used.set(
        {status.total_blocks.full_blocks - status.free_blocks.full_blocks,
         status.total_blocks.sliding_blocks - status.free_blocks.sliding_blocks}
    );
    advance(prompt_tokens, status.num_prompt_tokens);
    advance(cached_tokens, status.num_cached_tokens);
    advance(generated_tokens, status.num_generated_tokens);
    advance(steps, status.num_steps);
    advance(cancelled, status.num_cancelled);
    advance(preemptions, status.num_preemptions);
  }
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::time_to_first_token(double seconds) {
  series_->first_token.Observe(seconds);
}

void Metrics::inter_token(double seconds) {
  series_->next_token.Observe(seconds);
}

void Metrics::header_repairs(const harmony::RepairCounts& counts) {
  series_->repairs.Increment(
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}))
  );
}

void Metrics::answered(std::string_view path, int status) {
  series_->answers.Add({{"path", std::string(path)}, {"status", std::to_string(status)}}
  ).Increment();
}

std::string Metrics::text(const engine::GeneratorStatus* status, int num_connections) {
  const std::lock_guard lock(series_->scrape);
  series_->connections.Set(num_connections);
  if (status != nullptr) series_->take(*status);
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace gossamer::server
