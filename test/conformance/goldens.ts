// The recorded answers to cases.ts, and what every test here needs around them.

import { readFileSync, writeFileSync } from 'node:fs';
import { assemble, encode } from '../../src/isa/index.js';
import type { ConformanceCase } from './cases.js';

const FILE = new URL('./goldens.json', import.meta.url);

export interface Goldens {
  /** The kernel that gave the answers. */
  readonly kernel: string;
  /** How to make the file again. */
  readonly madeBy: string;
  /** r0 by the name of the case, as hex. */
  readonly answers: Readonly<Record<string, string>>;
  /** Cases that the kernel's verifier refuses: why, and the answer of the reference model instead. */
  readonly refused: Readonly<Record<string, { readonly because: string; readonly reference: string }>>;
}

export const readGoldens = (): Goldens => JSON.parse(readFileSync(FILE, 'utf8')) as Goldens;

export const writeGoldens = (goldens: Goldens): void => {
  writeFileSync(FILE, `${JSON.stringify(goldens, null, 2)}\n`);
};

/** The recorded r0 of a case, as hex. */
export const goldenOf = (goldens: Goldens, { name }: ConformanceCase): string | undefined =>
  goldens.answers[name] ?? goldens.refused[name]?.reference;

export const codeOf = ({ asm }: ConformanceCase): Uint8Array => encode(assemble(asm));

export const memoryOf = ({ memory }: ConformanceCase): Uint8Array =>
  Uint8Array.from(memory.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

export const hexOf = (r0: bigint): string => `0x${r0.toString(16)}`;
