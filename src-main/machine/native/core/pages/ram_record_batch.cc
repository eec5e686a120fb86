// SPDX-License-Identifier: Apache-2.0
#include "core/pages/ram_record_batch.h"

#include <endian.h>

#include <cstring>

#include "core/base/wire.h"

namespace godwit {

std::size_t RamRecordBatch::add_zero(std::uint64_t offset, const std::string* name) {
  const std::size_t before = used_;
  add_header(offset, wire::kRamFlagZero, name);
  storage_->headers[used_++] = 0;
  bytes_ += used_ - before;
  return used_ - before;
}

std::size_t RamRecordBatch::add_page(std::uint64_t offset, const std::string* name, std::uint8_t* page) {
  const std::size_t before = used_;
  add_header(offset, wire::kRamFlagPage, name);
  const std::size_t record = used_ - before + kPageSize;
  close_headers();
  storage_->parts[part_count_++] = {page, kPageSize};
  ++pages_;
  bytes_ += record;
  return record;
}

OutputBatch RamRecordBatch::finish() {
  close_headers();
  const std::span<iovec> parts(storage_->parts.data(), part_count_);
  return OutputBatch{parts, bytes_, std::move(storage_)};
}

void RamRecordBatch::add_header(std::uint64_t offset, std::uint64_t flags, const std::string* name) {
  if (name == nullptr) flags |= wire::kRamFlagContinue;
  const std::uint64_t head = htobe64(offset | flags);
  std::uint8_t* const headers = storage_->headers.data();
  std::memcpy(headers + used_, &head, sizeof head);
  used_ += sizeof head;
  if (name == nullptr) return;
  headers[used_++] = static_cast<std::uint8_t>(name->size());
  std::memcpy(headers + used_, name->data(), name->size());
  used_ += name->size();
}

void RamRecordBatch::close_headers() {
  if (used_ == header_start_) return;
  storage_->parts[part_count_++] = {storage_->headers.data() + header_start_, used_ - header_start_};
  header_start_ = used_;
}

}  // namespace godwit
