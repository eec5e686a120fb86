// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace godwit {

/// Asks the scheduler to run the calling thread in short slices. A vCPU that was preempted has to be scheduled once more
/// to see that it must stop: with the default slice of some 3 ms that takes tens of milliseconds on a busy computer.
/// Linux 6.12 and later; earlier kernels, and other policies than SCHED_OTHER, are left as they are.
void prefer_short_time_slices();

}  // namespace godwit
