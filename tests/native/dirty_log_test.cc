// SPDX-License-Identifier: Apache-2.0
#include "tracker_properties.h"

namespace godwit::test {
namespace {

constexpr std::uint32_t kNoRing = 0;

TEST_CASE("the dirty log holds exactly the pages that the guest wrote, in every slot") {
  reports_exactly_what_was_written(kNoRing);
}

TEST_CASE("pages that the guest writes while the log is collected are never lost") {
  loses_no_page_that_is_written_meanwhile(kNoRing, 1);
  loses_no_page_that_is_written_meanwhile(kNoRing, 2);
}

TEST_CASE("collecting the log without tracking is refused, and tracking can be turned on again") {
  can_be_turned_on_and_off(kNoRing);
}

TEST_CASE("a machine that tracks by the log has no ring counts") {
  Machine machine;
  CHECK(machine.vm->ring_counts().empty());
}

}  // namespace
}  // namespace godwit::test
