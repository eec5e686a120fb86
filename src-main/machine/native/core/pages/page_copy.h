// SPDX-License-Identifier: Apache-2.0
// Copies of whole pages into guest memory that nobody reads soon.
#pragma once

#include <cstdint>
#include <span>

namespace godwit {

using PageCopy = void (*)(std::uint8_t* to, const std::uint8_t* from);

struct PageCopyVariant {
  const char* name;
  bool supported;
  PageCopy copy;
};

/// All that are compiled in, the widest first; for tests.
std::span<const PageCopyVariant> page_copy_variants();

/// Copies a page past the caches (streaming stores) where the processor can: the page is not needed here, and its old
/// content need not be fetched to be overwritten. `to` is aligned to a page. finish_page_copies() has to come before
/// another thread is told of the page.
void copy_page(std::uint8_t* to, const std::uint8_t* from);
void finish_page_copies();

}  // namespace godwit
