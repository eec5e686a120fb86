// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>

#include "core/kvm/ports.h"
#include "test_machine.h"

namespace godwit::test {
namespace {

TEST_CASE("stopping up to four busy vCPUs is prompt") {
  constexpr int kStops = 200;
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (const unsigned vcpus : {1u, 2u, 4u}) {
    Machine machine({.vcpus = vcpus});
    machine.load({0x48, 0xff, 0xc3, 0x48, 0x89, 0x1f, 0xeb, 0xf8});  // inc rbx; mov [rdi], rbx; jmp
    for (unsigned vcpu = 0; vcpu < vcpus; ++vcpu) machine.prepare({.rdi = kData + vcpu * kPageSize}, vcpu);
    std::vector<double> milliseconds;
    for (int n = 0; n < kStops; ++n) {
      machine.start();
      std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 3000));
      milliseconds.push_back(machine.stop());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    const double median = milliseconds[kStops / 2];
    const double p95 = milliseconds[kStops * 95 / 100];
    MESSAGE(vcpus << " vCPUs, " << kStops << " stops: median " << median << " ms, p95 " << p95 << " ms, longest "
                  << milliseconds.back() << " ms");
    CHECK(median < 2);
    CHECK(p95 < 5);
  }
}

}  // namespace
}  // namespace godwit::test
