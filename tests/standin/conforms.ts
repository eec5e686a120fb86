// SPDX-License-Identifier: Apache-2.0
/** Says, to the compiler only, that a class has the members of Electron's that it is said to have. */

export type Conforms<Wanted, Given extends Wanted> = Given;
