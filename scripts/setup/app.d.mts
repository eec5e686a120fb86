// SPDX-License-Identifier: Apache-2.0
export function hasDesktopRuntime(root: string): boolean;
export function appIsCurrent(root: string): boolean;
export function buildApp(root: string, lock?: number): Promise<void>;
