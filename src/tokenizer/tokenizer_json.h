#pragma once

#include <string_view>

#include "base/result.h"
#include "tokenizer/vocabulary.h"

namespace gossamer::tokenizer {

/// Reads a Hugging Face tokenizer.json of the kind that Tokenizer::from_json describes.
///
/// Our merging takes the id of a merge's result as its rank, where the format gives a list of pairs
/// in rank order. The two agree exactly when the list is in the order of its results' ids and
/// holds, for each token that merging can make, the pair that makes it; that is checked, and other
/// lists are kUnsupported.
Result<Vocabulary> read_tokenizer_json(std::string_view json, std::string_view name);

}  // namespace gossamer::tokenizer
