// `skep doctor`: what this machine can do, and what to do for what it cannot. Nothing is changed: maps that are made to
// see whether one can be made are closed at once.

import { kernelChecks } from './doctor-kernel.js';
import { doctorText } from './doctor-text.js';
import { toolChecks } from './doctor-tools.js';
import { hasBigInts, hasWasmFeature, wasmFeatures } from './doctor-wasm.js';

export interface DoctorOptions {
  json?: boolean;
}

/** One thing that a machine has or has not. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found: a version, a number, a reason. */
  readonly detail: string;
  /** What to do about it, if something can be done. */
  readonly advice?: string;
}

export interface CheckGroup {
  readonly name: string;
  /** What needs these: without `ok` in all of them it does not work. */
  readonly for: string;
  readonly checks: readonly Check[];
}

export interface Diagnosis {
  /** Whether `skep run` in the emulated kernel works here. */
  readonly ok: boolean;
  readonly groups: readonly CheckGroup[];
}

/** Prints the diagnosis. Exit status 1 when not even the emulated kernel can run here. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const here = { name: 'This host', for: 'skep run, inspect, objdump', checks: hostChecks() };
  const diagnosis: Diagnosis = {
    ok: here.checks.every(({ ok }) => ok),
    groups: [here, extrasOf(), await toolChecks(), await kernelChecks()],
  };
  process.stdout.write(options.json ? `${JSON.stringify(diagnosis, null, 2)}\n` : doctorText(diagnosis));
  if (!diagnosis.ok) process.exitCode = 1;
}

const NODE = [20, 19] as const;

function hostChecks(): Check[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const node = major > NODE[0] || (major === NODE[0] && minor >= NODE[1]);
  const newer = 'Use a newer Node: https://nodejs.org';
  return [
    {
      name: 'Node',
      ok: node,
      detail: `${process.versions.node} (V8 ${process.versions.v8})`,
      ...(node ? {} : { advice: `Skep needs Node ${NODE.join('.')} or later: https://nodejs.org` }),
    },
    ...wasmFeatures
      .filter(({ usedFor }) => usedFor !== undefined)
      .map((feature): Check => {
        const ok = hasWasmFeature(feature);
        const name = `WebAssembly ${feature.name}`;
        const detail = `${ok ? 'there' : 'missing'}; ${feature.usedFor}`;
        return { name, ok, detail, ...(ok ? {} : { advice: newer }) };
      }),
    {
      name: 'WebAssembly BigInt',
      ok: hasBigInts(),
      detail: `${hasBigInts() ? 'there' : 'missing'}; 64-bit arguments and results`,
      ...(hasBigInts() ? {} : { advice: newer }),
    },
  ];
}

/** What WebAssembly has that is not needed yet. */
const extrasOf = (): CheckGroup => ({
  name: 'More of WebAssembly',
  for: 'nothing yet',
  checks: wasmFeatures
    .filter(({ usedFor }) => usedFor === undefined)
    .map((feature) => {
      const ok = hasWasmFeature(feature);
      return { name: `WebAssembly ${feature.name}`, ok, detail: ok ? 'there' : 'missing' };
    }),
});
