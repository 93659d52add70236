#pragma once

#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "tokenizer/token_table.h"

namespace gossamer::tokenizer {

/// Appends the tokens of one piece of text. A piece that is a token is that token; any other starts
/// as single bytes, of which the adjacent pair whose bytes are the lowest token id (leftmost among
/// equals) is merged again and again until no pair is a token. Every single byte must be a token.
///
/// A piece of n bytes takes O(n log n) time; short ones allocate nothing.
void append_piece_tokens(
    const TokenTable& table, std::string_view piece, std::vector<TokenId>& tokens
);

/// As that merging, with only the merges that make a token below `limit`: the parts that are left.
/// For limit = an id of the vocabulary and bytes = that token's, these are the two parts it is made
/// of, or more when merging never makes it.
std::vector<std::string_view> merge_below(
    const TokenTable& table, std::string_view bytes, TokenId limit
);

}  // namespace gossamer::tokenizer
