// What a test needs beyond Node: tools or a kernel that not every machine has. Without it the test is
// skipped and says why; where it must be there (SKEP_REQUIRE_TOOLS=1, SKEP_REQUIRE_KERNEL=1) its absence fails.

import { spawnSync } from 'node:child_process';
import { accessSync } from 'node:fs';
import { describe, test } from 'vitest';

/** Why a named command cannot be run, or undefined when it can. */
export function missingTool(command: string): string | undefined {
  const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' });
  return error ? `${command} is not installed` : undefined;
}

/** Why the kernel of this machine cannot run BPF for us, or undefined when it can. */
export function missingKernel(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    accessSync('/sys/kernel/btf/vmlinux');
  } catch {
    return 'this kernel has no BTF (/sys/kernel/btf/vmlinux)';
  }
  return undefined;
}

/**
 * Runs `body` as a suite when nothing is missing; otherwise one skipped test shows the reason,
 * or a failing one where `required` is set in the environment.
 */
export function needs(
  name: string,
  missing: string | undefined,
  required: 'SKEP_REQUIRE_TOOLS' | 'SKEP_REQUIRE_KERNEL',
  body: () => void,
): void {
  if (missing === undefined) {
    describe(name, body);
  } else if (process.env[required] === '1') {
    test(`${name}: ${missing}`, () => {
      throw new Error(`${required}=1, but ${missing}`);
    });
  } else {
    test.skip(`${name} (skipped: ${missing})`, () => {});
  }
}
