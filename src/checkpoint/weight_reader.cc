#include "checkpoint/weight_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>

#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {
namespace {

/// The suffixes that tell the packed halves of an expert weight from the whole.
constexpr std::string_view kPackedSuffixes[] = {".blocks", ".scales", "_blocks", "_scales"};

/// The tensor that a checkpoint with unpacked experts has in place of a packed one, if it does.
const TensorTable::Entry* find_unpacked(const std::string& name, const TensorTable& table) {
  for (const std::string_view suffix : kPackedSuffixes) {
    if (name.size() < suffix.size()) continue;
    const std::size_t stem = name.size() - suffix.size();
    if (name.compare(stem, suffix.size(), suffix) != 0) continue;
    if (const auto* entry = table.find(name.substr(0, stem))) return entry;
  }
  return nullptr;
}

/// Says which tensors are not there, and why that may be.
Error missing_error(
    const std::vector<const LayoutTensor*>& missing,
    Layout layout,
    const TensorTable& table,
    const std::vector<std::string>& missing_files
) {
  const LayoutTensor& first = *missing.front();
  const std::string expected =
      fmt::format("{} {}", tensor::name_of(first.dtype), first.shape.to_string());
  if (const auto* unpacked = find_unpacked(first.name, table)) {
    return make_error(
        ErrorCode::kUnsupported,
        "{}: tensor '{}' is {}, a de-quantised expert weight; gossamer reads experts as released, "
        "in MXFP4: expected '{}' {}",
        unpacked->file,
        printable(unpacked->tensor.name),
        unpacked->tensor.type_to_string(),
        first.name,
        expected
    );
  }
  std::string message = fmt::format(
      "tensor '{}' {} is missing from the {} checkpoint", first.name, expected, name_of(layout)
  );
  if (missing.size() > 1) message += fmt::format(", and {} more are", missing.size() - 1);
  if (!missing_files.empty()) {
    message += fmt::format(
        "; its index lists files that are not there: {}", fmt::join(missing_files, ", ")
    );
  } else if (const auto nearest = table.nearest_name(first.name)) {
    message +=
        fmt::format("; did you mean '{}' in {}?", printable(*nearest), table.find(*nearest)->file);
  }
  return Error{ErrorCode::kCorruptData, std::move(message)};
}

/// Hands the rows of a stored tensor to the canonical tensors that it holds.
void assign_parts(const LayoutTensor& stored, const tensor::View& view, model::Weights& weights) {
  if (stored.parts.size() == 1) {
    slot(weights, stored.parts[0].part, stored.parts[0].layer) = view;
    return;
  }
  std::int64_t row = 0;
  for (const WeightSpec& part : stored.parts) {
    slot(weights, part.part, part.layer) = view.rows(row, row + part.shape[0]);
    row += part.shape[0];
  }
}

}  // namespace

Result<Layout> recognise_layout(const TensorTable& table) {
  const auto count = [&](Layout layout) {
    return std::count_if(table.entries().begin(), table.entries().end(), [&](const auto& item) {
      return is_named_like(item.first, layout);
    });
  };
  const auto original = count(Layout::kOriginal);
  const auto hugging_face = count(Layout::kHuggingFace);
  if (original == 0 && hugging_face == 0) {
    return make_error(
        ErrorCode::kUnsupported,
        "no tensor is named as in a gpt-oss checkpoint ('embedding.weight' or "
        "'model.embed_tokens.weight'); found {} tensors{}",
        table.entries().size(),
        table.entries().empty()
            ? std::string()
            : fmt::format(", '{}' first", printable(table.entries().begin()->first))
    );
  }
  return original > hugging_face ? Layout::kOriginal : Layout::kHuggingFace;
}

Result<model::Weights> read_weights(
    const model::Config& config,
    Layout layout,
    TensorTable& table,
    const std::vector<std::string>& missing_files
) {
  model::Weights weights;
  weights.layers.resize(static_cast<std::size_t>(config.num_hidden_layers));
  std::vector<const LayoutTensor*> missing;
  const auto expected = layout_tensors(config, layout);
  for (const LayoutTensor& stored : expected) {
    if (table.find(stored.name) == nullptr) {
      missing.push_back(&stored);
      continue;
    }
    GOSSAMER_ASSIGN_OR_RETURN(
        const tensor::View view, table.use(stored.name, stored.dtype, stored.shape)
    );
    assign_parts(stored, view, weights);
  }
  if (!missing.empty()) return missing_error(missing, layout, table, missing_files);
  if (config.tie_word_embeddings) weights.unembedding = weights.embedding;
  return weights;
}

}  // namespace gossamer::checkpoint
